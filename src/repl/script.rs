//! Cells and commands from standard input: no prompt, whole statements, exit code.

use std::process::ExitCode;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::Options;
use super::driver::{Driver, Ending};
use super::source::{Entry, Splitter};
use crate::signals;

/// Runs what standard input says, statement by statement.
pub(super) async fn run(mut driver: Driver, options: Options) -> ExitCode {
    let mut lines = BufReader::new(tokio::io::stdin()).split(b'\n');
    let mut splitter = Splitter::default();
    let mut failed = false;
    let code = 'reading: loop {
        let (entries, at_end) = match driver.attend(lines.next_segment()).await {
            Ok(Ok(Some(line))) => {
                let line = String::from_utf8_lossy(&line);
                (splitter.push(line.trim_end_matches('\r')), false)
            }
            Ok(Ok(None)) => (splitter.finish().into_iter().collect(), true),
            Ok(Err(error)) => {
                driver
                    .printer
                    .say(&format!("error: standard input: {error}"));
                failed = true;
                break None;
            }
            Err(signal) => break Some(signals::exit_code(signal)),
        };
        for entry in &entries {
            match step(&mut driver, entry, options).await {
                Step::Next => {}
                Step::Failed => failed = true,
                Step::Stop(code) => break 'reading code,
            }
        }
        if at_end {
            break None;
        }
    };
    driver.close().await;
    ExitCode::from(code.unwrap_or(u8::from(failed)))
}

enum Step {
    Next,
    Failed,
    /// End here; without a code, with that of what has failed so far.
    Stop(Option<u8>),
}

async fn step(driver: &mut Driver, entry: &Entry, options: Options) -> Step {
    match driver.run(entry).await {
        Ending::Done => Step::Next,
        Ending::Failed(_) => {
            driver.printer.say(&format!("(line {})", entry.line));
            if options.keep_going {
                Step::Failed
            } else {
                Step::Stop(Some(1))
            }
        }
        Ending::Screen(_) => {
            let text = format!(
                "note: line {}: `{}` is for the full-screen workbench",
                entry.line, entry.source
            );
            driver.printer.say(&text);
            Step::Next
        }
        Ending::Interrupted => Step::Stop(Some(130)),
        Ending::Exit(code) => Step::Stop(Some(code)),
        Ending::Quit | Ending::Closed => Step::Stop(None),
        Ending::Signal(number) => Step::Stop(Some(signals::exit_code(number))),
    }
}
