//! The server both sides are measured against: OpenAI's chat wire format on
//! loopback, one canned answer, a fixed latency.
//!
//! It runs in a process of its own (`dspex-tui bench-stub`), so that it takes
//! the same share of the machine whoever asks.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// The answer: what ChatAdapter expects of `question -> answer`.
const ANSWER: &str = concat!(
    r#"{"id":"stub","object":"chat.completion","created":1,"model":"stub","choices":[{"index":0,"#,
    r#""message":{"role":"assistant","content":"[[ ## answer ## ]]\n42\n\n[[ ## completed ## ]]"},"#,
    r#""finish_reason":"stop"}],"usage":{"prompt_tokens":120,"completion_tokens":12,"total_tokens":132}}"#,
);

/// Serves until killed; prints the port first.
///
/// # Errors
/// When no port can be had.
pub async fn serve(latency: Duration, mut out: impl std::io::Write) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(out, "{}", listener.local_addr()?.port())?;
    out.flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, latency));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            // A client that hangs up ends its connection and nothing else.
            let _ = connection.await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    latency: Duration,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let _ = request.into_body().collect().await;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let mut response = Response::new(Full::new(Bytes::from_static(ANSWER.as_bytes())));
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    Ok(response)
}

/// A running stub server; killed when dropped.
#[derive(Debug)]
pub struct Stub {
    child: Child,
    /// Base URL, with `/v1`.
    pub base: String,
}

impl Stub {
    /// Starts this program again as a stub server.
    ///
    /// # Errors
    /// When it cannot be started or does not name its port.
    pub fn start(latency_ms: u64) -> std::io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["bench-stub", &latency_ms.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let port = line.trim().to_owned();
        Ok(Self {
            child,
            base: format!("http://127.0.0.1:{port}/v1"),
        })
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
