//! The words the workbench and its workers exchange.
//!
//! Owns the wire types ([`message`]), the framing ([`codec`]) and the error
//! object every door answers with ([`error`]). Does no I/O, knows nothing of
//! Python, sessions or screens. `python/dspex_worker/protocol.py` mirrors these
//! types; `tests/protocol/frames.jsonl` is read by the tests of both sides.

pub mod codec;
pub mod error;
pub mod message;

/// The protocol's version; both sides send it in `hello` and refuse another.
pub const VERSION: u32 = 1;

/// The largest frame either side accepts, in bytes, without its length prefix.
pub const MAX_FRAME: usize = 64 * 1024 * 1024;
