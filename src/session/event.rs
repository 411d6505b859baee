//! Events: everything a session remembers, one line of its log each.
//!
//! An event is a fact in the past tense. Live or replayed, state changes only by
//! applying events ([`super::state::SessionState::apply`]).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::protocol::error::OperationError;

mod definition;
mod exchange;
mod tool;

pub use definition::{DatasetDef, FieldDef, NameInfo, ProgramDef, SignatureDef};
pub use exchange::{AnswerSource, BlobRef, Document, Exchange, KeySource, LmProfile};
pub use tool::{Approval, ModuleDef, ServerDef, ToolDef, ToolSource};

/// A run: one execution of a program, operation or cell. Counts from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

/// A cell of the notebook. Counts from 1; stays the same when the cell is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CellId(pub u64);

/// One line of the log, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Position in the session, from 1, without gaps.
    pub seq: u64,
    /// Wall clock, milliseconds since the epoch; for display only.
    pub time_ms: i64,
    /// Monotonic nanoseconds since this process opened the session; for order
    /// and durations.
    pub mono_ns: u64,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The cell it belongs to.
    pub cell: Option<CellId>,
    /// What happened.
    pub body: EventBody,
    /// SHA-256 of the previous event's chain and this line's bytes, hex.
    pub chain: String,
}

/// The run and cell an event belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scope {
    /// The run.
    pub run: Option<RunId>,
    /// The cell.
    pub cell: Option<CellId>,
}

impl Scope {
    /// Belongs to the session as a whole.
    pub const NONE: Self = Self {
        run: None,
        cell: None,
    };

    /// Belongs to a run outside any cell.
    pub fn run(run: RunId) -> Self {
        Self {
            run: Some(run),
            cell: None,
        }
    }

    /// Belongs to a run of a cell.
    pub fn cell(run: RunId, cell: CellId) -> Self {
        Self {
            run: Some(run),
            cell: Some(cell),
        }
    }
}

/// What happened. On disk: `"kind": "…", "d": {…}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "d", rename_all = "snake_case")]
pub enum EventBody {
    /// The session was created, or opened again.
    SessionOpened {
        /// With what versions, where.
        passport: Passport,
    },
    /// A worker said with what versions it runs.
    PythonFound {
        /// Versions; the place is that of [`EventBody::SessionOpened`].
        passport: Passport,
    },
    /// The session was closed in good order.
    SessionClosed {},
    /// A cell was written or rewritten and handed over to be run.
    CellSubmitted {
        /// What it is.
        cell_kind: CellKind,
        /// Its text.
        source: String,
    },
    /// A cell printed, showed or returned something.
    CellOutput {
        /// What.
        output: Output,
    },
    /// A cell ended.
    CellFinished {
        /// How.
        status: RunStatus,
        /// How long it took.
        #[serde(deserialize_with = "number")]
        duration_ms: f64,
    },
    /// A cell was taken out of the notebook.
    CellDeleted {},
    /// A cell that was taken out is back in its place.
    CellRestored {},
    /// A run began.
    RunStarted {
        /// `cell`, `operation`, `evaluate`, `compile`.
        run_kind: RunKind,
        /// One line for lists: `qa(question=…)`, `[3]`, `optimize qa`.
        title: String,
        /// The operation asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operation: Option<String>,
        /// Its arguments.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        arguments: Value,
    },
    /// A run was paused: its calls are held from now on.
    RunPaused {},
    /// A paused run goes on.
    RunContinued {},
    /// A run ended.
    RunFinished {
        /// How.
        status: RunStatus,
        /// The operation's result.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<Value>,
        /// Why there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<OperationError>,
        /// How long it took.
        #[serde(deserialize_with = "number")]
        duration_ms: f64,
    },
    /// Spans began and ended.
    Spans {
        /// In order of time.
        items: Vec<SpanItem>,
    },
    /// A request to an LM server was answered, or failed.
    Exchange(Box<Exchange>),
    /// An LM profile was made or changed.
    LmConfigured {
        /// The whole profile.
        profile: LmProfile,
    },
    /// An LM profile was removed.
    LmRemoved {
        /// Its name.
        name: String,
    },
    /// This profile is now the one calls go to by default.
    LmSelected {
        /// Its name.
        name: String,
    },
    /// A signature was named, or changed.
    SignatureDefined {
        /// The name it is known by.
        name: String,
        /// What it says.
        signature: SignatureDef,
    },
    /// A program was made, changed or optimised.
    ProgramRegistered {
        /// The whole program.
        program: Box<ProgramDef>,
    },
    /// A program was removed.
    ProgramRemoved {
        /// Its name.
        name: String,
    },
    /// A tool was registered, or its policy changed.
    ToolRegistered {
        /// The whole tool.
        tool: Box<ToolDef>,
    },
    /// A tool was removed.
    ToolRemoved {
        /// Its name.
        name: String,
    },
    /// An MCP server was registered; its tools follow.
    ServerRegistered {
        /// The whole server.
        server: ServerDef,
    },
    /// An MCP server was removed, and its tools with it.
    ServerRemoved {
        /// Its name.
        name: String,
    },
    /// A module of the user's was registered.
    ModuleRegistered {
        /// The whole module.
        module: ModuleDef,
    },
    /// A module of the user's was removed.
    ModuleRemoved {
        /// Its name.
        name: String,
    },
    /// A dataset was loaded.
    DatasetLoaded {
        /// The whole dataset.
        dataset: DatasetDef,
    },
    /// The kernel's namespace after a cell.
    NamesChanged {
        /// All names, sorted.
        names: Vec<NameInfo>,
    },
    /// An evaluation or optimisation went on.
    Progressed {
        /// What happened.
        progress: Progress,
    },
    /// A worker was born, got ready, or died.
    WorkerChanged {
        /// Which and how.
        worker: WorkerReport,
    },
    /// Something worth telling: what was lost, what fell back, what to do.
    Noted {
        /// How bad.
        level: Level,
        /// One sentence.
        text: String,
        /// What to do about it; may be empty.
        #[serde(default)]
        hint: String,
    },
    /// A kind this version does not know (written by a newer one): kept and
    /// shown raw, never a failure.
    #[serde(skip)]
    Unknown {
        /// The line's `kind`.
        kind: String,
        /// The line's `d`.
        d: Value,
    },
}

