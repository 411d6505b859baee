//! Every module of DSPy on the demo LM: from `exec`, from a `:command` and from a cell.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use dspex_tui::operation::modules;
use serde_json::{Value, json};

use super::Lines;

const QA: &str = "question -> answer";
const TWELVE: &str = "What is 12*7?";

/// A module, how it is asked for from each door, and what its answer must hold.
struct Case {
    module: &'static str,
    arguments: Value,
    command: &'static str,
    cell: &'static str,
    holds: &'static str,
}

fn case(
    module: &'static str,
    arguments: Value,
    command: &'static str,
    cell: &'static str,
    holds: &'static str,
) -> Case {
    Case {
        module,
        arguments,
        command,
        cell,
        holds,
    }
}

/// A module over a question, with options.
fn asked(options: Value) -> Value {
    json!({"signature": QA, "options": options, "inputs": {"question": TWELVE}})
}

fn plain_cases() -> Vec<Case> {
    let rows = json!([{"question": "What is 2*3?", "answer": "6"}, {"question": "Capital of France?", "answer": "Paris"}]);
    vec![
        case(
            "Predict",
            asked(json!({"temperature": 0.5})),
            ":run Predict question -> answer temperature=0.5 question='What is 12*7?'",
            "dspy.Predict(QA)(question=Q).answer",
            "84",
        ),
        case(
            "ChainOfThought",
            asked(json!({})),
            ":cot question -> answer question='What is 12*7?'",
            "dspy.ChainOfThought(QA)(question=Q).answer",
            "84",
        ),
        case(
            "ReAct",
            asked(json!({"tools": ["double"], "max_iters": 4})),
            ":run ReAct question -> answer max_iters=4 question='What is 12*7?'",
            "dspy.ReAct(QA, tools=[double])(question=Q).answer",
            "84",
        ),
        case(
            "ReActV2",
            asked(json!({"tools": ["double"], "max_iters": 4})),
            ":run ReActV2 question -> answer max_iters=4 question='What is 12*7?'",
            "dspy.ReActV2(dspy.Signature(QA), tools=[double])(question=Q).answer",
            "84",
        ),
        case(
            "BestOfN",
            asked(json!({"N": 2, "metric": "half"})),
            ":run BestOfN question -> answer N=2 metric=half question='What is 12*7?'",
            "dspy.BestOfN(dspy.Predict(QA), N=2, reward_fn=lambda i, p: 1.0, threshold=1.0)(question=Q).answer",
            "84",
        ),
        case(
            "Refine",
            asked(json!({"N": 2, "metric": "half", "module": "Predict"})),
            ":run Refine question -> answer N=2 metric=half question='What is 12*7?'",
            "dspy.Refine(dspy.Predict(QA), N=2, reward_fn=lambda i, p: 1.0, threshold=1.0)(question=Q).answer",
            "84",
        ),
        case(
            "MultiChainComparison",
            asked(json!({"M": 2})),
            ":run MultiChainComparison question -> answer M=2 question='What is 12*7?'",
            "cot = dspy.ChainOfThought(QA)\n\
             chains = [cot(question=Q, config={'rollout_id': i, 'temperature': 1.0}) for i in (1, 2)]\n\
             dspy.MultiChainComparison(QA, M=2)(chains, question=Q).answer",
            "84",
        ),
        case(
            "majority",
            asked(json!({"n": 3, "module": "Predict"})),
            ":run majority question -> answer n=3 module=Predict question='What is 12*7?'",
            "p = dspy.Predict(QA)\n\
             dspy.majority([p(question=Q, config={'rollout_id': i, 'temperature': 1.0}) for i in (1, 2, 3)]).answer",
            "84",
        ),
        case(
            "Parallel",
            json!({"signature": QA, "inputs": {"examples": [{"question": TWELVE}, {"question": "What is 1+1?"}]}}),
            r#":run Parallel question -> answer examples='[{"question": "What is 12*7?"}]'"#,
            "dspy.Parallel(num_threads=2, disable_progress_bar=True)([(dspy.Predict(QA), {'question': Q})])[0].answer",
            "84",
        ),
        case(
            "KNN",
            json!({"options": {"dataset": rows, "k": 1}, "inputs": {"question": "What is 2*4?"}}),
            ":run KNN dataset=sums k=1 question='What is 2*4?'",
            "dspy.KNN(1, rows, dspy.Embedder(lambda texts: [[len(t), 1.0] for t in texts], caching=False))(question='What is 2*4?')[0].answer",
            "6",
        ),
        case(
            "Embeddings",
            json!({"options": {"corpus": ["cats purr", "dogs bark"], "k": 1}, "inputs": {"query": "dogs?"}}),
            ":run Embeddings corpus=sums k=1 query='2*3'",
            "dspy.Embeddings(['cats', 'dogs'], dspy.Embedder(lambda ts: [[t.count('o') + 0.1, 1.0] for t in ts], caching=False), k=1)('dogs').passages[0]",
            "o",
        ),
    ]
}

/// R25–R36: a table with a line for each module: it ran from each of the doors, and
/// was traced. What needs a server or the sandbox has tests of its own.
#[test]
fn every_module_runs_from_each_door() {
    let cases = plain_cases();
    let mut lines = Lines::new();
    let prepared = lines.cell(&format!(
        "import dspy\nQA, Q = {QA:?}, {TWELVE:?}\n\
         def double(n: int) -> int:\n    'Twice a number.'\n    return 2 * n\n\
         def half(example, prediction, trace=None):\n    return 0.5\n\
         rows = [dspy.Example(question='What is 2*3?', answer='6').with_inputs('question')]"
    ));
    lines.ask(
        "load_dataset",
        json!({"name": "sums", "rows": [{"question": "What is 2*3?", "answer": "6"}]}),
    );
    let places: Vec<[usize; 3]> = cases
        .iter()
        .map(|case| {
            let mut arguments = case.arguments.clone();
            arguments["module"] = json!(case.module);
            [
                lines.ask("execute_module", arguments),
                lines.ask("command", json!({"line": case.command})),
                lines.cell(case.cell),
            ]
        })
        .collect();
    let listed = lines.ask("list_dspy_modules", json!({}));
    let lived = lines.live();
    lived.value(prepared);
    for (case, [executed, commanded, cell]) in cases.iter().zip(&places) {
        let said = lived.result(*executed).to_string();
        assert!(
            said.contains(case.holds),
            "{} from exec: {said}",
            case.module
        );
        let said = &lived.answers[*commanded];
        let shown = said.to_string();
        assert!(
            shown.contains(case.holds) && said["result"]["status"] != "error",
            "{} from a command: {said:#}",
            case.module
        );
        let value = lived.value(*cell);
        assert!(
            value.contains(case.holds),
            "{} in a cell: {value}",
            case.module
        );
    }
    // Nobody is forgotten: what is listed ran here, or has a reason or a test of its own.
    let elsewhere = ["ProgramOfThought", "CodeAct", "RLM", "Flex", "Retrieve"];
    for module in lived.result(listed)["modules"].as_array().unwrap() {
        let name = module["name"].as_str().unwrap();
        let ran = cases.iter().any(|case| case.module == name) || elsewhere.contains(&name);
        let reason = module["reason"].as_str().unwrap();
        assert!(
            ran || !reason.is_empty(),
            "{name} ran nowhere and nobody says why"
        );
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
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            assert!(String::from_utf8_lossy(&request[..read]).contains("query=sky"));
            let body = json!({"topk": [{"text": "the sky is blue", "pid": 1, "score": 2.0}]});
            let body = body.to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            let _ = write!(
                stream,
                "{head}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
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
