//! A supervisor with a host that writes down everything.

use std::sync::{Arc, Mutex};

use dspex_tui::protocol::error::OperationError;
use dspex_tui::protocol::message::{Body, Lane, LmAnswer, LmRequest, Request};
use dspex_tui::session::event::{CellId, Output, RunId, WorkerReport};
use dspex_tui::worker::{
    Host, LmReply, PythonEnvironment, Supervisor, SupervisorOptions, WorkerEvent, environment,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::{self, PATIENCE};

/// What a host was told.
#[derive(Debug)]
pub enum Told {
    Event(WorkerEvent),
    Changed(WorkerReport),
    Output(bool, String),
    Call(LmRequest, LmReply),
    Restored(u32, Result<Value, OperationError>),
}

pub struct Recorder {
    told: mpsc::UnboundedSender<Told>,
    /// Keep LM requests for the test to answer instead of echoing their body.
    hold: bool,
    restore: Mutex<Option<Request>>,
}

impl Host for Recorder {
    fn lm_request(self: Arc<Self>, _worker: u32, request: LmRequest, answer: LmReply) {
        if self.hold {
            let _ = self.told.send(Told::Call(request, answer));
            return;
        }
        answer.answer(LmAnswer::Response {
            status: 200,
            headers: vec![("x-test".into(), "1".into())],
            body: request.body,
        });
    }

    fn event(&self, _worker: u32, event: WorkerEvent) {
        let _ = self.told.send(Told::Event(event));
    }

    fn worker_changed(&self, report: WorkerReport) {
        let _ = self.told.send(Told::Changed(report));
    }

    fn output(&self, _worker: u32, stderr: bool, text: &str) {
        let _ = self.told.send(Told::Output(stderr, text.to_owned()));
    }

    fn kernel_began(&self, _worker: u32, replaces: bool) -> Option<Request> {
        self.restore.lock().unwrap().clone().filter(|_| replaces)
    }

    fn kernel_restored(&self, worker: u32, answer: Result<Value, OperationError>) {
        let _ = self.told.send(Told::Restored(worker, answer));
    }
}

pub struct Bench {
    pub supervisor: Supervisor,
    pub told: mpsc::UnboundedReceiver<Told>,
}

pub fn environment() -> PythonEnvironment {
    environment::discover(Some(&support::venv()), support::project()).unwrap()
}

pub fn options() -> SupervisorOptions {
    let cwd = support::project().join("tests/worker");
    let mut options = SupervisorOptions::new(environment(), cwd.clone());
    options.binary = Some(support::worker());
    options.standby = false;
    options.interactive = true;
    let stand_in = cwd.join("stand_in").display().to_string();
    options.variables = vec![
        ("DSPEX_PYTHON_DIR".to_owned(), Some(stand_in)),
        ("DSPEX_STAND_IN_START".to_owned(), None),
    ];
    options
}

impl Bench {
    pub fn start(options: SupervisorOptions) -> Self {
        Self::with(options, false, None)
    }

    /// LM requests are kept for the test to answer.
    pub fn holding(options: SupervisorOptions) -> Self {
        Self::with(options, true, None)
    }

    pub fn with(options: SupervisorOptions, hold: bool, restore: Option<Request>) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        let host = Arc::new(Recorder {
            told: tell,
            hold,
            restore: Mutex::new(restore),
        });
        let supervisor = Supervisor::start(options, host);
        Self { supervisor, told }
    }

    /// Waits for what the host is told until `wanted` takes one.
    pub async fn wait<T>(&mut self, what: &str, mut wanted: impl FnMut(Told) -> Option<T>) -> T {
        let wait = async {
            loop {
                let told = self.told.recv().await.expect("the supervisor is alive");
                if let Some(found) = wanted(told) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    /// Waits until a cell has said this.
    pub async fn said(&mut self, wanted: &str) {
        self.wait(wanted, |told| match told {
            Told::Event(WorkerEvent::CellOutput {
                output: Output::Stream { text, .. },
                ..
            }) if text == wanted => Some(()),
            _ => None,
        })
        .await;
    }

    pub async fn call(&mut self) -> (LmRequest, LmReply) {
        self.wait("an LM request", |told| match told {
            Told::Call(request, reply) => Some((request, reply)),
            _ => None,
        })
        .await
    }

    /// Starts a cell on the main lane; its answer comes through the handle.
    pub fn cell(
        &self,
        number: u64,
        source: &str,
    ) -> tokio::task::JoinHandle<Result<Value, OperationError>> {
        self.send(cell(number, source, Lane::Main))
    }

    pub fn send(&self, request: Request) -> tokio::task::JoinHandle<Result<Value, OperationError>> {
        let supervisor = self.supervisor.clone();
        tokio::spawn(async move {
            tokio::time::timeout(PATIENCE, supervisor.request(request))
                .await
                .expect("an answer in time")
        })
    }

    pub async fn echo(&self, value: Value) -> Result<Value, OperationError> {
        self.send(request("echo", Lane::Side, value)).await.unwrap()
    }
}

pub fn request(operation: &str, lane: Lane, arguments: Value) -> Request {
    Request {
        operation: operation.to_owned(),
        lane,
        arguments,
        ..Request::default()
    }
}

/// A cell with the run of the same number.
pub fn cell(number: u64, source: &str, lane: Lane) -> Request {
    let mut request = request("run_cell", lane, json!({ "source": source }));
    request.cell = Some(CellId(number));
    request.run = Some(RunId(number));
    request
}

pub fn text(body: &Body) -> &str {
    let (Body::Body(text) | Body::BodyBase64(text)) = body;
    text
}
