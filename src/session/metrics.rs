//! Telemetry: how often, how long, how well and for how much, by operation, module,
//! LM, tool and signature.
//!
//! A fold over events beside the state ([`super::state::SessionState::metrics`]); it
//! decides nothing and is no part of the state's hash. Its memory does not grow with
//! the number of calls: durations are counted in buckets 2 % wide.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::event::{Event, EventBody, ProgramDef, RunId, RunKind, RunStatus, SpanItem};
use super::state::{Run, SessionState, Totals, hex};

/// Calls whose span never came that are remembered; then all are forgotten.
const MOST_EARLY: usize = 10_000;

/// Counts by kind and name.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    rows: BTreeMap<(String, String), Row>,
    /// Spans that have not ended.
    open: HashMap<String, Open>,
    /// What calls cost whose span has not begun.
    early: HashMap<String, Totals>,
    runs: HashMap<RunId, (String, Totals)>,
}

/// What is known of one operation, module, LM or tool.
#[derive(Debug, Clone, Default)]
struct Row {
    count: u64,
    errors: u64,
    durations: Durations,
    spent: Totals,
}

#[derive(Debug, Clone)]
struct Open {
    kind: String,
    name: String,
    parent: Option<String>,
    ns: u64,
    /// Its own calls and those of the spans inside it that have ended.
    spent: Totals,
}

impl Metrics {
    /// Counts one event in.
    pub fn apply(&mut self, event: &Event) {
        match &event.body {
            // What still ran when the session was closed the hard way never ended.
            EventBody::SessionOpened { .. } => {
                self.open.clear();
                self.early.clear();
                self.runs.clear();
            }
            EventBody::RunStarted {
                run_kind,
                operation,
                ..
            } => {
                if let Some(run) = event.run {
                    let cell = *run_kind == RunKind::Cell;
                    let name = if cell { Some("run_cell") } else { None };
                    let name = name.or(operation.as_deref()).unwrap_or_default();
                    self.runs.insert(run, (name.to_owned(), Totals::default()));
                }
            }
            EventBody::RunFinished {
                status,
                duration_ms,
                ..
            } => {
                if let Some((name, spent)) = event.run.and_then(|run| self.runs.remove(&run)) {
                    let failed = *status != RunStatus::Ok;
                    self.row("operation", &name)
                        .add(*duration_ms, failed, &spent);
                }
            }
            EventBody::Exchange(exchange) => {
                if let Some((_, spent)) = event.run.and_then(|run| self.runs.get_mut(&run)) {
                    spent.add(exchange);
                }
                if let Some(span) = &exchange.span {
                    if let Some(open) = self.open.get_mut(span) {
                        open.spent.add(exchange);
                    } else {
                        if self.early.len() >= MOST_EARLY {
                            self.early.clear();
                        }
                        self.early.entry(span.clone()).or_default().add(exchange);
                    }
                }
            }
            EventBody::Spans { items } => items.iter().for_each(|item| self.span(item)),
            _ => {}
        }
    }

    fn span(&mut self, item: &SpanItem) {
        match item {
            SpanItem::Start {
                id,
                parent,
                kind,
                name,
                ns,
                ..
            } => {
                let open = Open {
                    kind: kind.clone(),
                    name: name.clone(),
                    parent: parent.clone(),
                    ns: *ns,
                    spent: self.early.remove(id).unwrap_or_default(),
                };
                self.open.insert(id.clone(), open);
            }
            SpanItem::End { id, ns, error, .. } => {
                let Some(open) = self.open.remove(id) else {
                    return;
                };
                let ms = ns.saturating_sub(open.ns) as f64 / 1e6;
                self.row(&open.kind, &open.name)
                    .add(ms, error.is_some(), &open.spent);
                if let Some(parent) = open.parent.and_then(|id| self.open.get_mut(&id)) {
                    parent.spent.merge(&open.spent);
                }
            }
        }
    }

    fn row(&mut self, kind: &str, name: &str) -> &mut Row {
        self.rows
            .entry((kind.to_owned(), name.to_owned()))
            .or_default()
    }

