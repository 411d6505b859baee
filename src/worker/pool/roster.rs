//! Who gets which worker of a pool: pure decisions, no process and no clock.
//!
//! What happens is told to a [`Roster`]; what is to be done comes back as
//! [`Act`]s. Generic over the worker's handle, so that it is tested without one.

use std::collections::VecDeque;
use std::time::Instant;

use super::{PoolOptions, PoolRole};
use crate::protocol::error::{ErrorClass, OperationError, Strategy};
use crate::session::event::RunId;

mod standing;

/// Something to do.
#[derive(Debug)]
pub(in crate::worker) enum Act<W> {
    /// Give this job this worker.
    Grant { job: u64, number: u32, worker: W },
    /// Tell this job that it gets none.
    Refuse { job: u64, error: OperationError },
    /// Start one more worker, then say [`Roster::joined`] or [`Roster::not_started`].
    Start,
    /// End this worker: it has no jobs any more and must be replaced.
    End { worker: W, why: String },
}

/// What a job asks of a pool.
#[derive(Debug, Clone)]
pub(in crate::worker) struct Wish {
    /// Its number.
    pub(in crate::worker) job: u64,
    /// The run it belongs to.
    pub(in crate::worker) run: Option<RunId>,
    /// Equal for jobs that are better off on the same worker.
    pub(in crate::worker) affinity: Option<u64>,
    /// Not on a worker that has a job of the same run already.
    pub(in crate::worker) apart: bool,
}

struct Waiting {
    wish: Wish,
    since: Instant,
}

struct Member<W> {
    number: u32,
    pid: u32,
    worker: W,
    ready: bool,
    silent: bool,
    /// Why it gets no further jobs.
    retiring: Option<String>,
    jobs: Vec<(u64, Option<RunId>)>,
    /// The last jobs' affinities, newest last.
    affinities: VecDeque<u64>,
}

impl<W> Member<W> {
    fn counts(&self) -> bool {
        self.retiring.is_none() && !self.silent
    }

    fn weigh(&mut self, rss_mb: Option<u64>, limit: u64) {
        if let Some(rss) = rss_mb.filter(|rss| *rss > limit) {
            self.retiring
                .get_or_insert_with(|| format!("recycled: it held {rss} MB, more than {limit} MB"));
        }
    }

    fn has(&self, run: Option<RunId>) -> bool {
        run.is_some() && self.jobs.iter().any(|(_, its)| *its == run)
    }
}

/// The members of a pool and who waits for one.
pub(in crate::worker) struct Roster<W> {
    role: PoolRole,
    options: PoolOptions,
    members: Vec<Member<W>>,
    /// Starts that were asked for and are not answered yet.
    asked_for: usize,
    waiting: VecDeque<Waiting>,
    deaths: VecDeque<Instant>,
    restarts: u32,
    down: Option<(OperationError, Instant)>,
}

/// Affinities a worker is remembered for.
const MOST_AFFINITIES: usize = 32;

impl<W: Clone> Roster<W> {
    pub(in crate::worker) fn new(role: PoolRole, options: PoolOptions) -> Self {
        Self {
            role,
            options,
            members: Vec::new(),
            asked_for: 0,
            waiting: VecDeque::new(),
            deaths: VecDeque::new(),
            restarts: 0,
            down: None,
        }
    }

    /// A job wants a worker.
    pub(in crate::worker) fn ask(&mut self, wish: Wish, now: Instant) -> Vec<Act<W>> {
        if self
            .down
            .as_ref()
            .is_some_and(|(_, since)| now.duration_since(*since) > self.options.intensity.within)
        {
            self.down = None;
        }
        if let Some((error, _)) = &self.down {
            let error = error.clone();
            return vec![Act::Refuse {
                job: wish.job,
                error,
            }];
        }
        let job = wish.job;
        self.waiting.push_back(Waiting { wish, since: now });
        let mut acts = self.settle();
        // Workers that are on their way will take so many of those that wait.
        let coming = (self.asked_for + self.members.iter().filter(|m| !m.ready).count())
            * self.options.slots;
        if self.waiting.len() > self.options.queue + coming
            && let Some(place) = self.waiting.iter().position(|w| w.wish.job == job)
        {
            self.waiting.remove(place);
            acts.push(Act::Refuse {
                job,
                error: self.exhausted(&format!("{} more are waiting", self.options.queue)),
            });
        }
        acts
    }

    /// A job is done with its worker, which is this big now.
    pub(in crate::worker) fn returned(
        &mut self,
        job: u64,
        number: u32,
        rss_mb: Option<u64>,
    ) -> Vec<Act<W>> {
        let limit = self.options.memory_mb;
        if let Some(member) = self.member(number) {
            member.jobs.retain(|(its, _)| *its != job);
            member.weigh(rss_mb, limit);
        }
        self.settle()
    }

