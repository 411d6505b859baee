//! `run FILE`: a script as a recorded session.
//!
//! Reads a `.py` file, plain or with `# %%` cells, or a command script; runs
//! each cell through the core and stops at the first error with `FILE:LINE`.
//! Standard output carries what the script prints and nothing else.

mod cells;
mod place;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use serde_json::{Map, Value};

use crate::app::Core;
use crate::protocol::error::{OperationError, near_matches};
use crate::repl::driver::{Driver, Ending};
use crate::repl::format;
use crate::repl::printer::{Printer, Results};
use crate::repl::source::{Entry, EntryKind};
use crate::session::state::Totals;

/// A script that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Where it is.
    pub path: PathBuf,
    /// What there is to run, in order.
    pub entries: Vec<Entry>,
    /// It is Python, and standard output is its own.
    pub is_python: bool,
}

impl Script {
    /// Reads a script and cuts it into cells.
    ///
    /// # Errors
    /// `unknown_file` with near matches, `unreadable_file`, `unknown_script_kind`.
    pub fn read(path: &Path) -> Result<Self, OperationError> {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let is_python = match ending {
            Some("py") => true,
            None | Some("dspex" | "txt") => false,
            _ => {
                let message = format!("`{}` is not a script", path.display());
                return Err(
                    OperationError::invalid("unknown_script_kind", message).hint(
                        "name a Python file `.py` and a script of commands and Python `.dspex`",
                    ),
                );
            }
        };
        let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
        let text = String::from_utf8(bytes).map_err(|_| {
            let message = format!("`{}` is not UTF-8 text", path.display());
            OperationError::invalid("unreadable_file", message)
        })?;
        let text = text
            .strip_prefix('\u{feff}')
            .unwrap_or(&text)
            .replace("\r\n", "\n");
        let entries = if is_python {
            cells::of_python(&text)
        } else {
            cells::of_commands(&text)
        };
        Ok(Self {
            path: path.to_path_buf(),
            entries,
            is_python,
        })
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> OperationError {
    if error.kind() != std::io::ErrorKind::NotFound {
        let message = format!("`{}` cannot be read: {error}", path.display());
        return OperationError::invalid("unreadable_file", message);
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .take(1000)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let wanted = path.file_name().unwrap_or_default().to_string_lossy();
    let near = near_matches(&wanted, names.iter().map(String::as_str));
    let message = format!("there is no file `{}`", path.display());
    OperationError::invalid("unknown_file", message)
        .near(near)
        .hint("give the path of a `.py` file or of a command script")
}

/// Runs a script to its end and closes the session. Exit code 0; 1 after an
/// error; what `sys.exit` says; 130 interrupted; 128 and the number of a signal.
pub async fn run(mut core: Core, script: &Script, arguments: &[String]) -> ExitCode {
    core.warm_up();
    let results = if script.is_python {
        Results::Error
    } else {
        Results::Output
    };
    let mut driver = Driver::new(core, Printer::standard(results));
    driver.sums = false;
    let mut with_cells = Map::new();
    let path = std::path::absolute(&script.path).unwrap_or_else(|_| script.path.clone());
    with_cells.insert("file".to_owned(), path.display().to_string().into());
    if !arguments.is_empty() {
        with_cells.insert(
            "argv".to_owned(),
            arguments.iter().map(String::as_str).collect::<Value>(),
        );
    }
    driver.with_cells(with_cells);
    let begun = Instant::now();
    let mut places = place::Places::default();
    let before = driver.last_run();
    let mut cells = 0;
    let mut code = 0;
    for entry in &script.entries {
        places.remember(entry);
        cells += usize::from(entry.kind != EntryKind::Markdown);
        let ending = driver.run(entry).await;
        code = match ending {
            Ending::Done => continue,
            Ending::Failed(error) => {
                let line = places.line_of(&error, entry);
                let text = format!("{}:{line}: {}", script.path.display(), first_line(&error));
                driver.printer.say(&crate::sanitize::one_line(&text));
                1
            }
            Ending::Screen(_) => {
                let text = format!(
                    "{}:{}: note: `{}` is for the full-screen workbench",
                    script.path.display(),
                    entry.line,
                    entry.source
                );
                driver.printer.say(&text);
                continue;
            }
            Ending::Interrupted => 130,
            Ending::Exit(code) => code,
            Ending::Quit | Ending::Closed => 0,
            Ending::Signal(number) => crate::signals::exit_code(number),
        };
        break;
    }
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    let totals = driver.totals_since(before);
    let summary = summary(&mut driver, cells, &totals, ms);
    driver.printer.whisper(&summary);
    driver.close().await;
    ExitCode::from(code)
}

fn first_line(error: &OperationError) -> String {
    let line = error.message.lines().next().unwrap_or_default();
    if error.traceback.is_empty() {
        line.to_owned()
    } else {
        format!("{}: {line}", error.kind)
    }
}

/// `session ID · 3 cells · 12 calls · … · replay it: dspex-tui replay ID`.
fn summary(driver: &mut Driver, cells: usize, totals: &Totals, ms: f64) -> String {
    let state = driver.core().state();
    let mut parts = Vec::new();
    if !state.session_id.is_empty() {
        parts.push(format!("session {}", state.session_id));
    }
    parts.push(format!(
        "{cells} {}",
        if cells == 1 { "cell" } else { "cells" }
    ));
    let calls = format::calls(totals, ms);
    parts.push(calls.unwrap_or_else(|| crate::command::duration(ms)));
    if !state.session_id.is_empty() {
        parts.push(format!("replay it: dspex-tui replay {}", state.session_id));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is not there names its neighbours.
    #[test]
    fn wrong_files_say_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("script.py"), "x").unwrap();
        let error = Script::read(&dir.path().join("scrip.py")).unwrap_err();
        assert_eq!(error.recovery.near, ["script.py"]);
        let error = Script::read(&dir.path().join("notes.pdf")).unwrap_err();
        assert!(error.recovery.hint.contains(".dspex"), "{error:?}");
        let error = Script::read(&std::env::temp_dir()).unwrap_err();
        assert_eq!(error.kind, "unreadable_file");
        std::fs::write(dir.path().join("latin.py"), [0xe9]).unwrap();
        let error = Script::read(&dir.path().join("latin.py")).unwrap_err();
        assert!(error.message.contains("UTF-8"), "{error}");
    }
}
