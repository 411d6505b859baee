//! Prints what cells put out, as it comes.
//!
//! Text from Python and LMs is untrusted: only SGR colours pass, and those only
//! to a terminal.

use std::io::{IsTerminal as _, Write};

use crate::app::State;
use crate::protocol::error::OperationError;
use crate::sanitize;
use crate::session::event::{CellId, Output};

/// Where what a script prints goes, and how much of it was printed.
pub struct Printer {
    out: Box<dyn Write + Send>,
    remarks: Box<dyn Write + Send>,
    colour: bool,
    /// Outputs of the running cell printed whole.
    outputs: usize,
    /// Bytes printed of the next one, a stream that may grow.
    bytes: usize,
    /// Nobody reads any more (`| head -1`).
    closed: bool,
}

impl Default for Printer {
    fn default() -> Self {
        Self::new()
    }
}

impl Printer {
    /// To standard output and standard error.
    pub fn new() -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self {
            out: Box::new(std::io::stdout()),
            remarks: Box::new(std::io::stderr()),
            colour,
            outputs: 0,
            bytes: 0,
            closed: false,
        }
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Prints what this cell put out since the last call.
    pub fn show(&mut self, state: &State, cell: CellId) {
        let Some(cell) = state.session.cell(cell) else {
            return;
        };
        // `clear_output` took what was counted: go on from what is there.
        self.outputs = self.outputs.min(cell.outputs.len());
        while let Some(output) = cell.outputs.get(self.outputs) {
            let is_last = self.outputs + 1 == cell.outputs.len();
            if let Output::Stream { stderr, text } = output {
                let fresh = text.get(self.bytes..).unwrap_or_default().to_owned();
                self.bytes = text.len();
                self.write(*stderr, &fresh);
                if is_last {
                    break;
                }
            } else {
                self.whole(output);
            }
            self.outputs += 1;
            self.bytes = 0;
        }
        if self.out.flush().is_err() {
            self.closed = true;
        }
    }

    /// The next cell starts from nothing.
    pub fn end_cell(&mut self) {
        self.outputs = 0;
        self.bytes = 0;
    }

    /// A line about the script, not of it.
    pub fn remark(&mut self, text: &str) {
        let _ = writeln!(self.remarks, "{}", sanitize::clean(text));
    }

    /// An error for a person: traceback, sentence, near matches, remedy.
    pub fn error(&mut self, error: &OperationError) {
        for line in &error.traceback {
            let line = self.clean(line);
            let _ = writeln!(self.remarks, "{line}");
        }
        let last = error
            .traceback
            .last()
            .map(|line| sanitize::clean(line).into_owned());
        if !last.is_some_and(|last| last.contains(&error.message)) {
            let _ = writeln!(
                self.remarks,
                "{}: {}",
                error.kind,
                sanitize::clean(&error.message)
            );
        }
        if !error.recovery.near.is_empty() {
            let _ = writeln!(
                self.remarks,
                "  did you mean: {}",
                error.recovery.near.join(", ")
            );
        }
        if !error.recovery.hint.is_empty() {
            let _ = writeln!(self.remarks, "  hint: {}", error.recovery.hint);
        }
    }

    fn whole(&mut self, output: &Output) {
        match output {
            Output::Display { data, .. } | Output::Result { data } => {
                let plain = data.get("text/plain").and_then(serde_json::Value::as_str);
                if let Some(plain) = plain.filter(|plain| !plain.is_empty()) {
                    let line = format!("{plain}\n");
                    self.write(false, &line);
                }
            }
            Output::Error { error } => self.error(error),
            Output::Stream { .. } | Output::Clear { .. } | Output::Input { .. } => {}
        }
    }

    fn write(&mut self, stderr: bool, text: &str) {
        // A progress bar goes back to the start of its line; a file has none.
        let text = text.replace("\r\n", "\n");
        let mut text = text
            .split('\r')
            .map(|part| self.clean(part))
            .collect::<Vec<_>>();
        if !self.colour {
            text.retain(|part| !part.is_empty());
        }
        let text = text.join(if self.colour { "\r" } else { "\n" });
        let to = if stderr {
            &mut self.remarks
        } else {
            &mut self.out
        };
        if to.write_all(text.as_bytes()).is_err() && !stderr {
            self.closed = true;
        }
    }

    fn clean(&self, text: &str) -> String {
        if self.colour {
            sanitize::keep_sgr(text).into_owned()
        } else {
            strip(text)
        }
    }
}

/// The text without SGR sequences, and everything else that is not text made visible.
fn strip(text: &str) -> String {
    let kept = sanitize::keep_sgr(text);
    let mut plain = String::with_capacity(kept.len());
    let mut rest = kept.as_ref();
    while let Some(at) = rest.find('\u{1b}') {
        plain.push_str(rest.get(..at).unwrap_or_default());
        let after = rest.get(at..).unwrap_or_default();
        let end = after.find('m').map_or(after.len(), |end| end + 1);
        rest = after.get(end..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_dropped_where_nobody_sees_them() {
        assert_eq!(strip("a \u{1b}[31mred\u{1b}[0m b"), "a red b");
    }
}