    /// The rows as JSON, in the order of kind and name. Calls, tokens and cost of a
    /// row are those made inside it, however deep.
    pub fn rows(&self) -> Vec<Value> {
        let rows = self.rows.iter();
        rows.map(|((kind, name), row)| {
            let at = |share| round(row.durations.at(share));
            json!({
                "kind": kind, "name": name, "count": row.count, "errors": row.errors,
                "error_rate": ratio(row.errors as f64, row.count as f64),
                "p50_ms": at(0.5), "p95_ms": at(0.95), "mean_ms": round(row.durations.mean()),
                "calls": row.spent.calls, "hits": row.spent.hits,
                "failures": row.spent.failures, "input_tokens": row.spent.input_tokens,
                "output_tokens": row.spent.output_tokens, "cost": row.spent.cost,
                "unpriced": row.spent.unpriced,
            })
        })
        .collect()
    }
}

impl Row {
    fn add(&mut self, ms: f64, failed: bool, spent: &Totals) {
        self.count += 1;
        self.errors += u64::from(failed);
        self.durations.add(ms);
        self.spent.merge(spent);
    }
}

/// Durations in buckets, each 2 % wider than the one before.
#[derive(Debug, Clone, Default)]
struct Durations {
    buckets: BTreeMap<i32, u64>,
    count: u64,
    sum: f64,
    most: f64,
}

/// Wide of a bucket: the error of a percentile is half of it.
const WIDTH: f64 = 1.02;

impl Durations {
    fn add(&mut self, ms: f64) {
        if !ms.is_finite() || ms < 0.0 {
            return;
        }
        let bucket = (ms.max(0.001).ln() / WIDTH.ln()).floor() as i32;
        *self.buckets.entry(bucket).or_default() += 1;
        self.count += 1;
        self.sum += ms;
        self.most = self.most.max(ms);
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The duration that this share of all does not exceed.
    fn at(&self, share: f64) -> Option<f64> {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if seen >= rank {
                return Some(WIDTH.powf(f64::from(*bucket) + 0.5).min(self.most));
            }
        }
        None
    }
}

/// Everything that is measured of a session: `{rows, signatures, totals}`.
pub fn report(session: &SessionState) -> Value {
    json!({
        "rows": session.metrics.rows(),
        "signatures": signatures(session),
        "totals": session.totals,
    })
}

/// SHA-256 of a signature's canonical JSON, hex: the same for equal signatures of any
/// program and session. Empty where a program has none.
pub fn signature_hash(program: &ProgramDef) -> String {
    let Some(signature) = &program.signature else {
        return String::new();
    };
    let json = serde_json::to_vec(signature).unwrap_or_default();
    hex(&Sha256::digest(json))
}

/// `question, context -> answer`.
pub fn signature_line(program: &ProgramDef) -> String {
    let Some(signature) = &program.signature else {
        return String::new();
    };
    let names = |fields: &[super::event::FieldDef]| {
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        names.join(", ")
    };
    format!(
        "{} -> {}",
        names(&signature.inputs),
        names(&signature.outputs)
    )
}

/// Accuracy, cost and latency of evaluations and optimisations by signature (R129).
fn signatures(session: &SessionState) -> Vec<Value> {
    #[derive(Default)]
    struct Of {
        line: String,
        evaluations: u64,
        optimizations: u64,
        last: Option<f64>,
        best: Option<f64>,
        gain: Option<f64>,
        spent: Totals,
        ms: f64,
    }
    let mut all: BTreeMap<String, Of> = BTreeMap::new();
    for run in session.runs.values() {
        let Some(program) = program_of(session, run) else {
            continue;
        };
        let number = |path: &str| run.result.as_ref()?.pointer(path)?.as_f64();
        let of = all.entry(signature_hash(&program)).or_default();
        of.line = signature_line(&program);
        let score = if run.kind == RunKind::Evaluate {
            of.evaluations += 1;
            number("/score")
        } else {
            of.optimizations += 1;
            of.gain = number("/performance/gain").or(of.gain);
            number("/performance/optimized")
        };
        of.last = score.or(of.last);
        of.best = of.best.into_iter().chain(score).reduce(f64::max);
        of.spent.merge(&run.totals);
        of.ms += run.duration_ms.unwrap_or_default();
    }
    let row = |(hash, of): (String, Of)| {
        let calls = of.spent.calls + of.spent.hits;
        json!({
            "signature_hash": hash, "signature": of.line, "evaluations": of.evaluations,
            "optimizations": of.optimizations, "last_score": of.last, "best_score": of.best,
            "gain": of.gain, "calls": of.spent.calls, "hits": of.spent.hits,
            "cost": of.spent.cost, "unpriced": of.spent.unpriced,
            "seconds": round(Some(of.ms / 1e3)),
            "ms_per_call": round((calls > 0).then(|| of.ms / calls as f64)),
        })
    };
    all.into_iter().map(row).collect()
}

