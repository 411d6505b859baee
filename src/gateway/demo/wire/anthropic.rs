//! Anthropic's messages format.

use serde_json::{Map, Value, json};

use super::{Call, content_text, event, first, flag, output_tokens, pieces, string};
use crate::gateway::demo::conversation::{
    Conversation, Message, Reply, Role, Shape, Tool, ToolCall, ToolChoice,
};

/// Reads a request.
pub fn read(body: &Map<String, Value>) -> Result<Conversation, String> {
    let Some(messages) = body.get("messages").and_then(Value::as_array) else {
        return Err("\"messages\" must be a list".to_owned());
    };
    let tools = body
        .get("tools")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut conversation = Conversation {
        model: string(body, "model"),
        system: content_text(body.get("system")),
        temperature: body.get("temperature").and_then(Value::as_f64),
        n: 1,
        stream: flag(body, "stream"),
        tools: tools
            .iter()
            .filter_map(|tool| {
                Some(Tool {
                    name: tool.get("name")?.as_str()?.to_owned(),
                    description: tool
                        .get("description")
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned(),
                    schema: tool.get("input_schema").cloned().unwrap_or_default(),
                })
            })
            .collect(),
        tool_choice: match body
            .get("tool_choice")
            .and_then(|choice| choice.get("type"))
            .and_then(Value::as_str)
        {
            Some("any") => ToolChoice::Required,
            Some("none") => ToolChoice::Forbidden,
            Some("tool") => body
                .get("tool_choice")
                .and_then(|choice| choice.get("name"))
                .and_then(Value::as_str)
                .map_or(ToolChoice::Required, |name| {
                    ToolChoice::Named(name.to_owned())
                }),
            _ => ToolChoice::Auto,
        },
        shape: body
            .get("output_config")
            .and_then(|config| config.pointer("/format/schema"))
            .or_else(|| {
                body.get("output_format")
                    .and_then(|format| format.get("schema"))
            })
            .map_or(Shape::Text, |schema| Shape::Schema(schema.clone())),
        ..Conversation::default()
    };
    for message in messages {
        let role = match message.get("role").and_then(Value::as_str) {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            _ => return Err("a message's \"role\" is user or assistant".to_owned()),
        };
        read_message(&mut conversation, role, message.get("content"));
    }
    Ok(conversation)
}

fn read_message(conversation: &mut Conversation, role: Role, content: Option<&Value>) {
    let mut calls = Vec::new();
    for part in content.and_then(Value::as_array).into_iter().flatten() {
        match part.get("type").and_then(Value::as_str) {
            Some("tool_use") => calls.push(ToolCall {
                name: part
                    .get("name")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                arguments: part
                    .get("input")
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default(),
            }),
            Some("tool_result") => conversation.messages.push(Message {
                role: Role::Tool,
                text: content_text(part.get("content")),
                calls: Vec::new(),
            }),
            _ => {}
        }
    }
    let text = content_text(content);
    if !text.is_empty() || !calls.is_empty() {
        conversation.messages.push(Message { role, text, calls });
    }
}

/// Writes a response; this format has one answer.
pub fn write(call: &Call, replies: &[Reply]) -> Value {
    let reply = first(replies);
    json!({
        "id": format!("msg_{}", call.id),
        "type": "message",
        "role": "assistant",
        "model": call.conversation.model,
        "content": blocks(call, &reply),
        "stop_reason": stop(&reply),
        "stop_sequence": null,
        "usage": {"input_tokens": call.input_tokens, "output_tokens": output_tokens(&reply)},
    })
}

fn stop(reply: &Reply) -> &'static str {
    if reply.calls.is_empty() {
        "end_turn"
    } else {
        "tool_use"
    }
}

fn blocks(call: &Call, reply: &Reply) -> Vec<Value> {
    let mut blocks = Vec::new();
    if !reply.text.is_empty() || reply.calls.is_empty() {
        blocks.push(json!({"type": "text", "text": reply.text}));
    }
    for (place, tool) in reply.calls.iter().enumerate() {
        blocks.push(json!({
            "type": "tool_use",
            "id": format!("toolu_{}_{place}", call.id),
            "name": tool.name,
            "input": tool.arguments,
        }));
    }
    blocks
}

/// Writes a response as a stream of named events.
pub fn stream(call: &Call, replies: &[Reply]) -> Vec<Vec<u8>> {
    let reply = first(replies);
    let mut start = write(call, replies);
    if let Some(start) = start.as_object_mut() {
        start.insert("content".to_owned(), json!([]));
        start.insert("stop_reason".to_owned(), Value::Null);
        start.insert(
            "usage".to_owned(),
            json!({"input_tokens": call.input_tokens, "output_tokens": 1}),
        );
    }
    let mut events = vec![event(
        "message_start",
        &json!({"type": "message_start", "message": start}),
    )];
    for (index, block) in blocks(call, &reply).into_iter().enumerate() {
        let is_text = block.get("type").and_then(Value::as_str) == Some("text");
        let mut begun = block.clone();
        if let Some(begun) = begun.as_object_mut() {
            begun.insert(
                if is_text { "text" } else { "input" }.to_owned(),
                if is_text { json!("") } else { json!({}) },
            );
        }
        events.push(event(
            "content_block_start",
            &json!({"type": "content_block_start", "index": index, "content_block": begun}),
        ));
        let deltas: Vec<Value> = if is_text {
            pieces(&reply.text)
                .into_iter()
                .map(|piece| json!({"type": "text_delta", "text": piece}))
                .collect()
        } else {
            let input = block.get("input").map(Value::to_string).unwrap_or_default();
            vec![json!({"type": "input_json_delta", "partial_json": input})]
        };
        for delta in deltas {
            events.push(event(
                "content_block_delta",
                &json!({"type": "content_block_delta", "index": index, "delta": delta}),
            ));
        }
        events.push(event(
            "content_block_stop",
            &json!({"type": "content_block_stop", "index": index}),
        ));
    }
    events.push(event(
        "message_delta",
        &json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop(&reply), "stop_sequence": null},
            "usage": {"output_tokens": output_tokens(&reply)},
        }),
    ));
    events.push(event("message_stop", &json!({"type": "message_stop"})));
    events
}
