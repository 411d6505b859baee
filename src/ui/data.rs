//! F7: datasets as tables.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use serde_json::{Value, json};

use super::context::{Context, Purpose};
use super::form::{Form, Step};
use super::keys::Act;
use super::list::Selection;
use super::look::Look;
use super::text;
use crate::app::State;
use crate::theme::Role;

/// Which dataset, which row.
#[derive(Debug, Default)]
pub(super) struct Data {
    dataset: usize,
    selection: Selection,
    form: Option<Form>,
}

impl Data {
    /// Whether keys go to a form.
    pub(super) fn writing(&self) -> bool {
        self.form.is_some()
    }

    /// An editing key.
    pub(super) fn key(&mut self, key: KeyEvent) {
        if let Some(form) = &mut self.form {
            form.key(key);
        }
    }

    /// Pasted text.
    pub(super) fn paste(&mut self, text: &str) {
        if let Some(form) = &mut self.form {
            form.paste(text);
        }
    }

    /// What a key means; false when it means nothing.
    pub(super) fn act(&mut self, act: Act, cx: &mut Context<'_>) -> bool {
        if let Some(form) = &mut self.form {
            match form.act(act) {
                Step::Stay => {}
                Step::Cancel => self.form = None,
                Step::Done => {
                    let (path, name) = (form.text("path"), form.text("name"));
                    if path.is_empty() {
                        form.complain("path", "which file? .jsonl, .json or .csv");
                        return true;
                    }
                    let mut arguments = json!({"path": path});
                    if let Value::Object(arguments) = &mut arguments {
                        if !name.is_empty() {
                            arguments.insert("name".to_owned(), json!(name));
                        }
                        let inputs: Vec<String> = form
                            .text("inputs")
                            .split([',', ' '])
                            .filter(|it| !it.is_empty())
                            .map(str::to_owned)
                            .collect();
                        if !inputs.is_empty() {
                            arguments.insert("inputs".to_owned(), json!(inputs));
                        }
                    }
                    cx.submit(Purpose::Say("loaded".to_owned()), "load_dataset", arguments);
                    self.form = None;
                }
            }
            return true;
        }
        let datasets = &cx.state.session.datasets;
        let n = datasets.len();
        let rows = datasets
            .values()
            .nth(self.dataset)
            .map_or(0, |it| it.rows.len());
        match act {
            _ if self.selection.act(act, rows) => {}
            Act::StepBack | Act::StepForward if n > 0 => {
                self.dataset = (self.dataset + if act == Act::StepForward { 1 } else { n - 1 }) % n;
                self.selection = Selection::default();
            }
            Act::New => {
                self.form = Some(Form::new(
                    "Load a dataset",
                    &[
                        ("path", ".jsonl, .json or .csv", ""),
                        ("name", "its name; empty: the file's", ""),
                        (
                            "inputs",
                            "input fields, with commas; empty: all but the last",
                            "",
                        ),
                    ],
                ));
            }
            Act::Copy => {
                let row = datasets
                    .values()
                    .nth(self.dataset)
                    .and_then(|it| it.rows.get(self.selection.at));
                if let Some(row) = row {
                    cx.actions.push(super::Action::Copy(row.to_string()));
                    cx.say("copied the row as JSON");
                }
            }
            _ => return false,
        }
        true
    }

    /// Draws it; answers where the cursor is.
    pub(super) fn draw(
        &mut self,
        area: Rect,
        state: &State,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let datasets = &state.session.datasets;
        self.dataset = self.dataset.min(datasets.len().saturating_sub(1));
        let Some(dataset) = datasets.values().nth(self.dataset) else {
            let inner = look.pane("Data", area, buffer);
            look.lines(
                inner,
                &text::plain(
                    "No dataset yet. `n` loads one from a .jsonl, .json or .csv file; `:data load PATH` does too.\n\nSets that come with the workbench: arithmetic, facts, reviews, tickets.",
                    look.style(Role::Dim),
                    inner.width.into(),
                ),
                buffer,
            );
            return self
                .form
                .as_ref()
                .and_then(|form| form.draw(area, look, buffer));
        };
        let title = format!(
            "{} · {} rows · {} · {}/{}",
            dataset.name,
            dataset.len,
            dataset.source,
            self.dataset + 1,
            datasets.len()
        );
        let inner = look.pane(&title, area, buffer);
        if inner.height < 3 || dataset.fields.is_empty() {
            return None;
        }
        let detail = (inner.height / 3).min(12);
        let table = Rect {
            height: inner.height - detail,
            ..inner
        };
        let columns = (usize::from(inner.width).saturating_sub(7) / dataset.fields.len()).max(6);
        let cells = |of: &dyn Fn(&String) -> String| {
            let cell = |field| text::pad(&of(field), columns - 1);
            dataset
                .fields
                .iter()
                .map(cell)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let head = cells(&|field| {
            if dataset.inputs.contains(field) {
                format!("{field} ▸")
            } else {
                field.clone()
            }
        });
        look.row(
            table,
            0,
            &Line::from(look.span(format!("{:>6} {head}", "#"), Role::Label)),
            false,
            buffer,
        );
        let body = Rect {
            y: table.y + 1,
            height: table.height - 1,
            ..table
        };
        for (y, at) in self
            .selection
            .visible(dataset.rows.len(), body.height.into())
            .enumerate()
        {
            let Some(row) = dataset.rows.get(at) else {
                continue;
            };
            let row_text = cells(&|field| row.get(field).map(text::value).unwrap_or_default());
            let line = Line::from(vec![
                look.span(format!("{:>6} ", at + 1), Role::Dim),
                look.span(row_text, Role::Text),
            ]);
            look.row(body, y as u16, &line, at == self.selection.at, buffer);
        }
        let below = Rect {
            y: table.bottom(),
            height: detail,
            ..inner
        };
        if let Some(Value::Object(row)) = dataset.rows.get(self.selection.at) {
            let lines = super::notebook::cell::boxed(
                &format!("row {}", self.selection.at + 1),
                row,
                below.width.into(),
                look.theme,
            );
            look.lines(below, &lines, buffer);
        }
        self.form
            .as_ref()
            .and_then(|form| form.draw(area, look, buffer))
    }
}
