//! Small text fields and forms made of them.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use ratatui_textarea::{CursorMove, TextArea};

use super::editing;
use super::keys::Act;
use super::look::Look;
use super::notebook::completion::Completion;
use super::text;
use crate::command::Candidate;
use crate::theme::Role;

/// A one-line text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Field {
    area: TextArea<'static>,
    secret: bool,
}

impl Field {
    /// With this text; the cursor stands at its end.
    pub(crate) fn new(text: &str) -> Self {
        let mut area = TextArea::new(vec![text.replace(['\n', '\r'], " ")]);
        area.move_cursor(CursorMove::End);
        Self {
            area,
            secret: false,
        }
    }

    /// One that is not echoed.
    pub(crate) fn secret() -> Self {
        Self {
            secret: true,
            ..Self::new("")
        }
    }

    /// What it says.
    pub(crate) fn text(&self) -> String {
        self.area.lines().first().cloned().unwrap_or_default()
    }

    /// Where the cursor is, in bytes.
    pub(crate) fn cursor(&self) -> usize {
        let text = self.text();
        let at = text.char_indices().nth(self.area.cursor().1);
        at.map_or(text.len(), |(at, _)| at)
    }

    /// Puts `text` in place of what stands from this character to the cursor.
    pub(crate) fn complete(&mut self, start: usize, text: &str) {
        for _ in start..self.area.cursor().1 {
            self.area.delete_char();
        }
        self.area.insert_str(text);
    }

    /// Takes an editing key; true when the text changed.
    pub(crate) fn key(&mut self, key: KeyEvent) -> bool {
        use crossterm::event::KeyCode;
        if matches!(
            key.code,
            KeyCode::Enter
                | KeyCode::Tab
                | KeyCode::BackTab
                | KeyCode::Up
                | KeyCode::Down
                | KeyCode::Esc
        ) {
            return false;
        }
        if key.code == KeyCode::Char('m')
            && key
                .modifiers
                .contains(crossterm::event::KeyModifiers::CONTROL)
        {
            return false;
        }
        editing::input(&mut self.area, key)
    }

    /// Takes pasted text as one line.
    pub(crate) fn paste(&mut self, text: &str) {
        self.area.insert_str(text.replace(['\n', '\r'], " "));
    }

    /// Draws it; answers where the cursor is.
    pub(crate) fn draw(&self, area: Rect, look: Look<'_>, buffer: &mut Buffer) -> Position {
        let shown = if self.secret {
            "•".repeat(self.text().chars().count())
        } else {
            self.text()
        };
        let before: String = shown.chars().take(self.area.cursor().1).collect();
        let column = text::width(&before);
        let room = usize::from(area.width).max(1);
        let left = (column + 1).saturating_sub(room);
        let row = Rect { height: 1, ..area };
        let line = Line::styled(
            crate::sanitize::one_line(&shown).into_owned(),
            look.style(Role::Text),
        );
        ratatui::widgets::Widget::render(
            ratatui::widgets::Paragraph::new(line).scroll((0, left as u16)),
            row,
            buffer,
        );
        Position {
            x: area.x + (column - left) as u16,
            y: area.y,
        }
    }
}

/// A named field of a form.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its name, as arguments have it.
    pub(crate) name: String,
    /// What to write there.
    pub(crate) hint: String,
    /// What is written there.
    pub(crate) field: Field,
}

/// Several fields under each other.
#[derive(Debug, Clone)]
pub(crate) struct Form {
    /// Its heading.
    pub(crate) title: String,
    /// The fields.
    pub(crate) entries: Vec<Entry>,
    /// What is wrong with them, in words.
    pub(crate) problem: Option<String>,
    at: usize,
    /// What can stand in the field that is written.
    choices: Option<Completion>,
}

/// What came of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is being written.
    Stay,
    /// It is done.
    Done,
    /// It is given up.
    Cancel,
}

impl Form {
    /// A form of (name, hint, text).
    pub(crate) fn new(title: impl Into<String>, fields: &[(&str, &str, &str)]) -> Self {
        let entry = |(name, hint, text): &(&str, &str, &str)| Entry {
            name: (*name).to_owned(),
            hint: (*hint).to_owned(),
            field: Field::new(text),
        };
        Self {
            title: title.into(),
            entries: fields.iter().map(entry).collect(),
            problem: None,
            at: 0,
            choices: None,
        }
    }

    /// The name of the field that is written.
    pub(crate) fn here(&self) -> &str {
        self.entries
            .get(self.at)
            .map_or("", |entry| entry.name.as_str())
    }

    /// Whether there is something to choose from.
    pub(crate) fn choosing(&self) -> bool {
        self.choices.is_some()
    }

