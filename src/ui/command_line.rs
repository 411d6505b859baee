//! The `:` line above everything: completion and earlier lines.
//!
//! Owns the line while it is being written; what it means is the business of
//! [`crate::command`].

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::context::Context;
use super::form::Field;
use super::look::Look;
use super::notebook::completion::Completion;
use crate::command;
use crate::session::event::CellKind;

/// A command line being written.
#[derive(Debug, Default)]
pub(super) struct CommandLine {
    field: Field,
    completion: Option<Completion>,
    /// How many commands back the line was taken from.
    back: usize,
}

/// What came of a key.
pub(super) enum Step {
    Stay,
    Close,
    Done(String),
}

impl CommandLine {
    /// One that begins with this text.
    pub(super) fn new(text: &str) -> Self {
        Self {
            field: Field::new(text),
            ..Self::default()
        }
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Step {
        match key.code {
            KeyCode::Esc if self.completion.take().is_some() => {}
            KeyCode::Esc => return Step::Close,
            KeyCode::Backspace if self.field.text().is_empty() => return Step::Close,
            KeyCode::Tab => self.complete(true, cx),
            KeyCode::BackTab => self.complete(false, cx),
            KeyCode::Up | KeyCode::Down if self.completion.is_some() => {
                if let Some(completion) = &mut self.completion {
                    completion.turn(key.code == KeyCode::Down);
                }
            }
            KeyCode::Up => self.recall(self.back + 1, cx),
            KeyCode::Down => self.recall(self.back.saturating_sub(1), cx),
            KeyCode::Enter => {
                if !self.accept() {
                    return Step::Done(self.field.text());
                }
            }
            _ => {
                if self.field.key(key) {
                    self.completion = None;
                }
            }
        }
        Step::Stay
    }

    /// Takes pasted text.
    pub(super) fn paste(&mut self, text: &str) {
        self.field.paste(text);
        self.completion = None;
    }

    /// Models it asked for are there.
    pub(super) fn models_came(&mut self, cx: &mut Context<'_>) {
        if self.completion.is_none() {
            self.complete(true, cx);
        }
    }

    fn complete(&mut self, onwards: bool, cx: &mut Context<'_>) {
        if let Some(completion) = &mut self.completion {
            completion.turn(onwards);
            return;
        }
        let mut names = command::Context::of(&cx.state.session);
        let line = self.field.text();
        if let Some(wanted) = command::models_wanted(&line, self.field.cursor(), &names) {
            names.models = cx.models(wanted).unwrap_or_default();
        }
        let found = command::complete(&line, self.field.cursor(), &names);
        self.completion = Completion::of_command(&line, found);
        if self.completion.as_ref().is_some_and(Completion::is_certain) {
            self.accept();
        }
    }

    /// Inserts the selected completion; false when there is none.
    fn accept(&mut self) -> bool {
        let chosen = self.completion.take().and_then(Completion::chosen);
        if let Some((text, start)) = &chosen {
            self.field.complete(*start, text);
        }
        chosen.is_some()
    }

    fn recall(&mut self, back: usize, cx: &Context<'_>) {
        let mut earlier: Vec<&str> = Vec::new();
        for cell in cx.state.session.cells.iter().rev() {
            let line = cell.source.trim_start_matches(':');
            if cell.kind == CellKind::Command && earlier.last() != Some(&line) {
                earlier.push(line);
            }
        }
        self.back = back.min(earlier.len());
        let line = self.back.checked_sub(1).and_then(|at| earlier.get(at));
        self.field = Field::new(line.copied().unwrap_or_default());
    }

    /// Draws it at the foot of the screen; answers where the cursor is.
    pub(super) fn draw(&self, screen: Rect, look: Look<'_>, buffer: &mut Buffer) -> Position {
        let row = Rect {
            y: screen.bottom().saturating_sub(1),
            height: 1,
            ..screen
        };
        let cursor = super::overlay::prompt(row, ":", &self.field, look, buffer);
        if let Some(completion) = &self.completion {
            completion.draw(cursor, screen, look, buffer);
        }
        cursor
    }
}
