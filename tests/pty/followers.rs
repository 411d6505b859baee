//! Two windows on one session: the second follows the first, sees what it sees, and can
//! answer what it is asked.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::Home;
use crate::support::stub_lm::{Scripted, StubLm};
use crate::support::terminal::{Terminal, keys};

const TOOLS: &str = "def launch(target: str, countdown: int = 3) -> str:\n    \
                     \"Launches it.\"\n    return f'launched {target} after {countdown}'\n";

/// A window that holds a session, and one that follows it.
fn two(home: &Home, columns: u16, rows: u16) -> (Terminal, Terminal) {
    let mut holder = Terminal::dspex(home, &["--new", "shared"], columns, rows);
    holder.wait_for("Write ordinary DSPy code below");
    holder.wait_for("● ready");
    let follower = follow(home, columns, rows);
    (holder, follower)
}

fn follow(home: &Home, columns: u16, rows: u16) -> Terminal {
    let mut follower = Terminal::dspex(home, &["--session", "shared"], columns, rows);
    follower.wait_for("following");
    follower
}

fn enter(terminal: &mut Terminal, line: &str) {
    terminal.send(line).send(keys::ENTER);
}

/// Registers a tool that asks.
fn with_tool(home: &Home, holder: &mut Terminal) {
    std::fs::write(home.work().join("helpers.py"), TOOLS).unwrap();
    enter(holder, ":tool add launch file=helpers.py approval=ask");
    holder.wait_for("launch(target, countdown)  ask");
}

/// R37: a call that asks is shown in both windows with its exact arguments; whichever
/// answers first decides, and the other one is told.
#[test]
fn a_call_is_allowed_from_either_window() {
    let home = Home::new();
    let (mut holder, mut follower) = two(&home, 110, 34);
    with_tool(&home, &mut holder);
    enter(&mut holder, ":tool call launch target=moon countdown=7");
    for window in [&mut holder, &mut follower] {
        window
            .wait_for("Allow launch?")
            .wait_for("\"target\": \"moon\"")
            .wait_for("\"countdown\": 7");
    }
    follower.send("y").wait_gone("Allow launch?");
    holder
        .wait_gone("Allow launch?")
        .wait_for("`launch` was allowed in another window")
        .wait_for("launched moon after 7");
    follower.wait_for("launched moon after 7");

    // The other way round: asked for by the follower, refused by the holder.
    enter(&mut follower, ":tool call launch target=mars");
    follower.wait_for("Allow launch?");
    holder.wait_for("\"mars\"").send("n");
    follower
        .wait_for("`launch` was refused in another window")
        .wait_gone("Allow launch?")
        .wait_for("the user refused");
    holder.wait_for("the user refused");
    assert!(!holder.screen().contains("launched mars"));
}

/// An agent's calls wait in both windows; `a` in the follower allows the rest of its run.
#[test]
fn a_follower_allows_a_tool_for_the_rest_of_a_run() {
    let home = Home::new();
    let (mut holder, mut follower) = two(&home, 110, 34);
    with_tool(&home, &mut holder);
    enter(
        &mut holder,
        ":run ReAct question -> answer tools=[\"launch\"] max_iters=3 \
         question='Call launch with target=\"moon\". What did it say?'",
    );
    follower.wait_for("Allow launch?").wait_for("\"moon\"");
    follower.send("a");
    follower.wait_gone("Allow launch?");
    holder.wait_gone("Allow launch?").wait_for("launched moon");
    holder.wait_gone("Ctrl-C stop");
    follower.wait_gone("Ctrl-C stop");
}

/// `input()` of a cell is asked for in both windows, and answered in either.
#[test]
fn input_is_answered_from_the_following_window() {
    let home = Home::new();
    let (mut holder, mut follower) = two(&home, 100, 30);
    enter(
        &mut holder,
        "print('hello', input('name? '), input('and? '))",
    );
    holder.wait_for("[1] name?");
    follower.wait_for("[1] name?");
    enter(&mut follower, "Ada");
    holder.wait_for("[1] and?");
    follower.wait_for("[1] and?");
    enter(&mut holder, "Grace");
    follower.wait_for("hello Ada Grace").wait_gone("[1] and?");
    holder.wait_for("hello Ada Grace");
}

