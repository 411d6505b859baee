//! Two sessions side by side: what differs in numbers, things and cells.
//!
//! Reads two states and changes neither. Knows nothing of how it is shown.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::event::RunKind;
use super::state::{Cell, SessionState};

/// Cells compared at most; of longer sessions the first.
const CELLS: usize = 5_000;

/// What came of comparing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Numbers and things, in the order to be read.
    pub rows: Vec<Row>,
    /// Cells in the order of both notebooks.
    pub cells: Vec<CellPair>,
}

/// One thing both sessions may have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What.
    pub what: String,
    /// In the first session; empty when it has none.
    pub left: String,
    /// In the second.
    pub right: String,
}

/// A cell of one session and its counterpart in the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CellPair {
    /// How they stand to each other.
    pub change: Change,
    /// Number in the first session.
    pub left: Option<u64>,
    /// Number in the second.
    pub right: Option<u64>,
    /// Text of the first, or of the one there is.
    pub source: String,
    /// Text of the second, where it was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<String>,
}

/// How two cells stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Same text, same outputs.
    Same,
    /// Same text, other outputs.
    Outputs,
    /// Another text in its place.
    Source,
    /// In the first only.
    Removed,
    /// In the second only.
    Added,
}

/// Compares the second session with the first.
pub fn compare(left: &SessionState, right: &SessionState) -> Comparison {
    Comparison {
        rows: rows(left, right),
        cells: cells(left, right),
    }
}

fn rows(left: &SessionState, right: &SessionState) -> Vec<Row> {
    let mut out = Vec::new();
    let mut row = |what: &str, of: &dyn Fn(&SessionState) -> String| {
        out.push(Row {
            what: what.to_owned(),
            left: of(left),
            right: of(right),
        });
    };
    row("workbench", &|it| it.passport.app.clone());
    row("python", &|it| it.passport.python.clone());
    row("dspy", &|it| it.passport.dspy.clone());
    row("LM", &|it| it.lm.clone().unwrap_or_default());
    row("events", &|it| it.seq.to_string());
    row("cells", &|it| it.cells.len().to_string());
    row("runs", &|it| it.runs.len().to_string());
    row("LM calls", &|it| it.totals.calls.to_string());
    row("answered from cache or record", &|it| {
        it.totals.hits.to_string()
    });
    row("failed calls", &|it| it.totals.failures.to_string());
    row("tokens in", &|it| it.totals.input_tokens.to_string());
    row("tokens out", &|it| it.totals.output_tokens.to_string());
    row("cost", &|it| match it.totals.unpriced {
        0 => format!("${:.4}", it.totals.cost),
        n => format!("${:.4} and {n} calls without a price", it.totals.cost),
    });
    let names = |of: &dyn Fn(&SessionState) -> Vec<String>| -> BTreeSet<String> {
        of(left).into_iter().chain(of(right)).collect()
    };
    for name in names(&|it| it.programs.keys().cloned().collect()) {
        row(&format!("program {name}"), &|it| {
            let program = it.programs.get(&name);
            program.map_or_else(String::new, |it| match it.score {
                Some(score) => format!("v{} · {score:.1}", it.version),
                None => format!("v{}", it.version),
            })
        });
    }
    for name in names(&|it| it.datasets.keys().cloned().collect()) {
        row(&format!("data {name}"), &|it| {
            let data = it.datasets.get(&name);
            data.map_or_else(String::new, |it| format!("{} rows", it.len))
        });
    }
    for title in names(&|it| scores(it).into_iter().map(|(title, _)| title).collect()) {
        row(&format!("score of {title}"), &|it| {
            let of = scores(it).into_iter().rev();
            let mut of = of.filter(|(other, _)| *other == title);
            of.next().map_or_else(String::new, |(_, score)| score)
        });
    }
    row("state hash", &|it| it.hash().chars().take(12).collect());
    out
}