/// The versions and the place a session ran with (the run passport, D16).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Passport {
    /// Version of the workbench.
    pub app: String,
    /// Working directory.
    pub cwd: String,
    /// Version of Python, when a worker has said it.
    #[serde(default)]
    pub python: String,
    /// Version of DSPy, when a worker has said it.
    #[serde(default)]
    pub dspy: String,
    /// Further package versions.
    #[serde(default)]
    pub packages: Map<String, Value>,
}

/// What a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CellKind {
    /// Python, run by IPython.
    Python,
    /// A `:command`.
    Command,
    /// Text.
    Markdown,
}

/// What a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// A cell of the notebook.
    Cell,
    /// An operation that runs a program or module.
    Operation,
    /// A program over a dataset.
    Evaluate,
    /// An optimizer.
    Compile,
    /// A program over a file of inputs.
    Batch,
}

/// How a run or cell stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Going on (or its worker vanished and nobody knows yet).
    #[default]
    Running,
    /// Ended well.
    Ok,
    /// Ended with an error.
    Error,
    /// The user stopped it.
    Interrupted,
    /// Its worker died.
    Died,
}

/// One thing a cell put out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "output", rename_all = "snake_case")]
pub enum Output {
    /// Printed text; SGR colours may occur, other escapes are shown as text.
    Stream {
        /// Written to `sys.stderr` or descriptor 2.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stderr: bool,
        /// The text.
        text: String,
    },
    /// Rich display: a MIME bundle with `text/plain` always present.
    Display {
        /// MIME type to data.
        data: Map<String, Value>,
        /// A later display with the same id replaces this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display_id: Option<String>,
        /// This is such a replacement.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        update: bool,
    },
    /// The cell's value, `Out[n]`. DSPy predictions carry
    /// `application/vnd.dspex.prediction+json`: an object of their fields.
    Result {
        /// MIME type to data.
        data: Map<String, Value>,
    },
    /// An exception.
    Error {
        /// Type, message and coloured traceback.
        error: OperationError,
    },
    /// `clear_output()`.
    Clear {
        /// Only when the next output comes.
        #[serde(default)]
        wait: bool,
    },
    /// What the user answered to `input()` (never to `getpass()`).
    Input {
        /// The prompt.
        prompt: String,
        /// The line; empty for a password.
        text: String,
    },
}

