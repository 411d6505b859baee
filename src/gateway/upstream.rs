//! HTTP to LM servers: one pooled client, deadlines, bounds, failures in DSPy's terms.
//!
//! Knows nothing of profiles, keys or recording: it sends what it is given.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};

use super::secret::Vault;
use super::sink::Sink;
use super::{Failed, Outcome, Reply};
use crate::protocol::message::TransportFailure;

/// The largest answer that is read, in bytes.
pub const MAX_BODY: usize = 64 * 1024 * 1024;

/// Time to reach a server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A stream may take this many deadlines in all, however steadily it drips.
const STREAM_PATIENCE: u32 = 10;

/// Headers of the worker's connection, not of its request. `accept-encoding` is one
/// of them: the gateway asks for bodies as they are, and records them so.
const HOP_HEADERS: [&str; 9] = [
    "host",
    "content-length",
    "connection",
    "accept-encoding",
    "transfer-encoding",
    "keep-alive",
    "te",
    "upgrade",
    "proxy-authorization",
];

/// A request ready to be sent.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// HTTP method.
    pub method: String,
    /// Where to.
    pub url: Url,
    /// All headers, the key's included.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

/// The clients, made when first needed: reading the system's roots takes
/// milliseconds that a session without network calls need not spend.
#[derive(Debug)]
pub struct Upstream {
    /// Hides keys that a server echoes.
    vault: Arc<Vault>,
    general: OnceLock<Result<Client, String>>,
    loopback: OnceLock<Result<Client, String>>,
}

impl Upstream {
    /// Clients whose answers carry none of the vault's secrets: a server that echoes
    /// a key must not bring it to a worker.
    pub fn new(vault: Arc<Vault>) -> Self {
        Self {
            vault,
            general: OnceLock::new(),
            loopback: OnceLock::new(),
        }
    }

    /// Sends a request and hands each piece of the answer's body to the sink as it
    /// comes. `deadline` bounds the whole call where `streamed` is false; where it
    /// is true, each wait, and ten times `deadline` the whole.
    ///
    /// # Errors
    /// Why no whole answer came, with what had come.
    pub async fn send(
        &self,
        outgoing: Outgoing,
        deadline: Duration,
        streamed: bool,
        sink: &mut Sink,
    ) -> Outcome {
        let mut partial = Reply::default();
        let mut body = BytesMut::new();
        let late = || {
            Failed::new(
                TransportFailure::Timeout,
                format!("no answer within {} s", deadline.as_secs_f64()),
            )
        };
        let work = async {
            let request = self.request(outgoing)?;
            let response = within(streamed, deadline, request.send())
                .await
                .ok_or_else(late)?
                .map_err(|error| failed(&error))?;
            partial.status = response.status().as_u16();
            partial.headers = response
                .headers()
                .iter()
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect();
            let mut pieces = response.bytes_stream();
            while let Some(next) = within(streamed, deadline, pieces.next())
                .await
                .ok_or_else(late)?
            {
                let bytes = next.map_err(|error| failed(&error))?;
                if body.len() + bytes.len() > MAX_BODY {
                    return Err(Failed::new(
                        TransportFailure::Read,
                        format!("the answer is larger than {} MiB", MAX_BODY >> 20),
                    ));
                }
                body.extend_from_slice(&bytes);
                // An error is passed on whole: a key in two pieces would not be seen.
                if partial.status < 400 {
                    let shown = self.vault.hide_known(bytes);
                    sink.push(partial.status, &partial.headers, &shown).await?;
                }
            }
            Ok(())
        };
        let total = if streamed {
            deadline.saturating_mul(STREAM_PATIENCE)
        } else {
            deadline
        };
        let done = match tokio::time::timeout(total, work).await {
            Ok(done) => done,
            Err(_) => Err(late()),
        };
        partial.body = self.vault.hide_known(body.freeze());
        match done {
            Ok(()) => Ok(partial),
            Err(failure) => Err(Failed { partial, ..failure }),
        }
    }

    fn request(&self, outgoing: Outgoing) -> Result<reqwest::RequestBuilder, Failed> {
        let protocol = |message: String| Failed::new(TransportFailure::Protocol, message);
        let method = Method::from_bytes(outgoing.method.as_bytes())
            .map_err(|_| protocol(format!("{:?} is not an HTTP method", outgoing.method)))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &outgoing.headers {
            if HOP_HEADERS.iter().any(|hop| name.eq_ignore_ascii_case(hop)) {
                continue;
            }
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| protocol(format!("{name:?} is not a header name")))?;
            // The value may be a key: it is never part of a message.
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| protocol(format!("header {name} has a value HTTP forbids")))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let client = self.client(&outgoing.url)?;
        Ok(client
            .request(method, outgoing.url)
            .headers(headers)
            .body(outgoing.body))
    }

    fn client(&self, url: &Url) -> Result<&Client, Failed> {
        let local = is_loopback(url);
        let slot = if local { &self.loopback } else { &self.general };
        slot.get_or_init(|| build(local))
            .as_ref()
            .map_err(|message| Failed::new(TransportFailure::Connect, message.clone()))
    }
}

/// Whether a URL names this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

async fn within<T>(bounded: bool, deadline: Duration, work: impl Future<Output = T>) -> Option<T> {
    if bounded {
        tokio::time::timeout(deadline, work).await.ok()
    } else {
        Some(work.await)
    }
}

/// Redirects are not followed: a key must not travel to where a server points.
fn build(local: bool) -> Result<Client, String> {
    // Another part of the process may have installed it before: that is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // What DSPy itself asks for: bodies come, and are recorded, as they are.
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let builder = Client::builder()
        .default_headers(headers)
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(64)
        .user_agent(concat!("dspex-tui/", env!("CARGO_PKG_VERSION")));
    let builder = if local { builder.no_proxy() } else { builder };
    builder
        .build()
        .map_err(|error| format!("no HTTP client could be made: {error}"))
}

/// A failure of the client in DSPy's terms, with its innermost cause.
fn failed(error: &reqwest::Error) -> Failed {
    let failure = if error.is_timeout() {
        if error.is_connect() {
            TransportFailure::Connect
        } else {
            TransportFailure::Timeout
        }
    } else if error.is_connect() {
        TransportFailure::Connect
    } else if error.is_body() || error.is_decode() || broke(error) {
        TransportFailure::Read
    } else {
        TransportFailure::Protocol
    };
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let host = error
        .url()
        .and_then(Url::host_str)
        .unwrap_or("the server")
        .to_owned();
    let what = match failure {
        TransportFailure::Connect => "cannot connect to",
        TransportFailure::Timeout => "no answer in time from",
        TransportFailure::Read => "the connection broke while reading from",
        TransportFailure::Protocol | TransportFailure::Cancelled => "no HTTP answer from",
    };
    Failed::new(failure, format!("{what} {host}: {cause}"))
}

/// Whether the connection ended before the answer did.
fn broke(error: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return matches!(
                io.kind(),
                std::io::ErrorKind::ConnectionReset
                    | std::io::ErrorKind::UnexpectedEof
                    | std::io::ErrorKind::BrokenPipe
                    | std::io::ErrorKind::ConnectionAborted
            );
        }
        if let Some(http) = inner.downcast_ref::<hyper::Error>() {
            return http.is_incomplete_message() || http.is_closed();
        }
        cause = inner.source();
    }
    false
}
