//! The loopback door: the gateway as an HTTP server for other programs.
//!
//! Listens on this machine only. Every call needs the door's token, and the Host
//! header must name this machine, so that a web page cannot reach it by rebinding a
//! name. `/health` answers without a token. `/v1/…` goes to the profile that the
//! body's `model` names, else to the default one; `/PROFILE/v1/…` to that profile.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::call::{body_of, bytes_of};
use super::profiles::{bare_model, base_of, provider_of};
use super::provider::Wire;
use super::route::Entry;
use super::upstream::MAX_BODY;
use super::{Gateway, GatewayOptions, keys};
use crate::protocol::error::{OperationError, near_matches};
use crate::protocol::message::{LmAnswer, LmChunk, LmRequest, TransportFailure};
use crate::session::event::LmProfile;
use crate::session::journal::Journal;

/// Pieces of a streamed answer that may wait for a slow reader.
const PIECES: usize = 64;

type Answer = Response<UnsyncBoxBody<Bytes, std::io::Error>>;

/// An open door; dropping it closes it.
#[derive(Debug)]
pub struct Door {
    /// Base URL for clients, `http://127.0.0.1:PORT/v1`.
    pub url: String,
    /// What clients give as their API key.
    pub token: String,
    address: SocketAddr,
    _open: DropGuard,
    closed: CancellationToken,
}

impl Door {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the door is closed.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }
}

/// What `dspex-tui gateway` needs.
#[derive(Debug)]
pub struct DoorOptions {
    /// Set-up of the gateway behind the door.
    pub gateway: GatewayOptions,
    /// Where to listen; must be a loopback address. Port 0 takes a free one.
    pub address: SocketAddr,
    /// Profiles to offer; the first is the default.
    pub profiles: Vec<LmProfile>,
}

/// Opens a door, says so through `ready`, and serves until `stop` ends.
///
/// # Errors
/// `not_loopback` or `cannot_listen`.
pub async fn run_gateway(
    options: DoorOptions,
    journal: Journal,
    ready: impl FnOnce(&Door),
    stop: impl Future<Output = ()>,
) -> Result<(), OperationError> {
    let gateway = Gateway::new(options.gateway, journal);
    let default = options.profiles.first().map(|profile| profile.name.clone());
    for profile in options.profiles {
        gateway.put_profile(profile);
    }
    let door = gateway.serve(options.address, default).await?;
    ready(&door);
    stop.await;
    Ok(())
}

impl Gateway {
    /// Opens the door at a loopback address. `default` is the profile for models
    /// that name none.
    ///
    /// # Errors
    /// `not_loopback` or `cannot_listen`.
    pub async fn serve(
        &self,
        address: SocketAddr,
        default: Option<String>,
    ) -> Result<Door, OperationError> {
        if !address.ip().is_loopback() {
            return Err(OperationError::invalid(
                "not_loopback",
                format!("the gateway listens on this machine only, not on {address}"),
            )
            .hint("use 127.0.0.1"));
        }
        let cannot = |error: std::io::Error| {
            OperationError::invalid(
                "cannot_listen",
                format!("cannot listen on {address}: {error}"),
            )
            .hint("choose another port, or 0 for a free one")
        };
        let listener = TcpListener::bind(address).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let closed = CancellationToken::new();
        let porter = Arc::new(Porter {
            gateway: self.clone(),
            token: keys::token(),
            port: address.port(),
            default,
        });
        let door = Door {
            url: format!("http://{address}/v1"),
            token: porter.token.clone(),
            address,
            _open: closed.clone().drop_guard(),
            closed: closed.clone(),
        };
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = closed.cancelled() => return,
                };
                // A failed accept concerns one visitor; the door stays open.
                if let Ok((socket, _)) = accepted {
                    tokio::spawn(attend(Arc::clone(&porter), socket, closed.clone()));
                }
            }
        });
        Ok(door)
    }
}

/// Who looks at every visitor.
#[derive(Debug)]
struct Porter {
    gateway: Gateway,
    token: String,
    port: u16,
    default: Option<String>,
}

