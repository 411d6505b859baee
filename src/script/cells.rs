//! Cuts a script into cells.

use crate::repl::source::{Entry, EntryKind, Splitter};

/// The cells of a Python file: one, unless `# %%` lines divide it.
pub(super) fn of_python(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut held = Held {
        kind: EntryKind::Python,
        first: 1,
        lines: Vec::new(),
    };
    for (index, line) in text.lines().enumerate() {
        match divider(line) {
            None => held.lines.push(line),
            Some(kind) => {
                let next = Held {
                    kind,
                    first: index + 2,
                    lines: Vec::new(),
                };
                entries.extend(std::mem::replace(&mut held, next).entry());
            }
        }
    }
    entries.extend(held.entry());
    entries
}

/// The statements and commands of a command script.
pub(super) fn of_commands(text: &str) -> Vec<Entry> {
    let mut splitter = Splitter::default();
    let mut entries: Vec<Entry> = text.lines().flat_map(|line| splitter.push(line)).collect();
    entries.extend(splitter.finish());
    entries
}

/// The kind of cell that begins after this line, if it divides cells.
fn divider(line: &str) -> Option<EntryKind> {
    let rest = line.strip_prefix('#')?.trim_start().strip_prefix("%%")?;
    if !(rest.is_empty() || rest.starts_with([' ', '\t', '['])) {
        return None;
    }
    let is_text = rest.contains("[markdown]") || rest.contains("[md]");
    Some(if is_text {
        EntryKind::Markdown
    } else {
        EntryKind::Python
    })
}

struct Held<'a> {
    kind: EntryKind,
    first: usize,
    lines: Vec<&'a str>,
}

impl Held<'_> {
    fn entry(self) -> Option<Entry> {
        // Line numbers count from the first line that is kept.
        let blank = self
            .lines
            .iter()
            .take_while(|line| line.trim().is_empty())
            .count();
        let lines = self.lines.get(blank..).unwrap_or_default();
        let source = match self.kind {
            EntryKind::Markdown => lines
                .iter()
                .map(|line| {
                    let line = line.strip_prefix('#').unwrap_or(line);
                    line.strip_prefix(' ').unwrap_or(line)
                })
                .collect::<Vec<_>>()
                .join("\n"),
            _ => lines.join("\n"),
        };
        let source = source.trim_end().to_owned();
        (!source.is_empty()).then_some(Entry {
            kind: self.kind,
            source,
            line: self.first + blank,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Vec<(EntryKind, usize, String)> {
        let cells = of_python(text).into_iter();
        cells
            .map(|cell| (cell.kind, cell.line, cell.source))
            .collect()
    }

    #[test]
    fn a_plain_file_is_one_cell() {
        assert_eq!(
            cells("import dspy\n\n#%timeit\nx = 1\n"),
            [(
                EntryKind::Python,
                1,
                "import dspy\n\n#%timeit\nx = 1".into()
            )]
        );
        assert_eq!(cells("\n\n"), []);
    }

    #[test]
    fn percent_lines_divide_cells() {
        let text = "#!/usr/bin/env python\n# %%\n\nx = 1\n# %% [markdown]\n# # Title\n# text\n\
                    #%% Named\ny = 2\n# %%\n";
        assert_eq!(
            cells(text),
            [
                (EntryKind::Python, 1, "#!/usr/bin/env python".into()),
                (EntryKind::Python, 4, "x = 1".into()),
                (EntryKind::Markdown, 6, "# Title\ntext".into()),
                (EntryKind::Python, 9, "y = 2".into()),
            ]
        );
    }
}
