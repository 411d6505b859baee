//! What optimisations made, kept for an hour: the same request is answered again
//! without a call.
//!
//! Two requests are the same when everything that the result depends on is: signature,
//! modules, state, optimizer, options, metric, rows, LM with its parameters, and what
//! the notebook shipped along. What depends on more than the request says (a function
//! of a file, registered tools and classes, names that only the kernel has) is never
//! kept, nor is what failed in part. It is kept in memory and ends with the workbench.
//! Time comes from the caller. Owns neither the optimisation nor its record.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::OperationResult;
use crate::protocol::message::Request;
use crate::session::event::ProgramDef;
use crate::session::metrics;
use crate::session::state::hex;

/// Results that are kept at most.
pub(super) const MOST: usize = 1000;
/// How long a result is kept.
pub(super) const LIVES: Duration = Duration::from_hours(1);
/// How often those that are too old are looked for, whoever asks for what.
const SWEEP: Duration = Duration::from_mins(5);

/// The argument that asks for a run all the same.
const FRESH: &str = "fresh";
/// Arguments that change nothing in the result.
const IDLE: [&str; 3] = [FRESH, "num_threads", "registered"];
/// What of a program is its history.
const HISTORY: [&str; 4] = ["version", "parent", "optimizer", "score"];

/// The results, shared by whoever carries optimisations out.
#[derive(Debug, Clone, Default)]
pub(super) struct Optimised(Arc<Mutex<Kept>>);

/// What is known before an optimisation is carried out.
#[derive(Debug, PartialEq)]
pub(super) enum Known {
    /// The answer.
    Answer(Value),
    /// Nothing; what comes of it is kept under this key, if it has one.
    Nothing(Option<Key>),
}

/// Signature's hash and the hash of all the rest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key(String);

impl Optimised {
    /// Looks a request up, and takes the argument out of it that is meant for this.
    /// `whole` says that the request holds all that the result depends on.
    pub(super) fn look_up(&self, request: &mut Request, whole: bool) -> Known {
        if request.operation != "optimize_prompt" {
            return Known::Nothing(None);
        }
        let fresh = match &mut request.arguments {
            Value::Object(arguments) => arguments.shift_remove(FRESH),
            _ => None,
        };
        let Some(key) = whole.then(|| Key::of(request)).flatten() else {
            return Known::Nothing(None);
        };
        if fresh == Some(Value::Bool(true)) {
            return Known::Nothing(Some(key));
        }
        match self.lock().get(&key, Instant::now()) {
            Some(answer) => Known::Answer(as_asked(answer, request)),
            None => Known::Nothing(Some(key)),
        }
    }

    /// Keeps what came of it.
    pub(super) fn keep(&self, key: Option<Key>, result: &OperationResult) {
        if let (Some(key), Ok(answer)) = (key, result)
            && is_whole(answer)
        {
            self.lock()
                .put(key, answer.clone(), Instant::now(), SystemTime::now());
        }
    }

    /// Forgets all; how many there were.
    pub(super) fn clear(&self) -> usize {
        std::mem::take(&mut self.lock().results).len()
    }

