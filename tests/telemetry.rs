//! Telemetry and the audit log, from the real binary with real DSPy on the demo LM.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::stub_lm::{Scripted, StubLm};
use crate::support::{Home, PATIENCE, project, venv};

fn ask(home: &Home, operation: &str, arguments: &Value) -> Value {
    let arguments = arguments.to_string();
    home.dspex(&["exec", operation, &arguments, "--session", "tele"])
        .json()
}

/// A session in which something was run, evaluated and optimised, well and badly.
fn lived(home: &Home) {
    let lines = [
        ("configure_lm", json!({"provider": "demo"})),
        (
            "create_program",
            json!({"name": "triage", "module": "ChainOfThought",
                   "signature": "ticket -> category: Literal['billing', 'bug', 'account', 'feature']"}),
        ),
        ("load_dataset", json!({"shipped": "tickets", "limit": 12})),
        (
            "execute_program",
            json!({"program": "triage", "inputs": {"ticket": "I was charged twice"}}),
        ),
        (
            "evaluate_pipeline",
            json!({"program": "triage", "dataset": "tickets"}),
        ),
        (
            "optimize_prompt",
            json!({"program": "triage", "dataset": "tickets",
                   "options": {"max_bootstrapped_demos": 2}}),
        ),
        (
            "optimize_prompt",
            json!({"program": "triage", "dataset": "tickets", "optimizer": "Bootstrap"}),
        ),
        ("command", json!({"line": ":metrics"})),
    ];
    let text: Vec<String> = lines
        .iter()
        .map(|(operation, arguments)| {
            json!({"operation": operation, "arguments": arguments}).to_string()
        })
        .collect();
    let all = ["exec", "--jsonl", "--new", "tele"];
    let outcome = home.dspex_with_input(&all, &text.join("\n"));
    let answers = outcome
        .stdout
        .lines()
        .filter(|it| it.contains("\"ok\":true"));
    assert_eq!(answers.count(), lines.len() - 1, "{}", outcome.stdout);
}

/// R127, R128, R129, R130, R131: who optimised what is in the audit log, a changed line is found;
/// counts by operation and module, scores by signature; spans reach a collector.
#[test]
fn measured_audited_exported() {
    let home = Home::new();
    lived(&home);
    let metrics = ask(&home, "metrics", &json!({}))["result"].take();
    let row = |kind: &str, name: &str| {
        let rows = metrics["rows"].as_array().unwrap();
        let found = rows
            .iter()
            .find(|it| it["kind"] == kind && it["name"] == name);
        found
            .unwrap_or_else(|| panic!("no {kind} {name}: {metrics}"))
            .clone()
    };
    assert_eq!(row("operation", "optimize_prompt")["count"], 2);
    assert_eq!(row("operation", "optimize_prompt")["errors"], 1);
    let module = row("module", "ChainOfThought");
    assert!(module["count"].as_u64().unwrap() >= 25, "{module}");
    assert!(module["p95_ms"].as_f64() >= module["p50_ms"].as_f64());
    assert!(module["input_tokens"].as_u64().unwrap() > 0, "{module}");
    let signature = &metrics["signatures"][0];
    assert_eq!(signature["evaluations"], 1);
    assert_eq!(signature["optimizations"], 2);
    assert!(signature["best_score"].is_number(), "{signature}");
    let hash = signature["signature_hash"].as_str().unwrap();
    assert_eq!(hash.len(), 64);

    // Without a session too: the log is for all of them.
    let audit = home.dspex(&["exec", "audit"]).json();
    let entries = audit["result"]["entries"].as_array().unwrap();
    let whats: Vec<&str> = entries
        .iter()
        .map(|it| it["what"].as_str().unwrap())
        .collect();
    assert_eq!(whats, ["requested", "finished", "requested", "finished"]);
    assert_eq!(entries[0]["signature_hash"], hash);
    assert_eq!(entries[0]["optimizer"], "BootstrapFewShot");
    assert_eq!(entries[0]["config"]["dataset"]["len"], 12);
    assert_eq!(entries[1]["status"], "ok");
    assert!(entries[1]["optimized"].is_number(), "{}", entries[1]);
    assert!(entries[1]["calls"].as_u64().unwrap() > 0);
    assert_eq!(entries[3]["status"], "error");
    let of = json!({"signature": &hash[..10], "limit": 1});
    let one = ask(&home, "audit", &of);
    assert_eq!(one["result"]["in_all"], 4);
    assert_eq!(one["result"]["entries"].as_array().unwrap().len(), 1);
    let whole = home.dspex(&["exec", "verify_audit"]).json();
    assert_eq!(whole["result"]["entries"], 4, "{whole}");
    let path = audit["result"]["path"].as_str().unwrap();
    let text = fs::read_to_string(path).unwrap();
    fs::write(
        path,
        text.replace("\"status\":\"error\"", "\"status\":\"ok\""),
    )
    .unwrap();
    let altered = home.dspex(&["exec", "verify_audit"]);
    assert_eq!(altered.code, Some(1));
    assert_eq!(altered.json()["error"]["type"], "audit_altered");
    assert!(
        altered.stdout.contains("line 4 was altered"),
        "{}",
        altered.stdout
    );

    let collector = StubLm::start(|_, _| Scripted::Whole(200, Vec::new(), "{}".into()));
    let endpoint = format!("http://127.0.0.1:{}", collector.port());
    let exported = ask(
        &home,
        "export_otlp",
        &json!({"endpoint": endpoint, "protocol": "http/json"}),
    );
    let received = collector.received();
    assert!(received.iter().all(|it| it.path == "/v1/traces"));
    let spans: Vec<&Value> = received
        .iter()
        .flat_map(|it| {
            it.json["resourceSpans"][0]["scopeSpans"][0]["spans"]
                .as_array()
                .unwrap()
        })
        .collect();
    assert_eq!(exported["result"]["spans"], spans.len(), "{exported}");
    let attribute = |span: &Value, key: &str| {
        let all = span["attributes"].as_array().unwrap();
        let found = all.iter().find(|it| it["key"] == key);
        found.map(|it| it["value"].clone()).unwrap_or_default()
    };
    let lm = spans
        .iter()
        .find(|it| attribute(it, "openinference.span.kind")["stringValue"] == "LLM")
        .unwrap();
    let said = attribute(lm, "llm.input_messages.0.message.content");
    assert!(
        said["stringValue"].as_str().unwrap().contains("ticket"),
        "{lm}"
    );
    assert_eq!(
        attribute(lm, "llm.output_messages.0.message.role")["stringValue"],
        "assistant"
    );
    assert!(attribute(lm, "llm.token_count.total")["intValue"].is_string());
    for span in &spans {
        let id = span["spanId"].as_str().unwrap();
        assert!(id.len() == 16 && span["traceId"].as_str().unwrap().len() == 32);
        let at = |key: &str| span[key].as_str().unwrap().parse::<u64>().unwrap();
        assert!(at("endTimeUnixNano") >= at("startTimeUnixNano"), "{span}");
        if let Some(parent) = span["parentSpanId"].as_str() {
            let known = spans
                .iter()
                .any(|it| it["spanId"] == parent && it["traceId"] == span["traceId"]);
            assert!(known, "a span without its parent: {span}");
        }
    }
    drop(collector);
    let refused = ask(&home, "export_otlp", &json!({"endpoint": endpoint}));
    assert_eq!(refused["error"]["type"], "export_failed", "{refused}");
}

