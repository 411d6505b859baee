//! A list of what can stand at the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use serde_json::Value;

use crate::command::Candidate;
use crate::theme::Role;
use crate::ui::look::Look;
use crate::ui::text;

/// Rows of the list that are shown at once.
const ROWS: usize = 10;

/// What can stand at the cursor, and which of it is selected.
#[derive(Debug, Clone)]
pub(crate) struct Completion {
    matches: Vec<Match>,
    at: usize,
}

#[derive(Debug, Clone)]
struct Match {
    text: String,
    /// Position of its first character in the source.
    start: usize,
    /// What it is, in a few words.
    about: String,
}

impl Completion {
    /// Of a kernel's answer; `None` when it found nothing.
    pub(crate) fn of_answer(answer: &Value) -> Option<Self> {
        let text = |it: &Value, key: &str| {
            let text = it.get(key).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let found = answer.get("matches").and_then(Value::as_array)?;
        Self::of(
            found
                .iter()
                .map(|it| Match {
                    text: text(it, "text"),
                    start: it.get("start").and_then(Value::as_u64).unwrap_or(0) as usize,
                    about: text(it, "type"),
                })
                .collect(),
        )
    }

    /// Of what a command line offers; `None` when that is nothing.
    pub(crate) fn of_command(line: &str, found: Vec<Candidate>) -> Option<Self> {
        let start = |bytes: usize| line.get(..bytes).map_or(0, |part| part.chars().count());
        Self::of(
            found
                .into_iter()
                .map(|it| Match {
                    start: start(it.start),
                    text: it.text,
                    about: it.doc,
                })
                .collect(),
        )
    }

    fn of(matches: Vec<Match>) -> Option<Self> {
        (!matches.is_empty()).then_some(Self { matches, at: 0 })
    }

    /// Whether there is only one thing to choose.
    pub(crate) fn is_certain(&self) -> bool {
        self.matches.len() == 1
    }

    /// Selects the next, or the one before.
    pub(crate) fn turn(&mut self, onwards: bool) {
        let n = self.matches.len().max(1);
        self.at = (self.at + if onwards { 1 } else { n - 1 }) % n;
    }

    /// The selected text, and where it begins.
    pub(crate) fn chosen(self) -> Option<(String, usize)> {
        let chosen = self.matches.into_iter().nth(self.at)?;
        Some((chosen.text, chosen.start))
    }

    /// Draws it above or below the cursor.
    pub(crate) fn draw(&self, cursor: Position, screen: Rect, look: Look<'_>, buffer: &mut Buffer) {
        let widest = |of: fn(&Match) -> &str| {
            let widths = self.matches.iter().map(|it| text::width(of(it)));
            widths.max().unwrap_or(0)
        };
        let names = widest(|it| &it.text).clamp(8, 40);
        let about = widest(|it| &it.about).min(48);
        let width = (names + about + 5).min(screen.width.into()) as u16;
        let height = (self.matches.len().min(ROWS) as u16 + 2).min(screen.height);
        let above = cursor.y.saturating_sub(screen.y) >= height;
        let y = if above {
            cursor.y - height
        } else {
            (cursor.y + 1).min(screen.bottom().saturating_sub(height))
        };
        let x = cursor.x.min(screen.right().saturating_sub(width));
        let title = if self.matches.len() > ROWS {
            format!("{} of {}", self.at + 1, self.matches.len())
        } else {
            String::new()
        };
        let area = Rect {
            x,
            y,
            width,
            height,
        };
        let inner = look.popup(&title, area, buffer);
        let rows = usize::from(inner.height).max(1);
        let top = (self.at + 1).saturating_sub(rows);
        let room = usize::from(inner.width);
        for (y, it) in self.matches.iter().enumerate().skip(top).take(rows) {
            let left = text::pad(&it.text, names.min(room.saturating_sub(2)));
            let right = text::fit(&it.about, room.saturating_sub(text::width(&left) + 3));
            let line = Line::from(vec![
                look.span(format!(" {left}"), Role::Popup),
                look.span(format!("  {right}"), Role::Dim),
            ]);
            look.row(inner, (y - top) as u16, &line, y == self.at, buffer);
        }
    }
}
