//! Agents: tools chosen, called and read back.

use pretty_assertions::assert_eq;

use super::{Value, json, message, section, text};

#[test]
fn react_calls_the_fitting_tool_then_finishes_then_extracts() {
    let first = text("react_first", None);
    assert_eq!(section(&first, "next_tool_name"), "multiply");
    let arguments: Value = serde_json::from_str(&section(&first, "next_tool_args")).expect("JSON");
    assert_eq!(arguments, json!({"a": 12, "b": 7}));
    assert_eq!(
        section(&text("react_second", None), "next_tool_name"),
        "finish"
    );
    assert_eq!(section(&text("react_extract", None), "answer"), "84");
}

#[test]
fn react_v2_submits_what_it_observed_as_text_and_natively() {
    let calls: Value =
        serde_json::from_str(&section(&text("reactv2_text_second", None), "tool_calls"))
            .expect("JSON");
    assert_eq!(
        calls["tool_calls"],
        json!([{"name": "submit", "args": {"answer": "84"}}])
    );
    let call = &message("reactv2_native_first", None)["tool_calls"][0]["function"];
    assert_eq!(call["name"], "multiply");
    let call = &message("reactv2_native_second", None)["tool_calls"][0]["function"];
    assert_eq!(
        call,
        &json!({"name": "submit", "arguments": "{\"answer\":\"84\"}"})
    );
}

#[test]
fn program_of_thought_gets_code_that_submits_and_reads_its_output() {
    let code = section(&text("pot_generate", None), "generated_code");
    assert_eq!(
        code,
        "```python\nresult = 12*7\nSUBMIT({\"answer\": result})\n```"
    );
    assert_eq!(section(&text("pot_answer", None), "answer"), "84");
}

#[test]
fn rlm_looks_then_computes_then_submits() {
    assert!(section(&text("rlm_1", None), "code").contains("print(\"context:\""));
    assert!(section(&text("rlm_2", None), "code").contains("print(result)"));
    assert!(section(&text("rlm_3", None), "code").contains("SUBMIT(answer=result)"));
}
