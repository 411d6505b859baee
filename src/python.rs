//! The inside of a worker process: one embedded Python, one socket.
//!
//! Owns the order of a worker's start and end. Knows no DSPy: that is the
//! package `dspex_worker`, which this binary carries and puts on `sys.path`.
//! Compiled into `dspex-worker` only; the library never names `pyo3`.

#[path = "python/embed.rs"]
mod embed;
#[path = "python/gate.rs"]
mod gate;
#[path = "python/interrupt.rs"]
mod interrupt;
#[path = "python/json.rs"]
mod json;
#[path = "python/lanes.rs"]
mod lanes;
#[path = "python/link.rs"]
mod link;
#[path = "python/module.rs"]
mod module;
#[path = "python/package.rs"]
mod package;
#[path = "python/process.rs"]
mod process;
#[path = "python/reader.rs"]
mod reader;
#[path = "python/sandbox.rs"]
mod sandbox;
#[path = "python/spans.rs"]
mod spans;
#[path = "python/warden.rs"]
mod warden;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use link::Link;

/// Exit status of a worker that cannot start and has said why on descriptor 2.
const CANNOT_START: u8 = 64;

/// What the workbench says on the command line.
struct Arguments {
    /// The environment's `bin/python`.
    python: PathBuf,
    /// Process id of the workbench.
    parent: i32,
}

/// Runs the worker to its end.
pub fn run() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "--sandbox")
    {
        let reason = sandbox::become_program(std::env::args_os().skip(2));
        let _ = writeln!(std::io::stderr(), "{reason}");
        return ExitCode::from(CANNOT_START);
    }
    let mut words = std::env::args().skip(1);
    match (words.next().as_deref(), words.next(), words.next()) {
        (Some("--python-version"), None, None) => {
            let _ = writeln!(std::io::stdout(), "{}", embed::BUILT_FOR);
            ExitCode::SUCCESS
        }
        (Some("--serve"), Some(python), Some(parent)) => {
            let python = PathBuf::from(python);
            let parent = parent.parse().unwrap_or(0);
            match serve(Arguments { python, parent }) {
                Ok(code) => process::exit_now(code),
                Err(reason) => {
                    let _ = writeln!(std::io::stderr(), "{reason}");
                    ExitCode::from(CANNOT_START)
                }
            }
        }
        _ => {
            let _ = writeln!(
                std::io::stderr(),
                "dspex-worker is started by dspex-tui; by itself it only knows --python-version"
            );
            ExitCode::from(2)
        }
    }
}

fn serve(arguments: Arguments) -> Result<i32, String> {
    let socket = process::settle(arguments.parent)?;
    warden::post(arguments.parent);
    let (hello, decoder) = reader::greet(&socket, &arguments.python)?;
    embed::check(&arguments.python)?;
    let package = package::place()?;
    let link = Link::start(socket, &hello, decoder)?;
    reader::start(link)?;
    embed::initialise(&arguments.python)?;
    let code = embed::run_main(&package.path);
    link.drain();
    package.remove();
    Ok(code)
}
