//! Reads Python as lines: what is open, and where a statement ends.
//!
//! A small lexer of strings, brackets, comments, continuations and blocks, used
//! by the prompt (does Enter run this?) and by scripts (which lines are one
//! statement?). It finds no syntax errors: what is wrong is complete, so that
//! Python can say why.

/// Words that begin a statement which may go on in later lines.
const COMPOUND: &[&str] = &["async", "class", "def", "for", "if", "try", "while", "with"];

/// Words that go on with the statement before, at its own indentation.
const CLAUSES: &[&str] = &["elif", "else", "except", "finally"];

/// What has been read so far.
#[derive(Debug, Clone, Default)]
struct Scanner {
    /// Closing brackets that are wanted, innermost last.
    brackets: Vec<char>,
    /// The quote of the string that is open across lines, and whether it is tripled.
    string: Option<(char, bool)>,
    /// The last line ended with a backslash.
    continued: bool,
    /// The last character that is neither blank nor comment.
    last: Option<char>,
    /// The last logical line is a decorator.
    decorator: bool,
    /// A statement with a block was begun at the left margin.
    compound: bool,
    /// A cell magic (`%%…`): everything up to the end is its own language.
    magic: bool,
}

impl Scanner {
    /// Whether the logical line goes on.
    fn open(&self) -> bool {
        self.string.is_some() || !self.brackets.is_empty() || self.continued
    }

    /// Whether more must follow whatever comes next.
    fn unfinished(&self) -> bool {
        self.open() || self.last == Some(':') || self.decorator
    }

    fn feed(&mut self, line: &str) {
        if self.magic {
            return;
        }
        if !self.open() && !self.begin(line) {
            return;
        }
        self.scan(line);
        if self.last == Some(':') && !self.open() {
            self.compound = true;
        }
    }

    /// Looks at the first words of a logical line; false when there is nothing
    /// to scan in it.
    fn begin(&mut self, line: &str) -> bool {
        let text = line.trim_start();
        if text.is_empty() || text.starts_with('#') {
            return false;
        }
        if line.starts_with("%%") {
            self.magic = true;
            self.compound = true;
            return false;
        }
        self.last = None;
        let at_margin = text.len() == line.len();
        // The rest of a magic or shell line is not Python: quotes mean nothing.
        if text.starts_with(['!', '%', '?']) {
            if at_margin {
                self.compound = false;
            }
            self.decorator = false;
            self.last = text.chars().next();
            return false;
        }
        self.decorator = text.starts_with('@');
        if at_margin {
            let word = first_word(text);
            let goes_on = self.compound && CLAUSES.contains(&word);
            self.compound = goes_on || self.decorator || COMPOUND.contains(&word);
        }
        true
    }

    fn scan(&mut self, line: &str) {
        self.continued = false;
        let mut rest = line;
        while let Some(ch) = rest.chars().next() {
            let mut len = ch.len_utf8();
            match self.string {
                Some((quote, long)) => {
                    if ch == '\\' {
                        let escaped = rest[len..].chars().next();
                        self.continued = escaped.is_none();
                        len += escaped.map_or(0, char::len_utf8);
                    } else if ch == quote && (!long || tripled(rest, quote)) {
                        self.string = None;
                        self.last = Some(quote);
                        len = if long { 3 } else { 1 };
                    }
                }
                None => match ch {
                    '#' => break,
                    '"' | '\'' => {
                        let long = tripled(rest, ch);
                        self.string = Some((ch, long));
                        len = if long { 3 } else { 1 };
                    }
                    '\\' if rest.len() == 1 => self.continued = true,
                    _ => self.code(ch),
                },
            }
            rest = &rest[len..];
        }
        if let Some((_, false)) = self.string
            && !self.continued
        {
            // A plain string ends with its line; Python will complain.
            self.string = None;
        }
        if self.string.is_some() {
            self.continued = false;
        }
    }

