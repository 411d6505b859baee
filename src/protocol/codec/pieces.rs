//! A large message that is never whole in memory: JSON in, chunk frames out (R55, R56).

use flate2::{Compress, Compression, FlushCompress, Status};

use super::CHUNK_BYTES;
use super::encode::chunk;

/// A message under way. Frames come out as they fill; the last come from [`Pieces::finish`].
#[derive(Debug)]
pub struct Pieces {
    deflate: Compress,
    piece: Vec<u8>,
    stream: u64,
    index: u32,
    tail: String,
    ready: Vec<Vec<u8>>,
}

impl Pieces {
    pub(super) fn new(head: &[u8], tail: String, stream: u64) -> Self {
        let mut pieces = Self {
            deflate: Compress::new(Compression::fast(), true),
            piece: Vec::with_capacity(CHUNK_BYTES),
            stream,
            index: 0,
            tail,
            ready: Vec::new(),
        };
        pieces.write(head, FlushCompress::None);
        pieces
    }

    /// Takes the next part of the payload's JSON; answers the frames it filled.
    pub fn push(&mut self, json: &[u8]) -> Vec<Vec<u8>> {
        self.write(json, FlushCompress::None);
        std::mem::take(&mut self.ready)
    }

    /// Ends the message; answers its last frames.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        let tail = std::mem::take(&mut self.tail);
        self.write(tail.as_bytes(), FlushCompress::None);
        self.tail = tail;
        self.write(&[], FlushCompress::Finish);
        self.frame(true);
        self.ready
    }

    fn write(&mut self, mut json: &[u8], flush: FlushCompress) {
        loop {
            let before = self.deflate.total_in();
            let status = self.deflate.compress_vec(json, &mut self.piece, flush);
            let used = (self.deflate.total_in() - before) as usize;
            json = json.get(used..).unwrap_or_default();
            if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                return;
            }
            // Room left means that all that could be written has been.
            if self.piece.len() < self.piece.capacity() {
                if json.is_empty() && !matches!(flush, FlushCompress::Finish) {
                    return;
                }
            } else {
                self.frame(false);
            }
        }
    }

    fn frame(&mut self, is_final: bool) {
        let frame = chunk(self.stream, self.index, is_final, &self.piece, &self.tail);
        self.ready.push(frame);
        self.index += 1;
        self.piece.clear();
    }
}
