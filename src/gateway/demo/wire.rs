//! Providers' formats: any provider's request to a [`Conversation`], and answers
//! back into that provider's response, whole or as a stream.
//!
//! The format is told by the end of the URL's path, and by the body's shape where
//! the path says nothing.

use serde_json::{Map, Value, json};

use super::DemoRequest;
use super::conversation::{Conversation, Reply};
use super::text;

mod anthropic;
mod embeddings;
mod gemini;
mod ollama;
mod openai_chat;
mod openai_responses;

/// A provider's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `POST …/chat/completions`.
    OpenAiChat,
    /// `POST …/completions`: text in, text out.
    OpenAiText,
    /// `POST …/responses`.
    OpenAiResponses,
    /// `POST …/messages`.
    Anthropic,
    /// `POST …/models/NAME:generateContent` or `:streamGenerateContent`.
    Gemini,
    /// `POST …/api/chat`.
    OllamaChat,
    /// `POST …/api/generate`.
    OllamaGenerate,
    /// `POST …/embeddings`.
    Embeddings,
    /// `POST …/api/embed`.
    OllamaEmbed,
    /// `GET …/models`.
    Models,
}

/// A request that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Its format.
    pub format: Format,
    /// What it says; without messages for embeddings and lists.
    pub conversation: Conversation,
    /// Texts to embed.
    pub texts: Vec<String>,
    /// Vectors are wanted in base64.
    pub base64: bool,
    /// A stable id of the request, 16 hex digits.
    pub id: String,
    /// Tokens of the request.
    pub input_tokens: usize,
}

/// A request that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Whose error shape to use.
    pub format: Format,
    /// One sentence.
    pub message: String,
}

/// Reads a request.
pub fn read(request: &DemoRequest<'_>) -> Result<Call, Refusal> {
    let path = path(request.url);
    let named = by_path(path);
    if named == Some(Format::Models) {
        return Ok(call(
            Format::Models,
            Conversation::default(),
            Vec::new(),
            request,
        ));
    }
    let fallback = named.unwrap_or(Format::OpenAiChat);
    let refuse = |message: String| Refusal {
        format: fallback,
        message,
    };
    let body: Value = serde_json::from_slice(request.body)
        .map_err(|error| refuse(format!("the request body is not JSON: {error}")))?;
    let Value::Object(body) = body else {
        return Err(refuse("the request body must be a JSON object".to_owned()));
    };
    let format = named.or_else(|| by_body(&body)).ok_or_else(|| {
        refuse("the demo LM speaks chat completions, responses, messages, generateContent, Ollama and embeddings; this request is none of them".to_owned())
    })?;
    let refuse = |message: String| Refusal { format, message };
    if matches!(format, Format::Embeddings | Format::OllamaEmbed) {
        let texts = embeddings::texts(&body).map_err(refuse)?;
        let base64 = string(&body, "encoding_format") == "base64";
        let conversation = Conversation {
            model: string(&body, "model"),
            ..Conversation::default()
        };
        return Ok(Call {
            base64,
            ..call(format, conversation, texts, request)
        });
    }
    let mut conversation = match format {
        Format::OpenAiText => openai_chat::read_text(&body),
        Format::OpenAiResponses => openai_responses::read(&body),
        Format::Anthropic => anthropic::read(&body),
        Format::Gemini => gemini::read(&body, path),
        Format::OllamaChat | Format::OllamaGenerate => ollama::read(&body),
        _ => openai_chat::read(&body),
    }
    .map_err(refuse)?;
    if conversation.messages.is_empty() && conversation.system.is_empty() {
        return Err(refuse("the request holds no messages".to_owned()));
    }
    if conversation.model.is_empty() {
        super::MODEL.clone_into(&mut conversation.model);
    }
    conversation.n = conversation.n.clamp(1, 64);
    conversation.rollout_id = request.rollout_id;
    Ok(call(format, conversation, Vec::new(), request))
}

/// Writes a whole answer.
pub fn write(call: &Call, replies: &[Reply]) -> Vec<u8> {
    let body = match call.format {
        Format::OpenAiChat => openai_chat::write(call, replies),
        Format::OpenAiText => openai_chat::write_text(call, replies),
        Format::OpenAiResponses => openai_responses::write(call, replies),
        Format::Anthropic => anthropic::write(call, replies),
        Format::Gemini => gemini::write(call, replies),
        Format::OllamaChat | Format::OllamaGenerate => ollama::write(call, replies),
        Format::Embeddings => embeddings::write(call),
        Format::OllamaEmbed => embeddings::write_ollama(call),
        Format::Models => {
            json!({"object": "list", "data": [{"id": super::MODEL, "object": "model", "created": 0, "owned_by": "demo"}]})
        }
    };
    body.to_string().into_bytes()
}

/// Writes an answer as the pieces of a stream.
pub fn write_stream(call: &Call, replies: &[Reply]) -> Vec<Vec<u8>> {
    match call.format {
        Format::OpenAiChat => openai_chat::stream(call, replies),
        Format::OpenAiText => openai_chat::stream_text(call, replies),
        Format::OpenAiResponses => openai_responses::stream(call, replies),
        Format::Anthropic => anthropic::stream(call, replies),
        Format::Gemini => gemini::stream(call, replies),
        Format::OllamaChat | Format::OllamaGenerate => ollama::stream(call, replies),
        Format::Embeddings | Format::OllamaEmbed | Format::Models => vec![write(call, replies)],
    }
}

