//! Colours of the line prompt: the terminal's own sixteen, by role.

use std::fmt::Write as _;

use crate::command;
use crate::highlight::{Highlighter, Role};

/// The input with colours; the visible text is unchanged.
pub(super) fn input(highlighter: &mut Highlighter, text: &str) -> String {
    if command::is_command(text) {
        return command_line(text);
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let mut out = String::with_capacity(text.len() * 2);
    for (index, pieces) in highlighter.lines(lines.iter().copied()).iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let line = lines.get(index).copied().unwrap_or_default();
        for (role, range) in *pieces {
            let piece = line.get(range.clone()).unwrap_or_default();
            paint(&mut out, piece, sgr(*role));
        }
    }
    out
}

fn command_line(text: &str) -> String {
    let end = text.trim_start().find(char::is_whitespace);
    let blank = text.len() - text.trim_start().len();
    let (name, rest) = text.split_at(end.map_or(text.len(), |end| end + blank));
    let mut out = String::new();
    paint(&mut out, name, "1;36");
    out.push_str(rest);
    out
}

/// A hint: there, but not written by the person.
pub(super) fn dim(text: &str) -> String {
    let mut out = String::new();
    paint(&mut out, text, "2");
    out
}

fn paint(out: &mut String, text: &str, sgr: &str) {
    if sgr.is_empty() || text.is_empty() {
        out.push_str(text);
    } else {
        let _ = write!(out, "\u{1b}[{sgr}m{text}\u{1b}[0m");
    }
}

fn sgr(role: Role) -> &'static str {
    match role {
        Role::Plain | Role::Operator => "",
        Role::Keyword => "35",
        Role::String => "32",
        Role::Number => "36",
        Role::Comment => "2",
        Role::Function => "34",
        Role::Type => "33",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::highlight::Language;
    use crate::repl::format::without_sgr;

    #[test]
    fn colours_change_no_character() {
        let mut highlighter = Highlighter::new(Language::Python);
        for text in [
            "def f(x):\n    return 'é'",
            ":lm use demo",
            "  :help",
            "",
            "a\n\nb",
            "x = '",
        ] {
            assert_eq!(without_sgr(&input(&mut highlighter, text)), text);
        }
    }
}
