//! The notebook pane: cells from the last visible one upwards, and the editor.
//!
//! Only cells on the screen are made into lines; those are kept by (revision,
//! width, theme), so that a notebook of ten thousand cells costs what is seen.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::rc::Rc;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use serde_json::json;

use super::context::{Context, Purpose};
use super::keys::Act;
use super::look::Look;
use super::{Focus, text};
use crate::app::State;
use crate::session::event::{CellId, Output, RunId, RunStatus};
use crate::session::state::Cell;
use crate::theme::Role;

pub(crate) mod cell;
pub(crate) mod completion;
mod editor;

pub(crate) use editor::Editor;

/// Cells kept as lines.
const KEPT: usize = 256;

/// The cells and the editor below them.
#[derive(Debug, Default)]
pub(crate) struct Notebook {
    pub(crate) editor: Editor,
    /// Position of the selected cell.
    selected: usize,
    /// What is at the top; `None` follows the end.
    anchor: Option<Anchor>,
    unfolded: HashSet<CellId>,
    cache: HashMap<CellId, Kept>,
    /// Lines to scroll by at the next drawing.
    pending: isize,
    /// Cells before this one are shown to who scrolls up only.
    cleared: usize,
    /// Rows the cells had last time.
    page: usize,
    /// Rows that were used of them.
    used: u16,
    /// Wall clock, milliseconds, while something runs.
    pub(crate) now_ms: i64,
    /// The run whose tokens come, and the newest of them.
    pub(crate) live: Option<(RunId, String)>,
    /// Where the editor was drawn.
    pub(crate) editor_area: Rect,
    /// Which cell each drawn row shows.
    rows: Vec<(u16, usize)>,
}

/// The first drawn line.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    cell: usize,
    line: usize,
}

/// For what the lines of a cell were made.
#[derive(Debug, PartialEq)]
struct Key {
    revision: u64,
    columns: usize,
    theme: String,
    unfolded: bool,
    /// Whether the grammars were there.
    coloured: bool,
}

/// A cell as lines, and for what they were made.
#[derive(Debug)]
struct Kept {
    key: Key,
    lines: Rc<Vec<Line<'static>>>,
}

