//! The one table of keys: what each does, where, and how help names it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::View;

mod table;

pub(crate) use table::TABLE;

/// Where a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Everywhere, whatever has the focus.
    Everywhere,
    /// In every pane that is not a text field.
    Lists,
    /// The editor of the notebook.
    Editor,
    /// The cells above it.
    Cells,
    /// The explorer.
    Explorer,
    /// The trace's tree.
    Trace,
    /// The tabs below it.
    Detail,
    /// F2.
    Lm,
    /// F3.
    Signature,
    /// F5.
    Optimise,
    /// F6.
    Sessions,
    /// F7.
    Data,
    /// F11.
    Modules,
    /// A replay.
    Replay,
    /// A form.
    Form,
    /// A window with a list that is searched.
    Search,
    /// How the workers are.
    Health,
}

impl Scope {
    /// The heading in help.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere",
            Self::Lists => "Lists",
            Self::Editor => "Editor",
            Self::Cells => "Cells",
            Self::Explorer => "Explorer",
            Self::Trace => "Trace",
            Self::Detail => "Span",
            Self::Lm => "LM profiles",
            Self::Signature => "Signature",
            Self::Optimise => "Optimise",
            Self::Sessions => "Sessions",
            Self::Data => "Data",
            Self::Modules => "Modules",
            Self::Replay => "Replay",
            Self::Form => "Forms",
            Self::Search => "Palette, help, history",
            Self::Health => "Health",
        }
    }
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Help,
    Palette,
    Health,
    CommandLine,
    Quit,
    Suspend,
    Interrupt,
    Pause,
    Zoom,
    Open(View),
    NextPane,
    PrevPane,
    FocusExplorer,
    FocusNotebook,
    FocusTrace,
    Mouse,
    Redraw,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Left,
    Right,
    Enter,
    Back,
    Copy,
    Delete,
    New,
    Edit,
    Select,
    Test,
    Run,
    Fold,
    Stop,
    Undo,
    Redo,
    MoveUp,
    MoveDown,
    Retype,
    Other,
    Save,
    Try,
    Search,
    Fault,
    Newline,
    Complete,
    Submit,
    External,
    Play,
    StepBack,
    StepForward,
    Next,
    Previous,
    Send,
    History,
    Mark,
    Compare,
    Continue,
    Find,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    /// Where.
    pub(crate) scope: Scope,
    /// Which keys, first the one to show.
    pub(crate) keys: &'static [&'static str],
    /// What.
    pub(crate) act: Act,
    /// One or two words for the hint line; empty keeps it out of there.
    pub(crate) hint: &'static str,
    /// One line for help.
    pub(crate) doc: &'static str,
}

/// The table as Markdown, for the README.
pub fn readme_table() -> String {
    let mut lines = vec![
        "| where | keys | what it does |".to_owned(),
        "|---|---|---|".to_owned(),
    ];
    let mut last = None;
    for binding in TABLE {
        let place = if last == Some(binding.scope) {
            ""
        } else {
            binding.scope.title()
        };
        last = Some(binding.scope);
        let keys: Vec<String> = binding.keys.iter().map(|key| format!("`{key}`")).collect();
        let keys = keys.join(" ").replace('|', "\\|");
        lines.push(format!("| {place} | {keys} | {} |", binding.doc));
    }
    lines.join("\n")
}

/// What this key does in the first of these scopes that knows it.
pub(crate) fn lookup(scopes: &[Scope], key: KeyEvent) -> Option<Act> {
    let name = name_of(key);
    scopes.iter().find_map(|scope| {
        TABLE
            .iter()
            .find(|binding| binding.scope == *scope && binding.keys.contains(&name.as_str()))
            .map(|binding| binding.act)
    })
}

/// A key's name, as the table writes it: `Ctrl-P`, `Shift-Tab`, `F1`, `g`.
pub(crate) fn name_of(key: KeyEvent) -> String {
    let mut name = String::new();
    let held = key.modifiers;
    if held.contains(KeyModifiers::CONTROL) {
        name.push_str("Ctrl-");
    }
    // Esc twice in a hurry comes as Alt-Esc.
    if held.contains(KeyModifiers::ALT) && key.code != KeyCode::Esc {
        name.push_str("Alt-");
    }
    let named = |name: &'static str| (name.to_owned(), held.contains(KeyModifiers::SHIFT));
    let (base, shift) = match key.code {
        KeyCode::Char(' ') => ("Space".to_owned(), false),
        KeyCode::Char(ch) if held.contains(KeyModifiers::CONTROL) => {
            (ch.to_uppercase().to_string(), false)
        }
        KeyCode::Char(ch) => (ch.to_string(), false),
        KeyCode::F(n) => (format!("F{n}"), held.contains(KeyModifiers::SHIFT)),
        KeyCode::BackTab => ("Tab".to_owned(), true),
        KeyCode::Enter => named("Enter"),
        KeyCode::Tab => named("Tab"),
        KeyCode::Esc => named("Esc"),
        KeyCode::Backspace => named("Backspace"),
        KeyCode::Up => named("Up"),
        KeyCode::Down => named("Down"),
        KeyCode::Left => named("Left"),
        KeyCode::Right => named("Right"),
        KeyCode::Home => named("Home"),
        KeyCode::End => named("End"),
        KeyCode::PageUp => named("PageUp"),
        KeyCode::PageDown => named("PageDown"),
        KeyCode::Delete => named("Delete"),
        KeyCode::Insert => named("Insert"),
        _ => (String::new(), false),
    };
    if shift {
        name.push_str("Shift-");
    }
    name + &base
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// R136: no key has two meanings in one scope, and every one is documented.
    #[test]
    fn keys_are_unambiguous_and_documented() {
        let mut seen = HashSet::new();
        for binding in TABLE {
            assert!(!binding.doc.is_empty(), "{binding:?}");
            for key in binding.keys {
                assert!(
                    seen.insert((binding.scope, *key)),
                    "{key} twice in {:?}",
                    binding.scope
                );
            }
        }
    }

    #[test]
    fn keys_have_names() {
        let key = |code, held| name_of(KeyEvent::new(code, held));
        assert_eq!(key(KeyCode::Char('p'), KeyModifiers::CONTROL), "Ctrl-P");
        assert_eq!(key(KeyCode::BackTab, KeyModifiers::SHIFT), "Shift-Tab");
        assert_eq!(key(KeyCode::Char('G'), KeyModifiers::SHIFT), "G");
        assert_eq!(key(KeyCode::Enter, KeyModifiers::ALT), "Alt-Enter");
        assert_eq!(key(KeyCode::Esc, KeyModifiers::ALT), "Esc");
    }
}
