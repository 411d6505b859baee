//! What was said to an LM and what it answered, as OpenInference's attributes.
//!
//! Reads the shapes of OpenAI (both of its APIs), Anthropic and Gemini. What it does not
//! know it shows as JSON.

use serde_json::Value;

use super::text;

/// Messages of one call that become attributes; parts of one message.
const MOST: usize = 100;

/// What stands for the system's message, by provider.
const SYSTEM: [&str; 4] = [
    "system",
    "instructions",
    "systemInstruction",
    "system_instruction",
];

/// What holds the other messages.
const MESSAGES: [&str; 3] = ["messages", "input", "contents"];

/// The messages of a request, the tools it offers, and its parameters.
pub(super) fn sent(request: &Value) -> Vec<Value> {
    let Some(fields) = request.as_object() else {
        return Vec::new();
    };
    let of = |names: &[&str]| names.iter().find_map(|name| fields.get(*name));
    let mut messages: Vec<Message<'_>> = Vec::new();
    messages.extend(of(&SYSTEM).map(|system| Message::new("system", system)));
    match of(&MESSAGES) {
        Some(Value::Array(list)) => messages.extend(list.iter().map(Message::of)),
        Some(said) => messages.push(Message::new("user", said)),
        None => {}
    }
    let mut all = attributes("llm.input_messages", &messages);
    let tools = fields.get("tools").and_then(Value::as_array);
    let tools = tools.into_iter().flatten().flat_map(|tool| {
        match tool.get("functionDeclarations").and_then(Value::as_array) {
            Some(several) => several.iter().collect(),
            None => vec![tool],
        }
    });
    for (at, tool) in tools.take(MOST).enumerate() {
        all.push(text(
            &format!("llm.tools.{at}.tool.json_schema"),
            &tool.to_string(),
        ));
    }
    let mut parameters = fields.clone();
    for name in SYSTEM.iter().chain(&MESSAGES).chain(&["tools", "model"]) {
        parameters.shift_remove(*name);
    }
    let parameters = Value::Object(parameters).to_string();
    all.push(text("llm.invocation_parameters", &parameters));
    all
}

/// What was answered.
pub(super) fn received(response: &Value) -> Vec<Value> {
    let list = |name: &str| response.get(name).and_then(Value::as_array);
    let messages: Vec<Message<'_>> = if let Some(choices) = list("choices") {
        let messages = choices.iter().filter_map(|choice| choice.get("message"));
        messages.map(Message::of).collect()
    } else if let Some(candidates) = list("candidates") {
        let contents = candidates.iter().filter_map(|it| it.get("content"));
        contents.map(Message::of).collect()
    } else if let Some(items) = list("output") {
        // One answer in several items: reasoning, a text, calls of tools.
        let mut whole = Message::empty("assistant");
        for item in items {
            whole.add(item.get("content").unwrap_or(item));
        }
        vec![whole]
    } else if response.get("content").is_some() {
        vec![Message::of(response)]
    } else {
        Vec::new()
    };
    attributes("llm.output_messages", &messages)
}

/// A message, whoever's format it had.
struct Message<'a> {
    role: &'a str,
    parts: Vec<Part>,
    /// Which call this answers.
    answers: Option<&'a str>,
}

/// One piece of a message.
enum Part {
    Text(String),
    /// The address of a picture, or the picture itself as a `data:` address.
    Image(String),
    Call {
        id: String,
        name: String,
        arguments: String,
    },
}

impl<'a> Message<'a> {
    fn empty(role: &'a str) -> Self {
        Self {
            role,
            parts: Vec::new(),
            answers: None,
        }
    }

    fn new(role: &'a str, said: &Value) -> Self {
        let mut message = Self::empty(role);
        message.add(said.get("parts").unwrap_or(said));
        message
    }

