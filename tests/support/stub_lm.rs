//! A loopback LM server with scripted answers that remembers what it was asked.
//!
//! Runs on a thread of its own, so that tests with and without a runtime can use it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot, watch};

/// How long a test waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// The header of server-sent events.
const EVENTS: (&str, &str) = ("content-type", "text/event-stream");

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Path and query.
    pub path: String,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as JSON; null where it is not.
    pub json: Value,
}

impl Received {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub enum Scripted {
    /// Answers with status, further headers and body.
    Whole(u16, Vec<(&'static str, &'static str)>, String),
    /// Answers with server-sent events, one piece after the other.
    Pieces(Vec<String>),
    /// The same, each piece when the test gives a permit for it.
    Stepped(Vec<String>, Arc<Semaphore>),
    /// Sends this much and breaks the connection.
    Broken(String),
    /// Does this once it is let to.
    Held(watch::Receiver<bool>, Box<Scripted>),
    /// Never answers.
    Hang,
}

impl Scripted {
    /// A chat completion that says this.
    pub fn chat(text: &str) -> Self {
        let body = json!({
            "id": "c1", "object": "chat.completion", "model": "stub",
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        });
        Self::Whole(200, Vec::new(), body.to_string())
    }

    /// The pieces of a stream that says these texts, one after the other.
    pub fn pieces(texts: &[&str]) -> Vec<String> {
        let line = |value: Value| format!("data: {value}\n\n");
        let piece = |text: &&str| {
            line(json!({"id": "c", "choices": [{"index": 0, "delta": {"content": text}}]}))
        };
        let mut pieces: Vec<String> = texts.iter().map(piece).collect();
        pieces.push(line(json!({
            "choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}
        })));
        pieces.push("data: [DONE]\n\n".to_owned());
        pieces
    }

    /// An error in OpenAI's shape.
    pub fn error(status: u16, message: &str) -> Self {
        let body = json!({"error": {"message": message, "type": "stub"}});
        Self::Whole(status, Vec::new(), body.to_string())
    }
}

type Script = dyn Fn(usize, &Received) -> Scripted + Send + Sync;
type Answer = hyper::Response<BoxBody<Bytes, std::io::Error>>;

/// The server; dropping it stops it.
pub struct StubLm {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    open: watch::Receiver<usize>,
    arrived: watch::Receiver<usize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl StubLm {
    /// Starts a server; the script is given the request's number, from 0.
    pub fn start(script: impl Fn(usize, &Received) -> Scripted + Send + Sync + 'static) -> Self {
        Self::start_at(0, script)
    }

    /// Starts a server at a port that something is known to use; 0 is any that is free.
    pub fn start_at(
        port: u16,
        script: impl Fn(usize, &Received) -> Scripted + Send + Sync + 'static,
    ) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let (open_tx, open) = watch::channel(0);
        let (arrived_tx, arrived) = watch::channel(0);
        let (stop, stopped) = oneshot::channel();
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))
            .unwrap_or_else(|error| panic!("port {port} must be free for this test: {error}"));
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::new(Shared {
            received: Arc::clone(&received),
            script: Box::new(script),
            open: open_tx,
            arrived: arrived_tx,
        });
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, shared) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            port,
            received,
            open,
            arrived,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// A server that says the same to everybody.
    pub fn saying(text: &str) -> Self {
        let text = text.to_owned();
        Self::start(move |_, _| Scripted::chat(&text))
    }

    /// A chat completion with one output field of DSPy's.
    pub fn answering(field: &str, value: &str) -> Self {
        Self::saying(&format!(
            "[[ ## {field} ## ]]\n{value}\n\n[[ ## completed ## ]]"
        ))
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its base URL, `…/v1`.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// What it was asked so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until this many requests have arrived.
    pub async fn wait_for(&self, count: usize) {
        let mut arrived = self.arrived.clone();
        let waited = tokio::time::timeout(PATIENCE, arrived.wait_for(|n| *n >= count)).await;
        waited.expect("requests must arrive").unwrap();
    }

    /// Waits until no request is being served: an abandoned one counts until the
    /// connection is closed.
    pub async fn wait_idle(&self) {
        let mut open = self.open.clone();
        let waited = tokio::time::timeout(PATIENCE, open.wait_for(|n| *n == 0)).await;
        waited.expect("calls must end").unwrap();
    }
}

impl Drop for StubLm {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Shared {
    received: Arc<Mutex<Vec<Received>>>,
    script: Box<Script>,
    open: watch::Sender<usize>,
    arrived: watch::Sender<usize>,
}

struct Open<'a>(&'a watch::Sender<usize>);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((socket, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| serve(&shared, request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service);
            // A client that goes away is one of the things tested.
            let _ = connection.await;
        });
    }
}

async fn serve(
    shared: &Shared,
    request: hyper::Request<Incoming>,
) -> Result<Answer, std::io::Error> {
    shared.open.send_modify(|n| *n += 1);
    let _open = Open(&shared.open);
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map_err(std::io::Error::other)?
        .to_bytes();
    let received = Received {
        path: head.uri.to_string(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        json: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let number = {
        let mut all = shared.received.lock().unwrap();
        all.push(received.clone());
        all.len() - 1
    };
    shared.arrived.send_modify(|n| *n += 1);
    let answer = hyper::Response::builder();
    let mut steps = None;
    let mut scripted = (shared.script)(number, &received);
    while let Scripted::Held(mut until, then) = scripted {
        // Nobody left to let it: the test is over.
        let _ = until.wait_for(|go| *go).await;
        scripted = *then;
    }
    let (status, headers, pieces, broken) = match scripted {
        Scripted::Whole(status, headers, body) => (status, headers, vec![body], false),
        Scripted::Pieces(pieces) => (200, vec![EVENTS], pieces, false),
        Scripted::Stepped(pieces, permits) => {
            steps = Some(permits);
            (200, vec![EVENTS], pieces, false)
        }
        Scripted::Broken(body) => (200, Vec::new(), vec![body], true),
        Scripted::Hang | Scripted::Held(..) => std::future::pending().await,
    };
    let answer = headers
        .into_iter()
        .fold(answer.status(status), |answer, (name, value)| {
            answer.header(name, value)
        });
    let mut frames: Vec<Result<Frame<Bytes>, std::io::Error>> = pieces
        .into_iter()
        .map(|piece| Ok(Frame::data(Bytes::from(piece))))
        .collect();
    if broken {
        frames.push(Err(std::io::Error::other("scripted break")));
    }
    let frames = stream::iter(frames).then(move |frame| {
        let steps = steps.clone();
        async move {
            if let Some(steps) = steps {
                steps.acquire().await.unwrap().forget();
            }
            frame
        }
    });
    Ok(answer
        .body(BodyExt::boxed(StreamBody::new(frames)))
        .unwrap())
}
