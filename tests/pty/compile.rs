//! The window is closed while a program is compiled.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};

use dspex_tui::session::SessionReader;
use dspex_tui::session::event::{EventBody, RunKind, RunStatus};
use serde_json::{Value, json};

use crate::support::Home;
use crate::support::stub_lm::{Scripted, StubLm};
use crate::support::terminal::{Terminal, keys};

/// Requests the server answers before it waits to be told to go on.
const FREE: usize = 5;

/// A server that answers a few requests and then holds the others back.
struct Held {
    stub: StubLm,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Held {
    fn start() -> Self {
        let open = Arc::new((Mutex::new(false), Condvar::new()));
        let door = Arc::clone(&open);
        let stub = StubLm::start(move |number, _| {
            if number >= FREE {
                let (open, opened) = &*door;
                let open = open.lock().unwrap();
                drop(opened.wait_while(open, |open| !*open).unwrap());
            }
            Scripted::chat("[[ ## answer ## ]]\n42\n\n[[ ## completed ## ]]")
        });
        Self { stub, open }
    }

    fn go_on(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

impl Drop for Held {
    /// A test that failed must not wait for a server that waits.
    fn drop(&mut self) {
        self.go_on();
    }
}

/// A session with a program, data and the server's LM.
fn prepare(home: &Home, stub: &StubLm) {
    let rows: Vec<Value> = (0..20)
        .map(|n| json!({"question": format!("question {n}"), "answer": "42"}))
        .collect();
    let lines = [
        json!({"operation": "configure_lm", "arguments": {"provider": "openai", "model": "stub", "name": "held",
               "api_base": stub.base(), "num_retries": 0}}),
        json!({"operation": "select_lm", "arguments": {"name": "held"}}),
        json!({"operation": "create_program", "arguments": {"name": "qa", "module": "Predict", "signature": "question -> answer"}}),
        json!({"operation": "load_dataset", "arguments": {"name": "data", "rows": rows, "inputs": ["question"]}}),
    ];
    let input = lines.map(|line| line.to_string()).join("\n") + "\n";
    let outcome = home.dspex_with_input(&["exec", "--jsonl", "--new", "compile"], &input);
    for line in outcome.success().lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
    }
}

/// The window is closed in the middle of a compile. The compile goes on without it,
/// a second workbench that opens the session follows it to its end, and no call is made
/// twice.
#[tokio::test]
async fn a_compile_goes_on_without_a_window_and_repeats_no_call() {
    let mut home = Home::new();
    home.set("OPENAI_API_KEY", "local-stub-key");
    let held = Held::start();
    prepare(&home, &held.stub);
    let mut first = Terminal::dspex(&home, &["--session", "compile"], 120, 36);
    first.wait_for("● ready");
    first
        .send(":optimize qa data metric=exact_match max_bootstrapped_demos=3")
        .send(keys::ENTER);
    held.stub.wait_for(FREE + 1).await;
    first.hang_up();

    let mut second = Terminal::dspex(&home, &["--session", "compile"], 120, 36);
    second.wait_for("following");
    second
        .send(keys::F5)
        .wait_for("Evaluations and optimisations");
    assert!(!second.screen().contains("gain"), "{}", second.screen());
    held.go_on();
    second.wait_for("gain");
    assert_eq!(first.wait_exit().exit_code(), 129);
    second.wait_gone("following").send(keys::CTRL_Q);
    assert_eq!(second.wait_exit().exit_code(), 0);

    let mut reader = SessionReader::open(&home.sessions().join("compile")).unwrap();
    let state = reader.final_state();
    let compiles: Vec<_> = state
        .runs
        .values()
        .filter(|run| run.kind == RunKind::Compile)
        .collect();
    assert_eq!(compiles.len(), 1);
    assert_eq!(compiles[0].status, RunStatus::Ok, "{:?}", compiles[0].error);
    let cell = state.cells.first().unwrap();
    assert_eq!(cell.status, RunStatus::Ok, "{}", cell.source);
    let mut calls: HashMap<String, usize> = HashMap::new();
    for request in held.stub.received() {
        *calls.entry(request.json.to_string()).or_default() += 1;
    }
    println!("{} calls, {} before the window closed", calls.len(), FREE);
    assert!(calls.len() > FREE + 5, "{} calls", calls.len());
    assert!(
        calls.values().all(|times| *times == 1),
        "a call was repeated"
    );
    let len = reader.len();
    let events = reader.events(1..=len);
    let recorded = events
        .iter()
        .filter(|it| matches!(it.body, EventBody::Exchange(_)));
    assert!(recorded.count() >= calls.len());
}
