//! F6: the sessions on disk, searched by their words, opened, replayed, compared.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use serde_json::{Value, json};

use super::context::{Context, Purpose};
use super::form::Field;
use super::input::Action;
use super::keys::Act;
use super::list::Selection;
use super::look::Look;
use super::text;
use crate::theme::Role;

use compare::Comparison;

mod compare;

/// The list, and what is searched for.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    all: Vec<Value>,
    found: Vec<usize>,
    selection: Selection,
    search: Field,
    searching: bool,
    read: bool,
    /// The one to compare another with.
    marked: Option<String>,
    comparison: Option<Comparison>,
}

impl Sessions {
    /// Reads the list when the view is opened.
    pub(super) fn opened(cx: &mut Context<'_>) {
        cx.submit(Purpose::Sessions, "list_sessions", json!({}));
    }

    /// Whether keys go to the search.
    pub(super) fn writing(&self) -> bool {
        self.searching
    }

    /// Takes the list in.
    pub(super) fn listed(&mut self, answer: &Value) {
        self.all = answer
            .get("sessions")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        self.read = true;
        self.find();
    }

    fn find(&mut self) {
        let wanted = self.search.text().to_lowercase();
        let fits = |session: &Value| {
            let text = ["id", "name", "title"]
                .iter()
                .filter_map(|key| session.get(*key)?.as_str())
                .collect::<Vec<_>>()
                .join(" ")
                .to_lowercase();
            wanted.split_whitespace().all(|word| text.contains(word))
        };
        self.found = self
            .all
            .iter()
            .enumerate()
            .filter(|(_, it)| fits(it))
            .map(|(at, _)| at)
            .collect();
        self.selection = Selection::default();
    }

    /// An editing key.
    pub(super) fn key(&mut self, key: KeyEvent) {
        if self.searching && self.search.key(key) {
            self.find();
        }
    }

    /// What a key means; false when it means nothing.
    pub(super) fn act(&mut self, act: Act, cx: &mut Context<'_>) -> bool {
        if self.searching {
            match act {
                Act::Submit => self.searching = false,
                Act::Back => {
                    self.searching = false;
                    self.search = Field::default();
                    self.find();
                }
                _ => drop(self.selection.act(act, self.found.len())),
            }
            return true;
        }
        if let Some(comparison) = &mut self.comparison {
            if act == Act::Back {
                self.comparison = None;
                return true;
            }
            return comparison.act(act);
        }
        if self.selection.act(act, self.found.len()) {
            return true;
        }
        let id = self.selected();
        match (act, id) {
            (Act::Search, _) => self.searching = true,
            (Act::Redraw, _) => Self::opened(cx),
            (Act::Enter, Some(id)) => cx.actions.push(Action::Replay(id)),
            (Act::Continue, Some(id)) if cx.state.session_id == id => {
                cx.say("this session is the one you are in");
                cx.go = Some(super::View::Main);
            }
            (Act::Continue, Some(id)) => cx.command = Some(format!("session open {id}")),
            (Act::Mark, Some(id)) => {
                self.marked = Some(id).filter(|id| self.marked.as_ref() != Some(id));
            }
            (Act::Compare, Some(id)) => match &self.marked {
                Some(marked) if *marked != id => cx.submit(
                    Purpose::Compared,
                    "compare_sessions",
                    json!({"left": marked, "right": id}),
                ),
                _ => cx.say("Space marks one session; then `c` on another compares them"),
            },
            _ => return false,
        }
        true
    }

    fn selected(&self) -> Option<String> {
        let at = self.found.get(self.selection.at)?;
        Some(self.all.get(*at)?.get("id")?.as_str()?.to_owned())
    }

    /// Takes in how two sessions differ.
    pub(super) fn compared(&mut self, answer: &Value) {
        self.comparison = Some(Comparison::new(answer));
    }

    /// Pasted text.
    pub(super) fn paste(&mut self, text: &str) {
        if self.searching {
            self.search.paste(text);
            self.find();
        }
    }

    /// Draws it; answers where the cursor is.
    pub(super) fn draw(
        &mut self,
        area: Rect,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        if let Some(comparison) = &mut self.comparison {
            comparison.draw(area, look, buffer);
            return None;
        }
        let inner = look.pane(&format!("Sessions · {}", self.found.len()), area, buffer);
        if inner.height < 3 {
            return None;
        }
        buffer.set_stringn(
            inner.x,
            inner.y,
            " / ",
            3,
            look.style(if self.searching { Role::Key } else { Role::Dim }),
        );
        let cursor = self.search.draw(
            Rect {
                x: inner.x + 3,
                width: inner.width.saturating_sub(3),
                ..inner
            },
            look,
            buffer,
        );
        let columns = usize::from(inner.width);
        let head = format!(
            " {} {:>19} {:>7} {:>6} {:>9}  first cell",
            text::pad("session", 26),
            "last",
            "events",
            "calls",
            "cost"
        );
        let list = Rect {
            y: inner.y + 1,
            height: inner.height - 1,
            ..inner
        };
        look.row(
            list,
            0,
            &Line::from(look.span(text::fit(&head, columns), Role::Label)),
            false,
            buffer,
        );
        let body = Rect {
            y: list.y + 1,
            height: list.height - 1,
            ..list
        };
        for (y, at) in self
            .selection
            .visible(self.found.len(), body.height.into())
            .enumerate()
        {
            let Some(session) = self.found.get(at).and_then(|at| self.all.get(*at)) else {
                continue;
            };
            let of = |key: &str| session.get(key).and_then(Value::as_str).unwrap_or_default();
            let number = |key: &str| session.get(key).and_then(Value::as_u64).unwrap_or(0);
            let time = session
                .get("modified_ms")
                .and_then(Value::as_i64)
                .unwrap_or(0);
            let name = if of("name").is_empty() {
                of("id")
            } else {
                of("name")
            };
            let problem = of("problem");
            let last = if problem.is_empty() {
                of("title")
            } else {
                problem
            };
            let cost = session.get("cost").and_then(Value::as_f64).unwrap_or(0.0);
            let marked = self.marked.as_deref() == Some(of("id"));
            let line = Line::from(vec![
                look.span(if marked { "◆" } else { " " }, Role::Key),
                look.span(format!("{} ", text::pad(name, 26)), Role::Text),
                look.span(format!("{:>19} ", moment(time)), Role::Dim),
                look.span(
                    format!("{:>7} {:>6} ", number("events"), number("calls")),
                    Role::Number,
                ),
                look.span(format!("{:>9}  ", text::cost(cost, 0)), Role::Cost),
                look.span(
                    text::fit(last, columns.saturating_sub(75)),
                    if problem.is_empty() {
                        Role::Dim
                    } else {
                        Role::Error
                    },
                ),
            ]);
            look.row(body, y as u16, &line, at == self.selection.at, buffer);
        }
        if self.found.is_empty() {
            let words = if self.read {
                "no session fits"
            } else {
                "reading…"
            };
            look.row(
                body,
                0,
                &Line::styled(format!(" {words}"), look.style(Role::Dim)),
                false,
                buffer,
            );
        }
        self.searching.then_some(cursor)
    }
}

/// A moment in the person's own time zone.
fn moment(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map(|it| {
            it.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        })
        .unwrap_or_default()
}
