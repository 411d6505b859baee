//! F5: evaluations and optimisations: the score as it climbs, the candidates.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget as _};
use serde_json::json;

use super::context::{Context, Purpose};
use super::form::{Form, Step};
use super::keys::Act;
use super::list::Selection;
use super::look::{self, Look};
use super::{status, text};
use crate::app::State;
use crate::session::event::{Progress, RunId, RunKind, RunStatus};
use crate::session::state::Run;
use crate::theme::Role;

/// Which run, and one being set up.
#[derive(Debug, Default)]
pub(super) struct Optimise {
    selection: Selection,
    form: Option<Form>,
    took: bool,
}

/// What a run's progress says so far.
#[derive(Debug, Default)]
struct Story {
    phase: String,
    total: Option<u64>,
    /// Running mean of the phase, percent, one point an example, over all phases.
    curve: Vec<(f64, f64)>,
    scored: u64,
    demos: Option<(u32, u32)>,
    candidates: Vec<(u32, String, f64, u32, Option<u32>)>,
    errors: u64,
}

fn story(run: &Run) -> Story {
    let mut story = Story::default();
    let (mut sum, mut n) = (0.0, 0.0);
    for step in &run.progress {
        match step {
            Progress::Phase { name, total } => {
                story.phase.clone_from(name);
                story.total = *total;
                (sum, n, story.scored) = (0.0, 0.0, 0);
            }
            Progress::Example { score, error, .. } => {
                sum += score;
                n += 1.0;
                story.scored += 1;
                story.errors += u64::from(error.is_some());
                story
                    .curve
                    .push((story.curve.len() as f64, sum / n * 100.0));
            }
            Progress::Demo { found, wanted } => story.demos = Some((*found, *wanted)),
            Progress::Candidate {
                candidate,
                label,
                score,
                demos,
                parent,
                ..
            } => {
                story
                    .candidates
                    .push((*candidate, label.clone(), *score, *demos, *parent));
            }
        }
    }
    story
}

impl Optimise {
    /// Whether keys go to a form.
    pub(super) fn writing(&self) -> bool {
        self.form.is_some()
    }

