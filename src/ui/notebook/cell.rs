//! A cell as lines: source, outputs, prediction boxes, errors.

use ratatui::text::{Line, Span};
use serde_json::{Map, Value};

use crate::app::present::prediction::{self, View};
use crate::app::present::value::pictures;
use crate::protocol::error::OperationError;
use crate::sanitize;
use crate::session::event::{CellKind, Output, RunStatus};
use crate::session::state::Cell;
use crate::theme::{Role, Theme};
use crate::ui::look::{self, Look};
use crate::ui::{code, markdown, messages, text};

/// Lines shown of one output before it is folded.
const FOLDED: usize = 40;
/// Lines made of one output at most, unfolded; the session keeps all of it.
const UNFOLDED: usize = 5_000;
/// Outputs of one cell shown before the earlier ones are folded.
const OUTPUTS: usize = 50;
/// Lines shown of one step of a module before it is folded.
const STEP: usize = 8;
/// Lines shown of an answer that is coming.
const COMING: usize = 8;
/// Columns before the text.
pub(crate) const MARGIN: usize = 5;

/// The MIME type of DSPy predictions.
const PREDICTION: &str = "application/vnd.dspex.prediction+json";

/// A cell as lines of at most `columns`.
pub(crate) fn lines(
    cell: &Cell,
    columns: usize,
    theme: &Theme,
    unfolded: bool,
) -> Vec<Line<'static>> {
    let room = columns.saturating_sub(MARGIN).max(8);
    let mut out = source(cell, columns, room, theme);
    // A cell that displays one thing after the other is laid out anew for each of them.
    let earlier = match cell.outputs.len().checked_sub(OUTPUTS) {
        Some(earlier) if earlier > 0 && !unfolded => earlier,
        _ => 0,
    };
    if earlier > 0 {
        let count = text::count(earlier as u64);
        out.push(Line::styled(
            format!(
                "{}… {count} earlier outputs · `o` unfolds",
                " ".repeat(MARGIN)
            ),
            theme.style(Role::Dim),
        ));
    }
    for output in cell.outputs.iter().skip(earlier) {
        let body = match output {
            // What a command says is laid out in columns.
            Output::Result { data } if cell.kind == CellKind::Command && said(data) => {
                let text = data.get("text/plain").map(text::value).unwrap_or_default();
                long(&text, room, unfolded, theme, |part| {
                    text::hanging(part, theme.style(Role::Text), room)
                })
            }
            output => self::output(output, room, theme, unfolded),
        };
        out.extend(body.into_iter().map(|mut line| {
            line.spans.insert(0, Span::raw(" ".repeat(MARGIN)));
            line
        }));
    }
    let last = match cell.status {
        RunStatus::Interrupted => Some(("interrupted", Role::Warn)),
        RunStatus::Died => Some((
            "its worker ended before it was done: `r` runs it again",
            Role::Error,
        )),
        _ => None,
    };
    if let Some((words, role)) = last {
        let words = text::plain(words, theme.style(role), room);
        out.extend(words.into_iter().map(|mut line| {
            line.spans.insert(0, Span::raw(" ".repeat(MARGIN)));
            line
        }));
    }
    out
}

/// The end of what an LM is just saying, below the cell that called it.
pub(crate) fn coming(text: &str, columns: usize, look: Look<'_>) -> Vec<Line<'static>> {
    let room = columns.saturating_sub(MARGIN + 2).max(8);
    let lines = messages::body(text, room, look);
    let skip = lines.len().saturating_sub(COMING);
    let mut out: Vec<Line<'static>> = lines.into_iter().skip(skip).collect();
    for line in &mut out {
        let mark = format!("{}▏ ", " ".repeat(MARGIN));
        line.spans.insert(0, look.span(mark, Role::Running));
    }
    out
}

fn source(cell: &Cell, columns: usize, room: usize, theme: &Theme) -> Vec<Line<'static>> {
    let (_, role) = look::sign(cell.status);
    let role = if cell.status == RunStatus::Ok {
        Role::InputMark
    } else {
        role
    };
    let mark = format!(
        "{:<MARGIN$}",
        format!(
            "[{}]",
            if cell.status == RunStatus::Running {
                "*".to_owned()
            } else {
                cell.id.0.to_string()
            }
        )
    );
    let body = if cell.kind == CellKind::Markdown {
        markdown::lines(&cell.source, room, theme)
    } else {
        text::wrap(code::lines(cell.source.trim_end(), theme), room)
    };
    let mut out = Vec::with_capacity(body.len());
    for (at, mut line) in body.into_iter().enumerate() {
        let mark = if at == 0 {
            mark.clone()
        } else {
            " ".repeat(MARGIN)
        };
        line.spans.insert(0, Span::styled(mark, theme.style(role)));
        out.push(line);
    }
    if let (Some(first), Some(ms)) = (out.first_mut(), cell.duration_ms) {
        let took = text::duration(ms);
        let free = columns.saturating_sub(first.width() + took.len());
        if free >= 2 {
            first.spans.push(Span::raw(" ".repeat(free)));
            first.spans.push(Span::styled(took, theme.style(Role::Dim)));
        }
    }
    out
}

