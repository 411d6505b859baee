//! Workers: start, round trips, calls through the gateway, interrupts, failover.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::stub::Stub;
use super::{Bench, Measured, Row, ms, quantile, resident_mb, screen, scripts};
use crate::app::{Core, CoreOptions, SessionChoice};
use crate::gateway::GatewayOptions;
use crate::protocol::error::OperationError;
use crate::session::event::{Output, RunStatus};
use crate::worker::PoolsOptions;

/// Start, memory, round trips, failover.
pub(super) async fn worker(bench: &Bench) -> Measured {
    let mut imports = Vec::new();
    for _ in 0..5 {
        imports.push(ms(screen::time_python(bench, "import dspy")?));
    }
    let import = quantile(&mut imports, 0.5);
    let mut ready = Vec::new();
    for _ in 0..3 {
        let begun = Instant::now();
        let mut core = core(bench, false).await?;
        cell(&mut core, "1").await?;
        ready.push(ms(begun.elapsed()));
        core.close().await;
    }
    let mut core = core(bench, true).await?;
    cell(&mut core, "1").await?;
    let small = echo(&mut core, 100, 3000).await?;
    let large = echo(&mut core, 10_000, 1000).await?;
    let mut answers = Vec::new();
    for _ in 0..3 {
        // Until the standby is warm there is nothing to measure.
        standby_ready(&mut core).await;
        let Some(pid) = core.kernel_pid() else {
            continue;
        };
        let _ = nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid.cast_signed()),
            nix::sys::signal::Signal::SIGKILL,
        );
        let begun = Instant::now();
        while cell(&mut core, "1").await.is_err() {}
        answers.push(ms(begun.elapsed()));
    }
    let memory = core.kernel_pid().map_or(f64::NAN, resident_mb);
    let encoding = cell(&mut core, scripts::SERIALISE).await?;
    core.close().await;
    let first = quantile(&mut ready, 0.5);
    Ok(vec![
        Row {
            name: "worker ready and first cell answered",
            unit: "ms",
            ours: first,
            rival: Some((import, "python -c 'import dspy', ms".to_owned())),
            goal: "≤ import dspy + 60 ms".to_owned(),
            reached: first <= import + 60.0,
        },
        Row::below("round trip, 100 B", "µs", small, 20.0),
        Row::below("round trip, 10 kB", "µs", large, 131.0),
        Row::below(
            "next answer after kill -9 of the kernel",
            "ms",
            quantile(&mut answers, 0.5),
            30.0,
        ),
        Row::at_most(
            "serialising a result of 1 MB, text",
            "µs",
            number(&encoding, "text")?,
            (number(&encoding, "text_orjson")?, "orjson.dumps, µs"),
            1.2,
        ),
        Row::at_most(
            "serialising a result of 1 MB, rows",
            "µs",
            number(&encoding, "rows")?,
            (number(&encoding, "rows_orjson")?, "orjson.dumps, µs"),
            1.2,
        ),
        Row::plain("memory of a worker", "MB", memory),
    ])
}

/// Predict and Evaluate through the gateway, recording on, against plain DSPy.
pub(super) async fn calls(bench: &Bench) -> Measured {
    let fast = Stub::start(0).map_err(io)?;
    let slow = Stub::start(20).map_err(io)?;
    let slower = Stub::start(50).map_err(io)?;
    let mut core = core(bench, false).await?;
    let predict = scripts::predict(&fast.base, 500);
    let evaluate = scripts::evaluate(&slow.base, 1000);
    let traced = scripts::traced_predict(500);
    let (ours, theirs) = in_turn(bench, &mut core, &predict, "ms", f64::min).await?;
    let (our_rate, their_rate) = in_turn(bench, &mut core, &evaluate, "rate", f64::max).await?;
    let together = scripts::together(&slower.base);
    let together = number(&cell(&mut core, &together).await?, "rate")?;
    let (our_trace, their_trace) = in_turn(bench, &mut core, &traced, "ms", f64::min).await?;
    core.close().await;
    Ok(vec![
        Row::at_most(
            "Predict, server without latency",
            "ms",
            ours,
            (theirs, "plain DSPy, ms"),
            0.45,
        ),
        Row::at_least(
            "Evaluate, 64 threads, 20 ms server",
            "ex/s",
            our_rate,
            (their_rate, "plain DSPy, ex/s"),
            3.5,
        ),
        Row::above(
            "64 calls at a time, 50 ms server",
            "calls/s",
            together,
            900.0,
        ),
        Row::at_most(
            "traced Predict, engine in Python",
            "ms",
            our_trace,
            (their_trace, "untraced, ms"),
            1.1,
        ),
    ])
}

/// A figure of a script as the workbench and as plain Python run it: the best of three
/// each, taken in turn, so that whatever else the machine does meets both alike.
async fn in_turn(
    bench: &Bench,
    core: &mut Core,
    script: &str,
    figure: &str,
    better: fn(f64, f64) -> f64,
) -> Result<(f64, f64), OperationError> {
    let mut best: Option<(f64, f64)> = None;
    for _ in 0..3 {
        let ours = number(&cell(core, script).await?, figure)?;
        let theirs = number(&plain(bench, script)?, figure)?;
        best = Some(match best {
            Some((our_best, their_best)) => (better(our_best, ours), better(their_best, theirs)),
            None => (ours, theirs),
        });
    }
    Ok(best.unwrap_or_default())
}

