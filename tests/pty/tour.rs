//! What a newcomer does in the first five minutes, on the real binary.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::Home;
use crate::support::terminal::{Terminal, keys};

/// A workbench whose kernel is ready.
fn ready(home: &Home, columns: u16, rows: u16) -> Terminal {
    let mut terminal = Terminal::dspex(home, &[], columns, rows);
    terminal.wait_for("Write ordinary DSPy code below");
    terminal.wait_for("● ready");
    terminal
}

/// Types a cell and runs it.
fn cell(terminal: &mut Terminal, source: &str) {
    terminal.send(source).send(keys::ENTER);
}

/// Process ids of the workers of this workbench, the oldest first.
fn workers(terminal: &Terminal) -> Vec<Pid> {
    let parent = terminal.pid().to_string();
    let mut found: Vec<i32> = std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            after.split_whitespace().nth(1) == Some(parent.as_str())
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(Pid::from_raw).collect()
}

/// R26, R137: a cell answers, and its trace with the exact prompt stands beside it.
#[test]
fn a_cell_answers_and_its_trace_stands_beside_it() {
    let home = Home::new();
    let mut terminal = ready(&home, 120, 36);
    cell(
        &mut terminal,
        "qa = dspy.ChainOfThought('question -> answer')",
    );
    terminal.wait_for("ChainOfTho");
    cell(&mut terminal, "qa(question='What is 12*7?')");
    terminal.wait_for("│ answer     84");
    terminal.wait_for("lm demo/demo");
    // The messages are there without a key.
    terminal.wait_for("[[ ## question ## ]]").wait_for("1 call");
    // Commands are completed from the one table.
    terminal.send(":mod").send(keys::TAB).wait_for("module add");
    terminal.send(keys::ENTER).wait_for(":modules");
    terminal.send(keys::ENTER).wait_for("MultiChainComparison");
}

/// R47: the signature editor shows the prompt that will be sent, and follows edits.
#[test]
fn the_signature_editor_shows_the_prompt() {
    let home = Home::new();
    let mut terminal = ready(&home, 120, 36);
    cell(&mut terminal, ":sig question -> answer name=QA");
    terminal.wait_for("QA");
    terminal.send(keys::F3).wait_for("[[ ## question ## ]]");
    terminal
        .send(keys::DOWN)
        .send("e")
        .send("x")
        .wait_for("[[ ## questionx ## ]]");
}

/// R112, R136: an optimisation asked for by a command is watched in F5, and the session
/// is replayed in F6.
#[test]
fn an_optimisation_is_watched_and_the_session_replayed() {
    let home = Home::new();
    let mut terminal = ready(&home, 120, 36);
    cell(&mut terminal, ":program new qa Predict question -> answer");
    terminal.wait_for("qa          v1");
    let sums = (2..22).fold(String::new(), |lines, n| {
        let answer = n * 7;
        format!("{lines}{{\"question\": \"What is {n}*7?\", \"answer\": \"{answer}\"}}\n")
    });
    std::fs::write(home.work().join("sums.jsonl"), sums).unwrap();
    cell(
        &mut terminal,
        ":data load sums.jsonl name=sums inputs=[\"question\"]",
    );
    terminal.wait_for("20 rows");
    terminal
        .send(keys::F5)
        .wait_for("Evaluations and optimisations");
    terminal
        .send(":")
        .send("optimize qa sums metric=exact_match")
        .send(keys::ENTER);
    terminal.wait_for("baseline").wait_for("as it was");
    terminal.wait_until("a second candidate", |screen| {
        screen.contents().contains("BootstrapFewShot") && screen.contents().contains("gain")
    });
    terminal.send(keys::F6).wait_for("Sessions ·");
    terminal.wait_for(":program new").send(keys::ENTER);
    terminal.wait_for("REPLAY").wait_for("event ");
    terminal.send("\x1b[H").wait_for("event 0 of");
    terminal.send(keys::RIGHT).wait_for("event 1 of");
    terminal.send("q").wait_gone("REPLAY");
}

