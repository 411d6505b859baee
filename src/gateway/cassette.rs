//! Answers kept: the cache of this session and the cassette of a recorded one.
//!
//! Owns which recorded answer serves which call. Bodies stay with the journal: an
//! entry holds a reference. Memory is bounded by the number of entries.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Outcome;
use crate::session::event::{AnswerSource, Document, Exchange};

/// Most entries of the cache, of the cassette and of the occurrence counter each.
const MOST: usize = 200_000;

/// How recorded answers are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CassetteMode {
    /// Not at all.
    #[default]
    Off,
    /// Where there is one; other calls go out.
    UntilDivergence,
    /// Only; a call without one fails.
    Strict,
}

/// A recorded answer.
#[derive(Debug, Clone)]
pub struct Stored {
    /// HTTP status, always 2xx.
    pub status: u16,
    /// Response headers.
    pub headers: Vec<(String, String)>,
    /// Where its body is.
    pub response: Document,
    /// Tokens in.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
}

impl Stored {
    /// The answer of an exchange, where it may be served again: only whole 2xx ones.
    pub fn of(exchange: &Exchange) -> Option<Self> {
        ((200..300).contains(&exchange.status) && exchange.error.is_none()).then(|| Self {
            status: exchange.status,
            headers: exchange.headers.clone(),
            response: exchange.response.clone(),
            input_tokens: exchange.input_tokens,
            output_tokens: exchange.output_tokens,
        })
    }
}

/// The answers of a recorded session.
///
/// The answers of equal calls with `cache=False` are given out in the order in which
/// they were recorded, each once. Spans and runs play no part in it: work that is
/// resumed has others, and whichever of several equal calls comes first may have the
/// first answer.
#[derive(Debug, Default)]
pub struct Cassette {
    inner: Mutex<Tape>,
}

#[derive(Debug, Default)]
struct Tape {
    cached: HashMap<String, Stored>,
    /// Answers by key, each good for one call.
    single: HashMap<String, VecDeque<Stored>>,
    counts: HashMap<String, u32>,
}

impl Cassette {
    /// Adds recorded exchanges. Failures and injected faults are passed over, and so
    /// is what was itself served from the record: its original is there already.
    pub fn load(&self, exchanges: impl Iterator<Item = Exchange>) -> usize {
        let mut tape = self.lock();
        let mut loaded = 0;
        for exchange in exchanges {
            let original = matches!(exchange.source, AnswerSource::Server | AnswerSource::Demo);
            let Some(stored) = Stored::of(&exchange).filter(|_| original) else {
                continue;
            };
            if loaded >= MOST {
                break;
            }
            loaded += 1;
            if exchange.cacheable {
                tape.cached.entry(exchange.key).or_insert(stored);
            } else {
                let answers = tape.single.entry(exchange.key).or_default();
                answers.push_back(stored);
            }
        }
        loaded
    }

    /// The recorded answer for a call, and its occurrence. A call with `cache=False`
    /// uses its answer up.
    pub fn find(&self, key: &str, cache: bool) -> Option<(Stored, u32)> {
        let mut tape = self.lock();
        if cache {
            return tape.cached.get(key).cloned().map(|stored| (stored, 0));
        }
        let stored = tape.single.get_mut(key)?.pop_front()?;
        Some((stored, tape.next(key)))
    }

    /// The occurrence number of a call that was answered live.
    pub fn count(&self, key: &str) -> u32 {
        self.lock().next(key)
    }

    fn lock(&self) -> MutexGuard<'_, Tape> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tape {
    fn next(&mut self, key: &str) -> u32 {
        if self.counts.len() >= MOST {
            self.counts.clear();
        }
        let count = self.counts.entry(key.to_owned()).or_default();
        let occurrence = *count;
        *count += 1;
        occurrence
    }
}

/// The cache of this session, with one call in flight per key.
#[derive(Debug, Default)]
pub struct Cache {
    inner: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    entries: HashMap<String, Stored>,
    /// Keys in the order they came, oldest first.
    order: VecDeque<String>,
    flights: HashMap<String, watch::Receiver<Option<Arc<Outcome>>>>,
}

/// What to do about a call that may be cached.
pub enum Claim {
    /// It was answered before.
    Hit(Stored),
    /// Somebody is making it now: wait for the outcome. The channel closes without
    /// one when that call is given up.
    Wait(watch::Receiver<Option<Arc<Outcome>>>),
    /// Make it.
    Lead(Flight),
}

/// A call being made on behalf of everybody who wants the same.
pub struct Flight {
    cache: Arc<Cache>,
    key: String,
    done: watch::Sender<Option<Arc<Outcome>>>,
}

impl Flight {
    /// Tells those who wait, and keeps the answer where there is one.
    pub fn land(self, stored: Option<Stored>, outcome: Arc<Outcome>) {
        if let Some(stored) = stored {
            self.cache.keep(&self.key, stored);
        }
        self.done.send_replace(Some(outcome));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.cache.lock().flights.remove(&self.key);
    }
}

impl Cache {
    /// Looks a key up and, where nobody has it or makes it, claims it.
    pub fn claim(self: &Arc<Self>, key: &str) -> Claim {
        let mut shelf = self.lock();
        if let Some(stored) = shelf.entries.get(key) {
            return Claim::Hit(stored.clone());
        }
        if let Some(flight) = shelf.flights.get(key) {
            return Claim::Wait(flight.clone());
        }
        let (done, waiting) = watch::channel(None);
        shelf.flights.insert(key.to_owned(), waiting);
        Claim::Lead(Flight {
            cache: Arc::clone(self),
            key: key.to_owned(),
            done,
        })
    }

    /// Keeps an answer; the oldest goes when there are too many.
    pub fn keep(&self, key: &str, stored: Stored) {
        let mut shelf = self.lock();
        if shelf.entries.insert(key.to_owned(), stored).is_none() {
            shelf.order.push_back(key.to_owned());
        }
        while shelf.order.len() > MOST {
            if let Some(oldest) = shelf.order.pop_front() {
                shelf.entries.remove(&oldest);
            }
        }
    }

    /// Adds the answers of exchanges that were cacheable.
    pub fn load(&self, exchanges: impl Iterator<Item = Exchange>) {
        for exchange in exchanges.filter(|e| e.cacheable && e.source != AnswerSource::Fault) {
            if let Some(stored) = Stored::of(&exchange) {
                self.keep(&exchange.key, stored);
            }
        }
    }

    /// Forgets one answer; whether there was one.
    pub fn forget(&self, key: &str) -> bool {
        let mut shelf = self.lock();
        shelf.order.retain(|old| old != key);
        shelf.entries.remove(key).is_some()
    }

    /// Forgets all answers, and says how many there were.
    pub fn clear(&self) -> usize {
        let mut shelf = self.lock();
        shelf.order.clear();
        std::mem::take(&mut shelf.entries).len()
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
