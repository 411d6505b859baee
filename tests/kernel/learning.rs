//! Datasets, evaluation, and an optimizer that really learns, or does not.

use std::fs;

use dspex_tui::session::event::Progress;
use serde_json::{Value, json};

use super::{Lines, Lived};

const TRIAGE: &str = "ticket -> category";

fn triage() -> Lines {
    let mut lines = Lines::new();
    lines.ask(
        "create_program",
        json!({"name": "triage", "module": "Predict", "signature": TRIAGE}),
    );
    lines
}

/// R110: examples come from rows, JSON lines, JSON, CSV, shipped sets and made-up ones.
#[test]
fn datasets_come_from_everywhere() {
    let mut lines = Lines::without_lm();
    let work = lines.home.work();
    fs::write(
        work.join("a.jsonl"),
        "{\"q\": \"x\", \"a\": 1}\n\n{\"q\": \"y\", \"a\": 2}\n",
    )
    .unwrap();
    fs::write(
        work.join("b.json"),
        r#"[{"q": "x", "a": 1}, {"q": "y", "a": 2}]"#,
    )
    .unwrap();
    fs::write(work.join("c.csv"), "q,a\n\"x, with comma\",1\ny,2\n").unwrap();
    let wanted = [
        json!({"path": "a.jsonl"}),
        json!({"path": "b.json"}),
        json!({"path": "c.csv"}),
        json!({"rows": [{"q": "x", "a": 1}, {"q": "y", "a": 2}]}),
        json!({"shipped": "facts", "limit": 2}),
        json!({"generate": {"kind": "tickets", "seed": 5, "n": 2}}),
    ];
    let places: Vec<usize> = wanted
        .iter()
        .map(|arguments| lines.ask("load_dataset", arguments.clone()))
        .collect();
    let lived = lines.live();
    for place in &places {
        assert_eq!(lived.result(*place)["len"], 2);
    }
    assert_eq!(lived.result(places[0])["inputs"], json!(["q"]));
    assert_eq!(
        lived.result(places[0])["hash"],
        lived.result(places[1])["hash"],
        "rows, not files"
    );
    assert_eq!(lived.result(places[2])["head"][0]["q"], "x, with comma");
    assert_eq!(
        lived.result(places[4])["inputs"],
        json!(["passage", "question"])
    );
}

/// R20: a score and a row for each example, told as they come.
#[test]
fn an_evaluation_has_a_row_for_each_example() {
    let mut lines = triage();
    lines.ask(
        "create_program",
        json!({"name": "sums", "module": "Predict", "signature": "question -> answer"}),
    );
    lines.ask(
        "load_dataset",
        json!({"shipped": "arithmetic", "limit": 12}),
    );
    let scored = lines.ask(
        "evaluate_pipeline",
        json!({"program": "sums", "dataset": "arithmetic", "num_threads": 4}),
    );
    let lived = lines.live();
    let result = lived.result(scored);
    let rows = result["results"].as_array().unwrap();
    assert_eq!(rows.len(), 12);
    let right = rows.iter().filter(|row| row["score"] == 1.0).count();
    let score = result["score"].as_f64().unwrap();
    assert!(
        (score - 100.0 * right as f64 / 12.0).abs() < 0.01 && score > 50.0,
        "{score}"
    );
    let told = &lived.state.runs.values().last().unwrap().progress;
    let examples = told
        .iter()
        .filter(|step| matches!(step, Progress::Example { .. }))
        .count();
    assert_eq!(examples, 12);
}

/// R17: demonstrations that the program got right, marked as such.
#[test]
fn demonstrations_are_bootstrapped() {
    let mut lines = triage();
    lines.ask("load_dataset", json!({"shipped": "tickets"}));
    let arguments = json!({"program": "triage", "dataset": "tickets", "max_bootstrapped_demos": 2, "max_labeled_demos": 6});
    let found = lines.ask("bootstrap_examples", arguments);
    let lived = lines.live();
    let demos = lived.result(found)["demos"].as_array().unwrap();
    assert_eq!(demos.len(), 6);
    assert!(
        demos
            .iter()
            .filter(|demo| demo["augmented"] == true)
            .count()
            <= 2
    );
    assert_eq!(lived.result(found)["count"], 6);
}

fn performance(lived: &Lived, place: usize) -> (f64, f64) {
    let figures: &Value = &lived.result(place)["performance"];
    (
        figures["baseline"].as_f64().unwrap(),
        figures["optimized"].as_f64().unwrap(),
    )
}

/// R16: compiling raises the score on held-out examples of a shipped set and of one
/// made up now; with shuffled labels there is nothing to learn.
#[test]
fn an_optimizer_learns_what_there_is_to_learn() {
    let mut lines = Lines::new();
    let seed = u64::from(std::process::id());
    lines.ask("load_dataset", json!({"shipped": "tickets"}));
    lines.ask(
        "load_dataset",
        json!({"name": "fresh", "generate": {"kind": "tickets", "seed": seed, "n": 60}}),
    );
    lines.ask(
        "load_dataset",
        json!({"name": "shuffled", "shipped": "tickets", "shuffle_labels": 7}),
    );
    let mut places = Vec::new();
    for (program, dataset) in [("one", "tickets"), ("two", "fresh"), ("three", "shuffled")] {
        let made = json!({"name": program, "module": "Predict", "signature": TRIAGE});
        lines.ask("create_program", made);
        let asked = json!({"program": program, "dataset": dataset});
        places.push(lines.ask("optimize_prompt", asked));
    }
    let better = lines.ask(
        "execute_program",
        json!({"program": "one", "inputs": {"ticket": "My invoice is wrong, please refund me."}}),
    );
    let lived = lines.live();
    for place in &places[..2] {
        let (before, after) = performance(&lived, *place);
        assert!(after >= before + 30.0, "seed {seed}: {before} to {after}");
    }
    let (before, after) = performance(&lived, places[2]);
    assert!(
        after < before + 30.0,
        "nothing to learn, yet {before} to {after}"
    );
    let prompt = &lived.result(places[0])["optimized_prompt"][0];
    assert!(!prompt["demos"].as_array().unwrap().is_empty());
    assert!(
        prompt["messages"].as_array().unwrap().len() > 2,
        "demos are in the prompt"
    );
    let program = &lived.state.programs["one"];
    assert_eq!(
        (program.version, program.optimizer.as_deref()),
        (2, Some("BootstrapFewShot"))
    );
    assert!(program.parent.is_some() && program.score.is_some());
    assert!(lived.result(better)["category"].is_string());
}
