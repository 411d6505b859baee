//! Reading what the workbench says, always without the GIL.
//!
//! One thread reads at a time: the side lane's own while it has nothing else to do,
//! so that a short request wakes one thread and not two; else a thread that does
//! nothing but read.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dspex_tui::protocol::VERSION;
use dspex_tui::protocol::codec::{DecodeError, Decoder, RawMessage, Sender, decode, peek};
use dspex_tui::protocol::message::{FromWorker, Lane, ParentHello, ToWorker, WorkerHello};
use serde::Deserialize;

use super::embed;
use super::lanes::Job;
use super::link::Link;
use super::process;

/// Exchanges the introductions; refuses another protocol.
pub(super) fn greet(
    mut socket: &UnixStream,
    python: &Path,
) -> Result<(ParentHello, Decoder), String> {
    let mut decoder = Decoder::default();
    let hello = loop {
        match decoder.next_message() {
            Some(Ok(message)) => match decode(&message) {
                Ok((_, ToWorker::Hello(hello))) => break hello,
                Ok(_) => return Err("the workbench did not begin with hello".to_owned()),
                Err(error) => return Err(format!("the workbench's hello is {error}")),
            },
            Some(Err(error)) => return Err(format!("the workbench's hello is {error}")),
            None if !fill(socket, &mut decoder) => {
                return Err("the workbench hung up before hello".to_owned());
            }
            None => {}
        }
    };
    let prefix = python.parent().and_then(Path::parent).unwrap_or(python);
    let answer = FromWorker::Hello(WorkerHello {
        protocol: VERSION,
        python: embed::version(),
        prefix: prefix.display().to_string(),
        executable: python.display().to_string(),
        pid: std::process::id(),
        features: vec!["chunks".to_owned(), "streams".to_owned()],
    });
    let sender = Sender::new(&format!("worker-{}", hello.worker));
    let frames = sender
        .message(0, &answer)
        .map_err(|error| error.to_string())?;
    for frame in frames {
        socket
            .write_all(&frame)
            .map_err(|error| format!("the workbench hung up: {error}"))?;
    }
    if hello.protocol != VERSION {
        return Err(format!(
            "dspex-worker speaks protocol {VERSION} and this dspex-tui speaks {}: build both \
             from one source with `make worker`",
            hello.protocol
        ));
    }
    Ok((hello, decoder))
}

/// How long nobody reads after the side lane's thread left to work: less than a wake
/// of the other thread is worth, and much less than a person notices of an interrupt.
const GRACE: Duration = Duration::from_micros(200);

/// Where the decoder lies while nobody reads. Whoever has it reads.
#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<DeskState>,
    left: Condvar,
}

#[derive(Debug)]
struct DeskState {
    decoder: Option<Decoder>,
    /// When it was laid here.
    since: Instant,
    /// The thread that only reads sleeps until somebody leaves it here.
    asleep: bool,
}

impl Desk {
    /// A desk with the decoder on it.
    pub(super) fn new(decoder: Decoder) -> Self {
        let state = DeskState {
            decoder: Some(decoder),
            since: Instant::now(),
            asleep: false,
        };
        Self {
            state: Mutex::new(state),
            left: Condvar::new(),
        }
    }

    fn take(&self) -> Option<Decoder> {
        self.lock().decoder.take()
    }

    fn leave(&self, decoder: Decoder) {
        let mut state = self.lock();
        state.decoder = Some(decoder);
        state.since = Instant::now();
        if state.asleep {
            self.left.notify_one();
        }
    }

