//! The one task that decides about workers: kernel, standby and pools.
//!
//! Owns roles, restarts and ends; [`pools`] carries out what the rosters decide.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::lease::{Granted, Wanted};
use super::{Intensity, Kernel, SupervisorOptions, shutting_down};
use crate::protocol::error::{ErrorClass, OperationError, Strategy};
use crate::protocol::message::{Ready, ToWorker, WorkerHello};
use crate::session::event::{RunId, WorkerReport, WorkerState};
use crate::worker::connection::{Ended, Launch, Worker};
use crate::worker::environment::find_worker;
use crate::worker::health::WorkersHealth;
use crate::worker::host::Host;
use crate::worker::pool::PoolRole;
use crate::worker::pool::roster::Roster;

mod pools;

/// Said of a worker that a signal stopped.
const STOPPED: &str = "was stopped by a signal";

/// How long a worker asked to end may take before it is made to.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// What the supervisor's handles, and leases, tell the keeper.
#[derive(Debug)]
pub(super) enum Order {
    /// End the kernel and start anew; answered once it is begun.
    Restart(oneshot::Sender<Result<(), OperationError>>),
    /// End the workers of the pools.
    RestartPools,
    /// A job wants a worker.
    CheckOut(
        u64,
        Wanted,
        oneshot::Sender<Result<Granted, OperationError>>,
    ),
    /// A job is done with its worker.
    Return(PoolRole, u64, u32),
    /// A job does not wait any more.
    Forget(PoolRole, u64),
    /// A worker of a pool does not answer, or does again.
    Silent(PoolRole, u32, bool),
    /// A worker of a pool that has nothing to do does not answer.
    Hung(PoolRole, u32),
    /// A worker of a pool must go, whatever it does.
    Kill(PoolRole, u32, String),
    /// End a run's jobs.
    Cancel(RunId),
    /// End those that did not end.
    Abandon(RunId),
    /// Tell how all workers stand.
    Health(oneshot::Sender<WorkersHealth>),
    /// End all.
    Shutdown(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) enum News {
    Ready(u32, Arc<(WorkerHello, Ready)>),
    Ended(u32, Arc<Ended>),
    /// A signal stopped it, or let it go on.
    Stopped(u32, bool),
}

struct Member {
    worker: Worker,
    ready: Option<Arc<(WorkerHello, Ready)>>,
}

/// The state of the task.
pub(super) struct Keeper {
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
    general: Roster<Worker>,
    optimizer: Roster<Worker>,
    /// Who waits to be granted a worker.
    asking: HashMap<u64, oneshot::Sender<Result<Granted, OperationError>>>,
    /// Jobs that have one.
    granted: HashMap<u64, (Option<RunId>, CancellationToken)>,
    /// Runs that get no worker any more.
    cancelled: HashSet<RunId>,
    /// To tell itself something later.
    orders: mpsc::WeakUnboundedSender<Order>,
}

impl Keeper {
    pub(super) fn new(
        options: SupervisorOptions,
        host: Arc<dyn Host>,
        publish: watch::Sender<Kernel>,
        orders: mpsc::WeakUnboundedSender<Order>,
    ) -> (Self, mpsc::UnboundedReceiver<News>) {
        let (news, news_rx) = mpsc::unbounded_channel();
        let keeper = Self {
            run_id: uuid::Uuid::now_v7().to_string(),
            binary: None,
            host,
            publish,
            news,
            kernel: None,
            standby: None,
            next_number: 1,
            had_kernel: false,
            deaths: VecDeque::new(),
            general: Roster::new(PoolRole::General, options.pools.general.clone()),
            optimizer: Roster::new(PoolRole::Optimizer, options.pools.optimizer.clone()),
            asking: HashMap::new(),
            granted: HashMap::new(),
            cancelled: HashSet::new(),
            orders,
            options,
        };
        (keeper, news_rx)
    }

    pub(super) async fn run(
        mut self,
        mut orders: mpsc::UnboundedReceiver<Order>,
        mut news: mpsc::UnboundedReceiver<News>,
    ) {
        self.start_kernel().await;
        loop {
            let deadline = self.next_deadline();
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Restart(done)) => {
                        self.restart().await;
                        let _ = done.send(self.not_down());
                    }
                    Some(Order::Shutdown(done)) => {
                        self.shut_down().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(order) => self.pool_order(order).await,
                    None => return self.shut_down().await,
                },
                Some(news) = news.recv() => match news {
                    News::Ready(number, ready) => self.got_ready(number, ready).await,
                    News::Ended(number, ended) => self.ended(number, &ended).await,
                    News::Stopped(number, stopped) => self.stopped(number, stopped).await,
                },
                // Armed only while a job waits for a busy pool.
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now).into()),
                    if deadline.is_some() => self.tick().await,
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
        let (news, number, mut stopped) = (self.news.clone(), worker.number(), worker.stopped());
        tokio::spawn(async move {
            // Ends with the worker: nobody is left to tell it.
            while stopped.changed().await.is_ok() {
                let _ = news.send(News::Stopped(number, *stopped.borrow_and_update()));
            }
        });
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
        if let Some(role) = self.role_of(number) {
            return self.member_ready(role, number).await;
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
        if let Some(role) = self.role_of(number) {
            return self.member_ended(role, number, ended).await;
        }
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

    /// A stopped worker carries nothing out and cannot say so. The standby is
    /// replaced at once, a worker of a pool if it stays so; of the kernel it is
    /// told, for only its user ends a kernel.
    async fn stopped(&mut self, number: u32, stopped: bool) {
        if let Some(role) = self.role_of(number) {
            return self.member_stopped(role, number, stopped).await;
        }
        if let Some(member) = is(&mut self.standby, number) {
            member.worker.kill();
        }
        let Some(member) = is(&mut self.kernel, number) else {
            return;
        };
        let worker = member.worker.clone();
        let (state, detail) = if stopped {
            (
                WorkerState::Busy,
                format!("{STOPPED}; `kill -CONT {}` lets it go on", worker.pid()),
            )
        } else {
            (WorkerState::Ready, String::new())
        };
        self.report(&worker, "kernel", state, &detail);
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

    /// Why there is no kernel and none will come.
    fn not_down(&self) -> Result<(), OperationError> {
        match &*self.publish.borrow() {
            Kernel::Down(error) => Err(error.clone()),
            Kernel::Starting | Kernel::Ready(..) => Ok(()),
        }
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
        let mut members: Vec<(&'static str, Worker, bool)> = Vec::new();
        for (role, member) in [
            ("kernel", self.kernel.take()),
            ("standby", self.standby.take()),
        ] {
            members.extend(member.map(|member| (role, member.worker, member.ready.is_some())));
        }
        for (role, worker, ready) in self.drain_pools() {
            members.push((role.name(), worker, ready));
        }
        for (_, worker, ready) in &members {
            // One that is still importing has nothing to finish.
            match ready {
                true => worker.say(ToWorker::Shutdown {}),
                false => worker.kill(),
            }
        }
        let deadline = tokio::time::Instant::now() + SHUTDOWN_GRACE;
        for (_, worker, _) in &members {
            let ended = tokio::time::timeout_at(deadline, worker.ended());
            if ended.await.is_err() {
                worker.cut_off(&shutting_down());
                worker.ended().await;
            }
        }
        for (role, worker, _) in &members {
            self.report(worker, role, WorkerState::Stopped, "");
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
