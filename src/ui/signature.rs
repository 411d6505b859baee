//! F3: a signature under edit, and beside it the exact prompt it makes.
//!
//! Every change asks for the prompt anew; an answer to an older question is
//! dropped by its number. Owns the draft and its history, not the rendering.

use crossterm::event::KeyEvent;
use serde_json::{Map, Value, json};

use super::context::{Context, Purpose, sentence};
use super::form::{Field, Form, Step};
use super::keys::Act;
use super::list::Selection;
use super::text;
use crate::app::OperationResult;
use crate::session::event::{FieldDef, SignatureDef};

mod draw;

const ADAPTERS: [(&str, &str); 3] = [("chat", "Chat"), ("json", "JSON"), ("xml", "XML")];

/// `question → answer`, for lists.
pub(super) fn shape(signature: &SignatureDef) -> String {
    let names = |fields: &[FieldDef]| {
        fields
            .iter()
            .map(|it| it.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!(
        "{} → {}",
        names(&signature.inputs),
        names(&signature.outputs)
    )
}

/// The editor.
#[derive(Debug, Default)]
pub(super) struct Signature {
    name: String,
    draft: SignatureDef,
    saved: Option<SignatureDef>,
    undo: Vec<SignatureDef>,
    redo: Vec<SignatureDef>,
    selection: Selection,
    writing: Option<Writing>,
    trying: Option<Form>,
    answer: Option<Result<Map<String, Value>, String>>,
    adapter: usize,
    revision: u64,
    prompt: Vec<(String, String)>,
    /// The prompt of the saved version, to compare with.
    before: Vec<(String, String)>,
    problem: Option<String>,
    scroll: usize,
}

/// What is being written, and what it was.
#[derive(Debug)]
struct Writing {
    what: Part,
    field: Field,
    earlier: SignatureDef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Name,
    FieldName(usize),
    FieldType(usize),
    FieldDesc(usize),
    Instructions,
}

/// A row of the editor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Name,
    Field(usize),
    Instructions,
}

impl Signature {
    /// Whether keys go to a text.
    pub(super) fn writing(&self) -> bool {
        self.writing.is_some() || self.trying.is_some()
    }

    /// Begins with the first signature there is, or with a plain one.
    pub(super) fn opened(&mut self, cx: &mut Context<'_>) {
        if self.draft.outputs.is_empty() {
            if let Some(name) = cx.state.session.signatures.keys().next().cloned() {
                self.load(&name, cx);
            } else {
                let field = |name: &str| FieldDef {
                    name: name.to_owned(),
                    type_name: "str".to_owned(),
                    desc: String::new(),
                };
                "QA".clone_into(&mut self.name);
                self.draft = SignatureDef {
                    inputs: vec![field("question")],
                    outputs: vec![field("answer")],
                    instructions: String::new(),
                };
                self.changed(cx);
            }
        } else {
            self.changed(cx);
        }
    }

    /// Takes a signature of the session under edit.
    pub(super) fn load(&mut self, name: &str, cx: &mut Context<'_>) {
        if let Some(signature) = cx.state.session.signatures.get(name) {
            let adapter = self.adapter;
            *self = Self {
                name: name.to_owned(),
                draft: signature.clone(),
                saved: Some(signature.clone()),
                adapter,
                revision: self.revision,
                ..Self::default()
            };
            self.changed(cx);
        }
    }

    /// The draft is what is kept now.
    pub(super) fn saved(&mut self, cx: &mut Context<'_>) {
        self.saved = Some(self.draft.clone());
        self.before = self.prompt.clone();
        let _ = cx;
    }

    fn n_fields(&self) -> usize {
        self.draft.inputs.len() + self.draft.outputs.len()
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = vec![Row::Name];
        rows.extend((0..self.n_fields()).map(Row::Field));
        rows.push(Row::Instructions);
        rows
    }

    fn row(&self) -> Row {
        self.rows()
            .get(self.selection.at)
            .copied()
            .unwrap_or(Row::Name)
    }

    fn field_mut(&mut self, at: usize) -> Option<&mut FieldDef> {
        let n = self.draft.inputs.len();
        if at < n {
            self.draft.inputs.get_mut(at)
        } else {
            self.draft.outputs.get_mut(at - n)
        }
    }

    fn field(&self, at: usize) -> Option<&FieldDef> {
        self.draft.inputs.iter().chain(&self.draft.outputs).nth(at)
    }

    /// Asks for the prompt as it is now.
    fn changed(&mut self, cx: &mut Context<'_>) {
        self.revision += 1;
        if cx.replay {
            self.problem = Some("a replay renders no prompt".to_owned());
            return;
        }
        if let Some(problem) = self.check() {
            self.problem = Some(problem);
            return;
        }
        let arguments = json!({
            "signature": self.draft,
            "adapter": ADAPTERS[self.adapter].0,
        });
        cx.submit(Purpose::Prompt(self.revision), "render_prompt", arguments);
    }

    /// What is plainly wrong, before anybody is asked.
    fn check(&self) -> Option<String> {
        let fields: Vec<&FieldDef> = self
            .draft
            .inputs
            .iter()
            .chain(&self.draft.outputs)
            .collect();
        for (at, field) in fields.iter().enumerate() {
            let mut characters = field.name.chars();
            let first = characters
                .next()
                .is_some_and(|ch| ch.is_alphabetic() || ch == '_');
            if !first || !characters.all(|ch| ch.is_alphanumeric() || ch == '_') {
                return Some(format!(
                    "`{}` is not a Python name: letters, digits and `_`",
                    field.name
                ));
            }
            if fields.iter().take(at).any(|it| it.name == field.name) {
                return Some(format!("there are two fields `{}`", field.name));
            }
        }
        None
    }

    /// Takes a prompt in, unless the draft has changed since.
    pub(super) fn rendered(&mut self, revision: u64, result: OperationResult) {
        if revision != self.revision {
            return;
        }
        match result {
            Ok(answer) => {
                let list = answer
                    .get("messages")
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default();
                let of = |it: &Value, key: &str| it.get(key).map(text::value).unwrap_or_default();
                self.prompt = list
                    .iter()
                    .map(|it| (of(it, "role"), of(it, "content")))
                    .collect();
                self.problem = None;
                if self.saved.as_ref() == Some(&self.draft) {
                    self.before = self.prompt.clone();
                }
            }
            Err(error) => self.problem = Some(sentence(&error)),
        }
    }

    /// Takes the answer of a try-out in.
    pub(super) fn tried(&mut self, result: OperationResult) {
        self.answer = Some(match result {
            Ok(Value::Object(answer)) => Ok(match answer.get("outputs") {
                Some(Value::Object(outputs)) => outputs.clone(),
                _ => answer,
            }),
            Ok(other) => Err(other.to_string()),
            Err(error) => Err(sentence(&error)),
        });
    }

    /// Remembers the draft before a change.
    fn remember(&mut self) {
        self.undo.push(self.draft.clone());
        self.redo.clear();
    }

    fn write(&mut self, what: Part) {
        let text = match what {
            Part::Name => self.name.clone(),
            Part::FieldName(at) => self.field(at).map(|it| it.name.clone()).unwrap_or_default(),
            Part::FieldType(at) => self
                .field(at)
                .map(|it| it.type_name.clone())
                .unwrap_or_default(),
            Part::FieldDesc(at) => self.field(at).map(|it| it.desc.clone()).unwrap_or_default(),
            Part::Instructions => self.draft.instructions.replace('\n', "\\n"),
        };
        self.writing = Some(Writing {
            what,
            field: Field::new(&text),
            earlier: self.draft.clone(),
        });
    }

    /// Puts what is being written into the draft.
    fn take_over(&mut self) {
        let Some((what, text)) = self.writing.as_ref().map(|it| (it.what, it.field.text())) else {
            return;
        };
        match what {
            Part::Name => self.name = text,
            Part::FieldName(at) => {
                if let Some(field) = self.field_mut(at) {
                    text.trim().clone_into(&mut field.name);
                }
            }
            Part::FieldType(at) => {
                if let Some(field) = self.field_mut(at) {
                    text.trim().clone_into(&mut field.type_name);
                }
            }
            Part::FieldDesc(at) => {
                if let Some(field) = self.field_mut(at) {
                    field.desc = text;
                }
            }
            Part::Instructions => self.draft.instructions = text.replace("\\n", "\n"),
        }
    }

    /// An editing key: the prompt follows it.
    pub(super) fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) {
        if let Some(form) = &mut self.trying {
            form.key(key);
        } else if let Some(writing) = &mut self.writing
            && writing.field.key(key)
        {
            let name = writing.what == Part::Name;
            self.take_over();
            if !name {
                self.changed(cx);
            }
        }
    }

    /// Pasted text.
    pub(super) fn paste(&mut self, text: &str) {
        if let Some(form) = &mut self.trying {
            form.paste(text);
        } else if let Some(writing) = &mut self.writing {
            writing.field.paste(text);
            self.take_over();
        }
    }

    /// What a key means; false when it means nothing.
    pub(super) fn act(&mut self, act: Act, cx: &mut Context<'_>) -> bool {
        if self.trying.is_some() {
            self.act_trying(act, cx);
            return true;
        }
        if self.writing.is_some() {
            self.act_writing(act, cx);
            return true;
        }
        match act {
            Act::PageUp => self.scroll = self.scroll.saturating_sub(10),
            Act::PageDown => self.scroll += 10,
            _ if self.selection.act(act, self.rows().len()) => {}
            Act::Edit | Act::Enter => self.write(match self.row() {
                Row::Name => Part::Name,
                Row::Field(at) => Part::FieldName(at),
                Row::Instructions => Part::Instructions,
            }),
            Act::Retype => {
                if let Row::Field(at) = self.row() {
                    self.write(Part::FieldType(at));
                }
            }
            Act::New => self.add_field(cx),
            Act::Delete => self.delete_field(cx),
            Act::MoveUp | Act::MoveDown => self.move_field(act == Act::MoveUp, cx),
            Act::Undo | Act::Redo => {
                let (from, to) = if act == Act::Undo {
                    (&mut self.undo, &mut self.redo)
                } else {
                    (&mut self.redo, &mut self.undo)
                };
                match from.pop() {
                    Some(draft) => {
                        to.push(std::mem::replace(&mut self.draft, draft));
                        self.changed(cx);
                    }
                    None => cx.say(if act == Act::Undo {
                        "nothing to undo"
                    } else {
                        "nothing to redo"
                    }),
                }
            }
            Act::Other => {
                self.adapter = (self.adapter + 1) % ADAPTERS.len();
                self.before.clear();
                self.changed(cx);
            }
            Act::Save => {
                if let Some(problem) = self.check() {
                    cx.warn(problem);
                } else if self.name.trim().is_empty() {
                    cx.warn("give it a name first: the topmost row");
                } else {
                    let arguments = json!({"signature": self.draft, "name": self.name.trim()});
                    cx.submit(
                        Purpose::Signature(self.name.trim().to_owned()),
                        "create_signature",
                        arguments,
                    );
                }
            }
            Act::Try => {
                let mut form = Form::new(format!("Try {}", self.name), &[]);
                form.entries = self
                    .draft
                    .inputs
                    .iter()
                    .map(|field| super::form::Entry {
                        name: "value".to_owned(),
                        hint: format!("{}: {}", field.name, field.type_name),
                        field: Field::default(),
                    })
                    .collect();
                self.trying = Some(form);
            }
            Act::StepBack | Act::StepForward => {
                let names: Vec<String> = cx.state.session.signatures.keys().cloned().collect();
                if !names.is_empty() {
                    let at = names.iter().position(|it| *it == self.name).unwrap_or(0);
                    let step = if act == Act::StepForward {
                        1
                    } else {
                        names.len() - 1
                    };
                    let name = names[(at + step) % names.len()].clone();
                    self.load(&name, cx);
                }
            }
            Act::Copy => {
                let all = self
                    .prompt
                    .iter()
                    .map(|(role, content)| format!("{role}:\n{content}"))
                    .collect::<Vec<_>>()
                    .join("\n\n");
                cx.actions.push(super::Action::Copy(all));
                cx.say("copied the prompt");
            }
            _ => return false,
        }
        true
    }

    fn act_writing(&mut self, act: Act, cx: &mut Context<'_>) {
        let Some(writing) = self.writing.take() else {
            return;
        };
        match act {
            Act::Back => {
                self.draft = writing.earlier;
                self.changed(cx);
            }
            // Name, then type, then description of a field.
            Act::Down | Act::Complete => {
                self.keep(writing.earlier);
                match writing.what {
                    Part::FieldName(at) => self.write(Part::FieldType(at)),
                    Part::FieldType(at) => self.write(Part::FieldDesc(at)),
                    _ => {}
                }
            }
            Act::Up => {
                self.keep(writing.earlier);
                match writing.what {
                    Part::FieldDesc(at) => self.write(Part::FieldType(at)),
                    Part::FieldType(at) => self.write(Part::FieldName(at)),
                    _ => {}
                }
            }
            _ => self.keep(writing.earlier),
        }
    }

    fn keep(&mut self, earlier: SignatureDef) {
        if earlier != self.draft {
            self.undo.push(earlier);
            self.redo.clear();
        }
    }

    fn act_trying(&mut self, act: Act, cx: &mut Context<'_>) {
        let Some(form) = &mut self.trying else { return };
        match form.act(act) {
            Step::Stay => {}
            Step::Cancel => self.trying = None,
            Step::Done => {
                let value = |field: &FieldDef, text: String| {
                    if field.type_name == "str" {
                        Value::String(text)
                    } else {
                        serde_json::from_str(&text).unwrap_or(Value::String(text))
                    }
                };
                let inputs: Map<String, Value> = self
                    .draft
                    .inputs
                    .iter()
                    .zip(&form.entries)
                    .map(|(field, entry)| (field.name.clone(), value(field, entry.field.text())))
                    .collect();
                let arguments =
                    json!({"module": "Predict", "signature": self.draft, "inputs": inputs});
                cx.submit(Purpose::Try, "execute_module", arguments);
                cx.say("asked: the answer comes below the prompt");
                self.trying = None;
                self.answer = None;
            }
        }
    }

    fn add_field(&mut self, cx: &mut Context<'_>) {
        self.remember();
        let n_inputs = self.draft.inputs.len();
        let at = match self.row() {
            Row::Name => 0,
            Row::Field(at) => at + 1,
            Row::Instructions => self.n_fields(),
        };
        let taken: Vec<String> = self
            .draft
            .inputs
            .iter()
            .chain(&self.draft.outputs)
            .map(|it| it.name.clone())
            .collect();
        let name = (1..=taken.len() + 1)
            .map(|n| format!("field{n}"))
            .find(|it| !taken.contains(it))
            .unwrap_or_default();
        let field = FieldDef {
            name,
            type_name: "str".to_owned(),
            desc: String::new(),
        };
        // Below an input comes an input, below an output an output.
        if at <= n_inputs && matches!(self.row(), Row::Name | Row::Field(_)) {
            self.draft.inputs.insert(at.min(n_inputs), field);
        } else {
            self.draft
                .outputs
                .insert((at - n_inputs).min(self.draft.outputs.len()), field);
        }
        self.selection.at = at + 1;
        self.write(Part::FieldName(at));
        self.changed(cx);
    }

    fn delete_field(&mut self, cx: &mut Context<'_>) {
        let Row::Field(at) = self.row() else { return };
        let n = self.draft.inputs.len();
        if (at < n && n == 1) || (at >= n && self.draft.outputs.len() == 1) {
            cx.warn("a signature needs at least one input and one output");
            return;
        }
        self.remember();
        if at < n {
            self.draft.inputs.remove(at);
        } else {
            self.draft.outputs.remove(at - n);
        }
        self.changed(cx);
    }

    /// Moves a field; past the border it becomes an output, or an input.
    fn move_field(&mut self, up: bool, cx: &mut Context<'_>) {
        let Row::Field(at) = self.row() else { return };
        let n = self.draft.inputs.len();
        let before = self.draft.clone();
        if at < n {
            if up && at > 0 {
                self.draft.inputs.swap(at, at - 1);
            } else if !up && at + 1 < n {
                self.draft.inputs.swap(at, at + 1);
            } else if !up && n > 1 {
                let field = self.draft.inputs.remove(at);
                self.draft.outputs.insert(0, field);
            } else {
                return;
            }
        } else {
            let at = at - n;
            if up && at > 0 {
                self.draft.outputs.swap(at, at - 1);
            } else if !up && at + 1 < self.draft.outputs.len() {
                self.draft.outputs.swap(at, at + 1);
            } else if up && self.draft.outputs.len() > 1 {
                let field = self.draft.outputs.remove(0);
                self.draft.inputs.push(field);
            } else {
                return;
            }
        }
        let crossed = before.inputs.len() != self.draft.inputs.len();
        if !crossed {
            self.selection.at = if up {
                self.selection.at - 1
            } else {
                self.selection.at + 1
            };
        }
        self.keep(before);
        self.changed(cx);
    }
}
