//! The real binary on a real terminal, and the harness that drives it.

#[cfg(feature = "worker")]
mod agents;
#[cfg(feature = "worker")]
mod compile;
#[cfg(feature = "worker")]
mod endings;
#[cfg(feature = "worker")]
mod followers;
#[cfg(feature = "worker")]
mod guard;
#[cfg(feature = "worker")]
mod modules;
#[cfg(feature = "worker")]
mod tour;

use portable_pty::CommandBuilder;

use crate::support::Home;
use crate::support::terminal::{Terminal, keys};

/// The harness itself: typing, pasting, resizing, exit codes.
#[test]
fn harness_shows_what_a_shell_shows() {
    let home = Home::new();
    let mut shell = CommandBuilder::new("sh");
    shell.args([
        "-c",
        "trap 'stty size' WINCH; printf 'ready\\n'; while :; do read -r line || continue; echo \"<$line>\"; [ \"$line\" = end ] && exit 7; done",
    ]);
    let mut terminal = Terminal::start(&home, shell, 40, 10);
    terminal.wait_for("ready");
    terminal.send("hello").send(keys::ENTER).wait_for("<hello>");
    terminal.resize(50, 12).send(keys::ENTER).wait_for("12 50");
    terminal.send("end").send(keys::ENTER);
    assert_eq!(terminal.wait_exit().exit_code(), 7);
}

/// The harness hangs up as a closed window does: the program gets SIGHUP.
#[test]
fn harness_hangs_up() {
    let home = Home::new();
    let mut shell = CommandBuilder::new("sh");
    shell.args([
        "-c",
        "trap 'echo hung up >said; exit 3' HUP; echo ready; while :; do read -r line || :; done",
    ]);
    let mut terminal = Terminal::start(&home, shell, 40, 10);
    terminal.wait_for("ready").hang_up();
    assert_eq!(terminal.wait_exit().exit_code(), 3);
    let said = std::fs::read_to_string(home.work().join("said")).unwrap();
    assert_eq!(said, "hung up\n");
}
