//! A module to choose, the form for its options, and what the form asks for.

use serde_json::{Map, Value, json};

use crate::command;
use crate::operation::modules;
use crate::protocol::error::OperationError;
use crate::session::state::SessionState;
use crate::ui::form::{Entry, Field, Form};
use crate::ui::text;

/// A field that is wrong, and what is wrong with it.
pub(super) type Wrong = (String, String);

/// A module of DSPy, or one of the session's own.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) doc: String,
    /// `ok`, `experimental`, `deprecated`, `unavailable` or `yours`.
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) usable: bool,
    pub(super) signature: bool,
    pub(super) options: Vec<Opt>,
}

/// An option of its constructor.
#[derive(Debug, Clone)]
pub(super) struct Opt {
    pub(super) name: String,
    kind: String,
    default: Value,
    pub(super) doc: String,
    required: bool,
}

/// DSPy's modules in the order of their table, then those of the session.
pub(super) fn all(session: &SessionState) -> Vec<Choice> {
    let stock = modules::all().iter().map(|module| Choice {
        name: module.name.clone(),
        doc: module.doc.clone(),
        status: module.status.clone(),
        reason: module.reason.clone(),
        usable: module.status != "unavailable",
        signature: module.signature,
        options: module
            .options
            .iter()
            .map(|option| Opt {
                name: option.name.clone(),
                kind: option.kind.clone(),
                default: option.default.clone(),
                doc: option.doc.clone(),
                required: option.required,
            })
            .collect(),
    });
    let own = session.modules.values().map(|module| Choice {
        name: module.name.clone(),
        doc: module.doc.clone(),
        status: "yours".to_owned(),
        reason: format!("class {} of {}", module.class, module.file),
        usable: true,
        signature: false,
        options: module
            .signature
            .then(|| Opt {
                name: "signature".to_owned(),
                kind: "text".to_owned(),
                default: Value::Null,
                doc: "for example question -> answer".to_owned(),
                required: false,
            })
            .into_iter()
            .chain(module.options.iter().map(|(name, default)| Opt {
                name: name.clone(),
                kind: "any".to_owned(),
                default: default.clone(),
                doc: "an argument of its constructor".to_owned(),
                required: false,
            }))
            .collect(),
    });
    stock.chain(own).collect()
}

/// Whether the table, and no signature, says what this module is given.
pub(super) fn has_own_inputs(module: &str) -> bool {
    modules::find(module).is_some_and(|it| !it.signature || !it.inputs.is_empty())
}

/// Names and types of the inputs of a module without a signature; none when nobody knows.
pub(super) fn own_inputs(
    module: &str,
    options: Option<&Map<String, Value>>,
    session: &SessionState,
) -> Vec<(String, String)> {
    if let Some(own) = session.modules.get(module) {
        let inputs = own.inputs.iter();
        return inputs
            .map(|it| (it.name.clone(), it.type_name.clone()))
            .collect();
    }
    let stock = modules::find(module).map_or(&[][..], |it| &it.inputs);
    let dataset = options
        .and_then(|it| it.get("dataset"))
        .and_then(Value::as_str);
    let dataset = dataset.and_then(|name| session.datasets.get(name));
    let names = if stock.is_empty() {
        dataset.map_or(&[][..], |it| &it.inputs)
    } else {
        stock
    };
    let kind = |name: &String| if name == "examples" { "list" } else { "str" };
    names
        .iter()
        .map(|name| (name.clone(), kind(name).to_owned()))
        .collect()
}

impl Choice {
    /// An empty form for a program of it.
    pub(super) fn form(&self, session: &SessionState) -> Form {
        let entry = |name: &str, hint: String, text: &str| Entry {
            name: name.to_owned(),
            hint,
            field: Field::new(text),
        };
        let mut form = Form::new(format!("A program of {}", self.name), &[]);
        let name = self.name.to_lowercase();
        form.entries
            .push(entry("name", "name of the program".to_owned(), &name));
        if self.signature {
            let known: Vec<&str> = session.signatures.keys().map(String::as_str).collect();
            let more = if known.is_empty() {
                String::new()
            } else {
                format!(", or a name: {}", known.join(", "))
            };
            let hint = format!("question -> answer{more}");
            form.entries.push(entry("signature", hint, ""));
        }
        let names = command::Context::of(session);
        let options = self.options.iter();
        form.entries
            .extend(options.map(|option| entry(&option.name, option.hint(&names), "")));
        form
    }

    /// The arguments of `create_program`.
    ///
    /// # Errors
    /// The field that is wrong, with what is wrong.
    pub(super) fn arguments(&self, form: &Form) -> Result<Value, Wrong> {
        let mut options = Map::new();
        let signature = form.text("signature");
        for option in &self.options {
            let text = form.text(&option.name);
            if option.name == "signature" || text.is_empty() {
                if option.required {
                    let problem = format!("{} needs it: {}", self.name, option.doc);
                    return Err((option.name.clone(), problem));
                }
                continue;
            }
            options.insert(option.name.clone(), option.value(&text));
        }
        let mut arguments = json!({"module": self.name, "options": options});
        if let Some(arguments) = arguments.as_object_mut() {
            for (key, text) in [("name", form.text("name")), ("signature", signature)] {
                if !text.is_empty() {
                    arguments.insert(key.to_owned(), text.into());
                }
            }
        }
        Ok(arguments)
    }

