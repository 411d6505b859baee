//! Chat messages out of provider bodies, and as lines.
//!
//! Knows the shapes of OpenAI chat and responses, Anthropic, Gemini and Ollama
//! well enough to show them; whatever it does not know is shown raw elsewhere.

use std::fmt::Write as _;

use ratatui::text::Line;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use super::look::Look;
use super::text;
use crate::theme::Role;

/// Role and text of each message of a request body.
pub(crate) fn of_request(body: &str) -> Vec<(String, String)> {
    let Ok(body) = serde_json::from_str::<Value>(body) else {
        return vec![("request".to_owned(), body.to_owned())];
    };
    let mut out = Vec::new();
    for (key, role) in [
        ("instructions", "system"),
        ("system", "system"),
        ("systemInstruction", "system"),
        ("system_instruction", "system"),
    ] {
        if let Some(system) = body.get(key) {
            out.push((role.to_owned(), content(system)));
        }
    }
    let list = ["messages", "input", "contents"]
        .iter()
        .find_map(|key| body.get(*key));
    match list {
        Some(Value::Array(messages)) => {
            for message in messages {
                let role = message
                    .get("role")
                    .and_then(Value::as_str)
                    .unwrap_or("user");
                out.push((role.to_owned(), content(message)));
            }
        }
        Some(Value::String(text)) => out.push(("user".to_owned(), text.clone())),
        _ => {}
    }
    if let Some(tools) = body
        .get("tools")
        .and_then(Value::as_array)
        .filter(|it| !it.is_empty())
    {
        let names: Vec<&str> = tools
            .iter()
            .filter_map(|it| {
                it.pointer("/function/name")
                    .or_else(|| it.get("name"))
                    .and_then(Value::as_str)
            })
            .collect();
        out.push(("tools".to_owned(), names.join(", ")));
    }
    out
}

/// The answers of a response body.
pub(crate) fn of_response(body: &str) -> Vec<String> {
    let Ok(body) = serde_json::from_str::<Value>(body) else {
        return Vec::new();
    };
    let list = |key: &str| body.get(key).and_then(Value::as_array);
    let texts: Vec<String> = if let Some(choices) = list("choices") {
        choices
            .iter()
            .map(|it| {
                it.get("message")
                    .or_else(|| it.get("delta"))
                    .map(content)
                    .unwrap_or_default()
            })
            .collect()
    } else if let Some(candidates) = list("candidates") {
        candidates
            .iter()
            .filter_map(|it| it.get("content"))
            .map(content)
            .collect()
    } else if let Some(output) = list("output") {
        output.iter().map(content).collect()
    } else if let Some(message) = body.get("message") {
        vec![content(message)]
    } else if body.get("content").is_some() {
        vec![content(&body)]
    } else if let Some(error) = body.get("error") {
        vec![text::value(error.get("message").unwrap_or(error))]
    } else {
        Vec::new()
    };
    texts.into_iter().filter(|it| !it.is_empty()).collect()
}

/// The text of a message, its parts joined; tool calls in words.
fn content(message: &Value) -> String {
    let mut out = match message {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(content).collect::<Vec<_>>().join("\n"),
        Value::Object(object) => {
            let inner = ["content", "text", "parts"]
                .iter()
                .find_map(|key| object.get(*key))
                .filter(|it| !it.is_null());
            match inner {
                Some(inner) => content(inner),
                None => match object.get("type").and_then(Value::as_str) {
                    Some(kind) => format!("⟨{kind}⟩"),
                    None => String::new(),
                },
            }
        }
        _ => String::new(),
    };
    if let Some(calls) = message.get("tool_calls").and_then(Value::as_array) {
        for call in calls {
            let of = |at: &str| call.pointer(at).map(text::value).unwrap_or_default();
            let _ = write!(
                out,
                "\n→ {}({})",
                of("/function/name"),
                of("/function/arguments")
            );
        }
    }
    out
}

/// A message as lines: its role, then its text, DSPy's field headers coloured.
pub(crate) fn lines(
    role: &str,
    content: &str,
    columns: usize,
    look: Look<'_>,
) -> Vec<Line<'static>> {
    let role_style = match role {
        "system" => Role::KindOther,
        "assistant" | "answer" => Role::Ok,
        "tools" | "tool" => Role::KindTool,
        _ => Role::Accent,
    };
    let rule = "─".repeat(columns.saturating_sub(text::width(role) + 1).min(60));
    let mut out = vec![Line::from(vec![
        look.span(format!("{role} "), role_style),
        look.span(rule, Role::Border),
    ])];
    out.extend(body(content, columns, look));
    out
}

/// The text of a message as lines, DSPy's field headers coloured.
pub(crate) fn body(content: &str, columns: usize, look: Look<'_>) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    for line in text::shortened(content).lines() {
        let header = line.trim_start().starts_with("[[ ##");
        let style = look.style(if header {
            Role::CodeFunction
        } else {
            Role::Text
        });
        let mut wrapped = text::plain(line, style, columns);
        if wrapped.is_empty() {
            wrapped.push(Line::default());
        }
        out.extend(wrapped);
    }
    out
}

/// A message with what was added and removed since `before`.
pub(crate) fn diff(
    role: &str,
    before: &str,
    now: &str,
    columns: usize,
    look: Look<'_>,
) -> Vec<Line<'static>> {
    let mut out = lines(role, "", columns, look);
    for change in TextDiff::from_lines(before, now).iter_all_changes() {
        let (mark, style) = match change.tag() {
            ChangeTag::Equal => ("  ", Role::Text),
            ChangeTag::Insert => ("+ ", Role::Added),
            ChangeTag::Delete => ("- ", Role::Removed),
        };
        let line = format!("{mark}{}", change.value().trim_end_matches('\n'));
        out.extend(text::plain(&line, look.style(style), columns));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_wire() {
        let body = r#"{"messages":[{"role":"system","content":"S"},{"role":"user","content":[{"type":"text","text":"U"},{"type":"image_url"}]}]}"#;
        assert_eq!(
            of_request(body),
            [
                ("system".into(), "S".into()),
                ("user".into(), "U\n⟨image_url⟩".to_owned())
            ]
        );
        assert_eq!(
            of_request(r#"{"instructions":"I","input":"Q"}"#),
            [
                ("system".into(), "I".into()),
                ("user".into(), "Q".to_owned())
            ]
        );
        assert_eq!(
            of_response(
                r#"{"choices":[{"message":{"content":"A"}},{"message":{"content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}}]}"#
            ),
            ["A", "\n→ f({})"]
        );
        assert_eq!(
            of_response(r#"{"content":[{"type":"text","text":"hi"}]}"#),
            ["hi"]
        );
        assert_eq!(
            of_response(r#"{"candidates":[{"content":{"parts":[{"text":"g"}]}}]}"#),
            ["g"]
        );
        assert_eq!(of_response(r#"{"error":{"message":"no"}}"#), ["no"]);
        assert!(of_response("not json").is_empty());
    }
}
