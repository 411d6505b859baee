//! One call on its way: what is read off a worker's request before it is sent.
//!
//! Pure. Owns the cassette key, the model's name and what of a URL and of headers
//! may be written down.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::Url;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::protocol::message::{Body, LmRequest};
use crate::session::state::hex;

/// Query parameters that hold keys.
pub const KEY_PARAMETERS: [&str; 3] = ["key", "api_key", "api-key"];

/// The scheme of a call that a worker made past the gateway and tells of afterwards.
const TOLD: &str = "direct";

/// Response headers that are recorded.
const KEPT_HEADERS: [&str; 8] = [
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-request-id",
    "request-id",
    "openai-processing-ms",
    "x-should-retry",
    "cf-ray",
];

/// A request with what the gateway has to know about it.
#[derive(Debug)]
pub struct Call {
    /// As the worker sent it; its headers are looked at, never recorded.
    pub request: LmRequest,
    /// The parsed URL.
    pub url: Url,
    /// The URL as it is recorded: without any key.
    pub destination: String,
    /// The body's bytes.
    pub body: Bytes,
    /// The body as JSON; null where it is not JSON.
    pub json: Value,
    /// The model it names, in the body or in the URL.
    pub model: String,
    /// Cassette key.
    pub key: String,
    /// When it came.
    pub started: Instant,
}

impl Call {
    /// Reads a request.
    ///
    /// # Errors
    /// One sentence, when URL or body cannot be understood.
    pub fn read(request: LmRequest) -> Result<Self, String> {
        Self::of(request, &["http", "https"])
    }

    /// Reads a call that was made already, past the gateway, and is only to be recorded.
    ///
    /// # Errors
    /// One sentence, when URL or body cannot be understood.
    pub fn told(request: LmRequest) -> Result<Self, String> {
        Self::of(request, &[TOLD])
    }

    fn of(request: LmRequest, schemes: &[&str]) -> Result<Self, String> {
        let url = Url::parse(&request.url)
            .ok()
            .filter(|url| schemes.contains(&url.scheme()) && url.host_str().is_some())
            .ok_or_else(|| "the request names no http URL".to_owned())?;
        let body = bytes_of(&request.body)?;
        let json: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let destination = without_keys(&url);
        let key = key(&destination, &body, &json, request.rollout_id);
        let model = match json.get("model").and_then(Value::as_str) {
            Some(model) => model.to_owned(),
            None => model_in_path(url.path()).unwrap_or_default(),
        };
        Ok(Self {
            url,
            destination,
            body,
            model,
            json,
            key,
            request,
            started: Instant::now(),
        })
    }

    /// The host asked for, lower case, without brackets.
    pub fn host(&self) -> String {
        self.url
            .host_str()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_lowercase()
    }

    /// The first 80 characters of the last message, on one line.
    pub fn last_words(&self) -> String {
        let last = ["messages", "input", "contents"]
            .into_iter()
            .find_map(|name| self.json.get(name)?.as_array()?.last());
        let text = last.map(text_of).unwrap_or_default();
        let line: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(80)
            .collect();
        line.trim().to_owned()
    }
}

/// The bytes of a wire body.
///
/// # Errors
/// One sentence, when its base64 is wrong.
pub fn bytes_of(body: &Body) -> Result<Bytes, String> {
    match body {
        Body::Body(text) => Ok(Bytes::copy_from_slice(text.as_bytes())),
        Body::BodyBase64(text) => STANDARD
            .decode(text)
            .map(Bytes::from)
            .map_err(|error| format!("the request's body is not base64: {error}")),
    }
}

/// Bytes as a wire body.
pub fn body_of(bytes: &[u8]) -> Body {
    match std::str::from_utf8(bytes) {
        Ok(text) => Body::Body(text.to_owned()),
        Err(_) => Body::BodyBase64(STANDARD.encode(bytes)),
    }
}

/// The response headers that are worth keeping.
pub fn kept(headers: &[(String, String)]) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), value.clone()))
        .filter(|(name, _)| KEPT_HEADERS.contains(&name.as_str()))
        .collect()
}

/// SHA-256 of destination, canonical body and rollout id. The canonical body of
/// JSON has its members sorted; any other body counts as it is.
fn key(destination: &str, body: &[u8], json: &Value, rollout_id: Option<i64>) -> String {
    let mut hash = Sha256::new();
    hash.update(destination.as_bytes());
    hash.update([0]);
    if json.is_null() {
        hash.update(body);
    } else {
        let mut canonical = Vec::with_capacity(body.len());
        write_sorted(json, &mut canonical);
        hash.update(canonical);
    }
    hash.update([0]);
    if let Some(rollout) = rollout_id {
        hash.update(rollout.to_be_bytes());
    }
    hex(&hash.finalize())
}

