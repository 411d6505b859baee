//! Where the pieces of an answer go while they come.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::call::body_of;
use super::{Failed, Outcome};
use crate::protocol::message::{Body, LmChunk, TransportFailure};

/// A receiver of pieces, or none.
#[derive(Debug)]
pub struct Sink {
    chunks: Option<mpsc::Sender<LmChunk>>,
    begun: bool,
}

impl Sink {
    /// The caller wants the whole answer: pieces go nowhere.
    pub fn whole() -> Self {
        Self {
            chunks: None,
            begun: false,
        }
    }

    /// The caller wants pieces.
    pub fn stream(chunks: mpsc::Sender<LmChunk>) -> Self {
        Self {
            chunks: Some(chunks),
            begun: false,
        }
    }

    /// Passes one piece on.
    ///
    /// # Errors
    /// `cancelled`, when nobody receives any more.
    pub async fn push(
        &mut self,
        status: u16,
        headers: &[(String, String)],
        bytes: &Bytes,
    ) -> Result<(), Failed> {
        let Some(chunks) = &self.chunks else {
            return Ok(());
        };
        let chunk = LmChunk {
            head: (!self.begun).then(|| (status, headers.to_vec())),
            body: body_of(bytes),
            failure: None,
            is_final: false,
        };
        self.begun = true;
        chunks
            .send(chunk)
            .await
            .map_err(|_| Failed::new(TransportFailure::Cancelled, "nobody waits for the answer"))
    }

    /// Ends the stream: with the whole answer where no piece was passed yet, and
    /// with the failure where it broke.
    pub async fn finish(&mut self, outcome: &Arc<Outcome>) {
        let last = match outcome.as_ref() {
            Ok(reply) if !self.begun => LmChunk {
                head: Some((reply.status, reply.headers.clone())),
                body: body_of(&reply.body),
                failure: None,
                is_final: true,
            },
            Ok(_) => last(None),
            Err(failed) => last(Some((failed.failure, failed.message.clone()))),
        };
        if let Some(chunks) = &self.chunks {
            // Whoever stopped listening does not need the end either.
            let _ = chunks.send(last).await;
        }
    }
}

fn last(failure: Option<(TransportFailure, String)>) -> LmChunk {
    LmChunk {
        head: None,
        body: Body::Body(String::new()),
        failure,
        is_final: true,
    }
}
