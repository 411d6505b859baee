//! The guard of the terminal alone: given back on drop, on a panic, and taken again.
//!
//! The program on the terminal is this test binary itself, started again as one of
//! the children below.

use dspex_tui::terminal::Guard;
use portable_pty::CommandBuilder;

use super::endings::assert_restored;
use crate::support::Home;
use crate::support::terminal::{Terminal, keys};

/// What the programs say when the terminal is theirs.
const TAKEN: &str = "the terminal is taken";

/// Runs one of this module's ignored tests on a terminal of its own.
fn alone(home: &Home, test: &str) -> Terminal {
    let mut program = CommandBuilder::new(std::env::current_exe().unwrap());
    let name = format!("pty::guard::{test}");
    program.args(["--exact", &name, "--ignored", "--nocapture"]);
    Terminal::start(home, program, 80, 24)
}

fn take() -> Guard {
    let mut guard = Guard::take().unwrap();
    show(&mut guard, TAKEN);
    guard
}

fn show(guard: &mut Guard, text: &str) {
    let draw = |frame: &mut ratatui::Frame| frame.render_widget(text, frame.area());
    guard.draw(draw).unwrap();
}

/// Waits for a key, which needs no Enter while the terminal is ours.
fn key() {
    std::io::Read::read_exact(&mut std::io::stdin(), &mut [0]).unwrap();
}

/// Whoever drops the guard has the terminal back.
#[test]
fn dropping_the_guard_restores_the_terminal() {
    let home = Home::new();
    let mut terminal = alone(&home, "drops");
    terminal.wait_for(TAKEN).send("x");
    assert_eq!(terminal.wait_exit().exit_code(), 0);
    assert_restored(&terminal);
}

#[test]
#[ignore = "a child process of the test above"]
fn drops() {
    let guard = take();
    key();
    drop(guard);
}

/// A panic gives the terminal back first, so that its message can be read.
#[test]
fn a_panic_restores_the_terminal_before_it_speaks() {
    let home = Home::new();
    let mut terminal = alone(&home, "panics");
    terminal.wait_for(TAKEN).send("x");
    assert_eq!(terminal.wait_exit().exit_code(), 101);
    assert_restored(&terminal);
    assert!(!terminal.emulator().alternate_screen());
    assert!(terminal.screen().contains("something is wrong"));
}

#[test]
#[ignore = "a child process of the test above"]
fn panics() {
    let _guard = take();
    key();
    panic!("something is wrong");
}

/// A task that panics is told of, and the screen goes on.
#[test]
fn a_panic_elsewhere_does_not_end_the_screen() {
    let home = Home::new();
    let mut terminal = alone(&home, "panics_elsewhere");
    terminal.wait_for(TAKEN).send("x");
    terminal.wait_for("and taken again");
    assert!(terminal.emulator().alternate_screen());
    // No Enter: the terminal is raw again.
    terminal.send(keys::ESCAPE);
    assert_eq!(terminal.wait_exit().exit_code(), 0);
    assert_restored(&terminal);
    assert!(terminal.screen().contains("a task went wrong"));
}

#[test]
#[ignore = "a child process of the test above"]
fn panics_elsewhere() {
    let mut guard = take();
    key();
    let task = std::thread::spawn(|| panic!("a task went wrong"));
    assert!(task.join().is_err());
    show(&mut guard, "and taken again");
    key();
}
