//! Reads the prompts of DSPy's Chat, JSON and XML adapters back into what they
//! were made from: fields with types, instructions, demonstrations, inputs.
//!
//! Owns reading and the writing of an answer in the same style. Does not decide
//! what the answer is.

use serde_json::{Map, Value};

use super::conversation::{Conversation, Role};

mod schema;
mod sections;
mod xml;

/// Which adapter wrote the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `[[ ## field ## ]]` sections.
    Chat,
    /// Inputs in sections, outputs as one JSON object.
    Json,
    /// `<field>` elements.
    Xml,
}

/// A field of the signature, as the prompt describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type in DSPy's words: `list[str]`.
    pub type_name: String,
    /// Its description; may be empty.
    pub description: String,
    /// Its type as JSON Schema. `Literal` is an `enum`, constraints are merged in.
    pub schema: Value,
}

impl Field {
    /// The allowed values of a `Literal` or `Enum`.
    pub fn choices(&self) -> Vec<&Value> {
        self.schema
            .get("enum")
            .and_then(Value::as_array)
            .map(|values| values.iter().collect())
            .unwrap_or_default()
    }

    /// Whether any text will do.
    pub fn is_text(&self) -> bool {
        self.schema.get("type").and_then(Value::as_str) == Some("string")
            && self.schema.get("format").is_none()
            && self.choices().is_empty()
    }

    /// Whether a program is wanted: `dspy.Code`.
    pub fn is_code(&self) -> bool {
        self.type_name == "Code" || self.type_name.starts_with("Code_")
    }
}

/// A demonstration, or an earlier turn. Fields that were not supplied are absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Demo {
    /// Input values as they were written.
    pub inputs: Vec<(String, String)>,
    /// Output values: text for `str` fields, decoded JSON for others.
    pub outputs: Map<String, Value>,
}

/// A DSPy prompt, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// Which adapter wrote it.
    pub style: Style,
    /// Input fields in order.
    pub inputs: Vec<Field>,
    /// Output fields in order.
    pub outputs: Vec<Field>,
    /// The signature's instructions.
    pub instructions: String,
    /// Demonstrations in order.
    pub demos: Vec<Demo>,
    /// Values of the inputs of this call, in order.
    pub current: Vec<(String, String)>,
    /// Results of tools called in earlier turns: tool and text, in order.
    pub results: Vec<(String, String)>,
}

impl Prompt {
    /// Reads a conversation; `None` when it was not written by one of DSPy's adapters.
    pub fn read(conversation: &Conversation) -> Option<Self> {
        let system = conversation.system.as_str();
        let (_, rest) = system.split_once("Your input fields are:\n")?;
        let (inputs, rest) = rest.split_once("Your output fields are:\n")?;
        let (outputs, rest) = rest.split_once("All interactions will be structured")?;
        let (structure, instructions) = rest
            .split_once("In adhering to this structure, your objective is:")
            .unwrap_or((rest, ""));
        let style = if structure.contains("Outputs will be a JSON object") {
            Style::Json
        } else if structure.contains("[[ ## ") {
            Style::Chat
        } else {
            Style::Xml
        };
        let mut prompt = Self {
            style,
            inputs: schema::fields(inputs, "", style),
            outputs: schema::fields(outputs, structure, style),
            instructions: dedent(instructions),
            demos: Vec::new(),
            current: Vec::new(),
            results: tool_results(conversation),
        };
        prompt.read_turns(conversation);
        Some(prompt)
    }

    /// The value of an input of this call.
    pub fn input(&self, name: &str) -> Option<&str> {
        self.current
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    }

    /// The output field of this name.
    pub fn output(&self, name: &str) -> Option<&Field> {
        self.outputs.iter().find(|field| field.name == name)
    }

    /// All input text of this call.
    pub fn input_text(&self) -> String {
        join(&self.current)
    }

    /// Writes an answer the way this prompt's adapter reads it.
    pub fn render(&self, answer: &Map<String, Value>) -> String {
        match self.style {
            Style::Chat => sections::write(answer),
            Style::Json => serde_json::to_string_pretty(answer).unwrap_or_default(),
            Style::Xml => xml::write(&self.flattened(answer)),
        }
    }

