//! Requests that are no requests: answered, never a panic.

use proptest::prelude::*;

use super::{DemoRequest, Value, ask, json, recorded, respond, stream};

const PATHS: [&str; 9] = [
    "https://x/v1/chat/completions",
    "https://x/v1/completions",
    "https://x/v1/responses",
    "https://x/v1/messages",
    "https://x/v1beta/models/m:generateContent",
    "http://x/api/chat",
    "http://x/api/generate",
    "http://x/v1/embeddings",
    "http://x/unknown",
];

#[test]
fn a_senseless_request_is_refused_in_the_providers_error_shape() {
    let refused = |url: &str, place: &str| {
        let response = ask(url, &json!([1]), None);
        assert_eq!(response.status, 400);
        let body: Value = serde_json::from_slice(&response.body).expect("an error is JSON");
        let message = body
            .pointer(place)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        assert!(message.contains("must be a JSON object"), "{url}: {body}");
    };
    refused(PATHS[0], "/error/message");
    refused(PATHS[3], "/error/message");
    refused(PATHS[4], "/error/message");
    refused(PATHS[5], "/error");
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(path in 0..PATHS.len(), body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let request = DemoRequest { url: PATHS[path], headers: &[], body: &body, rollout_id: None };
        prop_assert!([200, 400].contains(&respond(&request).status));
        prop_assert!(!stream(&request).2.is_empty());
    }

    #[test]
    fn any_text_as_a_question_gets_an_answer(text in "[a-zA-Z0-9?]\\PC{0,200}", system in "\\PC{0,100}", rollout in any::<Option<i64>>()) {
        let messages = json!([{"role": "system", "content": system}, {"role": "user", "content": text}]);
        let body = json!({"model": "m", "messages": messages, "prompt": text, "input": text, "contents": [{"parts": [{"text": text}]}]});
        for path in PATHS {
            let response = ask(path, &body, rollout);
            // Anthropic's format has no system role among its messages.
            let refused = path.ends_with("/messages");
            prop_assert_eq!(response.status, if refused { 400 } else { 200 });
            prop_assert!(serde_json::from_slice::<Value>(&response.body).is_ok());
        }
    }

    /// A DSPy prompt with a piece cut out or put in never breaks the reader.
    #[test]
    fn damaged_prompts_are_survived(name in 0..4_usize, at in 0.0..1.0_f64, length in 0..80_usize, put in "\\PC{0,20}") {
        let name = ["triage_chat", "triage_json", "cot_xml", "rlm_2"][name];
        let (url, mut body) = recorded(name);
        for message in body["messages"].as_array_mut().into_iter().flatten() {
            let text: Vec<char> = message["content"].as_str().unwrap_or_default().chars().collect();
            let start = (text.len() as f64 * at) as usize;
            let kept = text[..start].iter().chain(text[(start + length).min(text.len())..].iter());
            let damaged: String = kept.collect::<String>() + &put;
            message["content"] = json!(damaged);
        }
        prop_assert_eq!(ask(&url, &body, None).status, 200);
    }
}
