//! The REPL on a terminal: prompt, run, print, again.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::runtime;
use tokio::sync::mpsc as channel;

use super::driver::{Driver, Ending};
use super::editor::{Above, Job, Reader, Typed};
use super::helper::{Known, PromptHelper};
use super::printer::{Printer, Results, Stream, colours_wanted};
use super::source::{Entry, EntryKind};
use crate::app::Core;
use crate::command::{self, Context, ScreenAction};
use crate::signals;

/// Runs the prompt until Ctrl-D, `:quit`, or the end of the terminal.
pub(super) async fn run(core: Core) -> ExitCode {
    let colours = colours_wanted();
    let known = Arc::new(Mutex::new(Known::default()));
    let (jobs, jobs_of_reader) = mpsc::channel();
    let (typed_of_reader, typed) = channel::unbounded_channel();
    let above = {
        let (handle, runtime) = (core.handle(), runtime::Handle::current());
        let known = Arc::clone(&known);
        start_reader(jobs_of_reader, typed_of_reader, move || {
            let helper = PromptHelper::new(handle.clone(), runtime, known, colours);
            Reader::new(helper, handle)
        })
    };
    let above = match above {
        Ok(above) => above,
        Err(why) => {
            let mut printer = Printer::standard(Results::Output);
            printer.say(&format!("error: this terminal cannot be used: {why}"));
            core.close().await;
            return ExitCode::from(2);
        }
    };
    let printer = Printer::new(
        Stream::new(Box::new(above.clone()), true, colours),
        Stream::new(Box::new(above), true, colours),
        Results::Output,
    );
    let terminal = Terminal::remember();
    let mut driver = Driver::new(core, printer);
    let asked = jobs.clone();
    driver.ask_through(move |wanted| {
        let _ = asked.send(Job::Ask(wanted));
    });
    let code = converse(&mut driver, &jobs, typed, &known).await;
    terminal.restore();
    driver.close().await;
    ExitCode::from(code)
}

/// Makes the reader on a thread of its own, where it stays (what highlights cannot move
/// to another), and has it serve; answers where to print above its prompt.
fn start_reader(
    jobs: mpsc::Receiver<Job>,
    typed: channel::UnboundedSender<Typed>,
    make: impl FnOnce() -> rustyline::Result<(Reader, Above)> + Send + 'static,
) -> Result<Above, String> {
    let (tell, told) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("prompt".to_owned())
        .spawn(move || match make() {
            Ok((reader, above)) => {
                if tell.send(Ok(above)).is_ok() {
                    reader.serve(jobs, typed);
                }
            }
            Err(error) => drop(tell.send(Err(error.to_string()))),
        })
        .map_err(|error| error.to_string())?;
    told.recv().map_err(|error| error.to_string())?
}

/// One entry after another; answers the exit code.
async fn converse(
    driver: &mut Driver,
    jobs: &mpsc::Sender<Job>,
    mut typed: channel::UnboundedReceiver<Typed>,
    known: &Mutex<Known>,
) -> u8 {
    let greeting = greeting(driver);
    driver.printer.whisper(&greeting);
    loop {
        driver.printer.end_line();
        tell(driver, known);
        let number = driver.core().state().issued.cells + 1;
        if jobs.send(Job::Entry(format!("[{number}] "))).is_err() {
            return 0;
        }
        let text = match driver.attend(typed.recv()).await {
            Ok(Some(Typed::Entry(text))) => text,
            Ok(Some(Typed::Nothing)) | Err(libc::SIGINT) => continue,
            Ok(Some(Typed::End) | None) => return 0,
            Ok(Some(Typed::Failed(why))) => {
                driver.printer.say(&format!("error: the terminal: {why}"));
                return 1;
            }
            Err(signal) => return signals::exit_code(signal),
        };
        if text.trim().is_empty() {
            continue;
        }
        let is_command = command::is_command(&text);
        let entry = Entry {
            kind: if is_command {
                EntryKind::Command
            } else {
                EntryKind::Python
            },
            source: if is_command {
                text.trim()
            } else {
                text.trim_end()
            }
            .to_owned(),
            line: 1,
        };
        match driver.run(&entry).await {
            Ending::Done | Ending::Failed(_) | Ending::Interrupted => {}
            Ending::Exit(code) => return code,
            Ending::Quit | Ending::Closed => return 0,
            Ending::Signal(signal) => return signals::exit_code(signal),
            Ending::Screen(action) => answer(driver, &action),
        }
    }
}

fn greeting(driver: &mut Driver) -> String {
    let state = driver.core().state();
    let lm = state.session.lm.as_deref().unwrap_or("none");
    format!(
        "dspex {} · session {} · lm {lm} · :help for commands, Ctrl-D ends",
        env!("CARGO_PKG_VERSION"),
        state.session_id
    )
}

/// Tells the helper what names there are now.
fn tell(driver: &mut Driver, known: &Mutex<Known>) {
    let session = &driver.core().state().session;
    let now = Known {
        context: Context::of(session),
        names: session.names.iter().map(|info| info.name.clone()).collect(),
    };
    *known.lock().unwrap_or_else(PoisonError::into_inner) = now;
}

/// What a line terminal can do of what a command asks of the screen.
fn answer(driver: &mut Driver, action: &ScreenAction) {
    let text = match action {
        ScreenAction::Clear => {
            driver.printer.clear_screen();
            return;
        }
        ScreenAction::OpenSession(id) => {
            format!("end this one first: Ctrl-D, then `dspex-tui repl --session {id}`")
        }
        ScreenAction::ReplaySession(id) => {
            format!("in a shell: `dspex-tui replay {id}`, or with `--plain` as text")
        }
        _ => "that is for the full-screen workbench: `dspex-tui`".to_owned(),
    };
    driver.printer.say(&crate::sanitize::one_line(&text));
}

/// How the terminal was before the prompt: it is left so, whatever ends us.
struct Terminal(Option<nix::sys::termios::Termios>);

impl Terminal {
    fn remember() -> Self {
        Self(nix::sys::termios::tcgetattr(std::io::stdin()).ok())
    }

    fn restore(&self) {
        use nix::sys::termios::{SetArg, tcsetattr};
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, before);
        }
    }
}
