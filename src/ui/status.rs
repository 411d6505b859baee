//! The lines above and below the panes: status, progress, hints.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::context::Toast;
use super::keys::{Scope, TABLE};
use super::look::Look;
use super::optimise::story::Story;
use super::text;
use crate::app::health::NEARLY;
use crate::app::{SaveStatus, State};
use crate::session::event::{Level, Progress, RunKind, RunStatus, WorkerState};
use crate::session::state::Run;
use crate::theme::Role;

/// What the line says of this process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    /// Position and length, when it is a replay.
    pub(super) replay: Option<(u64, u64)>,
    /// Another process holds the session.
    pub(super) following: bool,
}

/// A column filled by so many eighths.
const BARS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// One thing of the status line: longest form first; the last may be nothing.
struct Part {
    forms: Vec<Vec<Span<'static>>>,
}

impl Part {
    fn width(&self) -> usize {
        let form = self.forms.first();
        form.map_or(0, |form| form.iter().map(Span::width).sum())
    }
}

/// Draws the status line. What matters least is shortened first.
pub(super) fn top(
    area: Rect,
    state: &State,
    standing: Standing,
    look: Look<'_>,
    buffer: &mut Buffer,
) {
    const GAP: &str = " │ ";
    let session = &state.session;
    let word = |text: &str, role: Role| vec![look.span(text.to_owned(), role)];
    let name = if state.session_id.is_empty() {
        "not kept"
    } else {
        &state.session_id
    };
    let title = || look.span(" dspex", Role::Title);
    let named = |columns| {
        let name = format!(" {}", text::fit(name, columns));
        vec![title(), look.span(name, Role::BarLine)]
    };
    let lm = match &session.lm {
        Some(lm) => Part {
            forms: vec![
                vec![
                    look.span("lm ", Role::Label),
                    look.span(text::fit(lm, 24), Role::BarLine),
                    look.span(" ●", Role::Ok),
                ],
                word(&text::fit(lm, 12), Role::BarLine),
            ],
        },
        None => Part {
            forms: vec![vec![
                look.span("lm ", Role::Label),
                look.span("none ○ F2", Role::Warn),
            ]],
        },
    };
    let totals = &session.totals;
    let cost = || look.span(text::cost(totals.cost, totals.unpriced), Role::Cost);
    let calls = text::many(totals.calls + totals.hits, "call");
    let tokens = text::count(totals.input_tokens + totals.output_tokens);
    let rest = |words: String| look.span(words, Role::BarLine);
    let spent = Part {
        forms: vec![
            vec![cost(), rest(format!(" · {tokens} tok · {calls}"))],
            vec![cost(), rest(format!(" · {calls}"))],
            vec![cost()],
        ],
    };
    let mut parts = vec![
        Part {
            forms: vec![named(28), named(10), vec![title()]],
        },
        lm,
    ];
    // What is shortened first comes first here: positions in `parts`.
    let mut order = Vec::new();
    if let Some((at, of)) = standing.replay {
        parts.push(Part {
            forms: vec![word(&format!("REPLAY {at}/{of}"), Role::Warn)],
        });
    } else {
        order.push(parts.len());
        parts.push(worker(state, look));
        if let Some(memory) = memory(state, look) {
            order.insert(0, parts.len());
            parts.push(memory);
        }
    }
    order.push(parts.len());
    parts.push(spent);
    order.extend([0, 1]);
    if totals.failures > 0 {
        parts.push(Part {
            forms: vec![word(&format!("{} failed", totals.failures), Role::Error)],
        });
    }
    if standing.following {
        parts.push(Part {
            forms: vec![word("following", Role::Running)],
        });
    }
    match &state.save {
        SaveStatus::Saved => {
            order.insert(0, parts.len());
            parts.push(Part {
                forms: vec![word("saved", Role::Ok), Vec::new()],
            });
        }
        SaveStatus::NotSaving { .. } => parts.push(Part {
            forms: vec![word("NOT SAVING", Role::Error)],
        }),
        SaveStatus::Ephemeral => {}
    }
    let width = |parts: &[Part]| {
        let widths = parts.iter().map(Part::width).filter(|it| *it > 0);
        widths.map(|it| it + GAP.chars().count()).sum::<usize>()
    };
    for at in order {
        while width(&parts) > usize::from(area.width) + GAP.chars().count()
            && let Some(part) = parts.get_mut(at).filter(|part| part.forms.len() > 1)
        {
            part.forms.remove(0);
        }
    }
    buffer.set_style(area, look.style(Role::BarLine));
    let mut line = Line::default();
    for mut part in parts {
        if part.width() == 0 {
            continue;
        }
        if !line.spans.is_empty() {
            line.spans.push(look.span(GAP, Role::Border));
        }
        line.spans.extend(part.forms.swap_remove(0));
    }
    buffer.set_line(area.x, area.y, &line, area.width);
}

/// The session's events do not reach the disk: why, for a line of its own.
pub(super) fn not_saving(state: &State) -> Option<String> {
    match &state.save {
        SaveStatus::NotSaving { reason } => Some(format!(
            " NOT SAVING: {reason}. What happens now is kept in memory only."
        )),
        SaveStatus::Saved | SaveStatus::Ephemeral => None,
    }
}

fn worker(state: &State, look: Look<'_>) -> Part {
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
        Some(WorkerState::Down) => ("✗ down · :restart", Role::Error),
    };
    let form = |words: &str| {
        vec![
            look.span(words.to_owned(), Role::Label),
            look.span(state, role),
        ]
    };
    if words.is_empty() {
        words.push_str("python ");
    }
    Part {
        forms: vec![form(&words), form("")],
    }
}

