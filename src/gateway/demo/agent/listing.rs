//! Reads the tools that a prompt lists in words.

use serde_json::{Value, json};

use crate::gateway::demo::conversation::Tool;

/// Tools as DSPy lists them: `(1) name, whose description is <desc>…</desc>. It
/// takes arguments {…}.`
pub fn listed(instructions: &str) -> Vec<Tool> {
    let mut found = Vec::new();
    let mut rest = instructions;
    while let Some((before, after)) = rest.split_once(", whose description is <desc>") {
        let name = before
            .rsplit(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .next()
            .unwrap_or_default();
        let Some((description, after)) = after.split_once("</desc>") else {
            break;
        };
        let arguments = after
            .split_once("It takes arguments ")
            .map_or("", |(_, rest)| rest);
        let literal = balanced(arguments).unwrap_or("{}");
        found.push(Tool {
            name: name.to_owned(),
            description: description.trim().to_owned(),
            schema: json!({"type": "object", "properties": python_literal(literal)}),
        });
        rest = after;
    }
    found
}

/// The braces a text begins with, with all they hold.
fn balanced(text: &str) -> Option<&str> {
    let (mut depth, mut quote) = (0_usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return text.get(..=at);
                }
            }
            _ => {}
        }
        if at == 0 && c != '{' {
            return None;
        }
    }
    None
}

/// A Python dict of plain values as JSON; an empty object where it is none.
fn python_literal(literal: &str) -> Value {
    let mut json = String::new();
    let mut quote = None;
    let mut word = String::new();
    for c in literal.chars() {
        if quote.is_none() && c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        if quote.is_none() && !word.is_empty() {
            json.push_str(match word.as_str() {
                "True" => "true",
                "False" => "false",
                "None" => "null",
                other => other,
            });
            word.clear();
        }
        match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                json.push('"');
            }
            (Some(open), c) if c == open => {
                quote = None;
                json.push('"');
            }
            (Some(_), '"') => json.push_str("\\\""),
            _ => json.push(c),
        }
    }
    serde_json::from_str(&json).unwrap_or_else(|_| json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_read_as_dspy_lists_them() {
        let tools = listed(
            "(1) multiply, whose description is <desc>Multiply two numbers.</desc>. It takes arguments {'a': {'type': 'integer'}, 'b': {'type': 'integer'}}.\n(2) get_weather, whose description is <desc>The city's \"weather\".</desc>. It takes arguments {'city': {'type': 'string'}, 'days': {'type': 'integer', 'default': 1}}.",
        );
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        assert_eq!(names, ["multiply", "get_weather"]);
        let weather = tools.get(1).cloned().unwrap_or_default();
        assert_eq!(weather.description, "The city's \"weather\".");
        assert_eq!(
            weather.schema["properties"]["days"],
            json!({"type": "integer", "default": 1})
        );
    }
}
