//! Splits the text after a command's name into words and `key=value` pairs.
//!
//! Knows quotes and JSON values; knows no command.

use serde_json::Value;

/// A piece of a line, with where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Word {
    /// Byte offset of its first character.
    pub start: usize,
    /// Byte offset after its last character.
    pub end: usize,
    /// The key, for `key=value`.
    pub key: Option<String>,
    /// The value: a string for plain words.
    pub value: Value,
    /// It was written in quotes as a whole.
    pub quoted: bool,
}

/// A quote that is never closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclosed {
    /// Byte offset of the quote.
    pub at: usize,
}

/// Splits `text` at blanks outside quotes.
///
/// A value in brackets or double quotes that is JSON is taken as JSON, blanks
/// and all; any other value is JSON if it reads as JSON, else text.
pub fn split(text: &str) -> Result<Vec<Word>, Unclosed> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(start) = next_start(text, at) {
        let word = read(text, start)?;
        at = word.end;
        words.push(word);
    }
    Ok(words)
}

/// The first word of `text` from `at` on, if there is a whole one.
pub(super) fn first(text: &str, at: usize) -> Option<Word> {
    read(text, next_start(text, at)?).ok()
}

fn next_start(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let blank = rest.find(|ch: char| !ch.is_whitespace())?;
    Some(at + blank)
}

fn read(text: &str, start: usize) -> Result<Word, Unclosed> {
    let key = key_len(&text[start..]);
    let value_start = key.map_or(start, |len| start + len + 1);
    let key = key.map(|len| text[start..start + len].to_owned());
    let rest = &text[value_start..];
    if key.is_some()
        && let Some((value, len)) = json_prefix(rest)
    {
        return Ok(Word {
            start,
            end: value_start + len,
            key,
            quoted: value.is_string(),
            value,
        });
    }
    let (plain, len) = unquote(rest).map_err(|at| Unclosed {
        at: value_start + at,
    })?;
    let quoted = is_quoted(&rest[..len]);
    let value = match &key {
        Some(_) if !quoted => serde_json::from_str(&plain).unwrap_or_else(|_| python_word(&plain)),
        _ => Value::from(plain),
    };
    Ok(Word {
        start,
        end: value_start + len,
        key,
        value,
        quoted,
    })
}

/// Python's spelling of the JSON constants.
fn python_word(text: &str) -> Value {
    match text {
        "True" => Value::Bool(true),
        "False" => Value::Bool(false),
        "None" => Value::Null,
        _ => Value::from(text),
    }
}

/// The length of the key, if the text starts with `identifier=` but not `==`.
fn key_len(text: &str) -> Option<usize> {
    let end = text.find(|ch: char| !(ch.is_alphanumeric() || matches!(ch, '_' | '.' | '-')))?;
    let starts_well = text.starts_with(|ch: char| ch.is_alphabetic() || ch == '_');
    let after = text[end..].strip_prefix('=')?;
    (starts_well && !after.starts_with('=')).then_some(end)
}

/// A JSON object, array or string that `text` starts with, followed by a blank
/// or the end.
fn json_prefix(text: &str) -> Option<(Value, usize)> {
    if !text.starts_with(['{', '[', '"']) {
        return None;
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = stream.next()?.ok()?;
    let len = stream.byte_offset();
    let ends = text[len..].chars().next().is_none_or(char::is_whitespace);
    ends.then_some((value, len))
}

fn is_quoted(raw: &str) -> bool {
    let mut chars = raw.chars();
    let first = chars.next();
    raw.len() >= 2
        && matches!(first, Some('"' | '\''))
        && raw.chars().next_back() == first
        && chars.filter(|ch| Some(*ch) == first).count() == 1
}

/// The word `text` starts with, its quotes taken away, and its length as
/// written; the offset of a quote that is not closed.
fn unquote(text: &str) -> Result<(String, usize), usize> {
    let mut out = String::new();
    let mut open: Option<(char, usize)> = None;
    let mut chars = text.char_indices().peekable();
    while let Some((idx, ch)) = chars.next() {
        match (open, ch) {
            (None, ch) if ch.is_whitespace() => return Ok((out, idx)),
            (None, '"' | '\'') if opens_quote(&out, ch) => open = Some((ch, idx)),
            (Some((quote, _)), ch) if ch == quote => open = None,
            (Some(('"', _)), '\\') if matches!(chars.peek(), Some((_, '"' | '\\'))) => {
                out.extend(chars.next().map(|(_, escaped)| escaped));
            }
            (_, ch) => out.push(ch),
        }
    }
    match open {
        Some((_, at)) => Err(at),
        None => Ok((out, text.len())),
    }
}

/// An apostrophe inside a word (`what's`) is a letter, not a quote.
fn opens_quote(before: &str, quote: char) -> bool {
    quote == '"' || !before.ends_with(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn pairs(text: &str) -> Vec<(Option<String>, Value)> {
        let words = split(text).unwrap();
        words
            .into_iter()
            .map(|word| (word.key, word.value))
            .collect()
    }

    #[test]
    fn words_quotes_and_values() {
        let key = |key: &str| Some(key.to_owned());
        assert_eq!(
            pairs(r#"a "b c" n=3 s="3" t='x y' l=[1, 2] u=12*7 b=true p=None"#),
            [
                (None, json!("a")),
                (None, json!("b c")),
                (key("n"), json!(3)),
                (key("s"), json!("3")),
                (key("t"), json!("x y")),
                (key("l"), json!([1, 2])),
                (key("u"), json!("12*7")),
                (key("b"), json!(true)),
                (key("p"), json!(null)),
            ]
        );
    }

    #[test]
    fn apostrophes_and_comparisons_are_text() {
        assert_eq!(
            pairs("what's a==b"),
            [(None, json!("what's")), (None, json!("a==b"))]
        );
    }

    #[test]
    fn an_open_quote_is_found() {
        assert_eq!(split("ab q=\"cd"), Err(Unclosed { at: 5 }));
    }

    proptest! {
        /// No text makes the splitter panic, and words never overlap.
        #[test]
        fn any_text_is_split(text in any::<String>()) {
            if let Ok(words) = split(&text) {
                let mut last = 0;
                for word in words {
                    prop_assert!(word.start >= last && word.end > word.start);
                    prop_assert!(text.get(word.start..word.end).is_some());
                    last = word.end;
                }
            }
        }
    }
}
