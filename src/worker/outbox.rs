//! What goes to a worker, written by whoever sends it.
//!
//! While nothing waits and the socket has room, no task has to wake for a message.
//! What does not fit waits in two queues for the task that writes them: interrupts,
//! cancels and LM answers overtake; everything else keeps its order. A large message
//! goes out one chunk at a time, with a look at the urgent queue in between (R55, R58).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::socket::WriteHalf;
use crate::protocol::codec::{CHUNK_ABOVE, Frames, Sender};
use crate::protocol::message::{Body, LmAnswer, ToWorker};

/// Sends messages to one worker; never blocks. Messages for a dead worker vanish.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    line: Arc<Line>,
    urgent: mpsc::UnboundedSender<Piece>,
    ordered: mpsc::UnboundedSender<Piece>,
}

/// The socket, and how much waits for it.
#[derive(Debug)]
struct Line {
    socket: WriteHalf,
    sender: Sender,
    /// Pieces in the queues, the one that is being written included. Whoever writes
    /// without having waited holds this lock meanwhile.
    waiting: Mutex<usize>,
}

#[derive(Debug)]
enum Piece {
    /// A message.
    Frames(Frames),
    /// The end of a frame that did not fit into the socket.
    Rest(Vec<u8>),
}

impl Outbox {
    /// The queues and the future that empties them into `socket`.
    pub(super) fn new(socket: WriteHalf) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (urgent, urgent_rx) = mpsc::unbounded_channel();
        let (ordered, ordered_rx) = mpsc::unbounded_channel();
        let line = Arc::new(Line {
            socket,
            sender: Sender::new("workbench"),
            waiting: Mutex::new(0),
        });
        let writer = Writer {
            line: Arc::clone(&line),
            urgent: urgent_rx,
        };
        let outbox = Self {
            line,
            urgent,
            ordered,
        };
        (outbox, writer.run(ordered_rx))
    }

    /// Sends a message, or queues it.
    pub(super) fn send(&self, id: u64, message: ToWorker) {
        let mut queue = if is_urgent(&message) {
            &self.urgent
        } else {
            &self.ordered
        };
        // A message of our own types always has a JSON form.
        let Ok(mut frames) = self.line.sender.message(id, &message) else {
            return;
        };
        drop(message);
        let mut waiting = self.line.waiting();
        let piece = if *waiting > 0 || frames.is_chunked() {
            Piece::Frames(frames)
        } else {
            match frames.next().and_then(|frame| self.line.put(frame)) {
                Some(rest) => Piece::Rest(rest),
                None => return,
            }
        };
        if matches!(piece, Piece::Rest(_)) {
            // Whatever comes now comes behind it.
            queue = &self.urgent;
        }
        *waiting += 1;
        // The writer ends with the worker; its death is told elsewhere.
        let _ = queue.send(piece);
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

impl Line {
    fn waiting(&self) -> MutexGuard<'_, usize> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what the socket takes now; what is left of the frame otherwise.
    fn put(&self, mut frame: Vec<u8>) -> Option<Vec<u8>> {
        // An error says that the worker is gone.
        let written = self.socket.write_now(&frame).ok()?;
        frame.drain(..written);
        (!frame.is_empty()).then_some(frame)
    }

    async fn write_all(&self, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            let written = self.socket.write_now(bytes)?;
            bytes = bytes.get(written..).unwrap_or_default();
            if !bytes.is_empty() {
                self.socket.room().await?;
            }
        }
        Ok(())
    }
}

struct Writer {
    line: Arc<Line>,
    urgent: mpsc::UnboundedReceiver<Piece>,
}

impl Writer {
    async fn run(mut self, mut ordered: mpsc::UnboundedReceiver<Piece>) {
        loop {
            let piece = tokio::select! {
                biased;
                Some(next) = self.urgent.recv() => next,
                Some(next) = ordered.recv() => next,
                else => return,
            };
            if self.write(piece).await.is_err() {
                return;
            }
        }
    }

    async fn write(&mut self, piece: Piece) -> std::io::Result<()> {
        match piece {
            Piece::Frames(frames) if frames.is_chunked() => {
                for frame in frames {
                    self.line.write_all(&frame).await?;
                    while let Ok(piece) = self.urgent.try_recv() {
                        self.write_whole(piece).await?;
                        self.done();
                    }
                }
            }
            piece => self.write_whole(piece).await?,
        }
        self.done();
        Ok(())
    }

    async fn write_whole(&self, piece: Piece) -> std::io::Result<()> {
        match piece {
            Piece::Rest(rest) => self.line.write_all(&rest).await,
            Piece::Frames(frames) => {
                for frame in frames {
                    self.line.write_all(&frame).await?;
                }
                Ok(())
            }
        }
    }

    /// One piece less waits.
    fn done(&self) {
        let mut waiting = self.line.waiting();
        *waiting = waiting.saturating_sub(1);
    }
}
