//! One child process: spawned, signalled and reaped without races.
//!
//! Each worker has a thread of its own that spawns it and waits for it. The
//! worker asks the kernel to end it with its parent *thread*, so that thread
//! must live as long as the worker does.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tokio::sync::{oneshot, watch};

use crate::protocol::error::OperationError;

/// Exit status of a worker that could not start and said why on descriptor 2.
const CANNOT_START: i32 = 64;

/// What to run, where, with which environment.
#[derive(Debug, Clone)]
pub(super) struct Spawn {
    /// The worker binary.
    pub(super) binary: PathBuf,
    /// The environment's `bin/python`.
    pub(super) python: PathBuf,
    /// Its working directory.
    pub(super) cwd: PathBuf,
    /// Variables to set, or to remove.
    pub(super) variables: Vec<(OsString, Option<OsString>)>,
}

/// A spawned worker.
#[derive(Debug)]
pub(super) struct Process {
    /// Its process id.
    pub(super) pid: u32,
    /// Signals it while it lives.
    pub(super) signaller: Signaller,
    /// The reading end of its descriptor 1.
    pub(super) stdout: OwnedFd,
    /// The reading end of its descriptor 2.
    pub(super) stderr: OwnedFd,
    /// Whether a signal stopped it (SIGSTOP) and none has let it go on.
    pub(super) stopped: watch::Receiver<bool>,
    /// How it ended, once it has been reaped.
    pub(super) ended: oneshot::Receiver<Death>,
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    /// `was killed by SIGSEGV`, `ended with status 1`.
    pub how: String,
    /// Whether it refused to start for a reason that trying again cannot mend.
    pub refused: bool,
    /// Whether a signal ended it.
    pub by_signal: bool,
}

impl Death {
    fn of(status: ExitStatus) -> Self {
        let signal = status.signal();
        let how = match (signal, status.code()) {
            (Some(signal), _) => format!("was killed by {}", signal_name(signal)),
            (None, Some(0)) => "ended by itself".to_owned(),
            (None, code) => format!("ended with status {}", code.unwrap_or(-1)),
        };
        Self {
            how,
            refused: matches!(status.code(), Some(1 | CANNOT_START | 126 | 127)),
            by_signal: signal.is_some(),
        }
    }

    /// An end of which only this much is known.
    pub(super) fn lost(reason: &str) -> Self {
        Self {
            how: format!("was lost: {reason}"),
            refused: false,
            by_signal: false,
        }
    }
}

/// Sends signals to a worker's process group, and nowhere once it was reaped.
#[derive(Debug, Clone)]
pub(super) struct Signaller(Arc<Mutex<Option<Pid>>>);

impl Signaller {
    /// Signals the worker and whatever it started.
    pub(super) fn send(&self, signal: Signal) {
        let pid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pid) = *pid {
            // The group does not exist for the first moment of a worker's life.
            if killpg(pid, signal).is_err() {
                let _ = kill(pid, signal);
            }
        }
    }
}

/// Starts a worker with `socket` as its descriptor 0 (it moves it to 3).
pub(super) async fn spawn(spawn: Spawn, socket: OwnedFd) -> Result<Process, OperationError> {
    let (started, starting) = oneshot::channel();
    let binary = spawn.binary.clone();
    let thread = std::thread::Builder::new()
        .name("dspex-worker".to_owned())
        .spawn(move || live_and_reap(spawn, socket, started));
    if let Err(error) = thread {
        return Err(cannot_start(&binary, &error.to_string()));
    }
    match starting.await {
        Ok(Ok(process)) => Ok(process),
        Ok(Err(error)) => Err(cannot_start(&binary, &error.to_string())),
        Err(_) => Err(cannot_start(&binary, "its thread ended")),
    }
}

fn live_and_reap(
    spawn: Spawn,
    socket: OwnedFd,
    started: oneshot::Sender<std::io::Result<Process>>,
) {
    let mut command = Command::new(&spawn.binary);
    command
        .arg("--serve")
        .arg(&spawn.python)
        .arg(std::process::id().to_string())
        .current_dir(&spawn.cwd)
        .stdin(Stdio::from(socket))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for (name, value) in &spawn.variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    // Holds our copy of the worker's socket: it must go, or its end is never seen.
    drop(command);
    let pid = Pid::from_raw(child.id().cast_signed());
    let alive = Arc::new(Mutex::new(Some(pid)));
    let (ended, ended_rx) = oneshot::channel();
    let (stopped, stopped_rx) = watch::channel(false);
    let pipes = child.stdout.take().zip(child.stderr.take());
    let Some((stdout, stderr)) = pipes else {
        let _ = started.send(Err(std::io::Error::other("its pipes are missing")));
        let _ = child.kill();
        let _ = child.wait();
        return;
    };
    let process = Process {
        pid: child.id(),
        signaller: Signaller(Arc::clone(&alive)),
        stdout: stdout.into(),
        stderr: stderr.into(),
        stopped: stopped_rx,
        ended: ended_rx,
    };
    if started.send(Ok(process)).is_err() {
        let _ = child.kill();
    }
    // What an earlier crash of the whole workbench left.
    super::scratch::sweep();
    wait_for_end(pid, &stopped);
    // What it started and left behind goes with it.
    let _ = killpg(pid, Signal::SIGKILL);
    let mut alive = alive.lock().unwrap_or_else(PoisonError::into_inner);
    *alive = None;
    let status = child.wait();
    drop(alive);
    super::scratch::sweep();
    let _ = ended.send(match status {
        Ok(status) => Death::of(status),
        Err(error) => Death::lost(&error.to_string()),
    });
}

/// Waits without reaping, so that the id stays taken until nobody can use it; tells
/// meanwhile when the process is stopped and when it goes on.
fn wait_for_end(pid: Pid, stopped: &watch::Sender<bool>) {
    let pauses = WaitPidFlag::WSTOPPED | WaitPidFlag::WCONTINUED;
    loop {
        match waitid(
            Id::Pid(pid),
            WaitPidFlag::WEXITED | pauses | WaitPidFlag::WNOWAIT,
        ) {
            Ok(WaitStatus::Stopped(..) | WaitStatus::Continued(_)) => {
                // Taken, or it would be told for ever.
                match waitid(Id::Pid(pid), pauses | WaitPidFlag::WNOHANG) {
                    Ok(WaitStatus::Stopped(..)) => drop(stopped.send_replace(true)),
                    Ok(WaitStatus::Continued(_)) => drop(stopped.send_replace(false)),
                    _ => {}
                }
            }
            Err(nix::errno::Errno::EINTR) => {}
            _ => return,
        }
    }
}

fn cannot_start(binary: &Path, reason: &str) -> OperationError {
    use crate::protocol::error::{ErrorClass, Strategy};
    OperationError::new(
        "worker_not_started",
        ErrorClass::Import,
        format!("{} cannot be started: {reason}", binary.display()),
    )
    .hint("build it with `make worker`")
    .strategy(Strategy::Fatal)
}

fn signal_name(number: i32) -> String {
    let Ok(signal) = Signal::try_from(number) else {
        return format!("signal {number}");
    };
    let meaning = match signal {
        Signal::SIGSEGV => " (it touched memory it does not own)",
        Signal::SIGABRT => " (it aborted)",
        Signal::SIGKILL => " (killed from outside, or out of memory)",
        _ => "",
    };
    format!("{signal}{meaning}")
}