/// Writes JSON compactly, the members of each object sorted.
fn write_sorted(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push(b'{');
            for (place, (name, value)) in members.into_iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write(name, out);
                out.push(b':');
                write_sorted(value, out);
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_sorted(item, out);
            }
            out.push(b']');
        }
        leaf => write(leaf, out),
    }
}

/// Strings and numbers always have a JSON form.
fn write(leaf: &(impl serde::Serialize + ?Sized), out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, leaf);
}

fn without_keys(url: &Url) -> String {
    let mut clean = url.clone();
    let _ = clean.set_username("");
    let _ = clean.set_password(None);
    clean.set_fragment(None);
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !KEY_PARAMETERS.contains(&name.as_ref()))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    if kept.is_empty() {
        clean.set_query(None);
    } else {
        clean.query_pairs_mut().clear().extend_pairs(kept);
    }
    clean.into()
}

/// `…/models/NAME:generateContent` of Gemini, `/model/NAME/converse` of Bedrock.
fn model_in_path(path: &str) -> Option<String> {
    if let Some((_, rest)) = path.rsplit_once("/models/") {
        return rest.split([':', '/']).next().map(str::to_owned);
    }
    let name = path.strip_prefix("/model/")?.split('/').next()?;
    // A Bedrock name has a colon, which DSPy escapes.
    Some(name.replace("%3A", ":").replace("%3a", ":"))
}

fn text_of(message: &Value) -> String {
    match message {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text_of).collect::<Vec<_>>().join(" "),
        Value::Object(members) => ["content", "text", "parts"]
            .into_iter()
            .find_map(|name| members.get(name))
            .map(text_of)
            .unwrap_or_default(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(url: &str, body: &str, rollout_id: Option<i64>) -> Call {
        Call::read(LmRequest {
            span: None,
            parent: None,
            run: None,
            cell: None,
            method: "POST".into(),
            url: url.into(),
            headers: vec![],
            body: Body::Body(body.into()),
            timeout: None,
            stream: false,
            cache: true,
            rollout_id,
            price: None,
        })
        .unwrap()
    }

    #[test]
    fn the_key_ignores_the_order_of_members_and_any_key_in_the_url() {
        let one = call(
            "http://h/v1/x?key=canary",
            r#"{"a":1,"b":{"c":2,"d":3}}"#,
            None,
        );
        let two = call("http://h/v1/x", r#"{"b": {"d":3,"c":2}, "a":1}"#, None);
        assert_eq!(one.key, two.key);
        assert_eq!(one.destination, "http://h/v1/x");
        for other in [
            call("http://h/v1/y", r#"{"a":1,"b":{"c":2,"d":3}}"#, None),
            call("http://h/v1/x", r#"{"a":1,"b":{"c":2,"d":4}}"#, None),
            call("http://h/v1/x", r#"{"a":1,"b":{"c":2,"d":3}}"#, Some(0)),
        ] {
            assert_ne!(one.key, other.key);
        }
    }

    #[test]
    fn the_canonical_body_is_compact_json_with_sorted_members() {
        let value =
            serde_json::json!({"b": [1, {"z": null, "a": "\"\u{e9}\n"}], "a": 1.5, "c": {}});
        let mut out = Vec::new();
        write_sorted(&value, &mut out);
        let expected = r#"{"a":1.5,"b":[1,{"a":"\"é\n","z":null}],"c":{}}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    /// `BestOfN(N=4)` sends four identical bodies; their rollout ids tell them apart.
    #[test]
    fn four_rollouts_have_four_keys() {
        let keys: std::collections::HashSet<String> = (0..4)
            .map(|n| call("http://h/v1", "{}", Some(n)).key)
            .collect();
        assert_eq!(keys.len(), 4);
    }

    #[test]
    fn models_and_last_words_are_found() {
        let chat = call(
            "http://h/v1/chat/completions",
            r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"text","text":"last\nwords"}]}]}"#,
            None,
        );
        assert_eq!(
            (chat.model.as_str(), chat.last_words().as_str()),
            ("m", "last words")
        );
        let gemini = call(
            "http://h/v1beta/models/gemini-2:generateContent",
            "{}",
            None,
        );
        assert_eq!(gemini.model, "gemini-2");
    }
}
