//! A kernel's death: what is registered is rebuilt, what is lost is named.

use serde_json::json;

use super::Lines;

/// R91: the next command works; programs, changed instructions and examples are there.
#[test]
fn what_is_registered_outlives_the_kernel() {
    let mut lines = Lines::new();
    lines.cell(
        "kept = 41\nfast = dspy.Predict('question -> answer')\nfast.signature = fast.signature.with_instructions('Be quick.')\nagent = dspy.ReAct('question -> answer', tools=[], max_iters=3)\ndata = [dspy.Example(question='x', answer='y').with_inputs('question')]",
    );
    let died = lines.cell("import os\nos.kill(os.getpid(), 9)");
    let run = lines.ask(
        "execute_program",
        json!({"program": "fast", "inputs": {"question": "What is 2+3?"}}),
    );
    let rebuilt = lines.cell("fast.signature.instructions, agent.max_iters, len(data)");
    let lost = lines.cell("kept");
    let lived = lines.live();
    assert_eq!(lived.error(died)["class"], "process_crashed");
    assert_eq!(lived.result(run)["answer"], "5");
    assert_eq!(lived.value(rebuilt), "('Be quick.', 3, 1)");
    assert_eq!(lived.raised(lost)["type"], "NameError");
    let notes: Vec<String> = lived
        .state
        .notes
        .iter()
        .map(|note| format!("{} {}", note.text, note.hint))
        .collect();
    let lost = notes.iter().find(|note| note.contains("kept")).unwrap();
    assert!(!lost.contains("fast"), "{lost}");
}
