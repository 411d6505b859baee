//! Starts the worker as a session would, and says how far it came.

use std::path::Path;

use super::report::Check;
use crate::worker::environment::{self, PythonEnvironment};

/// The worker at `path` starts, and is linked to the environment's Python.
pub async fn check(environment: &PythonEnvironment, path: &Path) -> Check {
    let remedy = format!("make worker PYTHON={}", environment.python.display());
    match environment::worker_python_version(path) {
        Ok(built) if built == environment.minor() => {
            Check::ok("worker", format!("{} for Python {built}", path.display()))
        }
        Ok(built) => Check::missing(
            "worker",
            format!("{} was built for Python {built}", path.display()),
            remedy,
        ),
        Err(error) => Check::missing("worker", error.message, remedy),
    }
}
