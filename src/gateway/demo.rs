//! The demo LM: an offline, deterministic stand-in, named and shown as such. It
//! is not a language model.
//!
//! Takes a finished provider request (any provider's format) and answers in that
//! provider's format. Owns: reading DSPy's prompts, the small skills that answer
//! them, the wire formats. Does not own: HTTP, recording, pricing of real models,
//! latency or faults (all of the gateway).
//!
//! The same request always gets the same answer. A `rollout_id`, or a temperature
//! above 0 together with one, varies the wording and never the facts.

use serde_json::Value;

pub mod agent;
pub mod answer;
pub mod compose;
pub mod conversation;
pub mod dataset;
pub mod nearest;
pub mod prompt;
pub mod propose;
pub mod skills;
pub mod text;
pub mod variation;
pub mod wire;

/// The model name used when a request names none.
pub const MODEL: &str = "demo";

/// Declared prices, dollars per token: input, output. Made up, so that cost
/// displays and budgets have something to count.
pub const PRICE: [f64; 2] = [0.000_000_1, 0.000_000_4];

/// One finished provider request.
#[derive(Debug, Clone, Copy)]
pub struct DemoRequest<'a> {
    /// Absolute URL or path; its ending says which provider's format is spoken.
    pub url: &'a str,
    /// Request headers; only `content-type` hints are ever looked at.
    pub headers: &'a [(String, String)],
    /// The JSON body.
    pub body: &'a [u8],
    /// DSPy's `rollout_id`, which never reaches the wire.
    pub rollout_id: Option<i64>,
}

/// A whole HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoResponse {
    /// HTTP status: 200, or 400 where the request makes no sense.
    pub status: u16,
    /// Response headers.
    pub headers: Vec<(String, String)>,
    /// JSON.
    pub body: Vec<u8>,
}

/// Answers a request. Never fails: what cannot be understood gets a 400 in the
/// provider's own error shape.
pub fn respond(request: &DemoRequest<'_>) -> DemoResponse {
    match wire::read(request) {
        Ok(call) => DemoResponse {
            status: 200,
            headers: headers("application/json"),
            body: wire::write(&call, &answer::replies(&call.conversation)),
        },
        Err(refusal) => refuse(&refusal),
    }
}

/// Answers a request as a stream: status, headers and the pieces of the body in
/// order. An error comes as one piece of JSON.
pub fn stream(request: &DemoRequest<'_>) -> (u16, Vec<(String, String)>, Vec<Vec<u8>>) {
    match wire::read(request) {
        Ok(call) => (
            200,
            headers(wire::stream_type(call.format)),
            wire::write_stream(&call, &answer::replies(&call.conversation)),
        ),
        Err(refusal) => {
            let response = refuse(&refusal);
            (response.status, response.headers, vec![response.body])
        }
    }
}

fn refuse(refusal: &wire::Refusal) -> DemoResponse {
    let body: Value = wire::error_body(refusal);
    DemoResponse {
        status: 400,
        headers: headers("application/json"),
        body: body.to_string().into_bytes(),
    }
}

fn headers(content_type: &str) -> Vec<(String, String)> {
    vec![
        ("content-type".to_owned(), content_type.to_owned()),
        ("x-dspex-demo-lm".to_owned(), "1".to_owned()),
    ]
}
