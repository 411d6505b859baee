//! A streamed answer put together again as the whole answer DSPy asked for.
//!
//! Used when somebody watches: the server is asked for a stream, its pieces are
//! shown, and DSPy gets what a plain request would have got. Pure. OpenAI's chat
//! format and Anthropic's; everything else is left as it is.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::upstream::Outgoing;

/// Which format is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Chat,
    Anthropic,
}

/// Puts one answer together.
#[derive(Debug)]
pub struct Assembler {
    format: Format,
    /// Bytes of an unfinished line.
    pending: Vec<u8>,
    whole: Map<String, Value>,
    /// Choices or content blocks.
    parts: Vec<Value>,
    done: bool,
    error: Option<String>,
}

/// A plain request made to ask for a stream, and what will put the answer
/// together; `None` where that is not certain to give the same answer.
pub fn streamed(plain: &Outgoing) -> Option<(Bytes, Assembler)> {
    let mut body: Map<String, Value> = serde_json::from_slice(&plain.body).ok()?;
    let path = plain.url.path();
    let format = if path.ends_with("/chat/completions") {
        Format::Chat
    } else if path.ends_with("/messages") {
        Format::Anthropic
    } else {
        return None;
    };
    let several = body.get("n").and_then(Value::as_u64).is_some_and(|n| n > 1);
    let special = ["logprobs", "audio", "stream"].iter().any(|name| {
        body.get(*name)
            .is_some_and(|value| !matches!(value, Value::Null | Value::Bool(false)))
    });
    if several || special || plain.method != "POST" {
        return None;
    }
    body.insert("stream".to_owned(), Value::Bool(true));
    if format == Format::Chat {
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    let bytes = serde_json::to_vec(&body).ok()?;
    Some((bytes.into(), Assembler::new(format)))
}

impl Assembler {
    fn new(format: Format) -> Self {
        Self {
            format,
            pending: Vec::new(),
            whole: Map::new(),
            parts: Vec::new(),
            done: false,
            error: None,
        }
    }

    /// Takes the next bytes and gives the text that came with them.
    pub fn feed(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut shown = String::new();
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let Some(data) = line.trim().strip_prefix("data:").map(str::trim) else {
                continue;
            };
            if data == "[DONE]" {
                self.done = true;
            } else if let Ok(event) = serde_json::from_str::<Value>(data) {
                self.take(event, &mut shown);
            }
        }
        shown
    }

    /// The whole answer.
    ///
    /// # Errors
    /// Why the stream gave none: it broke off, or the server reported an error.
    pub fn finish(mut self) -> Result<Value, String> {
        if let Some(error) = self.error {
            return Err(format!("the server broke its answer off: {error}"));
        }
        if !self.done || self.whole.is_empty() {
            return Err("the answer ended before it was complete".to_owned());
        }
        let name = match self.format {
            Format::Chat => "choices",
            Format::Anthropic => "content",
        };
        for part in &mut self.parts {
            if let Some(part) = part.as_object_mut()
                && let Some(Value::String(text)) = part.remove("partial_json")
                && let Ok(input) = serde_json::from_str(if text.is_empty() { "{}" } else { &text })
            {
                part.insert("input".to_owned(), input);
            }
        }
        self.whole.insert(name.to_owned(), Value::Array(self.parts));
        Ok(Value::Object(self.whole))
    }

    fn take(&mut self, event: Value, shown: &mut String) {
        let Value::Object(event) = event else { return };
        if let Some(error) = event.get("error").filter(|error| !error.is_null()) {
            let message = error.get("message").and_then(Value::as_str);
            self.error = Some(message.map_or_else(|| error.to_string(), str::to_owned));
            return;
        }
        match self.format {
            Format::Chat => self.take_chat(event, shown),
            Format::Anthropic => self.take_anthropic(event, shown),
        }
    }

    fn take_chat(&mut self, mut chunk: Map<String, Value>, shown: &mut String) {
        let choices = chunk.remove("choices");
        for (name, value) in chunk {
            let value = if name == "object" {
                json!("chat.completion")
            } else {
                value
            };
            if !(value.is_null() && self.whole.contains_key(&name)) {
                self.whole.insert(name, value);
            }
        }
        let Some(Value::Array(choices)) = choices else {
            return;
        };
        for choice in choices {
            let Value::Object(mut choice) = choice else {
                continue;
            };
            let delta = choice.remove("delta");
            let part = self.part(
                &choice,
                || json!({"message": {"role": "assistant", "content": null}}),
            );
            let Some(part) = part.and_then(Value::as_object_mut) else {
                continue;
            };
            for (name, value) in choice {
                if !(value.is_null() && part.contains_key(&name)) {
                    part.insert(name, value);
                }
            }
            if let (Some(Value::Object(delta)), Some(Value::Object(message))) =
                (delta, part.get_mut("message"))
            {
                if let Some(text) = delta.get("content").and_then(Value::as_str) {
                    shown.push_str(text);
                }
                merge(message, delta);
            }
        }
    }

    fn take_anthropic(&mut self, mut event: Map<String, Value>, shown: &mut String) {
        let kind = event
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        match kind.as_str() {
            "message_start" => {
                if let Some(Value::Object(message)) = event.remove("message") {
                    self.whole = message;
                }
            }
            "content_block_start" => {
                let block = event.remove("content_block").unwrap_or_default();
                let _ = self.part(&event, || block);
            }
            "content_block_delta" => {
                let Some(Value::Object(mut delta)) = event.remove("delta") else {
                    return;
                };
                delta.remove("type");
                if let Some(text) = delta.get("text").and_then(Value::as_str) {
                    shown.push_str(text);
                }
                let citation = delta.remove("citation");
                let Some(Value::Object(block)) = self.part(&event, || json!({})) else {
                    return;
                };
                if let Some(citation) = citation {
                    match block.get_mut("citations") {
                        Some(Value::Array(all)) => all.push(citation),
                        _ => drop(block.insert("citations".to_owned(), json!([citation]))),
                    }
                }
                merge(block, delta);
            }
            "message_delta" => {
                for (name, value) in event {
                    match (name.as_str(), value) {
                        ("delta", Value::Object(delta)) => self.whole.extend(delta),
                        ("usage", Value::Object(usage)) => match self.whole.get_mut("usage") {
                            Some(Value::Object(all)) => all.extend(usage),
                            _ => drop(self.whole.insert(name, Value::Object(usage))),
                        },
                        _ => {}
                    }
                }
            }
            "message_stop" => self.done = true,
            _ => {}
        }
    }

    /// The part an event names by its index, made where it is new. An index far
    /// past the last part is nonsense and gives none.
    fn part(
        &mut self,
        event: &Map<String, Value>,
        new: impl FnOnce() -> Value,
    ) -> Option<&mut Value> {
        let index = event.get("index").and_then(Value::as_u64).unwrap_or(0) as usize;
        if index == self.parts.len() {
            self.parts.push(new());
        }
        self.parts.get_mut(index)
    }
}

