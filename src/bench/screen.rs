//! The screen: first frame, keys, idleness, memory.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::terminal::Terminal;
use super::{Bench, Measured, Row, ms, quantile, resident_mb};
use crate::protocol::error::OperationError;
use crate::session::catalog;
use crate::session::event::WorkerState;
use crate::session::reader::SessionReader;
use crate::terminal::scheduling;

const LIMIT: Duration = Duration::from_secs(30);
/// A word of the first frame.
const FIRST: &str = "Notebook";

pub(super) fn measure(bench: &Bench) -> Measured {
    let mut first = Vec::new();
    let mut python = Vec::new();
    for _ in 0..11 {
        first.push(ms(start(bench)?
            .wait_for(FIRST, LIMIT)
            .ok_or_else(silent)?));
        python.push(ms(time_python(bench, "pass")?));
    }
    let mut terminal = start(bench)?;
    terminal.wait_for(FIRST, LIMIT).ok_or_else(silent)?;
    terminal.wait_for("ready", LIMIT).ok_or_else(silent)?;
    // Rest begins when the standby is there, too, and that has been written down.
    let standby_by = Instant::now() + LIMIT;
    while !standby_is_ready(bench) && Instant::now() < standby_by {
        terminal.settle(Duration::from_millis(100));
    }
    terminal.settle(Duration::from_secs(1));
    let ticks_before = ticks(terminal.pid());
    let bytes = {
        let before = terminal.seen.len();
        let idle_until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < idle_until {
            terminal.settle(Duration::from_secs(1));
        }
        terminal.seen.len() - before
    };
    let idle_ticks = ticks(terminal.pid()) - ticks_before;
    let resident = resident_mb(terminal.pid());
    let mut keys = std::thread::scope(|scope| {
        let typing = scope.spawn(|| type_while_busy(&mut terminal));
        typing.join().unwrap_or_else(|_| Err(silent()))
    })?;
    let mut heavy = type_while_fields_come(&mut start(bench)?)?;
    let heavy = quantile(&mut heavy, 0.99);
    let p50 = quantile(&mut keys, 0.5);
    let p99 = quantile(&mut keys, 0.99);
    let rival = (quantile(&mut python, 0.5), "python -c pass, ms");
    let first = quantile(&mut first, 0.5);
    Ok(vec![
        Row::below("first frame", "ms", first, 10.0),
        Row::at_most("first frame", "ms", first, rival, 1.0),
        Row::below("key to screen, worker busy, p50", "ms", p50, 0.6),
        Row::below("key to screen, worker busy, p99", "ms", p99, 3.0),
        Row::below("key to screen, 5 MB fields coming, p99", "ms", heavy, 4.0),
        Row::below(
            "CPU ticks in 10 idle seconds",
            "ticks",
            idle_ticks as f64,
            0.0,
        ),
        Row::below(
            "bytes written in 10 idle seconds",
            "bytes",
            bytes as f64,
            0.0,
        ),
        Row::below("memory of the workbench", "MB", resident, 14.0),
    ])
}

/// From a key to what it writes, ms, with a worker at 100 % CPU.
fn type_while_busy(terminal: &mut Terminal) -> Result<Vec<f64>, OperationError> {
    // The clock is to be the program's, not that of this thread's own turn.
    scheduling::run_promptly();
    terminal.key(b"while True: pass\r", LIMIT);
    terminal.key(b"\r", LIMIT);
    terminal.settle(Duration::from_secs(1));
    let mut keys = Vec::new();
    for idx in 0..205_u8 {
        terminal.settle(Duration::from_millis(30));
        let latency = terminal.key(&[b'a' + idx % 20], LIMIT).ok_or_else(silent)?;
        if idx >= 5 {
            keys.push(ms(latency));
        }
    }
    Ok(keys)
}

/// From a key to what it writes, ms, while a cell answers fields of 5 MB one after the
/// other: each is taken in, recorded and shown in part meanwhile.
fn type_while_fields_come(terminal: &mut Terminal) -> Result<Vec<f64>, OperationError> {
    scheduling::run_promptly();
    terminal.wait_for(FIRST, LIMIT).ok_or_else(silent)?;
    terminal.wait_for("ready", LIMIT).ok_or_else(silent)?;
    let cell = b"while True: display(dspy.Prediction(text='word ' * 1_000_000))\r";
    terminal.key(cell, LIMIT);
    terminal.key(b"\r", LIMIT);
    terminal.settle(Duration::from_secs(1));
    let mut keys = Vec::new();
    for idx in 0..105_u8 {
        terminal.settle(Duration::from_millis(30));
        let latency = terminal.key(&[b'a' + idx % 20], LIMIT).ok_or_else(silent)?;
        if idx >= 5 {
            keys.push(ms(latency));
        }
    }
    Ok(keys)
}

fn start(bench: &Bench) -> Result<Terminal, OperationError> {
    let mut command = Command::new(&bench.exe);
    command
        .args(["--venv".as_ref(), bench.environment.path.as_os_str()])
        .env("DSPEX_SESSIONS", bench.scratch.join("sessions"))
        .current_dir(&bench.scratch);
    Terminal::start(command, 36, 120).map_err(|error| OperationError::internal(error.to_string()))
}

/// Whether the newest session says that its second worker is warm.
fn standby_is_ready(bench: &Bench) -> bool {
    let newest = catalog::resolve(&bench.scratch.join("sessions"), "latest");
    let Some(mut reader) = newest.ok().and_then(|dir| SessionReader::open(&dir).ok()) else {
        return false;
    };
    let workers = reader.final_state().workers;
    let mut workers = workers.values();
    workers.any(|worker| worker.role == "standby" && worker.state == WorkerState::Ready)
}

/// Wall time of `python -c CODE` from start to exit.
pub(super) fn time_python(bench: &Bench, code: &str) -> Result<Duration, OperationError> {
    let begun = Instant::now();
    Command::new(&bench.environment.python)
        .args(["-c", code])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|error| OperationError::internal(error.to_string()))?;
    Ok(begun.elapsed())
}

/// User and system time of a process, clock ticks.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold spaces: count fields after it.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum()
}

fn silent() -> OperationError {
    OperationError::internal("the screen did not show what it should")
}
