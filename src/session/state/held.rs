//! What a state holds of a long session: the log has all of it, memory has its bounds.
//!
//! Owns which spans, and exchanges with them, are left to the log: those of the oldest
//! runs that have ended, and the later ones of a run that is very long.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, mpsc};

use super::{Run, SessionState, Span};
use crate::session::event::{RunId, RunKind, RunStatus};

/// Spans of all runs together; a tenth more before any go, so that few looks are needed.
const SPANS: usize = 20_000;

/// Spans of one run: the newest may have more than all together may.
const OF_RUN: usize = 40_000;

/// Spans of a batch, which may have millions.
const OF_BATCH: usize = 10_000;

/// What is counted for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    spans: usize,
    /// Exchanges went as well.
    let_go: bool,
    /// Nothing is to go.
    all: bool,
}

impl SessionState {
    /// A state that lets nothing go, to be read from a log once.
    pub fn that_holds_all() -> Self {
        let all = true;
        Self {
            held: Held {
                all,
                ..Held::default()
            },
            ..Self::default()
        }
    }

    /// Whether exchanges were let go: then the log alone has all.
    pub fn has_let_go(&self) -> bool {
        self.held.let_go
    }

    /// Whether further spans of this run are left to the log.
    pub(super) fn is_full(&self, run: RunId) -> bool {
        let full = |run: &Arc<Run>| {
            let most = match run.kind {
                RunKind::Batch => OF_BATCH,
                _ => OF_RUN,
            };
            run.spans.len() >= most
        };
        !self.held.all && self.runs.get(&run).is_some_and(full)
    }

    /// Leaves a span of a full run to the log.
    pub(super) fn leave(&mut self, run: RunId, with_exchanges: bool) {
        if let Some(run) = self.run_mut(run) {
            run.left += 1;
        }
        self.held.let_go |= with_exchanges;
    }

    /// Leaves an exchange to the log.
    pub(super) fn let_exchanges_go(&mut self) {
        self.held.let_go = true;
    }

    /// After a span of this run was added: lets those of the oldest runs go that have
    /// ended, where there are too many.
    pub(super) fn make_room(&mut self, newest: RunId) {
        self.held.spans += 1;
        if self.held.all || self.held.spans <= SPANS + SPANS / 10 {
            return;
        }
        for (id, run) in &mut self.runs {
            if self.held.spans <= SPANS {
                break;
            }
            if *id == newest || run.spans.is_empty() || run.status == RunStatus::Running {
                continue;
            }
            let run = Arc::make_mut(run);
            let gone = std::mem::take(&mut run.spans);
            let places = std::mem::take(&mut run.span_places);
            run.left += gone.len();
            self.held.spans -= gone.len();
            self.held.let_go = true;
            free_elsewhere((gone, places));
        }
    }
}

/// The spans of a run, and where each is.
type Gone = (Vec<Arc<Span>>, HashMap<String, usize>);

/// Frees thousands of spans on a thread of its own: it takes milliseconds, in which
/// the caller has screens to draw and calls to pass on.
fn free_elsewhere(gone: Gone) {
    static FREEING: OnceLock<Option<mpsc::Sender<Gone>>> = OnceLock::new();
    let thread = FREEING.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Gone>();
        let thread = std::thread::Builder::new().name("dspex-freeing".to_owned());
        let started = thread.spawn(move || receiver.into_iter().for_each(drop));
        started.is_ok().then_some(sender)
    });
    // Without the thread it is freed here.
    let _ = thread.as_ref().map(|thread| thread.send(gone));
}

/// Whether nothing is left to the log: most runs, whose JSON says nothing of it.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(super) fn is_none(left: &usize) -> bool {
    *left == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::event::{Event, EventBody, SpanItem};

    /// Runs of so many spans each, one after the other.
    fn lived(mut state: SessionState, runs: u64, spans: u64) -> SessionState {
        let tell = |state: &mut SessionState, run: u64, body: EventBody| {
            state.apply(&Event {
                seq: state.seq + 1,
                time_ms: 0,
                mono_ns: 0,
                run: Some(RunId(run)),
                cell: None,
                body,
                chain: String::new(),
            });
        };
        for run in 1..=runs {
            tell(&mut state, run, serde_json::from_value(serde_json::json!({"kind": "run_started", "d": {"run_kind": "operation", "title": "t"}})).unwrap());
            for span in 0..spans {
                let id = format!("{run}-{span}");
                let start: SpanItem = serde_json::from_value(serde_json::json!({"span": "start", "id": id, "kind": "lm", "name": "m", "ns": span})).unwrap();
                tell(&mut state, run, EventBody::Spans { items: vec![start] });
            }
            tell(&mut state, run, serde_json::from_value(serde_json::json!({"kind": "run_finished", "d": {"status": "ok", "duration_ms": 1.0}})).unwrap());
        }
        state
    }

    #[test]
    fn the_oldest_runs_go_and_say_how_much_they_had() {
        let state = lived(SessionState::default(), 30, 1000);
        let held: usize = state.runs.values().map(|run| run.spans.len()).sum();
        let left: usize = state.runs.values().map(|run| run.left).sum();
        assert!((SPANS..=SPANS + SPANS / 10).contains(&held), "{held}");
        assert_eq!(held + left, 30_000);
        assert_eq!(state.runs[&RunId(1)].left, 1000);
        assert_eq!(state.runs[&RunId(30)].spans.len(), 1000);
        assert!(state.has_let_go());
        let whole = lived(SessionState::that_holds_all(), 30, 1000);
        assert!(whole.runs.values().all(|run| run.spans.len() == 1000));
    }

    #[test]
    fn a_very_long_run_is_left_to_the_log_in_part() {
        let state = lived(SessionState::default(), 1, OF_RUN as u64 + 5);
        let run = &state.runs[&RunId(1)];
        assert_eq!((run.spans.len(), run.left), (OF_RUN, 5));
    }
}
