//! The screen as a whole: which view, which focus, where input goes.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::context::{Context, Purpose, Toast, Waiting};
use super::explorer::Explorer;
use super::health::Health;
use super::input::{Action, Input};
use super::keys::{self, Act, Scope};
use super::notebook::Notebook;
use super::overlay::{Outcome, Overlay};
use super::trace::Trace;
use super::{Focus, View, data, lm, modules, optimise, sessions, signature, status};
use crate::app::{OperationResult, State};
use crate::protocol::error::ErrorClass;
use crate::session::event::{Level, RunId, RunKind, RunStatus};
use crate::session::state::Run;
use crate::theme::Theme;

mod commands;
mod draw;
mod mouse;

/// Below this the panes cannot be read.
const LEAST: (u16, u16) = (40, 10);

/// What only the screen knows.
#[derive(Debug, Default)]
pub struct Screen {
    theme: Theme,
    view: View,
    focus: Focus,
    zoom: bool,
    overlay: Option<Overlay>,
    toast: Option<Toast>,
    notebook: Notebook,
    explorer: Explorer,
    trace: Trace,
    lm: lm::Lm,
    signature: signature::Signature,
    optimise: optimise::Optimise,
    sessions: sessions::Sessions,
    data: data::Data,
    modules: modules::Modules,
    waiting: Waiting,
    mouse_released: bool,
    now_ms: i64,
    n_notes: usize,
    n_cells: usize,
    areas: Areas,
    /// Another process holds the session.
    following: bool,
    /// Whether the code on the screen was drawn in colours; `None` without code.
    coloured: Option<bool>,
    /// Position and length of the replay, when it is one.
    replay: Option<(u64, u64)>,
}

/// Where the panes were drawn.
#[derive(Debug, Default, Clone, Copy)]
struct Areas {
    explorer: Rect,
    notebook: Rect,
    trace: Rect,
}

impl Screen {
    /// A screen in these colours.
    pub fn new(theme: Theme) -> Self {
        Self {
            theme,
            ..Self::default()
        }
    }

    /// The theme it is drawn in.
    pub fn theme(&self) -> &Theme {
        &self.theme
    }

    /// Draws it in other colours from here on.
    pub fn set_theme(&mut self, theme: Theme) {
        self.theme = theme;
    }

    /// Says whether another process holds the session and this one follows it.
    pub fn set_following(&mut self, following: bool) {
        self.following = following;
    }

    /// Marks it as a replay at this event of so many.
    pub fn set_replay(&mut self, replay: Option<(u64, u64)>) {
        if replay.is_some() && self.replay.is_none() {
            self.view = View::Main;
            self.focus = Focus::Notebook;
        }
        self.replay = replay;
    }

    /// Takes input in and answers what is to be done. Does no I/O.
    pub fn update(&mut self, state: &State, input: Input) -> Vec<Action> {
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut cx = Context::new(state, self.replay.is_some(), &mut waiting);
        match input {
            Input::Key(key) if key.kind == KeyEventKind::Release => {}
            Input::Key(key) => {
                // Bad news stays until it was surely seen.
                let done = matches!(key.code, KeyCode::Enter | KeyCode::Esc);
                self.toast = self.toast.take().filter(|it| it.sticky && !done);
                self.key(key, &mut cx);
            }
            Input::Mouse(mouse) => self.mouse(mouse, &mut cx),
            Input::Paste(text) => self.paste(&text),
            Input::Resize(..) => {}
            Input::Answered { tag, result } => {
                if let Some(purpose) = cx.waiting.take(tag) {
                    self.answered(purpose, result, &mut cx);
                }
            }
            Input::Edited(text) => {
                let target = self.notebook.editor.target;
                self.notebook.editor.set(text.trim_end(), target);
            }
            Input::Failed(error) => cx.fail(&error),
            Input::StateChanged => self.state_changed(&mut cx),
            Input::Tokens(deltas) => {
                self.trace.live.take(
                    deltas,
                    self.watching(state)
                        .and_then(|id| state.session.runs.get(&id).map(AsRef::as_ref)),
                );
                self.show_coming(state);
            }
            Input::Clock(now) => {
                self.now_ms = now;
                self.notebook.now_ms = now;
                if let Some(Overlay::Health(health)) = &mut self.overlay {
                    health.clock(now, &mut cx);
                }
            }
        }
        for _ in 0..4 {
            if let Some(line) = cx.command.take() {
                self.command(&line, &mut cx);
            }
            if let Some(view) = cx.go.take() {
                self.open(view, &mut cx);
            }
        }
        if let Some(focus) = cx.focus.take() {
            self.view = if matches!(focus, Focus::Trace | Focus::Detail) && self.view == View::Trace
            {
                View::Trace
            } else {
                View::Main
            };
            self.focus = focus;
        }
        if let Some(text) = cx.insert.take() {
            self.notebook.editor.insert(&text);
        }
        if cx.toast.is_some() {
            self.toast = cx.toast.take();
        }
        let actions = cx.actions;
        self.waiting = waiting;
        actions
    }

