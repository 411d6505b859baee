//! The native module `_dspex`: what the package `dspex_worker` can ask of Rust.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dspex_tui::protocol::message::{
    ApprovalRequest, Body, FromWorker, Lane, LmAnswer, LmChunk, LmRequest, TransportFailure as Kind,
};
use dspex_tui::session::event::{CellId, RunId};
use pyo3::create_exception;
use pyo3::exceptions::{PyBaseException, PyException, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator};
use serde_json::value::RawValue;

use super::gate::{Reply, Slot};
use super::json;
use super::link::Link;
use super::process;
use super::spans::{End, Start};

create_exception!(
    _dspex,
    RunCancelled,
    PyBaseException,
    "The run was cancelled. Not an Exception, so that nothing absorbs it."
);

/// The LM server could not be reached, or did not answer.
#[pyclass(extends = PyException, subclass, module = "_dspex")]
pub(super) struct TransportFailure {
    #[pyo3(get)]
    kind: String,
    #[pyo3(get)]
    message: String,
}

#[pymethods]
impl TransportFailure {
    #[new]
    fn new(kind: String, message: String) -> Self {
        Self { kind, message }
    }

    fn __str__(&self) -> String {
        self.message.clone()
    }
}

/// What the package `dspex_worker` builds on.
#[pymodule]
pub(super) mod _dspex {
    use super::{Bound, Link, PyModule, PyModuleMethods as _, PyResult, link};

    #[pymodule_export]
    use super::{
        RunCancelled, TransportFailure, cell_began, cell_ended, count_json, is_cancelled, lm_call,
        lm_drop, lm_open, lm_told, read_input, request_approval, send, send_pieces, span_end,
        span_start, wait, write_json,
    };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let link: &Link = link()?;
        module.add("worker", link.worker)?;
        module.add("interactive", link.interactive)?;
        module.add("version", &link.app)
    }
}

fn link() -> PyResult<&'static Link> {
    Link::get().ok_or_else(|| PyRuntimeError::new_err("this process has no workbench"))
}

/// Sends one message; `payload` is the JSON of an object.
#[pyfunction]
fn send(py: Python<'_>, r#type: &str, id: u64, payload: &[u8]) -> PyResult<()> {
    let link = link()?;
    py.detach(|| {
        link.send(r#type, id, payload);
        if r#type == "answer" {
            link.lanes.answered(id);
        }
    });
    Ok(())
}

/// Sends one large message; `pieces` gives the JSON of its payload part by part,
/// which is never held whole.
#[pyfunction]
fn send_pieces(
    py: Python<'_>,
    r#type: &str,
    id: u64,
    pieces: &Bound<'_, PyIterator>,
) -> PyResult<()> {
    let link = link()?;
    let mut message = link.pieces(r#type, id);
    let mut failed = None;
    for piece in pieces {
        match piece.and_then(|piece| Ok(piece.cast_into::<PyBytes>()?)) {
            Ok(piece) => {
                let json = piece.as_bytes();
                py.detach(|| link.send_frames(message.push(json)));
            }
            // What was sent is ended, so that the other side can forget it.
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    let whole = failed.is_none();
    py.detach(|| {
        link.send_frames(message.finish());
        if whole && r#type == "answer" {
            link.lanes.answered(id);
        }
    });
    failed.map_or(Ok(()), Err)
}

type Job<'py> = (u64, String, Bound<'py, PyBytes>, Option<u64>, Option<u64>);

/// The next request of a lane: `(id, operation, request JSON, run, cell)`, or
/// `None` when the worker is to end.
#[pyfunction]
fn wait<'py>(py: Python<'py>, lane: &str) -> PyResult<Option<Job<'py>>> {
    let lane = match lane {
        "main" => Lane::Main,
        "side" => Lane::Side,
        "run" => Lane::Run,
        other => return Err(PyValueError::new_err(format!("no lane is called {other}"))),
    };
    let link = link()?;
    let job = py.detach(|| match lane {
        Lane::Side => super::reader::next_for_side(link),
        other => link.lanes.next(other),
    });
    Ok(job.map(|job| {
        let payload = PyBytes::new(py, &job.payload);
        (job.id, job.operation, payload, job.run, job.cell)
    }))
}

