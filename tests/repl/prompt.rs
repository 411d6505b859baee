//! The prompt, on a real terminal.

use nix::sys::signal::Signal;

use crate::support::Home;
use crate::support::terminal::{Terminal, keys};

fn open(home: &Home) -> Terminal {
    let mut terminal = Terminal::dspex(home, &["repl"], 100, 30);
    terminal.wait_for("[1] ");
    terminal
}

fn enter(terminal: &mut Terminal, text: &str) {
    terminal.send(text).send(keys::ENTER);
}

/// R24: a cell, a block over several lines, a command, and the sum of its calls.
#[test]
fn a_person_types_cells_and_commands() {
    let home = Home::new();
    let mut terminal = open(&home);
    enter(&mut terminal, "6 * 7");
    terminal.wait_for("42").wait_for("[2] ");
    // Lines after the first are indented by themselves; an empty one ends the block.
    enter(&mut terminal, "for i in range(2):");
    enter(&mut terminal, "print('n', i)");
    enter(&mut terminal, "");
    terminal.wait_for("n 0").wait_for("n 1").wait_for("[3] ");
    enter(
        &mut terminal,
        ":cot question -> answer question=\"What is 12*7?\"",
    );
    terminal
        .wait_for("answer     84")
        .wait_for("1 call · ")
        .wait_for("[4] ");
    terminal.send("\u{4}");
    assert_eq!(terminal.wait_exit().exit_code(), 0);
}

#[test]
fn tab_completes_commands_and_python() {
    let home = Home::new();
    let mut terminal = open(&home);
    enter(&mut terminal, "remarkable = 'yes' + '!'");
    terminal.wait_for("[2] ");
    terminal.send("remark\t").wait_for("[2] remarkable");
    terminal
        .send(keys::ENTER)
        .wait_for("'yes!'")
        .wait_for("[3] ");
    terminal
        .send(":health\u{1}\u{b}:heal\t")
        .wait_for(":health");
    terminal.send("\u{1}\u{b}:quit").send(keys::ENTER);
    assert_eq!(terminal.wait_exit().exit_code(), 0);
}

#[test]
fn a_cell_may_ask_and_is_answered_at_the_prompt() {
    let home = Home::new();
    let mut terminal = open(&home);
    enter(&mut terminal, "name = input('who? '); print('hello', name)");
    // On a line of its own: not the cell that asks.
    terminal.wait_for("\nwho? ");
    enter(&mut terminal, "Ada");
    terminal.wait_for("hello Ada").wait_for("[2] ");
    enter(
        &mut terminal,
        "import getpass; p = getpass.getpass('secret? '); print(len(p))",
    );
    terminal.wait_for("\nsecret? ");
    enter(&mut terminal, "swordfish");
    terminal.wait_for("[3] ");
    assert!(
        !terminal.screen().contains("swordfish"),
        "{}",
        terminal.screen()
    );
    assert!(terminal.screen().contains("\n9"), "{}", terminal.screen());
}

/// Ctrl-C stops the cell and leaves the REPL; on the prompt it drops the line.
#[test]
fn ctrl_c_stops_the_cell_only() {
    let home = Home::new();
    let mut terminal = open(&home);
    enter(
        &mut terminal,
        "import time; print('be' + 'gun'); time.sleep(600)",
    );
    terminal.wait_for("begun");
    terminal
        .send("\u{3}")
        .wait_for("KeyboardInterrupt")
        .wait_for("[2] ");
    terminal.send("half a li\u{3}");
    terminal.wait_until("a fresh prompt", |screen| {
        screen.contents().matches("[2]").count() == 2
    });
    enter(&mut terminal, "print('al' + 'ive')");
    terminal.wait_for("alive");
}

#[test]
fn history_is_there_the_next_time() {
    let home = Home::new();
    let mut terminal = open(&home);
    enter(&mut terminal, "'to be' + ' remembered'");
    terminal.wait_for("'to be remembered'").wait_for("[2] ");
    terminal.send("\u{4}").wait_exit();
    let mut terminal = open(&home);
    terminal.send(keys::UP).wait_for("'to be' + ' remembered'");
}

/// R94: a signal ends it with its code and gives the terminal back.
#[test]
fn sigterm_ends_it_and_restores_the_terminal() {
    let home = Home::new();
    let mut terminal = open(&home);
    terminal.signal(Signal::SIGTERM);
    assert_eq!(terminal.wait_exit().exit_code(), 143);
}
