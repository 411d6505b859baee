//! Which runs have calls under way, and which were cancelled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::session::event::RunId;

type Table = Mutex<HashMap<RunId, (CancellationToken, usize)>>;

/// Runs by id. A run is forgotten with its last call, unless it was cancelled.
#[derive(Debug, Default)]
pub struct Runs {
    table: Arc<Table>,
}

/// A call's stay in its run; dropping it leaves.
#[derive(Debug)]
pub struct Stay {
    table: Arc<Table>,
    run: Option<RunId>,
    token: CancellationToken,
}

impl Runs {
    /// Enters a call; calls without a run cannot be cancelled.
    pub fn enter(&self, run: Option<RunId>) -> Stay {
        let token = match run {
            None => CancellationToken::new(),
            Some(run) => {
                let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
                let entry = table.entry(run).or_default();
                entry.1 += 1;
                entry.0.clone()
            }
        };
        Stay {
            table: Arc::clone(&self.table),
            run,
            token,
        }
    }

    /// Cancels every call of a run, those to come included.
    pub fn cancel(&self, run: RunId) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.entry(run).or_default().0.cancel();
    }
}

impl Stay {
    /// Waits until the run is cancelled.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let Some(run) = self.run else { return };
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = table.get_mut(&run) {
            entry.1 = entry.1.saturating_sub(1);
            if entry.1 == 0 && !entry.0.is_cancelled() {
                table.remove(&run);
            }
        }
    }
}
