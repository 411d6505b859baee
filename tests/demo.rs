//! The demo LM against requests that DSPy 3.4.1 itself made (`demo/requests/`),
//! in every provider's format, and against garbage.

use dspex_tui::gateway::demo::{DemoRequest, DemoResponse, dataset, respond, stream};
use serde_json::{Value, json};

mod agents;
mod answers;
mod few_shot;
mod garbage;
mod wires;

/// A recorded request: URL and body.
fn recorded(name: &str) -> (String, Value) {
    let path = format!(
        "{}/tests/demo/requests/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut request: Value = serde_json::from_str(&text).expect("a fixture is JSON");
    (
        request["url"]
            .as_str()
            .expect("a fixture has a URL")
            .to_owned(),
        request["body"].take(),
    )
}

fn ask(url: &str, body: &Value, rollout_id: Option<i64>) -> DemoResponse {
    let body = body.to_string();
    respond(&DemoRequest {
        url,
        headers: &[],
        body: body.as_bytes(),
        rollout_id,
    })
}

/// The answer to a recorded request of chat completions: its message.
fn message(name: &str, rollout_id: Option<i64>) -> Value {
    let (url, body) = recorded(name);
    let response = ask(&url, &body, rollout_id);
    assert_eq!(response.status, 200);
    let mut response: Value = serde_json::from_slice(&response.body).expect("a response is JSON");
    response["choices"][0]["message"].take()
}

/// The text of the answer to a recorded request of chat completions.
fn text(name: &str, rollout_id: Option<i64>) -> String {
    message(name, rollout_id)["content"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The value of a `[[ ## field ## ]]` section.
fn section(text: &str, field: &str) -> String {
    let (_, rest) = text
        .split_once(&format!("[[ ## {field} ## ]]\n"))
        .unwrap_or_else(|| panic!("no {field} in {text}"));
    rest.split("\n\n[[ ## ")
        .next()
        .unwrap_or(rest)
        .trim()
        .to_owned()
}
