//! Deaths, standbys, refusals, ends.

use std::time::Duration;

use dspex_tui::protocol::error::ErrorClass;
use dspex_tui::protocol::message::Lane;
use dspex_tui::session::event::{WorkerReport, WorkerState};
use serde_json::json;

use super::bench::{Bench, Told, cell, options, request};

impl Bench {
    async fn changed(&mut self, role: &str, state: WorkerState) -> WorkerReport {
        self.wait(&format!("{role} {state:?}"), |told| match told {
            Told::Changed(report) if report.role == role && report.state == state => Some(report),
            _ => None,
        })
        .await
    }
}

fn starting_with(source: &str) -> dspex_tui::worker::SupervisorOptions {
    let mut options = options();
    options.variables[1].1 = Some(source.to_owned());
    options
}

/// R90, R91: what ran on a killed kernel ends with the signal's name; the standby is the
/// kernel at once, is restored first, and a new standby is made.
#[tokio::test]
async fn the_standby_takes_over_from_a_killed_kernel() {
    let mut options = options();
    options.standby = true;
    let restore = request("echo", Lane::Main, json!("restored"));
    let mut bench = Bench::with(options, false, Some(restore));
    let standby = bench.changed("standby", WorkerState::Ready).await;
    let running = bench.cell(
        1,
        "import os, signal\nos.write(2, b'last words\\n')\nos.kill(os.getpid(), signal.SIGKILL)",
    );
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.kind, "process_crashed");
    assert!(error.message.contains("SIGKILL"), "{}", error.message);
    assert_eq!(error.context["stderr"], json!(["last words"]));
    let kernel = bench.changed("kernel", WorkerState::Ready).await;
    assert_eq!(kernel.worker, standby.worker);
    let restored = bench
        .wait("restore", |told| match told {
            Told::Restored(worker, answer) => Some((worker, answer.unwrap())),
            _ => None,
        })
        .await;
    assert_eq!(restored, (standby.worker, json!("restored")));
    assert_eq!(bench.echo(json!(1)).await.unwrap(), json!(1));
    let next = bench.changed("standby", WorkerState::Ready).await;
    assert!(next.worker > standby.worker);
    bench.supervisor.shutdown().await;
}

/// R98, R126: a crash is told as what it was, and the next worker answers.
#[tokio::test]
async fn every_way_of_dying_is_named() {
    let mut options = options();
    options.intensity.deaths = 100;
    let bench = Bench::start(options);
    for (source, how) in [
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os; os.abort()", "SIGABRT"),
        ("import os; os._exit(3)", "status 3"),
    ] {
        let error = bench.cell(1, source).await.unwrap().unwrap_err();
        assert!(error.message.contains(how), "{}", error.message);
        assert_eq!(bench.echo(json!(how)).await.unwrap(), json!(how));
    }
    bench.supervisor.shutdown().await;
}

#[tokio::test]
async fn too_many_deaths_stop_the_loop_until_a_restart_by_hand() {
    let mut bench = Bench::start(options());
    for _ in 0..4 {
        let error = bench
            .cell(1, "import os; os.abort()")
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!(error.kind, "process_crashed");
    }
    bench.changed("kernel", WorkerState::Down).await;
    let error = bench.echo(json!(1)).await.unwrap_err();
    assert_eq!(error.kind, "kernel_down");
    assert!(
        error.message.contains("4 times") && error.message.contains("SIGABRT"),
        "{}",
        error.message
    );
    // Answered when what is asked next goes to the new one: there is nothing to wait for.
    bench.supervisor.restart_kernel().await.unwrap();
    assert_eq!(bench.echo(json!(2)).await.unwrap(), json!(2));
    bench.supervisor.shutdown().await;
}

/// R89: a worker that cannot start says why at once, and is not tried again.
#[tokio::test]
async fn r89_a_broken_start_is_told_with_its_reason() {
    let bench = Bench::start(starting_with("import no_such_package"));
    let error = bench.supervisor.kernel_ready().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Import);
    assert!(
        error.message.contains("No module named 'no_such_package'"),
        "{}",
        error.message
    );
    assert!(error.recovery.hint.contains("pip install"));
    bench.supervisor.shutdown().await;
}

/// R89: a start that fails leaves no process and nothing open.
#[tokio::test]
async fn r89_a_broken_start_leaves_nothing() {
    async fn fail() {
        let mut bench = Bench::start(starting_with("import no_such_package"));
        bench.supervisor.kernel_ready().await.unwrap_err();
        let started = bench.changed("kernel", WorkerState::Starting).await;
        let process = format!("/proc/{}", started.pid);
        assert!(!std::path::Path::new(&process).exists(), "{started:?}");
        bench.supervisor.shutdown().await;
    }
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    // What the first one opens for good is the runtime's.
    fail().await;
    let before = open();
    for _ in 0..4 {
        fail().await;
    }
    let closed = async {
        while open() > before {
            tokio::task::yield_now().await;
        }
    };
    let closed = tokio::time::timeout(crate::support::PATIENCE, closed).await;
    assert!(closed.is_ok(), "{} descriptors, {before} before", open());
}

/// R89: a start without end is no wait without end.
#[tokio::test]
async fn a_start_that_hangs_is_given_up() {
    let mut options = starting_with("import time; time.sleep(600)");
    options.ready_deadline = Duration::from_millis(500);
    let bench = Bench::start(options);
    let error = bench.supervisor.kernel_ready().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Timeout);
    assert!(error.message.contains("import DSPy"), "{}", error.message);
    bench.supervisor.shutdown().await;
}

/// R89: what cannot be started is named at once, with the remedy.
#[tokio::test]
async fn a_missing_worker_binary_is_named() {
    let mut options = options();
    options.binary = Some("/nowhere/dspex-worker".into());
    let bench = Bench::start(options);
    let error = bench.supervisor.kernel_ready().await.unwrap_err();
    assert!(
        error.message.contains("/nowhere/dspex-worker"),
        "{}",
        error.message
    );
    assert!(error.recovery.hint.contains("make worker"));
}

/// Keys typed before Python is up are kept.
#[tokio::test]
async fn requests_wait_for_the_kernel() {
    let bench = Bench::start(starting_with("import time; time.sleep(0.2)"));
    assert_eq!(bench.echo(json!("early")).await.unwrap(), json!("early"));
    bench.supervisor.shutdown().await;
}

/// R22, R94: shutting down drains what runs and leaves no process.
#[tokio::test]
async fn shutdown_finishes_what_runs_and_leaves_nobody() {
    let mut options = options();
    options.standby = true;
    let mut bench = Bench::holding(options);
    let standby = bench.changed("standby", WorkerState::Ready).await;
    let kernel = bench.supervisor.kernel_pid().unwrap();
    let running = bench.send(cell(
        1,
        "import time\nsay('begun')\ntime.sleep(0.2)\nresult = 'finished'",
        Lane::Run,
    ));
    bench.said("begun").await;
    bench.supervisor.shutdown().await;
    assert_eq!(running.await.unwrap().unwrap()["value"], "finished");
    for pid in [kernel, standby.pid] {
        assert!(
            !std::path::Path::new(&format!("/proc/{pid}")).exists(),
            "{pid} lives"
        );
    }
    let error = bench.supervisor.kernel_ready().await.unwrap_err();
    assert_eq!(error.kind, "shutting_down");
}
