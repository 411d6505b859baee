//! Signatures, prompts, modules and programs.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::Lines;

const QA: &str = "question -> answer";

/// R18, R41, R19: signatures, half-typed ones, and all that is wrong with inputs at once.
#[test]
fn signatures_are_read_and_inputs_checked() {
    let mut lines = Lines::without_lm();
    let typed = "text: list[str], n: Optional[int] -> label: Literal['a', 'b']";
    let made = lines.ask(
        "create_signature",
        json!({"signature": typed, "name": "Kept"}),
    );
    let half = lines.ask("parse_signature", json!({"signature": "question, ctx: li"}));
    let checked = lines.ask(
        "validate_inputs",
        json!({"signature": "q, n: int -> a", "inputs": {"n": true, "z": 1}}),
    );
    let lived = lines.live();
    let types = |fields: &Value| -> Vec<String> {
        let each = fields.as_array().unwrap().iter();
        each.map(|field| field["type"].as_str().unwrap().to_owned())
            .collect()
    };
    let signature = lived.result(made);
    assert_eq!(types(&signature["inputs"]), ["list[str]", "Optional[int]"]);
    assert_eq!(types(&signature["outputs"]), ["Literal['a', 'b']"]);
    assert!(lived.state.signatures.contains_key("Kept"));
    assert_eq!(lived.result(half)["complete"], false);
    let problems = lived.result(checked)["problems"].as_array().unwrap();
    let said: Vec<&str> = problems
        .iter()
        .map(|p| p["problem"].as_str().unwrap())
        .collect();
    assert_eq!(said, ["missing", "wrong_type", "unknown"]);
}

/// D4: a rendered prompt is what DSPy's own adapters make.
#[test]
fn prompts_are_dspys_own() {
    let mut lines = Lines::new();
    let signature = "context: list[str], question -> answer: int";
    let inputs = json!({"context": ["a", "b"], "question": "how many?"});
    let demos = json!([{"context": ["c"], "question": "one?", "answer": 1}]);
    let adapters = [("chat", "Chat"), ("json", "JSON"), ("xml", "XML")];
    let places: Vec<(usize, usize)> = adapters
        .iter()
        .map(|(adapter, class)| {
            let arguments = json!({"signature": signature, "adapter": adapter, "inputs": inputs, "demos": demos});
            let rendered = lines.ask("render_prompt", arguments);
            let source = format!(
                "import json\nprint(json.dumps(dspy.{class}Adapter().format(dspy.Signature({signature:?}), demos={demos}, inputs={inputs})))"
            );
            (rendered, lines.cell(&source))
        })
        .collect();
    let lived = lines.live();
    for (rendered, stock) in places {
        lived.value(stock);
        let stock: Value = serde_json::from_str(&lived.printed(stock)).unwrap();
        assert_eq!(lived.result(rendered)["messages"], stock);
    }
}

/// R10: all of DSPy's modules with their options, and why some cannot be used.
#[test]
fn modules_are_listed() {
    let mut lines = Lines::without_lm();
    let listed = lines.ask("list_dspy_modules", json!({}));
    let lived = lines.live();
    let modules = lived.result(listed)["modules"].as_array().unwrap();
    let named = |name: &str| {
        modules
            .iter()
            .find(|module| module["name"] == name)
            .unwrap()
    };
    assert!(named("ReAct")["options"].get("max_iters").is_some());
    assert!(named("BestOfN")["options"].get("N").is_some());
    for module in modules {
        let reasoned = !module["reason"].as_str().unwrap().is_empty();
        let shut = module["status"] == "unavailable";
        assert!(reasoned || !shut, "{module}");
    }
}

/// R11, R13, R23: modules run once; attempts are shown.
#[test]
fn modules_run() {
    let mut lines = Lines::new();
    let mut run = |module: &str, options: Value, question: &str| {
        let inputs = json!({ "question": question });
        let arguments =
            json!({"module": module, "signature": QA, "options": options, "inputs": inputs});
        lines.ask("execute_module", arguments)
    };
    let twelve = "What is 12*7?";
    let plain = run("dspy.Predict", json!({}), twelve);
    let thought = run("ChainOfThought", json!({}), twelve);
    let agent = run("ReAct", json!({"tools": []}), twelve);
    let best = run("BestOfN", json!({"N": 4}), twelve);
    let refined = run("Refine", json!({"N": 2}), twelve);
    let compared = run("MultiChainComparison", json!({"M": 3}), twelve);
    let spread = lines.ask(
        "execute_module",
        json!({"module": "Parallel", "signature": QA, "inputs": {"examples": [
            {"question": "What is 2+2?"}, {"question": "What is 2+3?"}]}}),
    );
    let generated = lines.ask(
        "generate",
        json!({"prompt": "What is the capital of France?", "temperature": 0.2}),
    );
    let tested = lines.ask("test_lm", json!({"name": "demo"}));
    let lived = lines.live();
    for place in [plain, thought, agent, best, refined, compared] {
        let answer = lived.result(place)["answer"].as_str().unwrap();
        assert!(answer.contains("84"), "{answer}");
    }
    assert!(lived.result(thought)["reasoning"].is_string());
    let attempts = lived.result(best)["attempts"].as_array().unwrap();
    let different: HashSet<&str> = attempts
        .iter()
        .map(|a| a["answer"].as_str().unwrap())
        .collect();
    assert_eq!((attempts.len(), different.len()), (4, 4), "{attempts:?}");
    assert_eq!(
        lived.result(compared)["attempts"].as_array().unwrap().len(),
        3
    );
    assert_eq!(lived.result(spread)["results"][1]["answer"], "5");
    assert!(
        lived.result(generated)["answer"]
            .as_str()
            .unwrap()
            .contains("Paris")
    );
    assert_eq!(lived.result(tested)["ok"], true);
}

