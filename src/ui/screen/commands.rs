//! What a command line does on the screen; the core does everything else.

use crossterm::event::{KeyCode, KeyEvent};
use serde_json::{Value, json};

use super::Screen;
use crate::command::{self, Local, PaneName, Parsed, ScreenAction, ScreenName};
use crate::session::event::RunId;
use crate::ui::context::{Context, Purpose};
use crate::ui::input::Action;
use crate::ui::keys::Act;
use crate::ui::overlay::Overlay;
use crate::ui::{Focus, View, status};

impl Screen {
    /// Carries a command line out: screen actions here, everything else by the
    /// core, which records it as a cell.
    pub(super) fn command(&mut self, line: &str, cx: &mut Context<'_>) {
        let line = line.trim().trim_start_matches(':').trim();
        if line.is_empty() {
            return;
        }
        let names = command::Context::of(&cx.state.session);
        match command::parse(line, &names) {
            Ok(Parsed::Screen(action)) => return self.screen_action(action, cx),
            Ok(Parsed::Operation { operation, .. }) if operation == "health_check" => {
                return self.health(cx);
            }
            Ok(Parsed::Local(Local::Trace(run))) => {
                return self.screen_action(ScreenAction::Trace(run), cx);
            }
            // Always of this moment, in a replay too; `exec` and the REPL get it as text.
            Ok(Parsed::Operation { operation, .. }) if operation == "metrics" => {
                self.overlay = Some(Overlay::metrics());
                return;
            }
            // A replay records nothing: its help is the window.
            Ok(Parsed::Local(Local::Help(_))) if cx.replay => {
                self.overlay = Some(Overlay::help(&self.scopes()));
                return;
            }
            // Its answer is read in the notebook.
            Ok(Parsed::Local(_)) => cx.go = Some(View::Main),
            // In the notebook the error stands in the cell.
            Err(error) if self.view != View::Main || cx.replay => return cx.fail(&error),
            Ok(Parsed::Operation { .. }) | Err(_) => {}
        }
        let purpose = if matches!(self.view, View::Main) || cx.go.is_some() {
            Purpose::Recorded
        } else {
            Purpose::Say(format!("`:{line}` is done; its answer is in the notebook"))
        };
        cx.submit(purpose, "command", json!({"line": format!(":{line}")}));
        self.notebook.follow_end(cx.state);
    }

    /// Models that a server answered with go to where they were asked for.
    pub(super) fn models_came(&mut self, key: String, answer: &Value, cx: &mut Context<'_>) {
        cx.models_came(key, answer);
        match &mut self.overlay {
            Some(Overlay::Command(line)) => line.models_came(cx),
            _ => self.lm.models_came(cx),
        }
    }

    fn screen_action(&mut self, action: ScreenAction, cx: &mut Context<'_>) {
        match action {
            ScreenAction::Quit => self.quit(cx),
            ScreenAction::Palette => self.act(Act::Palette, KeyEvent::from(KeyCode::Null), cx),
            ScreenAction::Show(screen) => {
                cx.go = Some(match screen {
                    ScreenName::Main => View::Main,
                    ScreenName::Lm => View::Lm,
                    ScreenName::Signature => View::Signature,
                    ScreenName::Trace => View::Trace,
                    ScreenName::Optimise => View::Optimise,
                    ScreenName::Sessions => View::Sessions,
                    ScreenName::Data => View::Data,
                    ScreenName::Modules => View::Modules,
                });
            }
            ScreenAction::Focus(pane) => {
                cx.focus = Some(match pane {
                    PaneName::Explorer => Focus::Explorer,
                    PaneName::Notebook => Focus::Notebook,
                    PaneName::Trace => Focus::Trace,
                });
            }
            ScreenAction::Zoom => self.zoom = !self.zoom,
            ScreenAction::Theme(name) => cx.actions.push(Action::Theme(name)),
            ScreenAction::Clear => self.notebook.clear(cx.state),
            ScreenAction::ReplaySession(id) => cx.actions.push(Action::Replay(id)),
            ScreenAction::OpenSession(id) => {
                if status::running(cx.state).is_some() {
                    cx.warn("something still runs: end it first (Ctrl-C), then open the session");
                } else {
                    cx.actions.push(Action::OpenSession(id));
                }
            }
            ScreenAction::Trace(run) => {
                let runs = &cx.state.session.runs;
                match run.map(RunId) {
                    Some(id) if !runs.contains_key(&id) => {
                        cx.warn(format!("there is no run {} → `:runs` lists them", id.0));
                        return;
                    }
                    Some(id) => self.trace.pin(id),
                    None => self.trace.follow(),
                }
                cx.go = Some(View::Trace);
            }
        }
    }
}
