//! The task that listens to one worker: socket, pipes, end.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::{Ended, Launch, Shared, Stage, Worker, crashed, result_of};
use crate::protocol::VERSION;
use crate::protocol::codec::{DecodeError, Decoder, decode, peek};
use crate::protocol::error::{ErrorClass, OperationError, Strategy};
use crate::protocol::message::{FromWorker, WorkerHello};
use crate::session::event::{CellId, Output, RunId};
use crate::worker::host::{ApprovalReply, Host, LmReply, WorkerEvent};
use crate::worker::outbox::Outbox;
use crate::worker::pipes::Pipe;
use crate::worker::process::{Death, Process, Signaller};
use crate::worker::socket::ReadHalf;

/// How long a worker may live on after its socket was closed.
const AFTER_HANGUP: Duration = Duration::from_secs(1);

/// How long printed text waits for more of it: nobody sees it, and a flood of lines is
/// not a flood of events.
const MORE_PRINTED: Duration = Duration::from_millis(2);

/// Most printed text that is passed on at once, bytes.
const MOST_PRINTED: usize = 64 * 1024;

pub(super) struct Listener {
    number: u32,
    shared: Arc<Shared>,
    outbox: Outbox,
    signaller: Signaller,
    host: Arc<dyn Host>,
    stage: watch::Sender<Stage>,
    stdout: Pipe,
    stderr: Pipe,
    ended: oneshot::Receiver<Death>,
    decoder: Decoder,
    /// Printed text of the messages taken so far, on its way to the host.
    printed: Option<Printed>,
    hello: Option<WorkerHello>,
    /// When it must have come further; `None` once it is ready.
    deadline: Option<Instant>,
    ready_deadline: Instant,
    /// Why we ended it ourselves.
    verdict: Option<OperationError>,
}

/// Text that one cell printed to one stream.
struct Printed {
    cell: CellId,
    run: RunId,
    stderr: bool,
    text: String,
    /// When it goes to the host at the latest.
    due: Instant,
}

impl Listener {
    pub(super) fn new(
        worker: &Worker,
        launch: &Launch,
        process: Process,
        host: Arc<dyn Host>,
        stage: watch::Sender<Stage>,
    ) -> Result<Self, OperationError> {
        let pipe = |fd| {
            Pipe::new(fd).map_err(|error| OperationError::internal(format!("no pipe: {error}")))
        };
        Ok(Self {
            number: worker.number,
            shared: Arc::clone(&worker.shared),
            outbox: worker.outbox.clone(),
            signaller: process.signaller,
            host,
            stage,
            stdout: pipe(process.stdout)?,
            stderr: pipe(process.stderr)?,
            ended: process.ended,
            decoder: Decoder::default(),
            printed: None,
            hello: None,
            deadline: Some(Instant::now() + launch.hello_deadline),
            ready_deadline: Instant::now() + launch.ready_deadline,
            verdict: None,
        })
    }

    /// Listens until the worker is gone.
    pub(super) async fn run(mut self, mut socket: ReadHalf) {
        let death = loop {
            let deadline = self.deadline;
            let printed = self.printed.as_ref().map(|printed| printed.due);
            tokio::select! {
                biased;
                read = socket.read() => match read {
                    Ok(bytes) if !bytes.is_empty() => self.take_messages(bytes),
                    _ => break self.last_words().await,
                },
                text = self.stdout.lines() => self.piped(false, &text),
                text = self.stderr.lines() => self.piped(true, &text),
                () = due(printed) => self.pass_printed_on(),
                () = due(deadline) => self.give_up(),
                death = &mut self.ended => {
                    self.read_rest(&mut socket).await;
                    break Some(death);
                }
            }
        };
        let death = death
            .and_then(Result::ok)
            .unwrap_or_else(|| Death::lost("nobody waited for it"));
        self.pass_printed_on();
        self.drain_pipes();
        self.finish(death);
    }

    /// The socket is closed: waits for the end, and makes it come.
    async fn last_words(&mut self) -> Option<Result<Death, oneshot::error::RecvError>> {
        let deadline = Instant::now() + AFTER_HANGUP;
        let mut killed = false;
        loop {
            tokio::select! {
                death = &mut self.ended => return Some(death),
                text = self.stdout.lines() => self.host.output(self.number, false, &text),
                text = self.stderr.lines() => self.host.output(self.number, true, &text),
                () = tokio::time::sleep_until(deadline), if !killed => {
                    self.signaller.send(Signal::SIGKILL);
                    killed = true;
                }
            }
        }
    }

