//! `dspex-tui doctor` on the real binary: exit codes, remedies, JSON.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::{Home, venv};

/// An environment on disk with these packages (`name-version`) and no others.
fn environment(home: &Home, packages: &[&str]) -> PathBuf {
    let path = home.work().join("venv");
    let config = fs::read_to_string(venv().join("pyvenv.cfg")).unwrap();
    let python = fs::canonicalize(venv().join("bin/python")).unwrap();
    let minor = python.file_name().unwrap().to_str().unwrap().to_owned();
    fs::create_dir_all(path.join("bin")).unwrap();
    symlink(&python, path.join("bin/python")).unwrap();
    fs::write(path.join("pyvenv.cfg"), config).unwrap();
    for package in packages {
        let folder = path.join(format!("lib/{minor}/site-packages/{package}.dist-info"));
        fs::create_dir_all(folder).unwrap();
    }
    path
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["checks"]
        .as_array()
        .and_then(|checks| checks.iter().find(|check| check["name"] == name))
        .unwrap_or_else(|| panic!("no check `{name}` in {report}"))
}

/// R96: a complete environment passes every check, and the worker gets ready.
#[test]
fn a_complete_environment_passes() {
    let outcome = Home::new().dspex(&["doctor"]);
    let text = outcome.success();
    for name in [
        "environment",
        "Python",
        "dspy",
        "ipython",
        "worker",
        "sessions",
    ] {
        assert!(
            text.lines()
                .any(|line| line.starts_with(&format!("✓ {name} "))),
            "{name} is not ✓ in:\n{text}"
        );
    }
    assert!(text.contains("ready in"), "{text}");
}

/// R96: an environment without DSPy fails, and is told the exact pip line.
#[test]
fn an_environment_without_dspy_fails_with_the_pip_line() {
    let home = Home::new();
    let path = environment(&home, &["pip-24.0", "ipython-9.1.0"]);
    let outcome = home.dspex(&["doctor", "--venv", "venv"]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let line = format!("{}/bin/python -m pip install dspy==3.4.1", path.display());
    assert!(outcome.stdout.contains(&line), "{}", outcome.stdout);
    assert!(
        !outcome.stdout.contains("ready in"),
        "the worker was started: {}",
        outcome.stdout
    );
}

#[test]
fn json_says_the_same() {
    let home = Home::new();
    environment(&home, &["dspy-2.5.0"]);
    let outcome = home.dspex(&["doctor", "--json", "--venv", "venv"]);
    assert_eq!(outcome.code, Some(1));
    let report = outcome.json();
    assert_eq!(report["ok"], false);
    let dspy = check(&report, "dspy");
    assert_eq!(dspy["status"], "missing");
    assert!(dspy["detail"].as_str().unwrap().contains("2.5.0"), "{dspy}");
    assert!(
        dspy["remedy"]
            .as_str()
            .unwrap()
            .starts_with("uv pip install --python "),
        "{dspy}"
    );
}

#[test]
fn an_environment_that_is_not_there_is_one_clear_lack() {
    let home = Home::new();
    let outcome = home.dspex(&["doctor", "--json", "--venv", "nowhere"]);
    assert_eq!(outcome.code, Some(1));
    let report = outcome.json();
    let lack = check(&report, "environment");
    assert!(
        lack["detail"].as_str().unwrap().contains("nowhere"),
        "{lack}"
    );
    assert!(!lack["remedy"].as_str().unwrap().is_empty(), "{lack}");
    assert_eq!(
        check(&report, "sessions")["status"],
        "ok",
        "the other checks are still made"
    );
}

/// R5: a key that is set is named, and its value is nowhere.
#[test]
fn keys_are_named_and_never_shown() {
    let mut home = Home::new();
    home.set("OPENAI_API_KEY", "sk-canary-doctor-0123456789");
    for arguments in [&["doctor"][..], &["doctor", "--json"]] {
        let outcome = home.dspex(arguments);
        assert!(
            outcome.stdout.contains("OPENAI_API_KEY"),
            "{}",
            outcome.stdout
        );
        assert!(!outcome.stdout.contains("canary"), "{}", outcome.stdout);
        assert!(!outcome.stderr.contains("canary"), "{}", outcome.stderr);
    }
}
