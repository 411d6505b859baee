//! The core: one state, one [`update()`], effects as data, any number of front ends.
//!
//! Every door (screen, REPL, `exec`, socket) does one thing: it submits
//! operations through a [`Handle`] and reads [`State`]. Owns no drawing and no
//! terminal; knows nothing of Python beyond the messages of a worker.

pub(crate) mod answer;
mod approvals;
mod audit;
mod command_cell;
pub mod core;
mod effect;
pub mod health;
mod hold;
mod host;
mod jobs;
mod lms;
mod optimised;
mod options;
mod outcome;
pub mod present;
mod requests;
mod resolve;
pub mod socket;
pub mod state;
mod telemetry;
mod tools;
mod update;

pub use self::approvals::{Approvals, Waiting};
pub use self::core::Core;
pub use self::effect::Effect;
pub use self::options::{CoreOptions, SessionChoice};
pub use self::state::{InputWanted, Message, SaveStatus, State, Submission};
pub use self::update::update;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::protocol::error::OperationError;

/// What an operation answers.
pub type OperationResult = Result<Value, OperationError>;

/// Submits operations to the core from anywhere; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    tx: mpsc::UnboundedSender<Message>,
}

impl Handle {
    /// A handle whose messages arrive at the receiver of `tx`.
    pub fn new(tx: mpsc::UnboundedSender<Message>) -> Self {
        Self { tx }
    }

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
