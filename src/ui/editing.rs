//! Editing keys that `ratatui-textarea` has otherwise than a terminal's users know them.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui_textarea::TextArea;

/// Takes a key as readline would; true when the text changed. `Ctrl-U` deletes what is
/// before the cursor, `Ctrl-_` (which is also `Ctrl-/`) takes back the last change.
pub(crate) fn input(area: &mut TextArea<'_>, key: KeyEvent) -> bool {
    if key.modifiers != KeyModifiers::CONTROL {
        return area.input(key);
    }
    match key.code {
        KeyCode::Char('u') if area.cursor().1 == 0 => false,
        KeyCode::Char('u') => area.delete_line_by_head(),
        // Terminals without the newer protocol send one byte for all of these.
        KeyCode::Char('_' | '/' | '7') => area.undo(),
        _ => area.input(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(area: &mut TextArea<'_>, keys: &str) {
        for key in keys.chars() {
            let (key, modifiers) = match key {
                '⌃' => (KeyCode::Char('u'), KeyModifiers::CONTROL),
                '↶' => (KeyCode::Char('7'), KeyModifiers::CONTROL),
                '←' => (KeyCode::Left, KeyModifiers::NONE),
                other => (KeyCode::Char(other), KeyModifiers::NONE),
            };
            input(area, KeyEvent::new(key, modifiers));
        }
    }

    #[test]
    fn what_is_before_the_cursor_goes_and_comes_back() {
        let mut area = TextArea::new(vec!["first".to_owned(), String::new()]);
        area.move_cursor(ratatui_textarea::CursorMove::Bottom);
        typed(&mut area, "abcd←⌃");
        assert_eq!(area.lines(), ["first", "d"]);
        typed(&mut area, "⌃");
        assert_eq!(area.lines(), ["first", "d"], "the line before stays");
        typed(&mut area, "↶");
        assert_eq!(area.lines(), ["first", "abcd"]);
    }
}
