//! Windows above everything: help, palette, command line, questions.

use std::collections::HashSet;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;
use serde_json::json;

use super::approve::Approve;
use super::command_line::{CommandLine, Step};
use super::context::{Context, Purpose};
use super::form::Field;
use super::health::Health;
use super::keys::{Act, Scope, TABLE, name_of};
use super::list::Selection;
use super::look::{self, Look};
use super::metrics::Metrics;
use super::text;
use crate::app::{InputWanted, State, Waiting};
use crate::command;
use crate::sanitize;
use crate::theme::Role;

/// What stands above the panes.
#[derive(Debug)]
pub(super) enum Overlay {
    /// Keys, searchable.
    Help(Search),
    /// Actions and things, found by letters.
    Palette(Search),
    /// Cells written so far.
    History(Search),
    /// `:` and a line.
    Command(CommandLine),
    /// A cell asks for input.
    Answer(Box<(InputWanted, Field)>),
    /// A tool's call waits for approval.
    Approve(Approve),
    /// How the workers are.
    Health(Health),
    /// What was measured.
    Metrics(Metrics),
    /// Something still runs.
    ConfirmQuit,
}

/// What came of a key.
pub(super) enum Outcome {
    /// It stays.
    Stay,
    /// It goes.
    Close,
    /// It goes, and this is to be done.
    Do(Act),
    /// It goes, and this command line is to be carried out.
    Command(String),
    /// It goes, and this command line is to be written on.
    Write(String),
    /// It goes, and this text is to be put into the editor.
    Insert(String),
    /// End the workbench.
    Quit,
}

/// A list that is searched by letters.
#[derive(Debug)]
pub(super) struct Search {
    field: Field,
    rows: Vec<Row>,
    found: Vec<usize>,
    selection: Selection,
}

#[derive(Debug)]
struct Row {
    left: String,
    right: String,
    does: Does,
}

#[derive(Debug, Clone)]
enum Does {
    Nothing,
    Act(Act),
    Command(String),
    Write(String),
    Insert(String),
}

impl Overlay {
    /// The keys that hold here first, then all others.
    pub(super) fn help(scopes: &[Scope]) -> Self {
        let mut order: Vec<Scope> = scopes.to_vec();
        for binding in TABLE {
            if !order.contains(&binding.scope) {
                order.push(binding.scope);
            }
        }
        let mut rows = Vec::new();
        for scope in order {
            let of_scope = TABLE.iter().filter(|it| it.scope == scope);
            rows.extend(of_scope.map(|it| Row {
                left: it.keys.join("  "),
                right: format!("{} · {}", scope.title(), it.doc),
                does: Does::Nothing,
            }));
        }
        rows.extend(command::TABLE.iter().map(|it| Row {
            left: format!(":{}", it.name),
            right: format!("{} · {}", it.group.title(), it.doc),
            does: Does::Write(format!("{} ", it.name)),
        }));
        Self::Help(Search::new(rows))
    }

    /// What was measured, from the beginning.
    pub(super) fn metrics() -> Self {
        Self::Metrics(Metrics::default())
    }

    /// Everything that can be done by name.
    pub(super) fn palette(state: &State) -> Self {
        let mut rows: Vec<Row> = TABLE
            .iter()
            .filter(|it| it.scope == Scope::Everywhere && it.act != Act::Palette)
            .map(|it| Row {
                left: it.doc.to_owned(),
                right: it.keys.join(" "),
                does: Does::Act(it.act),
            })
            .collect();
        let session = &state.session;
        let mut command = |left: String, line: String| {
            rows.push(Row {
                left,
                right: format!(":{line}"),
                does: Does::Command(line),
            });
        };
        for name in session.lms.keys() {
            command(format!("Use LM {name}"), format!("lm use {name}"));
        }
        for name in session.programs.keys() {
            command(format!("Run program {name}"), format!("run {name}"));
        }
        for name in crate::theme::Theme::BUILT_IN {
            command(format!("Theme {name}"), format!("theme {name}"));
        }
        for entry in command::palette_entries() {
            rows.push(Row {
                left: entry.doc.trim_end_matches('.').to_owned(),
                right: format!(":{}  {}", entry.name, entry.key)
                    .trim_end()
                    .to_owned(),
                does: if entry.needs_arguments {
                    Does::Write(format!("{} ", entry.name))
                } else {
                    Does::Command(entry.name.to_owned())
                },
            });
        }
        Self::Palette(Search::new(rows))
    }

