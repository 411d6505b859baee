//! Shapes that panes share: frames, bars, key hints.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Widget as _};

use super::text;
use crate::session::event::RunStatus;
use crate::theme::{Role, Theme};

/// How a pane is to look now.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    /// Colours.
    pub(crate) theme: &'a Theme,
    /// Whether it has the focus.
    pub(crate) focused: bool,
}

impl Look<'_> {
    /// A role's style.
    pub(crate) fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// Text in a role.
    pub(crate) fn span(&self, text: impl Into<String>, role: Role) -> Span<'static> {
        Span::styled(text.into(), self.style(role))
    }

    /// Draws a framed pane and answers the room inside.
    pub(crate) fn pane(&self, title: &str, area: Rect, buffer: &mut Buffer) -> Rect {
        let (border, name) = if self.focused {
            (Role::BorderFocus, Role::Title)
        } else {
            (Role::Border, Role::Label)
        };
        let title = text::fit(title, usize::from(area.width.saturating_sub(4)));
        let block = Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(self.style(border))
            .title(Span::styled(format!(" {title} "), self.style(name)));
        let inner = block.inner(area);
        block.render(area, buffer);
        inner
    }

    /// Draws a window above the panes and answers the room inside.
    pub(crate) fn popup(&self, title: &str, area: Rect, buffer: &mut Buffer) -> Rect {
        Clear.render(area, buffer);
        buffer.set_style(area, self.style(Role::Popup));
        let block = Block::bordered()
            .border_type(BorderType::Rounded)
            .border_style(self.style(Role::BorderFocus))
            .title(Span::styled(format!(" {title} "), self.style(Role::Title)));
        let inner = block.inner(area);
        block.render(area, buffer);
        inner
    }

    /// Draws one line in a row of `area`, selected or not.
    pub(crate) fn row(
        &self,
        area: Rect,
        y: u16,
        line: &Line<'_>,
        selected: bool,
        buffer: &mut Buffer,
    ) {
        if y >= area.height {
            return;
        }
        let row = Rect {
            y: area.y + y,
            height: 1,
            ..area
        };
        buffer.set_line(row.x, row.y, line, row.width);
        if selected {
            buffer.set_style(row, self.style(Role::Selection));
        }
    }

    /// Draws lines from the top of `area`.
    pub(crate) fn lines(&self, area: Rect, lines: &[Line<'_>], buffer: &mut Buffer) {
        for (y, line) in lines.iter().take(usize::from(area.height)).enumerate() {
            self.row(area, y as u16, line, false, buffer);
        }
    }
}

/// A window of this size in the middle of `area`, smaller where it must be.
pub(crate) fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 3,
        width,
        height,
    }
}

/// The sign and role of a state.
pub(crate) fn sign(status: RunStatus) -> (&'static str, Role) {
    match status {
        RunStatus::Running => ("●", Role::Running),
        RunStatus::Ok => ("✓", Role::Ok),
        RunStatus::Error => ("✗", Role::Error),
        RunStatus::Interrupted => ("■", Role::Warn),
        RunStatus::Died => ("†", Role::Error),
    }
}
