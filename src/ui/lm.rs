//! F2: LM profiles, their form, connection tests. Shows where a key comes from,
//! never the key.

mod form;

use std::collections::HashMap;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::Line;
use serde_json::{Value, json};

use super::context::{Context, Purpose, sentence};
use super::form::{Form, Step};
use super::keys::Act;
use super::list::Selection;
use super::look::Look;
use super::text;
use crate::app::{OperationResult, State};
use crate::gateway::profiles::provider_of;
use crate::session::event::{KeySource, LmProfile};
use crate::theme::Role;

/// Profiles, and one being written.
#[derive(Debug, Default)]
pub(super) struct Lm {
    selection: Selection,
    form: Option<Form>,
    tests: HashMap<String, Test>,
    /// Servers of this machine with a model each, once looked for.
    found: Option<Vec<Found>>,
    looking: bool,
}

/// A model that a server of this machine offers.
#[derive(Debug, Clone)]
struct Found {
    server: String,
    provider: String,
    api_base: String,
    model: String,
}

/// How a connection test stands.
#[derive(Debug)]
enum Test {
    Going,
    Good(String),
    Bad(String),
}

impl Lm {
    /// Whether keys go to a form.
    pub(super) fn writing(&self) -> bool {
        self.form.is_some()
    }

    /// An editing key.
    pub(super) fn key(&mut self, key: KeyEvent) {
        if let Some(form) = &mut self.form {
            form.key(key);
        }
    }

    /// Pasted text.
    pub(super) fn paste(&mut self, text: &str) {
        if let Some(form) = &mut self.form {
            form.paste(text);
        }
    }

    /// What a key means; false when it means nothing.
    pub(super) fn act(&mut self, act: Act, cx: &mut Context<'_>) -> bool {
        if let Some(form) = &mut self.form {
            if act == Act::Complete && !form.choosing() && form::complete(form, cx) {
                return true;
            }
            match form.act(act) {
                Step::Stay => {}
                Step::Cancel => self.form = None,
                Step::Done => match form::arguments(form) {
                    Ok(arguments) => {
                        let name = form.text("name");
                        cx.submit(
                            Purpose::Say(format!("`{name}` is set and selected")),
                            "configure_lm",
                            Value::Object(arguments),
                        );
                        self.form = None;
                    }
                    Err((field, problem)) => form.complain(field, problem),
                },
            }
            return true;
        }
        let lms = &cx.state.session.lms;
        let found = self.found.as_deref().unwrap_or_default();
        if self.selection.act(act, lms.len() + found.len()) {
            return true;
        }
        if act == Act::Find {
            self.look(cx);
            return true;
        }
        let here = self.selection.at.checked_sub(lms.len());
        if let Some(found) = here.and_then(|at| found.get(at))
            && matches!(act, Act::Enter | Act::Select | Act::Edit | Act::New)
        {
            self.form = Some(form::of_found(found));
            return true;
        }
        if act == Act::New {
            self.form = Some(form::of(&LmProfile::default()));
            return true;
        }
        let Some(profile) = lms.values().nth(self.selection.at) else {
            return false;
        };
        let name = &profile.name;
        match act {
            Act::Select | Act::Enter => cx.submit(
                Purpose::Say(format!("calls go to `{name}` now")),
                "select_lm",
                json!({"name": name}),
            ),
            Act::Edit => self.form = Some(form::of(profile)),
            Act::Test => {
                self.tests.insert(name.clone(), Test::Going);
                cx.submit(
                    Purpose::TestLm(name.clone()),
                    "test_lm",
                    json!({"name": name}),
                );
            }
            Act::Delete => cx.submit(
                Purpose::Say(format!("`{name}` is removed")),
                "remove_lm",
                json!({"name": name}),
            ),
            Act::Copy => cx.actions.push(super::Action::Copy(profile.model.clone())),
            _ => return false,
        }
        true
    }

    /// Looks for servers of this machine when the view is opened.
    pub(super) fn opened(&mut self, cx: &mut Context<'_>) {
        if !cx.replay {
            self.look(cx);
        }
    }

    fn look(&mut self, cx: &mut Context<'_>) {
        self.looking = true;
        cx.submit(Purpose::LocalLms, "find_local_lms", json!({}));
    }