    /// The cells written so far, newest first, each text once.
    pub(super) fn history(state: &State) -> Self {
        let mut seen = HashSet::new();
        let cells = state.session.cells.iter().rev();
        let fresh = cells.filter(|cell| seen.insert(cell.source.as_str()));
        let rows = fresh.map(|cell| {
            let (sign, _) = look::sign(cell.status);
            Row {
                left: sanitize::one_line(&cell.source).into_owned(),
                right: format!("{sign} [{}]", cell.id.0),
                does: Does::Insert(cell.source.clone()),
            }
        });
        Self::History(Search::new(rows.collect()))
    }

    /// A command line that begins with this text.
    pub(super) fn command_line(text: &str) -> Self {
        Self::Command(CommandLine::new(text))
    }

    /// The answer to a cell's question.
    pub(super) fn answer(wanted: InputWanted) -> Self {
        let field = if wanted.password {
            Field::secret()
        } else {
            Field::default()
        };
        Self::Answer(Box::new((wanted, field)))
    }

    /// Whether a tool may be called.
    pub(super) fn approve(waiting: &Waiting, state: &State) -> Self {
        Self::Approve(Approve::new(waiting, state))
    }

    /// Asks what to do with what runs.
    pub(super) fn confirm_quit() -> Self {
        Self::ConfirmQuit
    }

    /// Takes pasted text.
    pub(super) fn paste(&mut self, text: &str) {
        match self {
            Self::Help(search) | Self::Palette(search) | Self::History(search) => {
                search.paste(text);
            }
            Self::Command(line) => line.paste(text),
            Self::Answer(answer) => answer.1.paste(text),
            Self::Approve(_) | Self::Health(_) | Self::Metrics(_) | Self::ConfirmQuit => {}
        }
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Outcome {
        let cancels = key.code == KeyCode::Esc || name_of(key) == "Ctrl-C";
        match self {
            Self::Help(search) | Self::Palette(search) | Self::History(search) => {
                if cancels || matches!(name_of(key).as_str(), "F1" | "Ctrl-P" | "Ctrl-R") {
                    return Outcome::Close;
                }
                search.key(key)
            }
            Self::Command(_) if name_of(key) == "Ctrl-C" => Outcome::Close,
            Self::Command(line) => match line.key(key, cx) {
                Step::Stay => Outcome::Stay,
                Step::Close => Outcome::Close,
                Step::Done(line) => Outcome::Command(line),
            },
            Self::Answer(answer) => {
                let text = match key.code {
                    KeyCode::Enter => json!(answer.1.text()),
                    KeyCode::Char('d') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                        json!(null)
                    }
                    _ if cancels => {
                        cx.submit(Purpose::Quiet, "interrupt", json!({"cell": answer.0.cell}));
                        return Outcome::Close;
                    }
                    _ => {
                        answer.1.key(key);
                        return Outcome::Stay;
                    }
                };
                let reply = json!({"text": text, "id": answer.0.id});
                cx.submit(Purpose::Quiet, "reply_input", reply);
                Outcome::Close
            }
            Self::Approve(approve) => approve.key(key, cx),
            Self::Health(health) => health.key(key, cx),
            Self::Metrics(metrics) => {
                let act = match key.code {
                    KeyCode::Up | KeyCode::Char('k') => Act::Up,
                    KeyCode::Down | KeyCode::Char('j') => Act::Down,
                    KeyCode::PageUp => Act::PageUp,
                    KeyCode::PageDown | KeyCode::Char(' ') => Act::PageDown,
                    KeyCode::Home | KeyCode::Char('g') => Act::Top,
                    KeyCode::End | KeyCode::Char('G') => Act::Bottom,
                    KeyCode::Char('q') | KeyCode::Enter => return Outcome::Close,
                    _ if cancels => return Outcome::Close,
                    _ => return Outcome::Stay,
                };
                metrics.act(act);
                Outcome::Stay
            }
            Self::ConfirmQuit => {
                match key.code {
                    // The core goes on without a screen until its runs end.
                    KeyCode::Char('k') | KeyCode::Enter => Outcome::Quit,
                    KeyCode::Char('c') => {
                        let running =
                            cx.state.session.runs.values().rev().take(50).filter(|it| {
                                it.status == crate::session::event::RunStatus::Running
                            });
                        for run in running {
                            match run.cell {
                                Some(cell) => {
                                    cx.submit(Purpose::Quiet, "interrupt", json!({"cell": cell}));
                                }
                                None => cx.submit(Purpose::Quiet, "cancel", json!({"run": run.id})),
                            }
                        }
                        Outcome::Quit
                    }
                    _ => Outcome::Close,
                }
            }
        }
    }

