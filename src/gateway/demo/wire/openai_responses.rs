//! OpenAI's responses format.

use serde_json::{Map, Value, json};

use super::openai_chat::{add_system, tool_choice, tools};
use super::{Call, content_text, event, first, flag, output_tokens, pieces, string};
use crate::gateway::demo::conversation::{Conversation, Message, Reply, Role, Shape, ToolCall};

/// Reads a request.
pub fn read(body: &Map<String, Value>) -> Result<Conversation, String> {
    let mut conversation = Conversation {
        model: string(body, "model"),
        system: string(body, "instructions"),
        temperature: body.get("temperature").and_then(Value::as_f64),
        n: 1,
        stream: flag(body, "stream"),
        tools: tools(body),
        tool_choice: tool_choice(body.get("tool_choice")),
        shape: shape(body.get("text").and_then(|text| text.get("format"))),
        ..Conversation::default()
    };
    match body.get("input") {
        Some(Value::String(text)) => conversation.messages.push(Message {
            text: text.clone(),
            ..Message::default()
        }),
        Some(Value::Array(items)) => {
            for item in items {
                read_item(&mut conversation, item);
            }
        }
        _ => return Err("\"input\" must be a text or a list".to_owned()),
    }
    Ok(conversation)
}

fn read_item(conversation: &mut Conversation, item: &Value) {
    let member = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    match (member("type"), member("role")) {
        ("function_call", _) => conversation.messages.push(Message {
            role: Role::Assistant,
            text: String::new(),
            calls: vec![ToolCall {
                name: member("name").to_owned(),
                arguments: serde_json::from_str(member("arguments")).unwrap_or_default(),
            }],
        }),
        ("function_call_output", _) => conversation.messages.push(Message {
            role: Role::Tool,
            text: content_text(item.get("output")),
            calls: Vec::new(),
        }),
        (_, "system" | "developer") => add_system(conversation, &content_text(item.get("content"))),
        (_, role @ ("user" | "assistant")) => conversation.messages.push(Message {
            role: if role == "user" {
                Role::User
            } else {
                Role::Assistant
            },
            text: content_text(item.get("content")),
            calls: Vec::new(),
        }),
        _ => {}
    }
}

fn shape(format: Option<&Value>) -> Shape {
    let Some(format) = format else {
        return Shape::Text;
    };
    match (
        format.get("type").and_then(Value::as_str),
        format.get("schema"),
    ) {
        (Some("json_schema"), Some(schema)) => Shape::Schema(schema.clone()),
        (Some("json_object" | "json_schema"), _) => Shape::JsonObject,
        _ => Shape::Text,
    }
}

/// Writes a response; this format has one answer.
pub fn write(call: &Call, replies: &[Reply]) -> Value {
    envelope(call, &first(replies), "completed", true)
}

fn envelope(call: &Call, reply: &Reply, status: &str, full: bool) -> Value {
    let output = output_tokens(reply);
    json!({
        "id": format!("resp_{}", call.id),
        "object": "response",
        "created_at": 0,
        "status": status,
        "model": call.conversation.model,
        "output": if full { items(call, reply) } else { json!([]) },
        "usage": if full { json!({
            "input_tokens": call.input_tokens,
            "output_tokens": output,
            "total_tokens": call.input_tokens + output,
        }) } else { Value::Null },
        "error": null,
        "incomplete_details": null,
    })
}

fn items(call: &Call, reply: &Reply) -> Value {
    let mut items = Vec::new();
    if !reply.text.is_empty() || reply.calls.is_empty() {
        items.push(json!({
            "type": "message",
            "id": format!("msg_{}", call.id),
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": reply.text, "annotations": []}],
        }));
    }
    for (place, tool) in reply.calls.iter().enumerate() {
        items.push(json!({
            "type": "function_call",
            "id": format!("fc_{}_{place}", call.id),
            "call_id": format!("call_{}_{place}", call.id),
            "status": "completed",
            "name": tool.name,
            "arguments": Value::Object(tool.arguments.clone()).to_string(),
        }));
    }
    Value::Array(items)
}

/// Writes a response as a stream of named events.
pub fn stream(call: &Call, replies: &[Reply]) -> Vec<Vec<u8>> {
    let reply = first(replies);
    let mut number = 0_u64;
    let mut events = Vec::new();
    let mut push = |kind: &str, mut data: Value| {
        if let Some(data) = data.as_object_mut() {
            data.insert("type".to_owned(), json!(kind));
            data.insert("sequence_number".to_owned(), json!(number));
        }
        number += 1;
        events.push(event(kind, &data));
    };
    push(
        "response.created",
        json!({"response": envelope(call, &reply, "in_progress", false)}),
    );
    let items = items(call, &reply);
    for (place, item) in items.as_array().into_iter().flatten().enumerate() {
        let id = item.get("id").cloned().unwrap_or_default();
        let is_call = item.get("type").and_then(Value::as_str) == Some("function_call");
        let mut begun = item.clone();
        if let Some(begun) = begun.as_object_mut() {
            begun.insert("status".to_owned(), json!("in_progress"));
            begun.insert(
                if is_call { "arguments" } else { "content" }.to_owned(),
                if is_call { json!("") } else { json!([]) },
            );
        }
        push(
            "response.output_item.added",
            json!({"output_index": place, "item": begun}),
        );
        if is_call {
            let arguments = item.get("arguments").cloned().unwrap_or_default();
            push(
                "response.function_call_arguments.delta",
                json!({"item_id": id, "output_index": place, "delta": arguments}),
            );
            push(
                "response.function_call_arguments.done",
                json!({"item_id": id, "output_index": place, "arguments": arguments}),
            );
        } else {
            let part = json!({"type": "output_text", "text": "", "annotations": []});
            push(
                "response.content_part.added",
                json!({"item_id": id, "output_index": place, "content_index": 0, "part": part}),
            );
            for piece in pieces(&reply.text) {
                push(
                    "response.output_text.delta",
                    json!({"item_id": id, "output_index": place, "content_index": 0, "delta": piece}),
                );
            }
            push(
                "response.output_text.done",
                json!({"item_id": id, "output_index": place, "content_index": 0, "text": reply.text}),
            );
        }
        push(
            "response.output_item.done",
            json!({"output_index": place, "item": item}),
        );
    }
    push(
        "response.completed",
        json!({"response": envelope(call, &reply, "completed", true)}),
    );
    events
}