    /// What a dead worker had already written.
    async fn read_rest(&mut self, socket: &mut ReadHalf) {
        let soon = Instant::now() + AFTER_HANGUP;
        loop {
            match tokio::time::timeout_at(soon, socket.read()).await {
                Ok(Ok(bytes)) if !bytes.is_empty() => self.take_messages(bytes),
                _ => return,
            }
        }
    }

    fn take_messages(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
        while let Some(message) = self.decoder.next_message() {
            match message {
                Ok(json) => match decode::<FromWorker>(&json) {
                    Ok((id, message)) => self.take(id, message),
                    Err(error) => self.not_understood(peek(&json), &error.to_string()),
                },
                Err(error) => {
                    self.not_understood(None, &error.to_string());
                    if let DecodeError::TooLarge(_) = error {
                        self.out_of_step();
                        break;
                    }
                }
            }
        }
    }

    /// Takes printed text in, to be passed on with what comes right after it.
    fn print(&mut self, new: Printed) {
        if let Some(held) = &mut self.printed
            && (held.cell, held.run, held.stderr) == (new.cell, new.run, new.stderr)
            && held.text.len() + new.text.len() <= MOST_PRINTED
        {
            return held.text.push_str(&new.text);
        }
        self.pass_printed_on();
        self.printed = Some(new);
    }

    fn pass_printed_on(&mut self) {
        if let Some(printed) = self.printed.take() {
            let event = WorkerEvent::CellOutput {
                cell: printed.cell,
                run: printed.run,
                output: Output::Stream {
                    stderr: printed.stderr,
                    text: printed.text,
                },
            };
            self.host.event(self.number, event);
        }
    }

    /// Something that is no frame came, most likely from user code that writes to
    /// descriptors by number: nothing after it can be understood.
    fn out_of_step(&mut self) {
        if self.verdict.is_none() {
            let message =
                "the Python process wrote to the descriptor of its messages (3), and was ended";
            let error = OperationError::new("link_broken", ErrorClass::ProcessCrashed, message)
                .hint("a new one takes over; leave descriptor 3 alone")
                .strategy(Strategy::RestartProcess);
            self.verdict = Some(error);
            self.signaller.send(Signal::SIGKILL);
        }
    }

    fn take(&mut self, id: u64, message: FromWorker) {
        let number = self.number;
        let message = match message {
            FromWorker::CellOutput {
                cell,
                run,
                output: Output::Stream { stderr, text },
            } => {
                return self.print(Printed {
                    cell,
                    run,
                    stderr,
                    text,
                    due: Instant::now() + MORE_PRINTED,
                });
            }
            other => other,
        };
        self.pass_printed_on();
        let event = match message {
            FromWorker::Hello(hello) => return self.greet(hello),
            FromWorker::Ready(ready) => {
                let Some(hello) = self.hello.clone() else {
                    return self.not_understood(None, "ready before hello");
                };
                self.deadline = None;
                let both = Arc::new((hello.clone(), ready.clone()));
                self.host.event(number, WorkerEvent::Ready { hello, ready });
                self.stage.send_replace(Stage::Ready(both));
                return;
            }
            FromWorker::Answer(answer) => {
                // What was written to the pipes during a cell belongs to it.
                if self.shared.is_cell(id) {
                    self.drain_pipes();
                }
                return self.shared.complete(id, result_of(answer));
            }
            FromWorker::LmRequest(request) => {
                let dropped = self.shared.lm_call(id);
                let reply = LmReply::new(id, self.outbox.clone(), dropped);
                return Arc::clone(&self.host).lm_request(number, request, reply);
            }
            FromWorker::ApprovalRequest(wanted) => {
                let withdrawn = self.shared.lm_call(id);
                let reply = ApprovalReply::new(id, self.outbox.clone(), withdrawn);
                return self.host.approval(wanted, reply);
            }
            FromWorker::LmCancel {} => return self.shared.drop_lm_call(id),
            FromWorker::DecodeError { message } => {
                let error = OperationError::new(
                    "decode_error",
                    ErrorClass::Serialization,
                    format!("the worker did not understand a message: {message}"),
                );
                self.shared.complete(id, Err(error.clone()));
                warning(error.message)
            }
            FromWorker::InputRequest {
                cell,
                prompt,
                password,
            } => {
                *super::lock(&self.shared.input) = Some(id);
                WorkerEvent::InputRequest {
                    cell,
                    prompt,
                    password,
                }
            }
            FromWorker::CellOutput { cell, run, output } => {
                WorkerEvent::CellOutput { cell, run, output }
            }
            FromWorker::Spans { items } => WorkerEvent::Spans(items),
            FromWorker::LmTold(call) => WorkerEvent::LmTold(Box::new(call)),
            FromWorker::Names { names } => WorkerEvent::Names(names),
            FromWorker::Progress { run, progress } => WorkerEvent::Progress { run, progress },
            FromWorker::Log { level, text } => WorkerEvent::Log { level, text },
            FromWorker::Chunk(_) => warning("a chunk came out of its frame".to_owned()),
        };
        self.host.event(number, event);
    }

