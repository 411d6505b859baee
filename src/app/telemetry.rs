//! Sends a session's spans to a collector, over OTLP/HTTP in JSON.
//!
//! What is sent is made by [`crate::session::otlp`]. Address and headers are those of
//! OpenTelemetry's own variables unless the request names an address.

use bytes::Bytes;
use reqwest::Url;
use serde_json::{Value, json};

use super::OperationResult;
use crate::gateway::Gateway;
use crate::protocol::error::OperationError;
use crate::session::event::Document;
use crate::session::journal::Journal;
use crate::session::otlp;
use crate::session::state::SessionState;

/// OpenTelemetry's variable for the collector's address.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// OpenTelemetry's variable for further headers, such as a key: `name=value,name=value`.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// What is exported, and where to.
pub(super) struct Wanted {
    /// The session's id.
    pub(super) id: String,
    /// The collector, where one is named.
    pub(super) endpoint: Option<String>,
    /// Only this run.
    pub(super) run: Option<u64>,
}

/// Sends all runs that have ended, or one of them.
pub(super) async fn export(
    session: SessionState,
    journal: Journal,
    gateway: Gateway,
    wanted: Wanted,
) -> OperationResult {
    let Wanted { id, endpoint, run } = wanted;
    let url = address(endpoint.or_else(|| variable(ENDPOINT)))?;
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    headers.extend(further(&variable(HEADERS).unwrap_or_default()));
    let made = tokio::task::spawn_blocking(move || {
        let read = |document: &Document| journal.read_document(document);
        otlp::requests(&session, &id, run, &read)
    });
    let requests = made
        .await
        .map_err(|error| OperationError::internal(error.to_string()))?;
    if requests.is_empty() {
        let message = match run {
            Some(run) => format!("there is no run {run} that has ended"),
            None => "no run has ended yet".to_owned(),
        };
        return Err(OperationError::invalid("nothing_to_export", message)
            .hint("`:runs` lists them; `exec` needs `--session`"));
    }
    let (mut spans, mut rejected) = (0, 0);
    let sent = requests.len();
    for (count, body) in requests {
        let (status, answer) = gateway
            .post(url.clone(), headers.clone(), Bytes::from(body.to_string()))
            .await
            .map_err(|why| refused(format!("{url}: {why}")))?;
        if !(200..300).contains(&status) {
            let said: String = String::from_utf8_lossy(&answer).chars().take(200).collect();
            return Err(refused(format!("{url} answered {status}: {said}")));
        }
        spans += count;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let number = answer.pointer("/partialSuccess/rejectedSpans");
        // 64-bit numbers are strings in OTLP, but not every collector knows.
        rejected += match number {
            Some(Value::String(number)) => number.parse().unwrap_or(0),
            Some(number) => number.as_u64().unwrap_or(0),
            None => 0,
        };
    }
    Ok(json!({
        "spans": spans, "requests": sent, "rejected": rejected, "endpoint": url.as_str(),
    }))
}

fn refused(message: String) -> OperationError {
    OperationError::invalid("export_failed", message)
        .hint("is a collector that takes OTLP over HTTP in JSON listening there? Its port is usually 4318")
}

/// The address of a collector's traces: the one named, with OTLP's own path where it
/// has none.
fn address(endpoint: Option<String>) -> Result<Url, OperationError> {
    let Some(endpoint) = endpoint else {
        let message = "say where the collector is: `endpoint`";
        return Err(
            OperationError::invalid("missing_argument", message).hint(format!(
                "for example `http://127.0.0.1:4318`, or set {ENDPOINT}"
            )),
        );
    };
    let url = Url::parse(&endpoint)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some());
    let mut url = url.ok_or_else(|| {
        let message = format!("`{endpoint}` is not an http address");
        OperationError::invalid("invalid_argument", message).hint("such as http://127.0.0.1:4318")
    })?;
    if !url.path().ends_with("/v1/traces") {
        let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    Ok(url)
}

fn further(text: &str) -> Vec<(String, String)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned()))
        .collect()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_the_path_it_lacks() {
        let of = |text: &str| address(Some(text.to_owned())).map(String::from);
        assert_eq!(of("http://h:4318").unwrap(), "http://h:4318/v1/traces");
        assert_eq!(of("http://h/otlp/").unwrap(), "http://h/otlp/v1/traces");
        assert_eq!(of("http://h/v1/traces").unwrap(), "http://h/v1/traces");
        assert_eq!(of("h:4318").unwrap_err().kind, "invalid_argument");
        assert_eq!(address(None).unwrap_err().kind, "missing_argument");
        assert_eq!(
            further("api-key=a=b, X=1"),
            [
                ("api-key".to_owned(), "a=b".to_owned()),
                ("x".to_owned(), "1".to_owned())
            ]
        );
    }
}