    /// Names and types of the inputs of the program in the form.
    pub(super) fn inputs(&self, form: &Form, session: &SessionState) -> Vec<(String, String)> {
        let signature = form.text("signature");
        if signature.is_empty() || has_own_inputs(&self.name) {
            let arguments = self.arguments(form).unwrap_or_default();
            let options = arguments.get("options").and_then(Value::as_object);
            return own_inputs(&self.name, options, session);
        }
        command::Context::of(session).signature_inputs(&signature)
    }

    /// The field that an error of `create_program` is about.
    pub(super) fn field_of(&self, error: &OperationError) -> String {
        if let Some(option) = error.context.get("option").and_then(Value::as_str) {
            return option.to_owned();
        }
        if error.kind.contains("signature") || error.kind.contains("output_field") {
            return "signature".to_owned();
        }
        let what = error.kind.trim_start_matches("unknown_");
        let about =
            |option: &&Opt| option.kind.trim_end_matches('s') == what || option.name == what;
        let option = self.options.iter().find(about);
        option.map_or_else(|| "name".to_owned(), |option| option.name.clone())
    }
}

impl Opt {
    /// Its default as it is written; empty where there is none.
    pub(super) fn default(&self) -> String {
        match &self.default {
            Value::Null if self.required => "needed".to_owned(),
            Value::Null => String::new(),
            Value::Array(list) if list.is_empty() => "none".to_owned(),
            Value::Object(map) if map.is_empty() => "none".to_owned(),
            other => text::value(other),
        }
    }

    /// What the field says while it is empty: the default, what it is, what there is.
    fn hint(&self, names: &command::Context) -> String {
        let default = self.default();
        let mut hint = if default.is_empty() {
            self.doc.clone()
        } else {
            format!("{default} · {}", self.doc)
        };
        let there: Vec<&str> = match self.kind.as_str() {
            "tools" => names.tools.iter().chain(&names.functions).collect(),
            "dataset" | "corpus" => names.datasets.iter().collect(),
            "metric" => names.functions.iter().collect(),
            _ => Vec::new(),
        }
        .into_iter()
        .map(String::as_str)
        .take(8)
        .collect();
        if !there.is_empty() {
            hint = format!("{hint} ({})", there.join(", "));
        }
        hint
    }

    /// What was written, as JSON; the worker judges whether it will do.
    fn value(&self, text: &str) -> Value {
        let json = || serde_json::from_str(text).unwrap_or_else(|_| text.into());
        match self.kind.as_str() {
            "text" | "module" | "lm" => text.into(),
            "flag" => match text {
                "True" | "yes" => true.into(),
                "False" | "no" => false.into(),
                _ => json(),
            },
            "tools" if !text.starts_with('[') => text
                .split([',', ' '])
                .filter(|name| !name.is_empty())
                .collect(),
            _ => json(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(name: &str) -> Choice {
        let mut all = all(&SessionState::default()).into_iter();
        all.find(|choice| choice.name == name).unwrap()
    }

    /// R36: each module has a form of its own: a field for each of its options.
    #[test]
    fn every_module_has_its_form() {
        let session = SessionState::default();
        for choice in all(&session) {
            let form = choice.form(&session);
            let names: Vec<&str> = form.entries.iter().map(|it| it.name.as_str()).collect();
            let expected: Vec<&str> = ["name"]
                .into_iter()
                .chain(choice.signature.then_some("signature"))
                .chain(choice.options.iter().map(|it| it.name.as_str()))
                .collect();
            assert_eq!(names, expected, "{}", choice.name);
            assert!(form.entries.iter().all(|it| !it.hint.is_empty()));
        }
    }

    #[test]
    fn what_is_written_becomes_arguments() {
        let choice = choice("ReAct");
        let mut form = choice.form(&SessionState::default());
        form.put("name", "agent");
        form.put("signature", "question -> answer");
        form.put("tools", "double, add");
        form.put("max_iters", "4");
        assert_eq!(
            choice.arguments(&form).unwrap(),
            json!({"module": "ReAct", "name": "agent", "signature": "question -> answer",
                   "options": {"tools": ["double", "add"], "max_iters": 4}})
        );
        let session = SessionState::default();
        let inputs = choice.inputs(&form, &session);
        assert_eq!(inputs, [("question".to_owned(), "str".to_owned())]);
    }

    #[test]
    fn what_is_needed_is_asked_for_at_its_field() {
        let choice = choice("KNN");
        let form = choice.form(&SessionState::default());
        let (field, problem) = choice.arguments(&form).unwrap_err();
        assert_eq!(field, "dataset");
        assert!(problem.starts_with("KNN needs it"), "{problem}");
        let error = OperationError::invalid("unknown_dataset", "there is no dataset called `x`");
        assert_eq!(choice.field_of(&error), "dataset");
        let error = OperationError::invalid("invalid_option", "no").with("option", "k");
        assert_eq!(choice.field_of(&error), "k");
    }
}
