//! How the screen is drawn: the lines around the panes, and which panes where.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::Line;

use super::{Areas, LEAST, Screen};
use crate::app::State;
use crate::theme::Role;
use crate::ui::keys::Scope;
use crate::ui::look::Look;
use crate::ui::overlay::Overlay;
use crate::ui::{Focus, View, status};

impl Screen {
    /// Draws everything.
    pub fn draw(&mut self, state: &State, frame: &mut Frame<'_>) {
        let area = frame.area();
        let theme = self.theme.clone();
        let look = Look {
            theme: &theme,
            focused: false,
        };
        let buffer = frame.buffer_mut();
        buffer.set_style(
            area,
            theme.style(Role::Background).patch(theme.style(Role::Text)),
        );
        if area.width < LEAST.0 || area.height < LEAST.1 {
            let words = format!(
                "too small: {}×{}, needs {}×{}",
                area.width, area.height, LEAST.0, LEAST.1
            );
            let lines = crate::ui::text::plain(&words, look.style(Role::Warn), area.width.into());
            look.lines(area, &lines, buffer);
            return;
        }
        let code = !state.session.cells.is_empty();
        self.coloured = code.then(crate::highlight::is_ready);
        let strip = status::running(state).filter(|_| self.replay.is_none());
        let low = u16::from(strip.is_some() || self.replay.is_some());
        // A long word gets the lines it needs.
        let foot = self.toast.as_ref().map_or(1, |toast| {
            let lines = status::words(toast, look, area.width).len() as u16;
            lines.clamp(1, (area.height / 4).max(1))
        });
        let banner = status::not_saving(state).filter(|_| self.replay.is_none());
        let [top, alarm, middle, progress, bottom] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(u16::from(banner.is_some())),
            Constraint::Min(3),
            Constraint::Length(low),
            Constraint::Length(foot),
        ])
        .areas(area);
        let standing = status::Standing {
            replay: self.replay,
            following: self.following,
        };
        status::top(top, state, standing, look, buffer);
        if let Some(words) = banner {
            let words = crate::ui::text::pad(&words, alarm.width.into());
            let line = Line::from(look.span(words, Role::Error));
            look.row(alarm, 0, &line, true, buffer);
        }
        let mut cursor = self.draw_view(middle, state, look, buffer);
        if let Some((at, of)) = self.replay {
            draw_slider(progress, at, of, look, buffer);
        } else if let Some(run) = strip {
            let others = state
                .session
                .runs
                .values()
                .rev()
                .take(50)
                .filter(|it| it.status == run.status)
                .count()
                - 1;
            status::progress(progress, run, others, self.now_ms, look, buffer);
        }
        let scopes = match &self.overlay {
            Some(Overlay::Help(_) | Overlay::Palette(_) | Overlay::History(_)) => {
                vec![Scope::Search]
            }
            Some(Overlay::Health(_)) => vec![Scope::Health],
            _ => self.scopes(),
        };
        status::hints(bottom, &scopes, self.toast.as_ref(), look, buffer);
        if let Some(at) = cursor
            && self.view == View::Main
            && self.focus == Focus::Editor
        {
            self.notebook
                .editor
                .draw_completion(at, middle, look, buffer);
        }
        if let Some(overlay) = &mut self.overlay {
            cursor = overlay.draw(area, state, look, buffer);
        }
        if let Some(at) = cursor {
            frame.set_cursor_position(at);
        }
    }

    fn draw_view(
        &mut self,
        area: Rect,
        state: &State,
        look: Look<'_>,
        buffer: &mut ratatui::buffer::Buffer,
    ) -> Option<Position> {
        self.areas = Areas::default();
        let focused = Look {
            focused: true,
            ..look
        };
        match self.view {
            View::Main => self.draw_main(area, state, look, buffer),
            View::Trace => {
                self.areas.trace = area;
                self.trace.draw(area, state, focused, self.focus, buffer)
            }
            View::Lm => self.lm.draw(area, state, focused, buffer),
            View::Signature => self.signature.draw(area, focused, buffer),
            View::Optimise => self
                .optimise
                .draw(area, state, focused, self.now_ms, buffer),
            View::Sessions => self.sessions.draw(area, focused, buffer),
            View::Data => self.data.draw(area, state, focused, buffer),
            View::Modules => self.modules.draw(area, state, focused, buffer),
        }
    }

    fn draw_main(
        &mut self,
        area: Rect,
        state: &State,
        look: Look<'_>,
        buffer: &mut ratatui::buffer::Buffer,
    ) -> Option<Position> {
        let focus = self.focus;
        let narrow = area.width < 100;
        if self.zoom || narrow {
            let area = if narrow {
                let [tabs, rest] =
                    Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
                draw_tabs(tabs, focus, look, buffer);
                rest
            } else {
                area
            };
            match focus {
                Focus::Explorer => self.areas.explorer = area,
                Focus::Notebook | Focus::Editor => self.areas.notebook = area,
                Focus::Trace | Focus::Detail => self.areas.trace = area,
            }
        } else {
            let left = (area.width / 6).clamp(20, 30);
            let right = (area.width * 2 / 5).clamp(36, 90);
            let [explorer, notebook, trace] = Layout::horizontal([
                Constraint::Length(left),
                Constraint::Min(30),
                Constraint::Length(right),
            ])
            .areas(area);
            self.areas = Areas {
                explorer,
                notebook,
                trace,
            };
        }
        let areas = self.areas;
        let mut cursor = None;
        if areas.explorer.area() > 0 {
            self.explorer.draw(
                areas.explorer,
                state,
                Look {
                    focused: focus == Focus::Explorer,
                    ..look
                },
                buffer,
            );
        }
        if areas.notebook.area() > 0 {
            let focused = matches!(focus, Focus::Notebook | Focus::Editor);
            cursor = self.notebook.draw(
                areas.notebook,
                state,
                Look { focused, ..look },
                focus,
                buffer,
            );
        }
        if areas.trace.area() > 0 {
            let focused = matches!(focus, Focus::Trace | Focus::Detail);
            let look = Look { focused, ..look };
            let writing = self.trace.draw(areas.trace, state, look, focus, buffer);
            cursor = cursor.or(writing);
        }
        cursor
    }
}

