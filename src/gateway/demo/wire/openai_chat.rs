//! OpenAI's chat completions, and the older text completions: what most servers
//! speak.

use serde_json::{Map, Value, json};

use super::{Call, content_text, count, event, flag, output_tokens, pieces, string};
use crate::gateway::demo::conversation::{
    Conversation, Message, Reply, Role, Shape, Tool, ToolCall, ToolChoice,
};

/// Reads a chat request.
pub fn read(body: &Map<String, Value>) -> Result<Conversation, String> {
    let Some(messages) = body.get("messages").and_then(Value::as_array) else {
        return Err("\"messages\" must be a list".to_owned());
    };
    let mut conversation = Conversation {
        model: string(body, "model"),
        temperature: body.get("temperature").and_then(Value::as_f64),
        n: count(body, "n"),
        stream: flag(body, "stream"),
        shape: shape(body.get("response_format")),
        tools: tools(body),
        tool_choice: tool_choice(body.get("tool_choice")),
        ..Conversation::default()
    };
    for message in messages {
        read_message(&mut conversation, message)?;
    }
    Ok(conversation)
}

/// Reads a text completion request.
pub fn read_text(body: &Map<String, Value>) -> Result<Conversation, String> {
    let prompt = content_text(body.get("prompt"));
    if prompt.is_empty() {
        return Err("\"prompt\" must be a text".to_owned());
    }
    Ok(Conversation {
        model: string(body, "model"),
        temperature: body.get("temperature").and_then(Value::as_f64),
        n: count(body, "n"),
        stream: flag(body, "stream"),
        messages: vec![Message {
            text: prompt,
            ..Message::default()
        }],
        ..Conversation::default()
    })
}

/// Adds one message of OpenAI's shape; also used for Ollama.
pub fn read_message(conversation: &mut Conversation, message: &Value) -> Result<(), String> {
    let text = content_text(message.get("content"));
    let role = match message.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => {
            add_system(conversation, &text);
            return Ok(());
        }
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => Role::Tool,
        Some(other) => {
            return Err(format!(
                "unknown role \"{other}\"; a message is system, user, assistant or tool"
            ));
        }
        None => return Err("every message needs a \"role\"".to_owned()),
    };
    let calls = message
        .get("tool_calls")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let calls = calls
        .iter()
        .filter_map(|call| {
            let function = call.get("function")?;
            let name = function.get("name")?.as_str()?.to_owned();
            let arguments = match function.get("arguments")? {
                Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
                Value::Object(arguments) => arguments.clone(),
                _ => Map::new(),
            };
            Some(ToolCall { name, arguments })
        })
        .collect();
    conversation.messages.push(Message { role, text, calls });
    Ok(())
}

/// Adds a system text below the earlier ones.
pub fn add_system(conversation: &mut Conversation, text: &str) {
    if !conversation.system.is_empty() && !text.is_empty() {
        conversation.system.push_str("\n\n");
    }
    conversation.system.push_str(text);
}

fn shape(format: Option<&Value>) -> Shape {
    let Some(format) = format else {
        return Shape::Text;
    };
    match format.get("type").and_then(Value::as_str) {
        Some("json_object") => Shape::JsonObject,
        Some("json_schema") => format
            .pointer("/json_schema/schema")
            .or_else(|| format.get("schema"))
            .map_or(Shape::JsonObject, |schema| Shape::Schema(schema.clone())),
        _ => Shape::Text,
    }
}

/// Tools of OpenAI's shape, nested in `function` or flat; also used for Ollama
/// and for the responses format.
pub fn tools(body: &Map<String, Value>) -> Vec<Tool> {
    let tools = body
        .get("tools")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    tools
        .iter()
        .filter_map(|tool| {
            let function = tool.get("function").unwrap_or(tool);
            Some(Tool {
                name: function.get("name")?.as_str()?.to_owned(),
                description: function
                    .get("description")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                schema: function.get("parameters").cloned().unwrap_or_default(),
            })
        })
        .collect()
}

/// `auto`, `none`, `required`, or one function by name.
pub fn tool_choice(choice: Option<&Value>) -> ToolChoice {
    match choice {
        Some(Value::String(word)) if word == "none" => ToolChoice::Forbidden,
        Some(Value::String(word)) if word == "required" => ToolChoice::Required,
        Some(Value::Object(choice)) => choice
            .get("function")
            .and_then(|function| function.get("name"))
            .or_else(|| choice.get("name"))
            .and_then(Value::as_str)
            .map_or(ToolChoice::Auto, |name| ToolChoice::Named(name.to_owned())),
        _ => ToolChoice::Auto,
    }
}

