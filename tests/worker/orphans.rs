//! The worker binary by hand: another protocol, garbage, a killed workbench.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use dspex_tui::protocol::VERSION;
use dspex_tui::protocol::codec::{Decoder, Sender, decode};
use dspex_tui::protocol::message::{FromWorker, Lane, ParentHello, ToWorker};
use serde_json::json;

use super::bench::request;
use crate::support::{self, PATIENCE};

struct ByHand {
    child: Child,
    socket: UnixStream,
    decoder: Decoder,
    sender: Sender,
}

impl ByHand {
    fn start(protocol: u32) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let child = Command::new(support::worker())
            .arg("--serve")
            .arg(support::venv().join("bin/python"))
            .arg(std::process::id().to_string())
            .env(
                "DSPEX_PYTHON_DIR",
                support::project().join("tests/worker/stand_in"),
            )
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut worker = Self {
            child,
            socket: ours,
            decoder: Decoder::default(),
            sender: Sender::new("workbench"),
        };
        worker.say(
            0,
            &ToWorker::Hello(ParentHello {
                protocol,
                app: "0".into(),
                worker: 1,
                interactive: false,
                features: vec![],
            }),
        );
        worker
    }

    fn say(&mut self, id: u64, message: &ToWorker) {
        for frame in self.sender.message(id, message).unwrap() {
            self.socket.write_all(&frame).unwrap();
        }
    }

    fn hear(&mut self) -> (u64, FromWorker) {
        loop {
            if let Some(message) = self.decoder.next_message() {
                return decode(&message.unwrap()).unwrap();
            }
            let mut piece = [0; 4096];
            let len = match self.socket.read(&mut piece) {
                // A signal for another test of this process.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.unwrap(),
            };
            assert!(len > 0, "the worker hung up");
            self.decoder.feed(&piece[..len]);
        }
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A worker of another protocol introduces itself, says what to do, and ends.
#[test]
fn another_protocol_is_refused_with_a_sentence() {
    let mut worker = ByHand::start(VERSION + 1);
    assert!(matches!(worker.hear(), (0, FromWorker::Hello(hello)) if hello.protocol == VERSION));
    let mut said = String::new();
    let mut stderr = worker.child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(worker.child.wait().unwrap().code(), Some(64));
    assert!(
        said.contains("protocol") && said.contains("make worker"),
        "{said}"
    );
}

/// R54: garbage is answered with an error object, and the next request with its answer.
#[test]
fn r54_a_worker_survives_garbage() {
    let mut worker = ByHand::start(VERSION);
    assert!(matches!(worker.hear(), (_, FromWorker::Hello(_))));
    assert!(matches!(worker.hear(), (_, FromWorker::Ready(_))));
    worker.socket.write_all(b"\0\0\0\x05hello").unwrap();
    assert!(matches!(worker.hear(), (0, FromWorker::DecodeError { .. })));
    let broken = worker.sender.raw(8, "request", b"{\"lane\":\"side\"}");
    for frame in broken {
        worker.socket.write_all(&frame).unwrap();
    }
    assert!(matches!(worker.hear(), (8, FromWorker::DecodeError { .. })));
    worker.say(
        9,
        &ToWorker::Request(Box::new(request("echo", Lane::Side, json!("still here")))),
    );
    let (id, FromWorker::Answer(answer)) = worker.hear() else {
        panic!("no answer");
    };
    assert_eq!((id, answer.result), (9, Some(json!("still here"))));
}

/// R94: a workbench that is killed takes the worker and the worker's children with it:
/// the pipe they all hold ends.
#[test]
fn no_process_outlives_a_killed_workbench() {
    end_workbench_with("echo grandchild", "ctypes.PyDLL(None).sleep(600)");
}

/// R94: also a worker that is stopped and hears nothing.
#[test]
fn r94_no_stopped_worker_outlives_a_killed_workbench() {
    let once_it_is_stopped =
        "until grep -q '^State:.T' /proc/$PPID/status; do sleep 0.01; done; echo grandchild";
    let stop = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)";
    end_workbench_with(once_it_is_stopped, stop);
}

/// Kills a workbench whose worker started a child that says so, and then did `last`.
fn end_workbench_with(child: &str, last: &str) {
    let script = r#"
import json, os, socket, struct, subprocess, sys
worker, python, stand_in, child_does, last = sys.argv[1:]
ours, theirs = socket.socketpair()
env = dict(os.environ, DSPEX_PYTHON_DIR=stand_in)
child = subprocess.Popen([worker, "--serve", python, str(os.getpid())], stdin=theirs, env=env)
theirs.close()
def say(id, type, payload):
    text = json.dumps({"id": id, "type": type, "payload": payload, "timestamp": 0, "metadata": {"source": "workbench", "version": 1}}).encode()
    ours.sendall(struct.pack(">I", len(text)) + text)
say(0, "hello", {"protocol": 1, "app": "0", "worker": 1, "interactive": False, "features": []})
source = f"import subprocess, ctypes\nsubprocess.Popen(['sh', '-c', {child_does + '; sleep 600'!r}])\n" + last
say(1, "request", {"operation": "run_cell", "lane": "main", "arguments": {"source": source}, "run": 1, "cell": 1})
child.wait()
"#;
    let python = support::venv().join("bin/python");
    let mut workbench = Command::new(&python)
        .arg("-c")
        .arg(script)
        .arg(support::worker())
        .arg(&python)
        .arg(support::project().join("tests/worker/stand_in"))
        .args([child, last])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(workbench.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "grandchild\n");
    workbench.kill().unwrap();
    workbench.wait().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = tell.send(stdout.read_to_end(&mut rest).is_ok());
    });
    assert!(
        told.recv_timeout(PATIENCE).expect("all of them ended"),
        "the pipe broke"
    );
}

#[test]
fn a_worker_says_what_it_was_built_for() {
    let version = dspex_tui::worker::environment::worker_python_version(&support::worker());
    assert_eq!(version.unwrap(), super::bench::environment().minor());
}
