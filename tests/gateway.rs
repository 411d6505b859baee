//! The gateway against a loopback LM server: keys, recording, replay, limits, faults.

use std::sync::Arc;
use std::time::Duration;

use dspex_tui::gateway::{CassetteMode, Fault, Gateway, GatewayOptions};
use dspex_tui::protocol::message::{Body, LmAnswer, LmRequest, TransportFailure};
use dspex_tui::session::event::{AnswerSource, Event, EventBody, Exchange, RunId};
use dspex_tui::session::journal::Journal;
use dspex_tui::session::state::Totals;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::support::stub_lm::{Scripted, StubLm};

mod cassette;
#[cfg(feature = "worker")]
mod direct;
mod door;
mod faults;
mod hold;
mod keys;
mod listing;
mod stream;
mod unreachable;
#[cfg(feature = "worker")]
mod wire;

/// A gateway, its journal and what the journal publishes.
struct Bench {
    gateway: Gateway,
    journal: Journal,
    events: UnboundedReceiver<Arc<Event>>,
}

impl Bench {
    fn new(options: GatewayOptions) -> Self {
        let journal = Journal::ephemeral();
        let events = journal.subscribe();
        Self {
            gateway: Gateway::new(options, journal.clone()),
            journal,
            events,
        }
    }

    fn with_environment(environment: &[(&str, &str)]) -> Self {
        Self::new(GatewayOptions {
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..GatewayOptions::default()
        })
    }

    fn configure(&self, arguments: Value) {
        let profile = self
            .gateway
            .build_profile(arguments.as_object().unwrap())
            .unwrap();
        self.gateway.put_profile(profile);
    }

    /// Every exchange recorded since last asked.
    fn exchanges(&mut self) -> Vec<Exchange> {
        std::iter::from_fn(|| self.events.try_recv().ok())
            .filter_map(|event| match &event.body {
                EventBody::Exchange(exchange) => Some((**exchange).clone()),
                _ => None,
            })
            .collect()
    }
}

/// A chat request as a worker sends it.
fn chat(base: &str, text: &str) -> LmRequest {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    LmRequest {
        span: Some("1-7".into()),
        parent: Some("1-6".into()),
        run: Some(RunId(1)),
        cell: None,
        method: "POST".into(),
        url: format!("{base}/chat/completions"),
        headers: vec![("content-type".into(), "application/json".into())],
        body: Body::Body(body.to_string()),
        timeout: None,
        stream: false,
        cache: true,
        rollout_id: None,
        price: Some([1e-6, 2e-6]),
    }
}

fn with_key(mut request: LmRequest, key: &str) -> LmRequest {
    request
        .headers
        .push(("Authorization".into(), format!("Bearer {key}")));
    request
}

fn status(answer: &LmAnswer) -> u16 {
    match answer {
        LmAnswer::Response { status, .. } => *status,
        LmAnswer::Failure { failure, message } => panic!("{failure:?}: {message}"),
    }
}

fn text(answer: &LmAnswer) -> String {
    match answer {
        LmAnswer::Response {
            body: Body::Body(body),
            ..
        } => body.clone(),
        other => panic!("{other:?}"),
    }
}

fn failure(answer: &LmAnswer) -> (TransportFailure, String) {
    match answer {
        LmAnswer::Failure { failure, message } => (*failure, message.clone()),
        other @ LmAnswer::Response { .. } => panic!("{other:?}"),
    }
}

