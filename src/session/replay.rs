//! A recorded session as something to play: a position that moves, the state
//! there, and how long the next event took. No Python, no network.
//!
//! Owns no clock and no screen: who plays it waits and draws. [`plain`] writes
//! a whole session as text, [`json`] as data.

use std::time::Duration;

use super::event::Event;
use super::reader::SessionReader;
use super::state::SessionState;

mod text;

pub use text::{json, plain};

/// Longest wait while playing at speed 1: nobody watches a night of silence.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// A session being played.
#[derive(Debug)]
pub struct Replay {
    reader: SessionReader,
    position: usize,
    state: SessionState,
}

impl Replay {
    /// Before the first event.
    pub fn new(reader: SessionReader) -> Self {
        Self {
            reader,
            position: 0,
            state: SessionState::default(),
        }
    }

    /// How many events have been played.
    pub fn position(&self) -> usize {
        self.position
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.reader.len()
    }

    /// Whether there is nothing to play.
    pub fn is_empty(&self) -> bool {
        self.reader.is_empty()
    }

    /// The state after the events played.
    pub fn state(&self) -> &SessionState {
        &self.state
    }

    /// The session.
    pub fn reader(&mut self) -> &mut SessionReader {
        &mut self.reader
    }

    /// Plays the next event and answers it; `None` at the end.
    pub fn step(&mut self) -> Option<Event> {
        let event = self.reader.event(self.position + 1)?;
        self.position += 1;
        self.state.apply(&event);
        Some(event)
    }

    /// Goes back by one event; false at the beginning.
    pub fn back(&mut self) -> bool {
        let Some(position) = self.position.checked_sub(1) else {
            return false;
        };
        self.jump(position);
        true
    }

    /// Goes to after the event at `position` (0 is the beginning).
    pub fn jump(&mut self, position: usize) {
        self.position = position.min(self.reader.len());
        self.state = self.reader.state_at(self.position);
    }

    /// How long to wait before the next [`Replay::step`] when playing at
    /// `speed` (2 is twice as fast), as recorded but at most 2 s; `None` at the
    /// end.
    pub fn wait(&mut self, speed: f64) -> Option<Duration> {
        let next = self.reader.event(self.position + 1)?;
        let Some(last) = self.reader.event(self.position) else {
            return Some(Duration::ZERO);
        };
        // The monotonic clock begins anew with each opening; then, and only
        // then, the wall clock has to do.
        let recorded = match next.mono_ns.checked_sub(last.mono_ns) {
            Some(ns) => Duration::from_nanos(ns),
            None => Duration::from_millis((next.time_ms - last.time_ms).try_into().unwrap_or(0)),
        };
        let speed = if speed.is_finite() {
            speed.max(0.01)
        } else {
            1.0
        };
        Some(recorded.min(LONGEST_WAIT).div_f64(speed))
    }
}
