//! `dspex-tui doctor`: what the workbench needs, what of it is there, and the
//! exact command that mends each lack.
//!
//! Looks and reports; changes nothing. The checks of files and variables start no
//! process; only the last one starts a worker, as a session would.

mod machine;
mod packages;
mod report;
mod start;

use std::io::{self, Write};
use std::path::PathBuf;

use crate::protocol::error::OperationError;
use crate::worker::environment::{self, PythonEnvironment};

pub use machine::Variables;
pub use report::{Check, Report, Status};

/// What the command line says about the checks.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--venv`.
    pub venv: Option<PathBuf>,
    /// `--sessions-dir`.
    pub sessions_dir: Option<PathBuf>,
    /// Print JSON instead of lines.
    pub json: bool,
}

/// Makes every check and prints the report. True if nothing required is missing.
///
/// # Errors
/// The report could not be written.
pub async fn run(options: &Options, out: &mut impl Write) -> io::Result<bool> {
    let variables: Variables = std::env::vars_os()
        .map(|(name, value)| {
            let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
            (text(name), text(value))
        })
        .collect();
    let report = examine(options, &variables).await;
    if options.json {
        report.write_json(out)?;
    } else {
        report.write_text(out, machine::is_unicode(&variables))?;
    }
    out.flush()?;
    Ok(report.ok)
}

/// Makes every check.
pub async fn examine(options: &Options, variables: &Variables) -> Report {
    let cwd = std::env::current_dir().unwrap_or_default();
    let mut checks = Vec::new();
    match environment::discover(options.venv.as_deref(), &cwd) {
        Ok(environment) => checks_of_environment(&environment, variables, &mut checks).await,
        Err(error) => checks.push(lacking("environment", &error)),
    }
    checks.push(machine::sessions(options.sessions_dir.as_deref()));
    checks.push(machine::terminal(variables));
    checks.push(machine::keys(variables));
    Report::new(checks)
}

async fn checks_of_environment(
    environment: &PythonEnvironment,
    variables: &Variables,
    checks: &mut Vec<Check>,
) {
    let shown = environment.path.display();
    checks.push(Check::ok(
        "environment",
        format!("{shown} (from {})", environment.found),
    ));
    checks.push(python(environment));
    let packages = packages::Packages::read(&environment.path, &environment.minor()).checks();
    let complete = packages.iter().all(|check| check.status != Status::Missing);
    checks.extend(packages);
    checks.push(machine::sandbox(
        &environment.path,
        environment::sandbox_cache(&environment.path),
        variables,
    ));
    match environment::find_worker(environment) {
        Err(error) => checks.push(lacking("worker", &error)),
        Ok(_) if !complete => checks.push(Check::missing(
            "worker",
            "not tried: it needs the packages above",
            "dspex-tui doctor",
        )),
        Ok(worker) => checks.push(start::check(environment, &worker).await),
    }
}

/// The versions that the worker can be built for.
fn python(environment: &PythonEnvironment) -> Check {
    let minor = environment
        .minor()
        .strip_prefix("3.")
        .and_then(|minor| minor.parse::<u32>().ok());
    if minor.is_some_and(|minor| (10..=14).contains(&minor)) {
        return Check::ok("Python", &environment.version);
    }
    Check::missing(
        "Python",
        format!("{}, and 3.10 to 3.14 are supported", environment.version),
        "make one with a newer Python: python3 -m venv PATH",
    )
}

fn lacking(name: &str, error: &OperationError) -> Check {
    Check::missing(name, &error.message, &error.recovery.hint)
}
