//! What happened, on disk and in memory.
//!
//! Owns events ([`event`]), the state that is a fold over them ([`state`]), the
//! append-only log that keeps them ([`journal`] and below) and the reading back
//! ([`reader`], [`replay`], [`catalog`]). Knows nothing of screens, Python or
//! sockets.

use std::io;
use std::path::{Path, PathBuf};

use crate::protocol::error::OperationError;

pub mod audit;
pub mod blob;
pub mod catalog;
pub mod compare;
pub mod directory;
pub mod event;
pub mod journal;
pub mod line;
pub mod log;
pub mod metrics;
pub mod otlp;
pub mod outline;
pub mod reader;
pub mod recovery;
pub mod replay;
pub mod state;
pub mod summary;
pub mod totals;

pub use directory::LockInfo;
pub use journal::Journal;
pub use reader::SessionReader;
pub use recovery::RecoveryReport;

/// Why a session cannot be made, opened or read.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Another process writes it.
    #[error("session {id} is open in {by}")]
    Locked {
        /// The session.
        id: String,
        /// Who has it.
        by: LockInfo,
    },
    /// A later version of the program made it.
    #[error("{} is in the newer session format {found}, this program reads up to {}", path.display(), directory::FORMAT_VERSION)]
    Newer {
        /// Its directory.
        path: PathBuf,
        /// Its format version.
        found: u32,
    },
    /// No session is called so.
    #[error("there is no session {wanted:?} in {}", root.display())]
    NotFound {
        /// What was asked for.
        wanted: String,
        /// Where it was looked for.
        root: PathBuf,
        /// Ids that are close, best first.
        near: Vec<String>,
    },
    /// More than one session begins so.
    #[error("{wanted:?} fits {} sessions", matches.len())]
    Ambiguous {
        /// What was asked for.
        wanted: String,
        /// Their ids.
        matches: Vec<String>,
    },
    /// The name is taken.
    #[error("there is a session {0:?} already")]
    Exists(String),
    /// The name is not allowed.
    #[error("{0:?} cannot name a session")]
    BadName(String),
    /// The directory holds no session.
    #[error("{} holds no session", .0.display())]
    NotASession(PathBuf),
    /// The system said no.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl SessionError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }
}

impl From<SessionError> for OperationError {
    fn from(error: SessionError) -> Self {
        let message = error.to_string();
        match error {
            SessionError::Locked { id, by } => Self::invalid("session_locked", message)
                .with("session", id)
                .with("pid", by.pid)
                .hint("use that window, or follow it read-only with `dspex-tui replay`"),
            SessionError::Newer { .. } => Self::invalid("newer_session", message)
                .hint("open it with the version of dspex-tui that made it, or update"),
            SessionError::NotFound { near, .. } => Self::invalid("unknown_session", message)
                .hint("`dspex-tui sessions list` shows them all")
                .near(near),
            SessionError::Ambiguous { matches, .. } => Self::invalid("ambiguous_session", message)
                .hint("write more of the id")
                .near(matches),
            SessionError::Exists(_) => Self::invalid("session_exists", message)
                .hint("open it with `--session`, or choose another name"),
            SessionError::BadName(_) => Self::invalid("bad_session_name", message).hint(
                "use 1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter or digit",
            ),
            SessionError::NotASession(_) => Self::invalid("not_a_session", message)
                .hint("name a directory that has a `session.json`"),
            SessionError::Io { path, .. } => {
                Self::internal(message).with("path", path.display().to_string())
            }
        }
    }
}

/// Whether events reach the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SaveStatus {
    /// The session is not kept (`exec` without `--session`).
    #[default]
    Ephemeral,
    /// Everything appended is written.
    Saved,
    /// Writing failed; events are kept in memory.
    NotSaving {
        /// Why, one sentence.
        reason: String,
    },
}
