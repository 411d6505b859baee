//! Runs one entry after another through the core and prints what comes of it.
//!
//! Shared by the prompt, scripts from a pipe, and `run FILE`. Owns interrupts
//! and the meaning of each end; reads no input of its own.

use std::time::Instant;

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::format;
use super::printer::Printer;
use super::source::{Entry, EntryKind};
use crate::app::{Core, InputWanted, Message, OperationResult, State, Waiting};
use crate::command::{self, Context, Parsed, ScreenAction};
use crate::protocol::error::{ErrorClass, OperationError};
use crate::sanitize;
use crate::session::event::{RunId, RunStatus};
use crate::session::state::Totals;
use crate::signals::Signals;

/// How an entry ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// Well.
    Done,
    /// With an error, which is printed already.
    Failed(Box<OperationError>),
    /// The person stopped it.
    Interrupted,
    /// The script ends itself with this code (`sys.exit`).
    Exit(u8),
    /// `:quit`.
    Quit,
    /// A command of the full screen: nothing was done.
    Screen(ScreenAction),
    /// Nobody reads the output any more.
    Closed,
    /// This signal asks the process to end.
    Signal(i32),
}

/// A core with its output on plain streams.
pub struct Driver {
    core: Core,
    /// Where everything is printed.
    pub printer: Printer,
    signals: Option<Signals>,
    /// Who answers `input()` and approvals.
    asker: Option<Box<dyn Fn(Question) + Send>>,
    /// The newest call that the person was told of.
    told: Option<u64>,
    /// Further arguments of each cell: `file`, `argv`.
    cell_arguments: Map<String, Value>,
    /// Print the sum of LM calls after each entry.
    pub sums: bool,
}

/// What somebody at the prompt is asked.
#[derive(Debug, Clone)]
pub struct Question {
    /// What about.
    pub about: About,
    /// Set once it is answered, here or elsewhere.
    pub over: CancellationToken,
}

/// What a question is about.
#[derive(Debug, Clone)]
pub enum About {
    /// A line for a running cell.
    Input(InputWanted),
    /// Whether a tool may be called.
    Approval {
        /// Number of the call.
        id: u64,
        /// The call with its exact arguments.
        call: String,
    },
}

impl Question {
    /// What waits longest; of calls, those after one that the person was told of.
    fn first(state: &State, told: Option<u64>) -> Option<Self> {
        let input = state.input.clone().map(About::Input);
        let about = input.or_else(|| {
            let mut waiting = state.approvals.waiting.iter();
            let waiting = waiting.find(|it| Some(it.id) > told)?;
            let (id, call) = (waiting.id, call(waiting));
            Some(About::Approval { id, call })
        })?;
        Some(Self {
            about,
            over: CancellationToken::new(),
        })
    }

    /// Whether it waits for an answer.
    fn waits(&self, state: &State) -> bool {
        match &self.about {
            About::Input(wanted) => state.input.as_ref().is_some_and(|it| it.id == wanted.id),
            About::Approval { id, .. } => state.approvals.waiting.iter().any(|it| it.id == *id),
        }
    }

    /// What became of it, for who sits at its prompt and did not answer it.
    fn end(&self, state: &State) -> String {
        let decided = match &self.about {
            About::Approval { id, .. } => state.approvals.decision(*id),
            About::Input(_) => None,
        };
        let what = match decided {
            Some(decided) => decided.sentence(),
            None => "that does not wait any more".to_owned(),
        };
        format!("{what}; press Enter")
    }
}

/// A call with its exact arguments, in one line.
fn call(waiting: &Waiting) -> String {
    format!("{} {}", waiting.wanted.tool, waiting.wanted.arguments)
}

/// The next signal, where signals could be caught.
async fn next_of(signals: &mut Option<Signals>) -> i32 {
    match signals {
        Some(signals) => signals.next().await,
        None => std::future::pending().await,
    }
}

/// What the driver waited for.
enum Step {
    Answer(OperationResult),
    Message(Message),
    Signal(i32),
}

impl Driver {
    /// A driver of this core. Catches SIGINT, SIGTERM and SIGHUP from here on.
    pub fn new(core: Core, mut printer: Printer) -> Self {
        printer.skip(&core.state().session);
        Self {
            core,
            printer,
            signals: Signals::catch().ok(),
            asker: None,
            told: None,
            cell_arguments: Map::new(),
            sums: true,
        }
    }

