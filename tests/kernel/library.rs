//! Every module of DSPy on the demo LM: from `exec`, from a `:command`, from a cell
//! and from the screen.

mod cases;
mod screen;

use dspex_tui::operation::modules;
use serde_json::{Value, json};

use super::{Lines, Lived};
use cases::{BEFORE, Case};

const QA: &str = "question -> answer";
const TWELVE: &str = "What is 12*7?";

/// Where the answers of a case are.
struct Places {
    executed: usize,
    commanded: usize,
    cell: usize,
}

/// Lines that ask for each case at each door but the screen.
fn ask(cases: &[Case]) -> (Lines, Vec<Places>) {
    let mut lines = Lines::new();
    lines.cell(BEFORE);
    lines.ask(
        "load_dataset",
        json!({"name": "sums", "rows": cases::sums()}),
    );
    lines.ask(
        "load_dataset",
        json!({"name": "pets", "rows": cases::pets()}),
    );
    let places = cases.iter().map(|case| {
        let mut arguments = case.arguments.clone();
        arguments["module"] = json!(case.module);
        Places {
            executed: lines.ask("execute_module", arguments),
            commanded: lines.ask("command", json!({"line": case.typed})),
            cell: lines.cell(&case.cell),
        }
    });
    let places = places.collect();
    (lines, places)
}

/// Holds the answers against the cases.
fn hold(cases: &[Case], places: &[Places], lived: &Lived) {
    for (case, at) in cases.iter().zip(places) {
        let (name, holds) = (case.module, case.holds);
        let said = lived.result(at.executed).to_string();
        assert!(said.contains(holds), "{name} from exec: {said}");
        let said = &lived.answers[at.commanded];
        let well = said["ok"] == true && said["result"]["status"] != "error";
        assert!(
            well && said.to_string().contains(holds),
            "{name} from a command: {said:#}"
        );
        let value = lived.value(at.cell);
        assert!(value.contains(holds), "{name} in a cell: {value}");
    }
}

/// Runs these cases at each door but the screen.
fn run(cases: &[Case]) {
    let (lines, places) = ask(cases);
    hold(cases, &places, &lines.live());
}

/// R24, R25, R48: what calls the LM once or in steps.
#[test]
fn single_modules_run_from_each_door() {
    run(&cases::single());
}

/// R24, R48: what runs generated code.
#[test]
fn coding_modules_run_from_each_door() {
    run(&cases::coding());
}

/// R24, R48: what runs another module several times.
#[test]
fn composed_modules_run_from_each_door() {
    run(&cases::several());
}

/// R38: what searches and judges.
#[test]
fn searching_modules_run_from_each_door() {
    run(&cases::searching(&cases::colbert()));
}

/// R10: nobody is forgotten. What is listed has a case or a reason that is told at
/// each door, and what DSPy has is listed.
#[test]
fn every_module_has_a_case_or_a_reason() {
    let cases = cases::all("http://127.0.0.1:9");
    let mut lines = Lines::new();
    let has = lines.cell(
        "import dspy, dspy.predict, dspy.retrievers, dspy.evaluate, dspy.predict.avatar, json\n\
         def below(cls):\n    return [one for sub in cls.__subclasses__() for one in (sub, *below(sub))]\n\
         public = ('dspy.predict', 'dspy.retrievers', 'dspy.evaluate')\n\
         names = {cls.__name__ for cls in below(dspy.Module) if cls.__module__.startswith(public)}\n\
         names |= {name for name in dir(dspy.predict) if name[0].isupper()} - {'Tool'}\n\
         names |= set(dspy.retrievers.__all__)\n\
         print(json.dumps(sorted(names)))",
    );
    let gone: Vec<(&str, &str, [usize; 3])> = modules::all()
        .iter()
        .filter(|module| module.status == "unavailable")
        .map(|module| {
            let name = module.name.as_str();
            let arguments =
                json!({"module": name, "signature": QA, "inputs": {"question": TWELVE}});
            let typed = format!(":run {name} question -> answer question='What is 12*7?'");
            let source = match name {
                "Avatar" => {
                    "from dspy.predict.avatar import Avatar\nAvatar('question -> answer', [])"
                        .to_owned()
                }
                _ => format!("dspy.{name}('question -> answer')"),
            };
            let places = [
                lines.ask("execute_module", arguments),
                lines.ask("command", json!({"line": typed})),
                lines.cell(&source),
            ];
            (name, module.reason.as_str(), places)
        })
        .collect();
    let lived = lines.live();
    lived.result(has);
    let there: Vec<String> = serde_json::from_str(&lived.printed(has)).unwrap();
    assert!(there.len() > 15, "{there:?}");
    for name in &there {
        assert!(modules::find(name).is_some(), "{name} is not in the table");
    }
    for module in modules::all() {
        let case = cases.iter().any(|case| case.module == module.name);
        assert_eq!(case, module.status != "unavailable", "{}", module.name);
    }
    assert!(!gone.is_empty());
    for (name, reason, [executed, commanded, cell]) in gone {
        let sentence = format!("{name} cannot be used here: {reason}");
        assert_eq!(lived.error(executed)["message"], sentence);
        let said = lived.answers[commanded].to_string();
        assert!(said.contains(&sentence), "{said}");
        // In a cell it is DSPy that says it; the reason stands beside it.
        let raised = lived.raised(cell);
        let hint = raised["recovery"]["hint"].as_str().unwrap();
        let said = if name == "Avatar" {
            "TypedPredictor"
        } else {
            name
        };
        assert!(
            raised["message"].as_str().unwrap().contains(said),
            "{raised:#}"
        );
        assert_eq!(hint, modules::find(said).unwrap().reason, "{name}");
    }
}

