//! Sends a session's spans to a collector, over OTLP/HTTP.
//!
//! What is sent is made by [`crate::session::otlp`]. Address and headers are those of
//! OpenTelemetry's own variables unless the request names an address.

use bytes::Bytes;
use reqwest::Url;
use serde_json::json;

use super::OperationResult;
use crate::gateway::Gateway;
use crate::protocol::error::{OperationError, near_matches};
use crate::session::event::Document;
use crate::session::journal::Journal;
use crate::session::otlp::{self, Encoding};
use crate::session::reader::SessionReader;
use crate::session::state::SessionState;

/// OpenTelemetry's variable for the collector's address.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// OpenTelemetry's variable for further headers, such as a key: `name=value,name=value`.
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

/// OpenTelemetry's variables for how requests are written, the more exact one first.
const PROTOCOL: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
];

/// What is exported, and where to.
#[derive(Debug)]
pub struct Wanted {
    /// The session's id.
    pub id: String,
    /// The collector, where one is named.
    pub endpoint: Option<String>,
    /// Only this run.
    pub run: Option<u64>,
    /// `http/protobuf` or `http/json`, where one is named.
    pub protocol: Option<String>,
}

/// Sends all runs that have ended, or one of them.
pub(super) async fn export(
    session: SessionState,
    journal: Journal,
    gateway: Gateway,
    wanted: Wanted,
) -> OperationResult {
    let Wanted {
        id,
        endpoint,
        run,
        protocol,
    } = wanted;
    let url = address(endpoint.or_else(|| variable(ENDPOINT)))?;
    let encoding = encoding(protocol.or_else(|| PROTOCOL.iter().find_map(|it| variable(it))))?;
    let kind = encoding.content_type();
    let mut headers = vec![("content-type".to_owned(), kind.to_owned())];
    headers.extend(further(&variable(HEADERS).unwrap_or_default()));
    let made = tokio::task::spawn_blocking(move || {
        let read = |document: &Document| journal.read_document(document);
        // What the state let go is in the log.
        let log = journal
            .dir()
            .filter(|_| session.runs.values().any(|run| run.left > 0));
        let log = log.and_then(|dir| SessionReader::open(&dir).ok());
        let session = log.map_or(session, |mut log| log.whole_state());
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
        let body = encoding.encode(body).map_err(OperationError::internal)?;
        let (status, answer) = gateway
            .post(url.clone(), headers.clone(), Bytes::from(body))
            .await
            .map_err(|why| refused(format!("{url}: {why}")))?;
        if status == 415 {
            let message = format!("{url} does not take {kind}");
            return Err(refused(message).hint(format!("try protocol {}", encoding.other().name())));
        }
        if !(200..300).contains(&status) {
            let said: String = String::from_utf8_lossy(&answer).chars().take(200).collect();
            return Err(refused(format!("{url} answered {status}: {said}")));
        }
        spans += count;
        rejected += encoding.rejected(&answer);
    }
    Ok(json!({
        "spans": spans, "requests": sent, "rejected": rejected, "endpoint": url.as_str(),
    }))
}

fn refused(message: String) -> OperationError {
    OperationError::invalid("export_failed", message)
        .hint("is a collector that takes OTLP over HTTP listening there? Its port is usually 4318")
}

/// How requests are written: protobuf unless something else is named.
fn encoding(named: Option<String>) -> Result<Encoding, OperationError> {
    let Some(named) = named else {
        return Ok(Encoding::default());
    };
    Encoding::named(&named).ok_or_else(|| {
        let message = format!("`{named}` is not a protocol that spans are sent by");
        let [first, second] = Encoding::ALL.map(Encoding::name);
        OperationError::invalid("invalid_argument", message)
            .hint(format!("give {first} or {second}"))
            .near(near_matches(&named, [first, second]))
    })
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
        let of = |name: &str| encoding(Some(name.to_owned()));
        assert_eq!(encoding(None).unwrap(), Encoding::Protobuf);
        assert_eq!(of("http/json").unwrap(), Encoding::Json);
        let grpc = serde_json::to_string(&of("grpc").unwrap_err()).unwrap();
        assert!(grpc.contains("give http/protobuf or http/json"), "{grpc}");
        assert_eq!(
            further("api-key=a=b, X=1"),
            [
                ("api-key".to_owned(), "a=b".to_owned()),
                ("x".to_owned(), "1".to_owned())
            ]
        );
    }
}
