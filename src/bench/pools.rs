//! Pools: an evaluation over two workers, and a program beside an optimizer.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::stub::Stub;
use super::{Bench, Measured, Row, kernel, ms, quantile, scripts};
use crate::app::{Core, Handle};
use crate::protocol::error::OperationError;
use crate::session::event::RunStatus;
use crate::worker::PoolsOptions;

/// Examples of the evaluation.
const EXAMPLES: usize = 2000;
/// Programs run alone, and as many beside an optimizer.
const RUNS: usize = 400;

/// Evaluate as a job against plain DSPy; a Predict beside an optimizer against alone.
pub(super) async fn measure(bench: &Bench) -> Measured {
    let stub = Stub::start(20).map_err(kernel::io)?;
    let mut pools = PoolsOptions::usual();
    (pools.general.size, pools.optimizer.size) = (2, 2);
    // What one measurement leaves running holds up the next one's.
    pools.optimizer.patience = Duration::from_mins(5);
    let mut core = kernel::pooled_core(bench, pools).await?;
    prepare(&mut core, &stub.base).await?;
    let plain = scripts::evaluate(&stub.base, 1000);
    let (mut ours, mut theirs) = (0.0_f64, 0.0_f64);
    // In turn, so that whatever else the machine does meets both alike.
    for _ in 0..3 {
        theirs = theirs.max(kernel::number(&kernel::plain(bench, &plain)?, "rate")?);
        ours = ours.max(evaluate(&mut core).await?);
    }
    let alone = predicts(&mut core).await?;
    let beside = beside_optimizers(&mut core, 1).await?;
    let beside_two = beside_optimizers(&mut core, 2).await?;
    core.stop_what_runs();
    core.close().await;
    let at = |times: &[f64], share| quantile(&mut times.to_vec(), share);
    let (p50, p99) = (at(&alone, 0.5), at(&alone, 0.99));
    Ok(vec![
        Row::at_least(
            "Evaluate as a job, 2 workers, 64 threads, 20 ms",
            "ex/s",
            ours,
            (theirs, "plain DSPy, ex/s"),
            6.0,
        ),
        Row::at_most(
            "Predict beside an optimizer, p50",
            "ms",
            at(&beside, 0.5),
            (p50, "alone, ms"),
            1.2,
        ),
        Row::at_most(
            "Predict beside an optimizer, p99",
            "ms",
            at(&beside, 0.99),
            (p99, "alone, ms"),
            1.2,
        ),
        Row::plain(
            "Predict beside two optimizers, p50",
            "ms",
            at(&beside_two, 0.5),
        ),
    ])
}

/// An LM, a program, examples, and both workers up.
async fn prepare(core: &mut Core, base: &str) -> Result<(), OperationError> {
    call(
        core,
        "configure_lm",
        json!({"name": "stub", "model": "openai/stub", "api_base": base, "cache": false}),
    )
    .await?;
    call(
        core,
        "create_program",
        json!({"name": "qa", "module": "Predict", "signature": "question -> answer"}),
    )
    .await?;
    let rows = |n: usize| -> Vec<Value> {
        (0..n)
            .map(|i| json!({"question": format!("q {i}"), "answer": "42"}))
            .collect()
    };
    for (name, n) in [("warm", 256), ("all", EXAMPLES)] {
        call(core, "load_dataset", json!({"name": name, "rows": rows(n)})).await?;
    }
    // Until both workers are up there is nothing to measure.
    for _ in 0..4 {
        call(core, "evaluate_pipeline", scored("warm")).await?;
    }
    Ok(())
}

fn scored(dataset: &str) -> Value {
    json!({"program": "qa", "dataset": dataset, "num_threads": 64})
}

/// Examples a second.
async fn evaluate(core: &mut Core) -> Result<f64, OperationError> {
    let begun = Instant::now();
    let answer = call(core, "evaluate_pipeline", scored("all")).await?;
    let rate = EXAMPLES as f64 / begun.elapsed().as_secs_f64();
    match answer.get("score").and_then(Value::as_f64) {
        Some(100.0) => Ok(rate),
        _ => Err(OperationError::internal(
            "the stub's answers were not all right",
        )),
    }
}

/// Milliseconds of each of so many runs of a program, one after the other.
async fn predicts(core: &mut Core) -> Result<Vec<f64>, OperationError> {
    let mut times = Vec::with_capacity(RUNS);
    for i in 0..RUNS + 20 {
        let begun = Instant::now();
        let inputs = json!({"question": format!("question {i}")});
        call(
            core,
            "execute_program",
            json!({"program": "qa", "inputs": inputs}),
        )
        .await?;
        if i >= 20 {
            times.push(ms(begun.elapsed()));
        }
    }
    Ok(times)
}

/// The same while so many optimizers run flat out on the demo LM, which never waits.
async fn beside_optimizers(core: &mut Core, many: usize) -> Result<Vec<f64>, OperationError> {
    let mut optimizing = JoinSet::new();
    for _ in 0..many {
        optimizing.spawn(optimize_on(core.handle()));
    }
    let busy = |core: &Core| {
        let runs = core.state().session.runs.values();
        runs.filter(|run| {
            run.operation.as_deref() == Some("optimize_prompt")
                && run.status == RunStatus::Running
                && !run.spans.is_empty()
        })
        .count()
    };
    while busy(core) < many && optimizing.len() == many {
        let message = core.next().await;
        core.dispatch(message);
        if let Some(ended) = optimizing.try_join_next() {
            let ended = ended.map_err(|error| OperationError::internal(error.to_string()))?;
            ended?;
        }
    }
    let times = predicts(core).await;
    if optimizing.try_join_next().is_some() {
        return Err(OperationError::internal(
            "the optimizers did not run all the while",
        ));
    }
    // What was begun goes on to its end; nothing is begun after it.
    optimizing.abort_all();
    times
}

/// One optimization after the other.
async fn optimize_on(handle: Handle) -> Result<(), OperationError> {
    for _ in 0..100 {
        let arguments = json!({"program": "qa", "dataset": "all", "lm": "demo",
            "options": {"max_bootstrapped_demos": 1}, "num_threads": 8, "fresh": true});
        handle.call("optimize_prompt", arguments).await?;
    }
    Ok(())
}

async fn call(core: &mut Core, operation: &str, arguments: Value) -> Result<Value, OperationError> {
    let handle = core.handle();
    let operation = operation.to_owned();
    core.run_until(async move { handle.call(&operation, arguments).await })
        .await
}
