//! DSPy's modules, one case each: what is asked for at each door, and what must come back.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use dspex_tui::operation::modules;
use serde_json::{Value, json};

use crate::support::readme::check_section;

const QA: &str = "question -> answer";
const TWELVE: &str = "What is 12*7?";

/// A cell that all cases build on: a tool, a metric, and names for the cells.
pub(super) const BEFORE: &str = r#"import dspy
QA, Q = "question -> answer", "What is 12*7?"
def double(n: int) -> int:
    "Twice a number."
    return 2 * n
def half(example, prediction, trace=None):
    return 0.5
asked = [dspy.Example(question="What is 20*30?", answer="six hundred").with_inputs("question")]
def letters(texts):
    return [[text.count("o") + 0.1, 1.0] for text in texts]
def embedder():
    return dspy.Embedder(letters, caching=False)"#;

/// A module, how it is asked for at each door, and what its answer must hold.
pub(super) struct Case {
    pub(super) module: &'static str,
    /// For `exec execute_module`, without the module's name.
    pub(super) arguments: Value,
    /// What a person types on the screen or in the REPL.
    pub(super) typed: String,
    /// The last line of it is a value.
    pub(super) cell: String,
    pub(super) holds: &'static str,
}

impl Case {
    fn new(module: &'static str, arguments: Value, typed: &str, cell: &str) -> Self {
        Self {
            module,
            arguments,
            typed: typed.to_owned(),
            cell: cell.to_owned(),
            holds: "84",
        }
    }

    fn holding(self, holds: &'static str) -> Self {
        Self { holds, ..self }
    }
}

/// A module over a question, with options.
fn asked(options: Value) -> Value {
    json!({"signature": QA, "options": options, "inputs": {"question": TWELVE}})
}

/// Rows that KNN finds its examples in.
pub(super) fn sums() -> Value {
    json!([{"question": "What is 20*30?", "answer": "six hundred"},
           {"question": "Capital of France?", "answer": "Paris"}])
}

/// Rows that Embeddings finds its passages in.
pub(super) fn pets() -> Value {
    json!([{"text": "cats purr", "kind": "cat"}, {"text": "dogs bark", "kind": "dog"}])
}

/// What calls a module once over the question.
pub(super) fn single() -> Vec<Case> {
    vec![
        Case::new(
            "Predict",
            asked(json!({"temperature": 0.5})),
            ":run Predict question -> answer temperature=0.5 question='What is 12*7?'",
            "dspy.Predict(QA)(question=Q).answer",
        ),
        Case::new(
            "ChainOfThought",
            asked(json!({})),
            ":run ChainOfThought question -> answer question='What is 12*7?'",
            "dspy.ChainOfThought(QA)(question=Q).answer",
        ),
        Case::new(
            "ReAct",
            asked(json!({"tools": ["double"], "max_iters": 4})),
            ":run ReAct question -> answer tools=[\"double\"] max_iters=4 question='What is 12*7?'",
            "dspy.ReAct(QA, tools=[double])(question=Q).answer",
        ),
        Case::new(
            "ReActV2",
            asked(json!({"tools": ["double"], "max_iters": 4})),
            ":run ReActV2 question -> answer tools=[\"double\"] question='What is 12*7?'",
            "dspy.ReActV2(dspy.Signature(QA), tools=[double])(question=Q).answer",
        ),
    ]
}

/// What runs generated code in the sandbox.
pub(super) fn coding() -> Vec<Case> {
    vec![
        Case::new(
            "ProgramOfThought",
            asked(json!({"max_iters": 2})),
            ":run ProgramOfThought question -> answer question='What is 12*7?'",
            "dspy.ProgramOfThought(QA)(question=Q).answer",
        ),
        Case::new(
            "CodeAct",
            asked(json!({"tools": ["double"]})),
            ":run CodeAct question -> answer tools=[\"double\"] question='What is 12*7?'",
            "dspy.CodeAct(QA, tools=[double])(question=Q).answer",
        ),
        Case::new(
            "RLM",
            asked(json!({"max_iters": 4})),
            ":run RLM question -> answer question='What is 12*7?'",
            "dspy.RLM(QA)(question=Q).answer",
        ),
        Case::new(
            "Flex",
            asked(json!({"max_predictor_calls": 5})),
            ":run Flex question -> answer question='What is 12*7?'",
            "dspy.Flex(QA)(question=Q).answer",
        ),
    ]
}