/// A cell begins on the main thread: interrupts for it now count.
#[pyfunction]
fn cell_began(py: Python<'_>, cell: u64, run: u64) -> PyResult<()> {
    let link = link()?;
    py.detach(|| link.interrupts.cell_began(cell, run));
    Ok(())
}

/// The cell ended. A signal that came too late for it is swallowed here, so
/// that it cannot hit the kernel's own loop.
#[pyfunction]
fn cell_ended(py: Python<'_>) -> PyResult<()> {
    let link = link()?;
    py.detach(|| link.interrupts.cell_ended());
    drop(py.check_signals());
    Ok(())
}

/// A call began; `inputs` is a small JSON object.
#[pyfunction]
#[pyo3(signature = (id, parent, run, kind, name, inputs))]
fn span_start(
    id: &str,
    parent: Option<&str>,
    run: Option<u64>,
    kind: &str,
    name: &str,
    inputs: Option<&[u8]>,
) -> PyResult<()> {
    link()?.spans.push(&Start {
        id,
        parent,
        run,
        kind,
        name,
        ns: process::monotonic_ns(),
        inputs: inputs.and_then(raw),
    });
    Ok(())
}

/// A call ended; `outputs` is a small JSON object, `error` its exception's line.
#[pyfunction]
#[pyo3(signature = (id, outputs, error))]
fn span_end(id: &str, outputs: Option<&[u8]>, error: Option<&str>) -> PyResult<()> {
    link()?.spans.push(&End {
        id,
        ns: process::monotonic_ns(),
        outputs: outputs.and_then(raw),
        error,
    });
    Ok(())
}

/// JSON that is passed on as it is; `None` where it is none.
fn raw(json: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(json).ok()
}

/// How many values JSON would write for this one as it is; below zero where it
/// cannot, or not within so many levels and values.
#[pyfunction]
fn count_json(value: &Bound<'_, PyAny>, depth: usize, most: u32) -> i64 {
    json::count_json(value, depth, most)
}

/// The JSON of a value that JSON can say as it is, within so many levels and values;
/// `None` where it cannot, or where long text makes it orjson's.
#[pyfunction]
fn write_json<'py>(
    value: &Bound<'py, PyAny>,
    depth: usize,
    most: u32,
) -> Option<Bound<'py, PyBytes>> {
    json::write_json(value, depth, most)
}

/// Whether a run was cancelled.
#[pyfunction]
fn is_cancelled(run: u64) -> PyResult<bool> {
    Ok(link()?.interrupts.is_cancelled(run))
}

type Response<'py> = (u16, Vec<(String, String)>, Bound<'py, PyBytes>);

/// Sends a provider request through the workbench and blocks until it is answered.
#[pyfunction]
#[pyo3(signature = (span, parent, run, cell, method, url, headers, body, timeout, cache, rollout_id, price))]
#[expect(clippy::too_many_arguments, reason = "the call's own shape")]
fn lm_call<'py>(
    py: Python<'py>,
    span: Option<String>,
    parent: Option<String>,
    run: Option<u64>,
    cell: Option<u64>,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: &[u8],
    timeout: Option<f64>,
    cache: bool,
    rollout_id: Option<i64>,
    price: Option<(f64, f64)>,
) -> PyResult<Response<'py>> {
    let request = LmRequest {
        span,
        parent,
        run: run.map(RunId),
        cell: cell.map(CellId),
        method,
        url,
        headers,
        body: text_or_base64(body),
        timeout,
        stream: false,
        cache,
        rollout_id,
        price: price.map(|(input, output)| [input, output]),
    };
    let message = FromWorker::LmRequest(request);
    match ask(py, run, cell, &message)? {
        Reply::Lm(LmAnswer::Response {
            status,
            headers,
            body,
        }) => Ok((status, headers, PyBytes::new(py, &bytes(body)?))),
        Reply::Lm(LmAnswer::Failure { failure, message }) => Err(failed(failure, &message)),
        Reply::Cancelled => Err(cancelled()),
        _ => Err(failed(
            Kind::Protocol,
            "the workbench answered with something else",
        )),
    }
}