/// With the first window closed the run goes on, and the second one is asked.
#[test]
fn a_run_without_a_window_asks_the_one_that_follows() {
    let home = Home::new();
    let (mut holder, mut follower) = two(&home, 110, 34);
    with_tool(&home, &mut holder);
    enter(
        &mut holder,
        "import os, time; [time.sleep(0.05) for _ in iter(lambda: os.path.exists('go'), True)]",
    );
    holder.wait_for("Ctrl-C stop");
    enter(&mut follower, ":tool call launch target=moon");
    follower.wait_for("Allow launch?");
    holder.wait_for("Allow launch?").hang_up();
    // Nothing is refused: somebody can still be asked.
    follower.send("y").wait_for("launched moon after 3");
    enter(&mut follower, ":tool call launch target=mars");
    follower.wait_for("Allow launch?").wait_for("\"mars\"");
    follower.send("n").wait_for("the user refused");
    std::fs::write(home.work().join("go"), "").unwrap();
    assert_eq!(holder.wait_exit().exit_code(), 129);
    follower.wait_gone("following");
    enter(&mut follower, "6*7");
    follower.wait_for("     42");
}

/// With three windows, one of those that follow takes the session over when the holder
/// ends, and the other follows it.
#[test]
fn the_second_of_two_followers_follows_the_first() {
    let home = Home::new();
    let (mut holder, mut second) = two(&home, 100, 30);
    let mut third = follow(&home, 100, 30);
    holder.send(keys::CTRL_Q);
    assert_eq!(holder.wait_exit().exit_code(), 0);
    enter(&mut second, "6*7");
    second.wait_for("     42");
    third.wait_for("     42");
    enter(&mut third, "6*8");
    third.wait_for("     48");
    second.wait_for("     48");
    let follows = |window: &Terminal| window.screen().contains("following");
    assert!(follows(&second) != follows(&third), "{}", second.screen());
}

/// Both windows show the tokens of a running call as they come.
#[test]
fn tokens_are_seen_as_they_come_in_both_windows() {
    let permits = Arc::new(Semaphore::new(0));
    let steps = Arc::clone(&permits);
    let pieces = Scripted::pieces(&[
        "[[ ## answer ## ]]\n",
        "first-words ",
        "second-words ",
        "last-words\n\n[[ ## completed ## ]]",
    ]);
    let server = StubLm::start(move |_, _| Scripted::Stepped(pieces.clone(), Arc::clone(&steps)));
    let mut home = Home::new();
    home.set("OPENAI_API_KEY", "sk-local-0123456789abcdef");
    let profile = json!({"provider": "openai", "name": "stub", "model": "stub",
        "api_base": server.base(), "num_retries": 0});
    let (mut holder, mut follower) = two(&home, 120, 36);
    home.dspex(&[
        "exec",
        "configure_lm",
        &profile.to_string(),
        "--session",
        "shared",
    ])
    .success();
    enter(
        &mut holder,
        ":run Predict question -> answer lm=stub question=hello",
    );
    follower.wait_for("Ctrl-C stop");
    permits.add_permits(2);
    holder.wait_for("first-words");
    follower.wait_for("first-words");
    assert!(!follower.screen().contains("second-words"));
    permits.add_permits(1);
    holder.wait_for("second-words");
    follower.wait_for("second-words");
    permits.add_permits(3);
    holder.wait_for("last-words").wait_gone("Ctrl-C stop");
    follower.wait_for("last-words").wait_gone("Ctrl-C stop");
    // One call, watched by two.
    assert_eq!(server.received().len(), 1);
}
