//! Stopping a cell: softly where Python can hear it, harder where it cannot.

use std::time::Duration;

use dspex_tui::protocol::error::{ErrorClass, Strategy};
use dspex_tui::session::event::CellId;
use rstest::rstest;
use serde_json::json;

use super::bench::{Bench, options};

#[rstest]
#[case::asleep("import time\nsay('begun')\ntime.sleep(600)")]
#[case::in_a_loop("say('begun')\nwhile True: pass")]
#[case::blocked_in_a_call("say('begun')\ncall(run, cell)")]
#[case::waiting_for_input("say('begun')\n_dspex.read_input(cell, '', False)")]
#[tokio::test]
async fn an_interrupt_stops_a_cell(#[case] source: &str) {
    let mut bench = Bench::holding(options());
    let running = bench.cell(5, source);
    bench.said("begun").await;
    bench.supervisor.interrupt(CellId(5));
    let answer = running.await.unwrap().unwrap();
    assert_eq!(answer["status"], "interrupted");
    let answer = bench.cell(6, "result = 1").await.unwrap().unwrap();
    assert_eq!(answer["value"], 1, "the next cell runs");
    bench.supervisor.shutdown().await;
}

#[tokio::test]
async fn an_interrupt_frees_the_cells_other_threads() {
    let mut bench = Bench::holding(options());
    let source = r"
import threading
ends = []
def work():
    try: call(run, cell)
    except BaseException as error: ends.append(type(error).__name__)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
try:
    for thread in threads: thread.join()
finally:
    while len(ends) < 4: pass
";
    let running = bench.cell(5, source);
    let mut calls = Vec::new();
    while calls.len() < 4 {
        calls.push(bench.call().await);
    }
    bench.supervisor.interrupt(CellId(5));
    assert_eq!(running.await.unwrap().unwrap()["status"], "interrupted");
    for (_, reply) in calls {
        reply.dropped().await;
    }
    let answer = bench.cell(6, "result = ends").await.unwrap().unwrap();
    assert_eq!(answer["value"], json!(vec!["RunCancelled"; 4]));
    bench.supervisor.shutdown().await;
}

#[tokio::test]
async fn an_interrupt_for_another_cell_is_dropped() {
    let mut bench = Bench::holding(options());
    let running = bench.cell(5, "say('begun')\nresult = call(run, cell)[0]");
    let (_, reply) = bench.call().await;
    bench.supervisor.interrupt(CellId(4));
    // The echo comes after the interrupt was read.
    bench.echo(json!(1)).await.unwrap();
    reply.answer(dspex_tui::protocol::message::LmAnswer::Response {
        status: 204,
        headers: vec![],
        body: dspex_tui::protocol::message::Body::Body(String::new()),
    });
    assert_eq!(running.await.unwrap().unwrap()["value"], 204);
    bench.supervisor.interrupt(CellId(5));
    bench.echo(json!(1)).await.unwrap();
    let answer = bench.cell(6, "result = 'alive'").await.unwrap().unwrap();
    assert_eq!(answer["value"], "alive");
    bench.supervisor.shutdown().await;
}

/// A cell that cannot hear Python's signal is ended by the system's. It is deaf
/// from before it says that it began: the interrupt may be quicker than its next line.
#[rstest]
#[case::holding_the_gil(
    "begun = False\nwhile True:\n  try:\n    if not begun:\n      begun = True\n      say('begun')\n    sum(range(10 ** 13))\n  except BaseException: pass",
    "SIGTERM"
)]
#[case::swallowing_everything(
    "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: None)\nbegun = False\nwhile True:\n  try:\n    if not begun:\n      begun = True\n      say('begun')\n    time.sleep(600)\n  except BaseException: pass",
    "SIGKILL"
)]
#[tokio::test]
async fn what_does_not_stop_is_killed(#[case] source: &str, #[case] signal: &str) {
    let mut options = options();
    options.escalation = Duration::from_millis(200);
    let mut bench = Bench::start(options);
    let running = bench.cell(5, source);
    bench.said("begun").await;
    bench.supervisor.interrupt(CellId(5));
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.kind, "process_crashed");
    assert_eq!(error.class, ErrorClass::ProcessCrashed);
    assert_eq!(error.recovery.strategy, Strategy::RestartProcess);
    assert!(error.message.contains(signal), "{}", error.message);
    assert_eq!(bench.echo(json!("next")).await.unwrap(), json!("next"));
    bench.supervisor.shutdown().await;
}