/// Tells of an LM call that passed no door and has its answer; does not wait. The body
/// is JSON: `{model, request, response, latency_us, cost}`.
#[pyfunction]
#[pyo3(signature = (span, parent, run, cell, body, rollout_id, price))]
#[expect(clippy::too_many_arguments, reason = "the call's own shape")]
fn lm_told(
    py: Python<'_>,
    span: Option<String>,
    parent: Option<String>,
    run: Option<u64>,
    cell: Option<u64>,
    body: &[u8],
    rollout_id: Option<i64>,
    price: Option<(f64, f64)>,
) -> PyResult<()> {
    // The socket belongs to the process it was made for.
    if process::is_fork() {
        return Ok(());
    }
    let link = link()?;
    let call = LmRequest {
        span,
        parent,
        run: run.map(RunId),
        cell: cell.map(CellId),
        method: "POST".to_owned(),
        url: "direct://worker/".to_owned(),
        headers: Vec::new(),
        body: text_or_base64(body),
        timeout: None,
        stream: false,
        cache: false,
        rollout_id,
        price: price.map(|(input, output)| [input, output]),
    };
    py.detach(|| link.say(0, &FromWorker::LmTold(call)));
    Ok(())
}

/// Sends a provider request and returns at once; `callback` gets the answer.
#[pyfunction]
#[pyo3(signature = (span, parent, run, cell, method, url, headers, body, timeout, cache, rollout_id, price, stream, callback))]
#[expect(clippy::too_many_arguments, reason = "the call's own shape")]
fn lm_open(
    py: Python<'_>,
    span: Option<String>,
    parent: Option<String>,
    run: Option<u64>,
    cell: Option<u64>,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: &[u8],
    timeout: Option<f64>,
    cache: bool,
    rollout_id: Option<i64>,
    price: Option<(f64, f64)>,
    stream: bool,
    callback: Py<PyAny>,
) -> PyResult<u64> {
    let link = reachable(run)?;
    let request = LmRequest {
        span,
        parent,
        run: run.map(RunId),
        cell: cell.map(CellId),
        method,
        url,
        headers,
        body: text_or_base64(body),
        timeout,
        stream,
        cache,
        rollout_id,
        price: price.map(|(input, output)| [input, output]),
    };
    let message = FromWorker::LmRequest(request);
    Ok(py.detach(|| {
        let id = link.gate.register_callback(run, cell, callback);
        link.say(id, &message);
        id
    }))
}

/// Nobody waits for this call any more.
#[pyfunction]
fn lm_drop(py: Python<'_>, handle: u64) -> PyResult<()> {
    let link = link()?;
    py.detach(|| {
        if link.gate.forget(handle) {
            link.say(handle, &FromWorker::LmCancel {});
        }
    });
    Ok(())
}

/// Asks the user for a line; `None` is end of file.
#[pyfunction]
fn read_input(
    py: Python<'_>,
    cell: u64,
    prompt: String,
    password: bool,
) -> PyResult<Option<String>> {
    let message = FromWorker::InputRequest {
        cell: CellId(cell),
        prompt,
        password,
    };
    match ask(py, None, Some(cell), &message)? {
        Reply::Input(text) => Ok(text),
        Reply::Cancelled => Err(cancelled()),
        _ => Ok(None),
    }
}

/// Asks whether a tool may be called with these arguments (a JSON object); waits as
/// long as it takes. Answers whether, and why not.
#[pyfunction]
#[pyo3(signature = (run, cell, tool, arguments))]
fn request_approval(
    py: Python<'_>,
    run: Option<u64>,
    cell: Option<u64>,
    tool: String,
    arguments: &[u8],
) -> PyResult<(bool, String)> {
    let message = FromWorker::ApprovalRequest(ApprovalRequest {
        run: run.map(RunId),
        cell: cell.map(CellId),
        tool,
        arguments: serde_json::from_slice(arguments).unwrap_or_default(),
    });
    match ask(py, run, cell, &message)? {
        Reply::Approval(allow, reason) => Ok((allow, reason)),
        Reply::Cancelled => Err(cancelled()),
        _ => Ok((
            false,
            "the workbench answered with something else".to_owned(),
        )),
    }
}