    /// Members that hold more than they may get no further jobs and end after
    /// those they have (R123).
    pub(in crate::worker) fn measured(
        &mut self,
        resident: impl Fn(u32) -> Option<u64>,
    ) -> Vec<Act<W>> {
        let limit = self.options.memory_mb;
        for member in &mut self.members {
            member.weigh(resident(member.pid), limit);
        }
        self.settle()
    }

    /// A worker that was asked for exists.
    pub(in crate::worker) fn joined(
        &mut self,
        number: u32,
        pid: u32,
        worker: W,
        ready: bool,
    ) -> Vec<Act<W>> {
        self.asked_for = self.asked_for.saturating_sub(1);
        self.members.push(Member {
            number,
            pid,
            worker,
            ready,
            silent: false,
            retiring: None,
            jobs: Vec::new(),
            affinities: VecDeque::new(),
        });
        self.settle()
    }

    /// A worker that was asked for could not be started.
    pub(in crate::worker) fn not_started(
        &mut self,
        error: OperationError,
        now: Instant,
    ) -> Vec<Act<W>> {
        self.asked_for = self.asked_for.saturating_sub(1);
        self.go_down(error, now)
    }

    /// A worker will carry out requests.
    pub(in crate::worker) fn ready(&mut self, number: u32) -> Vec<Act<W>> {
        if let Some(member) = self.member(number) {
            member.ready = true;
        }
        self.settle()
    }

    /// A worker is gone. `hopeless`: the next one would go the same way.
    pub(in crate::worker) fn ended(
        &mut self,
        number: u32,
        error: &OperationError,
        hopeless: bool,
        now: Instant,
    ) -> Vec<Act<W>> {
        let Some(place) = self.members.iter().position(|m| m.number == number) else {
            return Vec::new();
        };
        let member = self.members.remove(place);
        self.restarts += 1;
        if member.retiring.is_some() {
            return self.settle();
        }
        self.deaths.push_back(now);
        let within = self.options.intensity.within;
        while self
            .deaths
            .front()
            .is_some_and(|death| now.duration_since(*death) > within)
        {
            self.deaths.pop_front();
        }
        if hopeless {
            return self.go_down(error.clone(), now);
        }
        if self.deaths.len() > self.options.intensity.deaths {
            let message = format!(
                "the {} is down: its workers died {} times within {} s; the last time {}",
                self.title(),
                self.deaths.len(),
                within.as_secs(),
                error.message
            );
            let down = OperationError::new("pool_down", ErrorClass::ProcessCrashed, message)
                .hint(format!(
                    "mend the cause; it takes jobs again after {} s",
                    within.as_secs()
                ))
                .strategy(Strategy::Fatal);
            return self.go_down(down, now);
        }
        self.settle()
    }

    /// A worker does not answer, or does again.
    pub(in crate::worker) fn silent(&mut self, number: u32, silent: bool) -> Vec<Act<W>> {
        if let Some(member) = self.member(number) {
            member.silent = silent;
        }
        self.settle()
    }

    /// A worker gets no further jobs and ends after those it has.
    pub(in crate::worker) fn retire(&mut self, number: u32, why: &str) -> Vec<Act<W>> {
        if let Some(member) = self.member(number) {
            member.retiring.get_or_insert_with(|| why.to_owned());
        }
        self.settle()
    }

    /// Nobody waits for this job any more, whether it has a worker or not.
    pub(in crate::worker) fn forget(&mut self, job: u64) -> Vec<Act<W>> {
        self.waiting.retain(|waiting| waiting.wish.job != job);
        for member in &mut self.members {
            member.jobs.retain(|(its, _)| *its != job);
        }
        self.settle()
    }

    /// Deaths so far count no longer.
    pub(in crate::worker) fn forgive(&mut self) {
        self.deaths.clear();
        self.down = None;
    }

    /// The jobs of a run that wait, taken out of the queue.
    pub(in crate::worker) fn cancel_waiting(&mut self, run: RunId) -> Vec<u64> {
        let mut jobs = Vec::new();
        self.waiting.retain(|waiting| {
            let is_its = waiting.wish.run == Some(run);
            if is_its {
                jobs.push(waiting.wish.job);
            }
            !is_its
        });
        jobs
    }

    /// The workers that carry out jobs of a run; `true` where they do nothing else.
    pub(in crate::worker) fn carrying(&self, run: RunId) -> Vec<(u32, W, bool)> {
        let of_run = self.members.iter().filter(|m| m.has(Some(run)));
        of_run
            .map(|m| {
                let alone = m.jobs.iter().all(|(_, its)| *its == Some(run));
                (m.number, m.worker.clone(), alone)
            })
            .collect()
    }

