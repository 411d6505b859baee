//! One span in tabs: messages, fields, raw bodies, timing, what differs from the
//! call before.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::{Value, json};

use super::row;
use crate::session::event::{AnswerSource, Document, Exchange, RunId};
use crate::session::state::{Run, Span};
use crate::theme::Role;
use crate::ui::context::{Context, Part, Purpose};
use crate::ui::input::Action;
use crate::ui::keys::Act;
use crate::ui::look::Look;
use crate::ui::{live, messages, text};

const TABS: [&str; 5] = ["Messages", "Fields", "Raw", "Timing", "Diff"];
const DIFF: usize = 4;
/// Spans and runs looked through for the call before.
const LOOKED_AT: usize = 2_000;
/// Bodies kept.
const KEPT: usize = 64;

/// The tabs.
#[derive(Debug, Default)]
pub(crate) struct Detail {
    tab: usize,
    /// The first line shown; `None` shows the answer with what comes before it.
    scroll: Option<usize>,
    /// The first line that was shown.
    top: usize,
    height: usize,
    n_lines: usize,
    bodies: HashMap<(String, Part), Option<String>>,
    area: Rect,
}

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// The selected span.
    pub(crate) span: &'a Span,
    /// The LM span whose messages stand for it, when it has none of its own.
    pub(crate) talk: Option<&'a Span>,
    /// What its LM is just saying.
    pub(crate) coming: Option<&'a str>,
}

/// The LM call before this one: of the same run, else the last of a run before.
pub(crate) fn before<'a>(
    runs: &'a BTreeMap<RunId, Arc<Run>>,
    run: &'a Run,
    span: &Span,
) -> Option<&'a Span> {
    let talks = |it: &&Span| it.kind == span.kind && !it.exchanges.is_empty();
    let at = run.spans.iter().position(|it| it.id == span.id)?;
    let same = run.spans.iter().take(at).rev().take(LOOKED_AT);
    let earlier = runs.range(..run.id).rev().take(50);
    let earlier = earlier.flat_map(|(_, run)| run.spans.iter().rev().take(LOOKED_AT));
    same.chain(earlier).map(AsRef::as_ref).find(talks)
}

impl Detail {
    /// Forgets how far it was scrolled, for another span.
    pub(crate) fn reset(&mut self) {
        self.scroll = None;
    }

    /// Whether two calls are compared.
    pub(crate) fn compares(&self) -> bool {
        self.tab == DIFF
    }

    /// Asks for bodies that are not here yet.
    pub(crate) fn load(&mut self, span: &Span, cx: &mut Context<'_>) {
        if self.bodies.len() > KEPT {
            self.bodies.clear();
        }
        let Some(exchange) = span.exchanges.last() else {
            return;
        };
        for (part, document) in [
            (Part::Request, &exchange.request),
            (Part::Response, &exchange.response),
        ] {
            let key = (id(exchange), part);
            if self.bodies.contains_key(&key) {
                continue;
            }
            if let Document::Text(text) = document {
                self.bodies.insert(key, Some(text.clone()));
            } else {
                self.bodies.insert(key.clone(), None);
                let purpose = Purpose::Messages(key.0, part);
                cx.submit(purpose, "read_document", json!({"document": document}));
            }
        }
    }

    /// Takes a body in.
    pub(crate) fn loaded(&mut self, key: String, part: Part, body: String) {
        self.bodies.insert((key, part), Some(body));
    }