/// Sends a question and waits for its reply with the GIL released. Leaves early
/// with `KeyboardInterrupt` or `RunCancelled`, and then says that nobody waits.
fn ask(
    py: Python<'_>,
    run: Option<u64>,
    cell: Option<u64>,
    message: &FromWorker,
) -> PyResult<Reply> {
    let link = reachable(run)?;
    let on_main = process::is_main_thread();
    let (id, slot) = py.detach(|| {
        let (id, slot) = link.gate.register(run, cell);
        link.say(id, message);
        (id, slot)
    });
    // Between the check above and the registration a cancel may have passed.
    let reply = if is_run_cancelled(link, run) {
        Ok(Reply::Cancelled)
    } else {
        wait_for(py, &slot, on_main)
    };
    if !matches!(
        reply,
        Ok(Reply::Lm(_) | Reply::Input(_) | Reply::Approval(..))
    ) {
        py.detach(|| {
            link.gate.forget(id);
            if matches!(
                message,
                FromWorker::LmRequest(_) | FromWorker::ApprovalRequest(_)
            ) {
                link.say(id, &FromWorker::LmCancel {});
            }
        });
    }
    reply
}

fn wait_for(py: Python<'_>, slot: &Arc<Slot>, on_main: bool) -> PyResult<Reply> {
    loop {
        if let Some(reply) = py.detach(|| slot.wait(on_main)) {
            return Ok(reply);
        }
        py.check_signals()?;
    }
}

/// The link, if this process and this run may use it.
fn reachable(run: Option<u64>) -> PyResult<&'static Link> {
    if process::is_fork() {
        let reason = "a forked process cannot call the workbench; use threads, or spawn";
        return Err(failed(Kind::Connect, reason));
    }
    let link = link()?;
    if is_run_cancelled(link, run) {
        return Err(cancelled());
    }
    Ok(link)
}

fn is_run_cancelled(link: &Link, run: Option<u64>) -> bool {
    run.is_some_and(|run| link.interrupts.is_cancelled(run))
}

fn cancelled() -> PyErr {
    RunCancelled::new_err("the run was cancelled")
}

fn failed(kind: Kind, message: &str) -> PyErr {
    let kind = match kind {
        Kind::Connect => "connect",
        Kind::Timeout => "timeout",
        Kind::Read => "read",
        Kind::Protocol => "protocol",
        Kind::Cancelled => return cancelled(),
    };
    PyErr::new::<TransportFailure, _>((kind.to_owned(), message.to_owned()))
}

fn text_or_base64(body: &[u8]) -> Body {
    match std::str::from_utf8(body) {
        Ok(text) => Body::Body(text.to_owned()),
        Err(_) => Body::BodyBase64(STANDARD.encode(body)),
    }
}

fn bytes(body: Body) -> PyResult<Vec<u8>> {
    match body {
        Body::Body(text) => Ok(text.into_bytes()),
        Body::BodyBase64(text) => STANDARD
            .decode(text)
            .map_err(|error| failed(Kind::Protocol, &error.to_string())),
    }
}

/// Arguments of an `lm_open` callback.
pub(super) type CallbackArguments = (
    Option<u16>,
    Option<Vec<(String, String)>>,
    Py<PyBytes>,
    bool,
    Option<Py<PyAny>>,
);

/// A whole answer, for a callback.
pub(super) fn answer_arguments(py: Python<'_>, answer: LmAnswer) -> PyResult<CallbackArguments> {
    Ok(match answer {
        LmAnswer::Response {
            status,
            headers,
            body,
        } => {
            let body = PyBytes::new(py, &bytes(body)?).unbind();
            (Some(status), Some(headers), body, true, None)
        }
        LmAnswer::Failure { failure, message } => failure_arguments(py, failed(failure, &message)),
    })
}

/// A piece of a stream, for a callback.
pub(super) fn chunk_arguments(py: Python<'_>, chunk: LmChunk) -> PyResult<CallbackArguments> {
    let (status, headers) = chunk.head.unzip();
    let failure = chunk
        .failure
        .map(|(kind, message)| failed(kind, &message).into_value(py).into_any());
    let body = PyBytes::new(py, &bytes(chunk.body)?).unbind();
    Ok((status, headers, body, chunk.is_final, failure))
}

/// The end of a cancelled call, for a callback.
pub(super) fn cancelled_arguments(py: Python<'_>) -> CallbackArguments {
    failure_arguments(py, cancelled())
}

fn failure_arguments(py: Python<'_>, error: PyErr) -> CallbackArguments {
    let failure = error.into_value(py).into_any();
    (
        None,
        None,
        PyBytes::new(py, b"").unbind(),
        true,
        Some(failure),
    )
}
