//! Two processes, one session.

use super::*;

/// D14: a second process is answered by the first one's kernel, and goes on by
/// itself when the first is gone.
#[test]
fn a_second_process_steers_the_first_and_outlives_it() {
    let home = Home::new();
    let mut first = Exec::start(&home, &["--new", "shared"]);
    first.cell("shared = 'from the first'");
    let mut second = Exec::start(&home, &["--session", "shared"]);
    let seen = second.cell("print(shared)");
    assert!(outputs(&home, "shared", seen).contains("from the first"));
    let kernel = first.kernel_pid();
    assert_eq!(second.kernel_pid(), kernel);

    let mark = home.work().join("steered").display().to_string();
    let source = format!("open('{mark}', 'w').close()\nimport threading\nthreading.Event().wait()");
    second.submit("run_cell", &json!({"source": source}));
    assert!(
        comes_true(PATIENCE, || std::path::Path::new(&mark).exists()),
        "the cell never ran"
    );
    first.kill();
    let answer = second.answer();
    assert_eq!(answer["error"]["type"], "session_gone", "{answer}");

    let mut state = Value::Null;
    let taken = comes_true(PATIENCE, || {
        state = second.ask("session_state", json!({}));
        state["ok"] == json!(true)
    });
    assert!(taken, "{state}");
    second.cell("2 + 2");
    let (_, said) = second.close();
    assert!(!said.contains("panicked"), "{said}");
    let text = home.dspex(&["replay", "shared", "--plain"]);
    assert!(text.success().contains("from the first"));
}
