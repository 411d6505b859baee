//! LM servers of this machine: who answers on the ports where they usually listen.
//!
//! Asks loopback addresses only, all at once, each for a moment; reads model
//! lists and nothing else. Makes no profile.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use reqwest::Url;
use serde::Serialize;
use serde_json::Value;

use super::listing::{of_ollama, of_openai};
use super::sink::Sink;
use super::upstream::{Outgoing, Upstream};

/// How long one port may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// Models shown of one server.
const MODELS: usize = 50;
/// Where servers listen unless told otherwise.
const USUAL: [(u16, &str); 7] = [
    (11434, "Ollama"),
    (8000, "vLLM"),
    (8080, "llama.cpp"),
    (1234, "LM Studio"),
    (30000, "SGLang"),
    (3000, "TGI"),
    (5000, "text-generation-webui"),
];

/// A server that answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LocalLm {
    /// What it says it is, else what usually listens there.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// `ollama` or `local`, as `configure_lm` takes it.
    pub provider: &'static str,
    /// As `configure_lm` takes it.
    pub api_base: String,
    /// The models it offers.
    pub models: Vec<String>,
    /// Milliseconds to its answer.
    pub latency_ms: f64,
}

/// Who answers on the usual ports and on these.
pub(super) async fn find(upstream: &Upstream, more: &[u16]) -> Vec<LocalLm> {
    let mut ports: Vec<(u16, &str)> = USUAL.to_vec();
    for port in more {
        if ports.iter().all(|(usual, _)| usual != port) {
            ports.push((*port, "OpenAI-compatible"));
        }
    }
    let asked = ports.iter().map(|(port, name)| ask(upstream, *port, name));
    join_all(asked).await.into_iter().flatten().collect()
}

async fn ask(upstream: &Upstream, port: u16, usual: &str) -> Option<LocalLm> {
    let base = format!("http://127.0.0.1:{port}");
    let began = std::time::Instant::now();
    let (tags, list) = (format!("{base}/api/tags"), format!("{base}/v1/models"));
    let (tags, list) = tokio::join!(get(upstream, &tags), get(upstream, &list));
    let latency_ms = began.elapsed().as_secs_f64() * 1e3;
    let found = |server: &str, provider, api_base, models: Vec<String>| LocalLm {
        server: server.to_owned(),
        port,
        provider,
        api_base,
        models: models.into_iter().take(MODELS).collect(),
        latency_ms,
    };
    if let Some(models) = tags.as_ref().and_then(of_ollama) {
        return Some(found("Ollama", "ollama", format!("{base}/v1"), models));
    }
    let (owner, models) = openai_models(&list?)?;
    let server = match owner.as_str() {
        "vllm" => "vLLM",
        "llamacpp" => "llama.cpp",
        "sglang" => "SGLang",
        _ => usual,
    };
    Some(found(server, "local", format!("{base}/v1"), models))
}

/// The JSON at this address; `None` for anything but a good answer.
async fn get(upstream: &Upstream, url: &str) -> Option<Value> {
    let outgoing = Outgoing {
        method: "GET".to_owned(),
        url: Url::parse(url).ok()?,
        headers: Vec::new(),
        body: Bytes::new(),
    };
    let mut sink = Sink::whole();
    let reply = upstream.send(outgoing, PATIENCE, false, &mut sink).await;
    let reply = reply.ok().filter(|reply| reply.status == 200)?;
    serde_json::from_slice(&reply.body).ok()
}

/// OpenAI's `/v1/models`, and who owns the first.
fn openai_models(body: &Value) -> Option<(String, Vec<String>)> {
    let owner = body.pointer("/data/0/owned_by").and_then(Value::as_str);
    body.get("data")?;
    Some((owner.unwrap_or_default().to_owned(), of_openai(body)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn model_lists_of_both_kinds() {
        let tags = json!({"models": [{"name": "llama3.2:latest"}, {"other": 1}]});
        assert_eq!(of_ollama(&tags), Some(vec!["llama3.2:latest".into()]));
        let list = json!({"object": "list", "data": [{"id": "m", "owned_by": "vllm"}]});
        assert_eq!(
            openai_models(&list),
            Some(("vllm".into(), vec!["m".into()]))
        );
        for other in [json!({}), json!([]), json!({"data": {}}), json!("hello")] {
            assert_eq!((of_ollama(&other), openai_models(&other)), (None, None));
        }
    }
}
