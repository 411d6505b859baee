//! The window that shows how the workers are: who runs what, for how long, what
//! each holds, who waits; runs are cancelled from here.
//!
//! What it shows is the answer of `health_check`. It asks anew while it is open,
//! with the clock that ticks only then; what is closed costs nothing.

use std::fmt::Write as _;

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::{Value, json};

use super::context::{Context, Purpose, sentence};
use super::keys::name_of;
use super::look::{self, Look};
use super::overlay::Outcome;
use super::{status, text};
use crate::app::OperationResult;
use crate::app::answer::{self, count, is, list};
use crate::app::health::NEARLY;
use crate::theme::Role;

/// How old an answer gets before the next is asked for, milliseconds.
const AGE_MS: i64 = 500;
/// Columns of a bar of memory.
const BAR: usize = 8;

/// What is known, and where in it the person is.
#[derive(Debug, Default)]
pub(super) struct Health {
    answer: Value,
    failed: String,
    /// A question is on its way.
    asked: bool,
    answered_ms: i64,
    /// The run that is selected.
    run: Option<u64>,
    /// First line shown, and how many there were room for.
    top: usize,
    page: usize,
}

/// A line, and the run it is about.
type Row = (Line<'static>, Option<u64>);

impl Health {
    /// Opens it: asks at once.
    pub(super) fn open(cx: &mut Context<'_>) -> Self {
        let mut health = Self::default();
        health.ask(cx);
        health
    }

    /// Time went on.
    pub(super) fn clock(&mut self, now_ms: i64, cx: &mut Context<'_>) {
        if self.answered_ms == 0 {
            self.answered_ms = now_ms;
        }
        if !self.asked && now_ms - self.answered_ms >= AGE_MS {
            self.answered_ms = now_ms;
            self.ask(cx);
        }
    }

    fn ask(&mut self, cx: &mut Context<'_>) {
        self.asked = true;
        cx.submit(Purpose::Health, "health_check", json!({}));
    }

    /// The answer came.
    pub(super) fn answered(&mut self, result: OperationResult) {
        self.asked = false;
        match result {
            Ok(answer) => (self.answer, self.failed) = (answer, String::new()),
            Err(error) => self.failed = sentence(&error),
        }
        let runs: Vec<u64> = self.runs();
        if self.run.is_none_or(|run| !runs.contains(&run)) {
            self.run = runs.first().copied();
        }
    }

    fn runs(&self) -> Vec<u64> {
        let runs = list(&self.answer, "running").map(|run| count(run, "run"));
        runs.collect()
    }

    pub(super) fn key(&mut self, key: KeyEvent, cx: &mut Context<'_>) -> Outcome {
        let runs = self.runs();
        let at = runs.iter().position(|run| Some(*run) == self.run);
        match key.code {
            KeyCode::Esc | KeyCode::Char('q') => return Outcome::Close,
            _ if matches!(name_of(key).as_str(), "Ctrl-C" | "Alt-4") => return Outcome::Close,
            KeyCode::Down | KeyCode::Char('j') if at.is_some_and(|at| at + 1 < runs.len()) => {
                self.run = at.and_then(|at| runs.get(at + 1)).copied();
            }
            KeyCode::Up | KeyCode::Char('k') if at.is_some_and(|at| at > 0) => {
                self.run = at.and_then(|at| runs.get(at - 1)).copied();
            }
            KeyCode::Down | KeyCode::Char('j') => self.top += 1,
            KeyCode::Up | KeyCode::Char('k') => self.top = self.top.saturating_sub(1),
            KeyCode::PageDown => self.top += self.page,
            KeyCode::PageUp => self.top = self.top.saturating_sub(self.page),
            KeyCode::Char('c') | KeyCode::Delete => match self.run {
                Some(run) => {
                    let said = Purpose::Say(format!("asked run {run} to stop"));
                    cx.submit(said, "cancel", json!({"run": run}));
                }
                None => cx.say("nothing runs"),
            },
            KeyCode::Enter => {
                if let Some(run) = self.run {
                    return Outcome::Command(format!("trace {run}"));
                }
            }
            _ => {}
        }
        Outcome::Stay
    }

    pub(super) fn draw(&mut self, screen: Rect, look: Look<'_>, buffer: &mut Buffer) {
        let width = screen.width.min(100);
        let columns = usize::from(width).saturating_sub(2);
        let rows = self.rows(columns, look);
        let height = (rows.len() as u16 + 2).min(screen.height.saturating_sub(2).max(3));
        let area = look::centred(screen, width, height);
        let inner = look.popup("Health", area, buffer);
        self.page = usize::from(inner.height).max(1);
        let selected = |row: &Row| row.1.is_some() && row.1 == self.run;
        // The selected run stays in sight where lines are hidden.
        let most = rows.len().saturating_sub(self.page);
        if let Some(at) = rows.iter().position(selected).filter(|_| most > 0) {
            self.top = self.top.clamp((at + 1).saturating_sub(self.page), at);
        }
        self.top = self.top.min(most);
        for (y, row) in rows.iter().skip(self.top).take(self.page).enumerate() {
            look.row(inner, y as u16, &row.0, selected(row), buffer);
        }
    }

    fn rows(&self, columns: usize, look: Look<'_>) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        let mut tell = |line: Line<'static>| rows.push((line, None));
        if !self.failed.is_empty() {
            let lines = text::plain(
                &format!(" ✗ {}", self.failed),
                look.style(Role::Error),
                columns,
            );
            lines.into_iter().for_each(&mut tell);
        }
        if self.answer.is_null() {
            if self.failed.is_empty() {
                tell(look.span(" asking …", Role::Dim).into());
            }
            return rows;
        }
        let mut wrong = list(&self.answer, "problems").peekable();
        if wrong.peek().is_none() {
            tell(look.span(" ✓ all is well", Role::Ok).into());
        }
        for problem in wrong {
            let words = format!(" ✗ {}", problem.as_str().unwrap_or_default());
            let lines = text::plain(&words, look.style(Role::Error), columns);
            lines.into_iter().for_each(&mut tell);
        }
        tell(Line::default());
        let roomy = columns >= 64;
        let mut own = list(&self.answer, "workers").peekable();
        if own.peek().is_none() {
            tell(Line::from(vec![
                look.span(" kernel     ", Role::Title),
                look.span("not started; the first cell starts it", Role::Dim),
            ]));
        }
        for worker in own {
            let mut line = Line::from(look.span(
                format!(" {:<10} ", answer::text(worker, "role")),
                Role::Title,
            ));
            line.spans.extend(member(worker, roomy, look));
            tell(line);
        }
        for pool in list(&self.answer, "pools") {
            self::pool(pool, roomy, look)
                .into_iter()
                .for_each(&mut tell);
        }
        tell(Line::default());
        let running: Vec<&Value> = list(&self.answer, "running").collect();
        if running.is_empty() {
            tell(look.span(" nothing runs", Role::Dim).into());
        }
        for run in running {
            rows.push((self.run(run, columns, look), Some(count(run, "run"))));
        }
        rows.push((Line::default(), None));
        rows.push((self.foot(columns, look), None));
        rows
    }

    /// `▸ run 7  qa(question="…")  12.3 s · worker 3`.
    fn run(&self, run: &Value, columns: usize, look: Look<'_>) -> Line<'static> {
        let id = count(run, "run");
        let seconds = run.get("seconds").and_then(Value::as_f64);
        let seconds = seconds.map_or_else(String::new, |it| text::duration(it * 1e3));
        let (place, role) = if is(run, "paused") {
            ("paused".to_owned(), Role::Warn)
        } else if is(run, "waits") {
            ("waits for a worker".to_owned(), Role::Warn)
        } else {
            let on: Vec<String> = self.carrying(id).map(|it| it.to_string()).collect();
            let s = if on.len() > 1 { "s" } else { "" };
            (format!("worker{s} {}", on.join(", ")), Role::Dim)
        };
        let left = format!(" ▸ run {id:<4} ");
        let right = format!(" {seconds:>9} · ");
        let rest = text::width(&left) + text::width(&right) + text::width(&place) + 1;
        let title = text::pad(answer::text(run, "title"), columns.saturating_sub(rest));
        Line::from(vec![
            look.span(left, Role::Running),
            look.span(title, Role::Popup),
            look.span(right, Role::Number),
            look.span(place, role),
        ])
    }

    /// The workers that carry a run out.
    fn carrying(&self, run: u64) -> impl Iterator<Item = u64> {
        let pools = list(&self.answer, "pools");
        std::iter::once(&self.answer)
            .chain(pools)
            .flat_map(|part| list(part, "workers"))
            .filter(move |it| list(it, "runs").any(|its| its.as_u64() == Some(run)))
            .map(|it| count(it, "worker"))
    }

    fn foot(&self, columns: usize, look: Look<'_>) -> Line<'static> {
        let nothing = Value::Null;
        let memory = self.answer.get("memory").unwrap_or(&nothing);
        let of = |key: &str| text::megabytes(count(memory, key));
        let mut words = format!(
            " Python {} · this workbench {}",
            of("python_mb"),
            of("workbench_mb")
        );
        let waiting = count(&self.answer, "approvals");
        if waiting > 0 {
            let _ = write!(words, " · {waiting} waiting for approval");
        }
        look.span(text::fit(&words, columns), Role::Dim).into()
    }
}

/// A pool's line, with its workers below.
fn pool(pool: &Value, roomy: bool, look: Look<'_>) -> Vec<Line<'static>> {
    let name = look.span(format!(" {:<10} ", answer::text(pool, "name")), Role::Title);
    let size = count(pool, "size");
    if size == 0 {
        let words = look.span("none; the kernel does its work", Role::Dim);
        return vec![Line::from(vec![name, words])];
    }
    let (busy, waiting) = (count(pool, "busy"), count(pool, "queue"));
    let starting = match count(pool, "starting") {
        0 => String::new(),
        n => format!(" · {n} starting"),
    };
    let role = |n, role| if n > 0 { role } else { Role::Dim };
    let mut counts = Line::from(vec![
        name,
        look.span(format!("{busy} busy"), role(busy, Role::Running)),
        look.span(
            format!(" · {} idle{starting} · {size} at most", count(pool, "idle")),
            Role::Dim,
        ),
        look.span(
            format!(" · {waiting} of {} waiting", count(pool, "queue_limit")),
            role(waiting, Role::Warn),
        ),
    ]);
    let replaced = count(pool, "restarts");
    if replaced > 0 {
        let words = format!(" · {replaced} replaced");
        counts.spans.push(look.span(words, Role::Warn));
    }
    let members = list(pool, "workers").map(|worker| {
        let mut line = Line::from(" ".repeat(12));
        line.spans.extend(member(worker, roomy, look));
        line
    });
    std::iter::once(counts).chain(members).collect()
}

/// `worker 3  busy          ███░░░░░   812 MB of 2.0 GB  process 4242`.
fn member(worker: &Value, roomy: bool, look: Look<'_>) -> Vec<Span<'static>> {
    let state = answer::text(worker, "state");
    let role = match state {
        "busy" | "starting" => Role::Running,
        "idle" => Role::Ok,
        _ => Role::Warn,
    };
    let (rss, limit) = (count(worker, "rss_mb"), count(worker, "memory_mb"));
    let percent = rss * 100 / limit.max(1);
    vec![
        look.span(
            format!("worker {:<3} ", count(worker, "worker")),
            Role::Popup,
        ),
        look.span(format!("{state:<12} "), role),
        look.span(
            if roomy { bar(percent) } else { String::new() },
            status::filled(percent),
        ),
        look.span(
            format!(
                " {:>7} of {:<7}",
                text::megabytes(rss),
                text::megabytes(limit)
            ),
            if percent >= NEARLY {
                status::filled(percent)
            } else {
                Role::Popup
            },
        ),
        look.span(format!(" process {}", count(worker, "pid")), Role::Dim),
    ]
}

/// How full something is.
fn bar(percent: u64) -> String {
    let eighths = (percent.min(100) as usize * BAR * 8).div_ceil(100);
    let (full, part) = (eighths / 8, eighths % 8);
    let part = [
        None,
        Some('▏'),
        Some('▎'),
        Some('▍'),
        Some('▌'),
        Some('▋'),
        Some('▊'),
        Some('▉'),
    ]
    .get(part)
    .copied()
    .flatten();
    let used = full + usize::from(part.is_some());
    let filled = std::iter::repeat_n('█', full).chain(part);
    filled
        .chain(std::iter::repeat_n('░', BAR.saturating_sub(used)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_wide_as_ever() {
        for (percent, shown) in [
            (0, "░░░░░░░░"),
            (1, "▏░░░░░░░"),
            (50, "████░░░░"),
            (100, "████████"),
            (400, "████████"),
        ] {
            assert_eq!(bar(percent), shown);
        }
    }
}
