//! Measurements and the audit log in plain words.

use std::fmt::Write as _;

use serde_json::Value;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr};

use super::short;
use crate::app::answer::{count, list, text};

/// Order of the tables; kinds that are not named here come after.
const KINDS: [&str; 4] = ["operation", "module", "lm", "tool"];

/// Columns of the numbers, blanks before them included.
const WIDTHS: [usize; 7] = [6, 7, 8, 8, 6, 7, 8];

/// Columns at least: the narrowest terminal, in a window.
const NARROWEST: usize = 74;

/// How often, how long, how well and for how much, in lines of `columns` at most (and
/// 74 at least): a table a kind, then the scores by signature. A line that begins with
/// a letter is a heading.
pub fn metrics(result: &Value, columns: usize) -> Vec<String> {
    let columns = columns.max(NARROWEST);
    let room = columns - WIDTHS.iter().sum::<usize>();
    let mut rows: Vec<&Value> = list(result, "rows").collect();
    let place = |row: &Value| {
        let kind = text(row, "kind");
        KINDS
            .iter()
            .position(|it| *it == kind)
            .unwrap_or(KINDS.len())
    };
    rows.sort_by(|one, other| {
        let kinds = place(one).cmp(&place(other));
        kinds
            .then_with(|| text(one, "kind").cmp(text(other, "kind")))
            .then_with(|| count(other, "count").cmp(&count(one, "count")))
    });
    let mut lines = totals(result, columns);
    let mut last = "";
    for row in rows {
        let kind = text(row, "kind");
        if kind != last {
            lines.push(String::new());
            let heads = ["count", "errors", "p50", "p95", "calls", "tokens", "cost"];
            lines.push(line(
                &kind.replace('_', " "),
                room,
                &heads.map(str::to_owned),
            ));
            last = kind;
        }
        let tokens = count(row, "input_tokens") + count(row, "output_tokens");
        let cells = [
            compact(count(row, "count")),
            percent(row),
            ms(row, "p50_ms"),
            ms(row, "p95_ms"),
            compact(count(row, "calls") + count(row, "hits")),
            compact(tokens),
            dollars(row),
        ];
        lines.push(line(&format!("  {}", text(row, "name")), room, &cells));
    }
    let mut head = true;
    for row in list(result, "signatures") {
        if std::mem::take(&mut head) {
            let heads = ["evals", "optim.", "last", "best", "", "ms/call", "cost"];
            lines.push(String::new());
            lines.push(line("signature", room, &heads.map(str::to_owned)));
        }
        let hash: String = text(row, "signature_hash").chars().take(7).collect();
        let score = |key: &str| {
            let score = row.get(key).and_then(Value::as_f64);
            score.map_or_else(|| "–".to_owned(), |score| format!("{score:.1}"))
        };
        let cells = [
            compact(count(row, "evaluations")),
            compact(count(row, "optimizations")),
            score("last_score"),
            score("best_score"),
            String::new(),
            score("ms_per_call"),
            dollars(row),
        ];
        let name = fit(text(row, "signature"), room.saturating_sub(11));
        lines.push(line(&format!("  {name} {hash}"), room, &cells));
    }
    lines
}

/// All calls, in as few lines as there are columns for.
fn totals(result: &Value, columns: usize) -> Vec<String> {
    let empty = Value::Null;
    let totals = result.get("totals").unwrap_or(&empty);
    let of = |key: &str| compact(count(totals, key));
    let parts = [
        format!("{} LM calls", of("calls")),
        dollars(totals),
        format!("{} from the record", of("hits")),
        format!("{} failed", of("failures")),
        format!(
            "{} tokens in, {} out",
            of("input_tokens"),
            of("output_tokens")
        ),
    ];
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if line.width() + 3 + part.width() <= columns => {
                line.push_str(" · ");
                line.push_str(&part);
            }
            _ => lines.push(part),
        }
    }
    lines
}

/// A name and its numbers, each at the right of its column.
fn line(name: &str, room: usize, cells: &[String; 7]) -> String {
    let name = fit(name, room.saturating_sub(1));
    let blank = room.saturating_sub(UnicodeWidthStr::width(name.as_str()));
    let mut line = format!("{name}{}", " ".repeat(blank));
    for (cell, width) in cells.iter().zip(WIDTHS) {
        let _ = write!(line, "{cell:>width$}");
    }
    line.trim_end().to_owned()
}

