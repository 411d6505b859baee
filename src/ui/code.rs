//! Source text as styled lines.

use ratatui::text::{Line, Span};

use crate::sanitize;
use crate::theme::{Role, Theme};

/// Lines of Python, or of whatever `source` is, without wrapping.
pub(crate) fn lines(source: &str, theme: &Theme) -> Vec<Line<'static>> {
    let source = sanitize::clean(source);
    let command = source.starts_with(':');
    source
        .split('\n')
        .map(|line| {
            if command {
                Line::styled(line.to_owned(), theme.style(Role::CodeFunction))
            } else {
                python(line, theme)
            }
        })
        .collect()
}

const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "match", "nonlocal", "not", "or", "pass", "raise", "return", "try",
    "while", "with", "yield",
];

/// One line of Python by its words. Strings over several lines are coloured by
/// the highlighter, which knows the lines before.
fn python(line: &str, theme: &Theme) -> Line<'static> {
    let mut spans = Vec::new();
    let mut rest = line;
    while let Some(ch) = rest.chars().next() {
        let (len, role) = if ch == '#' {
            (rest.len(), Role::CodeComment)
        } else if ch == '"' || ch == '\'' {
            (string_len(rest, ch), Role::CodeString)
        } else if ch.is_alphabetic() || ch == '_' {
            let len = rest
                .find(|it: char| !it.is_alphanumeric() && it != '_')
                .unwrap_or(rest.len());
            let (word, after) = rest.split_at(len);
            let role = if KEYWORDS.contains(&word) {
                Role::CodeKeyword
            } else if after.starts_with('(') {
                Role::CodeFunction
            } else if word.starts_with(char::is_uppercase) {
                Role::CodeType
            } else {
                Role::Text
            };
            (len, role)
        } else if ch.is_ascii_digit() {
            let len = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '.' && it != '_');
            (len.unwrap_or(rest.len()), Role::CodeNumber)
        } else if ch.is_whitespace() {
            let len = rest
                .find(|it: char| !it.is_whitespace())
                .unwrap_or(rest.len());
            (len, Role::Text)
        } else {
            (ch.len_utf8(), Role::CodeOperator)
        };
        let (piece, after) = rest.split_at(len);
        spans.push(Span::styled(piece.replace('\t', "    "), theme.style(role)));
        rest = after;
    }
    Line::from(spans)
}

/// The length of the string that `text` starts with.
fn string_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, ch) in text.char_indices().skip(1) {
        match ch {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if ch == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether Enter should run this text: brackets and strings are closed and no
/// block is open. An empty last line closes a block.
pub(crate) fn is_complete(source: &str) -> bool {
    if source.trim_start().starts_with(':') {
        return true;
    }
    let (mut depth, mut open): (i32, Option<(char, bool)>) = (0, None);
    let mut chars = source.char_indices().peekable();
    let mut continued = false;
    while let Some((at, ch)) = chars.next() {
        let triple =
            |quote: char| source[at..].starts_with([quote; 3].iter().collect::<String>().as_str());
        continued = false;
        match open {
            Some((quote, long)) => match ch {
                '\\' => {
                    chars.next();
                }
                '\n' if !long => open = None,
                _ if ch == quote && !long => open = None,
                _ if ch == quote && triple(quote) => {
                    open = None;
                    chars.next();
                    chars.next();
                }
                _ => {}
            },
            None => match ch {
                '#' => while chars.next_if(|(_, it)| *it != '\n').is_some() {},
                '"' | '\'' => {
                    let long = triple(ch);
                    if long {
                        chars.next();
                        chars.next();
                    }
                    open = Some((ch, long));
                }
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth -= 1,
                '\\' => {
                    // A backslash before the end of a line goes on with the next.
                    continued =
                        chars.next_if(|(_, it)| *it == '\n').is_some() || chars.peek().is_none();
                }
                _ => {}
            },
        }
    }
    if open.is_some_and(|(_, long)| long) || depth > 0 || continued {
        return false;
    }
    let last = source.rsplit('\n').next().unwrap_or_default();
    let opens = source.lines().any(|line| {
        line.split('#')
            .next()
            .unwrap_or_default()
            .trim_end()
            .ends_with(':')
    });
    let decorated = source
        .trim_end()
        .lines()
        .last()
        .is_some_and(|line| line.trim_start().starts_with('@'));
    let code = last.split('#').next().unwrap_or_default().trim_end();
    let in_block =
        opens && !last.trim().is_empty() && (last.starts_with([' ', '\t']) || code.ends_with(':'));
    !(in_block || decorated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enter_runs_only_what_is_complete() {
        for whole in [
            "1 + 1",
            "f(\n1,\n)",
            "x = '''a\nb'''",
            "def f():\n    return 1\n",
            ":lm use demo",
            "s = 'it\\'s'",
            "# (",
            "x = {'a': 1}",
            "",
            "'('",
        ] {
            assert!(is_complete(whole), "{whole:?}");
        }
        for open in [
            "f(",
            "x = '''a",
            "def f():",
            "def f():\n    return 1",
            "if x:\n    y",
            "a = 1 + \\",
            "@dec",
            "for i in x: # why",
        ] {
            assert!(!is_complete(open), "{open:?}");
        }
    }

    #[test]
    fn colouring_loses_no_character() {
        let theme = Theme::dark();
        for source in [
            "def f(x): # c",
            "s = \"a'b\" + 'é\\'",
            "漢字 = 1.5e3",
            ":lm use demo",
            "'",
        ] {
            assert_eq!(lines(source, &theme)[0].to_string(), source);
        }
    }
}
