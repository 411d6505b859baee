//! The explorer: what the session has, by kind, with what matters beside it.

use std::collections::HashSet;
use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::json;

use super::context::{Context, Purpose};
use super::keys::Act;
use super::list::Selection;
use super::look::{self, Look};
use super::{Focus, View, text};
use crate::app::State;
use crate::session::event::{CellId, CellKind, RunId, RunStatus, WorkerState};
use crate::session::state::SessionState;
use crate::theme::Role;

/// Runs shown: the newest.
const RUNS: usize = 50;

/// Tree of the session's things.
#[derive(Debug, Default)]
pub(crate) struct Explorer {
    selection: Selection,
    folded: HashSet<&'static str>,
    area: Rect,
}

/// What a row is.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    Group(&'static str, usize),
    Lm(String),
    Signature(String),
    Program(String),
    Data(String),
    Name(String),
    /// A name that was lost with a kernel, and the cell that made it.
    Lost(String, Option<CellId>),
    Run(RunId),
}

impl Explorer {
    fn items(&self, state: &State) -> Vec<Item> {
        let session = &state.session;
        let mut items = Vec::new();
        let mut group = |title: &'static str, members: Vec<Item>| {
            items.push(Item::Group(title, members.len()));
            if !self.folded.contains(title) {
                items.extend(members);
            }
        };
        group("LMs", session.lms.keys().cloned().map(Item::Lm).collect());
        group(
            "Signatures",
            session
                .signatures
                .keys()
                .cloned()
                .map(Item::Signature)
                .collect(),
        );
        group(
            "Programs",
            session
                .programs
                .keys()
                .cloned()
                .map(Item::Program)
                .collect(),
        );
        group(
            "Data",
            session.datasets.keys().cloned().map(Item::Data).collect(),
        );
        let lost = lost(session);
        if !lost.is_empty() {
            group("Lost", lost);
        }
        group(
            "Names",
            session
                .names
                .iter()
                .map(|it| Item::Name(it.name.clone()))
                .collect(),
        );
        group(
            "Runs",
            session
                .runs
                .keys()
                .rev()
                .take(RUNS)
                .copied()
                .map(Item::Run)
                .collect(),
        );
        items
    }

    /// What a key means here; false when it means nothing.
    pub(crate) fn act(&mut self, act: Act, cx: &mut Context<'_>) -> Option<RunId> {
        let items = self.items(cx.state);
        if self.selection.act(act, items.len()) {
            return None;
        }
        let item = items.get(self.selection.at)?;
        match (act, item) {
            (Act::Enter | Act::Left | Act::Right, Item::Group(title, _))
                if !self.folded.remove(title) =>
            {
                self.folded.insert(title);
            }
            (Act::Left, _) => {
                let up = items
                    .iter()
                    .take(self.selection.at)
                    .rposition(|it| matches!(it, Item::Group(..)));
                self.selection.at = up.unwrap_or(0);
            }
            (Act::Enter, Item::Lm(name)) => {
                cx.submit(
                    Purpose::Say(format!("calls go to `{name}` now")),
                    "select_lm",
                    json!({"name": name}),
                );
            }
            (Act::Enter, Item::Signature(name)) => {
                cx.open_signature = Some(name.clone());
                cx.go = Some(View::Signature);
            }
            (Act::Enter, Item::Program(name) | Item::Name(name))
            | (
                Act::New,
                Item::Program(name)
                | Item::Name(name)
                | Item::Signature(name)
                | Item::Data(name)
                | Item::Lm(name),
            ) => {
                cx.insert = Some(name.clone());
                cx.focus = Some(Focus::Editor);
            }
            (Act::Enter, Item::Data(_)) => cx.go = Some(View::Data),
            (Act::Run, Item::Program(name)) => cx.open_program = Some(name.clone()),
            (Act::Run, _) => cx.say("`r` runs a program: go to one"),
            (Act::Enter, Item::Lost(name, cell)) => match cell {
                Some(cell) => {
                    if let Some(source) = cx.state.session.cell(*cell).map(|it| &it.source) {
                        let words = format!("cell [{}] runs again for `{name}`", cell.0);
                        let arguments = json!({"source": source, "cell": cell});
                        cx.submit(Purpose::Say(words), "run_cell", arguments);
                    }
                }
                None => cx.say(format!(
                    "no cell sets `{name}` by that name: run what made it"
                )),
            },
            (Act::Enter, Item::Run(run)) => {
                cx.focus = Some(Focus::Trace);
                return Some(*run);
            }
            (
                Act::Copy,
                Item::Lm(name)
                | Item::Signature(name)
                | Item::Program(name)
                | Item::Data(name)
                | Item::Name(name),
            ) => {
                cx.actions.push(super::Action::Copy(name.clone()));
                cx.say(format!("copied `{name}`"));
            }
            _ => {}
        }
        None
    }

    /// Selects the row at this line of the screen; true when it was selected already.
    pub(crate) fn click(&mut self, y: u16) -> bool {
        let at = self.selection.top + usize::from(y.saturating_sub(self.area.y));
        std::mem::replace(&mut self.selection.at, at) == at
    }

    /// Draws it.
    pub(crate) fn draw(&mut self, area: Rect, state: &State, look: Look<'_>, buffer: &mut Buffer) {
        let inner = look.pane("Explorer", area, buffer);
        self.area = inner;
        let items = self.items(state);
        let columns = usize::from(inner.width);
        for (y, at) in self
            .selection
            .visible(items.len(), inner.height.into())
            .enumerate()
        {
            if let Some(item) = items.get(at) {
                let line = self.line(item, state, look, columns);
                look.row(
                    inner,
                    y as u16,
                    &line,
                    look.focused && at == self.selection.at,
                    buffer,
                );
            }
        }
    }

    fn line(&self, item: &Item, state: &State, look: Look<'_>, columns: usize) -> Line<'static> {
        let session = &state.session;
        let (mark, mark_role, name, note) = match item {
            Item::Group(title, n) => {
                let mark = if self.folded.contains(title) {
                    "▸"
                } else {
                    "▾"
                };
                let count = if *n == 0 {
                    "—".to_owned()
                } else {
                    n.to_string()
                };
                let room = columns.saturating_sub(2 + text::width(&count) + 1);
                return Line::from(vec![
                    look.span(format!("{mark} "), Role::Dim),
                    look.span(text::pad(title, room), Role::Title),
                    look.span(format!(" {count}"), Role::Dim),
                ]);
            }
            Item::Lm(name) => {
                let used = session.lm.as_ref() == Some(name);
                let model = session
                    .lms
                    .get(name)
                    .map(|it| it.model.clone())
                    .unwrap_or_default();
                let note = if &model == name { String::new() } else { model };
                if used {
                    ("●", Role::Ok, name.clone(), note)
                } else {
                    ("○", Role::Dim, name.clone(), note)
                }
            }
            Item::Signature(name) => {
                let note = session
                    .signatures
                    .get(name)
                    .map(super::signature::shape)
                    .unwrap_or_default();
                ("·", Role::Dim, name.clone(), note)
            }
            Item::Program(name) => {
                let program = session.programs.get(name);
                let mut note = program
                    .map(|it| format!("v{}", it.version))
                    .unwrap_or_default();
                if let Some(score) = program.and_then(|it| it.score) {
                    let _ = write!(note, " {score:.1}");
                }
                let better = program.is_some_and(|it| it.optimizer.is_some());
                (
                    if better { "▲" } else { "·" },
                    if better { Role::Ok } else { Role::Dim },
                    name.clone(),
                    note,
                )
            }
            Item::Data(name) => {
                let note = session
                    .datasets
                    .get(name)
                    .map(|it| format!("{} rows", it.len))
                    .unwrap_or_default();
                ("·", Role::Dim, name.clone(), note)
            }
            Item::Name(name) => {
                let found = session.names.iter().find(|it| &it.name == name);
                let mark = if found.is_some_and(|it| it.registered) {
                    "◆"
                } else {
                    "·"
                };
                (
                    mark,
                    Role::Dim,
                    name.clone(),
                    found.map(|it| it.type_name.clone()).unwrap_or_default(),
                )
            }
            Item::Lost(name, cell) => {
                let note = cell.map_or_else(String::new, |cell| format!("re-run [{}]", cell.0));
                ("†", Role::Error, name.clone(), note)
            }
            Item::Run(id) => {
                let Some(run) = session.runs.get(id) else {
                    return Line::default();
                };
                let (mark, role) = look::sign(run.status);
                let note = match run.status {
                    RunStatus::Running if run.paused => "paused".to_owned(),
                    RunStatus::Running => "running".to_owned(),
                    _ => run.duration_ms.map(text::duration).unwrap_or_default(),
                };
                (mark, role, run.title.clone(), note)
            }
        };
        let room = columns.saturating_sub(4);
        // A short note is whole or worthless; a long one gives way to the name.
        let free = room.saturating_sub(text::width(&name) + 1);
        let note_width = text::width(&note).min(free.max(room / 3).max(8).min(room));
        let name_room = room.saturating_sub(if note_width > 0 { note_width + 1 } else { 0 });
        Line::from(vec![
            look.span(format!("  {mark} "), mark_role),
            look.span(text::pad(&name, name_room), Role::Text),
            look.span(format!(" {}", text::fit(&note, note_width)), Role::Dim),
        ])
    }
}

