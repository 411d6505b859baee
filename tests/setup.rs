//! `python/environment.sh`, which `make setup` and `make worker` run: what it says
//! of interpreters. Making an environment itself is what `make test` begins with.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Home, Outcome, project, venv};

fn environment(arguments: &[&str], python: &str) -> Outcome {
    let output = assert_cmd::Command::new(project().join("python/environment.sh"))
        .args(arguments)
        .env("PYTHON", python)
        .output()
        .unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A script at `path` that shows itself as a Python, as version managers' shims do.
fn script(path: &Path, text: &str) -> String {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn a_shim_is_resolved_to_the_interpreter_behind_it() {
    let home = Home::new();
    let python = venv().join("bin/python");
    let shim = script(
        &home.work().join("python3"),
        &format!("#!/bin/sh\nexec '{}' \"$@\"\n", python.display()),
    );
    let outcome = environment(&["check", &shim], "");
    let (version, executable) = outcome.success().trim().split_once(' ').unwrap();
    assert!(version.starts_with("3."), "{version}");
    assert_ne!(executable, shim, "the shim itself cannot be embedded");
    assert_ne!(
        executable,
        python.display().to_string(),
        "nor a link in an environment"
    );
    assert!(Path::new(executable).is_absolute(), "{executable}");
}

#[test]
fn an_interpreter_that_cannot_be_embedded_is_refused_with_the_reason() {
    let home = Home::new();
    let old = script(
        &home.work().join("python3.8"),
        "#!/bin/sh\ncat >/dev/null; echo no 3.8 \"$0\" its version is not one of 3.10 to 3.14\n",
    );
    let outcome = environment(&["check", &old], "");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .stderr
            .contains("(3.8) cannot be embedded: its version is not one of"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_wrong_name_is_answered_in_one_sentence() {
    let outcome = environment(&["check", "/nowhere/python3"], "");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .stderr
            .contains("/nowhere/python3 (?) cannot be embedded: it does not start"),
        "{}",
        outcome.stderr
    );
    let outcome = environment(&["chekc"], "");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("unknown word 'chekc'"),
        "{}",
        outcome.stderr
    );
}
