//! Every message of the wire, as Rust types.
//!
//! On the wire a message is one JSON object,
//! `{"id": u64, "type": "…", "payload": {…}, "timestamp": seconds, "metadata": {"source", "version"}}`,
//! in one frame (see [`super::codec`]). An `id` is chosen by the side that asks;
//! an answer carries the id of its request; 0 means that nobody waits.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::OperationError;
use crate::session::event::{CellId, NameInfo, Output, Progress, RunId, SpanItem};

/// A message of either direction with its envelope.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// Request id, or that of the request this answers; 0 where none applies.
    pub id: u64,
    /// Type tag and payload.
    #[serde(flatten)]
    pub message: T,
    /// Seconds since the epoch at the sender.
    pub timestamp: f64,
    /// Who wrote it.
    pub metadata: Metadata,
}

/// Who wrote a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// `workbench` or `worker-N`.
    pub source: String,
    /// The writer's [`super::VERSION`].
    pub version: u32,
}

/// What the workbench says to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "payload", rename_all = "snake_case")]
pub enum ToWorker {
    /// First message; the worker answers with [`FromWorker::Hello`].
    Hello(ParentHello),
    /// Do an operation; answered by [`FromWorker::Answer`] with the same id.
    Request(Box<Request>),
    /// Stop the cell softly (SIGINT on the main thread); dropped when another
    /// cell, or none, is running.
    Interrupt {
        /// The cell meant.
        cell: CellId,
    },
    /// End every wait of this run with `RunCancelled`.
    Cancel {
        /// The run meant.
        run: RunId,
    },
    /// The answer to [`FromWorker::LmRequest`] with the same id, whole.
    LmAnswer(LmAnswer),
    /// One piece of a streamed answer (the request had `stream: true`). The
    /// first piece carries status and headers.
    LmChunk(LmChunk),
    /// What the user typed, for [`FromWorker::InputRequest`]; `None` is end of file.
    InputReply {
        /// The line without its newline.
        text: Option<String>,
    },
    /// Whether the tool of [`FromWorker::ApprovalRequest`] may be called.
    ApprovalReply {
        /// It may.
        allow: bool,
        /// Why not, for the LM and the user.
        #[serde(default)]
        reason: String,
    },
    /// Finish what runs, then exit 0.
    Shutdown {},
    /// A piece of a message too large for one frame.
    Chunk(Chunk),
}

/// What a worker says to the workbench.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "payload", rename_all = "snake_case")]
pub enum FromWorker {
    /// Answer to the parent's hello, sent before DSPy is imported.
    Hello(WorkerHello),
    /// DSPy is imported and hooked: requests will be carried out.
    Ready(Ready),
    /// The end of a request.
    Answer(Answer),
    /// Output of a cell, in order.
    CellOutput {
        /// The cell credited.
        cell: CellId,
        /// The run of that cell.
        run: RunId,
        /// What was printed, shown or returned.
        output: Output,
    },
    /// Starts and ends of spans, batched (at most 20 ms late).
    Spans {
        /// In order of time.
        items: Vec<SpanItem>,
    },
    /// The DSPy objects and plain variables of the kernel after a cell.
    Names {
        /// The whole list, sorted by name.
        names: Vec<NameInfo>,
    },
    /// Progress of an evaluation or optimisation.
    Progress {
        /// The run it belongs to.
        run: RunId,
        /// What happened.
        progress: Progress,
    },
    /// A finished provider request, to be sent by the gateway.
    LmRequest(LmRequest),
    /// An LM call that passed no door, told when it had its answer; nobody waits for a
    /// reply. Its body is `{model, request, response, latency_us, cost}`.
    LmTold(LmRequest),
    /// Nobody waits for this LM request any more.
    LmCancel {},
    /// The running cell calls `input()` or `getpass()`.
    InputRequest {
        /// The cell that asks.
        cell: CellId,
        /// Text shown before the input.
        prompt: String,
        /// Do not echo.
        password: bool,
    },
    /// A tool whose calls must be approved is about to be called. Withdrawn with
    /// [`FromWorker::LmCancel`].
    ApprovalRequest(ApprovalRequest),
    /// A log record.
    Log {
        /// `debug`, `info`, `warning` or `error`.
        level: String,
        /// One line.
        text: String,
    },
    /// A frame could not be understood (R54); the loop lives on.
    DecodeError {
        /// Why.
        message: String,
    },
    /// A piece of a message too large for one frame.
    Chunk(Chunk),
}

/// A call of a tool that a person is to allow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// The run it belongs to.
    #[serde(default)]
    pub run: Option<RunId>,
    /// The cell it belongs to.
    #[serde(default)]
    pub cell: Option<CellId>,
    /// The tool's name.
    pub tool: String,
    /// Its arguments, all of them, exactly.
    pub arguments: Value,
}

/// The parent's introduction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParentHello {
    /// [`super::VERSION`].
    pub protocol: u32,
    /// Version of the workbench.
    pub app: String,
    /// Number of this worker in the session, from 1; prefix of its span ids.
    pub worker: u32,
    /// Whether somebody can answer `input()`; otherwise it raises.
    pub interactive: bool,
    /// Optional abilities of this side.
    pub features: Vec<String>,
}

