//! An evaluation over several workers: examples in chunks, results in order,
//! all spans under one.
//!
//! Each worker takes chunks until none is left, so that a slow one holds nobody
//! up. A chunk whose worker died is given to another one, once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::super::OperationResult;
use super::super::host::CoreHost;
use crate::protocol::error::{ErrorClass, OperationError};
use crate::protocol::message::{Lane, Request};
use crate::session::event::{Progress, RunId, SpanItem};
use crate::worker::{Host as _, Lease, PoolRole, Supervisor, Wanted, WorkerEvent};

/// Examples that are worth one more worker.
const WORTH_A_WORKER: usize = 32;
/// Chunks of one worker that are under way at a time: while the last calls of
/// one end, those of the next have begun.
const UNDER_WAY: usize = 2;

/// How an evaluation is spread.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Workers at most.
    workers: usize,
    /// Threads for each chunk.
    threads: usize,
    /// First row and one past the last, of each chunk.
    chunks: Vec<(usize, usize)>,
}

/// A plan where spreading is possible and worth it.
pub(super) fn plan(pool: usize, request: &Request) -> Option<Plan> {
    let rows = rows(&request.arguments)?.len();
    let threads = request.arguments.get("num_threads").and_then(Value::as_u64);
    divide(pool, rows, threads.unwrap_or(8).clamp(1, 64) as usize)
}

fn divide(pool: usize, rows: usize, threads: usize) -> Option<Plan> {
    let workers = pool.min(rows / WORTH_A_WORKER).min(threads);
    if workers < 2 {
        return None;
    }
    let threads = (threads / (workers * UNDER_WAY)).max(1);
    let size = (rows / (workers * UNDER_WAY * 3)).clamp(threads, 512);
    let firsts = (0..rows).step_by(size);
    Some(Plan {
        workers,
        threads,
        chunks: firsts
            .map(|first| (first, rows.min(first + size)))
            .collect(),
    })
}

/// The rows of the dataset, which may be an object with `rows` or the rows themselves.
fn rows(arguments: &Value) -> Option<&Vec<Value>> {
    match arguments.get("dataset")? {
        Value::Array(rows) => Some(rows),
        dataset => dataset.get("rows")?.as_array(),
    }
}

/// Scores a program on a dataset with several workers.
pub(super) async fn evaluate(
    supervisor: &Supervisor,
    host: &Arc<CoreHost>,
    request: Request,
    plan: Plan,
) -> OperationResult {
    let first = supervisor.check_out(wanted(&request)).await?;
    let total = plan.chunks.last().map_or(0, |(_, end)| *end);
    let span = Span::open(&first, host, &request, &plan, total).await?;
    let work = Work {
        supervisor,
        request: Request {
            operation: "evaluate_part".to_owned(),
            parent: Some(span.id.clone()),
            ..request
        },
        threads: plan.threads,
        left: Mutex::new(plan.chunks.into_iter().map(|chunk| (chunk, 0)).collect()),
        all_taken: CancellationToken::new(),
        done: Mutex::new(Vec::new()),
        failed: Mutex::new(None),
    };
    let others = (1..plan.workers).map(|_| work.join_in());
    let ((), _) = tokio::join!(work.take_chunks(first), join_all(others));
    let result = work.result();
    span.close(&result);
    result.map(|(answer, _)| answer)
}

fn wanted(request: &Request) -> Wanted {
    Wanted {
        role: PoolRole::General,
        run: request.run,
        affinity: Some(super::affinity(request)),
        apart: true,
    }
}

struct Work<'a> {
    supervisor: &'a Supervisor,
    request: Request,
    threads: usize,
    /// Chunks that nobody works on, with how often each was begun.
    left: Mutex<VecDeque<((usize, usize), u32)>>,
    /// Whoever still waits for a worker need not any more.
    all_taken: CancellationToken,
    done: Mutex<Vec<Value>>,
    failed: Mutex<Option<OperationError>>,
}

