//! Faults: the real binaries are killed, starved and lied to, and nothing is lost,
//! nothing paid twice, and no key found where none may be.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use dspex_tui::session::event::{Event, EventBody};
use dspex_tui::session::reader::SessionReader;
use serde_json::{Value, json};

use crate::support::stub_lm::Scripted;
use crate::support::{Home, PATIENCE, workbench};

mod alterations;
mod batch;
mod classes;
mod disk;
mod endings;
mod keys;
mod monitoring;
mod neighbours;
mod paying;
mod pools;
mod replay;
mod sandbox;
mod scripts;
mod storm;
mod together;
mod trials;
mod unanswered;
mod values;
mod workbench_death;
mod worker_death;

/// `dspex-tui exec --jsonl …`, held open. Dropping it kills it.
struct Exec {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Receiver<String>,
    /// All it has printed so far.
    printed: String,
    asked: u64,
}

impl Exec {
    /// Starts it in `home` with further arguments.
    fn start(home: &Home, arguments: &[&str]) -> Self {
        Self::spawn(home, Command::new(workbench()), arguments)
    }

    /// Starts it through another program, which the last argument of `command` starts.
    fn spawn(home: &Home, mut command: Command, arguments: &[&str]) -> Self {
        let mut child = command
            .args(["exec", "--jsonl"])
            .args(arguments)
            .current_dir(home.work())
            .env_clear()
            .envs(home.environment())
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        let mut errors = child.stderr.take().unwrap();
        let (tell, stderr) = mpsc::channel();
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = errors.read_to_end(&mut text);
            let _ = tell.send(String::from_utf8_lossy(&text).into_owned());
        });
        Self {
            stdin: child.stdin.take(),
            child,
            lines,
            stderr,
            printed: String::new(),
            asked: 0,
        }
    }

    /// Hands an operation over without waiting for its answer.
    #[track_caller]
    fn submit(&mut self, operation: &str, arguments: &Value) {
        self.asked += 1;
        let line = json!({"operation": operation, "arguments": arguments, "id": self.asked});
        let stdin = self.stdin.as_mut().expect("its input was closed");
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// Waits for the next answer.
    #[track_caller]
    fn answer(&mut self) -> Value {
        let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
            let _ = self.child.kill();
            let said = self.stderr.recv_timeout(PATIENCE).unwrap_or_default();
            panic!("no answer; its standard error: {said}");
        };
        self.read(&line)
    }

    /// The next answer, if it is there.
    #[track_caller]
    fn answered(&mut self) -> Option<Value> {
        let line = self.lines.try_recv().ok()?;
        Some(self.read(&line))
    }

    #[track_caller]
    fn read(&mut self, line: &str) -> Value {
        self.printed.push_str(line);
        self.printed.push('\n');
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Has an operation done.
    #[track_caller]
    fn ask(&mut self, operation: &str, arguments: Value) -> Value {
        self.submit(operation, &arguments);
        self.answer()
    }

    /// Has an operation done that must succeed; its result.
    #[track_caller]
    fn done(&mut self, operation: &str, arguments: Value) -> Value {
        let mut answer = self.ask(operation, arguments);
        assert_eq!(answer["ok"], json!(true), "{operation}: {answer}");
        answer["result"].take()
    }

    /// Runs a cell that must succeed; its number.
    #[track_caller]
    fn cell(&mut self, source: &str) -> u64 {
        let result = self.done("run_cell", json!({"source": source}));
        assert_eq!(result["status"], "ok", "{result}");
        result["cell"].as_u64().unwrap()
    }

    /// Runs a cell that must fail with an exception; its number.
    #[track_caller]
    fn cell_fails(&mut self, source: &str) -> u64 {
        let result = self.done("run_cell", json!({"source": source}));
        assert_eq!(result["status"], "error", "{result}");
        result["cell"].as_u64().unwrap()
    }

    /// Its own process id.
    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// The kernel's process id; a kernel must be there.
    #[track_caller]
    fn kernel_pid(&mut self) -> i32 {
        let health = self.done("health_check", json!({}));
        let workers = health["workers"].as_array().cloned().unwrap_or_default();
        let kernel = workers.iter().find(|it| it["role"] == "kernel");
        let pid = kernel.and_then(|kernel| kernel["pid"].as_i64());
        i32::try_from(pid.unwrap_or_else(|| panic!("no kernel: {health}"))).unwrap()
    }

    /// Kills it with SIGKILL and waits until it is gone.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it in good order: exit code, and everything it printed on either stream.
    #[track_caller]
    fn close(mut self) -> (Option<i32>, String) {
        drop(self.stdin.take());
        let stderr = self.stderr.recv_timeout(PATIENCE).expect("it must end");
        let code = self.child.wait().unwrap().code();
        let mut printed = std::mem::take(&mut self.printed);
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            printed.push_str(&line);
        }
        (code, printed + &stderr)
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The directory of a session.
fn session_dir(home: &Home, name: &str) -> PathBuf {
    let outcome = home.dspex(&["sessions", "path", name]);
    PathBuf::from(outcome.success().trim())
}

/// Every event of a session, read from its log.
fn events(home: &Home, name: &str) -> Vec<Event> {
    let mut reader = SessionReader::open(&session_dir(home, name)).unwrap();
    let len = reader.len();
    reader.events(1..=len)
}

/// What a cell of a session has put out, as the log tells it.
fn outputs(home: &Home, name: &str, cell: u64) -> String {
    let of_cell = |event: &Event| event.cell.is_some_and(|id| id.0 == cell);
    let shown = |event: &Event| match &event.body {
        EventBody::CellOutput { output } if of_cell(event) => {
            Some(serde_json::to_string(output).unwrap())
        }
        _ => None,
    };
    events(home, name).iter().filter_map(shown).collect()
}

/// Polls until `holds`, for as long as `patience`; whether it came to hold.
fn comes_true(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    true
}

/// Writes the settings file of a home.
fn settings(home: &mut Home, text: &str) {
    let path = home.root().join("settings.toml");
    std::fs::write(&path, text).unwrap();
    home.set("DSPEX_CONFIG", path.display().to_string());
}

/// Every process that was started in a home.
fn processes_of(home: &Home) -> Vec<i32> {
    let own = home.root().join("home");
    processes_with(&format!("HOME={}", own.display()))
}

/// An answer of `question -> answer` as DSPy's chat adapter wants it.
fn fine() -> Scripted {
    Scripted::chat("[[ ## answer ## ]]\nfine\n\n[[ ## completed ## ]]")
}

/// Makes a server the LM of a session, and `qa` a program.
#[track_caller]
fn set_up_qa(exec: &mut Exec, base: &str) {
    exec.done(
        "configure_lm",
        json!({"provider": "openai", "name": "stub", "model": "stub", "api_base": base,
               "num_retries": 0}),
    );
    exec.done(
        "create_program",
        json!({"name": "qa", "module": "Predict", "signature": "question -> answer"}),
    );
}

/// Arguments that run `qa`.
fn ask_qa(question: &str) -> Value {
    json!({"program": "qa", "inputs": {"question": question}})
}

/// Processes whose environment has this `NAME=value`, zombies left out.
fn processes_with(variable: &str) -> Vec<i32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment
                .split(|byte| *byte == 0)
                .any(|pair| pair == variable.as_bytes())
        })
        .collect()
}

/// A variable of a running process.
fn variable_of(pid: i32, name: &str) -> String {
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    let pair = environment
        .split('\0')
        .find(|pair| pair.starts_with(&format!("{name}=")));
    pair.unwrap_or_else(|| panic!("process {pid} has no {name}"))
        .to_owned()
}
