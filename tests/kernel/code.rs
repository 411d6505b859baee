//! Modules that write code, on answers given in advance: what they run, see, and write anew.

use super::{Lines, Lived};

/// Runs `module` in a cell on `answers`, and gives the code that was executed with the
/// outputs and error of each.
fn executed(answers: &str, module: &str) -> (Lived, usize, Vec<(String, String, bool)>) {
    let mut lines = Lines::new();
    let ran = lines.cell(&format!(
        "from dspy.utils import DummyLM\n\
         def double(n: int) -> int:\n    \
         \"Twice a number.\"\n    \
         return 2 * n\n\
         with dspy.context(lm=DummyLM({answers})):\n    \
         answer = {module}(question='What is 12*7?').answer\n\
         answer"
    ));
    let lived = lines.live();
    let spans = lived.state.runs.values().flat_map(|run| &run.spans);
    let executed = spans
        .filter(|span| span.name == "sandbox execute")
        .map(|span| {
            let code = span.inputs["code"].as_str().unwrap_or_default().to_owned();
            (
                code,
                serde_json::json!(span.outputs).to_string(),
                span.error.is_some(),
            )
        })
        .collect();
    (lived, ran, executed)
}

/// R29: the first code fails, the second passes; both are there with what they did.
#[test]
fn program_of_thought_writes_code_anew_that_failed() {
    let answers = r#"[
        {"reasoning": "divide", "generated_code": "wrong = 1 / 0"},
        {"reasoning": "multiply", "generated_code": "result = 12 * 7\nSUBMIT({'answer': result})"},
        {"reasoning": "so", "answer": "84"}]"#;
    let (lived, ran, executed) = executed(answers, "dspy.ProgramOfThought('question -> answer')");
    assert!(lived.value(ran).contains("84"));
    let [first, second] = executed.as_slice() else {
        panic!("{executed:#?}");
    };
    assert!(first.0.contains("1 / 0") && first.2, "{first:?}");
    assert!(second.0.contains("12 * 7") && !second.2, "{second:?}");
}

/// R30: CodeAct takes two actions; each has its code and what it printed, and the second
/// builds on the first.
#[test]
fn code_act_takes_two_actions() {
    let answers = r#"[
        {"generated_code": "half = double(21)\nprint(half)", "finished": "False"},
        {"generated_code": "print(double(half))", "finished": "True"},
        {"reasoning": "so", "answer": "84"}]"#;
    let module = "dspy.CodeAct('question -> answer', tools=[double])";
    let (lived, ran, executed) = executed(answers, module);
    assert!(lived.value(ran).contains("84"));
    // The tools are told first.
    let actions: Vec<_> = executed
        .iter()
        .filter(|(code, ..)| code.contains("print"))
        .collect();
    let [first, second] = actions.as_slice() else {
        panic!("{executed:#?}");
    };
    assert!(
        first.0.contains("double(21)") && first.1.contains("42"),
        "{first:?}"
    );
    assert!(
        second.0.contains("half") && second.1.contains("84"),
        "{second:?}"
    );
}
