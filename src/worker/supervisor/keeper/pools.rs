//! The keeper's dealings with the pools: carries out what their rosters decide.

use std::time::Instant;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Keeper, Member, Order, STOPPED};
use crate::protocol::message::{Lane, Request, ToWorker};
use crate::session::event::{RunId, WorkerState};
use crate::worker::connection::{Ended, Worker};
use crate::worker::health::{MemberHealth, WorkersHealth, resident_mb};
use crate::worker::pool::PoolRole;
use crate::worker::pool::roster::{Act, Roster, Wish};
use crate::worker::supervisor::lease::{Granted, cancelled};
use crate::worker::supervisor::pulse;
use crate::worker::supervisor::{Kernel, shutting_down};

const ROLES: [PoolRole; 2] = [PoolRole::General, PoolRole::Optimizer];

impl Keeper {
    pub(super) fn role_of(&self, number: u32) -> Option<PoolRole> {
        ROLES
            .into_iter()
            .find(|role| self.roster(*role).has(number))
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        ROLES
            .into_iter()
            .filter_map(|role| self.roster(role).deadline())
            .min()
    }

    pub(super) async fn tick(&mut self) {
        for role in ROLES {
            let acts = self.roster_mut(role).tick(Instant::now());
            self.act(role, acts).await;
        }
    }

    pub(super) async fn pool_order(&mut self, order: Order) {
        match order {
            Order::CheckOut(_, wanted, reply)
                if wanted.run.is_some_and(|run| self.cancelled.contains(&run)) =>
            {
                let _ = reply.send(Err(wanted.run.map_or_else(shutting_down, cancelled)));
            }
            Order::CheckOut(job, wanted, reply) => {
                self.asking.insert(job, reply);
                let wish = Wish {
                    job,
                    run: wanted.run,
                    affinity: wanted.affinity,
                    apart: wanted.apart,
                };
                self.granted
                    .insert(job, (wanted.run, CancellationToken::new()));
                let acts = self.roster_mut(wanted.role).ask(wish, Instant::now());
                self.act(wanted.role, acts).await;
            }
            Order::Return(role, job, number) => {
                self.granted.remove(&job);
                let worker = self.roster(role).worker(number);
                let rss = worker.and_then(|worker| resident_mb(worker.pid()));
                let acts = self.roster_mut(role).returned(job, number, rss);
                self.act(role, acts).await;
            }
            Order::Forget(role, job) => {
                self.asking.remove(&job);
                self.granted.remove(&job);
                let acts = self.roster_mut(role).forget(job);
                self.act(role, acts).await;
            }
            Order::Silent(role, number, silent) => {
                let news = self.roster(role).is_silent(number) != silent;
                if let Some(worker) = self.roster(role).worker(number).filter(|_| news) {
                    let (state, detail) = if silent {
                        (
                            WorkerState::Busy,
                            "does not answer; it gets no further jobs",
                        )
                    } else {
                        (WorkerState::Ready, "answers again")
                    };
                    self.report(&worker, role.name(), state, detail);
                }
                let acts = self.roster_mut(role).silent(number, silent);
                self.act(role, acts).await;
            }
            Order::Hung(role, number) => {
                // One that got a job meanwhile is that job's to watch.
                let idle = self.roster(role).is_idle(number);
                if let Some(worker) = self.roster(role).worker(number).filter(|_| idle) {
                    let seconds = self.options.pools.unresponsive_after.as_secs_f64();
                    let why =
                        format!("killed: it had nothing to do and did not answer for {seconds} s");
                    let acts = self.roster_mut(role).retire(number, &why);
                    worker.kill();
                    self.act(role, acts).await;
                }
            }
            Order::Kill(role, number, why) => {
                if let Some(worker) = self.roster(role).worker(number) {
                    let acts = self.roster_mut(role).retire(number, &why);
                    worker.kill();
                    self.act(role, acts).await;
                }
            }
            Order::Cancel(run) => self.cancel(run),
            Order::Abandon(run) => self.abandon(run).await,
            Order::RestartPools => {
                for role in ROLES {
                    for number in self.roster(role).numbers() {
                        if let Some(worker) = self.roster(role).worker(number) {
                            worker.kill();
                        }
                        let acts = self.roster_mut(role).retire(number, "restarted");
                        self.act(role, acts).await;
                    }
                    self.roster_mut(role).forgive();
                }
            }
            Order::Health(reply) => {
                for role in ROLES {
                    let acts = self.roster_mut(role).measured(resident_mb);
                    self.act(role, acts).await;
                }
                let _ = reply.send(self.health());
            }
            // The keeper's loop carries these out.
            Order::Restart(_) | Order::Shutdown(_) => {}
        }
    }

