//! What [`super::update()`] wants done, as data. Only [`super::core::Core`] does it.

use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{OperationResult, telemetry};
use crate::protocol::message::Request;
use crate::session::audit::Fact;
use crate::session::event::{CellId, Document, EventBody, LmProfile, ProgramDef, RunId, Scope};
use crate::worker::{ApprovalReply, PoolRole};

/// One thing to do.
#[derive(Debug)]
pub enum Effect {
    /// Write an event.
    Append(Scope, Box<EventBody>),
    /// Ask a worker; its answer comes back as `Message::Answered`.
    Ask {
        /// Key of the pending request.
        ticket: u64,
        /// What to ask.
        request: Box<Request>,
        /// The profile to run it under.
        lm: Option<String>,
        /// The pool whose job it is; `None` where it is the kernel's own.
        pool: Option<PoolRole>,
    },
    /// Give a caller its answer.
    Reply(oneshot::Sender<OperationResult>, OperationResult),
    /// Tell the gateway which profiles there are.
    SyncProfiles,
    /// Stop the running cell softly.
    Interrupt(CellId),
    /// Cancel a run's waits in worker and gateway.
    Cancel(RunId),
    /// Hold a run's calls at the gateway, or let them go.
    Hold(RunId, bool),
    /// Answer `input()`.
    ReplyInput(Option<String>),
    /// Let a tool be called, or tell why not.
    AnswerApproval(ApprovalReply, bool, String),
    /// Say so (`Message::ApprovalWithdrawn`) when nobody waits for it any more.
    WatchApproval(u64, CancellationToken),
    /// End the kernel and start a fresh one.
    RestartKernel(oneshot::Sender<OperationResult>),
    /// End the workers of the pools; fresh ones come when they are wanted.
    RestartPools(oneshot::Sender<OperationResult>),
    /// Read a recorded body from the blob pack.
    ReadDocument(Document, oneshot::Sender<OperationResult>),
    /// List the sessions on disk.
    ListSessions(oneshot::Sender<OperationResult>),
    /// Compare two sessions on disk.
    CompareSessions([String; 2], oneshot::Sender<OperationResult>),
    /// Look for LM servers on this machine, on these ports too.
    FindLms(Vec<u16>, oneshot::Sender<OperationResult>),
    /// Ask this profile's server for its models.
    ListModels(Box<LmProfile>, oneshot::Sender<OperationResult>),
    /// Answer how workers are, adding it to this object.
    Health(Value, oneshot::Sender<OperationResult>),
    /// Do what a `:command` stands for; it comes back as `Message::CommandDone`.
    Command {
        /// The cell it is recorded as.
        cell: CellId,
        /// The operation.
        operation: String,
        /// Its arguments.
        arguments: Value,
        /// Where the answer goes.
        reply: oneshot::Sender<OperationResult>,
    },
    /// Bind what an optimizer made to its name in the notebook.
    Adopt(Box<ProgramDef>),
    /// Write a line of the audit log.
    Audit(RunId, Box<Fact>),
    /// Answer entries of the audit log.
    ReadAudit(Map<String, Value>, oneshot::Sender<OperationResult>),
    /// Answer what the caches hold, or clear them.
    Cache {
        /// Whether they are to be cleared.
        clear: bool,
        /// Where the answer goes.
        reply: oneshot::Sender<OperationResult>,
    },
    /// Check the audit log.
    VerifyAudit(oneshot::Sender<OperationResult>),
    /// Send spans to a collector.
    ExportOtlp(telemetry::Wanted, oneshot::Sender<OperationResult>),
    /// Stop the workers, close the session.
    Stop(oneshot::Sender<OperationResult>),
}
