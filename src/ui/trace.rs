//! The trace pane: a run's spans as a tree with bars, and tabs for one of them.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};

use super::Focus;
use super::context::Context;
use super::keys::Act;
use super::live::Live;
use super::look::Look;
use crate::app::State;
use crate::session::event::RunId;
use crate::session::state::Run;

pub(crate) mod detail;
mod example;
mod filter;
mod row;
mod tree;

/// Which run, which span, which tab.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// The run asked for; `None` follows the newest that has spans.
    pinned: Option<RunId>,
    tree: tree::Tree,
    pub(crate) detail: detail::Detail,
    /// What LMs are just saying.
    pub(crate) live: Live,
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
        if act == Act::Send {
            match self.tree.selected(run, &self.live) {
                Some(seen) => example::send(run, seen.span, cx),
                None => cx.say("there is no span to make an example of"),
            }
            return true;
        }
        if focus == Focus::Detail {
            let seen = self.tree.selected(run, &self.live);
            let did = self.detail.act(act, seen, cx);
            self.look_at_selected(cx);
            return did;
        }
        if self.tree.filter.writing() {
            match act {
                Act::Submit => self.tree.filter.write(false),
                Act::Back => self.tree.filter.clear(),
                _ => drop(self.tree.act(act, run)),
            }
            self.changed(cx);
            return true;
        }
        match act {
            Act::Search => {
                self.tree.filter.write(true);
                return true;
            }
            Act::Back if self.tree.filter.is_on() => {
                self.tree.filter.clear();
                self.changed(cx);
                return true;
            }
            Act::Next | Act::Previous if !self.tree.filter.is_on() => {
                cx.say("`/` looks for spans; `n` and `N` then go from one to the next");
                return true;
            }
            _ => {}
        }
        if act == Act::Enter {
            cx.focus = Some(Focus::Detail);
            self.look_at_selected(cx);
            return true;
        }
        if act == Act::Copy {
            return self
                .detail
                .act(act, self.tree.selected(run, &self.live), cx);
        }
        let did = self.tree.act(act, run);
        if did {
            self.changed(cx);
        } else if act == Act::Fault {
            cx.say("no span of this run failed");
            return true;
        }
        did
    }

    /// Whether keys go to the filter.
    pub(crate) fn writing(&self) -> bool {
        self.tree.filter.writing()
    }

    /// An editing key.
    pub(crate) fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) {
        if self.writing() {
            self.tree.filter.key(key);
            self.changed(cx);
        }
    }

    /// Pasted text.
    pub(crate) fn paste(&mut self, text: &str) {
        self.tree.filter.paste(text);
    }

    /// Another span may be selected.
    fn changed(&mut self, cx: &mut Context<'_>) {
        self.detail.reset();
        self.look_at_selected(cx);
    }

    /// Asks for the bodies of the selected span's exchanges, if they are wanted.
    pub(crate) fn look_at_selected(&mut self, cx: &mut Context<'_>) {
        if let Some(run) = self.run(cx.state)
            && let Some(seen) = self.tree.selected(run, &self.live)
        {
            let talk = seen.talk.unwrap_or(seen.span);
            self.detail.load(talk, cx);
            if self.detail.compares()
                && let Some(before) = detail::before(&cx.state.session.runs, run, talk)
            {
                self.detail.load(before, cx);
            }
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
    ) -> Option<Position> {
        let mut cursor = None;
        let wide = area.width >= 100;
        let run = self.run(state);
        let nothing = run.is_none_or(|run| run.spans.is_empty() && run.error.is_none());
        let [tree, detail] = if nothing {
            [area, Rect::ZERO]
        } else if wide {
            Layout::horizontal([Constraint::Percentage(50), Constraint::Min(10)]).areas(area)
        } else if area.height < 14 {
            if focus == Focus::Detail {
                [Rect::ZERO, area]
            } else {
                [area, Rect::ZERO]
            }
        } else {
            // A small tree leaves its room to the messages.
            let spans = run.map_or(1, |run| run.spans.len()).min(500) as u16;
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
            cursor = self.tree.draw(tree, run, &self.live, look, buffer);
        }
        if detail.area() > 0 {
            let look = Look {
                focused: look.focused && focus == Focus::Detail,
                ..look
            };
            let seen = run.and_then(|run| self.tree.selected(run, &self.live));
            let before =
                run.zip(seen)
                    .filter(|_| self.detail.compares())
                    .and_then(|(run, seen)| {
                        detail::before(&state.session.runs, run, seen.talk.unwrap_or(seen.span))
                    });
            self.detail.draw(detail, run, seen, before, look, buffer);
        }
        cursor
    }
}
