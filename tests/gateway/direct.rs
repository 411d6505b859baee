//! Direct profiles: providers that are called by their own tools, and LMs that pass no
//! door at all.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::support::stub_lm::{Scripted, StubLm};
use crate::support::{Home, dspex};

const CANARY: &str = "Canary0Secret1Of2Aws3Never4Shown";

const SAID: &str = "[[ ## answer ## ]]\nblue\n\n[[ ## completed ## ]]";

fn ask(home: &Home, operation: &str, arguments: &Value) -> Value {
    let arguments = arguments.to_string();
    home.dspex(&["exec", operation, &arguments, "--session", "own"])
        .json()
}

/// Bedrock signs with the worker's own credentials, at an address of its own choice: a
/// profile needs neither base URL nor key, its calls are recorded with tokens, and its
/// secret is nowhere in the session.
#[test]
fn bedrock_is_called_by_its_own_tools() {
    let server = StubLm::start(|_, _| {
        let answer = json!({
            "output": {"message": {"role": "assistant", "content": [{"text": SAID}]}},
            "stopReason": "end_turn",
            "usage": {"inputTokens": 11, "outputTokens": 5, "totalTokens": 16},
        });
        Scripted::Whole(200, Vec::new(), answer.to_string())
    });
    let mut home = Home::new();
    home.set("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .set("AWS_SECRET_ACCESS_KEY", CANARY)
        .set("AWS_EC2_METADATA_DISABLED", "true")
        .set("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    let model = "anthropic.claude-3-haiku-20240307-v1:0";
    let profile = json!({
        "provider": "bedrock", "model": model, "name": "haiku", "aws_region_name": "us-east-1",
        "aws_bedrock_runtime_endpoint": format!("http://127.0.0.1:{}", server.port()),
    });
    let asked = json!({"module": "Predict", "signature": "question -> answer",
                       "inputs": {"question": "sky?"}});
    let lines = [
        json!({"operation": "configure_lm", "arguments": profile}),
        json!({"operation": "execute_module", "arguments": asked}),
        json!({"operation": "metrics", "arguments": {}}),
    ];
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let told = home.dspex_with_input(&["exec", "--jsonl", "--new", "own"], &lines.join("\n"));
    let answers: Vec<Value> = told
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers[0]["result"]["model"], format!("bedrock/{model}"));
    assert_eq!(answers[1]["result"]["answer"], "blue", "{}", told.stdout);
    let totals = &answers[2]["result"]["totals"];
    assert_eq!(totals["input_tokens"], 11, "{totals}");
    assert_eq!(totals["output_tokens"], 5);
    let request = &server.received()[0];
    let signature = request.header("authorization").unwrap();
    assert!(signature.starts_with("AWS4-HMAC-SHA256 "), "{signature}");
    let replay = home.dspex(&["replay", "own", "--plain"]);
    let line = format!("{model} · server · status 200 · 11→5 tok");
    assert!(replay.success().contains(&line), "{}", replay.stdout);
    for kept in walk(&home.sessions()) {
        let bytes = std::fs::read(&kept).unwrap();
        let found = bytes
            .windows(CANARY.len())
            .any(|it| it == CANARY.as_bytes());
        assert!(!found, "{}", kept.display());
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// An LM of one's own, sync and async, is recorded when it has answered: messages,
/// tokens and time, marked as direct.
#[test]
fn an_lm_past_every_door_is_recorded() {
    let home = Home::new();
    let path = home.work().join("own.py");
    let mut file = std::fs::File::create(&path).unwrap();
    let source = r#"
import asyncio
from types import SimpleNamespace as N

import dspy

SAID = "[[ ## answer ## ]]\nblue\n\n[[ ## completed ## ]]"


class Own(dspy.BaseLM):
    def forward(self, prompt=None, messages=None, **kwargs):
        message = N(content=SAID, tool_calls=None)
        usage = {"prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34}
        choice = N(message=message, finish_reason="stop", index=0)
        return N(choices=[choice], usage=usage, model=self.model)

    async def aforward(self, *args, **kwargs):
        return self.forward(*args, **kwargs)


dspy.configure(lm=Own("own/x"))
qa = dspy.Predict("question -> answer")
print(qa(question="sky?").answer, asyncio.run(qa.acall(question="sea?")).answer)
"#;
    file.write_all(source.as_bytes()).unwrap();
    let ran = home.dspex(&["run", "--new", "own", &path.display().to_string()]);
    assert!(ran.success().contains("blue blue"), "{}", ran.stderr);
    let metrics = ask(&home, "metrics", &json!({}))["result"].take();
    let totals = &metrics["totals"];
    assert_eq!(totals["calls"], 2, "{totals}");
    assert_eq!(totals["input_tokens"], 60);
    assert_eq!(totals["unpriced"], 2, "its price is unknown, not zero");
    let replay = home.dspex(&["replay", "own", "--plain"]);
    let told = replay.success();
    assert_eq!(
        told.matches("direct · status 200 · 30→4 tok").count(),
        2,
        "{told}"
    );
    let spans = home.dspex(&["replay", "own", "--json"]);
    assert!(spans.success().contains("sea?"));
}

/// What a direct provider cannot be given, and a secret as an argument, are refused.
#[test]
fn a_direct_profile_takes_no_key_and_no_address() {
    for (more, part) in [
        (
            json!({"api_base": "http://h/v1"}),
            "api_base has no place there",
        ),
        (
            json!({"api_key_env": "K"}),
            "api_key_env has no place there",
        ),
        (
            json!({"aws_secret_access_key": CANARY}),
            "is not taken as an argument",
        ),
    ] {
        let mut arguments = json!({"provider": "bedrock", "model": "m"});
        let more = more.as_object().unwrap().clone();
        arguments.as_object_mut().unwrap().extend(more);
        let refused = dspex(&["exec", "configure_lm", &arguments.to_string()]);
        assert!(refused.stdout.contains(part), "{}", refused.stdout);
        assert!(!refused.stdout.contains(CANARY), "{}", refused.stdout);
    }
    let vertex = json!({"model": "vertex_ai/gemini-2.5-flash", "vertex_location": "us-central1"});
    let made = dspex(&["exec", "configure_lm", &vertex.to_string()]).json();
    assert_eq!(made["result"]["provider"], "vertex_ai", "{made}");
}
