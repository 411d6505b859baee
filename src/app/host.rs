//! What workers talk to: their LM calls go to the gateway, what they report to
//! the journal, and only what needs a decision to the core.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::mpsc;

use super::state::{InputWanted, Message};
use crate::gateway::Gateway;
use crate::protocol::error::OperationError;
use crate::protocol::message::{ApprovalRequest, LmRequest, Request};
use crate::session::event::{
    EventBody, Level, NameInfo, Output, Passport, RunId, Scope, SpanItem, WorkerReport, WorkerState,
};
use crate::session::journal::Journal;
use crate::worker::{ApprovalReply, Host, LmReply, WorkerEvent};

/// The core's side of its workers.
pub(super) struct CoreHost {
    journal: Journal,
    gateway: Gateway,
    tx: mpsc::UnboundedSender<Message>,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    /// What a new kernel is told before anything else; kept up to date by the core.
    restore: Option<Request>,
    /// The kernel's names, to say what is lost with it.
    names: Vec<NameInfo>,
    /// The running cell: what comes out of the kernel's descriptors 1 and 2 is
    /// its output.
    running: Option<Scope>,
    /// The kernel's number.
    kernel: u32,
}

impl CoreHost {
    pub(super) fn new(
        journal: Journal,
        gateway: Gateway,
        tx: mpsc::UnboundedSender<Message>,
    ) -> Arc<Self> {
        Arc::new(Self {
            journal,
            gateway,
            tx,
            shared: Mutex::default(),
        })
    }

    /// Sets what the next kernel is told first.
    pub(super) fn set_restore(&self, request: Request) {
        self.shared().restore = Some(request);
    }

    /// Sets the cell that is running.
    pub(super) fn set_running(&self, running: Option<Scope>) {
        self.shared().running = running;
    }

    /// Says in the session that there is no kernel, and why.
    pub(super) fn kernel_down(&self, error: &OperationError) {
        let detail = format!("{}; {}", error.message, error.recovery.hint);
        let report = WorkerReport {
            worker: 0,
            role: "kernel".to_owned(),
            state: WorkerState::Down,
            pid: 0,
            detail,
            lost: Vec::new(),
        };
        self.journal
            .append(Scope::NONE, EventBody::WorkerChanged { worker: report });
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, level: Level, text: String, hint: &str) {
        let body = EventBody::Noted {
            level,
            text,
            hint: hint.to_owned(),
        };
        self.journal.append(Scope::NONE, body);
    }
}

impl Host for CoreHost {
    fn lm_request(self: Arc<Self>, _worker: u32, request: LmRequest, mut reply: LmReply) {
        let gateway = self.gateway.clone();
        let dropped = reply.dropped_token();
        tokio::spawn(async move {
            if request.stream {
                let (chunks, mut pieces) = mpsc::channel(16);
                let streaming = tokio::spawn(async move { gateway.stream(request, chunks).await });
                loop {
                    tokio::select! {
                        () = dropped.cancelled() => break,
                        piece = pieces.recv() => match piece {
                            Some(piece) => reply.chunk(piece),
                            None => break,
                        },
                    }
                }
                streaming.abort();
            } else {
                tokio::select! {
                    // Dropping the call's future drops it upstream.
                    () = dropped.cancelled() => {}
                    answer = gateway.call(request) => reply.answer(answer),
                }
            }
        });
    }

    fn approval(&self, wanted: ApprovalRequest, reply: ApprovalReply) {
        let _ = self.tx.send(Message::ApprovalWanted(wanted, reply));
    }

    fn event(&self, _worker: u32, event: WorkerEvent) {
        match event {
            WorkerEvent::Ready { hello, ready } => {
                let passport = Passport {
                    app: env!("CARGO_PKG_VERSION").to_owned(),
                    cwd: String::new(),
                    python: hello.python,
                    dspy: ready.dspy,
                    packages: ready.packages,
                };
                self.journal
                    .append(Scope::NONE, EventBody::PythonFound { passport });
                if ready.tracing != "wrappers" || ready.door != "transport" {
                    let text = format!(
                        "this DSPy is not the one known: tracing by {}, LM calls by {}",
                        ready.tracing, ready.door
                    );
                    self.note(
                        Level::Warning,
                        text,
                        "DSPy 3.4.1 is what everything works with",
                    );
                }
            }
            WorkerEvent::CellOutput { cell, run, output } => {
                self.journal
                    .append(Scope::cell(run, cell), EventBody::CellOutput { output });
            }
            WorkerEvent::Spans(items) => self.append_spans(items),
            WorkerEvent::LmTold(call) => self.gateway.record_told(*call),
            WorkerEvent::Names(names) => {
                self.shared().names.clone_from(&names);
                self.journal
                    .append(Scope::NONE, EventBody::NamesChanged { names });
            }
            WorkerEvent::Progress { run, progress } => {
                self.journal
                    .append(Scope::run(run), EventBody::Progressed { progress });
            }
            WorkerEvent::InputRequest {
                cell,
                prompt,
                password,
            } => {
                let wanted = InputWanted {
                    id: 0,
                    cell,
                    prompt,
                    password,
                };
                let _ = self.tx.send(Message::InputWanted(wanted));
            }
            WorkerEvent::Log { level, text } => {
                tracing::info!(level, text = %self.gateway.redact(&text), "worker");
            }
        }
    }

