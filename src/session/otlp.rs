//! Spans of a session as OpenTelemetry takes them: requests of OTLP, with the attributes
//! of OpenInference. They are made in OTLP's JSON; [`Encoding`] writes them.
//!
//! Pure but for the bodies it is handed; sending is [`crate::app`]'s. A run is a trace:
//! the run itself is its root. Workers tell time by a clock that has no date, so a run's
//! spans are placed by the wall clock of its start.

mod encoding;
mod messages;

use std::ops::Range;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::event::{Document, Exchange, RunStatus};
use super::state::{Run, SessionState, Span, hex};

pub use encoding::Encoding;

/// Spans in one request: a collector takes 4 MiB.
const AT_ONCE: usize = 200;

/// Longest value of an attribute, in characters.
const LONGEST: usize = 16_000;

/// Reads a recorded body.
pub type Read<'a> = &'a dyn Fn(&Document) -> Option<Vec<u8>>;

/// The runs that have ended, as bodies of `POST /v1/traces`, with the number of spans
/// in each. `run` is the only one wanted.
pub fn requests(
    session: &SessionState,
    id: &str,
    run: Option<u64>,
    read: Read<'_>,
) -> Vec<(usize, Value)> {
    let wanted =
        |it: &&Run| it.status != RunStatus::Running && run.is_none_or(|run| it.id.0 == run);
    let mut requests = Vec::new();
    for run in session.runs.values().map(AsRef::as_ref).filter(wanted) {
        let count = run.spans.len();
        let mut from = 0;
        loop {
            let range = from..count.min(from + AT_ONCE);
            from = range.end;
            let spans = spans(id, run, range, read);
            requests.push((spans.len(), envelope(session, id, spans)));
            if from >= count {
                break;
            }
        }
    }
    requests
}

fn envelope(session: &SessionState, id: &str, spans: Vec<Value>) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        text("service.name", "dspex-tui"),
        text("service.version", version),
        text("openinference.project.name", id),
        text("dspy.version", &session.passport.dspy),
        text("python.version", &session.passport.python),
    ];
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": {"name": "dspex-tui", "version": version}, "spans": spans}],
    }]})
}

/// Some of a run's spans; the first of them with the run itself.
fn spans(session: &str, run: &Run, range: Range<usize>, read: Read<'_>) -> Vec<Value> {
    let trace = id(&format!("{session}/{}", run.id.0), 16);
    let root = id(&format!("{session}/{}/run", run.id.0), 8);
    let began = run.started_ms.max(0) as u64 * 1_000_000;
    let first = run.spans.iter().map(|span| span.start_ns).min();
    let first = first.unwrap_or_default();
    let at = |ns: u64| began + ns.saturating_sub(first);
    let last = run.spans.iter().filter_map(|span| span.end_ns).max();
    let took = (run.duration_ms.unwrap_or_default().max(0.0) * 1e6) as u64;
    let ended = (began + took).max(last.map_or(0, at));
    let mut all = Vec::with_capacity(range.len() + 1);
    if range.start == 0 {
        let mut attributes = vec![
            text("openinference.span.kind", "CHAIN"),
            text("session.id", session),
            number("dspex.run", run.id.0),
        ];
        attributes.extend(value("input", &run.arguments));
        attributes.extend(
            run.result
                .as_ref()
                .map(|it| value("output", it))
                .into_iter()
                .flatten(),
        );
        let error = run
            .error
            .as_ref()
            .map(|it| format!("{}: {}", it.kind, it.message));
        let failed = run.status != RunStatus::Ok;
        let error = error.or_else(|| failed.then(|| format!("{:?}", run.status)));
        all.push(json!({
            "traceId": trace, "spanId": root, "name": run.title, "kind": 1,
            "startTimeUnixNano": began.to_string(), "endTimeUnixNano": ended.to_string(),
            "attributes": attributes, "status": status(error.as_deref()),
        }));
    }
    for span in run.spans.get(range).unwrap_or_default() {
        let parent = span.parent.and_then(|parent| run.spans.get(parent));
        let parent = parent.map_or_else(|| root.clone(), |it| span_id(session, it));
        // A span without an end was cut off with its run.
        let end = span.end_ns.map_or(ended, at);
        all.push(json!({
            "traceId": trace, "spanId": span_id(session, span), "parentSpanId": parent,
            "name": span.name, "kind": if span.kind == "lm" { 3 } else { 1 },
            "startTimeUnixNano": at(span.start_ns).to_string(),
            "endTimeUnixNano": end.to_string(),
            "attributes": attributes(session, span, read),
            "status": status(span.error.as_deref()),
        }));
    }
    all
}