    fn health(&self) -> WorkersHealth {
        let own = [("kernel", &self.kernel), ("standby", &self.standby)];
        let workers = own.into_iter().filter_map(|(role, member)| {
            let Member { worker, ready } = member.as_ref()?;
            Some(MemberHealth {
                worker: worker.number(),
                role,
                pid: worker.pid(),
                state: match ready {
                    _ if *worker.stopped().borrow() => "unresponsive",
                    Some(_) => "idle",
                    None => "starting",
                },
                runs: Vec::new(),
                rss_mb: resident_mb(worker.pid()).unwrap_or_default(),
                memory_mb: self.options.kernel_memory_mb,
            })
        });
        WorkersHealth {
            workers: workers.collect(),
            kernel_down: match &*self.publish.borrow() {
                Kernel::Down(error) => error.message.clone(),
                Kernel::Starting | Kernel::Ready(..) => String::new(),
            },
            pools: ROLES
                .map(|role| self.roster(role).health(resident_mb))
                .into(),
        }
    }

    /// Tells those who carry a run out to end it, and looks again later.
    fn cancel(&mut self, run: RunId) {
        // Its next job may be on its way.
        self.cancelled.insert(run);
        let mut carried = false;
        for role in ROLES {
            for job in self.roster_mut(role).cancel_waiting(run) {
                self.granted.remove(&job);
                if let Some(reply) = self.asking.remove(&job) {
                    let _ = reply.send(Err(cancelled(run)));
                }
            }
            for (_, worker, _) in self.roster(role).carrying(run) {
                worker.say(ToWorker::Cancel { run });
                carried = true;
            }
        }
        let (orders, pause) = (self.orders.clone(), self.options.escalation);
        if carried {
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                if let Some(orders) = orders.upgrade() {
                    let _ = orders.send(Order::Abandon(run));
                }
            });
        }
    }

    /// A cancelled run still goes on: its worker is given up, with it where it has
    /// nothing else to do, after its other jobs otherwise.
    async fn abandon(&mut self, run: RunId) {
        for role in ROLES {
            for (number, worker, alone) in self.roster(role).carrying(run) {
                let why = format!("run {} did not end when it was cancelled", run.0);
                let acts = self.roster_mut(role).retire(number, &why);
                if alone {
                    worker.kill();
                }
                self.act(role, acts).await;
            }
        }
        for (its, token) in self.granted.values() {
            if *its == Some(run) {
                token.cancel();
            }
        }
    }

    pub(super) async fn member_ready(&mut self, role: PoolRole, number: u32) {
        if let Some(worker) = self.roster(role).worker(number) {
            self.report(&worker, role.name(), WorkerState::Ready, "");
            self.enlist(role, worker);
        }
        let acts = self.roster_mut(role).ready(number);
        self.act(role, acts).await;
    }

    /// A worker that a signal stopped gets no jobs, and is killed if it stays so.
    pub(super) async fn member_stopped(&mut self, role: PoolRole, number: u32, stopped: bool) {
        let Some(worker) = self.roster(role).worker(number) else {
            return;
        };
        let patience = self.options.pools.unresponsive_after;
        if stopped {
            let detail = format!("{STOPPED}; it gets no further jobs");
            self.report(&worker, role.name(), WorkerState::Busy, &detail);
            let orders = self.orders.clone();
            tokio::spawn(async move {
                let mut stopped = worker.stopped();
                let goes_on = stopped.wait_for(|stopped| !stopped);
                if tokio::time::timeout(patience, goes_on).await.is_err()
                    && let Some(orders) = orders.upgrade()
                {
                    let why = format!("killed: it {STOPPED} {} s ago", patience.as_secs());
                    let _ = orders.send(Order::Kill(role, number, why));
                }
            });
        } else {
            self.report(&worker, role.name(), WorkerState::Ready, "goes on");
        }
        let acts = self.roster_mut(role).silent(number, stopped);
        self.act(role, acts).await;
    }

    pub(super) async fn member_ended(&mut self, role: PoolRole, number: u32, ended: &Ended) {
        if let Some(worker) = self.roster(role).worker(number) {
            match self.roster(role).retiring(number) {
                Some(why) => self.report(&worker, role.name(), WorkerState::Stopped, &why),
                None => {
                    self.report(
                        &worker,
                        role.name(),
                        WorkerState::Died,
                        &ended.error.message,
                    );
                }
            }
        }
        let hopeless = ended.death.refused && !ended.was_ready;
        let roster = self.roster_mut(role);
        let acts = roster.ended(number, &ended.error, hopeless, Instant::now());
        self.act(role, acts).await;
    }

    /// Takes all members out, to end them; `true` where one was ready.
    pub(super) fn drain_pools(&mut self) -> Vec<(PoolRole, Worker, bool)> {
        for (_, reply) in self.asking.drain() {
            let _ = reply.send(Err(shutting_down()));
        }
        let mut members = Vec::new();
        for role in ROLES {
            for (worker, ready) in self.roster_mut(role).drain() {
                members.push((role, worker, ready));
            }
        }
        members
    }

    async fn act(&mut self, role: PoolRole, acts: Vec<Act<Worker>>) {
        // Starting a worker can lead to more to do.
        let mut left = std::collections::VecDeque::from(acts);
        while let Some(act) = left.pop_front() {
            match act {
                Act::Grant {
                    job,
                    number,
                    worker,
                } => {
                    let token = self.granted.get(&job).map(|(_, token)| token.clone());
                    let granted = Granted {
                        worker,
                        number,
                        cancelled: token.unwrap_or_default(),
                    };
                    let told = self
                        .asking
                        .remove(&job)
                        .is_some_and(|reply| reply.send(Ok(granted)).is_ok());
                    if !told {
                        self.granted.remove(&job);
                        left.extend(self.roster_mut(role).returned(job, number, None));
                    }
                }
                Act::Refuse { job, error } => {
                    self.granted.remove(&job);
                    if let Some(reply) = self.asking.remove(&job) {
                        let _ = reply.send(Err(error));
                    }
                }
                Act::Start => left.extend(self.recruit(role).await),
                Act::End { worker, why } => {
                    worker.say(ToWorker::Shutdown {});
                    self.report(&worker, role.name(), WorkerState::Stopped, &why);
                    tokio::spawn(async move {
                        let ended = tokio::time::timeout(super::SHUTDOWN_GRACE, worker.ended());
                        if ended.await.is_err() {
                            worker.kill();
                        }
                    });
                }
            }
        }
    }

    /// One more worker: the standby where there is one, a new one otherwise.
    async fn recruit(&mut self, role: PoolRole) -> Vec<Act<Worker>> {
        let (member, was_standby) = match self.standby.take() {
            Some(member) => (Ok(member), true),
            None => (self.launch(role.name()).await, false),
        };
        let Member { worker, ready } = match member {
            Ok(member) => member,
            Err(error) => return self.roster_mut(role).not_started(error, Instant::now()),
        };
        let is_ready = ready.is_some();
        if was_standby {
            let state = if is_ready {
                WorkerState::Ready
            } else {
                WorkerState::Starting
            };
            self.report(&worker, role.name(), state, "");
        }
        if is_ready {
            self.enlist(role, worker.clone());
        }
        let (number, pid) = (worker.number(), worker.pid());
        let acts = self.roster_mut(role).joined(number, pid, worker, is_ready);
        if was_standby {
            self.start_standby().await;
        }
        acts
    }

    /// Tells a worker what a member of this pool may take, and asks it from now on
    /// whether it lives.
    fn enlist(&self, role: PoolRole, worker: Worker) {
        let options = self.options.pools.of(role);
        let request = Request {
            operation: "enlist".to_owned(),
            lane: Lane::Side,
            arguments: json!({"role": role.name(), "memory_mb": options.memory_mb, "nice": options.nice}),
            ..Request::default()
        };
        let (pools, orders) = (self.options.pools.clone(), self.orders.clone());
        tokio::spawn(async move {
            if let Err(error) = worker.request(request).await {
                tracing::warn!(%error, "a worker could not be limited");
            }
            pulse::while_idle(worker, role, pools, orders).await;
        });
    }

    fn roster(&self, role: PoolRole) -> &Roster<Worker> {
        match role {
            PoolRole::General => &self.general,
            PoolRole::Optimizer => &self.optimizer,
        }
    }

    fn roster_mut(&mut self, role: PoolRole) -> &mut Roster<Worker> {
        match role {
            PoolRole::General => &mut self.general,
            PoolRole::Optimizer => &mut self.optimizer,
        }
    }
}
