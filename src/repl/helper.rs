//! What rustyline asks while a person types: completion, hints, colours,
//! whether Enter runs the input, and how far the next line is indented.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::{CmdKind, Highlighter as Paint};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{
    Cmd, ConditionalEventHandler, Context as Line, Event, EventContext, Helper, RepeatCount,
};
use serde_json::{Map, Value, json};
use tokio::runtime;
use unicode_width::UnicodeWidthStr as _;

use super::colour;
use super::source::{indent_after, is_complete};
use crate::app::Handle;
use crate::command::{self, Context, Shape};
use crate::highlight::{Highlighter, Language};

/// How long Tab waits for the kernel before it offers the names last known.
const PATIENCE: Duration = Duration::from_millis(150);

/// How long Tab waits for a server's list of models.
const MODELS_PATIENCE: Duration = Duration::from_secs(3);

/// What the main thread tells the helper before each prompt.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Names for command lines.
    pub(super) context: Context,
    /// Names of the kernel.
    pub(super) names: Vec<String>,
}

/// What is being read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Reading {
    /// A cell or command.
    #[default]
    Entry,
    /// A cell's `input()`: no completion, no history.
    Answer,
    /// A cell's `getpass()`: stars besides.
    Secret,
}

/// What is being read, shared by the helper and the keys.
#[derive(Debug, Clone, Default)]
pub(super) struct Mode(Arc<Mutex<Reading>>);

impl Mode {
    pub(super) fn set(&self, reading: Reading) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reading;
    }

    fn get(&self) -> Reading {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_entry(&self) -> bool {
        self.get() == Reading::Entry
    }
}

/// The helper of the prompt.
pub(super) struct PromptHelper {
    mode: Mode,
    handle: Handle,
    runtime: runtime::Handle,
    known: Arc<Mutex<Known>>,
    history: HistoryHinter,
    highlighter: RefCell<Highlighter>,
    /// Models that servers offer, by the arguments they were asked with.
    models: RefCell<HashMap<String, Vec<String>>>,
    colours: bool,
}

impl PromptHelper {
    pub(super) fn new(
        handle: Handle,
        runtime: runtime::Handle,
        known: Arc<Mutex<Known>>,
        colours: bool,
    ) -> Self {
        Self {
            mode: Mode::default(),
            handle,
            runtime,
            known,
            history: HistoryHinter::new(),
            highlighter: RefCell::new(Highlighter::new(Language::Python)),
            models: RefCell::default(),
            colours,
        }
    }

    /// What is being read.
    pub(super) fn mode(&self) -> Mode {
        self.mode.clone()
    }

    fn commands(&self, line: &str, pos: usize) -> (usize, Vec<Pair>) {
        let mut context = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.context.clone()
        };
        if let Some(wanted) = command::models_wanted(line, pos, &context) {
            context.models = self.models(wanted);
        }
        let found = command::complete(line, pos, &context);
        // rustyline replaces from one place only: that of the first candidate.
        let start = found.first().map_or(pos, |candidate| candidate.start);
        let pairs = found
            .into_iter()
            .filter(|candidate| candidate.start == start)
            .map(|candidate| Pair {
                display: candidate.text.clone(),
                replacement: candidate.text,
            })
            .collect();
        (start, pairs)
    }

    /// The models a server offers; none when it does not say so soon.
    fn models(&self, wanted: Map<String, Value>) -> Vec<String> {
        let wanted = Value::Object(wanted);
        let key = wanted.to_string();
        if let Some(known) = self.models.borrow().get(&key) {
            return known.clone();
        }
        let call = self.handle.call("list_models", wanted);
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(MODELS_PATIENCE, call).await });
        let Ok(Ok(answer)) = answer else {
            return Vec::new();
        };
        let list = answer.get("models").and_then(Value::as_array);
        let names = list.into_iter().flatten().filter_map(Value::as_str);
        let names: Vec<String> = names.map(str::to_owned).collect();
        self.models.borrow_mut().insert(key, names.clone());
        names
    }

    fn python(&self, line: &str, pos: usize) -> (usize, Vec<Pair>) {
        let cursor = line.get(..pos).unwrap_or(line).chars().count();
        let arguments = json!({"source": line, "cursor": cursor});
        let call = self.handle.call("complete", arguments);
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, call).await });
        match answer {
            Ok(Ok(answer)) => matches(&answer, line, pos),
            _ => self.last_known(line, pos),
        }
    }

    /// Names of the kernel as of the last cell, for when it is busy or not up yet.
    fn last_known(&self, line: &str, pos: usize) -> (usize, Vec<Pair>) {
        let typed = line.get(..pos).unwrap_or(line);
        let start = typed
            .rfind(|ch: char| !(ch.is_alphanumeric() || ch == '_'))
            .map_or(0, |at| {
                at + typed[at..].chars().next().map_or(1, char::len_utf8)
            });
        let stem = &typed[start..];
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let names = known
            .names
            .iter()
            .filter(|name| !stem.is_empty() && name.starts_with(stem));
        let pairs = names.map(|name| pair(name)).collect();
        (start, pairs)
    }
}

fn pair(text: &str) -> Pair {
    Pair {
        display: text.to_owned(),
        replacement: text.to_owned(),
    }
}

