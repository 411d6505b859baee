//! One row of the tree: name, what it told, a bar, how long it took.

use std::fmt::Write as _;

use ratatui::text::{Line, Span as TextSpan};

use crate::session::event::{AnswerSource, RunStatus};
use crate::session::state::{Run, Span};
use crate::theme::Role;
use crate::ui::look::Look;
use crate::ui::{live, text};

/// How a row is to be drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// What it shows.
    pub(super) span: &'a Span,
    /// What its LM is just saying.
    pub(super) coming: Option<&'a str>,
    /// It has called something.
    pub(super) parent: bool,
    /// What it called is not shown.
    pub(super) folded: bool,
    /// It is shown for the sake of what it called only.
    pub(super) aside: bool,
    /// When the run's spans began and ended.
    pub(super) extent: (u64, u64),
    /// How the run stands.
    pub(super) run: RunStatus,
}

/// The title of the pane.
pub(super) fn title(run: &Run) -> String {
    let mut title = format!("Trace · run {} · {}", run.id.0, run.title);
    match run.duration_ms {
        Some(ms) => {
            let _ = write!(title, " · {}", text::duration(ms));
        }
        None if run.status == RunStatus::Running => {
            title.push_str(if run.paused {
                " · paused"
            } else {
                " · running"
            });
        }
        None => {}
    }
    if run.left > 0 && !run.spans.is_empty() {
        let _ = write!(title, " · {} more in the log", run.left);
    }
    title
}

/// First start and last end of a run's spans.
pub(super) fn extent(run: &Run) -> (u64, u64) {
    let begin = run.spans.first().map_or(0, |span| span.start_ns);
    let latest = run
        .spans
        .last()
        .map_or(begin, |span| span.end_ns.unwrap_or(span.start_ns));
    let roots = run
        .spans
        .iter()
        .take(2_000)
        .filter(|span| span.parent.is_none());
    let end = roots.filter_map(|span| span.end_ns).max().unwrap_or(0);
    (begin, end.max(latest).max(begin + 1))
}

/// The row as a line of this many columns.
pub(super) fn line(row: Row<'_>, columns: usize, look: Look<'_>) -> Line<'static> {
    let span = row.span;
    let kind = match span.kind.as_str() {
        _ if row.aside => Role::Dim,
        "module" => Role::KindModule,
        "lm" => Role::KindLm,
        "adapter_format" | "adapter_parse" => Role::KindAdapter,
        "tool" | "interpreter" => Role::KindTool,
        _ => Role::KindOther,
    };
    let failed = span.error.is_some();
    let role = if failed { Role::Error } else { kind };
    let mark = match (row.parent, row.folded, span.kind.as_str()) {
        (true, true, _) => "▸",
        (true, false, _) => "▾",
        (_, _, "lm") => "●",
        _ => "·",
    };
    let going = span.end_ns.is_none() && row.run == RunStatus::Running;
    let mark_role = if going && !failed {
        Role::Running
    } else {
        role
    };
    let bar_room = (columns / 5).min(24);
    let took = match span.end_ns {
        Some(end) => text::duration(end.saturating_sub(span.start_ns) as f64 / 1e6),
        None if going => "…".to_owned(),
        None => "?".to_owned(),
    };
    let indent = usize::from(span.depth).min(12) * 2;
    let room = columns.saturating_sub(indent + 2 + 1 + bar_room + 1 + 8);
    let name = match span.kind.as_str() {
        "adapter_format" => format!("format {}", span.name),
        "adapter_parse" => format!("parse {}", span.name),
        "lm" => format!("lm {}", span.name),
        "tool" => format!("tool {}", span.name),
        _ => span.name.clone(),
    };
    let name = text::fit(&name, room);
    let left = room.saturating_sub(text::width(&name) + 1);
    let extra = match row.coming {
        Some(coming) => live::tail(coming, left),
        None => extra(span),
    };
    // What is cut off tells nothing: fewer words whole are better.
    let extra = if failed || row.coming.is_some() || span.kind == "job" {
        extra
    } else {
        whole(&extra, left).to_owned()
    };
    let extra = match text::fit(&extra, left) {
        extra if text::width(&extra) < 3 => String::new(),
        extra => format!(" {extra}"),
    };
    let fill = room.saturating_sub(text::width(&name) + text::width(&extra)) + 1;
    let extra_role = match row.coming {
        _ if failed => Role::Error,
        Some(_) => Role::Running,
        None => Role::Dim,
    };
    Line::from(vec![
        TextSpan::raw(" ".repeat(indent)),
        look.span(format!("{mark} "), mark_role),
        look.span(name, role),
        look.span(extra, extra_role),
        TextSpan::raw(" ".repeat(fill)),
        look.span(bar(span, row.extent, bar_room), mark_role),
        look.span(
            format!("{took:>8} "),
            if going { Role::Running } else { Role::Dim },
        ),
    ])
}

/// As much from the beginning as fits without being cut: parts, else the first word.
fn whole(words: &str, columns: usize) -> &str {
    let ends = words.rmatch_indices(" · ").map(|(at, _)| at);
    let first = words.find(' ');
    let ends = ends.chain(first);
    std::iter::once(words.len())
        .chain(ends)
        .filter_map(|end| words.get(..end))
        .find(|part| text::width(part) <= columns)
        .unwrap_or_default()
}

/// Why a job ran where it ran.
pub(super) fn reason(span: &Span) -> Option<&str> {
    let reason = (span.kind == "job").then(|| span.inputs.get("reason"));
    reason.flatten()?.as_str()
}

/// Tokens, cost and cache of an LM span, the reason of a job, the error of what failed.
fn extra(span: &Span) -> String {
    if let Some(error) = &span.error {
        return error.clone();
    }
    if let Some(reason) = reason(span) {
        return reason.to_owned();
    }
    let Some(last) = span.exchanges.last() else {
        return String::new();
    };
    let mut out = format!(
        "{}→{} tok",
        text::count(last.input_tokens),
        text::count(last.output_tokens)
    );
    match (last.source, last.cost) {
        (AnswerSource::Cache, _) => out.push_str(" · cache"),
        (AnswerSource::Cassette, _) => out.push_str(" · record"),
        (AnswerSource::Direct, _) => out.push_str(" · direct"),
        (_, Some(cost)) if cost > 0.0 => {
            let _ = write!(out, " · {}", text::cost(cost, 0));
        }
        _ => {}
    }
    if span.exchanges.len() > 1 {
        let _ = write!(out, " · {} tries", span.exchanges.len());
    }
    out
}

/// When the span ran, within the run.
fn bar(span: &Span, (begin, end): (u64, u64), room: usize) -> String {
    if room == 0 {
        return String::new();
    }
    let scale = |ns: u64| {
        (ns.saturating_sub(begin) as f64 / (end - begin) as f64 * room as f64)
            .clamp(0.0, room as f64)
    };
    let from = scale(span.start_ns);
    let to = scale(span.end_ns.unwrap_or(end));
    let first = (from.floor() as usize).min(room - 1);
    let n = ((to - from).round() as usize).min(room - first);
    let body = if n == 0 {
        "▏".to_owned()
    } else {
        "▇".repeat(n)
    };
    text::pad(&format!("{}{body}", " ".repeat(first)), room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let words = "312→48 tok · $0.0012 · 2 tries";
        for (columns, part) in [
            (40, words),
            (29, "312→48 tok · $0.0012"),
            (12, "312→48 tok"),
            (8, "312→48"),
            (3, ""),
        ] {
            assert_eq!(whole(words, columns), part);
        }
    }
}
