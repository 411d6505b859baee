//! Requirement rows: every one that a test names exists, and every one of the
//! ranges below is named by a test or listed as not proved yet.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::none;
use super::sources::{Source, sources};

/// The rows that have a test each, or a place in [`UNPROVED`].
const WANTED: [RangeInclusive<u32>; 4] = [1..=39, 48..=58, 85..=104, 114..=132];

/// Rows of [`WANTED`] that no test proves yet, with what is to be shown. Whoever writes
/// the test takes its row out.
const UNPROVED: [(u32, &str); 0] = [];

/// A row named before a colon: `/// R54: …`, `"""D3, R54: …"""`.
struct Claim {
    kind: char,
    number: u32,
    /// `path:line: R54`.
    place: String,
    /// Whether it stands at a test.
    at_a_test: bool,
}

/// Tests name the requirement rows they prove as `R54:` or `D3:`. Prints the
/// rows named, and fails on one that does not exist.
#[test]
fn requirement_rows_named_by_tests_exist() {
    let (known, unknown): (Vec<Claim>, Vec<Claim>) = claims().into_iter().partition(|claim| {
        let last = if claim.kind == 'R' { 138 } else { 16 };
        (1..=last).contains(&claim.number)
    });
    let rows: BTreeSet<(char, u32)> = known.iter().map(|it| (it.kind, it.number)).collect();
    let named: Vec<String> = rows
        .iter()
        .map(|(kind, number)| format!("{kind}{number}"))
        .collect();
    println!(
        "{} requirement rows named by tests: {}",
        named.len(),
        named.join(" ")
    );
    none(
        "no such requirement row",
        unknown.into_iter().map(|claim| claim.place).collect(),
    );
}

#[test]
fn requirement_rows_have_tests_or_are_listed() {
    let proved: BTreeMap<u32, String> = claims()
        .into_iter()
        .filter(|claim| claim.kind == 'R' && claim.at_a_test)
        .map(|claim| (claim.number, claim.place))
        .collect();
    let listed: BTreeSet<u32> = UNPROVED.iter().map(|(number, _)| *number).collect();
    none(
        "a requirement row is named by a test (`/// R54: …`) or listed in UNPROVED",
        WANTED
            .into_iter()
            .flatten()
            .filter(|number| !proved.contains_key(number) && !listed.contains(number))
            .map(|number| format!("R{number}"))
            .collect(),
    );
    none(
        "a row that a test names is taken out of UNPROVED",
        listed
            .iter()
            .filter_map(|number| proved.get(number).cloned())
            .collect(),
    );
}

/// All claims of the Rust sources and of the tests in Python.
fn claims() -> Vec<Claim> {
    let mut found = Vec::new();
    for source in
        sources().filter(|source| source.is("rs") || source.path.starts_with("tests/python/"))
    {
        let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(comment) = ["///", "#", "\"\"\""]
                .iter()
                .find_map(|mark| line.strip_prefix(mark))
            else {
                continue;
            };
            let Some((names, _)) = comment.trim_start().split_once(':') else {
                continue;
            };
            for name in names.split(',').map(str::trim) {
                if let Some((kind, number)) = row(name) {
                    found.push(Claim {
                        kind,
                        number,
                        place: format!("{}:{}: {name}", source.path, index + 1),
                        at_a_test: at_a_test(&source, &lines, index),
                    });
                }
            }
        }
    }
    found
}

/// Whether the comment in this line is that of a test.
fn at_a_test(source: &Source, lines: &[&str], index: usize) -> bool {
    if source.is("py") {
        let mut before = lines[..index].iter().rev();
        return before
            .find(|line| line.contains("def "))
            .is_some_and(|line| line.contains("def test_"));
    }
    let attributes = ["#[test]", "#[tokio::test", "#[rstest"];
    lines[index + 1..]
        .iter()
        .take_while(|line| line.starts_with("///") || !line.is_empty() && !line.contains("fn "))
        .any(|line| attributes.iter().any(|it| line.starts_with(it)))
}

/// `R54` or `D3`, and nothing else.
fn row(name: &str) -> Option<(char, u32)> {
    let kind = name
        .chars()
        .next()
        .filter(|kind| matches!(kind, 'R' | 'D'))?;
    let digits = &name[1..];
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(|number| (kind, number)))?
}
