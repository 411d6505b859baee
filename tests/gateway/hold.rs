//! Runs that are paused: held at the gateway, let go, cancelled while held; and a
//! real evaluation paused near its end.

use super::*;

fn of_run(mut request: LmRequest, run: u64) -> LmRequest {
    request.run = Some(RunId(run));
    request
}

/// A held call is not sent and takes no slot of its profile; let go, it is sent once.
#[tokio::test]
async fn a_held_call_waits_and_hinders_nobody() {
    let server = StubLm::saying("hello");
    let bench = Bench::new(GatewayOptions::default());
    bench.configure(
        json!({"provider": "local", "model": "m", "port": server.port(), "max_concurrency": 1}),
    );
    let base = format!("http://localhost:{}/v1", server.port());
    bench.gateway.hold_run(RunId(1), true);
    let held = bench.gateway.call(of_run(chat(&base, "held"), 1));
    tokio::pin!(held);
    assert!(futures_util::poll!(&mut held).is_pending());
    let other = bench.gateway.call(of_run(chat(&base, "other"), 2)).await;
    assert_eq!(status(&other), 200);
    assert!(futures_util::poll!(&mut held).is_pending());
    assert_eq!(server.received().len(), 1);
    bench.gateway.hold_run(RunId(1), false);
    assert_eq!(status(&held.await), 200);
    assert_eq!(server.received().len(), 2);
    let next = bench.gateway.call(of_run(chat(&base, "next"), 1)).await;
    assert_eq!(status(&next), 200);
}

/// A held call can be cancelled.
#[tokio::test]
async fn a_held_call_ends_when_its_run_is_cancelled() {
    let server = StubLm::saying("hello");
    let bench = Bench::new(GatewayOptions::default());
    bench.gateway.hold_run(RunId(1), true);
    let held = bench.gateway.call(chat(&server.base(), "held"));
    tokio::pin!(held);
    assert!(futures_util::poll!(&mut held).is_pending());
    bench.gateway.cancel_run(RunId(1));
    assert_eq!(failure(&held.await).0, TransportFailure::Cancelled);
    assert_eq!(server.received().len(), 0);
}

/// R3: paused with two examples left, a run on a local server waits at the gateway:
/// another program runs on the same profile meanwhile, and the server sees no call more
/// than without a pause. DSPy would send the last examples again after 120 s; the worker turned that off.
#[cfg(feature = "worker")]
#[test]
fn an_evaluation_is_paused_and_goes_on() {
    use crate::support::{Home, PATIENCE, workbench};
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    use std::sync::{Mutex, mpsc};

    let (came, fourth) = mpsc::channel();
    let (go_on, answer) = mpsc::channel::<()>();
    let answer = Mutex::new(answer);
    let server = StubLm::start(move |number, _| {
        if number == 3 {
            came.send(()).unwrap();
            answer.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
        Scripted::chat("[[ ## a ## ]]\nyes\n\n[[ ## completed ## ]]")
    });
    let home = Home::new();
    let profile = json!({
        "name": "stub", "provider": "local", "model": "m", "port": server.port(),
        "max_concurrency": 1,
    });
    let source = "import dspy\nfrom dspy.utils.parallelizer import ParallelExecutor\n\
        data = [dspy.Example(q=f'q{n}', a='yes').with_inputs('q') for n in range(6)]\n\
        metric = lambda example, found, trace=None: example.a == found.a\n\
        print(ParallelExecutor(num_threads=1).timeout)\n\
        dspy.Evaluate(devset=data, metric=metric, num_threads=1)(dspy.Predict('q -> a')).score";
    let lines = [
        json!({"operation": "configure_lm", "arguments": profile}),
        json!({"operation": "run_cell", "arguments": {"source": source}}),
    ];
    let mut holder = Command::new(workbench())
        .args(["exec", "--jsonl", "--new", "held"])
        .env_clear()
        .envs(home.environment())
        .current_dir(home.work())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = holder.stdin.take().unwrap();
    for line in &lines {
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    fourth.recv_timeout(PATIENCE).unwrap();
    let ask = |operation: &str, arguments: Value| {
        let arguments = arguments.to_string();
        home.dspex(&["exec", operation, &arguments, "--session", "held"])
            .json()
    };
    let paused = ask("pause", json!({}));
    assert_eq!(paused["result"]["paused"], true, "{paused}");
    go_on.send(()).unwrap();
    let other = ask(
        "execute_module",
        json!({"module": "Predict", "signature": "q -> a", "inputs": {"q": "meanwhile"}}),
    );
    assert_eq!(other["ok"], true, "{other}");
    assert_eq!(server.received().len(), 5);
    let again = ask("continue", json!({"run": paused["result"]["run"]}));
    assert_eq!(again["result"]["paused"], false, "{again}");
    let output = holder.wait_with_output().unwrap();
    let answers = String::from_utf8_lossy(&output.stdout).into_owned();
    let last: Value = serde_json::from_str(answers.lines().last().unwrap()).unwrap();
    assert_eq!(last["ok"], true, "{last}");
    assert!(last.to_string().contains("100.0"), "{last}");
    assert!(last.to_string().contains("0\\n"), "{last}");
    assert_eq!(server.received().len(), 7);
    let nothing = ask("continue", json!({}));
    assert_eq!(nothing["error"]["type"], "not_running", "{nothing}");
}