/// At most so wide, with a sign where something is left out.
fn fit(text: &str, columns: usize) -> String {
    if UnicodeWidthStr::width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    for ch in text.chars() {
        let wide = UnicodeWidthStr::width(out.as_str()) + ch.width().unwrap_or(0);
        if wide + 1 > columns {
            break;
        }
        out.push(ch);
    }
    out.push('…');
    out
}

/// `812`, `26.0k`, `1.3M`.
fn compact(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..1_000_000 => format!("{:.1}k", n as f64 / 1e3),
        _ => format!("{:.1}M", n as f64 / 1e6),
    }
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

fn percent(row: &Value) -> String {
    let rate = row.get("error_rate").and_then(Value::as_f64);
    match (count(row, "errors"), rate) {
        (0, _) | (_, None) => "0".to_owned(),
        (_, Some(rate)) if rate < 0.1 => format!("{:.1} %", rate * 100.0),
        (_, Some(rate)) => format!("{:.0} %", rate * 100.0),
    }
}

fn ms(row: &Value, key: &str) -> String {
    match row.get(key).and_then(Value::as_f64) {
        None => String::new(),
        Some(ms) if ms < 10.0 => format!("{ms:.1} ms"),
        Some(ms) if ms < 1_000.0 => format!("{ms:.0} ms"),
        Some(ms) if ms < 100_000.0 => format!("{:.1} s", ms / 1e3),
        Some(ms) => format!("{:.0} m", ms / 6e4),
    }
}

/// Known dollars; `+?` where some calls have no known price, `?` where none has.
fn dollars(row: &Value) -> String {
    let cost = row.get("cost").and_then(Value::as_f64).unwrap_or_default();
    match (cost, count(row, "unpriced")) {
        (cost, 0) if cost >= 1.0 => format!("${cost:.2}"),
        (cost, 0) => format!("${cost:.4}"),
        (0.0, _) => "?".to_owned(),
        (cost, _) => format!("${cost:.2}+?"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metrics_fit_their_columns() {
        let row = |kind: &str, name: &str, count: u64, errors: u64, unpriced: u64| {
            json!({"kind": kind, "name": name, "count": count, "errors": errors,
                   "error_rate": errors as f64 / count as f64, "p50_ms": 7.25, "p95_ms": 129.2,
                   "calls": 12, "hits": 3, "input_tokens": 25_000, "output_tokens": 1_033,
                   "cost": 0.003, "unpriced": unpriced})
        };
        let long = "a module of somebody's with a very long name \u{8a9e}\u{8a9e}\u{8a9e}";
        let result = json!({
            "rows": [row("adapter_parse", "ChatAdapter", 2, 0, 0), row("module", long, 3, 1, 2),
                     row("module", "Predict", 200, 1, 0), row("operation", "run_cell", 1, 0, 0)],
            "signatures": [{"signature_hash": "985a82bf7a48", "signature": "ticket -> category",
                "evaluations": 1, "optimizations": 2, "last_score": 84.0, "best_score": null,
                "cost": 1.5, "ms_per_call": 6.5}],
            "totals": {"calls": 40, "hits": 10, "cost": 0.0, "unpriced": 3},
        });
        for columns in [0, 74, 118] {
            let lines = metrics(&result, columns);
            let widest = lines
                .iter()
                .map(|it| UnicodeWidthStr::width(it.as_str()))
                .max();
            assert!(widest.unwrap() <= columns.max(NARROWEST), "{lines:#?}");
            let heads: Vec<&str> = lines.iter().filter_map(|it| it.split(' ').next()).collect();
            let order = ["operation", "module", "adapter", "signature"];
            let heads: Vec<&str> = heads.into_iter().filter(|it| order.contains(it)).collect();
            assert_eq!(heads, order);
        }
        let all = metrics(&result, 74).join("\n");
        let words = all.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "40 LM calls · ?",
            "· 10 from the record",
            "Predict 200 0.5 % 7.2 ms 129 ms 15 26.0k $0.0030",
            "33 % 7.2 ms 129 ms 15 26.0k $0.00+?",
            "ticket -> ca… 985a82b 1 2 84.0 – 6.5 $1.50",
        ] {
            assert!(words.contains(part), "{part} in {words}");
        }
    }
}
