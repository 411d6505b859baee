//! The worker is killed; the session goes on.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;

/// Submits a cell that never ends, waits until it is in it, and kills the kernel.
fn kill_in_a_cell(exec: &mut Exec, home: &Home) -> Value {
    let kernel = exec.kernel_pid();
    let mark = home
        .work()
        .join(format!("in-{kernel}"))
        .display()
        .to_string();
    let source = format!("open('{mark}', 'w').close()\nimport threading\nthreading.Event().wait()");
    exec.submit("run_cell", &json!({"source": source}));
    assert!(
        comes_true(PATIENCE, || std::path::Path::new(&mark).exists()),
        "the cell never ran"
    );
    kill(Pid::from_raw(kernel), Signal::SIGKILL).unwrap();
    exec.answer()
}

/// R91, R98, R126: a killed worker is an error that says what happened; the standby
/// takes over, what was registered runs, and what was lost is named.
#[test]
fn a_killed_worker_is_replaced_and_its_losses_named() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "death"]);
    exec.done("configure_lm", json!({"provider": "demo"}));
    exec.done(
        "create_program",
        json!({"name": "sums", "module": "Predict", "signature": "question -> answer"}),
    );
    exec.cell("treasure = 41");
    let died = kill_in_a_cell(&mut exec, &home);
    assert_eq!(died["error"]["class"], "process_crashed", "{died}");
    let message = died["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("SIGKILL") && message.contains("killed from outside"),
        "{message}"
    );
    let answer = exec.done(
        "execute_program",
        json!({"program": "sums", "inputs": {"question": "What is 12*7?"}}),
    );
    assert!(answer.to_string().contains("84"), "{answer}");
    let lost = exec.cell_fails("treasure");
    assert!(outputs(&home, "death", lost).contains("NameError"));
    exec.close();
    let told = home.dspex(&["replay", "death", "--plain"]);
    let told = told.success();
    assert!(told.contains("the kernel died"), "{told}");
    let hint = told.lines().find(|line| line.contains("lost: "));
    assert!(hint.is_some_and(|line| line.contains("treasure")), "{told}");
}

/// R126: the fourth death in a row stops the restarts with the reason; a restart by
/// hand helps.
#[test]
fn a_worker_that_keeps_dying_is_left_down_until_restarted_by_hand() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "deaths"]);
    for _ in 0..4 {
        let died = exec.ask("run_cell", json!({"source": "import os; os.abort()"}));
        assert_eq!(died["error"]["class"], "process_crashed", "{died}");
        let message = died["error"]["message"].as_str().unwrap();
        assert!(message.contains("SIGABRT"), "{message}");
    }
    let down = exec.ask("run_cell", json!({"source": "1"}));
    assert_eq!(down["error"]["type"], "kernel_down", "{down}");
    let said = down["error"].to_string();
    assert!(
        said.contains("died 4 times") && said.contains("restart the kernel"),
        "{said}"
    );
    exec.done("list_lms", json!({}));
    exec.done("restart_kernel", json!({}));
    exec.cell("1 + 1");
}
