//! Ollama's own chat and generate formats; its `/v1` door speaks OpenAI's.

use serde_json::{Map, Value, json};

use super::openai_chat::{read_message, tools};
use super::{Call, Format, content_text, first, output_tokens, pieces, string};
use crate::gateway::demo::conversation::{Conversation, Message, Reply, Shape};

/// Reads a request. These formats stream unless told not to.
pub fn read(body: &Map<String, Value>) -> Result<Conversation, String> {
    let mut conversation = Conversation {
        model: string(body, "model"),
        system: content_text(body.get("system")),
        temperature: body
            .get("options")
            .and_then(|options| options.get("temperature"))
            .and_then(Value::as_f64),
        n: 1,
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(true),
        tools: tools(body),
        shape: match body.get("format") {
            Some(Value::String(word)) if word == "json" => Shape::JsonObject,
            Some(schema @ Value::Object(_)) => Shape::Schema(schema.clone()),
            _ => Shape::Text,
        },
        ..Conversation::default()
    };
    if let Some(messages) = body.get("messages").and_then(Value::as_array) {
        for message in messages {
            read_message(&mut conversation, message)?;
        }
    } else if let Some(prompt) = body.get("prompt").and_then(Value::as_str) {
        conversation.messages.push(Message {
            text: prompt.to_owned(),
            ..Message::default()
        });
    } else {
        return Err("the request needs \"messages\" or a \"prompt\"".to_owned());
    }
    Ok(conversation)
}

/// Writes a whole response.
pub fn write(call: &Call, replies: &[Reply]) -> Value {
    let reply = first(replies);
    line(call, &reply.text, &reply, true)
}

/// Writes a response as lines of JSON.
pub fn stream(call: &Call, replies: &[Reply]) -> Vec<Vec<u8>> {
    let reply = first(replies);
    let mut lines: Vec<Vec<u8>> = pieces(&reply.text)
        .iter()
        .map(|piece| format!("{}\n", line(call, piece, &reply, false)).into_bytes())
        .collect();
    lines.push(format!("{}\n", line(call, "", &reply, true)).into_bytes());
    lines
}

fn line(call: &Call, text: &str, reply: &Reply, done: bool) -> Value {
    let mut line = json!({
        "model": call.conversation.model,
        "created_at": "1970-01-01T00:00:00Z",
        "done": done,
    });
    let Some(object) = line.as_object_mut() else {
        return line;
    };
    if call.format == Format::OllamaGenerate {
        object.insert("response".to_owned(), json!(text));
    } else {
        let mut message = json!({"role": "assistant", "content": text});
        if done && !reply.calls.is_empty() {
            let calls: Vec<Value> = reply
                .calls
                .iter()
                .map(|tool| json!({"function": {"name": tool.name, "arguments": tool.arguments}}))
                .collect();
            if let Some(message) = message.as_object_mut() {
                message.insert("tool_calls".to_owned(), json!(calls));
            }
        }
        object.insert("message".to_owned(), message);
    }
    if done {
        object.insert("done_reason".to_owned(), json!("stop"));
        object.insert("total_duration".to_owned(), json!(0));
        object.insert("prompt_eval_count".to_owned(), json!(call.input_tokens));
        object.insert("eval_count".to_owned(), json!(output_tokens(reply)));
    }
    line
}
