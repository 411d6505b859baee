//! Which requests go into the audit log, what is written of them, and reading it.
//!
//! The log itself is [`crate::session::audit`].

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::OperationResult;
use super::state::State;
use super::update::status;
use crate::protocol::error::OperationError;
use crate::session::audit::{self, Entry, Fact};
use crate::session::event::{EventBody, Level, ProgramDef, RunId};
use crate::session::metrics;
use crate::session::state::hex;

/// Entries shown when nothing else is said.
const SHOWN: u64 = 50;

/// Whether requests of this operation are written down.
pub(super) fn concerns(operation: &str) -> bool {
    matches!(
        operation,
        "optimize_prompt" | "bootstrap_examples" | "train_model"
    )
}

/// What is written of a request. `given` are its arguments as they came, `resolved`
/// with names replaced by what they name.
pub(super) fn requested(
    operation: &str,
    given: &Value,
    resolved: &Map<String, Value>,
    lm: Option<&str>,
) -> Fact {
    let parse = |value: &Value| serde_json::from_value::<ProgramDef>(value.clone()).ok();
    let program = resolved.get("program").and_then(parse).unwrap_or_default();
    let word = |key: &str| given.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut config = given.as_object().cloned().unwrap_or_default();
    for key in ["program", "optimizer", "lm"] {
        config.remove(key);
    }
    for key in ["dataset", "valset", "trainset"] {
        if let Some(data) = resolved.get(key) {
            config.insert(key.to_owned(), fingerprint(data));
        }
    }
    Fact::Requested {
        operation: operation.to_owned(),
        program: word("program").unwrap_or_else(|| program.name.clone()),
        signature: metrics::signature_line(&program),
        signature_hash: metrics::signature_hash(&program),
        optimizer: word("optimizer").unwrap_or_else(|| match operation {
            "train_model" => "BootstrapFinetune".to_owned(),
            _ => "BootstrapFewShot".to_owned(),
        }),
        lm: lm.unwrap_or_default().to_owned(),
        config: Value::Object(config),
    }
}

/// What is written when it ended.
pub(super) fn finished(
    state: &State,
    run: RunId,
    result: &OperationResult,
    duration_ms: f64,
) -> Fact {
    let totals = state.session.runs.get(&run).map(|run| run.totals.clone());
    let totals = totals.unwrap_or_default();
    let score = |key: &str| result.as_ref().ok()?.pointer(key)?.as_f64();
    let status = serde_json::to_value(status(result)).unwrap_or_default();
    Fact::Finished {
        status: status.as_str().unwrap_or_default().to_owned(),
        error: result
            .as_ref()
            .err()
            .map(|error| format!("{}: {}", error.kind, error.message)),
        baseline: score("/performance/baseline"),
        optimized: score("/performance/optimized"),
        calls: totals.calls,
        tokens: totals.input_tokens + totals.output_tokens,
        cost: totals.cost,
        unpriced: totals.unpriced,
        seconds: duration_ms / 1e3,
    }
}

/// Writes a line of the log; a note for the session where that cannot be.
pub(super) fn write(
    root: Result<PathBuf, OperationError>,
    session: &str,
    run: RunId,
    fact: Fact,
) -> Option<EventBody> {
    let written = root.map_err(|error| error.message).and_then(|root| {
        audit::append(&root, session, run.0, fact).map_err(|error| error.to_string())
    });
    let why = written.err()?;
    Some(EventBody::Noted {
        level: Level::Warning,
        text: format!("the audit log was not written: {why}"),
        hint: "see that the sessions' folder can be written".to_owned(),
    })
}

/// The same without what the workbench knows to be a key.
pub(super) fn without_keys(fact: Fact, hide: impl Fn(OperationResult) -> OperationResult) -> Fact {
    let hidden = serde_json::to_value(&fact).map(|value| hide(Ok(value)));
    match hidden {
        Ok(Ok(value)) => serde_json::from_value(value).unwrap_or(fact),
        _ => fact,
    }
}

/// Data by name, length and hash.
fn fingerprint(data: &Value) -> Value {
    match data {
        Value::Object(dataset) if dataset.contains_key("hash") => json!({
            "name": dataset.get("name"), "len": dataset.get("len"), "hash": dataset.get("hash"),
        }),
        Value::String(name) => json!({"name": name}),
        rows => {
            let bytes = serde_json::to_vec(rows).unwrap_or_default();
            let len = rows.as_array().map(Vec::len);
            json!({"len": len, "hash": hex(&Sha256::digest(bytes))})
        }
    }
}

/// The entries asked for.
pub(super) fn read(
    root: Result<PathBuf, OperationError>,
    arguments: &Map<String, Value>,
) -> OperationResult {
    let root = &root?;
    let limit = arguments.get("limit").and_then(Value::as_u64);
    let wanted = arguments.get("signature").and_then(Value::as_str);
    let entries = audit::read(root, usize::MAX).map_err(|error| unreadable(root, &error))?;
    // The end of a request is known by its run.
    let mut of: Vec<(String, u64)> = Vec::new();
    let mut kept: Vec<Entry> = Vec::new();
    for entry in entries {
        let run = (entry.session.clone(), entry.run);
        let fits = match (&entry.fact, wanted) {
            (_, None) => true,
            (Fact::Requested { signature_hash, .. }, Some(wanted)) => {
                of.retain(|other| *other != run);
                signature_hash.starts_with(wanted)
            }
            (Fact::Finished { .. }, Some(_)) => of.contains(&run),
        };
        if fits {
            of.push(run);
            kept.push(entry);
        }
    }
    let from = kept.len().saturating_sub(limit.unwrap_or(SHOWN) as usize);
    let shown = kept.get(from..).unwrap_or_default();
    Ok(json!({"entries": shown, "path": audit::path(root), "in_all": kept.len()}))
}

/// Whether the log is as it was written; an error when it is not, so that `exec` fails.
pub(super) fn verify(root: Result<PathBuf, OperationError>) -> OperationResult {
    let root = &root?;
    let verdict = audit::verify(root).map_err(|error| unreadable(root, &error))?;
    if verdict.ok {
        return Ok(json!({
            "ok": true, "entries": verdict.entries, "last_hash": verdict.last_hash,
            "path": audit::path(root),
        }));
    }
    let first = verdict.problems.first().cloned().unwrap_or_default();
    let message = format!("the audit log is not as it was written: {first}");
    Err(OperationError::invalid("audit_altered", message)
        .hint("compare it with a copy; nothing is mended by itself")
        .with("problems", json!(verdict.problems))
        .with("path", audit::path(root).display().to_string()))
}

fn unreadable(root: &Path, error: &std::io::Error) -> OperationError {
    let path = audit::path(root).display().to_string();
    OperationError::invalid("unreadable_file", format!("`{path}`: {error}"))
}
