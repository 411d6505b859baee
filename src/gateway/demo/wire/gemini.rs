//! Gemini's generateContent format.

use serde_json::{Map, Value, json};

use super::{Call, content_text, count, event, output_tokens, pieces};
use crate::gateway::demo::conversation::{
    Conversation, Message, Reply, Role, Shape, Tool, ToolCall, ToolChoice,
};

/// Reads a request; the model's name is in the path.
pub fn read(body: &Map<String, Value>, path: &str) -> Result<Conversation, String> {
    let Some(contents) = body.get("contents").and_then(Value::as_array) else {
        return Err("\"contents\" must be a list".to_owned());
    };
    let empty = Map::new();
    let member = |camel: &str, snake: &str| body.get(camel).or_else(|| body.get(snake));
    let config = member("generationConfig", "generation_config")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    let mut conversation = Conversation {
        model: path
            .rsplit('/')
            .next()
            .and_then(|name| name.split(':').next())
            .unwrap_or_default()
            .to_owned(),
        system: member("systemInstruction", "system_instruction")
            .map(|system| content_text(system.get("parts")))
            .unwrap_or_default(),
        temperature: config.get("temperature").and_then(Value::as_f64),
        n: count(config, "candidateCount"),
        stream: path.ends_with(":streamGenerateContent"),
        shape: shape(config),
        tools: tools(body),
        tool_choice: tool_choice(body),
        ..Conversation::default()
    };
    for content in contents {
        read_content(&mut conversation, content);
    }
    Ok(conversation)
}

fn read_content(conversation: &mut Conversation, content: &Value) {
    let parts = content
        .get("parts")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut calls = Vec::new();
    for part in parts {
        if let Some(call) = part.get("functionCall") {
            calls.push(ToolCall {
                name: call
                    .get("name")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                arguments: call
                    .get("args")
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default(),
            });
        }
        if let Some(result) = part
            .get("functionResponse")
            .and_then(|result| result.get("response"))
        {
            let text = result
                .get("result")
                .or_else(|| result.get("output"))
                .unwrap_or(result);
            conversation.messages.push(Message {
                role: Role::Tool,
                text: text
                    .as_str()
                    .map_or_else(|| text.to_string(), str::to_owned),
                calls: Vec::new(),
            });
        }
    }
    let text = content_text(content.get("parts"));
    let role = if content.get("role").and_then(Value::as_str) == Some("model") {
        Role::Assistant
    } else {
        Role::User
    };
    if !text.is_empty() || !calls.is_empty() {
        conversation.messages.push(Message { role, text, calls });
    }
}

fn shape(config: &Map<String, Value>) -> Shape {
    if let Some(schema) = config
        .get("responseJsonSchema")
        .or_else(|| config.get("responseSchema"))
    {
        return Shape::Schema(schema.clone());
    }
    match config.get("responseMimeType").and_then(Value::as_str) {
        Some("application/json") => Shape::JsonObject,
        _ => Shape::Text,
    }
}

fn tools(body: &Map<String, Value>) -> Vec<Tool> {
    let groups = body
        .get("tools")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    groups
        .iter()
        .filter_map(|group| {
            group
                .get("functionDeclarations")
                .or_else(|| group.get("function_declarations"))?
                .as_array()
        })
        .flatten()
        .filter_map(|tool| {
            Some(Tool {
                name: tool.get("name")?.as_str()?.to_owned(),
                description: tool
                    .get("description")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                schema: tool
                    .get("parametersJsonSchema")
                    .or_else(|| tool.get("parameters"))
                    .cloned()
                    .unwrap_or_default(),
            })
        })
        .collect()
}

fn tool_choice(body: &Map<String, Value>) -> ToolChoice {
    let config = body
        .get("toolConfig")
        .and_then(|config| config.get("functionCallingConfig"));
    let names = config
        .and_then(|config| config.get("allowedFunctionNames"))
        .and_then(Value::as_array);
    match config
        .and_then(|config| config.get("mode"))
        .and_then(Value::as_str)
    {
        Some("NONE") => ToolChoice::Forbidden,
        Some("ANY") => match names.map(Vec::as_slice) {
            Some([Value::String(name)]) => ToolChoice::Named(name.clone()),
            _ => ToolChoice::Required,
        },
        _ => ToolChoice::Auto,
    }
}

/// Writes a response.
pub fn write(call: &Call, replies: &[Reply]) -> Value {
    let candidates: Vec<Value> = replies
        .iter()
        .enumerate()
        .map(|(index, reply)| candidate(index, parts(&reply.text, reply), Some("STOP")))
        .collect();
    body(call, replies, &candidates)
}

/// Writes a response as a stream of partial responses.
pub fn stream(call: &Call, replies: &[Reply]) -> Vec<Vec<u8>> {
    let mut events = Vec::new();
    for (index, reply) in replies.iter().enumerate() {
        for piece in pieces(&reply.text) {
            let part = candidate(index, vec![json!({"text": piece})], None);
            events.push(event("", &body(call, replies, &[part])));
        }
        let last = candidate(index, parts("", reply), Some("STOP"));
        events.push(event("", &body(call, replies, &[last])));
    }
    events
}

fn parts(text: &str, reply: &Reply) -> Vec<Value> {
    let mut parts = Vec::new();
    if !text.is_empty() || reply.calls.is_empty() {
        parts.push(json!({"text": text}));
    }
    for tool in &reply.calls {
        parts.push(json!({"functionCall": {"name": tool.name, "args": tool.arguments}}));
    }
    parts
}

fn candidate(index: usize, parts: Vec<Value>, finish: Option<&str>) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": index});
    if let (Some(finish), Some(candidate)) = (finish, candidate.as_object_mut()) {
        candidate.insert("finishReason".to_owned(), json!(finish));
    }
    candidate
}

fn body(call: &Call, replies: &[Reply], candidates: &[Value]) -> Value {
    let output: usize = replies.iter().map(output_tokens).sum();
    json!({
        "candidates": candidates,
        "usageMetadata": {
            "promptTokenCount": call.input_tokens,
            "candidatesTokenCount": output,
            "totalTokenCount": call.input_tokens + output,
        },
        "modelVersion": call.conversation.model,
        "responseId": call.id,
    })
}
