//! LM requests from a worker: blocking, asynchronous, streamed, dropped.

use dspex_tui::protocol::message::{Body, Lane, LmAnswer, LmChunk, TransportFailure};
use dspex_tui::session::event::RunId;
use serde_json::json;

use super::bench::{Bench, cell, options, text};

/// What an `lm_open` needs around it, in a cell.
const OPEN: &str = r#"
import queue
pieces = queue.Queue()
def open_call(stream, body=b"{}"):
    return _dspex.lm_open(None, None, run, cell, "POST", "http://lm.invalid/v1", [("a", "b")], body,
                          1.5, False, 3, (1e-6, 2e-6), stream, lambda *piece: pieces.put(piece))
"#;

#[tokio::test]
async fn a_blocking_call_gets_status_headers_and_bytes() {
    let bench = Bench::start(options());
    let source = r#"
answers = [call(run, cell, b"text"), call(run, cell, b"\xff\xfe"), call(run, cell, b"y" * 6_000_000)]
result = [[a[0], a[1], len(a[2]), a[2][:4].hex()] for a in answers]
"#;
    let answer = bench.cell(1, source).await.unwrap().unwrap();
    assert_eq!(
        answer["value"],
        json!([
            [200, [["x-test", "1"]], 4, "74657874"],
            [200, [["x-test", "1"]], 2, "fffe"],
            [200, [["x-test", "1"]], 6_000_000, "79797979"]
        ])
    );
    bench.supervisor.shutdown().await;
}

#[tokio::test]
async fn a_failure_is_raised_with_its_kind() {
    let mut bench = Bench::holding(options());
    let source = r"
try:
    call(run, cell)
except _dspex.TransportFailure as error:
    result = [error.kind, error.message, str(error)]
";
    let running = bench.cell(1, source);
    let (_, reply) = bench.call().await;
    reply.answer(LmAnswer::Failure {
        failure: TransportFailure::Timeout,
        message: "too slow".into(),
    });
    let answer = running.await.unwrap().unwrap();
    assert_eq!(answer["value"], json!(["timeout", "too slow", "too slow"]));
    bench.supervisor.shutdown().await;
}

#[tokio::test]
async fn a_reply_dropped_without_an_answer_ends_the_call() {
    let mut bench = Bench::holding(options());
    let running = bench.cell(1, "call(run, cell)");
    drop(bench.call().await);
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.kind, "TransportFailure");
    bench.supervisor.shutdown().await;
}

#[tokio::test]
async fn an_open_call_is_called_back_once_or_for_each_piece() {
    let mut bench = Bench::holding(options());
    let source = format!(
        "{OPEN}
open_call(False)
open_call(True)
result = []
for _ in range(3):
    status, headers, chunk, final, failure = pieces.get(timeout=60)
    result.append([status, headers, chunk.decode(), final, repr(failure)])
"
    );
    let running = bench.cell(1, &source);
    let (request, reply) = bench.call().await;
    assert_eq!((request.timeout, request.cache), (Some(1.5), false));
    assert_eq!((request.rollout_id, request.stream), (Some(3), false));
    reply.answer(LmAnswer::Response {
        status: 201,
        headers: vec![],
        body: Body::Body("whole".into()),
    });
    let (request, mut reply) = bench.call().await;
    assert!(request.stream);
    reply.chunk(LmChunk {
        head: Some((200, vec![("k".into(), "v".into())])),
        body: Body::Body("a".into()),
        failure: None,
        is_final: false,
    });
    reply.chunk(LmChunk {
        head: None,
        body: Body::Body(String::new()),
        failure: Some((TransportFailure::Read, "cut".into())),
        is_final: true,
    });
    let answer = running.await.unwrap().unwrap();
    assert_eq!(
        answer["value"],
        json!([
            [201, [], "whole", true, "None"],
            [200, [["k", "v"]], "a", false, "None"],
            [null, null, "", true, "TransportFailure('read', 'cut')"]
        ])
    );
    bench.supervisor.shutdown().await;
}

#[tokio::test]
async fn a_dropped_call_tells_the_workbench() {
    let mut bench = Bench::holding(options());
    let running = bench.cell(1, &format!("{OPEN}\n_dspex.lm_drop(open_call(False))"));
    let (_, reply) = bench.call().await;
    tokio::time::timeout(crate::support::PATIENCE, reply.dropped())
        .await
        .unwrap();
    running.await.unwrap().unwrap();
    bench.supervisor.shutdown().await;
}

/// Eight threads blocked in calls, freed by one cancel; calls of another run stay.
#[tokio::test]
async fn cancel_frees_every_blocked_thread_of_its_run() {
    let mut bench = Bench::holding(options());
    let source = r#"
import threading
ends = []
def work(number):
    try:
        ends.append(call(number, None, b"x")[0])
    except BaseException as error:
        ends.append(type(error).__name__)
threads = [threading.Thread(target=work, args=(7,)) for _ in range(8)]
threads.append(threading.Thread(target=work, args=(8,)))
for thread in threads: thread.start()
for thread in threads: thread.join()
try:
    call(7, None, b"late")
except _dspex.RunCancelled:
    ends.append("late too")
result = [sorted(map(str, ends)), _dspex.is_cancelled(7), _dspex.is_cancelled(8), issubclass(_dspex.RunCancelled, Exception)]
"#;
    let running = bench.send(cell(1, source, Lane::Run));
    let mut calls = Vec::new();
    while calls.len() < 9 {
        calls.push(bench.call().await);
    }
    bench.supervisor.cancel(RunId(7));
    let mut kept = None;
    for (request, reply) in calls {
        assert_eq!(text(&request.body), "x");
        if request.run == Some(RunId(8)) {
            kept = Some(reply);
        } else {
            reply.dropped().await;
        }
    }
    kept.unwrap().answer(LmAnswer::Response {
        status: 200,
        headers: vec![],
        body: Body::Body(String::new()),
    });
    let answer = running.await.unwrap().unwrap();
    let mut ends = vec!["200"];
    ends.extend(["RunCancelled"; 8]);
    ends.push("late too");
    assert_eq!(answer["value"], json!([ends, true, false, false]));
    bench.supervisor.shutdown().await;
}
