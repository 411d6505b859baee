//! Killed at random moments, over and over: each time from the beginning.

use std::collections::HashSet;

use dspex_tui::session::event::AnswerSource;

use super::*;
use crate::support::stub_lm::{Scripted, StubLm};

/// Questions of a trial, each of them one call.
const QUESTIONS: usize = 64;

/// Threads that call.
const THREADS: usize = 8;

/// How many trials; `DSPEX_TRIALS` sets another number.
fn trials() -> usize {
    let wanted = std::env::var("DSPEX_TRIALS").ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(4)
}

/// Asks every question on eight threads. What was answered is written down at once,
/// past every buffer, so that a kill loses none of it.
fn work(base: &str, answered: &str) -> String {
    format!(
        r#"
import dspy, os
from concurrent.futures import ThreadPoolExecutor
lm = dspy.LM("openai/stub", api_base="{base}", api_key="local", cache=False, num_retries=0)
told = os.open("{answered}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def ask(n):
    said = lm(f"item-{{n:04}}-end")[0]
    os.write(told, f"item-{{n:04}}-end {{said}}\n".encode())
    return said
with ThreadPoolExecutor({THREADS}) as pool:
    said = list(pool.map(ask, range({QUESTIONS})))
len(set(said))
"#
    )
}

/// The question in a text.
fn question(text: &str) -> String {
    let from = text.find("item-").expect("it asks one of the questions");
    text[from..from + "item-0000-end".len()].to_owned()
}

/// The questions the server was asked, from its n-th request on.
fn asked(stub: &StubLm, from: usize) -> Vec<String> {
    let requests = stub.received();
    let texts = requests.iter().skip(from).map(|it| it.json.to_string());
    texts.map(|text| question(&text)).collect()
}

/// How many good answers of the server the session holds.
fn recorded(home: &Home, name: &str) -> usize {
    let good = |event: &&Event| {
        matches!(&event.body, EventBody::Exchange(exchange)
            if exchange.source == AnswerSource::Server && exchange.status == 200 && exchange.error.is_none())
    };
    events(home, name).iter().filter(good).count()
}

/// R61: eight threads call, the workbench is killed at a random moment, the work is
/// resumed. No answer that the program had seen, and none that was recorded, is asked
/// for again; what was not recorded is asked for once.
#[tokio::test]
async fn no_answered_call_is_repeated_after_a_kill_at_any_moment() {
    for trial in 0..trials() {
        one_trial(trial).await;
    }
}

async fn one_trial(trial: usize) {
    let stub = StubLm::start(|number, _| Scripted::chat(&format!("answer {number}")));
    let home = Home::new();
    let seen = home.work().join("answered");
    let source = work(&stub.base(), &seen.display().to_string());

    let mut exec = Exec::start(&home, &["--new", "trial"]);
    exec.submit("run_cell", &json!({"source": source}));
    // More requests than threads: at least one thread has had an answer by then.
    let arrived = rand::random_range(THREADS + 1..QUESTIONS - THREADS);
    stub.wait_for(arrived).await;
    // And anywhere between one request and the next.
    for _ in 0..rand::random_range(0..20_000) {
        std::hint::spin_loop();
    }
    exec.kill();
    stub.wait_idle().await;

    let first = stub.received().len();
    let known = recorded(&home, "trial");
    let text = std::fs::read_to_string(&seen).unwrap();
    let answered: HashSet<String> = text.lines().map(question).collect();
    assert!(!answered.is_empty(), "nothing was answered before the kill");
    assert!(
        answered.len() <= known,
        "an answer reached the program unrecorded"
    );
    assert!(known < QUESTIONS, "it was killed too late to show anything");

    let mut exec = Exec::start(&home, &["--session", "trial", "--cassette", "resume"]);
    exec.cell(&source);
    exec.close();
    // A set: what was on its way at the kill may reach the server late, and comes again.
    let again: HashSet<String> = asked(&stub, first).into_iter().collect();
    let repeated: Vec<_> = again.iter().filter(|it| answered.contains(*it)).collect();
    println!(
        "trial {trial}: killed after {arrived} requests, {known} recorded, {} seen by the program; then {} asked, {} of them again",
        answered.len(),
        again.len(),
        repeated.len()
    );
    assert_eq!(repeated, Vec::<&String>::new());
    assert_eq!(again.len(), QUESTIONS - known);
    assert_eq!(recorded(&home, "trial"), QUESTIONS);
    // What the program had seen is what it is told again.
    let told = std::fs::read_to_string(&seen).unwrap();
    let told: HashSet<&str> = told.lines().collect();
    assert_eq!(told.len(), QUESTIONS);
}
