//! Where a call goes, under which profile, and with which key.
//!
//! Owns the profiles the gateway knows and the rule for keys: a key goes to its
//! provider's own hosts and to the base URL of the profile that names it, nowhere
//! else. Does not send anything.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use reqwest::Url;
use serde_json::Value;

use super::call::{Call, KEY_PARAMETERS};
use super::keys::{self, Keys, Owner};
use super::limits::Limits;
use super::profiles::{bare_model, base_of, host_of, provider_of};
use super::provider::{self, DEMO_HOST, Provider, Wire};
use super::secret::{Secret, Vault};
use super::upstream::{Outgoing, is_loopback};
use crate::session::event::{KeySource, LmProfile};

/// Headers that carry keys.
const KEY_HEADERS: [&str; 4] = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];

/// Endings of paths that every server of a format has, under its base URL.
const ENDPOINTS: [(&str, Wire); 5] = [
    ("/chat/completions", Wire::OpenAi),
    ("/completions", Wire::OpenAi),
    ("/embeddings", Wire::OpenAi),
    ("/responses", Wire::OpenAi),
    ("/messages", Wire::Anthropic),
];

/// A profile in use.
#[derive(Debug)]
pub struct Entry {
    /// The profile.
    pub profile: LmProfile,
    /// What its worker-side LM carries as key.
    pub token: String,
    /// Its limits.
    pub limits: Limits,
    host: Option<String>,
}

/// Where a call goes.
#[derive(Debug)]
pub enum Target {
    /// To the demo LM.
    Demo,
    /// To a server.
    Server(Outgoing),
    /// Nowhere: answered with this status and sentence.
    Refused(u16, String),
}

/// A call's way.
#[derive(Debug)]
pub struct Route {
    /// The profile whose limits, deadline and key apply.
    pub entry: Option<Arc<Entry>>,
    /// Where to.
    pub target: Target,
}

/// The profiles and the rules.
#[derive(Debug)]
pub struct Router {
    entries: RwLock<Vec<Arc<Entry>>>,
    route_all_to: Option<String>,
    keys: Arc<Keys>,
    vault: Arc<Vault>,
}

impl Router {
    /// A router without profiles.
    pub fn new(route_all_to: Option<String>, keys: Arc<Keys>, vault: Arc<Vault>) -> Self {
        Self {
            entries: RwLock::default(),
            route_all_to,
            keys,
            vault,
        }
    }

