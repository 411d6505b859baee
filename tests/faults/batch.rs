//! A batch that is killed goes on, pays for nothing twice, and ends with the same file.

use std::collections::HashMap;
use std::fs;

use dspex_tui::session::event::{AnswerSource, Progress};

use super::*;
use crate::support::stub_lm::StubLm;

const ROWS: usize = 240;

/// Answers with the question, some later than others.
fn stub() -> StubLm {
    StubLm::start(|_, received| {
        let asked = question(&received.json);
        Scripted::chat(&format!(
            "[[ ## answer ## ]]\nre: {asked}\n\n[[ ## completed ## ]]"
        ))
    })
}

fn question(request: &Value) -> String {
    let messages = request["messages"].as_array().unwrap();
    let last = messages.last().unwrap()["content"].as_str().unwrap();
    let (_, rest) = last.split_once("[[ ## question ## ]]\n").unwrap();
    rest.lines().next().unwrap().to_owned()
}

fn prepare(home: &Home) {
    let rows = (0..ROWS).map(|n| json!({"id": n, "question": format!("q{n}")}).to_string());
    let text = rows.collect::<Vec<_>>().join("\n");
    fs::write(home.work().join("in.jsonl"), text).unwrap();
}

fn batch(output: &str) -> Value {
    json!({"program": "qa", "input": "in.jsonl", "output": output, "num_threads": 8,
           "keep": "id"})
}

/// Good answers of the server that the session has recorded.
fn recorded(home: &Home) -> usize {
    let good = |event: &Event| {
        matches!(&event.body, EventBody::Exchange(exchange)
            if exchange.source == AnswerSource::Server && exchange.status == 200)
    };
    events(home, "batch").into_iter().filter(good).count()
}

/// R132: a batch is killed three times and started again: no recorded call is
/// asked for again, and the output is that of a batch that was left in peace.
#[tokio::test]
async fn a_killed_batch_goes_on_and_pays_once() {
    let stub = stub();
    let home = Home::new();
    prepare(&home);
    for life in 0..3 {
        let choice = if life == 0 { "--new" } else { "--session" };
        let mut exec = Exec::start(&home, &[choice, "batch"]);
        if life == 0 {
            set_up_qa(&mut exec, &stub.base());
        }
        let already = stub.received().len();
        exec.submit("run_batch", &batch("out.jsonl"));
        stub.wait_for(already + 30 + rand::random_range(0..30))
            .await;
        exec.kill();
        stub.wait_idle().await;
    }
    let known = recorded(&home);
    let before = stub.received().len();
    let mut exec = Exec::start(&home, &["--session", "batch"]);
    let result = exec.done("run_batch", batch("out.jsonl"));
    assert_eq!(result["rows"], ROWS);
    assert_eq!(result["failed"], 0);
    assert!(result["resumed"].as_u64().unwrap() >= 60, "{result}");
    let asked = stub.received().len() - before;
    assert_eq!(known + asked, ROWS, "{result}");
    assert_eq!(recorded(&home), ROWS, "a call was answered and paid twice");
    // At most what was on its way at a kill went out twice.
    let mut counts: HashMap<String, usize> = HashMap::new();
    for request in stub.received() {
        *counts.entry(question(&request.json)).or_default() += 1;
    }
    let twice = counts.values().filter(|count| **count > 1).count();
    assert!(twice <= 3 * 8, "{twice} calls went out more than once");
    exec.close();

    let mut exec = Exec::start(&home, &["--new", "peace"]);
    set_up_qa(&mut exec, &stub.base());
    exec.done("run_batch", batch("peace.jsonl"));
    exec.close();
    let read = |name: &str| fs::read(home.work().join(name)).unwrap();
    assert!(
        read("out.jsonl") == read("peace.jsonl"),
        "the outputs differ"
    );
    assert!(!home.work().join("out.jsonl.part").exists());
}

