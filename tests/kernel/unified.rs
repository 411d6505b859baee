//! The same eight things from `exec` and from the REPL.

use std::collections::BTreeMap;

use dspex_tui::session::event::Output;
use serde_json::{Value, json};

use super::{Lines, lived_state};
use crate::support::Home;

const QUESTION: &str = "question='What is 12*7?'";

/// A name, a REPL line, and the operation that is the same.
fn pairs() -> Vec<(&'static str, String, &'static str, Value)> {
    let inputs = json!({"question": "What is 12*7?"});
    let module = |name: &str| json!({"module": name, "signature": "question -> answer", "inputs": inputs, "options": {}});
    let pipeline =
        json!({"modules": ["Predict", "ChainOfThought"], "signature": "question -> answer"});
    vec![
        (
            "signature",
            ":signature question -> answer: int".into(),
            "create_signature",
            json!({"signature": "question -> answer: int"}),
        ),
        (
            "compile_signature",
            ":compile_signature question -> answer name=QA".into(),
            "create_signature",
            json!({"signature": "question -> answer", "name": "QA"}),
        ),
        (
            "predict",
            format!(":predict question -> answer {QUESTION}"),
            "execute_module",
            module("Predict"),
        ),
        (
            "predictor",
            ":predictor triage ticket -> category".into(),
            "create_program",
            json!({"name": "triage", "module": "Predict", "signature": "ticket -> category"}),
        ),
        (
            "chain_of_thought",
            format!(":chain_of_thought question -> answer {QUESTION}"),
            "execute_module",
            module("ChainOfThought"),
        ),
        (
            "react",
            format!(":react question -> answer {QUESTION}"),
            "execute_module",
            module("ReAct"),
        ),
        (
            "optimize",
            ":optimize triage tickets num_threads=4".into(),
            "optimize_prompt",
            json!({"program": "triage", "dataset": "tickets", "num_threads": 4}),
        ),
        (
            "pipeline",
            format!(":pipeline Predict,ChainOfThought question -> answer {QUESTION}"),
            "execute_program",
            json!({"program": pipeline, "inputs": inputs}),
        ),
    ]
}

/// What a result is made of: each key with the JSON type of its value.
fn shape(result: &Value) -> BTreeMap<String, &'static str> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let fields = result.as_object().unwrap();
    fields
        .iter()
        .map(|(key, value)| (key.clone(), kind(value)))
        .collect()
}

/// R24: each is reachable from the REPL and headless, and its result has the same shape.
#[test]
fn the_repl_and_exec_answer_alike() {
    let pairs = pairs();
    let mut lines = Lines::new();
    lines.ask("load_dataset", json!({"shipped": "tickets"}));
    let places: Vec<usize> = pairs
        .iter()
        .map(|(_, _, operation, arguments)| lines.ask(operation, arguments.clone()))
        .collect();
    let headless = lines.live();

    let home = Home::new();
    let typed: Vec<&str> = pairs.iter().map(|(_, line, _, _)| line.as_str()).collect();
    let script = format!(":lm demo\n:data load tickets\n{}\n", typed.join("\n"));
    home.dspex_with_input(&["repl", "--new", "lived"], &script)
        .success();
    let repl = lived_state(&home);
    let answered: Vec<Value> = repl
        .cells
        .iter()
        .skip(2)
        .filter_map(|cell| cell.outputs.iter().find_map(json_of))
        .collect();
    assert_eq!(answered.len(), pairs.len());
    for (((name, _, _, _), place), answered) in pairs.iter().zip(places).zip(answered) {
        let result = headless.result(place);
        assert_eq!(shape(result), shape(&answered), "{name}");
    }
}

/// The JSON beside a cell's plain text.
fn json_of(output: &Output) -> Option<Value> {
    let Output::Result { data } = output else {
        return None;
    };
    let found = data.iter().find(|(kind, _)| kind.ends_with("json"));
    found.map(|(_, value)| value.clone())
}
