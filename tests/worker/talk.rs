//! Starting, talking, and noise.

use std::fmt::Write as _;

use dspex_tui::protocol::message::Lane;
use dspex_tui::worker::WorkerEvent;
use serde_json::{Value, json};

use crate::support::PATIENCE;

use super::bench::{Bench, Told, cell, environment, options};

#[tokio::test]
async fn a_worker_is_the_environments_python() {
    let bench = Bench::start(options());
    let ready = bench.supervisor.kernel_ready().await.unwrap();
    let (hello, ready) = &*ready;
    let environment = environment();
    assert!(hello.python.starts_with(&environment.minor()), "{hello:?}");
    assert_eq!(
        ready.packages["executable"],
        environment.python.display().to_string()
    );
    assert_eq!(
        ready.packages["prefix"],
        environment.path.display().to_string()
    );
    let path = ready.packages["path"].as_array().unwrap();
    assert_eq!(path[0], "", "the working directory comes first: {path:?}");
    assert!(path.last().unwrap().as_str().unwrap().ends_with("stand_in"));
    bench.supervisor.shutdown().await;
}

/// R52: an answer carries the id of its request.
#[tokio::test]
async fn answers_come_back_to_whoever_asked() {
    let bench = Bench::start(options());
    let asked: Vec<_> = (0..50).map(|n| bench.echo(json!({ "n": n }))).collect();
    for (n, answer) in (0..).zip(futures_util::future::join_all(asked).await) {
        assert_eq!(answer.unwrap(), json!({ "n": n }));
    }
    let refused = bench
        .send(super::bench::request("dance", Lane::Run, Value::Null))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.kind, "unknown_operation");
    bench.supervisor.shutdown().await;
}

/// The side lane's thread reads the socket while it is idle: whatever it does then,
/// somebody else goes on reading, also with more requests behind it.
#[tokio::test]
async fn a_long_side_request_keeps_nobody_waiting() {
    let mut bench = Bench::start(options());
    for n in 0..3 {
        assert_eq!(bench.echo(json!(n)).await.unwrap(), json!(n));
    }
    let source = "import threading\ngo = threading.Event()\nsay('waits')\ngo.wait()";
    let waiting = bench.send(cell(1, source, Lane::Side));
    bench.said("waits").await;
    let behind = bench.send(super::bench::request("echo", Lane::Side, json!("behind")));
    for number in [2, 3] {
        let answer = bench.cell(number, "result = go.is_set()").await.unwrap();
        assert_eq!(answer.unwrap()["value"], false);
    }
    let released = bench.send(cell(4, "go.set()", Lane::Run));
    assert_eq!(released.await.unwrap().unwrap()["status"], "ok");
    assert_eq!(waiting.await.unwrap().unwrap()["status"], "ok");
    assert_eq!(behind.await.unwrap().unwrap(), "behind");
    bench.supervisor.shutdown().await;
}

/// What does not fit into the socket at once arrives in order, behind what waits.
#[tokio::test]
async fn requests_keep_their_order_when_the_socket_is_full() {
    let bench = Bench::start(options());
    bench.supervisor.kernel_ready().await.unwrap();
    let filler = "x".repeat(200_000);
    let mut asked = Vec::new();
    for n in 1..50 {
        let source = format!("result = order = [*globals().get('order', []), {n}]\n# {filler}");
        let mut request = Box::pin(bench.supervisor.request(cell(n, &source, Lane::Main)));
        // The first poll sends it.
        assert!(futures_util::poll!(&mut request).is_pending());
        asked.push(request);
    }
    let answers = tokio::time::timeout(PATIENCE, futures_util::future::join_all(asked)).await;
    let answers = answers.unwrap();
    let last = answers.last().unwrap().as_ref().unwrap();
    assert_eq!(last["value"], json!((1..50).collect::<Vec<_>>()));
    bench.supervisor.shutdown().await;
}

/// R55, R58: from 64 KiB to 8 MB, there and back, equal.
#[tokio::test]
async fn r58_large_payloads_go_both_ways() {
    let bench = Bench::start(options());
    for len in [64 << 10, 1 << 20, 5 << 20, 8 << 20] {
        let mut text = String::with_capacity(len);
        for n in 0..len as u64 / 8 {
            write!(text, "{:08x}", n.wrapping_mul(2_654_435_761) & 0xffff_ffff).unwrap();
        }
        let value = json!({ "text": text });
        assert!(
            bench.echo(value.clone()).await.unwrap() == value,
            "{len} bytes differ"
        );
    }
    bench.supervisor.shutdown().await;
}

/// R56: a worker that answers 96 MB part by part never holds them: its memory
/// grows by a few chunks.
#[tokio::test]
async fn r56_memory_stays_bounded_while_a_dataset_travels() {
    let bench = Bench::start(options());
    let source = r#"
import os
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
_dspex.send("log", 0, b'{"level": "debug", "text": "warm"}')
before, peak, sent = resident(), 0, 0
def parts():
    global peak, sent
    yield b'{"level": "debug", "text": "'
    for n in range(960):
        part = os.urandom(50_000).hex().encode()
        sent += len(part)
        peak = max(peak, resident())
        yield part
    yield b'"}'
_dspex.send_pieces("log", 0, parts())
result = [sent, peak - before]
"#;
    let answer = bench
        .send(cell(1, source, Lane::Run))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer["value"][0], 96_000_000);
    let grown = answer["value"][1].as_i64().unwrap();
    assert!(grown < 24_000_000, "{grown} bytes more at the peak");
    bench.supervisor.shutdown().await;
}

