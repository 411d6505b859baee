//! What may strike a run, how it is brought about, and how such a run may end.

use std::collections::HashSet;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::support::stub_lm::{Received, Scripted, StubLm};

/// A fault and the ends it allows.
#[derive(Debug)]
pub struct Strike {
    /// Name in questions, in the module below and in figures.
    pub name: &'static str,
    /// How often, in parts of the sum of all.
    pub share: u32,
    /// `ok`, a cell's or code's status, or an error's type.
    pub ends: &'static [&'static str],
}

const fn strike(name: &'static str, share: u32, ends: &'static [&'static str]) -> Strike {
    Strike { name, share, ends }
}

/// All of them. A server's fault that is there once is mended by DSPy's second try.
pub static STRIKES: [Strike; 21] = [
    strike("none", 16, &["ok"]),
    strike("429-once", 8, &["ok"]),
    strike("429-always", 7, &["LMRateLimitError"]),
    strike("500-once", 8, &["ok"]),
    strike("500-always", 7, &["LMServerError"]),
    strike("broken-once", 5, &["ok"]),
    strike("broken-always", 5, &["LMTransportError"]),
    strike("garbage", 5, &["LMProviderError"]),
    strike("silence", 4, &["LMTransportError"]),
    strike("raise", 6, &["ZeroDivisionError"]),
    strike("abort", 3, &["process_crashed"]),
    strike("segv", 3, &["process_crashed"]),
    strike("sigkill", 3, &["process_crashed"]),
    strike("exit", 2, &["process_crashed"]),
    strike("greedy", 4, &["MemoryError"]),
    strike("endless", 3, &["cancelled"]),
    strike("deaf", 1, &["cancelled"]),
    strike("code-endless", 2, &["timeout"]),
    strike("code-greedy", 1, &["memory"]),
    strike("cell-abort", 3, &["process_crashed"]),
    strike("cell-endless", 3, &["interrupted"]),
];

/// Ends of a run whose neighbour took its worker along, or that came while the
/// workers died too often.
pub const TAKEN_ALONG: [&str; 5] = [
    "process_crashed",
    "pool_down",
    "pool_exhausted",
    "kernel_down",
    "MemoryError",
];

/// A module that asks its LM and is then struck.
pub const MODULE: &str = r#"
import ctypes, os, signal, time
import dspy

def begun(mark):
    open(mark, "w").close()

class Struck(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict("question -> answer")

    def forward(self, question, strike, mark):
        said = self.ask(question=question)
        if strike == "raise":
            1 / 0
        if strike == "abort":
            os.abort()
        if strike == "segv":
            ctypes.string_at(0)
        if strike == "sigkill":
            os.kill(os.getpid(), signal.SIGKILL)
        if strike == "exit":
            os._exit(3)
        if strike == "greedy":
            held = []
            while True:
                held.append(b"x" * (64 << 20))
        if strike == "endless":
            begun(mark)
            while True:
                time.sleep(0.01)
        if strike == "deaf":
            begun(mark)
            ctypes.PyDLL(None).sleep(6)
        return said
"#;

impl Strike {
    /// Whether it never ends by itself: it leaves a mark, and is then to be cancelled.
    pub fn hangs(&self) -> bool {
        ["endless", "deaf", "cell-endless"].contains(&self.name)
    }

    /// The operation and arguments of a run it strikes.
    pub fn request(&self, marker: &str, mark: &str) -> (&'static str, Value) {
        match self.name {
            "cell-abort" => (
                "run_cell",
                json!({"source": format!("import os  # {marker}\nos.abort()")}),
            ),
            "cell-endless" => (
                "run_cell",
                json!({"source": format!("import time  # {marker}\nopen({mark:?}, 'w').close()\nwhile True: time.sleep(0.01)")}),
            ),
            "code-endless" => (
                "execute_code",
                json!({"code": "while True: pass", "timeout": 0.5}),
            ),
            "code-greedy" => (
                "execute_code",
                json!({"code": "len([0] * 250_000_000)", "memory_mb": 256}),
            ),
            name => (
                "execute_program",
                json!({"program": "struck", "inputs": {"question": marker, "strike": name, "mark": mark}}),
            ),
        }
    }
}

/// A server that does to a request what the marker in its question says.
pub fn server() -> StubLm {
    let seen = Mutex::new(HashSet::new());
    StubLm::start(move |_, received| {
        let marker = marker_in(received);
        let again = !seen.lock().unwrap().insert(marker.clone());
        let name = marker.splitn(3, '-').nth(2).unwrap_or_default();
        match name.strip_suffix("-once") {
            Some(_) if again => good(),
            Some(kind) => bad(kind),
            None => bad(name.strip_suffix("-always").unwrap_or(name)),
        }
    })
}

fn good() -> Scripted {
    Scripted::chat("[[ ## answer ## ]]\nfine\n\n[[ ## completed ## ]]")
}

fn bad(kind: &str) -> Scripted {
    let status = |status, message: &str| match Scripted::error(status, message) {
        Scripted::Whole(status, _, body) => {
            Scripted::Whole(status, vec![("retry-after", "0")], body)
        }
        other => other,
    };
    match kind {
        "429" => status(429, "slow down"),
        "500" => status(500, "it broke"),
        "broken" => Scripted::Broken("{\"id\":\"c1\",\"choices\":[{\"mess".to_owned()),
        "garbage" => Scripted::Whole(200, Vec::new(), "<html>not what you want</html>".to_owned()),
        "silence" => Scripted::Hang,
        _ => good(),
    }
}

/// `run-0000-name`: what is between `run-` and a full stop.
fn marker_in(received: &Received) -> String {
    let text = received.json.to_string();
    let from = text.find("run-").expect("each question has a marker");
    let marker = text[from..].split('.').next().unwrap_or_default();
    marker.to_owned()
}
