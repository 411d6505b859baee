//! Spans as a tree: order, folding, bars. Only visible rows are made into lines.

use std::collections::HashSet;
use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span as TextSpan};

use super::detail::Seen;
use crate::session::event::{AnswerSource, RunId, RunStatus};
use crate::session::state::{Run, Span};
use crate::theme::Role;
use crate::ui::keys::Act;
use crate::ui::list::Selection;
use crate::ui::look::Look;
use crate::ui::text;

/// Spans looked at for an LM call at most.
const LOOKED_AT: usize = 2_000;

/// The tree of one run.
#[derive(Debug, Default)]
pub(super) struct Tree {
    selection: Selection,
    folded: HashSet<String>,
    /// Visible spans, parents before their children, and for what they were made.
    order: Vec<usize>,
    made_for: Option<(RunId, usize, usize)>,
    /// Changes with every folding.
    folds: usize,
    area: Rect,
}

impl Tree {
    /// Forgets what was selected.
    pub(super) fn reset(&mut self) {
        self.selection = Selection::default();
    }

    /// The selected span, and the LM span whose messages tell about it.
    pub(super) fn selected<'a>(&mut self, run: &'a Run) -> Option<Seen<'a>> {
        self.arrange(run);
        let at = *self.order.get(self.selection.at)?;
        let span = run.spans.get(at)?;
        let silent = span.exchanges.is_empty() && span.kind != "lm";
        let talk = if silent { talk(run, at) } else { None };
        Some(Seen { span, talk })
    }

    /// Selects the row at this line of the screen.
    pub(super) fn click(&mut self, y: u16) {
        let row = usize::from(y.saturating_sub(self.area.y));
        self.selection.at = (self.selection.top + row).min(self.order.len().saturating_sub(1));
    }

    /// What a key means; false when it means nothing, or nothing more failed.
    pub(super) fn act(&mut self, act: Act, run: &Run) -> bool {
        self.arrange(run);
        if self.selection.act(act, self.order.len()) {
            return true;
        }
        let at = self.order.get(self.selection.at).copied();
        let Some((at, span)) = at.and_then(|at| run.spans.get(at).map(|span| (at, span))) else {
            return false;
        };
        match act {
            Act::Fold | Act::Left | Act::Right => {
                let has_children = run
                    .spans
                    .iter()
                    .skip(at + 1)
                    .any(|it| it.parent == Some(at));
                let folded = self.folded.contains(&span.id);
                if has_children && (act == Act::Fold || (act == Act::Left) != folded) {
                    if !self.folded.remove(&span.id) {
                        self.folded.insert(span.id.clone());
                    }
                    self.folds += 1;
                    self.arrange(run);
                } else if act == Act::Left
                    && let Some(up) = span
                        .parent
                        .and_then(|up| self.order.iter().position(|it| *it == up))
                {
                    self.selection.at = up;
                }
            }
            Act::Fault => {
                let failed = |(_, at): &(usize, &usize)| {
                    run.spans.get(**at).is_some_and(|it| it.error.is_some())
                };
                let here = self.selection.at;
                let next = self.order.iter().enumerate().skip(here + 1).find(failed);
                let Some((to, _)) = next.or_else(|| self.order.iter().enumerate().find(failed))
                else {
                    return false;
                };
                self.selection.at = to;
            }
            _ => return false,
        }
        true
    }

    /// Puts the visible spans in order, when something changed.
    fn arrange(&mut self, run: &Run) {
        let key = (run.id, run.spans.len(), self.folds);
        if self.made_for == Some(key) {
            return;
        }
        if self.made_for.is_some_and(|(id, ..)| id != run.id) {
            self.selection = Selection::default();
        }
        self.made_for = Some(key);
        // Children lists without a vector each: first child and next sibling.
        let n = run.spans.len();
        let (mut first, mut next, mut last) = (vec![n; n + 1], vec![n; n], vec![n; n + 1]);
        for (at, span) in run.spans.iter().enumerate() {
            // A parent comes before its children; anything else is a root.
            let parent = span.parent.filter(|parent| *parent < at).unwrap_or(n);
            match last.get(parent).copied() {
                Some(before) if before < n => next[before] = at,
                _ => first[parent] = at,
            }
            last[parent] = at;
        }
        self.order.clear();
        let mut stack = vec![first[n]];
        while let Some(at) = stack.pop() {
            if at >= n {
                continue;
            }
            self.order.push(at);
            stack.push(next[at]);
            if !self.folded.contains(&run.spans[at].id) {
                stack.push(first[at]);
            }
        }
    }

    /// Draws it.
    pub(super) fn draw(
        &mut self,
        area: Rect,
        run: Option<&Run>,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) {
        let Some(run) = run else {
            let inner = look.pane("Trace", area, buffer);
            let words = text::plain(
                "Each call of a module, adapter, LM or tool appears here while it runs.",
                look.style(Role::Dim),
                inner.width.into(),
            );
            look.lines(inner, &words, buffer);
            return;
        };
        self.arrange(run);
        let inner = look.pane(&title(run), area, buffer);
        self.area = inner;
        let (begin, end) = extent(run);
        let columns = usize::from(inner.width);
        let selected = self.selection.at;
        for (y, at) in self
            .selection
            .visible(self.order.len(), inner.height.into())
            .enumerate()
        {
            let Some((place, span)) = self
                .order
                .get(at)
                .and_then(|it| run.spans.get(*it).map(|span| (*it, span)))
            else {
                continue;
            };
            let folded = self.folded.contains(&span.id);
            let parent = run
                .spans
                .get(place + 1)
                .is_some_and(|it| it.parent == Some(place))
                || folded;
            let line = row(
                span,
                parent,
                folded,
                (begin, end),
                columns,
                run.status,
                look,
            );
            look.row(inner, y as u16, &line, at == selected, buffer);
        }
        if self.order.is_empty() {
            let words = if run.status == RunStatus::Running {
                "waiting for its first call…"
            } else {
                "this run called no module and no LM"
            };
            look.lines(inner, &[Line::styled(words, look.style(Role::Dim))], buffer);
        }
    }
}

