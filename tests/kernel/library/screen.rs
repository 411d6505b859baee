//! The same cases typed on the screen of the real binary.

use super::cases::{self, BEFORE, Case};
use crate::support::Home;
use crate::support::terminal::{Terminal, keys};

/// Types each case into the notebook, which has the screen for itself, and waits for
/// its answer there.
fn type_in(cases: &[Case]) {
    let home = Home::new();
    std::fs::write(home.work().join("before.py"), BEFORE).unwrap();
    for (name, rows) in [("sums", cases::sums()), ("pets", cases::pets())] {
        let rows = rows.as_array().unwrap().iter();
        let lines = rows.fold(String::new(), |lines, row| format!("{lines}{row}\n"));
        std::fs::write(home.work().join(format!("{name}.jsonl")), lines).unwrap();
    }
    let mut terminal = Terminal::dspex(&home, &[], 120, 40);
    terminal.wait_for("● ready");
    terminal.send("%run -i before.py").send(keys::ENTER);
    terminal.wait_for("half  function");
    for name in ["sums", "pets"] {
        let line = format!(":data load {name}.jsonl");
        terminal
            .send(&line)
            .send(keys::ENTER)
            .wait_for(&format!("· {name}"));
    }
    terminal.send(keys::F8).wait_gone("Explorer");
    for case in cases {
        let answered = |screen: &vt100::Screen| {
            // The top line has the session's name, which may be anything.
            let text = screen.contents();
            let mut lines = text.lines().skip(1);
            lines.any(|line| !line.contains(":run") && line.contains(case.holds))
        };
        terminal.send(":clear").send(keys::ENTER);
        terminal.wait_until("a clear notebook", |screen| !answered(screen));
        terminal.send(&case.typed).wait_for(case.module);
        terminal.send(keys::ENTER);
        terminal.wait_until(&format!("the answer of {}", case.module), |screen| {
            answered(screen) && !screen.contents().contains("Ctrl-C stop")
        });
    }
}

/// R25: what calls the LM once or in steps.
#[test]
fn single_modules_run_on_the_screen() {
    type_in(&cases::single());
}

/// What runs generated code.
#[test]
fn coding_modules_run_on_the_screen() {
    type_in(&cases::coding());
}

/// What runs another module several times.
#[test]
fn composed_modules_run_on_the_screen() {
    type_in(&cases::several());
}

/// R38: what searches and judges.
#[test]
fn searching_modules_run_on_the_screen() {
    type_in(&cases::searching(&cases::colbert()));
}