fn attributes(session: &str, span: &Span, read: Read<'_>) -> Vec<Value> {
    let kind = match (span.kind.as_str(), span.name.as_str()) {
        ("lm", _) => "LLM",
        ("tool" | "interpreter", _) => "TOOL",
        ("evaluate", _) => "EVALUATOR",
        ("module", "ReAct" | "ReActV2" | "CodeAct" | "RLM") => "AGENT",
        ("module", "Retrieve" | "Embeddings" | "KNN") => "RETRIEVER",
        _ => "CHAIN",
    };
    let mut all = vec![
        text("openinference.span.kind", kind),
        text("session.id", session),
        text("dspy.span.kind", &span.kind),
    ];
    all.extend(value("input", &Value::Object(span.inputs.clone())));
    all.extend(value("output", &Value::Object(span.outputs.clone())));
    if kind == "TOOL" {
        all.push(text("tool.name", &span.name));
    }
    // The last try is the one that counts; all of them cost.
    if let Some(last) = span.exchanges.last() {
        let sum = |of: fn(&Exchange) -> u64| span.exchanges.iter().map(of).sum::<u64>();
        let (prompt, completion) = (sum(|it| it.input_tokens), sum(|it| it.output_tokens));
        all.push(text("llm.model_name", &last.model));
        all.push(number("llm.token_count.prompt", prompt));
        all.push(number("llm.token_count.completion", completion));
        all.push(number("llm.token_count.total", prompt + completion));
        let cost: Option<f64> = span.exchanges.iter().map(|it| it.cost).sum();
        all.extend(
            cost.map(|cost| json!({"key": "llm.cost.total", "value": {"doubleValue": cost}})),
        );
        all.push(number("http.response.status_code", last.status.into()));
        let source = serde_json::to_value(last.source).unwrap_or_default();
        all.push(text("dspex.source", source.as_str().unwrap_or_default()));
        let parse = |it: &Document| serde_json::from_slice::<Value>(&read(it)?).ok();
        all.extend(parse(&last.request).iter().flat_map(messages::sent));
        all.extend(parse(&last.response).iter().flat_map(messages::received));
    }
    all
}

fn status(error: Option<&str>) -> Value {
    match error {
        None => json!({"code": 1}),
        Some(error) => json!({"code": 2, "message": cut(error)}),
    }
}

/// `input.value` and its type; nothing for nothing.
fn value(side: &str, value: &Value) -> Vec<Value> {
    let empty = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
    if empty {
        return Vec::new();
    }
    vec![
        text(&format!("{side}.value"), &value.to_string()),
        text(&format!("{side}.mime_type"), "application/json"),
    ]
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": cut(value)}})
}

/// OTLP writes 64-bit numbers as strings.
fn number(key: &str, value: u64) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
}

fn cut(value: &str) -> String {
    match value.char_indices().nth(LONGEST) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
    }
}

fn span_id(session: &str, span: &Span) -> String {
    id(&format!("{session}/{}", span.id), 8)
}

/// The same for the same name, so that what is exported twice is one to the receiver.
fn id(name: &str, bytes: usize) -> String {
    let digest = Sha256::digest(name.as_bytes());
    hex(digest.get(..bytes).unwrap_or_default())
}
