//! Pools of workers: check-out, cancel, silence, death.

use std::time::Duration;

use dspex_tui::protocol::message::Lane;
use dspex_tui::session::event::{RunId, WorkerReport, WorkerState};
use dspex_tui::worker::{Lease, PoolRole, PoolsOptions, SupervisorOptions, Wanted};
use serde_json::json;

use super::bench::{Bench, Told, cell, options, request};

fn pooled(size: usize) -> SupervisorOptions {
    let mut options = options();
    options.pools = PoolsOptions::none();
    options.pools.general.size = size;
    options
}

fn wanted(run: u64) -> Wanted {
    Wanted {
        role: PoolRole::General,
        run: Some(RunId(run)),
        affinity: None,
        apart: false,
    }
}

impl Bench {
    async fn lease(&self, run: u64) -> Lease {
        let leased = self.supervisor.check_out(wanted(run));
        tokio::time::timeout(crate::support::PATIENCE, leased)
            .await
            .expect("a worker in time")
            .unwrap()
    }

    async fn pool_changed(&mut self, state: WorkerState) -> WorkerReport {
        self.wait(&format!("a pool worker {state:?}"), |told| match told {
            Told::Changed(report) if report.role == "pool" && report.state == state => Some(report),
            _ => None,
        })
        .await
    }
}

/// What a job runs in the stand-in's run lane.
fn job(run: u64, source: &str) -> dspex_tui::protocol::message::Request {
    cell(run, source, Lane::Run)
}

/// R85: the pool starts with nothing; the first job takes the warm standby, and
/// the health tells size, busy, idle, queue and memory.
#[tokio::test]
async fn r85_a_pool_is_filled_when_it_is_wanted_and_tells_how_it_stands() {
    let mut options = pooled(2);
    options.standby = true;
    let mut bench = Bench::start(options);
    let standby = bench
        .wait("a standby", |told| match told {
            Told::Changed(report)
                if report.role == "standby" && report.state == WorkerState::Ready =>
            {
                Some(report)
            }
            _ => None,
        })
        .await;
    let pool = &bench.supervisor.health().await.pools[0];
    assert_eq!((pool.size, pool.busy + pool.idle + pool.starting), (2, 0));
    let lease = bench.lease(1).await;
    assert_eq!(lease.worker(), standby.worker);
    let answer = lease.request(job(1, "result = 6 * 7")).await.unwrap();
    assert_eq!(answer["value"], 42);
    let pool = &bench.supervisor.health().await.pools[0];
    assert_eq!((pool.busy, pool.idle, pool.queue), (1, 0, 0));
    assert!(pool.workers[0].rss_mb > 0, "{pool:?}");
    drop(lease);
    let pool = &bench.supervisor.health().await.pools[0];
    assert_eq!((pool.busy, pool.idle), (0, 1));
    bench.supervisor.shutdown().await;
}

/// R88: a job that waits for nothing of ours is ended with its worker, the pool goes on.
#[tokio::test]
async fn r88_a_cancelled_job_that_does_not_end_is_ended() {
    let mut options = pooled(1);
    options.escalation = Duration::from_millis(50);
    let mut bench = Bench::start(options);
    let lease = bench.lease(1).await;
    let number = lease.worker();
    let source = "say('begun')\nimport time\nwhile True: time.sleep(0.01)";
    let running = async {
        let answer = lease.request(job(1, source)).await;
        drop(lease);
        answer
    };
    let supervisor = bench.supervisor.clone();
    let cancel = async {
        bench.said("begun").await;
        supervisor.cancel(RunId(1));
    };
    let (answer, ()) = tokio::join!(running, cancel);
    let error = answer.unwrap_err();
    assert_eq!(
        (error.kind.as_str(), error.message.as_str()),
        ("cancelled", "run 1 was cancelled")
    );
    let stopped = bench.pool_changed(WorkerState::Stopped).await;
    assert_eq!(stopped.worker, number);
    assert!(stopped.detail.contains("run 1"), "{stopped:?}");
    let again = bench.supervisor.check_out(wanted(1)).await.unwrap_err();
    assert_eq!(
        again.kind, "cancelled",
        "a run that was cancelled gets no further worker"
    );
    let next = bench.lease(2).await;
    assert!(next.worker() > number);
    let answer = next.request(job(2, "result = 1")).await.unwrap();
    assert_eq!(answer["value"], 1);
    bench.supervisor.shutdown().await;
}

