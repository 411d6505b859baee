//! Where the pieces of an answer go while they come.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc};

use super::assemble::Assembler;
use super::call::body_of;
use super::watch::TokenDelta;
use super::{Failed, Outcome};
use crate::protocol::message::{Body, LmChunk, TransportFailure};
use crate::session::event::RunId;

/// A receiver of pieces, or none.
#[derive(Debug)]
pub struct Sink {
    chunks: Option<mpsc::Sender<LmChunk>>,
    begun: bool,
    watch: Option<Watch>,
}

/// Pieces are shown and put together.
#[derive(Debug)]
struct Watch {
    assembler: Assembler,
    deltas: broadcast::Sender<TokenDelta>,
    run: RunId,
    span: Option<String>,
}

impl Sink {
    /// The caller wants the whole answer: pieces go nowhere.
    pub fn whole() -> Self {
        Self {
            chunks: None,
            begun: false,
            watch: None,
        }
    }

    /// The caller wants pieces.
    pub fn stream(chunks: mpsc::Sender<LmChunk>) -> Self {
        Self {
            chunks: Some(chunks),
            begun: false,
            watch: None,
        }
    }

    /// The caller wants the whole answer of a call that is sent as a stream, and
    /// somebody watches it come.
    pub fn watched(
        assembler: Assembler,
        deltas: broadcast::Sender<TokenDelta>,
        run: RunId,
        span: Option<String>,
    ) -> Self {
        Self {
            watch: Some(Watch {
                assembler,
                deltas,
                run,
                span,
            }),
            ..Self::whole()
        }
    }

    /// What puts the pieces together, for a watched answer that came as a stream.
    pub fn assembler(self) -> Option<Assembler> {
        self.watch
            .filter(|_| self.begun)
            .map(|watch| watch.assembler)
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
        if let Some(watch) = &mut self.watch
            && status < 300
            && is_event_stream(headers)
        {
            self.begun = true;
            watch.feed(bytes);
        }
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

impl Watch {
    fn feed(&mut self, bytes: &[u8]) {
        let text = self.assembler.feed(bytes);
        if !text.is_empty() {
            // Nobody watching any more is no reason to stop.
            let _ = self.deltas.send(TokenDelta {
                run: self.run,
                span: self.span.clone(),
                text,
            });
        }
    }
}

fn is_event_stream(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("content-type") && value.starts_with("text/event-stream")
    })
}

fn last(failure: Option<(TransportFailure, String)>) -> LmChunk {
    LmChunk {
        head: None,
        body: Body::Body(String::new()),
        failure,
        is_final: true,
    }
}
