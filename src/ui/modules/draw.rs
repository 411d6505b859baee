//! How F11 is drawn: the modules on the left, the chosen one with its options beside it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::Line;

use super::{Choice, Modules, choice};
use crate::app::State;
use crate::theme::Role;
use crate::ui::look::Look;
use crate::ui::text;

impl Modules {
    /// Draws it; answers where the cursor is.
    pub(in crate::ui) fn draw(
        &mut self,
        area: Rect,
        state: &State,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let choices = choice::all(&state.session);
        let [left, right] =
            Layout::horizontal([Constraint::Length(27), Constraint::Min(20)]).areas(area);
        let inner = look.pane("Modules", left, buffer);
        let inner = legend(&choices, inner, look, buffer);
        for (y, at) in self
            .selection
            .visible(choices.len(), inner.height.into())
            .enumerate()
        {
            let Some(choice) = choices.get(at) else {
                continue;
            };
            let (mark, mark_role, _) = sign(&choice.status);
            let role = if choice.usable { Role::Text } else { Role::Dim };
            let name = text::fit(&choice.name, usize::from(inner.width).saturating_sub(3));
            let line = Line::from(vec![
                look.span(format!(" {mark} "), mark_role),
                look.span(name, role),
            ]);
            look.row(inner, y as u16, &line, at == self.selection.at, buffer);
        }
        if let Some(choice) = choices.get(self.selection.at) {
            let side = Look {
                focused: false,
                ..look
            };
            let inner = side.pane(&choice.name, right, buffer);
            let lines = about(choice, state, inner.width.into(), look);
            look.lines(inner, &lines, buffer);
        }
        self.form().and_then(|form| form.draw(area, look, buffer))
    }
}

/// How a module stands: a mark, and what the mark says.
fn sign(status: &str) -> (&'static str, Role, &'static str) {
    match status {
        "ok" => ("·", Role::Dim, ""),
        "yours" => ("◆", Role::Ok, "registered here"),
        "experimental" => ("~", Role::Warn, "experimental"),
        "deprecated" => ("!", Role::Warn, "leaves DSPy soon"),
        _ => ("✗", Role::Error, "not in this DSPy"),
    }
}

/// Says below the list what its marks mean, where there is room; answers the list's part.
fn legend(choices: &[Choice], area: Rect, look: Look<'_>, buffer: &mut Buffer) -> Rect {
    let mut signs: Vec<_> = choices.iter().map(|it| sign(&it.status)).collect();
    signs.retain(|(_, _, words)| !words.is_empty());
    let mut seen = Vec::new();
    for sign in signs {
        if !seen.contains(&sign) {
            seen.push(sign);
        }
    }
    let rows = seen.len() as u16 + 1;
    if usize::from(area.height) < choices.len() + usize::from(rows) {
        return area;
    }
    let lines = seen.into_iter().map(|(mark, role, words)| {
        Line::from(vec![
            look.span(format!(" {mark} "), role),
            look.span(words.to_owned(), Role::Dim),
        ])
    });
    let below = Rect {
        y: area.bottom() + 1 - rows,
        height: rows - 1,
        ..area
    };
    look.lines(below, &lines.collect::<Vec<_>>(), buffer);
    Rect {
        height: area.height - rows,
        ..area
    }
}

/// What a module is, its options, and the programs made of it.
fn about(choice: &Choice, state: &State, columns: usize, look: Look<'_>) -> Vec<Line<'static>> {
    let room = columns.saturating_sub(2);
    let mut out = Vec::new();
    let words = |words: &str, role: Role, out: &mut Vec<Line<'static>>| {
        let lines = text::plain(words, look.style(role), room);
        out.extend(lines.into_iter().map(|mut line| {
            line.spans.insert(0, look.span(" ", role));
            line
        }));
    };
    words(&choice.doc, Role::Text, &mut out);
    let status = match choice.status.as_str() {
        "ok" | "yours" => choice.reason.clone(),
        status if choice.reason.is_empty() => status.to_owned(),
        status => format!("{status}: {}", choice.reason),
    };
    if !status.is_empty() {
        words(&status, Role::Warn, &mut out);
    }
    out.push(Line::default());
    if !choice.usable {
        return out;
    }
    let names = choice.options.iter().map(|it| text::width(&it.name));
    let names = names.max().unwrap_or(0).max(6) + 1;
    let defaults = choice.options.iter().map(|it| text::width(&it.default()));
    let defaults = defaults.max().unwrap_or(0).clamp(7, 16) + 1;
    if !choice.options.is_empty() {
        let head = format!(
            " {}{}what it is",
            text::pad("option", names),
            text::pad("default", defaults)
        );
        out.push(Line::from(look.span(head, Role::Label)));
    }
    for option in &choice.options {
        let rest = room.saturating_sub(names + defaults);
        let mut doc = text::plain(&option.doc, look.style(Role::Text), rest.max(12)).into_iter();
        let mut line = Line::from(vec![
            look.span(format!(" {}", text::pad(&option.name, names)), Role::Key),
            look.span(text::pad(&option.default(), defaults), Role::Number),
        ]);
        line.spans.extend(doc.next().unwrap_or_default().spans);
        out.push(line);
        out.extend(doc.map(|mut line| {
            let gap = " ".repeat(1 + names + defaults);
            line.spans.insert(0, look.span(gap, Role::Text));
            line
        }));
    }
    let programs = state.session.programs.values();
    let made: Vec<String> = programs
        .filter(|it| it.modules.contains(&choice.name))
        .map(|it| format!("{} v{}", it.name, it.version))
        .collect();
    out.push(Line::default());
    if made.is_empty() {
        words("Enter makes a program of it.", Role::Dim, &mut out);
    } else {
        words(
            &format!("programs: {}", made.join(", ")),
            Role::Ok,
            &mut out,
        );
        words(
            "Enter makes another, `r` runs the last.",
            Role::Dim,
            &mut out,
        );
    }
    out
}