/// Merges a delta: text is appended, tool calls go by their index, anything else
/// replaces what was there.
fn merge(whole: &mut Map<String, Value>, delta: Map<String, Value>) {
    for (name, value) in delta {
        match (whole.get_mut(&name), value) {
            (Some(Value::String(text)), Value::String(more))
                if !matches!(name.as_str(), "role" | "id" | "type" | "name") =>
            {
                text.push_str(&more);
            }
            (Some(Value::Object(inner)), Value::Object(more)) => merge(inner, more),
            (place, Value::Array(calls)) if name == "tool_calls" => {
                let mut all = match place {
                    Some(Value::Array(all)) => std::mem::take(all),
                    _ => Vec::new(),
                };
                for call in calls {
                    merge_call(&mut all, call);
                }
                whole.insert(name, Value::Array(all));
            }
            (Some(_), Value::Null) => {}
            (_, value) => {
                whole.insert(name, value);
            }
        }
    }
}

fn merge_call(all: &mut Vec<Value>, call: Value) {
    let Value::Object(mut call) = call else {
        return;
    };
    let index = call
        .remove("index")
        .and_then(|index| index.as_u64())
        .map_or(all.len(), |index| index as usize);
    if index == all.len() {
        all.push(Value::Object(call));
    } else if let Some(Value::Object(known)) = all.get_mut(index) {
        merge(known, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assembled(format: Format, events: &[Value], end: &str) -> (Result<Value, String>, String) {
        let mut text = String::new();
        for event in events {
            text.push_str("data: ");
            text.push_str(&event.to_string());
            text.push_str("\n\n");
        }
        text.push_str(end);
        let mut assembler = Assembler::new(format);
        // Pieces never end where events do.
        let shown = text
            .as_bytes()
            .chunks(7)
            .map(|piece| assembler.feed(piece))
            .collect();
        (assembler.finish(), shown)
    }

    #[test]
    fn a_chat_stream_becomes_a_completion() {
        let chunk = |delta: Value| {
            json!({"id": "c", "object": "chat.completion.chunk", "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
        };
        let call = |fields: Value| chunk(json!({"tool_calls": [fields]}));
        let events = [
            chunk(json!({"role": "assistant", "content": ""})),
            chunk(json!({"content": "Hel"})),
            chunk(json!({"content": "lo"})),
            call(
                json!({"index": 0, "id": "t1", "type": "function", "function": {"name": "add", "arguments": "{\"a\""}}),
            ),
            call(json!({"index": 0, "function": {"arguments": ":1}"}})),
            json!({"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
            json!({"id": "c", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}),
        ];
        let (whole, shown) = assembled(Format::Chat, &events, "data: [DONE]\n\n");
        let whole = whole.unwrap();
        assert_eq!(shown, "Hello");
        assert_eq!(whole["object"], "chat.completion");
        let message = &whole["choices"][0]["message"];
        assert_eq!(
            (&message["content"], &message["role"]),
            (&json!("Hello"), &json!("assistant"))
        );
        assert_eq!(
            message["tool_calls"],
            json!([{"id": "t1", "type": "function",
            "function": {"name": "add", "arguments": "{\"a\":1}"}}])
        );
        assert_eq!(whole["choices"][0]["finish_reason"], "stop");
        assert_eq!(whole["usage"]["prompt_tokens"], 3);
    }

    #[test]
    fn an_anthropic_stream_becomes_a_message() {
        let events = [
            json!({"type": "message_start", "message": {"id": "m1", "content": [], "usage": {"input_tokens": 5, "output_tokens": 1}}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
            json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"a\":"}}),
            json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "1}"}}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
            json!({"type": "message_stop"}),
        ];
        let (whole, shown) = assembled(Format::Anthropic, &events, "");
        assert_eq!(shown, "Hi");
        assert_eq!(
            whole.unwrap(),
            json!({"id": "m1", "stop_reason": "tool_use", "usage": {"input_tokens": 5, "output_tokens": 9},
                "content": [{"type": "text", "text": "Hi"}, {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]})
        );
    }

    /// A cut stream or an error in the middle never becomes a short answer.
    #[test]
    fn a_broken_stream_is_no_answer() {
        let text = json!({"choices": [{"index": 0, "delta": {"content": "a"}}]});
        assert!(
            assembled(Format::Chat, std::slice::from_ref(&text), "")
                .0
                .is_err()
        );
        let error = json!({"error": {"message": "overloaded"}});
        let (whole, _) = assembled(Format::Chat, &[text, error], "data: [DONE]\n\n");
        assert!(whole.unwrap_err().contains("overloaded"));
    }

    proptest::proptest! {
        #[test]
        fn no_stream_panics(bytes: Vec<u8>, index in 0u64..99) {
            for format in [Format::Chat, Format::Anthropic] {
                let mut assembler = Assembler::new(format);
                assembler.feed(&bytes);
                assembler.feed(format!("\ndata: {{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{{\"text\":\"x\"}},\"choices\":[{{\"index\":{index}}}]}}\n").as_bytes());
                let _ = assembler.finish();
            }
        }
    }
}
