//! The lines above and below the panes: status, progress, hints.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::context::Toast;
use super::keys::{Scope, TABLE};
use super::look::Look;
use super::text;
use crate::app::{SaveStatus, State};
use crate::session::event::{Level, Progress, RunKind, RunStatus, WorkerState};
use crate::session::state::Run;
use crate::theme::Role;

/// Draws the status line.
pub(super) fn top(
    area: Rect,
    state: &State,
    replay: Option<(u64, u64)>,
    look: Look<'_>,
    buffer: &mut Buffer,
) {
    let session = &state.session;
    let mut parts: Vec<Vec<Span<'static>>> = Vec::new();
    let name = if state.session_id.is_empty() {
        "not kept".to_owned()
    } else {
        state.session_id.clone()
    };
    parts.push(vec![
        look.span(" dspex", Role::Title),
        look.span(format!(" {}", text::fit(&name, 28)), Role::BarLine),
    ]);
    if let Some((at, of)) = replay {
        parts.push(vec![look.span(format!("REPLAY {at}/{of}"), Role::Warn)]);
    }
    parts.push(match &session.lm {
        Some(lm) => vec![
            look.span("lm ", Role::Label),
            look.span(text::fit(lm, 24), Role::BarLine),
            look.span(" ●", Role::Ok),
        ],
        None => vec![
            look.span("lm ", Role::Label),
            look.span("none ○ F2", Role::Warn),
        ],
    });
    if replay.is_none() {
        parts.push(worker(state, look));
    }
    let totals = &session.totals;
    parts.push(vec![
        look.span(text::cost(totals.cost, totals.unpriced), Role::Cost),
        look.span(
            format!(
                " · {} tok · {} calls",
                text::count(totals.input_tokens + totals.output_tokens),
                text::count(totals.calls + totals.hits)
            ),
            Role::BarLine,
        ),
    ]);
    if totals.failures > 0 {
        parts.push(vec![
            look.span(format!("{} failed", totals.failures), Role::Error),
        ]);
    }
    match &state.save {
        SaveStatus::Saved => parts.push(vec![look.span("saved", Role::Ok)]),
        SaveStatus::NotSaving { .. } => parts.push(vec![look.span("NOT SAVING", Role::Error)]),
        SaveStatus::Ephemeral => {}
    }
    buffer.set_style(area, look.style(Role::BarLine));
    let mut line = Line::default();
    for (at, part) in parts.into_iter().enumerate() {
        let gap = if at == 0 { "" } else { "  │  " };
        let width: usize = part.iter().map(Span::width).sum();
        if line.width() + width + gap.len() > usize::from(area.width) {
            continue;
        }
        line.spans.push(look.span(gap, Role::Border));
        line.spans.extend(part);
    }
    buffer.set_line(area.x, area.y, &line, area.width);
}

