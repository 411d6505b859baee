//! Tokens as they come, for the run that is on the screen.
//!
//! [`Watch`] tells the gateway which run is looked at and receives its tokens;
//! [`Live`] holds their text until the answer is recorded. Nothing of this is
//! part of the session: what is kept of a call is its exchange.

use ratatui::text::Line;

use super::look::Look;
use super::{messages, text};
use crate::app::Core;
use crate::gateway::{TokenDelta, Watching};
use crate::sanitize;
use crate::session::event::RunId;
use crate::session::state::{Run, Span};

/// Calls whose text is held at once.
const CALLS: usize = 64;
/// Bytes held of one call; the beginning of a longer text is dropped.
const LONGEST: usize = 64 << 10;
/// Spans looked through for the one a token belongs to.
const LOOKED_AT: usize = 2_000;

/// What the LM calls of one run are just saying.
#[derive(Debug, Default)]
pub(crate) struct Live {
    run: Option<RunId>,
    calls: Vec<Call>,
}

/// A call that is being answered.
#[derive(Debug)]
struct Call {
    span: Option<String>,
    text: String,
    /// Exchanges the span had when the text began: with one more, it is told.
    tries: usize,
}

impl Live {
    /// Takes tokens in.
    pub(crate) fn take(&mut self, deltas: Vec<TokenDelta>, run: Option<&Run>) {
        for delta in deltas {
            if self.run != Some(delta.run) {
                self.calls.clear();
                self.run = Some(delta.run);
            }
            let tries = run
                .filter(|run| run.id == delta.run)
                .zip(delta.span.as_deref())
                .map_or(0, |(run, id)| tries(run, id));
            let at = self.calls.iter().position(|call| call.span == delta.span);
            let mut call = match at {
                Some(at) => self.calls.remove(at),
                None => Call {
                    span: delta.span,
                    text: String::new(),
                    tries,
                },
            };
            if call.tries != tries {
                call.text.clear();
                call.tries = tries;
            }
            call.text.push_str(&delta.text);
            if call.text.len() > LONGEST {
                let mut from = call.text.len() - LONGEST / 2;
                while !call.text.is_char_boundary(from) {
                    from += 1;
                }
                call.text.drain(..from);
            }
            // The newest stands last.
            self.calls.push(call);
            if self.calls.len() > CALLS {
                self.calls.remove(0);
            }
        }
    }

    /// What this span's call is just saying.
    pub(crate) fn text(&self, run: RunId, span: &Span) -> Option<&str> {
        if self.run != Some(run) || span.end_ns.is_some() {
            return None;
        }
        let told = |call: &&Call| {
            call.span.as_ref() == Some(&span.id) && call.tries == span.exchanges.len()
        };
        let call = self.calls.iter().find(told)?;
        Some(&call.text)
    }

    /// What the run's newest call is just saying.
    pub(crate) fn newest(&self, run: &Run) -> Option<&str> {
        if self.run != Some(run.id) {
            return None;
        }
        let call = self.calls.iter().rev().find(|call| {
            let id = call.span.as_deref().unwrap_or_default();
            find(run, id)
                .is_none_or(|span| span.end_ns.is_none() && span.exchanges.len() == call.tries)
        })?;
        Some(&call.text)
    }

    /// Whether there is any.
    pub(crate) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn find<'a>(run: &'a Run, id: &str) -> Option<&'a Span> {
    let recent = run.spans.iter().rev().take(LOOKED_AT);
    recent.map(AsRef::as_ref).find(|span| span.id == id)
}

fn tries(run: &Run, id: &str) -> usize {
    find(run, id).map_or(0, |span| span.exchanges.len())
}

/// An answer that is coming, as lines.
pub(crate) fn lines(text: &str, columns: usize, look: Look<'_>) -> Vec<Line<'static>> {
    messages::lines("answer, as it comes", text, columns, look)
}

/// The end of a text in one line of this many columns, for a row of the tree.
pub(crate) fn tail(text: &str, columns: usize) -> String {
    let recent = text.char_indices().rev().take(4 * columns.max(1)).last();
    let recent = text
        .get(recent.map_or(0, |(at, _)| at)..)
        .unwrap_or_default();
    let words: Vec<&str> = recent.split_whitespace().collect();
    let words = sanitize::one_line(&words.join(" ")).into_owned();
    let mut room = columns.saturating_sub(1);
    let mut from = words.len();
    for (at, ch) in words.char_indices().rev() {
        let wide = text::width(ch.encode_utf8(&mut [0; 4]));
        if wide > room {
            break;
        }
        room -= wide;
        from = at;
    }
    format!("…{}", words.get(from..).unwrap_or_default())
}

/// The loop's end of it: which run is watched, and what comes.
#[derive(Debug, Default)]
pub(super) struct Watch {
    on: Option<(RunId, Watching)>,
    /// Whether the tokens come from another process.
    following: bool,
}

impl Watch {
    /// Watches this run, or none: then nothing is streamed for the screen.
    pub(super) fn set(&mut self, core: &Core, wanted: Option<RunId>) {
        let now = self.on.as_ref().map(|(run, _)| *run);
        if now == wanted && self.following == core.is_follower() {
            return;
        }
        // First the end of one, then the beginning of another.
        self.on = None;
        self.following = core.is_follower();
        self.on = wanted.map(|run| (run, core.watch(run)));
    }

    /// Waits for tokens; all that are there already come with them. Cancel-safe.
    pub(super) async fn next(&mut self) -> Vec<TokenDelta> {
        match &mut self.on {
            Some((_, watching)) => watching.next().await,
            None => std::future::pending().await,
        }
    }
}
