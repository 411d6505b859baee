//! Measurements and the audit log in plain words.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{short, table, text};

/// Two tables: calls by operation, module, LM and tool; scores by signature.
pub(super) fn metrics(result: &Value) -> String {
    const ROWS: [&str; 9] = [
        "kind", "name", "count", "errors", "p50", "p95", "calls", "tokens", "cost",
    ];
    const SIGNATURES: [&str; 8] = [
        "signature",
        "hash",
        "evaluated",
        "optimised",
        "last",
        "best",
        "cost",
        "seconds",
    ];
    let rows = list(result, "rows").map(|row| {
        let tokens = number(row, "input_tokens") + number(row, "output_tokens");
        json!({
            "kind": row.get("kind"), "name": row.get("name"), "count": row.get("count"),
            "errors": percent(row), "p50": ms(row, "p50_ms"), "p95": ms(row, "p95_ms"),
            "calls": number(row, "calls") + number(row, "hits"), "tokens": tokens,
            "cost": dollars(row),
        })
    });
    let signatures = list(result, "signatures").map(|row| {
        let hash: String = text(row, "signature_hash").chars().take(12).collect();
        json!({
            "signature": row.get("signature"), "hash": hash,
            "evaluated": row.get("evaluations"), "optimised": row.get("optimizations"),
            "last": row.get("last_score"), "best": row.get("best_score"),
            "cost": dollars(row), "seconds": row.get("seconds"),
        })
    });
    let mut shown = headed(&ROWS, rows.collect());
    let signatures: Vec<Value> = signatures.collect();
    if !signatures.is_empty() {
        let _ = write!(shown, "\n\n{}", headed(&SIGNATURES, signatures));
    }
    shown
}

/// A line an entry.
pub(super) fn audit(result: &Value) -> String {
    let lines: Vec<String> = list(result, "entries").map(entry).collect();
    if lines.is_empty() {
        return "nothing was optimised yet".to_owned();
    }
    lines.join("\n")
}

fn entry(entry: &Value) -> String {
    let time = entry.get("time_ms").and_then(Value::as_i64);
    let time = time.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let time = time.map_or_else(String::new, |time| time.strftime("%F %T").to_string());
    let of = |key: &str| short(entry.get(key).unwrap_or(&Value::Null));
    let mut line = format!(
        "{time}  {}  {} run {}",
        of("user"),
        of("session"),
        of("run")
    );
    if of("what") == "requested" {
        let hash: String = of("signature_hash").chars().take(12).collect();
        let _ = write!(
            line,
            "  {} {} with {} on {} ({} {hash})",
            of("operation"),
            of("program"),
            of("optimizer"),
            of("lm"),
            of("signature"),
        );
        return line;
    }
    let _ = write!(line, "  {}", of("status"));
    if let (Some(_), Some(_)) = (entry.get("baseline"), entry.get("optimized")) {
        let _ = write!(line, "  {} → {}", of("baseline"), of("optimized"));
    }
    let _ = write!(line, "  {} calls  {}", of("calls"), dollars(entry));
    if entry.get("error").is_some() {
        let _ = write!(line, "  {}", of("error"));
    }
    line
}

fn list<'a>(result: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let list = result.get(key).and_then(Value::as_array);
    list.into_iter().flatten()
}

/// The names of the columns above the rows.
fn headed(columns: &[&str], rows: Vec<Value>) -> String {
    let names = columns.iter().map(|name| ((*name).to_owned(), json!(name)));
    let names = Value::Object(names.collect::<Map<_, _>>());
    let all: Vec<Value> = std::iter::once(names).chain(rows).collect();
    table(Some(&Value::Array(all)), columns)
}

fn number(row: &Value, key: &str) -> u64 {
    row.get(key).and_then(Value::as_u64).unwrap_or_default()
}

fn percent(row: &Value) -> String {
    let rate = row.get("error_rate").and_then(Value::as_f64);
    match (number(row, "errors"), rate) {
        (0, _) | (_, None) => "0".to_owned(),
        (errors, Some(rate)) => format!("{errors} ({:.1} %)", rate * 100.0),
    }
}

fn ms(row: &Value, key: &str) -> String {
    let value = row.get(key).and_then(Value::as_f64);
    value.map_or_else(String::new, |ms| format!("{ms:.1} ms"))
}

/// Known dollars; `+?` where some calls have no known price.
fn dollars(row: &Value) -> String {
    let cost = row.get("cost").and_then(Value::as_f64).unwrap_or_default();
    let more = if number(row, "unpriced") > 0 {
        " +?"
    } else {
        ""
    };
    format!("${cost:.4}{more}")
}