    fn code(&mut self, ch: char) {
        match ch {
            '(' => self.brackets.push(')'),
            '[' => self.brackets.push(']'),
            '{' => self.brackets.push('}'),
            // A bracket that closes nothing, or the wrong one: give up waiting.
            ')' | ']' | '}' if self.brackets.pop() != Some(ch) => self.brackets.clear(),
            _ => {}
        }
        if !ch.is_whitespace() {
            self.last = Some(ch);
        }
    }
}

fn tripled(text: &str, quote: char) -> bool {
    text.chars().take(3).filter(|ch| *ch == quote).count() == 3
}

fn first_word(text: &str) -> &str {
    let end = text.find(|ch: char| !(ch.is_alphanumeric() || ch == '_'));
    &text[..end.unwrap_or(text.len())]
}

/// Whether Enter should run this. Brackets, strings and blocks must be closed;
/// an empty last line closes a block.
pub fn is_complete(source: &str) -> bool {
    if crate::command::is_command(source) {
        return true;
    }
    let mut scanner = Scanner::default();
    for line in source.split('\n') {
        scanner.feed(line);
    }
    let last = source.rsplit('\n').next().unwrap_or_default();
    !scanner.unfinished() && (!scanner.compound || last.trim().is_empty())
}

/// How far the next line should be indented, in blanks.
pub fn indent_after(source: &str) -> usize {
    let mut scanner = Scanner::default();
    for line in source.split('\n') {
        scanner.feed(line);
    }
    let last = source.rsplit('\n').next().unwrap_or_default();
    let indent = last.len() - last.trim_start_matches(' ').len();
    if scanner.last == Some(':') && !scanner.open() {
        indent + 4
    } else {
        indent
    }
}

/// One thing of a script to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Its text.
    pub source: String,
    /// The line of the file it begins at, from 1.
    pub line: usize,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// Python for a cell.
    Python,
    /// A `:command`.
    Command,
    /// Text.
    Markdown,
}

/// Cuts a stream of lines into statements and commands.
#[derive(Debug, Default)]
pub struct Splitter {
    scanner: Scanner,
    held: Vec<String>,
    begin: usize,
    line: usize,
}

impl Splitter {
    /// Takes the next line, without its newline; answers what is ready to run.
    pub fn push(&mut self, line: &str) -> Vec<Entry> {
        self.line += 1;
        let mut ready = Vec::new();
        let text = line.trim();
        let nothing = text.is_empty() || text.starts_with('#');
        if !self.scanner.unfinished() && self.ends_before(line, nothing) {
            ready.extend(self.take());
        }
        if self.held.is_empty() {
            if nothing {
                return ready;
            }
            if text.starts_with(':') {
                ready.push(Entry {
                    kind: EntryKind::Command,
                    source: text.to_owned(),
                    line: self.line,
                });
                return ready;
            }
            self.begin = self.line;
        }
        self.held.push(line.to_owned());
        self.scanner.feed(line);
        if !self.scanner.unfinished() && !self.scanner.compound {
            ready.extend(self.take());
        }
        ready
    }

    /// What is left at the end of the input.
    pub fn finish(&mut self) -> Option<Entry> {
        self.take()
    }

    /// Whether the statement held so far ends before this line.
    fn ends_before(&self, line: &str, nothing: bool) -> bool {
        if self.scanner.magic {
            return line.trim().is_empty();
        }
        let at_margin = !line.starts_with([' ', '\t']);
        !nothing && at_margin && !CLAUSES.contains(&first_word(line))
    }