/// Scores of evaluations and optimisations, by the run's title.
fn scores(session: &SessionState) -> Vec<(String, String)> {
    let runs = session.runs.values();
    let scored = runs.filter(|run| matches!(run.kind, RunKind::Evaluate | RunKind::Compile));
    scored
        .filter_map(|run| {
            let result = run.result.as_ref()?;
            let score = result
                .get("score")
                .or_else(|| result.pointer("/performance/optimized"))
                .filter(|it| it.is_number())?;
            Some((run.title.clone(), score.to_string()))
        })
        .collect()
}

fn cells(left: &SessionState, right: &SessionState) -> Vec<CellPair> {
    let of = |session: &SessionState| -> Vec<String> {
        let cells = session.cells.iter().take(CELLS);
        cells.map(|cell| cell.source.clone()).collect()
    };
    let (a, b) = (of(left), of(right));
    let mut out = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &a, &b) {
        let (_, from, to) = op.as_tag_tuple();
        let pairs = from.len().max(to.len());
        for step in 0..pairs {
            let one = from.clone().nth(step).and_then(|at| left.cells.get(at));
            let two = to.clone().nth(step).and_then(|at| right.cells.get(at));
            out.extend(pair(one.map(AsRef::as_ref), two.map(AsRef::as_ref), &op));
        }
    }
    out
}

fn pair(left: Option<&Cell>, right: Option<&Cell>, op: &DiffOp) -> Option<CellPair> {
    let (change, source, changed) = match (left, right) {
        (Some(left), Some(right)) if matches!(op, DiffOp::Equal { .. }) => {
            let same = told(left) == told(right);
            let change = if same { Change::Same } else { Change::Outputs };
            (change, &left.source, None)
        }
        (Some(left), Some(right)) => (Change::Source, &left.source, Some(right.source.clone())),
        (Some(left), None) => (Change::Removed, &left.source, None),
        (None, Some(right)) => (Change::Added, &right.source, None),
        (None, None) => return None,
    };
    Some(CellPair {
        change,
        left: left.map(|cell| cell.id.0),
        right: right.map(|cell| cell.id.0),
        source: source.clone(),
        changed,
    })
}

/// Outputs without what differs each time.
fn told(cell: &Cell) -> (Value, super::event::RunStatus) {
    let outputs = serde_json::to_value(&cell.outputs).unwrap_or_default();
    (outputs, cell.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::event::{CellId, CellKind, Event, EventBody, Output, Scope};

    fn session(cells: &[(&str, &str)]) -> SessionState {
        let mut state = SessionState::default();
        for (at, (source, output)) in cells.iter().enumerate() {
            let scope = Scope {
                run: None,
                cell: Some(CellId(at as u64 + 1)),
            };
            let bodies = [
                EventBody::CellSubmitted {
                    cell_kind: CellKind::Python,
                    source: (*source).to_owned(),
                },
                EventBody::CellOutput {
                    output: Output::Stream {
                        stderr: false,
                        text: (*output).to_owned(),
                    },
                },
            ];
            for body in bodies {
                let seq = state.seq + 1;
                state.apply(&Event {
                    seq,
                    time_ms: 0,
                    mono_ns: 0,
                    run: scope.run,
                    cell: scope.cell,
                    body,
                    chain: String::new(),
                });
            }
        }
        state
    }

    #[test]
    fn cells_are_paired_by_their_text() {
        let left = session(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
        let right = session(&[
            ("a", "1"),
            ("b", "other"),
            ("C", "3"),
            ("d", "4"),
            ("e", ""),
        ]);
        let changes: Vec<Change> = compare(&left, &right)
            .cells
            .iter()
            .map(|it| it.change)
            .collect();
        assert_eq!(
            changes,
            [
                Change::Same,
                Change::Outputs,
                Change::Source,
                Change::Same,
                Change::Added
            ]
        );
        let same = compare(&left, &left);
        assert!(same.cells.iter().all(|it| it.change == Change::Same));
        assert!(same.rows.iter().all(|it| it.left == it.right));
    }
}