impl Work<'_> {
    /// One more worker, where there is one before all is done.
    async fn join_in(&self) {
        let lease = self.supervisor.check_out(wanted(&self.request));
        tokio::select! {
            biased;
            () = self.all_taken.cancelled() => {}
            lease = lease => match lease {
                Ok(lease) => self.take_chunks(lease).await,
                // One worker is enough; a pool that is busy is not an error here.
                Err(error) => tracing::info!(%error, "an evaluation has fewer workers"),
            },
        }
    }

    async fn take_chunks(&self, lease: Lease) {
        let mut lease = lease;
        loop {
            let lanes = (0..UNDER_WAY).map(|_| self.chunk_by_chunk(&lease));
            let died = join_all(lanes).await.into_iter().any(|died| died);
            if !died || lock(&self.left).is_empty() {
                return;
            }
            drop(lease);
            lease = match self.supervisor.check_out(wanted(&self.request)).await {
                Ok(lease) => lease,
                Err(error) => return self.fail(error),
            };
        }
    }

    /// Works through chunks; true when the worker died over one.
    async fn chunk_by_chunk(&self, lease: &Lease) -> bool {
        loop {
            let next = lock(&self.left).pop_front();
            let Some(((first, end), begun)) = next else {
                self.all_taken.cancel();
                return false;
            };
            match lease.request(self.part(first, end)).await {
                Ok(part) => lock(&self.done).push(part),
                Err(error) if error.class == ErrorClass::ProcessCrashed && begun == 0 => {
                    lock(&self.left).push_front(((first, end), begun + 1));
                    return true;
                }
                Err(error) => {
                    self.fail(error);
                    return false;
                }
            }
        }
    }

    fn part(&self, first: usize, end: usize) -> Request {
        let mut request = Request {
            operation: self.request.operation.clone(),
            lane: Lane::Run,
            arguments: Value::Null,
            run: self.request.run,
            cell: None,
            lm: self.request.lm.clone(),
            shipped: self.request.shipped.clone(),
            parent: self.request.parent.clone(),
            stays: None,
        };
        let Value::Object(arguments) = &self.request.arguments else {
            return request;
        };
        let mut part = Map::with_capacity(arguments.len() + 2);
        for (key, value) in arguments {
            let value = match (key.as_str(), value) {
                ("dataset", Value::Array(rows)) => json!(rows.get(first..end)),
                ("dataset", Value::Object(dataset)) => {
                    let of_dataset = |(key, value): (&String, &Value)| match value {
                        Value::Array(rows) if key == "rows" => {
                            (key.clone(), json!(rows.get(first..end)))
                        }
                        _ => (key.clone(), value.clone()),
                    };
                    Value::Object(dataset.iter().map(of_dataset).collect())
                }
                _ => value.clone(),
            };
            part.insert(key.clone(), value);
        }
        part.insert("num_threads".to_owned(), json!(self.threads));
        part.insert("offset".to_owned(), json!(first));
        request.arguments = Value::Object(part);
        request
    }

    /// The first error ends the whole: nobody takes a further chunk.
    fn fail(&self, error: OperationError) {
        lock(&self.left).clear();
        self.all_taken.cancel();
        lock(&self.failed).get_or_insert(error);
    }

    /// Score and results of all parts in order, and what was scored.
    fn result(&self) -> Result<(Value, Value), OperationError> {
        if let Some(error) = lock(&self.failed).take() {
            return Err(error);
        }
        let parts = std::mem::take(&mut *lock(&self.done));
        let about = parts
            .first()
            .and_then(|part| part.get("about").cloned())
            .unwrap_or_default();
        let mut results: Vec<Value> = parts
            .into_iter()
            .filter_map(|mut part| part.get_mut("results").map(Value::take))
            .flat_map(|rows| match rows {
                Value::Array(rows) => rows,
                _ => Vec::new(),
            })
            .collect();
        results.sort_by_key(|row| row.get("index").and_then(Value::as_u64));
        let scores = results
            .iter()
            .filter_map(|row| row.get("score").and_then(Value::as_f64));
        let score = 100.0 * scores.sum::<f64>() / results.len().max(1) as f64;
        let score = (score * 100.0).round() / 100.0;
        Ok((json!({"score": score, "results": results}), about))
    }
}

