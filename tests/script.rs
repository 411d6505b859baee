//! `dspex-tui run FILE`: unmodified DSPy scripts on the demo LM, from the real
//! binary, in a real worker; then their replay.

use crate::support::{Home, project};

fn script(name: &str) -> String {
    project()
        .join("tests/scripts")
        .join(name)
        .display()
        .to_string()
}

/// R138: a two-module RAG program with a typed signature, Evaluate and
/// BootstrapFewShot runs unmodified, and its session replays.
#[test]
fn an_unmodified_rag_script_runs_and_replays() {
    let home = Home::new();
    let outcome = home.dspex(&[
        "run",
        &script("rag.py"),
        "--route-all-to",
        "demo",
        "--new",
        "rag",
    ]);
    let printed = outcome.success();
    assert!(
        printed.contains("before ") && printed.contains("after "),
        "{printed}"
    );
    let replayed = home.dspex(&["replay", "rag", "--plain"]);
    let text = replayed.success();
    for seen in ["BootstrapFewShot", "RAG", "ChainOfThought", "before "] {
        assert!(
            text.contains(seen),
            "the replay does not show {seen}:\n{text}"
        );
    }
}

/// R28: a ReAct agent with a plain and an asynchronous tool.
#[test]
fn an_unmodified_agent_script_runs() {
    let home = Home::new();
    let outcome = home.dspex(&[
        "run",
        &script("agent.py"),
        "--route-all-to",
        "demo",
        "--new",
        "agent",
    ]);
    let printed = outcome.success();
    assert!(printed.contains("steps)"), "{printed}");
    let replayed = home.dspex(&["replay", "agent", "--plain"]);
    assert!(replayed.success().contains("price_of"));
}

/// A script's own callbacks work, with starts and ends that match.
#[test]
fn an_unmodified_script_with_callbacks_runs() {
    let home = Home::new();
    let outcome = home.dspex(&["run", &script("callbacks.py"), "--route-all-to", "demo"]);
    let printed = outcome.success();
    assert!(printed.contains("modules 2 lm calls 4"), "{printed}");
    assert!(printed.contains("open 0 failures 0"), "{printed}");
}

/// R138: an error stops the script, names its line and gives exit code 1; what
/// was printed before it is on standard output.
#[test]
fn an_error_stops_the_script_and_names_its_line() {
    let home = Home::new();
    let file = home.work().join("bad.py");
    std::fs::write(
        &file,
        "# %%\nprint('first')\n# %%\n\nundefined\n# %%\nprint('never')\n",
    )
    .unwrap();
    let outcome = home.dspex(&["run", "bad.py"]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.stdout, "first\n");
    assert!(outcome.stderr.contains("NameError"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("bad.py:5"), "{}", outcome.stderr);
}

/// A script has its file, its folder and its arguments.
#[test]
fn a_script_knows_its_file_folder_and_arguments() {
    let home = Home::new();
    std::fs::write(home.work().join("helper.py"), "VALUE = 7\n").unwrap();
    let source = "import sys, os, helper\n\
                  print(os.path.basename(__file__), sys.argv[1:], helper.VALUE, __name__)\n";
    std::fs::write(home.work().join("main.py"), source).unwrap();
    let outcome = home.dspex(&["run", "main.py", "--", "a", "-b"]);
    assert_eq!(outcome.success(), "main.py ['a', '-b'] 7 __main__\n");
}

/// A command script mixes `:commands` and Python.
#[test]
fn a_command_script_runs_commands_and_python() {
    let home = Home::new();
    let script = ":cot \"question -> answer\" question=\"What is 12*7?\"\nx = 6\nprint(x * 7)\n";
    std::fs::write(home.work().join("steps.dspex"), script).unwrap();
    let outcome = home.dspex(&["run", "steps.dspex"]);
    let printed = outcome.success();
    assert!(
        printed.contains("84") && printed.contains("42"),
        "{printed}"
    );
}

/// A missing file is one sentence, and leaves no session behind.
#[test]
fn a_missing_file_leaves_no_session() {
    let home = Home::new();
    let outcome = home.dspex(&["run", "nope.py"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("there is no file"));
    assert_eq!(home.dspex(&["sessions"]).success().trim(), "none");
}

/// The line is that of the innermost frame in the script, whatever its cell.
#[test]
fn an_error_in_an_earlier_cell_is_named_there() {
    let home = Home::new();
    let script = "# %%\nprint('one')\n# %% [markdown]\n# text\n# %%\n\ndef f():\n    return 1 / 0\n\
                  # %%\nf()\n# %%\nprint('never')\n";
    std::fs::write(home.work().join("cells.py"), script).unwrap();
    let outcome = home.dspex(&["run", "cells.py"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), "one\n"));
    let place = "cells.py:8: ZeroDivisionError: division by zero";
    assert!(outcome.stderr.contains(place), "{}", outcome.stderr);
}

#[test]
fn a_script_may_choose_its_exit_code() {
    let home = Home::new();
    std::fs::write(home.work().join("exit.py"), "import sys\nsys.exit(3)\n").unwrap();
    let outcome = home.dspex(&["run", "exit.py"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(3), ""));
    assert!(!outcome.stderr.contains("Traceback"), "{}", outcome.stderr);
}

/// A near name is offered, and what a command answers is data.
#[test]
fn a_wrong_file_name_has_neighbours() {
    let home = Home::new();
    std::fs::write(home.work().join("train.py"), "").unwrap();
    let outcome = home.dspex(&["run", "trian.py"]);
    assert!(
        outcome.stderr.contains("did you mean: train.py"),
        "{}",
        outcome.stderr
    );
}
