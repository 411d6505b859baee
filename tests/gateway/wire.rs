//! The same requests on the wire: plain DSPy in plain Python, and through each door.
//!
//! `wire/stub.py` keeps what arrives as it arrives; `wire/calls.py` makes the calls.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::{Map, Value, json};

use crate::support::{Home, project, venv, workbench};

const PROVIDERS: [(&str, &str); 4] = [
    ("openai", "openai/v1"),
    ("anthropic", "anthropic/v1"),
    ("gemini", "gemini/v1beta"),
    ("ollama", "ollama/v1"),
];

/// What may differ: where the request goes, with which key, and who carries it.
/// HTTP does not care for the case of names nor for the order of headers.
const OF_THE_CLIENT: [&str; 2] = ["host", "connection"];
const KEYS: [&str; 3] = ["authorization", "x-api-key", "x-goog-api-key"];

/// A program that says one line when it is ready, and is ended with the test.
struct Server {
    child: Child,
    said: String,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut said).unwrap();
        Self { child, said }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn script(name: &str) -> PathBuf {
    project().join("tests/gateway/wire").join(name)
}

fn plain_python(home: &Home, file: &str) -> Command {
    let mut command = Command::new(venv().join("bin/python"));
    command
        .arg(script(file))
        .env_clear()
        .envs(home.environment())
        .current_dir(home.work());
    command
}

/// What the stub got since last asked.
fn received(port: u16) -> Vec<Value> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let ask = b"GET /received HTTP/1.1\r\nHost: stub\r\nConnection: close\r\n\r\n";
    socket.write_all(ask).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

/// The answers a run of `calls.py` printed.
fn answers(printed: &str) -> Vec<Value> {
    let line = printed.lines().rfind(|line| line.starts_with("[["));
    let line = line.unwrap_or_else(|| panic!("no answers in {printed}"));
    serde_json::from_str(line).unwrap()
}

/// A request without what may differ; keys are only named.
fn comparable(request: &Value, ignored: &[&str]) -> Value {
    let headers: Map<String, Value> = request["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| {
            let name = pair[0].as_str().unwrap().to_lowercase();
            let value = if KEYS.contains(&name.as_str()) {
                json!("key")
            } else {
                pair[1].clone()
            };
            (name, value)
        })
        .filter(|(name, _)| !OF_THE_CLIENT.contains(&&**name) && !ignored.contains(&&**name))
        .collect();
    let headers: std::collections::BTreeMap<_, _> = headers.into_iter().collect();
    json!({
        "method": request["method"], "target": request["target"],
        "body": request["body"], "headers": headers,
    })
}

#[track_caller]
fn same(door: &str, plain: &[Value], ours: &[Value], ignored: &[&str]) {
    assert_eq!(plain.len(), ours.len(), "{door}: number of requests");
    for (number, (plain, ours)) in plain.iter().zip(ours).enumerate() {
        assert_eq!(
            comparable(plain, ignored),
            comparable(ours, ignored),
            "{door}: request {number}"
        );
    }
}

/// R2, R4, R6: text, JSON schema, tools, images, history, reasoning and streams, sync
/// and async, in the formats of four providers, leave each door as they leave plain
/// DSPy, and the answers come back as they come to plain DSPy.
#[test]
fn requests_are_the_same_on_the_wire() {
    let mut home = Home::new();
    home.set("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    let stub = Server::start(&mut plain_python(&home, "stub.py"));
    let port: u16 = stub.said.trim().parse().unwrap();
    let base = |path: &str| format!("http://127.0.0.1:{port}/{path}");

    let bases = PROVIDERS.map(|(name, path)| (name.to_owned(), json!([base(path), "key-1"])));
    let bases = Value::Object(bases.into_iter().collect()).to_string();
    home.set("WIRE_BASES", bases);
    let output = plain_python(&home, "calls.py").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let plain = answers(&String::from_utf8_lossy(&output.stdout));
    let sent = received(port);
    // Seven kinds, four providers, sync and async.
    assert_eq!(plain.len(), 7 * 4 * 2);
    assert!(sent.len() >= plain.len());
    let streams = plain
        .iter()
        .filter(|it| it[1] == "streaming" && it[3]["pieces"] == "forty-two \u{20ac}");
    assert_eq!(streams.count(), 8, "{plain:?}");
    let thoughts = plain.iter().filter(|answer| {
        answer[1] == "reasoning" && answer[3]["fields"]["reasoning"] == "six by seven"
    });
    assert_eq!(thoughts.count(), 8, "{plain:?}");

    // The worker's door.
    let calls = script("calls.py").display().to_string();
    let through = home.dspex(&["run", &calls, "--new", "wire"]);
    assert_eq!(answers(through.success()), plain);
    same("transport", &sent, &received(port), &["user-agent"]);

    // The loopback door: plain DSPy again, with another base URL.
    home.set("WIRE_KEY", "key-2");
    let mut command = Command::new(workbench());
    command
        .arg("gateway")
        .env_clear()
        .envs(home.environment())
        .current_dir(home.work());
    for (name, path) in PROVIDERS {
        let profile = json!({
            "name": name, "provider": name, "model": "own",
            "api_base": base(path), "api_key_env": "WIRE_KEY",
        });
        command.args(["--lm", &profile.to_string()]);
    }
    let door = Server::start(&mut command);
    let open: Value = serde_json::from_str(&door.said).unwrap();
    let root = open["url"].as_str().unwrap().strip_suffix("/v1").unwrap();
    let bases = PROVIDERS.map(|(name, _)| {
        let base = json!([format!("{root}/{name}/v1"), open["token"]]);
        (name.to_owned(), base)
    });
    let bases = Value::Object(bases.into_iter().collect()).to_string();
    let output = plain_python(&home, "calls.py")
        .env("WIRE_BASES", bases)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(answers(&String::from_utf8_lossy(&output.stdout)), plain);
    let came = received(port);
    same("loopback", &sent, &came, &[]);
    let keyed = |request: &&Value| request["headers"].to_string().contains("key-2");
    assert_eq!(came.iter().filter(keyed).count(), came.len());
}