    /// Takes the servers of this machine in; a failure leaves what was known.
    pub(super) fn found(&mut self, result: OperationResult) {
        self.looking = false;
        let Ok(answer) = result else { return };
        let servers = answer.get("servers").and_then(Value::as_array);
        let mut found = Vec::new();
        for server in servers.into_iter().flatten() {
            let of = |key: &str| server.get(key).map(text::value).unwrap_or_default();
            let models = server.get("models").and_then(Value::as_array);
            let models = models.into_iter().flatten().filter_map(Value::as_str);
            found.extend(models.map(|model| Found {
                server: of("server"),
                provider: of("provider"),
                api_base: of("api_base"),
                model: model.to_owned(),
            }));
        }
        self.found = Some(found);
    }

    /// Models that the form asked for are there.
    pub(super) fn models_came(&mut self, cx: &mut Context<'_>) {
        if let Some(form) = self.form.as_mut().filter(|form| form.here() == "model") {
            form::complete(form, cx);
        }
    }

    /// Takes the result of a connection test in.
    pub(super) fn tested(&mut self, name: String, result: OperationResult) {
        let test = match result {
            Ok(answer) => {
                let ms = answer
                    .get("latency_ms")
                    .and_then(Value::as_f64)
                    .unwrap_or(0.0);
                let words = answer
                    .get("answer")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                Test::Good(format!("answered in {}: {words}", text::duration(ms)))
            }
            Err(error) => Test::Bad(format!("{}: {}", error.kind, sentence(&error))),
        };
        self.tests.insert(name, test);
    }

    /// Draws it; answers where the cursor is.
    pub(super) fn draw(
        &mut self,
        area: Rect,
        state: &State,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let [left, right] =
            Layout::horizontal([Constraint::Percentage(38), Constraint::Min(20)]).areas(area);
        let lms = &state.session.lms;
        let inner = look.pane("LM profiles", left, buffer);
        let columns = usize::from(inner.width);
        // The last lines tell what was found on this machine.
        let local = Rect {
            y: inner.bottom().saturating_sub(2),
            height: inner.height.min(2),
            ..inner
        };
        let inner = Rect {
            height: inner.height.saturating_sub(2),
            ..inner
        };
        let found = self.found.as_deref().unwrap_or_default();
        look.lines(local, &self.local_words(columns, look), buffer);
        for (y, at) in self
            .selection
            .visible(lms.len() + found.len(), inner.height.into())
            .enumerate()
        {
            let selected = at == self.selection.at;
            let Some(profile) = lms.values().nth(at) else {
                if let Some(found) = found.get(at - lms.len()) {
                    let line = Line::from(vec![
                        look.span(" + ", Role::Key),
                        look.span(text::pad(&found.model, columns / 2), Role::Text),
                        look.span(format!(" {}", found.server), Role::Dim),
                    ]);
                    look.row(inner, y as u16, &line, selected, buffer);
                }
                continue;
            };
            let used = state.session.lm.as_ref() == Some(&profile.name);
            let (mark, role) = if used {
                ("●", Role::Ok)
            } else {
                ("○", Role::Dim)
            };
            let name = text::pad(&profile.name, columns / 2);
            let line = Line::from(vec![
                look.span(format!(" {mark} "), role),
                look.span(name, Role::Text),
                look.span(
                    format!(
                        " {}",
                        text::fit(&profile.model, (columns / 2).saturating_sub(4))
                    ),
                    Role::Dim,
                ),
            ]);
            look.row(inner, y as u16, &line, selected, buffer);
        }
        if lms.is_empty() {
            let words = "No profile yet. `n` makes one; `demo` as provider is the built-in, offline stand-in.";
            look.lines(
                inner,
                &text::plain(words, look.style(Role::Dim), columns),
                buffer,
            );
        }
        let side = Look {
            focused: false,
            ..look
        };
        let inner = side.pane("Profile", right, buffer);
        if let Some(profile) = lms.values().nth(self.selection.at) {
            let lines = self.profile(profile, inner.width.into(), look);
            look.lines(inner, &lines, buffer);
        } else if let Some(found) = found.get(self.selection.at.saturating_sub(lms.len())) {
            let words = format!(
                "{} at {} offers {}.\n\nEnter makes a profile of it.",
                found.server, found.api_base, found.model
            );
            let lines = text::plain(&words, look.style(Role::Text), inner.width.into());
            look.lines(inner, &lines, buffer);
        }
        self.form
            .as_ref()
            .and_then(|form| form.draw(area, look, buffer))
    }

