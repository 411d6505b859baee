//! The state of a session: a fold over its events and nothing else.
//!
//! [`SessionState::apply`] is the only thing that changes it, so a replayed
//! session has the state it had when it was lived, and the same hash. It holds
//! what screens show; bodies of exchanges stay in the blob pack.
//!
//! Cells, runs, spans and datasets are shared between clones and copied only
//! when one of them changes, so that a clone of a long session is cheap: time
//! travel keeps many.

mod held;
mod outputs;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::event::{
    CellId, CellKind, DatasetDef, Event, EventBody, Exchange, Level, LmProfile, ModuleDef,
    NameInfo, Output, Passport, ProgramDef, Progress, RunId, RunKind, RunStatus, ServerDef,
    SignatureDef, SpanItem, ToolDef, ToolSource, WorkerReport, WorkerState,
};
use super::metrics::Metrics;
pub use super::totals::Totals;
use crate::protocol::error::OperationError;

/// Deleted cells that can be had back.
const DELETED: usize = 100;

/// Everything a session is, as of its last event.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SessionState {
    /// Sequence number of the last event applied.
    pub seq: u64,
    /// SHA-256 over all lines so far, hex: `chain = H(chain || line)`. The
    /// journal sets it; altering any event changes it.
    pub chain: String,
    /// Versions and place of the latest opening.
    pub passport: Passport,
    /// Cells in notebook order.
    pub cells: Vec<Arc<Cell>>,
    /// Cells that were taken out, newest last, with the places they had. They
    /// show nowhere, so they are no part of the hash.
    #[serde(skip)]
    pub deleted: Vec<(usize, Arc<Cell>)>,
    /// Runs by id.
    pub runs: BTreeMap<RunId, Arc<Run>>,
    /// LM profiles by name.
    pub lms: BTreeMap<String, LmProfile>,
    /// The default profile's name.
    pub lm: Option<String>,
    /// Named signatures.
    pub signatures: BTreeMap<String, SignatureDef>,
    /// Programs by name, newest version.
    pub programs: BTreeMap<String, ProgramDef>,
    /// Tools by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, ToolDef>,
    /// MCP servers by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub servers: BTreeMap<String, ServerDef>,
    /// The user's modules by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub modules: BTreeMap<String, ModuleDef>,
    /// Datasets by name.
    pub datasets: BTreeMap<String, Arc<DatasetDef>>,
    /// The kernel's names.
    pub names: Vec<NameInfo>,
    /// Workers by number.
    pub workers: BTreeMap<u32, WorkerReport>,
    /// Notes, oldest first.
    pub notes: Vec<Note>,
    /// Sums over all exchanges.
    pub totals: Totals,
    /// Exchanges by the span that has not begun yet (or never will: its worker
    /// died first); under the empty name those of calls outside any span.
    pub unclaimed: BTreeMap<String, Vec<Arc<Exchange>>>,
    /// The last event that changed signatures, programs, tools or datasets: what a new
    /// kernel must be told again.
    pub registered_seq: u64,
    /// How often, how long, how well: a fold beside this one, no part of the hash.
    #[serde(skip)]
    pub metrics: Arc<Metrics>,
    /// How many spans it holds, and whether it let any go.
    #[serde(skip)]
    held: held::Held,
}

/// A cell of the notebook.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    /// Its id.
    pub id: CellId,
    /// What it holds.
    pub kind: CellKind,
    /// Its text as last submitted.
    pub source: String,
    /// Outputs of its last run, streams coalesced.
    pub outputs: Vec<Output>,
    /// How its last run stands.
    pub status: RunStatus,
    /// Its last run.
    pub run: Option<RunId>,
    /// How long its last run took.
    pub duration_ms: Option<f64>,
    /// Changes with every change of the cell; key of drawing caches.
    pub revision: u64,
    /// `clear_output(wait=True)` came: the next output clears first.
    #[serde(skip)]
    pub clear_pending: bool,
}

