//! A selection in a long list: which row, and which rows are visible.

use super::keys::Act;

/// Which row is selected, and which is drawn first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// The selected row.
    pub(crate) at: usize,
    /// The first drawn row.
    pub(crate) top: usize,
    /// Rows drawn last time.
    pub(crate) page: usize,
}

impl Selection {
    /// Moves as asked; false when the action is not a movement.
    pub(crate) fn act(&mut self, act: Act, len: usize) -> bool {
        let last = len.saturating_sub(1);
        let page = self.page.max(1);
        self.at = match act {
            Act::Up => self.at.saturating_sub(1),
            Act::Down | Act::Complete => self.at + 1,
            Act::PageUp => self.at.saturating_sub(page),
            Act::PageDown => self.at + page,
            Act::Top => 0,
            Act::Bottom => last,
            _ => return false,
        }
        .min(last);
        true
    }

    /// The rows to draw in `height` lines, with the selected one among them.
    pub(crate) fn visible(&mut self, len: usize, height: usize) -> std::ops::Range<usize> {
        self.page = height;
        self.at = self.at.min(len.saturating_sub(1));
        if self.at < self.top {
            self.top = self.at;
        } else if height > 0 && self.at >= self.top + height {
            self.top = self.at + 1 - height;
        }
        self.top = self.top.min(len.saturating_sub(height));
        self.top..(self.top + height).min(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_row_is_visible() {
        let mut selection = Selection::default();
        assert_eq!(selection.visible(100, 10), 0..10);
        selection.act(Act::Bottom, 100);
        assert_eq!(selection.visible(100, 10), 90..100);
        selection.act(Act::PageUp, 100);
        assert_eq!((selection.at, selection.visible(100, 10)), (89, 89..99));
        assert_eq!(selection.visible(3, 10), 0..3);
        assert_eq!(selection.visible(0, 0), 0..0);
    }
}