    /// What a key means; false when it means nothing.
    pub(crate) fn act(&mut self, act: Act, seen: Option<Seen<'_>>, cx: &mut Context<'_>) -> bool {
        let page = self.height.max(2) - 1;
        let last = self.n_lines.saturating_sub(self.height);
        match act {
            Act::Left => self.turn(self.tab + TABS.len() - 1),
            Act::Right => self.turn(self.tab + 1),
            Act::Up => self.scroll = Some(self.top.saturating_sub(1)),
            Act::Down => self.scroll = Some((self.top + 1).min(last)),
            Act::PageUp => self.scroll = Some(self.top.saturating_sub(page)),
            Act::PageDown => self.scroll = Some((self.top + page).min(last)),
            Act::Top => self.scroll = Some(0),
            Act::Bottom => self.scroll = Some(last),
            Act::Copy => {
                if let Some(seen) = seen {
                    let (lines, _) = self.lines(
                        seen,
                        None,
                        10_000,
                        Look {
                            theme: &crate::theme::Theme::mono(),
                            focused: false,
                        },
                    );
                    let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
                    cx.actions.push(Action::Copy(text.join("\n")));
                    cx.say(format!(
                        "copied: {} of the span",
                        TABS[self.tab].to_lowercase()
                    ));
                }
            }
            _ => return false,
        }
        true
    }

    fn turn(&mut self, tab: usize) {
        self.tab = tab % TABS.len();
        self.scroll = None;
    }

    /// Turns to the tab that was clicked on.
    pub(crate) fn click(&mut self, x: u16, y: u16) {
        if y != self.area.y {
            return;
        }
        let mut from = self.area.x + 2;
        for (at, tab) in TABS.iter().enumerate() {
            let to = from + tab.len() as u16 + 3;
            if (from..to).contains(&x) {
                self.turn(at);
            }
            from = to;
        }
    }

    /// Draws it.
    pub(crate) fn draw(
        &mut self,
        area: Rect,
        run: Option<&Run>,
        seen: Option<Seen<'_>>,
        before: Option<&Span>,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) {
        self.area = area;
        let inner = look.pane("", area, buffer);
        let mut x = area.x + 2;
        for (at, tab) in TABS.iter().enumerate() {
            let role = if at == self.tab {
                Role::Title
            } else {
                Role::Dim
            };
            let words = if at == self.tab {
                format!("[{tab}]")
            } else {
                format!(" {tab} ")
            };
            let room = usize::from(area.right().saturating_sub(x + 1));
            buffer.set_stringn(x, area.y, &words, room, look.style(role));
            x = x.saturating_add(words.len() as u16 + 1);
        }
        let columns = usize::from(inner.width);
        let (lines, answer) = match (seen, run) {
            (Some(seen), _) => self.lines(seen, before, columns, look),
            (None, Some(run)) => {
                let error = run.error.as_ref().map(|error| {
                    crate::ui::notebook::cell::error(error, columns, look.theme, true)
                });
                (error.unwrap_or_default(), 0)
            }
            _ => (Vec::new(), 0),
        };
        self.height = inner.height.into();
        self.n_lines = lines.len();
        let last = self.n_lines.saturating_sub(self.height);
        self.top = self.scroll.unwrap_or(answer).min(last);
        look.lines(inner, lines.get(self.top..).unwrap_or_default(), buffer);
        if last > 0 && area.width > 50 {
            let to = (self.top + self.height).min(self.n_lines);
            let words = format!(" {}–{to} of {} ", self.top + 1, self.n_lines);
            let at = area.right().saturating_sub(text::width(&words) as u16 + 2);
            buffer.set_stringn(
                at,
                area.bottom().saturating_sub(1),
                &words,
                words.len(),
                look.style(Role::Dim),
            );
        }
    }

    /// The lines of the tab, and which of them should be seen first.
    fn lines(
        &self,
        seen: Seen<'_>,
        before: Option<&Span>,
        columns: usize,
        look: Look<'_>,
    ) -> (Vec<Line<'static>>, usize) {
        match self.tab {
            0 => self.messages(seen, columns, look),
            1 => (fields(seen.span, columns, look), 0),
            2 => (self.raw(seen.talk.unwrap_or(seen.span), columns, look), 0),
            3 => (timing(seen.span, columns, look), 0),
            _ => {
                let talk = seen.talk.unwrap_or(seen.span);
                (self.difference(talk, before, columns, look), 0)
            }
        }
    }

