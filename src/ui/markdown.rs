//! Markdown as styled lines: headings, lists, code, emphasis of whole words.

use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::{code, text};
use crate::sanitize;
use crate::theme::{Role, Theme};

/// Markdown as lines of at most `columns`.
pub(crate) fn lines(source: &str, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    let source = sanitize::clean(source);
    let mut out = Vec::new();
    let mut in_code: Option<String> = None;
    for line in source.lines() {
        if line.trim_start().starts_with("```") {
            in_code = match in_code.take() {
                Some(body) => {
                    out.extend(block(&body, columns, theme));
                    None
                }
                None => Some(String::new()),
            };
            continue;
        }
        if let Some(body) = &mut in_code {
            if !body.is_empty() {
                body.push('\n');
            }
            body.push_str(line);
            continue;
        }
        let heading = line.trim_start_matches('#');
        if heading.len() < line.len() && heading.starts_with(' ') {
            out.extend(text::plain(
                heading.trim(),
                theme.style(Role::Heading),
                columns,
            ));
        } else if let Some(item) = line
            .trim_start()
            .strip_prefix(['-', '*', '+'])
            .and_then(|it| it.strip_prefix(' '))
        {
            let indent = " ".repeat(line.len() - line.trim_start().len());
            let mut spans = vec![Span::styled(
                format!("{indent}• "),
                theme.style(Role::Accent),
            )];
            spans.extend(inline(item, theme));
            out.extend(text::wrap(vec![Line::from(spans)], columns));
        } else {
            out.extend(text::wrap(vec![Line::from(inline(line, theme))], columns));
        }
    }
    // A block that nobody closed is shown all the same.
    if let Some(body) = in_code {
        out.extend(block(&body, columns, theme));
    }
    out
}

fn block(body: &str, columns: usize, theme: &Theme) -> Vec<Line<'static>> {
    text::wrap(code::lines(body, theme), columns)
}

/// `code` and **strong** inside a line.
fn inline(line: &str, theme: &Theme) -> Vec<Span<'static>> {
    let plain = theme.style(Role::Text);
    let mut spans = Vec::new();
    for (at, piece) in line.split('`').enumerate() {
        if at % 2 == 1 {
            spans.push(Span::styled(
                piece.to_owned(),
                theme.style(Role::CodeFunction),
            ));
            continue;
        }
        for (at, piece) in piece.split("**").enumerate() {
            let style = if at % 2 == 1 {
                plain.add_modifier(Modifier::BOLD)
            } else {
                plain
            };
            if !piece.is_empty() {
                spans.push(Span::styled(piece.to_owned(), style));
            }
        }
    }
    spans
}