    /// Waits until nobody has been reading for a while.
    fn take_over(&self) -> Decoder {
        let mut state = self.lock();
        loop {
            let waited = state.since.elapsed();
            if waited >= GRACE
                && let Some(decoder) = state.decoder.take()
            {
                return decoder;
            }
            state.asleep = state.decoder.is_none();
            state = if state.asleep {
                let woken = self.left.wait(state);
                woken.unwrap_or_else(PoisonError::into_inner)
            } else {
                let rest = GRACE.saturating_sub(waited);
                let woken = self.left.wait_timeout(state, rest);
                woken.unwrap_or_else(PoisonError::into_inner).0
            };
            state.asleep = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, DeskState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts the thread that reads when no other does.
pub(super) fn start(link: &'static Link) -> Result<(), String> {
    spawn("dspex-reader", move || {
        loop {
            let mut decoder = link.desk.take_over();
            // What came with the introduction.
            pass_on(link, &mut decoder);
            // Once woken for a request, the side lane's thread reads on after it.
            while !link.lanes.woke_side() {
                read(link, &mut decoder);
            }
            link.desk.leave(decoder);
        }
    })
}

/// The side lane's next request; its thread reads until there is one, if no other does.
pub(super) fn next_for_side(link: &'static Link) -> Option<Job> {
    if let Some(mut decoder) = link.desk.take() {
        while !link.lanes.side_has_next() {
            read(link, &mut decoder);
        }
        link.desk.leave(decoder);
    }
    link.lanes.next(Lane::Side)
}

/// Starts a thread that lives as long as the process.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), String> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map(drop)
        .map_err(|error| format!("no thread could be started: {error}"))
}

/// Passes on what has arrived, then waits for more.
fn read(link: &'static Link, decoder: &mut Decoder) {
    if !fill(link.input(), decoder) {
        process::exit_with_group();
    }
    pass_on(link, decoder);
}

fn pass_on(link: &'static Link, decoder: &mut Decoder) {
    while let Some(message) = decoder.next_message() {
        let (id, done) = match message {
            Ok(json) => (peek(&json).map_or(0, |(id, _)| id), take(link, &json)),
            Err(error) => (0, Err(error)),
        };
        if let Err(error) = done {
            let message = error.to_string();
            link.say(id, &FromWorker::DecodeError { message });
        }
    }
}

/// Reads what there is; false at the end of the stream.
fn fill(mut socket: &UnixStream, decoder: &mut Decoder) -> bool {
    // A small answer must not cost the clearing of room for a large one.
    let mut room = [0; 8 * 1024];
    let read = loop {
        match socket.read(&mut room) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => break other.unwrap_or(0),
        }
    };
    decoder.feed(room.get(..read).unwrap_or_default());
    read > 0
}

fn take(link: &'static Link, json: &[u8]) -> Result<(), DecodeError> {
    let message = RawMessage::parse(json)?;
    if message.kind == "request" {
        return enqueue(link, &message);
    }
    let (id, message) = decode::<ToWorker>(json)?;
    match message {
        ToWorker::Interrupt { cell } => link.interrupts.interrupt(cell.0, &link.gate),
        ToWorker::Cancel { run } => link.interrupts.cancel(run.0, &link.gate),
        ToWorker::LmAnswer(answer) => link.gate.answer(id, answer),
        ToWorker::LmChunk(chunk) => link.gate.chunk(id, chunk),
        ToWorker::InputReply { text } => link.gate.input(id, text),
        ToWorker::ApprovalReply { allow, reason } => link.gate.approval(id, allow, reason),
        ToWorker::Shutdown {} => link.lanes.close(),
        ToWorker::Hello(_) | ToWorker::Request(_) | ToWorker::Chunk(_) => {}
    }
    Ok(())
}

/// Python parses the arguments; here only what decides the way is read.
fn enqueue(link: &Link, message: &RawMessage<'_>) -> Result<(), DecodeError> {
    #[derive(Deserialize)]
    struct Route {
        operation: String,
        lane: Lane,
        #[serde(default)]
        run: Option<u64>,
        #[serde(default)]
        cell: Option<u64>,
    }
    let payload = message.payload.get();
    let route: Route = serde_json::from_str(payload)
        .map_err(|error| DecodeError::NotAMessage(format!("request {}: {error}", message.id)))?;
    let job = Job {
        id: message.id,
        operation: route.operation,
        payload: payload.as_bytes().to_vec(),
        run: route.run,
        cell: route.cell,
    };
    link.lanes.push(route.lane, job);
    Ok(())
}
