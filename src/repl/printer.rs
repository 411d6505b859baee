//! Prints what cells put out, live and in order, to a plain terminal or a pipe.
//!
//! Reads the state and remembers how much of each cell it has printed. Owns
//! colour and safety of the two streams; decides nothing about exit codes.

use std::collections::HashMap;
use std::io::{IsTerminal as _, Write};

use serde_json::{Map, Value};

use super::format;
use crate::app::present::{PAGE, PREDICTION, prediction};
use crate::protocol::error::OperationError;
use crate::sanitize;
use crate::session::event::{CellId, CellKind, Level, Output, RunId};
use crate::session::state::{Cell, SessionState};

/// Characters kept of a stream to notice that it was cleared and begun anew.
const MEMORY: usize = 256;

/// One of the two streams.
pub struct Stream {
    to: Box<dyn Write + Send>,
    terminal: bool,
    colour: bool,
    at_margin: bool,
    closed: bool,
}

impl Stream {
    /// A stream; `terminal` asks for text that cannot steer one.
    pub fn new(to: Box<dyn Write + Send>, terminal: bool, colour: bool) -> Self {
        Self {
            to,
            terminal,
            colour,
            at_margin: true,
            closed: false,
        }
    }

    /// Text as a program wrote it. A pipe gets it as it is, a terminal only
    /// what cannot harm it.
    fn program_text(&mut self, text: &str) {
        if self.terminal {
            let text = format::for_terminal(text, self.colour);
            self.put(&text);
        } else {
            self.put(text);
        }
    }

    /// Text of the workbench or of a value, which may quote anything.
    fn quoted(&mut self, text: &str) {
        let text = sanitize::keep_sgr(text);
        if self.colour {
            self.put(&text);
        } else {
            self.put(&format::without_sgr(&text));
        }
    }

    fn put(&mut self, text: &str) {
        if text.is_empty() || self.closed {
            return;
        }
        self.at_margin = text.ends_with('\n');
        let written = self.to.write_all(text.as_bytes());
        if written.and_then(|()| self.to.flush()).is_err() {
            self.closed = true;
        }
    }
}

/// Whether a terminal may be given colours: `NO_COLOR` is unset or empty, and
/// the terminal is not a dumb one.
pub fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Where values and results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Results {
    /// To standard output: they are what the person asked for.
    Output,
    /// To standard error: standard output is the script's own.
    Error,
}

/// Prints to standard output and standard error.
pub struct Printer {
    out: Stream,
    err: Stream,
    results: Results,
    seen: HashMap<CellId, Seen>,
    notes: usize,
}

/// How much of a cell is printed.
#[derive(Debug, Default)]
struct Seen {
    revision: u64,
    run: Option<RunId>,
    outputs: usize,
    /// Bytes of the output at `outputs`, which is a stream.
    bytes: usize,
    /// How that stream begins.
    head: String,
}

impl Seen {
    fn begin_anew(&mut self) {
        self.outputs = 0;
        self.bytes = 0;
        self.head.clear();
    }
}

impl Printer {
    /// To the process's own streams: colour only on terminals, and never when
    /// `NO_COLOR` is set.
    pub fn standard(results: Results) -> Self {
        let allowed = colours_wanted();
        let (out, err) = (std::io::stdout(), std::io::stderr());
        let (out_tty, err_tty) = (out.is_terminal(), err.is_terminal());
        Self::new(
            Stream::new(Box::new(out), out_tty, out_tty && allowed),
            Stream::new(Box::new(err), err_tty, err_tty && allowed),
            results,
        )
    }

    /// To these streams.
    pub fn new(out: Stream, err: Stream, results: Results) -> Self {
        Self {
            out,
            err,
            results,
            seen: HashMap::new(),
            notes: 0,
        }
    }

    /// Nobody reads standard output any more (`| head -1`).
    pub fn is_closed(&self) -> bool {
        self.out.closed
    }

    /// Takes what the session holds already as printed.
    pub fn skip(&mut self, session: &SessionState) {
        self.notes = session.notes.len();
        for cell in &session.cells {
            let seen = Seen {
                revision: cell.revision,
                run: cell.run,
                outputs: cell.outputs.len(),
                ..Seen::default()
            };
            self.seen.insert(cell.id, seen);
        }
    }