    /// Open-ended objects as JSON text: as elements, their numbers would be read
    /// back as texts.
    fn flattened(&self, answer: &Map<String, Value>) -> Map<String, Value> {
        let open = |name: &str| {
            self.output(name).is_some_and(|field| {
                let schema = &field.schema;
                let is_object = schema.get("type").and_then(Value::as_str) == Some("object");
                is_object && (schema.get("properties").is_none() || schema.get("$defs").is_some())
            })
        };
        answer
            .iter()
            .map(|(name, value)| match value {
                Value::Object(_) if open(name) => (name.clone(), Value::String(value.to_string())),
                _ => (name.clone(), value.clone()),
            })
            .collect()
    }

    fn read_turns(&mut self, conversation: &Conversation) {
        let turns: Vec<_> = conversation
            .messages
            .iter()
            .filter(|message| message.role != Role::Tool)
            .collect();
        let Some(last) = turns.iter().rposition(|message| message.role == Role::User) else {
            return;
        };
        for pair in turns.get(..last).unwrap_or_default().windows(2) {
            if let [user, assistant] = pair
                && user.role == Role::User
                && assistant.role == Role::Assistant
            {
                let demo = Demo {
                    inputs: self.read_inputs(&user.text),
                    outputs: self.read_outputs(&assistant.text),
                };
                self.demos.push(demo);
            }
        }
        let text = turns.get(last).map_or("", |message| message.text.as_str());
        let body = text
            .rfind("\n\nRespond with ")
            .and_then(|end| text.get(..end))
            .unwrap_or(text);
        self.current = self.read_inputs(body);
    }

    fn read_inputs(&self, text: &str) -> Vec<(String, String)> {
        let names: Vec<&str> = self
            .inputs
            .iter()
            .map(|field| field.name.as_str())
            .collect();
        match self.style {
            Style::Chat | Style::Json => sections::read(text, &names),
            Style::Xml => xml::read(text, &names),
        }
    }

    /// The output fields an assistant's text supplies, decoded.
    pub fn read_outputs(&self, text: &str) -> Map<String, Value> {
        let names: Vec<&str> = self
            .outputs
            .iter()
            .map(|field| field.name.as_str())
            .collect();
        let raw: Vec<(String, Value)> = match self.style {
            Style::Json => serde_json::from_str::<Map<String, Value>>(text)
                .map(|object| object.into_iter().collect())
                .unwrap_or_default(),
            Style::Chat => text_values(sections::read(text, &names)),
            Style::Xml => xml::read(text, &names)
                .into_iter()
                .map(|(name, value)| (name, xml::decode(&value)))
                .collect(),
        };
        let mut outputs = Map::new();
        for (name, value) in raw {
            let Some(field) = self.output(&name) else {
                continue;
            };
            if value
                .as_str()
                .is_some_and(|text| text.trim_start().starts_with("Not supplied for this"))
            {
                continue;
            }
            outputs.insert(name, schema::coerce(value, &field.schema));
        }
        outputs
    }
}

fn text_values(pairs: Vec<(String, String)>) -> Vec<(String, Value)> {
    pairs
        .into_iter()
        .map(|(name, value)| (name, Value::String(value)))
        .collect()
}

/// All values, one a line.
pub fn join(pairs: &[(String, String)]) -> String {
    let values: Vec<&str> = pairs.iter().map(|(_, value)| value.as_str()).collect();
    values.join("\n")
}

fn dedent(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix("        ").unwrap_or(line))
        .collect();
    lines.join("\n").trim().to_owned()
}

/// Tool results in a conversation: native ones, and DSPy's JSON in user turns.
pub fn tool_results(conversation: &Conversation) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut called: std::collections::VecDeque<&str> = std::collections::VecDeque::new();
    for message in &conversation.messages {
        called.extend(message.calls.iter().map(|call| call.name.as_str()));
        match message.role {
            Role::Tool => found.push((
                called.pop_front().unwrap_or_default().to_owned(),
                message.text.clone(),
            )),
            Role::User => found.extend(written_results(&message.text)),
            Role::Assistant => {}
        }
    }
    found
}

fn written_results(text: &str) -> Vec<(String, String)> {
    let parsed = text.find("{\"tool_call_results\"").and_then(|start| {
        let mut values =
            serde_json::Deserializer::from_str(text.get(start..)?).into_iter::<Value>();
        values.next()?.ok()
    });
    let results = parsed
        .as_ref()
        .and_then(|parsed| parsed.get("tool_call_results")?.as_array());
    results
        .into_iter()
        .flatten()
        .map(|result| {
            let name = result
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let value = result.get("value").map(sections::plain).unwrap_or_default();
            (name.to_owned(), value)
        })
        .collect()
}
