//! How long what goes wrong takes: starts that fail, signals, full pools, silence.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::stub::Stub;
use super::{Bench, Measured, Row, kernel, ms};
use crate::app::{Core, OperationResult};
use crate::protocol::error::OperationError;
use crate::worker::PoolsOptions;

/// How long to wait for what should take seconds at most.
const PATIENCE: Duration = Duration::from_mins(1);

/// Refusals, ends and replacements, each against the limit it must keep.
pub(super) async fn measure(bench: &Bench) -> Measured {
    let refused = broken_start(bench)?;
    let ended = told_to_end(bench)?;
    let (at_once, replaced) = full_pool(bench).await?;
    let (silent, hung) = silence(bench).await?;
    Ok(vec![
        Row::below("Broken interpreter, told", "ms", refused, 2000.0),
        Row::below("SIGTERM during a deaf cell, gone", "ms", ended, 6000.0),
        Row::below("Eleventh that waits, refused", "ms", at_once, 50.0),
        Row::plain("Pool worker killed, next job done", "ms", replaced),
        Row::below("Silent LM server, 1 s deadline, told", "ms", silent, 1500.0),
        Row::below("Hung operation, given up", "s", hung, 31.0),
    ])
}

/// `exec` in an environment without DSPy, from start to exit, ms.
fn broken_start(bench: &Bench) -> Result<f64, OperationError> {
    let venv = bench.scratch.join("bare");
    std::fs::create_dir_all(venv.join("bin")).map_err(kernel::io)?;
    let real = &bench.environment;
    std::fs::copy(real.path.join("pyvenv.cfg"), venv.join("pyvenv.cfg")).map_err(kernel::io)?;
    let python = real.python.canonicalize().map_err(kernel::io)?;
    std::os::unix::fs::symlink(python, venv.join("bin/python")).map_err(kernel::io)?;
    let begun = Instant::now();
    let output = Command::new(&bench.exe)
        .args(["exec", "run_cell", r#"{"source": "1"}"#, "--venv"])
        .arg(&venv)
        .stdin(Stdio::null())
        .output()
        .map_err(kernel::io)?;
    let taken = ms(begun.elapsed());
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match answer.pointer("/error/class").and_then(Value::as_str) {
        Some("import") => Ok(taken),
        _ => Err(OperationError::internal(format!(
            "the broken start was answered so: {answer}"
        ))),
    }
}

/// From SIGTERM to the end of a workbench whose cell hears nothing, ms.
fn told_to_end(bench: &Bench) -> Result<f64, OperationError> {
    let mark = bench.scratch.join("deaf");
    // A lock taken twice: no signal ends that wait, and Python's own lock is kept in it.
    let source = format!(
        "import ctypes\nlock, c = ctypes.create_string_buffer(64), ctypes.PyDLL(None)\n\
         open({:?}, 'w').close()\n\
         while not c.pthread_mutex_lock(lock): pass",
        mark.display().to_string()
    );
    let mut child = Command::new(&bench.exe)
        .args(["exec", "run_cell", &json!({"source": source}).to_string()])
        .arg("--venv")
        .arg(&bench.environment.path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(kernel::io)?;
    let deadline = Instant::now() + PATIENCE;
    while !mark.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    let pid = Pid::from_raw(child.id().cast_signed());
    kill(pid, Signal::SIGTERM).map_err(|error| OperationError::internal(error.to_string()))?;
    child.wait().map_err(kernel::io)?;
    Ok(ms(begun.elapsed()))
}

/// With one worker busy and ten jobs waiting: the eleventh's refusal; then the worker is
/// killed: until the first that waited is done. Both ms.
async fn full_pool(bench: &Bench) -> Result<(f64, f64), OperationError> {
    let stub = Stub::start(3000).map_err(kernel::io)?;
    let mut pools = PoolsOptions::none();
    (pools.general.size, pools.general.slots) = (1, 1);
    pools.general.patience = PATIENCE;
    let mut core = kernel::pooled_core(bench, pools).await?;
    let lm = json!({"name": "stub", "model": "openai/stub", "api_base": stub.base, "cache": false,
                    "num_retries": 0});
    call(&mut core, "configure_lm", lm).await?;
    let qa = json!({"name": "qa", "module": "Predict", "signature": "question -> answer"});
    call(&mut core, "create_program", qa).await?;
    let mut waiting: FuturesUnordered<_> = (0..11).map(|n| ask(&core, n)).collect();
    let stands = loop {
        let health = call(&mut core, "pools", json!({})).await?;
        let pool = health.pointer("/pools/0").cloned().unwrap_or_default();
        if pool.get("queue").and_then(Value::as_u64) == Some(10) {
            break pool;
        }
    };
    let begun = Instant::now();
    let eleventh = ask(&core, 11);
    let refused = answered(&mut core, eleventh).await;
    let at_once = ms(begun.elapsed());
    if refused.is_ok() {
        return Err(OperationError::internal("the eleventh was not refused"));
    }
    let pid = stands.pointer("/workers/0/pid").and_then(Value::as_i64);
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
    if pid > 0 {
        let begun = Instant::now();
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        let first_done = async {
            while let Some(answer) = waiting.next().await {
                if matches!(answer, Ok(Ok(_))) {
                    return Ok(());
                }
            }
            Err(OperationError::internal("what waited was not done"))
        };
        core.run_until(first_done).await?;
        let replaced = ms(begun.elapsed()) - 3000.0;
        core.stop_what_runs();
        core.close().await;
        return Ok((at_once, replaced));
    }
    Err(OperationError::internal("the pool has no worker"))
}

/// A call of a server that says nothing, ms, and an operation that hangs, s.
async fn silence(bench: &Bench) -> Result<(f64, f64), OperationError> {
    let server = TcpListener::bind("127.0.0.1:0").map_err(kernel::io)?;
    let base = format!("http://{}/v1", server.local_addr().map_err(kernel::io)?);
    let mut core = kernel::core(bench, false).await?;
    let lm = json!({"name": "silent", "model": "openai/silent", "api_base": base, "timeout": 1,
                    "num_retries": 0});
    call(&mut core, "configure_lm", lm).await?;
    kernel::cell(
        &mut core,
        "import threading\nfrom dspex_worker.operations import kernel, registry\n\
         registry._known['inspect'] = lambda arguments, job: threading.Event().wait()",
    )
    .await?;
    let begun = Instant::now();
    let refused = call(&mut core, "generate", json!({"prompt": "Hello?"})).await;
    let silent = ms(begun.elapsed());
    let begun = Instant::now();
    let asked = json!({"source": "len", "cursor": 3});
    let hung = call(&mut core, "inspect", asked).await;
    let given_up = begun.elapsed().as_secs_f64();
    core.close().await;
    match (refused, hung) {
        (Err(_), Err(error)) if error.kind == "operation_timeout" => Ok((silent, given_up)),
        (refused, hung) => Err(OperationError::internal(format!(
            "silence was answered: {refused:?}, {hung:?}"
        ))),
    }
}

fn ask(core: &Core, n: usize) -> oneshot::Receiver<OperationResult> {
    let inputs = json!({"question": format!("question {n}")});
    let asked = json!({"program": "qa", "inputs": inputs});
    core.handle().submit("execute_program", asked)
}

async fn answered(core: &mut Core, answer: oneshot::Receiver<OperationResult>) -> OperationResult {
    let lost = |_| OperationError::internal("no answer came");
    core.run_until(async move { answer.await.map_err(lost)? })
        .await
}

async fn call(core: &mut Core, operation: &str, arguments: Value) -> OperationResult {
    let answer = core.handle().submit(operation, arguments);
    answered(core, answer).await
}
