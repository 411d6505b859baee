//! `dspex-tui repl` from a pipe: the real binary, a real kernel, the demo LM.

mod prompt;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use crate::support::{Home, workbench};

/// R24: cells and commands in one script; only data on standard output.
#[test]
fn a_pipe_is_a_script_of_cells_and_commands() {
    let home = Home::new();
    let script = "# a comment\nx = 20\nif x:\n    y = x + 22\nelse:\n    y = 0\ny\n\
                  :cot question -> answer question=\"What is 12*7?\"\n\
                  print('first\\nsecond')\n";
    let outcome = home.dspex_with_input(&["repl"], script);
    let lines: Vec<&str> = outcome.success().lines().collect();
    assert_eq!(lines.first(), Some(&"42"));
    assert!(lines.contains(&"answer     84"), "{lines:?}");
    assert!(lines.ends_with(&["first", "second"]), "{lines:?}");
    assert!(outcome.stderr.contains("1 call · "), "{}", outcome.stderr);
}

/// The first error ends the script with 1, unless it is to go on.
#[test]
fn the_first_error_ends_the_script() {
    let home = Home::new();
    let script = ":nonsense\n1/0\nprint('reached')\n";
    let stopped = home.dspex_with_input(&["repl"], script);
    assert_eq!((stopped.code, stopped.stdout.as_str()), (Some(1), ""));
    assert!(
        stopped.stderr.contains("no command `:nonsense`"),
        "{}",
        stopped.stderr
    );
    assert!(stopped.stderr.contains("(line 1)"), "{}", stopped.stderr);

    let whole = home.dspex_with_input(&["repl", "--keep-going"], script);
    assert_eq!((whole.code, whole.stdout.as_str()), (Some(1), "reached\n"));
    assert!(
        whole.stderr.contains("ZeroDivisionError"),
        "{}",
        whole.stderr
    );
    assert!(
        !whole.stderr.contains('\u{1b}'),
        "colour where none is wanted"
    );
}

#[test]
fn quit_ends_it_and_needs_no_python() {
    let mut home = Home::new();
    home.set("DSPEX_VENV", "/nowhere");
    let outcome = home.dspex_with_input(&["repl"], ":lm\n:quit\n:nonsense\n");
    assert_eq!(outcome.success(), "demo  demo/demo\n");
}

/// R94: whoever closes the pipe early gets no complaint.
#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let home = Home::new();
    let mut child = Command::new(workbench())
        .arg("repl")
        .current_dir(home.work())
        .env_clear()
        .envs(home.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(b"for i in range(200000): print(i)\nprint('never')\n")
        .unwrap();
    drop(input);
    let mut first = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut first).unwrap();
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert_eq!(first, "0\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
