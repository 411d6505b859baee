//! What was spent, per run and in the whole session. Counts only: stopping is the core's.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::session::event::{AnswerSource, Exchange, RunId};

/// Calls, tokens, dollars and seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    /// Calls a server (or the demo LM) answered well.
    pub calls: u64,
    /// Calls served from cache or cassette.
    pub hits: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Tokens in, of paid calls.
    pub input_tokens: u64,
    /// Tokens out, of paid calls.
    pub output_tokens: u64,
    /// Dollars, of calls whose price is known.
    pub cost: f64,
    /// Calls whose price is not known.
    pub unpriced: u64,
    /// Seconds spent waiting for answers, summed over calls.
    pub seconds: f64,
}

impl Spent {
    fn add(&mut self, exchange: &Exchange) {
        self.seconds += exchange.latency_us as f64 / 1e6;
        if exchange.error.is_some() || !(200..400).contains(&exchange.status) {
            self.failures += 1;
        } else if matches!(
            exchange.source,
            AnswerSource::Cache | AnswerSource::Cassette
        ) {
            self.hits += 1;
        } else {
            self.calls += 1;
            self.input_tokens += exchange.input_tokens;
            self.output_tokens += exchange.output_tokens;
            match exchange.cost {
                Some(cost) => self.cost += cost,
                None => self.unpriced += 1,
            }
        }
    }
}

/// The counters.
#[derive(Debug, Default)]
pub struct Budget {
    spent: Mutex<(Spent, HashMap<RunId, Spent>)>,
}

impl Budget {
    /// Counts one exchange.
    pub fn add(&self, run: Option<RunId>, exchange: &Exchange) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.0.add(exchange);
        if let Some(run) = run {
            spent.1.entry(run).or_default().add(exchange);
        }
    }

    /// What a run spent, or, for `None`, the whole session since it was opened.
    pub fn spent(&self, run: Option<RunId>) -> Spent {
        let spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        match run {
            Some(run) => spent.1.get(&run).copied().unwrap_or_default(),
            None => spent.0,
        }
    }
}
