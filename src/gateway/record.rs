//! What is written down about a call.

use serde_json::Value;

use super::call::{Call, kept};
use super::cassette::Stored;
use super::secret::Vault;
use super::usage::Usage;
use super::{Outcome, demo};
use crate::session::event::{AnswerSource, Document, EventBody, Exchange, Scope};
use crate::session::journal::Journal;

/// The longest error text that is kept, in characters.
const MAX_ERROR: usize = 300;

/// How a call was served.
#[derive(Debug)]
pub struct Served {
    /// How it ended.
    pub outcome: Outcome,
    /// Who answered.
    pub source: AnswerSource,
    /// Its occurrence number, for calls with `cache=False`.
    pub occurrence: u32,
    /// The profile that applied.
    pub profile: String,
    /// The recorded answer it was served from.
    pub stored: Option<Stored>,
}

impl Served {
    /// An outcome that was not read back from anywhere.
    pub fn live(outcome: Outcome, source: AnswerSource) -> Self {
        Self {
            outcome,
            source,
            occurrence: 0,
            profile: String::new(),
            stored: None,
        }
    }
}

/// The exchange of a call, with its bodies put into the journal.
pub fn exchange(call: &Call, served: &Served, journal: &Journal, vault: &Vault) -> Exchange {
    let (reply, failure) = match &served.outcome {
        Ok(reply) => (reply, None),
        Err(failed) => (&failed.partial, Some(failed.message.as_str())),
    };
    let usage = match &served.stored {
        Some(stored) => Some(Usage {
            input: stored.input_tokens,
            output: stored.output_tokens,
        }),
        None => Usage::in_body(&reply.body),
    };
    let error = match failure {
        Some(message) => Some(message.to_owned()),
        None if reply.status >= 400 => Some(what_it_says(&reply.body)),
        None => None,
    };
    let cost = match served.source {
        AnswerSource::Cache | AnswerSource::Cassette => Some(0.0),
        AnswerSource::Demo => usage.map(|usage| usage.cost(demo::PRICE)),
        AnswerSource::Server | AnswerSource::Fault | AnswerSource::Direct => usage
            .zip(call.request.price)
            .map(|(usage, price)| usage.cost(price)),
    };
    let usage = usage.unwrap_or_default();
    Exchange {
        span: call.request.span.clone(),
        profile: served.profile.clone(),
        url: call.destination.clone(),
        model: call.model.clone(),
        key: call.key.clone(),
        occurrence: served.occurrence,
        cacheable: call.request.cache,
        request: if call.json.is_null() {
            journal.document(&call.body)
        } else {
            journal.tree(&call.body, &call.json)
        },
        response: match &served.stored {
            Some(stored) => stored.response.clone(),
            None if reply.body.is_empty() => Document::Text(String::new()),
            None => journal.document(&reply.body),
        },
        headers: kept(&reply.headers),
        status: reply.status,
        error: error.map(|text| vault.redact(&text).into_owned()),
        source: served.source,
        latency_us: u64::try_from(call.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        input_tokens: usage.input,
        output_tokens: usage.output,
        cost,
        streamed: call.request.stream,
    }
}

/// The exchange of a call that was made past the gateway, as its maker tells it.
pub fn told(call: &Call, profile: String, journal: &Journal, vault: &Vault) -> Exchange {
    let part = |name: &str| call.json.get(name).cloned().unwrap_or_default();
    let document = |value: &Value| {
        let bytes = serde_json::to_vec(value).unwrap_or_default();
        journal.tree(&bytes, value)
    };
    let (request, response) = (part("request"), part("response"));
    let usage = Usage::of(&response);
    let priced = usage.zip(call.request.price);
    let error = part("error").as_str().map(str::to_owned);
    Exchange {
        span: call.request.span.clone(),
        profile,
        url: call.destination.clone(),
        model: call.model.clone(),
        key: call.key.clone(),
        occurrence: 0,
        cacheable: false,
        request: document(&request),
        response: document(&response),
        headers: Vec::new(),
        status: if error.is_some() { 0 } else { 200 },
        error: error.map(|text| vault.redact(&text).into_owned()),
        source: AnswerSource::Direct,
        latency_us: part("latency_us").as_u64().unwrap_or_default(),
        input_tokens: usage.unwrap_or_default().input,
        output_tokens: usage.unwrap_or_default().output,
        cost: priced
            .map(|(usage, price)| usage.cost(price))
            .or_else(|| part("cost").as_f64()),
        streamed: false,
    }
}

/// Writes an exchange to the journal.
pub fn append(call: &Call, exchange: Exchange, journal: &Journal) {
    let scope = Scope {
        run: call.request.run,
        cell: call.request.cell,
    };
    journal.append(scope, EventBody::Exchange(Box::new(exchange)));
}

/// What an error body says, in one line.
fn what_it_says(body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let said = ["/error/message", "/message", "/error", "/detail"]
        .into_iter()
        .find_map(|pointer| json.pointer(pointer)?.as_str().map(str::to_owned));
    let text = said.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_ERROR)
        .collect()
}
