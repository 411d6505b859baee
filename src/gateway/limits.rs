//! How many calls of a profile may run at once, and how many may start in a minute.
//!
//! Waiting costs nothing: a semaphore for the first, one sleep until the next free
//! moment for the second.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_mins(1);

/// The limits of one profile.
#[derive(Debug)]
pub struct Limits {
    slots: Option<Arc<Semaphore>>,
    per_minute: usize,
    /// Starts within the last minute, those still waiting for theirs included.
    starts: Mutex<VecDeque<Instant>>,
}

/// Leave to make one call; dropping it frees the slot.
#[derive(Debug)]
pub struct Permit {
    _slot: Option<OwnedSemaphorePermit>,
}

impl Limits {
    /// Limits of a profile; 0 is no limit.
    pub fn new(max_concurrency: u32, requests_per_minute: u32) -> Self {
        Self {
            slots: (max_concurrency > 0)
                .then(|| Arc::new(Semaphore::new(max_concurrency as usize))),
            per_minute: requests_per_minute as usize,
            starts: Mutex::default(),
        }
    }

    /// Waits until a call may start. Whoever stops waiting for a slot gives
    /// nothing away; whoever stops waiting for its minute has used its turn.
    pub async fn enter(&self) -> Permit {
        let slot = match &self.slots {
            // The semaphore is never closed; if it were, nothing would be limited.
            Some(slots) => Arc::clone(slots).acquire_owned().await.ok(),
            None => None,
        };
        if let Some(at) = self.turn(Instant::now()) {
            tokio::time::sleep_until(at).await;
        }
        Permit { _slot: slot }
    }

    /// Takes the next turn: `None` is now.
    fn turn(&self, now: Instant) -> Option<Instant> {
        if self.per_minute == 0 {
            return None;
        }
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        while starts.front().is_some_and(|start| *start + MINUTE <= now) {
            starts.pop_front();
        }
        let at = if starts.len() < self.per_minute {
            now
        } else {
            let before = starts.len() - self.per_minute;
            starts.get(before).map_or(now, |start| *start + MINUTE)
        };
        starts.push_back(at);
        (at > now).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_call_of_two_a_minute_waits_for_the_next() {
        let limits = Limits::new(0, 2);
        let start = Instant::now();
        assert_eq!(limits.turn(start), None);
        assert_eq!(limits.turn(start), None);
        assert_eq!(limits.turn(start), Some(start + MINUTE));
        assert_eq!(limits.turn(start), Some(start + MINUTE));
        assert_eq!(limits.turn(start), Some(start + MINUTE * 2));
        assert_eq!(limits.turn(start + MINUTE * 4), None);
    }

    #[tokio::test]
    async fn no_more_than_the_limit_run_at_once() {
        let limits = Limits::new(1, 0);
        let first = limits.enter().await;
        let second = limits.enter();
        tokio::pin!(second);
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        second.await;
    }
}