/// The first LM call inside the span at this place; beside it when there is none,
/// as of an adapter.
fn talk(run: &Run, at: usize) -> Option<&Span> {
    let mut around = Some(at);
    for _ in 0..3 {
        let top = around?;
        let inside = |span: &Span| {
            let mut up = span.parent;
            // A parent comes before its children, so this ends.
            while let Some(place) = up.filter(|place| *place > top) {
                up = run.spans.get(place).and_then(|it| it.parent);
            }
            up == Some(top)
        };
        let after = run.spans.iter().skip(top + 1).take(LOOKED_AT);
        let found = after
            .map(AsRef::as_ref)
            .find(|span| !span.exchanges.is_empty() && inside(span));
        if found.is_some() {
            return found;
        }
        around = run.spans.get(top).and_then(|span| span.parent);
    }
    None
}

fn title(run: &Run) -> String {
    let mut title = format!("Trace · run {} · {}", run.id.0, run.title);
    match run.duration_ms {
        Some(ms) => {
            let _ = write!(title, " · {}", text::duration(ms));
        }
        None if run.status == RunStatus::Running => title.push_str(" · running"),
        None => {}
    }
    title
}

/// First start and last end of a run's spans.
fn extent(run: &Run) -> (u64, u64) {
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

fn row(
    span: &Span,
    parent: bool,
    folded: bool,
    extent: (u64, u64),
    columns: usize,
    run: RunStatus,
    look: Look<'_>,
) -> Line<'static> {
    let kind = match span.kind.as_str() {
        "module" => Role::KindModule,
        "lm" => Role::KindLm,
        "adapter_format" | "adapter_parse" => Role::KindAdapter,
        "tool" | "interpreter" => Role::KindTool,
        _ => Role::KindOther,
    };
    let role = if span.error.is_some() {
        Role::Error
    } else {
        kind
    };
    let mark = match (parent, folded, span.kind.as_str()) {
        (true, true, _) => "▸",
        (true, false, _) => "▾",
        (_, _, "lm") => "●",
        _ => "·",
    };
    let open = span.end_ns.is_none();
    let mark_role = if span.error.is_some() {
        Role::Error
    } else if open && run == RunStatus::Running {
        Role::Running
    } else {
        kind
    };
    let bar_room = (columns / 4).clamp(0, 24);
    let took = match span.end_ns {
        Some(end) => text::duration(end.saturating_sub(span.start_ns) as f64 / 1e6),
        None if run == RunStatus::Running => "…".to_owned(),
        None => "?".to_owned(),
    };
    let indent = usize::from(span.depth).min(12) * 2;
    let head_room = columns.saturating_sub(indent + 2 + bar_room + 1 + 8);
    let name = match span.kind.as_str() {
        "adapter_format" => format!("format {}", span.name),
        "adapter_parse" => format!("parse {}", span.name),
        "lm" => format!("lm {}", span.name),
        "tool" => format!("tool {}", span.name),
        _ => span.name.clone(),
    };
    let extra = extra(span);
    let name = text::fit(&name, head_room);
    let extra = text::fit(&extra, head_room.saturating_sub(text::width(&name) + 1));
    let fill = head_room.saturating_sub(text::width(&name) + 1 + text::width(&extra))
        + usize::from(extra.is_empty());
    let extra = if extra.is_empty() {
        extra
    } else {
        format!(" {extra}")
    };
    let fill = if extra.is_empty() {
        fill
    } else {
        head_room.saturating_sub(text::width(&name) + text::width(&extra))
    };
    Line::from(vec![
        TextSpan::raw(" ".repeat(indent)),
        look.span(format!("{mark} "), mark_role),
        look.span(name, role),
        look.span(
            extra,
            if span.error.is_some() {
                Role::Error
            } else {
                Role::Dim
            },
        ),
        TextSpan::raw(" ".repeat(fill)),
        look.span(bar(span, extent, bar_room), mark_role),
        look.span(
            format!("{took:>8} "),
            if open { Role::Running } else { Role::Dim },
        ),
    ])
}

/// Tokens, cost and cache of an LM span, the error of one that failed.
fn extra(span: &Span) -> String {
    if let Some(error) = &span.error {
        return error.clone();
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