/// A call reaches the server as DSPy made it, and is recorded before it is
/// answered, byte for byte, with tokens and cost.
#[tokio::test]
async fn a_call_is_forwarded_and_recorded() {
    let server = StubLm::saying("hello");
    let mut bench = Bench::new(GatewayOptions::default());
    let answer = bench.gateway.call(chat(&server.base(), "hi")).await;
    let recorded = bench.exchanges().pop().unwrap();
    assert_eq!(status(&answer), 200);
    assert_eq!(server.received()[0].json["messages"][0]["content"], "hi");
    assert_eq!(server.received()[0].path, "/v1/chat/completions");
    assert_eq!(
        (recorded.status, recorded.source),
        (200, AnswerSource::Server)
    );
    assert_eq!((recorded.input_tokens, recorded.output_tokens), (100, 10));
    assert!((recorded.cost.unwrap() - 0.000_12).abs() < 1e-12);
    assert_eq!(recorded.span.as_deref(), Some("1-7"));
    let body = bench.journal.read_document(&recorded.response).unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), text(&answer));
    let request = bench.journal.read_document(&recorded.request).unwrap();
    let request: Value = serde_json::from_slice(&request).unwrap();
    assert_eq!(request["messages"][0]["content"], "hi");
}

/// R104: a server that never answers costs the deadline and no more.
#[tokio::test]
async fn a_silent_server_ends_in_a_timeout() {
    let server = StubLm::start(|_, _| Scripted::Hang);
    let mut bench = Bench::new(GatewayOptions::default());
    let request = LmRequest {
        timeout: Some(0.05),
        ..chat(&server.base(), "hi")
    };
    let (why, message) = failure(&bench.gateway.call(request).await);
    assert_eq!(why, TransportFailure::Timeout);
    assert!(message.contains("0.05 s"), "{message}");
    assert_eq!(bench.exchanges()[0].status, 0);
    server.wait_idle().await;
}

#[tokio::test]
async fn a_refused_connection_and_a_broken_one_are_told_apart() {
    let bench = Bench::new(GatewayOptions::default());
    let closed = StubLm::saying("x").base();
    let (why, _) = failure(&bench.gateway.call(chat(&closed, "hi")).await);
    assert_eq!(why, TransportFailure::Connect);
    let server = StubLm::start(|_, _| Scripted::Broken("{\"choices\":".into()));
    let (why, message) = failure(&bench.gateway.call(chat(&server.base(), "hi")).await);
    assert_eq!(why, TransportFailure::Read, "{message}");
}

/// Errors reach DSPy as they are, `retry-after` included, and are not cached.
#[tokio::test]
async fn errors_pass_and_are_never_cached() {
    let server = StubLm::start(|n, _| match n {
        0 => Scripted::Whole(
            429,
            vec![("retry-after", "7")],
            "{\"error\":{\"message\":\"slow down\"}}".into(),
        ),
        _ => Scripted::chat("fine"),
    });
    let mut bench = Bench::new(GatewayOptions::default());
    let LmAnswer::Response {
        status, headers, ..
    } = bench.gateway.call(chat(&server.base(), "hi")).await
    else {
        panic!("no response");
    };
    assert_eq!(status, 429);
    assert!(headers.contains(&("retry-after".into(), "7".into())));
    assert_eq!(bench.exchanges()[0].error.as_deref(), Some("slow down"));
    assert_eq!(
        self::status(&bench.gateway.call(chat(&server.base(), "hi")).await),
        200
    );
    assert_eq!(server.received().len(), 2);
}

/// Cancelling a run frees its waiting calls at once and closes the connection;
/// later calls of the run do not go out.
#[tokio::test]
async fn cancelling_a_run_ends_its_calls() {
    let server = StubLm::start(|_, _| Scripted::Hang);
    let bench = Bench::new(GatewayOptions::default());
    let gateway = bench.gateway.clone();
    let request = chat(&server.base(), "hi");
    let call = tokio::spawn(async move { gateway.call(request).await });
    server.wait_for(1).await;
    bench.gateway.cancel_run(RunId(1));
    assert_eq!(failure(&call.await.unwrap()).0, TransportFailure::Cancelled);
    server.wait_idle().await;
    let later = bench.gateway.call(chat(&server.base(), "more")).await;
    assert_eq!(failure(&later).0, TransportFailure::Cancelled);
    assert_eq!(server.received().len(), 1);
}

