//! `<field>` elements: reading and writing. Only what DSPy's XML adapter uses:
//! elements without attributes, `<item>` for lists, `<entry key="…">` for keys
//! that are no names.

use serde_json::{Map, Value};

/// The elements of the fields asked for, in order: their inner text.
pub fn read(text: &str, names: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    for name in names {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let Some((_, after)) = rest.split_once(&open) else {
            continue;
        };
        let Some((inner, tail)) = after.split_once(&close) else {
            continue;
        };
        found.push(((*name).to_owned(), inner.trim().to_owned()));
        rest = tail;
    }
    found
}

/// An element's inner text as a value: children become objects and lists.
pub fn decode(inner: &str) -> Value {
    let children = children(inner);
    if children.is_empty() {
        return Value::String(
            inner
                .trim()
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&"),
        );
    }
    if children.iter().all(|(name, _)| name == "item") {
        return children.iter().map(|(_, inner)| decode(inner)).collect();
    }
    let object: Map<String, Value> = children
        .into_iter()
        .map(|(name, inner)| (name, decode(&inner)))
        .collect();
    Value::Object(object)
}

/// The top-level children of an element: name and inner text.
fn children(inner: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = inner.trim();
    while let Some((tag, after)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        if tag.ends_with('/') || !tag.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return found;
        }
        let element = tag.split_whitespace().next().unwrap_or(tag);
        let Some((inner, tail)) = closing(after, element) else {
            return found;
        };
        let name = tag
            .split_once("key=\"")
            .and_then(|(_, key)| key.split('"').next())
            .unwrap_or(element);
        found.push((name.to_owned(), inner.to_owned()));
        rest = tail.trim_start();
    }
    found
}

/// Splits at the closing tag that matches, counting nested elements of that name.
fn closing<'a>(text: &'a str, element: &str) -> Option<(&'a str, &'a str)> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let mut from = 0;
    let mut depth = 0_usize;
    loop {
        let end = from + text.get(from..)?.find(&close)?;
        depth += text.get(from..end)?.matches(&open).count();
        let after = end + close.len();
        if depth == 0 {
            return Some((text.get(..end)?, text.get(after..)?));
        }
        depth -= 1;
        from = after;
    }
}

/// Writes an answer: one element a field.
pub fn write(answer: &Map<String, Value>) -> String {
    let elements: Vec<String> = answer
        .iter()
        .map(|(name, value)| match value {
            Value::Array(_) | Value::Object(_) => element(name, None, value),
            leaf => format!(
                "<{name}>\n{}\n</{name}>",
                escape(&super::sections::plain(leaf))
            ),
        })
        .collect();
    elements.join("\n\n")
}

fn element(tag: &str, key: Option<&str>, value: &Value) -> String {
    let attribute = key.map_or_else(String::new, |key| {
        format!(" key=\"{}\"", escape(key).replace('"', "&quot;"))
    });
    let inner = match value {
        Value::Array(items) => items
            .iter()
            .map(|item| element("item", None, item))
            .collect(),
        Value::Object(object) => object
            .iter()
            .map(|(name, value)| {
                if is_name(name) {
                    element(name, None, value)
                } else {
                    element("entry", Some(name), value)
                }
            })
            .collect(),
        Value::Null => String::new(),
        leaf => escape(&super::sections::plain(leaf)),
    };
    format!("<{tag}{attribute}>{inner}</{tag}>")
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn escape(text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect();
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_values_survive_the_round_trip() {
        let value = json!({"city": "A & B <c>", "lists": [["x"], ["y", "z"]]});
        assert_eq!(decode(&element("v", None, &value)), json!({"v": value}));
    }
}
