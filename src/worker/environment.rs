//! Which Python: finding the environment and the worker built for it.
//!
//! Reads files only; never starts Python to find out what a file says.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::protocol::error::{ErrorClass, OperationError, Strategy};

/// A virtual environment of Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonEnvironment {
    /// Its folder.
    pub path: PathBuf,
    /// Its `bin/python`.
    pub python: PathBuf,
    /// `3.11.7`, or `3.11` where the environment does not say more.
    pub version: String,
    /// Why this one.
    pub found: Found,
}

/// What pointed to an environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// `--venv`.
    Option,
    /// `$VIRTUAL_ENV`.
    VirtualEnv,
    /// `./.venv`.
    WorkingDirectory,
    /// `$DSPEX_VENV`.
    Variable,
    /// The one `make setup` made.
    Setup,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Option => "--venv",
            Self::VirtualEnv => "$VIRTUAL_ENV",
            Self::WorkingDirectory => "./.venv",
            Self::Variable => "$DSPEX_VENV",
            Self::Setup => "make setup",
        })
    }
}

impl PythonEnvironment {
    /// `3.11`.
    pub fn minor(&self) -> String {
        minor_of(&self.version)
    }
}

/// Finds the environment to work in: `--venv`, else `$VIRTUAL_ENV`, else
/// `./.venv`, else `$DSPEX_VENV`, else the one that `make setup` made.
///
/// # Errors
///
/// There is none, or the one pointed to is broken: the message says which and
/// what to do. What is pointed to explicitly is never passed over.
pub fn discover(venv: Option<&Path>, cwd: &Path) -> Result<PythonEnvironment, OperationError> {
    let executable = std::env::current_exe().ok();
    discover_with(venv, cwd, executable.as_deref(), &|name| {
        std::env::var_os(name)
    })
}

fn discover_with(
    venv: Option<&Path>,
    cwd: &Path,
    executable: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Result<PythonEnvironment, OperationError> {
    let set = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(|value| cwd.join(value))
    };
    if let Some(path) = venv {
        return open(&cwd.join(path), Found::Option);
    }
    if let Some(path) = set("VIRTUAL_ENV") {
        return open(&path, Found::VirtualEnv);
    }
    let here = cwd.join(".venv");
    if here.join("pyvenv.cfg").is_file() {
        return open(&here, Found::WorkingDirectory);
    }
    if let Some(path) = set("DSPEX_VENV") {
        return open(&path, Found::Variable);
    }
    if let Some(path) = made_by_setup(cwd, executable, variable) {
        return open(&path, Found::Setup);
    }
    Err(missing(
        "no Python environment was found",
        "run `make setup`, or point to one with --venv PATH",
    ))
}

/// The environment that `make setup` made: of the project this executable was
/// built in, else of the user.
fn made_by_setup(
    cwd: &Path,
    executable: Option<&Path>,
    variable: &dyn Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    let set = |name| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(|value| cwd.join(value))
    };
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    let made = [
        executable
            .and_then(project_root)
            .map(|root| root.join("python/.venv")),
        data.map(|data| data.join("dspex-tui/venv")),
    ];
    let mut made = made.into_iter().flatten();
    made.find(|path| path.join("pyvenv.cfg").is_file())
}

/// Where `make setup` put Pyodide for DSPy's sandboxed interpreters: a value for
/// `DENO_DIR` that also serves a user's own environment. None when it did not.
pub fn sandbox_cache(environment: &Path) -> Option<PathBuf> {
    let executable = std::env::current_exe().ok();
    let made = made_by_setup(Path::new("/"), executable.as_deref(), &|name| {
        std::env::var_os(name)
    });
    let mut folders = std::iter::once(environment.join("deno"))
        .chain(made.map(|environment| environment.join("deno")));
    folders.find(|folder| folder.join("npm").is_dir())
}

