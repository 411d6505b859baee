//! F5: evaluations and optimisations: the score as it climbs, the candidates.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::Line;
use serde_json::{Value, json};

use super::context::{Context, Purpose};
use super::form::{Form, Step};
use super::keys::Act;
use super::list::Selection;
use super::look::{self, Look};
use super::text;
use crate::app::State;
use crate::session::event::{RunId, RunKind, RunStatus};
use crate::session::state::Run;
use crate::theme::Role;

use story::Story;

mod chart;
pub(super) mod story;

/// What there is to see before anything was scored.
const HOW: &str = "Nothing has been scored yet. An optimisation takes a program, examples and a metric, shows each score as it comes, and keeps the better program.

In the notebook:
  qa = dspy.ChainOfThought(\"question -> answer\")     a program
  :data load arithmetic                               examples that come with the workbench
  :eval qa arithmetic                                 its score as it is
  :optimize qa arithmetic                             a better one; or `n` here, with a form";

/// Which run, and one being set up.
#[derive(Debug, Default)]
pub(super) struct Optimise {
    selection: Selection,
    form: Option<Form>,
    took: bool,
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
                    Purpose::Say(format!("asked it to stop: {}", kept(run))),
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
        let height = match runs.len() {
            0 => area.height,
            n => (n as u16 + 2).clamp(3, (area.height / 4).max(3)),
        };
        let [top, rest] =
            Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(area);
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
            let calls = text::many(run.totals.calls + run.totals.hits, "call");
            let cost = text::cost(run.totals.cost, run.totals.unpriced);
            let right = format!(" {took:>9} {calls:>10} {cost:>9} ");
            let left = columns.saturating_sub(3 + text::width(&right));
            let line = Line::from(vec![
                look.span(format!(" {mark} "), role),
                look.span(text::pad(&run.title, left), Role::Text),
                look.span(right, Role::Dim),
            ]);
            look.row(inner, y as u16, &line, at == self.selection.at, buffer);
        }
        if runs.is_empty() {
            look.lines(
                inner,
                &text::plain(HOW, look.style(Role::Dim), columns),
                buffer,
            );
        }
        let side = Look {
            focused: false,
            ..look
        };
        if let Some(run) = runs.get(self.selection.at) {
            self::draw_run(rest, run, side, now_ms, buffer);
        }
        self.form
            .as_ref()
            .and_then(|form| form.draw(area, look, buffer))
    }
}

fn draw_run(area: Rect, run: &Run, look: Look<'_>, now_ms: i64, buffer: &mut Buffer) {
    let story = Story::of(run);
    let table = (story.candidates.len() as u16 + 3)
        .min(area.height / 2)
        .max(4);
    let [facts, chart, candidates] = Layout::vertical([
        Constraint::Length(3),
        Constraint::Min(4),
        Constraint::Length(table),
    ])
    .areas(area);
    draw_facts(facts, run, &story, look, now_ms, buffer);
    chart::draw(chart, &story, look, buffer);
    draw_candidates(candidates, &story, look, buffer);
}

/// Three lines: how good, how far, what became of it.
fn draw_facts(
    area: Rect,
    run: &Run,
    story: &Story<'_>,
    look: Look<'_>,
    now_ms: i64,
    buffer: &mut Buffer,
) {
    let fact = |line: &mut Line<'static>, name: &str, value: String, role: Role| {
        line.spans.push(look.span(format!(" {name} "), Role::Label));
        line.spans.push(look.span(format!("{value}  "), role));
    };
    let mut first = Line::default();
    if let Some(best) = story.best() {
        let word = if run.kind == RunKind::Evaluate {
            "score"
        } else {
            "best"
        };
        fact(&mut first, word, format!("{best:.1}"), Role::ChartBest);
    }
    if let Some(gain) = story.gain() {
        let role = if gain > 0.0 { Role::Ok } else { Role::Dim };
        fact(&mut first, "gain", format!("{gain:+.1}"), role);
    }
    if !story.phase.is_empty() {
        let of = story.total.map(|it| format!("/{it}")).unwrap_or_default();
        let far = format!("{} {}{of}", story.phase, story.scored);
        fact(&mut first, "phase", far, Role::Text);
    }
    if let Some((found, wanted)) = story.demos {
        fact(&mut first, "demos", format!("{found}/{wanted}"), Role::Text);
    }
    if story.errors > 0 {
        fact(&mut first, "errors", story.errors.to_string(), Role::Error);
    }
    let mut second = Line::default();
    let totals = &run.totals;
    let calls = if totals.hits > 0 {
        format!("{} + {} from cache", totals.calls, totals.hits)
    } else {
        totals.calls.to_string()
    };
    fact(&mut second, "calls", calls, Role::Text);
    let cost = text::cost(totals.cost, totals.unpriced);
    fact(&mut second, "cost", cost, Role::Cost);
    let going = now_ms.saturating_sub(run.started_ms).max(0) as f64;
    let elapsed = run.duration_ms.unwrap_or(going);
    let words = text::duration(elapsed);
    fact(&mut second, "elapsed", words, Role::Text);
    if let Some(left) = story.left_ms(run, elapsed) {
        fact(&mut second, "about", text::duration(left), Role::Number);
        second.spans.push(look.span("left", Role::Label));
    }
    let third = match (run.status, &run.error) {
        (RunStatus::Interrupted, _) => {
            let kept = kept(run);
            Line::from(look.span(format!(" ■ stopped: {kept}"), Role::Warn))
        }
        (_, Some(error)) => {
            let words = format!(" ✗ {}", super::context::sentence(error));
            Line::from(look.span(text::fit(&words, area.width.into()), Role::Error))
        }
        _ => Line::default(),
    };
    look.lines(area, &[first, second, third], buffer);
}

/// What a stopped run leaves.
fn kept(run: &Run) -> String {
    let program = run.arguments.get("program").and_then(Value::as_str);
    match (run.kind, program) {
        (RunKind::Compile, Some(program)) => {
            let program = text::fit(program, 24);
            format!("`{program}` stays as it was; scores and answers so far are kept")
        }
        _ => "scores and answers so far are kept".to_owned(),
    }
}

fn draw_candidates(area: Rect, story: &Story<'_>, look: Look<'_>, buffer: &mut Buffer) {
    let inner = look.pane("Candidates", area, buffer);
    let columns = usize::from(inner.width);
    let head = format!(
        " {:>4} {:>7} {:>6} {:>7}  what distinguishes it",
        "#", "score", "demos", "from"
    );
    let head = text::fit(&head, columns);
    let head = Line::styled(head, look.style(Role::Label));
    look.row(inner, 0, &head, false, buffer);
    let best = story.best();
    for (y, it) in story.candidates.iter().rev().enumerate() {
        let from = it
            .parent
            .map_or_else(|| "—".to_owned(), |it| it.to_string());
        let role = if Some(it.score) == best {
            Role::ChartBest
        } else {
            Role::Text
        };
        let line = Line::from(vec![
            look.span(format!(" {:>4} ", it.number), Role::Dim),
            look.span(format!("{:>7.1} ", it.score), role),
            look.span(format!("{:>6} {from:>7}  ", it.demos), Role::Dim),
            look.span(text::fit(it.label, columns.saturating_sub(29)), Role::Text),
        ]);
        look.row(inner, y as u16 + 1, &line, false, buffer);
    }
}
