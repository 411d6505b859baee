//! The window that asks whether a tool may be called, with its exact arguments.

use std::time::{Duration, Instant};

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use serde_json::json;

use super::context::{Context, Purpose};
use super::keys::name_of;
use super::look::{self, Look};
use super::overlay::Outcome;
use super::text;
use crate::app::{State, Waiting};
use crate::theme::Role;

/// How long a person who was writing must have paused before a key answers.
const PAUSE: Duration = Duration::from_secs(1);

/// A call that waits, and how far its arguments are scrolled.
#[derive(Debug)]
pub(super) struct Approve {
    id: u64,
    tool: String,
    run: Option<u64>,
    /// Who calls it.
    caller: String,
    arguments: String,
    from: usize,
    /// Until then keys go where the person was writing when the window came up.
    writing_until: Option<Instant>,
}

impl Approve {
    pub(super) fn new(waiting: &Waiting, state: &State) -> Self {
        let wanted = &waiting.wanted;
        let run = wanted.run.and_then(|run| state.session.runs.get(&run));
        let caller = run.map_or_else(String::new, |run| {
            format!("run {} · {}", run.id.0, run.title)
        });
        Self {
            id: waiting.id,
            tool: wanted.tool.clone(),
            run: wanted.run.map(|run| run.0),
            caller,
            arguments: serde_json::to_string_pretty(&wanted.arguments).unwrap_or_default(),
            from: 0,
            writing_until: None,
        }
    }

    /// It came up while a person was writing, who did not mean it.
    pub(super) fn amid_writing(&mut self) {
        self.writing_until = Some(Instant::now() + PAUSE);
    }

    /// Whether a key is still meant for what was being written.
    pub(super) fn lets_through(&mut self, key: KeyEvent) -> bool {
        let now = Instant::now();
        let writes =
            self.writing_until.is_some_and(|until| now < until) && name_of(key) != "Ctrl-C";
        self.writing_until = writes.then(|| now + PAUSE);
        writes
    }

    /// Number of the call.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Whether the call still waits.
    pub(super) fn waits(&self, state: &State) -> bool {
        let mut waiting = state.approvals.waiting.iter();
        waiting.any(|waiting| waiting.id == self.id)
    }

    pub(super) fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Outcome {
        let decision = match key.code {
            // Whoever stops the run answers the question too.
            _ if name_of(key) == "Ctrl-C" => {
                if let Some(run) = self.run {
                    cx.submit(Purpose::Quiet, "cancel", json!({"run": run}));
                }
                "deny"
            }
            KeyCode::Char('y') => "allow",
            KeyCode::Char('a') => "allow_run",
            KeyCode::Char('n') | KeyCode::Esc => "deny",
            KeyCode::Down => {
                let last = self.arguments.lines().count().saturating_sub(1);
                self.from = (self.from + 1).min(last);
                return Outcome::Stay;
            }
            KeyCode::Up => {
                self.from = self.from.saturating_sub(1);
                return Outcome::Stay;
            }
            _ => return Outcome::Stay,
        };
        let answer = json!({"id": self.id, "decision": decision});
        cx.submit(Purpose::Quiet, "answer_approval", answer);
        Outcome::Close
    }

    pub(super) fn draw(&self, screen: Rect, state: &State, look: Look<'_>, buffer: &mut Buffer) {
        let width = screen.width.min(76);
        let columns = usize::from(width).saturating_sub(4).max(1);
        let shown: String = self
            .arguments
            .lines()
            .skip(self.from)
            .collect::<Vec<_>>()
            .join("\n");
        let body = text::plain(&shown, look.style(Role::Popup), columns);
        let height = (body.len() as u16 + 8).min(screen.height);
        let area = look::centred(screen, width, height);
        let title = format!("Allow {}?", text::fit(&self.tool, columns / 2));
        let inner = look.popup(&title, area, buffer);
        let room = usize::from(inner.height).saturating_sub(6);
        let hidden = body.len().saturating_sub(room);
        let others = state.approvals.waiting.len().saturating_sub(1);
        let others = match others {
            0 => String::new(),
            1 => " · 1 more waits".to_owned(),
            n => format!(" · {n} more wait"),
        };
        let caller = text::fit(&self.caller, columns.saturating_sub(others.len()));
        let mut lines = vec![Line::from(vec![
            look.span(format!(" {caller}"), Role::Dim),
            look.span(others, Role::Warn),
        ])];
        lines.extend(body.into_iter().take(room).map(|mut line| {
            line.spans.insert(0, look.span(" ".to_owned(), Role::Popup));
            line
        }));
        lines.push(if self.writing_until.is_some() {
            let words = " what you write goes on to the cell until you pause for a second";
            look.span(text::fit(words, columns), Role::Warn).into()
        } else if hidden > 0 || self.from > 0 {
            look.span(format!(" {hidden} more lines below · ↑ ↓"), Role::Dim)
                .into()
        } else {
            Line::default()
        });
        for (key, words) in [
            ("y", "allow this call"),
            ("a", "allow this tool for the rest of the run"),
            ("n", "refuse; the module sees that you did"),
            ("Ctrl-C", "refuse, and stop the run"),
        ] {
            lines.push(Line::from(vec![
                look.span(format!(" {key:<7}"), Role::Key),
                look.span(text::fit(words, columns.saturating_sub(8)), Role::Popup),
            ]));
        }
        look.lines(inner, &lines, buffer);
    }
}
