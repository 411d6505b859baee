//! The table of `:commands`: what a person types, in one place.
//!
//! [`parse`] turns a line into an operation, an action of the screen or a
//! question the front end answers from the state; [`complete`](complete()),
//! [`help_text`], [`palette_entries`] and the README read the same rows. Owns
//! words and their meaning; carries nothing out and does no I/O, except that
//! completing a file name lists its folder.

mod bind;
mod complete;
mod context;
mod help;
mod local;
mod meaning;
mod table;
mod words;

use serde_json::{Map, Value};

use crate::protocol::error::{OperationError, near_matches};

pub use bind::Bound;
pub use complete::{Candidate, complete, models_wanted};
pub use context::{Context, PROVIDERS, ProgramNames};
pub use help::{PaletteEntry, help_text, palette_entries, readme_table, usage};
pub use local::Local;
pub(crate) use local::duration;
pub use table::TABLE;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// What is typed after the colon: one word, or two (`lm add`).
    pub name: &'static str,
    /// Shorter or older words for the same thing.
    pub aliases: &'static [&'static str],
    /// Heading it stands under.
    pub group: Group,
    /// One sentence.
    pub doc: &'static str,
    /// What may follow, in order.
    pub arguments: &'static [Argument],
    /// A line that works in a session that has what it names.
    pub example: &'static str,
    /// The key of the full-screen workbench that does the same; may be empty.
    pub key: &'static str,
    /// What it turns into.
    becomes: Becomes,
}

/// Headings of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The workbench itself.
    General,
    /// LM profiles.
    Lm,
    /// Signatures, prompts, modules, programs.
    Program,
    /// Tools, MCP servers, the user's modules.
    Tool,
    /// Datasets, evaluation, optimisation.
    Data,
    /// Runs, the kernel and the session.
    Session,
}

impl Group {
    /// All of them, in the order of the help.
    pub const ALL: [Self; 6] = [
        Self::General,
        Self::Lm,
        Self::Program,
        Self::Tool,
        Self::Data,
        Self::Session,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::General => "General",
            Self::Lm => "Language models",
            Self::Program => "Signatures and programs",
            Self::Tool => "Tools, servers and modules of yours",
            Self::Data => "Data, evaluation, optimisation",
            Self::Session => "Runs and sessions",
        }
    }
}

/// One argument of a command.
#[derive(Debug, Clone, Copy)]
pub struct Argument {
    /// Its name: that of the operation's argument, where there is one.
    pub name: &'static str,
    /// How it is written.
    pub shape: Shape,
    /// Whether it must be there.
    pub required: bool,
    /// What can be offered for it.
    pub completer: Completer,
    /// A few words.
    pub doc: &'static str,
}

/// How an argument is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One word; quotes keep spaces.
    Word,
    /// One whole number.
    Number,
    /// Everything up to the first `key=value`, as it stands.
    Text,
    /// `name=value`.
    Option,
    /// Every other `key=value`, gathered into one object.
    Pairs,
    /// The rest of the line, as JSON.
    Json,
    /// Everything after the options that stand first, as it stands, lines and all.
    Code,
}

/// What can be offered for an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completer {
    /// Nothing.
    None,
    /// LM profiles of the session.
    Lm,
    /// LM providers.
    Provider,
    /// LM profiles of the session, and providers.
    LmOrProvider,
    /// Programs of the session.
    Program,
    /// Programs of the session and DSPy's modules.
    Runnable,
    /// Registered tools.
    Tool,
    /// MCP servers.
    Server,
    /// Named signatures.
    Signature,
    /// Datasets of the session.
    Dataset,
    /// DSPy's modules.
    Module,
    /// Metrics.
    Metric,
    /// Optimizers.
    Optimizer,
    /// Files and folders.
    File,
    /// Runs of the session, newest first.
    Run,
    /// Sessions, as far as they are known.
    Session,
    /// Names of operations.
    Operation,
    /// Names of commands.
    Command,
    /// Input fields of the program or signature on the line, as `field=`.
    Field,
    /// Options of `dspy.LM` and of a profile, as `option=`.
    LmOption,
    /// Options of the module on the line, as `option=`.
    ModuleOption,
    /// These words.
    OneOf(&'static [&'static str]),
}

