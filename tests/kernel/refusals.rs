//! Wrong input: one clear sentence, the remedy, near matches, and nothing broken.

use std::fs;

use serde_json::{Value, json};

use super::Lines;

/// R9: a module run before an LM is configured says just that.
#[test]
fn no_lm_is_said_in_three_words() {
    let mut lines = Lines::without_lm();
    let arguments = json!({"module": "Predict", "signature": "q -> a", "inputs": {"q": "x"}});
    let refused = lines.ask("execute_module", arguments);
    let cell = lines.cell("dspy.Predict('q -> a')(q='x')");
    let lived = lines.live();
    let error = lived.error(refused);
    assert_eq!(
        (&error["type"], &error["message"]),
        (&json!("lm_not_configured"), &json!("LM not configured"))
    );
    assert_eq!(error["traceback"], json!([]));
    assert!(error["recovery"]["hint"].as_str().unwrap().contains(":lm"));
    assert_eq!(lived.raised(cell)["type"], "lm_not_configured");
}

/// R12, R97, R101: each wrong name or value has its own type, and what is near is named.
#[test]
fn wrong_input_is_refused_clearly() {
    let module = |module: &str, signature: &str, inputs: Value, options: Value| json!({"module": module, "signature": signature, "inputs": inputs, "options": options});
    let q = || json!({"q": "x"});
    let learn = |options: Value| json!({"program": "t", "dataset": "fresh", "options": options});
    let metric = |metric: Value| json!({"program": "t", "dataset": "fresh", "metric": metric});
    let cases: Vec<(&str, Value, &str, &str)> = vec![
        (
            "create_signature",
            json!({"signature": "a -> b -> c"}),
            "invalid_signature",
            "",
        ),
        (
            "create_signature",
            json!({"signature": "a: integer -> b"}),
            "invalid_signature",
            "",
        ),
        (
            "execute_module",
            module("Predikt", "q -> a", q(), json!({})),
            "unknown_module",
            "Predict",
        ),
        (
            "execute_module",
            module("Predict", "q -> a", json!({}), json!({})),
            "missing_input",
            "",
        ),
        (
            "execute_module",
            module(
                "Predict",
                "quest -> a",
                json!({"quest": 1, "questt": 1}),
                json!({}),
            ),
            "unknown_input",
            "quest",
        ),
        (
            "execute_module",
            module("Predict", "q ->", q(), json!({})),
            "invalid_signature",
            "",
        ),
        (
            "execute_module",
            module("Predict", "q -> a", q(), json!({"temprature": 1})),
            "unknown_option",
            "temperature",
        ),
        (
            "execute_module",
            module("ReAct", "q -> a", q(), json!({"max_iter": 1})),
            "unknown_option",
            "max_iters",
        ),
        (
            "execute_module",
            module("BestOfN", "q -> a", q(), json!({"N": 0})),
            "invalid_option",
            "",
        ),
        (
            "execute_module",
            module("BestOfN", "q -> a", q(), json!({"metric": "exakt_match"})),
            "unknown_metric",
            "exact_match",
        ),
        ("create_program", json!({}), "missing_argument", ""),
        (
            "create_program",
            json!({"module": "Predict"}),
            "missing_signature",
            "",
        ),
        (
            "load_dataset",
            json!({"path": "nope.jsonl"}),
            "unknown_file",
            "",
        ),
        (
            "load_dataset",
            json!({"path": "bad.jsonl"}),
            "invalid_json",
            "",
        ),
        (
            "load_dataset",
            json!({"path": "bad.txt"}),
            "unknown_format",
            "",
        ),
        (
            "load_dataset",
            json!({"shipped": "ticket"}),
            "unknown_dataset",
            "tickets",
        ),
        ("load_dataset", json!({"rows": [1]}), "invalid_dataset", ""),
        ("load_dataset", json!({"rows": []}), "empty_dataset", ""),
        (
            "load_dataset",
            json!({"rows": [{"word": 1, "b": 2}], "inputs": ["words"]}),
            "unknown_field",
            "word",
        ),
        (
            "evaluate_pipeline",
            metric(json!("exactmatch")),
            "unknown_metric",
            "exact_match",
        ),
        (
            "evaluate_pipeline",
            metric(json!({"file": "m.py", "function": "goood"})),
            "unknown_metric",
            "good",
        ),
        (
            "evaluate_pipeline",
            metric(json!({"file": "m.py", "function": "none"})),
            "invalid_metric",
            "",
        ),
        (
            "evaluate_pipeline",
            metric(json!({"file": "syntax.py"})),
            "invalid_metric",
            "",
        ),
        (
            "evaluate_pipeline",
            json!({"program": "t", "dataset": "other"}),
            "missing_input",
            "",
        ),
        (
            "optimize_prompt",
            json!({"program": "t", "dataset": "fresh", "optimizer": "BootstrapFewshot"}),
            "unknown_optimizer",
            "BootstrapFewShot",
        ),
        (
            "optimize_prompt",
            json!({"program": "t", "dataset": "fresh", "optimizer": "GEPA"}),
            "optimizer_not_yet",
            "BootstrapFewShot",
        ),
        (
            "optimize_prompt",
            learn(json!({"max_labelled_demos": 3})),
            "unknown_option",
            "max_labeled_demos",
        ),
        (
            "optimize_prompt",
            learn(json!({"max_labeled_demos": "x"})),
            "invalid_option",
            "",
        ),
        (
            "optimize_prompt",
            learn(json!({"holdout": 2})),
            "invalid_option",
            "",
        ),
        (
            "generate",
            json!({"prompt": "hi", "tmperature": 1}),
            "unknown_option",
            "temperature",
        ),
    ];
    let mut lines = Lines::new();
    let work = lines.home.work();
    fs::write(work.join("bad.jsonl"), "{\"a\": 1}\n{oops\n").unwrap();
    fs::write(work.join("bad.txt"), "x").unwrap();
    fs::write(work.join("syntax.py"), "def (").unwrap();
    let functions = "def good(e, p, t=None): return 1\ndef none(e, p, t=None): return None\n";
    fs::write(work.join("m.py"), functions).unwrap();
    lines.ask(
        "create_program",
        json!({"name": "t", "module": "Predict", "signature": "ticket -> category"}),
    );
    lines.ask(
        "load_dataset",
        json!({"name": "fresh", "shipped": "tickets", "limit": 4}),
    );
    lines.ask(
        "load_dataset",
        json!({"name": "other", "rows": [{"x": 1, "y": 2}]}),
    );
    let first = lines.asked.len();
    for (operation, arguments, _, _) in &cases {
        lines.ask(operation, arguments.clone());
    }
    let after = lines.ask(
        "execute_module",
        module("Predict", "q -> a", json!({"q": "What is 1+1?"}), json!({})),
    );
    let lived = lines.live();
    for (place, (operation, arguments, kind, near)) in cases.iter().enumerate() {
        let error = lived.error(first + place);
        assert_eq!(error["type"], *kind, "{operation} {arguments}: {error:#}");
        assert_eq!(error["class"], "invalid_input", "{error:#}");
        let nearest = error["recovery"]["near"][0].as_str().unwrap_or_default();
        assert_eq!(nearest, *near, "{operation} {arguments}: {error:#}");
    }
    assert_eq!(lived.result(after)["a"], "2", "the worker is as it was");
}

/// R101: a refused key ends an evaluation at once, in the LM's own words.
#[test]
fn a_missing_key_is_not_a_score_of_zero() {
    let mut lines = Lines::without_lm();
    lines.ask(
        "create_program",
        json!({"name": "t", "module": "Predict", "signature": "ticket -> category"}),
    );
    lines.ask("load_dataset", json!({"shipped": "tickets"}));
    let arguments = json!({"program": "t", "dataset": "tickets", "lm": "openai/gpt-4o-mini"});
    let refused = lines.ask("evaluate_pipeline", arguments);
    let lived = lines.live();
    let error = lived.error(refused);
    assert_eq!(
        (&error["type"], &error["class"]),
        (&json!("LMAuthError"), &json!("lm"))
    );
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("OPENAI_API_KEY")
    );
}