    /// Prints whatever is new.
    pub fn show(&mut self, session: &SessionState) {
        for cell in &session.cells {
            let is_new = self
                .seen
                .get(&cell.id)
                .is_none_or(|seen| seen.revision != cell.revision || seen.run != cell.run);
            if is_new && cell.kind != CellKind::Markdown {
                self.show_cell(cell);
            }
        }
        for note in session.notes.get(self.notes..).unwrap_or_default() {
            let word = match note.level {
                Level::Info => "note",
                Level::Warning => "warning",
                Level::Error => "error",
            };
            let hint = match note.hint.as_str() {
                "" => String::new(),
                hint => format!(" ({})", sanitize::one_line(hint)),
            };
            let text = sanitize::one_line(&note.text);
            self.say(&format!("{word}: {text}{hint}"));
        }
        self.notes = session.notes.len();
    }

    fn show_cell(&mut self, cell: &Cell) {
        let mut seen = self.seen.remove(&cell.id).unwrap_or_default();
        if seen.run != cell.run || was_cleared(cell, &seen) {
            seen.begin_anew();
        }
        seen.revision = cell.revision;
        seen.run = cell.run;
        // Only the first of them can be printed in part already.
        let mut printed = std::mem::take(&mut seen.bytes);
        for output in cell.outputs.iter().skip(seen.outputs) {
            let from = std::mem::take(&mut printed);
            if let Output::Stream { stderr, text } = output {
                let stream = if *stderr {
                    &mut self.err
                } else {
                    &mut self.out
                };
                stream.program_text(text.get(from..).unwrap_or(text));
            } else {
                self.show_output(output);
            }
        }
        seen.outputs = cell.outputs.len();
        // A stream at the end may still grow.
        if let Some(Output::Stream { text, .. }) = cell.outputs.last() {
            seen.outputs -= 1;
            seen.bytes = text.len();
            seen.head = text.chars().take(MEMORY).collect();
        }
        self.seen.insert(cell.id, seen);
    }

    fn show_output(&mut self, output: &Output) {
        match output {
            Output::Result { data } | Output::Display { data, .. } => self.show_value(data),
            Output::Error { error } => self.show_error(error),
            Output::Stream { .. } | Output::Clear { .. } | Output::Input { .. } => {}
        }
    }

    fn show_value(&mut self, data: &Map<String, Value>) {
        let text = match data.get(PREDICTION) {
            Some(Value::Object(fields)) => prediction::plain(fields, PAGE),
            _ => format::bundle(data),
        };
        if text.is_empty() {
            return;
        }
        let stream = match self.results {
            Results::Output => &mut self.out,
            Results::Error => &mut self.err,
        };
        if !stream.at_margin {
            stream.put("\n");
        }
        stream.quoted(&text);
        stream.put("\n");
    }

    /// An error: its traceback if it has one, else its sentence; then the remedy.
    pub fn show_error(&mut self, error: &OperationError) {
        let text = format::error(error);
        self.block(&text);
    }

    /// One line of the workbench's own, on standard error.
    pub fn say(&mut self, text: &str) {
        self.block(text);
    }

    /// A line in the background, on standard error.
    pub fn whisper(&mut self, text: &str) {
        self.block(&format!("\u{1b}[2m{text}\u{1b}[0m"));
    }

    /// Begins a new line where the last one is not ended.
    pub fn end_line(&mut self) {
        if !self.out.at_margin || !self.err.at_margin {
            self.out.put("\n");
            self.err.at_margin = true;
        }
    }

    /// Clears a terminal.
    pub fn clear_screen(&mut self) {
        if self.out.terminal {
            self.out.put("\u{1b}[H\u{1b}[2J\n");
        }
    }

    fn block(&mut self, text: &str) {
        let both = self.out.terminal && self.err.terminal;
        if !self.err.at_margin || (both && !self.out.at_margin) {
            self.err.put("\n");
            self.out.at_margin |= both;
        }
        self.err.quoted(text);
        self.err.put("\n");
    }
}