/// One execution.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What it is.
    pub kind: RunKind,
    /// One line for lists.
    pub title: String,
    /// The operation asked for.
    pub operation: Option<String>,
    /// Its arguments.
    pub arguments: Value,
    /// The cell, for runs of cells.
    pub cell: Option<CellId>,
    /// Wall clock of its start, milliseconds.
    pub started_ms: i64,
    /// How it stands.
    pub status: RunStatus,
    /// Its calls are held. Absent where it is not, so that states of sessions without
    /// a pause keep their hash.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Its result.
    pub result: Option<Value>,
    /// Why there is none.
    pub error: Option<OperationError>,
    /// How long it took.
    pub duration_ms: Option<f64>,
    /// Its spans in order of start.
    pub spans: Vec<Arc<Span>>,
    /// Further spans, which only the log has.
    #[serde(skip_serializing_if = "held::is_none")]
    pub left: usize,
    /// Progress of an evaluation or optimisation.
    pub progress: Vec<Progress>,
    /// Sums over its exchanges.
    pub totals: Totals,
    /// Where each span is in [`Run::spans`].
    #[serde(skip)]
    span_places: HashMap<String, usize>,
}

/// One call inside a run.
#[derive(Debug, Clone, Serialize)]
pub struct Span {
    /// DSPy's call id.
    pub id: String,
    /// Position of its parent in [`Run::spans`].
    pub parent: Option<usize>,
    /// Distance from the root.
    pub depth: u16,
    /// `module`, `lm`, `adapter_format`, …
    pub kind: String,
    /// Class, tool or model name.
    pub name: String,
    /// Monotonic start.
    pub start_ns: u64,
    /// Monotonic end.
    pub end_ns: Option<u64>,
    /// Small inputs.
    pub inputs: Map<String, Value>,
    /// Small outputs.
    pub outputs: Map<String, Value>,
    /// `Type: first line`.
    pub error: Option<String>,
    /// Its exchanges (an LM span has one a try).
    pub exchanges: Vec<Exchange>,
}

/// A note with its place in time.
#[derive(Debug, Clone, Serialize)]
pub struct Note {
    /// When.
    pub seq: u64,
    /// How bad.
    pub level: Level,
    /// One sentence.
    pub text: String,
    /// What to do.
    pub hint: String,
}

impl Run {
    /// Its spans in the order of a tree: each followed by what it called, the
    /// calls of one parent in order of start. Calls of several threads, which
    /// interleave in time, stay with their own parents.
    pub fn tree(&self) -> Vec<&Span> {
        let mut children = vec![Vec::new(); self.spans.len()];
        let mut roots = Vec::new();
        for (idx, span) in self.spans.iter().enumerate() {
            match span.parent.and_then(|parent| children.get_mut(parent)) {
                Some(siblings) => siblings.push(idx),
                None => roots.push(idx),
            }
        }
        let mut ordered = Vec::with_capacity(self.spans.len());
        let mut next: Vec<usize> = roots.into_iter().rev().collect();
        while let Some(idx) = next.pop() {
            ordered.extend(self.spans.get(idx).map(|span| &**span));
            next.extend(children.get(idx).into_iter().flatten().rev());
        }
        ordered
    }
}

