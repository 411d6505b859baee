//! Chunks to messages: several at once, decompressed as they arrive, bounded.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};

use super::{DecodeError, MAX_MESSAGE};
use crate::protocol::message::Chunk;

/// Large messages under way at once; a sender of this protocol has one a thread.
const MAX_STREAMS: usize = 128;

/// Collects the chunks of large messages.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    streams: HashMap<u64, Stream>,
}

#[derive(Debug)]
struct Stream {
    inflate: Decompress,
    json: Vec<u8>,
    next_index: u32,
}

impl Assembler {
    /// Takes one piece; answers the message when it was the last one. A piece
    /// that does not fit ends its stream.
    pub(super) fn add(&mut self, chunk: &Chunk) -> Result<Option<Bytes>, DecodeError> {
        if chunk.chunk_index == 0 && self.streams.len() >= MAX_STREAMS {
            return Err(bad(chunk, "too many large messages at once"));
        }
        let mut stream = match (chunk.chunk_index, self.streams.remove(&chunk.stream)) {
            (0, None) => Stream {
                inflate: Decompress::new(true),
                json: Vec::new(),
                next_index: 0,
            },
            (index, Some(stream)) if index == stream.next_index => stream,
            (index, _) => return Err(bad(chunk, &format!("piece {index} came out of order"))),
        };
        let data = STANDARD
            .decode(&chunk.data)
            .map_err(|error| bad(chunk, &error.to_string()))?;
        let ended = stream
            .inflate(&data)
            .map_err(|reason| bad(chunk, &reason))?;
        if chunk.is_final {
            if !ended {
                return Err(bad(chunk, "the last piece does not end the data"));
            }
            return Ok(Some(Bytes::from(stream.json)));
        }
        stream.next_index += 1;
        self.streams.insert(chunk.stream, stream);
        Ok(None)
    }
}

impl Stream {
    /// Decompresses one piece; whether the compressed data ended with it.
    fn inflate(&mut self, mut data: &[u8]) -> Result<bool, String> {
        loop {
            if self.json.len() > MAX_MESSAGE {
                return Err(format!("longer than {MAX_MESSAGE} bytes"));
            }
            // Room grows by a quarter at a time, so that a large message is
            // never held with twice its size reserved.
            if self.json.capacity() - self.json.len() < 64 * 1024 {
                self.json
                    .reserve_exact((self.json.len() / 4).max(1024 * 1024));
            }
            let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress_vec(data, &mut self.json, FlushDecompress::None)
                .map_err(|error| error.to_string())?;
            let used = (self.inflate.total_in() - read) as usize;
            data = data.get(used..).unwrap_or_default();
            if status == Status::StreamEnd {
                return Ok(true);
            }
            let stuck = used == 0 && self.inflate.total_out() == written;
            if stuck || (data.is_empty() && self.json.len() < self.json.capacity()) {
                return Ok(false);
            }
        }
    }
}

fn bad(chunk: &Chunk, reason: &str) -> DecodeError {
    DecodeError::BadChunk(format!("stream {}: {reason}", chunk.stream))
}
