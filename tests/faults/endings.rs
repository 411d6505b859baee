//! How it ends when it is told to, when nobody reads, and when Python cannot start.

use std::os::unix::fs::symlink;
use std::path::Path;

use dspex_tui::session::event::RunStatus;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::*;
use crate::support::stub_lm::StubLm;

/// The exit code of an `exec` that was told to end; it must leave no process, and a
/// session in which each run has its end.
#[track_caller]
fn ends_well(mut exec: Exec, home: &Home, name: &str) -> (Option<i32>, Vec<RunStatus>) {
    let code = exec.child.wait().unwrap().code();
    let said = exec.stderr.recv_timeout(PATIENCE).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    drop(exec);
    let mut left = Vec::new();
    let none = comes_true(PATIENCE, || {
        left = processes_of(home);
        left.is_empty()
    });
    assert!(none, "{left:?} are left");
    home.dspex(&["replay", name, "--json"]).success();
    // As the log has it, without what opening it for writing would mend.
    let mut reader = SessionReader::open(&session_dir(home, name)).unwrap();
    let state = reader.final_state();
    let runs = state.runs.values().map(|run| run.status);
    (code, runs.collect())
}

/// R94: told to end while a cell runs, it stops the cell, records that, saves the
/// session and leaves no process; whoever waits for a shell's code gets it.
#[test]
fn r94_a_signal_during_a_cell_ends_it_in_good_order() {
    for (signal, code) in [
        (Signal::SIGTERM, 143),
        (Signal::SIGINT, 130),
        (Signal::SIGHUP, 129),
    ] {
        let home = Home::new();
        // Whoever started these tests may ignore hang-ups (`nohup`); then it does, too.
        let mut hearing = Command::new("env");
        hearing
            .args(["--default-signal=HUP,INT,TERM"])
            .arg(workbench());
        let mut exec = Exec::spawn(&home, hearing, &["--new", "told"]);
        exec.cell("before = 1");
        let mark = home.work().join("begun");
        let source =
            format!("open({mark:?}, 'w').close()\nimport threading\nthreading.Event().wait()");
        exec.submit("run_cell", &json!({"source": source}));
        assert!(comes_true(PATIENCE, || mark.exists()), "it never began");
        kill(Pid::from_raw(exec.pid()), signal).unwrap();
        let (ended, runs) = ends_well(exec, &home, "told");
        assert_eq!(ended, Some(code), "{signal}");
        assert_eq!(runs, [RunStatus::Ok, RunStatus::Interrupted], "{signal}");
    }
}

/// R94: also while a job of a pool waits for its LM, and while a cell hears nothing.
#[tokio::test]
async fn r94_a_signal_ends_jobs_and_what_is_deaf() {
    let stub = StubLm::start(|_, _| Scripted::Hang);
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "job", "--workers", "1"]);
    set_up_qa(&mut exec, &stub.base());
    exec.submit("execute_program", &ask_qa("is anybody there?"));
    stub.wait_for(1).await;
    kill(Pid::from_raw(exec.pid()), Signal::SIGTERM).unwrap();
    let (code, runs) = ends_well(exec, &home, "job");
    assert_eq!(code, Some(143));
    assert_eq!(runs, [RunStatus::Ok, RunStatus::Interrupted]);

    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "deaf"]);
    let mark = home.work().join("begun");
    // A lock taken twice: no signal ends that wait, and Python's own lock is kept in it.
    let source = format!(
        "import ctypes\nlock, c = ctypes.create_string_buffer(64), ctypes.PyDLL(None)\n\
         open({mark:?}, 'w').close()\n\
         while not c.pthread_mutex_lock(lock): pass"
    );
    exec.submit("run_cell", &json!({"source": source}));
    assert!(comes_true(PATIENCE, || mark.exists()), "it never began");
    kill(Pid::from_raw(exec.pid()), Signal::SIGTERM).unwrap();
    let (code, runs) = ends_well(exec, &home, "deaf");
    assert_eq!(code, Some(143));
    assert_eq!(runs, [RunStatus::Interrupted]);
}

/// R94: one operation that is told to end answers so, in JSON.
#[test]
fn r94_one_operation_answers_that_it_was_ended() {
    let home = Home::new();
    let mark = home.work().join("begun");
    let source = format!("open({mark:?}, 'w').close()\nimport threading\nthreading.Event().wait()");
    let child = Command::new(workbench())
        .args(["exec", "run_cell", &json!({"source": source}).to_string()])
        .current_dir(home.work())
        .env_clear()
        .envs(home.environment())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(comes_true(PATIENCE, || mark.exists()), "it never began");
    let pid = i32::try_from(child.id()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(143));
    assert_eq!(answer["error"]["class"], "interrupted", "{answer}");
    assert!(comes_true(PATIENCE, || processes_of(&home).is_empty()));
}

/// R94: whatever it prints, a reader that has gone is no failure.
#[test]
fn r94_nothing_it_prints_fails_without_a_reader() {
    let home = Home::new();
    let mut exec = Exec::start(&home, &["--new", "long"]);
    exec.done("configure_lm", json!({"provider": "demo"}));
    exec.close();
    let everything: [&[&str]; 9] = [
        &["--help"],
        &["exec", "--list"],
        &["exec", "--schema"],
        &["exec", "list_lms"],
        &["exec", "nonsense"],
        &["sessions"],
        &["replay", "long", "--plain"],
        &["replay", "long", "--json"],
        &["doctor"],
    ];
    for arguments in everything {
        let mut child = Command::new(workbench())
            .args(arguments)
            .current_dir(home.work())
            .env_clear()
            .envs(home.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{arguments:?}: {output:?}"
        );
        assert!(
            !said.contains("panicked") && !said.contains("Broken pipe"),
            "{arguments:?}: {said}"
        );
    }
}

/// A virtual environment in `home` whose `bin/python` is this.
fn environment(home: &Home, name: &str, python: &Path) -> String {
    let venv = home.work().join(name);
    std::fs::create_dir_all(venv.join("bin")).unwrap();
    let real = crate::support::venv();
    std::fs::copy(real.join("pyvenv.cfg"), venv.join("pyvenv.cfg")).unwrap();
    symlink(python, venv.join("bin/python")).unwrap();
    venv.display().to_string()
}

/// R89: each way in which Python may be broken is one sentence that says what to do,
/// and leaves no process.
#[test]
fn r89_a_broken_interpreter_is_told_and_leaves_nothing() {
    let home = Home::new();
    let bare = std::fs::canonicalize(crate::support::venv().join("bin/python")).unwrap();
    std::fs::create_dir(home.work().join("empty")).unwrap();
    let cases = [
        ("/nowhere".to_owned(), "no virtual environment"),
        (
            home.work().join("empty").display().to_string(),
            "no virtual environment",
        ),
        (
            environment(&home, "lost", Path::new("/nowhere/python")),
            "has lost its Python",
        ),
        (environment(&home, "bare", &bare), "dspy"),
    ];
    for (venv, wanted) in cases {
        let outcome = home.dspex(&["exec", "run_cell", r#"{"source": "1"}"#, "--venv", &venv]);
        let error = &outcome.json()["error"];
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert_eq!(error["class"], "import", "{error}");
        assert_eq!(error["recovery"]["strategy"], "fatal", "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(wanted), "{venv}: {message}");
        assert!(
            !error["recovery"]["hint"].as_str().unwrap().is_empty(),
            "{error}"
        );
        let none = comes_true(PATIENCE, || processes_of(&home).is_empty());
        assert!(none, "{venv}: {:?} are left", processes_of(&home));
    }
}