/// The worker binary for an environment: `dspex-worker-3.X` beside this
/// executable, else `dspex-worker` where that was built for the same minor;
/// `$DSPEX_WORKER` overrides both. May start `dspex-worker --python-version`.
///
/// # Errors
///
/// There is none; the hint is the `make worker` line that builds it.
pub fn find_worker(environment: &PythonEnvironment) -> Result<PathBuf, OperationError> {
    if let Some(path) = std::env::var_os("DSPEX_WORKER").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let executable = std::env::current_exe()
        .map_err(|error| OperationError::internal(format!("this executable is lost: {error}")))?;
    let minor = environment.minor();
    for folder in executable.ancestors().skip(1).take(2) {
        let named = folder.join(format!("dspex-worker-{minor}"));
        if named.is_file() {
            return Ok(named);
        }
        let plain = folder.join("dspex-worker");
        if plain.is_file() && worker_python_version(&plain).is_ok_and(|built| built == minor) {
            return Ok(plain);
        }
    }
    Err(missing(
        format!("no dspex-worker for Python {minor} was built"),
        format!("run `make worker PYTHON={}`", environment.python.display()),
    )
    .with("python", environment.version.clone()))
}

/// The Python a worker binary was built for, `3.11`; starts it for a moment.
///
/// # Errors
///
/// It does not start: its libpython is missing, most often.
pub fn worker_python_version(worker: &Path) -> Result<String, OperationError> {
    let output = std::process::Command::new(worker)
        .arg("--python-version")
        .stdin(std::process::Stdio::null())
        .output();
    let said = match &output {
        Ok(output) if output.status.success() => {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    Err(missing(
        format!("{} does not start: {said}", worker.display()),
        "build it again with `make worker`",
    ))
}

/// The version a `pyvenv.cfg` names, `3.11.7`.
pub fn version_in_config(config: &str) -> Option<String> {
    config.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        matches!(key.trim(), "version" | "version_info").then(|| {
            value
                .trim()
                .split('.')
                .take(3)
                .collect::<Vec<_>>()
                .join(".")
        })
    })
}

fn open(path: &Path, found: Found) -> Result<PythonEnvironment, OperationError> {
    let shown = path.display();
    let mend = match found {
        Found::VirtualEnv => "unset VIRTUAL_ENV, or point to another with --venv PATH",
        Found::Variable => "unset DSPEX_VENV, or point to another with --venv PATH",
        _ => "make one with `python3 -m venv PATH` and install dspy in it",
    };
    let config = std::fs::read_to_string(path.join("pyvenv.cfg")).map_err(|error| {
        missing(
            format!("{found} points to {shown}, which is no virtual environment: {error}"),
            mend,
        )
        .with("path", shown.to_string())
    })?;
    let python = path.join("bin/python");
    let real = python.canonicalize().map_err(|error| {
        missing(
            format!("the environment {shown} has lost its Python: {error}"),
            format!("make it anew with `python3 -m venv --clear {shown}`"),
        )
        .with("path", shown.to_string())
    })?;
    let named = real
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_prefix("python"))
        .filter(|minor| minor.contains('.'));
    let version = version_in_config(&config)
        .or_else(|| named.map(ToOwned::to_owned))
        .ok_or_else(|| {
            missing(
                format!("{shown}/pyvenv.cfg does not say which Python it is for"),
                format!("make it anew with `python3 -m venv --clear {shown}`"),
            )
        })?;
    if let Some(named) = named
        && minor_of(named) != minor_of(&version)
    {
        return Err(missing(
            format!(
                "the environment {shown} was made for Python {version} but its Python is {named} now"
            ),
            format!("make it anew with `python3 -m venv --clear {shown}`"),
        ));
    }
    Ok(PythonEnvironment {
        path: path.to_owned(),
        python,
        version,
        found,
    })
}

/// The project an executable was built in: it lies in `target/…`, or in a
/// folder of that.
fn project_root(executable: &Path) -> Option<&Path> {
    executable
        .ancestors()
        .find(|folder| folder.join("Cargo.toml").is_file() && folder.join("python").is_dir())
}

fn minor_of(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

fn missing(message: impl Into<String>, hint: impl Into<String>) -> OperationError {
    OperationError::new("python_environment", ErrorClass::Import, message)
        .hint(hint)
        .strategy(Strategy::Fatal)
}
