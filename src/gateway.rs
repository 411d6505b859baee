//! The LM gateway: the one place every LM call passes through.
//!
//! Owns profiles in use, keys, recording of exchanges, cassette and cache, limits,
//! faults, HTTP to servers and the demo LM. An answer leaves only after its
//! exchange is recorded. Does not own the session it records to, nor the decision
//! to stop a run for its cost. Design: a call is read ([`call`]), looked up
//! ([`cassette`]), routed ([`route`]), sent ([`upstream`], [`demo`]), recorded
//! ([`record`]) and answered.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Url;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::protocol::error::OperationError;
use crate::protocol::message::{LmAnswer, LmChunk, LmRequest, LmSpec, TransportFailure};
use crate::session::event::{AnswerSource, Exchange, LmProfile, RunId};
use crate::session::journal::Journal;
use crate::session::outline::{self, Redactor};

pub mod assemble;
pub mod call;
pub mod cassette;
pub mod demo;
pub mod door;
pub mod faults;
mod heavy;
pub mod keys;
pub mod limits;
pub mod listing;
pub mod local;
pub mod profiles;
pub mod provider;
pub mod record;
pub mod route;
pub mod runs;
pub mod secret;
mod send;
pub mod sink;
pub mod upstream;
pub mod usage;
pub mod watch;

pub use cassette::CassetteMode;
pub use door::{Door, DoorOptions, run_gateway};
pub use faults::Fault;
pub use keys::harden;
pub use listing::Offered;
pub use local::LocalLm;
pub use watch::{TOKEN_LAG, TokenDelta, Watching};

use call::{Call, body_of};
use cassette::{Cache, Cassette, Claim, Stored};
use faults::FaultPlan;
use keys::Keys;
use record::Served;
use route::Router;
use runs::Runs;
use secret::Vault;
use sink::Sink;
use upstream::Upstream;
use watch::Watchers;

/// How a gateway is set up.
#[derive(Debug, Clone, Default)]
pub struct GatewayOptions {
    /// The profile that answers every call, whatever was asked for.
    pub route_all_to: Option<String>,
    /// How recorded answers are used.
    pub cassette: CassetteMode,
    /// Faults to inject.
    pub faults: Vec<Fault>,
    /// The environment keys are looked for in; [`GatewayOptions::from_process`]
    /// takes that of the process.
    pub environment: Vec<(String, String)>,
}

impl GatewayOptions {
    /// Options with the environment of this process and nothing else.
    pub fn from_process() -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self {
            environment,
            ..Self::default()
        }
    }
}

/// A whole answer of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status; 0 where none came.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

/// Why no whole answer came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// In DSPy's terms.
    pub failure: TransportFailure,
    /// One sentence.
    pub message: String,
    /// What had come.
    pub partial: Reply,
}

impl Failed {
    /// A failure before anything came.
    pub fn new(failure: TransportFailure, message: impl Into<String>) -> Self {
        Self {
            failure,
            message: message.into(),
            partial: Reply::default(),
        }
    }
}

/// How a call ended.
pub type Outcome = Result<Reply, Failed>;

/// The gateway; cheap to clone.
#[derive(Debug, Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    mode: CassetteMode,
    routes_all: bool,
    journal: Journal,
    vault: Arc<Vault>,
    keys: Arc<Keys>,
    router: Router,
    cassette: Cassette,
    cache: Arc<Cache>,
    faults: FaultPlan,
    upstream: Upstream,
    runs: Runs,
    watchers: Watchers,
}

impl Gateway {
    /// A gateway that records to this journal. Gives the journal its redactor, so
    /// that no key is ever written.
    pub fn new(options: GatewayOptions, journal: Journal) -> Self {
        let vault = Arc::new(Vault::default());
        let keys = Arc::new(Keys::new(options.environment, Arc::clone(&vault)));
        let upstream = Upstream::new(Arc::clone(&vault));
        let hiding = Arc::clone(&vault);
        journal.set_redactor(Arc::new(move |text| hiding.redact(text)));
        Self {
            inner: Arc::new(Inner {
                mode: options.cassette,
                routes_all: options.route_all_to.is_some(),
                router: Router::new(options.route_all_to, Arc::clone(&keys), Arc::clone(&vault)),
                journal,
                vault,
                keys,
                cassette: Cassette::default(),
                cache: Arc::default(),
                faults: FaultPlan::new(options.faults),
                upstream,
                runs: Runs::default(),
                watchers: Watchers::default(),
            }),
        }
    }