/// R57: whatever is printed on descriptors 1 and 2, by whomever, is output and
/// never a frame.
#[tokio::test]
async fn r57_noise_never_corrupts_frames() {
    let mut bench = Bench::start(options());
    let source = r#"
import ctypes, os, subprocess, sys
print("from print")
os.write(1, b"from descriptor 1\n")
os.write(1, b"\x00\x00\x00\x05{bad}\n")
sys.__stdout__.write("from the old stdout\n")
libc = ctypes.CDLL(None)
libc.puts(b"from libc"); libc.fflush(None)
subprocess.run(["echo", "from a child"], check=True)
os.write(2, b"from descriptor 2\n" + b"x" * 3_000_000)
os.write(1, b"unfinished line")
result = "done"
"#;
    let answer = bench
        .send(cell(1, source, Lane::Main))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer["value"], "done");
    // Everything written before the answer was told before it came.
    let (mut out, mut err) = (String::new(), String::new());
    while let Ok(told) = bench.told.try_recv() {
        if let Told::Output(stderr, text) = told {
            if stderr { &mut err } else { &mut out }.push_str(&text);
        } else if let Told::Event(WorkerEvent::Log { text, .. }) = told {
            panic!("a log record was made of noise: {text}");
        }
    }
    for line in [
        "from print\n",
        "from descriptor 1\n",
        "from the old stdout\n",
        "from libc\n",
        "from a child\n",
        "unfinished line",
    ] {
        assert!(out.contains(line), "{line:?} is missing in {out:?}");
    }
    assert!(err.starts_with("from descriptor 2\n"));
    assert_eq!(err.matches('x').count(), 3_000_000);
    assert_eq!(bench.echo(json!(1)).await.unwrap(), json!(1));
    bench.supervisor.shutdown().await;
}

#[tokio::test]
async fn spans_come_in_order_before_the_answer() {
    let mut bench = Bench::start(options());
    let source = r#"
for n in range(3):
    _dspex.span_start(f"1-1-{n}", None, run, "module", "M", b'{"n": %d}' % n)
    _dspex.span_end(f"1-1-{n}", b'{}', None if n else "ValueError: x")
"#;
    bench.cell(1, source).await.unwrap().unwrap();
    let items = bench
        .wait("spans", |told| match told {
            Told::Event(WorkerEvent::Spans(items)) => Some(items),
            _ => None,
        })
        .await;
    let items = serde_json::to_value(items).unwrap();
    let ids: Vec<&str> = items
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["1-1-0", "1-1-0", "1-1-1", "1-1-1", "1-1-2", "1-1-2"]);
    assert_eq!(items[0]["inputs"], json!({ "n": 0 }));
    assert_eq!(items[1]["error"], "ValueError: x");
    assert!(items[0]["ns"].as_u64() <= items[1]["ns"].as_u64());
    bench.supervisor.shutdown().await;
}

#[tokio::test]
async fn a_cell_asks_for_input_and_gets_it() {
    let mut bench = Bench::start(options());
    let running = bench.cell(
        4,
        "result = [_dspex.read_input(cell, 'name? ', False), _dspex.read_input(cell, '', True)]",
    );
    for reply in [Some("Ada".to_owned()), None] {
        bench
            .wait("the prompt", |told| match told {
                Told::Event(WorkerEvent::InputRequest { .. }) => Some(()),
                _ => None,
            })
            .await;
        assert!(bench.supervisor.reply_input(reply));
    }
    let answer = running.await.unwrap().unwrap();
    assert_eq!(answer["value"], json!(["Ada", null]));
    assert!(!bench.supervisor.reply_input(None), "nobody asks any more");
    bench.supervisor.shutdown().await;
}

#[tokio::test]
async fn a_fork_of_user_code_owns_no_frames() {
    let bench = Bench::start(options());
    let source = r#"
import os
child = os.fork()
if child == 0:
    _dspex.send("log", 0, b'{"level": "info", "text": "from the fork"}')
    try:
        os.write(3, b"garbage")
        call()
    except _dspex.TransportFailure as error:
        os._exit(7 if "forked" in str(error) else 1)
    os._exit(2)
result = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"#;
    let mut bench = bench;
    let answer = bench.cell(1, source).await.unwrap().unwrap();
    assert_eq!(answer["value"], 7);
    assert_eq!(bench.echo(json!(2)).await.unwrap(), json!(2));
    while let Ok(told) = bench.told.try_recv() {
        assert!(
            !matches!(told, Told::Event(WorkerEvent::Log { .. })),
            "{told:?}"
        );
    }
    bench.supervisor.shutdown().await;
}