    /// Whether the last key meant something.
    pub(super) fn took(&self) -> bool {
        self.took
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

    fn runs(state: &State) -> Vec<&Run> {
        let all = state.session.runs.values().rev().map(AsRef::as_ref);
        all.filter(|run: &&Run| matches!(run.kind, RunKind::Compile | RunKind::Evaluate))
            .take(200)
            .collect()
    }

    /// What a key means; a run when its trace is wanted.
    pub(super) fn act(&mut self, act: Act, cx: &mut Context<'_>) -> Option<RunId> {
        self.took = true;
        if let Some(form) = &mut self.form {
            match form.act(act) {
                Step::Stay => {}
                Step::Cancel => self.form = None,
                Step::Done => {
                    for (field, problem) in [
                        ("program", "which program?"),
                        ("dataset", "which dataset? F7 loads one"),
                        ("metric", "which metric? for example exact_match"),
                    ] {
                        if form.text(field).is_empty() {
                            form.complain(field, problem);
                            return None;
                        }
                    }
                    let demos = form.text("max_demos");
                    let mut options = json!({});
                    if !demos.is_empty() {
                        let Ok(demos) = demos.parse::<u32>() else {
                            form.complain("max_demos", "a whole number");
                            return None;
                        };
                        options = json!({"max_bootstrapped_demos": demos});
                    }
                    let optimizer = form.text("optimizer");
                    let arguments = json!({"program": form.text("program"), "dataset": form.text("dataset"), "metric": form.text("metric"), "optimizer": if optimizer.is_empty() { "BootstrapFewShot" } else { &optimizer }, "options": options});
                    cx.submit(
                        Purpose::Say("the optimisation is done".to_owned()),
                        "optimize_prompt",
                        arguments,
                    );
                    self.form = None;
                    self.selection = Selection::default();
                }
            }
            return None;
        }
        let runs = Self::runs(cx.state);
        if self.selection.act(act, runs.len()) {
            return None;
        }
        let run = runs.get(self.selection.at).copied();
        match (act, run) {
            (Act::New, _) => {
                let first = |mut names: Vec<&String>| names.pop().cloned().unwrap_or_default();
                let program = first(cx.state.session.programs.keys().rev().collect());
                let dataset = first(cx.state.session.datasets.keys().rev().collect());
                self.form = Some(Form::new(
                    "Start an optimisation",
                    &[
                        ("program", "name of a program of the session", &program),
                        ("dataset", "name of a dataset of the session", &dataset),
                        (
                            "metric",
                            "exact_match, or a function of the notebook",
                            "exact_match",
                        ),
                        ("optimizer", "BootstrapFewShot", "BootstrapFewShot"),
                        (
                            "max_demos",
                            "most demonstrations; empty: the optimizer's own",
                            "4",
                        ),
                    ],
                ));
            }
            (Act::Stop, Some(run)) if run.status == RunStatus::Running => {
                cx.submit(
                    Purpose::Say("asked it to stop".to_owned()),
                    "cancel",
                    json!({"run": run.id}),
                );
            }
            (Act::Stop, _) => cx.say("it does not run any more"),
            (Act::Enter, Some(run)) => return Some(run.id),
            _ => self.took = false,
        }
        None
    }

    /// Draws it; answers where the cursor is.
    pub(super) fn draw(
        &mut self,
        area: Rect,
        state: &State,
        look: Look<'_>,
        now_ms: i64,
        buffer: &mut Buffer,
    ) -> Option<Position> {
        let runs = Self::runs(state);
        let height = (runs.len() as u16 + 2).clamp(3, (area.height / 4).max(3));
        let [top, rest] =
            Layout::vertical([Constraint::Length(height), Constraint::Min(5)]).areas(area);
        let inner = look.pane("Evaluations and optimisations", top, buffer);
        let columns = usize::from(inner.width);
        for (y, at) in self
            .selection
            .visible(runs.len(), inner.height.into())
            .enumerate()
        {
            let Some(run) = runs.get(at) else { continue };
            let (mark, role) = look::sign(run.status);
            let took = run.duration_ms.map(text::duration).unwrap_or_default();
            let line = Line::from(vec![
                look.span(format!(" {mark} "), role),
                look.span(
                    text::pad(&run.title, columns.saturating_sub(40)),
                    Role::Text,
                ),
                look.span(
                    format!(
                        "{:>10} {:>9} calls ",
                        took,
                        run.totals.calls + run.totals.hits
                    ),
                    Role::Dim,
                ),
                look.span(text::cost(run.totals.cost, run.totals.unpriced), Role::Cost),
            ]);
            look.row(inner, y as u16, &line, at == self.selection.at, buffer);
        }
        if runs.is_empty() {
            look.lines(
                inner,
                &text::plain(
                    "`n` starts one: a program, a dataset and a metric are needed.",
                    look.style(Role::Dim),
                    columns,
                ),
                buffer,
            );
        }
        let side = Look {
            focused: false,
            ..look
        };
        if let Some(run) = runs.get(self.selection.at) {
            self::draw_run(rest, run, side, now_ms, buffer);
        } else {
            side.pane("Score", rest, buffer);
        }
        self.form
            .as_ref()
            .and_then(|form| form.draw(area, look, buffer))
    }
}

fn draw_run(area: Rect, run: &Run, look: Look<'_>, now_ms: i64, buffer: &mut Buffer) {
    let story = story(run);
    let table = (story.candidates.len() as u16 + 3)
        .min(area.height / 2)
        .max(4);
    let [facts, chart, candidates] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Min(4),
        Constraint::Length(table),
    ])
    .areas(area);
    let best = story
        .candidates
        .iter()
        .map(|it| it.2)
        .fold(f64::NEG_INFINITY, f64::max);
    let base = story.candidates.iter().find(|it| it.0 == 0).map(|it| it.2);
    let mut parts = vec![look.span(" ", Role::Text)];
    let mut say = |name: &str, value: String, role: Role| {
        parts.push(look.span(format!("{name} "), Role::Label));
        parts.push(look.span(format!("{value}   "), role));
    };
    if best.is_finite() {
        say("best", format!("{best:.1}"), Role::Number);
        if let Some(base) = base {
            let gain = best - base;
            say(
                "gain",
                format!("{gain:+.1}"),
                if gain > 0.0 { Role::Ok } else { Role::Dim },
            );
        }
    }
    if !story.phase.is_empty() {
        let of = story.total.map(|it| format!("/{it}")).unwrap_or_default();
        say(
            "phase",
            format!("{} {}{of}", story.phase, story.scored),
            Role::Text,
        );
    }
    if let Some((found, wanted)) = story.demos {
        say("demos", format!("{found}/{wanted}"), Role::Text);
    }
    say(
        "calls",
        format!("{} + {} hits", run.totals.calls, run.totals.hits),
        Role::Text,
    );
    say(
        "cost",
        text::cost(run.totals.cost, run.totals.unpriced),
        Role::Cost,
    );
    let elapsed = run
        .duration_ms
        .unwrap_or_else(|| now_ms.saturating_sub(run.started_ms).max(0) as f64);
    say("elapsed", text::duration(elapsed), Role::Text);
    if story.errors > 0 {
        say("errors", story.errors.to_string(), Role::Error);
    }
    look.row(facts, 0, &Line::from(parts), false, buffer);
    if let Some(error) = &run.error {
        let words = text::fit(
            &format!(" ✗ {}", super::context::sentence(error)),
            facts.width.into(),
        );
        look.row(
            facts,
            1,
            &Line::from(look.span(words, Role::Error)),
            false,
            buffer,
        );
    }
    draw_curve(chart, &story, best, look, buffer);
    let inner = look.pane("Candidates", candidates, buffer);
    let columns = usize::from(inner.width);
    let head = format!(
        " {:>4} {:>7} {:>6} {:>7}  what distinguishes it",
        "#", "score", "demos", "from"
    );
    look.row(
        inner,
        0,
        &Line::styled(head, look.style(Role::Label)),
        false,
        buffer,
    );
    for (y, (n, label, score, demos, parent)) in story.candidates.iter().rev().enumerate() {
        let from = parent.map_or_else(|| "—".to_owned(), |it| it.to_string());
        let role = if *score >= best {
            Role::ChartBest
        } else {
            Role::Text
        };
        let line = Line::from(vec![
            look.span(format!(" {n:>4} "), Role::Dim),
            look.span(format!("{score:>7.1} "), role),
            look.span(format!("{demos:>6} {from:>7}  "), Role::Dim),
            look.span(text::fit(label, columns.saturating_sub(31)), Role::Text),
        ]);
        look.row(inner, y as u16 + 1, &line, false, buffer);
    }
}