/// Names that went with the last kernel that died and were not set again.
fn lost(session: &SessionState) -> Vec<Item> {
    let died = session
        .workers
        .values()
        .rev()
        .find(|it| it.state == WorkerState::Died && !it.lost.is_empty());
    let names = died.map(|it| it.lost.as_slice()).unwrap_or_default();
    names
        .iter()
        .filter(|name| session.names.iter().all(|it| it.name != **name))
        .map(|name| Item::Lost(name.clone(), maker(session, name)))
        .collect()
}

/// The newest cell that sets this name at its left margin.
fn maker(session: &SessionState, name: &str) -> Option<CellId> {
    let sets = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        let defined = ["def ", "class "]
            .iter()
            .find_map(|it| line.strip_prefix(it));
        let rest = defined.unwrap_or(line).strip_prefix(name);
        rest.is_some_and(|rest| {
            if defined.is_some() {
                return rest.starts_with(['(', ':', ' ']);
            }
            let rest = rest.trim_start();
            rest.starts_with([':', ',']) || rest.starts_with('=') && !rest.starts_with("==")
        })
    };
    let mut cells = session.cells.iter().rev();
    let python = cells.find(|cell| cell.kind == CellKind::Python && cell.source.lines().any(sets));
    python.map(|cell| cell.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::state::Cell;

    #[test]
    fn the_cell_that_sets_a_name_is_found() {
        let mut session = SessionState::default();
        for (n, source) in [
            "x = 1",
            "def f(a):\n    x = 2",
            "y: int = 3",
            "x == 2",
            "async def g(): pass",
            "class C:\n    pass",
            "xs = 4",
        ]
        .iter()
        .enumerate()
        {
            session.cells.push(std::sync::Arc::new(Cell {
                id: CellId(n as u64 + 1),
                kind: CellKind::Python,
                source: (*source).to_owned(),
                outputs: Vec::new(),
                status: RunStatus::Ok,
                run: None,
                duration_ms: None,
                revision: 1,
                clear_pending: false,
            }));
        }
        let of = |name: &str| maker(&session, name).map(|it| it.0);
        assert_eq!(
            ["x", "f", "y", "g", "C", "xs", "a"].map(of),
            [Some(1), Some(2), Some(3), Some(5), Some(6), Some(7), None]
        );
    }
}
