//! What happened, on disk and in memory.
//!
//! Owns events ([`event`]), the state that is a fold over them ([`state`]), the
//! append-only log that keeps them ([`journal`] and below) and the reading back
//! ([`replay`], [`catalog`]). Knows nothing of screens, Python or sockets.

pub mod event;
pub mod state;

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