    fn worker_changed(&self, mut report: WorkerReport) {
        if report.state == WorkerState::Died && report.role == "kernel" {
            let names = std::mem::take(&mut self.shared().names);
            let plain = names
                .into_iter()
                .filter(|name| !name.registered && name.kind != "module");
            report.lost = plain.map(|name| name.name).collect();
            let text = format!("the kernel died: {}", report.detail);
            let hint = if report.lost.is_empty() {
                "registered programs, signatures and data are rebuilt".to_owned()
            } else {
                format!(
                    "lost: {}; re-run their cells to have them back",
                    report.lost.join(", ")
                )
            };
            self.note(Level::Error, text, &hint);
        }
        self.announce(&report);
        self.journal
            .append(Scope::NONE, EventBody::WorkerChanged { worker: report });
    }

    fn output(&self, worker: u32, stderr: bool, text: &str) {
        let running = {
            let shared = self.shared();
            shared.running.filter(|_| shared.kernel == worker)
        };
        let Some(scope) = running else {
            tracing::info!(worker, stderr, text = %self.gateway.redact(text), "output");
            return;
        };
        let output = Output::Stream {
            stderr,
            text: text.to_owned(),
        };
        self.journal.append(scope, EventBody::CellOutput { output });
    }

    fn kernel_began(&self, worker: u32, replaces: bool) -> Option<Request> {
        self.shared().kernel = worker;
        if replaces {
            let _ = self.tx.send(Message::KernelReplaced);
        }
        self.shared().restore.clone()
    }

    fn kernel_restored(&self, _worker: u32, answer: Result<Value, OperationError>) {
        match answer {
            Ok(answer) => {
                let failed = answer.get("failed").and_then(Value::as_array);
                for failure in failed.map(Vec::as_slice).unwrap_or_default() {
                    let of = |key: &str| failure.get(key).and_then(Value::as_str).unwrap_or("?");
                    let text = format!("`{}` could not be rebuilt: {}", of("name"), of("reason"));
                    self.note(Level::Warning, text, "run the cell that made it again");
                }
            }
            Err(error) => {
                let text = format!("the kernel could not be restored: {error}");
                self.note(Level::Warning, text, &error.recovery.hint);
            }
        }
    }
}

impl CoreHost {
    /// R90: what happens to a worker unasked is said, and what becomes of it.
    fn announce(&self, report: &WorkerReport) {
        let WorkerReport { worker, role, .. } = report;
        let detail = &report.detail;
        let pooled = matches!(role.as_str(), "pool" | "optimizer");
        let fresh = "a fresh one takes its place; `:health` shows them all";
        match report.state {
            WorkerState::Died if pooled => {
                let text = format!("worker {worker} ({role}) died: {detail}");
                self.note(Level::Warning, text, fresh);
            }
            // Asked to end with the workbench, or by a person: nothing to say.
            WorkerState::Stopped if pooled && !matches!(detail.as_str(), "" | "restarted") => {
                let text = format!("worker {worker} ({role}) was replaced: {detail}");
                self.note(Level::Warning, text, fresh);
            }
            WorkerState::Busy if role == "kernel" => {
                let text = format!("the kernel {detail}");
                self.note(Level::Warning, text, "`:restart` starts a fresh one");
            }
            WorkerState::Busy => {
                let text = format!("worker {worker} ({role}) {detail}");
                self.note(Level::Warning, text, "");
            }
            _ => {}
        }
    }

    /// One event a run, so that each event has the run it belongs to.
    fn append_spans(&self, items: Vec<SpanItem>) {
        let mut of_run: Vec<SpanItem> = Vec::with_capacity(items.len());
        let mut run = None;
        for item in items {
            let its = run_of(&item);
            if its != run && !of_run.is_empty() {
                self.append_batch(run, std::mem::take(&mut of_run));
            }
            run = its;
            of_run.push(item);
        }
        if !of_run.is_empty() {
            self.append_batch(run, of_run);
        }
    }

    fn append_batch(&self, run: Option<RunId>, items: Vec<SpanItem>) {
        self.journal
            .append(Scope { run, cell: None }, EventBody::Spans { items });
    }
}

/// The run a span belongs to: its id is `worker-run-counter`.
fn run_of(item: &SpanItem) -> Option<RunId> {
    let (SpanItem::Start { id, .. } | SpanItem::End { id, .. }) = item;
    let run = id.split('-').nth(1)?.parse().ok()?;
    (run > 0).then_some(RunId(run))
}