/// A receiver in Python, ended with the test.
struct Tap {
    child: Child,
    lines: Receiver<String>,
}

impl Tap {
    fn start(home: &Home) -> Self {
        let mut child = Command::new(venv().join("bin/python"))
            .arg(project().join("tests/telemetry/receiver.py"))
            .env_clear()
            .envs(home.environment())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.expect("the receiver says nothing more: are its packages installed? `make setup`")
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// R128: a real receiver of OTLP takes the spans of modules, LM calls, tools and a failure,
/// whole and in OpenInference's own names.
#[test]
fn a_real_receiver_takes_the_spans() {
    let home = Home::new();
    let tap = Tap::start(&home);
    let agent = project().join("tests/telemetry/agent.py");
    let ran = home.dspex(&["run", "--new", "tele", &agent.display().to_string()]);
    assert!(ran.stdout.contains("391"), "{} {}", ran.stdout, ran.stderr);

    let port = tap.line();
    let endpoint = format!("http://127.0.0.1:{}", port.trim());
    let sent = ask(&home, "export_otlp", &json!({"endpoint": endpoint}));
    let number = sent["result"]["spans"].as_u64();
    let number = number.unwrap_or_else(|| panic!("{sent}"));
    assert_eq!(sent["result"]["rejected"], 0);
    let spans: Vec<Value> = (0..number)
        .map(|_| serde_json::from_str(&tap.line()).unwrap())
        .collect();

    let by_id: HashMap<&str, &Value> = spans
        .iter()
        .map(|span| (span["id"].as_str().unwrap(), span))
        .collect();
    assert_eq!(by_id.len(), spans.len(), "each span once");
    for span in &spans {
        assert_eq!(span["unknown"], json!([]), "{span}");
        assert!(span["end"].as_u64() >= span["start"].as_u64(), "{span}");
        let parent = span["parent"].as_str().unwrap();
        if !parent.is_empty() {
            assert_eq!(by_id[parent]["trace"], span["trace"], "{span}");
        }
    }
    let of_kind = |kind: &str| -> Vec<&Value> {
        let is = |it: &&Value| it["attributes"]["openinference.span.kind"] == kind;
        spans.iter().filter(is).collect()
    };
    assert_eq!(of_kind("AGENT").len(), 1);
    let tool = of_kind("TOOL")
        .into_iter()
        .find(|it| it["attributes"]["tool.name"] == "multiply");
    let tool = &tool.expect("the span of multiply")["attributes"];
    assert!(
        tool["output.value"].as_str().unwrap().contains("391"),
        "{tool}"
    );
    let lms = of_kind("LLM");
    assert!(lms.len() >= 2, "{lms:?}");
    for lm in lms {
        let said = &lm["attributes"];
        assert_eq!(
            said["llm.input_messages.0.message.role"], "system",
            "{said}"
        );
        assert_eq!(
            said["llm.output_messages.0.message.role"], "assistant",
            "{said}"
        );
        assert!(said["llm.token_count.prompt"].as_u64() > Some(0), "{said}");
        assert!(said["llm.model_name"].is_string(), "{said}");
        assert!(said["llm.invocation_parameters"].is_string(), "{said}");
    }
    let failed: Vec<&Value> = spans.iter().filter(|it| it["status"][0] == 2).collect();
    let words = failed.iter().map(|it| it["status"][1].to_string());
    assert!(
        words.into_iter().any(|it| it.contains("ZeroDivisionError")),
        "{failed:?}"
    );

    // The receiver takes protobuf alone, and says so.
    let json = json!({"endpoint": endpoint, "protocol": "http/json"});
    let refused = ask(&home, "export_otlp", &json);
    assert_eq!(refused["error"]["type"], "export_failed", "{refused}");
}
