//! Which models a server offers, asked in its provider's own way.
//!
//! Sends one `GET` to the base URL of a profile, with that profile's key and to that
//! place only. Records nothing: no model is called.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Url;
use serde::Serialize;
use serde_json::Value;

use super::keys::Keys;
use super::profiles::{base_of, provider_of};
use super::provider::{Provider, Wire};
use super::sink::Sink;
use super::upstream::{Outgoing, Upstream};
use crate::protocol::error::{ErrorClass, OperationError, Strategy};
use crate::session::event::LmProfile;

/// How long a list may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Names taken from one list, and the longest of them in bytes.
const MODELS: usize = 2_000;
const LONGEST: usize = 200;
/// The version of Anthropic's API that DSPy speaks too.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// What a server offers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Offered {
    /// As `configure_lm` takes them, sorted.
    pub models: Vec<String>,
    /// The provider whose server was asked.
    pub provider: &'static str,
    /// Where the list came from.
    pub url: String,
    /// Milliseconds to its answer.
    pub latency_ms: f64,
}

/// Asks a profile's server.
///
/// # Errors
/// `models_not_listed` where the server offers no list; `lm_auth` where the key is
/// missing or refused; `list_failed` for anything else, with what the server said.
pub(super) async fn ask(
    upstream: &Upstream,
    keys: &Keys,
    profile: &LmProfile,
) -> Result<Offered, OperationError> {
    let provider = provider_of(profile);
    let began = Instant::now();
    let answered = |models, url: &Url| Offered {
        models,
        provider: provider.name,
        url: url.as_str().to_owned(),
        latency_ms: began.elapsed().as_secs_f64() * 1e3,
    };
    let mut places = places(provider, &base_of(profile))?.into_iter().peekable();
    let key = keys.resolve(&profile.key).await.map_err(|sentence| {
        OperationError::new("lm_auth", ErrorClass::Lm, sentence)
            .hint("set it where the workbench was started, or give the profile another key")
    })?;
    while let Some((url, read)) = places.next() {
        if provider.name == "demo" {
            return Ok(answered(vec!["demo".to_owned()], &url));
        }
        let mut headers = Vec::new();
        headers.extend(key.as_ref().map(|key| provider.key_header(key.expose())));
        if provider.wire == Wire::Anthropic {
            headers.push(("anthropic-version".into(), ANTHROPIC_VERSION.into()));
        }
        let outgoing = Outgoing {
            method: "GET".to_owned(),
            url: url.clone(),
            headers,
            body: Bytes::new(),
        };
        let mut sink = Sink::whole();
        let reply = upstream.send(outgoing, PATIENCE, false, &mut sink).await;
        let reply = reply.map_err(|failed| {
            OperationError::new("list_failed", ErrorClass::Lm, failed.message)
                .hint("is the server running, and is `api_base` right?")
        })?;
        let list: Option<Vec<String>> = serde_json::from_slice(&reply.body)
            .ok()
            .and_then(|body: Value| read(&body));
        match (reply.status, list) {
            (200..300, Some(models)) => return Ok(answered(models, &url)),
            // Ollama's own list, then the one of its OpenAI door.
            _ if places.peek().is_some() => {}
            (401 | 403, _) => {
                let message = format!("{} refused the key ({})", host(&url), reply.status);
                return Err(OperationError::new("lm_auth", ErrorClass::Lm, message)
                    .hint("check the key of the profile: `:lm` or F2"));
            }
            (200..300 | 404 | 405 | 501, _) => return Err(not_listed(provider, host(&url))),
            (status, _) => {
                let message = format!("{} answered {status} when asked for its models", host(&url));
                let error = OperationError::new("list_failed", ErrorClass::Lm, message);
                return Err(if status == 429 || status >= 500 {
                    error.strategy(Strategy::Retry)
                } else {
                    error
                });
            }
        }
    }
    Err(not_listed(provider, provider.name))
}

/// How a list is read; `None` where it is none.
type Read = fn(&Value) -> Option<Vec<String>>;

