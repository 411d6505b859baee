//! Answers by skill, in every output type.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;

use super::{Value, json, message, recorded, section, text};

#[test]
fn chain_of_thought_gets_the_bare_product_and_a_reasoning() {
    let answer = text("cot_chat", None);
    assert_eq!(section(&answer, "answer"), "84");
    assert_eq!(section(&answer, "reasoning"), "12*7 = 84.");
    assert!(answer.ends_with("[[ ## completed ## ]]\n"));
}

#[test]
fn json_and_xml_prompts_are_answered_in_their_own_style() {
    let answer: Value =
        serde_json::from_str(&text("cot_json", None)).expect("JSON adapter wants JSON");
    assert_eq!(answer["answer"], "84");
    assert!(text("cot_xml", None).contains("<answer>\n84\n</answer>"));
}

#[test]
fn four_rollouts_get_four_texts_that_hold_the_same_fact() {
    let answers: BTreeSet<String> = (0..4)
        .map(|rollout| section(&text("cot_chat", Some(rollout)), "answer"))
        .collect();
    assert_eq!(answers.len(), 4);
    assert!(answers.iter().all(|answer| answer.contains("84")));
    assert_eq!(text("cot_chat", Some(2)), text("cot_chat", Some(2)));
}

#[test]
fn every_type_of_output_is_filled_and_demonstrations_are_followed() {
    for name in ["triage_json", "triage_json_schema"] {
        let answer: Value = serde_json::from_str(&text(name, None)).expect("JSON");
        assert_eq!(
            answer["team"], "heron",
            "{name}: the demonstration about a parcel says so"
        );
        assert!(answer["urgent"].is_boolean());
        assert!((0..=5).contains(&answer["count"].as_i64().expect("an integer")));
        assert_eq!(answer["address"]["city"], "Oslo");
        assert!(
            answer["tags"]
                .as_array()
                .is_some_and(|tags| tags.iter().all(Value::is_string))
        );
        assert!(answer["note"].is_string() || answer["note"].is_null());
    }
    let chat = text("triage_chat", None);
    assert_eq!(section(&chat, "team"), "heron");
    assert!(["True", "False"].contains(&section(&chat, "urgent").as_str()));
}

#[test]
fn instructions_are_proposed_and_differ_from_the_old_one() {
    let old = "Given the fields `context`, `question`, produce the fields `answer`.";
    for name in ["copro_basic", "copro_attempts", "mipro_propose"] {
        let proposed = section(&text(name, None), "proposed_instruction");
        assert!(
            proposed.starts_with(old) && proposed.len() > old.len(),
            "{name}: {proposed}"
        );
    }
    let rollouts: BTreeSet<String> = (0..6)
        .map(|rollout| text("mipro_propose", Some(rollout)))
        .collect();
    assert!(rollouts.len() > 1);
}

/// Instruction optimizers have something to gain: format words are followed.
#[test]
fn format_words_of_the_instructions_change_the_answer() {
    let (url, body) = recorded("cot_chat");
    let asked = |instructions: &str| {
        let text = body
            .to_string()
            .replace("What is 12*7?", "What is the capital of France?")
            .replace("produce the fields `answer`.", instructions);
        let body: Value = serde_json::from_str(&text).expect("still JSON");
        let response = super::ask(&url, &body, None);
        let response: Value = serde_json::from_slice(&response.body).expect("JSON");
        section(
            response["choices"][0]["message"]["content"]
                .as_str()
                .unwrap_or_default(),
            "answer",
        )
    };
    assert_eq!(asked("answer."), "The capital of France is Paris.");
    assert_eq!(asked("answer with one word."), "Paris");
    assert_eq!(asked("answer briefly, in uppercase."), "PARIS");
}

#[test]
fn usage_and_model_are_reported() {
    let (url, body) = recorded("cot_chat");
    let response: Value =
        serde_json::from_slice(&super::ask(&url, &body, None).body).expect("JSON");
    assert_eq!(response["model"], body["model"]);
    let usage = &response["usage"];
    let sum = usage["prompt_tokens"].as_u64().unwrap_or(0)
        + usage["completion_tokens"].as_u64().unwrap_or(0);
    assert!(sum > 20);
    assert_eq!(usage["total_tokens"], json!(sum));
    assert_eq!(message("cot_chat", None)["role"], "assistant");
}
