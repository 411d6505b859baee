//! What the core knows and what can happen to it.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::OperationResult;
use super::approvals::Approvals;
use super::health::{Held, Memory};
use super::socket::News;
use crate::gateway::{Gateway, profiles};
use crate::operation::Operation;
use crate::protocol::error::OperationError;
use crate::protocol::message::ApprovalRequest;
use crate::session::event::{CellId, Event, LmProfile, RunId, Scope};
use crate::session::state::SessionState;
use crate::worker::ApprovalReply;

pub use crate::session::SaveStatus;

/// An operation on its way in.
#[derive(Debug)]
pub struct Submission {
    /// A name of the table of operations.
    pub operation: String,
    /// Its arguments; checked against the table by [`super::update()`].
    pub arguments: Value,
    /// Where the answer goes.
    pub reply: oneshot::Sender<OperationResult>,
}

/// Everything that can happen to the core.
#[derive(Debug)]
pub enum Message {
    /// A front end wants something done.
    Submitted(Submission),
    /// The journal wrote an event: apply it.
    Journalled(Arc<Event>),
    /// The kernel answered, or died over, a request.
    Answered {
        /// Key of [`State::pending`].
        ticket: u64,
        /// What it said.
        result: OperationResult,
        /// From asking to answering.
        duration_ms: f64,
    },
    /// What a `:command` stands for was done.
    CommandDone {
        /// The cell it is recorded as.
        cell: CellId,
        /// The operation.
        operation: String,
        /// How it ended.
        result: OperationResult,
        /// How long it took.
        duration_ms: f64,
        /// Where the answer goes.
        reply: oneshot::Sender<OperationResult>,
    },
    /// A running cell calls `input()`.
    InputWanted(InputWanted),
    /// A tool that asks is about to be called.
    ApprovalWanted(ApprovalRequest, ApprovalReply),
    /// It was answered, or nobody waits for it any more.
    ApprovalWithdrawn(u64),
    /// Somebody came to the screen of another process.
    FollowerCame,
    /// They left it.
    FollowerLeft,
    /// A worker took the kernel's place.
    KernelReplaced,
    /// What the workers hold was read.
    MemoryRead(Vec<Held>),
    /// Whether events reach the disk changed.
    SaveChanged(SaveStatus),
    /// The process that holds the session told something.
    Remote(News),
    /// The process that held the session ended.
    RemoteGone,
}

/// What front ends read. Changed by [`super::update()`] only.
#[derive(Debug, Default)]
pub struct State {
    /// The session: a fold over its events.
    pub session: SessionState,
    /// The session's id; empty when it is not kept.
    pub session_id: String,
    /// Whether events reach the disk.
    pub save: SaveStatus,
    /// What the workers hold, as last read.
    pub memory: Memory,
    /// A running cell waits for `input()`.
    pub input: Option<InputWanted>,
    /// Calls of tools that wait for a person.
    pub approvals: Approvals,
    /// Requests the kernel has not answered.
    pub pending: HashMap<u64, Pending>,
    /// `:commands` whose end is not recorded yet.
    pub commands: usize,
    /// A front end asked to end.
    pub stopping: bool,
    /// Where calls go; asked only for what it knows without waiting.
    pub gateway: Option<Gateway>,
    /// Ids handed out so far; ahead of the session while events are on their way.
    pub issued: Issued,
}

/// Ids handed out so far.
#[derive(Debug, Default, Clone, Copy)]
pub struct Issued {
    /// Runs.
    pub runs: u64,
    /// Cells.
    pub cells: u64,
    /// Requests to the kernel.
    pub tickets: u64,
    /// Calls of `input()`.
    pub inputs: u64,
}

/// A request the kernel has not answered.
#[derive(Debug)]
pub struct Pending {
    /// What was asked.
    pub operation: &'static Operation,
    /// The run it is recorded as.
    pub run: Option<RunId>,
    /// The cell it runs.
    pub cell: Option<CellId>,
    /// The name its result is to be kept under.
    pub keep_as: Option<String>,
    /// Where the answer goes; `None` for requests of the core's own.
    pub reply: Option<oneshot::Sender<OperationResult>>,
}

/// A cell's call of `input()` or `getpass()`; answered by the operation
/// `reply_input {text}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputWanted {
    /// Its number, from 1; the core's.
    pub id: u64,
    /// The cell that asks.
    pub cell: CellId,
    /// Text to show.
    pub prompt: String,
    /// Do not echo.
    pub password: bool,
}

impl State {
    /// A state that goes on from a session read back from disk.
    pub fn resuming(session_id: String, session: SessionState) -> Self {
        let issued = Issued {
            runs: session.next_run().0 - 1,
            cells: session.next_cell().0 - 1,
            ..Issued::default()
        };
        Self {
            session,
            session_id,
            issued,
            ..Self::default()
        }
    }

    /// Makes an LM profile of `configure_lm` arguments.
    ///
    /// # Errors
    /// As [`profiles::build`].
    pub fn build_profile(
        &self,
        arguments: &Map<String, Value>,
    ) -> Result<LmProfile, OperationError> {
        match &self.gateway {
            Some(gateway) => gateway.build_profile(arguments),
            None => profiles::build(arguments, |_| false, |_| None),
        }
    }

    /// The number of the next run.
    pub fn issue_run(&mut self) -> RunId {
        self.issued.runs += 1;
        RunId(self.issued.runs)
    }

    /// The number of the next cell.
    pub fn issue_cell(&mut self) -> CellId {
        self.issued.cells += 1;
        CellId(self.issued.cells)
    }

    /// The number of the next request.
    pub fn issue_ticket(&mut self) -> u64 {
        self.issued.tickets += 1;
        self.issued.tickets
    }

    /// Whether a run or a `:command` is going on that closing would cut off.
    pub fn busy(&self) -> bool {
        self.commands > 0 || self.pending.values().any(|pending| pending.run.is_some())
    }

    /// The cell that is running: the one handed over first.
    pub fn running_cell(&self) -> Option<CellId> {
        self.running_scope().and_then(|scope| scope.cell)
    }

    /// The cell that is running, with its run.
    pub fn running_scope(&self) -> Option<Scope> {
        let cells = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.cell.is_some());
        let (_, oldest) = cells.min_by_key(|(ticket, _)| **ticket)?;
        Some(Scope {
            run: oldest.run,
            cell: oldest.cell,
        })
    }
}
