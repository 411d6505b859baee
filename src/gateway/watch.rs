//! Tokens for whoever watches a run.
//!
//! While a run is watched, its plain calls are sent as streams: the tokens are shown
//! and the answer put together again ([`super::assemble`]). What is recorded is the
//! request as DSPy made it and the answer DSPy gets, so that recordings match
//! whether or not anybody watched.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::broadcast;

use super::call::Call;
use crate::session::event::RunId;

/// Deltas a slow watcher may lag behind; older ones are dropped for it.
const LAG: usize = 1024;

/// Text that just came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDelta {
    /// The run of the call.
    pub run: RunId,
    /// The LM span, where the worker named it.
    pub span: Option<String>,
    /// The new text; untrusted, as all text of an LM.
    pub text: String,
}

/// Which run is watched, and by whom.
#[derive(Debug)]
pub struct Watchers {
    /// A run id; 0 is none.
    run: AtomicU64,
    deltas: broadcast::Sender<TokenDelta>,
    /// Hosts that refused to stream.
    plain: Mutex<HashSet<String>>,
}

impl Default for Watchers {
    fn default() -> Self {
        Self {
            run: AtomicU64::new(0),
            deltas: broadcast::channel(LAG).0,
            plain: Mutex::default(),
        }
    }
}

impl Watchers {
    /// Watches one run, or none.
    pub fn watch(&self, run: Option<RunId>) {
        self.run
            .store(run.map_or(0, |run| run.0), Ordering::Relaxed);
    }

    /// A receiver of every delta from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<TokenDelta> {
        self.deltas.subscribe()
    }

    /// The watched run of a call that should be streamed.
    pub fn wants(&self, call: &Call) -> Option<RunId> {
        let run = call.request.run?;
        let watched = run.0 == self.run.load(Ordering::Relaxed)
            && self.deltas.receiver_count() > 0
            && !call.request.stream
            && !self.plain().contains(&call.host());
        watched.then_some(run)
    }

    /// Remembers that a host does not stream.
    pub fn give_up(&self, host: String) {
        self.plain().insert(host);
    }

    /// Where deltas go.
    pub fn sender(&self) -> broadcast::Sender<TokenDelta> {
        self.deltas.clone()
    }

    fn plain(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
