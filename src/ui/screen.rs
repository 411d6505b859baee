//! The screen as a whole: which view, which focus, where input goes.

use crossterm::event::{KeyCode, KeyEventKind};
use ratatui::layout::Rect;

use super::context::{Context, Toast, Waiting};
use super::explorer::Explorer;
use super::input::{Action, Input};
use super::notebook::Notebook;
use super::overlay::Overlay;
use super::trace::Trace;
use super::{Focus, View, data, lm, modules, optimise, sessions, signature, status};
use crate::app::State;
use crate::session::event::{RunId, RunKind, RunStatus};
use crate::session::state::Run;
use crate::theme::Theme;

mod acting;
mod commands;
mod draw;
mod mouse;
mod news;

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
    /// Questions answered here whose answer is on its way.
    answered: news::Answered,
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
}
