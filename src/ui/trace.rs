//! The trace pane: a run's spans as a tree with bars, and tabs for one of them.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::Focus;
use super::context::Context;
use super::keys::Act;
use super::look::Look;
use crate::app::State;
use crate::session::event::RunId;
use crate::session::state::Run;

pub(crate) mod detail;
mod tree;

/// Which run, which span, which tab.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// The run asked for; `None` follows the newest that has spans.
    pinned: Option<RunId>,
    tree: tree::Tree,
    pub(crate) detail: detail::Detail,
    tree_area: Rect,
    detail_area: Rect,
}

impl Trace {
    /// The run on show.
    pub(crate) fn run<'a>(&self, state: &'a State) -> Option<&'a Run> {
        let runs = &state.session.runs;
        if let Some(run) = self.pinned.and_then(|id| runs.get(&id)) {
            return Some(run);
        }
        let recent = || runs.values().rev().take(200);
        recent()
            .find(|run| !run.spans.is_empty())
            .or_else(|| runs.values().next_back())
            .map(AsRef::as_ref)
    }

    /// Shows this run.
    pub(crate) fn pin(&mut self, run: RunId) {
        self.pinned = Some(run);
        self.tree.reset();
    }

    /// Shows the newest run again.
    pub(crate) fn follow(&mut self) {
        self.pinned = None;
    }

    /// What a key means in the tree or the tabs; false when it means nothing.
    pub(crate) fn act(&mut self, act: Act, focus: Focus, cx: &mut Context<'_>) -> bool {
        let state = cx.state;
        match act {
            Act::StepBack | Act::StepForward if focus == Focus::Trace => {
                let now = self.run(state).map(|run| run.id);
                let runs = &state.session.runs;
                let next = match (act, now) {
                    (Act::StepBack, Some(now)) => runs.range(..now).next_back(),
                    (_, Some(now)) => runs.range(RunId(now.0 + 1)..).next(),
                    _ => None,
                };
                if let Some((id, _)) = next {
                    self.pin(*id);
                }
                self.look_at_selected(cx);
                return true;
            }
            _ => {}
        }
        let Some(run) = self.run(state) else {
            return false;
        };
        if focus == Focus::Detail {
            let seen = self.tree.selected(run);
            return self.detail.act(act, seen, cx);
        }
        if act == Act::Enter {
            cx.focus = Some(Focus::Detail);
            self.look_at_selected(cx);
            return true;
        }
        if act == Act::Copy {
            return self.detail.act(act, self.tree.selected(run), cx);
        }
        let did = self.tree.act(act, run);
        if did {
            self.detail.reset();
            self.look_at_selected(cx);
        } else if act == Act::Fault {
            cx.say("no span of this run failed");
            return true;
        }
        did
    }

    /// Asks for the bodies of the selected span's exchanges, if they are wanted.
    pub(crate) fn look_at_selected(&mut self, cx: &mut Context<'_>) {
        if let Some(run) = self.run(cx.state)
            && let Some(seen) = self.tree.selected(run)
        {
            self.detail.load(seen.talk.unwrap_or(seen.span), cx);
        }
    }

    /// Selects what was clicked on; answers what gets the focus.
    pub(crate) fn click(&mut self, x: u16, y: u16, cx: &mut Context<'_>) -> Option<Focus> {
        let position = ratatui::layout::Position { x, y };
        if self.detail_area.contains(position) {
            self.detail.click(x, y);
            return Some(Focus::Detail);
        }
        if self.tree_area.contains(position) {
            self.tree.click(y);
            self.detail.reset();
            self.look_at_selected(cx);
            return Some(Focus::Trace);
        }
        None
    }

    /// Draws tree and tabs.
    pub(crate) fn draw(
        &mut self,
        area: Rect,
        state: &State,
        look: Look<'_>,
        focus: Focus,
        buffer: &mut Buffer,
    ) {
        let wide = area.width >= 100;
        let [tree, detail] = if wide {
            Layout::horizontal([Constraint::Percentage(50), Constraint::Min(10)]).areas(area)
        } else if area.height < 14 {
            if focus == Focus::Detail {
                [Rect::ZERO, area]
            } else {
                [area, Rect::ZERO]
            }
        } else {
            // A small tree leaves its room to the messages.
            let spans = self.run(state).map_or(1, |run| run.spans.len()).min(500) as u16;
            let tree = (spans + 2).clamp(4, area.height * 45 / 100);
            Layout::vertical([Constraint::Length(tree), Constraint::Min(6)]).areas(area)
        };
        (self.tree_area, self.detail_area) = (tree, detail);
        let run = self.run(state);
        if tree.area() > 0 {
            let look = Look {
                focused: look.focused && focus != Focus::Detail,
                ..look
            };
            self.tree.draw(tree, run, look, buffer);
        }
        if detail.area() > 0 {
            let look = Look {
                focused: look.focused && focus == Focus::Detail,
                ..look
            };
            let seen = run.and_then(|run| self.tree.selected(run));
            self.detail.draw(detail, run, seen, look, buffer);
        }
    }
}
