//! Stopping a cell from another process, whatever it is doing.

use std::process::{Command, Stdio};
use std::time::Instant;

use rstest::rstest;

use super::{Lines, lived_state};
use crate::support::{PATIENCE, workbench};

/// Loops, sleeps, blocked calls and whole evaluations end; the next cell runs.
#[rstest]
#[case::in_a_loop("while True: pass")]
#[case::asleep("import time; time.sleep(600)")]
#[case::awaiting("import asyncio\nawait asyncio.sleep(600)")]
#[case::blocked_in_a_call("dspy.Predict('q -> a')(q='x')")]
#[case::gathering_calls(
    "import asyncio\nawait asyncio.gather(*(dspy.Predict('q -> a').acall(q=str(i)) for i in range(20)))"
)]
#[case::evaluating(
    "data = [dspy.Example(q=str(i), a='1').with_inputs('q') for i in range(50)]\ndspy.Evaluate(devset=data, metric=lambda e, p, t=None: True, num_threads=8)(dspy.Predict('q -> a'))"
)]
fn an_interrupt_stops_real_code(#[case] source: &str) {
    stops(Command::new(workbench()), source);
}

/// What is started in the background of a script ignores SIGINT; its workers must not.
#[test]
fn an_interrupt_stops_a_cell_of_a_background_job() {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"trap "" INT; exec "$0" "$@""#]);
    shell.arg(workbench());
    stops(shell, "import time; time.sleep(600)");
}

fn stops(mut start: Command, source: &str) {
    let mut lines = Lines::new();
    lines.cell(source);
    lines.cell("40 + 2");
    let home = &lines.home;
    let mut child = start
        .args([
            "exec",
            "--jsonl",
            "--new",
            "lived",
            "--fault",
            "latency=600s",
        ])
        .current_dir(home.work())
        .env_clear()
        .envs(home.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), lines.text().as_bytes()).unwrap();
    // An interrupt that comes before the cell is there is of no effect: ask until it ended.
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        home.dspex(&["exec", "interrupt", r#"{"cell": 1}"#, "--session", "lived"]);
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("the cell was not stopped");
        }
    }
    let state = lived_state(home);
    let ends: Vec<String> = state
        .cells
        .iter()
        .map(|cell| format!("{:?}", cell.status))
        .collect();
    assert_eq!(ends, ["Interrupted", "Ok"]);
}