    fn take(&mut self) -> Option<Entry> {
        self.scanner = Scanner::default();
        let held = std::mem::take(&mut self.held);
        let source = held.join("\n").trim_end().to_owned();
        (!source.is_empty()).then_some(Entry {
            kind: EntryKind::Python,
            source,
            line: self.begin,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_enter_runs() {
        for whole in [
            "",
            "1 + 1",
            "f(\n1,\n)",
            "x = '''a\nb'''",
            "def f():\n    return 1\n",
            ":lm use demo",
            r"s = 'it\'s'",
            "# (",
            "x = {'a': 1}",
            "'('",
            "x = 'open",
            ")",
            "(]",
            "!echo \"it's",
            "%timeit x",
            "?print",
            "if = 3",
            "lambda x: x",
            "x[1:2]",
            "d = {1:\n2}",
            "# x:",
            "%%bash\nls\n",
            "f\"{d['k']}\"",
            "@d\ndef f():\n    pass\n",
            "s = \"\"\"a\"b\"\"\"",
            "x = 1 # it's",
            "match = 3",
            "a = 1 \\\n+ 2",
            "s = 'a\\\nb'",
        ] {
            let expected = whole != "if = 3";
            assert_eq!(is_complete(whole), expected, "{whole:?}");
        }
    }

    #[test]
    fn what_enter_goes_on_with() {
        for open in [
            "f(",
            "x = '''a",
            "def f():",
            "def f():\n    return 1",
            "if x:\n    y",
            "a = 1 + \\",
            "@dec",
            "for i in x: # why",
            "if x: y",
            "def f():\n",
            "try:\n    x\n\nexcept E:",
            "x = [\n'a', # (\n",
            "class A:\n    s = '''\n\n",
            "match x:",
            "s = 'a\\",
            "%%bash\nls",
            "async def f():\n    await g()",
            "with open(p) as f:\n    # note",
        ] {
            assert!(!is_complete(open), "{open:?}");
        }
    }

    #[test]
    fn the_next_line_is_indented() {
        assert_eq!(indent_after("def f():"), 4);
        assert_eq!(indent_after("def f():\n    if x:"), 8);
        assert_eq!(indent_after("def f():\n    y = 1"), 4);
        assert_eq!(indent_after("x = {1:"), 0);
    }

    fn split(text: &str) -> Vec<(usize, String)> {
        let mut splitter = Splitter::default();
        let mut entries: Vec<Entry> = text.lines().flat_map(|line| splitter.push(line)).collect();
        entries.extend(splitter.finish());
        let pairs = entries.into_iter();
        pairs.map(|entry| (entry.line, entry.source)).collect()
    }

    #[test]
    fn a_script_is_cut_at_its_statements() {
        let text = "# a comment\nimport dspy\n\ndef f(x):\n    y = x\n\n    return (\n1)\n\
                    :lm use demo\nif a:\n    b\nelse:\n    c\nprint('''\n:no command\n''')\n\
                    @d\ndef g(): pass\nx = [1,\n2]\n%%bash\nls\nif x\n\nlast = 1";
        let expected = [
            (2, "import dspy"),
            (4, "def f(x):\n    y = x\n\n    return (\n1)"),
            (9, ":lm use demo"),
            (10, "if a:\n    b\nelse:\n    c"),
            (14, "print('''\n:no command\n''')"),
            (17, "@d\ndef g(): pass"),
            (19, "x = [1,\n2]"),
            (21, "%%bash\nls\nif x"),
            (25, "last = 1"),
        ];
        assert_eq!(
            split(text),
            expected.map(|(line, source)| (line, source.to_owned()))
        );
    }

    #[test]
    fn a_simple_statement_is_ready_at_once() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.push("x = 1").len(), 1);
        assert_eq!(splitter.push("if x:").len(), 0);
        assert_eq!(splitter.push("    y").len(), 0);
        assert_eq!(splitter.push("z").len(), 2);
        assert_eq!(splitter.finish(), None);
    }

    proptest! {
        /// Nothing that is code gets lost between entries, whatever the text.
        #[test]
        fn every_line_of_code_is_in_an_entry(text in "[ \n\ta-z:'\"()\\\\#%@=]{0,80}") {
            let _ = is_complete(&text);
            let joined: String = split(&text).into_iter().map(|(_, source)| source + "\n").collect();
            for line in text.lines().filter(|line| {
                let line = line.trim();
                !line.is_empty() && !line.starts_with('#')
            }) {
                prop_assert!(joined.contains(line.trim()), "{line:?} of {text:?}");
            }
        }
    }
}
