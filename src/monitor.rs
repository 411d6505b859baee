//! An optional loopback endpoint for monitoring: `/health` as JSON, `/metrics`
//! for Prometheus.
//!
//! A front end like any other: it asks the core for `health_check` and writes
//! the answer down in another form. Listens on this machine only and gives away
//! nothing but counts: no names, no prompts, no keys.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::Handle;
use crate::protocol::error::OperationError;

/// An open endpoint; it closes when this is dropped.
#[derive(Debug)]
pub struct Monitor {
    /// Where it listens.
    pub address: SocketAddr,
    _open: DropGuard,
}

/// Opens the endpoint at a loopback address; port 0 takes a free one.
///
/// # Errors
/// `not_loopback` or `cannot_listen`.
pub async fn serve(address: SocketAddr, handle: Handle) -> Result<Monitor, OperationError> {
    if !address.ip().is_loopback() {
        let message = format!("monitoring is served on this machine only, not on {address}");
        return Err(OperationError::invalid("not_loopback", message).hint("use 127.0.0.1"));
    }
    let cannot = |error: std::io::Error| {
        let message = format!("cannot listen on {address}: {error}");
        OperationError::invalid("cannot_listen", message)
            .hint("choose another port, or 0 for a free one")
    };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    let closed = CancellationToken::new();
    let monitor = Monitor {
        address,
        _open: closed.clone().drop_guard(),
    };
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = closed.cancelled() => return,
            };
            // A failed accept concerns one visitor.
            let Ok((socket, _)) = accepted else { continue };
            let (handle, closed) = (handle.clone(), closed.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(request, handle.clone(), address));
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(socket), service);
                tokio::select! {
                    // A visitor who leaves early is no failure of ours.
                    _ = connection => {}
                    () = closed.cancelled() => {}
                }
            });
        }
    });
    Ok(monitor)
}

async fn answer(
    request: Request<Incoming>,
    handle: Handle,
    address: SocketAddr,
) -> Result<Response<Full<Bytes>>, Infallible> {
    // A page in a browser must not read this under a name of its own.
    let host = request
        .headers()
        .get("host")
        .and_then(|it| it.to_str().ok());
    let port = address.port();
    let ours = [format!("{address}"), format!("localhost:{port}")];
    if !host.is_some_and(|host| ours.iter().any(|name| host.eq_ignore_ascii_case(name))) {
        return Ok(text(
            403,
            "text/plain",
            "the Host header does not name this machine\n",
        ));
    }
    let asked = match request.uri().path() {
        path @ ("/health" | "/metrics") => path.to_owned(),
        _ => return Ok(text(404, "text/plain", "there are /health and /metrics\n")),
    };
    let health = match handle.call("health_check", json!({})).await {
        Ok(health) => health,
        Err(error) => return Ok(text(503, "text/plain", &format!("{error}\n"))),
    };
    if asked == "/metrics" {
        return Ok(text(200, "text/plain; version=0.0.4", &metrics(&health)));
    }
    let well = health.get("ok").and_then(Value::as_bool) == Some(true);
    let status = if well { 200 } else { 503 };
    Ok(text(status, "application/json", &format!("{health}\n")))
}

fn text(status: u16, kind: &'static str, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_owned())));
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let kind = http::HeaderValue::from_static(kind);
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    response
}

/// Metrics of a pool: member of the health, name, kind, what it is.
const OF_POOL: [(&str, &str, &str, &str); 6] = [
    (
        "size",
        "dspex_pool_size",
        "gauge",
        "Most workers of a pool.",
    ),
    ("busy", "dspex_pool_busy", "gauge", "Workers with a job."),
    ("idle", "dspex_pool_idle", "gauge", "Workers without a job."),
    (
        "starting",
        "dspex_pool_starting",
        "gauge",
        "Workers that start.",
    ),
    (
        "queue",
        "dspex_pool_queue",
        "gauge",
        "Jobs that wait for a worker.",
    ),
    (
        "restarts",
        "dspex_pool_restarts_total",
        "counter",
        "Workers that were replaced.",
    ),
];

