//! Cuts a file into cells.

/// One cell of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What it holds.
    pub kind: PieceKind,
    /// Its text.
    pub source: String,
    /// Line of the file it begins on, from 1.
    pub line: usize,
}

/// What a piece of a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// Python.
    Python,
    /// Text.
    Markdown,
    /// A `:command`.
    Command,
}

/// The cells of a Python file: cut at `# %%` lines; one cell without any.
pub fn python(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut kind = PieceKind::Python;
    let mut begun = 1;
    let mut lines: Vec<&str> = Vec::new();
    for (idx, line) in text.lines().enumerate() {
        if let Some(title) = line.strip_prefix("# %%") {
            pieces.extend(piece(kind, &lines, begun));
            lines.clear();
            kind = if title.contains("[markdown]") {
                PieceKind::Markdown
            } else {
                PieceKind::Python
            };
            begun = idx + 2;
        } else {
            lines.push(line);
        }
    }
    pieces.extend(piece(kind, &lines, begun));
    pieces
}

/// The pieces of a command script: a `:command` a line, and the Python between.
/// Empty lines and `#` lines outside Python belong to nothing.
pub fn commands(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut begun = 1;
    let mut lines: Vec<&str> = Vec::new();
    for (idx, line) in text.lines().enumerate() {
        if line.starts_with(':') {
            pieces.extend(piece(PieceKind::Python, &lines, begun));
            lines.clear();
            begun = idx + 2;
            let source = line.trim_end().to_owned();
            pieces.push(Piece {
                kind: PieceKind::Command,
                source,
                line: idx + 1,
            });
        } else {
            lines.push(line);
        }
    }
    pieces.extend(piece(PieceKind::Python, &lines, begun));
    pieces
}

/// A piece of these lines, without blank lines at its ends; none when it has
/// nothing but blank lines and, for Python, comments.
fn piece(kind: PieceKind, lines: &[&str], line: usize) -> Option<Piece> {
    let blank = |text: &&str| text.trim().is_empty();
    let first = lines.iter().position(|text| !blank(text))?;
    let last = lines.iter().rposition(|text| !blank(text))?;
    let body = lines.get(first..=last)?;
    let comment = |text: &&str| text.trim_start().starts_with('#');
    if kind == PieceKind::Python && body.iter().all(|text| blank(text) || comment(text)) {
        return None;
    }
    let source = if kind == PieceKind::Markdown {
        let uncomment = |text: &&str| {
            let text = text.strip_prefix('#').unwrap_or(text);
            text.strip_prefix(' ').unwrap_or(text).to_owned()
        };
        body.iter().map(uncomment).collect::<Vec<_>>().join("\n")
    } else {
        body.join("\n")
    };
    Some(Piece {
        kind,
        source,
        line: line + first,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_file_is_one_cell() {
        let pieces = python("\nx = 1\n\nprint(x)\n");
        assert_eq!(pieces.len(), 1);
        assert_eq!(
            (pieces[0].source.as_str(), pieces[0].line),
            ("x = 1\n\nprint(x)", 2)
        );
    }

    #[test]
    fn percent_lines_cut_and_markdown_loses_its_hashes() {
        use PieceKind::{Markdown, Python};

        let text = "# %% [markdown]\n# # Title\n# text\n# %%\nx = 1\n# %% second\n\nx\n";
        let pieces = python(text);
        let kinds: Vec<_> = pieces
            .iter()
            .map(|piece| (piece.kind, piece.line))
            .collect();
        assert_eq!(kinds, [(Markdown, 2), (Python, 5), (Python, 8)]);
        assert_eq!(pieces[0].source, "# Title\ntext");
    }

    #[test]
    fn commands_and_python_alternate() {
        let pieces = commands("# a comment\n:lm use demo\n\nx = 1\ny = 2\n:runs\n");
        let sources: Vec<_> = pieces.iter().map(|piece| piece.source.as_str()).collect();
        assert_eq!(sources, [":lm use demo", "x = 1\ny = 2", ":runs"]);
    }
}
