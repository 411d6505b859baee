//! Asking workers: starts the kernel when first wanted, keeps the order of its
//! requests, remembers what a new kernel must be told first, and sends jobs on
//! their way (see [`super::jobs`]).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::OperationResult;
use super::health;
use super::host::CoreHost;
use super::jobs;
use super::optimised::{Key, Known, Optimised};
use super::options::CoreOptions;
use super::state::Message;
use super::tools;
use crate::cache;
use crate::gateway::Gateway;
use crate::paths;
use crate::protocol::error::{ErrorClass, OperationError, Strategy};
use crate::protocol::message::{Lane, LmSpec, Request};
use crate::session::event::{CellId, ProgramDef, RunId, Scope};
use crate::session::state::SessionState;
use crate::worker::{PoolRole, Supervisor, SupervisorOptions, environment, shutting_down};

/// How long the end waits for the cache to be cut.
const QUOTA: Duration = Duration::from_secs(2);

/// The core's way to its workers.
pub(super) struct Requests {
    options: CoreOptions,
    gateway: Gateway,
    host: Arc<CoreHost>,
    supervisor: Option<Supervisor>,
    queue: mpsc::UnboundedSender<Asked>,
    answers: mpsc::UnboundedSender<Message>,
    /// Whether something runs.
    busy: watch::Receiver<bool>,
    /// What the last `restore` was made of.
    remembered: u64,
    lm: Option<LmSpec>,
    /// A cell was handed to the kernel: it may hold what a job needs.
    lived: bool,
    /// No worker is started any more.
    closed: bool,
    optimised: Optimised,
    /// Cuts the cache.
    quota: Option<JoinHandle<()>>,
}

struct Asked {
    supervisor: Supervisor,
    /// `None` where nobody waits for the answer.
    ticket: Option<u64>,
    request: Request,
    at: Instant,
    /// How long the kernel may take to answer, once it has the request.
    deadline: Option<Duration>,
    /// What an optimisation's result is kept under.
    key: Option<Key>,
}

impl Requests {
    pub(super) fn new(
        options: &CoreOptions,
        gateway: &Gateway,
        host: Arc<CoreHost>,
        answers: mpsc::UnboundedSender<Message>,
        busy: watch::Receiver<bool>,
    ) -> Self {
        let (queue, asked) = mpsc::unbounded_channel();
        let optimised = Optimised::default();
        tokio::spawn(ask_in_order(asked, answers.clone(), optimised.clone()));
        Self {
            options: options.clone(),
            gateway: gateway.clone(),
            host,
            supervisor: None,
            queue,
            answers,
            busy,
            remembered: 0,
            lm: None,
            lived: false,
            closed: false,
            optimised,
            quota: None,
        }
    }

    /// Starts the kernel if it is not running; says in the session why it cannot.
    pub(super) fn warm_up(&mut self) {
        if let Err(error) = self.supervisor() {
            self.host.kernel_down(&error);
        }
    }

    /// Asks; the answer comes as `Message::Answered`.
    pub(super) fn ask(&mut self, ticket: u64, mut request: Request, pool: Option<PoolRole>) {
        self.lived |= request.cell.is_some();
        let pool = pool.filter(|role| self.options.pools.of(*role).size > 0);
        match (self.supervisor(), pool) {
            (Ok(supervisor), Some(role)) => {
                let (host, answers) = (Arc::clone(&self.host), self.answers.clone());
                let (lived, at) = (self.lived, Instant::now());
                let optimised = self.optimised.clone();
                tokio::spawn(async move {
                    let result =
                        jobs::carry_out(&supervisor, &host, role, request, lived, &optimised).await;
                    let _ = answers.send(Message::Answered {
                        ticket,
                        result,
                        duration_ms: at.elapsed().as_secs_f64() * 1e3,
                    });
                });
            }
            (Ok(supervisor), None) => {
                let key = match self.optimised.look_up(&mut request, !self.lived) {
                    Known::Answer(answer) => {
                        let _ = self.answers.send(Message::Answered {
                            ticket,
                            result: Ok(answer),
                            duration_ms: 0.0,
                        });
                        return;
                    }
                    Known::Nothing(key) => key,
                };
                let asked = Asked {
                    supervisor,
                    ticket: Some(ticket),
                    deadline: is_limited(&request).then_some(self.options.request_deadline),
                    request,
                    at: Instant::now(),
                    key,
                };
                let _ = self.queue.send(asked);
            }
            (Err(error), _) => {
                let result = Err(error);
                let _ = self.answers.send(Message::Answered {
                    ticket,
                    result,
                    duration_ms: 0.0,
                });
            }
        }
    }

