//! Values, errors and sums as plain text of a line terminal.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::app::present::value::pictures;
use crate::command::duration;
use crate::protocol::error::OperationError;
use crate::sanitize;
use crate::session::state::Totals;

/// A MIME bundle: its plain text, else what it holds.
pub fn bundle(data: &Map<String, Value>) -> String {
    let text = ["text/plain", "text/markdown"]
        .iter()
        .find_map(|kind| data.get(*kind).and_then(Value::as_str));
    let pictures = pictures(data);
    match text {
        Some(text) if pictures.is_empty() => text.trim_end().to_owned(),
        Some(text) => format!("{}\n{pictures}", text.trim_end()),
        None if !pictures.is_empty() => pictures,
        None => data
            .keys()
            .map(|kind| format!("[{kind}]"))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// An error: its traceback if it has one, else its sentence; then the remedy.
pub fn error(error: &OperationError) -> String {
    let mut text = if error.traceback.is_empty() {
        format!("error: {}", error.message)
    } else {
        error.traceback.join("\n").trim_end().to_owned()
    };
    if !error.recovery.near.is_empty() {
        let _ = write!(text, "\n  did you mean: {}", error.recovery.near.join(", "));
    }
    if !error.recovery.hint.is_empty() {
        let _ = write!(text, "\n  hint: {}", error.recovery.hint);
    }
    text
}

/// `3 calls · 360 tok · $0.0001 · 412 ms`; nothing when DSPy called no LM.
pub fn calls(totals: &Totals, ms: f64) -> Option<String> {
    let calls = totals.calls + totals.hits + totals.failures;
    if calls == 0 {
        return None;
    }
    let mut text = format!("{calls} {}", if calls == 1 { "call" } else { "calls" });
    if totals.hits > 0 {
        let _ = write!(text, " ({} recorded)", totals.hits);
    }
    if totals.failures > 0 {
        let _ = write!(text, " ({} failed)", totals.failures);
    }
    let tokens = totals.input_tokens + totals.output_tokens;
    let _ = write!(text, " · {} tok", count(tokens));
    if totals.unpriced == 0 {
        let _ = write!(text, " · ${:.4}", totals.cost);
    } else {
        text.push_str(" · price unknown");
    }
    let _ = write!(text, " · {}", duration(ms));
    Some(text)
}

fn count(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        1000..1_000_000 => format!("{:.1}k", number as f64 / 1e3),
        _ => format!("{:.1}M", number as f64 / 1e6),
    }
}

/// What a program printed, made safe. A lone carriage return (a progress bar)
/// goes back to the margin and clears the line, as it was meant to.
pub fn for_terminal(text: &str, colour: bool) -> String {
    let lines = text.replace("\r\n", "\n");
    let pieces: Vec<String> = lines
        .split('\r')
        .map(|piece| {
            let safe = sanitize::keep_sgr(piece);
            if colour {
                safe.into_owned()
            } else {
                without_sgr(&safe)
            }
        })
        .collect();
    pieces.join("\r\u{1b}[K")
}

/// Text without colour sequences; every other escape is gone already.
pub fn without_sgr(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, sequence) = rest.split_at(at);
        out.push_str(before);
        rest = match sequence.find('m') {
            Some(end) => &sequence[end + 1..],
            None => "",
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_read_well() {
        let totals = Totals {
            calls: 1,
            input_tokens: 300,
            output_tokens: 60,
            cost: 0.0001,
            ..Totals::default()
        };
        assert_eq!(
            calls(&totals, 412.0).as_deref(),
            Some("1 call · 360 tok · $0.0001 · 412 ms")
        );
        let totals = Totals {
            calls: 2,
            hits: 1,
            unpriced: 1,
            input_tokens: 3400,
            ..Totals::default()
        };
        assert_eq!(
            calls(&totals, 1.0).as_deref(),
            Some("3 calls (1 recorded) · 3.4k tok · price unknown · 1 ms")
        );
        assert_eq!(calls(&Totals::default(), 1.0), None);
    }

    #[test]
    fn progress_bars_go_back_to_the_margin() {
        assert_eq!(for_terminal("1%\r2%\r\n", false), "1%\r\u{1b}[K2%\n");
        assert_eq!(without_sgr("a\u{1b}[1;31mb\u{1b}[0mc"), "abc");
    }
}
