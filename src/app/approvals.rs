//! Approvals: calls of tools that wait for a person. One queue for all runs.
//!
//! A waiting call is a hold: no clock runs for it, and cancelling its run ends it.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::OperationResult;
use super::effect::Effect;
use super::state::State;
use crate::protocol::error::OperationError;
use crate::protocol::message::ApprovalRequest;
use crate::session::event::{Approval, RunId};
use crate::worker::ApprovalReply;

/// What the core knows of approvals.
#[derive(Debug, Default)]
pub struct Approvals {
    /// Somebody can be asked.
    pub interactive: bool,
    /// Calls that wait, oldest first.
    pub waiting: Vec<Waiting>,
    issued: u64,
    /// What was allowed for the rest of a run.
    allowed: HashSet<(RunId, String)>,
}

/// A call that waits.
#[derive(Debug)]
pub struct Waiting {
    /// Its number, from 1.
    pub id: u64,
    /// What is to be called.
    pub wanted: ApprovalRequest,
    reply: ApprovalReply,
}

impl Approvals {
    /// The call that has waited longest.
    pub fn first(&self) -> Option<&Waiting> {
        self.waiting.first()
    }

    /// The number that the next call gets.
    pub(super) fn next_id(&mut self) -> u64 {
        self.issued += 1;
        self.issued
    }

    /// Nobody waits for this one any more.
    pub(super) fn withdrawn(&mut self, id: u64) {
        self.waiting.retain(|waiting| waiting.id != id);
    }

    /// Nobody can be asked from here on: what waits is refused.
    pub(super) fn nobody_here(&mut self) -> Vec<Effect> {
        self.interactive = false;
        let refuse = |waiting: Waiting| {
            Effect::AnswerApproval(waiting.reply, false, nobody(&waiting.wanted.tool))
        };
        self.waiting.drain(..).map(refuse).collect()
    }
}

/// A tool is about to be called.
pub(super) fn wanted(
    state: &mut State,
    wanted: ApprovalRequest,
    reply: ApprovalReply,
) -> Vec<Effect> {
    let policy = state
        .session
        .tools
        .get(&wanted.tool)
        .map(|tool| tool.approval);
    let in_run = wanted.run.map(|run| (run, wanted.tool.clone()));
    let for_run = in_run.is_some_and(|key| state.approvals.allowed.contains(&key));
    match policy {
        Some(Approval::Deny) => {
            let reason = format!("`{}` is denied", wanted.tool);
            vec![Effect::AnswerApproval(reply, false, reason)]
        }
        Some(Approval::Allow) => vec![Effect::AnswerApproval(reply, true, String::new())],
        _ if for_run => vec![Effect::AnswerApproval(reply, true, String::new())],
        _ if !state.approvals.interactive => {
            vec![Effect::AnswerApproval(reply, false, nobody(&wanted.tool))]
        }
        _ => {
            let id = state.approvals.next_id();
            let effect = Effect::WatchApproval(id, reply.withdrawn());
            state.approvals.waiting.push(Waiting { id, wanted, reply });
            vec![effect]
        }
    }
}

/// A person decided; answers what is to be done and the operation's result.
pub(super) fn answer(
    state: &mut State,
    arguments: &Map<String, Value>,
) -> (Vec<Effect>, OperationResult) {
    let approvals = &mut state.approvals;
    let id = arguments.get("id").and_then(Value::as_u64);
    let place = match id {
        None => (!approvals.waiting.is_empty()).then_some(0),
        Some(id) => approvals
            .waiting
            .iter()
            .position(|waiting| waiting.id == id),
    };
    let Some(place) = place else {
        let error = OperationError::invalid("nothing_waits", "no call waits for approval")
            .hint("`set_tool_approval` says what happens to later ones");
        return (Vec::new(), Err(error));
    };
    let decision = arguments
        .get("decision")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let chosen = approvals.waiting.remove(place);
    let (run, tool) = (chosen.wanted.run, chosen.wanted.tool.clone());
    let allow = decision != "deny";
    let mut decided = vec![chosen];
    if let (true, Some(run)) = (decision == "allow_run", run) {
        approvals.allowed.insert((run, tool.clone()));
        let same =
            |waiting: &mut Waiting| waiting.wanted.run == Some(run) && waiting.wanted.tool == tool;
        decided.extend(approvals.waiting.extract_if(.., same));
    }
    let result = json!({"tool": tool, "allowed": allow, "calls": decided.len()});
    let effects = decided.into_iter().map(|waiting| {
        let reason = if allow {
            String::new()
        } else {
            format!("the user refused `{tool}`")
        };
        Effect::AnswerApproval(waiting.reply, allow, reason)
    });
    (effects.collect(), Ok(result))
}

fn nobody(tool: &str) -> String {
    format!(
        "`{tool}` asks before each call, and nobody can be asked here; \
         `set_tool_approval {{\"name\": \"{tool}\", \"approval\": \"allow\"}}` allows it"
    )
}
