//! How the workbench ends, and what it leaves of the terminal.

use nix::sys::signal::Signal;

use crate::support::Home;
use crate::support::terminal::{Terminal, keys};

/// What undoes each mode the workbench sets.
const UNDONE: [(&str, &str); 5] = [
    ("the alternate screen", "\x1b[?1049l"),
    ("the mouse", "\x1b[?1000l"),
    ("bracketed paste", "\x1b[?2004l"),
    ("focus reports", "\x1b[?1004l"),
    ("the hidden cursor", "\x1b[?25h"),
];

fn open(home: &Home) -> Terminal {
    let mut terminal = Terminal::dspex(home, &[], 100, 30);
    terminal.wait_for("Write ordinary DSPy code below");
    terminal
}

/// Every mode is off at the end of the bytes.
#[track_caller]
pub(super) fn assert_restored(terminal: &Terminal) {
    let output = String::from_utf8_lossy(&terminal.output).into_owned();
    for (what, undo) in UNDONE {
        let set = undo.replace(['l', 'h'], if undo.ends_with('l') { "h" } else { "l" });
        let off = output.rfind(undo);
        assert!(
            off.is_some() && off > output.rfind(&set),
            "{what} is left on"
        );
    }
}

/// R94: leaving gives the terminal back.
#[test]
fn quitting_restores_the_terminal() {
    let home = Home::new();
    let mut terminal = open(&home);
    terminal.send(":quit").send(keys::ENTER);
    assert_eq!(terminal.wait_exit().exit_code(), 0);
    assert_restored(&terminal);
}

/// R94: so does being told to end.
#[test]
fn sigterm_restores_the_terminal_and_says_so() {
    let home = Home::new();
    let mut terminal = open(&home);
    terminal.signal(Signal::SIGTERM);
    assert_eq!(terminal.wait_exit().exit_code(), 143);
    assert_restored(&terminal);
}

/// R94: also while a cell runs, which is then stopped and recorded as interrupted.
#[test]
fn r94_a_signal_during_a_run_ends_both_in_good_order() {
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130)] {
        let home = Home::new();
        let mut terminal = open(&home);
        terminal.wait_for("● ready");
        terminal
            .send("import threading; print('be' + 'gan'); threading.Event().wait()")
            .send(keys::ENTER);
        terminal.wait_for("     began");
        terminal.signal(signal);
        assert_eq!(terminal.wait_exit().exit_code(), code, "{signal}");
        assert_restored(&terminal);
        let state = home.dspex(&["replay", "latest", "--json"]).json();
        let state = state.to_string();
        assert!(state.contains(r#""status":"interrupted""#), "{state}");
    }
}

/// R94: and a hang-up by signal alone.
#[test]
fn sighup_restores_the_terminal_and_says_so() {
    let home = Home::new();
    let mut terminal = open(&home);
    terminal.signal(Signal::SIGHUP);
    assert_eq!(terminal.wait_exit().exit_code(), 129);
    assert_restored(&terminal);
}

/// A window that is closed ends an idle workbench.
#[test]
fn a_closed_window_ends_an_idle_workbench() {
    let home = Home::new();
    let mut terminal = open(&home);
    terminal.hang_up();
    assert_eq!(terminal.wait_exit().exit_code(), 129);
}

/// So does one that is closed before its first frame, whichever step it meets.
#[test]
fn a_window_closed_at_the_start_is_told_as_such() {
    let home = Home::new();
    let mut terminal = Terminal::dspex(&home, &[], 100, 30);
    // The first bytes are those that take the terminal.
    terminal.wait_until("the alternate screen", vt100::Screen::alternate_screen);
    terminal.hang_up();
    assert_eq!(terminal.wait_exit().exit_code(), 129);
}

/// The workbench with a cell half typed, suspended in a shell.
fn suspended(home: &Home) -> Terminal {
    let mut shell = portable_pty::CommandBuilder::new("bash");
    shell.args(["--norc", "--noprofile", "-i"]);
    let mut terminal = Terminal::start(home, shell, 100, 30);
    let program = crate::support::workbench();
    terminal
        .send("PS1='shell> '")
        .send(keys::ENTER)
        .wait_for("\nshell> ");
    terminal
        .send(&program.display().to_string())
        .send(keys::ENTER);
    terminal
        .wait_for("Write ordinary DSPy code below")
        .send("x = 41");
    terminal.wait_for("x = 41").send("\x1a");
    terminal.wait_for("Stopped");
    assert!(!terminal.emulator().alternate_screen());
    terminal
}

/// `Ctrl-Z` gives the terminal to the shell; `fg` takes it again and draws anew.
#[test]
fn suspending_and_coming_back() {
    let home = Home::new();
    let mut terminal = suspended(&home);
    terminal
        .send("stty -a")
        .send(keys::ENTER)
        .wait_for(" icanon");
    terminal.send("fg").send(keys::ENTER);
    terminal.wait_for("x = 41").wait_for("F1 help");
    terminal.send(keys::CTRL_Q).wait_for("shell> ");
    assert!(!terminal.emulator().alternate_screen());
}

/// A key typed before the first frame after `fg` counts.
#[test]
fn a_key_typed_while_coming_back_is_not_lost() {
    let home = Home::new();
    let mut terminal = suspended(&home);
    terminal.send("fg").send(keys::ENTER);
    terminal.wait_until("the alternate screen", vt100::Screen::alternate_screen);
    terminal.send(keys::CTRL_Q);
    terminal.wait_until("the shell's screen", |screen| !screen.alternate_screen());
    terminal.wait_for("shell> ");
}

/// With the window closed a run goes on; a second workbench follows it live,
/// and takes the session over when the first has ended.
#[test]
fn a_run_goes_on_without_a_window_and_is_followed() {
    let home = Home::new();
    let mut first = open(&home);
    first.wait_for("● ready");
    first
        .send("import os, time; print('began');")
        .send("[time.sleep(0.05) for _ in iter(lambda: os.path.exists('go'), True)]; print('en' + 'ded')")
        .send(keys::ENTER);
    first.wait_for("     began").hang_up();
    let mut second = Terminal::dspex(&home, &["--session", "latest"], 100, 30);
    second.wait_for("following").wait_for("     began");
    std::fs::write(home.work().join("go"), "").unwrap();
    second.wait_for("     ended");
    assert_eq!(first.wait_exit().exit_code(), 129);
    second.wait_gone("following");
    second.send("6*7").send(keys::ENTER).wait_for("     42");
}

/// R94: a run that goes on without a window ends when the workbench is told to.
#[test]
fn sigterm_ends_a_run_that_has_no_window() {
    let home = Home::new();
    let mut terminal = open(&home);
    terminal.wait_for("● ready");
    terminal
        .send("print('began'); [None for _ in iter(int, 1)]")
        .send(keys::ENTER);
    terminal.wait_for("     began").hang_up();
    terminal.signal(Signal::SIGTERM);
    assert_eq!(terminal.wait_exit().exit_code(), 143);
}

/// A cell that asks for input when nobody can answer any more gets an end of file.
#[test]
fn input_without_a_window_is_at_its_end() {
    let home = Home::new();
    let mut terminal = open(&home);
    terminal.wait_for("● ready");
    terminal.send("input('still there? ')").send(keys::ENTER);
    terminal.wait_for("[1] still there?").hang_up();
    assert_eq!(terminal.wait_exit().exit_code(), 129);
    let printed = home.dspex(&["replay", "latest", "--plain"]).stdout;
    assert!(printed.contains("EOFError"), "{printed}");
}