    /// Draws it; answers where the cursor is.
    pub(super) fn draw(
        &mut self,
        screen: Rect,
        state: &State,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let look = Look {
            focused: true,
            ..look
        };
        match self {
            Self::Help(search) => search.draw("Keys and commands", screen, look, buffer, true),
            Self::Palette(search) => search.draw("Palette", screen, look, buffer, false),
            Self::History(search) => search.draw("Earlier cells", screen, look, buffer, false),
            Self::Command(line) => Some(line.draw(screen, look, buffer)),
            Self::Answer(answer) => {
                let row = Rect {
                    y: screen.bottom().saturating_sub(1),
                    height: 1,
                    ..screen
                };
                let question = format!(
                    "[{}] {} ",
                    answer.0.cell.0,
                    text::fit(&answer.0.prompt, usize::from(screen.width) / 2)
                );
                Some(prompt(row, &question, &answer.1, look, buffer))
            }
            Self::Approve(approve) => {
                approve.draw(screen, state, look, buffer);
                None
            }
            Self::Health(health) => {
                health.draw(screen, look, buffer);
                None
            }
            Self::Metrics(metrics) => {
                metrics.draw(screen, state, look, buffer);
                None
            }
            Self::ConfirmQuit => {
                let area = look::centred(screen, 58, 6);
                let inner = look.popup("Something is still running", area, buffer);
                let line = |key: &str, words: &str| {
                    Line::from(vec![
                        look.span(format!(" {key:<5} "), Role::Key),
                        look.span(words.to_owned(), Role::Popup),
                    ])
                };
                let lines = [
                    line("k", "leave, and let it finish without a screen"),
                    line("c", "cancel it and leave"),
                    line("Esc", "stay"),
                ];
                look.lines(inner, &lines, buffer);
                None
            }
        }
    }
}

/// Draws a one-line question with its field; answers where the cursor is.
pub(super) fn prompt(
    row: Rect,
    mark: &str,
    field: &Field,
    look: Look<'_>,
    buffer: &mut Buffer,
) -> Position {
    ratatui::widgets::Widget::render(ratatui::widgets::Clear, row, buffer);
    buffer.set_style(row, look.style(Role::Popup));
    buffer.set_stringn(row.x, row.y, mark, row.width.into(), look.style(Role::Key));
    let from = (text::width(mark) as u16).min(row.width);
    let room = Rect {
        x: row.x + from,
        width: row.width - from,
        ..row
    };
    field.draw(room, look, buffer)
}

