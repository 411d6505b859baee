//! Spans between Python and the socket: a buffer that never blocks Python, and
//! a flusher that sends it at most 20 ms later.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::value::RawValue;

/// How long a span may wait for company.
const LATENESS: Duration = Duration::from_millis(20);

/// The JSON items of a `spans` frame, as they accumulate.
#[derive(Debug, Default)]
pub(super) struct SpanBuffer {
    items: Mutex<Vec<u8>>,
    began: Condvar,
}

/// A span's start as it goes out; the mirror of `SpanItem::Start`.
#[derive(serde::Serialize)]
#[serde(tag = "span", rename = "start")]
pub(super) struct Start<'a> {
    pub(super) id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run: Option<u64>,
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    pub(super) ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) inputs: Option<&'a RawValue>,
}

/// A span's end; the mirror of `SpanItem::End`.
#[derive(serde::Serialize)]
#[serde(tag = "span", rename = "end")]
pub(super) struct End<'a> {
    pub(super) id: &'a str,
    pub(super) ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outputs: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a str>,
}

impl SpanBuffer {
    /// Appends one item.
    pub(super) fn push(&self, item: &impl serde::Serialize) {
        let mut items = self.lock();
        let first = items.is_empty();
        if !first {
            items.push(b',');
        }
        let len = items.len();
        if serde_json::to_writer(&mut *items, item).is_err() {
            items.truncate(len.saturating_sub(usize::from(!first)));
            return;
        }
        drop(items);
        if first {
            self.began.notify_one();
        }
    }

    /// The payload of a `spans` frame with everything so far, if there is anything.
    pub(super) fn take(&self) -> Option<Vec<u8>> {
        let mut items = self.lock();
        if items.is_empty() {
            return None;
        }
        let mut payload = Vec::with_capacity(items.len() + 12);
        payload.extend_from_slice(b"{\"items\":[");
        payload.extend_from_slice(&items);
        payload.extend_from_slice(b"]}");
        items.clear();
        Some(payload)
    }

    /// Waits, without a tick, until there is something and its time has come.
    pub(super) fn wait_due(&self) {
        let mut items = self.lock();
        while items.is_empty() {
            items = self
                .began
                .wait(items)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(items);
        std::thread::sleep(LATENESS);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