/// R36: an option that a module does not have is refused by name, also where another has it.
#[test]
fn wrong_options_are_refused_by_name() {
    let mut lines = Lines::new();
    let mut refused = |module: &str, options: Value| {
        let inputs = json!({"question": TWELVE});
        lines.ask(
            "execute_module",
            json!({"module": module, "signature": QA, "options": options, "inputs": inputs}),
        )
    };
    let misspelt = refused("ReAct", json!({"max_iter": 3}));
    let foreign = refused("ChainOfThought", json!({"max_tokn": 3}));
    let wrong = refused("BestOfN", json!({"N": 0}));
    let nested = refused(
        "Refine",
        json!({"module": "ReAct", "module_options": {"tolls": []}}),
    );
    let gone = refused("TypedPredictor", json!({}));
    let unknown = refused("ChainOfThougt", json!({}));
    let neither = lines.ask(
        "execute_module",
        json!({"module": "KNN", "inputs": {"question": "?"}}),
    );
    let signed = lines.ask(
        "execute_module",
        json!({"module": "KNN", "signature": QA, "inputs": {"question": "?"}}),
    );
    let lived = lines.live();
    let said = |place: usize| {
        let error = lived.error(place);
        let near = error["recovery"]["near"].clone();
        (
            error["type"].as_str().unwrap(),
            error["message"].as_str().unwrap(),
            near,
        )
    };
    assert_eq!(
        said(misspelt),
        (
            "unknown_option",
            "ReAct has no option `max_iter`",
            json!(["max_iters"])
        )
    );
    assert_eq!(said(foreign).2[0], "max_tokens");
    assert_eq!(
        said(wrong).1,
        "the option `N` of BestOfN must be a whole number from 1 to 64, not 0"
    );
    assert_eq!(said(nested).1, "ReAct has no option `tolls`");
    assert_eq!(
        said(gone).1,
        "TypedPredictor cannot be used here: gone from DSPy: use Predict, which reads types"
    );
    assert_eq!(said(unknown).0, "unknown_module");
    assert_eq!(said(neither).0, "missing_option");
    assert_eq!(said(signed).1, "KNN takes no signature");
    assert_eq!(lived.state.totals.calls, 0, "nothing was paid for");
}

/// R38: a ColBERTv2 server's passages; a server that fails is named with what to do.
#[test]
fn passages_come_from_a_server() {
    let url = cases::colbert();
    let mut lines = Lines::new();
    let mut ask = |options: Value| {
        let arguments =
            json!({"module": "Retrieve", "options": options, "inputs": {"query": "sky"}});
        lines.ask("execute_module", arguments)
    };
    let found = ask(json!({"url": url, "k": 1}));
    let nobody = ask(json!({"url": "http://127.0.0.1:9"}));
    let none = ask(json!({}));
    let lived = lines.live();
    assert_eq!(lived.result(found)["passages"], json!(["the sky is blue"]));
    let error = lived.error(nobody);
    assert_eq!(error["type"], "retriever_failed", "{error:#}");
    assert_eq!(lived.error(none)["type"], "missing_option");
}

/// R38: passages of a corpus, offline, and an answer from them.
#[test]
fn an_answer_is_grounded_in_passages() {
    let question = "Which sea does the Danube flow into?";
    let corpus = json!([
        "Lisbon is the capital of Portugal.",
        "The Danube flows into the Black Sea.",
        "Basalt is a dark volcanic rock."
    ]);
    let passage = json!(["The Danube flows into the Black Sea."]);
    let mut lines = Lines::new();
    let found = lines.ask(
        "execute_module",
        json!({"module": "Embeddings", "options": {"corpus": corpus, "k": 1},
               "inputs": {"query": question}}),
    );
    let answered = lines.ask(
        "execute_module",
        json!({"module": "ChainOfThought", "signature": "context: list[str], question -> answer",
               "inputs": {"context": passage, "question": question}}),
    );
    let lived = lines.live();
    assert_eq!(lived.result(found)["passages"], passage);
    let answer = lived.result(answered)["answer"].as_str().unwrap();
    assert!(answer.contains("Black Sea"), "{answer}");
}

/// R10: the table that front ends complete from is the one that the worker answers.
#[test]
fn the_tables_agree() {
    let mut lines = Lines::without_lm();
    let listed = lines.ask("list_dspy_modules", json!({}));
    let lived = lines.live();
    let listed = lived.result(listed)["modules"].as_array().unwrap();
    let names: Vec<&str> = listed.iter().map(|m| m["name"].as_str().unwrap()).collect();
    let ours: Vec<&str> = modules::all().iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ours);
    for module in listed {
        let reasoned = !module["reason"].as_str().unwrap().is_empty();
        let plain = matches!(module["status"].as_str().unwrap(), "ok" | "experimental");
        assert!(plain || reasoned, "{module:#}");
    }
}
