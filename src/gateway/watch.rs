//! Tokens for whoever watches a run.
//!
//! While a run is watched, its plain calls are sent as streams: the tokens are shown
//! and the answer put together again ([`super::assemble`]). What is recorded is the
//! request as DSPy made it and the answer DSPy gets, so that recordings match
//! whether or not anybody watched.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

use super::call::Call;
use crate::session::event::RunId;

/// Deltas a slow watcher may lag behind; older ones are dropped for it.
pub const TOKEN_LAG: usize = 1024;

/// Text that just came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenDelta {
    /// The run of the call.
    pub run: RunId,
    /// The LM span, where the worker named it.
    pub span: Option<String>,
    /// The new text; untrusted, as all text of an LM.
    pub text: String,
}

/// Runs that are watched, with the number of those who watch each.
type Watched = HashMap<RunId, usize>;

/// Which runs are watched, and by whom.
#[derive(Debug)]
pub struct Watchers {
    watched: Arc<watch::Sender<Watched>>,
    deltas: broadcast::Sender<TokenDelta>,
    /// Hosts that refused to stream.
    plain: Mutex<HashSet<String>>,
}

impl Default for Watchers {
    fn default() -> Self {
        Self {
            watched: Arc::default(),
            deltas: broadcast::channel(TOKEN_LAG).0,
            plain: Mutex::default(),
        }
    }
}

impl Watchers {
    /// Watches a run until the answer is dropped.
    pub fn watch(&self, run: RunId) -> Watching {
        // The receiver first: a call that begins now finds somebody watching.
        let deltas = self.deltas.subscribe();
        self.watched
            .send_modify(|watched| *watched.entry(run).or_default() += 1);
        let watched = Arc::clone(&self.watched);
        Watching::new(run, deltas, move || {
            watched.send_modify(|watched| {
                let left = watched.get(&run).map_or(0, |count| count - 1);
                if left == 0 {
                    watched.remove(&run);
                } else {
                    watched.insert(run, left);
                }
            });
        })
    }

    /// The watched run of a call that should be streamed.
    pub fn wants(&self, call: &Call) -> Option<RunId> {
        let run = call.request.run?;
        let watched = !call.request.stream
            && self.watched.borrow().contains_key(&run)
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

/// The tokens of one run, for one who watches it; dropping it ends the watching.
pub struct Watching {
    run: RunId,
    deltas: broadcast::Receiver<TokenDelta>,
    release: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Watching {
    /// The deltas of `run` among these; `release` is called when it is dropped.
    pub fn new(
        run: RunId,
        deltas: broadcast::Receiver<TokenDelta>,
        release: impl FnOnce() + Send + Sync + 'static,
    ) -> Self {
        Self {
            run,
            deltas,
            release: Some(Box::new(release)),
        }
    }

    /// Waits for tokens; all that are there already come with them. Cancel-safe.
    pub async fn next(&mut self) -> Vec<TokenDelta> {
        let first = loop {
            match self.deltas.recv().await {
                Ok(delta) if delta.run == self.run => break delta,
                // Another run's; or too slow: what was missed is in the answer.
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => std::future::pending().await,
            }
        };
        let mut out = vec![first];
        out.extend(self.ready());
        out
    }

    /// The tokens that are there already.
    pub fn ready(&mut self) -> Vec<TokenDelta> {
        let mut out = Vec::new();
        loop {
            match self.deltas.try_recv() {
                Ok(delta) if delta.run == self.run => out.push(delta),
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return out,
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            release();
        }
    }
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Watching")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Watchers {
    /// Waits until somebody watches this run, or nobody does.
    pub(crate) async fn until(&self, run: RunId, watched: bool) {
        let mut changes = self.watched.subscribe();
        let reached = changes.wait_for(|now| now.contains_key(&run) == watched);
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), reached).await;
        assert!(waited.is_ok(), "watched: {watched} was never so");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(run: u64, text: &str) -> TokenDelta {
        TokenDelta {
            run: RunId(run),
            span: None,
            text: text.to_owned(),
        }
    }

    /// Each watcher gets its own run's tokens; a run is watched until its last one goes.
    #[tokio::test]
    async fn several_watch_at_once() {
        let watchers = Watchers::default();
        let (mut first, mut second) = (watchers.watch(RunId(1)), watchers.watch(RunId(1)));
        let mut other = watchers.watch(RunId(2));
        for it in [delta(1, "a"), delta(2, "b"), delta(1, "c")] {
            watchers.sender().send(it).unwrap();
        }
        assert_eq!(first.next().await, [delta(1, "a"), delta(1, "c")]);
        assert_eq!(second.ready(), [delta(1, "a"), delta(1, "c")]);
        assert_eq!(other.ready(), [delta(2, "b")]);
        drop(first);
        watchers.until(RunId(1), true).await;
        drop(second);
        watchers.until(RunId(1), false).await;
        watchers.until(RunId(2), true).await;
    }

    /// A watcher that is too slow misses tokens, and gets the newest.
    #[tokio::test]
    async fn a_slow_watcher_misses_the_oldest() {
        let watchers = Watchers::default();
        let mut watching = watchers.watch(RunId(1));
        for n in 0..=2 * TOKEN_LAG {
            watchers.sender().send(delta(1, &n.to_string())).unwrap();
        }
        let got = watching.next().await;
        assert!(got.len() <= TOKEN_LAG, "{}", got.len());
        assert_eq!(got.last(), Some(&delta(1, &(2 * TOKEN_LAG).to_string())));
    }
}
