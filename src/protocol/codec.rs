//! Frames: a 4-byte big-endian length, then that many bytes of UTF-8 JSON.
//!
//! Owns how messages become bytes and bytes become messages: the envelope's
//! stamp ([`Sender`]), splitting large messages into chunk frames ([`Frames`])
//! and putting a byte stream together again ([`Decoder`]). Reads and writes no
//! descriptor: a worker's blocking threads and the workbench's tasks use the
//! same functions. Whatever arrives, a [`Decoder`] stays usable (R54).

mod assemble;
mod decode;
mod encode;
mod pieces;

pub use decode::{DecodeError, Decoder, RawMessage, decode, peek};
pub use encode::{Frames, Sender};
pub use pieces::Pieces;

/// A message whose JSON is longer than this goes out as chunk frames, bytes.
pub const CHUNK_ABOVE: usize = 4 * 1024 * 1024;

/// Compressed bytes in one chunk frame.
pub const CHUNK_BYTES: usize = 1024 * 1024;

/// The longest message accepted after decompression, bytes.
pub const MAX_MESSAGE: usize = 1024 * 1024 * 1024;