/// A span's start or end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "span", rename_all = "snake_case")]
pub enum SpanItem {
    /// A call began.
    Start {
        /// DSPy's call id: `worker-counter`, unique in the session.
        id: String,
        /// The call it is part of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<String>,
        /// The run it belongs to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunId>,
        /// `module`, `lm`, `adapter_format`, `adapter_parse`, `tool`,
        /// `interpreter`, `evaluate`, `compile`.
        kind: String,
        /// Class, tool or model name.
        name: String,
        /// Monotonic nanoseconds of the worker (`CLOCK_MONOTONIC`, so that
        /// spans of several workers compare).
        ns: u64,
        /// Small inputs: scalars as they are, everything else a repr cut at 200.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        inputs: Map<String, Value>,
    },
    /// A call ended.
    End {
        /// The id of its start.
        id: String,
        /// Monotonic nanoseconds.
        ns: u64,
        /// Small outputs.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        outputs: Map<String, Value>,
        /// `Type: first line`, when it raised.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// A step of an evaluation or optimisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Progress {
    /// A phase began: `baseline`, `bootstrap`, `evaluate`, …
    Phase {
        /// Its name.
        name: String,
        /// How many examples it will look at, when known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<u64>,
    },
    /// One example was scored.
    Example {
        /// The candidate being scored.
        candidate: u32,
        /// Position in the set.
        index: u64,
        /// The metric's value, 0 to 1 usually.
        #[serde(deserialize_with = "number")]
        score: f64,
        /// Small text of what was predicted.
        #[serde(default)]
        prediction: String,
        /// `Type: first line`, when the program or metric raised.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// A batch went on.
    Rows {
        /// Rows that need not be run again, those of an earlier start included.
        done: u64,
        /// How many of these ended with an error.
        failed: u64,
        /// Rows there are.
        total: u64,
        /// Rows done a second, of late.
        #[serde(deserialize_with = "number")]
        per_second: f64,
        /// Seconds until all are done, if it goes on like this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left_s: Option<f64>,
    },
    /// A demonstration was found (bootstrapping).
    Demo {
        /// How many there are now.
        found: u32,
        /// How many are wanted.
        wanted: u32,
    },
    /// A candidate was scored on the whole set.
    Candidate {
        /// Its number; 0 is the program as it was.
        candidate: u32,
        /// What distinguishes it, one line.
        label: String,
        /// Percent.
        #[serde(deserialize_with = "number")]
        score: f64,
        /// The instructions of its first predictor.
        #[serde(default)]
        instructions: String,
        /// How many demos it carries.
        #[serde(default)]
        demos: u32,
        /// The candidate it was made from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<u32>,
    },
}

/// A worker's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Its number in the session, from 1.
    pub worker: u32,
    /// `kernel` or `standby`.
    pub role: String,
    /// How it stands.
    pub state: WorkerState,
    /// Process id.
    #[serde(default)]
    pub pid: u32,
    /// One line: why it died, what it waits for.
    #[serde(default)]
    pub detail: String,
    /// Names that were lost with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
}

/// How a worker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkerState {
    /// Spawned; importing DSPy.
    Starting,
    /// Will carry out requests.
    Ready,
    /// Carrying one out.
    Busy,
    /// Gone without being asked.
    Died,
    /// Gone because asked.
    Stopped,
    /// Could not be started, or died too often; `detail` says what to do.
    Down,
}

/// How bad a note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Info,
    /// Something was lost or did otherwise than asked.
    Warning,
    /// Something failed.
    Error,
}

/// JSON has no NaN and no infinity: they are written as null and read as NaN.
fn number<'de, D: Deserializer<'de>>(json: D) -> Result<f64, D::Error> {
    Option::<f64>::deserialize(json).map(|number| number.unwrap_or(f64::NAN))
}
