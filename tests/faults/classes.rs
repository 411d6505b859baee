//! The six classes of failure, each brought about for real.

use dspex_tui::protocol::error::OperationError;

use super::*;

const STRUCK: &str = r#"
import os
import dspy

class Struck(dspy.Module):
    def __init__(self):
        super().__init__()
        self.ask = dspy.Predict("question -> answer")

    def forward(self, question):
        if question == "divide":
            return dspy.Prediction(answer=1 / 0)
        if question == "surrogate":
            return dspy.Prediction(answer="half \ud800".encode())
        if question == "abort":
            os.abort()
        return self.ask(question=question)
"#;

/// R98, R99: an optimizer that breaks, Python that raises, text that cannot be encoded, an
/// operation that hangs, a process that dies, a package that is missing: each has its
/// class, its strategy and a remedy, and the next request is answered.
#[test]
fn r98_each_class_is_met_and_survived() {
    let mut home = Home::new();
    settings(&mut home, "[kernel]\nanswer_seconds = 1\n");
    std::fs::write(home.work().join("struck.py"), STRUCK).unwrap();
    std::fs::write(home.work().join("lacking.py"), "import no_such_package\n").unwrap();
    let mut exec = Exec::start(
        &home,
        &["--new", "classes", "--workers", "1", "--optimizers", "1"],
    );
    exec.done("configure_lm", json!({"provider": "demo"}));
    exec.done(
        "register_module",
        json!({"name": "Struck", "file": "struck.py"}),
    );
    exec.done("create_program", json!({"name": "qa", "module": "Struck"}));
    exec.cell(
        "import threading\nfrom dspex_worker.operations import kernel, registry\n\
         registry._known['inspect'] = lambda arguments, job: threading.Event().wait()\n\
         def broken(example, prediction, trace=None):\n    \
         raise IndexError('no such score')",
    );
    let row = |n: usize| json!({"question": format!("What is {n}+1?"), "answer": "x"});
    let rows: Vec<Value> = (0..12).map(row).collect();
    exec.done("load_dataset", json!({"name": "rows", "rows": rows}));

    let optimize = json!({"program": "qa", "dataset": "rows", "metric": "broken",
                          "options": {"max_errors": 1}});
    let optimized = exec.done("optimize_prompt", optimize);
    let mut met = vec![(
        "optimization",
        "fallback",
        optimized["fallback"]["error"].clone(),
    )];
    for (class, strategy, operation, arguments) in [
        (
            "python_runtime",
            "fatal",
            "execute_program",
            ask_qa("divide"),
        ),
        (
            "serialization",
            "fatal",
            "execute_program",
            ask_qa("surrogate"),
        ),
        (
            "timeout",
            "retry",
            "inspect",
            json!({"source": "len", "cursor": 3}),
        ),
        (
            "process_crashed",
            "restart_process",
            "execute_program",
            ask_qa("abort"),
        ),
        (
            "import",
            "fatal",
            "register_module",
            json!({"name": "Lacking", "file": "lacking.py"}),
        ),
    ] {
        let answer = exec.ask(operation, arguments);
        assert_eq!(answer["ok"], false, "{class}: {answer}");
        met.push((class, strategy, answer["error"].clone()));
        let next = exec.done("execute_program", ask_qa("What is 12*7?"));
        assert_eq!(next["answer"], "84", "after {class}");
    }
    for (class, strategy, error) in met {
        let error: OperationError = serde_json::from_value(error).unwrap();
        let said = serde_json::to_value(&error).unwrap();
        assert_eq!(said["class"], class, "{said}");
        assert_eq!(said["recovery"]["strategy"], strategy, "{said}");
        assert!(!error.recovery.hint.is_empty(), "{said}");
        assert!(!error.message.is_empty(), "{said}");
    }
    exec.close();
}
