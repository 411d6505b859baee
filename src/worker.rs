//! The parent's side of worker processes: find Python, spawn, talk, supervise.
//!
//! [`environment`] finds Python and the worker binary, [`Worker`] is one
//! process and its connection, [`Supervisor`] keeps a kernel and a warm standby
//! alive. What workers say goes to a [`Host`], which the core implements: this
//! room knows neither sessions nor LMs.

mod connection;
pub mod environment;
mod host;
mod outbox;
mod pipes;
mod process;
mod scratch;
mod supervisor;

pub use connection::{Launch, Worker};
pub use environment::PythonEnvironment;
pub use host::{Host, LmReply, WorkerEvent};
pub use process::Death;
pub use supervisor::{Intensity, Supervisor, SupervisorOptions};