    /// Makes this the LM of cells, now and in later kernels.
    pub(super) fn select_lm(&mut self, lm: Option<LmSpec>) {
        // Profiles have changed, perhaps those that programs have for their own.
        self.remembered = 0;
        if self.lm == lm {
            return;
        }
        self.lm = lm;
        if let Some(supervisor) = self.supervisor.clone() {
            let request = Request {
                operation: "set_lm".to_owned(),
                lane: Lane::Main,
                arguments: json!({"lm": self.lm}),
                ..Request::default()
            };
            let asked = Asked {
                supervisor,
                ticket: None,
                request,
                at: Instant::now(),
                deadline: None,
                key: None,
            };
            let _ = self.queue.send(asked);
        }
    }

    /// Keeps what a new kernel must rebuild up to date.
    pub(super) fn remember(&mut self, session: &SessionState, running: Option<Scope>) {
        self.host.set_running(running);
        let revision = session.registered_seq + 1;
        if self.remembered == revision {
            return;
        }
        self.remembered = revision;
        self.host.set_restore(Request {
            operation: "restore".to_owned(),
            lane: Lane::Main,
            arguments: json!({
                "lm": self.lm,
                "signatures": session.signatures,
                "programs": session.programs.values().map(|it| self.known(it)).collect::<Vec<_>>(),
                "datasets": session.datasets.values().collect::<Vec<_>>(),
                "registered": tools::registered(session),
            }),
            ..Request::default()
        });
    }

    /// Binds a program that a job made to its name in the notebook.
    pub(super) fn adopt(&self, program: &ProgramDef) {
        let Some(supervisor) = self.supervisor.clone().filter(|_| self.lived) else {
            return;
        };
        let request = Request {
            operation: "adopt".to_owned(),
            lane: Lane::Main,
            arguments: json!({"program": self.known(program)}),
            ..Request::default()
        };
        let _ = self.queue.send(Asked {
            supervisor,
            ticket: None,
            request,
            at: Instant::now(),
            deadline: None,
            key: None,
        });
    }

    /// A program as the notebook must know it: with the LM that is its own.
    fn known(&self, program: &ProgramDef) -> Value {
        let mut known = serde_json::to_value(program).unwrap_or_default();
        let spec = program.lm.as_ref().and_then(|lm| self.gateway.lm_spec(lm));
        if let (Value::Object(known), Some(spec)) = (&mut known, spec) {
            known.insert("lm_spec".to_owned(), json!(spec));
        }
        known
    }

    pub(super) fn interrupt(&self, cell: CellId) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.interrupt(cell);
        }
    }

    pub(super) fn cancel(&self, run: RunId) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.cancel(run);
        }
    }

    pub(super) fn reply_input(&self, text: Option<String>) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.reply_input(text);
        }
    }

    /// Answers when whatever is asked next goes to the new kernel.
    pub(super) fn restart_kernel(&mut self, reply: oneshot::Sender<OperationResult>) {
        let begun = self.supervisor.clone();
        let supervisor = self.supervisor();
        tokio::spawn(async move {
            let restarted = match (begun, supervisor) {
                (Some(supervisor), _) => supervisor.restart_kernel().await,
                (None, started) => started.map(drop),
            };
            let _ = reply.send(restarted.map(|()| json!({})));
        });
    }

    /// The kernel's process id, while it is ready.
    pub(super) fn kernel_pid(&self) -> Option<u32> {
        self.supervisor.as_ref().and_then(Supervisor::kernel_pid)
    }

    /// The optimisations that were kept.
    pub(super) fn optimised(&self) -> Optimised {
        self.optimised.clone()
    }

    /// Where things are that can be made again.
    pub(super) fn places(&self) -> cache::Places {
        let found = environment::discover(self.options.venv.as_deref(), &self.options.cwd);
        let environment = found.as_ref().ok().map(|found| found.path.as_path());
        places(&self.options, environment)
    }

    /// The supervisor, once it was started.
    pub(super) fn running(&self) -> Option<Supervisor> {
        self.supervisor.clone()
    }

    pub(super) async fn shutdown(&mut self) {
        self.closed = true;
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.shutdown().await;
        }
        if let Some(quota) = self.quota.take() {
            // It has begun with the first answer, and takes no time.
            let _ = tokio::time::timeout(QUOTA, quota).await;
        }
    }

    fn supervisor(&mut self) -> Result<Supervisor, OperationError> {
        if let Some(supervisor) = &self.supervisor {
            return Ok(supervisor.clone());
        }
        if self.closed {
            return Err(shutting_down());
        }
        let found = environment::discover(self.options.venv.as_deref(), &self.options.cwd)?;
        let (places, most) = (
            places(&self.options, Some(&found.path)),
            self.options.cache_mb * cache::MB,
        );
        let mut options = SupervisorOptions::new(found, self.options.cwd.clone());
        options.variables = self.gateway.worker_environment();
        options.interactive = self.options.interactive;
        options.standby = self.options.standby;
        options.pools = self.options.pools.clone();
        options.kernel_memory_mb = self.options.kernel_memory_mb;
        let supervisor = Supervisor::start(options, Arc::clone(&self.host) as _);
        tokio::spawn(health::sample(
            supervisor.clone(),
            self.busy.clone(),
            self.answers.clone(),
        ));
        self.quota = Some(tokio::spawn(keep_quota(supervisor.clone(), places, most)));
        self.supervisor = Some(supervisor.clone());
        Ok(supervisor)
    }
}