    /// What was sent and answered, beside the call before.
    fn difference(
        &self,
        talk: &Span,
        before: Option<&Span>,
        columns: usize,
        look: Look<'_>,
    ) -> Vec<Line<'static>> {
        let hint = |words: &str| text::plain(words, look.style(Role::Dim), columns);
        let Some(exchange) = talk.exchanges.last() else {
            return hint("no LM was called here");
        };
        let Some(earlier) = before.and_then(|span| span.exchanges.last()) else {
            return hint("no call came before this one: there is nothing to compare it with");
        };
        let said = |exchange: &Exchange| {
            let mut out = messages::of_request(self.body(exchange, Part::Request)?);
            let answers = messages::of_response(self.body(exchange, Part::Response)?);
            out.extend(answers.into_iter().map(|it| ("answer".to_owned(), it)));
            Some(out)
        };
        let (Some(now), Some(then)) = (said(exchange), said(earlier)) else {
            return hint("reading…");
        };
        let mut out = hint("against the LM call before this one");
        for at in 0..now.len().max(then.len()) {
            let empty = (String::new(), String::new());
            let (new, old) = (
                now.get(at).unwrap_or(&empty),
                then.get(at).unwrap_or(&empty),
            );
            let role = if new.0.is_empty() { &old.0 } else { &new.0 };
            if new.1 == old.1 {
                out.push(Line::styled(
                    format!("{role}: the same"),
                    look.style(Role::Dim),
                ));
            } else {
                out.extend(messages::diff(role, &old.1, &new.1, columns, look));
            }
        }
        out
    }

    fn body(&self, exchange: &Exchange, part: Part) -> Option<&str> {
        self.bodies
            .get(&(id(exchange), part))
            .and_then(|body| body.as_deref())
    }

    fn messages(
        &self,
        seen: Seen<'_>,
        columns: usize,
        look: Look<'_>,
    ) -> (Vec<Line<'static>>, usize) {
        let talk = seen.talk.unwrap_or(seen.span);
        if let Some(coming) = seen.coming {
            // The exchange is recorded with its answer: until then its fields tell.
            let mut out = fields(seen.span, columns, look);
            out.extend(live::lines(coming, columns, look));
            return (out, usize::MAX);
        }
        let Some(exchange) = talk.exchanges.last() else {
            let hint = "no LM was called here yet";
            let mut out = vec![Line::styled(hint, look.style(Role::Dim)), Line::default()];
            out.extend(fields(seen.span, columns, look));
            return (out, 0);
        };
        let mut out = Vec::new();
        if let Some(reason) = row::reason(seen.span) {
            out.extend(text::plain(reason, look.style(Role::Warn), columns));
        }
        if seen.talk.is_some() {
            let words = format!("of {}, an LM call of {}", talk.name, seen.span.name);
            out.extend(text::plain(&words, look.style(Role::Dim), columns));
        }
        if let Some(request) = self.body(exchange, Part::Request) {
            for (role, content) in messages::of_request(request) {
                out.extend(messages::lines(&role, &content, columns, look));
            }
        } else {
            out.push(Line::styled("reading…", look.style(Role::Dim)));
        }
        let answer_at = out.len();
        if let Some(response) = self.body(exchange, Part::Response) {
            let answers = messages::of_response(response);
            for answer in &answers {
                out.extend(messages::lines("answer", answer, columns, look));
            }
            if answers.is_empty() {
                out.extend(messages::lines("answer", response, columns, look));
            }
        }
        if let Some(error) = &exchange.error {
            out.extend(text::plain(error, look.style(Role::Error), columns));
        }
        (out, answer_at)
    }

    fn raw(&self, span: &Span, columns: usize, look: Look<'_>) -> Vec<Line<'static>> {
        let mut out = Vec::new();
        for exchange in &span.exchanges {
            out.push(Line::from(vec![
                look.span(
                    format!("{} ", exchange.status),
                    if exchange.status >= 400 || exchange.status == 0 {
                        Role::Error
                    } else {
                        Role::Ok
                    },
                ),
                look.span(text::fit(&exchange.url, columns), Role::Accent),
            ]));
            for (part, name) in [(Part::Request, "request"), (Part::Response, "response")] {
                out.push(Line::styled(name, look.style(Role::Label)));
                let body = self.body(exchange, part).unwrap_or("reading…");
                let body = text::shortened(body);
                let pretty = serde_json::from_str::<Value>(&body)
                    .ok()
                    .and_then(|it| serde_json::to_string_pretty(&it).ok());
                out.extend(text::plain(
                    pretty.as_deref().unwrap_or(&body),
                    look.style(Role::Text),
                    columns,
                ));
            }
        }
        if span.exchanges.is_empty() {
            let whole = json!({"id": span.id, "kind": span.kind, "name": span.name, "inputs": span.inputs, "outputs": span.outputs, "error": span.error});
            out.extend(text::plain(
                &serde_json::to_string_pretty(&whole).unwrap_or_default(),
                look.style(Role::Text),
                columns,
            ));
        }
        out
    }
}

