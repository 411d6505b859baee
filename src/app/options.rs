//! How a core is to be made: what the command line says, as the core takes it.

use std::path::PathBuf;
use std::time::Duration;

use crate::gateway::GatewayOptions;
use crate::worker::PoolsOptions;

/// Which session a core works in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SessionChoice {
    /// None: nothing is written.
    #[default]
    Ephemeral,
    /// A new one, with this name if given.
    New(Option<String>),
    /// An existing one: id, unique beginning, name, or `latest`.
    Open(String),
}

/// How a core is to be made.
#[derive(Debug, Clone)]
pub struct CoreOptions {
    /// Which session.
    pub session: SessionChoice,
    /// Where sessions are kept; `None` is the usual place.
    pub sessions_dir: Option<PathBuf>,
    /// The Python environment asked for.
    pub venv: Option<PathBuf>,
    /// Working directory of the kernel.
    pub cwd: PathBuf,
    /// Somebody can answer `input()`.
    pub interactive: bool,
    /// Keep a warm standby.
    pub standby: bool,
    /// Resident memory of the kernel above which it is told, MB.
    pub kernel_memory_mb: u64,
    /// Most disk space of what can be made again, MB.
    pub cache_mb: u64,
    /// Pools of workers for jobs; without them the kernel carries jobs out.
    pub pools: PoolsOptions,
    /// Select the demo LM in a new session.
    pub demo: bool,
    /// How the gateway works.
    pub gateway: GatewayOptions,
    /// How long a request of the kernel may take that is no run: completion,
    /// inspection, signatures, prompts. Cells, programs, evaluations and compiles
    /// have no limit here; LM calls have their profile's.
    pub request_deadline: Duration,
}

impl CoreOptions {
    /// No session, no standby, nobody to answer `input()`.
    pub fn new(cwd: PathBuf) -> Self {
        Self {
            session: SessionChoice::Ephemeral,
            sessions_dir: None,
            venv: None,
            cwd,
            interactive: false,
            standby: false,
            kernel_memory_mb: 2048,
            cache_mb: 1024,
            pools: PoolsOptions::none(),
            demo: false,
            gateway: GatewayOptions::default(),
            request_deadline: Duration::from_secs(30),
        }
    }
}
