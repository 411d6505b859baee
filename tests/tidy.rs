//! Rules of the house, as tests: what the sources must never contain, and what
//! each of them must. A broken rule names its file and line.

mod requirements;
mod sources;

use std::process::Command;

use crate::support::{project, workbench};
use sources::{Source, sources};

/// Fails with every offence at once, so that one run shows them all.
#[track_caller]
fn none(rule: &str, offences: Vec<String>) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

/// Every line of `sources` that `offends`, as `path:line: text`.
fn lines(
    sources: impl Iterator<Item = Source>,
    offends: impl Fn(&Source, &str) -> bool,
) -> Vec<String> {
    sources
        .flat_map(|source| {
            let found: Vec<String> = source
                .text
                .lines()
                .enumerate()
                .filter(|(_, line)| offends(&source, line))
                .map(|(index, line)| format!("{}:{}: {}", source.path, index + 1, line.trim()))
                .collect();
            found
        })
        .collect()
}

fn rust(folder: &'static str) -> impl Iterator<Item = Source> {
    sources().filter(move |source| source.is("rs") && source.path.starts_with(folder))
}

/// Invariant 1: Python's C interface is named by the worker only.
#[test]
fn only_the_worker_names_pyo3() {
    let elsewhere = rust("src/").filter(|source| {
        !source.path.starts_with("src/python") && source.path != "src/bin/dspex-worker.rs"
    });
    none(
        "pyo3 may be named under src/python* and in src/bin/dspex-worker.rs only",
        lines(elsewhere, |_, line| {
            !line.trim_start().starts_with("//") && line.contains("pyo3")
        }),
    );
}

/// Invariant 1: the workbench starts on a machine without libpython.
#[test]
fn the_workbench_does_not_link_libpython() {
    let output = Command::new("readelf")
        .arg("--dynamic")
        .arg("--wide")
        .arg(workbench())
        .output()
        .expect("readelf comes with the C compiler (Debian: binutils)");
    let text = String::from_utf8_lossy(&output.stdout);
    let needed: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .collect();
    assert!(
        !needed.is_empty(),
        "readelf said nothing of needed libraries:\n{text}"
    );
    none(
        "dspex-tui must not need libpython",
        needed
            .iter()
            .filter(|line| line.contains("python"))
            .map(|line| line.trim().to_owned())
            .collect(),
    );
}

#[test]
fn every_rust_file_says_what_it_owns() {
    none(
        "a Rust file starts with `//!`",
        rust("")
            .filter(|source| !source.text.starts_with("//!"))
            .map(|source| source.path)
            .collect(),
    );
}

#[test]
fn every_python_file_says_what_it_owns() {
    none(
        "a Python file starts with a docstring",
        sources()
            .filter(|source| source.is("py") && source.path.starts_with("python/"))
            .filter(|source| !source.text.starts_with("\"\"\""))
            .map(|source| source.path)
            .collect(),
    );
}

#[test]
fn modules_are_named_after_themselves() {
    none(
        "`foo.rs` beside `foo/`, never `mod.rs`",
        rust("")
            .filter(|source| source.path.ends_with("/mod.rs"))
            .map(|source| source.path)
            .collect(),
    );
}

#[test]
fn files_stay_readable() {
    none(
        "a source file has at most 700 lines",
        sources()
            .filter(|source| source.is("rs") || source.is("py"))
            .map(|source| (source.text.lines().count(), source.path))
            .filter(|(count, _)| *count > 700)
            .map(|(count, path)| format!("{path}: {count} lines"))
            .collect(),
    );
}

/// Nothing in the repository depends on, or tells of, the machine it was written on.
#[test]
fn no_path_of_one_machine() {
    let words = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/opt", "/wheels"),
    ];
    none(
        "no path of a particular machine",
        lines(sources(), |_, line| {
            words.iter().any(|word| line.contains(word))
        }),
    );
}

#[test]
fn lock_files_name_no_registry() {
    none(
        "a lock file names no index or host",
        lines(
            sources().filter(|source| source.path.starts_with("python/requirements")),
            |_, line| {
                line.contains("://")
                    || line.trim_start().starts_with("--index")
                    || line.contains("--find-links")
            },
        ),
    );
}

#[test]
fn no_test_is_ignored_or_sleeps() {
    let sleeping = concat!("thread::sl", "eep(");
    let ignored = concat!("#[ign", "ore");
    // Part of the test above it, which starts it in a process of its own.
    let child = concat!("#[ign", "ore = \"a child process of the test above\"]");
    none(
        "no test is switched off, and none sleeps: wait on a text or an event",
        lines(rust("tests/"), |_, line| {
            line.contains(sleeping) || line.contains(ignored) && line.trim() != child
        }),
    );
    none(
        "no test is switched off",
        lines(rust("src/"), |_, line| line.contains(ignored)),
    );
}

#[test]
fn every_test_file_is_run() {
    let main = std::fs::read_to_string(project().join("tests/main.rs")).unwrap();
    none(
        "tests/main.rs declares every file of tests/",
        rust("tests/")
            .filter_map(|source| {
                source
                    .path
                    .strip_prefix("tests/")
                    .and_then(|name| name.strip_suffix(".rs"))
                    .map(str::to_owned)
            })
            .filter(|name| !name.contains('/') && name != "main")
            .filter(|name| {
                !main
                    .lines()
                    .any(|line| line.trim() == format!("mod {name};"))
            })
            .collect(),
    );
}

#[test]
fn every_theme_is_shipped() {
    let code: String = rust("src/theme").map(|source| source.text).collect();
    none(
        "every file of themes/ is named in src/theme*",
        sources()
            .filter(|source| source.path.starts_with("themes/"))
            .filter(|source| !code.contains(source.path.trim_start_matches("themes/")))
            .map(|source| source.path)
            .collect(),
    );
}
