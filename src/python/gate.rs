//! Calls of Python that wait for the workbench: LM requests and `input()`.
//!
//! The reader delivers without the GIL: it fills a slot and wakes its waiter,
//! or hands a piece to the dispatcher, which alone calls back into Python.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dspex_tui::protocol::message::{LmAnswer, LmChunk};
use pyo3::{Py, PyAny};

/// How often a waiting main thread looks for signals of other senders.
const TICK: Duration = Duration::from_millis(100);

/// Everything that waits.
#[derive(Debug, Default)]
pub(super) struct Gate {
    next_id: AtomicU64,
    waiting: Mutex<HashMap<u64, Waiting>>,
    pieces: Mutex<VecDeque<(Arc<Py<PyAny>>, Piece)>>,
    pieces_came: Condvar,
}

/// One call that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The run it belongs to.
    pub(super) run: Option<u64>,
    /// The cell it belongs to.
    pub(super) cell: Option<u64>,
    /// Python's main thread waits, or its loop awaits.
    pub(super) on_main: bool,
    waiter: Waiter,
}

#[derive(Debug)]
enum Waiter {
    Thread(Arc<Slot>),
    Callback(Arc<Py<PyAny>>),
}

/// Where a blocked thread waits.
#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<SlotState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SlotState {
    reply: Option<Reply>,
    poked: bool,
}

/// What a wait ends with.
#[derive(Debug)]
pub(super) enum Reply {
    /// The LM's answer.
    Lm(LmAnswer),
    /// The user's line.
    Input(Option<String>),
    /// Whether a tool may be called, and why not.
    Approval(bool, String),
    /// The run was cancelled.
    Cancelled,
}

/// What the dispatcher hands to a callback.
#[derive(Debug)]
pub(super) enum Piece {
    /// A whole answer.
    Answer(LmAnswer),
    /// A piece of a stream.
    Chunk(LmChunk),
    /// The run was cancelled.
    Cancelled,
}

impl Gate {
    /// Registers a thread that is about to wait.
    pub(super) fn register(&self, run: Option<u64>, cell: Option<u64>) -> (u64, Arc<Slot>) {
        let slot = Arc::new(Slot::default());
        let id = self.add(run, cell, Waiter::Thread(Arc::clone(&slot)));
        (id, slot)
    }

    /// Registers a callback.
    pub(super) fn register_callback(
        &self,
        run: Option<u64>,
        cell: Option<u64>,
        callback: Py<PyAny>,
    ) -> u64 {
        self.add(run, cell, Waiter::Callback(Arc::new(callback)))
    }

    /// Forgets a call; whether somebody still owed it an answer.
    pub(super) fn forget(&self, id: u64) -> bool {
        self.lock().remove(&id).is_some()
    }

    /// A whole answer came.
    pub(super) fn answer(&self, id: u64, answer: LmAnswer) {
        let waiting = self.lock().remove(&id);
        match waiting.map(|waiting| waiting.waiter) {
            Some(Waiter::Thread(slot)) => slot.fill(Reply::Lm(answer)),
            Some(Waiter::Callback(callback)) => self.dispatch(callback, Piece::Answer(answer)),
            None => {}
        }
    }

    /// A piece of a stream came.
    pub(super) fn chunk(&self, id: u64, chunk: LmChunk) {
        let mut waiting = self.lock();
        let Some(Waiter::Callback(callback)) = waiting.get(&id).map(|waiting| &waiting.waiter)
        else {
            return;
        };
        let callback = Arc::clone(callback);
        if chunk.is_final {
            waiting.remove(&id);
        }
        drop(waiting);
        self.dispatch(callback, Piece::Chunk(chunk));
    }

    /// The user answered `input()`.
    pub(super) fn input(&self, id: u64, text: Option<String>) {
        self.fill(id, Reply::Input(text));
    }

    /// A tool may be called, or not.
    pub(super) fn approval(&self, id: u64, allow: bool, reason: String) {
        self.fill(id, Reply::Approval(allow, reason));
    }

    fn fill(&self, id: u64, reply: Reply) {
        let waiting = self.lock().remove(&id);
        if let Some(Waiter::Thread(slot)) = waiting.map(|waiting| waiting.waiter) {
            slot.fill(reply);
        }
    }

    /// Ends the waits that `applies` says, with `RunCancelled`.
    pub(super) fn cancel(&self, applies: impl Fn(&Waiting) -> bool) {
        let ended: Vec<Waiting> = {
            let mut waiting = self.lock();
            waiting
                .extract_if(|_, waiting| applies(waiting))
                .map(|(_, waiting)| waiting)
                .collect()
        };
        for waiting in ended {
            match waiting.waiter {
                Waiter::Thread(slot) => slot.fill(Reply::Cancelled),
                Waiter::Callback(callback) => self.dispatch(callback, Piece::Cancelled),
            }
        }
    }

    /// Wakes Python's main thread if it waits here, so that it sees a signal.
    pub(super) fn poke_main(&self) {
        for waiting in self.lock().values() {
            if let (true, Waiter::Thread(slot)) = (waiting.on_main, &waiting.waiter) {
                slot.poke();
            }
        }
    }

    /// Waits for pieces and takes all there are; for the dispatcher.
    pub(super) fn next_pieces(&self) -> VecDeque<(Arc<Py<PyAny>>, Piece)> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        while pieces.is_empty() {
            pieces = self
                .pieces_came
                .wait(pieces)
                .unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::take(&mut *pieces)
    }

    fn add(&self, run: Option<u64>, cell: Option<u64>, waiter: Waiter) -> u64 {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed) + 1;
        let on_main = super::process::is_main_thread();
        let waiting = Waiting {
            run,
            cell,
            on_main,
            waiter,
        };
        self.lock().insert(id, waiting);
        id
    }

    fn dispatch(&self, callback: Arc<Py<PyAny>>, piece: Piece) {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.push_back((callback, piece));
        drop(pieces);
        self.pieces_came.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Waits for the reply. On the main thread `None` now and then: look for
    /// signals, then wait again.
    pub(super) fn wait(&self, on_main: bool) -> Option<Reply> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if std::mem::take(&mut state.poked) {
                return None;
            }
            if let Some(reply) = state.reply.take() {
                return Some(reply);
            }
            if on_main {
                let (after, timeout) = self
                    .changed
                    .wait_timeout(state, TICK)
                    .unwrap_or_else(PoisonError::into_inner);
                state = after;
                if timeout.timed_out() && state.reply.is_none() {
                    return None;
                }
            } else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn fill(&self, reply: Reply) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.reply = Some(reply);
        drop(state);
        self.changed.notify_all();
    }

    fn poke(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.poked = true;
        drop(state);
        self.changed.notify_all();
    }
}
