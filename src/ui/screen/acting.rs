//! What keys and pasted text do: which table of keys holds, and whose they are.

use crossterm::event::{KeyCode, KeyEvent};
use serde_json::json;

use super::Screen;
use crate::ui::context::{Context, Purpose};
use crate::ui::health::Health;
use crate::ui::input::Action;
use crate::ui::keys::{self, Act, Scope};
use crate::ui::overlay::{Outcome, Overlay};
use crate::ui::{Focus, View, sessions, status};

impl Screen {
    pub(super) fn scopes(&self) -> Vec<Scope> {
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

    pub(super) fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) {
        let mut overlay = self.overlay.take();
        if let Some(Overlay::Approve(approve)) = &mut overlay
            && approve.lets_through(key)
        {
            self.key(key, cx);
            self.overlay = overlay;
            return;
        }
        if let Some(mut overlay) = overlay {
            match overlay.key(key, cx) {
                Outcome::Stay => self.overlay = Some(overlay),
                Outcome::Close => {
                    self.answered.note(&overlay);
                    self.questions(cx);
                }
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
    pub(super) fn other_key(&mut self, key: KeyEvent, cx: &mut Context<'_>) {
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

    pub(super) fn act(&mut self, act: Act, key: KeyEvent, cx: &mut Context<'_>) {
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

    pub(super) fn pane_act(&mut self, act: Act, key: KeyEvent, cx: &mut Context<'_>) {
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

    pub(super) fn main_act(&mut self, act: Act, cx: &mut Context<'_>) -> bool {
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

    pub(super) fn turn(&mut self, onwards: bool) {
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

    pub(super) fn replay_act(&mut self, act: Act, cx: &mut Context<'_>) -> bool {
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

    pub(super) fn open(&mut self, view: View, cx: &mut Context<'_>) {
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

    pub(super) fn interrupt(&mut self, cx: &mut Context<'_>) {
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
    pub(super) fn health(&mut self, cx: &mut Context<'_>) {
        if self.replay.is_some() {
            cx.warn("this is a replay: no worker runs here; `q` leaves it");
        } else {
            self.overlay = Some(Overlay::Health(Health::open(cx)));
        }
    }

    pub(super) fn quit(&mut self, cx: &mut Context<'_>) {
        // What runs in another process goes on there.
        let here = self.replay.is_none() && !self.following;
        if here && status::running(cx.state).is_some() {
            self.overlay = Some(Overlay::confirm_quit());
        } else {
            cx.actions.push(Action::Quit);
        }
    }

    pub(super) fn paste(&mut self, text: &str) {
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