fn output(output: &Output, room: usize, theme: &Theme, unfolded: bool) -> Vec<Line<'static>> {
    let colour = theme.name != "mono";
    match output {
        Output::Stream { stderr, text } => {
            let role = if *stderr { Role::Stderr } else { Role::Text };
            long(text, room, unfolded, theme, |part| {
                text::coloured(part, theme.style(role), room, colour)
            })
        }
        Output::Display { data, .. } | Output::Result { data } => {
            bundle(data, room, theme, unfolded)
        }
        Output::Error { error } => self::error(error, room, theme, unfolded),
        Output::Input { prompt, text } => {
            vec![Line::from(vec![
                Span::styled(
                    sanitize::one_line(prompt).into_owned(),
                    theme.style(Role::Dim),
                ),
                Span::styled(
                    sanitize::one_line(text).into_owned(),
                    theme.style(Role::Text),
                ),
            ])]
        }
        Output::Clear { .. } => Vec::new(),
    }
}

/// Draws the first lines of a text, or many of them, and says what is left out.
/// Only what is drawn is looked at, so that a huge output costs nothing.
fn long(
    text: &str,
    room: usize,
    unfolded: bool,
    theme: &Theme,
    draw: impl Fn(&str) -> Vec<Line<'static>>,
) -> Vec<Line<'static>> {
    let limit = if unfolded { UNFOLDED } else { FOLDED };
    let bytes = limit * room.max(80) * 4;
    let by_lines = text
        .match_indices('\n')
        .nth(limit - 1)
        .map_or(text.len(), |(at, _)| at);
    let mut end = by_lines.min(bytes).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let (head, rest) = text.split_at(end);
    let mut lines = draw(head);
    lines.truncate(limit);
    if !rest.trim_end_matches('\n').is_empty() {
        let more = rest.lines().count();
        let how = if unfolded {
            "`y` copies all of it"
        } else {
            "`o` unfolds"
        };
        lines.push(Line::styled(
            format!("… {} more lines · {how}", text::count(more as u64)),
            theme.style(Role::Dim),
        ));
    }
    lines
}

/// Whether it is words only.
fn said(data: &Map<String, Value>) -> bool {
    data.keys().all(|kind| kind == "text/plain")
}

fn bundle(
    data: &Map<String, Value>,
    room: usize,
    theme: &Theme,
    unfolded: bool,
) -> Vec<Line<'static>> {
    if let Some(Value::Object(fields)) = data.get(PREDICTION) {
        let fields = match fields.get("outputs") {
            Some(Value::Object(outputs)) => outputs,
            _ => fields,
        };
        let view = prediction::view(fields);
        let view = if unfolded { view } else { view.folded(STEP) };
        return framed("Prediction", &view, room, theme, unfolded);
    }
    if let Some(Value::String(markdown)) = data.get("text/markdown") {
        return markdown::lines(markdown, room, theme);
    }
    let mut plain = data.get("text/plain").map(text::value).unwrap_or_default();
    let pictures = pictures(data);
    if !pictures.is_empty() {
        plain = format!("{}\n{pictures}", plain.trim_end());
    }
    long(&plain, room, unfolded, theme, |part| {
        text::coloured(part, theme.style(Role::Text), room, theme.name != "mono")
    })
}

/// Fields in a frame: names aligned, values wrapped beside them.
pub(crate) fn boxed(
    title: &str,
    fields: &Map<String, Value>,
    room: usize,
    theme: &Theme,
) -> Vec<Line<'static>> {
    framed(title, &prediction::view(fields), room, theme, true)
}

