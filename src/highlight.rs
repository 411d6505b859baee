//! Roles of source text: what is a keyword, a string, a comment.
//!
//! A small face of `syntect` for Python and JSON. It answers semantic roles by
//! byte range, so that the screen and the line prompt give them their own
//! colours; it knows no colour itself. The grammars (some ms) are loaded by
//! [`preload`] on a thread of its own; until they are there, text is plain.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxSet};

/// Longer lines stay plain: nobody reads their colours, and grammars are slow on them.
const LONGEST_LINE: usize = 2000;

/// What a piece of source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Anything without a role of its own.
    Plain,
    /// `def`, `if`, `None`, `true`.
    Keyword,
    /// A string with its quotes.
    String,
    /// A number.
    Number,
    /// A comment.
    Comment,
    /// The name of a function, where it is defined or called.
    Function,
    /// The name of a class or type.
    Type,
    /// `+`, `==`, `->`.
    Operator,
}

/// A language that can be highlighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Python.
    Python,
    /// JSON.
    Json,
}

/// The pieces of a line, in order, covering it without gaps.
pub type Pieces = Vec<(Role, Range<usize>)>;

/// Loads the grammars on a thread of its own, once; returns at once.
pub fn preload() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    if !STARTED.swap(true, Ordering::Relaxed) {
        // A thread that cannot be made means plain text, which is no harm.
        let _ = std::thread::Builder::new()
            .name("highlight".to_owned())
            .spawn(|| GRAMMARS.get_or_init(Grammars::load));
    }
}

/// Whether the grammars are there: what was highlighted before should be drawn anew.
pub fn is_ready() -> bool {
    GRAMMARS.get().is_some()
}

static GRAMMARS: OnceLock<Grammars> = OnceLock::new();

struct Grammars {
    set: SyntaxSet,
    roles: Vec<(Scope, Role)>,
}

impl Grammars {
    fn load() -> Self {
        // The more special scope first.
        let roles = [
            // A docstring: in DSPy it is the instructions.
            ("comment.block.documentation", Role::String),
            ("comment", Role::Comment),
            ("string", Role::String),
            ("constant.numeric", Role::Number),
            ("constant.character", Role::String),
            ("constant.language", Role::Keyword),
            ("keyword.operator.logical", Role::Keyword),
            ("keyword.operator.word", Role::Keyword),
            ("keyword.operator", Role::Operator),
            ("keyword", Role::Keyword),
            ("storage", Role::Keyword),
            ("entity.name.function", Role::Function),
            ("entity.name.class", Role::Type),
            ("entity.other.inherited-class", Role::Type),
            ("support.function", Role::Function),
            ("support.type", Role::Type),
            ("variable.function", Role::Function),
            ("variable.language", Role::Keyword),
        ];
        Self {
            set: SyntaxSet::load_defaults_newlines(),
            roles: roles
                .into_iter()
                .filter_map(|(scope, role)| Some((Scope::new(scope).ok()?, role)))
                .collect(),
        }
    }

    fn begin(&self, language: Language) -> Option<Moment> {
        let name = match language {
            Language::Python => "Python",
            Language::Json => "JSON",
        };
        let syntax = self.set.find_syntax_by_name(name)?;
        Some(Moment {
            state: ParseState::new(syntax),
            scopes: ScopeStack::new(),
        })
    }

    /// The role of the innermost scope that has one; comments and strings rule
    /// over whatever is inside them.
    fn role(&self, scopes: &ScopeStack) -> Role {
        let of = |scope: &Scope| {
            let known = self
                .roles
                .iter()
                .find(|(known, _)| known.is_prefix_of(*scope));
            known.map(|(_, role)| *role)
        };
        let scopes = scopes.as_slice();
        let whole = scopes
            .iter()
            .filter_map(of)
            .find(|role| matches!(role, Role::Comment | Role::String));
        whole
            .or_else(|| scopes.iter().rev().find_map(of))
            .unwrap_or(Role::Plain)
    }
}

/// Where the grammar stands between two lines.
#[derive(Debug, Clone, PartialEq)]
struct Moment {
    state: ParseState,
    scopes: ScopeStack,
}

/// Highlights a text that is edited: only what changed, and what that changes,
/// is read anew.
#[derive(Debug)]
pub struct Highlighter {
    language: Language,
    lines: Vec<Cached>,
    /// Lines read by the last call; for tests and measurements.
    read: usize,
}

#[derive(Debug)]
struct Cached {
    text: String,
    pieces: Pieces,
    /// After the line; `None` when the grammars were not there.
    after: Option<Moment>,
}

impl Highlighter {
    /// A highlighter of one text.
    pub fn new(language: Language) -> Self {
        preload();
        Self {
            language,
            lines: Vec::new(),
            read: 0,
        }
    }

    /// The pieces of each line. Ranges are byte offsets in the line.
    pub fn lines<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) -> Vec<&Pieces> {
        let grammars = GRAMMARS.get();
        let mut before = grammars.and_then(|grammars| grammars.begin(self.language));
        let mut count = 0;
        let mut changed = false;
        self.read = 0;
        for line in lines {
            let kept = self.lines.get(count).is_some_and(|cached| {
                !changed && cached.text == line && cached.after.is_some() == grammars.is_some()
            });
            if !kept {
                let cached = read_line(grammars, before.clone(), line);
                self.read += 1;
                match self.lines.get_mut(count) {
                    Some(old) => {
                        // Where the grammar stands as it did, what follows stays.
                        changed = old.after != cached.after;
                        *old = cached;
                    }
                    None => self.lines.push(cached),
                }
            }
            before = self
                .lines
                .get(count)
                .and_then(|cached| cached.after.clone());
            count += 1;
        }
        self.lines.truncate(count);
        self.lines.iter().map(|cached| &cached.pieces).collect()
    }
}