    fn of(value: &'a Value) -> Self {
        let of = |name: &str| value.get(name).and_then(Value::as_str);
        let role = match (of("role"), of("type")) {
            (Some("model"), _) | (None, Some("function_call")) => "assistant",
            (None, Some("function_call_output")) => "tool",
            (role, _) => role.unwrap_or("user"),
        };
        let mut message = Self::empty(role);
        message.answers = of("tool_call_id").or_else(|| of("call_id"));
        let said = ["content", "text", "parts", "output"];
        match said.iter().find_map(|name| value.get(*name)) {
            Some(said) => message.add(said),
            None if value.get("type").is_some() => message.add(value),
            None => {}
        }
        let calls = value.get("tool_calls").and_then(Value::as_array);
        for call in calls.into_iter().flatten() {
            message.parts.push(part(call));
        }
        message
    }

    fn add(&mut self, said: &Value) {
        match said {
            Value::Null => {}
            Value::Array(parts) => self.parts.extend(parts.iter().map(part)),
            other => self.parts.push(part(other)),
        }
    }
}

/// One piece, in any of the formats.
fn part(value: &Value) -> Part {
    let at = |path: &str| value.pointer(path);
    let word = |path: &str| at(path).and_then(Value::as_str);
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let named = [
        ("/function/name", "/function/arguments", "/id"),
        (
            "/functionCall/name",
            "/functionCall/args",
            "/functionCall/id",
        ),
    ];
    for (name, arguments, id) in named {
        if word(name).is_some() {
            return Part::Call {
                id: owned(word(id)),
                name: owned(word(name)),
                arguments: at(arguments).map(plain).unwrap_or_default(),
            };
        }
    }
    match word("/type") {
        Some("tool_use") => Part::Call {
            id: owned(word("/id")),
            name: owned(word("/name")),
            arguments: at("/input").map(plain).unwrap_or_default(),
        },
        Some("function_call") => Part::Call {
            id: owned(word("/call_id")),
            name: owned(word("/name")),
            arguments: at("/arguments").map(plain).unwrap_or_default(),
        },
        _ => {
            let address = ["/image_url/url", "/image_url", "/source/url"];
            if let Some(address) = address.iter().find_map(|path| word(path)) {
                return Part::Image(address.to_owned());
            }
            let inside = [
                ("/source/media_type", "/source/data"),
                ("/inlineData/mimeType", "/inlineData/data"),
                ("/inline_data/mime_type", "/inline_data/data"),
            ];
            let data = inside
                .iter()
                .find_map(|(kind, data)| Some((word(kind)?, word(data)?)));
            if let Some((kind, data)) = data {
                return Part::Image(format!("data:{kind};base64,{data}"));
            }
            let said = word("/text").or_else(|| word("/thinking"));
            Part::Text(said.map_or_else(|| plain(value), str::to_owned))
        }
    }
}

