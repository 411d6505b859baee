//! The five-minute tour of the README, driven in a real terminal against the
//! real binary, DSPy and the demo LM. `UPDATE=1` puts the captured screens into
//! the README; they hold times and ids, so they are not compared.

use std::fmt::Write as _;

use crate::support::Home;
use crate::support::readme::check_section;
use crate::support::terminal::{Terminal, keys};

const CATEGORIES: &str = "Literal['badger', 'falcon', 'heron', 'otter']";

/// One step: what to say about it and the screen it led to.
struct Step {
    title: &'static str,
    text: String,
    screen: String,
}

fn tour(columns: u16, rows: u16) -> Vec<Step> {
    let home = Home::new();
    let mut steps = Vec::new();
    let mut terminal = Terminal::dspex(&home, &["--new", "tour"], columns, rows);
    let mut step = |terminal: &Terminal, title, text: &str| {
        steps.push(Step {
            title,
            text: text.to_owned(),
            screen: terminal.screen(),
        });
    };
    terminal
        .wait_for("Write ordinary DSPy code")
        .wait_for("ready");
    step(
        &terminal,
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
    terminal.wait_for("84");
    terminal.wait_for("Predict");
    step(
        &terminal,
        "Ask something",
        "Type ordinary DSPy code and press Enter. The answer appears below the cell, the calls it \
         made on the right, with the exact messages of the LM call under them.",
    );

    terminal
        .send(keys::F3)
        .wait_for("All interactions will be structured")
        .wait_for("add field");
    step(
        &terminal,
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
        .wait_for("n start");
    step(
        &terminal,
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
        &terminal,
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
    let steps = tour(120, 36);
    if std::env::var_os("UPDATE").is_some() {
        let mut text = String::new();
        for (number, step) in steps.iter().enumerate() {
            let Step {
                title,
                text: about,
                screen,
            } = step;
            let screen: Vec<&str> = screen.lines().map(str::trim_end).collect();
            let number = number + 1;
            let _ = writeln!(text, "**{number}. {title}.** {about}\n\n```text");
            let _ = writeln!(text, "{}\n```\n", screen.join("\n").trim_end());
        }
        check_section("tour", &text);
    }
}

/// The same at 80 columns, where one pane shows at a time.
#[test]
fn the_tour_of_the_readme_at_80_by_24() {
    assert_eq!(tour(80, 24).len(), 5);
}
