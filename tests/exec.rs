//! `exec`: one operation, one JSON object, from the real binary.
//!
//! The first half needs no Python; the second runs real DSPy in a real worker on
//! the demo LM.

use std::collections::HashSet;

use dspex_tui::session::reader::SessionReader;
use serde_json::{Value, json};

use crate::support::stub_lm::{Scripted, StubLm};
use crate::support::terminal::{Terminal, keys};
use crate::support::{Home, dspex, venv};

/// R22: an unknown operation is an error object with near matches, exit 1.
#[test]
fn an_unknown_operation_names_what_is_near() {
    let outcome = dspex(&["exec", "list_lm"]);
    let answer = outcome.json();
    assert_eq!(outcome.code, Some(1));
    assert_eq!(answer["ok"], json!(false));
    assert_eq!(answer["error"]["type"], "unknown_operation");
    assert_eq!(answer["error"]["recovery"]["near"][0], "list_lms");
}

/// LM servers of this machine are found by what they answer, and only those.
#[test]
fn local_servers_are_found() {
    let vllm = StubLm::start(|_, received| match received.path.as_str() {
        "/v1/models" => {
            let list = json!({"object": "list", "data": [{"id": "qwen", "owned_by": "vllm"}]});
            Scripted::Whole(200, Vec::new(), list.to_string())
        }
        _ => Scripted::error(404, "no such page"),
    });
    let web = StubLm::start(|_, _| Scripted::Whole(200, Vec::new(), "<html>".into()));
    let deaf = StubLm::start(|_, _| Scripted::Hang);
    let ports = json!({"ports": [vllm.port(), web.port(), deaf.port()]}).to_string();
    let answer = dspex(&["exec", "find_local_lms", &ports]).json();
    let servers = answer["result"]["servers"].as_array().unwrap();
    let ours: Vec<&Value> = servers
        .iter()
        .filter(|it| {
            [vllm.port(), web.port(), deaf.port()]
                .map(Value::from)
                .contains(&it["port"])
        })
        .collect();
    assert_eq!(ours.len(), 1, "{answer}");
    assert_eq!(ours[0]["server"], "vLLM");
    assert_eq!(ours[0]["models"], json!(["qwen"]));
    assert_eq!(
        ours[0]["api_base"],
        format!("http://127.0.0.1:{}/v1", vllm.port())
    );
    let wrong = dspex(&["exec", "find_local_lms", r#"{"ports": [70000]}"#]).json();
    assert_eq!(wrong["error"]["type"], "invalid_arguments");
}

/// R1, R7, R8: the models of a server, by its profile or by where it is; who is not
/// known, and what cannot be meant, is said.
#[test]
fn a_server_s_models_are_listed() {
    let server = StubLm::start(|_, received| match received.path.as_str() {
        "/v1/models" => {
            let list = json!({"object": "list", "data": [{"id": "qwen"}, {"id": "llama"}]});
            Scripted::Whole(200, Vec::new(), list.to_string())
        }
        _ => Scripted::error(404, "no such page"),
    });
    let port = server.port();
    let home = Home::new();
    let asked = [
        json!({"port": port}),
        json!({"provider": "local", "api_base": server.base()}),
        json!({"profile": "mine"}),
        json!({}),
        json!({"profile": "mine", "port": port}),
        json!({"profile": "min"}),
        json!({"provider": "opnai"}),
    ];
    let profile = json!({"name": "mine", "provider": "local", "model": "qwen", "port": port});
    let mut lines = vec![json!({"operation": "configure_lm", "arguments": profile}).to_string()];
    let asked = asked
        .iter()
        .map(|it| json!({"operation": "list_models", "arguments": it}).to_string());
    lines.extend(asked);
    let told = home.dspex_with_input(&["exec", "--jsonl"], &lines.join("\n"));
    let answers: Vec<Value> = told
        .stdout
        .lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for answer in &answers[..4] {
        assert_eq!(
            answer["result"]["models"],
            json!(["llama", "qwen"]),
            "{answer}"
        );
        assert_eq!(answer["result"]["provider"], "local");
    }
    let kinds: Vec<&str> = answers[4..]
        .iter()
        .map(|it| it["error"]["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["invalid_argument", "unknown_lm", "unknown_provider"]
    );
    assert_eq!(answers[5]["error"]["recovery"]["near"][0], "mine");
    let none = home.dspex(&["exec", "list_models"]).json();
    assert_eq!(none["error"]["type"], "missing_argument", "{none}");
    let line = format!(":lm models local port={port}\n");
    let shown = home.dspex_with_input(&["repl"], &line);
    assert!(
        shown.stdout.contains(":lm add local model=…"),
        "{}",
        shown.stdout
    );
}

/// A deleted cell comes back with its place, also after the session was closed;
/// two sessions are compared by their cells.
#[test]
fn cells_come_back_and_sessions_are_compared() {
    let home = Home::new();
    let lines = |cells: &[&str]| {
        let lines = cells
            .iter()
            .map(|line| json!({"operation": "command", "arguments": {"line": line}}).to_string());
        lines.collect::<Vec<_>>().join("\n")
    };
    let write = |name: &str, cells: &[&str]| {
        let all = ["exec", "--jsonl", "--new", name];
        home.dspex_with_input(&all, &lines(cells)).success();
    };
    let run = |operation: &str, arguments: &str| {
        home.dspex(&["exec", operation, arguments, "--session", "one"])
            .json()
    };
    write("one", &[":runs", ":sig list", ":data"]);
    write("two", &[":runs", ":data"]);
    run("delete_cell", r#"{"cell": 2}"#);
    let same = |answer: &Value| {
        let cells = answer["result"]["cells"].as_array().unwrap();
        let changes: Vec<String> = cells.iter().map(|it| it["change"].to_string()).collect();
        changes.iter().all(|it| it.contains("same")) && changes.len() == 2
    };
    let compare = r#"{"left": "one", "right": "two"}"#;
    let answer = run("compare_sessions", compare);
    assert!(same(&answer), "{answer}");
    assert_eq!(run("restore_cell", "{}")["result"]["cell"], 2);
    let answer = run("compare_sessions", compare);
    assert_eq!(
        answer["result"]["cells"][1]["change"], "removed",
        "{answer}"
    );
    assert_eq!(answer["result"]["cells"][1]["left"], 2);
    let wrong = run("restore_cell", r#"{"cell": 2}"#);
    assert_eq!(wrong["error"]["type"], "unknown_cell");
}

/// R97: every error carries type, class, message, traceback, context, recovery.
#[test]
fn errors_have_all_their_parts() {
    for arguments in [
        &["exec", "nope"][..],
        &["exec", "select_lm", "{}"],
        &["exec", "select_lm", "{"],
        &["exec", "select_lm", r#"{"name": "nope"}"#],
        &[
            "exec",
            "execute_program",
            r#"{"program": "nope", "inputs": {}}"#,
        ],
        &["exec", "list_lms", "--session", "nope"],
    ] {
        let answer = dspex(arguments).json();
        let error = answer["error"].as_object().unwrap();
        let keys: HashSet<&str> = error.keys().map(String::as_str).collect();
        for key in [
            "type",
            "class",
            "message",
            "traceback",
            "context",
            "recovery",
        ] {
            assert!(keys.contains(key), "{arguments:?} has no {key}");
        }
        assert!(
            !error["message"].as_str().unwrap().contains('\n'),
            "{arguments:?}"
        );
    }
}

/// R1: configuring a provider answers what was configured.
#[test]
fn configure_lm_answers_status_provider_and_model() {
    let arguments = r#"{"provider": "openai", "model": "gpt-4o-mini", "temperature": 0.2}"#;
    let answer = dspex(&["exec", "configure_lm", arguments]).json();
    assert_eq!(answer["result"]["status"], "configured");
    assert_eq!(answer["result"]["provider"], "openai");
    assert_eq!(answer["result"]["model"], "openai/gpt-4o-mini");
}

/// R7: an unknown provider is an error; the process lives and does the next line.
#[test]
fn a_line_that_fails_does_not_end_the_process() {
    let lines = concat!(
        r#"{"operation": "configure_lm", "arguments": {"provider": "foo"}, "id": 1}"#,
        "\nrubbish\n",
        r#"{"operation": "list_lms", "id": 3}"#,
        "\n"
    );
    let outcome = Home::new().dspex_with_input(&["exec", "--jsonl"], lines);
    let answers: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 3);
    assert_eq!(
        (&answers[0]["id"], &answers[0]["ok"]),
        (&json!(1), &json!(false))
    );
    assert!(
        answers[0]["error"]["message"]
            .as_str()
            .unwrap()
            .contains("foo")
    );
    assert_eq!(answers[1]["error"]["type"], "invalid_request");
    assert_eq!(
        (&answers[2]["id"], &answers[2]["ok"]),
        (&json!(3), &json!(true))
    );
    assert_eq!(outcome.code, Some(1));
}

/// R8, R61: what is configured in a session is there when it is opened again.
#[test]
fn a_session_remembers_its_profiles() {
    let home = Home::new();
    let session = "memory";
    home.dspex(&["exec", "list_lms", "--new", session])
        .success();
    let configure = r#"{"provider": "ollama", "model": "llama3", "name": "here"}"#;
    home.dspex(&["exec", "configure_lm", configure, "--session", session])
        .success();
    let answer = home
        .dspex(&["exec", "list_lms", "--session", session])
        .json();
    assert_eq!(answer["result"]["selected"], "here");
}

/// R95: a start is told in the log, where that is asked for, and nowhere else.
#[test]
fn a_start_is_told_in_the_log_alone() {
    let mut home = Home::new();
    home.set("DSPEX_LOG", "info");
    let outcome = home.dspex(&["exec", "list_lms"]);
    let mut terminal = Terminal::dspex(&home, &[], 100, 30);
    terminal.wait_for("Write ordinary DSPy code below");
    terminal.send(keys::CTRL_Q).wait_exit();
    let screen = String::from_utf8_lossy(&terminal.output);
    let started = "dspex-tui starts";
    let elsewhere = format!("{}{}{screen}", outcome.success(), outcome.stderr);
    assert!(!elsewhere.contains(started), "{elsewhere}");
    let log = home
        .root()
        .join("home/.local/state/dspex-tui/dspex-tui.log");
    let log = std::fs::read_to_string(&log).unwrap_or_else(|error| panic!("{log:?}: {error}"));
    assert_eq!(log.matches(started).count(), 2, "{log}");
    assert!(log.contains(env!("CARGO_PKG_VERSION")));
}

/// R8: with two profiles configured, a run that names one of them goes to its model.
#[test]
fn a_run_goes_to_the_profile_it_names() {
    let home = Home::new();
    let lines: String = [
        (
            "configure_lm",
            json!({"provider": "demo", "model": "first", "name": "A"}),
        ),
        (
            "configure_lm",
            json!({"provider": "demo", "model": "second", "name": "B"}),
        ),
        (
            "execute_module",
            json!({"module": "Predict", "signature": "question -> answer",
                                  "inputs": {"question": "What is 12*7?"}, "lm": "A"}),
        ),
        ("generate", json!({"prompt": "What is 2+2?"})),
    ]
    .map(|(operation, arguments)| {
        json!({"operation": operation, "arguments": arguments}).to_string() + "\n"
    })
    .concat();
    home.dspex_with_input(&["exec", "--jsonl", "--new", "two"], &lines)
        .success();
    let session = SessionReader::open(&home.sessions().join("two"))
        .unwrap()
        .final_state();
    let models: Vec<_> = session
        .runs
        .values()
        .flat_map(|run| &run.spans)
        .filter(|span| span.kind == "lm")
        .map(|span| span.name.as_str())
        .collect();
    assert_eq!(models, ["demo/first", "demo/second"]);
}

/// R22: `shutdown` answers, drains, and the process ends well.
#[test]
fn shutdown_is_answered_and_ends_the_process() {
    let home = Home::new();
    let lines = "{\"operation\": \"shutdown\"}\n{\"operation\": \"list_lms\"}\n";
    let outcome = home.dspex_with_input(&["exec", "--jsonl"], lines);
    let first: Value = serde_json::from_str(outcome.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["ok"], true, "{outcome:?}");
}

/// Operations that need no Python start no worker, and need no environment.
#[test]
fn no_python_is_needed_for_what_the_core_does() {
    let mut home = Home::new();
    home.set("DSPEX_VENV", "/nowhere");
    home.dspex(&["exec", "list_lms"]).success();
}

/// D14: `exec --list` and `--schema` describe the whole table.
#[test]
fn the_table_describes_itself() {
    let listed = dspex(&["exec", "--list"]);
    let schemas = dspex(&["exec", "--schema"]).json();
    assert_eq!(
        listed.success().lines().count(),
        schemas.as_array().unwrap().len()
    );
}

/// A cell's answer holds what it put out, in order: prints, then its value.
#[test]
fn a_cell_answers_with_its_outputs() {
    let arguments = json!({"source": "print('a')\n6 * 7"}).to_string();
    let answer = dspex(&["exec", "run_cell", &arguments]).json();
    let outputs = &answer["result"]["outputs"];
    assert_eq!(outputs[0]["text"], "a\n");
    assert_eq!(outputs[1]["data"]["text/plain"], "42");
}

/// R25, R26: Predict and ChainOfThought on the demo LM, offline.
#[test]
fn chain_of_thought_answers_84_with_a_reasoning() {
    let arguments = json!({
        "module": "ChainOfThought",
        "signature": "question -> answer",
        "inputs": {"question": "What is 12*7?"},
        "lm": "demo",
    });
    let answer = dspex(&["exec", "execute_module", &arguments.to_string()]).json();
    assert_eq!(answer["result"]["answer"], "84");
    assert!(!answer["result"]["reasoning"].as_str().unwrap().is_empty());
}

/// R116: a program without a name is called after what it is, by hash: the same in each
/// process, and another one for another signature.
#[test]
fn a_nameless_program_has_the_same_id_in_another_process() {
    let name = |signature: &str| {
        let arguments = json!({"module": "ChainOfThought", "signature": signature});
        let answer = dspex(&["exec", "create_program", &arguments.to_string()]).json();
        answer["result"]["name"].as_str().unwrap().to_owned()
    };
    let first = name("question -> answer");
    assert_eq!(first, name("question -> answer"));
    assert_ne!(first, name("question -> summary"));
}

/// A workbench started outside `make` finds the Pyodide that `make setup` fetched.
#[test]
fn sandboxed_interpreters_find_what_setup_fetched() {
    let folder = venv().join("deno");
    assert!(folder.join("npm").is_dir(), "run `make sandbox` first");
    let source = format!("import os; assert os.environ['DENO_DIR'] == {folder:?}");
    let answer = dspex(&["exec", "run_cell", &json!({ "source": source }).to_string()]).json();
    assert_eq!(answer["result"]["status"], "ok", "{answer}");
}
