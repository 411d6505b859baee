//! What the supervisor asks of the core, and the handle of an LM request.

use std::sync::Arc;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::outbox::Outbox;
use crate::protocol::error::OperationError;
use crate::protocol::message::{
    ApprovalRequest, LmAnswer, LmChunk, LmRequest, Ready, Request, ToWorker, TransportFailure,
    WorkerHello,
};
use crate::session::event::{CellId, NameInfo, Output, Progress, RunId, SpanItem, WorkerReport};

/// The core, seen from its workers. Every method is called on a connection's
/// task, in the order in which things were said, and must not block.
pub trait Host: Send + Sync + 'static {
    /// A worker wants this LM request sent. Answer through `answer`, any time.
    fn lm_request(self: Arc<Self>, worker: u32, request: LmRequest, answer: LmReply);

    /// A worker wants to know whether a tool may be called. An answer that is dropped
    /// means that it may not.
    fn approval(&self, _wanted: ApprovalRequest, _answer: ApprovalReply) {}

    /// A worker said something nobody asked for.
    fn event(&self, worker: u32, event: WorkerEvent);

    /// A worker was born, got ready, died or will not come.
    fn worker_changed(&self, report: WorkerReport);

    /// Text on a worker's descriptor 1 or 2: whole lines, or a piece of a long one.
    fn output(&self, worker: u32, stderr: bool, text: &str);

    /// This worker is the kernel from now on; `replaces` tells that another one
    /// was it before. What is returned (`restore`, usually) is sent before
    /// anything else.
    fn kernel_began(&self, _worker: u32, _replaces: bool) -> Option<Request> {
        None
    }

    /// The answer to what [`Host::kernel_began`] returned.
    fn kernel_restored(&self, _worker: u32, _answer: Result<Value, OperationError>) {}
}

/// What a worker says of its own accord.
#[derive(Debug, Clone, PartialEq)]
pub enum WorkerEvent {
    /// DSPy is imported; requests will be carried out.
    Ready {
        /// The process.
        hello: WorkerHello,
        /// What it found.
        ready: Ready,
    },
    /// Output of a cell.
    CellOutput {
        /// The cell credited.
        cell: CellId,
        /// Its run.
        run: RunId,
        /// What.
        output: Output,
    },
    /// Spans began and ended.
    Spans(Vec<SpanItem>),
    /// An LM call was made past the gateway.
    LmTold(Box<LmRequest>),
    /// The kernel's namespace.
    Names(Vec<NameInfo>),
    /// An evaluation or optimisation went on.
    Progress {
        /// Its run.
        run: RunId,
        /// What happened.
        progress: Progress,
    },
    /// The running cell wants a line; see `Supervisor::reply_input`.
    InputRequest {
        /// The cell that asks.
        cell: CellId,
        /// Text before the input.
        prompt: String,
        /// Do not echo.
        password: bool,
    },
    /// A log record.
    Log {
        /// `debug`, `info`, `warning` or `error`.
        level: String,
        /// One line.
        text: String,
    },
}

/// The way back of one LM request. Dropped without an answer, it tells the
/// worker that none will come, so that no call waits for ever.
#[derive(Debug)]
pub struct LmReply {
    id: u64,
    outbox: Outbox,
    dropped: CancellationToken,
    open: bool,
}

impl LmReply {
    pub(super) fn new(id: u64, outbox: Outbox, dropped: CancellationToken) -> Self {
        Self {
            id,
            outbox,
            dropped,
            open: true,
        }
    }

    /// Sends the whole answer.
    pub fn answer(mut self, answer: LmAnswer) {
        self.open = false;
        self.outbox.send(self.id, ToWorker::LmAnswer(answer));
    }

    /// Sends a piece of a streamed answer; the last one has `is_final`.
    pub fn chunk(&mut self, chunk: LmChunk) {
        if self.open {
            self.open = !chunk.is_final;
            self.outbox.send(self.id, ToWorker::LmChunk(chunk));
        }
    }

    /// Resolves when the worker no longer waits: it dropped the call, or died.
    pub async fn dropped(&self) {
        self.dropped.cancelled().await;
    }

    /// Resolves like [`LmReply::dropped`], and can be moved elsewhere.
    pub fn dropped_token(&self) -> CancellationToken {
        self.dropped.clone()
    }

    /// Whether the worker no longer waits.
    pub fn is_dropped(&self) -> bool {
        self.dropped.is_cancelled()
    }
}

/// The way back of one approval.
#[derive(Debug)]
pub struct ApprovalReply {
    id: u64,
    outbox: Outbox,
    withdrawn: CancellationToken,
    open: bool,
}

impl ApprovalReply {
    pub(super) fn new(id: u64, outbox: Outbox, withdrawn: CancellationToken) -> Self {
        Self {
            id,
            outbox,
            withdrawn,
            open: true,
        }
    }

    /// Lets the call go on, or tells why it may not.
    pub fn answer(mut self, allow: bool, reason: String) {
        self.open = false;
        self.outbox
            .send(self.id, ToWorker::ApprovalReply { allow, reason });
    }

    /// Cancelled when it was answered, or nobody waits for it any more.
    pub fn withdrawn(&self) -> CancellationToken {
        self.withdrawn.clone()
    }
}

impl Drop for ApprovalReply {
    fn drop(&mut self) {
        if self.open && !self.withdrawn.is_cancelled() {
            let reason = "the workbench is closing".to_owned();
            self.outbox.send(
                self.id,
                ToWorker::ApprovalReply {
                    allow: false,
                    reason,
                },
            );
        }
        self.withdrawn.cancel();
    }
}

impl Drop for LmReply {
    fn drop(&mut self) {
        if self.open && !self.dropped.is_cancelled() {
            let failure = LmAnswer::Failure {
                failure: TransportFailure::Read,
                message: "the workbench gave the request up".to_owned(),
            };
            self.outbox.send(self.id, ToWorker::LmAnswer(failure));
        }
        self.dropped.cancel();
    }
}
