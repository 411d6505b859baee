//! What comes in: answers of operations, a changed state, questions for the person.

use serde_json::Value;

use super::Screen;
use crate::app::{InputWanted, OperationResult, State};
use crate::protocol::error::ErrorClass;
use crate::session::event::Level;
use crate::ui::context::{self, Context, Purpose, Toast};
use crate::ui::overlay::Overlay;
use crate::ui::{Focus, View};

impl Screen {
    pub(super) fn answered(
        &mut self,
        purpose: Purpose,
        result: OperationResult,
        cx: &mut Context<'_>,
    ) {
        match (purpose, result) {
            (Purpose::Complete(revision), Ok(answer)) => {
                self.notebook.editor.completed(revision, &answer);
            }
            (Purpose::Prompt(revision), result) => self.signature.rendered(revision, result),
            (Purpose::Signature(name), Ok(_)) => {
                cx.say(format!("saved `{name}`"));
                self.signature.saved(cx);
            }
            (Purpose::Try, result) => self.signature.tried(result),
            (Purpose::Program, result) => self.modules.made(result, cx),
            (Purpose::Inputs, result) => self.modules.checked(result, cx),
            (Purpose::Messages(key, part), Ok(answer)) => {
                let text = answer.get("text").and_then(Value::as_str);
                let text = text.unwrap_or_default().to_owned();
                self.trace.detail.loaded(key, part, text);
            }
            (Purpose::Messages(key, part), Err(error)) => {
                self.trace
                    .detail
                    .loaded(key, part, context::sentence(&error));
            }
            (Purpose::Health, result) => {
                if let Some(Overlay::Health(health)) = &mut self.overlay {
                    health.answered(result);
                }
            }
            (Purpose::TestLm(name), result) => self.lm.tested(name, result),
            (Purpose::LocalLms, result) => self.lm.found(result),
            (Purpose::Models(key), Ok(answer)) => self.models_came(key, &answer, cx),
            (Purpose::Sessions, Ok(answer)) => self.sessions.listed(&answer),
            (Purpose::Compared, Ok(answer)) => self.sessions.compared(&answer),
            (Purpose::Say(words), Ok(_)) => cx.say(words),
            // A cell or command that failed shows it where it stands.
            (Purpose::Quiet, Err(error))
                if !matches!(
                    error.class,
                    ErrorClass::PythonRuntime | ErrorClass::ProcessCrashed
                ) =>
            {
                cx.fail(&error);
            }
            (Purpose::Quiet | Purpose::Recorded, _) | (Purpose::Complete(_), Err(_)) => {}
            (_, Err(error)) => cx.fail(&error),
        }
    }

    pub(super) fn state_changed(&mut self, cx: &mut Context<'_>) {
        self.show_coming(cx.state);
        let notes = &cx.state.session.notes;
        if notes.len() > self.n_notes
            && let Some(note) = notes.last()
        {
            let hint = if note.hint.is_empty() {
                String::new()
            } else {
                format!(" → {}", note.hint)
            };
            cx.toast = Some(Toast {
                level: note.level,
                text: format!("{}{hint}", note.text),
                sticky: note.level == Level::Error,
            });
        }
        self.n_notes = notes.len();
        let n_cells = cx.state.session.cells.len();
        if n_cells > self.n_cells {
            self.notebook.follow_end(cx.state);
        }
        self.n_cells = n_cells;
        self.questions(cx);
        if matches!(self.view, View::Main | View::Trace) {
            self.trace.look_at_selected(cx);
        }
    }
    /// Shows what waits for a person, once; takes away what was answered elsewhere.
    pub(super) fn questions(&mut self, cx: &mut Context<'_>) {
        let state = cx.state;
        self.answered.forget(state);
        let gone = match &self.overlay {
            Some(Overlay::Answer(shown)) => state.input.as_ref() != Some(&shown.0),
            Some(Overlay::Approve(shown)) => {
                let gone = !shown.waits(state);
                if let Some(decided) = state.approvals.decision(shown.id()).filter(|_| gone) {
                    cx.say(decided.sentence());
                }
                gone
            }
            // A question comes before the view of how things are.
            Some(Overlay::Health(_)) | None => true,
            Some(_) => false,
        };
        if self.replay.is_some() || !gone {
            return;
        }
        let input = state.input.as_ref().filter(|it| !self.answered.has(it));
        let mut waiting = state.approvals.waiting.iter();
        let asked = match input {
            Some(input) => Some(Overlay::answer(input.clone())),
            None => waiting
                .find(|it| self.answered.approval < Some(it.id))
                .map(|it| Overlay::approve(it, state)),
        };
        let asked = asked.map(|mut asked| {
            if let Overlay::Approve(approve) = &mut asked
                && self.focus == Focus::Editor
                && !self.notebook.editor.is_empty()
            {
                approve.amid_writing();
            }
            asked
        });
        match (asked, &self.overlay) {
            (None, Some(Overlay::Health(_))) => {}
            (asked, _) => self.overlay = asked,
        }
    }
}

/// Questions that were answered here and still stand in the state: the answer is on
/// its way.
#[derive(Debug, Default)]
pub(super) struct Answered {
    /// Number of the newest such call of a tool.
    approval: Option<u64>,
    /// Number of a cell's call of `input()`.
    input: Option<u64>,
}

impl Answered {
    /// Notes a question that is being closed.
    pub(super) fn note(&mut self, closed: &Overlay) {
        match closed {
            Overlay::Approve(shown) => self.approval = Some(shown.id()),
            Overlay::Answer(shown) => self.input = Some(shown.0.id),
            _ => {}
        }
    }

    fn has(&self, input: &InputWanted) -> bool {
        self.input == Some(input.id)
    }

    /// Forgets those that are gone: a new holder of the session counts anew.
    fn forget(&mut self, state: &State) {
        let mut waiting = state.approvals.waiting.iter();
        self.approval = self.approval.filter(|id| waiting.any(|it| it.id == *id));
        let input = state.input.as_ref();
        self.input = self.input.filter(|id| input.is_some_and(|it| it.id == *id));
    }
}
