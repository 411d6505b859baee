//! Pausing and continuing runs.
//!
//! A paused run is held at the gateway: calls under way end, the next ones wait
//! there. Nothing in the worker stops, so nothing has to be started again, and no
//! slot of a profile's limits is taken. Owns which run is meant; does not hold calls.

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::OperationResult;
use super::effect::Effect;
use super::state::State;
use crate::protocol::error::OperationError;
use crate::session::event::{EventBody, RunId, Scope};

/// Pauses a run, or continues it; without a number the newest that can be.
pub(super) fn hold(
    state: &State,
    arguments: &Map<String, Value>,
    paused: bool,
    reply: oneshot::Sender<OperationResult>,
) -> Vec<Effect> {
    let is_paused = |run: &RunId| state.session.runs.get(run).is_some_and(|it| it.paused);
    let mut going = state.pending.values().filter_map(|pending| pending.run);
    let found = match arguments.get("run").and_then(Value::as_u64).map(RunId) {
        Some(wanted) => going
            .find(|run| *run == wanted)
            .ok_or_else(|| not_going(wanted)),
        None => going
            .filter(|run| is_paused(run) != paused)
            .max()
            .ok_or_else(|| none(paused)),
    };
    let run = match found {
        Ok(run) => run,
        Err(error) => return vec![Effect::Reply(reply, Err(error))],
    };
    let mut effects = Vec::new();
    if is_paused(&run) != paused {
        let scope = Scope {
            run: Some(run),
            cell: state.session.runs.get(&run).and_then(|run| run.cell),
        };
        let body = if paused {
            EventBody::RunPaused {}
        } else {
            EventBody::RunContinued {}
        };
        effects.push(Effect::Append(scope, Box::new(body)));
        effects.push(Effect::Hold(run, paused));
    }
    let answer = json!({"run": run.0, "paused": paused});
    effects.push(Effect::Reply(reply, Ok(answer)));
    effects
}

fn not_going(run: RunId) -> OperationError {
    OperationError::invalid("not_running", format!("run {} does not run", run.0))
        .hint("`:runs` lists the runs and how they stand")
}

fn none(paused: bool) -> OperationError {
    let sentence = if paused {
        "no run is going on"
    } else {
        "no run is paused"
    };
    OperationError::invalid("not_running", sentence)
}