fn framed(
    title: &str,
    view: &View,
    room: usize,
    theme: &Theme,
    unfolded: bool,
) -> Vec<Line<'static>> {
    let border = theme.style(Role::Border);
    let labels = view.rows.iter().map(|row| text::width(&row.label));
    let names = labels.max().unwrap_or(0).min(room / 3);
    let inner = room.saturating_sub(names + 6).max(1);
    let rule = |n: usize| "─".repeat(n);
    let head = room.saturating_sub(text::width(title) + 5);
    let mut out = vec![Line::from(vec![
        Span::styled("╭─ ", border),
        Span::styled(title.to_owned(), theme.style(Role::Label)),
        Span::styled(format!(" {}╮", rule(head)), border),
    ])];
    let mut put = |name: &str, line: Line<'static>, wide: usize| {
        let fill = wide.saturating_sub(line.width());
        let mut spans = vec![Span::styled("│ ", border)];
        if wide == inner {
            spans.push(Span::styled(
                text::pad(name, names),
                theme.style(Role::Accent),
            ));
            spans.push(Span::raw("  "));
        }
        spans.extend(
            line.spans
                .into_iter()
                .map(|span| span.patch_style(line.style)),
        );
        spans.push(Span::styled(format!("{} │", " ".repeat(fill)), border));
        out.push(Line::from(spans));
    };
    for row in &view.rows {
        let mut lines = long(&row.text, inner, unfolded, theme, |part| {
            text::plain(part, theme.style(Role::Text), inner)
        });
        if lines.is_empty() {
            lines.push(Line::default());
        }
        for (at, line) in lines.into_iter().enumerate() {
            put(if at == 0 { &row.label } else { "" }, line, inner);
        }
    }
    if !view.chains.is_empty() {
        let whole = room.saturating_sub(4).max(1);
        for line in prediction::side_by_side(&view.chains, whole) {
            for line in text::plain(&line, theme.style(Role::Dim), whole) {
                put("", line, whole);
            }
        }
    }
    out.push(Line::styled(
        format!("╰{}╯", rule(room.saturating_sub(2))),
        border,
    ));
    out
}

/// An error: sentence, remedy, traceback folded.
pub(crate) fn error(
    error: &OperationError,
    room: usize,
    theme: &Theme,
    unfolded: bool,
) -> Vec<Line<'static>> {
    let mut out = text::plain(
        &format!("✗ {}: {}", error.kind, error.message),
        theme.style(Role::Error),
        room,
    );
    if !error.recovery.near.is_empty() {
        out.extend(text::plain(
            &format!("did you mean {}?", error.recovery.near.join(", ")),
            theme.style(Role::Warn),
            room,
        ));
    }
    if !error.recovery.hint.is_empty() {
        out.extend(text::plain(
            &format!("→ {}", error.recovery.hint),
            theme.style(Role::Accent),
            room,
        ));
    }
    // Where a run was when a person cancelled it tells nothing.
    if !error.traceback.is_empty() && error.kind != "RunCancelled" {
        let whole = error.traceback.join("\n");
        let n = whole.lines().count();
        if unfolded {
            out.push(Line::styled(
                format!("▾ traceback · {}", text::many(n as u64, "line")),
                theme.style(Role::Dim),
            ));
            out.extend(text::coloured(
                &whole,
                theme.style(Role::Text),
                room,
                theme.name != "mono",
            ));
        } else {
            out.extend(text::plain(
                &format!(
                    "▸ traceback · {} · `o` unfolds",
                    text::many(n as u64, "line")
                ),
                theme.style(Role::Dim),
                room,
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::session::event::CellId;

    fn shown(outputs: Vec<Value>, unfolded: bool) -> Vec<String> {
        let output = |data: Value| match data {
            Value::Object(data) => Output::Result { data },
            other => panic!("{other} is no bundle"),
        };
        let cell = Cell {
            id: CellId(1),
            kind: CellKind::Python,
            source: "x".to_owned(),
            outputs: outputs.into_iter().map(output).collect(),
            status: RunStatus::Running,
            run: None,
            duration_ms: None,
            revision: 1,
            clear_pending: false,
        };
        let lines = lines(&cell, 60, &Theme::dark(), unfolded);
        lines.iter().map(ToString::to_string).collect()
    }

    /// R58: what a cell costs to draw does not grow with what it has displayed.
    #[test]
    fn the_earlier_of_many_outputs_are_folded() {
        let outputs = |n: usize| (0..n).map(|i| json!({"text/plain": format!("out {i}")}));
        let folded = shown(outputs(120).collect(), false);
        assert!(folded[1].contains("… 70 earlier outputs · `o` unfolds"));
        assert!(folded[2].ends_with("out 70"), "{}", folded[2]);
        assert!(folded.last().unwrap().ends_with("out 119"));
        assert_eq!(folded.len(), 2 + OUTPUTS);
        assert_eq!(shown(outputs(120).collect(), true).len(), 1 + 120);
        assert_eq!(shown(outputs(OUTPUTS).collect(), false).len(), 1 + OUTPUTS);
    }

    /// R58: a long field of a prediction is folded like any other text.
    #[test]
    fn a_long_field_is_folded() {
        let data = json!({PREDICTION: {"text": "word ".repeat(20_000)}});
        let folded = shown(vec![data.clone()], false);
        assert!(folded.len() < FOLDED + 6, "{} lines", folded.len());
        assert!(folded.iter().any(|line| line.contains("`o` unfolds")));
        assert!(shown(vec![data], true).len() > 1_000);
    }
}
