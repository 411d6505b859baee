//! The thread that reads the terminal: rustyline with history, and `input()`.
//!
//! rustyline blocks, so it has a thread of its own; the core goes on meanwhile. One
//! editor reads entries and answers, so that what was typed ahead reaches whoever asks
//! next; only whether a tool may be called is never answered ahead.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use rustyline::error::ReadlineError;
use rustyline::history::{FileHistory, MemHistory};
use rustyline::{
    CompletionType, Config, Editor, EventHandler, ExternalPrinter, KeyCode, KeyEvent, Modifiers,
};
use serde_json::{Value, json};
use tokio::sync::mpsc as channel;

use super::driver::{About, Question};
use super::helper::{Answering, Enter, Mode, PromptHelper, Reading, Tab};
use crate::app::{Handle, InputWanted};
use crate::{paths, sanitize};

/// Entries of history that are kept.
const HISTORY: usize = 10_000;

/// What the thread is to read.
pub(super) enum Job {
    /// A cell or command, with this prompt.
    Entry(String),
    /// An answer for a running cell or tool.
    Ask(Question),
}

/// What was typed at a prompt.
pub(super) enum Typed {
    /// A cell or command.
    Entry(String),
    /// Ctrl-C: the line is given up.
    Nothing,
    /// Ctrl-D, or the terminal is gone.
    End,
    /// The terminal cannot be read.
    Failed(String),
}

/// Prints above the prompt while there is one, and plainly while there is none.
#[derive(Clone)]
pub(super) struct Above(Arc<Mutex<Box<dyn ExternalPrinter + Send>>>);

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut printer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match printer.print(text) {
            Ok(()) => Ok(bytes.len()),
            Err(ReadlineError::Io(error)) => Err(error),
            Err(error) => Err(std::io::Error::other(error.to_string())),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

type Lines = Editor<PromptHelper, FileHistory>;

/// The line editor, before its thread begins.
pub(super) struct Reader {
    editor: Lines,
    reading: Mode,
    history: Option<PathBuf>,
    handle: Handle,
}

impl Reader {
    /// Makes the editor and reads the history.
    ///
    /// # Errors
    /// When the terminal cannot be used.
    pub(super) fn new(helper: PromptHelper, handle: Handle) -> rustyline::Result<(Self, Above)> {
        let reading = helper.mode();
        let config = Config::builder()
            .max_history_size(HISTORY)?
            .history_ignore_dups(true)?
            .history_ignore_space(true)
            .completion_type(CompletionType::List)
            .bracketed_paste(true)
            .build();
        let mut editor: Lines = Editor::with_config(config)?;
        editor.set_helper(Some(helper));
        let plain = |code| KeyEvent(code, Modifiers::NONE);
        editor.bind_sequence(
            plain(KeyCode::Enter),
            EventHandler::Conditional(Box::new(Enter(reading.clone()))),
        );
        editor.bind_sequence(
            plain(KeyCode::Tab),
            EventHandler::Conditional(Box::new(Tab(reading.clone()))),
        );
        for key in [
            plain(KeyCode::Up),
            plain(KeyCode::Down),
            KeyEvent::ctrl('P'),
            KeyEvent::ctrl('N'),
            KeyEvent::ctrl('R'),
        ] {
            let answering = Answering(reading.clone());
            editor.bind_sequence(key, EventHandler::Conditional(Box::new(answering)));
        }
        let history = paths::history_file().ok();
        if let Some(path) = &history {
            // A first time has no history; a broken one is begun anew.
            let _ = editor.load_history(path);
        }
        let above: Box<dyn ExternalPrinter + Send> = Box::new(editor.create_external_printer()?);
        let reader = Self {
            editor,
            reading,
            history,
            handle,
        };
        Ok((reader, Above(Arc::new(Mutex::new(above)))))
    }

    /// Serves jobs until nobody sends any more.
    pub(super) fn serve(
        mut self,
        jobs: mpsc::Receiver<Job>,
        typed: channel::UnboundedSender<Typed>,
    ) {
        for job in jobs {
            match job {
                Job::Entry(prompt) => {
                    let read = self.entry(&prompt);
                    let end = !matches!(read, Typed::Entry(_) | Typed::Nothing);
                    if typed.send(read).is_err() || end {
                        return;
                    }
                }
                Job::Ask(question) => self.answer(&question),
            }
        }
    }

    fn entry(&mut self, prompt: &str) -> Typed {
        match self.editor.readline(prompt) {
            Ok(text) => {
                self.remember(&text);
                Typed::Entry(text)
            }
            Err(ReadlineError::Interrupted | ReadlineError::Signal(_)) => Typed::Nothing,
            Err(ReadlineError::Eof) => Typed::End,
            Err(error) => Typed::Failed(error.to_string()),
        }
    }

    /// Keeps an entry. Each is written at once, so that a crash loses none and
    /// several REPLs share one history.
    fn remember(&mut self, text: &str) {
        let text = text.trim_end();
        if text.is_empty() || !self.editor.add_history_entry(text).unwrap_or(false) {
            return;
        }
        if let Some(path) = &self.history {
            if let Some(folder) = path.parent() {
                let _ = std::fs::create_dir_all(folder);
            }
            // Without a history on disk the prompt still works.
            let _ = self.editor.append_history(path);
        }
    }

    /// Has a question answered, unless it was meanwhile answered elsewhere.
    fn answer(&mut self, question: &Question) {
        let (operation, arguments) = match &question.about {
            About::Input(wanted) => self.input(wanted),
            About::Approval { id, call } => approval(*id, call, question),
        };
        if !question.over.is_cancelled() {
            question.over.cancel();
            self.handle.submit(operation, arguments);
        }
    }

    fn input(&mut self, wanted: &InputWanted) -> (&'static str, Value) {
        let prompt = sanitize::clean(&wanted.prompt).into_owned();
        self.reading.set(if wanted.password {
            Reading::Secret
        } else {
            Reading::Answer
        });
        let read = self.editor.readline(&prompt);
        self.reading.set(Reading::Entry);
        let text = match read {
            Ok(text) => Some(text),
            Err(ReadlineError::Interrupted) => {
                return ("interrupt", json!({"cell": wanted.cell}));
            }
            Err(_) => None,
        };
        ("reply_input", json!({"text": text, "id": wanted.id}))
    }
}

/// Reads until a word is understood; whoever leaves refuses. What was typed before the
/// question stood there allows nothing, so an editor of its own reads the answer.
fn approval(id: u64, call: &str, question: &Question) -> (&'static str, Value) {
    use nix::sys::termios::{FlushArg, tcflush};
    let _ = tcflush(std::io::stdin(), FlushArg::TCIFLUSH);
    let call = sanitize::clean(call).into_owned();
    let prompt = format!("allow {call}? [y]es, [a]lways in this run, [n]o: ");
    let decision = loop {
        let read = Editor::<(), MemHistory>::with_history(Config::default(), MemHistory::new())
            .and_then(|mut editor| editor.readline(&prompt));
        match read.as_deref().map(str::trim) {
            Ok("y" | "yes") => break "allow",
            Ok("a" | "always") => break "allow_run",
            Ok("n" | "no") | Err(_) => break "deny",
            Ok(_) if question.over.is_cancelled() => break "deny",
            Ok(_) => {}
        }
    };
    ("answer_approval", json!({"id": id, "decision": decision}))
}