/// What tells an exchange from another.
fn id(exchange: &Exchange) -> String {
    format!(
        "{}/{}/{}",
        exchange.key,
        exchange.occurrence,
        exchange.span.as_deref().unwrap_or_default()
    )
}

fn fields(span: &Span, columns: usize, look: Look<'_>) -> Vec<Line<'static>> {
    let mut out = Vec::new();
    for (title, map) in [("inputs", &span.inputs), ("outputs", &span.outputs)] {
        if map.is_empty() {
            continue;
        }
        out.push(Line::styled(title, look.style(Role::Label)));
        let names = map
            .keys()
            .map(|it| text::width(it))
            .max()
            .unwrap_or(0)
            .min(columns / 3);
        for (name, value) in map {
            let room = columns.saturating_sub(names + 4);
            for (at, mut line) in text::plain(&text::value(value), look.style(Role::Text), room)
                .into_iter()
                .enumerate()
            {
                let name = if at == 0 { name.as_str() } else { "" };
                line.spans.insert(
                    0,
                    look.span(format!("  {}  ", text::pad(name, names)), Role::Accent),
                );
                out.push(line);
            }
        }
    }
    if let Some(error) = &span.error {
        out.push(Line::styled("error", look.style(Role::Label)));
        out.extend(text::plain(
            &format!("  {error}"),
            look.style(Role::Error),
            columns,
        ));
    }
    out
}

fn timing(span: &Span, columns: usize, look: Look<'_>) -> Vec<Line<'static>> {
    let row = |name: &str, value: String| {
        Line::from(vec![
            look.span(text::pad(name, 12), Role::Label),
            look.span(text::fit(&value, columns.saturating_sub(12)), Role::Text),
        ])
    };
    let mut out = vec![
        row("kind", span.kind.clone()),
        row("name", span.name.clone()),
    ];
    let took = span.end_ns.map_or_else(
        || "still open".to_owned(),
        |end| text::duration(end.saturating_sub(span.start_ns) as f64 / 1e6),
    );
    out.push(row("took", took));
    for (n, exchange) in span.exchanges.iter().enumerate() {
        out.push(Line::default());
        out.push(row(&format!("try {}", n + 1), exchange.model.clone()));
        let source = match exchange.source {
            AnswerSource::Server => "the server",
            AnswerSource::Demo => "the demo LM (offline stand-in)",
            AnswerSource::Cache => "the cache: cost nothing",
            AnswerSource::Cassette => "the record of this session: cost nothing",
            AnswerSource::Fault => "an injected fault",
            AnswerSource::Direct => "the worker's own client: direct, past the gateway",
        };
        out.push(row("answered by", source.to_owned()));
        out.push(row(
            "latency",
            text::duration(exchange.latency_us as f64 / 1e3),
        ));
        out.push(row(
            "tokens",
            format!(
                "{} in, {} out",
                exchange.input_tokens, exchange.output_tokens
            ),
        ));
        out.push(row(
            "cost",
            exchange
                .cost
                .map_or_else(|| "unknown".to_owned(), |it| text::cost(it, 0)),
        ));
        out.push(row("status", exchange.status.to_string()));
        if let Some(error) = &exchange.error {
            out.push(row("error", error.clone()));
        }
    }
    out
}