/// The worker's introduction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerHello {
    /// [`super::VERSION`].
    pub protocol: u32,
    /// `3.11.7`.
    pub python: String,
    /// `sys.prefix`.
    pub prefix: String,
    /// `sys.executable`.
    pub executable: String,
    /// Process id.
    pub pid: u32,
    /// Optional abilities of this side.
    pub features: Vec<String>,
}

/// What a worker found once DSPy was imported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ready {
    /// `dspy.__version__`.
    pub dspy: String,
    /// `wrappers` (DSPy's own replaced) or `callback` (another DSPy).
    pub tracing: String,
    /// `transport` or `loopback` (another DSPy).
    pub door: String,
    /// Versions of the packages that matter for a run passport.
    pub packages: Map<String, Value>,
    /// Milliseconds from process start to here.
    pub startup_ms: f64,
}

/// One operation for a worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// A name of the table of operations, or an internal one of the worker's
    /// (`restore`, `set_lm`, `ship`, `enlist`, `echo`, `price`).
    pub operation: String,
    /// Where in the worker it runs.
    pub lane: Lane,
    /// As the operation's schema says.
    pub arguments: Value,
    /// The run it belongs to, if it is one.
    #[serde(default)]
    pub run: Option<RunId>,
    /// The cell it runs, for `run_cell`.
    #[serde(default)]
    pub cell: Option<CellId>,
    /// The LM profile to run under: what `dspy.LM(model, **params)` takes.
    #[serde(default)]
    pub lm: Option<LmSpec>,
    /// What the kernel ships with a job: names of the notebook and settings,
    /// pickled by value, base64. Goes from one worker to another and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipped: Option<String>,
    /// The span that this request's spans are part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Why it runs in the kernel although it is a job; shown as a span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
}

/// Where in a worker a request runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Python's main thread, one at a time: cells and `dspy.configure`.
    Main,
    /// A side thread that is never behind a cell: completion, inspection,
    /// signatures, prompts.
    Side,
    /// A pool of threads, each request under its own `dspy.context`: programs,
    /// evaluations, optimizers.
    #[default]
    Run,
}

/// What a worker needs to make a `dspy.LM` of a profile. Never holds a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LmSpec {
    /// The profile's name.
    pub profile: String,
    /// `provider/model`.
    pub model: String,
    /// Keyword arguments (`temperature`, `max_tokens`, `api_base`, `num_retries`, …).
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Called with the worker's own credentials: nothing is put in for a key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub direct: bool,
}

/// The end of a request: a result or an error, never both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether `result` holds.
    pub ok: bool,
    /// The operation's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<OperationError>,
}

/// One finished provider request, as DSPy made it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LmRequest {
    /// DSPy's active call id: the LM span.
    pub span: Option<String>,
    /// The LM span's parent.
    #[serde(default)]
    pub parent: Option<String>,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The cell it belongs to.
    pub cell: Option<CellId>,
    /// `POST` nearly always.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// Names as DSPy wrote them; a managed key is a token here.
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(flatten)]
    pub body: Body,
    /// Read time-out in seconds; `None` means the profile's.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// DSPy asked for a stream: answer with [`ToWorker::LmChunk`].
    #[serde(default)]
    pub stream: bool,
    /// DSPy's `cache` flag of the LM.
    #[serde(default = "yes")]
    pub cache: bool,
    /// DSPy's `rollout_id`.
    #[serde(default)]
    pub rollout_id: Option<i64>,
    /// `[input, output]` dollars per token, where DSPy's snapshot knows them.
    #[serde(default)]
    pub price: Option<[f64; 2]>,
}

/// Bytes on a JSON wire: text where they are UTF-8, base64 otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// UTF-8.
    Body(String),
    /// Anything else.
    BodyBase64(String),
}

impl Body {
    /// Bytes on the wire.
    pub fn len(&self) -> usize {
        let (Self::Body(text) | Self::BodyBase64(text)) = self;
        text.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A whole answer, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LmAnswer {
    /// The server answered (with any status).
    Response {
        /// HTTP status.
        status: u16,
        /// Response headers.
        headers: Vec<(String, String)>,
        /// Response body.
        #[serde(flatten)]
        body: Body,
    },
    /// The server did not answer.
    Failure {
        /// Which of DSPy's transport exceptions to raise.
        failure: TransportFailure,
        /// One sentence.
        message: String,
    },
}

/// Why no answer came. Each names the DSPy transport exception raised for it,
/// except `cancelled`, which raises `RunCancelled(BaseException)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransportFailure {
    /// `ConnectError`: refused, no route, TLS.
    Connect,
    /// `ReadTimeout`.
    Timeout,
    /// `ReadError`: the connection broke.
    Read,
    /// `ProtocolError`: not HTTP, or a strict cassette has no such answer.
    Protocol,
    /// The run was cancelled.
    Cancelled,
}

/// One piece of a streamed answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LmChunk {
    /// Present in the first piece: status and headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<(u16, Vec<(String, String)>)>,
    /// Bytes; may be empty.
    #[serde(flatten)]
    pub body: Body,
    /// Present in the last piece of a broken stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<(TransportFailure, String)>,
    /// No piece follows.
    pub is_final: bool,
}

/// A piece of the zlib-compressed JSON of a large message (R55).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// Which large message; chosen by the sender.
    pub stream: u64,
    /// From 0.
    pub chunk_index: u32,
    /// No piece follows.
    pub is_final: bool,
    /// Base64 of at most 1 MiB of compressed bytes.
    pub data: String,
}

fn yes() -> bool {
    true
}