impl SessionState {
    /// Applies one event. Total: an event that refers to something unknown
    /// changes what it can and never fails.
    pub fn apply(&mut self, event: &Event) {
        self.seq = event.seq;
        self.chain.clone_from(&event.chain);
        let revision = event.seq;
        Arc::make_mut(&mut self.metrics).apply(event);
        match &event.body {
            EventBody::SessionOpened { passport } => {
                self.passport = passport.clone();
                self.abandon_what_ran(revision);
            }
            EventBody::PythonFound { passport } => {
                let cwd = std::mem::take(&mut self.passport.cwd);
                self.passport = Passport {
                    cwd,
                    ..passport.clone()
                };
            }
            EventBody::SessionClosed {} | EventBody::Unknown { .. } => {}
            EventBody::CellSubmitted { cell_kind, source } => {
                if let Some(id) = event.cell {
                    self.submit_cell(id, *cell_kind, source, event.run, revision);
                }
            }
            EventBody::CellOutput { output } => {
                if let Some(cell) = event.cell.and_then(|id| self.cell_mut(id)) {
                    cell.put(output, revision);
                }
            }
            EventBody::CellFinished {
                status,
                duration_ms,
            } => {
                if let Some(cell) = event.cell.and_then(|id| self.cell_mut(id)) {
                    cell.status = *status;
                    cell.duration_ms = Some(*duration_ms);
                    cell.revision = revision;
                }
            }
            EventBody::CellDeleted {} => self.delete_cell(event.cell),
            EventBody::CellRestored {} => self.restore_cell(event.cell, revision),
            EventBody::RunStarted {
                run_kind,
                title,
                operation,
                arguments,
            } => {
                if let Some(id) = event.run {
                    let run = Run {
                        id,
                        kind: *run_kind,
                        title: title.clone(),
                        operation: operation.clone(),
                        arguments: arguments.clone(),
                        cell: event.cell,
                        started_ms: event.time_ms,
                        status: RunStatus::Running,
                        paused: false,
                        result: None,
                        error: None,
                        duration_ms: None,
                        spans: Vec::new(),
                        left: 0,
                        progress: Vec::new(),
                        totals: Totals::default(),
                        span_places: HashMap::new(),
                    };
                    self.runs.insert(id, Arc::new(run));
                }
            }
            EventBody::RunPaused {} | EventBody::RunContinued {} => {
                if let Some(run) = event.run.and_then(|id| self.run_mut(id)) {
                    run.paused = matches!(event.body, EventBody::RunPaused {});
                }
            }
            EventBody::RunFinished {
                status,
                result,
                error,
                duration_ms,
            } => {
                if let Some(run) = event.run.and_then(|id| self.run_mut(id)) {
                    run.status = *status;
                    run.paused = false;
                    run.result.clone_from(result);
                    run.error.clone_from(error);
                    run.duration_ms = Some(*duration_ms);
                }
            }
            EventBody::Spans { items } => {
                for item in items {
                    self.apply_span(item, event.run);
                }
            }
            EventBody::Exchange(exchange) => self.apply_exchange(exchange, event.run),
            EventBody::LmConfigured { profile } => {
                self.lms.insert(profile.name.clone(), profile.clone());
            }
            EventBody::LmRemoved { name } => {
                self.lms.remove(name);
                if self.lm.as_ref() == Some(name) {
                    self.lm = None;
                }
            }
            EventBody::LmSelected { name } => self.lm = Some(name.clone()),
            EventBody::SignatureDefined { name, signature } => {
                self.registered_seq = event.seq;
                self.signatures.insert(name.clone(), signature.clone());
            }
            EventBody::ProgramRegistered { program } => {
                self.registered_seq = event.seq;
                self.programs
                    .insert(program.name.clone(), (**program).clone());
            }
            EventBody::ProgramRemoved { name } => {
                self.registered_seq = event.seq;
                self.programs.remove(name);
            }
            EventBody::ToolRegistered { .. }
            | EventBody::ToolRemoved { .. }
            | EventBody::ServerRegistered { .. }
            | EventBody::ServerRemoved { .. }
            | EventBody::ModuleRegistered { .. }
            | EventBody::ModuleRemoved { .. } => {
                self.registered_seq = event.seq;
                self.apply_registered(&event.body);
            }
            EventBody::DatasetLoaded { dataset } => {
                self.registered_seq = event.seq;
                self.datasets
                    .insert(dataset.name.clone(), Arc::new(dataset.clone()));
            }
            EventBody::NamesChanged { names } => self.names.clone_from(names),
            EventBody::Progressed { progress } => {
                if let Some(run) = event.run.and_then(|id| self.run_mut(id)) {
                    // How far a batch is replaces how far it was.
                    let again = matches!(progress, Progress::Rows { .. });
                    if again && matches!(run.progress.last(), Some(Progress::Rows { .. })) {
                        run.progress.pop();
                    }
                    run.progress.push(progress.clone());
                }
            }
            EventBody::WorkerChanged { worker } => {
                if worker.state == WorkerState::Died && worker.role == "kernel" {
                    let lost = |name: &NameInfo| worker.lost.contains(&name.name);
                    self.names.retain(|name| !lost(name));
                }
                self.workers.insert(worker.worker, worker.clone());
            }
            EventBody::Noted { level, text, hint } => self.notes.push(Note {
                seq: event.seq,
                level: *level,
                text: text.clone(),
                hint: hint.clone(),
            }),
        }
    }

