//! Keeps one kernel, one warm standby and the workers of two pools alive.
//!
//! A dead kernel is replaced by the standby at once; too many deaths stop the
//! loop with the reason. Owns roles and restarts; knows nothing of what a
//! kernel holds: the host restores it. Its one task is [`keeper`]; what a job
//! holds of a pool's worker is a [`Lease`].

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::connection::Worker;
use super::environment::PythonEnvironment;
use super::health::WorkersHealth;
use super::host::Host;
use super::pool::{PoolRole, PoolsOptions};
use crate::protocol::error::{ErrorClass, OperationError};
use crate::protocol::message::{Ready, Request, ToWorker, WorkerHello};
use crate::session::event::{CellId, RunId};

mod keeper;
mod lease;
mod pulse;

use keeper::{Keeper, Order};
pub use lease::{Lease, Wanted};

/// How to run workers.
#[derive(Debug, Clone)]
pub struct SupervisorOptions {
    /// The environment they run in.
    pub environment: PythonEnvironment,
    /// The worker binary; found beside this executable when `None`.
    pub binary: Option<PathBuf>,
    /// Their working directory.
    pub cwd: PathBuf,
    /// Variables to set (`Some`) or remove.
    pub variables: Vec<(String, Option<String>)>,
    /// Whether somebody can answer `input()`.
    pub interactive: bool,
    /// Whether a second worker is kept ready.
    pub standby: bool,
    /// Resident memory of the kernel above which it is told, MB.
    pub kernel_memory_mb: u64,
    /// The pools.
    pub pools: PoolsOptions,
    /// How many deaths are too many.
    pub intensity: Intensity,
    /// Time between the steps of a hard interrupt: SIGINT, SIGTERM, SIGKILL.
    pub escalation: Duration,
    /// How long a worker may take to introduce itself.
    pub hello_deadline: Duration,
    /// How long a worker may take to import DSPy.
    pub ready_deadline: Duration,
}

impl SupervisorOptions {
    /// The usual values.
    pub fn new(environment: PythonEnvironment, cwd: PathBuf) -> Self {
        Self {
            environment,
            binary: None,
            cwd,
            variables: Vec::new(),
            interactive: false,
            standby: true,
            kernel_memory_mb: 2048,
            pools: PoolsOptions::none(),
            intensity: Intensity::default(),
            escalation: Duration::from_secs(2),
            hello_deadline: Duration::from_secs(10),
            ready_deadline: Duration::from_secs(90),
        }
    }
}

/// At most `deaths` unasked deaths `within` this time; one more and the
/// supervisor stops restarting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intensity {
    /// Deaths that are borne.
    pub deaths: usize,
    /// The window.
    pub within: Duration,
}

impl Default for Intensity {
    fn default() -> Self {
        Self {
            deaths: 3,
            within: Duration::from_secs(30),
        }
    }
}

/// The kernel as callers see it.
#[derive(Debug, Clone)]
enum Kernel {
    /// None is ready yet.
    Starting,
    /// Requests go to this one.
    Ready(Worker, Arc<(WorkerHello, Ready)>),
    /// There is none, and none will come by itself.
    Down(OperationError),
}

/// Keeps workers alive and hands requests to the kernel; cheap to clone.
#[derive(Debug, Clone)]
pub struct Supervisor {
    orders: mpsc::UnboundedSender<Order>,
    kernel: watch::Receiver<Kernel>,
    escalation: Duration,
    pools: Arc<PoolsOptions>,
    next_job: Arc<AtomicU64>,
}

impl Supervisor {
    /// Starts a kernel, and a standby once that is ready. Returns at once; call
    /// within a Tokio runtime.
    pub fn start(options: SupervisorOptions, host: Arc<dyn Host>) -> Self {
        let (orders, orders_rx) = mpsc::unbounded_channel();
        let (publish, kernel) = watch::channel(Kernel::Starting);
        let escalation = options.escalation;
        let pools = Arc::new(options.pools.clone());
        let (keeper, news) = Keeper::new(options, host, publish, orders.downgrade());
        tokio::spawn(keeper.run(orders_rx, news));
        Self {
            orders,
            kernel,
            escalation,
            pools,
            next_job: Arc::default(),
        }
    }

    /// Waits for a kernel that carries out requests.
    ///
    /// # Errors
    ///
    /// There is none and none will come: why, and what to do.
    pub async fn kernel_ready(&self) -> Result<Arc<(WorkerHello, Ready)>, OperationError> {
        self.ready_kernel().await.map(|(_, ready)| ready)
    }