impl Notebook {
    /// The selected cell.
    pub(crate) fn selected<'a>(&self, state: &'a State) -> Option<&'a Cell> {
        state.session.cells.get(self.selected).map(AsRef::as_ref)
    }

    /// Selects the last cell and follows the end.
    pub(crate) fn follow_end(&mut self, state: &State) {
        self.selected = state.session.cells.len().saturating_sub(1);
        self.anchor = None;
    }

    /// Clears what is shown; scrolling up shows it again.
    pub(crate) fn clear(&mut self, state: &State) {
        self.cleared = state.session.cells.len();
        self.follow_end(state);
    }

    /// What a key means when a cell is selected; false when it means nothing.
    pub(crate) fn act(&mut self, act: Act, cx: &mut Context<'_>) -> bool {
        let cells = &cx.state.session.cells;
        let last = cells.len().saturating_sub(1);
        match act {
            Act::Up => self.choose(self.selected.saturating_sub(1), last),
            Act::Down if self.selected >= last => cx.focus = Some(Focus::Editor),
            Act::Down => self.choose(self.selected + 1, last),
            Act::Top => self.choose(0, last),
            Act::Bottom => self.follow_end(cx.state),
            Act::PageUp => self.scroll(-(self.page.max(2) as isize - 1), cx.state),
            Act::PageDown => self.scroll(self.page.max(2) as isize - 1, cx.state),
            Act::New => cx.focus = Some(Focus::Editor),
            Act::Undo => cx.submit(
                Purpose::Say("the cell is back".to_owned()),
                "restore_cell",
                json!({}),
            ),
            _ => {
                let Some(cell) = cells.get(self.selected).cloned() else {
                    return false;
                };
                match act {
                    Act::Edit => {
                        self.editor.set(&cell.source, Some(cell.id));
                        cx.focus = Some(Focus::Editor);
                    }
                    Act::Run if cell.source.starts_with(':') => {
                        cx.command = Some(cell.source[1..].to_owned());
                    }
                    Act::Run => cx.submit(
                        Purpose::Quiet,
                        "run_cell",
                        json!({"source": cell.source, "cell": cell.id}),
                    ),
                    Act::Delete => {
                        let words = format!("cell [{}] is deleted · `u` puts it back", cell.id.0);
                        let purpose = Purpose::Say(words);
                        cx.submit(purpose, "delete_cell", json!({"cell": cell.id}));
                    }
                    Act::Fold | Act::Left | Act::Right => {
                        if !self.unfolded.remove(&cell.id) {
                            self.unfolded.insert(cell.id);
                        }
                    }
                    Act::Copy => {
                        cx.actions.push(super::Action::Copy(as_text(&cell)));
                        cx.say("copied: source and outputs of the cell");
                    }
                    _ => return false,
                }
            }
        }
        true
    }

    fn choose(&mut self, at: usize, last: usize) {
        self.selected = at.min(last);
        let shown = |rows: &[(u16, usize)], at: usize| rows.iter().any(|(_, cell)| *cell == at);
        if self.selected == last {
            self.anchor = None;
        } else if !shown(&self.rows, self.selected)
            || self
                .rows
                .first()
                .is_some_and(|(_, it)| *it == self.selected)
        {
            self.anchor = Some(Anchor {
                cell: self.selected,
                line: 0,
            });
        }
    }

    /// Selects the cell drawn at this row of the screen.
    pub(crate) fn click(&mut self, y: u16) -> bool {
        let found = self.rows.iter().find(|(row, _)| *row == y);
        if let Some((_, cell)) = found {
            self.selected = *cell;
        }
        found.is_some()
    }

    /// Scrolls the cells by lines at the next drawing, which knows their heights;
    /// downwards past the end follows it again.
    pub(crate) fn scroll(&mut self, by: isize, _state: &State) {
        self.pending += by;
    }

    /// Draws it; answers where the editor's cursor is.
    pub(crate) fn draw(
        &mut self,
        area: Rect,
        state: &State,
        look: Look<'_>,
        focus: Focus,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let name = if state.session.cells.is_empty() {
            "Notebook".to_owned()
        } else {
            format!(
                "Notebook · {}",
                text::many(state.session.cells.len() as u64, "cell")
            )
        };
        let inner = look.pane(&name, area, buffer);
        if inner.height == 0 || inner.width < 8 {
            return None;
        }
        let wanted = self
            .editor
            .n_lines()
            .min(usize::from(inner.height / 2))
            .max(1) as u16;
        let cells = Rect {
            height: inner.height.saturating_sub(wanted),
            ..inner
        };
        self.draw_cells(cells, state, look, focus, buffer);
        // Without many cells the editor stands right below the last one.
        let used = self.used.min(cells.height);
        let editor = Rect {
            y: inner.y + used,
            height: wanted.min(inner.height - used),
            ..inner
        };
        let look = Look {
            focused: focus == Focus::Editor,
            ..look
        };
        self.editor_area = editor;
        self.editor.draw(editor, look, buffer)
    }

    fn draw_cells(
        &mut self,
        area: Rect,
        state: &State,
        look: Look<'_>,
        focus: Focus,
        buffer: &mut Buffer,
    ) {
        let cells = &state.session.cells;
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        self.page = height;
        self.rows.clear();
        self.used = 0;
        if cells.is_empty() {
            self.anchor = None;
            let lines = welcome(state, look);
            let lines = text::wrap(lines, width);
            self.used = (lines.len() as u16 + 1).min(area.height);
            look.lines(area, &lines, buffer);
            return;
        }
        self.selected = self.selected.min(cells.len() - 1);
        let end = self.end_anchor(state, width, height, look);
        let mut anchor = self.anchor.unwrap_or(end);
        anchor.cell = anchor.cell.min(cells.len());
        let by = std::mem::take(&mut self.pending);
        if by != 0 {
            anchor = self.moved(anchor, by, state, width, look);
            self.anchor = Some(anchor);
        }
        // At or below the end there is nothing more to see: follow it.
        if (anchor.cell, anchor.line) >= (end.cell, end.line) && self.anchor.is_some() && by >= 0 {
            self.anchor = None;
            anchor = end;
        }
        let mut y = 0;
        let mut skip = anchor.line;
        let mut at = anchor.cell;
        while y < height && at < cells.len() {
            let lines = self.lines_of(at, state, width, look);
            let first = y;
            for line in lines.iter().skip(skip) {
                if y >= height {
                    break;
                }
                let selected = focus == Focus::Notebook && at == self.selected;
                look.row(area, y as u16, line, selected, buffer);
                if y == first
                    && skip == 0
                    && let Some(elapsed) = elapsed(state, at, self.now_ms)
                {
                    let free = width.saturating_sub(line.width());
                    let took = text::width(&elapsed);
                    if free > took {
                        let x = area.right() - took as u16;
                        let style = look.style(Role::Running);
                        buffer.set_stringn(x, area.y + y as u16, &elapsed, took, style);
                    }
                }
                self.rows.push((area.y + y as u16, at));
                y += 1;
            }
            // One empty line between cells.
            if skip <= lines.len() {
                y += 1;
            }
            skip = 0;
            at += 1;
        }
        self.used = y.min(height) as u16;
        if self.cache.len() > KEPT {
            let shown: HashSet<CellId> = self
                .rows
                .iter()
                .filter_map(|(_, at)| cells.get(*at))
                .map(|cell| cell.id)
                .collect();
            self.cache.retain(|id, _| shown.contains(id));
        }
    }

    /// Where to begin so that the last line is the last drawn.
    fn end_anchor(&mut self, state: &State, width: usize, height: usize, look: Look<'_>) -> Anchor {
        let mut left = height;
        let mut at = state.session.cells.len();
        let first = self.cleared.min(at);
        while at > first {
            at -= 1;
            let lines = self.lines_of(at, state, width, look).len() + 1;
            if lines >= left {
                return Anchor {
                    cell: at,
                    line: lines - left,
                };
            }
            left -= lines;
        }
        Anchor {
            cell: first,
            line: 0,
        }
    }

    fn moved(
        &mut self,
        mut anchor: Anchor,
        by: isize,
        state: &State,
        width: usize,
        look: Look<'_>,
    ) -> Anchor {
        let mut left = by.unsigned_abs();
        while left > 0 {
            let height = self.lines_of(anchor.cell, state, width, look).len() + 1;
            if by < 0 {
                let step = left.min(anchor.line);
                anchor.line -= step;
                left -= step;
                if left > 0 {
                    if anchor.cell == 0 {
                        break;
                    }
                    anchor.cell -= 1;
                    anchor.line = self.lines_of(anchor.cell, state, width, look).len();
                    left -= 1;
                }
            } else {
                let step = left.min((height - 1).saturating_sub(anchor.line));
                anchor.line += step;
                left -= step;
                if left > 0 {
                    if anchor.cell + 1 >= state.session.cells.len() {
                        break;
                    }
                    anchor = Anchor {
                        cell: anchor.cell + 1,
                        line: 0,
                    };
                    left -= 1;
                }
            }
        }
        anchor
    }

    fn lines_of(
        &mut self,
        at: usize,
        state: &State,
        width: usize,
        look: Look<'_>,
    ) -> Rc<Vec<Line<'static>>> {
        let Some(cell) = state.session.cells.get(at) else {
            return Rc::default();
        };
        let unfolded = self.unfolded.contains(&cell.id);
        let key = Key {
            revision: cell.revision,
            columns: width,
            theme: look.theme.name.clone(),
            unfolded,
            coloured: crate::highlight::is_ready(),
        };
        let kept = self.cache.get(&cell.id).filter(|kept| kept.key == key);
        let lines = if let Some(kept) = kept {
            Rc::clone(&kept.lines)
        } else {
            let lines = Rc::new(cell::lines(cell, width, look.theme, unfolded));
            let kept = Kept {
                key,
                lines: Rc::clone(&lines),
            };
            self.cache.insert(cell.id, kept);
            lines
        };
        let coming = self
            .live
            .as_ref()
            .filter(|(run, _)| cell.run == Some(*run) && cell.status == RunStatus::Running);
        if let Some((_, text)) = coming {
            let mut all = lines.to_vec();
            all.extend(cell::coming(text, width, look));
            return Rc::new(all);
        }
        lines
    }
}