    /// SHA-256 of the whole state, hex. Includes [`SessionState::chain`], so
    /// that it differs when any event differs, even one that shows nowhere.
    pub fn hash(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        hex(&Sha256::digest(json))
    }

    /// The cell with this id.
    pub fn cell(&self, id: CellId) -> Option<&Cell> {
        self.cells
            .iter()
            .rev()
            .find(|cell| cell.id == id)
            .map(Arc::as_ref)
    }

    /// The id the next new cell gets.
    pub fn next_cell(&self) -> CellId {
        CellId(self.cells.iter().map(|cell| cell.id.0).max().unwrap_or(0) + 1)
    }

    /// The id the next run gets.
    pub fn next_run(&self) -> RunId {
        RunId(self.runs.keys().next_back().map_or(0, |id| id.0) + 1)
    }

    fn cell_mut(&mut self, id: CellId) -> Option<&mut Cell> {
        self.cells
            .iter_mut()
            .rev()
            .find(|cell| cell.id == id)
            .map(Arc::make_mut)
    }

    fn delete_cell(&mut self, id: Option<CellId>) {
        let Some(at) = self.cells.iter().position(|cell| Some(cell.id) == id) else {
            return;
        };
        self.deleted.push((at, self.cells.remove(at)));
        if self.deleted.len() > DELETED {
            self.deleted.remove(0);
        }
    }

    fn restore_cell(&mut self, id: Option<CellId>, revision: u64) {
        let wanted = self
            .deleted
            .iter()
            .rposition(|(_, cell)| Some(cell.id) == id);
        let taken = id.is_some_and(|id| self.cell(id).is_some());
        if let Some(wanted) = wanted.filter(|_| !taken) {
            let (at, mut cell) = self.deleted.remove(wanted);
            Arc::make_mut(&mut cell).revision = revision;
            self.cells.insert(at.min(self.cells.len()), cell);
        }
    }

    fn run_mut(&mut self, id: RunId) -> Option<&mut Run> {
        self.runs.get_mut(&id).map(Arc::make_mut)
    }

    fn submit_cell(
        &mut self,
        id: CellId,
        kind: CellKind,
        source: &str,
        run: Option<RunId>,
        revision: u64,
    ) {
        let fresh = Cell {
            id,
            kind,
            source: source.to_owned(),
            outputs: Vec::new(),
            status: if kind == CellKind::Markdown {
                RunStatus::Ok
            } else {
                RunStatus::Running
            },
            run,
            duration_ms: None,
            revision,
            clear_pending: false,
        };
        match self.cell_mut(id) {
            Some(cell) => *cell = fresh,
            None => self.cells.push(Arc::new(fresh)),
        }
    }

    /// Tools, servers and the user's modules.
    fn apply_registered(&mut self, body: &EventBody) {
        match body {
            EventBody::ToolRegistered { tool } => {
                self.tools.insert(tool.name.clone(), (**tool).clone());
            }
            EventBody::ToolRemoved { name } => {
                self.tools.remove(name);
            }
            EventBody::ServerRegistered { server } => {
                self.servers.insert(server.name.clone(), server.clone());
            }
            EventBody::ServerRemoved { name } => {
                self.servers.remove(name);
                let of_it = |tool: &ToolDef| matches!(&tool.source, ToolSource::Server { server, .. } if server == name);
                self.tools.retain(|_, tool| !of_it(tool));
            }
            EventBody::ModuleRegistered { module } => {
                self.modules.insert(module.name.clone(), module.clone());
            }
            EventBody::ModuleRemoved { name } => {
                self.modules.remove(name);
            }
            _ => {}
        }
    }

