//! Queues of requests, one a lane, between the reader and Python's threads.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dspex_tui::protocol::message::Lane;

/// How long a worker that was asked to end waits for what still runs.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// A request as Python gets it.
#[derive(Debug)]
pub(super) struct Job {
    /// Its id.
    pub(super) id: u64,
    /// Its operation.
    pub(super) operation: String,
    /// The JSON of the whole request.
    pub(super) payload: Vec<u8>,
    /// Its run.
    pub(super) run: Option<u64>,
    /// Its cell.
    pub(super) cell: Option<u64>,
}

/// The three queues.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    state: Mutex<State>,
    main: Condvar,
    side: Condvar,
    run: Condvar,
    answered: Condvar,
}

#[derive(Debug, Default)]
struct State {
    main: VecDeque<Job>,
    side: VecDeque<Job>,
    run: VecDeque<Job>,
    /// Threads that sleep here, a lane each: nobody else need be woken.
    asleep: [usize; 3],
    /// The side lane's thread was woken, and will read on after its request.
    woke_side: bool,
    /// Somebody waits for the last answer.
    draining: bool,
    /// Ids handed to Python and not yet answered.
    open: Vec<u64>,
    closed: bool,
}

impl Lanes {
    /// Queues a request.
    pub(super) fn push(&self, lane: Lane, job: Job) {
        let mut state = self.lock();
        state.queue(lane).push_back(job);
        if *state.asleep(lane) > 0 {
            state.woke_side |= lane == Lane::Side;
            drop(state);
            self.waiters(lane).notify_one();
        }
    }

    /// The next request of a lane; waits for it. `None` at shutdown, once the
    /// lane is empty.
    pub(super) fn next(&self, lane: Lane) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue(lane).pop_front() {
                state.open.push(job.id);
                return Some(job);
            }
            if state.closed {
                return None;
            }
            *state.asleep(lane) += 1;
            state = self
                .waiters(lane)
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            *state.asleep(lane) -= 1;
        }
    }

    /// Whether the side lane's next request, or its end, need not be waited for.
    pub(super) fn side_has_next(&self) -> bool {
        let state = self.lock();
        state.closed || !state.side.is_empty()
    }

    /// Whether the side lane's thread was woken for a request since this was asked.
    pub(super) fn woke_side(&self) -> bool {
        std::mem::take(&mut self.lock().woke_side)
    }

    /// Notes that a request was answered.
    pub(super) fn answered(&self, id: u64) {
        let mut state = self.lock();
        state.open.retain(|open| *open != id);
        if state.draining && state.open.is_empty() {
            self.answered.notify_all();
        }
    }

    /// No further request will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        for waiters in [&self.main, &self.side, &self.run] {
            waiters.notify_all();
        }
    }

    /// Waits until everything handed out is answered, for ten seconds at most.
    pub(super) fn wait_answered(&self) {
        let deadline = Instant::now() + LAST_ANSWERS;
        let mut state = self.lock();
        state.draining = true;
        while !state.open.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self
                .answered
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn waiters(&self, lane: Lane) -> &Condvar {
        match lane {
            Lane::Main => &self.main,
            Lane::Side => &self.side,
            Lane::Run => &self.run,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn asleep(&mut self, lane: Lane) -> &mut usize {
        let [main, side, run] = &mut self.asleep;
        match lane {
            Lane::Main => main,
            Lane::Side => side,
            Lane::Run => run,
        }
    }

    fn queue(&mut self, lane: Lane) -> &mut VecDeque<Job> {
        match lane {
            Lane::Main => &mut self.main,
            Lane::Side => &mut self.side,
            Lane::Run => &mut self.run,
        }
    }
}
