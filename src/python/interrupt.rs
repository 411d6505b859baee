//! Which cell runs on the main thread, and so what an interrupt may hit.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::gate::Gate;
use super::process;

/// The running cell and the cancelled runs.
#[derive(Debug, Default)]
pub(super) struct Interrupts {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Cell and run on the main thread.
    current: Option<(u64, u64)>,
    cancelled: HashSet<u64>,
}

impl Interrupts {
    /// A cell begins on the main thread.
    pub(super) fn cell_began(&self, cell: u64, run: u64) {
        self.lock().current = Some((cell, run));
    }

    /// It ended: no further signal will be sent for it.
    pub(super) fn cell_ended(&self) {
        self.lock().current = None;
    }

    /// Stops a cell softly, if it is the one that runs: a signal for Python's
    /// main thread, then its waiter, then the waits of the cell's other threads.
    pub(super) fn interrupt(&self, cell: u64, gate: &Gate) {
        let state = self.lock();
        if state.current.is_none_or(|(current, _)| current != cell) {
            return;
        }
        // Under the lock, so that the signal cannot fall behind `cell_ended`.
        process::interrupt_main();
        drop(state);
        gate.poke_main();
        gate.cancel(|waiting| waiting.cell == Some(cell) && !waiting.on_main);
    }

    /// Cancels a run: its waits end now, its later calls do not begin.
    pub(super) fn cancel(&self, run: u64, gate: &Gate) {
        let mut state = self.lock();
        state.cancelled.insert(run);
        let on_main = state.current.is_some_and(|(_, current)| current == run);
        if on_main {
            process::interrupt_main();
        }
        drop(state);
        if on_main {
            gate.poke_main();
        }
        gate.cancel(|waiting| waiting.run == Some(run) && !(on_main && waiting.on_main));
    }

    /// Whether a run was cancelled.
    pub(super) fn is_cancelled(&self, run: u64) -> bool {
        self.lock().cancelled.contains(&run)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