/// The kernel's matches, all from one place, which it counts in characters.
fn matches(answer: &Value, line: &str, pos: usize) -> (usize, Vec<Pair>) {
    let list = answer.get("matches").and_then(Value::as_array);
    let list = list.map(Vec::as_slice).unwrap_or_default();
    let start_of = |found: &Value| {
        let chars = found.get("start").and_then(Value::as_u64)?;
        let byte = line.char_indices().nth(usize::try_from(chars).ok()?);
        Some(byte.map_or(line.len(), |(at, _)| at))
    };
    let start = list.first().and_then(start_of).unwrap_or(pos).min(pos);
    let pairs = list
        .iter()
        .filter(|found| start_of(found) == Some(start))
        .filter_map(|found| found.get("text").and_then(Value::as_str))
        .filter(|text| !text.contains(char::is_control))
        .map(pair)
        .collect();
    (start, pairs)
}

impl Completer for PromptHelper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Line<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        Ok(if !self.mode.is_entry() {
            (pos, Vec::new())
        } else if command::is_command(line) {
            self.commands(line, pos)
        } else {
            self.python(line, pos)
        })
    }
}

impl Hinter for PromptHelper {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, context: &Line<'_>) -> Option<String> {
        if pos < line.len() || !self.mode.is_entry() {
            return None;
        }
        usage_hint(line).or_else(|| self.history.hint(line, pos, context))
    }
}

/// What a command takes, once its name and a blank are typed.
fn usage_hint(line: &str) -> Option<String> {
    let name = line.trim_start().strip_prefix(':')?;
    let bare = name.strip_suffix(' ')?;
    let row = command::named(bare)?;
    let arguments: Vec<String> = row
        .arguments
        .iter()
        .map(|argument| match argument.shape {
            Shape::Option => format!("[{}=…]", argument.name),
            Shape::Pairs => "[key=value…]".to_owned(),
            _ if argument.required => argument.name.to_owned(),
            _ => format!("[{}]", argument.name),
        })
        .collect();
    (!arguments.is_empty()).then(|| arguments.join(" "))
}

impl Paint for PromptHelper {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        match self.mode.get() {
            Reading::Secret => Cow::Owned("*".repeat(line.width())),
            Reading::Entry if self.colours => {
                Cow::Owned(colour::input(&mut self.highlighter.borrow_mut(), line))
            }
            _ => Cow::Borrowed(line),
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.colours {
            Cow::Owned(colour::dim(hint))
        } else {
            Cow::Borrowed(hint)
        }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        match self.mode.get() {
            Reading::Secret => true,
            Reading::Entry => self.colours && kind != CmdKind::MoveCursor,
            Reading::Answer => false,
        }
    }
}

impl Validator for PromptHelper {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(if !self.mode.is_entry() || is_complete(context.input()) {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

impl Helper for PromptHelper {}

/// Enter: goes on with an indented line while the input is incomplete.
pub(super) struct Enter(pub(super) Mode);

impl ConditionalEventHandler for Enter {
    fn handle(
        &self,
        _: &Event,
        _: RepeatCount,
        _: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        let line = context.line();
        if !self.0.is_entry() || context.pos() < line.len() || is_complete(line) {
            return None;
        }
        let indent = " ".repeat(indent_after(line));
        Some(Cmd::Insert(1, format!("\n{indent}")))
    }
}

/// Tab: indents where there is nothing to complete yet.
pub(super) struct Tab(pub(super) Mode);

impl ConditionalEventHandler for Tab {
    fn handle(
        &self,
        _: &Event,
        _: RepeatCount,
        _: bool,
        context: &EventContext<'_>,
    ) -> Option<Cmd> {
        if !self.0.is_entry() {
            return Some(Cmd::Noop);
        }
        let typed = context.line().get(..context.pos()).unwrap_or_default();
        let last = typed.rsplit('\n').next().unwrap_or_default();
        last.trim()
            .is_empty()
            .then(|| Cmd::Insert(1, " ".repeat(4 - last.len() % 4)))
    }
}

/// Keys of the history, which has nothing for a cell's question.
pub(super) struct Answering(pub(super) Mode);

impl ConditionalEventHandler for Answering {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext<'_>) -> Option<Cmd> {
        (!self.0.is_entry()).then_some(Cmd::Noop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_shows_what_it_takes() {
        assert_eq!(usage_hint(":lm use ").as_deref(), Some("name"));
        assert_eq!(usage_hint(":lm use"), None);
        assert_eq!(usage_hint(":nonsense "), None);
        assert_eq!(usage_hint("print "), None);
    }

    #[test]
    fn matches_are_placed_in_bytes() {
        let answer = json!({"matches": [
            {"text": "real", "start": 2, "end": 4},
            {"text": "re\u{1b}", "start": 2, "end": 4},
            {"text": "other", "start": 0, "end": 4}]});
        let (start, pairs) = matches(&answer, "é.re", 5);
        assert_eq!(start, 3);
        let texts: Vec<&str> = pairs.iter().map(|pair| pair.replacement.as_str()).collect();
        assert_eq!(texts, ["real"]);
        assert_eq!(matches(&json!({}), "abc", 3).0, 3);
    }
}
