//! The score as it climbs: one line a candidate over the examples scored of it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::Marker;
use ratatui::text::Line;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget as _};

use super::story::Story;
use crate::theme::Role;
use crate::ui::look::Look;
use crate::ui::{status, text};

/// Lines drawn at most: the first and the newest.
const LINES: usize = 8;

/// Draws the chart with its legend.
pub(super) fn draw(area: Rect, story: &Story<'_>, look: Look<'_>, buffer: &mut Buffer) {
    let inner = look.pane("Score · running mean of the examples, %", area, buffer);
    if story.curves.is_empty() {
        let words = " each scored example appears here at once";
        look.lines(inner, &[Line::styled(words, look.style(Role::Dim))], buffer);
        return;
    }
    let newest = story.curves.keys().next_back().copied().unwrap_or(0);
    let shown: Vec<(u32, &[f64])> = story
        .curves
        .iter()
        .rev()
        .take(LINES - 1)
        .chain(
            story
                .curves
                .iter()
                .next()
                .filter(|_| story.curves.len() >= LINES),
        )
        .map(|(number, curve)| (*number, curve.as_slice()))
        .collect();
    let role = |number: u32| match number {
        _ if number == newest => Role::Chart,
        0 => Role::Dim,
        _ => Role::Label,
    };
    let legend = legend(story, &shown, role, look);
    if inner.height < 6 || inner.width < 24 {
        let latest = story.curves.get(&newest).map_or(&[][..], Vec::as_slice);
        let spark = status::spark(latest, inner.width.into());
        let line = Line::styled(spark, look.style(Role::Chart));
        look.lines(inner, &[legend, line], buffer);
        return;
    }
    look.row(inner, 0, &legend, false, buffer);
    let room = Rect {
        y: inner.y + 1,
        height: inner.height - 1,
        ..inner
    };
    let most = shown
        .iter()
        .map(|(_, curve)| curve.len())
        .max()
        .unwrap_or(0);
    let of_phase = story.total.filter(|_| story.scored > 0).unwrap_or(0) as usize;
    let end = most.max(of_phase).max(2);
    let columns = usize::from(room.width) * 2;
    let points: Vec<(u32, Vec<(f64, f64)>)> = shown
        .iter()
        .map(|(number, curve)| (*number, thinned(curve, columns)))
        .collect();
    let best = story.best();
    let level: Vec<(f64, f64)> = best
        .map(|best| {
            let dots = usize::from(room.width).max(2);
            let x = |at: usize| 1.0 + at as f64 * (end as f64 - 1.0) / dots as f64;
            // Every third point: a dotted line.
            (0..=dots).step_by(3).map(|at| (x(at), best)).collect()
        })
        .unwrap_or_default();
    let mut sets = Vec::new();
    for (number, points) in points.iter().rev() {
        let marker = if *number == newest {
            Marker::Braille
        } else {
            Marker::Dot
        };
        sets.push(
            Dataset::default()
                .marker(marker)
                .graph_type(GraphType::Line)
                .style(look.style(role(*number)))
                .data(points),
        );
    }
    sets.push(
        Dataset::default()
            .marker(Marker::Dot)
            .graph_type(GraphType::Scatter)
            .style(look.style(Role::ChartBest))
            .data(&level),
    );
    let dim = look.style(Role::Dim);
    let top = story
        .curves
        .values()
        .flatten()
        .copied()
        .fold(100.0_f64, f64::max);
    Chart::new(sets)
        .x_axis(
            Axis::default()
                .style(dim)
                .bounds([1.0, end as f64])
                .labels(["1".to_owned(), format!("{end} examples")]),
        )
        .y_axis(Axis::default().style(dim).bounds([0.0, top]).labels([
            "0".to_owned(),
            format!("{:.0}", top / 2.0),
            format!("{top:.0}"),
        ]))
        .render(room, buffer);
}

fn legend(
    story: &Story<'_>,
    shown: &[(u32, &[f64])],
    role: impl Fn(u32) -> Role,
    look: Look<'_>,
) -> Line<'static> {
    let mut line = Line::default();
    for (number, curve) in shown.iter().rev() {
        let done = story.candidates.iter().find(|it| it.number == *number);
        let label = match (done, *number) {
            (Some(done), _) => done.label.to_owned(),
            (None, 0) => "as it was".to_owned(),
            (None, number) => format!("candidate {number}"),
        };
        let score = done.map(|it| it.score).or_else(|| curve.last().copied());
        let mark = if story.curves.keys().next_back() == Some(number) {
            " ━ "
        } else {
            " • "
        };
        line.spans.push(look.span(mark, role(*number)));
        line.spans
            .push(look.span(text::fit(&label, 24), Role::Text));
        if let Some(score) = score {
            line.spans
                .push(look.span(format!(" {score:.1} "), Role::Number));
        }
    }
    if let Some(best) = story.best() {
        line.spans.push(look.span(" ┄ ", Role::ChartBest));
        line.spans.push(look.span("best", Role::Text));
        line.spans
            .push(look.span(format!(" {best:.1}"), Role::ChartBest));
    }
    line
}

/// At most `columns` points of a curve, always with its last one.
fn thinned(curve: &[f64], columns: usize) -> Vec<(f64, f64)> {
    let step = (curve.len() / columns.max(1)).max(1);
    let all = curve
        .iter()
        .enumerate()
        .map(|(at, score)| (at as f64 + 1.0, *score));
    let last = all.clone().next_back();
    all.step_by(step).chain(last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_is_thinned_and_keeps_its_end() {
        let curve: Vec<f64> = (0..10_000).map(f64::from).collect();
        let points = thinned(&curve, 100);
        assert!(points.len() <= 102);
        assert_eq!(points.first(), Some(&(1.0, 0.0)));
        assert_eq!(points.last(), Some(&(10_000.0, 9_999.0)));
    }
}