/// What calls another module several times.
pub(super) fn several() -> Vec<Case> {
    vec![
        Case::new(
            "BestOfN",
            asked(json!({"N": 2, "metric": "half"})),
            ":run BestOfN question -> answer N=2 metric=half question='What is 12*7?'",
            "dspy.BestOfN(dspy.Predict(QA), N=2, reward_fn=lambda i, p: 1.0, threshold=1.0)(question=Q).answer",
        ),
        Case::new(
            "Refine",
            asked(json!({"N": 2, "metric": "half", "module": "Predict"})),
            ":run Refine question -> answer N=2 metric=half question='What is 12*7?'",
            "dspy.Refine(dspy.Predict(QA), N=2, reward_fn=lambda i, p: 1.0, threshold=1.0)(question=Q).answer",
        ),
        Case::new(
            "MultiChainComparison",
            asked(json!({"M": 2})),
            ":run MultiChainComparison question -> answer M=2 question='What is 12*7?'",
            "cot = dspy.ChainOfThought(QA)\n\
             chains = [cot(question=Q, config={'rollout_id': i, 'temperature': 1.0}) for i in (1, 2)]\n\
             dspy.MultiChainComparison(QA, M=2)(chains, question=Q).answer",
        ),
        Case::new(
            "majority",
            asked(json!({"n": 3, "module": "Predict"})),
            ":run majority question -> answer n=3 module=Predict question='What is 12*7?'",
            "p = dspy.Predict(QA)\n\
             dspy.majority([p(question=Q, config={'rollout_id': i, 'temperature': 1.0}) for i in (1, 2, 3)]).answer",
        ),
        Case::new(
            "Parallel",
            json!({"signature": QA, "inputs": {"examples": [{"question": TWELVE}, {"question": "What is 1+1?"}]}}),
            r#":run Parallel question -> answer examples='[{"question": "What is 12*7?"}]'"#,
            "dspy.Parallel(num_threads=2, disable_progress_bar=True)([(dspy.Predict(QA), {'question': Q})])[0].answer",
        ),
    ]
}

