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

/// What is typed before the question is printed is its answer, whether the line editor or
/// the terminal had it; and what comes after it is the next cell.
#[test]
fn an_answer_may_be_typed_ahead() {
    let home = Home::new();
    let mut terminal = open(&home);
    // In one go with the cell: the line editor has read it all.
    terminal.send("name = input('who? '); print('hello', name)\rAda\r'ne' + 'xt'\r");
    terminal
        .wait_for("who? Ada")
        .wait_for("hello Ada")
        .wait_for("'next'")
        .wait_for("[3] ");
    // While the cell runs: the terminal has it.
    enter(
        &mut terminal,
        "import os; print('be' + 'gun'); [None for _ in iter(lambda: os.path.exists('go'), True)]; \
         print('hello', input('who? '), input('and? '))",
    );
    terminal.wait_for("begun").send("Grace\rAlan\r");
    terminal.wait_for("Alan");
    std::fs::write(home.work().join("go"), "").unwrap();
    terminal.wait_for("hello Grace Alan").wait_for("[4] ");
    // History has cells and no answers; a question has no history.
    terminal.send(keys::UP).wait_for("[4] import os");
    terminal.send(keys::UP).wait_for("[4] 'ne' + 'xt'");
}

/// Whether a tool may be called is never answered by what was typed before.
#[test]
fn a_call_is_not_allowed_ahead() {
    let home = Home::new();
    std::fs::write(
        home.work().join("helpers.py"),
        "def add(a: int, b: int = 1) -> int:\n    \"Adds.\"\n    return a + b\n",
    )
    .unwrap();
    let mut terminal = open(&home);
    enter(&mut terminal, ":tool add add file=helpers.py approval=ask");
    terminal.wait_for("[2] ");
    terminal.send(":tool call add a=40 b=2\ry\r");
    terminal.wait_for(r#"allow add {"a":40,"b":2}? [y]es"#);
    enter(&mut terminal, "n");
    terminal.wait_for("the user refused `add`");
}

/// R37: a call that waits is told at the prompt where another window made it, and its
/// question is taken back when another window answers.
#[test]
fn a_prompt_and_a_window_share_what_waits() {
    let home = Home::new();
    std::fs::write(
        home.work().join("helpers.py"),
        "def add(a: int, b: int = 1) -> int:\n    \"Adds.\"\n    return a + b\n",
    )
    .unwrap();
    let mut prompt = Terminal::dspex(&home, &["repl", "--new", "shared"], 110, 30);
    prompt.wait_for("[1] ");
    enter(&mut prompt, ":tool add add file=helpers.py approval=ask");
    prompt.wait_for("[2] ");
    let mut window = Terminal::dspex(&home, &["--session", "shared"], 110, 30);
    window.wait_for("following");
    enter(&mut window, ":tool call add a=40 b=2");
    window.wait_for("Allow add?");
    prompt.wait_for(r#"add {"a":40,"b":2} waits for approval: `:approve`"#);
    enter(&mut prompt, ":approve");
    window
        .wait_for("`add` was allowed in another window")
        .wait_for("42");
    // Asked at the prompt, answered in the window.
    enter(&mut prompt, ":tool call add a=1");
    prompt.wait_for(r#"allow add {"a":1}? [y]es"#);
    window.wait_for("\"a\": 1").send("n");
    prompt.wait_for("`add` was refused in another window; press Enter");
    prompt.send(keys::ENTER).wait_for("the user refused `add`");
    enter(&mut prompt, "'still' + ' here'");
    prompt.wait_for("'still here'");
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
