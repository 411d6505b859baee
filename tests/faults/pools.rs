//! Pools that are full, and workers of theirs that fail, as whoever uses them meets it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

use super::*;
use crate::support::stub_lm::StubLm;
use crate::support::terminal::Terminal;

/// A server that answers nothing until it is let to.
fn held_stub() -> (StubLm, watch::Sender<bool>) {
    let (go, held) = watch::channel(false);
    let stub = StubLm::start(move |_, _| Scripted::Held(held.clone(), Box::new(fine())));
    (stub, go)
}

/// How a pool stands.
#[track_caller]
fn pool(exec: &mut Exec, name: &str) -> Value {
    let answer = exec.done("pools", json!({}));
    let pools = answer["pools"].as_array().unwrap();
    pools.iter().find(|it| it["name"] == name).unwrap().clone()
}

/// Waits until so many jobs wait for a pool.
#[track_caller]
fn wait_for_queue(exec: &mut Exec, name: &str, length: u64) {
    let mut seen = Value::Null;
    let long = comes_true(PATIENCE, || {
        seen = pool(exec, name);
        seen["queue"] == length
    });
    assert!(long, "{length} never waited: {seen}");
}

/// A worker of the pool for programs.
#[track_caller]
fn worker_pid(exec: &mut Exec) -> Pid {
    let pool = pool(exec, "pool");
    let pid = pool["workers"][0]["pid"].as_i64();
    Pid::from_raw(i32::try_from(pid.unwrap_or_else(|| panic!("no worker: {pool}"))).unwrap())
}

/// R87: with two workers busy and ten jobs waiting, the eleventh is refused at once,
/// through `exec` as in the REPL; those that wait are done when their turn comes.
#[tokio::test]
async fn r87_the_eleventh_that_waits_is_refused_at_once() {
    let (stub, go) = held_stub();
    let mut home = Home::new();
    settings(
        &mut home,
        "[pool]\njobs_per_worker = 1\nwait_seconds = 60\n",
    );
    let mut holder = Exec::start(&home, &["--new", "full", "--workers", "2"]);
    set_up_qa(&mut holder, &stub.base());
    let lane = || Exec::start(&home, &["--session", "full"]);
    let mut lanes: Vec<Exec> = (0..12).map(|_| lane()).collect();
    for (n, lane) in lanes.iter_mut().enumerate() {
        lane.submit("execute_program", &ask_qa(&format!("question {n}")));
        if n == 1 {
            stub.wait_for(2).await;
        }
    }
    wait_for_queue(&mut holder, "pool", 10);

    let eleventh = ask_qa("the eleventh").to_string();
    let refused = home.dspex(&["exec", "execute_program", &eleventh, "--session", "full"]);
    let error = &refused.json()["error"];
    assert_eq!(refused.code, Some(1), "{error}");
    assert_eq!(error["type"], "pool_exhausted", "{error}");
    assert_eq!(error["recovery"]["strategy"], "retry");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("10 more are waiting"), "{message}");
    let typed = ":run qa question='in the REPL'\n";
    let repl = home.dspex_with_input(&["repl", "--session", "full"], typed);
    assert_eq!(repl.code, Some(1), "{repl:?}");
    assert!(repl.stderr.contains("10 more are waiting"), "{repl:?}");

    // It was at once: nothing that began before it has ended yet.
    let ended: Vec<Value> = lanes.iter_mut().filter_map(Exec::answered).collect();
    assert!(ended.is_empty(), "{ended:?}");
    let stands = pool(&mut holder, "pool");
    assert_eq!((&stands["queue"], &stands["busy"]), (&json!(10), &json!(2)));
    go.send(true).unwrap();
    for lane in &mut lanes {
        let answer = lane.answer();
        assert_eq!(answer["result"]["answer"], "fine", "{answer}");
    }
    assert_eq!(stub.received().len(), 12, "who is refused asks no LM");
    holder.close();
}

