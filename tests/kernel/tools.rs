//! Tools, MCP servers, modules of files and programs in files, kept by the session.

use std::fs;

use dspex_tui::session::event::Approval;
use serde_json::{Value, json};

use super::Lines;
use crate::support::terminal::{Terminal, keys};
use crate::support::{Home, venv};

const TOOLS: &str = "def add(a: int, b: int = 2) -> int:\n    'Add two numbers.'\n    return a + b\n\n\
    async def double(n: int) -> int:\n    'Twice a number.'\n    return 2 * n\n";

const PLANNER: &str = "import dspy\n\nclass Planner(dspy.Module):\n    'Plans, then answers.'\n    \
    def __init__(self):\n        super().__init__()\n        \
    self.plan = dspy.ChainOfThought('question -> plan')\n        \
    self.answer = dspy.Predict('question, plan -> answer')\n        self.count = 0\n    \
    def forward(self, question):\n        self.count += 1\n        \
    plan = self.plan(question=question).plan\n        \
    answer = self.answer(question=question, plan=plan).answer\n        \
    return dspy.Prediction(plan=plan, answer=answer, count=self.count)\n";

fn in_home(home: &Home, name: &str, text: &str) -> String {
    let path = home.work().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// R37: registered tools are listed, called and used by an agent, and are there again
/// after the kernel's end; what asks is refused where nobody can be asked.
#[test]
fn tools_outlive_the_kernel() {
    let mut lines = Lines::new();
    let file = in_home(&lines.home, "helpers.py", TOOLS);
    let add = lines.ask("register_tool", json!({"file": file, "function": "add"}));
    lines.ask(
        "register_tool",
        json!({"file": file, "function": "double", "approval": "ask"}),
    );
    let call = json!({"name": "add", "arguments": {"a": 40}});
    let before = lines.ask("call_tool", call.clone());
    lines.ask("restart_kernel", json!({}));
    let after = lines.ask("call_tool", call);
    let agent = lines.ask(
        "execute_module",
        json!({"module": "ReAct", "signature": "question -> answer", "options": {"tools": ["add"]},
            "inputs": {"question": "Use add with a=40 and b=2. What is 40+2?"}}),
    );
    let twice = json!({"name": "double", "arguments": {"n": 4}});
    let nobody = lines.ask("call_tool", twice.clone());
    lines.ask(
        "set_tool_approval",
        json!({"name": "double", "approval": "allow"}),
    );
    let allowed = lines.ask("call_tool", twice.clone());
    lines.ask(
        "set_tool_approval",
        json!({"name": "double", "approval": "deny"}),
    );
    let denied = lines.ask("call_tool", twice);
    let unknown = lines.ask("remove_tool", json!({"name": "ad"}));
    lines.ask("remove_tool", json!({"name": "add"}));
    let gone = lines.ask("call_tool", json!({"name": "add", "arguments": {"a": 1}}));
    let listed = lines.ask("list_tools", json!({}));
    let lived = lines.live();
    assert_eq!(lived.result(add)["desc"], "Add two numbers.");
    assert_eq!(lived.result(before)["result"], 42);
    assert_eq!(lived.result(after)["result"], 42);
    assert!(lived.result(agent)["trajectory"]["thought_0"].is_string());
    assert_eq!(lived.error(nobody)["type"], "tool_refused");
    let message = lived.error(nobody)["message"].as_str().unwrap();
    assert!(
        message.contains("nobody can be asked here") && message.contains("set_tool_approval"),
        "{message}"
    );
    assert_eq!(lived.result(allowed)["result"], 8);
    assert!(
        lived.error(denied)["message"]
            .as_str()
            .unwrap()
            .contains("denied")
    );
    assert_eq!(lived.error(unknown)["recovery"]["near"], json!(["add"]));
    assert_eq!(lived.error(gone)["type"], "unknown_tool");
    let tools = lived.result(listed)["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 1);
    assert_eq!(lived.state.tools["double"].approval, Approval::Deny);
}

/// R37: an agent on a real MCP server over stdio, its tool calls in the trace.
#[test]
fn an_agent_uses_an_mcp_server() {
    let mut lines = Lines::new();
    let python = venv().join("bin/python").display().to_string();
    let added = lines.ask(
        "register_mcp_server",
        json!({"name": "time", "command": [python, "-m", "mcp_server_time"], "approval": "allow"}),
    );
    let called = lines.ask(
        "call_tool",
        json!({"name": "convert_time", "arguments":
            {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}}),
    );
    let agent = lines.ask(
        "execute_module",
        json!({"module": "ReAct", "signature": "question -> answer",
            "options": {"tools": ["get_current_time", "convert_time"], "max_iters": 3},
            "inputs": {"question": "Call get_current_time with timezone=\"UTC\". What time is it?"}}),
    );
    lines.ask("remove_mcp_server", json!({"name": "time"}));
    let lived = lines.live();
    assert_eq!(lived.result(added)["server"]["name"], "time");
    assert!(lived.result(called)["result"].to_string().contains("21:00"));
    let steps = lived.result(agent)["trajectory"].to_string();
    let run = lived
        .state
        .runs
        .values()
        .find(|run| run.operation.as_deref() == Some("execute_module"))
        .unwrap();
    let tool = run.spans.iter().find(|span| span.kind == "tool");
    assert!(tool.is_some(), "no tool was called: {steps}");
    assert!(lived.state.tools.is_empty(), "its tools went with it");
}

/// R13, R15, R34, R35: a module of a file by its name: run, nested in the trace, a program of it
/// keeps its state between runs.
#[test]
fn modules_of_files_run_by_name() {
    let mut lines = Lines::new();
    let file = in_home(&lines.home, "planner.py", PLANNER);
    let added = lines.ask("register_module", json!({"name": "planner", "file": file}));
    let inputs = json!({"question": "What is 12*7?"});
    let ran = lines.ask(
        "execute_module",
        json!({"module": "planner", "inputs": inputs}),
    );
    let commanded = lines.ask(
        "command",
        json!({"line": ":run planner question='What is 12*7?'"}),
    );
    lines.ask("create_program", json!({"name": "p", "module": "planner"}));
    lines.ask("execute_program", json!({"program": "p", "inputs": inputs}));
    let twice = lines.ask("execute_program", json!({"program": "p", "inputs": inputs}));
    let listed = lines.ask("list_dspy_modules", json!({}));
    let bad = in_home(
        &lines.home,
        "bad.py",
        "import dspy\n\nclass Bad(dspy.Module:\n    pass\n",
    );
    let broken = lines.ask("register_module", json!({"name": "bad", "file": bad}));
    let lived = lines.live();
    assert_eq!(lived.result(added)["class"], "Planner");
    assert_eq!(lived.result(ran)["count"], 1);
    assert!(lived.result(commanded).to_string().contains("count"));
    assert_eq!(lived.result(twice)["count"], 2);
    let modules = lived.result(listed)["modules"].as_array().unwrap();
    assert!(modules.iter().any(|module| module["name"] == "planner"));
    let message = lived.error(broken)["message"].as_str().unwrap();
    assert!(message.starts_with("line 3 of `bad.py`"), "{message}");
    let run = lived
        .state
        .runs
        .values()
        .find(|run| run.operation.as_deref() == Some("execute_module"))
        .unwrap();
    let tree: Vec<(u16, &str)> = run
        .tree()
        .into_iter()
        .filter(|span| span.kind == "module")
        .map(|span| (span.depth, span.name.as_str()))
        .collect();
    assert_eq!(
        tree,
        [
            (0, "Planner"),
            (1, "ChainOfThought"),
            (2, "Predict"),
            (1, "Predict")
        ]
    );
}

/// R34: a planner that thinks, a generator that runs code, and what it holds given back
/// when the workbench ends: each object once.
#[test]
fn a_module_of_a_file_runs_code_and_cleans_up() {
    let mut lines = Lines::new();
    // Not in the home of the session, which is gone with it.
    let kept = Home::new();
    let file = in_home(
        &kept,
        "coder.py",
        "import dspy\n\nclass Coder(dspy.Module):\n    'Plans, then computes.'\n    \
         made = 0\n    def __init__(self):\n        super().__init__()\n        \
         Coder.made += 1\n        self.number = Coder.made\n        \
         self.planner = dspy.ChainOfThought('question -> plan')\n        \
         self.generator = dspy.ProgramOfThought('question -> answer')\n    \
         def forward(self, question):\n        plan = self.planner(question=question).plan\n        \
         answer = self.generator(question=question).answer\n        \
         return dspy.Prediction(plan=plan, answer=answer, number=self.number)\n    \
         def cleanup(self):\n        with open(__file__ + '.closed', 'a') as file:\n            \
         print(self.number, file=file)\n",
    );
    lines.ask("register_module", json!({"name": "coder", "file": file}));
    lines.ask("create_program", json!({"name": "c", "module": "coder"}));
    let ran = lines.ask(
        "execute_program",
        json!({"program": "c", "inputs": {"question": "What is 12*7?"}}),
    );
    let open = lines.cell(&format!("open({file:?} + '.closed').read()"));
    let lived = lines.live();
    let result = lived.result(ran);
    assert!(result["answer"].to_string().contains("84"), "{result:#}");
    assert!(!result["plan"].as_str().unwrap().is_empty());
    let number = result["number"].as_u64().unwrap();
    let while_open = lived.value(open);
    assert!(!while_open.contains(&number.to_string()), "{while_open}");
    let closed = fs::read_to_string(format!("{file}.closed")).unwrap();
    let closed: Vec<u64> = closed.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(closed, (1..=number).collect::<Vec<_>>());
    let mut runs = lived.state.runs.values();
    let run = runs
        .rfind(|run| run.operation.as_deref() == Some("execute_program"))
        .unwrap();
    let tree: Vec<(u16, String)> = run
        .tree()
        .into_iter()
        .filter(|span| ["module", "interpreter"].contains(&span.kind.as_str()))
        .map(|span| (span.depth, span.name.clone()))
        .collect();
    let has = |depth: u16, name: &str| tree.iter().any(|it| it.0 == depth && it.1.contains(name));
    assert_eq!(tree[0], (0, "Coder".to_owned()), "{tree:?}");
    assert!(
        has(1, "ChainOfThought") && has(1, "ProgramOfThought"),
        "{tree:?}"
    );
    assert!(has(2, "execute"), "no code was run: {tree:?}");
}

/// R37: an async tool runs by itself and for an agent; the sample tool `run_tests` runs
/// pytest in a folder of its own and answers with what it said.
#[test]
fn async_tools_run_and_tests_are_run() {
    let mut lines = Lines::new();
    let file = in_home(&lines.home, "helpers.py", TOOLS);
    lines.ask("register_tool", json!({"file": file, "function": "double"}));
    let called = lines.ask(
        "call_tool",
        json!({"name": "double", "arguments": {"n": 21}}),
    );
    let agent = lines.ask(
        "execute_module",
        json!({"module": "ReAct", "signature": "question -> answer",
            "options": {"tools": ["double"], "max_iters": 3},
            "inputs": {"question": "Use double with n=21. What is 2*21?"}}),
    );
    let tester = lines.ask(
        "register_tool",
        json!({"sample": "run_tests", "approval": "allow"}),
    );
    let run = |body: &str| {
        let tests =
            "from solution import twice\n\n\ndef test_twice():\n    assert twice(21) == 42\n";
        let code = format!("def twice(n):\n    return {body}\n");
        json!({"name": "run_tests", "arguments": {"code": code, "tests": tests}})
    };
    let good = lines.ask("call_tool", run("2 * n"));
    let bad = lines.ask("call_tool", run("n"));
    let there = lines.cell("import os; sorted(os.listdir())");
    let lived = lines.live();
    assert_eq!(lived.value(there), "['helpers.py']");
    assert_eq!(lived.result(called)["result"], 42);
    let steps = &lived.result(agent)["trajectory"];
    assert_eq!(steps["tool_name_0"], "double", "{steps:#}");
    assert_eq!(steps["observation_0"], 42, "{steps:#}");
    assert_eq!(lived.result(tester)["name"], "run_tests");
    let said = |place: usize| lived.result(place)["result"].clone();
    assert_eq!(said(good)["passed"], true);
    assert!(said(good)["output"].to_string().contains("1 passed"));
    assert_eq!(said(bad)["passed"], false);
    assert!(said(bad)["output"].to_string().contains("assert 21 == 42"));
}

/// R113: a compiled program goes to a file; a second launch runs it without its optimizer.
#[test]
fn a_compiled_program_is_used_again_by_a_second_launch() {
    let home = Home::new();
    let path = home.work().join("t.json").display().to_string();
    let ask = |session: &str, requests: &[(&str, Value)]| -> Vec<Value> {
        let line = |(operation, arguments): &(&str, Value)| {
            json!({"operation": operation, "arguments": arguments}).to_string() + "\n"
        };
        let text: String = requests.iter().map(line).collect();
        let outcome = home.dspex_with_input(&["exec", "--jsonl", "--new", session], &text);
        let answers = outcome.stdout.lines();
        answers
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let demo = ("select_lm", json!({"name": "demo"}));
    let first = ask(
        "first",
        &[
            demo.clone(),
            ("load_dataset", json!({"shipped": "tickets"})),
            (
                "create_program",
                json!({"name": "t", "module": "Predict", "signature": "ticket -> category"}),
            ),
            (
                "optimize_prompt",
                json!({"program": "t", "dataset": "tickets"}),
            ),
            ("save_program", json!({"program": "t", "path": path})),
            ("save_program", json!({"program": "t", "path": "t.pkl"})),
        ],
    );
    assert_eq!(first[4]["ok"], true, "{:#}", first[4]);
    assert_eq!(first[5]["error"]["type"], "invalid_path");
    let saved: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(saved["format"], "dspex-program");
    let second = ask(
        "second",
        &[
            demo,
            ("load_program", json!({"path": path})),
            (
                "execute_program",
                json!({"program": "t", "inputs": {"ticket": "I was charged twice"}}),
            ),
            ("session_state", json!({})),
        ],
    );
    assert_eq!(second[1]["result"]["name"], "t", "{:#}", second[1]);
    assert!(
        second[2]["result"]["category"].is_string(),
        "{:#}",
        second[2]
    );
    assert_eq!(
        second[3]["result"]["totals"]["calls"], 1,
        "one call and no optimizer's"
    );
}

/// R60: a program of one session is unknown in another.
#[test]
fn programs_live_in_their_session() {
    let home = Home::new();
    let made = r#"{"name": "mine", "module": "Predict", "signature": "question -> answer"}"#;
    let run = r#"{"program": "mine", "inputs": {"question": "What is 1+1?"}, "lm": "demo"}"#;
    let a = home
        .dspex(&["exec", "create_program", made, "--new", "a"])
        .json();
    assert_eq!(a["ok"], true, "{a:#}");
    let b = home
        .dspex(&["exec", "execute_program", run, "--new", "b"])
        .json();
    assert_eq!(b["error"]["type"], "unknown_program", "{b:#}");
    let again = home
        .dspex(&["exec", "execute_program", run, "--session", "a"])
        .json();
    assert_eq!(again["result"]["answer"], "2", "{again:#}");
}

/// R37: in the REPL a call waits for the person, who sees its exact arguments.
#[test]
fn the_repl_asks_before_a_call() {
    let home = Home::new();
    in_home(&home, "helpers.py", TOOLS);
    let mut terminal = Terminal::dspex(&home, &["repl"], 100, 30);
    terminal.wait_for("[1] ");
    let mut enter = |text: &str, wait: &str| {
        terminal.send(text).send(keys::ENTER).wait_for(wait);
    };
    enter(":tool add add file=helpers.py approval=ask", "[2] ");
    enter(
        ":tool call add a=40 b=2",
        r#"allow add {"a":40,"b":2}? [y]es"#,
    );
    enter("y", "[3] ");
    enter(":tool call add a=1", r#"allow add {"a":1}? [y]es"#);
    enter("n", "the user refused `add`");
    enter(":quit", "");
    assert!(terminal.screen().contains("42"));
    assert_eq!(terminal.wait_exit().exit_code(), 0);
}

/// R37: so does the full screen, in a window; the run stands still and then goes on.
#[test]
fn the_screen_asks_before_a_call() {
    let home = Home::new();
    in_home(&home, "helpers.py", TOOLS);
    let mut terminal = Terminal::dspex(&home, &[], 110, 34);
    terminal.wait_for("Write ordinary DSPy code below");
    let mut enter = |text: &str, wait: &str| {
        terminal.send(text).send(keys::ENTER).wait_for(wait);
    };
    enter(
        ":tool add add file=helpers.py approval=ask",
        "add(a, b)  ask",
    );
    enter(":tool call add a=40 b=2", "Allow add?");
    terminal.wait_for("\"a\": 40");
    terminal.send("y").wait_for("42").wait_gone("Allow add?");
    terminal
        .send(":tool call add a=1")
        .send(keys::ENTER)
        .wait_for("Allow add?");
    terminal
        .send("n")
        .wait_for("the user refused")
        .wait_gone("Allow add?");
    terminal.send(":quit").send(keys::ENTER);
    assert_eq!(terminal.wait_exit().exit_code(), 0);
}

/// Values of options are data, whatever they are: no wrong one panics or passes.
#[test]
fn bad_requests_on_tools_are_answered() {
    let mut lines = Lines::new();
    let requests = [
        ("register_tool", json!({})),
        ("register_tool", json!({"file": "no.py"})),
        ("register_tool", json!({"function": "nothing_here"})),
        ("register_mcp_server", json!({"name": "x"})),
        (
            "register_mcp_server",
            json!({"name": "x", "url": "ftp://x"}),
        ),
        ("register_module", json!({"name": "x", "file": "no.py"})),
        ("answer_approval", json!({"decision": "allow"})),
        ("load_program", json!({"path": "no.json"})),
        ("remove_module", json!({"name": "x"})),
        ("remove_mcp_server", json!({"name": "x"})),
    ];
    let places: Vec<usize> = requests
        .iter()
        .map(|(operation, arguments)| lines.ask(operation, arguments.clone()))
        .collect();
    let lived = lines.live();
    for place in places {
        let error: &Value = lived.error(place);
        assert_ne!(error["class"], "internal", "{error:#}");
    }
}
