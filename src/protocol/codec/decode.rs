//! Bytes to messages. Does not read them from anywhere.

use std::borrow::Cow;

use bytes::{Buf as _, Bytes, BytesMut};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::assemble::Assembler;
use crate::protocol::MAX_FRAME;
use crate::protocol::message::Chunk;

/// Why bytes are no message. The stream goes on behind them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A frame of length zero.
    #[error("an empty frame")]
    Empty,
    /// A frame above [`MAX_FRAME`]; its bytes are skipped.
    #[error("a frame of {0} bytes; at most {MAX_FRAME} are accepted")]
    TooLarge(usize),
    /// Not JSON, or not a message of this protocol.
    #[error("not a message: {0}")]
    NotAMessage(String),
    /// A chunk out of order, broken, or too much.
    #[error("a broken chunk: {0}")]
    BadChunk(String),
}

/// Puts a stream of bytes together to whole messages, chunked ones included.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
    /// Bytes of an oversized frame that are still to be thrown away.
    skip: usize,
    assembler: Assembler,
}

impl Decoder {
    /// Where to read bytes into; append only.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Appends bytes that arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The JSON of the next whole message, or what was wrong instead of it;
    /// `None` when more bytes are needed.
    pub fn next_message(&mut self) -> Option<Result<Bytes, DecodeError>> {
        loop {
            match self.next_frame()? {
                Ok(frame) => match self.pass(frame) {
                    Ok(None) => {}
                    Ok(Some(message)) => return Some(Ok(message)),
                    Err(error) => return Some(Err(error)),
                },
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn next_frame(&mut self) -> Option<Result<Bytes, DecodeError>> {
        if self.skip > 0 {
            let now = self.skip.min(self.buffer.len());
            self.buffer.advance(now);
            self.skip -= now;
            if self.skip > 0 {
                return None;
            }
        }
        let prefix: [u8; 4] = self.buffer.get(..4)?.try_into().ok()?;
        let len = u32::from_be_bytes(prefix) as usize;
        if len == 0 {
            self.buffer.advance(4);
            return Some(Err(DecodeError::Empty));
        }
        if len > MAX_FRAME {
            self.buffer.advance(4);
            self.skip = len;
            return Some(Err(DecodeError::TooLarge(len)));
        }
        if self.buffer.len() < 4 + len {
            self.buffer.reserve(4 + len - self.buffer.len());
            return None;
        }
        self.buffer.advance(4);
        Some(Ok(self.buffer.split_to(len).freeze()))
    }

    /// A plain frame passes; a chunk is kept until its message is whole.
    fn pass(&mut self, frame: Bytes) -> Result<Option<Bytes>, DecodeError> {
        if peek(&frame).is_none_or(|(_, kind)| kind != "chunk") {
            return Ok(Some(frame));
        }
        let message = RawMessage::parse(&frame)?;
        let chunk: Chunk = serde_json::from_str(message.payload.get())
            .map_err(|error| DecodeError::BadChunk(error.to_string()))?;
        self.assembler.add(&chunk)
    }
}

/// A message taken apart no further than its envelope.
#[derive(Debug, Deserialize)]
pub struct RawMessage<'a> {
    /// Its id.
    pub id: u64,
    /// Its type tag.
    #[serde(rename = "type", borrow)]
    pub kind: Cow<'a, str>,
    /// Its payload's JSON, as it was written.
    #[serde(borrow)]
    pub payload: &'a RawValue,
}

impl<'a> RawMessage<'a> {
    /// Takes the envelope apart.
    ///
    /// # Errors
    ///
    /// [`DecodeError::NotAMessage`].
    pub fn parse(json: &'a [u8]) -> Result<Self, DecodeError> {
        serde_json::from_slice(json).map_err(not_a_message)
    }
}

/// A typed message (`ToWorker` or `FromWorker`) and its id.
///
/// # Errors
///
/// [`DecodeError::NotAMessage`] for broken JSON, an unknown type tag or a wrong payload.
pub fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<(u64, T), DecodeError> {
    /// The envelope without its message.
    #[derive(Deserialize)]
    struct Head {
        id: u64,
    }
    let head: Head = serde_json::from_slice(json).map_err(not_a_message)?;
    // Tag and payload are read straight from the same object: a flattened
    // envelope would copy the whole payload first.
    let message = serde_json::from_slice(json).map_err(not_a_message)?;
    Ok((head.id, message))
}

/// Id and type tag of a message in the order this protocol's senders write
/// them, without looking at the rest: what is known of a message whose payload
/// is broken.
pub fn peek(json: &[u8]) -> Option<(u64, &str)> {
    let rest = json.strip_prefix(b"{\"id\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let id = std::str::from_utf8(rest.get(..digits)?)
        .ok()?
        .parse()
        .ok()?;
    let rest = rest.get(digits..)?.strip_prefix(b",\"type\":\"")?;
    let len = rest
        .iter()
        .take_while(|byte| byte.is_ascii_lowercase() || **byte == b'_')
        .count();
    let kind = std::str::from_utf8(rest.get(..len)?).ok()?;
    (rest.get(len) == Some(&b'"')).then_some((id, kind))
}

fn not_a_message(error: serde_json::Error) -> DecodeError {
    DecodeError::NotAMessage(error.to_string())
}