/// Whether the outputs are no continuation of what was printed.
fn was_cleared(cell: &Cell, seen: &Seen) -> bool {
    match cell.outputs.get(seen.outputs) {
        None => cell.outputs.len() < seen.outputs || seen.bytes > 0,
        Some(Output::Stream { text, .. }) => !text.starts_with(&seen.head),
        Some(_) => seen.bytes > 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::json;

    use super::*;
    use crate::session::event::{Event, EventBody};

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// A printer on paper, and the session it prints.
    struct Desk {
        out: Paper,
        err: Paper,
        printer: Printer,
        session: SessionState,
    }

    impl Desk {
        fn new(terminal: bool) -> Self {
            let (out, err) = (Paper::default(), Paper::default());
            let printer = Printer::new(
                Stream::new(Box::new(out.clone()), terminal, false),
                Stream::new(Box::new(err.clone()), terminal, false),
                Results::Output,
            );
            let mut desk = Self {
                out,
                err,
                printer,
                session: SessionState::default(),
            };
            desk.happen(EventBody::CellSubmitted {
                cell_kind: CellKind::Python,
                source: "x".into(),
            });
            desk
        }

        fn put(&mut self, output: Value) {
            let output = serde_json::from_value(output).unwrap();
            self.happen(EventBody::CellOutput { output });
        }

        fn print(&mut self, text: &str, stderr: bool) {
            self.put(json!({"output": "stream", "text": text, "stderr": stderr}));
        }

        fn happen(&mut self, body: EventBody) {
            let event = Event {
                seq: self.session.seq + 1,
                time_ms: 0,
                mono_ns: 0,
                run: None,
                cell: Some(CellId(1)),
                body,
                chain: String::new(),
            };
            self.session.apply(&event);
            self.printer.show(&self.session);
        }
    }

    #[test]
    fn streams_are_printed_once_and_in_order() {
        let mut desk = Desk::new(false);
        desk.print("a", false);
        desk.print("b\n", false);
        desk.print("oops\n", true);
        desk.print("cc\n", false);
        desk.put(json!({"output": "result", "data": {"text/plain": "42"}}));
        desk.printer.show(&desk.session);
        assert_eq!(desk.out.text(), "ab\ncc\n42\n");
        assert_eq!(desk.err.text(), "oops\n");
    }

    #[test]
    fn a_value_begins_at_the_margin() {
        let mut desk = Desk::new(false);
        desk.print("no newline", false);
        desk.put(json!({"output": "result", "data": {"text/plain": "1"}}));
        assert_eq!(desk.out.text(), "no newline\n1\n");
    }

    #[test]
    fn a_cleared_cell_is_printed_anew() {
        let mut desk = Desk::new(false);
        for step in ["step 1\n", "step 2\n"] {
            desk.put(json!({"output": "clear", "wait": true}));
            desk.print(step, false);
        }
        assert_eq!(desk.out.text(), "step 1\nstep 2\n");
    }

    /// R57: a terminal gets nothing that steers it; a pipe gets the bytes.
    #[test]
    fn only_a_pipe_gets_control_characters() {
        let mut terminal = Desk::new(true);
        terminal.print("a\u{1b}[2Jb\u{1b}[31mc\n", false);
        assert_eq!(terminal.out.text(), "a␛[2Jbc\n");
        let mut pipe = Desk::new(false);
        pipe.print("a\u{1b}[2Jb\n", false);
        assert_eq!(pipe.out.text(), "a\u{1b}[2Jb\n");
    }

    #[test]
    fn predictions_are_aligned_fields_and_errors_go_to_the_other_stream() {
        let mut desk = Desk::new(false);
        desk.put(json!({"output": "result", "data": {
            "text/plain": "Prediction(…)",
            PREDICTION: {"reasoning": "12*7\n= 84", "answer": 84}}}));
        assert_eq!(
            desk.out.text(),
            "reasoning  12*7\n           = 84\nanswer     84\n"
        );
        let error = OperationError::invalid("unknown_lm", "there is no LM `x`")
            .near(vec!["demo".into()])
            .hint("`:lm` lists them");
        desk.put(json!({"output": "error", "error": error}));
        assert_eq!(
            desk.err.text(),
            "error: there is no LM `x`\n  did you mean: demo\n  hint: `:lm` lists them\n"
        );
    }
}
