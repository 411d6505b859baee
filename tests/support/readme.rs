//! Generated sections of README.md: checked, or written anew under `UPDATE=1`.

use std::fmt::Write as _;

use super::project;
use super::terminal::Terminal;

/// A step of a tour: what to say about it and the screen it led to.
pub struct Step {
    title: &'static str,
    text: String,
    screen: String,
}

impl Step {
    /// What is on this terminal's screen now.
    pub fn of(terminal: &mut Terminal, title: &'static str, text: &str) -> Self {
        Self {
            title,
            text: text.to_owned(),
            screen: terminal.settle().screen(),
        }
    }
}

/// Puts captured screens into a section under `UPDATE=1`. They hold times and ids, so
/// they are not compared.
pub fn capture_section(name: &str, steps: &[Step]) {
    if std::env::var_os("UPDATE").is_none() {
        return;
    }
    let mut text = String::new();
    for (number, step) in steps.iter().enumerate() {
        let Step {
            title,
            text: about,
            screen,
        } = step;
        let screen: Vec<&str> = screen.lines().map(str::trim_end).collect();
        let number = number + 1;
        let _ = writeln!(text, "**{number}. {title}.** {about}\n\n```text");
        let _ = writeln!(text, "{}\n```\n", screen.join("\n").trim_end());
    }
    check_section(name, &text);
}

/// Requires the text between `<!-- name:begin -->` and `<!-- name:end -->` to be
/// `expected`; with `UPDATE=1` in the environment writes it there instead.
#[track_caller]
pub fn check_section(name: &str, expected: &str) {
    let path = project().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (
        format!("<!-- {name}:begin -->\n"),
        format!("<!-- {name}:end -->"),
    );
    let (before, rest) = readme
        .split_once(&begin)
        .unwrap_or_else(|| panic!("README.md has no {begin}"));
    let (found, after) = rest
        .split_once(&end)
        .unwrap_or_else(|| panic!("README.md has no {end}"));
    let expected = format!("\n{}\n\n", expected.trim());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
    } else {
        pretty_assertions::assert_eq!(
            found,
            expected,
            "the section `{name}` of README.md is out of date: run `UPDATE=1 cargo test readme`"
        );
    }
}
