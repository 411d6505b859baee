//! Binds the words of a line to the arguments of a command.

use serde_json::{Map, Value};

use super::words::{self, Word};
use super::{Argument, Command, Shape, usage};
use crate::protocol::error::{OperationError, near_matches};

/// A line whose words have found their arguments.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The command.
    pub command: &'static Command,
    /// Arguments by name; those not given are absent, pairs are an object.
    pub arguments: Map<String, Value>,
}

impl Bound {
    /// Takes a text argument out.
    pub fn take_text(&mut self, name: &str) -> Option<String> {
        match self.arguments.remove(name)? {
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    /// Takes an object argument out; empty when it was not given.
    pub fn take_object(&mut self, name: &str) -> Map<String, Value> {
        match self.arguments.remove(name) {
            Some(Value::Object(object)) => object,
            _ => Map::new(),
        }
    }

    /// An error about this line, with the command's usage.
    pub fn error(&self, message: impl Into<String>) -> OperationError {
        invalid(self.command, message)
    }
}

/// Binds what follows a command's name.
///
/// # Errors
/// `invalid_command`: a missing, superfluous, repeated or unknown argument, or
/// an open quote, always with the usage line.
pub(super) fn bind(command: &'static Command, rest: &str) -> Result<Bound, OperationError> {
    let mut binder = Binder {
        command,
        rest,
        arguments: Map::new(),
        pairs: Map::new(),
    };
    binder.run()?;
    Ok(Bound {
        command,
        arguments: binder.arguments,
    })
}

struct Binder<'a> {
    command: &'static Command,
    rest: &'a str,
    arguments: Map<String, Value>,
    pairs: Map<String, Value>,
}

impl Binder<'_> {
    fn run(&mut self) -> Result<(), OperationError> {
        let rest = match self.json_tail()? {
            Some(before) => before,
            None => self.code_tail().unwrap_or(self.rest.len()),
        };
        let text = &self.rest[..rest];
        let words = words::split(text).map_err(|open| {
            let from: String = text[open.at..].chars().take(20).collect();
            self.invalid(format!("the quote before `{}` is not closed", &from[1..]))
        })?;
        let (pairs, plain): (Vec<Word>, Vec<Word>) =
            words.into_iter().partition(|word| word.key.is_some());
        self.bind_plain(&plain)?;
        for word in pairs {
            self.bind_pair(word)?;
        }
        self.finish()
    }

    /// Takes a [`Shape::Json`] argument, which reaches to the end of the line;
    /// answers where it starts.
    fn json_tail(&mut self) -> Result<Option<usize>, OperationError> {
        let Some(argument) = self.of(Shape::Json) else {
            return Ok(None);
        };
        let Some(start) = self.rest.find('{') else {
            return Ok(None);
        };
        let value: Value = serde_json::from_str(&self.rest[start..])
            .map_err(|error| self.invalid(format!("`{}` is not JSON: {error}", argument.name)))?;
        self.arguments.insert(argument.name.to_owned(), value);
        Ok(Some(start))
    }

    /// Takes a [`Shape::Code`] argument, which begins after the options that
    /// stand first; answers where it starts. Code is full of quotes and of
    /// `name=value`, so it is no matter for words.
    fn code_tail(&mut self) -> Option<usize> {
        let argument = self.of(Shape::Code)?;
        let is_option = |key: &str| {
            let mut all = self.command.arguments.iter();
            all.any(|one| one.shape == Shape::Option && one.name == key)
        };
        let mut at = 0;
        while let Some(word) = words::first(self.rest, at)
            && word.key.as_deref().is_some_and(is_option)
        {
            at = word.end;
        }
        let code = self.rest.get(at..)?;
        // A first line's indent is that of the others.
        let code = code
            .trim_start_matches([' ', '\t'])
            .trim_start_matches('\n')
            .trim_end();
        if !code.is_empty() {
            self.arguments.insert(argument.name.to_owned(), code.into());
        }
        Some(at)
    }

    fn bind_plain(&mut self, words: &[Word]) -> Result<(), OperationError> {
        let mut words = words;
        for argument in self.command.arguments {
            match (argument.shape, words) {
                (Shape::Word, [word, others @ ..]) => {
                    self.arguments
                        .insert(argument.name.to_owned(), word.value.clone());
                    words = others;
                }
                (Shape::Number, [word, others @ ..]) => {
                    let number = word
                        .value
                        .as_str()
                        .and_then(|text| text.parse::<u64>().ok());
                    let number = number.ok_or_else(|| {
                        let got = word.value.as_str().unwrap_or_default();
                        self.invalid(format!(
                            "`{}` is a whole number, not `{got}`",
                            argument.name
                        ))
                    })?;
                    self.arguments
                        .insert(argument.name.to_owned(), number.into());
                    words = others;
                }
                (Shape::Text, [first, .., last]) => {
                    let text = &self.rest[first.start..last.end];
                    self.arguments.insert(argument.name.to_owned(), text.into());
                    words = &[];
                }
                (Shape::Text, [only]) => {
                    let text = if only.quoted {
                        only.value.clone()
                    } else {
                        self.rest[only.start..only.end].into()
                    };
                    self.arguments.insert(argument.name.to_owned(), text);
                    words = &[];
                }
                _ => {}
            }
        }
        match words.first() {
            Some(word) => {
                let text = &self.rest[word.start..word.end];
                Err(self.invalid(format!("`:{}` does not take `{text}`", self.command.name)))
            }
            None => Ok(()),
        }
    }

    fn bind_pair(&mut self, word: Word) -> Result<(), OperationError> {
        let key = word.key.unwrap_or_default();
        let declared = self
            .command
            .arguments
            .iter()
            .find(|argument| argument.name == key && argument.shape != Shape::Pairs);
        let twice = if declared.is_some() {
            self.arguments.insert(key.clone(), word.value).is_some()
        } else if self.of(Shape::Pairs).is_some() {
            self.pairs.insert(key.clone(), word.value).is_some()
        } else {
            let options = self
                .command
                .arguments
                .iter()
                .filter(|argument| argument.shape == Shape::Option)
                .map(|argument| argument.name);
            let near = near_matches(&key, options);
            return Err(self
                .invalid(format!(
                    "`{key}` is not an option of `:{}`",
                    self.command.name
                ))
                .near(near));
        };
        if twice {
            return Err(self.invalid(format!("`{key}` is given twice")));
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), OperationError> {
        if let Some(argument) = self.of(Shape::Pairs) {
            let pairs = std::mem::take(&mut self.pairs);
            if !pairs.is_empty() || argument.required {
                self.arguments
                    .insert(argument.name.to_owned(), Value::Object(pairs));
            }
        }
        let missing: Vec<String> = self
            .command
            .arguments
            .iter()
            .filter(|argument| argument.required && !self.arguments.contains_key(argument.name))
            .map(|argument| format!("`{}`", argument.name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(self.invalid(format!(
            "`:{}` needs {}",
            self.command.name,
            missing.join(" and ")
        )))
    }

    fn of(&self, shape: Shape) -> Option<&'static Argument> {
        let arguments = self.command.arguments;
        arguments.iter().find(|argument| argument.shape == shape)
    }

    fn invalid(&self, message: impl Into<String>) -> OperationError {
        invalid(self.command, message)
    }
}

fn invalid(command: &Command, message: impl Into<String>) -> OperationError {
    let hint = format!("usage: {}; for example {}", usage(command), command.example);
    OperationError::invalid("invalid_command", message)
        .hint(hint)
        .with("command", command.name)
}