/// Any size, one after the other, and the picture is whole at the end.
#[test]
fn a_storm_of_sizes_leaves_a_whole_picture() {
    let home = Home::new();
    let mut terminal = Terminal::dspex(&home, &[], 120, 36);
    terminal.wait_for("Write ordinary DSPy code below");
    for (columns, rows) in [(80, 24), (20, 6), (200, 60), (1, 1), (40, 10), (60, 20)] {
        terminal.resize(columns, rows);
    }
    terminal.resize(100, 30).wait_for("F5 optimise");
    terminal.wait_until("the last line at the last row", |screen| {
        let text = screen.contents();
        text.lines().count() == 30 && text.lines().last().is_some_and(|it| it.contains("F1 help"))
    });
    terminal.resize(20, 6).wait_for("too small: 20×6");
}

/// Pasted rubbish is text; nothing of it runs before it is asked for.
#[test]
fn pasted_rubbish_is_only_text() {
    let home = Home::new();
    let mut terminal = Terminal::dspex(&home, &[], 100, 30);
    terminal.wait_for("Write ordinary DSPy code below");
    terminal.paste("a = '\u{7}\u{1b}[2J\u{202e}\u{9b}31m'\r\nb = 2\r\n\u{0}c = 3");
    terminal.wait_for("b = 2").wait_for("c = 3");
    assert!(
        terminal.screen().contains("dspex"),
        "the screen was cleared:\n{}",
        terminal.screen()
    );
    assert!(!terminal.screen().contains("[1]"), "a paste ran");
    terminal.send(keys::CTRL_C).wait_gone("c = 3");
}

/// R126: a worker killed in the middle of a cell is named, what was lost too,
/// and the next cell works.
#[test]
fn a_killed_worker_is_told_and_the_next_cell_works() {
    let home = Home::new();
    let mut terminal = ready(&home, 120, 36);
    cell(&mut terminal, "treasure = 41");
    terminal.wait_for("Names          1");
    cell(
        &mut terminal,
        "import os; print('pid', os.getpid()); import time; time.sleep(600)",
    );
    terminal.wait_until("the worker's pid", |screen| {
        let text = screen.contents();
        let told = text.split("     pid ").nth(1);
        told.is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_digit()))
            && text.contains("Ctrl-C stop")
    });
    let text = terminal.screen();
    let pid = text
        .split("     pid ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|digits| digits.parse::<i32>().ok());
    let pid = Pid::from_raw(pid.unwrap_or_else(|| panic!("no pid in\n{text}")));
    assert!(workers(&terminal).contains(&pid), "not our worker: {pid}");
    kill(pid, Signal::SIGKILL).unwrap();
    terminal.wait_for("the kernel died").wait_for("SIGKILL");
    terminal.wait_for("lost: treasure");
    cell(&mut terminal, "6*7");
    terminal.wait_for("     42");
}

/// `input()` is asked for in a line of its own; `Ctrl-C` twice stops the cell and
/// never the workbench.
#[test]
fn input_is_asked_for_and_interrupts_stop_cells_only() {
    let home = Home::new();
    let mut terminal = ready(&home, 100, 30);
    cell(&mut terminal, "print('hello', input('name? '))");
    terminal.wait_for("[1] name?").send("Ada").send(keys::ENTER);
    terminal.wait_for("hello Ada");
    cell(&mut terminal, "import time; time.sleep(600)");
    terminal.wait_for("Ctrl-C stop");
    terminal
        .send(keys::CTRL_C)
        .send(keys::CTRL_C)
        .wait_for("KeyboardInterrupt");
    // The traceback comes before the cell has ended.
    terminal.wait_gone("Ctrl-C stop");
    terminal.send(keys::CTRL_C).wait_for("nothing runs");
    cell(&mut terminal, "6*7");
    terminal.wait_for("     42");
    terminal.send(keys::CTRL_Q);
    assert_eq!(terminal.wait_exit().exit_code(), 0);
}