/// How long the cell has been running.
fn elapsed(state: &State, at: usize, now_ms: i64) -> Option<String> {
    let cell = state.session.cells.get(at)?;
    let run = state.session.runs.get(&cell.run?)?;
    let going = now_ms.checked_sub(run.started_ms).filter(|it| *it >= 0)?;
    (cell.status == RunStatus::Running).then(|| text::duration(going as f64))
}

fn welcome(state: &State, look: Look<'_>) -> Vec<Line<'static>> {
    let key = |key: &str, what: &str| {
        Line::from(vec![
            ratatui::text::Span::raw("  "),
            look.span(text::pad(key, 10), Role::Key),
            look.span(what.to_owned(), Role::Text),
        ])
    };
    let plain = |text: &str| Line::from(look.span(text.to_owned(), Role::Text));
    let code = |text: &str| {
        Line::from(vec![
            ratatui::text::Span::raw("  "),
            look.span(text.to_owned(), Role::CodeFunction),
        ])
    };
    let mut out = vec![
        Line::from(look.span(
            "Write ordinary DSPy code below; Enter runs it.",
            Role::Title,
        )),
        Line::default(),
        code("qa = dspy.ChainOfThought(\"question -> answer\")"),
        code("qa(question=\"What is 12*7?\")"),
        Line::default(),
        plain("Each call shows on the right: the exact prompt, the answer, time and cost."),
        Line::default(),
    ];
    if state.session.lm.as_deref() == Some("demo") {
        out.push(plain(
            "Calls go to `demo`: a stand-in that works offline and costs nothing, not a language model. F2 adds a real one.",
        ));
        out.push(Line::default());
    }
    out.extend([
        key("F2", "choose a language model"),
        key("F3", "edit a signature, see its prompt"),
        key("F6", "earlier sessions"),
        key("Tab", "complete a word"),
        key("Esc Tab", "to the cells and the other panes"),
        key(":help", "all commands; F1 all keys"),
        key("Ctrl-Q", "leave; everything is kept"),
    ]);
    out
}

/// Source and outputs of a cell as plain text.
fn as_text(cell: &Cell) -> String {
    let mut out = format!("{}\n", cell.source);
    for output in &cell.outputs {
        match output {
            Output::Stream { text, .. } => out.push_str(text),
            Output::Display { data, .. } | Output::Result { data } => {
                out.push_str(&data.get("text/plain").map(text::value).unwrap_or_default());
                out.push('\n');
            }
            Output::Error { error } => {
                let _ = writeln!(out, "{}: {}", error.kind, error.message);
            }
            Output::Input { prompt, text } => {
                let _ = writeln!(out, "{prompt}{text}");
            }
            Output::Clear { .. } => {}
        }
    }
    out
}