    /// Makes a profile of `configure_lm` arguments without putting it to use.
    ///
    /// # Errors
    /// As [`profiles::build`].
    pub fn build_profile(
        &self,
        arguments: &serde_json::Map<String, Value>,
    ) -> Result<LmProfile, OperationError> {
        let keys = &self.inner.keys;
        profiles::build(arguments, |name| keys.is_set(name), |p| keys.base_of(p))
    }

    /// Puts a profile to use, new or changed.
    pub fn put_profile(&self, profile: LmProfile) {
        self.inner.router.put(profile);
    }

    /// Takes a profile out of use; whether it was there.
    pub fn remove_profile(&self, name: &str) -> bool {
        self.inner.router.remove(name)
    }

    /// The profiles in use, in the order they were made.
    pub fn profiles(&self) -> Vec<LmProfile> {
        let entries = self.inner.router.all();
        entries.iter().map(|entry| entry.profile.clone()).collect()
    }

    /// Whether the environment variable a profile's key comes from is not set.
    pub fn lacks_key(&self, profile: &LmProfile) -> bool {
        route::lacks_key(profile, &self.inner.keys)
    }

    /// What a worker needs to make the `dspy.LM` of a profile in use. The key in it
    /// is a token that only this gateway understands.
    pub fn lm_spec(&self, name: &str) -> Option<LmSpec> {
        let entry = self.inner.router.named(name)?;
        let profile = &entry.profile;
        let mut params = profile.params.clone();
        if let Some(base) = &profile.api_base {
            params.insert("api_base".to_owned(), Value::from(base.as_str()));
        }
        if let Some(timeout) = profile.timeout {
            params.insert("timeout".to_owned(), Value::from(timeout));
        }
        let provider = profiles::provider_of(profile);
        if provider.name != "demo" && !provider.direct {
            params.insert("api_key".to_owned(), Value::from(entry.token.as_str()));
        }
        Some(LmSpec {
            profile: profile.name.clone(),
            model: profile.model.clone(),
            params,
            direct: provider.direct,
        })
    }

    /// Changes to the environment of workers: keys become tokens, base URLs go.
    pub fn worker_environment(&self) -> Vec<(String, Option<String>)> {
        self.inner.keys.worker_environment(self.inner.routes_all)
    }

