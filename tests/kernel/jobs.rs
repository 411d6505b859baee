//! Jobs: what cells define runs in workers of the pools, or says why it does not.

use serde_json::{Value, json};

use super::{Lines, Lived};
use crate::support::TELLER;

const POOLS: &[&str] = &["--workers", "2", "--optimizers", "1"];

fn health(lived: &Lived, place: usize, pool: &str) -> Value {
    let pools = lived.result(place)["pools"].as_array().unwrap();
    pools.iter().find(|it| it["name"] == pool).unwrap().clone()
}

fn workers(pool: &Value) -> Vec<String> {
    let workers = pool["workers"].as_array().unwrap();
    workers.iter().map(|it| it["pid"].to_string()).collect()
}

/// R85, R86: a module, metric and tool defined in cells run as jobs of a pool;
/// what cannot be pickled runs in the kernel, and a span says why; an optimizer has
/// workers of its own, and what it learned is in the notebook afterwards.
#[test]
fn r86_what_cells_define_runs_in_the_pools() {
    let mut lines = Lines::new();
    let defined = lines.cell(&format!("{TELLER}os.getpid()"));
    let inputs = json!({"question": "What is 12*7?"});
    let ran = lines.ask(
        "execute_program",
        json!({"program": "teller", "inputs": inputs}),
    );
    let stayed = lines.ask(
        "execute_program",
        json!({"program": "locked", "inputs": inputs}),
    );
    let tooled = lines.ask(
        "execute_module",
        json!({"module": "ReAct", "signature": "question -> answer", "inputs": inputs,
               "options": {"tools": ["where"]}}),
    );
    let rows: Vec<Value> = (0..80)
        .map(|n| json!({"question": format!("What is {n}+1?"), "answer": (n + 1).to_string()}))
        .collect();
    lines.ask("load_dataset", json!({"name": "sums", "rows": rows}));
    let scored = lines.ask(
        "evaluate_pipeline",
        json!({"program": "teller", "dataset": "sums", "metric": "elsewhere", "num_threads": 8}),
    );
    let compiled = lines.ask(
        "optimize_prompt",
        json!({"program": "teller", "dataset": "sums", "metric": "elsewhere",
               "options": {"max_bootstrapped_demos": 2, "max_labeled_demos": 2}}),
    );
    let learned = lines.cell("len(teller.ask.demos)");
    let after = lines.ask(
        "execute_program",
        json!({"program": "teller", "inputs": inputs}),
    );
    let health_check = lines.ask("health_check", json!({}));
    let lived = lines.live_with(POOLS);

    let kernel = lived.value(defined);
    let general = health(&lived, health_check, "pool");
    let process = |place: usize| lived.result(place)["process"].as_str().unwrap().to_owned();
    assert_eq!(lived.result(ran)["answer"], "84");
    assert!(workers(&general).contains(&process(ran)), "{general:#}");
    assert_ne!(process(ran), kernel);
    assert!(workers(&general).contains(&process(after)));
    lived.result(tooled);

    assert_eq!(process(stayed), kernel);
    let span = &lived.run(2).spans[0];
    assert_eq!(
        (span.kind.as_str(), span.name.as_str()),
        ("job", "in the kernel")
    );
    let reason = span.inputs["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("`locked` cannot be pickled") && reason.contains("lock"),
        "{reason}"
    );
    assert_eq!(lived.run(2).spans[1].parent, Some(0));

    // 80 examples are worth two workers: all under one span, in order.
    assert_eq!(lived.result(scored)["score"], 100.0);
    let results = lived.result(scored)["results"].as_array().unwrap();
    assert_eq!(results.len(), 80);
    assert!(results.iter().enumerate().all(|(n, row)| row["index"] == n));
    let run = lived
        .state
        .runs
        .values()
        .find(|run| run.title == "evaluate teller")
        .unwrap();
    let roots: Vec<_> = run
        .spans
        .iter()
        .filter(|span| span.parent.is_none())
        .collect();
    assert_eq!(roots.len(), 1);
    assert_eq!(
        (roots[0].kind.as_str(), &roots[0].outputs["score"]),
        ("evaluate", &json!(100.0))
    );
    assert_eq!(
        run.spans
            .iter()
            .filter(|span| span.name == "Teller")
            .count(),
        80
    );

    assert_eq!(workers(&health(&lived, health_check, "optimizer")).len(), 1);
    assert_eq!(lived.result(compiled)["program"]["version"], 2);
    assert_eq!(
        lived.value(learned),
        "2",
        "what was learned is in the notebook"
    );
}

/// R85: a pool has a size, and starts no more workers than are wanted.
#[test]
fn a_job_that_needs_nothing_of_the_notebook_starts_no_more_than_it_needs() {
    let mut lines = Lines::new();
    lines.ask("generate", json!({"prompt": "What is 2+2?"}));
    let health_check = lines.ask("health_check", json!({}));
    let lived = lines.live_with(POOLS);
    let general = health(&lived, health_check, "pool");
    assert_eq!(workers(&general).len(), 1);
    assert_eq!((&general["size"], &general["idle"]), (&json!(2), &json!(1)));
    assert_eq!(
        health(&lived, health_check, "optimizer")["workers"],
        json!([])
    );
}

/// R124: an optimizer computes at a lower priority than the notebook, so that a person
/// does not wait for it.
#[test]
fn r124_an_optimizer_steps_back_for_the_notebook() {
    let mut lines = Lines::new();
    lines.cell(
        "import os\nhere = os.getpriority(os.PRIO_PROCESS, 0)\n\
         def lower(example, prediction, trace=None):\n    \
         return float(os.getpriority(os.PRIO_PROCESS, 0) > here)",
    );
    let rows: Vec<Value> = (0..8)
        .map(|n| json!({"question": format!("What is {n}+1?"), "answer": (n + 1).to_string()}))
        .collect();
    lines.ask("load_dataset", json!({"name": "sums", "rows": rows}));
    lines.ask(
        "create_program",
        json!({"name": "adds", "module": "Predict", "signature": "question -> answer"}),
    );
    let asked = json!({"program": "adds", "dataset": "sums", "metric": "lower"});
    let notebook = lines.cell("lower(None, None)");
    let compiled = lines.ask("optimize_prompt", asked);
    let lived = lines.live_with(POOLS);
    assert_eq!(lived.value(notebook), "0.0");
    assert_eq!(lived.result(compiled)["performance"]["baseline"], 100.0);
}
