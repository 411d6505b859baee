//! Keeps one kernel and one warm standby alive.
//!
//! A dead kernel is replaced by the standby at once; too many deaths stop the
//! loop with the reason. Owns roles and restarts; knows nothing of what a
//! kernel holds: the host restores it.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::connection::{Ended, Launch, Worker};
use super::environment::{PythonEnvironment, find_worker};
use super::host::Host;
use crate::protocol::error::{ErrorClass, OperationError, Strategy};
use crate::protocol::message::{Ready, Request, ToWorker, WorkerHello};
use crate::session::event::{CellId, RunId, WorkerReport, WorkerState};

/// How long a worker asked to end may take before it is made to.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

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

#[derive(Debug)]
enum Order {
    Restart,
    Shutdown(oneshot::Sender<()>),
}

/// Keeps workers alive and hands requests to the kernel; cheap to clone.
#[derive(Debug, Clone)]
pub struct Supervisor {
    orders: mpsc::UnboundedSender<Order>,
    kernel: watch::Receiver<Kernel>,
    escalation: Duration,
}

impl Supervisor {
    /// Starts a kernel, and a standby once that is ready. Returns at once; call
    /// within a Tokio runtime.
    pub fn start(options: SupervisorOptions, host: Arc<dyn Host>) -> Self {
        let (orders, orders_rx) = mpsc::unbounded_channel();
        let (publish, kernel) = watch::channel(Kernel::Starting);
        let (news, news_rx) = mpsc::unbounded_channel();
        let escalation = options.escalation;
        let keeper = Keeper {
            run_id: uuid::Uuid::now_v7().to_string(),
            options,
            binary: None,
            host,
            publish,
            news,
            kernel: None,
            standby: None,
            next_number: 1,
            had_kernel: false,
            deaths: VecDeque::new(),
        };
        tokio::spawn(keeper.run(orders_rx, news_rx));
        Self {
            orders,
            kernel,
            escalation,
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
            tokio::time::sleep(pause).await;
            if worker.runs(cell) {
                worker.terminate();
                tokio::time::sleep(pause).await;
                if worker.runs(cell) {
                    worker.kill();
                }
            }
        });
    }

    /// Ends every wait of a run.
    pub fn cancel(&self, run: RunId) {
        if let Kernel::Ready(worker, _) = &*self.kernel.borrow() {
            worker.say(ToWorker::Cancel { run });
        }
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

    /// Ends the kernel and starts anew, also after too many deaths.
    pub fn restart_kernel(&self) {
        // A closed channel: the supervisor is shutting down.
        let _ = self.orders.send(Order::Restart);
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

#[derive(Debug)]
enum News {
    Ready(u32, Arc<(WorkerHello, Ready)>),
    Ended(u32, Arc<Ended>),
}

struct Member {
    worker: Worker,
    ready: Option<Arc<(WorkerHello, Ready)>>,
}

/// The one task that decides about workers.
struct Keeper {
    run_id: String,
    options: SupervisorOptions,
    binary: Option<PathBuf>,
    host: Arc<dyn Host>,
    publish: watch::Sender<Kernel>,
    news: mpsc::UnboundedSender<News>,
    kernel: Option<Member>,
    standby: Option<Member>,
    next_number: u32,
    had_kernel: bool,
    deaths: VecDeque<Instant>,
}

impl Keeper {
    async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut news: mpsc::UnboundedReceiver<News>,
    ) {
        self.start_kernel().await;
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Restart) => self.restart().await,
                    Some(Order::Shutdown(done)) => {
                        self.shut_down().await;
                        let _ = done.send(());
                        return;
                    }
                    None => return self.shut_down().await,
                },
                Some(news) = news.recv() => match news {
                    News::Ready(number, ready) => self.got_ready(number, ready).await,
                    News::Ended(number, ended) => self.ended(number, &ended).await,
                },
            }
        }
    }

    /// Makes the standby the kernel, or starts one.
    async fn start_kernel(&mut self) {
        self.publish.send_replace(Kernel::Starting);
        if let Some(member) = self.standby.take() {
            let ready = member.ready.clone();
            let number = member.worker.number();
            self.kernel = Some(member);
            if let Some(ready) = ready {
                self.got_ready(number, ready).await;
            }
            return;
        }
        match self.launch("kernel").await {
            Ok(member) => self.kernel = Some(member),
            Err(error) => self.down(error),
        }
    }

    async fn launch(&mut self, role: &str) -> Result<Member, OperationError> {
        let binary = match (&self.binary, &self.options.binary) {
            (Some(binary), _) | (None, Some(binary)) => binary.clone(),
            (None, None) => {
                let environment = self.options.environment.clone();
                let found = tokio::task::spawn_blocking(move || find_worker(&environment)).await;
                found.map_err(|error| OperationError::internal(error.to_string()))??
            }
        };
        self.binary = Some(binary.clone());
        let number = self.next_number;
        self.next_number += 1;
        let mut variables = self.options.variables.clone();
        variables.push(("DSPEX_RUN_ID".to_owned(), Some(self.run_id.clone())));
        let launch = Launch {
            number,
            environment: self.options.environment.clone(),
            binary,
            cwd: self.options.cwd.clone(),
            variables,
            interactive: self.options.interactive,
            hello_deadline: self.options.hello_deadline,
            ready_deadline: self.options.ready_deadline,
        };
        let worker = Worker::launch(launch, Arc::clone(&self.host)).await?;
        self.report(&worker, role, WorkerState::Starting, "importing DSPy");
        self.watch(worker.clone());
        Ok(Member {
            worker,
            ready: None,
        })
    }

    fn watch(&self, worker: Worker) {
        let news = self.news.clone();
        tokio::spawn(async move {
            let number = worker.number();
            if let Ok(ready) = worker.ready().await {
                let _ = news.send(News::Ready(number, ready));
            }
            if let Some(ended) = worker.ended().await {
                let _ = news.send(News::Ended(number, ended));
            }
        });
    }

    async fn got_ready(&mut self, number: u32, ready: Arc<(WorkerHello, Ready)>) {
        if let Some(member) = is(&mut self.standby, number) {
            member.ready = Some(ready);
            let worker = member.worker.clone();
            self.report(&worker, "standby", WorkerState::Ready, "");
            return;
        }
        let Some(member) = is(&mut self.kernel, number) else {
            return;
        };
        member.ready = Some(Arc::clone(&ready));
        let worker = member.worker.clone();
        self.report(&worker, "kernel", WorkerState::Ready, "");
        let replaces = std::mem::replace(&mut self.had_kernel, true);
        if let Some(request) = self.host.kernel_began(number, replaces) {
            // Polled once here, so that it is queued before any other request.
            let (host, restoring) = (Arc::clone(&self.host), worker.clone());
            let mut restore = Box::pin(async move { restoring.request(request).await });
            let first = futures_util::poll!(restore.as_mut());
            tokio::spawn(async move {
                let answer = match first {
                    std::task::Poll::Ready(answer) => answer,
                    std::task::Poll::Pending => restore.await,
                };
                host.kernel_restored(number, answer);
            });
        }
        self.publish.send_replace(Kernel::Ready(worker, ready));
        self.start_standby().await;
    }

    async fn start_standby(&mut self) {
        if !self.options.standby || self.standby.is_some() {
            return;
        }
        // Without a standby the kernel still works; its own end says why.
        self.standby = self.launch("standby").await.ok();
    }

    async fn ended(&mut self, number: u32, ended: &Ended) {
        let was_kernel = is(&mut self.kernel, number).is_some();
        let slot = if was_kernel {
            &mut self.kernel
        } else {
            &mut self.standby
        };
        if slot
            .as_ref()
            .is_none_or(|member| member.worker.number() != number)
        {
            return;
        }
        let Some(member) = slot.take() else { return };
        let role = if was_kernel { "kernel" } else { "standby" };
        self.report(
            &member.worker,
            role,
            WorkerState::Died,
            &ended.error.message,
        );
        self.deaths.push_back(Instant::now());
        let Intensity { deaths, within } = self.options.intensity;
        while self
            .deaths
            .front()
            .is_some_and(|death| death.elapsed() > within)
        {
            self.deaths.pop_front();
        }
        let hopeless = ended.death.refused && !ended.was_ready;
        let too_many = self.deaths.len() > deaths;
        match (was_kernel, hopeless || too_many) {
            (true, true) if hopeless => self.down(ended.error.clone()),
            (true, true) => self.down(too_many_deaths(&ended.error, self.deaths.len(), within)),
            (true, false) => self.start_kernel().await,
            (false, true) => {
                let worker = member.worker;
                self.report(&worker, role, WorkerState::Down, &ended.error.message);
            }
            (false, false) => self.start_standby().await,
        }
    }

    async fn restart(&mut self) {
        self.deaths.clear();
        if let Some(member) = self.kernel.take() {
            self.publish.send_replace(Kernel::Starting);
            member.worker.kill();
            member.worker.ended().await;
            self.report(&member.worker, "kernel", WorkerState::Stopped, "restarted");
        }
        self.start_kernel().await;
    }

    fn down(&mut self, error: OperationError) {
        self.host.worker_changed(WorkerReport {
            worker: self.next_number.saturating_sub(1),
            role: "kernel".to_owned(),
            state: WorkerState::Down,
            pid: 0,
            detail: format!("{}: {}", error.message, error.recovery.hint),
            lost: Vec::new(),
        });
        self.publish.send_replace(Kernel::Down(error));
    }

    async fn shut_down(&mut self) {
        self.publish.send_replace(Kernel::Down(shutting_down()));
        let members = [self.kernel.take(), self.standby.take()];
        let members: Vec<Member> = members.into_iter().flatten().collect();
        for member in &members {
            // One that is still importing has nothing to finish.
            match member.ready {
                Some(_) => member.worker.say(ToWorker::Shutdown {}),
                None => member.worker.kill(),
            }
        }
        let deadline = tokio::time::Instant::now() + SHUTDOWN_GRACE;
        for member in &members {
            let ended = tokio::time::timeout_at(deadline, member.worker.ended());
            if ended.await.is_err() {
                member.worker.kill();
                member.worker.ended().await;
            }
        }
        for (role, member) in ["kernel", "standby"].iter().zip(&members) {
            self.report(&member.worker, role, WorkerState::Stopped, "");
        }
    }

    fn report(&self, worker: &Worker, role: &str, state: WorkerState, detail: &str) {
        self.host.worker_changed(WorkerReport {
            worker: worker.number(),
            role: role.to_owned(),
            state,
            pid: worker.pid(),
            detail: detail.to_owned(),
            lost: Vec::new(),
        });
    }
}

fn is(slot: &mut Option<Member>, number: u32) -> Option<&mut Member> {
    slot.as_mut()
        .filter(|member| member.worker.number() == number)
}

fn too_many_deaths(last: &OperationError, deaths: usize, within: Duration) -> OperationError {
    OperationError::new(
        "kernel_down",
        ErrorClass::ProcessCrashed,
        format!(
            "Python died {deaths} times within {} s; the last time {}",
            within.as_secs(),
            last.message
        ),
    )
    .hint("mend the cause, then restart the kernel by hand")
    .strategy(Strategy::Fatal)
    .with(
        "stderr",
        last.context.get("stderr").cloned().unwrap_or_default(),
    )
}

fn shutting_down() -> OperationError {
    OperationError::new(
        "shutting_down",
        ErrorClass::Interrupted,
        "the workbench is shutting down",
    )
}
