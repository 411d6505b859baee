//! Pipelines that begin with a retriever: ours, and DSPy's in a module of the user's.

use std::fs;

use serde_json::json;

use super::Lines;

const NOTES: &str = "The mill on the river was built in 1782.\n\n\
    The bridge next to it is\nolder: it was built in 1640.\n\n\
    Every spring the river floods the meadows.\n";
const BRIDGE: &str = "The bridge next to it is older: it was built in 1640.";
const QUESTION: &str = "When was the bridge built?";

/// R39: a retriever of ours and ChainOfThought in one pipeline: run at once from `exec`
/// and from a command, and as a program over a file or a dataset.
#[test]
fn a_retriever_gives_a_chain_of_thought_its_context() {
    let mut lines = Lines::new();
    fs::write(lines.home.work().join("notes.txt"), NOTES).unwrap();
    let rows = NOTES
        .split("\n\n")
        .map(|text| json!({"id": 1, "text": text.replace('\n', " ")}));
    let rows: Vec<_> = rows.collect();
    lines.ask("load_dataset", json!({"name": "notes", "rows": rows}));
    let inputs = json!({"question": QUESTION});
    let written = json!({"modules": ["BM25", "ChainOfThought"],
        "signature": "context, question -> answer",
        "options": {"BM25": {"corpus": "notes", "field": "text", "k": 2}}});
    let once = lines.ask(
        "execute_program",
        json!({"program": written, "inputs": inputs}),
    );
    let typed = lines.ask(
        "command",
        json!({"line": format!(":pipeline BM25,ChainOfThought question -> answer corpus=notes.txt k=2 question={QUESTION:?}")}),
    );
    let made = lines.ask(
        "command",
        json!({"line": ":program new rag BM25,ChainOfThought question -> answer corpus=notes.txt k=1"}),
    );
    let ran = lines.ask(
        "execute_program",
        json!({"program": "rag", "inputs": inputs}),
    );
    let lived = lines.live();
    for place in [once, ran] {
        let result = lived.result(place);
        assert_eq!(
            result["context"][0].as_str().unwrap().trim(),
            BRIDGE,
            "{result:#}"
        );
        assert!(
            result["answer"].as_str().unwrap().contains("1640"),
            "{result:#}"
        );
        assert!(!result["reasoning"].as_str().unwrap().is_empty());
    }
    assert_eq!(lived.result(ran)["context"].as_array().unwrap().len(), 1);
    let typed = &lived.answers[typed];
    assert!(
        typed["ok"] == true && typed.to_string().contains("1640"),
        "{typed:#}"
    );
    lived.result(made);
    let run = lived
        .state
        .runs
        .values()
        .find(|run| run.operation.as_deref() == Some("execute_program"))
        .unwrap();
    assert!(
        run.title.starts_with("BM25 → ChainOfThought("),
        "{}",
        run.title
    );
    let tree: Vec<(u16, &str)> = run
        .tree()
        .into_iter()
        .filter(|span| span.kind == "module")
        .map(|span| (span.depth, span.name.as_str()))
        .collect();
    assert_eq!(
        tree,
        [
            (0, "Pipeline"),
            (1, "BM25"),
            (1, "ChainOfThought"),
            (2, "Predict")
        ]
    );
}

/// R39: the same with DSPy's own retriever, in a module of the user's file.
#[test]
fn a_module_of_a_file_retrieves_with_dspy() {
    let mut lines = Lines::new();
    let source = format!(
        "import dspy\n\nNOTES = [{}]\n\n\
         def letters(texts):\n    import numpy\n    \
         found = [[text.lower().count(chr(c)) for c in range(97, 123)] for text in texts]\n    \
         return numpy.array(found, dtype='float32')\n\n\
         class Librarian(dspy.Module):\n    def __init__(self):\n        super().__init__()\n        \
         self.search = dspy.retrievers.Embeddings(corpus=NOTES, embedder=dspy.Embedder(letters), k=1)\n        \
         self.answer = dspy.ChainOfThought('context: list[str], question -> answer')\n    \
         def forward(self, question):\n        \
         found = self.search(question).passages\n        \
         said = self.answer(context=found, question=question)\n        \
         return dspy.Prediction(context=found, answer=said.answer)\n",
        NOTES
            .split("\n\n")
            .map(|text| format!("{:?}", text.trim().replace('\n', " ")))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let file = lines.home.work().join("librarian.py");
    fs::write(&file, source).unwrap();
    let file = file.display().to_string();
    lines.ask(
        "register_module",
        json!({"name": "librarian", "file": file}),
    );
    let ran = lines.ask(
        "execute_module",
        json!({"module": "librarian", "inputs": {"question": QUESTION}}),
    );
    let lived = lines.live();
    let result = lived.result(ran);
    assert_eq!(result["context"].as_array().unwrap().len(), 1, "{result:#}");
    assert!(!result["answer"].as_str().unwrap().is_empty());
    let spans = lived.state.runs.values().flat_map(|run| &run.spans);
    let modules: Vec<&str> = spans
        .filter(|span| span.kind == "module")
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(modules, ["Librarian", "ChainOfThought", "Predict"]);
}
