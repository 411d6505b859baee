//! Sums over LM calls: how many, how large, for how much.

use serde::{Deserialize, Serialize};

use super::event::{AnswerSource, Exchange};

/// Sums over exchanges.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Exchanges answered by a server or the demo LM.
    pub calls: u64,
    /// Exchanges answered from cache or record.
    pub hits: u64,
    /// Exchanges that failed.
    pub failures: u64,
    /// Tokens in.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// Known dollars.
    pub cost: f64,
    /// Calls whose price is unknown.
    pub unpriced: u64,
}

impl Totals {
    /// Adds other sums to these.
    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.hits += other.hits;
        self.failures += other.failures;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cost += other.cost;
        self.unpriced += other.unpriced;
    }

    /// Counts one exchange in.
    pub fn add(&mut self, exchange: &Exchange) {
        if exchange.error.is_some() || exchange.status >= 400 {
            self.failures += 1;
            return;
        }
        match exchange.source {
            AnswerSource::Cache | AnswerSource::Cassette => self.hits += 1,
            AnswerSource::Server
            | AnswerSource::Demo
            | AnswerSource::Fault
            | AnswerSource::Direct => {
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
}