    fn local_words(&self, columns: usize, look: Look<'_>) -> Vec<Line<'static>> {
        let words = match &self.found {
            _ if self.looking => "looking for LM servers on this machine…".to_owned(),
            None => "`f` looks for LM servers on this machine".to_owned(),
            Some(found) if found.is_empty() => {
                "no LM server (Ollama, vLLM, llama.cpp, …) answers on this machine".to_owned()
            }
            Some(found) => format!(
                "{} on this machine, marked +",
                text::many(found.len() as u64, "model")
            ),
        };
        text::plain(&words, look.style(Role::Dim), columns)
    }

    fn profile(&self, profile: &LmProfile, columns: usize, look: Look<'_>) -> Vec<Line<'static>> {
        let row = |name: &str, value: String, role: Role| {
            Line::from(vec![
                look.span(format!(" {}", text::pad(name, 18)), Role::Label),
                look.span(text::fit(&value, columns.saturating_sub(20)), role),
            ])
        };
        let key = if provider_of(profile).direct {
            "the worker's own credentials".to_owned()
        } else {
            key_words(&profile.key)
        };
        let mut out = vec![
            row("name", profile.name.clone(), Role::Title),
            row("model", profile.model.clone(), Role::Text),
            row("key", key, Role::Text),
        ];
        if let Some(base) = &profile.api_base {
            out.push(row("api base", base.clone(), Role::Text));
        }
        if let Some(timeout) = profile.timeout {
            out.push(row("timeout", format!("{timeout} s"), Role::Text));
        }
        for (name, n, unit) in [
            ("most calls at once", profile.max_concurrency, ""),
            ("most calls", profile.requests_per_minute, " a minute"),
        ] {
            if n > 0 {
                out.push(row(name, format!("{n}{unit}"), Role::Text));
            }
        }
        for (name, value) in &profile.params {
            out.push(row(name, text::value(value), Role::Number));
        }
        out.push(Line::default());
        if let Some(words) = direct(profile) {
            out.extend(text::plain(&words, look.style(Role::Warn), columns));
            out.push(Line::default());
        }
        match self.tests.get(&profile.name) {
            None => out.push(Line::styled(
                " `t` sends one short request through it",
                look.style(Role::Dim),
            )),
            Some(Test::Going) => out.push(Line::styled(
                " ● testing the connection…",
                look.style(Role::Running),
            )),
            Some(Test::Good(words)) => out.extend(text::plain(
                &format!(" ✓ {words}"),
                look.style(Role::Ok),
                columns,
            )),
            Some(Test::Bad(words)) => out.extend(text::plain(
                &format!(" ✗ {words}"),
                look.style(Role::Error),
                columns,
            )),
        }
        out
    }
}

/// What is lost where a provider is called by its own tools.
fn direct(profile: &LmProfile) -> Option<String> {
    let provider = provider_of(profile);
    provider.direct.then(|| {
        let secrets = provider.variables.iter().map(|name| format!("${name}"));
        format!(
            " ◆ direct: {} is called by its own tools.\n \
             They choose the address and sign with the worker's own credentials \
             ({}, its configuration files); the workbench cannot keep those from code.\n \
             Calls that leave by httpx still pass the gateway. Others are recorded when \
             they are answered: no cache, no replay, no limits, no tokens as they come.",
            provider.name,
            secrets.collect::<Vec<_>>().join(", "),
        )
    })
}

fn key_words(key: &KeySource) -> String {
    match key {
        KeySource::None => "none is sent".to_owned(),
        KeySource::Env(name) => format!("•••••• from ${name}"),
        KeySource::Command(command) => format!("•••••• from `{command}`"),
        KeySource::File(path) => format!("•••••• from {path}"),
    }
}