/// R27: several outputs, and a `reasoning` of the user's own, which stands there once.
#[test]
fn a_reasoning_of_the_user_s_own_is_there_once() {
    let mut lines = Lines::new();
    let signature = "code, spec -> tests: str, reasoning: str";
    let ran = lines.ask(
        "execute_module",
        json!({"module": "ChainOfThought", "signature": signature,
               "inputs": {"code": "def add(a, b): return a + b", "spec": "adds"}}),
    );
    let made = lines.cell(&format!(
        "list(dspy.ChainOfThought({signature:?}).predict.signature.output_fields)"
    ));
    let lived = lines.live();
    let result = lived.result(ran).as_object().unwrap();
    let fields: Vec<_> = result.keys().filter(|key| !key.starts_with('_')).collect();
    assert!(fields.iter().any(|key| *key == "tests"), "{fields:?}");
    assert_eq!(fields.iter().filter(|key| **key == "reasoning").count(), 1);
    assert_eq!(lived.value(made).matches("reasoning").count(), 1);
}

/// R28: three tools in three steps; the one that raises is an observation, after which
/// the agent calls it rightly.
#[test]
fn an_agent_corrects_itself_after_a_tool_that_raised() {
    let mut lines = Lines::new();
    lines.cell(
        r#"from dspy.utils import DummyLM
def look(what: str) -> int:
    "Looks something up."
    return {"dozen": 12, "week": 7}[what]
def times(a: int, b: int) -> int:
    "Multiplies."
    return a * b
def say(number: int) -> str:
    "Says a number."
    return f"it is {number}"
def step(name, **args):
    return {"next_thought": "on", "next_tool_name": name, "next_tool_args": args}
steps = [step("look", what="doze"), step("look", what="dozen"), step("times", a=12, b=7),
         step("say", number=84), step("finish"), {"reasoning": "so", "answer": "84"}]
agent = dspy.ReAct("question -> answer", tools=[look, times, say], max_iters=6)"#,
    );
    let ran = lines.cell(
        "with dspy.context(lm=DummyLM(steps)):\n    told = agent(question='What is 12*7?')\n\
         [told.answer, *(v for k, v in told.trajectory.items() if k.startswith('observation'))]",
    );
    let lived = lines.live();
    let told = lived.value(ran);
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        told.starts_with("['84', 'Execution error in look"),
        "{told}"
    );
    assert!(
        told.contains("KeyError") && told.contains(" 12, 84, 'it is 84'"),
        "{told}"
    );
    let spans = lived.state.runs.values().flat_map(|run| &run.spans);
    let tools: Vec<_> = spans
        .filter(|span| span.kind == "tool")
        .map(|span| (span.name.as_str(), span.error.is_some()))
        .collect();
    assert_eq!(
        tools,
        [
            ("look", true),
            ("look", false),
            ("times", false),
            ("say", false),
            ("finish", false)
        ]
    );
}

/// R32: Refine stops at the attempt that reaches the threshold.
#[test]
fn refine_stops_where_it_is_good_enough() {
    let mut lines = Lines::new();
    lines.cell(
        "rewards = iter([0.2, 0.9, 1.0])\n\
         refine = dspy.Refine(dspy.Predict('question -> answer'), N=3, \
         reward_fn=lambda inputs, prediction: next(rewards), threshold=0.8)",
    );
    let ran = lines.cell("refine(question='What is 12*7?').answer");
    let left = lines.cell("list(rewards)");
    let lived = lines.live();
    assert!(lived.value(ran).contains("84"));
    assert_eq!(lived.value(left), "[1.0]");
}

/// R14, R15: a program is made once and run often; several modules make a chain.
#[test]
fn programs_run_again_and_again() {
    let mut lines = Lines::new();
    let made = lines.ask(
        "create_program",
        json!({"name": "qa", "module": "ChainOfThought", "signature": QA}),
    );
    let nameless = lines.ask(
        "create_program",
        json!({"module": "Predict", "signature": QA}),
    );
    let again = lines.ask(
        "create_program",
        json!({"module": "Predict", "signature": QA}),
    );
    lines.ask(
        "create_program",
        json!({"name": "two", "modules": ["ChainOfThought", "Predict"], "signature": QA}),
    );
    let runs: Vec<usize> = ["qa", "qa", "two"]
        .iter()
        .map(|name| {
            let inputs = json!({"question": "What is 6*7?"});
            lines.ask(
                "execute_program",
                json!({"program": name, "inputs": inputs}),
            )
        })
        .collect();
    let lived = lines.live();
    assert_eq!(lived.result(made)["version"], 1);
    assert_eq!(
        lived.result(nameless)["name"],
        lived.result(again)["name"],
        "the same contents have the same name"
    );
    for place in runs {
        assert_eq!(lived.result(place)["answer"], "42");
    }
}