fn places(options: &CoreOptions, environment: Option<&Path>) -> cache::Places {
    let named = std::env::var_os("DENO_DIR").filter(|folder| !folder.is_empty());
    cache::Places {
        cache: paths::cache_dir().ok(),
        deno: named
            .map(PathBuf::from)
            .or_else(|| environment::sandbox_cache(environment?)),
        sessions: paths::sessions_dir(options.sessions_dir.as_deref()).ok(),
    }
}

/// Once the kernel is there, and has what it needs: what is too much goes.
async fn keep_quota(supervisor: Supervisor, places: cache::Places, most: u64) {
    let _ = supervisor.kernel_ready().await;
    let done = tokio::task::spawn_blocking(move || cache::enforce(&places, most)).await;
    if let Ok(done) = done
        && done.removed > 0
    {
        tracing::info!(
            removed = done.removed,
            bytes = done.bytes,
            "the cache was cut"
        );
    }
}

/// Whether a request has a deadline. Runs have none of ours (their LM calls have
/// their profile's), nor has what waits behind a cell.
fn is_limited(request: &Request) -> bool {
    request.run.is_none() && request.lane == Lane::Side
}

/// The answer, or that there was none in time: the rest of the workbench goes on,
/// and so does the kernel, which only its own death or the user ends.
async fn within(
    deadline: Option<Duration>,
    operation: &str,
    answer: impl Future<Output = OperationResult>,
) -> OperationResult {
    let Some(deadline) = deadline else {
        return answer.await;
    };
    tokio::time::timeout(deadline, answer)
        .await
        .unwrap_or_else(|_| {
            let seconds = deadline.as_secs_f64();
            let message = format!("the kernel did not answer `{operation}` within {seconds} s");
            Err(
                OperationError::new("operation_timeout", ErrorClass::Timeout, message)
                    .strategy(Strategy::Retry)
                    .with("operation", operation)
                    .with("seconds", seconds),
            )
        })
}

/// Sends requests one after the other, without waiting for their answers: cells
/// must reach the kernel in the order in which they were handed over.
async fn ask_in_order(
    mut asked: mpsc::UnboundedReceiver<Asked>,
    answers: mpsc::UnboundedSender<Message>,
    optimised: Optimised,
) {
    while let Some(Asked {
        supervisor,
        ticket,
        request,
        at,
        deadline,
        key,
    }) = asked.recv().await
    {
        // Requests wait here, in order, until there is a kernel (or none will come).
        let _ = supervisor.kernel_ready().await;
        let operation = request.operation.clone();
        let mut answer = Box::pin(async move { supervisor.request(request).await });
        let (answers, optimised) = (answers.clone(), optimised.clone());
        let tell = move |result| {
            optimised.keep(key, &result);
            let duration_ms = at.elapsed().as_secs_f64() * 1e3;
            if let Some(ticket) = ticket {
                let _ = answers.send(Message::Answered {
                    ticket,
                    result,
                    duration_ms,
                });
            }
        };
        // The first poll writes the request; only the wait for its answer may overlap.
        match futures_util::poll!(&mut answer) {
            Poll::Ready(result) => tell(result),
            Poll::Pending => {
                tokio::spawn(async move { tell(within(deadline, &operation, answer).await) });
            }
        }
    }
}