    /// The text with every secret hidden; for whatever is shown or written.
    pub fn redact<'a>(&self, text: &'a str) -> std::borrow::Cow<'a, str> {
        self.inner.vault.redact(text)
    }

    /// An operation's answer with every secret hidden.
    pub fn hide_in_answer(
        &self,
        answer: Result<Value, OperationError>,
    ) -> Result<Value, OperationError> {
        let vault = Arc::clone(&self.inner.vault);
        let redactor: Redactor = Arc::new(move |text| vault.redact(text));
        match answer {
            Ok(mut value) => {
                outline::redact(&mut value, Some(&redactor));
                Ok(value)
            }
            Err(error) => {
                let mut tree = serde_json::to_value(&error).unwrap_or_default();
                outline::redact(&mut tree, Some(&redactor));
                Err(serde_json::from_value(tree).unwrap_or(error))
            }
        }
    }

    /// Loads the answers of a recorded session for replay; how many can be served.
    pub fn load_cassette(&self, exchanges: impl Iterator<Item = Exchange>) -> usize {
        self.inner.cassette.load(exchanges)
    }

    /// Loads the answers of this session's own past into the cache.
    pub fn load_cache(&self, exchanges: impl Iterator<Item = Exchange>) {
        self.inner.cache.load(exchanges);
    }

    /// Forgets cached answers: one by its key, or all. How many there were.
    pub fn clear_cache(&self, key: Option<&str>) -> usize {
        match key {
            Some(key) => usize::from(self.inner.cache.forget(key)),
            None => self.inner.cache.clear(),
        }
    }

    /// LM servers that answer on this machine's usual ports, and on these.
    pub async fn find_local(&self, ports: &[u16]) -> Vec<LocalLm> {
        local::find(&self.inner.upstream, ports).await
    }

    /// The models that the server of this profile offers. The profile need not be in
    /// use; its key goes to its own base URL only.
    ///
    /// # Errors
    /// `models_not_listed`, `lm_auth` or `list_failed`, with what to do.
    pub async fn list_models(&self, profile: &LmProfile) -> Result<Offered, OperationError> {
        listing::ask(&self.inner.upstream, &self.inner.keys, profile).await
    }

    /// Posts to a server that is no LM server, such as a collector of traces: nothing
    /// is recorded, no key is put in. Status and body of its answer.
    ///
    /// # Errors
    /// One sentence, when none came.
    pub async fn post(
        &self,
        url: Url,
        headers: Vec<(String, String)>,
        body: Bytes,
    ) -> Result<(u16, Bytes), String> {
        let outgoing = upstream::Outgoing {
            method: "POST".to_owned(),
            url,
            headers,
            body,
        };
        let mut sink = sink::Sink::whole();
        let patience = Duration::from_secs(30);
        let sent = self
            .inner
            .upstream
            .send(outgoing, patience, false, &mut sink);
        match sent.await {
            Ok(reply) => Ok((reply.status, reply.body)),
            Err(failed) => Err(failed.message),
        }
    }

    /// The tokens of a run's calls from now on, until the answer is dropped. Calls
    /// that begin meanwhile are sent as streams.
    pub fn watch(&self, run: RunId) -> Watching {
        self.inner.watchers.watch(run)
    }

    /// Ends every call of a run, now and later, with `cancelled`.
    pub fn cancel_run(&self, run: RunId) {
        self.inner.runs.cancel(run);
    }

    /// Holds the calls a run makes from now on, or lets them go. Calls under way are
    /// not touched; held ones take no slot of their profile and can be cancelled.
    pub fn hold_run(&self, run: RunId, held: bool) {
        self.inner.runs.hold(run, held);
    }

    /// Answers one call. Dropping the future drops the call upstream.
    pub async fn call(&self, request: LmRequest) -> LmAnswer {
        match self
            .inner
            .answer(request, &mut Sink::whole())
            .await
            .as_ref()
        {
            Ok(reply) => LmAnswer::Response {
                status: reply.status,
                headers: reply.headers.clone(),
                body: body_of(&reply.body),
            },
            Err(failed) => LmAnswer::Failure {
                failure: failed.failure,
                message: failed.message.clone(),
            },
        }
    }

    /// Records a call that a worker made past the gateway, when it had its answer.
    pub fn record_told(&self, request: LmRequest) {
        match Call::told(request) {
            Ok(call) => self.inner.told(&call),
            Err(sentence) => tracing::warn!(sentence, "a told LM call was not recorded"),
        }
    }

    /// Answers one call piece by piece. The last piece says how it ended; when the
    /// receiver is dropped, the call upstream is.
    pub async fn stream(&self, request: LmRequest, chunks: mpsc::Sender<LmChunk>) {
        let mut sink = Sink::stream(chunks);
        let outcome = self.inner.answer(request, &mut sink).await;
        sink.finish(&outcome).await;
    }
}

impl Inner {
    /// Reads, looks up, sends and records one call.
    async fn answer(&self, request: LmRequest, sink: &mut Sink) -> Arc<Outcome> {
        let run = self.runs.enter(request.run);
        let read = heavy::on_body(request.body.len(), || Call::read(request));
        let call = match read {
            Ok(call) => call,
            Err(sentence) => {
                return Arc::new(Err(Failed::new(TransportFailure::Protocol, sentence)));
            }
        };
        tokio::select! {
            biased;
            () = run.cancelled() => {
                let failed = Failed::new(TransportFailure::Cancelled, "the run was cancelled");
                self.finish(&call, Served::live(Err(failed), AnswerSource::Server)).0
            }
            outcome = async {
                run.let_go().await;
                self.look_up(&call, sink).await
            } => outcome,
        }
    }