/// R123: what Python holds, and how near the fullest worker is to its limit. It says
/// which one that is once it comes near, and then gives way to nothing.
fn memory(state: &State, look: Look<'_>) -> Option<Part> {
    let fullest = state.memory.fullest()?;
    let (percent, total) = (fullest.percent(), text::megabytes(state.memory.total_mb()));
    let role = filled(percent);
    if percent < NEARLY {
        let at = percent as usize * BARS.len() / 100;
        let level = look.span(BARS[at.min(BARS.len() - 1)], role);
        let number = look.span(format!(" {total}"), Role::BarLine);
        let label = look.span("mem ", Role::Label);
        return Some(Part {
            forms: vec![
                vec![label, level.clone(), number.clone()],
                vec![level, number],
                Vec::new(),
            ],
        });
    }
    let (rss, limit) = (
        text::megabytes(fullest.rss_mb),
        text::megabytes(fullest.memory_mb),
    );
    let form = |words: String| vec![look.span(words, role)];
    Some(Part {
        forms: vec![
            form(format!(
                "mem {} {} {rss} of {limit}",
                fullest.role, fullest.worker
            )),
            form(format!("mem {percent} %")),
        ],
    })
}

/// The role of something that is filled so far.
pub(super) fn filled(percent: u64) -> Role {
    match percent {
        0..NEARLY => Role::Ok,
        NEARLY..=100 => Role::Warn,
        _ => Role::Error,
    }
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
    let room = usize::from(area.width);
    let mark = if run.paused {
        look.span(" ‖ paused ", Role::Warn)
    } else {
        look.span(" ● ", Role::Running)
    };
    let title = look.span(text::fit(&run.title, (room / 3).min(40)), Role::Text);
    // The most important first: what has no room is left out whole.
    let mut parts = vec![vec![mark, title]];
    let mut tell = |words: String, role: Role| parts.push(vec![look.span(words, role)]);
    let elapsed = now_ms.saturating_sub(run.started_ms);
    if now_ms > 0 && elapsed >= 0 {
        tell(format!(" · {}", text::duration(elapsed as f64)), Role::Dim);
    }
    if matches!(run.kind, RunKind::Evaluate | RunKind::Compile) {
        let story = Story::of(run);
        if !story.phase.is_empty() {
            let of = story.total.map(|it| format!("/{it}")).unwrap_or_default();
            tell(
                format!(" · {} {}{of}", story.phase, story.scored),
                Role::Text,
            );
        }
        if let Some(best) = story.best() {
            tell(format!(" · best {best:.1}"), Role::ChartBest);
        }
        if let Some(mean) = story.mean() {
            tell(format!(" · mean {mean:.1}"), Role::Number);
        }
        if let Some(left) = story.left_ms(run, elapsed as f64).filter(|_| !run.paused) {
            tell(format!(" · about {} left", text::about(left)), Role::Number);
        }
        if let Some(curve) = story.curves.values().next_back() {
            tell(format!(" {}", spark(curve, 16)), Role::Chart);
        }
    }
    if let Some(Progress::Rows {
        done,
        failed,
        total,
        per_second,
        left_s,
    }) = run.progress.last()
    {
        tell(format!(" · {done}/{total} rows"), Role::Text);
        if *failed > 0 {
            tell(format!(" · {failed} failed"), Role::Error);
        }
        // While it stands still neither says anything.
        if let Some(left) = left_s.filter(|_| !run.paused) {
            let left = text::about(left * 1e3);
            tell(format!(" · about {left} left"), Role::Number);
        }
        if *per_second > 0.0 && !run.paused {
            tell(format!(" · {per_second:.1} a second"), Role::Dim);
        }
    }
    let totals = &run.totals;
    if totals.calls + totals.hits > 0 {
        let calls = text::many(totals.calls + totals.hits, "call");
        tell(format!(" · {calls}"), Role::Dim);
        let cost = text::cost(totals.cost, totals.unpriced);
        tell(format!(" · {cost}"), Role::Cost);
    }
    if others > 0 {
        tell(format!(" · and {others} more"), Role::Dim);
    }
    // The key that stops it is never cut off.
    let mut stop = Line::from(vec![
        look.span("  Ctrl-C", Role::Key),
        look.span(" stop ", Role::Dim),
    ]);
    if room > 70 {
        let word = if run.paused { " go on" } else { " pause" };
        let pause = [look.span("  F10", Role::Key), look.span(word, Role::Dim)];
        stop.spans.splice(0..0, pause);
    }
    let room = area.width.saturating_sub(stop.width() as u16);
    let wide = |parts: &[Vec<Span<'_>>]| parts.iter().flatten().map(Span::width).sum::<usize>();
    while parts.len() > 1 && wide(&parts) > usize::from(room) {
        parts.pop();
    }
    let line = Line::from(parts.concat());
    buffer.set_line(area.x, area.y, &line, room);
    let at = area.x + room.min(line.width() as u16);
    buffer.set_line(at, area.y, &stop, area.right().saturating_sub(at));
}

/// Values as small bars, averaged to `columns`.
pub(super) fn spark(values: &[f64], columns: usize) -> String {
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

/// A word to the person as lines, four at most.
pub(super) fn words(toast: &Toast, look: Look<'_>, columns: u16) -> Vec<Line<'static>> {
    let role = match toast.level {
        Level::Info => Role::Ok,
        Level::Warning => Role::Warn,
        Level::Error => Role::Error,
    };
    let room = usize::from(columns).saturating_sub(2);
    let mut lines = text::plain(&toast.text, look.style(role), room);
    lines.truncate(4);
    for line in &mut lines {
        line.spans.insert(0, Span::raw(" "));
    }
    lines
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
        look.lines(area, &words(toast, look, area.width), buffer);
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
