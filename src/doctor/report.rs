//! What `doctor` found, and how it is printed: one line a check, the command that
//! mends it below, or all of it as JSON. Knows nothing of what is checked.

use std::io::{self, Write};

use serde::Serialize;

use crate::sanitize;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is there.
    Ok,
    /// It is not there, and something named works less well without it.
    Optional,
    /// It is not there, and the workbench cannot do its work without it.
    Missing,
}

/// One requirement and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked for, two words at most.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// What was found, or what is missing and what needs it.
    pub detail: String,
    /// The exact command, or the one sentence, that mends it; empty where nothing is to mend.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl Check {
    /// A requirement that is met.
    pub fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self::new(name, Status::Ok, detail, "")
    }

    /// A requirement that is not met.
    pub fn missing(name: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(name, Status::Missing, detail, remedy)
    }

    /// Something that is not there and need not be.
    pub fn optional(name: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(name, Status::Optional, detail, remedy)
    }

    fn new(
        name: &str,
        status: Status,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            status,
            detail: detail.into(),
            remedy: remedy.into(),
        }
    }
}

/// Every check, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Nothing required is missing.
    pub ok: bool,
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// Sums the checks up.
    pub fn new(checks: Vec<Check>) -> Self {
        let ok = checks.iter().all(|check| check.status != Status::Missing);
        Self { ok, checks }
    }

    /// Prints the report as one JSON object on one line.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        writeln!(out)
    }

    /// Prints the report for a person; `unicode` false uses plain marks.
    pub fn write_text(&self, out: &mut impl Write, unicode: bool) -> io::Result<()> {
        let width = self.checks.iter().map(|check| check.name.len()).max();
        let width = width.unwrap_or_default();
        for check in &self.checks {
            let mark = match (check.status, unicode) {
                (Status::Ok, true) => "✓",
                (Status::Ok, false) => "ok",
                (Status::Optional, true) => "·",
                (Status::Optional, false) => "--",
                (Status::Missing, true) => "✗",
                (Status::Missing, false) => "NO",
            };
            let detail = sanitize::clean(&check.detail);
            writeln!(out, "{mark} {:width$}  {detail}", check.name)?;
            if !check.remedy.is_empty() {
                let arrow = if unicode { "→" } else { "->" };
                writeln!(
                    out,
                    "  {:width$}  {arrow} {}",
                    "",
                    sanitize::clean(&check.remedy)
                )?;
            }
        }
        let missing = self.count(Status::Missing);
        let optional = self.count(Status::Optional);
        match (missing, optional) {
            (0, 0) => writeln!(out, "\nEverything is there."),
            (0, _) => writeln!(
                out,
                "\nEverything required is there; {optional} optional missing."
            ),
            (1, _) => writeln!(out, "\nOne requirement is missing."),
            _ => writeln!(out, "\n{missing} requirements are missing."),
        }
    }

    fn count(&self, status: Status) -> usize {
        self.checks
            .iter()
            .filter(|check| check.status == status)
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(checks: Vec<Check>, unicode: bool) -> String {
        let mut out = Vec::new();
        let report = Report::new(checks);
        report.write_text(&mut out, unicode).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_missing_requirement_shows_its_remedy() {
        let checks = vec![
            Check::ok("Python", "3.11"),
            Check::missing("dspy", "not installed", "pip install dspy"),
        ];
        assert!(!Report::new(checks.clone()).ok);
        assert_eq!(
            text(checks, true),
            "✓ Python  3.11\n✗ dspy    not installed\n          → pip install dspy\n\nOne requirement is missing.\n"
        );
    }

    #[test]
    fn an_optional_lack_is_no_failure() {
        let checks = vec![Check::optional("orjson", "slower", "pip install orjson")];
        assert!(Report::new(checks.clone()).ok);
        assert!(text(checks, false).starts_with("-- orjson  slower\n"));
    }

    #[test]
    fn control_sequences_do_not_reach_the_terminal() {
        let checks = vec![Check::ok("TERM", "\u{1b}]0;x\u{7}")];
        let printed = text(checks, false);
        assert!(!printed.contains(['\u{1b}', '\u{7}']), "{printed:?}");
    }
}