    /// Serves a call from cassette or cache, or makes it.
    async fn look_up(&self, call: &Call, sink: &mut Sink) -> Arc<Outcome> {
        let cache = call.request.cache;
        if self.mode != CassetteMode::Off
            && let Some((stored, occurrence)) = self.cassette.find(&call.key, cache)
            && let Some(served) = self.recorded(stored, occurrence, AnswerSource::Cassette)
        {
            return self.finish(call, served).0;
        }
        if self.mode == CassetteMode::Strict {
            let failed = Failed::new(TransportFailure::Protocol, miss(call));
            return self
                .finish(call, Served::live(Err(failed), AnswerSource::Cassette))
                .0;
        }
        if !cache {
            return self.live(call, sink).await.0;
        }
        loop {
            match self.cache.claim(&call.key) {
                Claim::Hit(stored) => {
                    if let Some(served) = self.recorded(stored, 0, AnswerSource::Cache) {
                        return self.finish(call, served).0;
                    }
                    // Its body cannot be read any more: make the call again.
                    self.cache.forget(&call.key);
                }
                Claim::Lead(flight) => {
                    let (outcome, stored) = self.live(call, sink).await;
                    flight.land(stored, Arc::clone(&outcome));
                    return outcome;
                }
                Claim::Wait(mut waiting) => {
                    let landed = match waiting.wait_for(Option::is_some).await {
                        Ok(outcome) => outcome.clone(),
                        // The one who made it gave up: somebody else leads.
                        Err(_) => continue,
                    };
                    // A good answer is in the cache now; a bad one is shared.
                    match landed.as_deref() {
                        Some(Ok(reply)) if reply.status < 300 => {}
                        Some(Err(failed)) if failed.failure == TransportFailure::Cancelled => {}
                        Some(bad) => {
                            let served = Served::live(bad.clone(), AnswerSource::Server);
                            return self.finish(call, served).0;
                        }
                        None => {}
                    }
                }
            }
        }
    }

    /// A recorded answer with its body read; `None` where it cannot be.
    fn recorded(&self, stored: Stored, occurrence: u32, source: AnswerSource) -> Option<Served> {
        let body = self.journal.read_document(&stored.response)?;
        Some(Served {
            outcome: Ok(Reply {
                status: stored.status,
                headers: stored.headers.clone(),
                body: body.into(),
            }),
            source,
            occurrence,
            profile: String::new(),
            stored: Some(stored),
        })
    }

    /// Records a call that a worker made past the gateway, as the worker tells it.
    fn told(&self, call: &Call) {
        let profile = self.router.with_model(&call.model);
        let profile = profile.map_or_else(String::new, |entry| entry.profile.name.clone());
        let exchange = record::told(call, profile, &self.journal, &self.vault);
        record::append(call, exchange, &self.journal);
    }

    /// Records how a call ended; the answer may leave only after this.
    fn finish(&self, call: &Call, served: Served) -> (Arc<Outcome>, Option<Stored>) {
        let answered = served.outcome.as_ref().map_or(0, |reply| reply.body.len());
        let exchange = heavy::on_body(call.body.len() + answered, || {
            record::exchange(call, &served, &self.journal, &self.vault)
        });
        // An injected fault must not be served again as if it were an answer.
        let stored = Stored::of(&exchange).filter(|_| exchange.source != AnswerSource::Fault);
        record::append(call, exchange, &self.journal);
        (Arc::new(served.outcome), stored)
    }
}

/// Which call a strict cassette has no answer for.
fn miss(call: &Call) -> String {
    format!(
        "the recording has no answer for this call: model {}, rollout {}, last message {:?}",
        if call.model.is_empty() {
            "unknown"
        } else {
            &call.model
        },
        call.request
            .rollout_id
            .map_or_else(|| "none".to_owned(), |id| id.to_string()),
        call.last_words(),
    )
}

#[cfg(test)]
impl Gateway {
    /// Who watches.
    pub(crate) fn watchers(&self) -> &Watchers {
        &self.inner.watchers
    }
}
