//! Source text as styled lines: the roles of [`crate::highlight`] in the
//! colours of the theme. Knows no grammar itself.

use ratatui::text::{Line, Span};

use crate::command;
use crate::highlight::{self, Highlighter, Language};
use crate::sanitize;
use crate::theme::{Role, Theme};

/// Python that is drawn again and again while it changes: only what changed is
/// read anew.
#[derive(Debug, Default)]
pub(crate) struct Code {
    /// Made when there is something to read, after the first frame.
    highlighter: Option<Highlighter>,
}

impl Code {
    /// The lines of `source`, without wrapping.
    pub(crate) fn lines(&mut self, source: &str, theme: &Theme) -> Vec<Line<'static>> {
        let source = sanitize::clean(source);
        if source.is_empty() {
            return vec![Line::default()];
        }
        if command::is_command(&source) {
            let style = theme.style(Role::CodeFunction);
            let lines = source.split('\n');
            return lines.map(|it| Line::styled(it.to_owned(), style)).collect();
        }
        let highlighter = self
            .highlighter
            .get_or_insert_with(|| Highlighter::new(Language::Python));
        let pieces = highlighter.lines(source.split('\n'));
        let lines = source.split('\n').zip(pieces);
        lines
            .map(|(line, pieces)| {
                let span = |(role, range): &(highlight::Role, std::ops::Range<usize>)| {
                    let piece = line.get(range.clone()).unwrap_or_default();
                    Span::styled(piece.replace('\t', "    "), theme.style(role_of(*role)))
                };
                Line::from(pieces.iter().map(span).collect::<Vec<_>>())
            })
            .collect()
    }
}

/// The lines of `source`, without wrapping, for a text that stays as it is.
pub(crate) fn lines(source: &str, theme: &Theme) -> Vec<Line<'static>> {
    Code::default().lines(source, theme)
}

fn role_of(role: highlight::Role) -> Role {
    match role {
        highlight::Role::Plain => Role::Text,
        highlight::Role::Keyword => Role::CodeKeyword,
        highlight::Role::String => Role::CodeString,
        highlight::Role::Number => Role::CodeNumber,
        highlight::Role::Comment => Role::CodeComment,
        highlight::Role::Function => Role::CodeFunction,
        highlight::Role::Type => Role::CodeType,
        highlight::Role::Operator => Role::CodeOperator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colouring_loses_no_character() {
        let theme = Theme::dark();
        for source in [
            "def f(x): # c",
            "s = \"a'b\" + 'é\\'",
            "漢字 = 1.5e3",
            ":lm use demo",
            "'",
            "",
            "a\n\nb = '''\nc'''",
        ] {
            let lines: Vec<String> = lines(source, &theme)
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(lines.join("\n"), source);
        }
    }
}