    /// Has a request carried out by the kernel; waits for it to be ready.
    ///
    /// # Errors
    ///
    /// The worker's answer; `process_crashed` when it died meanwhile; the
    /// reason when there is no kernel.
    pub async fn request(&self, request: Request) -> Result<Value, OperationError> {
        let (worker, _) = self.ready_kernel().await?;
        worker.request(request).await
    }

    /// Stops a cell: softly at first, then harder while it does not end.
    pub fn interrupt(&self, cell: CellId) {
        let Kernel::Ready(worker, _) = self.kernel.borrow().clone() else {
            return;
        };
        let was_running = worker.runs(cell);
        worker.say(ToWorker::Interrupt { cell });
        if !was_running {
            return;
        }
        let pause = self.escalation;
        tokio::spawn(async move {
            tokio::time::sleep(pause / 2).await;
            // A signal that comes just before Python begins to wait is not heard there.
            if worker.runs(cell) {
                worker.say(ToWorker::Interrupt { cell });
                tokio::time::sleep(pause / 2).await;
            }
            if worker.runs(cell) {
                worker.terminate();
                tokio::time::sleep(pause).await;
                if worker.runs(cell) {
                    worker.kill();
                }
            }
        });
    }

    /// Ends every wait of a run, wherever it is carried out. A worker of a pool
    /// that does not let go of it is replaced.
    pub fn cancel(&self, run: RunId) {
        if let Kernel::Ready(worker, _) = &*self.kernel.borrow() {
            worker.say(ToWorker::Cancel { run });
        }
        let _ = self.orders.send(Order::Cancel(run));
    }

    /// Most workers of a pool; 0 where there is none.
    pub fn pool_size(&self, role: PoolRole) -> usize {
        self.pools.of(role).size
    }

    /// How all workers stand: who is busy, who waits, what they hold.
    pub async fn health(&self) -> WorkersHealth {
        let (reply, health) = oneshot::channel();
        let _ = self.orders.send(Order::Health(reply));
        health.await.unwrap_or_default()
    }

    /// Ends the workers of the pools; new ones come when they are wanted. What
    /// they were doing ends as if they had died.
    pub fn restart_pools(&self) {
        let _ = self.orders.send(Order::RestartPools);
    }

    /// Answers the `input()` that waits; false when none does.
    pub fn reply_input(&self, text: Option<String>) -> bool {
        match &*self.kernel.borrow() {
            Kernel::Ready(worker, _) => worker.reply_input(text),
            _ => false,
        }
    }

    /// The kernel's process id, while it is ready.
    pub fn kernel_pid(&self) -> Option<u32> {
        match &*self.kernel.borrow() {
            Kernel::Ready(worker, _) => Some(worker.pid()),
            _ => None,
        }
    }

    /// Kills the kernel; the standby takes over as after any death.
    pub fn kill_kernel(&self) {
        if let Kernel::Ready(worker, _) = &*self.kernel.borrow() {
            worker.kill();
        }
    }

    /// Ends the kernel and starts anew, also after too many deaths. Resolves when
    /// whatever is asked from then on is asked of the new one.
    ///
    /// # Errors
    ///
    /// Why none can be started.
    pub async fn restart_kernel(&self) -> Result<(), OperationError> {
        let (done, restarted) = oneshot::channel();
        // A closed channel: the supervisor is shutting down.
        let _ = self.orders.send(Order::Restart(done));
        restarted.await.unwrap_or_else(|_| Err(shutting_down()))
    }

    /// Ends all workers; resolves when none is left.
    pub async fn shutdown(&self) {
        let (done, finished) = oneshot::channel();
        if self.orders.send(Order::Shutdown(done)).is_ok() {
            let _ = finished.await;
        }
    }

    async fn ready_kernel(&self) -> Result<(Worker, Arc<(WorkerHello, Ready)>), OperationError> {
        let mut kernel = self.kernel.clone();
        let seen = kernel
            .wait_for(|kernel| match kernel {
                Kernel::Starting => false,
                // Dead, and about to be replaced: the keeper will say by what.
                Kernel::Ready(worker, _) => !worker.has_ended(),
                Kernel::Down(_) => true,
            })
            .await
            .map(|kernel| kernel.clone());
        match seen {
            Ok(Kernel::Ready(worker, ready)) => Ok((worker, ready)),
            Ok(Kernel::Down(error)) => Err(error),
            Ok(Kernel::Starting) | Err(_) => Err(shutting_down()),
        }
    }
}

/// What is answered to whoever asks for something while all is ended.
pub(crate) fn shutting_down() -> OperationError {
    OperationError::new(
        "shutting_down",
        ErrorClass::Interrupted,
        "the workbench is shutting down",
    )
}
