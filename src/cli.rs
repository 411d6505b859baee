//! The command line: arguments, exit codes, and which front end they start.
//!
//! Data goes to standard output, everything else to standard error. Exit codes:
//! 0 done, 1 the thing asked for failed, 2 wrong usage, 129 the terminal went
//! away, 130 interrupted, 143 told to end.

mod exec;
mod gateway;
mod lines;
mod open;
mod replay;
mod sessions;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A terminal workbench for DSPy.
#[derive(Debug, Parser)]
#[command(name = "dspex-tui", version, max_term_width = 100)]
#[command(
    after_help = "Without a command the full-screen workbench opens. Inside: F1 help, : command, ? keys."
)]
pub struct Cli {
    /// What to start.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options that every front end takes.
    #[command(flatten)]
    pub common: Common,
}

/// Options that every front end takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Common {
    /// Open this session (id, unique beginning, name, or `latest`).
    #[arg(long, global = true, value_name = "ID")]
    pub session: Option<String>,
    /// Make a new session with this name.
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "session")]
    pub new: Option<String>,
    /// Keep sessions here instead of the XDG data directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub sessions_dir: Option<PathBuf>,
    /// Python environment to use (default: $VIRTUAL_ENV, ./.venv, the managed one).
    #[arg(long, global = true, value_name = "PATH")]
    pub venv: Option<PathBuf>,
    /// Answer every LM request from this profile, for example `demo`.
    #[arg(long, global = true, value_name = "PROFILE")]
    pub route_all_to: Option<String>,
    /// Serve LM calls from the record of the session that is opened (`run` with
    /// `--session` resumes by itself).
    #[arg(long, global = true, value_name = "MODE")]
    pub cassette: Option<Cassette>,
    /// Inject a fault into LM calls, for example `status=429:0.3` or `latency=200ms`.
    #[arg(long, global = true, value_name = "FAULT")]
    pub fault: Vec<String>,
    /// Most worker processes for programs and evaluations (default: one a core,
    /// at most 4; 0 for `exec` and scripts: the kernel carries them out).
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=64))]
    pub workers: Option<u8>,
    /// Most worker processes for optimizers, which get their own (default 2; 0 as above).
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=64))]
    pub optimizers: Option<u8>,
    /// Replace a worker (never the kernel) that holds more than this (default 2048).
    #[arg(long, global = true, value_name = "MB", value_parser = clap::value_parser!(u64).range(128..))]
    pub worker_memory: Option<u64>,
    /// Serve `/health` and Prometheus `/metrics` at this loopback address, for
    /// example `127.0.0.1:9464`, while the workbench, the REPL or `exec --jsonl` runs.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub monitor: Option<std::net::SocketAddr>,
    /// Theme of the screen: `dark`, `light`, or a file.
    #[arg(long, global = true, value_name = "THEME")]
    pub theme: Option<String>,
}

/// How recorded answers are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Cassette {
    /// Not at all.
    Off,
    /// Where there is one; other calls go out.
    Resume,
    /// Only; a call without one fails.
    Strict,
}

/// What to start.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open a line REPL, or run a script from standard input.
    Repl(ReplArgs),
    /// Do one operation and print its result as JSON.
    Exec(ExecArgs),
    /// Run a `.py` file or a command script and record it as a session.
    Run(RunArgs),
    /// Replay a session: no Python, no network.
    Replay(ReplayArgs),
    /// List, show and remove sessions.
    Sessions(SessionsArgs),
    /// Check what the workbench needs, with the command that mends each lack.
    Doctor(DoctorArgs),
    /// Serve the LM gateway on loopback for other programs.
    Gateway(GatewayArgs),
    /// Measure, each figure beside its rival in the same run.
    Bench(BenchArgs),
    /// The server `bench` measures against.
    #[command(hide = true)]
    BenchStub {
        /// Latency of each answer.
        latency_ms: u64,
    },
}

/// Arguments of `repl`.
#[derive(Debug, Clone, Args)]
pub struct ReplArgs {
    /// Go on after an error when reading a script.
    #[arg(long)]
    pub keep_going: bool,
}

/// Arguments of `exec`.
#[derive(Debug, Clone, Args)]
pub struct ExecArgs {
    /// Name of the operation.
    pub operation: Option<String>,
    /// Its arguments as a JSON object; `-` reads them from standard input.
    pub arguments: Option<String>,
    /// Read one `{"operation", "arguments", "id"}` a line, answer one line each.
    #[arg(long, conflicts_with_all = ["operation", "arguments"])]
    pub jsonl: bool,
    /// Answer in JSON; it always does.
    #[arg(long)]
    pub json: bool,
    /// List the operations.
    #[arg(long)]
    pub list: bool,
    /// Print the JSON Schemas of the operation (of all, without one).
    #[arg(long)]
    pub schema: bool,
}

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// A `.py` file (plain or with `# %%` cells) or a command script.
    pub file: PathBuf,
    /// Arguments of the script (`sys.argv[1:]`).
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<String>,
}

/// Arguments of `replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Id, unique beginning, name, directory, or `latest`.
    pub target: String,
    /// Print it instead of opening the screen.
    #[arg(long)]
    pub plain: bool,
    /// Print the final state as JSON.
    #[arg(long)]
    pub json: bool,
    /// Print the state after this event instead of the last.
    #[arg(long, value_name = "SEQ")]
    pub at: Option<usize>,
}

/// Arguments of `sessions`.
#[derive(Debug, Clone, Args)]
pub struct SessionsArgs {
    /// What to do (default: list).
    #[command(subcommand)]
    pub action: Option<SessionsAction>,
}

/// Actions of `sessions`.
#[derive(Debug, Clone, Subcommand)]
pub enum SessionsAction {
    /// List them, newest first.
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the directory of one.
    Path {
        /// Which.
        target: String,
    },
    /// Remove one.
    Rm {
        /// Which.
        target: String,
    },
}

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `gateway`.
#[derive(Debug, Clone, Args)]
pub struct GatewayArgs {
    /// Port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Providers or models to serve, or profiles as `configure_lm` takes them, in
    /// JSON; the first is the default (default: demo).
    #[arg(long, value_name = "MODEL")]
    pub lm: Vec<String>,
}

/// Arguments of `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Only the rows whose name contains one of these.
    pub rows: Vec<String>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
}

/// Parses the arguments and runs what they ask for.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not errors: clap knows which stream and code.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    // One thread beside the front end's: an LM call passes through several tasks, and
    // handing it from thread to thread costs more than all they do. What blocks runs
    // on threads of its own.
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return open::complain(&format!("cannot start: {error}"), 2),
    };
    let code = runtime.block_on(open::run(cli));
    // A task stuck in a blocking read of the terminal must not hold the exit up.
    runtime.shutdown_background();
    code
}
