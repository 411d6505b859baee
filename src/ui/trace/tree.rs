//! Spans as a tree: order, folding, filter. Only visible rows are made into lines.

use std::collections::HashSet;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use super::detail::Seen;
use super::filter::Filter;
use super::row::{self, Row};
use crate::session::event::{RunId, RunStatus};
use crate::session::state::{Run, Span};
use crate::theme::Role;
use crate::ui::keys::Act;
use crate::ui::list::Selection;
use crate::ui::live::Live;
use crate::ui::look::Look;
use crate::ui::text;

/// Spans looked at for an LM call at most.
const LOOKED_AT: usize = 2_000;

/// The tree of one run.
#[derive(Debug, Default)]
pub(super) struct Tree {
    selection: Selection,
    folded: HashSet<String>,
    pub(super) filter: Filter,
    /// Visible spans, parents before their children, and for what they were made.
    order: Vec<usize>,
    made_for: Option<(RunId, usize, usize, u64, bool)>,
    /// Of the spans in `order`, those the filter is about.
    fitting: HashSet<usize>,
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
    pub(super) fn selected<'a>(&mut self, run: &'a Run, live: &'a Live) -> Option<Seen<'a>> {
        self.arrange(run);
        let at = *self.order.get(self.selection.at)?;
        let span = run.spans.get(at)?;
        let silent = span.exchanges.is_empty() && span.kind != "lm";
        let talk = if silent { talk(run, at, live) } else { None };
        let coming = live.text(run.id, talk.unwrap_or(span));
        Some(Seen { span, talk, coming })
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
                return self.jump(true, |at, _| {
                    run.spans.get(at).is_some_and(|it| it.error.is_some())
                });
            }
            Act::Next | Act::Previous if self.filter.is_on() => {
                return self.jump(act == Act::Next, |at, fitting| fitting.contains(&at));
            }
            _ => return false,
        }
        true
    }

    /// Selects the next span of this kind, onwards or backwards, round the end;
    /// false when there is none.
    fn jump(&mut self, onwards: bool, wanted: impl Fn(usize, &HashSet<usize>) -> bool) -> bool {
        let n = self.order.len();
        let here = self.selection.at;
        let steps = (1..=n).map(|step| {
            if onwards {
                here + step
            } else {
                here + n - step
            }
        });
        let to = steps.map(|at| at % n).find(|at| {
            let span = self.order.get(*at);
            span.is_some_and(|span| wanted(*span, &self.fitting))
        });
        self.selection.at = to.unwrap_or(here);
        to.is_some()
    }

    /// Puts the visible spans in order, when something changed.
    fn arrange(&mut self, run: &Run) {
        let going = run.status == RunStatus::Running;
        let key = (
            run.id,
            run.spans.len(),
            self.folds,
            self.filter.revision(),
            going,
        );
        if self.made_for == Some(key) {
            return;
        }
        if self.made_for.is_some_and(|(id, ..)| id != run.id) {
            self.selection = Selection::default();
        }
        // Another filter leaves the selected span selected, where it is shown.
        let filtered = self
            .made_for
            .is_some_and(|it| it.0 == key.0 && it.3 != key.3);
        let selected = self.order.get(self.selection.at).copied();
        self.made_for = Some(key);
        // Who is shown because of the filter: those that fit, and who called them.
        let shown = self.filter.is_on().then(|| {
            self.fitting = self.filter.fitting(run);
            let mut shown = self.fitting.clone();
            for at in &self.fitting {
                let mut up = run.spans.get(*at).and_then(|span| span.parent);
                while let Some(place) = up.filter(|place| shown.insert(*place)) {
                    up = run.spans.get(place).and_then(|span| span.parent);
                }
            }
            shown
        });
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
            stack.push(next[at]);
            if let Some(shown) = &shown {
                if shown.contains(&at) {
                    self.order.push(at);
                    stack.push(first[at]);
                }
                continue;
            }
            self.order.push(at);
            if !self.folded.contains(&run.spans[at].id) {
                stack.push(first[at]);
            }
        }
        if filtered {
            let named = self.filter.named(run);
            let meant = if named.is_empty() {
                &self.fitting
            } else {
                &named
            };
            let fits = |at: &usize| !self.filter.is_on() || meant.contains(at);
            let same = self
                .order
                .iter()
                .position(|at| Some(*at) == selected && fits(at));
            let first = || self.order.iter().position(fits);
            self.selection.at = same.or_else(first).unwrap_or(0);
        }
    }

    /// Draws it; answers where the cursor is, while a filter is written.
    pub(super) fn draw(
        &mut self,
        area: Rect,
        run: Option<&Run>,
        live: &Live,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let Some(run) = run else {
            let inner = look.pane("Trace", area, buffer);
            let words = text::plain(
                "Each call of a module, adapter, LM or tool appears here while it runs, as a tree with its time.\n\nBelow it: the messages that were sent and what came back, the fields, the raw bodies, and what differs from the call before.",
                look.style(Role::Dim),
                inner.width.into(),
            );
            look.lines(inner, &words, buffer);
            return None;
        };
        self.arrange(run);
        let mut inner = look.pane(&row::title(run), area, buffer);
        if run.spans.is_empty() && run.left > 0 {
            let words = format!(
                "The {} calls of this run are in the session's log, no more in memory. Replay the session (F6) to see them.",
                run.left
            );
            let words = text::plain(&words, look.style(Role::Dim), inner.width.into());
            look.lines(inner, &words, buffer);
            return None;
        }
        let cursor = if self.filter.is_open() {
            let top = Rect { height: 1, ..inner };
            inner.y += 1;
            inner.height = inner.height.saturating_sub(1);
            let found = (self.fitting.len(), run.spans.len());
            self.filter.draw(top, found, look, buffer)
        } else {
            None
        };
        self.area = inner;
        let extent = row::extent(run);
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
            let folded = !self.filter.is_on() && self.folded.contains(&span.id);
            let child = |it: &std::sync::Arc<Span>| it.parent == Some(place);
            let row = Row {
                span,
                coming: live.text(run.id, span),
                parent: folded || run.spans.get(place + 1).is_some_and(child),
                folded,
                aside: self.filter.is_on() && !self.fitting.contains(&place),
                extent,
                run: run.status,
            };
            let line = row::line(row, columns, look);
            look.row(inner, y as u16, &line, at == selected, buffer);
        }
        if self.order.is_empty() {
            let words = if self.filter.is_on() {
                "no span fits: Esc shows all"
            } else if run.status == RunStatus::Running {
                "waiting for its first call…"
            } else {
                "this run called no module and no LM"
            };
            look.lines(inner, &[Line::styled(words, look.style(Role::Dim))], buffer);
        }
        cursor
    }
}

/// The first LM call inside the span at this place; beside it when there is none,
/// as of an adapter.
fn talk<'a>(run: &'a Run, at: usize, live: &Live) -> Option<&'a Span> {
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
        let found = after.map(AsRef::as_ref).find(|span| {
            let tells = !span.exchanges.is_empty() || live.text(run.id, span).is_some();
            tells && inside(span)
        });
        if found.is_some() {
            return found;
        }
        around = run.spans.get(top).and_then(|span| span.parent);
    }
    None
}
