//! Injected faults: what `--fault` asks for, and which call it strikes.
//!
//! Pure except for the counter of calls. Carrying a fault out is the caller's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::protocol::error::{OperationError, near_matches};

/// What is done to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The answer comes later.
    Latency(Duration),
    /// An error answer with this status instead of a call.
    Status(u16),
    /// The connection breaks in the middle of the answer.
    Truncate,
    /// The answer comes a byte at a time until the deadline.
    SlowLoris,
    /// An answer that is not JSON.
    InvalidJson,
    /// The connection is refused.
    Refuse,
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Every(u64),
    Share(f64),
}

/// One fault: an effect and how often it strikes.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    effect: Effect,
    how: How,
}

const NAMES: [&str; 6] = [
    "latency",
    "status",
    "truncate",
    "slowloris",
    "invalid-json",
    "refuse",
];

impl Fault {
    /// Reads `EFFECT[=VALUE][:SHARE|/N]`: `latency=200ms`, `status=429:0.3` (three
    /// of ten calls), `truncate/5` (every fifth), `slowloris`, `invalid-json`, `refuse`.
    ///
    /// # Errors
    /// `invalid_fault`, with what is wrong and near matches of the name.
    pub fn parse(spec: &str) -> Result<Self, OperationError> {
        let bad = |why: String| {
            OperationError::invalid("invalid_fault", why)
                .hint("for example latency=200ms, status=429:0.3, truncate/5, slowloris, invalid-json, refuse")
        };
        let (what, how) = if let Some((what, share)) = spec.rsplit_once(':') {
            let share = share
                .parse::<f64>()
                .ok()
                .filter(|share| *share > 0.0 && *share <= 1.0)
                .ok_or_else(|| {
                    bad(format!(
                        "the share in {spec:?} must be above 0 and at most 1"
                    ))
                })?;
            (what, How::Share(share))
        } else if let Some((what, every)) = spec.rsplit_once('/') {
            let every = every
                .parse::<u64>()
                .ok()
                .filter(|every| *every > 0)
                .ok_or_else(|| bad(format!("the number after / in {spec:?} must be 1 or more")))?;
            (what, How::Every(every))
        } else {
            (spec, How::Every(1))
        };
        let (name, value) = match what.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (what.trim(), None),
        };
        let effect = match (name, value) {
            ("latency", Some(value)) => Effect::Latency(
                duration(value)
                    .ok_or_else(|| bad(format!("latency {value:?} must be like 200ms or 1.5s")))?,
            ),
            ("status", Some(value)) => Effect::Status(
                value
                    .parse()
                    .ok()
                    .filter(|status| (400..=599).contains(status))
                    .ok_or_else(|| bad(format!("status {value:?} must be from 400 to 599")))?,
            ),
            ("truncate", None) => Effect::Truncate,
            ("slowloris", None) => Effect::SlowLoris,
            ("invalid-json", None) => Effect::InvalidJson,
            ("refuse", None) => Effect::Refuse,
            ("latency" | "status", None) => return Err(bad(format!("{name} needs a value"))),
            (_, Some(_)) if NAMES.contains(&name) => {
                return Err(bad(format!("{name} takes no value")));
            }
            _ => return Err(bad(format!("unknown fault {name:?}")).near(near_matches(name, NAMES))),
        };
        Ok(Self { effect, how })
    }

    /// Whether it strikes the `n`-th call, from 1. Depends on nothing else, so
    /// that a run with faults can be repeated.
    fn strikes(&self, n: u64) -> bool {
        match self.how {
            How::Every(every) => n.is_multiple_of(every),
            // Strikes whenever the expected number of strikes passes a whole number.
            How::Share(share) => (n as f64 * share).floor() > ((n - 1) as f64 * share).floor(),
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (number, scale) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s')?, 1.0),
    };
    let seconds = number.trim().parse::<f64>().ok()? * scale;
    (0.0..=3600.0)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

/// All faults asked for, and how many calls there were.
#[derive(Debug, Default)]
pub struct FaultPlan {
    faults: Vec<Fault>,
    calls: AtomicU64,
}

impl FaultPlan {
    /// A plan of these faults.
    pub fn new(faults: Vec<Fault>) -> Self {
        Self {
            faults,
            calls: AtomicU64::new(0),
        }
    }

    /// What to do to the next call: all latencies together, and the first other
    /// effect that strikes.
    pub fn next(&self) -> (Duration, Option<Effect>) {
        let n = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let mut latency = Duration::ZERO;
        let mut effect = None;
        for fault in self.faults.iter().filter(|fault| fault.strikes(n)) {
            match fault.effect {
                Effect::Latency(more) => latency = latency.saturating_add(more),
                other => effect = effect.or(Some(other)),
            }
        }
        (latency, effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_are_read() {
        let effect = |spec: &str| Fault::parse(spec).unwrap().effect;
        assert_eq!(
            effect("latency=200ms"),
            Effect::Latency(Duration::from_millis(200))
        );
        assert_eq!(effect("status=429:0.3"), Effect::Status(429));
        assert_eq!(effect("truncate/5"), Effect::Truncate);
        assert_eq!(effect("invalid-json"), Effect::InvalidJson);
        for bad in [
            "latency",
            "latency=soon",
            "status=200",
            "trunkate",
            "refuse=1",
            "refuse:2",
            "refuse/0",
            "",
        ] {
            assert_eq!(
                Fault::parse(bad).unwrap_err().kind,
                "invalid_fault",
                "{bad}"
            );
        }
        assert_eq!(
            Fault::parse("trunkate").unwrap_err().recovery.near[0],
            "truncate"
        );
    }

    #[test]
    fn shares_and_every_nth_strike_as_often_as_asked() {
        let count = |spec: &str| {
            let plan = FaultPlan::new(vec![Fault::parse(spec).unwrap()]);
            (0..100).filter(|_| plan.next().1.is_some()).count()
        };
        assert_eq!(count("status=429:0.3"), 30);
        assert_eq!(count("truncate/5"), 20);
        assert_eq!(count("refuse"), 100);
    }
}
