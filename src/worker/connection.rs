//! One worker: its process, its socket, its requests.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::environment::{PythonEnvironment, sandbox_cache};
use super::host::Host;
use super::outbox::Outbox;
use super::process::{self, Death, Signaller, Spawn};
use super::socket;
use crate::protocol::VERSION;
use crate::protocol::error::{ErrorClass, OperationError, Strategy};
use crate::protocol::message::{Answer, ParentHello, Ready, Request, ToWorker, WorkerHello};
use crate::session::event::CellId;

mod listen;

/// How to start a worker.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Its number in the session, from 1.
    pub number: u32,
    /// The environment it runs in.
    pub environment: PythonEnvironment,
    /// The worker binary; see [`super::environment::find_worker`].
    pub binary: PathBuf,
    /// Its working directory.
    pub cwd: PathBuf,
    /// Variables to set (`Some`) or remove, on top of ours.
    pub variables: Vec<(String, Option<String>)>,
    /// Whether somebody can answer `input()`.
    pub interactive: bool,
    /// How long it may take to introduce itself.
    pub hello_deadline: Duration,
    /// How long it may take to import DSPy.
    pub ready_deadline: Duration,
}

/// How far a worker has come.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Spawned; importing DSPy.
    Starting,
    /// Will carry out requests.
    Ready(Arc<(WorkerHello, Ready)>),
    /// Gone.
    Ended(Arc<Ended>),
}

/// The end of a worker.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    /// How.
    pub(super) death: Death,
    /// Whether it ever became ready.
    pub(super) was_ready: bool,
    /// What requests of this worker are answered from now on.
    pub(super) error: OperationError,
}

/// A running worker process. Dropping the last clone ends it: its socket closes.
#[derive(Debug, Clone)]
pub struct Worker {
    number: u32,
    pid: u32,
    outbox: Outbox,
    shared: Arc<Shared>,
    signaller: Signaller,
    stage: watch::Receiver<Stage>,
    stopped: watch::Receiver<bool>,
}

/// What a worker's handle and its task share.
#[derive(Debug, Default)]
struct Shared {
    next_id: AtomicU64,
    pending: Mutex<Pending>,
    lm_calls: Mutex<HashMap<u64, CancellationToken>>,
    input: Mutex<Option<u64>>,
}

#[derive(Debug, Default)]
struct Pending {
    requests: HashMap<u64, PendingRequest>,
    ended: Option<OperationError>,
}

#[derive(Debug)]
struct PendingRequest {
    cell: Option<CellId>,
    reply: oneshot::Sender<Result<Value, OperationError>>,
}

impl Worker {
    /// Starts a worker and its connection; does not wait until it is ready.
    ///
    /// # Errors
    ///
    /// The binary cannot be started, or no socket can be had.
    pub async fn launch(launch: Launch, host: Arc<dyn Host>) -> Result<Self, OperationError> {
        let no_socket =
            |error: std::io::Error| OperationError::internal(format!("no socket: {error}"));
        let (ours, theirs) = UnixStream::pair().map_err(no_socket)?;
        let (read, write) = socket::halves(ours).map_err(no_socket)?;
        let spawn = Spawn {
            binary: launch.binary.clone(),
            python: launch.environment.python.clone(),
            cwd: launch.cwd.clone(),
            variables: variables(&launch),
        };
        let process = process::spawn(spawn, OwnedFd::from(theirs)).await?;
        let (outbox, writer) = Outbox::new(write);
        tokio::spawn(writer);
        let (stage_tx, stage) = watch::channel(Stage::Starting);
        let worker = Self {
            number: launch.number,
            pid: process.pid,
            outbox,
            shared: Arc::new(Shared::default()),
            signaller: process.signaller.clone(),
            stage,
            stopped: process.stopped.clone(),
        };
        worker.say(ToWorker::Hello(ParentHello {
            protocol: VERSION,
            app: env!("CARGO_PKG_VERSION").to_owned(),
            worker: launch.number,
            interactive: launch.interactive,
            features: vec!["chunks".to_owned(), "streams".to_owned()],
        }));
        let listener = listen::Listener::new(&worker, &launch, process, host, stage_tx);
        tokio::spawn(listener?.run(read));
        Ok(worker)
    }

