//! The worker's end of the socket: everything that is shared by its threads.
//!
//! Writing is direct, under one mutex, and always with the GIL released: a
//! writer that held it could wait for a reader that needs it.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use dspex_tui::protocol::codec::{Decoder, Frames, Pieces, Sender};
use dspex_tui::protocol::message::ParentHello;

use super::gate::Gate;
use super::interrupt::Interrupts;
use super::lanes::Lanes;
use super::process;
use super::reader::Desk;
use super::spans::SpanBuffer;

/// The one link of this process.
static LINK: OnceLock<Link> = OnceLock::new();

/// What the native module, the reader and the flusher share.
#[derive(Debug)]
pub(super) struct Link {
    /// Number of this worker.
    pub(super) worker: u32,
    /// Somebody can answer `input()`.
    pub(super) interactive: bool,
    /// Version of the workbench.
    pub(super) app: String,
    /// Requests on their way to Python.
    pub(super) lanes: Lanes,
    /// Calls that wait for the workbench.
    pub(super) gate: Gate,
    /// Which cell an interrupt may hit.
    pub(super) interrupts: Interrupts,
    /// What whoever reads needs.
    pub(super) desk: Desk,
    /// Spans on their way out.
    pub(super) spans: SpanBuffer,
    sender: Sender,
    socket: Mutex<UnixStream>,
    input: UnixStream,
}

impl Link {
    /// Takes the socket over and starts the flusher of spans.
    pub(super) fn start(
        socket: UnixStream,
        hello: &ParentHello,
        decoder: Decoder,
    ) -> Result<&'static Self, String> {
        let input = socket
            .try_clone()
            .map_err(|error| format!("the socket cannot be shared: {error}"))?;
        let link = LINK.get_or_init(|| Self {
            worker: hello.worker,
            interactive: hello.interactive,
            app: hello.app.clone(),
            lanes: Lanes::default(),
            gate: Gate::default(),
            interrupts: Interrupts::default(),
            desk: Desk::new(decoder),
            spans: SpanBuffer::default(),
            sender: Sender::new(&format!("worker-{}", hello.worker)),
            socket: Mutex::new(socket),
            input,
        });
        super::reader::spawn("dspex-spans", || {
            loop {
                link.spans.wait_due();
                link.flush();
            }
        })?;
        Ok(link)
    }

    /// The link, once [`Link::start`] has been called.
    pub(super) fn get() -> Option<&'static Self> {
        LINK.get()
    }

    /// The side to read from.
    pub(super) fn input(&self) -> &UnixStream {
        &self.input
    }

    /// Sends a message whose payload is JSON already. Never call with the GIL held.
    pub(super) fn send(&self, kind: &str, id: u64, payload: &[u8]) {
        self.write(self.sender.raw(id, kind, payload));
    }

    /// A large message to be written a piece at a time.
    pub(super) fn pieces(&self, kind: &str, id: u64) -> Pieces {
        self.sender.pieces(id, kind)
    }

    /// Writes frames of [`Link::pieces`]. Never call with the GIL held.
    pub(super) fn send_frames(&self, frames: Vec<Vec<u8>>) {
        if !process::is_fork() {
            self.write_each(frames);
        }
    }

    /// Sends a typed message. Never call with the GIL held.
    pub(super) fn say(&self, id: u64, message: &impl serde::Serialize) {
        if let Ok(frames) = self.sender.message(id, message) {
            self.write(frames);
        }
    }

    /// Waits until the requests that were handed to Python have been answered,
    /// and sends the last spans.
    pub(super) fn drain(&self) {
        self.lanes.wait_answered();
        self.flush();
    }

    fn write(&self, frames: Frames) {
        if process::is_fork() {
            return;
        }
        self.write_each(frames);
    }

    /// The lock is given up after each frame, so that others overtake chunks.
    fn write_each(&self, frames: impl IntoIterator<Item = Vec<u8>>) {
        for frame in frames {
            let mut socket = self.lock();
            let bytes = self.after_spans(frame);
            put(&mut socket, &bytes);
        }
    }

    /// Writes the spans recorded so far.
    fn flush(&self) {
        let mut socket = self.lock();
        let bytes = self.after_spans(Vec::new());
        if !bytes.is_empty() {
            put(&mut socket, &bytes);
        }
    }

    /// Spans recorded before a message are written before it, with one write: the
    /// workbench wakes once. Call with the socket locked.
    fn after_spans(&self, frame: Vec<u8>) -> Vec<u8> {
        if process::is_fork() {
            return frame;
        }
        let Some(payload) = self.spans.take() else {
            return frame;
        };
        let mut bytes: Vec<u8> = self.sender.raw(0, "spans", &payload).flatten().collect();
        bytes.extend_from_slice(&frame);
        bytes
    }

    fn lock(&self) -> MutexGuard<'_, UnixStream> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a frame; without a workbench there is nothing left to live for.
fn put(socket: &mut UnixStream, frame: &[u8]) {
    if socket.write_all(frame).is_err() {
        process::exit_with_group();
    }
}
