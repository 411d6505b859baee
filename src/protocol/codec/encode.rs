//! Messages to frames. Does not write them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compress, Compression, FlushCompress, Status};
use serde::Serialize;

use super::pieces::Pieces;
use super::{CHUNK_ABOVE, CHUNK_BYTES};
use crate::protocol::message::{Chunk, Metadata};

/// Stamps what one side says with its name, its version and the time, and
/// numbers its large messages.
#[derive(Debug)]
pub struct Sender {
    metadata: String,
    streams: AtomicU64,
}

impl Sender {
    /// A sender called `source` (`workbench` or `worker-N`).
    pub fn new(source: &str) -> Self {
        let metadata = Metadata {
            source: source.to_owned(),
            version: crate::protocol::VERSION,
        };
        Self {
            // A struct of a string and a number always encodes.
            metadata: serde_json::to_string(&metadata).unwrap_or_default(),
            streams: AtomicU64::new(1),
        }
    }

    /// The frames of a typed message (`ToWorker` or `FromWorker`).
    ///
    /// # Errors
    ///
    /// When the message has no JSON form.
    pub fn message<T: Serialize>(&self, id: u64, message: &T) -> Result<Frames, serde_json::Error> {
        let tagged = serde_json::to_vec(message)?;
        // `{"type":…,"payload":…}` becomes the envelope's middle.
        let inner = tagged
            .get(1..tagged.len().saturating_sub(1))
            .unwrap_or_default();
        Ok(self.finish(id, inner))
    }

    /// The frames of a message whose payload is JSON already; `kind` is its type tag.
    pub fn raw(&self, id: u64, kind: &str, payload: &[u8]) -> Frames {
        let mut inner = Vec::with_capacity(payload.len() + kind.len() + 24);
        inner.extend_from_slice(b"\"type\":");
        inner.extend_from_slice(&serde_json::to_vec(kind).unwrap_or_default());
        inner.extend_from_slice(b",\"payload\":");
        inner.extend_from_slice(payload);
        self.finish(id, &inner)
    }

    /// A large message whose payload is written a piece at a time.
    pub fn pieces(&self, id: u64, kind: &str) -> Pieces {
        let kind = serde_json::to_string(kind).unwrap_or_default();
        let head = format!("{{\"id\":{id},\"type\":{kind},\"payload\":");
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        Pieces::new(head.as_bytes(), self.tail(), stream)
    }

    fn tail(&self) -> String {
        let timestamp = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |elapsed| elapsed.as_secs_f64());
        format!(
            ",\"timestamp\":{timestamp:.6},\"metadata\":{}}}",
            self.metadata
        )
    }

    fn finish(&self, id: u64, inner: &[u8]) -> Frames {
        let head = format!("{{\"id\":{id},");
        let tail = self.tail();
        let len = head.len() + inner.len() + tail.len();
        let mut frame = Vec::with_capacity(len + 4);
        frame.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
        frame.extend_from_slice(head.as_bytes());
        frame.extend_from_slice(inner);
        frame.extend_from_slice(tail.as_bytes());
        if len <= CHUNK_ABOVE {
            return Frames(Kind::Whole(Some(frame)));
        }
        Frames(Kind::Chunked(Box::new(Chunker {
            json: frame,
            read: 4,
            deflate: Compress::new(Compression::fast(), true),
            stream: self.streams.fetch_add(1, Ordering::Relaxed),
            index: 0,
            done: false,
            tail,
        })))
    }
}

/// The frames of one message, made one at a time so that a large message is
/// never held twice and others can be written in between (R55, R56).
#[derive(Debug)]
pub struct Frames(Kind);

#[derive(Debug)]
enum Kind {
    Whole(Option<Vec<u8>>),
    Chunked(Box<Chunker>),
}

impl Frames {
    /// Whether the message goes out in several frames.
    pub fn is_chunked(&self) -> bool {
        matches!(self.0, Kind::Chunked(_))
    }
}

impl Iterator for Frames {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        match &mut self.0 {
            Kind::Whole(frame) => frame.take(),
            Kind::Chunked(chunker) => chunker.next_frame(),
        }
    }
}

#[derive(Debug)]
struct Chunker {
    json: Vec<u8>,
    read: usize,
    deflate: Compress,
    stream: u64,
    index: u32,
    done: bool,
    tail: String,
}

impl Chunker {
    fn next_frame(&mut self) -> Option<Vec<u8>> {
        if self.done {
            return None;
        }
        let mut piece = Vec::with_capacity(CHUNK_BYTES);
        while piece.len() < piece.capacity() && !self.done {
            let before = self.deflate.total_in();
            let rest = self.json.get(self.read..).unwrap_or_default();
            let status = self
                .deflate
                .compress_vec(rest, &mut piece, FlushCompress::Finish);
            self.read += (self.deflate.total_in() - before) as usize;
            self.done = !matches!(status, Ok(Status::Ok | Status::BufError));
        }
        if self.done {
            // The message itself is no longer needed while the last piece waits.
            self.json = Vec::new();
        }
        let index = self.index;
        self.index += 1;
        Some(chunk(self.stream, index, self.done, &piece, &self.tail))
    }
}

/// The frame of one chunk; `tail` ends its envelope.
pub(super) fn chunk(stream: u64, index: u32, is_final: bool, piece: &[u8], tail: &str) -> Vec<u8> {
    let chunk = Chunk {
        stream,
        chunk_index: index,
        is_final,
        data: STANDARD.encode(piece),
    };
    let payload = serde_json::to_string(&chunk).unwrap_or_default();
    let body = format!("{{\"id\":0,\"type\":\"chunk\",\"payload\":{payload}{tail}");
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(body.as_bytes());
    frame
}