    fn apply_span(&mut self, item: &SpanItem, default_run: Option<RunId>) {
        match item {
            SpanItem::Start {
                id,
                parent,
                run,
                kind,
                name,
                ns,
                inputs,
            } => {
                let Some(run_id) = run.or(default_run) else {
                    return;
                };
                if !self.runs.contains_key(&run_id) {
                    return;
                }
                let claimed = self.unclaimed.remove(id).unwrap_or_default();
                if self.is_full(run_id) {
                    self.leave(run_id, !claimed.is_empty());
                    return;
                }
                let Some(run) = self.run_mut(run_id) else {
                    return;
                };
                let parent_idx = parent
                    .as_ref()
                    .and_then(|parent| run.span_places.get(parent).copied());
                let depth = parent_idx
                    .and_then(|idx| run.spans.get(idx))
                    .map_or(0, |span| span.depth + 1);
                let exchanges = claimed.iter().map(|e| (**e).clone()).collect();
                run.spans.push(Arc::new(Span {
                    id: id.clone(),
                    parent: parent_idx,
                    depth,
                    kind: kind.clone(),
                    name: name.clone(),
                    start_ns: *ns,
                    end_ns: None,
                    inputs: inputs.clone(),
                    outputs: Map::new(),
                    error: None,
                    exchanges,
                }));
                run.span_places.insert(id.clone(), run.spans.len() - 1);
                self.make_room(run_id);
            }
            SpanItem::End {
                id,
                ns,
                outputs,
                error,
            } => {
                if let Some(span) = self
                    .run_of_span(id, default_run)
                    .and_then(|run| self.span_mut(run, id))
                {
                    span.end_ns = Some(*ns);
                    span.outputs.clone_from(outputs);
                    span.error.clone_from(error);
                }
            }
        }
    }

    /// The run that has this span: most often the one named or the newest.
    fn run_of_span(&self, id: &str, likely: Option<RunId>) -> Option<RunId> {
        let has = |run: &Run| run.span_places.contains_key(id);
        match likely.and_then(|likely| self.runs.get(&likely)) {
            Some(run) if has(run) => Some(run.id),
            // It is one of those that only the log has.
            Some(run) if run.left > 0 => None,
            _ => self
                .runs
                .values()
                .rev()
                .find(|run| has(run))
                .map(|run| run.id),
        }
    }

    fn span_mut(&mut self, run: RunId, id: &str) -> Option<&mut Span> {
        let run = self.run_mut(run)?;
        let idx = run.span_places.get(id)?;
        run.spans.get_mut(*idx).map(Arc::make_mut)
    }

    fn apply_exchange(&mut self, exchange: &Exchange, run: Option<RunId>) {
        self.totals.add(exchange);
        let by_span = exchange
            .span
            .as_ref()
            .and_then(|span| self.run_of_span(span, run));
        if let Some(run) = run.or(by_span).and_then(|id| self.run_mut(id)) {
            run.totals.add(exchange);
        }
        if let (Some(run), Some(span)) = (by_span, &exchange.span)
            && let Some(span) = self.span_mut(run, span)
        {
            span.exchanges.push(exchange.clone());
        } else if run.is_some_and(|run| self.is_full(run)) {
            self.let_exchanges_go();
        } else {
            let waiting = exchange.span.clone().unwrap_or_default();
            let waiting = self.unclaimed.entry(waiting).or_default();
            waiting.push(Arc::new(exchange.clone()));
        }
    }

    /// Every exchange it holds: those of spans in the order in which the spans began,
    /// then the others. [`SessionState::has_let_go`] says whether these are all.
    pub fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        let spans = self.runs.values().flat_map(|run| &run.spans);
        let others = self.unclaimed.values().flatten().map(AsRef::as_ref);
        spans.flat_map(|span| &span.exchanges).chain(others)
    }

    /// What still ran when the session was closed the hard way did not survive it.
    fn abandon_what_ran(&mut self, revision: u64) {
        for cell in &mut self.cells {
            if cell.status == RunStatus::Running {
                let cell = Arc::make_mut(cell);
                cell.status = RunStatus::Died;
                cell.revision = revision;
            }
        }
        for run in self.runs.values_mut() {
            if run.status == RunStatus::Running {
                Arc::make_mut(run).status = RunStatus::Died;
            }
        }
        self.names.clear();
        self.workers.clear();
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
