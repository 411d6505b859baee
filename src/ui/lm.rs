//! F2: LM profiles, their form, connection tests. Shows where a key comes from,
//! never the key.

use std::collections::HashMap;

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::Line;
use serde_json::{Map, Value, json};

use super::context::{Context, Purpose, sentence};
use super::form::{Form, Step};
use super::keys::Act;
use super::list::Selection;
use super::look::Look;
use super::text;
use crate::app::{OperationResult, State};
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
            match form.act(act) {
                Step::Stay => {}
                Step::Cancel => self.form = None,
                Step::Done => match arguments(form) {
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
            self.form = Some(form_of_found(found));
            return true;
        }
        if act == Act::New {
            self.form = Some(form_of(&LmProfile::default()));
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
            Act::Edit => self.form = Some(form_of(profile)),
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
        let mut out = vec![
            row("name", profile.name.clone(), Role::Title),
            row("model", profile.model.clone(), Role::Text),
            row("key", key_words(&profile.key), Role::Text),
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

fn key_words(key: &KeySource) -> String {
    match key {
        KeySource::None => "none is sent".to_owned(),
        KeySource::Env(name) => format!("•••••• from ${name}"),
        KeySource::Command(command) => format!("•••••• from `{command}`"),
        KeySource::File(path) => format!("•••••• from {path}"),
    }
}

fn form_of(profile: &LmProfile) -> Form {
    let (provider, model) = profile
        .model
        .split_once('/')
        .unwrap_or(("", &profile.model));
    let (mut env, mut file, mut command) = ("", "", "");
    match &profile.key {
        KeySource::None => {}
        KeySource::Env(name) => env = name,
        KeySource::File(path) => file = path,
        KeySource::Command(line) => command = line,
    }
    let params = if profile.params.is_empty() {
        String::new()
    } else {
        Value::Object(profile.params.clone()).to_string()
    };
    let title = if profile.name.is_empty() {
        "New LM profile".to_owned()
    } else {
        format!("LM profile {}", profile.name)
    };
    Form::new(
        title,
        &[
            ("name", "letters, digits, . _ -", &profile.name),
            (
                "provider",
                "demo, openai, anthropic, gemini, ollama, local, …",
                provider,
            ),
            ("model", "for example gpt-4o-mini", model),
            (
                "api_base",
                "only for a server of your own: http://127.0.0.1:8000/v1",
                profile.api_base.as_deref().unwrap_or_default(),
            ),
            (
                "api_key_env",
                "environment variable that holds the key; empty: the provider's own",
                env,
            ),
            ("api_key_file", "or a file that holds it", file),
            ("api_key_command", "or a command that prints it", command),
            (
                "params",
                r#"JSON: {"temperature": 0.2, "max_tokens": 500}"#,
                &params,
            ),
        ],
    )
}

/// The form for a model found on this machine, under a name made of its own.
fn form_of_found(found: &Found) -> Form {
    let name: String = found
        .model
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|ch| match ch {
            ch if ch.is_ascii_alphanumeric() || "._-".contains(ch) => ch,
            _ => '-',
        })
        .take(64)
        .collect();
    let mut form = form_of(&LmProfile::default());
    for (field, text) in [
        ("name", name.as_str()),
        ("provider", &found.provider),
        ("model", &found.model),
        ("api_base", &found.api_base),
    ] {
        form.put(field, text);
    }
    form
}

/// The arguments of `configure_lm`, or which field is wrong and why.
fn arguments(form: &Form) -> Result<Map<String, Value>, (&'static str, String)> {
    let mut out = Map::new();
    let name = form.text("name");
    let fits = !name.is_empty()
        && name.len() <= 64
        && name
            .chars()
            .all(|ch| ch.is_ascii_alphanumeric() || "._-".contains(ch));
    if !fits {
        return Err((
            "name",
            "a name of 1 to 64 letters, digits, `.`, `_` or `-`".to_owned(),
        ));
    }
    if form.text("provider").is_empty() {
        return Err((
            "provider",
            "which provider? `demo` needs no key and no network".to_owned(),
        ));
    }
    if form.text("model").is_empty() && form.text("provider") != "demo" {
        return Err(("model", "which model of it?".to_owned()));
    }
    let base = form.text("api_base");
    if !base.is_empty() && !base.starts_with("http://") && !base.starts_with("https://") {
        return Err(("api_base", "begin with http:// or https://".to_owned()));
    }
    let params = form.text("params");
    if !params.is_empty() {
        match serde_json::from_str(&params) {
            Ok(Value::Object(params)) => out.extend(params),
            _ => {
                return Err((
                    "params",
                    r#"write a JSON object: {"temperature": 0.2}"#.to_owned(),
                ));
            }
        }
    }
    for key in [
        "name",
        "provider",
        "model",
        "api_base",
        "api_key_env",
        "api_key_file",
        "api_key_command",
    ] {
        let text = form.text(key);
        if !text.is_empty() {
            out.insert(key.to_owned(), Value::String(text));
        }
    }
    Ok(out)
}
