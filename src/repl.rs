//! The line REPL: the same core and commands as the full screen, on a plain
//! terminal or from a pipe.
//!
//! `prompt` talks to a person, with history and completion; `script` reads
//! statements and commands from a pipe. Data goes to standard output,
//! everything else to standard error.

mod colour;
pub mod driver;
mod editor;
pub mod format;
mod helper;
pub mod printer;
mod prompt;
mod script;
pub mod source;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use crate::app::Core;
use driver::Driver;
use printer::{Printer, Results};

/// How the REPL behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Go on after an error when the input is no terminal.
    pub keep_going: bool,
}

/// Whether a person sits at both ends.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Runs the REPL to its end. Exit code 0; 1 when something failed in a script;
/// 128 and the number of a signal that ended it.
pub async fn run(mut core: Core, options: Options) -> ExitCode {
    core.warm_up();
    if is_interactive() {
        return prompt::run(core).await;
    }
    let driver = Driver::new(core, Printer::standard(Results::Output));
    script::run(driver, options).await
}