/// What a bound line turns into.
#[derive(Debug, Clone, Copy)]
enum Becomes {
    /// The operation of this name; the bound arguments are its arguments.
    Operation(&'static str),
    /// Whatever this makes of it.
    With(fn(Bound, &Context) -> Result<Parsed, OperationError>),
}

/// What a line means.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// Submit this operation.
    Operation {
        /// A name of the table of operations.
        operation: String,
        /// Its arguments, an object.
        arguments: Value,
    },
    /// Do something with the screen.
    Screen(ScreenAction),
    /// Show something the state already holds ([`Local::answer`]).
    Local(Local),
}

impl Parsed {
    fn operation(operation: &str, arguments: Map<String, Value>) -> Self {
        Self::Operation {
            operation: operation.to_owned(),
            arguments: Value::Object(arguments),
        }
    }
}

/// An action of the full-screen workbench.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScreenAction {
    /// Leave the workbench.
    Quit,
    /// Open the palette.
    Palette,
    /// Show a screen.
    Show(ScreenName),
    /// Move the focus to a pane of the main screen.
    Focus(PaneName),
    /// Give the focused pane the whole screen, or take it back.
    Zoom,
    /// Use this theme; `None` goes to the next one.
    Theme(Option<String>),
    /// Clear what is shown; nothing of the session is lost.
    Clear,
    /// Open a session and go on in it.
    OpenSession(String),
    /// Open a session as a replay.
    ReplaySession(String),
    /// Show the trace of a run; `None` is the newest.
    Trace(Option<u64>),
}

/// A screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScreenName {
    /// Explorer, notebook and trace.
    Main,
    /// F2.
    Lm,
    /// F3.
    Signature,
    /// F4.
    Trace,
    /// F5.
    Optimise,
    /// F6.
    Sessions,
    /// F7.
    Data,
    /// F11.
    Modules,
}

/// A pane of the main screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaneName {
    /// What the session holds.
    Explorer,
    /// Cells.
    Notebook,
    /// Spans of a run.
    Trace,
}

/// Whether this input is a command: it starts with a colon.
pub fn is_command(line: &str) -> bool {
    line.trim_start().starts_with(':')
}

/// What a line means; the colon may be left out.
///
/// # Errors
/// `unknown_command` with near matches, `invalid_command` with the usage line,
/// `unknown_operation`, `unknown_program`.
pub fn parse(line: &str, context: &Context) -> Result<Parsed, OperationError> {
    let line = line.trim();
    let line = line.strip_prefix(':').unwrap_or(line).trim_start();
    if line.is_empty() {
        return Ok(Parsed::Local(Local::Help(None)));
    }
    let (command, rest) = find(line)?;
    let bound = bind::bind(command, rest)?;
    match command.becomes {
        Becomes::Operation(operation) => Ok(Parsed::operation(operation, bound.arguments)),
        Becomes::With(make) => make(bound, context),
    }
}

/// The row a line names, and what follows its name.
fn find(line: &str) -> Result<(&'static Command, &str), OperationError> {
    let (first, rest) = split_word(line);
    let (second, after) = split_word(rest);
    let first = first.to_lowercase();
    let both = format!("{first} {}", second.to_lowercase());
    if let Some(command) = named(&both) {
        return Ok((command, after));
    }
    if let Some(command) = named(&first) {
        return Ok((command, rest));
    }
    Err(unknown(&first, &both))
}

/// The row with this name or alias.
pub fn named(name: &str) -> Option<&'static Command> {
    TABLE
        .iter()
        .find(|command| command.name == name || command.aliases.contains(&name))
}

fn unknown(first: &str, both: &str) -> OperationError {
    let all = || {
        TABLE
            .iter()
            .flat_map(|command| std::iter::once(&command.name).chain(command.aliases))
            .copied()
    };
    let family: Vec<&str> = all()
        .filter(|name| name.split_once(' ').is_some_and(|(head, _)| head == first))
        .collect();
    let (message, near) = if family.is_empty() {
        (
            format!("there is no command `:{first}`"),
            near_matches(first, all()),
        )
    } else {
        let near = near_matches(both, family.iter().copied());
        let near = if near.is_empty() {
            family.iter().map(|name| (*name).to_owned()).collect()
        } else {
            near
        };
        (format!("`:{first}` needs one more word"), near)
    };
    OperationError::invalid("unknown_command", message)
        .near(near.into_iter().map(|name| format!(":{name}")).collect())
        .hint("`:help` names them all")
}

/// The first word and what follows it, without the blanks between.
fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.trim_start())
}
