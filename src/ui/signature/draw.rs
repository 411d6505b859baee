//! How the signature editor is drawn: rows on the left, the prompt on the right.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::Line;

use super::{ADAPTERS, Part, Row, Signature};
use crate::theme::Role;
use crate::ui::look::Look;
use crate::ui::{messages, notebook, text};

impl Signature {
    /// Draws it; answers where the cursor is.
    pub(in crate::ui) fn draw(
        &mut self,
        area: Rect,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let [left, right] = if area.width < 100 {
            Layout::vertical([Constraint::Percentage(45), Constraint::Min(4)]).areas(area)
        } else {
            Layout::horizontal([Constraint::Percentage(42), Constraint::Min(30)]).areas(area)
        };
        let mark = if self.saved.as_ref() == Some(&self.draft) {
            ""
        } else {
            " · not saved"
        };
        let inner = look.pane(&format!("Signature{mark}"), left, buffer);
        let cursor = self.draw_rows(inner, look, buffer);
        let title = format!(
            "Prompt · {} · ≈{} tokens",
            ADAPTERS[self.adapter].1,
            text::count(self.tokens())
        );
        let side = Look {
            focused: false,
            ..look
        };
        let inner = side.pane(&title, right, buffer);
        let lines = self.prompt_lines(inner.width.into(), look);
        self.scroll = self
            .scroll
            .min(lines.len().saturating_sub(usize::from(inner.height)));
        look.lines(inner, lines.get(self.scroll..).unwrap_or_default(), buffer);
        match &self.trying {
            Some(form) => form.draw(area, look, buffer),
            None => cursor,
        }
    }

    /// About how many tokens the prompt has: four characters make one.
    fn tokens(&self) -> u64 {
        (self
            .prompt
            .iter()
            .map(|(_, content)| content.chars().count())
            .sum::<usize>()
            / 4) as u64
    }

    fn draw_rows(&mut self, area: Rect, look: Look<'_>, buffer: &mut Buffer) -> Option<Position> {
        let names = self
            .draft
            .inputs
            .iter()
            .chain(&self.draft.outputs)
            .map(|it| text::width(&it.name))
            .max()
            .unwrap_or(0)
            .clamp(8, 24);
        let n_inputs = self.draft.inputs.len();
        let rows = self.rows();
        let mut cursor = None;
        let mut y = 0;
        for (at, row) in rows.iter().enumerate() {
            let heading = match row {
                Row::Field(0) => Some("inputs"),
                Row::Field(field) if *field == n_inputs => Some("outputs"),
                Row::Instructions => Some("instructions"),
                _ => None,
            };
            if let Some(heading) = heading {
                look.row(
                    area,
                    y,
                    &Line::styled(format!(" {heading}"), look.style(Role::Label)),
                    false,
                    buffer,
                );
                y += 1;
            }
            let chosen = at == self.selection.at;
            let room = usize::from(area.width);
            match row {
                Row::Name => look.row(
                    area,
                    y,
                    &Line::from(vec![
                        look.span(" name  ", Role::Label),
                        look.span(text::fit(&self.name, room.saturating_sub(8)), Role::Title),
                    ]),
                    chosen,
                    buffer,
                ),
                Row::Field(place) => {
                    let Some(field) = self.field(*place) else {
                        continue;
                    };
                    let line = Line::from(vec![
                        look.span(
                            format!("   {}  ", text::pad(&field.name, names)),
                            Role::Text,
                        ),
                        look.span(text::pad(&field.type_name, 18), Role::CodeType),
                        look.span(
                            format!(
                                " {}",
                                text::fit(&field.desc, room.saturating_sub(names + 25))
                            ),
                            Role::Dim,
                        ),
                    ]);
                    look.row(area, y, &line, chosen, buffer);
                }
                Row::Instructions => {
                    let shown = if self.draft.instructions.is_empty() {
                        "DSPy's own sentence"
                    } else {
                        &self.draft.instructions
                    };
                    let role = if self.draft.instructions.is_empty() {
                        Role::Dim
                    } else {
                        Role::Text
                    };
                    for line in text::plain(shown, look.style(role), room.saturating_sub(4)) {
                        let mut line = line;
                        line.spans.insert(0, look.span("   ", Role::Text));
                        look.row(area, y, &line, chosen, buffer);
                        y += 1;
                    }
                    y = y.saturating_sub(1);
                }
            }
            if chosen
                && y < area.height
                && let Some(writing) = &self.writing
            {
                let from = match writing.what {
                    Part::Name => 7,
                    Part::FieldName(_) | Part::Instructions => 3,
                    Part::FieldType(_) => names as u16 + 5,
                    Part::FieldDesc(_) => names as u16 + 24,
                }
                .min(area.width.saturating_sub(4));
                let room = Rect {
                    x: area.x + from,
                    y: area.y + y,
                    width: area.width - from,
                    height: 1,
                };
                ratatui::widgets::Widget::render(ratatui::widgets::Clear, room, buffer);
                buffer.set_style(room, look.style(Role::Selection));
                cursor = Some(writing.field.draw(room, look, buffer));
            }
            y += 1;
        }
        if self.writing.is_some() && y + 1 < area.height {
            look.row(
                area,
                area.height - 1,
                &Line::styled(" Tab: name → type → description", look.style(Role::Dim)),
                false,
                buffer,
            );
        }
        cursor
    }

    fn prompt_lines(&self, columns: usize, look: Look<'_>) -> Vec<Line<'static>> {
        let mut out = Vec::new();
        if let Some(problem) = &self.problem {
            out.extend(text::plain(
                &format!("✗ {problem}"),
                look.style(Role::Error),
                columns,
            ));
            out.push(Line::default());
        }
        for (at, (role, content)) in self.prompt.iter().enumerate() {
            let before = self.before.get(at).filter(|(_, before)| before != content);
            match before {
                Some((_, before)) => {
                    out.extend(messages::diff(role, before, content, columns, look));
                }
                None => out.extend(messages::lines(role, content, columns, look)),
            }
        }
        match &self.answer {
            Some(Ok(fields)) => {
                out.push(Line::default());
                out.extend(notebook::cell::boxed("Answer", fields, columns, look.theme));
            }
            Some(Err(problem)) => out.extend(text::plain(
                &format!("✗ {problem}"),
                look.style(Role::Error),
                columns,
            )),
            None => {}
        }
        out
    }
}