/// The running score; as many points as the chart has columns are drawn.
fn draw_curve(area: Rect, story: &Story, best: f64, look: Look<'_>, buffer: &mut Buffer) {
    let inner = look.pane("Score", area, buffer);
    if story.curve.is_empty() {
        let words = "each scored example appears here at once";
        look.lines(
            inner,
            &[Line::styled(format!(" {words}"), look.style(Role::Dim))],
            buffer,
        );
        return;
    }
    if inner.height < 4 || inner.width < 20 {
        let values: Vec<f64> = story.curve.iter().map(|it| it.1).collect();
        look.lines(
            inner,
            &[Line::styled(
                status::spark(&values, inner.width.into()),
                look.style(Role::Chart),
            )],
            buffer,
        );
        return;
    }
    let step = (story.curve.len() / (usize::from(inner.width) * 2)).max(1);
    let points: Vec<(f64, f64)> = story
        .curve
        .iter()
        .step_by(step)
        .chain(story.curve.last())
        .copied()
        .collect();
    let end = (story.curve.len() as f64).max(2.0);
    let line = [(0.0, best), (end, best)];
    let mut sets = Vec::new();
    if best.is_finite() {
        sets.push(
            Dataset::default()
                .marker(Marker::Dot)
                .graph_type(GraphType::Line)
                .style(look.style(Role::ChartBest))
                .data(&line),
        );
    }
    sets.push(
        Dataset::default()
            .marker(Marker::Braille)
            .graph_type(GraphType::Line)
            .style(look.style(Role::Chart))
            .data(&points),
    );
    let dim = look.style(Role::Dim);
    Chart::new(sets)
        .x_axis(
            Axis::default()
                .style(dim)
                .bounds([0.0, end - 1.0])
                .labels(["0".to_owned(), format!("{} examples", story.curve.len())]),
        )
        .y_axis(
            Axis::default()
                .style(dim)
                .bounds([0.0, 100.0])
                .labels(["0", "50", "100"]),
        )
        .render(inner, buffer);
}
