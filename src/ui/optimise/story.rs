//! What the progress of an evaluation or optimisation says so far.

use std::collections::BTreeMap;

use crate::session::event::{Progress, RunKind, RunStatus};
use crate::session::state::Run;

/// A candidate that was scored on the whole set.
#[derive(Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) number: u32,
    pub(crate) label: &'a str,
    /// Percent.
    pub(crate) score: f64,
    pub(crate) demos: u32,
    pub(crate) parent: Option<u32>,
}

/// A fold over [`Run::progress`].
#[derive(Debug, Default)]
pub(crate) struct Story<'a> {
    /// What is being done now.
    pub(crate) phase: &'a str,
    /// Examples of this phase, when known.
    pub(crate) total: Option<u64>,
    /// Examples of it scored so far.
    pub(crate) scored: u64,
    /// For each candidate the running mean of its scores, percent, a point an example.
    pub(crate) curves: BTreeMap<u32, Vec<f64>>,
    /// Demonstrations found, and wanted.
    pub(crate) demos: Option<(u32, u32)>,
    /// In the order they were done.
    pub(crate) candidates: Vec<Candidate<'a>>,
    /// Examples that raised.
    pub(crate) errors: u64,
    /// Examples scored in all phases.
    pub(crate) all_scored: u64,
    /// Examples that will be scored in all phases, when known.
    pub(crate) expected: Option<u64>,
}

impl<'a> Story<'a> {
    /// The story of this run.
    pub(crate) fn of(run: &'a Run) -> Self {
        let mut story = Self::default();
        let mut sums: BTreeMap<u32, f64> = BTreeMap::new();
        let mut largest = None;
        for step in &run.progress {
            match step {
                Progress::Phase { name, total } => {
                    story.phase = name;
                    story.total = *total;
                    story.scored = 0;
                    // These score nothing, or stop when they have what they want.
                    if !matches!(name.as_str(), "bootstrap" | "collect" | "train") {
                        largest = largest.max(*total);
                    }
                }
                Progress::Example {
                    candidate,
                    score,
                    error,
                    ..
                } => {
                    let sum = sums.entry(*candidate).or_default();
                    *sum += if score.is_finite() { *score } else { 0.0 };
                    let curve = story.curves.entry(*candidate).or_default();
                    curve.push(*sum / (curve.len() as f64 + 1.0) * 100.0);
                    story.scored += 1;
                    story.all_scored += 1;
                    story.errors += u64::from(error.is_some());
                }
                // A batch tells its own story; see `ui::status`.
                Progress::Rows { .. } => {}
                Progress::Demo { found, wanted } => story.demos = Some((*found, *wanted)),
                Progress::Candidate {
                    candidate,
                    label,
                    score,
                    demos,
                    parent,
                    ..
                } => story.candidates.push(Candidate {
                    number: *candidate,
                    label,
                    score: *score,
                    demos: *demos,
                    parent: *parent,
                }),
            }
        }
        // An optimisation scores what there was before, too.
        let times = if run.kind == RunKind::Compile { 2 } else { 1 };
        story.expected = largest.map(|largest| (largest * times).max(story.all_scored));
        story
    }

    /// The best score of a candidate that was scored on the whole set, percent.
    pub(crate) fn best(&self) -> Option<f64> {
        let scores = self.candidates.iter().map(|it| it.score);
        scores.filter(|it| it.is_finite()).reduce(f64::max)
    }

    /// How much better the best is than what there was before, percent points.
    pub(crate) fn gain(&self) -> Option<f64> {
        let before = self.candidates.iter().find(|it| it.number == 0)?;
        (self.candidates.len() > 1).then(|| self.best().map(|best| best - before.score))?
    }

    /// The running mean of the candidate being scored, percent.
    pub(crate) fn mean(&self) -> Option<f64> {
        self.curves.values().next_back()?.last().copied()
    }

    /// Milliseconds until all examples are scored, if they go on as they did.
    pub(crate) fn left_ms(&self, run: &Run, elapsed_ms: f64) -> Option<f64> {
        if run.status != RunStatus::Running || self.all_scored < 3 || elapsed_ms <= 0.0 {
            return None;
        }
        let left = self.expected?.checked_sub(self.all_scored)?;
        Some(left as f64 * elapsed_ms / self.all_scored as f64)
    }
}
