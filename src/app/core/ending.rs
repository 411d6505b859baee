//! How a core ends: without its front end, at a signal's word, in good order.
//!
//! Owns no decision to end: front ends make it.

use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Backing, Core};
use crate::app::effect::Effect;
use crate::app::state::{Message, Submission};

/// How long the answers of workers that have ended may take to arrive.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

impl Core {
    /// Goes on without a front end until no run is going on, `timeout` at most.
    pub async fn run_headless(&mut self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        for effect in self.state.approvals.nobody_here() {
            self.carry_out(effect);
        }
        while self.state.busy() && !self.state.stopping {
            if self.state.input.is_some() && !self.state.approvals.somebody() {
                // Nobody can answer any more: `input()` is at the end of its file.
                let (reply, _) = oneshot::channel();
                self.dispatch(Message::Submitted(Submission {
                    operation: "reply_input".to_owned(),
                    arguments: json!({"text": null}),
                    reply,
                }));
            }
            match tokio::time::timeout_at(deadline, self.next()).await {
                Ok(message) => self.dispatch(message),
                Err(_) => break,
            }
        }
    }

    /// Asks what runs to stop, and waits for none of it: whoever was told to end
    /// has little time.
    pub fn stop_what_runs(&mut self) {
        let runs = self.state.pending.values().filter_map(|it| it.run);
        let runs: Vec<_> = runs.map(Effect::Cancel).collect();
        let cell = self.state.running_cell().map(Effect::Interrupt);
        for effect in runs.into_iter().chain(cell) {
            self.carry_out(effect);
        }
    }

    /// Stops the workers and closes the session. What runs may end within the
    /// supervisor's grace; what does not is recorded as cut off.
    pub async fn close(mut self) {
        if let Backing::Owner(owner) = &mut self.backing {
            owner.requests.shutdown().await;
            // Whatever ran has its answer now, and that is on its way here.
            let deadline = Instant::now() + LAST_ANSWERS;
            while self.state.busy() {
                match tokio::time::timeout_at(deadline, self.next()).await {
                    Ok(message) => self.dispatch(message),
                    Err(_) => break,
                }
            }
            self.drain();
        }
        if let Backing::Owner(owner) = &self.backing {
            owner.journal.close();
        }
    }
}