async fn attend(porter: Arc<Porter>, socket: TcpStream, closed: CancellationToken) {
    let service = service_fn(|request| {
        let porter = Arc::clone(&porter);
        async move { Ok::<_, std::convert::Infallible>(porter.answer(request).await) }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
    tokio::select! {
        // A visitor who leaves early is no failure of ours.
        _ = connection => {}
        () = closed.cancelled() => {}
    }
}

impl Porter {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        if !self.names_this_machine(&request) {
            return refusal(403, "the Host header does not name this machine");
        }
        if request.uri().path() == "/health" {
            return whole(200, &[], Bytes::from_static(b"{\"status\":\"ok\"}"));
        }
        if !self.knows_token(&request) {
            return refusal(401, "give the door's token as API key");
        }
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return refusal(413, "the request is too large or broke off");
        };
        match self.translated(&head, &body.to_bytes()) {
            Err((status, sentence)) => refusal(status, &sentence),
            Ok(request) if request.stream => self.stream(request).await,
            Ok(request) => match self.gateway.call(request).await {
                LmAnswer::Response {
                    status,
                    headers,
                    body,
                } => whole(status, &headers, bytes_of(&body).unwrap_or_default()),
                LmAnswer::Failure { failure, message } => refusal(status_of(failure), &message),
            },
        }
    }

    fn names_this_machine(&self, request: &Request<Incoming>) -> bool {
        let host = request
            .headers()
            .get("host")
            .and_then(|host| host.to_str().ok());
        let names = ["127.0.0.1", "localhost", "[::1]"];
        host.is_some_and(|host| {
            names
                .iter()
                .any(|name| host.eq_ignore_ascii_case(&format!("{name}:{}", self.port)))
        })
    }

    fn knows_token(&self, request: &Request<Incoming>) -> bool {
        let given = |name: &str| request.headers().get(name)?.to_str().ok();
        let bearer = given("authorization").and_then(|value| value.strip_prefix("Bearer "));
        [bearer, given("x-api-key"), given("x-goog-api-key")]
            .into_iter()
            .flatten()
            .any(|value| value == self.token)
    }

    /// A visitor's request as a worker would send it.
    fn translated(
        &self,
        head: &http::request::Parts,
        body: &Bytes,
    ) -> Result<LmRequest, (u16, String)> {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let model = json
            .get("model")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let (entry, rest) = match path.strip_prefix("/v1/") {
            Some(rest) => (self.by_model(&model)?, rest),
            None => match path
                .strip_prefix('/')
                .and_then(|path| path.split_once("/v1/"))
            {
                Some((name, rest)) => (self.by_name(name)?, rest),
                None => return Err((404, format!("there is nothing at {path}; use /v1/…"))),
            },
        };
        let profile = &entry.profile;
        let wanted = bare_model(profile);
        let mut bytes = body.clone();
        // Only a request that names the profile, or forgot the model, is written anew:
        // all others go on byte for byte. Gemini names its model in the path.
        let misnamed = model.is_empty() || model == profile.name || model == profile.model;
        if misnamed
            && model != wanted
            && provider_of(profile).wire != Wire::Gemini
            && let Some(members) = json.as_object_mut()
        {
            members.insert("model".to_owned(), Value::from(wanted));
            bytes = serde_json::to_vec(&json).unwrap_or_default().into();
        }
        let headers = head
            .headers
            .iter()
            .filter_map(|(name, value)| {
                let value = value.to_str().ok()?;
                let value = match name.as_str() {
                    "authorization" => format!("Bearer {}", entry.token),
                    "x-api-key" | "x-goog-api-key" => entry.token.clone(),
                    _ => value.to_owned(),
                };
                Some((name.to_string(), value))
            })
            .collect();
        Ok(LmRequest {
            span: None,
            parent: None,
            run: None,
            cell: None,
            method: head.method.to_string(),
            url: format!("{}/{rest}", base_of(profile)),
            headers,
            body: body_of(&bytes),
            timeout: None,
            stream: json.get("stream").and_then(Value::as_bool) == Some(true)
                || rest.contains(":streamGenerateContent"),
            cache: false,
            rollout_id: None,
            price: None,
        })
    }

    /// The profile whose name or model this is; else the default one.
    fn by_model(&self, model: &str) -> Result<Arc<Entry>, (u16, String)> {
        let all = self.gateway.inner.router.all();
        let named = all.iter().find(|entry| {
            let profile = &entry.profile;
            [
                profile.name.as_str(),
                profile.model.as_str(),
                bare_model(profile),
            ]
            .contains(&model)
        });
        match (named, &self.default) {
            (Some(entry), _) => Ok(Arc::clone(entry)),
            (None, Some(default)) => self.by_name(default),
            (None, None) => Err((404, format!("no profile serves model {model:?}"))),
        }
    }

    fn by_name(&self, name: &str) -> Result<Arc<Entry>, (u16, String)> {
        self.gateway.inner.router.named(name).ok_or_else(|| {
            let all = self.gateway.inner.router.all();
            let near = near_matches(name, all.iter().map(|entry| entry.profile.name.as_str()));
            let hint = near
                .first()
                .map_or(String::new(), |best| format!("; did you mean {best}?"));
            (404, format!("there is no profile {name}{hint}"))
        })
    }

    async fn stream(&self, request: LmRequest) -> Answer {
        let (pieces, mut coming) = mpsc::channel(PIECES);
        let gateway = self.gateway.clone();
        tokio::spawn(async move { gateway.stream(request, pieces).await });
        let Some(first) = coming.recv().await else {
            return refusal(502, "no answer came");
        };
        let Some((status, headers)) = first.head.clone() else {
            let (failure, message) = first
                .failure
                .unwrap_or((TransportFailure::Read, "no answer came".to_owned()));
            return refusal(status_of(failure), &message);
        };
        let rest = stream::unfold((Some(first), coming), |(held, mut coming)| async move {
            let chunk = match held {
                Some(chunk) => chunk,
                None => coming.recv().await?,
            };
            Some((frame(&chunk), (None, coming)))
        });
        built(status, &headers, StreamBody::new(rest).boxed_unsync())
    }
}