fn worker(state: &State, look: Look<'_>) -> Vec<Span<'static>> {
    let session = &state.session;
    let kernel = session
        .workers
        .values()
        .rev()
        .find(|it| it.role == "kernel");
    let mut words = String::new();
    if !session.passport.python.is_empty() {
        let _ = write!(words, "py {} ", session.passport.python);
    }
    if !session.passport.dspy.is_empty() {
        let _ = write!(words, "dspy {} ", session.passport.dspy);
    }
    let (state, role) = match kernel.map(|it| it.state) {
        None => ("○ not started", Role::Dim),
        Some(WorkerState::Starting) => ("● starting", Role::Running),
        Some(WorkerState::Ready) => ("● ready", Role::Ok),
        Some(WorkerState::Busy) => ("● busy", Role::Running),
        Some(WorkerState::Died) => ("✗ died", Role::Error),
        Some(WorkerState::Stopped) => ("○ stopped", Role::Dim),
        Some(WorkerState::Down) => ("✗ down", Role::Error),
    };
    let words = if words.is_empty() {
        "python ".to_owned()
    } else {
        words
    };
    vec![look.span(words, Role::Label), look.span(state, role)]
}

/// The newest run that is going on and worth a strip.
pub(super) fn running(state: &State) -> Option<&Run> {
    let runs = state.session.runs.values().rev().take(50);
    runs.map(AsRef::as_ref)
        .find(|run| run.status == RunStatus::Running)
}

/// Draws the strip of a running run.
pub(super) fn progress(
    area: Rect,
    run: &Run,
    others: usize,
    now_ms: i64,
    look: Look<'_>,
    buffer: &mut Buffer,
) {
    let mut parts = vec![
        look.span(" ● ", Role::Running),
        look.span(text::fit(&run.title, 40), Role::Text),
    ];
    let elapsed = now_ms.saturating_sub(run.started_ms);
    if now_ms > 0 && elapsed >= 0 {
        parts.push(look.span(format!(" · {}", text::duration(elapsed as f64)), Role::Dim));
    }
    if matches!(run.kind, RunKind::Evaluate | RunKind::Compile) {
        let scores: Vec<f64> = run
            .progress
            .iter()
            .filter_map(|it| match it {
                Progress::Example { score, .. } => Some(*score),
                _ => None,
            })
            .collect();
        if !scores.is_empty() {
            let mean = scores.iter().sum::<f64>() / scores.len() as f64 * 100.0;
            parts.push(look.span(
                format!(" · {} scored · mean {mean:.1}", scores.len()),
                Role::Number,
            ));
            parts.push(look.span(format!(" {}", spark(&scores, 16)), Role::Chart));
        }
    }
    let totals = &run.totals;
    parts.push(look.span(
        format!(
            " · {} calls · {} tok · ",
            totals.calls + totals.hits,
            text::count(totals.input_tokens + totals.output_tokens)
        ),
        Role::Dim,
    ));
    parts.push(look.span(text::cost(totals.cost, totals.unpriced), Role::Cost));
    if others > 0 {
        parts.push(look.span(format!(" · and {others} more"), Role::Dim));
    }
    parts.push(look.span("  Ctrl-C", Role::Key));
    parts.push(look.span(" stop", Role::Dim));
    buffer.set_line(area.x, area.y, &Line::from(parts), area.width);
}

/// Values as small bars, averaged to `columns`.
pub(super) fn spark(values: &[f64], columns: usize) -> String {
    const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let n = columns.min(values.len()).max(1);
    let top = values.iter().copied().fold(f64::EPSILON, f64::max);
    (0..n)
        .map(|at| {
            let (from, to) = (
                at * values.len() / n,
                ((at + 1) * values.len() / n).max(at * values.len() / n + 1),
            );
            let part = values.get(from..to.min(values.len())).unwrap_or_default();
            let mean = part.iter().sum::<f64>() / part.len().max(1) as f64;
            BARS[((mean / top * 7.0).round().clamp(0.0, 7.0)) as usize]
        })
        .collect()
}

/// Draws the line of keys, or a word to the person.
pub(super) fn hints(
    area: Rect,
    scopes: &[Scope],
    toast: Option<&Toast>,
    look: Look<'_>,
    buffer: &mut Buffer,
) {
    buffer.set_style(area, look.style(Role::BarLine));
    if let Some(toast) = toast {
        let role = match toast.level {
            Level::Info => Role::Ok,
            Level::Warning => Role::Warn,
            Level::Error => Role::Error,
        };
        let line = Line::from(look.span(
            format!(
                " {}",
                text::fit(&toast.text, usize::from(area.width).saturating_sub(2))
            ),
            role,
        ));
        buffer.set_line(area.x, area.y, &line, area.width);
        return;
    }
    let mut line = Line::default();
    let mut seen: Vec<&str> = Vec::new();
    for scope in scopes {
        for binding in TABLE
            .iter()
            .filter(|it| it.scope == *scope && !it.hint.is_empty())
        {
            let Some(key) = binding.keys.first().filter(|key| !seen.contains(key)) else {
                continue;
            };
            seen.push(key);
            let width = text::width(key) + text::width(binding.hint) + 3;
            if line.width() + width > usize::from(area.width) {
                continue;
            }
            line.spans.push(look.span(format!(" {key}"), Role::Key));
            line.spans
                .push(look.span(format!(" {} ", binding.hint), Role::Dim));
        }
    }
    buffer.set_line(area.x, area.y, &line, area.width);
}
