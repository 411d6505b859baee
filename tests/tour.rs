//! The five-minute tour of the README, driven in a real terminal against the
//! real binary, DSPy and the demo LM. `UPDATE=1` puts the captured screens into
//! the README; they hold times and ids, so they are not compared.

use crate::support::Home;
use crate::support::readme::{Step, capture_section};
use crate::support::terminal::{Terminal, keys};

const CATEGORIES: &str = "Literal['badger', 'falcon', 'heron', 'otter']";

fn tour(columns: u16, rows: u16) -> Vec<Step> {
    let home = Home::new();
    let mut steps = Vec::new();
    let mut terminal = Terminal::dspex(&home, &["--new", "tour"], columns, rows);
    let mut step = |terminal: &mut Terminal, title, text: &str| {
        steps.push(Step::of(terminal, title, text));
    };
    terminal
        .wait_for("Write ordinary DSPy code")
        .wait_for("ready");
    step(
        &mut terminal,
        "Open it",
        "`make run` opens the workbench on the demo LM.",
    );

    terminal
        .send("qa = dspy.ChainOfThought(\"question -> answer\")")
        .send(keys::ENTER);
    terminal.wait_for("[1]");
    terminal
        .send("qa(question=\"What is 12*7?\")")
        .send(keys::ENTER);
    terminal
        .wait_for("│ answer     84")
        .wait_gone("Ctrl-C stop");
    step(
        &mut terminal,
        "Ask something",
        "Type ordinary DSPy code and press Enter. The answer appears below the cell, the calls it \
         made on the right, with the exact messages of the LM call under them.",
    );

    terminal
        .send(keys::F3)
        .wait_for("All interactions will be structured")
        .wait_for("add field");
    step(
        &mut terminal,
        "See the prompt before it is sent",
        "F3 edits a signature. The right side is the prompt DSPy would send, at every key; `→` \
         changes the adapter, `x` tries it.",
    );
    terminal.send(keys::ESCAPE).wait_for("Enter run");

    terminal
        .send(":data load tickets")
        .send(keys::ENTER)
        .wait_for("60 examples");
    let program =
        format!(":program new triage ChainOfThought \"ticket -> category: {CATEGORIES}\"");
    terminal
        .send(&program)
        .send(keys::ENTER)
        .wait_for("triage v1");
    terminal
        .send(":optimize triage tickets")
        .send(keys::ENTER)
        .wait_for("→");
    terminal
        .send(keys::F5)
        .wait_for("BootstrapFewShot")
        .wait_for("n start")
        .wait_gone("Ctrl-C stop");
    step(
        &mut terminal,
        "Optimise a program and watch the score",
        &format!(
            "`:data load tickets`, then `:program new triage ChainOfThought \"ticket -> category: \
             {CATEGORIES}\"`, then `:optimize triage tickets`, and F5."
        ),
    );
    terminal.send(keys::ESCAPE).wait_for("Enter run");
    terminal.send(keys::CTRL_Q);
    assert!(terminal.wait_exit().success());

    let mut terminal = Terminal::dspex(&home, &["replay", "tour"], columns, rows);
    terminal.wait_for("REPLAY");
    step(
        &mut terminal,
        "Replay it tomorrow",
        "`dspex-tui replay latest` needs neither Python nor a network. Space plays, `←` and `→` \
         step, `g` jumps.",
    );
    terminal.send("q");
    assert!(terminal.wait_exit().success());
    steps
}

/// The tour works at 120 columns; under `UPDATE=1` its screens go to the README.
#[test]
fn the_tour_of_the_readme_at_120_by_36() {
    capture_section("tour", &tour(120, 36));
}

/// The same at 80 columns, where one pane shows at a time.
#[test]
fn the_tour_of_the_readme_at_80_by_24() {
    assert_eq!(tour(80, 24).len(), 5);
}