/// R132: a batch is a run of its own kind, tells how far it is, and can be cancelled and
/// gone on with; `:batch` is the same operation.
#[tokio::test]
async fn a_batch_tells_how_far_it_is_and_can_be_cancelled() {
    let stub = stub();
    let home = Home::new();
    prepare(&home);
    let mut exec = Exec::start(&home, &["--new", "batch"]);
    set_up_qa(&mut exec, &stub.base());
    let slow = json!({"program": "qa", "input": "in.jsonl", "output": "out.jsonl", "rate": 600,
                      "num_threads": 2});
    exec.submit("run_batch", &slow);
    stub.wait_for(5).await;
    let run = events(&home, "batch")
        .iter()
        .rev()
        .find_map(|event| match &event.body {
            EventBody::RunStarted { title, .. } if title == "batch qa" => event.run,
            _ => None,
        })
        .expect("the batch is a run");
    let other = home.dspex(&[
        "exec",
        "cancel",
        &json!({"run": run.0}).to_string(),
        "--session",
        "batch",
    ]);
    assert_eq!(other.json()["result"]["cancelled"], true);
    let answer = exec.answer();
    assert_eq!(answer["error"]["class"], "interrupted", "{answer}");
    let line = ":batch qa in.jsonl output=out.jsonl num_threads=2";
    let result = exec.done("command", json!({"line": line}));
    assert_eq!(result["rows"], ROWS);
    assert!(outputs(&home, "batch", 1).contains("240 rows in out.jsonl"));
    exec.close();
    let told = events(&home, "batch")
        .into_iter()
        .rev()
        .find_map(|event| match event.body {
            EventBody::Progressed { progress } => Some(progress),
            _ => None,
        });
    let Some(Progress::Rows { done, total, .. }) = told else {
        panic!("it does not tell how far it is: {told:?}");
    };
    assert_eq!((done, total), (ROWS as u64, ROWS as u64));
}

/// R132: a thousand inputs, sixteen at a time on a pool's worker; each seventh is refused by
/// the server. Killed on the way and gone on with, the output has each row in its place,
/// with its answer or its own error.
#[tokio::test]
async fn r132_a_thousand_rows_with_errors_of_their_own() {
    const MANY: usize = 1000;
    let stub = StubLm::start(|_, received| {
        let asked = question(&received.json);
        let number: usize = asked.trim_start_matches('q').parse().unwrap();
        match number % 7 {
            3 => Scripted::error(400, &format!("{asked} is refused")),
            _ => Scripted::chat(&format!(
                "[[ ## answer ## ]]\nre: {asked}\n\n[[ ## completed ## ]]"
            )),
        }
    });
    let home = Home::new();
    let rows = (0..MANY).map(|n| json!({"question": format!("q{n}")}).to_string());
    fs::write(
        home.work().join("in.jsonl"),
        rows.collect::<Vec<_>>().join("\n"),
    )
    .unwrap();
    let mut exec = Exec::start(&home, &["--new", "many", "--workers", "2"]);
    set_up_qa(&mut exec, &stub.base());
    let asked = json!({"program": "qa", "input": "in.jsonl", "output": "out.jsonl",
                       "num_threads": 16});
    exec.submit("run_batch", &asked);
    stub.wait_for(MANY * 2 / 5).await;
    exec.kill();
    stub.wait_idle().await;

    let mut exec = Exec::start(&home, &["--session", "many", "--workers", "2"]);
    let result = exec.done("run_batch", asked);
    let refused = (0..MANY).filter(|n| n % 7 == 3).count();
    assert_eq!(
        (&result["rows"], &result["failed"]),
        (&json!(MANY), &json!(refused)),
        "{result}"
    );
    assert!(result["resumed"].as_u64().unwrap() >= 300, "{result}");
    let output = fs::read_to_string(home.work().join("out.jsonl")).unwrap();
    let lines: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), MANY);
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(line["row"], n, "{line}");
        assert_eq!(line["ok"], n % 7 != 3, "{line}");
        match n % 7 {
            3 => assert!(
                line["error"]
                    .to_string()
                    .contains(&format!("q{n} is refused")),
                "{line}"
            ),
            _ => assert_eq!(line["output"], json!({"answer": format!("re: q{n}")})),
        }
    }
    exec.close();
}