    /// Offers what begins as the field does, else what has its text anywhere; the only
    /// one is put in. False when there is nothing to offer.
    pub(crate) fn offer<'a>(&mut self, all: impl IntoIterator<Item = &'a str>) -> bool {
        let Some(entry) = self.entries.get_mut(self.at) else {
            return false;
        };
        let stem = entry.field.text().trim().to_lowercase();
        let (mut begin, mut have) = (Vec::new(), Vec::new());
        for text in all {
            let low = text.to_lowercase();
            if low == stem {
                continue;
            }
            let candidate = Candidate {
                text: text.to_owned(),
                start: 0,
                doc: String::new(),
            };
            if low.starts_with(&stem) {
                begin.push(candidate);
            } else if low.contains(&stem) {
                have.push(candidate);
            }
        }
        let found = if begin.is_empty() { have } else { begin };
        self.choices = Completion::of_command("", found);
        let some = self.choices.is_some();
        if self.choices.as_ref().is_some_and(Completion::is_certain) {
            self.choose();
        }
        some
    }

    /// Puts the selected choice into its field.
    fn choose(&mut self) {
        let chosen = self.choices.take().and_then(Completion::chosen);
        if let (Some((text, _)), Some(entry)) = (chosen, self.entries.get_mut(self.at)) {
            entry.field = Field::new(&text);
            self.problem = None;
        }
    }

    /// What a field says, without spaces around it.
    pub(crate) fn text(&self, name: &str) -> String {
        let entry = self.entries.iter().find(|entry| entry.name == name);
        entry
            .map(|entry| entry.field.text().trim().to_owned())
            .unwrap_or_default()
    }

    /// What a key of the table means.
    pub(crate) fn act(&mut self, act: Act) -> Step {
        if let Some(choices) = &mut self.choices {
            match act {
                Act::Down | Act::Complete => choices.turn(true),
                Act::Up => choices.turn(false),
                Act::Submit => self.choose(),
                Act::Back => self.choices = None,
                _ => {}
            }
            return Step::Stay;
        }
        let n = self.entries.len().max(1);
        match act {
            Act::Down | Act::Complete => self.at = (self.at + 1) % n,
            Act::Up => self.at = (self.at + n - 1) % n,
            Act::Submit if self.at + 1 < n => self.at += 1,
            Act::Submit | Act::Save => return Step::Done,
            Act::Back => return Step::Cancel,
            _ => {}
        }
        Step::Stay
    }

    /// Writes this into a field.
    pub(crate) fn put(&mut self, name: &str, text: &str) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == name) {
            entry.field = Field::new(text);
        }
    }

    /// Says what is wrong and goes to that field.
    pub(crate) fn complain(&mut self, name: &str, problem: impl Into<String>) {
        self.at = self
            .entries
            .iter()
            .position(|entry| entry.name == name)
            .unwrap_or(self.at);
        self.problem = Some(problem.into());
    }

    /// Takes an editing key.
    pub(crate) fn key(&mut self, key: KeyEvent) {
        if let Some(entry) = self.entries.get_mut(self.at) {
            if entry.field.key(key) {
                self.choices = None;
            }
            self.problem = None;
        }
    }

    /// Takes pasted text.
    pub(crate) fn paste(&mut self, text: &str) {
        if let Some(entry) = self.entries.get_mut(self.at) {
            entry.field.paste(text);
            self.choices = None;
        }
    }

    /// Draws it as a window; answers where the cursor is.
    pub(crate) fn draw(
        &self,
        screen: Rect,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let area = super::look::centred(screen, 76, self.entries.len() as u16 + 6);
        let inner = look.popup(&self.title, area, buffer);
        let foot = self.foot(inner, look);
        let names = self
            .entries
            .iter()
            .map(|it| it.name.len())
            .max()
            .unwrap_or(0)
            + 2;
        let n_rows = inner.height.saturating_sub(foot.len() as u16);
        let top = (self.at + 1).saturating_sub(n_rows.into());
        let mut cursor = None;
        for (y, (at, entry)) in self.entries.iter().enumerate().skip(top).enumerate() {
            let y = y as u16;
            if y >= n_rows {
                break;
            }
            let chosen = at == self.at;
            let name = look.span(
                format!(" {}", text::pad(&entry.name.replace('_', " "), names)),
                if chosen { Role::Key } else { Role::Label },
            );
            look.row(inner, y, &Line::from(name), false, buffer);
            let from = (names as u16 + 2).min(inner.width);
            let room = Rect {
                x: inner.x + from,
                y: inner.y + y,
                width: inner.width.saturating_sub(from + 1),
                height: 1,
            };
            buffer.set_style(room, look.style(Role::Selection));
            if entry.field.text().is_empty() && !chosen {
                buffer.set_stringn(
                    room.x,
                    room.y,
                    &entry.hint,
                    room.width.into(),
                    look.style(Role::Dim),
                );
            } else {
                let at = entry.field.draw(room, look, buffer);
                if chosen {
                    cursor = Some(at);
                }
            }
        }
        let low = inner.height.saturating_sub(foot.len() as u16);
        for (y, line) in foot.iter().enumerate() {
            look.row(inner, low + y as u16, line, false, buffer);
        }
        if let (Some(choices), Some(cursor)) = (&self.choices, cursor) {
            // Below the field: what was written above it stays in sight.
            let below = Rect {
                y: cursor.y,
                height: screen.bottom().saturating_sub(cursor.y),
                ..screen
            };
            choices.draw(cursor, below, look, buffer);
        }
        cursor
    }

    /// The words below the fields: what is wrong, or what the chosen one takes.
    fn foot(&self, inner: Rect, look: Look<'_>) -> Vec<Line<'static>> {
        let (words, role) = match &self.problem {
            Some(problem) => (problem.as_str(), Role::Error),
            None => (
                self.entries.get(self.at).map_or("", |it| it.hint.as_str()),
                Role::Dim,
            ),
        };
        let words = crate::sanitize::one_line(words).into_owned();
        let room = usize::from(inner.width).saturating_sub(2);
        let mut lines = text::plain(&words, look.style(role), room);
        lines.truncate((usize::from(inner.height) / 3).clamp(1, 3));
        for line in &mut lines {
            line.spans.insert(0, look.span(" ", role));
        }
        lines
    }
}