    /// Adds a profile or changes it. Its token stays the same, so that LM objects
    /// made before the change keep working.
    pub fn put(&self, profile: LmProfile) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let old = entries
            .iter()
            .position(|entry| entry.profile.name == profile.name);
        let token = old
            .and_then(|index| entries.get(index))
            .map_or_else(keys::token, |entry| entry.token.clone());
        let entry = Arc::new(Entry {
            token,
            limits: Limits::new(profile.max_concurrency, profile.requests_per_minute),
            host: host_of(&base_of(&profile)),
            profile,
        });
        match old.and_then(|index| entries.get_mut(index)) {
            Some(place) => *place = entry,
            None => entries.push(entry),
        }
    }

    /// Takes a profile out; whether it was there.
    pub fn remove(&self, name: &str) -> bool {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let before = entries.len();
        entries.retain(|entry| entry.profile.name != name);
        entries.len() < before
    }

    /// The profile with this name.
    pub fn named(&self, name: &str) -> Option<Arc<Entry>> {
        self.find(|entry| entry.profile.name == name)
    }

    /// The first profile with this model, its `provider/` included.
    pub fn with_model(&self, model: &str) -> Option<Arc<Entry>> {
        self.find(|entry| entry.profile.model == model)
    }

    /// Every profile, in the order they were made.
    pub fn all(&self) -> Vec<Arc<Entry>> {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Decides where a call goes. Reads a key from a command or file where the
    /// profile says so.
    pub async fn route(&self, call: &Call) -> Route {
        let presented = presented(call);
        let by_token = presented
            .as_deref()
            .and_then(|value| self.find(|entry| entry.token == value));
        if let Some(name) = &self.route_all_to {
            return self.reroute(call, name).await;
        }
        let host = call.host();
        let entry = by_token.clone().or_else(|| self.matching(call, &host));
        if host == DEMO_HOST {
            return Route {
                entry,
                target: Target::Demo,
            };
        }
        let owner = match (&by_token, presented.as_deref()) {
            (Some(entry), _) => Owner::Profile(&entry.profile.name),
            (None, Some(value)) => self.keys.owner(value),
            (None, None) => Owner::Caller,
        };
        let target = match self.key_for(call, &host, owner, entry.as_deref()).await {
            Err(sentence) => Target::Refused(401, sentence),
            Ok(credential) => {
                if owner == Owner::Caller
                    && let Some(value) = &presented
                    && looks_secret(value)
                {
                    self.vault.learn(value);
                }
                self.outgoing(call, &host, credential)
            }
        };
        Route { entry, target }
    }

    /// The key a call may carry to this host.
    async fn key_for(
        &self,
        call: &Call,
        host: &str,
        owner: Owner<'_>,
        entry: Option<&Entry>,
    ) -> Result<Credential, String> {
        match owner {
            Owner::Caller => Ok(Credential::AsSent),
            Owner::Profile(name) => {
                let entry = entry.ok_or_else(|| format!("there is no profile {name}"))?;
                let own = entry.host.as_deref() == Some(host)
                    || provider_of(&entry.profile).hosts.contains(&host);
                if !own {
                    return Err(format!(
                        "the key of profile {name} is not sent to {host}, only to its own server"
                    ));
                }
                self.keys
                    .resolve(&entry.profile.key)
                    .await
                    .map(Credential::from)
            }
            Owner::Provider(provider) if self.keys.may_go_to(provider, host) => {
                match self.keys.key_of(provider) {
                    Some(key) => Ok(Credential::Key(key)),
                    None => Err(format!(
                        "no key for {}: environment variable {} is not set",
                        provider.name,
                        provider.variables.first().unwrap_or(&"")
                    )),
                }
            }
            Owner::Provider(provider) => match entry {
                Some(entry) if entry.host.as_deref() == Some(host) => self
                    .keys
                    .resolve(&entry.profile.key)
                    .await
                    .map(Credential::from),
                _ if is_loopback(&call.url) => Ok(Credential::Nothing),
                _ => Err(foreign(provider, host)),
            },
        }
    }

    /// The request as it leaves, at the base URL the environment names for the
    /// provider, if it does.
    fn outgoing(&self, call: &Call, host: &str, credential: Credential) -> Target {
        let mut url = call.url.clone();
        if let Some(provider) = provider::by_host(host)
            && let Some(base) = self.keys.base_of(provider)
            && let Some(rest) = call.url.as_str().strip_prefix(provider.base)
            && let Ok(moved) = Url::parse(&format!("{base}{rest}"))
        {
            url = moved;
        }
        let mut headers = call.request.headers.clone();
        match &credential {
            Credential::AsSent => {}
            Credential::Nothing => remove_keys(&mut headers, &mut url),
            Credential::Key(key) => replace_keys(&mut headers, &mut url, key),
        }
        Target::Server(Outgoing {
            method: call.request.method.clone(),
            url,
            headers,
            body: call.body.clone(),
        })
    }

    /// The way of a call when every call goes to one profile.
    async fn reroute(&self, call: &Call, name: &str) -> Route {
        let entry = self.named(name);
        let is_demo = entry.as_ref().map_or(name == "demo", |entry| {
            provider_of(&entry.profile).name == "demo"
        });
        if is_demo {
            return Route {
                entry,
                target: Target::Demo,
            };
        }
        let target = match &entry {
            None => Target::Refused(
                400,
                format!("every call is routed to profile {name}, which does not exist"),
            ),
            Some(entry) => match self.translated(call, entry).await {
                Ok(outgoing) => Target::Server(outgoing),
                Err((status, sentence)) => Target::Refused(status, sentence),
            },
        };
        Route { entry, target }
    }

    /// A call with model, base URL and key of a profile of the same format.
    async fn translated(&self, call: &Call, entry: &Entry) -> Result<Outgoing, (u16, String)> {
        let provider = provider_of(&entry.profile);
        let name = &entry.profile.name;
        let endpoint = ENDPOINTS
            .iter()
            .find(|(ending, wire)| call.url.path().ends_with(ending) && *wire == provider.wire);
        let (ending, _) = endpoint.ok_or_else(|| {
            (
                400,
                format!(
                    "a call to {} cannot be routed to profile {name}: {} speaks another format",
                    call.destination, provider.name
                ),
            )
        })?;
        let base = base_of(&entry.profile);
        let mut url = Url::parse(&format!("{base}{ending}"))
            .map_err(|error| (400, format!("profile {name} has a bad base URL: {error}")))?;
        let mut json = call.json.clone();
        if let Some(members) = json.as_object_mut() {
            members.insert("model".to_owned(), Value::from(bare_model(&entry.profile)));
        }
        let mut headers = call.request.headers.clone();
        remove_keys(&mut headers, &mut url);
        let key = self.keys.resolve(&entry.profile.key).await;
        if let Some(key) = key.map_err(|sentence| (401, sentence))? {
            headers.push(provider.key_header(key.expose()));
        }
        Ok(Outgoing {
            method: call.request.method.clone(),
            url,
            headers,
            body: Bytes::from(serde_json::to_vec(&json).unwrap_or_default()),
        })
    }

    /// The profile of a host: the one with the model asked for, else the first. Of a
    /// direct profile only the model is known.
    fn matching(&self, call: &Call, host: &str) -> Option<Arc<Entry>> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let direct = entries.iter().find(|entry| {
            provider_of(&entry.profile).direct && bare_model(&entry.profile) == call.model
        });
        if let Some(entry) = direct {
            return Some(Arc::clone(entry));
        }
        let mut here = entries
            .iter()
            .filter(|entry| entry.host.as_deref() == Some(host));
        here.clone()
            .find(|entry| bare_model(&entry.profile) == call.model)
            .or_else(|| here.next())
            .cloned()
    }

    fn find(&self, wanted: impl Fn(&Entry) -> bool) -> Option<Arc<Entry>> {
        self.entries
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .find(|entry| wanted(entry))
            .cloned()
    }
}