/// Where a provider keeps its list, the best place first.
fn places(provider: &Provider, base: &str) -> Result<Vec<(Url, Read)>, OperationError> {
    // Azure calls deployments, which its list does not name; a provider without a base
    // URL is asked through its own tools.
    if provider.name == "azure" || base.is_empty() {
        return Err(not_listed(provider, provider.name));
    }
    let root = base.strip_suffix("/v1").unwrap_or(base);
    let places: Vec<(String, Read)> = match (provider.name, provider.wire) {
        ("ollama", _) => vec![
            (format!("{root}/api/tags"), of_ollama),
            (format!("{base}/models"), of_openai),
        ],
        (_, Wire::Anthropic) => vec![(format!("{base}/models?limit=1000"), of_openai)],
        (_, Wire::Gemini) => vec![(format!("{base}/models?pageSize=1000"), of_gemini)],
        (_, Wire::OpenAi) => vec![(format!("{base}/models"), of_openai)],
    };
    let parsed = places.into_iter().map(|(url, read)| {
        let url = Url::parse(&url).map_err(|error| {
            OperationError::invalid("invalid_argument", format!("{url} is no URL: {error}"))
        })?;
        Ok((url, read))
    });
    parsed.collect()
}

/// Ollama's `/api/tags`.
pub(super) fn of_ollama(body: &Value) -> Option<Vec<String>> {
    Some(names(body.get("models")?.as_array()?, "name"))
}

/// `/models` of OpenAI and Anthropic, also where it is a bare array.
pub(super) fn of_openai(body: &Value) -> Option<Vec<String>> {
    let list = body.get("data").unwrap_or(body).as_array()?;
    Some(names(list, "id"))
}

/// Gemini's `/models`: those that generate text.
fn of_gemini(body: &Value) -> Option<Vec<String>> {
    let generates = |model: &&Value| {
        let methods = model.get("supportedGenerationMethods");
        methods
            .and_then(Value::as_array)
            .is_none_or(|methods| methods.iter().any(|it| it == "generateContent"))
    };
    let list = body.get("models")?.as_array()?;
    let list: Vec<Value> = list.iter().filter(generates).cloned().collect();
    let names = names(&list, "name").into_iter();
    Some(
        names
            .map(|name| name.strip_prefix("models/").unwrap_or(&name).to_owned())
            .collect(),
    )
}

fn names(list: &[Value], key: &str) -> Vec<String> {
    let names = list.iter().filter_map(|it| it.get(key)?.as_str());
    let fine = |name: &&str| {
        !name.is_empty() && name.len() <= LONGEST && !name.chars().any(char::is_control)
    };
    let mut names: Vec<String> = names.filter(fine).take(MODELS).map(Into::into).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn not_listed(provider: &Provider, who: &str) -> OperationError {
    let hint = match provider.name {
        "azure" => "give the name of your deployment as the model",
        _ => "write the model as the provider's documentation names it",
    };
    OperationError::invalid(
        "models_not_listed",
        format!("{who} offers no list of its models"),
    )
    .hint(hint)
}

fn host(url: &Url) -> &str {
    url.host_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateway::provider;

    #[test]
    fn lists_of_all_kinds() {
        let tags = json!({"models": [{"name": "qwen3"}, {"name": "llama3.2:latest"}, {"x": 1}]});
        assert_eq!(of_ollama(&tags).unwrap(), ["llama3.2:latest", "qwen3"]);
        let list = json!({"data": [{"id": "b"}, {"id": "a"}, {"id": "a"}, {"id": "\u{1b}[2J"}]});
        assert_eq!(of_openai(&list).unwrap(), ["a", "b"]);
        assert_eq!(of_openai(&json!([{"id": "t"}])).unwrap(), ["t"]);
        let gemini = json!({"models": [
            {"name": "models/gemini-2.5-flash", "supportedGenerationMethods": ["generateContent"]},
            {"name": "models/embedding-001", "supportedGenerationMethods": ["embedContent"]},
            {"name": "models/other"},
        ]});
        assert_eq!(of_gemini(&gemini).unwrap(), ["gemini-2.5-flash", "other"]);
        for other in [json!({}), json!("hello"), json!({"data": {}})] {
            assert_eq!((of_ollama(&other), of_openai(&other)), (None, None));
            assert_eq!(of_gemini(&other), None);
        }
    }

    #[test]
    fn each_provider_has_its_place() {
        let first = |name: &str, base: &str| {
            let provider = provider::by_name(name).unwrap();
            places(provider, base).map(|places| places[0].0.as_str().to_owned())
        };
        let openai = first("openai", "https://api.openai.com/v1").unwrap();
        assert_eq!(openai, "https://api.openai.com/v1/models");
        let ollama = first("ollama", "http://localhost:11434/v1").unwrap();
        assert_eq!(ollama, "http://localhost:11434/api/tags");
        for name in ["azure", "bedrock"] {
            let error = first(name, "").unwrap_err();
            assert_eq!(error.kind, "models_not_listed");
        }
    }
}