    /// Its number in the session.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until it will carry out requests.
    ///
    /// # Errors
    ///
    /// It died before, or is dead.
    pub async fn ready(&self) -> Result<Arc<(WorkerHello, Ready)>, OperationError> {
        let mut stage = self.stage.clone();
        let seen = stage
            .wait_for(|stage| !matches!(stage, Stage::Starting))
            .await
            .map(|stage| stage.clone());
        match seen {
            Ok(Stage::Ready(ready)) => Ok(ready),
            Ok(Stage::Ended(ended)) => Err(ended.error.clone()),
            Ok(Stage::Starting) | Err(_) => Err(OperationError::internal("the worker was lost")),
        }
    }

    /// Whether a signal has stopped it, now and from now on.
    pub(super) fn stopped(&self) -> watch::Receiver<bool> {
        self.stopped.clone()
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Ended(_))
    }

    /// Waits until it is gone.
    pub(super) async fn ended(&self) -> Option<Arc<Ended>> {
        let mut stage = self.stage.clone();
        let seen = stage
            .wait_for(|stage| matches!(stage, Stage::Ended(_)))
            .await
            .map(|stage| stage.clone());
        match seen {
            Ok(Stage::Ended(ended)) => Some(ended),
            _ => None,
        }
    }

    /// Has a request carried out. When the future is dropped the answer is too.
    ///
    /// # Errors
    ///
    /// What the worker answered, or `process_crashed` when it died.
    pub async fn request(&self, request: Request) -> Result<Value, OperationError> {
        let (reply, answer) = oneshot::channel();
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        {
            let mut pending = self.shared.pending();
            if let Some(error) = &pending.ended {
                return Err(error.clone());
            }
            let cell = request.cell;
            pending.requests.insert(id, PendingRequest { cell, reply });
        }
        let forget = Forget(&self.shared, id);
        self.outbox.send(id, ToWorker::Request(Box::new(request)));
        let answer = answer.await;
        drop(forget);
        answer.unwrap_or_else(|_| Err(OperationError::internal("the worker was lost")))
    }

    /// Tells the worker something that has no answer.
    pub fn say(&self, message: ToWorker) {
        self.outbox.send(0, message);
    }

    /// Answers the `input()` that waits; false when none does.
    pub fn reply_input(&self, text: Option<String>) -> bool {
        let waiting = lock(&self.shared.input).take();
        if let Some(id) = waiting {
            self.outbox.send(id, ToWorker::InputReply { text });
        }
        waiting.is_some()
    }

    /// Whether this cell's request has not been answered yet.
    pub fn runs(&self, cell: CellId) -> bool {
        let pending = self.shared.pending();
        let mut requests = pending.requests.values();
        requests.any(|request| request.cell == Some(cell))
    }

    /// Ends it and whatever it started, politely.
    pub fn terminate(&self) {
        self.signaller.send(Signal::SIGTERM);
    }

    /// Ends it at once; what it was asked and has not answered fails with `error`.
    pub(super) fn cut_off(&self, error: &OperationError) {
        self.shared.end(error);
        self.kill();
    }

    /// Whether it carries no request out.
    pub(super) fn is_idle(&self) -> bool {
        self.shared.pending().requests.is_empty()
    }

    /// Ends it and whatever it started, at once.
    pub fn kill(&self) {
        self.signaller.send(Signal::SIGKILL);
    }
}

