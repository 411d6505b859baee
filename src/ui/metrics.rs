//! A window with what was measured, kept up to date while it is open.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::keys::Act;
use super::look::{self, Look};
use crate::app::State;
use crate::app::present::telemetry;
use crate::session::metrics::report;
use crate::theme::Role;

/// The widest it becomes: names have room then.
const WIDEST: u16 = 118;

/// The window's place in its lines.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    top: usize,
    /// The last place there is, as of the last frame.
    last: usize,
    page: usize,
}

impl Metrics {
    /// Scrolls.
    pub(super) fn act(&mut self, act: Act) {
        self.top = match act {
            Act::Up => self.top.saturating_sub(1),
            Act::Down => self.top + 1,
            Act::PageUp => self.top.saturating_sub(self.page),
            Act::PageDown => self.top + self.page,
            Act::Top => 0,
            Act::Bottom => self.last,
            _ => self.top,
        }
        .min(self.last);
    }

    /// Draws it.
    pub(super) fn draw(
        &mut self,
        screen: Rect,
        state: &State,
        look: Look<'_>,
        buffer: &mut Buffer,
    ) {
        let width = WIDEST.min(screen.width);
        let columns = usize::from(width.saturating_sub(4));
        let lines = telemetry::metrics(&report(&state.session), columns);
        let height = (lines.len() as u16 + 3).min(screen.height);
        let area = look::centred(screen, width, height);
        let inner = look.popup("Metrics", area, buffer);
        self.page = usize::from(inner.height.saturating_sub(1)).max(1);
        self.last = lines.len().saturating_sub(self.page);
        self.top = self.top.min(self.last);
        let shown = lines.iter().skip(self.top).take(self.page);
        let shown: Vec<Line<'_>> = shown
            .map(|line| {
                let heading = line.starts_with(|ch: char| ch.is_alphabetic());
                let role = if heading { Role::Label } else { Role::Popup };
                Line::from(look.span(format!(" {line}"), role))
            })
            .collect();
        look.lines(inner, &shown, buffer);
        let more = if self.last > 0 {
            let (first, last) = (self.top + 1, (self.top + self.page).min(lines.len()));
            format!(
                " lines {first}–{last} of {} · Up Down scroll · Esc close",
                lines.len()
            )
        } else {
            " Esc close".to_owned()
        };
        let foot = Line::from(look.span(more, Role::Dim));
        look.row(inner, inner.height.saturating_sub(1), &foot, false, buffer);
    }
}
