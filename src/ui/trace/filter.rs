//! `/` in the trace: which spans are looked for, by words in what they are,
//! took and gave.

use std::collections::HashSet;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::session::state::{Run, Span};
use crate::theme::Role;
use crate::ui::form::Field;
use crate::ui::look::Look;
use crate::ui::text;

/// The words, and whether they are being written.
#[derive(Debug, Default)]
pub(super) struct Filter {
    field: Field,
    writing: bool,
    revision: u64,
}

impl Filter {
    /// Whether keys go to it.
    pub(super) fn writing(&self) -> bool {
        self.writing
    }

    /// Whether it has a line of the pane.
    pub(super) fn is_open(&self) -> bool {
        self.writing || self.is_on()
    }

    /// Whether it leaves spans out.
    pub(super) fn is_on(&self) -> bool {
        !self.field.text().trim().is_empty()
    }

    /// Changes with the words.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Begins to write it, or ends that and keeps the words.
    pub(super) fn write(&mut self, writing: bool) {
        self.writing = writing;
    }

    /// Forgets the words.
    pub(super) fn clear(&mut self) {
        self.field = Field::default();
        self.writing = false;
        self.revision += 1;
    }

    /// An editing key.
    pub(super) fn key(&mut self, key: KeyEvent) {
        if self.field.key(key) {
            self.revision += 1;
        }
    }

    /// Pasted text.
    pub(super) fn paste(&mut self, text: &str) {
        self.field.paste(text);
        self.revision += 1;
    }

    /// Places of the spans that have all the words.
    pub(super) fn fitting(&self, run: &Run) -> HashSet<usize> {
        self.among(run, told)
    }

    /// Places of those that have them in their kind and name: they are meant first.
    pub(super) fn named(&self, run: &Run) -> HashSet<usize> {
        self.among(run, |span| {
            format!("{} {}", span.kind, span.name).to_lowercase()
        })
    }

    fn among(&self, run: &Run, told: impl Fn(&Span) -> String) -> HashSet<usize> {
        let wanted = self.field.text().to_lowercase();
        let words: Vec<&str> = wanted.split_whitespace().collect();
        let spans = run.spans.iter().enumerate();
        spans
            .filter(|(_, span)| {
                let told = told(span);
                words.iter().all(|word| told.contains(word))
            })
            .map(|(at, _)| at)
            .collect()
    }

    /// Draws it in one line; answers where the cursor is.
    pub(super) fn draw(
        &self,
        row: Rect,
        (found, of): (usize, usize),
        look: Look<'_>,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let role = if self.writing { Role::Key } else { Role::Dim };
        buffer.set_stringn(row.x, row.y, "/ ", row.width.into(), look.style(role));
        let count = if self.is_on() {
            format!(" {found} of {of}")
        } else {
            " a kind, name, error or word".to_owned()
        };
        let wide = (text::width(&count) as u16).min(row.width / 2);
        let room = Rect {
            x: row.x + 2,
            width: row.width.saturating_sub(2 + wide),
            ..row
        };
        let cursor = self.field.draw(room, look, buffer);
        let style = look.style(Role::Dim);
        buffer.set_stringn(row.right() - wide, row.y, &count, wide.into(), style);
        self.writing.then_some(cursor)
    }
}

/// Everything a span tells, in small letters.
fn told(span: &Span) -> String {
    let mut out = format!("{} {}", span.kind, span.name);
    if let Some(error) = &span.error {
        out.push_str(" error ");
        out.push_str(error);
    }
    for (name, value) in span.inputs.iter().chain(&span.outputs) {
        out.push(' ');
        out.push_str(name);
        out.push(' ');
        out.push_str(&text::value(value));
    }
    out.to_lowercase()
}
