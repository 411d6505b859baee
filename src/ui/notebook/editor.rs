//! The editor cell: text, history, completion.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui_textarea::{CursorMove, TextArea};
use serde_json::{Value, json};

use crate::command;
use crate::repl::source;
use crate::session::event::{CellId, CellKind};
use crate::theme::Role;
use crate::ui::code::Code;
use crate::ui::context::{Context, Purpose};
use crate::ui::editing;
use crate::ui::keys::Act;
use crate::ui::look::Look;
use crate::ui::text;

use super::completion::Completion;

/// The cell being written.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    area: TextArea<'static>,
    /// Changes with every change of the text.
    revision: u64,
    /// The cell that is written anew; `None` writes a new one.
    pub(crate) target: Option<CellId>,
    /// How many cells back the history stands, and what was being written.
    history: Option<(usize, String)>,
    completion: Option<Completion>,
    code: Code,
}

impl Editor {
    /// The text.
    pub(crate) fn source(&self) -> String {
        self.area.lines().join("\n")
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// How many lines there are.
    pub(crate) fn n_lines(&self) -> usize {
        self.area.lines().len()
    }

    /// Puts a text in place of what there is; the cursor goes to its end.
    pub(crate) fn set(&mut self, text: &str, target: Option<CellId>) {
        self.area = TextArea::new(text.split('\n').map(str::to_owned).collect());
        self.area.move_cursor(CursorMove::Bottom);
        self.area.move_cursor(CursorMove::End);
        self.target = target;
        self.touched();
    }

    /// Inserts at the cursor.
    pub(crate) fn insert(&mut self, text: &str) {
        self.area
            .insert_str(text.replace("\r\n", "\n").replace('\r', "\n"));
        self.touched();
    }

    fn touched(&mut self) {
        self.revision += 1;
        self.completion = None;
    }

    /// Position of the cursor in characters.
    fn cursor(&self) -> usize {
        let at = self.area.cursor();
        let before: usize = self
            .area
            .lines()
            .iter()
            .take(at.0)
            .map(|line| line.chars().count() + 1)
            .sum();
        before + at.1
    }

    /// Does what a key of the table means here; false when it means nothing.
    pub(crate) fn act(&mut self, act: Act, cx: &mut Context<'_>) -> bool {
        match act {
            Act::Submit if self.accept() => {}
            Act::Submit => {
                let at = self.area.cursor();
                let at_end = at.0 + 1 == self.area.lines().len();
                if at_end && source::is_complete(&self.source()) {
                    self.run(cx);
                } else {
                    self.newline();
                }
            }
            Act::Run => self.run(cx),
            Act::Newline => self.newline(),
            Act::Complete => self.complete(cx),
            Act::Back if self.completion.is_some() => self.completion = None,
            _ => return false,
        }
        true
    }

    /// A key that is not in the table: editing.
    pub(crate) fn key(&mut self, key: KeyEvent, cx: &Context<'_>) {
        let at = self.area.cursor();
        let plain = key.modifiers.is_empty();
        match key.code {
            KeyCode::Up | KeyCode::Down if plain && self.completion.is_some() => {
                if let Some(completion) = &mut self.completion {
                    completion.turn(key.code == KeyCode::Down);
                }
            }
            KeyCode::Up if plain && at.0 == 0 => self.recall(1, cx),
            KeyCode::Down if plain && at.0 + 1 == self.area.lines().len() => self.recall(-1, cx),
            // Of the editor's own keys these would end the line or move the focus.
            KeyCode::Enter | KeyCode::Esc | KeyCode::Tab | KeyCode::BackTab => {}
            _ => {
                let before = self.revision;
                if editing::input(&mut self.area, key) {
                    self.touched();
                } else if matches!(key.code, KeyCode::Char(_)) || before != self.revision {
                    self.completion = None;
                }
                if !key.modifiers.contains(KeyModifiers::CONTROL)
                    && matches!(key.code, KeyCode::Left | KeyCode::Right)
                {
                    self.completion = None;
                }
            }
        }
    }

    /// Empties it; what was there can be had back with undo.
    pub(crate) fn clear(&mut self) {
        self.set("", None);
        self.history = None;
    }

    fn newline(&mut self) {
        let at = self.area.cursor();
        let line = self.area.lines().get(at.0).cloned().unwrap_or_default();
        let before: String = line.chars().take(at.1).collect();
        let above = self.area.lines().get(..at.0).unwrap_or_default().join("\n");
        let indent = match before.trim_end().chars().last() {
            None => 0,
            Some('(' | '[' | '{') => before.len() - before.trim_start().len() + 4,
            Some(_) => source::indent_after(&format!("{above}\n{before}")),
        };
        self.area.insert_newline();
        self.area.insert_str(" ".repeat(indent));
        self.touched();
    }

    fn run(&mut self, cx: &mut Context<'_>) {
        let source = self.source();
        let source = source.trim_end();
        if source.trim().is_empty() {
            return;
        }
        if let Some(line) = source.trim_start().strip_prefix(':') {
            cx.command = Some(line.to_owned());
        } else {
            let mut arguments = json!({"source": source});
            if let (Some(cell), Value::Object(arguments)) = (self.target, &mut arguments) {
                arguments.insert("cell".to_owned(), json!(cell));
            }
            cx.submit(Purpose::Quiet, "run_cell", arguments);
            if cx.replay {
                return;
            }
        }
        self.clear();
    }

    /// Puts a text of earlier in; `step` 1 is further back.
    fn recall(&mut self, step: i32, cx: &Context<'_>) {
        let (back, draft) = self.history.take().unwrap_or_else(|| (0, self.source()));
        let cells = &cx.state.session.cells;
        let sources: Vec<&str> = cells
            .iter()
            .rev()
            .filter(|cell| cell.kind != CellKind::Markdown)
            .map(|cell| cell.source.as_str())
            .collect();
        let back = if step > 0 {
            (back + 1).min(sources.len())
        } else {
            back.saturating_sub(1)
        };
        let target = self.target;
        match back.checked_sub(1).and_then(|at| sources.get(at)) {
            Some(source) => {
                self.set(source, target);
                self.history = Some((back, draft));
            }
            None => self.set(&draft, target),
        }
        if step > 0 {
            self.area.move_cursor(CursorMove::Top);
        }
    }

    fn complete(&mut self, cx: &mut Context<'_>) {
        let at = self.area.cursor();
        let line = self.area.lines().get(at.0).cloned().unwrap_or_default();
        if let Some(completion) = &mut self.completion {
            completion.turn(true);
        } else if command::is_command(&self.source()) {
            let source = self.source();
            let before: String = source.chars().take(self.cursor()).collect();
            let names = command::Context::of(&cx.state.session);
            let found = command::complete(&source, before.len(), &names);
            self.offer(Completion::of_command(&source, found));
        } else if line.chars().take(at.1).all(char::is_whitespace) {
            self.area.insert_str("    ");
            self.touched();
        } else {
            let arguments = json!({"source": self.source(), "cursor": self.cursor()});
            cx.submit(Purpose::Complete(self.revision), "complete", arguments);
        }
    }

    /// Takes the answer of a completion in, unless the text has changed since.
    pub(crate) fn completed(&mut self, revision: u64, answer: &Value) {
        if revision != self.revision {
            return;
        }
        self.offer(Completion::of_answer(answer));
    }

    /// Shows what there is to choose; what is certain is inserted at once.
    fn offer(&mut self, completion: Option<Completion>) {
        self.completion = completion;
        if self.completion.as_ref().is_some_and(Completion::is_certain) {
            self.accept();
        }
    }

    /// Inserts the selected completion; false when there is none.
    fn accept(&mut self) -> bool {
        let Some((text, start)) = self.completion.take().and_then(Completion::chosen) else {
            return false;
        };
        for _ in start..self.cursor() {
            self.area.delete_char();
        }
        self.area.insert_str(text);
        self.touched();
        true
    }

    /// Draws it; answers where the cursor is.
    pub(crate) fn draw(
        &mut self,
        area: Rect,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let margin = super::cell::MARGIN as u16;
        let room = usize::from(area.width.saturating_sub(margin));
        let at = self.area.cursor();
        let height = usize::from(area.height).max(1);
        let top = (at.0 + 1).saturating_sub(height);
        let line = self
            .area
            .lines()
            .get(at.0)
            .map(String::as_str)
            .unwrap_or_default();
        let before: String = line.chars().take(at.1).collect();
        let column = text::width(&before.replace('\t', "    "));
        let left = (column + 1).saturating_sub(room.max(1));
        let mark = self
            .target
            .map_or_else(|| "❯".to_owned(), |cell| format!("[{}]", cell.0));
        let mark_role = if look.focused {
            Role::InputMark
        } else {
            Role::OutputMark
        };
        buffer.set_stringn(
            area.x,
            area.y,
            text::pad(&mark, margin.into()),
            margin.into(),
            look.style(mark_role),
        );
        if self.is_empty() && !look.focused {
            buffer.set_stringn(
                area.x + margin,
                area.y,
                "write a cell: Enter, `i` or Alt-2",
                room,
                look.style(Role::Dim),
            );
        }
        let source = self.source();
        let lines = self.code.lines(&source, look.theme);
        for (y, line) in lines.iter().skip(top).take(height).enumerate() {
            let clip = Rect {
                x: area.x + margin,
                y: area.y + y as u16,
                width: room as u16,
                height: 1,
            };
            ratatui::widgets::Widget::render(
                ratatui::widgets::Paragraph::new(line.clone()).scroll((0, left as u16)),
                clip,
                buffer,
            );
        }
        look.focused.then(|| Position {
            x: area.x + margin + (column - left) as u16,
            y: area.y + (at.0 - top) as u16,
        })
    }

    /// Draws the completions above or below the cursor.
    pub(crate) fn draw_completion(
        &self,
        cursor: Position,
        screen: Rect,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) {
        if let Some(completion) = &self.completion {
            completion.draw(cursor, screen, look, buffer);
        }
    }
}