/// Takes a request out of the table when nobody waits for it any more.
struct Forget<'a>(&'a Shared, u64);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.pending().requests.remove(&self.1);
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        lock(&self.pending)
    }

    /// Whether a request runs a cell.
    fn is_cell(&self, id: u64) -> bool {
        let pending = self.pending();
        let request = pending.requests.get(&id);
        request.is_some_and(|request| request.cell.is_some())
    }

    /// Hands an answer to whoever waits for it.
    fn complete(&self, id: u64, answer: Result<Value, OperationError>) {
        let request = self.pending().requests.remove(&id);
        if let Some(request) = request {
            // The caller may have gone in this very moment.
            let _ = request.reply.send(answer);
        }
    }

    /// Answers everything that waits, and whatever will be asked, with `error`.
    fn end(&self, error: &OperationError) {
        let waiting = {
            let mut pending = self.pending();
            pending.ended = Some(error.clone());
            std::mem::take(&mut pending.requests)
        };
        for request in waiting.into_values() {
            let _ = request.reply.send(Err(error.clone()));
        }
        for (_, call) in lock(&self.lm_calls).drain() {
            call.cancel();
        }
        lock(&self.input).take();
    }

    /// A token that is cancelled when the worker drops the call.
    fn lm_call(&self, id: u64) -> CancellationToken {
        let token = CancellationToken::new();
        let mut calls = lock(&self.lm_calls);
        if calls.len() >= 1024 {
            calls.retain(|_, call| !call.is_cancelled());
        }
        calls.insert(id, token.clone());
        token
    }

    fn drop_lm_call(&self, id: u64) {
        if let Some(call) = lock(&self.lm_calls).remove(&id) {
            call.cancel();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What every worker's environment has, and then what the caller wants.
fn variables(launch: &Launch) -> Vec<(OsString, Option<OsString>)> {
    let mut all: Vec<(OsString, Option<OsString>)> = [
        ("MPLBACKEND", "module://matplotlib_inline.backend_inline"),
        // Else litellm fetches a table over the network when it is imported.
        ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONIOENCODING", "utf-8"),
    ]
    .map(|(name, value)| (name.into(), Some(value.into())))
    .into();
    all.push((
        "VIRTUAL_ENV".into(),
        Some(launch.environment.path.clone().into_os_string()),
    ));
    if let Some(path) = with_bin_first(&launch.environment) {
        all.push(("PATH".into(), Some(path)));
    }
    if let Some(cache) = cache_dir() {
        let folder = cache.join("dspex-tui/ipython");
        all.push(("IPYTHONDIR".into(), Some(folder.into_os_string())));
    }
    if std::env::var_os("DENO_DIR").is_none_or(|folder| folder.is_empty())
        && let Some(cache) = sandbox_cache(&launch.environment.path)
    {
        all.push(("DENO_DIR".into(), Some(cache.into_os_string())));
    }
    let wanted = launch.variables.iter();
    all.extend(wanted.map(|(name, value)| (name.into(), value.as_ref().map(OsString::from))));
    all
}

/// `!pip` and console scripts are those of the environment, as after `activate`.
fn with_bin_first(environment: &PythonEnvironment) -> Option<OsString> {
    let mut folders = vec![environment.path.join("bin")];
    let path = std::env::var_os("PATH").unwrap_or_default();
    folders.extend(std::env::split_paths(&path));
    std::env::join_paths(folders).ok()
}

fn cache_dir() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))
}

/// The error of requests whose worker died.
fn crashed(death: &Death, last_lines: Vec<String>) -> OperationError {
    OperationError::new(
        "process_crashed",
        ErrorClass::ProcessCrashed,
        format!("the Python process {}", death.how),
    )
    .hint("a new one takes over; run this again")
    .strategy(Strategy::RestartProcess)
    .with("stderr", last_lines)
}

fn result_of(answer: Answer) -> Result<Value, OperationError> {
    match answer {
        Answer {
            ok: true, result, ..
        } => Ok(result.unwrap_or(Value::Null)),
        Answer { error, .. } => {
            Err(error
                .unwrap_or_else(|| OperationError::internal("the worker failed without a reason")))
        }
    }
}
