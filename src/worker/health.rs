//! How workers stand, as monitoring, the screen and `exec` are told.
//!
//! Plain data, and the one place that reads a process's memory. Decides nothing.

use serde::Serialize;

use crate::session::event::RunId;

/// How all workers stand.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WorkersHealth {
    /// The kernel and the standby, where there are any.
    pub workers: Vec<MemberHealth>,
    /// Why there is no kernel and none will come; empty while there is one.
    pub kernel_down: String,
    /// The pools.
    pub pools: Vec<PoolHealth>,
}

impl WorkersHealth {
    /// Every worker there is.
    pub fn members(&self) -> impl Iterator<Item = &MemberHealth> {
        let pooled = self.pools.iter().flat_map(|pool| &pool.workers);
        self.workers.iter().chain(pooled)
    }
}

/// How a pool stands.
#[derive(Debug, Clone, Serialize)]
pub struct PoolHealth {
    /// `pool` or `optimizer`.
    pub name: &'static str,
    /// Most workers it may have.
    pub size: usize,
    /// Workers with a job.
    pub busy: usize,
    /// Workers without one.
    pub idle: usize,
    /// Workers that are starting.
    pub starting: usize,
    /// Jobs that wait for a worker.
    pub queue: usize,
    /// Most that may.
    pub queue_limit: usize,
    /// The runs of those that wait, in their order.
    pub waiting: Vec<RunId>,
    /// Workers that were replaced since the start: died, recycled or killed.
    pub restarts: u32,
    /// Why it takes no jobs; empty while it does.
    pub down: String,
    /// Its workers.
    pub workers: Vec<MemberHealth>,
}

/// How a worker stands.
#[derive(Debug, Clone, Serialize)]
pub struct MemberHealth {
    /// Its number in the session.
    pub worker: u32,
    /// `kernel`, `standby`, `pool` or `optimizer`.
    pub role: &'static str,
    /// Its process id.
    pub pid: u32,
    /// `starting`, `idle`, `busy`, `unresponsive` or `retiring`.
    pub state: &'static str,
    /// Runs it carries out.
    pub runs: Vec<RunId>,
    /// Resident memory, MB; 0 where it cannot be read.
    pub rss_mb: u64,
    /// What it may hold, MB: above it a worker of a pool is replaced, and of the
    /// kernel it is told.
    pub memory_mb: u64,
}

/// Resident memory of a process in MB; `None` once it is gone.
pub(crate) fn resident_mb(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kb: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kb / 1024)
}