    /// Whether time must be shown going on, or colours are still to come.
    pub fn wants_clock(&self, state: &State) -> bool {
        let colours = self.coloured.is_some_and(|coloured| !coloured);
        let health = matches!(self.overlay, Some(Overlay::Health(_)));
        colours || health || (self.replay.is_none() && status::running(state).is_some())
    }

    /// The run whose tokens are shown as they come: the one on the screen, while
    /// it runs. Nobody reads those of an evaluation beside the notebook.
    pub fn watching(&self, state: &State) -> Option<RunId> {
        if self.replay.is_some() || !matches!(self.view, View::Main | View::Trace) {
            return None;
        }
        let going = |run: &&Run| run.status == RunStatus::Running;
        let run = self.trace.run(state).filter(going);
        let run = run.or_else(|| status::running(state))?;
        let many = matches!(
            run.kind,
            RunKind::Evaluate | RunKind::Compile | RunKind::Batch
        );
        (self.view == View::Trace || !many).then_some(run.id)
    }

    /// Hands what an LM is just saying to the cell that called it.
    fn show_coming(&mut self, state: &State) {
        let live = &self.trace.live;
        let run = self.watching(state).filter(|_| !live.is_empty());
        let run = run.and_then(|id| state.session.runs.get(&id));
        if run.is_none() {
            self.trace.live.clear();
        }
        self.notebook.live = run.and_then(|run| {
            let text = self.trace.live.newest(run)?;
            Some((run.id, text.to_owned()))
        });
    }

    fn scopes(&self) -> Vec<Scope> {
        let mut scopes = Vec::new();
        if self.replay.is_some() && self.view == View::Main {
            scopes.push(Scope::Replay);
        }
        match (self.view, self.focus) {
            (View::Main, Focus::Editor) => scopes.push(Scope::Editor),
            (View::Main, Focus::Notebook) => scopes.extend([Scope::Cells, Scope::Lists]),
            (View::Main, Focus::Explorer) => scopes.extend([Scope::Explorer, Scope::Lists]),
            (View::Main | View::Trace, Focus::Detail) => {
                scopes.extend([Scope::Detail, Scope::Lists]);
            }
            (View::Main | View::Trace, Focus::Trace) if self.trace.writing() => {
                scopes.push(Scope::Form);
            }
            (View::Main | View::Trace, _) => scopes.extend([Scope::Trace, Scope::Lists]),
            (View::Lm, _) => scopes.extend(if self.lm.writing() {
                vec![Scope::Form]
            } else {
                vec![Scope::Lm, Scope::Lists]
            }),
            (View::Signature, _) => scopes.extend(if self.signature.writing() {
                vec![Scope::Form]
            } else {
                vec![Scope::Signature, Scope::Lists]
            }),
            (View::Optimise, _) => scopes.extend(if self.optimise.writing() {
                vec![Scope::Form]
            } else {
                vec![Scope::Optimise, Scope::Lists]
            }),
            (View::Sessions, _) => scopes.extend(if self.sessions.writing() {
                vec![Scope::Form]
            } else {
                vec![Scope::Sessions, Scope::Lists]
            }),
            (View::Data, _) => scopes.extend(if self.data.writing() {
                vec![Scope::Form]
            } else {
                vec![Scope::Data, Scope::Lists]
            }),
            (View::Modules, _) => scopes.extend(if self.modules.writing() {
                vec![Scope::Form]
            } else {
                vec![Scope::Modules, Scope::Lists]
            }),
        }
        scopes.push(Scope::Everywhere);
        scopes
    }

    fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) {
        if let Some(mut overlay) = self.overlay.take() {
            match overlay.key(key, cx) {
                Outcome::Stay => self.overlay = Some(overlay),
                Outcome::Close => {}
                Outcome::Do(act) => self.act(act, key, cx),
                Outcome::Command(line) => cx.command = Some(line),
                Outcome::Write(line) => self.overlay = Some(Overlay::command_line(&line)),
                Outcome::Insert(text) => {
                    self.notebook.editor.set(&text, None);
                    cx.focus = Some(Focus::Editor);
                }
                Outcome::Quit => cx.actions.push(Action::Quit),
            }
            return;
        }
        let scopes = self.scopes();
        match keys::lookup(&scopes, key) {
            Some(act) => self.act(act, key, cx),
            None => self.other_key(key, cx),
        }
    }

    /// A key that is not in the table goes to the text field, if there is one.
    fn other_key(&mut self, key: KeyEvent, cx: &mut Context<'_>) {
        match self.view {
            View::Main if self.focus == Focus::Editor => {
                let empty = self.notebook.editor.is_empty();
                if empty && key.code == KeyCode::Char('?') {
                    self.overlay = Some(Overlay::help(&self.scopes()));
                } else {
                    self.notebook.editor.key(key, cx);
                }
            }
            View::Main | View::Trace if self.focus == Focus::Trace => self.trace.key(key, cx),
            View::Lm => self.lm.key(key),
            View::Signature => self.signature.key(key, cx),
            View::Optimise => self.optimise.key(key),
            View::Sessions => self.sessions.key(key),
            View::Data => self.data.key(key),
            View::Modules => self.modules.key(key),
            _ => {}
        }
    }

    fn act(&mut self, act: Act, key: KeyEvent, cx: &mut Context<'_>) {
        match act {
            Act::Help => self.overlay = Some(Overlay::help(&self.scopes())),
            Act::Palette => self.overlay = Some(Overlay::palette(cx.state)),
            Act::Health => self.health(cx),
            Act::CommandLine => self.overlay = Some(Overlay::command_line("")),
            Act::Quit => self.quit(cx),
            Act::Suspend => cx.actions.push(Action::Suspend),
            Act::Interrupt => self.interrupt(cx),
            Act::Pause => pause(cx),
            Act::Zoom => self.zoom = !self.zoom,
            Act::Open(view) => {
                let view = if self.view == view { View::Main } else { view };
                self.open(view, cx);
            }
            Act::FocusExplorer => cx.focus = Some(Focus::Explorer),
            Act::FocusNotebook => {
                cx.focus = Some(if self.replay.is_some() {
                    Focus::Notebook
                } else {
                    Focus::Editor
                });
            }
            Act::FocusTrace => cx.focus = Some(Focus::Trace),
            Act::Mouse => {
                self.mouse_released = !self.mouse_released;
                cx.actions.push(Action::CatchMouse(!self.mouse_released));
                cx.say(if self.mouse_released {
                    "the mouse is the terminal's: select text; F12 catches it again"
                } else {
                    "the mouse works in the panes again"
                });
            }
            Act::History => self.overlay = Some(Overlay::history(cx.state)),
            Act::Redraw if self.view != View::Sessions => cx.actions.push(Action::Redraw),
            _ => self.pane_act(act, key, cx),
        }
    }

    fn pane_act(&mut self, act: Act, key: KeyEvent, cx: &mut Context<'_>) {
        if self.replay.is_some() && self.view == View::Main && self.replay_act(act, cx) {
            return;
        }
        let done = match self.view {
            View::Main | View::Trace => self.main_act(act, cx),
            View::Lm => self.lm.act(act, cx),
            View::Signature => self.signature.act(act, cx),
            View::Optimise => match self.optimise.act(act, cx) {
                Some(run) => {
                    self.trace.pin(run);
                    self.focus = Focus::Trace;
                    self.view = View::Trace;
                    true
                }
                None => self.optimise.took(),
            },
            View::Sessions => self.sessions.act(act, cx),
            View::Data => self.data.act(act, cx),
            View::Modules => self.modules.act(act, cx),
        };
        if done {
            return;
        }
        match act {
            Act::Back => {
                self.zoom = false;
                cx.go = Some(View::Main);
            }
            Act::NextPane | Act::PrevPane
                if self.view != View::Main && self.view != View::Trace =>
            {
                cx.go = Some(View::Main);
            }
            _ => self.other_key(key, cx),
        }
    }

    fn main_act(&mut self, act: Act, cx: &mut Context<'_>) -> bool {
        match self.focus {
            Focus::Editor => match act {
                _ if self.notebook.editor.act(act, cx) => {
                    if matches!(act, Act::Submit | Act::Run) && self.notebook.editor.is_empty() {
                        self.notebook.follow_end(cx.state);
                        self.trace.follow();
                    }
                }
                Act::Back => self.focus = Focus::Notebook,
                Act::PageUp => self.notebook.scroll(-10, cx.state),
                Act::PageDown => self.notebook.scroll(10, cx.state),
                Act::External => cx
                    .actions
                    .push(Action::EditExternally(self.notebook.editor.source())),
                _ => return false,
            },
            _ if matches!(act, Act::NextPane | Act::PrevPane) => self.turn(act == Act::NextPane),
            Focus::Notebook if act == Act::Select => {
                if let Some(run) = self.notebook.selected(cx.state).and_then(|cell| cell.run) {
                    self.trace.pin(run);
                    self.trace.look_at_selected(cx);
                    cx.focus = Some(Focus::Trace);
                }
            }
            Focus::Notebook if act == Act::Back => cx.focus = Some(Focus::Editor),
            Focus::Notebook => return self.notebook.act(act, cx),
            Focus::Explorer => {
                if act == Act::Back {
                    return false;
                }
                if let Some(run) = self.explorer.act(act, cx) {
                    self.trace.pin(run);
                    self.trace.look_at_selected(cx);
                }
                if let Some(name) = cx.open_signature.take() {
                    self.signature.load(&name, cx);
                }
                if let Some(name) = cx.open_program.take() {
                    self.modules.run(&name, cx);
                }
            }
            Focus::Detail if act == Act::Back => self.focus = Focus::Trace,
            Focus::Trace | Focus::Detail => return self.trace.act(act, self.focus, cx),
        }
        true
    }

    fn turn(&mut self, onwards: bool) {
        let ring: &[Focus] = if self.view == View::Trace {
            &[Focus::Trace, Focus::Detail]
        } else {
            &[
                Focus::Explorer,
                Focus::Notebook,
                Focus::Editor,
                Focus::Trace,
                Focus::Detail,
            ]
        };
        let at = ring.iter().position(|it| *it == self.focus).unwrap_or(0);
        let step = if onwards { 1 } else { ring.len() - 1 };
        self.focus = ring[(at + step) % ring.len()];
    }

    fn replay_act(&mut self, act: Act, cx: &mut Context<'_>) -> bool {
        let Some((at, of)) = self.replay else {
            return false;
        };
        let to = match act {
            Act::StepBack => at.saturating_sub(1),
            Act::StepForward => (at + 1).min(of),
            Act::Top => 0,
            Act::Bottom => of,
            Act::Play => {
                cx.actions.push(Action::Play);
                return true;
            }
            Act::Back => {
                cx.actions.push(Action::LeaveReplay);
                return true;
            }
            _ => return false,
        };
        cx.actions.push(Action::Seek(to));
        true
    }

    fn open(&mut self, view: View, cx: &mut Context<'_>) {
        self.view = view;
        self.zoom = false;
        match view {
            View::Main if matches!(self.focus, Focus::Detail | Focus::Trace) => {
                self.focus = if self.replay.is_some() {
                    Focus::Notebook
                } else {
                    Focus::Editor
                };
            }
            View::Trace => {
                self.focus = Focus::Trace;
                self.trace.look_at_selected(cx);
            }
            View::Signature => self.signature.opened(cx),
            View::Sessions => sessions::Sessions::opened(cx),
            View::Lm => self.lm.opened(cx),
            View::Main | View::Optimise | View::Data | View::Modules => {}
        }
    }

    fn interrupt(&mut self, cx: &mut Context<'_>) {
        if let Some(run) = status::running(cx.state) {
            match run.cell {
                Some(cell) => cx.submit(
                    Purpose::Say("asked the cell to stop".to_owned()),
                    "interrupt",
                    json!({"cell": cell}),
                ),
                None => cx.submit(
                    Purpose::Say("asked the run to stop".to_owned()),
                    "cancel",
                    json!({"run": run.id}),
                ),
            }
        } else if self.view == View::Main
            && self.focus == Focus::Editor
            && !self.notebook.editor.is_empty()
        {
            self.notebook.editor.clear();
        } else {
            cx.say("nothing runs · Ctrl-Q quits");
        }
    }

    /// Opens the view of how the workers are.
    fn health(&mut self, cx: &mut Context<'_>) {
        if self.replay.is_some() {
            cx.warn("this is a replay: no worker runs here; `q` leaves it");
        } else {
            self.overlay = Some(Overlay::Health(Health::open(cx)));
        }
    }

    fn quit(&mut self, cx: &mut Context<'_>) {
        if self.replay.is_none() && status::running(cx.state).is_some() {
            self.overlay = Some(Overlay::confirm_quit());
        } else {
            cx.actions.push(Action::Quit);
        }
    }

    fn paste(&mut self, text: &str) {
        if let Some(overlay) = &mut self.overlay {
            return overlay.paste(text);
        }
        match self.view {
            View::Main | View::Trace if self.focus == Focus::Trace && self.trace.writing() => {
                self.trace.paste(text);
            }
            View::Main => {
                self.focus = Focus::Editor;
                self.notebook.editor.insert(text);
            }
            View::Lm => self.lm.paste(text),
            View::Signature => self.signature.paste(text),
            View::Optimise => self.optimise.paste(text),
            View::Data => self.data.paste(text),
            View::Modules => self.modules.paste(text),
            View::Sessions => self.sessions.paste(text),
            View::Trace => {}
        }
    }

    fn answered(&mut self, purpose: Purpose, result: OperationResult, cx: &mut Context<'_>) {
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
                    .loaded(key, part, super::context::sentence(&error));
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

    fn state_changed(&mut self, cx: &mut Context<'_>) {
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
        self.overlay = match self.overlay.take() {
            Some(Overlay::Answer(_)) if cx.state.input.is_none() => None,
            Some(Overlay::Approve(shown)) if !shown.waits(cx.state) => None,
            // A question comes before the view of how things are.
            shown @ (None | Some(Overlay::Health(_))) if cx.state.input.is_none() => {
                let asked = cx.state.approvals.first().map(Overlay::approve);
                asked.or(shown)
            }
            None | Some(Overlay::Health(_)) => cx
                .state
                .input
                .clone()
                .filter(|_| self.replay.is_none())
                .map(Overlay::answer),
            other => other,
        };
        if matches!(self.view, View::Main | View::Trace) {
            self.trace.look_at_selected(cx);
        }
    }
}

/// Pauses the newest run, or lets it go on.
fn pause(cx: &mut Context<'_>) {
    let Some(run) = status::running(cx.state) else {
        cx.say("nothing runs");
        return;
    };
    let (operation, said) = if run.paused {
        ("continue", "it goes on")
    } else {
        (
            "pause",
            "paused: calls under way end, the next wait · F10 goes on",
        )
    };
    cx.submit(
        Purpose::Say(said.to_owned()),
        operation,
        json!({"run": run.id}),
    );
}
