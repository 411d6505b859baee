//! Two sessions side by side: what differs first, what is the same after it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::Value;

use crate::theme::Role;
use crate::ui::keys::Act;
use crate::ui::list::Selection;
use crate::ui::look::Look;
use crate::ui::text;

/// A comparison on show.
#[derive(Debug)]
pub(super) struct Comparison {
    left: String,
    right: String,
    rows: Vec<Row>,
    cells: Vec<Cell>,
    scroll: Selection,
}

#[derive(Debug)]
struct Row {
    what: String,
    left: String,
    right: String,
}

#[derive(Debug)]
struct Cell {
    change: String,
    left: Option<u64>,
    right: Option<u64>,
    source: String,
    changed: String,
}

impl Comparison {
    /// Of the answer of `compare_sessions`.
    pub(super) fn new(answer: &Value) -> Self {
        let list = |key: &str| {
            let list = answer.get(key).and_then(Value::as_array);
            list.cloned().unwrap_or_default()
        };
        let of = |value: &Value, key: &str| value.get(key).map(text::value).unwrap_or_default();
        let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_u64);
        let mut rows: Vec<Row> = list("rows")
            .iter()
            .map(|row| Row {
                what: of(row, "what"),
                left: of(row, "left"),
                right: of(row, "right"),
            })
            .collect();
        // What differs is what is looked for.
        rows.sort_by_key(|row| row.left == row.right);
        let cells = list("cells");
        let cells = cells.iter().map(|cell| Cell {
            change: of(cell, "change"),
            left: number(cell, "left"),
            right: number(cell, "right"),
            source: of(cell, "source"),
            changed: of(cell, "changed"),
        });
        Self {
            left: of(answer, "left"),
            right: of(answer, "right"),
            rows,
            cells: cells.collect(),
            scroll: Selection::default(),
        }
    }

    /// What a key means; false when it means nothing.
    pub(super) fn act(&mut self, act: Act) -> bool {
        self.scroll.act(act, usize::MAX)
    }

    /// Draws it.
    pub(super) fn draw(&mut self, area: Rect, look: Look<'_>, buffer: &mut Buffer) {
        let inner = look.pane("Two sessions · what differs first · Esc back", area, buffer);
        let lines = self.lines(usize::from(inner.width), look);
        // The selection is the first line: there is nothing to choose here.
        let height = usize::from(inner.height);
        self.scroll.page = height.saturating_sub(1);
        self.scroll.at = self.scroll.at.min(lines.len().saturating_sub(height));
        let from = self.scroll.at;
        look.lines(inner, lines.get(from..).unwrap_or_default(), buffer);
    }

    fn lines(&self, columns: usize, look: Look<'_>) -> Vec<Line<'static>> {
        let name = (columns / 3).min(34);
        let side = columns.saturating_sub(name + 5) / 2;
        let shown = |value: &str| {
            if value.is_empty() {
                "—".to_owned()
            } else {
                value.to_owned()
            }
        };
        let mut out = vec![Line::from(vec![
            look.span(format!("   {}", text::pad("", name)), Role::Label),
            look.span(text::pad(&self.left, side.saturating_sub(1)), Role::Label),
            look.span(format!(" {}", text::pad(&self.right, side)), Role::Label),
        ])];
        for row in &self.rows {
            let same = row.left == row.right;
            let (mark, role) = if same {
                (" ", Role::Dim)
            } else {
                ("≠", Role::Warn)
            };
            let text_role = if same { Role::Dim } else { Role::Text };
            out.push(Line::from(vec![
                look.span(format!(" {mark} "), role),
                look.span(text::pad(&row.what, name), text_role),
                look.span(
                    text::pad(&shown(&row.left), side.saturating_sub(1)),
                    text_role,
                ),
                look.span(
                    format!(" {}", text::fit(&shown(&row.right), side)),
                    text_role,
                ),
            ]));
        }
        out.push(Line::default());
        out.push(Line::styled(" Cells", look.style(Role::Label)));
        for cell in &self.cells {
            out.extend(cell.lines(columns, look));
        }
        if self.cells.is_empty() {
            out.push(Line::styled("   neither has any", look.style(Role::Dim)));
        }
        out
    }
}

impl Cell {
    fn lines(&self, columns: usize, look: Look<'_>) -> Vec<Line<'static>> {
        let number = |n: Option<u64>| n.map_or_else(String::new, |n| format!("[{n}]"));
        let room = columns.saturating_sub(16);
        let part = |mark: &str, source: &str, role: Role, note: &str| {
            let numbers = format!("{:>5} {:>5} ", number(self.left), number(self.right));
            let mut out = Vec::new();
            for (at, line) in source.lines().enumerate() {
                let head = if at == 0 {
                    numbers.clone()
                } else {
                    " ".repeat(12)
                };
                out.push(Line::from(vec![
                    look.span(format!(" {mark} "), role),
                    look.span(head, Role::Dim),
                    look.span(text::fit(line, room), role),
                ]));
            }
            if let Some(first) = out.first_mut().filter(|_| !note.is_empty()) {
                first.spans.push(look.span(format!("  {note}"), Role::Warn));
            }
            out
        };
        match self.change.as_str() {
            "added" => part("+", &self.source, Role::Added, ""),
            "removed" => part("-", &self.source, Role::Removed, ""),
            "source" => {
                let mut out = part("-", &self.source, Role::Removed, "");
                out.extend(part("+", &self.changed, Role::Added, ""));
                out
            }
            "outputs" => part("≠", &self.source, Role::Text, "other outputs"),
            _ => part(" ", &self.source, Role::Dim, ""),
        }
    }
}