/// Metrics of the session: member of its totals, name, what it is.
const OF_SESSION: [(&str, &str, &str); 6] = [
    (
        "calls",
        "dspex_lm_calls_total",
        "LM calls that were answered.",
    ),
    (
        "hits",
        "dspex_lm_cache_hits_total",
        "LM calls answered from cache or record.",
    ),
    (
        "failures",
        "dspex_lm_failures_total",
        "LM calls that failed.",
    ),
    (
        "input_tokens",
        "dspex_lm_input_tokens_total",
        "Tokens sent.",
    ),
    (
        "output_tokens",
        "dspex_lm_output_tokens_total",
        "Tokens received.",
    ),
    ("cost", "dspex_lm_cost_dollars_total", "Known dollars."),
];

/// A health in Prometheus's text format.
fn metrics(health: &Value) -> String {
    let mut out = String::new();
    let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_f64);
    let well = health.get("ok").and_then(Value::as_bool) == Some(true);
    head(&mut out, "dspex_up", "gauge", "Whether all is well.");
    let _ = writeln!(out, "dspex_up {}", u8::from(well));
    head(
        &mut out,
        "dspex_pending_requests",
        "gauge",
        "Requests that are not answered yet.",
    );
    let pending = number(health, "pending").unwrap_or_default();
    let _ = writeln!(out, "dspex_pending_requests {pending}");
    let pools = health.get("pools").and_then(Value::as_array);
    let pools = pools.map(Vec::as_slice).unwrap_or_default();
    for (key, name, kind, doc) in OF_POOL {
        head(&mut out, name, kind, doc);
        for pool in pools {
            let label = pool.get("name").and_then(Value::as_str).unwrap_or_default();
            let value = number(pool, key).unwrap_or_default();
            let _ = writeln!(out, "{name}{{pool=\"{label}\"}} {value}");
        }
    }
    let name = "dspex_worker_resident_bytes";
    head(&mut out, name, "gauge", "Resident memory of a worker.");
    for part in std::iter::once(health).chain(pools) {
        let workers = part.get("workers").and_then(Value::as_array);
        for worker in workers.into_iter().flatten() {
            let role = worker.get("role").and_then(Value::as_str);
            let role = role.unwrap_or_default();
            let its = |key: &str| number(worker, key).unwrap_or_default();
            let (number, bytes) = (its("worker"), its("rss_mb") * 1024.0 * 1024.0);
            let _ = writeln!(out, "{name}{{role=\"{role}\",worker=\"{number}\"}} {bytes}");
        }
    }
    let nothing = Value::Null;
    let totals = health.get("totals").unwrap_or(&nothing);
    for (key, name, doc) in OF_SESSION {
        head(&mut out, name, "counter", doc);
        let _ = writeln!(out, "{name} {}", number(totals, key).unwrap_or_default());
    }
    out
}

fn head(out: &mut String, name: &str, kind: &str, doc: &str) {
    let _ = writeln!(out, "# HELP {name} {doc}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R92: every sample has its type, and a label where there are several.
    #[test]
    fn r92_metrics_are_in_prometheus_words() {
        let health = json!({
            "ok": true, "pending": 2,
            "workers": [{"role": "kernel", "worker": 1, "rss_mb": 64}],
            "pools": [{"name": "pool", "size": 2, "busy": 1, "restarts": 3,
                       "workers": [{"role": "pool", "worker": 4, "rss_mb": 100}]}],
            "totals": {"calls": 12, "cost": 0.5},
        });
        let text = metrics(&health);
        for line in [
            "dspex_up 1",
            "# TYPE dspex_pool_restarts_total counter",
            "dspex_pool_restarts_total{pool=\"pool\"} 3",
            "dspex_pool_busy{pool=\"pool\"} 1",
            "dspex_worker_resident_bytes{role=\"kernel\",worker=\"1\"} 67108864",
            "dspex_worker_resident_bytes{role=\"pool\",worker=\"4\"} 104857600",
            "dspex_lm_calls_total 12",
            "dspex_lm_cost_dollars_total 0.5",
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "{line} is not in\n{text}"
            );
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            assert!(
                text.contains(&format!("# TYPE {name} ")),
                "{name} has no type"
            );
        }
    }
}
