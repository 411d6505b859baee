//! Which runs have calls under way, which were cancelled, and which are held.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::session::event::RunId;

type Table = Mutex<HashMap<RunId, Entry>>;

/// Runs by id. A run is forgotten with its last call, unless it was cancelled or is
/// held.
#[derive(Debug, Default)]
pub struct Runs {
    table: Arc<Table>,
}

#[derive(Debug, Default)]
struct Entry {
    cancelled: CancellationToken,
    held: watch::Sender<bool>,
    calls: usize,
}

/// A call's stay in its run; dropping it leaves.
#[derive(Debug)]
pub struct Stay {
    table: Arc<Table>,
    run: Option<RunId>,
    token: CancellationToken,
    held: Option<watch::Receiver<bool>>,
}

impl Runs {
    /// Enters a call; calls without a run can be neither cancelled nor held.
    pub fn enter(&self, run: Option<RunId>) -> Stay {
        let (token, held) = match run {
            None => (CancellationToken::new(), None),
            Some(run) => {
                let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
                let entry = table.entry(run).or_default();
                entry.calls += 1;
                (entry.cancelled.clone(), Some(entry.held.subscribe()))
            }
        };
        Stay {
            table: Arc::clone(&self.table),
            run,
            token,
            held,
        }
    }

    /// Cancels every call of a run, those to come and those held included.
    pub fn cancel(&self, run: RunId) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.entry(run).or_default().cancelled.cancel();
    }

    /// Holds calls of a run that come from now on, or lets them go.
    pub fn hold(&self, run: RunId, held: bool) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = table.entry(run).or_default();
        entry.held.send_replace(held);
        if entry.is_idle() {
            table.remove(&run);
        }
    }
}

impl Entry {
    /// Nothing has to be known of it any more.
    fn is_idle(&self) -> bool {
        self.calls == 0 && !self.cancelled.is_cancelled() && !*self.held.borrow()
    }
}

impl Stay {
    /// Waits until the run is cancelled.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Waits while the run is held.
    pub async fn let_go(&self) {
        if let Some(held) = &self.held {
            // The sender lives as long as the run has calls.
            let _ = held.clone().wait_for(|held| !held).await;
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let Some(run) = self.run else { return };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = table.get_mut(&run) {
            entry.calls = entry.calls.saturating_sub(1);
            if entry.is_idle() {
                table.remove(&run);
            }
        }
    }
}
