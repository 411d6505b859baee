//! How one more output changes what a cell shows: streams are joined, displays
//! updated in place, everything cleared on request.

use super::Cell;
use crate::session::event::Output;

impl Cell {
    pub(super) fn put(&mut self, output: &Output, revision: u64) {
        self.revision = revision;
        if let Output::Clear { wait } = output {
            if *wait {
                self.clear_pending = true;
            } else {
                self.outputs.clear();
            }
            return;
        }
        if std::mem::take(&mut self.clear_pending) {
            self.outputs.clear();
        }
        match (output, self.outputs.last_mut()) {
            (
                Output::Stream { stderr, text },
                Some(Output::Stream {
                    stderr: last_stderr,
                    text: last,
                }),
            ) if stderr == last_stderr => last.push_str(text),
            (
                Output::Display {
                    data,
                    display_id: Some(id),
                    update: true,
                },
                _,
            ) => {
                for shown in &mut self.outputs {
                    if let Output::Display {
                        data: old,
                        display_id: Some(other),
                        ..
                    } = shown
                        && other == id
                    {
                        old.clone_from(data);
                    }
                }
            }
            _ => self.outputs.push(output.clone()),
        }
    }
}