    fn greet(&mut self, hello: WorkerHello) {
        if hello.protocol == VERSION {
            self.hello = Some(hello);
            self.deadline = Some(self.ready_deadline);
            return;
        }
        self.end(
            OperationError::new(
                "protocol_mismatch",
                ErrorClass::Import,
                format!(
                    "dspex-worker speaks protocol {} and this dspex-tui speaks {VERSION}",
                    hello.protocol
                ),
            )
            .hint("build both from one source with `make worker`"),
        );
    }

    fn give_up(&mut self) {
        let (waited_for, hint) = if self.hello.is_none() {
            ("introduce itself", "run `dspex-tui doctor`")
        } else {
            (
                "import DSPy",
                "run `dspex-tui doctor`; does `python -c 'import dspy'` hang in this environment?",
            )
        };
        self.end(
            OperationError::new(
                "worker_not_ready",
                ErrorClass::Timeout,
                format!("the Python process took too long to {waited_for}"),
            )
            .hint(hint),
        );
    }

    fn end(&mut self, verdict: OperationError) {
        self.deadline = None;
        self.verdict = Some(verdict.strategy(Strategy::Fatal));
        self.signaller.send(Signal::SIGKILL);
    }

    /// A broken answer still ends the request it belongs to.
    fn not_understood(&mut self, head: Option<(u64, &str)>, reason: &str) {
        let text = format!("worker {} sent {reason}", self.number);
        if let Some((id, "answer")) = head {
            let error = OperationError::new("decode_error", ErrorClass::Serialization, &text);
            self.shared.complete(id, Err(error));
        }
        self.host.event(self.number, warning(text));
    }

    /// Text of a pipe, behind what was printed before it came.
    fn piped(&mut self, stderr: bool, text: &str) {
        self.pass_printed_on();
        self.host.output(self.number, stderr, text);
    }

    fn drain_pipes(&mut self) {
        for (stderr, text) in [(false, self.stdout.drain()), (true, self.stderr.drain())] {
            if !text.is_empty() {
                self.host.output(self.number, stderr, &text);
            }
        }
    }

    fn finish(self, mut death: Death) {
        let was_ready = matches!(*self.stage.borrow(), Stage::Ready(_));
        let last_lines = self.stderr.last_lines();
        let error = match self.verdict {
            Some(verdict) => {
                death.refused = true;
                verdict
            }
            None if !was_ready && death.refused => refused(&death, last_lines),
            None => crashed(&death, last_lines),
        };
        let ended = Ended {
            death,
            was_ready,
            error: error.clone(),
        };
        // Before its requests end: whoever asks again must not be sent here.
        self.stage.send_replace(Stage::Ended(Arc::new(ended)));
        self.shared.end(&error);
    }
}

/// The error of a worker that could not start and said why.
fn refused(death: &Death, last_lines: Vec<String>) -> OperationError {
    let reason = last_lines
        .iter()
        .rev()
        .find(|line| !line.trim().is_empty())
        .cloned()
        .unwrap_or_else(|| death.how.clone());
    let hint = if reason.contains("No module named") {
        "install it with `pip install dspy ipython` in the environment, or run `dspex-tui doctor`"
    } else if reason.contains("error while loading shared libraries") {
        "build it again with `make worker`"
    } else {
        "run `dspex-tui doctor`"
    };
    OperationError::new(
        "worker_not_started",
        ErrorClass::Import,
        format!("Python could not start: {reason}"),
    )
    .hint(hint)
    .strategy(Strategy::Fatal)
    .with("stderr", last_lines)
}

fn warning(text: String) -> WorkerEvent {
    WorkerEvent::Log {
        level: "warning".to_owned(),
        text,
    }
}

async fn due(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