/// Whoever drops the future drops the call upstream.
#[tokio::test]
async fn dropping_a_call_drops_it_upstream() {
    let server = StubLm::start(|_, _| Scripted::Hang);
    let bench = Bench::new(GatewayOptions::default());
    let gateway = bench.gateway.clone();
    let request = chat(&server.base(), "hi");
    let call = tokio::spawn(async move { gateway.call(request).await });
    server.wait_for(1).await;
    call.abort();
    server.wait_idle().await;
}

/// A profile's limit on calls at once holds.
#[tokio::test]
async fn a_profile_limits_calls_at_once() {
    let server = StubLm::start(|_, _| Scripted::Hang);
    let bench = Bench::new(GatewayOptions::default());
    bench.configure(
        json!({"provider": "local", "model": "m", "port": server.port(), "max_concurrency": 1}),
    );
    let base = format!("http://localhost:{}/v1", server.port());
    let calls: Vec<_> = ["one", "two"]
        .map(|text| {
            let gateway = bench.gateway.clone();
            let request = chat(&base, text);
            tokio::spawn(async move { gateway.call(request).await })
        })
        .into();
    server.wait_for(1).await;
    // The second can only arrive when the first is given up.
    calls[0].abort();
    server.wait_for(2).await;
    assert_eq!(server.received().len(), 2);
    calls[1].abort();
}

/// What was spent is counted; a hit costs nothing.
#[tokio::test]
async fn spending_is_counted() {
    let server = StubLm::saying("hello");
    let mut bench = Bench::new(GatewayOptions::default());
    for _ in 0..2 {
        bench.gateway.call(chat(&server.base(), "hi")).await;
    }
    let mut spent = Totals::default();
    for exchange in bench.exchanges() {
        spent.add(&exchange);
    }
    assert_eq!((spent.calls, spent.hits, spent.failures), (1, 1, 0));
    assert_eq!((spent.input_tokens, spent.output_tokens), (100, 10));
    assert!((spent.cost - 0.000_12).abs() < 1e-12);
}

/// `--route-all-to demo`: code written for any provider is answered without a network.
#[tokio::test]
async fn everything_can_be_routed_to_the_demo() {
    let mut bench = Bench::new(GatewayOptions {
        route_all_to: Some("demo".into()),
        ..GatewayOptions::default()
    });
    let answer = bench
        .gateway
        .call(chat("https://api.openai.com/v1", "What is 12*7?"))
        .await;
    assert_eq!(status(&answer), 200);
    let recorded = bench.exchanges().pop().unwrap();
    assert_eq!(recorded.source, AnswerSource::Demo);
    assert!(recorded.cost.is_some());
    let environment = bench.gateway.worker_environment();
    assert!(
        environment
            .iter()
            .any(|(name, value)| name == "OPENAI_API_KEY" && value.is_some())
    );
}

/// `--route-all-to` another profile replaces model, base URL and key; what speaks
/// another format is refused in a sentence.
#[tokio::test]
async fn everything_can_be_routed_to_a_server_of_the_same_format() {
    let server = StubLm::saying("routed");
    let bench = Bench::new(GatewayOptions {
        route_all_to: Some("mine".into()),
        environment: vec![("MY_KEY".into(), "canary-mine-1".into())],
        ..GatewayOptions::default()
    });
    bench.configure(json!({
        "name": "mine", "provider": "local", "model": "own-model",
        "api_base": server.base(), "api_key_env": "MY_KEY"
    }));
    let answer = bench
        .gateway
        .call(with_key(chat("https://api.openai.com/v1", "hi"), "sk-user"))
        .await;
    assert_eq!(status(&answer), 200);
    let received = &server.received()[0];
    assert_eq!(received.json["model"], "own-model");
    assert_eq!(
        received.header("authorization"),
        Some("Bearer canary-mine-1")
    );
    let mut foreign = chat("https://api.anthropic.com/v1", "hi");
    foreign.url = "https://api.anthropic.com/v1/messages".into();
    let answer = bench.gateway.call(foreign).await;
    assert_eq!(status(&answer), 400);
    assert!(text(&answer).contains("another format"));
}