/// Writes a chat response.
pub fn write(call: &Call, replies: &[Reply]) -> Value {
    let choices: Vec<Value> = replies
        .iter()
        .enumerate()
        .map(|(index, reply)| {
            let content = if reply.text.is_empty() && !reply.calls.is_empty() { Value::Null } else { json!(reply.text) };
            let mut message = json!({"role": "assistant", "content": content});
            if !reply.calls.is_empty()
                && let Some(message) = message.as_object_mut()
            {
                message.insert("tool_calls".to_owned(), calls(call, reply));
            }
            json!({"index": index, "message": message, "finish_reason": finish(reply), "logprobs": null})
        })
        .collect();
    json!({
        "id": format!("chatcmpl-{}", call.id),
        "object": "chat.completion",
        "created": 0,
        "model": call.conversation.model,
        "choices": choices,
        "usage": usage(call, replies),
    })
}

/// Writes a text completion response.
pub fn write_text(call: &Call, replies: &[Reply]) -> Value {
    let choices: Vec<Value> = replies
        .iter()
        .enumerate()
        .map(|(index, reply)| json!({"index": index, "text": reply.text, "finish_reason": "stop", "logprobs": null}))
        .collect();
    json!({
        "id": format!("cmpl-{}", call.id),
        "object": "text_completion",
        "created": 0,
        "model": call.conversation.model,
        "choices": choices,
        "usage": usage(call, replies),
    })
}

/// Writes a chat response as a stream that ends with usage and `[DONE]`.
pub fn stream(call: &Call, replies: &[Reply]) -> Vec<Vec<u8>> {
    let chunk = |index: usize, delta: Value, finish: Value| {
        let choices = json!([{"index": index, "delta": delta, "finish_reason": finish}]);
        event("", &envelope(call, "chat.completion.chunk", choices))
    };
    let mut events = Vec::new();
    for (index, reply) in replies.iter().enumerate() {
        events.push(chunk(
            index,
            json!({"role": "assistant", "content": ""}),
            Value::Null,
        ));
        for piece in pieces(&reply.text) {
            events.push(chunk(index, json!({"content": piece}), Value::Null));
        }
        if let Value::Array(calls) = calls(call, reply) {
            for (place, mut tool) in calls.into_iter().enumerate() {
                if let Some(tool) = tool.as_object_mut() {
                    tool.insert("index".to_owned(), json!(place));
                }
                events.push(chunk(index, json!({"tool_calls": [tool]}), Value::Null));
            }
        }
        events.push(chunk(index, json!({}), json!(finish(reply))));
    }
    let mut last = envelope(call, "chat.completion.chunk", json!([]));
    if let Some(last) = last.as_object_mut() {
        last.insert("usage".to_owned(), usage(call, replies));
    }
    events.push(event("", &last));
    events.push(b"data: [DONE]\n\n".to_vec());
    events
}

/// Writes a text completion as a stream.
pub fn stream_text(call: &Call, replies: &[Reply]) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    for (index, reply) in replies.iter().enumerate() {
        for piece in pieces(&reply.text) {
            let choices = json!([{"index": index, "text": piece, "finish_reason": null}]);
            events.push(event("", &envelope(call, "text_completion", choices)));
        }
        let choices = json!([{"index": index, "text": "", "finish_reason": "stop"}]);
        events.push(event("", &envelope(call, "text_completion", choices)));
    }
    events.push(b"data: [DONE]\n\n".to_vec());
    events
}

fn envelope(call: &Call, object: &str, choices: Value) -> Value {
    json!({
        "id": format!("chatcmpl-{}", call.id),
        "object": object,
        "created": 0,
        "model": call.conversation.model,
        "choices": choices,
    })
}

fn calls(call: &Call, reply: &Reply) -> Value {
    reply
        .calls
        .iter()
        .enumerate()
        .map(|(place, tool)| {
            json!({
                "id": format!("call_{}_{place}", call.id),
                "type": "function",
                "function": {"name": tool.name, "arguments": Value::Object(tool.arguments.clone()).to_string()},
            })
        })
        .collect()
}

fn finish(reply: &Reply) -> &'static str {
    if reply.calls.is_empty() {
        "stop"
    } else {
        "tool_calls"
    }
}

fn usage(call: &Call, replies: &[Reply]) -> Value {
    let output: usize = replies.iter().map(output_tokens).sum();
    json!({
        "prompt_tokens": call.input_tokens,
        "completion_tokens": output,
        "total_tokens": call.input_tokens + output,
    })
}
