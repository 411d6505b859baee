//! A canary key is used, echoed, printed and hunted for: it is nowhere to be found.

use std::path::Path;

use super::*;
use crate::support::stub_lm::{Scripted, StubLm};

/// In the workbench's environment.
const MANAGED: &str = "sk-canary-managed-0123456789abcdef";
/// As a literal in a cell; looks like no provider's key.
const LITERAL: &str = "canary-literal-two-2";

/// A server that refuses and says whom it refused, key and all.
fn spiteful() -> StubLm {
    StubLm::start(|_, request| {
        let key = request
            .header("authorization")
            .unwrap_or_default()
            .to_owned();
        Scripted::error(401, &format!("Incorrect API key provided: {key}"))
    })
}

/// Every file under `dir` that contains `needle`.
fn files_with(dir: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_with(&path, needle));
        } else if kind.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let holds = bytes
                .windows(needle.len())
                .any(|part| part == needle.as_bytes());
            found.extend(holds.then(|| path.display().to_string()));
        }
    }
    found
}

/// R5: a key that was used, refused, echoed, printed and lost with its worker is in no
/// file, in nothing printed, and in no worker.
#[test]
fn a_key_leaves_no_trace() {
    let stub = spiteful();
    let mut home = Home::new();
    home.set("OPENAI_API_KEY", MANAGED).set("RUST_LOG", "trace");
    let mut exec = Exec::start(&home, &["--new", "canary"]);
    exec.done(
        "configure_lm",
        json!({"provider": "openai", "model": "stub", "name": "here",
               "api_base": stub.base(), "api_key_env": "OPENAI_API_KEY", "num_retries": 0}),
    );
    let refused = exec.ask(
        "execute_module",
        json!({"module": "Predict", "signature": "question -> answer", "inputs": {"question": "q"}}),
    );
    assert_eq!(refused["ok"], json!(false), "{refused}");
    assert!(
        refused.to_string().contains("***"),
        "the echo is hidden: {refused}"
    );
    exec.cell("import os, subprocess\nprint(dict(os.environ))\nsubprocess.run(['env'])");
    let source = format!(
        "import dspy\nmine = dspy.LM('openai/stub', api_base='{}', api_key='{LITERAL}', num_retries=0)\nmine('hello')",
        stub.base()
    );
    let refused = exec.cell_fails(&source);
    exec.cell("print(mine.kwargs)\nmine.kwargs");
    assert!(outputs(&home, "canary", refused).contains("***"));
    exec.cell_fails(&format!("raise ValueError('{MANAGED}')"));
    let worker = std::fs::read(format!("/proc/{}/environ", exec.kernel_pid())).unwrap();
    assert!(!String::from_utf8_lossy(&worker).contains("canary"));
    exec.ask("run_cell", json!({"source": "os.abort()"}));
    exec.done("list_lms", json!({}));
    let (_, printed) = exec.close();

    let sent: Vec<_> = stub
        .received()
        .iter()
        .filter_map(|request| request.header("authorization").map(str::to_owned))
        .collect();
    assert!(sent.contains(&format!("Bearer {MANAGED}")), "{sent:?}");
    assert!(sent.contains(&format!("Bearer {LITERAL}")), "{sent:?}");
    for needle in [MANAGED, LITERAL] {
        assert!(!printed.contains(needle), "printed: {printed}");
        assert_eq!(files_with(home.root(), needle), Vec::<String>::new());
    }
    for format in ["--plain", "--json"] {
        let outcome = home.dspex(&["replay", "canary", format]);
        assert!(!outcome.success().contains("canary-managed"));
        assert!(!outcome.stdout.contains(LITERAL));
    }
}

/// A request with a worker's token to another host carries no key: it is refused.
#[test]
fn a_token_is_worth_nothing_elsewhere() {
    let (own, other) = (spiteful(), spiteful());
    let mut home = Home::new();
    home.set("OPENAI_API_KEY", MANAGED);
    let mut exec = Exec::start(&home, &["--new", "elsewhere"]);
    exec.done(
        "configure_lm",
        json!({"provider": "openai", "model": "stub", "name": "here",
               "api_base": own.base(), "api_key_env": "OPENAI_API_KEY"}),
    );
    let source = format!(
        "import dspy, os\ndspy.LM('openai/stub', api_base='{}'.replace('127.0.0.1', 'localhost'), api_key=os.environ['OPENAI_API_KEY'], num_retries=0)('hello')",
        other.base()
    );
    let refused = exec.cell_fails(&source);
    let told = outputs(&home, "elsewhere", refused);
    assert!(told.contains("LMAuthError"), "{told}");
    for request in other.received() {
        assert!(!format!("{request:?}").contains("canary"));
    }
}
