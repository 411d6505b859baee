//! The parent's side of worker processes: find Python, spawn, talk, supervise.
//!
//! [`environment`] finds Python and the worker binary, [`Worker`] is one
//! process and its connection, [`Supervisor`] keeps a kernel, a warm standby and
//! the pools alive. What workers say goes to a [`Host`], which the core
//! implements: this room knows neither sessions nor LMs.

mod connection;
pub mod environment;
mod health;
mod host;
mod outbox;
mod pipes;
mod pool;
mod process;
mod scratch;
mod socket;
mod supervisor;

pub use connection::{Launch, Worker};
pub use environment::PythonEnvironment;
pub(crate) use health::resident_mb;
pub use health::{MemberHealth, PoolHealth, WorkersHealth};
pub use host::{ApprovalReply, Host, LmReply, WorkerEvent};
pub use pool::{PoolOptions, PoolRole, PoolsOptions};
pub use process::Death;
pub(crate) use supervisor::shutting_down;
pub use supervisor::{Intensity, Lease, Supervisor, SupervisorOptions, Wanted};
