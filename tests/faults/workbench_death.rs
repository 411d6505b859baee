//! The workbench itself is killed.

use super::*;

/// R61, R94: one second after `kill -9` of the workbench none of its processes is left,
/// grandchildren included, and the session holds everything that was acknowledged.
#[test]
fn nothing_outlives_a_killed_workbench_and_nothing_acknowledged_is_lost() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "killed"]);
    exec.done("configure_lm", json!({"provider": "demo"}));
    for n in 0..10 {
        exec.cell(&format!("print('said {n}')\n{n} + 100"));
    }
    let acknowledged = exec.done("session_state", json!({}));
    let run_id = variable_of(exec.kernel_pid(), "DSPEX_RUN_ID");
    let mark = home.work().join("active").display().to_string();
    exec.submit(
        "run_cell",
        &json!({"source": format!(
            "import subprocess, threading\nsubprocess.Popen(['sleep', '600'])\nopen('{mark}', 'w').close()\nthreading.Event().wait()"
        )}),
    );
    assert!(
        comes_true(PATIENCE, || std::path::Path::new(&mark).exists()),
        "the cell never ran"
    );
    // Workbench's kernel, standby and `sleep`.
    assert!(processes_with(&run_id).len() >= 2);
    exec.kill();
    let gone = comes_true(Duration::from_secs(1), || {
        processes_with(&run_id).is_empty()
    });
    assert!(gone, "left: {:?}", processes_with(&run_id));

    let seq = acknowledged["seq"].to_string();
    let replayed = home
        .dspex(&["replay", "killed", "--json", "--at", &seq])
        .json();
    assert_eq!(replayed["warning"], Value::Null);
    assert_eq!(replayed["hash"], acknowledged["hash"]);
    let submitted = events(&home, "killed")
        .iter()
        .filter(|event| matches!(event.body, EventBody::CellSubmitted { .. }))
        .count();
    assert_eq!(submitted, 11);

    let mut again = Exec::start(&home, &["--session", "killed"]);
    let state = again.done("session_state", json!({}));
    assert_eq!(state["cells"], json!(11));
    let text = home.dspex(&["replay", "killed", "--plain"]);
    let text = text.success();
    for n in 0..10 {
        assert!(text.contains(&format!("said {n}")) && text.contains(&(n + 100).to_string()));
    }
    assert!(text.contains("died"), "{text}");
}
