//! Each wire format, whole and streamed.

use super::{DemoRequest, Value, ask, json, recorded, section, stream, text};

/// Where each format keeps its text.
const PLACES: [(&str, &str); 5] = [
    ("cot_anthropic", "/content/0/text"),
    ("cot_gemini", "/candidates/0/content/parts/0/text"),
    ("cot_ollama", "/choices/0/message/content"),
    ("cot_responses", "/output/0/content/0/text"),
    ("cot_chat", "/choices/0/message/content"),
];

#[test]
fn every_providers_request_gets_that_providers_answer() {
    for (name, place) in PLACES {
        let (url, body) = recorded(name);
        let response: Value = serde_json::from_slice(&ask(&url, &body, None).body).expect("JSON");
        let text = response
            .pointer(place)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{name}: {response}"));
        assert_eq!(section(text, "answer"), "84", "{name}");
    }
}

#[test]
fn a_stream_holds_the_same_answer_in_small_deltas() {
    let (url, body) = recorded("cot_chat");
    let body = body.to_string();
    let request = DemoRequest {
        url: &url,
        headers: &[],
        body: body.as_bytes(),
        rollout_id: None,
    };
    let (status, headers, pieces) = stream(&request);
    assert_eq!(status, 200);
    assert!(headers.contains(&("content-type".to_owned(), "text/event-stream".to_owned())));
    let pieces: Vec<String> = pieces
        .into_iter()
        .map(|piece| String::from_utf8(piece).expect("UTF-8"))
        .collect();
    let deltas: Vec<String> = pieces
        .iter()
        .filter_map(|piece| {
            serde_json::from_str::<Value>(piece.trim().strip_prefix("data: ")?).ok()
        })
        .filter_map(|data| {
            Some(
                data.pointer("/choices/0/delta/content")?
                    .as_str()?
                    .to_owned(),
            )
        })
        .collect();
    assert!(deltas.len() > 5);
    assert_eq!(deltas.concat(), text("cot_chat", None));
    assert_eq!(pieces.last().map(String::as_str), Some("data: [DONE]\n\n"));
}

#[test]
fn tools_are_called_natively_in_every_format() {
    let schema =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let function = json!({"name": "get_weather", "description": "The weather of a city", "parameters": schema});
    let question = json!([{"role": "user", "content": "What is the weather in Tokyo?"}]);
    let call = |url: &str, body: Value, place: &str| {
        let response: Value = serde_json::from_slice(&ask(url, &body, None).body).expect("JSON");
        response
            .pointer(place)
            .cloned()
            .unwrap_or_else(|| panic!("{response}"))
    };
    let tool = json!([{"type": "function", "function": function}]);
    let body = json!({"model": "m", "messages": question, "tools": tool});
    assert_eq!(
        call(
            "/v1/chat/completions",
            body.clone(),
            "/choices/0/message/tool_calls/0/function/name"
        ),
        "get_weather"
    );
    assert_eq!(
        call(
            "/api/chat",
            body,
            "/message/tool_calls/0/function/arguments/city"
        ),
        "Tokyo"
    );
    let body = json!({"model": "m", "messages": question, "tools": [{"name": "get_weather", "input_schema": schema}]});
    assert_eq!(call("/v1/messages", body, "/content/0/input/city"), "Tokyo");
    let contents = json!([{"role": "user", "parts": [{"text": "What is the weather in Tokyo?"}]}]);
    let body = json!({"contents": contents, "tools": [{"functionDeclarations": [function]}]});
    assert_eq!(
        call(
            "/v1beta/models/m:generateContent",
            body,
            "/candidates/0/content/parts/0/functionCall/args/city"
        ),
        "Tokyo"
    );
    let body = json!({"model": "m", "input": question, "tools": [{"type": "function", "name": "get_weather", "parameters": schema}]});
    assert_eq!(call("/v1/responses", body, "/output/0/name"), "get_weather");
}

#[test]
fn embeddings_put_overlapping_texts_close() {
    let body = json!({"model": "m", "input": ["the bridge was built in 1931", "when was the bridge built", "soup is warm"]});
    let response: Value =
        serde_json::from_slice(&ask("/v1/embeddings", &body, None).body).expect("JSON");
    let vector = |place: usize| -> Vec<f64> {
        response["data"][place]["embedding"]
            .as_array()
            .expect("a vector")
            .iter()
            .filter_map(Value::as_f64)
            .collect()
    };
    let likeness = |a: usize, b: usize| {
        vector(a)
            .iter()
            .zip(vector(b))
            .map(|(x, y)| x * y)
            .sum::<f64>()
    };
    assert_eq!(vector(0).len(), 256);
    assert!(likeness(0, 1) > likeness(1, 2) + 0.3);
}
