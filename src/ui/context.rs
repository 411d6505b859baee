//! What a pane gets when it handles input: the state to read, and a place to
//! put what it wants done.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::input::Action;
use super::{Focus, View};
use crate::app::State;
use crate::protocol::error::OperationError;
use crate::session::event::Level;

/// Why an operation was submitted: decides what its answer does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Purpose {
    /// Only a failure is worth a word.
    Quiet,
    /// A cell of the notebook tells how it went.
    Recorded,
    /// Say this when it went well.
    Say(String),
    /// Completion of the editor's text of this revision.
    Complete(u64),
    /// The prompt of the signature editor, of this revision.
    Prompt(u64),
    /// DSPy's reading of an edited signature.
    Signature(String),
    /// The messages of an exchange, by key.
    Messages(String, Part),
    /// A connection test of this profile.
    TestLm(String),
    /// LM servers of this machine.
    LocalLms,
    /// The models a server offers, asked for with these arguments.
    Models(String),
    /// The list of sessions.
    Sessions,
    /// How two sessions differ.
    Compared,
    /// How the workers are.
    Health,
    /// The answer of a try-out.
    Try,
    /// A program made with the form.
    Program,
    /// A check of the inputs in the form.
    Inputs,
}

/// Which document of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// What was sent.
    Request,
    /// What came back.
    Response,
}

/// A word to the person, shown in the hint line until the next key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Toast {
    /// How bad.
    pub(crate) level: Level,
    /// One sentence.
    pub(crate) text: String,
    /// It stays until Enter or Esc.
    pub(crate) sticky: bool,
}

/// Operations on their way.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    purposes: HashMap<u64, Purpose>,
    last_tag: u64,
    /// Models that servers offer, by the arguments they were asked with.
    models: HashMap<String, Vec<String>>,
}

impl Waiting {
    /// What the answer with this tag is for; `None` when nobody waits any more.
    pub(crate) fn take(&mut self, tag: u64) -> Option<Purpose> {
        self.purposes.remove(&tag)
    }

    fn add(&mut self, purpose: Purpose) -> u64 {
        self.last_tag += 1;
        self.purposes.insert(self.last_tag, purpose);
        self.last_tag
    }
}

/// What a pane gets.
pub(crate) struct Context<'a> {
    /// What there is.
    pub(crate) state: &'a State,
    /// Whether it is a replay: nothing can be done, only looked at.
    pub(crate) replay: bool,
    /// What is to be done.
    pub(crate) actions: Vec<Action>,
    /// A word to say.
    pub(crate) toast: Option<Toast>,
    /// Where to go.
    pub(crate) go: Option<View>,
    /// What gets the focus.
    pub(crate) focus: Option<Focus>,
    /// A command line to carry out, without its colon.
    pub(crate) command: Option<String>,
    /// A signature to open.
    pub(crate) open_signature: Option<String>,
    /// A program whose inputs are to be asked for.
    pub(crate) open_program: Option<String>,
    /// Text for the editor.
    pub(crate) insert: Option<String>,
    pub(crate) waiting: &'a mut Waiting,
}

impl<'a> Context<'a> {
    /// Nothing wanted yet.
    pub(crate) fn new(state: &'a State, replay: bool, waiting: &'a mut Waiting) -> Self {
        Self {
            state,
            replay,
            actions: Vec::new(),
            toast: None,
            go: None,
            focus: None,
            command: None,
            open_signature: None,
            open_program: None,
            insert: None,
            waiting,
        }
    }

    /// Submits an operation.
    pub(crate) fn submit(&mut self, purpose: Purpose, operation: &'static str, arguments: Value) {
        let reads = ["read_document", "list_sessions", "compare_sessions"];
        if self.replay && !reads.contains(&operation) {
            self.warn("this is a replay: nothing runs here; `q` leaves it");
            return;
        }
        let tag = self.waiting.add(purpose);
        self.actions.push(Action::Submit {
            tag,
            operation,
            arguments,
        });
    }

    /// The models a server offers, if it was asked; else asks it.
    pub(crate) fn models(&mut self, wanted: Map<String, Value>) -> Option<Vec<String>> {
        let wanted = Value::Object(wanted);
        let key = wanted.to_string();
        if let Some(known) = self.waiting.models.get(&key) {
            return Some(known.clone());
        }
        self.submit(Purpose::Models(key), "list_models", wanted);
        self.say("asking which models there are…");
        None
    }

    /// Keeps the models a server answered with.
    pub(crate) fn models_came(&mut self, key: String, answer: &Value) {
        let list = answer.get("models").and_then(Value::as_array);
        let names = list.into_iter().flatten().filter_map(Value::as_str);
        let names: Vec<String> = names.map(str::to_owned).collect();
        if names.is_empty() {
            self.warn("the server offers no model");
        } else {
            let many = super::text::many(names.len() as u64, "model");
            self.say(format!("{many}: Up and Down choose, Enter takes one"));
        }
        self.waiting.models.insert(key, names);
    }

    /// Says something good to know.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.toast = Some(Toast {
            level: Level::Info,
            text: text.into(),
            sticky: false,
        });
    }

    /// Says that something cannot be done.
    pub(crate) fn warn(&mut self, text: impl Into<String>) {
        self.toast = Some(Toast {
            level: Level::Warning,
            text: text.into(),
            sticky: false,
        });
    }

    /// Says what failed and what to do.
    pub(crate) fn fail(&mut self, error: &OperationError) {
        self.toast = Some(Toast {
            level: Level::Error,
            text: sentence(error),
            sticky: false,
        });
    }
}

/// An error in one line: sentence, near matches, remedy.
pub(crate) fn sentence(error: &OperationError) -> String {
    let mut text = error.message.clone();
    if !error.recovery.near.is_empty() {
        let _ = write!(text, " — did you mean {}?", error.recovery.near.join(", "));
    }
    if !error.recovery.hint.is_empty() {
        let _ = write!(text, " → {}", error.recovery.hint);
    }
    text
}
