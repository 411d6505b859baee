//! What every integration test may use: a private home, the real binaries, the
//! Python environment, commands with a clean environment, and a terminal.
//!
//! Owns no assertion about the product itself.
#![allow(
    dead_code,
    reason = "a helper is kept even while one area alone uses it, or none for a day"
)]

pub mod readme;
pub mod stub_lm;
pub mod terminal;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

/// How long a test waits for what should take seconds at most. It bounds hangs;
/// it measures nothing.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The workbench under test.
pub fn workbench() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_dspex-tui"))
}

/// The worker under test: built with the tests, so the feature `worker` must be on.
#[cfg(feature = "worker")]
pub fn worker() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_dspex-worker"))
}

/// The project's folder.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Python environment with DSPy: `$DSPEX_VENV`, else the one `make setup` makes.
pub fn venv() -> PathBuf {
    let path = std::env::var_os("DSPEX_VENV")
        .map_or_else(|| project().join("python/.venv"), PathBuf::from);
    assert!(
        path.join("bin/python").exists(),
        "there is no Python environment at {}: run `make setup` first",
        path.display()
    );
    path
}

/// A cell with programs, a metric and a tool that tell in which process they run;
/// `locked` cannot be pickled.
pub const TELLER: &str = r#"import os, threading
def where(question: str) -> str:
    "Says in which process it runs."
    return str(os.getpid())
class Teller(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict("question -> answer")
    def forward(self, question):
        answer = self.ask(question=question).answer
        return dspy.Prediction(answer=answer, process=where(question))
class Locked(Teller):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()
teller, locked = Teller(), Locked()
def elsewhere(example, prediction, trace=None):
    return float(prediction.process == str(os.getpid()))
"#;

/// A private home: HOME, the XDG folders and a working folder, gone when dropped.
pub struct Home {
    dir: TempDir,
    extra: Vec<(String, String)>,
}

impl Home {
    /// An empty home, as on a newcomer's machine.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("dx").tempdir().unwrap();
        for name in ["home", "work", "run"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::set_permissions(dir.path().join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        Self {
            dir,
            extra: Vec::new(),
        }
    }

    /// Sets one more variable for every program started in this home.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.extra.push((name.to_owned(), value.into()));
        self
    }

    /// The working folder of programs started in this home.
    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// Where sessions are kept when nothing else is said.
    pub fn sessions(&self) -> PathBuf {
        self.dir.path().join("home/.local/share/dspex-tui/sessions")
    }

    /// The whole private folder, to search for what must not be there.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The environment of a program in this home: nothing of the caller's but PATH.
    pub fn environment(&self) -> Vec<(String, String)> {
        let home = self.dir.path().join("home");
        let under = |name: &str| home.join(name).display().to_string();
        let mut environment: Vec<(String, String)> = [
            ("HOME", home.display().to_string()),
            ("XDG_CONFIG_HOME", under(".config")),
            ("XDG_DATA_HOME", under(".local/share")),
            ("XDG_STATE_HOME", under(".local/state")),
            ("XDG_CACHE_HOME", under(".cache")),
            (
                "XDG_RUNTIME_DIR",
                self.dir.path().join("run").display().to_string(),
            ),
            ("DSPEX_VENV", venv().display().to_string()),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("LANG", "C.UTF-8".into()),
            ("TERM", "xterm-256color".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        environment.extend(self.extra.iter().cloned());
        environment
    }

    /// Runs the workbench to its end with nothing on its standard input.
    pub fn dspex(&self, arguments: &[&str]) -> Outcome {
        self.dspex_with_input(arguments, "")
    }

    /// Runs the workbench to its end with `input` on its standard input.
    pub fn dspex_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let output = assert_cmd::Command::new(workbench())
            .args(arguments)
            .current_dir(self.work())
            .env_clear()
            .envs(self.environment())
            .env("NO_COLOR", "1")
            .write_stdin(input)
            .timeout(PATIENCE)
            .output()
            .unwrap();
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs the workbench once in a home of its own.
pub fn dspex(arguments: &[&str]) -> Outcome {
    Home::new().dspex(arguments)
}

/// What a program left behind.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Outcome {
    /// Requires exit code 0 and gives the standard output.
    #[track_caller]
    pub fn success(&self) -> &str {
        assert_eq!(
            self.code,
            Some(0),
            "stdout: {}\nstderr: {}",
            self.stdout,
            self.stderr
        );
        &self.stdout
    }

    /// The standard output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(self.stdout.trim()).unwrap_or_else(|error| {
            panic!(
                "not JSON ({error})\nstdout: {}\nstderr: {}",
                self.stdout, self.stderr
            )
        })
    }
}