/// R90: a worker that hangs is told as silent, killed, and replaced; what waits is done.
#[tokio::test]
async fn r90_a_worker_that_does_not_answer_is_replaced() {
    let mut options = pooled(1);
    options.pools.general.slots = 1;
    options.pools.probe_every = Duration::from_millis(50);
    options.pools.unresponsive_after = Duration::from_millis(500);
    options.pools.kill_after = Duration::from_millis(1500);
    let mut bench = Bench::start(options);
    let lease = bench.lease(1).await;
    let supervisor = bench.supervisor.clone();
    let queued = tokio::spawn(async move {
        let lease = supervisor.check_out(wanted(2)).await.unwrap();
        lease.request(job(2, "result = 'done'")).await
    });
    // It keeps Python's lock, so that nothing else of it runs.
    let source = "import ctypes; ctypes.PyDLL(None).sleep(60)";
    let error = lease.request(job(1, source)).await.unwrap_err();
    assert_eq!(error.kind, "process_crashed");
    drop(lease);
    let silent = bench.pool_changed(WorkerState::Busy).await;
    assert!(silent.detail.contains("does not answer"), "{silent:?}");
    assert_eq!(queued.await.unwrap().unwrap()["value"], "done");
    bench.supervisor.shutdown().await;
}

/// R90: a worker that is stopped while it has nothing to do is found without being
/// asked, passed over, killed and replaced; the next job is done by another.
#[tokio::test]
async fn r90_a_worker_stopped_while_idle_is_replaced() {
    let mut options = pooled(1);
    options.pools.unresponsive_after = Duration::from_millis(300);
    let mut bench = Bench::start(options);
    let lease = bench.lease(1).await;
    let number = lease.worker();
    drop(lease);
    let pid = bench.supervisor.health().await.pools[0].workers[0].pid;
    let pid = nix::unistd::Pid::from_raw(pid.cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).unwrap();
    let stopped = bench.pool_changed(WorkerState::Busy).await;
    assert!(
        stopped.detail.contains("stopped by a signal"),
        "{stopped:?}"
    );
    let next = bench.lease(2).await;
    assert!(next.worker() > number, "the stopped one got a job");
    let answer = next.request(job(2, "result = 'done'")).await.unwrap();
    assert_eq!(answer["value"], "done");
    let replaced = bench.pool_changed(WorkerState::Stopped).await;
    assert_eq!(replaced.worker, number);
    assert!(replaced.detail.contains("killed"), "{replaced:?}");
    bench.supervisor.shutdown().await;
}

/// R90: one that hangs while it has nothing to do is found by being asked, and replaced
/// before a job is given to it.
#[tokio::test]
async fn r90_a_worker_that_hangs_while_idle_is_replaced() {
    let mut options = pooled(1);
    options.pools.probe_idle_every = Duration::from_millis(50);
    options.pools.unresponsive_after = Duration::from_millis(500);
    let mut bench = Bench::start(options);
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("hang");
    let lease = bench.lease(1).await;
    let number = lease.worker();
    // What the job leaves behind takes Python's lock when it is let to, and keeps it.
    let source = format!(
        "import ctypes, os, threading, time\n\
         def hang():\n    \
         while not os.path.exists({mark:?}): time.sleep(0.01)\n    \
         ctypes.PyDLL(None).sleep(600)\n\
         threading.Thread(target=hang, daemon=True).start()"
    );
    lease.request(job(1, &source)).await.unwrap();
    drop(lease);
    std::fs::write(&mark, "").unwrap();
    let replaced = bench.pool_changed(WorkerState::Stopped).await;
    assert_eq!(replaced.worker, number);
    assert!(replaced.detail.contains("nothing to do"), "{replaced:?}");
    let next = bench.lease(2).await;
    let answer = next.request(job(2, "result = 'done'")).await.unwrap();
    assert_eq!(answer["value"], "done");
    bench.supervisor.shutdown().await;
}

/// R88: after 1,000 jobs that end well, badly or not at all, none holds a worker.
#[tokio::test]
async fn r88_no_worker_is_kept_by_a_job_that_is_over() {
    let bench = Bench::start(pooled(1));
    drop(bench.lease(0).await);
    for run in 1..=1000 {
        let lease = bench.lease(run).await;
        match run % 3 {
            0 => drop(
                lease
                    .request(request("echo", Lane::Run, json!(run)))
                    .await
                    .unwrap(),
            ),
            1 => drop(
                lease
                    .request(request("nonsense", Lane::Run, json!(run)))
                    .await
                    .unwrap_err(),
            ),
            // Given up before it is answered.
            _ => {
                let mut asked = Box::pin(lease.request(request("echo", Lane::Run, json!(run))));
                assert!(futures_util::poll!(asked.as_mut()).is_pending());
            }
        }
    }
    let pool = &bench.supervisor.health().await.pools[0];
    assert_eq!(
        (pool.busy, pool.idle, pool.queue, pool.restarts),
        (0, 1, 0, 0)
    );
    bench.supervisor.shutdown().await;
}
