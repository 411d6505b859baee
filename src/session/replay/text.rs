//! A session as plain text and as JSON, for terminals without a screen, for
//! pipes and for comparing two replays byte by byte.

use std::io::{self, Write};

use serde_json::{Value, json as value};

use crate::sanitize::{clean, one_line};
use crate::session::event::{AnswerSource, Exchange, Output, Progress, RunStatus};
use crate::session::reader::SessionReader;
use crate::session::state::{Cell, Run, SessionState, Span};

/// Writes a session as text: cells with their outputs, runs with their spans
/// as a tree, scores, notes, sums, and the state hash at the end. Nothing in it
/// can move a terminal. `at` is as for [`json`].
pub fn plain(
    reader: &mut SessionReader,
    at: Option<usize>,
    out: &mut impl Write,
) -> io::Result<()> {
    let state = reader.state_at(at.unwrap_or(usize::MAX));
    let header = reader.header();
    writeln!(
        out,
        "session {} · {} events",
        one_line(&header.id),
        reader.len()
    )?;
    let passport = &state.passport;
    writeln!(
        out,
        "dspex-tui {} · Python {} · DSPy {}",
        known(&passport.app),
        known(&passport.python),
        known(&passport.dspy)
    )?;
    if let Some(sentence) = reader.report().sentence() {
        writeln!(out, "warning: {}", one_line(&sentence))?;
    }
    for cell in &state.cells {
        write_cell(&state, cell, out)?;
    }
    let of_cells: Vec<_> = state.cells.iter().filter_map(|cell| cell.run).collect();
    for run in state
        .runs
        .values()
        .filter(|run| !of_cells.contains(&run.id))
    {
        writeln!(out)?;
        write_run(run, out)?;
    }
    for note in &state.notes {
        writeln!(out, "\nnote: {}", clean(&note.text))?;
        if !note.hint.is_empty() {
            writeln!(out, "      {}", clean(&note.hint))?;
        }
    }
    let totals = &state.totals;
    writeln!(
        out,
        "\n{} LM calls · {} from record · {} failed · {} tokens in · {} out · ${:.6}{}",
        totals.calls,
        totals.hits,
        totals.failures,
        totals.input_tokens,
        totals.output_tokens,
        totals.cost,
        if totals.unpriced > 0 {
            " + unknown"
        } else {
            ""
        }
    )?;
    writeln!(out, "state {}", state.hash())
}

/// The same as data: the whole state with its hash, after the event `at` (default:
/// the last).
pub fn json(reader: &mut SessionReader, at: Option<usize>) -> Value {
    let state = reader.state_at(at.unwrap_or(usize::MAX));
    value!({
        "session": reader.header().id,
        "events": reader.len(),
        "warning": reader.report().sentence(),
        "hash": state.hash(),
        "state": state,
    })
}

fn known(version: &str) -> std::borrow::Cow<'_, str> {
    if version.is_empty() {
        "unknown".into()
    } else {
        one_line(version)
    }
}

fn write_cell(state: &SessionState, cell: &Cell, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "\n[{}] {}",
        cell.id.0,
        ending(cell.status, cell.duration_ms)
    )?;
    indented(&cell.source, "  > ", out)?;
    for output in &cell.outputs {
        write_output(output, out)?;
    }
    if let Some(run) = cell.run.and_then(|id| state.runs.get(&id)) {
        write_calls(run, out)?;
    }
    Ok(())
}

fn write_run(run: &Run, out: &mut impl Write) -> io::Result<()> {
    let title = one_line(&run.title);
    writeln!(
        out,
        "run {} · {title} · {}",
        run.id.0,
        ending(run.status, run.duration_ms)
    )?;
    if let Some(result) = &run.result {
        indented(&result.to_string(), "  = ", out)?;
    }
    if let Some(error) = &run.error {
        indented(&format!("{}: {}", error.kind, error.message), "  ! ", out)?;
    }
    write_calls(run, out)
}

fn write_calls(run: &Run, out: &mut impl Write) -> io::Result<()> {
    for span in run.tree() {
        write_span(span, out)?;
    }
    for progress in &run.progress {
        if let Progress::Candidate {
            candidate,
            label,
            score,
            ..
        } = progress
        {
            writeln!(
                out,
                "    candidate {candidate} · {score:.1} · {}",
                one_line(label)
            )?;
        }
    }
    Ok(())
}

fn write_span(span: &Span, out: &mut impl Write) -> io::Result<()> {
    let indent = "  ".repeat(usize::from(span.depth.min(32)) + 2);
    let time = span.end_ns.map_or_else(
        || "not ended".to_owned(),
        |end| format!("{:.1} ms", end.saturating_sub(span.start_ns) as f64 / 1e6),
    );
    writeln!(
        out,
        "{indent}{} {} · {time}",
        one_line(&span.kind),
        one_line(&span.name)
    )?;
    if let Some(error) = &span.error {
        writeln!(out, "{indent}  ! {}", one_line(error))?;
    }
    for exchange in &span.exchanges {
        write_exchange(exchange, &indent, out)?;
    }
    Ok(())
}

fn write_exchange(exchange: &Exchange, indent: &str, out: &mut impl Write) -> io::Result<()> {
    let source = match exchange.source {
        AnswerSource::Server => "server",
        AnswerSource::Demo => "demo LM",
        AnswerSource::Cache => "cache",
        AnswerSource::Cassette => "record",
        AnswerSource::Fault => "injected fault",
        AnswerSource::Direct => "direct",
    };
    let cost = exchange
        .cost
        .map_or_else(|| "cost unknown".to_owned(), |cost| format!("${cost:.6}"));
    let (input, output) = (exchange.input_tokens, exchange.output_tokens);
    writeln!(
        out,
        "{indent}  {} · {source} · status {} · {input}→{output} tok · {:.1} ms · {cost}",
        one_line(&exchange.model),
        exchange.status,
        exchange.latency_us as f64 / 1e3
    )?;
    match &exchange.error {
        Some(error) => writeln!(out, "{indent}  ! {}", one_line(error)),
        None => Ok(()),
    }
}

fn write_output(output: &Output, out: &mut impl Write) -> io::Result<()> {
    match output {
        Output::Stream { text, .. } => indented(text, "    ", out),
        Output::Display { data, .. } | Output::Result { data } => {
            let text = data.get("text/plain").and_then(Value::as_str);
            indented(text.unwrap_or("[no plain text]"), "  = ", out)
        }
        Output::Error { error } => {
            indented(&format!("{}: {}", error.kind, error.message), "  ! ", out)
        }
        Output::Input { prompt, text } => indented(&format!("{prompt}{text}"), "  ? ", out),
        Output::Clear { .. } => Ok(()),
    }
}

fn indented(text: &str, prefix: &str, out: &mut impl Write) -> io::Result<()> {
    for line in clean(text).lines() {
        writeln!(out, "{prefix}{line}")?;
    }
    Ok(())
}

fn ending(status: RunStatus, duration_ms: Option<f64>) -> String {
    let status = match status {
        RunStatus::Running => "running",
        RunStatus::Ok => "ok",
        RunStatus::Error => "error",
        RunStatus::Interrupted => "interrupted",
        RunStatus::Died => "died",
    };
    match duration_ms {
        Some(ms) => format!("{status} · {ms:.0} ms"),
        None => status.to_owned(),
    }
}