/// The program that an evaluation or optimisation was about.
fn program_of(session: &SessionState, run: &Run) -> Option<ProgramDef> {
    if !matches!(run.kind, RunKind::Evaluate | RunKind::Compile) {
        return None;
    }
    match run.arguments.get("program")? {
        Value::String(name) => session.programs.get(name).cloned(),
        whole => serde_json::from_value(whole.clone()).ok(),
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Three digits after the point.
fn round(value: Option<f64>) -> Option<f64> {
    value.map(|value| (value * 1e3).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::super::event::{AnswerSource, Document, Exchange};
    use super::*;

    fn event(run: u64, body: EventBody) -> Event {
        Event {
            seq: 1,
            time_ms: 0,
            mono_ns: 0,
            run: Some(RunId(run)),
            cell: None,
            body,
            chain: String::new(),
        }
    }

    fn start(id: &str, parent: Option<&str>, kind: &str, name: &str, ns: u64) -> SpanItem {
        SpanItem::Start {
            id: id.into(),
            parent: parent.map(Into::into),
            run: None,
            kind: kind.into(),
            name: name.into(),
            ns,
            inputs: Map::new(),
        }
    }

    fn end(id: &str, ns: u64, error: Option<&str>) -> SpanItem {
        SpanItem::End {
            id: id.into(),
            ns,
            outputs: Map::new(),
            error: error.map(Into::into),
        }
    }

    fn exchange(span: &str) -> EventBody {
        EventBody::Exchange(Box::new(Exchange {
            span: Some(span.into()),
            profile: String::new(),
            url: String::new(),
            model: "m".into(),
            key: String::new(),
            occurrence: 0,
            cacheable: true,
            request: Document::Text(String::new()),
            response: Document::Text(String::new()),
            headers: Vec::new(),
            status: 200,
            error: None,
            source: AnswerSource::Demo,
            latency_us: 5,
            input_tokens: 30,
            output_tokens: 4,
            cost: Some(0.5),
            streamed: false,
        }))
    }

    /// R128, R130, R131: counts, percentiles, errors, tokens and cost by operation and
    /// module; a call counts for all it was made in, also when it is told before its span.
    #[test]
    fn calls_count_for_everything_they_were_made_in() {
        let mut metrics = Metrics::default();
        metrics.apply(&event(
            1,
            EventBody::RunStarted {
                run_kind: RunKind::Operation,
                title: String::new(),
                operation: Some("execute_module".into()),
                arguments: Value::Null,
            },
        ));
        for n in 0..100_u64 {
            let (outer, lm) = (format!("o{n}"), format!("l{n}"));
            metrics.apply(&event(1, exchange(&lm)));
            let failed = (n < 10).then_some("ValueError: no");
            let items = vec![
                start(&outer, None, "module", "Predict", 0),
                start(&lm, Some(&outer), "lm", "m", 0),
                end(&lm, n * 1_000_000, None),
                end(&outer, (n + 1) * 1_000_000, failed),
            ];
            metrics.apply(&event(1, EventBody::Spans { items }));
        }
        metrics.apply(&event(
            1,
            EventBody::RunFinished {
                status: RunStatus::Ok,
                result: None,
                error: None,
                duration_ms: 7.0,
            },
        ));
        let rows = metrics.rows();
        let of = |kind: &str| rows.iter().find(|row| row["kind"] == kind).unwrap();
        let module = of("module");
        assert_eq!(
            (&module["count"], &module["errors"]),
            (&json!(100), &json!(10))
        );
        assert_eq!(module["error_rate"], 0.1);
        let near =
            |value: &Value, wanted: f64| (value.as_f64().unwrap() / wanted - 1.0).abs() < 0.02;
        assert!(near(&module["p50_ms"], 50.0), "{module}");
        assert!(near(&module["p95_ms"], 95.0), "{module}");
        for row in &rows {
            assert_eq!(row["input_tokens"], 3000, "{row}");
            assert_eq!(row["cost"], 50.0, "{row}");
        }
        assert_eq!(of("operation")["name"], "execute_module");
        assert!(metrics.open.is_empty() && metrics.early.is_empty() && metrics.runs.is_empty());
    }

    #[test]
    fn buckets_are_few_however_many_durations_there_are() {
        let mut durations = Durations::default();
        for n in 0..200_000 {
            durations.add(f64::from(n) * 0.01);
        }
        assert!(durations.buckets.len() < 800, "{}", durations.buckets.len());
        durations.add(f64::NAN);
        assert_eq!(durations.count, 200_000);
    }
}