/// Names of the panes that share a narrow screen, with their keys where there is room.
fn draw_tabs(area: Rect, focus: Focus, look: Look<'_>, buffer: &mut ratatui::buffer::Buffer) {
    let roomy = area.width >= 56;
    let tab = |name: &str, key: &str, on: bool| {
        let key = if roomy { key } else { "" };
        if on {
            look.span(format!(" [{name}{key}] "), Role::Title)
        } else {
            look.span(format!("  {name}{key}  "), Role::Dim)
        }
    };
    let notebook = matches!(focus, Focus::Notebook | Focus::Editor);
    let trace = matches!(focus, Focus::Trace | Focus::Detail);
    let line = Line::from(vec![
        tab("Explorer", " Alt-1", focus == Focus::Explorer),
        tab("Notebook", " Alt-2", notebook),
        tab("Trace", " Alt-3", trace),
    ]);
    buffer.set_line(area.x, area.y, &line, area.width);
}

/// Where the replay stands.
fn draw_slider(area: Rect, at: u64, of: u64, look: Look<'_>, buffer: &mut ratatui::buffer::Buffer) {
    let words = format!(" event {at} of {of} ");
    let room = usize::from(area.width).saturating_sub(crate::ui::text::width(&words) + 1);
    let done = if of == 0 {
        room
    } else {
        (at as f64 / of as f64 * room as f64) as usize
    };
    let line = Line::from(vec![
        look.span(words, Role::Label),
        look.span("━".repeat(done), Role::Accent),
        look.span("─".repeat(room.saturating_sub(done)), Role::Border),
    ]);
    buffer.set_line(area.x, area.y, &line, area.width);
}