fn frame(chunk: &LmChunk) -> Result<Frame<Bytes>, std::io::Error> {
    match &chunk.failure {
        Some((_, message)) => Err(std::io::Error::other(message.clone())),
        None => Ok(Frame::data(bytes_of(&chunk.body).unwrap_or_default())),
    }
}

fn status_of(failure: TransportFailure) -> u16 {
    match failure {
        TransportFailure::Timeout => 504,
        TransportFailure::Cancelled => 499,
        TransportFailure::Connect | TransportFailure::Read | TransportFailure::Protocol => 502,
    }
}

fn refusal(status: u16, sentence: &str) -> Answer {
    let body = json!({"error": {"type": "gateway", "message": sentence}}).to_string();
    whole(status, &[], body.into())
}

fn whole(status: u16, headers: &[(String, String)], body: Bytes) -> Answer {
    let full = Full::new(body).map_err(|never| match never {});
    built(status, headers, full.boxed_unsync())
}

/// An answer with the server's headers, apart from those of its connection.
fn built(
    status: u16,
    headers: &[(String, String)],
    body: UnsyncBoxBody<Bytes, std::io::Error>,
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_GATEWAY);
    for (name, value) in headers {
        let hop = [
            "content-length",
            "transfer-encoding",
            "connection",
            "keep-alive",
        ];
        if let (Ok(name), Ok(value)) = (
            http::HeaderName::from_bytes(name.as_bytes()),
            http::HeaderValue::from_str(value),
        ) && !hop.contains(&name.as_str())
        {
            answer.headers_mut().append(name, value);
        }
    }
    let json = http::HeaderValue::from_static("application/json");
    answer.headers_mut().entry("content-type").or_insert(json);
    answer
}