/// The span that all others of the evaluation are part of, written here because
/// no worker sees the whole.
struct Span<'a> {
    id: String,
    run: RunId,
    host: &'a CoreHost,
    /// The workers' clock at an instant of ours.
    clock: (u64, Instant),
}

impl<'a> Span<'a> {
    async fn open(
        lease: &Lease,
        host: &'a CoreHost,
        request: &Request,
        plan: &Plan,
        total: usize,
    ) -> Result<Self, OperationError> {
        let run = request.run.unwrap_or(RunId(0));
        let asked = Request {
            operation: "clock".to_owned(),
            lane: Lane::Side,
            arguments: json!({}),
            ..Request::default()
        };
        let now = lease.request(asked).await?;
        let now = now.get("ns").and_then(Value::as_u64).unwrap_or_default();
        let span = Self {
            id: format!("0-{}-1", run.0),
            run,
            host,
            clock: (now, Instant::now()),
        };
        span.progress(Progress::Phase {
            name: "evaluate".to_owned(),
            total: Some(total as u64),
        });
        let inputs = [
            ("examples", json!(total)),
            ("workers", json!(plan.workers)),
            ("chunks", json!(plan.chunks.len())),
        ];
        span.write(SpanItem::Start {
            id: span.id.clone(),
            parent: None,
            run: Some(run),
            kind: "evaluate".to_owned(),
            name: "Evaluate".to_owned(),
            ns: now,
            inputs: inputs
                .map(|(key, value)| (key.to_owned(), value))
                .into_iter()
                .collect(),
        });
        Ok(span)
    }

    fn close(self, result: &Result<(Value, Value), OperationError>) {
        let mut outputs = Map::new();
        if let Ok((answer, about)) = result {
            let score = answer
                .get("score")
                .and_then(Value::as_f64)
                .unwrap_or_default();
            outputs.insert("score".to_owned(), json!(score));
            let text = about.get("instructions").and_then(Value::as_str);
            let demos = about.get("demos").and_then(Value::as_u64);
            self.progress(Progress::Candidate {
                candidate: 0,
                label: "as it was".to_owned(),
                score,
                instructions: text.unwrap_or_default().to_owned(),
                demos: demos.unwrap_or_default() as u32,
                parent: None,
            });
        }
        let (ns, at) = self.clock;
        self.write(SpanItem::End {
            id: self.id.clone(),
            ns: ns + at.elapsed().as_nanos() as u64,
            outputs,
            error: result.as_ref().err().map(|error| error.message.clone()),
        });
    }

    fn write(&self, item: SpanItem) {
        self.host.event(0, WorkerEvent::Spans(vec![item]));
    }

    fn progress(&self, progress: Progress) {
        let run = self.run;
        self.host.event(0, WorkerEvent::Progress { run, progress });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row is in exactly one chunk, and never more threads than asked for run.
    #[test]
    fn chunks_cover_the_rows_once() {
        for (pool, rows, threads) in [(2, 64, 8), (2, 1000, 64), (4, 999, 7), (3, 129, 3)] {
            let plan = divide(pool, rows, threads).unwrap();
            let mut next = 0;
            for (first, end) in &plan.chunks {
                assert_eq!(*first, next);
                assert!(end > first);
                next = *end;
            }
            assert_eq!(next, rows);
            assert!(plan.workers <= pool);
            if threads >= plan.workers * UNDER_WAY {
                assert!(plan.threads * plan.workers * UNDER_WAY <= threads);
            }
        }
    }

    #[test]
    fn a_small_set_or_a_single_thread_is_not_spread() {
        assert_eq!(divide(2, 40, 8), None);
        assert_eq!(divide(1, 4000, 8), None);
        assert_eq!(divide(4, 4000, 1), None);
    }
}