    /// When [`Roster::tick`] wants to be called.
    pub(in crate::worker) fn deadline(&self) -> Option<Instant> {
        // Who waits for a worker that is starting is not kept waiting by others.
        if self.asked_for > 0 || self.members.iter().any(|m| !m.ready) {
            return None;
        }
        let oldest = self.waiting.front()?;
        Some(oldest.since + self.options.patience)
    }

    /// Refuses those that waited too long.
    pub(in crate::worker) fn tick(&mut self, now: Instant) -> Vec<Act<W>> {
        let mut acts = Vec::new();
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            let Some(waited) = self.waiting.pop_front() else {
                break;
            };
            let after = format!("waited {} s for it", self.options.patience.as_secs());
            acts.push(Act::Refuse {
                job: waited.wish.job,
                error: self.exhausted(&after),
            });
        }
        acts
    }
}

impl<W: Clone> Roster<W> {
    /// Ends who is done, grants what can be granted, and grows where that helps.
    fn settle(&mut self) -> Vec<Act<W>> {
        let mut acts = Vec::new();
        let done = |m: &Member<W>| m.retiring.is_some() && m.jobs.is_empty();
        while let Some(place) = self.members.iter().position(done) {
            let member = self.members.remove(place);
            self.restarts += 1;
            acts.push(Act::End {
                worker: member.worker,
                why: member.retiring.unwrap_or_default(),
            });
        }
        let mut crowded = false;
        let mut still = VecDeque::new();
        while let Some(waiting) = self.waiting.pop_front() {
            let Some(place) = self.best(&waiting.wish) else {
                still.push_back(waiting);
                continue;
            };
            let Some(member) = self.members.get_mut(place) else {
                continue;
            };
            crowded |= !member.jobs.is_empty();
            member.jobs.push((waiting.wish.job, waiting.wish.run));
            if let Some(affinity) = waiting.wish.affinity {
                member.affinities.retain(|known| *known != affinity);
                member.affinities.push_back(affinity);
                if member.affinities.len() > MOST_AFFINITIES {
                    member.affinities.pop_front();
                }
            }
            acts.push(Act::Grant {
                job: waiting.wish.job,
                number: member.number,
                worker: member.worker.clone(),
            });
        }
        self.waiting = still;
        let live = self.members.iter().filter(|m| m.counts()).count() + self.asked_for;
        let coming = self.asked_for + self.members.iter().filter(|m| !m.ready).count();
        // One at a time: each start costs most of a core for a moment.
        if (crowded || !self.waiting.is_empty()) && coming == 0 && live < self.options.size {
            self.asked_for += 1;
            acts.push(Act::Start);
        }
        acts
    }

    /// The place of the worker for a wish: the idlest, of those the one that knows it.
    fn best(&self, wish: &Wish) -> Option<usize> {
        let free = self.members.iter().enumerate().filter(|(_, m)| {
            m.ready
                && m.counts()
                && m.jobs.len() < self.options.slots
                && !(wish.apart && m.has(wish.run))
        });
        let (place, _) = free.min_by_key(|(_, m)| {
            let knows = wish.affinity.is_some_and(|a| m.affinities.contains(&a));
            (m.jobs.len(), !knows)
        })?;
        Some(place)
    }

    fn go_down(&mut self, error: OperationError, now: Instant) -> Vec<Act<W>> {
        // Those that still work go on; only without any there is nothing to wait for.
        if self.members.iter().any(|m| m.ready && m.counts()) {
            return self.settle();
        }
        self.down = Some((error.clone(), now));
        let waiting = std::mem::take(&mut self.waiting);
        waiting
            .into_iter()
            .map(|waiting| Act::Refuse {
                job: waiting.wish.job,
                error: error.clone(),
            })
            .collect()
    }

    fn exhausted(&self, how: &str) -> OperationError {
        let jobs = self.members.iter().map(|m| m.jobs.len()).sum::<usize>();
        OperationError::new(
            "pool_exhausted",
            ErrorClass::Timeout,
            format!(
                "the {} is exhausted: {} of {} workers are up with {jobs} jobs, and {how}",
                self.title(),
                self.members.len(),
                self.options.size,
            ),
        )
        .hint("wait for a run to end or `cancel` one; `health_check` names them")
        .strategy(Strategy::Retry)
        .with("pool", self.role.name())
        .with("queue", self.waiting.len())
    }

    fn title(&self) -> &'static str {
        match self.role {
            PoolRole::General => "worker pool",
            PoolRole::Optimizer => "optimizer pool",
        }
    }

    fn member(&mut self, number: u32) -> Option<&mut Member<W>> {
        self.members.iter_mut().find(|m| m.number == number)
    }
}

#[cfg(test)]
mod tests;
