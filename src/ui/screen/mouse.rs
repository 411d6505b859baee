//! What the mouse does: the wheel scrolls, a click selects.

use crossterm::event::{KeyCode, KeyEvent, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::Screen;
use crate::ui::context::Context;
use crate::ui::keys::Act;
use crate::ui::{Focus, View};

impl Screen {
    pub(super) fn mouse(&mut self, mouse: MouseEvent, cx: &mut Context<'_>) {
        let at = Position {
            x: mouse.column,
            y: mouse.row,
        };
        let wheel = match mouse.kind {
            MouseEventKind::ScrollUp => Some(Act::Up),
            MouseEventKind::ScrollDown => Some(Act::Down),
            MouseEventKind::Down(MouseButton::Left) => None,
            _ => return,
        };
        if self.overlay.is_some() {
            return;
        }
        if !matches!(self.view, View::Main | View::Trace) {
            if let Some(act) = wheel {
                self.pane_act(act, KeyEvent::from(KeyCode::Null), cx);
            }
            return;
        }
        if self.areas.notebook.contains(at) {
            match wheel {
                Some(act) => self
                    .notebook
                    .scroll(if act == Act::Up { -3 } else { 3 }, cx.state),
                None if self.notebook.click(at.y) => self.focus = Focus::Notebook,
                None => self.focus = Focus::Editor,
            }
        } else if self.areas.explorer.contains(at) {
            if let Some(act) = wheel {
                let _ = self.explorer.act(act, cx);
            } else {
                let again = self.explorer.click(at.y) && self.focus == Focus::Explorer;
                self.focus = Focus::Explorer;
                if again {
                    self.main_act(Act::Enter, cx);
                }
            }
        } else if self.areas.trace.contains(at) {
            match wheel {
                Some(act) => {
                    let focus = if self.focus == Focus::Detail {
                        Focus::Detail
                    } else {
                        Focus::Trace
                    };
                    self.trace.act(act, focus, cx);
                }
                None => {
                    if let Some(focus) = self.trace.click(at.x, at.y, cx) {
                        self.focus = focus;
                    }
                }
            }
        }
    }
}
