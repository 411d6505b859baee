//! Which line of the file an error of a cell is about.

use crate::protocol::error::OperationError;
use crate::repl::format::without_sgr;
use crate::repl::source::{Entry, EntryKind};

/// Where each cell begins in the file, by the number in `In[n]`.
#[derive(Debug, Default)]
pub(super) struct Places {
    lines: Vec<usize>,
}

impl Places {
    /// Notes the cell that is about to run.
    pub(super) fn remember(&mut self, entry: &Entry) {
        if entry.kind == EntryKind::Python {
            self.lines.push(entry.line);
        }
    }

    /// The line of the file that raised: the innermost one of the traceback
    /// that is in the script, else the first of its cell.
    pub(super) fn line_of(&self, error: &OperationError, entry: &Entry) -> usize {
        error
            .traceback
            .iter()
            .flat_map(|part| part.split('\n'))
            .filter_map(|line| self.place(&without_sgr(line)))
            .next_back()
            .unwrap_or(entry.line)
    }

    /// The line of the file that a line of a traceback names: `Cell In[2], line 5`.
    fn place(&self, line: &str) -> Option<usize> {
        let (_, rest) = line.split_once("Cell In[")?;
        let (number, rest) = rest.split_once("], line ")?;
        let digits = rest.find(|ch: char| !ch.is_ascii_digit());
        let line: usize = rest[..digits.unwrap_or(rest.len())].parse().ok()?;
        let number: usize = number.parse().ok()?;
        let first = self.lines.get(number.checked_sub(1)?)?;
        Some(first + line.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::error::ErrorClass;

    #[test]
    fn the_innermost_line_of_the_script_is_named() {
        let mut places = Places::default();
        let entry = |line: usize| Entry {
            kind: EntryKind::Python,
            source: "x".into(),
            line,
        };
        places.remember(&entry(3));
        places.remember(&entry(10));
        let mut error = OperationError::new("ValueError", ErrorClass::PythonRuntime, "no");
        assert_eq!(places.line_of(&error, &entry(10)), 10);
        error.traceback = vec![
            "\u{1b}[96mCell\u{1b}[39m \u{1b}[32mIn[2]\u{1b}[39m, line 4".into(),
            "Cell In[1], line 2, in f()".into(),
            "File /usr/lib/python3/json.py:3, in g()".into(),
        ];
        assert_eq!(places.line_of(&error, &entry(10)), 4);
    }
}