/// From the interrupt to the next prompt.
pub(super) async fn interrupt(bench: &Bench) -> Measured {
    let mut core = core(bench, false).await?;
    let mut latencies = Vec::new();
    for source in ["while True: pass", "import time; time.sleep(60)"].repeat(3) {
        let handle = core.handle();
        let source = format!("print('begun', flush=True)\n{source}");
        let running = handle.submit("run_cell", json!({"source": source}));
        let printed =
            |core: &Core| {
                core.state().session.cells.last().is_some_and(|cell| {
                    cell.status == RunStatus::Running && !cell.outputs.is_empty()
                })
            };
        while !printed(&core) {
            let message = core.next().await;
            core.dispatch(message);
        }
        let begun = Instant::now();
        let stopping = handle.submit("interrupt", json!({}));
        core.run_until(async move { (stopping.await, running.await) })
            .await
            .1
            .ok();
        latencies.push(ms(begun.elapsed()));
    }
    core.close().await;
    Ok(vec![Row::below(
        "interrupt to prompt, worst of 6",
        "ms",
        quantile(&mut latencies, 1.0),
        100.0,
    )])
}

/// A core with pools, in a session of its own.
pub(super) async fn pooled_core(
    bench: &Bench,
    pools: PoolsOptions,
) -> Result<Core, OperationError> {
    open(bench, true, pools).await
}

/// A core without pools, in a session of its own.
pub(super) async fn core(bench: &Bench, standby: bool) -> Result<Core, OperationError> {
    open(bench, standby, PoolsOptions::none()).await
}

async fn open(bench: &Bench, standby: bool, pools: PoolsOptions) -> Result<Core, OperationError> {
    let mut options = CoreOptions::new(bench.scratch.clone());
    options.session = SessionChoice::New(None);
    options.sessions_dir = Some(bench.scratch.join("sessions"));
    options.venv = Some(bench.environment.path.clone());
    options.standby = standby;
    options.pools = pools;
    options.gateway = GatewayOptions::from_process();
    let mut core = Core::start(options).await?;
    core.warm_up();
    Ok(core)
}

/// Selects the demo LM.
pub(super) async fn demo(core: &mut Core) -> Result<(), OperationError> {
    let handle = core.handle();
    let demo = json!({"provider": "demo"});
    core.run_until(async move { handle.call("configure_lm", demo).await })
        .await?;
    Ok(())
}

/// Runs a cell and answers what it printed.
pub(super) async fn cell(core: &mut Core, source: &str) -> Result<String, OperationError> {
    let handle = core.handle();
    let arguments = json!({"source": source});
    let answer = core
        .run_until(async move { handle.call("run_cell", arguments).await })
        .await?;
    let cell = core.state().session.cells.last();
    let mut printed = String::new();
    for output in cell.map(|cell| cell.outputs.as_slice()).unwrap_or_default() {
        match output {
            Output::Stream {
                stderr: false,
                text,
            } => printed.push_str(text),
            Output::Error { error } => return Err(error.clone()),
            _ => {}
        }
    }
    match answer.get("status").and_then(Value::as_str) {
        Some("ok") => Ok(printed),
        _ => Err(OperationError::internal(format!(
            "the cell ended so: {answer}"
        ))),
    }
}

/// Median time of a framed round trip to Python and back, µs.
async fn echo(core: &mut Core, bytes: usize, times: usize) -> Result<f64, OperationError> {
    let Some(supervisor) = core.supervisor() else {
        return Err(OperationError::internal("there is no kernel"));
    };
    let request = crate::protocol::message::Request {
        operation: "echo".to_owned(),
        lane: crate::protocol::message::Lane::Side,
        arguments: json!({"text": "x".repeat(bytes)}),
        ..Default::default()
    };
    let supervisor = supervisor.clone();
    // In a task, as the core has its requests carried out.
    let asking = tokio::spawn(async move {
        let mut latencies = Vec::with_capacity(times);
        for _ in 0..times {
            let begun = Instant::now();
            supervisor.request(request.clone()).await?;
            latencies.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        Ok(quantile(&mut latencies, 0.5))
    });
    asking
        .await
        .map_err(|error| OperationError::internal(error.to_string()))?
}

async fn standby_ready(core: &mut Core) {
    use crate::session::event::WorkerState;
    let ready = |core: &Core| {
        core.state()
            .session
            .workers
            .values()
            .any(|worker| worker.role == "standby" && worker.state == WorkerState::Ready)
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !ready(core) {
        match tokio::time::timeout_at(deadline, core.next()).await {
            Ok(message) => core.dispatch(message),
            Err(_) => return,
        }
    }
}

/// Runs a script in the plain interpreter and answers what it printed.
pub(super) fn plain(bench: &Bench, script: &str) -> Result<String, OperationError> {
    let output = Command::new(&bench.environment.python)
        .args(["-c", script])
        .current_dir(&bench.scratch)
        .output()
        .map_err(io)?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        let last = error.lines().last().unwrap_or_default();
        return Err(OperationError::internal(format!("plain Python: {last}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A number of the line of JSON that a script printed.
pub(super) fn number(printed: &str, key: &str) -> Result<f64, OperationError> {
    printed
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str::<Value>(line).ok()?.get(key)?.as_f64())
        .ok_or_else(|| OperationError::internal(format!("no figure in: {printed}")))
}

pub(super) fn io(error: std::io::Error) -> OperationError {
    OperationError::internal(error.to_string())
}
