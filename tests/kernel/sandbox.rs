//! Generated code in the sandbox, from the doors: limits, accounts, fallback.

use serde_json::{Value, json};

use super::Lines;

/// R118, R119, R120, R122: one worker runs code that behaves and code that does not; a
/// program runs in between as ever.
#[test]
fn code_is_run_limited_and_told_about() {
    let mut lines = Lines::new();
    let code = "import sys\nprint('out')\nprint('err', file=sys.stderr)\nfactor * 2";
    let good = lines.ask(
        "execute_code",
        json!({"code": code, "variables": {"factor": 21}}),
    );
    let endless = lines.ask(
        "execute_code",
        json!({"code": "while True: pass", "timeout": 0.3}),
    );
    let question = json!({"question": "What is 12*7?"});
    let program = lines.ask(
        "execute_module",
        json!({"module": "Predict", "signature": "question -> answer", "inputs": question}),
    );
    let greedy = lines.ask(
        "execute_code",
        json!({"code": "x = [0] * (2 * 1024**3 // 8)", "memory_mb": 256}),
    );
    let shell = lines.ask(
        "execute_code",
        json!({"code": "import os\nos.system('ls')"}),
    );
    let socket = lines.ask("execute_code", json!({"code": "import socket"}));
    let home = lines.ask(
        "execute_code",
        json!({"code": "import os\nopen(os.path.expanduser('~/.bashrc'))"}),
    );
    let local = lines.ask(
        "execute_code",
        json!({"code": "print(6 * 7)", "interpreter": "local"}),
    );
    let lived = lines.live();
    let told = lived.result(good);
    assert_eq!(
        (&told["result"], &told["stdout"], &told["stderr"]),
        (&json!(42), &json!("out\n"), &json!("err\n"))
    );
    let status = |place: usize| lived.result(place)["status"].clone();
    assert_eq!(status(endless), "timeout");
    assert_eq!(lived.result(program)["answer"], "84");
    assert_eq!(status(greedy), "memory");
    assert_eq!([status(shell), status(socket)], ["denied", "denied"]);
    assert_eq!(status(home), "failed");
    let local = lived.result(local);
    assert_eq!(
        (&local["unsafe"], &local["interpreter"]),
        (&json!(true), &json!("local"))
    );
    let spans = lived.state.runs.values().flat_map(|run| run.spans.iter());
    let named: Vec<&str> = spans.map(|span| span.name.as_ref()).collect();
    assert!(named.contains(&"sandbox execute") && named.contains(&"local (unsafe) execute"));
}

/// Asks a module with these options the usual question.
fn ask(lines: &mut Lines, module: &str, options: Value) -> usize {
    lines.ask(
        "execute_module",
        json!({"module": module, "signature": "question -> answer", "options": options,
               "inputs": {"question": "What is 12*7?"}}),
    )
}

/// R118: the modules that run code do so in the sandbox, and tell what ran; where
/// none starts they answer without execution and say so.
#[test]
fn modules_run_their_code_or_say_that_they_did_not() {
    let mut lines = Lines::new();
    let thought = ask(&mut lines, "ProgramOfThought", json!({}));
    let acted = ask(&mut lines, "CodeAct", json!({"tools": []}));
    let explored = ask(&mut lines, "RLM", json!({}));
    let local = ask(
        &mut lines,
        "ProgramOfThought",
        json!({"interpreter": "local"}),
    );
    let odd = ask(
        &mut lines,
        "ProgramOfThought",
        json!({"interpreter": "sandbx"}),
    );
    let broken = lines.cell("class Broken:\n    tools = {}\n    def start(self): pass\n    def shutdown(self): pass\n    def execute(self, code, variables=None):\n        raise dspy.CodeInterpreterError('it is broken')");
    let without = ["ProgramOfThought", "CodeAct", "RLM"].map(|module| {
        let tools = if module == "CodeAct" {
            json!([])
        } else {
            Value::Null
        };
        let mut options = json!({"interpreter": "Broken"});
        if tools.is_array() {
            options["tools"] = tools;
        }
        ask(&mut lines, module, options)
    });
    let strict = ask(
        &mut lines,
        "ProgramOfThought",
        json!({"interpreter": "Broken", "fallback": false}),
    );
    let lived = lines.live();
    for place in [thought, acted, explored] {
        let result = lived.result(place);
        assert!(
            result["answer"].as_str().unwrap().contains("84"),
            "{result}"
        );
        assert!(result.get("notes").is_none(), "{result}");
    }
    let ran = &lived.result(thought)["code_runs"][0];
    assert_eq!(
        (&ran["interpreter"], &ran["status"]),
        (&json!("sandbox"), &json!("ok"))
    );
    assert_eq!(lived.result(local)["unsafe"], true);
    let refused = lived.error(odd);
    assert_eq!(refused["type"], "unknown_interpreter");
    assert_eq!(refused["recovery"]["near"][0], "sandbox");
    lived.value(broken);
    for place in without {
        let result = lived.result(place);
        assert!(result.get("answer").is_some(), "{result}");
        let notes = result["notes"].to_string();
        assert!(
            notes.contains("answered without execution: it is broken"),
            "{notes}"
        );
    }
    assert_eq!(lived.error(strict)["message"], "it is broken");
}
