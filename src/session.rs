//! What happened, on disk and in memory.
//!
//! Owns events ([`event`]), the state that is a fold over them ([`state`]), the
//! append-only log that keeps them ([`journal`] and below) and the reading back
//! ([`replay`], [`catalog`]). Knows nothing of screens, Python or sockets.

pub mod event;
pub mod state;