    /// Hands each call of `input()`, and each call of a tool that must be approved, to
    /// `asker`, which submits the answer.
    pub fn ask_through(&mut self, asker: impl Fn(Question) + Send + 'static) {
        self.asker = Some(Box::new(asker));
    }

    /// Passes `arguments` with every cell.
    pub fn with_cells(&mut self, arguments: Map<String, Value>) {
        self.cell_arguments = arguments;
    }

    /// The core.
    pub fn core(&mut self) -> &mut Core {
        &mut self.core
    }

    /// Stops the workers and closes the session.
    pub async fn close(self) {
        self.core.close().await;
    }

    /// Takes in whatever happens until `future` is done, printing it.
    pub async fn attend<F: Future>(&mut self, future: F) -> Result<F::Output, i32> {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                biased;
                output = &mut future => return Ok(output),
                signal = next_of(&mut self.signals) => return Err(signal),
                message = self.core.next() => {
                    self.core.dispatch(message);
                    self.printer.show(&self.core.state().session);
                    self.tell_waiting();
                }
            }
        }
    }

    /// Runs an entry to its end.
    pub async fn run(&mut self, entry: &Entry) -> Ending {
        let (operation, arguments) = match entry.kind {
            EntryKind::Command => {
                let context = Context::of(&self.core.state().session);
                if let Ok(Parsed::Screen(action)) = command::parse(&entry.source, &context) {
                    return match action {
                        ScreenAction::Quit => Ending::Quit,
                        other => Ending::Screen(other),
                    };
                }
                ("command", json!({"line": entry.source}))
            }
            EntryKind::Markdown => (
                "run_cell",
                json!({"source": entry.source, "kind": "markdown"}),
            ),
            EntryKind::Python => {
                let mut arguments = self.cell_arguments.clone();
                arguments.insert("source".to_owned(), entry.source.clone().into());
                ("run_cell", Value::Object(arguments))
            }
        };
        let before = self.last_run();
        let begun = Instant::now();
        let answer = self.wait(operation, arguments).await;
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        let ending = match answer {
            Ok(result) => self.judge(entry, result),
            Err(ending) => ending,
        };
        if self.sums
            && let Some(line) = format::calls(&self.totals_since(before), ms)
        {
            self.printer.whisper(&line);
        }
        if self.printer.is_closed() {
            return Ending::Closed;
        }
        ending
    }

    async fn wait(&mut self, operation: &str, arguments: Value) -> Result<OperationResult, Ending> {
        let mut answer = self.core.handle().submit(operation, arguments);
        let mut asked: Option<Question> = None;
        // Those may be what this entry answers.
        let told = self.told;
        let mut interrupts = 0;
        loop {
            let step = tokio::select! {
                biased;
                signal = next_of(&mut self.signals) => Step::Signal(signal),
                answer = &mut answer => Step::Answer(
                    answer.unwrap_or_else(|_| Err(OperationError::internal("the workbench is shutting down"))),
                ),
                message = self.core.next() => Step::Message(message),
            };
            match step {
                Step::Answer(result) => {
                    self.core.settle();
                    self.printer.show(&self.core.state().session);
                    return Ok(result);
                }
                Step::Message(message) => {
                    self.core.dispatch(message);
                    self.printer.show(&self.core.state().session);
                    if self.printer.is_closed() {
                        return Err(Ending::Closed);
                    }
                    self.ask(&mut asked, told);
                }
                Step::Signal(libc::SIGINT) => {
                    interrupts += 1;
                    if interrupts > 2 {
                        self.printer.say("it does not stop: leaving");
                        return Err(Ending::Signal(libc::SIGINT));
                    }
                    self.stop_what_runs();
                }
                Step::Signal(number) => {
                    self.core.stop_what_runs();
                    return Err(Ending::Signal(number));
                }
            }
        }
    }

    /// Puts the question that waits, and takes back the one that does not any more.
    fn ask(&mut self, asked: &mut Option<Question>, told: Option<u64>) {
        let Some(asker) = &self.asker else { return };
        let state = self.core.state();
        if let Some(gone) = asked.take_if(|question| !question.waits(state))
            && !gone.over.is_cancelled()
        {
            gone.over.cancel();
            self.printer.say(&sanitize::one_line(&gone.end(state)));
        }
        if asked.is_none()
            && let Some(question) = Question::first(state, told)
        {
            if let About::Approval { id, .. } = &question.about {
                self.told = self.told.max(Some(*id));
            }
            self.printer.end_line();
            asker(question.clone());
            *asked = Some(question);
        }
    }

    /// Says that a call waits which nobody is asked about: another window made it.
    fn tell_waiting(&mut self) {
        let waiting = &self.core.state().approvals.waiting;
        if waiting.is_empty() {
            // Who holds the session next counts anew.
            self.told = None;
        }
        for waiting in waiting.iter().filter(|it| self.told < Some(it.id)) {
            let line = format!(
                "{} waits for approval: `:approve` allows it, `:approve deny` does not",
                call(waiting)
            );
            self.printer.say(&sanitize::one_line(&line));
        }
        self.told = self.told.max(waiting.last().map(|it| it.id));
    }

    /// Stops the running cell, or the runs a command began.
    fn stop_what_runs(&mut self) {
        let state = self.core.state();
        let handle = self.core.handle();
        if self.core.is_follower() {
            // What runs is in another process; this one waits for the newest of it.
            let runs = state.session.runs.values().rev();
            let mut going = runs.filter(|run| run.status == RunStatus::Running);
            if let Some(run) = going.next() {
                match run.cell {
                    Some(cell) => handle.submit("interrupt", json!({"cell": cell})),
                    None => handle.submit("cancel", json!({"run": run.id})),
                };
            }
            return;
        }
        if state.running_cell().is_some() {
            handle.submit("interrupt", json!({}));
            return;
        }
        let runs: Vec<RunId> = state.pending.values().filter_map(|wait| wait.run).collect();
        for run in runs {
            handle.submit("cancel", json!({"run": run.0}));
        }
    }

    /// What an answer means; prints errors that no cell shows.
    fn judge(&mut self, entry: &Entry, result: OperationResult) -> Ending {
        let result = match result {
            Ok(result) => result,
            Err(error) => {
                // A command's cell shows its error, and so does that of a crash.
                let shown =
                    entry.kind == EntryKind::Command || error.class == ErrorClass::ProcessCrashed;
                if !shown {
                    self.printer.show_error(&error);
                }
                if error.class == ErrorClass::Interrupted {
                    return Ending::Interrupted;
                }
                return Ending::Failed(Box::new(error));
            }
        };
        if entry.kind != EntryKind::Python {
            return Ending::Done;
        }
        let error = || {
            let error = result.get("error").cloned().unwrap_or_default();
            serde_json::from_value(error)
                .unwrap_or_else(|_| OperationError::internal("the cell failed"))
        };
        match result.get("status").and_then(Value::as_str) {
            Some("interrupted") => Ending::Interrupted,
            Some("error" | "died") => {
                let error: OperationError = error();
                match exit_code(&error) {
                    Some(code) => Ending::Exit(code),
                    None => Ending::Failed(Box::new(error)),
                }
            }
            _ => Ending::Done,
        }
    }

    /// The number of the newest run.
    pub fn last_run(&self) -> Option<RunId> {
        let runs = &self.core.state().session.runs;
        runs.keys().next_back().copied()
    }

    /// Sums over the runs begun after `before`.
    pub fn totals_since(&self, before: Option<RunId>) -> Totals {
        let mut sum = Totals::default();
        let runs = self.core.state().session.runs.iter();
        for (_, run) in runs.filter(|(id, _)| Some(**id) > before) {
            sum.merge(&run.totals);
        }
        sum
    }
}

/// The code of a `SystemExit`: none is 0, a number is itself, a text is 1.
fn exit_code(error: &OperationError) -> Option<u8> {
    if error.kind != "SystemExit" {
        return None;
    }
    let message = error.message.trim();
    Some(match message {
        "" | "None" | "SystemExit" => 0,
        text => text.parse::<i64>().map_or(1, |code| code as u8),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sys_exit_has_a_code() {
        let exit = |message: &str| {
            exit_code(&OperationError::new(
                "SystemExit",
                ErrorClass::PythonRuntime,
                message,
            ))
        };
        assert_eq!(exit(""), Some(0));
        assert_eq!(exit("3"), Some(3));
        assert_eq!(exit("no data"), Some(1));
        assert_eq!(exit_code(&OperationError::internal("3")), None);
    }
}
