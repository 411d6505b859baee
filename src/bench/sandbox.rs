//! The sandbox: code that waits for one to start, and code that finds a spare.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Bench, Measured, Row, kernel, ms};
use crate::app::Core;
use crate::protocol::error::OperationError;

/// How often a spare is looked for.
const LOOKS: u32 = 30;

/// From the request to the answer of `6 * 7`.
pub(super) async fn measure(bench: &Bench) -> Measured {
    let mut core = kernel::core(bench, false).await?;
    kernel::cell(&mut core, "1").await?;
    let cold = run(&mut core).await?;
    let mut warm = None;
    for _ in 0..LOOKS {
        // The next spare is started when a sandbox was used, and takes as long as that.
        tokio::time::sleep(Duration::from_secs_f64(cold.whole / 500.0)).await;
        let run = run(&mut core).await?;
        if run.warm {
            warm = Some(run);
            break;
        }
    }
    core.close().await;
    let Some(warm) = warm else {
        return Err(OperationError::internal("no spare sandbox was ever ready"));
    };
    let row = |name, ours, cold: f64| Row {
        name,
        unit: "ms",
        ours,
        rival: Some((cold, "cold, ms".to_owned())),
        goal: String::new(),
        reached: true,
    };
    let start = Row {
        goal: "≤ 50 ms".to_owned(),
        reached: warm.start <= 50.0,
        ..row("sandbox started, from a kept spare", warm.start, cold.start)
    };
    Ok(vec![
        start,
        row("the same, from request to answer", warm.whole, cold.whole),
    ])
}

/// Milliseconds until the sandbox was there, and until the answer was.
struct Run {
    start: f64,
    whole: f64,
    warm: bool,
}

async fn run(core: &mut Core) -> Result<Run, OperationError> {
    let handle = core.handle();
    let begun = Instant::now();
    let code = json!({"code": "6 * 7"});
    let answer = core
        .run_until(async move { handle.call("execute_code", code).await })
        .await?;
    let whole = ms(begun.elapsed());
    let start = answer.get("start_ms").and_then(Value::as_f64);
    match (answer.get("result").and_then(Value::as_i64), start) {
        (Some(42), Some(start)) => Ok(Run {
            start,
            whole,
            warm: answer.get("warm") == Some(&Value::Bool(true)),
        }),
        _ => Err(OperationError::internal(format!(
            "the code did not run: {answer}"
        ))),
    }
}