/// Text as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn attributes(prefix: &str, messages: &[Message<'_>]) -> Vec<Value> {
    let mut all = Vec::new();
    for (at, message) in messages.iter().take(MOST).enumerate() {
        let named = |name: &str| format!("{prefix}.{at}.message.{name}");
        all.push(text(&named("role"), message.role));
        all.extend(
            message
                .answers
                .map(|call| text(&named("tool_call_id"), call)),
        );
        let (calls, said): (Vec<&Part>, Vec<&Part>) = message
            .parts
            .iter()
            .take(MOST)
            .partition(|part| matches!(part, Part::Call { .. }));
        match *said {
            [] => {}
            [Part::Text(said)] => all.push(text(&named("content"), said)),
            _ => {
                for (number, part) in said.into_iter().enumerate() {
                    let of =
                        |name: &str| named(&format!("contents.{number}.message_content.{name}"));
                    let (kind, name, value) = match part {
                        Part::Text(said) => ("text", "text", said),
                        Part::Image(address) => ("image", "image.image.url", address),
                        Part::Call { .. } => continue,
                    };
                    all.extend([text(&of("type"), kind), text(&of(name), value)]);
                }
            }
        }
        for (number, call) in calls.into_iter().enumerate() {
            if let Part::Call {
                id,
                name,
                arguments,
            } = call
            {
                let of = |name: &str| named(&format!("tool_calls.{number}.tool_call.{name}"));
                all.extend([
                    text(&of("id"), id),
                    text(&of("function.name"), name),
                    text(&of("function.arguments"), arguments),
                ]);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(attributes: Vec<Value>) -> Vec<String> {
        let line = |it: &Value| {
            let of = |path: &str| it.pointer(path).and_then(Value::as_str).unwrap().to_owned();
            let key = of("/key").replace("_messages", "").replace("message.", "");
            format!("{key}={}", of("/value/stringValue"))
        };
        attributes.iter().map(line).collect()
    }

    #[test]
    fn the_same_call_in_four_formats() {
        let openai = json!({"choices": [{"message": {"role": "assistant", "content": "hm",
            "tool_calls": [{"id": "t1", "type": "function",
                            "function": {"name": "f", "arguments": "{\"a\":1}"}}]}}]});
        let anthropic = json!({"role": "assistant", "content": [{"type": "text", "text": "hm"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}]});
        let gemini = json!({"candidates": [{"content": {"role": "model", "parts": [
            {"text": "hm"}, {"functionCall": {"id": "t1", "name": "f", "args": {"a": 1}}}]}}]});
        let responses = json!({"output": [
            {"type": "message", "content": [{"type": "output_text", "text": "hm"}]},
            {"type": "function_call", "call_id": "t1", "name": "f", "arguments": "{\"a\":1}"}]});
        for answer in [openai, anthropic, gemini, responses] {
            assert_eq!(
                lines(received(&answer)),
                [
                    "llm.output.0.role=assistant",
                    "llm.output.0.content=hm",
                    "llm.output.0.tool_calls.0.tool_call.id=t1",
                    "llm.output.0.tool_calls.0.tool_call.function.name=f",
                    "llm.output.0.tool_calls.0.tool_call.function.arguments={\"a\":1}",
                ],
                "{answer}"
            );
        }
        for other in [json!(null), json!([1]), json!({"error": {"message": "no"}})] {
            assert_eq!(received(&other), Vec::<Value>::new());
        }
    }

    #[test]
    fn a_picture_tools_and_parameters_are_sent() {
        let picture = "data:image/png;base64,AAAA";
        let gemini = json!({
            "systemInstruction": {"parts": [{"text": "be brief"}]},
            "contents": [{"role": "user", "parts": [
                {"text": "see"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}],
            "tools": [{"functionDeclarations": [{"name": "f"}]}],
            "generationConfig": {"temperature": 0},
        });
        let openai = json!({
            "model": "m", "instructions": "be brief",
            "input": [{"role": "user", "content": [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "image_url": picture}]}],
            "tools": [{"name": "f"}], "generationConfig": {"temperature": 0},
        });
        let anthropic = json!({
            "model": "m", "system": [{"type": "text", "text": "be brief"}],
            "messages": [{"role": "user", "content": [{"type": "text", "text": "see"},
                {"type": "image", "source":
                    {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}],
            "tools": [{"name": "f"}], "generationConfig": {"temperature": 0},
        });
        for request in [gemini, openai, anthropic] {
            assert_eq!(
                lines(sent(&request)),
                [
                    "llm.input.0.role=system".to_owned(),
                    "llm.input.0.content=be brief".to_owned(),
                    "llm.input.1.role=user".to_owned(),
                    "llm.input.1.contents.0.message_content.type=text".to_owned(),
                    "llm.input.1.contents.0.message_content.text=see".to_owned(),
                    "llm.input.1.contents.1.message_content.type=image".to_owned(),
                    format!("llm.input.1.contents.1.message_content.image.image.url={picture}"),
                    "llm.tools.0.tool.json_schema={\"name\":\"f\"}".to_owned(),
                    "llm.invocation_parameters={\"generationConfig\":{\"temperature\":0}}"
                        .to_owned(),
                ],
                "{request}"
            );
        }
    }
}
