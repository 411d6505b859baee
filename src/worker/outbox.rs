//! What goes to a worker: two queues and the task that writes them.
//!
//! Interrupts, cancels and LM answers overtake; everything else keeps its
//! order. A large message goes out one chunk at a time, with a look at the
//! urgent queue in between (R55, R58).

use std::sync::Arc;

use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::mpsc;

use crate::protocol::codec::{CHUNK_ABOVE, Sender};
use crate::protocol::message::{Body, LmAnswer, ToWorker};

/// Queues messages for one worker; never blocks. Messages for a dead worker vanish.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    urgent: mpsc::UnboundedSender<(u64, ToWorker)>,
    ordered: mpsc::UnboundedSender<(u64, ToWorker)>,
}

impl Outbox {
    /// The queues and the future that empties them into `socket`.
    pub(super) fn new(socket: OwnedWriteHalf) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (urgent, urgent_rx) = mpsc::unbounded_channel();
        let (ordered, ordered_rx) = mpsc::unbounded_channel();
        let writer = Writer {
            socket,
            sender: Arc::new(Sender::new("workbench")),
            urgent: urgent_rx,
        };
        (Self { urgent, ordered }, writer.run(ordered_rx))
    }

    /// Queues a message.
    pub(super) fn send(&self, id: u64, message: ToWorker) {
        let queue = if is_urgent(&message) {
            &self.urgent
        } else {
            &self.ordered
        };
        // The writer ends with the worker; its death is told elsewhere.
        let _ = queue.send((id, message));
    }
}

fn is_urgent(message: &ToWorker) -> bool {
    match message {
        ToWorker::Interrupt { .. }
        | ToWorker::Cancel { .. }
        | ToWorker::InputReply { .. }
        | ToWorker::LmChunk(_)
        | ToWorker::LmAnswer(LmAnswer::Failure { .. }) => true,
        ToWorker::LmAnswer(LmAnswer::Response { body, .. }) => {
            let (Body::Body(text) | Body::BodyBase64(text)) = body;
            text.len() < CHUNK_ABOVE / 2
        }
        _ => false,
    }
}

struct Writer {
    socket: OwnedWriteHalf,
    sender: Arc<Sender>,
    urgent: mpsc::UnboundedReceiver<(u64, ToWorker)>,
}

impl Writer {
    async fn run(mut self, mut ordered: mpsc::UnboundedReceiver<(u64, ToWorker)>) {
        loop {
            let (id, message) = tokio::select! {
                biased;
                Some(next) = self.urgent.recv() => next,
                Some(next) = ordered.recv() => next,
                else => return,
            };
            if self.write(id, message).await.is_err() {
                return;
            }
        }
    }

    async fn write(&mut self, id: u64, message: ToWorker) -> std::io::Result<()> {
        // A message of our own types always has a JSON form.
        let Ok(frames) = self.sender.message(id, &message) else {
            return Ok(());
        };
        drop(message);
        if !frames.is_chunked() {
            return self.write_frames(frames).await;
        }
        for frame in frames {
            self.socket.write_all(&frame).await?;
            while let Ok((id, message)) = self.urgent.try_recv() {
                if let Ok(frames) = self.sender.message(id, &message) {
                    self.write_frames(frames).await?;
                }
            }
        }
        Ok(())
    }

    async fn write_frames(&mut self, frames: impl Iterator<Item = Vec<u8>>) -> std::io::Result<()> {
        for frame in frames {
            self.socket.write_all(&frame).await?;
        }
        Ok(())
    }
}
