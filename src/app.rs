//! The core: one state, one `update`, effects as data, any number of front ends.
//!
//! Every door (screen, REPL, `exec`, socket) does one thing: it submits
//! operations through a [`Handle`] and reads [`State`]. Owns no drawing and no
//! terminal; knows nothing of Python beyond the messages of a worker.

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::protocol::error::OperationError;
use crate::session::event::{CellId, Event};
use crate::session::state::SessionState;

pub use crate::session::SaveStatus;

/// What an operation answers.
pub type OperationResult = Result<Value, OperationError>;

/// Submits operations to the core from anywhere; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    tx: mpsc::UnboundedSender<Message>,
}

impl Handle {
    /// Hands an operation over. The answer comes through the receiver, in any
    /// order; if the core ends first the receiver reports it closed.
    pub fn submit(&self, operation: &str, arguments: Value) -> oneshot::Receiver<OperationResult> {
        let (reply, answer) = oneshot::channel();
        let submitted = Submission {
            operation: operation.to_owned(),
            arguments,
            reply,
        };
        // A closed core drops `reply`, which is the answer the caller then sees.
        let _ = self.tx.send(Message::Submitted(submitted));
        answer
    }

    /// Like [`Handle::submit`], and waits.
    pub async fn call(&self, operation: &str, arguments: Value) -> OperationResult {
        match self.submit(operation, arguments).await {
            Ok(answer) => answer,
            Err(_) => Err(OperationError::internal("the workbench is shutting down")),
        }
    }
}

/// An operation on its way in.
#[derive(Debug)]
pub struct Submission {
    /// A name of the table of operations.
    pub operation: String,
    /// Its arguments; checked against its schema by `update`.
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
    Journalled(std::sync::Arc<Event>),
}

/// What front ends read. Changed by `update` only.
#[derive(Debug, Default)]
pub struct State {
    /// The session: a fold over its events.
    pub session: SessionState,
    /// Whether events reach the disk.
    pub save: SaveStatus,
    /// A running cell waits for `input()`.
    pub input: Option<InputWanted>,
    /// The session's id; empty when it is not kept.
    pub session_id: String,
}

/// A cell's call of `input()` or `getpass()`; answered by the operation
/// `reply_input {text}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputWanted {
    /// The cell that asks.
    pub cell: CellId,
    /// Text to show.
    pub prompt: String,
    /// Do not echo.
    pub password: bool,
}
