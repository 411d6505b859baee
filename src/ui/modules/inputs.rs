//! The form for a program's inputs, and the `:run` that comes of it.

use serde_json::{Map, Value, json};

use super::choice::Wrong;
use crate::ui::form::{Entry, Field, Form};

/// Names that `:run` takes for itself.
const TAKEN: [&str; 4] = ["target", "signature", "lm", "options"];
/// The field where nobody knows the names of the inputs.
const ALL: &str = "inputs";

/// Inputs that are being written.
#[derive(Debug)]
pub(super) struct Inputs {
    /// Of this program.
    pub(super) program: String,
    pub(super) form: Form,
    /// The names are known.
    pub(super) told: bool,
    /// Types in the order of the fields.
    types: Vec<String>,
}

impl Inputs {
    /// An empty form for these names and types.
    pub(super) fn new(program: &str, names: Vec<(String, String)>) -> Self {
        let mut form = Form::new(format!("Run {program}"), &[]);
        let told = !names.is_empty();
        let mut types = Vec::new();
        for (name, kind) in names {
            form.entries.push(Entry {
                hint: match kind.as_str() {
                    "str" => "text".to_owned(),
                    _ => format!("{kind}, as JSON"),
                },
                name,
                field: Field::default(),
            });
            types.push(kind);
        }
        if !told {
            form.entries.push(Entry {
                name: ALL.to_owned(),
                hint: r#"JSON: {"question": "What is 12*7?"}"#.to_owned(),
                field: Field::default(),
            });
        }
        Self {
            program: program.to_owned(),
            form,
            told,
            types,
        }
    }

    /// What was written, as JSON.
    ///
    /// # Errors
    /// The field that cannot be read, with what is wrong.
    pub(super) fn values(&self) -> Result<Map<String, Value>, Wrong> {
        if !self.told {
            let text = self.form.text(ALL);
            return match serde_json::from_str(if text.is_empty() { "{}" } else { &text }) {
                Ok(Value::Object(inputs)) => Ok(inputs),
                Ok(_) => Err((
                    ALL.to_owned(),
                    "an object, such as {\"name\": 1}".to_owned(),
                )),
                Err(error) => Err((ALL.to_owned(), format!("it is not JSON: {error}"))),
            };
        }
        let mut inputs = Map::new();
        for (entry, kind) in self.form.entries.iter().zip(&self.types) {
            let text = entry.field.text();
            let value = match kind.as_str() {
                "str" => Value::String(text),
                // Nothing written is nothing given.
                _ if text.trim().is_empty() => continue,
                _ => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            };
            inputs.insert(entry.name.clone(), value);
        }
        Ok(inputs)
    }

    /// Shows what the worker found wrong with an input.
    pub(super) fn complain(&mut self, problem: &Value) {
        let of = |key: &str| problem.get(key).and_then(Value::as_str).unwrap_or_default();
        let (field, expected, got) = (of("field"), of("expected"), of("got"));
        let words = match of("problem") {
            "missing" => format!("`{field}` is missing: {expected}"),
            "wrong_type" => format!("`{field}` must be {expected}, not {got}"),
            _ => format!("no input is called `{field}`"),
        };
        self.form.complain(field, words);
    }

    /// The command that runs it, without its colon.
    pub(super) fn line(&self) -> Result<String, Wrong> {
        let inputs = self.values()?;
        if inputs.keys().any(|name| TAKEN.contains(&name.as_str())) {
            let arguments = json!({"program": self.program, "inputs": inputs});
            return Ok(format!("exec execute_program {arguments}"));
        }
        let pairs = inputs
            .iter()
            .map(|(name, value)| format!(" {name}={value}"));
        Ok(format!("run {}{}", self.program, pairs.collect::<String>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{self, Parsed};

    fn names(names: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, kind): &(&str, &str)| ((*name).to_owned(), (*kind).to_owned());
        names.iter().map(own).collect()
    }

    /// What is written in the form is what the program gets, whatever it is.
    #[test]
    fn the_command_says_what_was_written() {
        let context = command::Context {
            programs: vec![command::ProgramNames {
                name: "qa".to_owned(),
                inputs: names(&[("text", "str"), ("n", "int")]),
            }],
            ..command::Context::default()
        };
        for text in ["42", "it's \"so\" \\ x=1", "", "{\"a\": 1}", "-> ; :quit"] {
            let mut inputs = Inputs::new("qa", names(&[("text", "str"), ("n", "int")]));
            inputs.form.put("text", text);
            inputs.form.put("n", "7");
            let line = inputs.line().unwrap();
            let parsed = command::parse(&line, &context).unwrap();
            let Parsed::Operation { arguments, .. } = parsed else {
                panic!("{line}");
            };
            let expected = json!({"program": "qa", "inputs": {"text": text, "n": 7}});
            assert_eq!(arguments, expected, "{line}");
        }
    }

    #[test]
    fn names_that_the_command_takes_go_by_the_operation() {
        let mut inputs = Inputs::new("qa", names(&[("lm", "str")]));
        inputs.form.put("lm", "x");
        assert!(inputs.line().unwrap().starts_with("exec execute_program {"));
        let mut unknown = Inputs::new("qa", Vec::new());
        assert_eq!(unknown.line().unwrap(), "run qa");
        unknown.form.put(ALL, "[1]");
        assert_eq!(unknown.line().unwrap_err().0, ALL);
    }
}
