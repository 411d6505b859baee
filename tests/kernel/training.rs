//! Fine-tuning: an LM whose provider trains, and one that has no training.

use serde_json::{Value, json};

use super::Lines;

/// An LM of the notebook whose provider trains at once: its model is `demo/trained`.
const TRAINER: &str = r#"from dspy.clients.provider import Provider
class Trainer(Provider):
    def __init__(self):
        super().__init__()
        self.finetunable = True
    def finetune(self, job, model, train_data, train_data_format, train_kwargs=None):
        seen.append([model, len(train_data), train_kwargs])
        return "demo/trained"
seen = []
dspy.configure(lm=dspy.LM("demo/demo", provider=Trainer()))"#;

const SUMS: &str = "question -> answer";

fn sums() -> Value {
    let rows = (1..=8)
        .map(|n| json!({"question": format!("What is {n}+1?"), "answer": (n + 1).to_string()}));
    rows.collect()
}

/// R21: `train_model` is DSPy's BootstrapFinetune: the LM of the notebook is trained on
/// the right answers, and the program uses what came of it, wherever it is run.
#[test]
fn an_lm_is_trained_and_the_program_uses_it() {
    let mut lines = Lines::without_lm();
    lines.cell(TRAINER);
    lines.ask("load_dataset", json!({"name": "sums", "rows": sums()}));
    lines.ask(
        "create_program",
        json!({"name": "qa", "module": "ChainOfThought", "signature": SUMS}),
    );
    let options = json!({"train_kwargs": {"n_epochs": 2}});
    let trained = lines.ask(
        "train_model",
        json!({"program": "qa", "dataset": "sums", "options": options}),
    );
    let seen = lines.cell("print(*seen)");
    let ran = lines.ask(
        "execute_program",
        json!({"program": "qa", "inputs": {"question": "What is 12*7?"}}),
    );
    let model = lines.cell("qa.predict.lm.model");
    let commanded = lines.ask(
        "command",
        json!({"line": ":train_model qa sums metric=exact_match"}),
    );
    let lived = lines.live();
    let result = lived.result(trained);
    assert_eq!(result["model"], "demo/trained");
    let used = result["examples_used"].as_u64().unwrap();
    assert!((1..=4).contains(&used), "{result:#}");
    assert_eq!(
        lived.printed(seen).trim(),
        format!("['demo/demo', {used}, {{'n_epochs': 2}}]")
    );
    assert_eq!(lived.result(ran)["answer"], "84");
    assert_eq!(lived.value(model), "'demo/trained'");
    assert!(
        lived.answers[commanded]
            .to_string()
            .contains("demo/trained"),
        "{:#}",
        lived.answers[commanded]
    );
    let program = &lived.state.programs["qa"];
    assert_eq!(program.optimizer.as_deref(), Some("BootstrapFinetune"));
    let mut runs = lived.state.runs.values();
    let run = runs
        .rfind(|run| run.operation.as_deref() == Some("execute_program"))
        .unwrap();
    let asked: Vec<&str> = run
        .spans
        .iter()
        .filter(|span| span.kind == "lm")
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(asked, ["demo/trained"]);
}

/// R21: where the provider has no training, the profile and what to do are named; the
/// program is as it was and answers on.
#[test]
fn an_lm_without_training_says_so() {
    let mut lines = Lines::new();
    lines.ask("load_dataset", json!({"name": "sums", "rows": sums()}));
    lines.ask(
        "create_program",
        json!({"name": "qa", "module": "Predict", "signature": SUMS}),
    );
    let refused = lines.ask("train_model", json!({"program": "qa", "dataset": "sums"}));
    let typed = lines.ask("command", json!({"line": ":finetune qa sums"}));
    let ran = lines.ask(
        "execute_program",
        json!({"program": "qa", "inputs": {"question": "What is 12*7?"}}),
    );
    let lived = lines.live();
    let error = lived.error(refused);
    assert_eq!(error["type"], "cannot_finetune");
    assert_eq!(
        error["message"],
        "the LM profile `demo` (demo/demo) cannot be fine-tuned: its provider offers no training"
    );
    let hint = error["recovery"]["hint"].as_str().unwrap();
    assert!(
        hint.contains("OpenAI") && hint.contains("`optimize`"),
        "{hint}"
    );
    let typed = lived.answers[typed].to_string();
    assert!(typed.contains("its provider offers no training"), "{typed}");
    assert_eq!(lived.result(ran)["answer"], "84");
    assert_eq!(lived.state.programs["qa"].version, 1);
    let exec = {
        let home = crate::support::Home::new();
        let rows = json!({"program": {"modules": ["Predict"], "signature": SUMS}, "dataset": sums(), "lm": "demo"});
        home.dspex(&["exec", "train_model", &rows.to_string()])
    };
    assert_eq!(exec.code, Some(1), "{exec:?}");
    assert_eq!(exec.json()["error"]["type"], "cannot_finetune");
}

/// R21: the trained model of a profile is a profile of its own, which the program is asked
/// with from then on: by the workbench, in the notebook, and after the kernel's end.
#[test]
fn a_trained_profile_stays_with_its_program() {
    let mut lines = Lines::without_lm();
    // As OpenAI's models have a provider that trains, so have all here.
    lines.cell(&format!(
        "{TRAINER}\ndspy.LM.infer_provider = lambda self: Trainer()"
    ));
    let base = json!({"provider": "demo", "model": "base", "name": "mine"});
    lines.ask("configure_lm", base);
    lines.ask("load_dataset", json!({"name": "sums", "rows": sums()}));
    lines.ask(
        "create_program",
        json!({"name": "qa", "module": "Predict", "signature": SUMS}),
    );
    let trained = lines.ask("train_model", json!({"program": "qa", "dataset": "sums"}));
    let run = json!({"program": "qa", "inputs": {"question": "What is 12*7?"}});
    lines.ask("execute_program", run.clone());
    let mut other = run.clone();
    other["lm"] = json!("mine");
    lines.ask("execute_program", other);
    let bound = lines.cell("qa.lm.model, qa(question='What is 2+2?').answer");
    lines.ask("restart_kernel", json!({}));
    let again = lines.cell("qa.lm.model, qa(question='What is 2+3?').answer");
    lines.ask("execute_program", run);
    let lived = lines.live();
    let profile = json!({"name": "qa-v2", "base": "mine", "model": "demo/trained"});
    assert_eq!(lived.result(trained)["profile"], profile);
    assert_eq!(lived.value(bound), "('demo/trained', '4')");
    assert_eq!(lived.value(again), "('demo/trained', '5')");
    let program = &lived.state.programs["qa"];
    assert_eq!((program.lm.as_deref(), program.version), (Some("qa-v2"), 2));
    assert_eq!(lived.state.lms["qa-v2"].model, "demo/trained");
    assert_eq!(
        lived.state.lm.as_deref(),
        Some("mine"),
        "it is not selected"
    );
    let runs = lived.state.runs.values();
    let asked: Vec<&str> = runs
        .filter(|run| run.operation.as_deref() == Some("execute_program"))
        .flat_map(|run| &run.spans)
        .filter(|span| span.kind == "lm")
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(asked, ["demo/trained", "demo/base", "demo/trained"]);
}
