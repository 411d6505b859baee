//! Approvals: calls of tools that wait for a person. One queue for all runs.
//!
//! A waiting call is a hold: no clock runs for it, and cancelling its run ends it. Every
//! window of the session is asked, that of another process too; the first answer holds.

use std::collections::{HashSet, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::effect::Effect;
use super::state::State;
use super::{InputWanted, OperationResult};
use crate::protocol::error::OperationError;
use crate::protocol::message::ApprovalRequest;
use crate::session::event::{Approval, RunId};
use crate::worker::ApprovalReply;

/// Decisions that are remembered, for those who come too late.
const REMEMBERED: usize = 64;

/// What the core knows of approvals.
#[derive(Debug, Default)]
pub struct Approvals {
    /// Somebody can be asked at a front end of this process.
    pub interactive: bool,
    /// Calls that wait, oldest first.
    pub waiting: Vec<Waiting>,
    /// What was decided, newest last.
    decided: VecDeque<Decided>,
    /// Screens of other processes at which somebody can be asked.
    followers: usize,
    issued: u64,
    /// Counts changes of what waits.
    revision: u64,
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
    /// The way back, in the process whose worker waits.
    reply: Option<ApprovalReply>,
}

/// How a call that waited was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Its number.
    pub id: u64,
    /// The tool.
    pub tool: String,
    /// Whether it may be called.
    pub allowed: bool,
}

impl Decided {
    /// As said to who did not decide it.
    pub fn sentence(&self) -> String {
        let how = if self.allowed { "allowed" } else { "refused" };
        format!("`{}` was {how} in another window", self.tool)
    }
}

impl Waiting {
    /// A call that waits in another process.
    pub fn elsewhere(id: u64, wanted: ApprovalRequest) -> Self {
        Self {
            id,
            wanted,
            reply: None,
        }
    }
}

impl Approvals {
    /// The call that has waited longest.
    pub fn first(&self) -> Option<&Waiting> {
        self.waiting.first()
    }

    /// How the call with this number was answered.
    pub fn decision(&self, id: u64) -> Option<&Decided> {
        self.decided.iter().find(|decided| decided.id == id)
    }

    /// Whether anybody can be asked.
    pub fn somebody(&self) -> bool {
        self.interactive || self.followers > 0
    }

    /// Nobody waits for this one any more.
    pub(super) fn withdrawn(&mut self, id: u64) {
        self.waiting.retain(|waiting| waiting.id != id);
        self.revision += 1;
    }

    /// Nobody can be asked in this process from here on.
    pub(super) fn nobody_here(&mut self) -> Vec<Effect> {
        self.interactive = false;
        self.refuse_unasked()
    }

    /// Somebody came to the screen of another process, or left it.
    pub(super) fn follower(&mut self, came: bool) -> Vec<Effect> {
        self.followers = if came {
            self.followers + 1
        } else {
            self.followers.saturating_sub(1)
        };
        self.refuse_unasked()
    }

    /// Where nobody can be asked any more, what waits is refused.
    fn refuse_unasked(&mut self) -> Vec<Effect> {
        if self.somebody() {
            return Vec::new();
        }
        self.revision += 1;
        let refuse = |waiting: Waiting| {
            let reason = nobody(&waiting.wanted.tool);
            Some(Effect::AnswerApproval(waiting.reply?, false, reason))
        };
        self.waiting.drain(..).filter_map(refuse).collect()
    }

    fn ask(&mut self, wanted: ApprovalRequest, reply: ApprovalReply) -> Effect {
        self.issued += 1;
        self.revision += 1;
        let id = self.issued;
        let effect = Effect::WatchApproval(id, reply.withdrawn());
        self.waiting.push(Waiting {
            id,
            wanted,
            reply: Some(reply),
        });
        effect
    }

    fn remember(&mut self, id: u64, tool: &str, allowed: bool) {
        if self.decided.len() == REMEMBERED {
            self.decided.pop_front();
        }
        self.decided.push_back(Decided {
            id,
            tool: tool.to_owned(),
            allowed,
        });
    }
}

/// What waits for a person, and how the last were answered: what no event says, as
/// other processes are told it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Numbers and wishes of the calls that wait.
    pub(super) approvals: Vec<(u64, ApprovalRequest)>,
    /// How the last were answered.
    pub(super) decided: VecDeque<Decided>,
    /// A cell's call of `input()`.
    pub(super) input: Option<InputWanted>,
    /// Of the state it was made of.
    #[serde(skip)]
    pub(super) revision: u64,
}

impl Asked {
    /// As it is in this state.
    pub(super) fn of(state: &State) -> Self {
        let approvals = &state.approvals;
        let waiting = approvals.waiting.iter();
        Self {
            approvals: waiting.map(|it| (it.id, it.wanted.clone())).collect(),
            decided: approvals.decided.clone(),
            input: state.input.clone(),
            revision: approvals.revision,
        }
    }

    /// Whether it is still as in this state.
    pub(super) fn is_of(&self, state: &State) -> bool {
        self.revision == state.approvals.revision && self.input == state.input
    }

    /// Puts it into the state of a process that follows.
    pub(super) fn take_over(self, state: &mut State) {
        let waiting = self.approvals.into_iter();
        let waiting = waiting.map(|(id, wanted)| Waiting::elsewhere(id, wanted));
        state.approvals.waiting = waiting.collect();
        state.approvals.decided = self.decided;
        state.input = self.input;
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
        _ if !state.approvals.somebody() => {
            vec![Effect::AnswerApproval(reply, false, nobody(&wanted.tool))]
        }
        _ => vec![state.approvals.ask(wanted, reply)],
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
        if let Some(decided) = id.and_then(|id| approvals.decision(id)) {
            let error = OperationError::invalid("already_answered", decided.sentence());
            return (Vec::new(), Err(error));
        }
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
    approvals.revision += 1;
    for waiting in &decided {
        approvals.remember(waiting.id, &tool, allow);
    }
    let result = json!({"tool": tool, "allowed": allow, "calls": decided.len()});
    let effects = decided.into_iter().filter_map(|waiting| {
        let reason = if allow {
            String::new()
        } else {
            format!("the user refused `{tool}`")
        };
        Some(Effect::AnswerApproval(waiting.reply?, allow, reason))
    });
    (effects.collect(), Ok(result))
}

fn nobody(tool: &str) -> String {
    format!(
        "`{tool}` asks before each call, and nobody can be asked here; \
         `set_tool_approval {{\"name\": \"{tool}\", \"approval\": \"allow\"}}` allows it"
    )
}
