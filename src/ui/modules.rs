//! F11: DSPy's modules and one's own, programs made of them, and runs of these.
//!
//! Two forms: one for a module's options, whose program is made at once; one for a
//! program's inputs, whose run becomes a `:run` in the notebook. What is wrong with
//! a value is said by the worker and shown at the field. Owns no table of modules.

use crossterm::event::KeyEvent;
use serde_json::{Value, json};

use super::View;
use super::context::{Context, Purpose, sentence};
use super::form::{Form, Step};
use super::keys::Act;
use super::list::Selection;
use crate::app::OperationResult;
use crate::session::state::SessionState;

use choice::Choice;

mod choice;
mod draw;
mod inputs;

/// Which module, and what is being written.
#[derive(Debug, Default)]
pub(super) struct Modules {
    selection: Selection,
    making: Option<Making>,
    running: Option<inputs::Inputs>,
}

/// A program that is being made.
#[derive(Debug)]
struct Making {
    choice: Choice,
    form: Form,
    /// It was asked for, and the answer is to come.
    asked: bool,
}

impl Modules {
    /// Whether keys go to a form.
    pub(super) fn writing(&self) -> bool {
        self.making.is_some() || self.running.is_some()
    }

    /// An editing key.
    pub(super) fn key(&mut self, key: KeyEvent) {
        if let Some(form) = self.form() {
            form.key(key);
        }
    }

    /// Pasted text.
    pub(super) fn paste(&mut self, text: &str) {
        if let Some(form) = self.form() {
            form.paste(text);
        }
    }

    fn form(&mut self) -> Option<&mut Form> {
        let running = self.running.as_mut().map(|it| &mut it.form);
        running.or(self.making.as_mut().map(|it| &mut it.form))
    }

    /// What a key means; false when it means nothing.
    pub(super) fn act(&mut self, act: Act, cx: &mut Context<'_>) -> bool {
        if let Some(form) = self.form() {
            match form.act(act) {
                Step::Stay => {}
                Step::Cancel if self.running.is_some() => self.running = None,
                Step::Cancel => self.making = None,
                Step::Done if self.running.is_some() => self.check(cx),
                Step::Done => self.make(cx),
            }
            return true;
        }
        let choices = choice::all(&cx.state.session);
        if self.selection.act(act, choices.len()) {
            return true;
        }
        let Some(choice) = choices.into_iter().nth(self.selection.at) else {
            return false;
        };
        match act {
            Act::New | Act::Enter if !choice.usable => {
                cx.warn(format!(
                    "{} cannot be used here: {}",
                    choice.name, choice.reason
                ));
            }
            Act::New | Act::Enter => {
                let form = choice.form(&cx.state.session);
                self.making = Some(Making {
                    choice,
                    form,
                    asked: false,
                });
            }
            Act::Run => match of_module(&cx.state.session, &choice.name) {
                Some(program) => self.run(&program, cx),
                None => cx.say(format!(
                    "no program is made of {} yet: Enter makes one",
                    choice.name
                )),
            },
            Act::Copy => {
                cx.say(format!("copied `{}`", choice.name));
                cx.actions.push(super::Action::Copy(choice.name));
            }
            _ => return false,
        }
        true
    }

    /// Asks for the program in the form.
    fn make(&mut self, cx: &mut Context<'_>) {
        let Some(making) = self.making.as_mut().filter(|it| !it.asked) else {
            return;
        };
        let Making { choice, form, .. } = making;
        if choice.signature && form.text("signature").is_empty() {
            let words = format!(
                "{} needs a signature, such as question -> answer",
                choice.name
            );
            return form.complain("signature", words);
        }
        match choice.arguments(form) {
            Ok(arguments) => {
                making.asked = !cx.replay;
                cx.submit(Purpose::Program, "create_program", arguments);
            }
            Err((field, problem)) => form.complain(&field, problem),
        }
    }

    /// Takes the program in, and asks for its inputs; or what is wrong with it.
    pub(super) fn made(&mut self, result: OperationResult, cx: &mut Context<'_>) {
        let program = match result {
            Ok(program) => program,
            Err(error) => {
                match &mut self.making {
                    Some(making) => {
                        making.asked = false;
                        let field = making.choice.field_of(&error);
                        making.form.complain(&field, sentence(&error));
                    }
                    None => cx.fail(&error),
                }
                return;
            }
        };
        let of = |key: &str| program.get(key).map(super::text::value).unwrap_or_default();
        let name = of("name");
        cx.say(format!(
            "`{name}` v{} is made; Esc leaves it for later",
            of("version")
        ));
        if let Some(making) = self.making.take() {
            let names = making.choice.inputs(&making.form, &cx.state.session);
            self.running = Some(inputs::Inputs::new(&name, names));
        }
    }

    /// Asks for the inputs of a program of the session.
    pub(super) fn run(&mut self, program: &str, cx: &mut Context<'_>) {
        let Some(known) = cx.state.session.programs.get(program) else {
            cx.warn(format!("there is no program `{program}`"));
            return;
        };
        let first = known.modules.first().map_or("", String::as_str);
        let options = known.options.get(first).and_then(Value::as_object);
        let names = match &known.signature {
            Some(signature) if known.modules.len() > 1 || !choice::has_own_inputs(first) => {
                signature
                    .inputs
                    .iter()
                    .map(|field| (field.name.clone(), field.type_name.clone()))
                    .collect()
            }
            _ => choice::own_inputs(first, options, &cx.state.session),
        };
        self.making = None;
        self.running = Some(inputs::Inputs::new(program, names));
        cx.go = Some(View::Modules);
    }

    /// Asks whether the inputs will do, where a signature tells.
    fn check(&mut self, cx: &mut Context<'_>) {
        let Some(running) = &mut self.running else {
            return;
        };
        match running.values() {
            Ok(inputs) => {
                let arguments = json!({"program": running.program, "inputs": inputs});
                cx.submit(Purpose::Inputs, "validate_inputs", arguments);
            }
            Err((field, problem)) => running.form.complain(&field, problem),
        }
    }

    /// Starts the run in the notebook, or shows what is wrong with an input.
    pub(super) fn checked(&mut self, result: OperationResult, cx: &mut Context<'_>) {
        let Some(running) = &mut self.running else {
            return;
        };
        // Who cannot tell lets the run say it.
        let problems = result.ok().and_then(|it| it.get("problems").cloned());
        let first = problems.as_ref().and_then(|it| it.get(0));
        if let Some(problem) = first.filter(|_| running.told) {
            return running.complain(problem);
        }
        if let Ok(line) = running.line() {
            self.running = None;
            cx.go = Some(View::Main);
            cx.command = Some(line);
        }
    }
}

/// The last program by name that is made of this module alone.
fn of_module(session: &SessionState, module: &str) -> Option<String> {
    let mut programs = session.programs.values();
    let program = programs.rfind(|it| it.modules.as_slice() == [module]);
    program.map(|it| it.name.clone())
}