/// What becomes of a call's key headers.
enum Credential {
    AsSent,
    Nothing,
    Key(Secret),
}

impl From<Option<Secret>> for Credential {
    fn from(key: Option<Secret>) -> Self {
        key.map_or(Self::Nothing, Self::Key)
    }
}

fn foreign(provider: &Provider, host: &str) -> String {
    let own = provider.hosts.join(", ");
    format!(
        "the key in {} is sent only to {}, not to {host}; configure a profile with this api_base and its own key",
        provider.variables.first().unwrap_or(&""),
        if own.is_empty() {
            "its configured base URL"
        } else {
            &own
        },
    )
}

/// The key a call presents, in a header or in its query.
fn presented(call: &Call) -> Option<String> {
    let in_header = call
        .request
        .headers
        .iter()
        .find(|(name, _)| is_key_header(name))
        .map(|(_, value)| bare(value).to_owned());
    in_header
        .or_else(|| {
            call.url
                .query_pairs()
                .find(|(name, _)| KEY_PARAMETERS.contains(&name.as_ref()))
                .map(|(_, value)| value.into_owned())
        })
        .filter(|value| !value.is_empty())
}

fn is_key_header(name: &str) -> bool {
    KEY_HEADERS
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// `Bearer X` without its scheme.
fn bare(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim(),
        _ => value.trim(),
    }
}

fn remove_keys(headers: &mut Vec<(String, String)>, url: &mut Url) {
    headers.retain(|(name, _)| !is_key_header(name));
    set_query_key(url, None);
}

fn replace_keys(headers: &mut [(String, String)], url: &mut Url, key: &Secret) {
    for (name, value) in headers.iter_mut().filter(|(name, _)| is_key_header(name)) {
        *value = if name.eq_ignore_ascii_case("authorization") {
            format!("Bearer {}", key.expose())
        } else {
            key.expose().to_owned()
        };
    }
    set_query_key(url, Some(key));
}

/// Replaces, or removes, keys in a query that has any.
fn set_query_key(url: &mut Url, key: Option<&Secret>) {
    let is_key = |name: &str| KEY_PARAMETERS.contains(&name);
    if !url.query_pairs().any(|(name, _)| is_key(&name)) {
        return;
    }
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .filter_map(|(name, value)| {
            let value = if is_key(&name) {
                key?.expose().to_owned()
            } else {
                value.into_owned()
            };
            Some((name.into_owned(), value))
        })
        .collect();
    url.set_query(None);
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
}

/// Whether a literal key is one, rather than a placeholder such as `not-needed`, or a
/// signature of this one request (AWS's own scheme).
fn looks_secret(value: &str) -> bool {
    if value.starts_with("AWS4-HMAC-SHA256") {
        return false;
    }
    value.len() >= 20
        || value
            .chars()
            .any(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
}

/// Whether a profile needs a key that is not there; for lists.
pub fn lacks_key(profile: &LmProfile, keys: &Keys) -> bool {
    matches!(&profile.key, KeySource::Env(name) if !keys.is_set(name))
}