fn read_line(grammars: Option<&Grammars>, before: Option<Moment>, line: &str) -> Cached {
    let plain = |after| Cached {
        text: line.to_owned(),
        pieces: whole(line),
        after,
    };
    let (Some(grammars), Some(mut moment)) = (grammars, before) else {
        return plain(None);
    };
    if line.len() > LONGEST_LINE {
        return plain(Some(moment));
    }
    let with_newline = format!("{line}\n");
    let Ok(changes) = moment.state.parse_line(&with_newline, &grammars.set) else {
        return plain(Some(moment));
    };
    let mut pieces = Pieces::new();
    let mut at = 0;
    for (end, change) in changes {
        push(
            &mut pieces,
            grammars.role(&moment.scopes),
            at..end.min(line.len()),
        );
        at = end.min(line.len());
        if moment.scopes.apply(&change).is_err() {
            return plain(Some(moment));
        }
    }
    push(&mut pieces, grammars.role(&moment.scopes), at..line.len());
    Cached {
        text: line.to_owned(),
        pieces,
        after: Some(moment),
    }
}

/// Appends a piece, joined to the last one where the role is the same.
fn push(pieces: &mut Pieces, role: Role, range: Range<usize>) {
    if range.is_empty() {
        return;
    }
    match pieces.last_mut() {
        Some((last, before)) if *last == role && before.end == range.start => {
            before.end = range.end;
        }
        _ => pieces.push((role, range)),
    }
}

fn whole(line: &str) -> Pieces {
    let mut pieces = Pieces::new();
    push(&mut pieces, Role::Plain, 0..line.len());
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ready() {
        GRAMMARS.get_or_init(Grammars::load);
    }

    /// `text` as `role:piece`, without what is plain.
    fn roles(language: Language, text: &str) -> Vec<(Role, String)> {
        ready();
        let mut highlighter = Highlighter::new(language);
        let lines: Vec<&str> = text.split('\n').collect();
        let pieces = highlighter.lines(lines.iter().copied());
        let mut found = Vec::new();
        for (line, pieces) in lines.iter().zip(pieces) {
            for (role, range) in pieces {
                if *role != Role::Plain {
                    found.push((*role, line[range.clone()].trim().to_owned()));
                }
            }
        }
        found
    }

    #[test]
    fn python_has_roles() {
        let found = roles(
            Language::Python,
            "class QA(dspy.Signature):\n    \"\"\"Answer\n    well.\"\"\"\ndef f(x):  # why\n    return 4.5 + len(x)",
        );
        for expected in [
            (Role::Keyword, "class"),
            (Role::Type, "QA"),
            (Role::String, "\"\"\"Answer"),
            (Role::String, "well.\"\"\""),
            (Role::Function, "f"),
            (Role::Comment, "# why"),
            (Role::Keyword, "return"),
            (Role::Number, "4.5"),
            (Role::Operator, "+"),
            (Role::Function, "len"),
        ] {
            let expected = (expected.0, expected.1.to_owned());
            assert!(found.contains(&expected), "{expected:?} in {found:?}");
        }
    }

    #[test]
    fn json_has_roles() {
        let found = roles(Language::Json, "{\"a\": [1, true]}");
        for expected in [
            (Role::String, "\"a\""),
            (Role::Number, "1"),
            (Role::Keyword, "true"),
        ] {
            let expected = (expected.0, expected.1.to_owned());
            assert!(found.contains(&expected), "{expected:?} in {found:?}");
        }
    }

    #[test]
    fn only_what_changed_is_read() {
        ready();
        let mut highlighter = Highlighter::new(Language::Python);
        let mut lines: Vec<String> = (0..100).map(|n| format!("x{n} = {n}")).collect();
        let mut read = |lines: &[String]| {
            highlighter.lines(lines.iter().map(String::as_str));
            highlighter.read
        };
        assert_eq!(read(&lines), 100);
        assert_eq!(read(&lines), 0);
        lines[50] = "y = 'changed'".into();
        assert_eq!(read(&lines), 1);
        // An open string changes everything below, and closing it again too.
        lines[60] = "z = '''".into();
        assert_eq!(read(&lines), 40);
        lines.push("last = 1".into());
        assert_eq!(read(&lines), 1);
    }

    proptest! {
        /// Pieces cover each line exactly, at character boundaries, and equal
        /// those of a fresh highlighter after any edit.
        #[test]
        fn pieces_cover_the_text(
            first in "[ -~é\"'#\n]{0,60}",
            second in "[ -~é\"'#\n]{0,60}",
        ) {
            ready();
            let mut edited = Highlighter::new(Language::Python);
            edited.lines(first.split('\n'));
            let after: Vec<Pieces> = edited.lines(second.split('\n')).into_iter().cloned().collect();
            let mut fresh = Highlighter::new(Language::Python);
            let expected: Vec<Pieces> = fresh.lines(second.split('\n')).into_iter().cloned().collect();
            prop_assert_eq!(&after, &expected);
            for (line, pieces) in second.split('\n').zip(&after) {
                let mut at = 0;
                for (_, range) in pieces {
                    prop_assert_eq!(range.start, at);
                    prop_assert!(line.get(range.clone()).is_some());
                    at = range.end;
                }
                prop_assert_eq!(at, line.len());
            }
        }
    }
}