    /// How many there are, and what became of others.
    pub(super) fn stats(&self) -> Value {
        let mut kept = self.lock();
        kept.sweep(Instant::now());
        json!({
            "kept": kept.results.len(), "most": MOST, "seconds": LIVES.as_secs(),
            "hits": kept.counts.hits, "misses": kept.counts.misses,
            "expired": kept.counts.expired, "evicted": kept.counts.evicted,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    fn of(request: &Request) -> Option<Self> {
        let (Value::Object(arguments), Some(lm)) = (&request.arguments, &request.lm) else {
            return None;
        };
        let is_registered = |kind| {
            let list = request.arguments.pointer(kind).and_then(Value::as_array);
            list.is_some_and(|list| !list.is_empty())
        };
        let of_more = [
            "/registered/tools",
            "/registered/servers",
            "/registered/modules",
        ];
        if request.stays.is_some()
            || of_more.into_iter().any(is_registered)
            || arguments.get("metric").is_some_and(Value::is_object)
        {
            return None;
        }
        let mut arguments: Map<String, Value> = arguments.clone();
        arguments.retain(|name, _| !IDLE.contains(&name.as_str()));
        let program = arguments.get_mut("program");
        let signature = match program {
            Some(Value::Object(program)) => {
                let definition = Value::Object(program.clone());
                program.retain(|name, _| !HISTORY.contains(&name.as_str()));
                let definition = serde_json::from_value::<ProgramDef>(definition);
                metrics::signature_hash(&definition.unwrap_or_default())
            }
            // A name of the notebook: what it names must have come along.
            _ if request.shipped.is_none() => return None,
            _ => String::new(),
        };
        let rest = serde_json::to_vec(&json!([arguments, lm, request.shipped])).ok()?;
        Some(Self(format!("{signature}:{}", hex(&Sha256::digest(rest)))))
    }
}

/// Whether an answer says all that another run would: an optimisation that stepped back,
/// or for which an example could not be scored, may do better the next time.
fn is_whole(answer: &Value) -> bool {
    let failed = answer
        .pointer("/performance/failed")
        .and_then(Value::as_u64);
    answer.get("fallback").is_none() && failed == Some(0)
}

/// The answer with the history of the program that was asked for.
fn as_asked(mut answer: Value, request: &Request) -> Value {
    let asked = request.arguments.get("program");
    let version = asked.and_then(|program| program.get("version")).cloned();
    let version = version.and_then(|version| version.as_u64()).unwrap_or(1);
    if let Some(Value::Object(program)) = answer.get_mut("program") {
        let name = program.get("name").and_then(Value::as_str);
        let parent = format!("{}@{version}", name.unwrap_or("program"));
        program.insert("version".to_owned(), json!(version + 1));
        program.insert("parent".to_owned(), json!(parent));
    }
    answer
}

#[derive(Debug, Default)]
struct Kept {
    results: HashMap<Key, Entry>,
    counts: Counts,
    swept: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    answer: Value,
    since: Instant,
    wall: SystemTime,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
struct Counts {
    hits: u64,
    misses: u64,
    expired: u64,
    evicted: u64,
}

impl Kept {
    /// The answer, which says since when it is kept; one too old is dropped.
    fn get(&mut self, key: &Key, now: Instant) -> Option<Value> {
        if self.swept.is_none_or(|at| now >= at + SWEEP) {
            self.sweep(now);
        }
        if self.results.get(key).is_some_and(|it| it.is_old(now)) {
            self.results.remove(key);
            self.counts.expired += 1;
        }
        let Some(entry) = self.results.get(key) else {
            self.counts.misses += 1;
            return None;
        };
        self.counts.hits += 1;
        let mut answer = entry.answer.clone();
        if let Value::Object(answer) = &mut answer {
            let wall = entry.wall.duration_since(SystemTime::UNIX_EPOCH);
            let cached = json!({
                "since_ms": wall.unwrap_or_default().as_millis() as u64,
                "seconds": now.saturating_duration_since(entry.since).as_secs(),
            });
            answer.insert("cached".to_owned(), cached);
        }
        Some(answer)
    }

    /// Keeps an answer; of too many the oldest goes.
    fn put(&mut self, key: Key, answer: Value, now: Instant, wall: SystemTime) {
        self.sweep(now);
        if !self.results.contains_key(&key) && self.results.len() >= MOST {
            let oldest = self.results.iter().min_by_key(|(_, entry)| entry.since);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.results.remove(&oldest);
                self.counts.evicted += 1;
            }
        }
        let entry = Entry {
            answer,
            since: now,
            wall,
        };
        self.results.insert(key, entry);
    }

    fn sweep(&mut self, now: Instant) {
        let before = self.results.len();
        self.results.retain(|_, entry| !entry.is_old(now));
        self.counts.expired += (before - self.results.len()) as u64;
        self.swept = Some(now);
    }
}

impl Entry {
    fn is_old(&self, now: Instant) -> bool {
        now >= self.since + LIVES
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message::LmSpec;

    fn key(name: &str) -> Key {
        Key(name.to_owned())
    }

    /// R114: with a clock of its own: a hit, expiry on reading, the periodic cleanup, the
    /// oldest of more than 1,000 gone, and all of it counted.
    #[test]
    fn kept_for_an_hour_and_no_more_than_a_thousand() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut kept = Kept::default();
        assert_eq!(kept.get(&key("a"), at(0)), None);
        kept.put(key("a"), json!({"n": 1}), at(0), wall);
        let hit = json!({"n": 1, "cached": {"since_ms": 1_700_000_000_000_u64, "seconds": 3599}});
        assert_eq!(kept.get(&key("a"), at(3599)), Some(hit));
        // Reading it again an hour after it was made finds it gone, before any cleanup is due.
        assert_eq!(kept.get(&key("a"), at(3600)), None);
        assert_eq!(kept.results.len(), 0);

        kept.put(key("b"), json!({}), at(4000), wall);
        kept.put(key("c"), json!({}), at(7000), wall);
        // Nobody reads `b`; whoever reads something else after its hour cleans up.
        assert!(kept.get(&key("c"), at(7601)).is_some());
        assert_eq!(kept.results.len(), 1);

        for n in 0..1000 {
            kept.put(key(&n.to_string()), json!({}), at(7700 + n), wall);
        }
        assert_eq!(kept.results.len(), MOST);
        assert_eq!(kept.get(&key("c"), at(8800)), None, "the oldest of 1,001");
        kept.put(key("0"), json!({}), at(8800), wall);
        assert!(
            kept.get(&key("1"), at(8800)).is_some(),
            "one put anew takes no room"
        );
        let counts = Counts {
            hits: 3,
            misses: 3,
            expired: 2,
            evicted: 1,
        };
        assert_eq!(kept.counts, counts);
    }

    fn asking() -> Request {
        let mut params = Map::new();
        params.insert("temperature".to_owned(), json!(0.0));
        Request {
            operation: "optimize_prompt".to_owned(),
            arguments: json!({
                "program": {"name": "qa", "version": 3, "modules": ["Predict"], "options": {},
                    "signature": {"inputs": [], "outputs": [], "instructions": "Answer."},
                    "state": {"demos": []}, "score": 4.0},
                "dataset": {"name": "d", "hash": "h", "rows": [{"q": 1}]},
                "metric": "exact_match", "options": {"max_rounds": 1},
                "registered": {"seq": 9, "tools": [], "servers": [], "modules": []},
            }),
            lm: Some(LmSpec {
                profile: "demo".to_owned(),
                model: "demo/demo".to_owned(),
                params,
                direct: false,
            }),
            ..Request::default()
        }
    }

    fn with(path: &str, value: Value) -> Request {
        let mut request = asking();
        let (holder, name) = path.rsplit_once('/').unwrap();
        let holder = request.arguments.pointer_mut(holder).unwrap();
        holder
            .as_object_mut()
            .unwrap()
            .insert(name.to_owned(), value);
        request
    }

    /// R114: what the result depends on is the key, and nothing else.
    #[test]
    fn anything_that_matters_makes_another_key() {
        let first = Key::of(&asking()).unwrap();
        let signature = metrics::signature_hash(
            &serde_json::from_value::<ProgramDef>(asking().arguments["program"].clone()).unwrap(),
        );
        assert!(!signature.is_empty() && first.0.starts_with(&signature));
        for same in [
            with("/num_threads", json!(8)),
            with("/fresh", json!(true)),
            with("/registered/seq", json!(10)),
            with("/program/version", json!(7)),
            with("/program/parent", json!("qa@6")),
        ] {
            assert_eq!(Key::of(&same).unwrap(), first, "{}", same.arguments);
        }
        let mut others = vec![
            with("/program/name", json!("other")),
            with("/program/modules", json!(["ChainOfThought"])),
            with("/program/options", json!({"n": 2})),
            with("/program/state", json!({"demos": [1]})),
            with("/program/signature/instructions", json!("Answer well.")),
            with("/dataset/rows", json!([{"q": 2}])),
            with("/valset", json!({"rows": []})),
            with("/metric", json!("f1")),
            with("/optimizer", json!("BootstrapFewShot")),
            with("/options/max_rounds", json!(2)),
        ];
        others.push(Request {
            shipped: Some("pickle".to_owned()),
            ..asking()
        });
        let mut warmer = asking();
        warmer.lm.as_mut().unwrap().params["temperature"] = json!(1.0);
        others.push(warmer);
        let mut seen = vec![first];
        for other in &others {
            let key = Key::of(other).unwrap();
            assert!(!seen.contains(&key), "{}", other.arguments);
            seen.push(key);
        }
    }

    /// R114: what depends on more than the request says is not kept.
    #[test]
    fn what_cannot_be_told_apart_is_not_kept() {
        let mut bare = asking();
        bare.lm = None;
        let mut staying = asking();
        staying.stays = Some("a lock".to_owned());
        for never in [
            bare,
            staying,
            with("/program", json!("teller")),
            with("/metric", json!({"file": "m.py", "function": "score"})),
            with("/registered/tools", json!([{"name": "t"}])),
        ] {
            assert_eq!(Key::of(&never), None, "{}", never.arguments);
        }
        let kept = Optimised::default();
        let mut request = asking();
        let Known::Nothing(Some(key)) = kept.look_up(&mut request, true) else {
            panic!("nothing was kept yet");
        };
        for broken in [
            json!({"performance": {"failed": 1}}),
            json!({"performance": {"failed": 0}, "fallback": {"reason": "r"}}),
            json!({}),
        ] {
            kept.keep(Some(key.clone()), &Ok(broken));
            assert_eq!(kept.stats()["kept"], 0);
        }
        let good = json!({"performance": {"failed": 0}, "program": {"name": "qa", "version": 4}});
        kept.keep(Some(key.clone()), &Ok(good));
        assert_eq!(
            kept.look_up(&mut asking(), false),
            Known::Nothing(None),
            "the kernel may hold more than the request says"
        );
        let mut fresh = with("/fresh", json!(true));
        assert_eq!(kept.look_up(&mut fresh, true), Known::Nothing(Some(key)));
        assert_eq!(fresh.arguments.get(FRESH), None);
        let mut later = with("/program/version", json!(7));
        let Known::Answer(answer) = kept.look_up(&mut later, true) else {
            panic!("the same was asked");
        };
        assert_eq!(answer["program"]["version"], 8);
        assert_eq!(answer["program"]["parent"], "qa@7");
        assert_eq!(kept.clear(), 1);
    }
}