impl Search {
    fn new(rows: Vec<Row>) -> Self {
        let found = (0..rows.len()).collect();
        Self {
            field: Field::default(),
            rows,
            found,
            selection: Selection::default(),
        }
    }

    fn key(&mut self, key: KeyEvent) -> Outcome {
        let act = match key.code {
            KeyCode::Up => Act::Up,
            KeyCode::Down => Act::Down,
            KeyCode::PageUp => Act::PageUp,
            KeyCode::PageDown => Act::PageDown,
            KeyCode::Enter => {
                let row = self
                    .found
                    .get(self.selection.at)
                    .and_then(|at| self.rows.get(*at));
                return match row.map(|row| row.does.clone()) {
                    Some(Does::Act(act)) => Outcome::Do(act),
                    Some(Does::Command(line)) => Outcome::Command(line),
                    Some(Does::Write(line)) => Outcome::Write(line),
                    Some(Does::Insert(text)) => Outcome::Insert(text),
                    Some(Does::Nothing) | None => Outcome::Close,
                };
            }
            _ => {
                if self.field.key(key) {
                    self.search();
                }
                return Outcome::Stay;
            }
        };
        self.selection.act(act, self.found.len());
        Outcome::Stay
    }

    fn paste(&mut self, text: &str) {
        self.field.paste(text);
        self.search();
    }

    /// Finds the rows that fit, best first.
    fn search(&mut self) {
        let pattern = Pattern::parse(
            &self.field.text(),
            CaseMatching::Ignore,
            Normalization::Smart,
        );
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut characters = Vec::new();
        let mut scored: Vec<(u32, usize)> = self
            .rows
            .iter()
            .enumerate()
            .filter_map(|(at, row)| {
                let hay = format!("{} {}", row.left, row.right);
                let score = pattern.score(Utf32Str::new(&hay, &mut characters), &mut matcher)?;
                Some((score, at))
            })
            .collect();
        scored.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        self.found = scored.into_iter().map(|(_, at)| at).collect();
        self.selection = Selection::default();
    }

    fn draw(
        &mut self,
        title: &str,
        screen: Rect,
        look: Look<'_>,
        buffer: &mut Buffer,
        keys: bool,
    ) -> Option<Position> {
        let area = look::centred(screen, 84, screen.height.saturating_sub(4).min(30));
        let inner = look.popup(title, area, buffer);
        if inner.height < 2 {
            return None;
        }
        buffer.set_stringn(inner.x, inner.y, " ❯ ", 3, look.style(Role::Key));
        let room = Rect {
            x: inner.x + 3,
            width: inner.width.saturating_sub(3),
            ..inner
        };
        let cursor = self.field.draw(room, look, buffer);
        let list = Rect {
            y: inner.y + 1,
            height: inner.height - 1,
            ..inner
        };
        let columns = usize::from(list.width);
        for (y, at) in self
            .selection
            .visible(self.found.len(), list.height.into())
            .enumerate()
        {
            let Some(row) = self.found.get(at).and_then(|at| self.rows.get(*at)) else {
                continue;
            };
            let line = if keys {
                let left = 22.min(columns / 2);
                Line::from(vec![
                    look.span(format!(" {}", text::pad(&row.left, left)), Role::Key),
                    look.span(
                        text::fit(&row.right, columns.saturating_sub(left + 2)),
                        Role::Popup,
                    ),
                ])
            } else {
                let right = text::width(&row.right).min(columns / 3);
                let left = columns.saturating_sub(right + 3);
                Line::from(vec![
                    look.span(format!(" {}", text::pad(&row.left, left)), Role::Popup),
                    look.span(format!(" {} ", text::fit(&row.right, right)), Role::Dim),
                ])
            };
            look.row(list, y as u16, &line, at == self.selection.at, buffer);
        }
        if self.found.is_empty() {
            look.row(
                list,
                0,
                &Line::styled(" nothing fits", look.style(Role::Dim)),
                false,
                buffer,
            );
        }
        Some(cursor)
    }
}