/// R87: a job that waited as long as the settings say is refused, and says so.
#[tokio::test]
async fn r87_a_job_waits_no_longer_than_it_may() {
    let (stub, go) = held_stub();
    let mut home = Home::new();
    settings(&mut home, "[pool]\njobs_per_worker = 1\nwait_seconds = 1\n");
    let mut holder = Exec::start(&home, &["--new", "wait", "--workers", "1"]);
    set_up_qa(&mut holder, &stub.base());
    let mut second = Exec::start(&home, &["--session", "wait"]);
    holder.submit("execute_program", &ask_qa("first"));
    stub.wait_for(1).await;
    let refused = second.ask("execute_program", ask_qa("second"));
    assert_eq!(refused["error"]["type"], "pool_exhausted", "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("waited 1 s for it"), "{message}");
    go.send(true).unwrap();
    assert_eq!(holder.answer()["result"]["answer"], "fine");
    let again = second.done("execute_program", ask_qa("second"));
    assert_eq!(again["answer"], "fine");
}

/// R86: two optimizers hold both workers of their pool for as long as they like, and a
/// third waits for one; programs run meanwhile as if there were none.
#[tokio::test]
async fn r86_optimizers_never_block_a_predict() {
    let (stub, go) = held_stub();
    let mut home = Home::new();
    settings(&mut home, "[optimizers]\nwait_seconds = 60\n");
    let pools = ["--new", "both", "--workers", "1", "--optimizers", "2"];
    let mut holder = Exec::start(&home, &pools);
    set_up_qa(&mut holder, &stub.base());
    holder.done("configure_lm", json!({"provider": "demo"}));
    let row = |n: usize| json!({"question": format!("question {n}"), "answer": "fine"});
    let rows: Vec<Value> = (0..6).map(row).collect();
    holder.done("load_dataset", json!({"name": "rows", "rows": rows}));
    let lane = || Exec::start(&home, &["--session", "both"]);
    let mut optimizers: Vec<Exec> = (0..3).map(|_| lane()).collect();
    for (n, optimizer) in optimizers.iter_mut().enumerate() {
        let asked = json!({"program": "qa", "dataset": "rows", "lm": "stub",
                           "metric": "exact_match", "num_threads": 1,
                           "options": {"max_bootstrapped_demos": 1}});
        optimizer.submit("optimize_prompt", &asked);
        // The second takes the other worker, and asks what the first asked: once.
        let busy = comes_true(PATIENCE, || {
            pool(&mut holder, "optimizer")["busy"] == (n + 1).min(2)
        });
        assert!(busy, "optimizer {n} has no worker");
    }
    wait_for_queue(&mut holder, "optimizer", 1);
    stub.wait_for(1).await;
    for n in 0..5 {
        let asked = json!({"program": "qa", "inputs": {"question": format!("What is {n}+1?")}});
        let answer = holder.done("execute_program", asked);
        assert_eq!(answer["answer"], (n + 1).to_string(), "{answer}");
    }
    let ended: Vec<Value> = optimizers.iter_mut().filter_map(Exec::answered).collect();
    assert!(ended.is_empty(), "{ended:?}");
    let stands = pool(&mut holder, "optimizer");
    assert_eq!((&stands["busy"], &stands["queue"]), (&json!(2), &json!(1)));
    go.send(true).unwrap();
    for optimizer in &mut optimizers {
        let answer = optimizer.answer();
        assert_eq!(answer["ok"], true, "{answer}");
    }
    holder.close();
}

/// R90: the worker of a running job is killed: that job says so, what waited is done by
/// the one in its place, and both are told in the session.
#[tokio::test]
async fn r90_a_killed_pool_worker_is_replaced_and_what_waits_is_done() {
    let (stub, go) = held_stub();
    let mut home = Home::new();
    settings(
        &mut home,
        "[pool]\njobs_per_worker = 1\nwait_seconds = 60\n",
    );
    let mut holder = Exec::start(&home, &["--new", "killed", "--workers", "1"]);
    set_up_qa(&mut holder, &stub.base());
    let mut lanes = [(); 2].map(|()| Exec::start(&home, &["--session", "killed"]));
    lanes[0].submit("execute_program", &ask_qa("struck"));
    stub.wait_for(1).await;
    lanes[1].submit("execute_program", &ask_qa("waits"));
    wait_for_queue(&mut holder, "pool", 1);
    kill(worker_pid(&mut holder), Signal::SIGKILL).unwrap();
    let struck = lanes[0].answer();
    assert_eq!(struck["error"]["type"], "process_crashed", "{struck}");
    go.send(true).unwrap();
    let waited = lanes[1].answer();
    assert_eq!(waited["result"]["answer"], "fine", "{waited}");
    assert_eq!(pool(&mut holder, "pool")["restarts"], 1);
    holder.close();
    let told = home.dspex(&["replay", "killed", "--plain"]);
    let told = told.success();
    assert!(
        told.contains("(pool) died") && told.contains("SIGKILL"),
        "{told}"
    );
}

/// R90: a stopped worker is told of on the screen, and that it was replaced; what was
/// waiting for it is done.
#[tokio::test]
async fn r90_a_stopped_pool_worker_is_told_of_on_the_screen() {
    let (stub, go) = held_stub();
    let mut home = Home::new();
    settings(
        &mut home,
        "[pool]\nworkers = 1\njobs_per_worker = 1\nwait_seconds = 60\n\
         [health]\nunresponsive_seconds = 1\n",
    );
    let mut terminal = Terminal::dspex(&home, &["--new", "stopped"], 120, 36);
    terminal.wait_for("● ready");
    let mut lanes = [(); 3].map(|()| Exec::start(&home, &["--session", "stopped"]));
    let [steering, struck, waiting] = &mut lanes;
    set_up_qa(steering, &stub.base());
    struck.submit("execute_program", &ask_qa("struck"));
    stub.wait_for(1).await;
    waiting.submit("execute_program", &ask_qa("waits"));
    wait_for_queue(steering, "pool", 1);
    kill(worker_pid(steering), Signal::SIGSTOP).unwrap();
    terminal.wait_for("was stopped by a signal");
    terminal.wait_for("was replaced");
    let struck = struck.answer();
    assert_eq!(struck["error"]["type"], "process_crashed", "{struck}");
    go.send(true).unwrap();
    let waited = waiting.answer();
    assert_eq!(waited["result"]["answer"], "fine", "{waited}");
    let health = steering.done("health_check", json!({}));
    assert_eq!(health["problems"], json!([]));
}