/// The content type of a stream.
pub fn stream_type(format: Format) -> &'static str {
    match format {
        Format::OllamaChat | Format::OllamaGenerate => "application/x-ndjson",
        Format::Embeddings | Format::OllamaEmbed | Format::Models => "application/json",
        _ => "text/event-stream",
    }
}

/// A refusal in its provider's error shape.
pub fn error_body(refusal: &Refusal) -> Value {
    let message = format!("demo LM: {}", refusal.message);
    match refusal.format {
        Format::Anthropic => {
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}})
        }
        Format::Gemini => {
            json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}})
        }
        Format::OllamaChat | Format::OllamaGenerate | Format::OllamaEmbed => {
            json!({"error": message})
        }
        _ => {
            json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}})
        }
    }
}

fn call(
    format: Format,
    conversation: Conversation,
    texts: Vec<String>,
    request: &DemoRequest<'_>,
) -> Call {
    let mut chars = conversation.system.chars().count();
    chars += conversation
        .messages
        .iter()
        .map(|message| message.text.chars().count())
        .sum::<usize>();
    chars += conversation
        .tools
        .iter()
        .map(|tool| tool.schema.to_string().len() + tool.description.len())
        .sum::<usize>();
    chars += texts.iter().map(|text| text.chars().count()).sum::<usize>();
    let seed = text::hash(&String::from_utf8_lossy(request.body));
    let rollout = request
        .rollout_id
        .map_or(0, |id| text::hash(&id.to_string()));
    Call {
        format,
        conversation,
        texts,
        base64: false,
        id: format!("{:016x}", seed ^ rollout),
        input_tokens: chars.div_ceil(4),
    }
}

fn path(url: &str) -> &str {
    let url = url.split(['?', '#']).next().unwrap_or(url);
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let start = after_scheme.find('/').unwrap_or(after_scheme.len());
    after_scheme
        .get(start..)
        .unwrap_or_default()
        .trim_end_matches('/')
}

fn by_path(path: &str) -> Option<Format> {
    const ENDINGS: &[(&str, Format)] = &[
        ("/chat/completions", Format::OpenAiChat),
        ("/completions", Format::OpenAiText),
        ("/responses", Format::OpenAiResponses),
        ("/messages", Format::Anthropic),
        (":generateContent", Format::Gemini),
        (":streamGenerateContent", Format::Gemini),
        ("/api/chat", Format::OllamaChat),
        ("/api/generate", Format::OllamaGenerate),
        ("/api/embed", Format::OllamaEmbed),
        ("/embeddings", Format::Embeddings),
        ("/models", Format::Models),
        ("/api/tags", Format::Models),
    ];
    ENDINGS
        .iter()
        .find(|(ending, _)| path.ends_with(ending))
        .map(|(_, format)| *format)
}

fn by_body(body: &Map<String, Value>) -> Option<Format> {
    match () {
        () if body.contains_key("contents") => Some(Format::Gemini),
        () if body.contains_key("messages") && body.contains_key("system") => {
            Some(Format::Anthropic)
        }
        () if body.contains_key("messages") => Some(Format::OpenAiChat),
        () if body.contains_key("input") && body.contains_key("instructions") => {
            Some(Format::OpenAiResponses)
        }
        () if body.contains_key("prompt") => Some(Format::OpenAiText),
        () => None,
    }
}

/// A string member; empty where there is none.
fn string(body: &Map<String, Value>, key: &str) -> String {
    body.get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn flag(body: &Map<String, Value>, key: &str) -> bool {
    body.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn count(body: &Map<String, Value>, key: &str) -> usize {
    body.get(key)
        .and_then(Value::as_u64)
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(1)
}

/// The text of a message's content: a string, or parts that have a `text`.
fn content_text(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts: Vec<&str> = parts
                .iter()
                .filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()))
                .collect();
            texts.join("\n")
        }
        Some(Value::Object(part)) => string(part, "text"),
        _ => String::new(),
    }
}

/// Tokens of a reply.
fn output_tokens(reply: &Reply) -> usize {
    let calls: usize = reply
        .calls
        .iter()
        .map(|call| call.name.len() + Value::Object(call.arguments.clone()).to_string().len())
        .sum();
    (reply.text.chars().count() + calls).div_ceil(4)
}

/// A text in small pieces, cut before words, of about a token or two each.
fn pieces(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    for part in text.split_inclusive(char::is_whitespace) {
        current.push_str(part);
        if current.chars().count() >= 6 {
            found.push(std::mem::take(&mut current));
        }
    }
    if !current.is_empty() {
        found.push(current);
    }
    found
}

/// A server-sent event; unnamed for an empty name.
fn event(name: &str, data: &Value) -> Vec<u8> {
    let name = if name.is_empty() {
        String::new()
    } else {
        format!("event: {name}\n")
    };
    format!("{name}data: {data}\n\n").into_bytes()
}

/// The first reply; an empty one where there is none.
fn first(replies: &[Reply]) -> Reply {
    replies.first().cloned().unwrap_or_default()
}