/// What searches, and what judges. Its ColBERTv2 server is at this address.
pub(super) fn searching(url: &str) -> Vec<Case> {
    let judged = json!({"question": "Why?", "ground_truth": "It rains.", "system_response": "It rains.",
        "retrieved_context": "It rains all day."});
    let mut short = judged.clone();
    short.as_object_mut().unwrap().remove("retrieved_context");
    vec![
        Case::new(
            "KNN",
            json!({"options": {"dataset": "sums", "k": 1}, "inputs": {"question": "What is 20*4?"}}),
            ":run KNN dataset=sums k=1 question='What is 20*4?'",
            "dspy.KNN(1, asked, embedder())(question='What is 20*4?')[0].answer",
        )
        .holding("six hundred"),
        Case::new(
            "BM25",
            json!({"options": {"corpus": ["cats purr", "dogs bark"], "k": 1}, "inputs": {"query": "which dogs?"}}),
            ":run BM25 corpus=pets k=1 query='which dogs'",
            "from dspex_worker.retrieval import Lexical\n\
             Lexical({'corpus': ['cats purr', 'dogs bark'], 'field': None, 'k': 1})(query='dogs').passages[0]",
        )
        .holding("dogs bark"),
        Case::new(
            "Embeddings",
            json!({"options": {"corpus": ["cats purr", "dogs bark"], "k": 1}, "inputs": {"query": "dogs?"}}),
            ":run Embeddings corpus=pets k=1 query='which dogs'",
            "dspy.Embeddings(['cats purr', 'dogs bark'], embedder(), k=1)('dogs').passages[0]",
        )
        .holding("dogs bark"),
        Case::new(
            "EmbeddingsWithScores",
            json!({"options": {"corpus": "pets", "field": "text", "k": 1}, "inputs": {"query": "cats"}}),
            ":run EmbeddingsWithScores corpus=pets k=1 query=cats",
            "found = dspy.EmbeddingsWithScores(['cats purr', 'dogs bark'], embedder(), k=2)('cats')\n\
             dict(scores=found.scores)",
        )
        .holding("scores"),
        Case::new(
            "Retrieve",
            json!({"options": {"url": url, "k": 1}, "inputs": {"query": "sky"}}),
            &format!(":run Retrieve url={url} query=sky"),
            &format!(
                "with dspy.context(rm=dspy.ColBERTv2({url:?})):\n    found = dspy.Retrieve(k=1)('sky')\nfound.passages"
            ),
        )
        .holding("the sky is blue"),
        Case::new(
            "SemanticF1",
            json!({"inputs": short}),
            ":run SemanticF1 question='Why?' ground_truth='It rains.' system_response='It rains.'",
            "from dspy.evaluate import SemanticF1\n\
             said = dict(question='Why?', response='It rains.')\n\
             dict(SemanticF1()(dspy.Example(**said), dspy.Prediction(**said)))",
        )
        .holding("score"),
        Case::new(
            "CompleteAndGrounded",
            json!({"options": {"threshold": 0.5}, "inputs": judged}),
            ":run CompleteAndGrounded question='Why?' ground_truth='It rains.' system_response='It rains.' \
             retrieved_context='It rains all day.'",
            "from dspy.evaluate import CompleteAndGrounded\n\
             said = dict(question='Why?', response='It rains.', context='It rains all day.')\n\
             dict(CompleteAndGrounded()(dspy.Example(**said), dspy.Prediction(**said)))",
        )
        .holding("score"),
    ]
}

/// All cases, in the order of the table of modules.
pub(super) fn all(url: &str) -> Vec<Case> {
    let groups = [single(), coding(), several(), searching(url)];
    let mut cases: Vec<Case> = groups.into_iter().flatten().collect();
    let place = |case: &Case| modules::all().iter().position(|it| it.name == case.module);
    cases.sort_by_key(place);
    cases
}

/// A ColBERTv2 server with one passage for everybody; its address.
pub(super) fn colbert() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            assert!(String::from_utf8_lossy(&request[..read]).contains("query=sky"));
            let passage = "the sky is blue";
            let body =
                json!({"topk": [{"text": passage, "long_text": passage, "pid": 1, "score": 2.0}]});
            let body = body.to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            let _ = write!(
                stream,
                "{head}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    url
}

/// R10: the README has one line for each module: that it ran at each door,
/// or why not. What it says ran is what the cases ask for.
#[test]
fn modules_in_the_readme_are_those_that_ran() {
    let cases = all("http://127.0.0.1:8893");
    let mut table = String::from(
        "| module | what it does | `exec` | cell | screen, REPL | to type, or why not |\n|---|---|---|---|---|---|\n",
    );
    for module in modules::all() {
        let case = cases.iter().find(|case| case.module == module.name);
        let (ran, typed) = match case {
            Some(case) => ("✓", format!("`{}`", case.typed)),
            None => ("—", String::new()),
        };
        let status = match module.status.as_str() {
            "ok" | "unavailable" => String::new(),
            status => format!(
                "{status}{}{}",
                if module.reason.is_empty() { "" } else { ", " },
                module.reason
            ),
        };
        let last = match (status.is_empty(), case) {
            (_, None) => module.reason.clone(),
            (true, _) => typed,
            (false, _) => format!("{typed} ({status})"),
        };
        let _ = writeln!(
            table,
            "| `{}` | {} | {ran} | {ran} | {ran} | {} |",
            module.name,
            module.doc,
            last.replace('|', r"\|")
        );
    }
    check_section("modules", &table);
}
