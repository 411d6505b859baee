//! The one table of keys: what each does, where, and how help names it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::View;

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
    /// A replay.
    Replay,
    /// A form.
    Form,
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
            Self::Replay => "Replay",
            Self::Form => "Forms",
        }
    }
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Help,
    Palette,
    CommandLine,
    Quit,
    Suspend,
    Interrupt,
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

const fn on(
    scope: Scope,
    keys: &'static [&'static str],
    act: Act,
    hint: &'static str,
    doc: &'static str,
) -> Binding {
    Binding {
        scope,
        keys,
        act,
        hint,
        doc,
    }
}

/// Every key there is.
pub(crate) const TABLE: &[Binding] = &[
    on(
        Scope::Everywhere,
        &["F1"],
        Act::Help,
        "help",
        "Help: every key, searchable",
    ),
    on(
        Scope::Everywhere,
        &["F2"],
        Act::Open(View::Lm),
        "LM",
        "LM profiles: add, edit, test, select",
    ),
    on(
        Scope::Everywhere,
        &["F3"],
        Act::Open(View::Signature),
        "signature",
        "Signature editor with the exact prompt",
    ),
    on(
        Scope::Everywhere,
        &["F4"],
        Act::Open(View::Trace),
        "trace",
        "The trace over the whole screen",
    ),
    on(
        Scope::Everywhere,
        &["F5"],
        Act::Open(View::Optimise),
        "optimise",
        "Optimisations: start, watch, stop",
    ),
    on(
        Scope::Everywhere,
        &["F6"],
        Act::Open(View::Sessions),
        "sessions",
        "Sessions: search and replay",
    ),
    on(
        Scope::Everywhere,
        &["F7"],
        Act::Open(View::Data),
        "data",
        "Datasets",
    ),
    on(
        Scope::Everywhere,
        &["Ctrl-P"],
        Act::Palette,
        "palette",
        "Palette: find any action by name",
    ),
    on(Scope::Everywhere, &["Ctrl-Q"], Act::Quit, "", "Quit"),
    on(
        Scope::Everywhere,
        &["Ctrl-C"],
        Act::Interrupt,
        "",
        "Interrupt what runs; else clear the line",
    ),
    on(
        Scope::Everywhere,
        &["Ctrl-Z"],
        Act::Suspend,
        "",
        "Back to the shell; `fg` returns",
    ),
    on(
        Scope::Everywhere,
        &["F8"],
        Act::Zoom,
        "",
        "Zoom the pane with the focus, also from text fields",
    ),
    on(
        Scope::Everywhere,
        &["F12"],
        Act::Mouse,
        "",
        "Release the mouse to select text; again to catch it",
    ),
    on(
        Scope::Everywhere,
        &["Ctrl-L"],
        Act::Redraw,
        "",
        "Draw the screen anew",
    ),
    on(
        Scope::Everywhere,
        &["Alt-1"],
        Act::FocusExplorer,
        "",
        "To the explorer",
    ),
    on(
        Scope::Everywhere,
        &["Alt-2"],
        Act::FocusNotebook,
        "",
        "To the notebook",
    ),
    on(
        Scope::Everywhere,
        &["Alt-3"],
        Act::FocusTrace,
        "",
        "To the trace",
    ),
    on(
        Scope::Lists,
        &["Tab"],
        Act::NextPane,
        "next pane",
        "Next pane",
    ),
    on(
        Scope::Lists,
        &["Shift-Tab"],
        Act::PrevPane,
        "",
        "Previous pane",
    ),
    on(Scope::Lists, &["z"], Act::Zoom, "zoom", "Zoom the pane"),
    on(
        Scope::Lists,
        &[":"],
        Act::CommandLine,
        "command",
        "Command line",
    ),
    on(Scope::Lists, &["?"], Act::Help, "keys", "Keys of this pane"),
    on(Scope::Lists, &["Up", "k"], Act::Up, "", "Up"),
    on(Scope::Lists, &["Down", "j"], Act::Down, "", "Down"),
    on(
        Scope::Lists,
        &["PageUp", "Ctrl-B"],
        Act::PageUp,
        "",
        "A page up",
    ),
    on(
        Scope::Lists,
        &["PageDown", "Ctrl-F"],
        Act::PageDown,
        "",
        "A page down",
    ),
    on(Scope::Lists, &["Home", "g"], Act::Top, "", "To the top"),
    on(Scope::Lists, &["End", "G"], Act::Bottom, "", "To the end"),
    on(
        Scope::Lists,
        &["Left", "h"],
        Act::Left,
        "",
        "Fold, or to the left",
    ),
    on(
        Scope::Lists,
        &["Right", "l"],
        Act::Right,
        "",
        "Unfold, or to the right",
    ),
    on(
        Scope::Lists,
        &["Esc", "q"],
        Act::Back,
        "back",
        "Back to the notebook",
    ),
    on(Scope::Lists, &["y"], Act::Copy, "", "Copy (OSC 52)"),
    on(
        Scope::Editor,
        &["Enter"],
        Act::Submit,
        "run",
        "Run the cell when it is complete, else a new line",
    ),
    on(
        Scope::Editor,
        &["F9", "Ctrl-Enter"],
        Act::Run,
        "",
        "Run the cell as it is",
    ),
    on(
        Scope::Editor,
        &["Alt-Enter", "Shift-Enter", "Ctrl-J"],
        Act::Newline,
        "new line",
        "New line",
    ),
    on(
        Scope::Editor,
        &["Tab"],
        Act::Complete,
        "complete",
        "Complete, or indent",
    ),
    on(
        Scope::Editor,
        &["Esc", "Shift-Tab"],
        Act::Back,
        "cells",
        "To the cells and panes",
    ),
    on(
        Scope::Editor,
        &["PageUp"],
        Act::PageUp,
        "",
        "Scroll the cells up",
    ),
    on(
        Scope::Editor,
        &["PageDown"],
        Act::PageDown,
        "",
        "Scroll the cells down",
    ),
    on(
        Scope::Editor,
        &["Ctrl-O"],
        Act::External,
        "",
        "Edit the cell in $EDITOR",
    ),
    on(
        Scope::Cells,
        &["Enter", "e"],
        Act::Edit,
        "edit",
        "Edit the cell and run it again in place",
    ),
    on(
        Scope::Cells,
        &["i", "a"],
        Act::New,
        "new cell",
        "Write a new cell",
    ),
    on(
        Scope::Cells,
        &["r"],
        Act::Run,
        "run again",
        "Run the cell again",
    ),
    on(
        Scope::Cells,
        &["o"],
        Act::Fold,
        "unfold",
        "Unfold or fold traceback and long output",
    ),
    on(
        Scope::Cells,
        &["t"],
        Act::Select,
        "trace",
        "Show the cell's trace",
    ),
    on(Scope::Cells, &["d"], Act::Delete, "", "Delete the cell"),
    on(
        Scope::Explorer,
        &["Enter"],
        Act::Enter,
        "open",
        "Open it, or unfold",
    ),
    on(
        Scope::Explorer,
        &["i"],
        Act::New,
        "insert",
        "Insert its name into the editor",
    ),
    on(
        Scope::Trace,
        &["Enter"],
        Act::Enter,
        "span",
        "To the tabs of the span",
    ),
    on(
        Scope::Trace,
        &["Space"],
        Act::Fold,
        "fold",
        "Fold or unfold",
    ),
    on(
        Scope::Trace,
        &["e"],
        Act::Fault,
        "next error",
        "To the next span that failed",
    ),
    on(Scope::Trace, &["["], Act::StepBack, "run", "The run before"),
    on(Scope::Trace, &["]"], Act::StepForward, "", "The run after"),
    on(
        Scope::Detail,
        &["Left", "h"],
        Act::Left,
        "tabs",
        "Tab to the left",
    ),
    on(
        Scope::Detail,
        &["Right", "l"],
        Act::Right,
        "",
        "Tab to the right",
    ),
    on(
        Scope::Detail,
        &["Esc"],
        Act::Back,
        "tree",
        "Back to the tree",
    ),
    on(
        Scope::Lm,
        &["Enter", "u"],
        Act::Select,
        "use",
        "Use this profile",
    ),
    on(Scope::Lm, &["n"], Act::New, "new", "New profile"),
    on(Scope::Lm, &["e"], Act::Edit, "edit", "Edit the profile"),
    on(Scope::Lm, &["t"], Act::Test, "test", "Test the connection"),
    on(
        Scope::Lm,
        &["d"],
        Act::Delete,
        "remove",
        "Remove the profile",
    ),
    on(
        Scope::Signature,
        &["Enter", "e"],
        Act::Edit,
        "edit",
        "Edit what is selected",
    ),
    on(
        Scope::Signature,
        &["n", "a"],
        Act::New,
        "add field",
        "Add a field below",
    ),
    on(
        Scope::Signature,
        &["t"],
        Act::Retype,
        "type",
        "Change the field's type",
    ),
    on(
        Scope::Signature,
        &["d"],
        Act::Delete,
        "delete",
        "Delete the field",
    ),
    on(
        Scope::Signature,
        &["Alt-Up", "K"],
        Act::MoveUp,
        "move",
        "Move the field up",
    ),
    on(
        Scope::Signature,
        &["Alt-Down", "J"],
        Act::MoveDown,
        "",
        "Move the field down",
    ),
    on(Scope::Signature, &["u"], Act::Undo, "undo", "Undo"),
    on(Scope::Signature, &["Ctrl-R"], Act::Redo, "", "Redo"),
    on(
        Scope::Signature,
        &["Right", "l"],
        Act::Other,
        "adapter",
        "Next adapter: Chat, JSON, XML",
    ),
    on(
        Scope::Signature,
        &["s", "Ctrl-S"],
        Act::Save,
        "save",
        "Save under its name",
    ),
    on(
        Scope::Signature,
        &["x"],
        Act::Try,
        "try it",
        "Try it with values of your own",
    ),
    on(
        Scope::Signature,
        &["["],
        Act::StepBack,
        "",
        "The signature before",
    ),
    on(
        Scope::Signature,
        &["]"],
        Act::StepForward,
        "",
        "The signature after",
    ),
    on(
        Scope::Signature,
        &["PageUp"],
        Act::PageUp,
        "",
        "Scroll the prompt up",
    ),
    on(
        Scope::Signature,
        &["PageDown"],
        Act::PageDown,
        "",
        "Scroll the prompt down",
    ),
    on(
        Scope::Optimise,
        &["n"],
        Act::New,
        "start",
        "Start an optimisation",
    ),
    on(Scope::Optimise, &["s"], Act::Stop, "stop", "Stop it"),
    on(
        Scope::Optimise,
        &["Enter"],
        Act::Enter,
        "trace",
        "Show its trace",
    ),
    on(
        Scope::Sessions,
        &["Enter"],
        Act::Enter,
        "replay",
        "Open it as a replay",
    ),
    on(Scope::Sessions, &["/"], Act::Search, "search", "Search"),
    on(
        Scope::Sessions,
        &["r"],
        Act::Redraw,
        "",
        "Read the list anew",
    ),
    on(Scope::Data, &["n"], Act::New, "load", "Load a dataset"),
    on(
        Scope::Data,
        &["["],
        Act::StepBack,
        "dataset",
        "The dataset before",
    ),
    on(
        Scope::Data,
        &["]"],
        Act::StepForward,
        "",
        "The dataset after",
    ),
    on(
        Scope::Replay,
        &["Space"],
        Act::Play,
        "play",
        "Play or pause",
    ),
    on(
        Scope::Replay,
        &["Left"],
        Act::StepBack,
        "step",
        "A step back",
    ),
    on(Scope::Replay, &["Right"], Act::StepForward, "", "A step on"),
    on(Scope::Replay, &["Home"], Act::Top, "", "To the beginning"),
    on(Scope::Replay, &["End"], Act::Bottom, "", "To the end"),
    on(
        Scope::Replay,
        &["q"],
        Act::Back,
        "leave",
        "Leave the replay",
    ),
    on(Scope::Form, &["Enter"], Act::Submit, "done", "Done"),
    on(
        Scope::Form,
        &["Tab", "Down"],
        Act::Down,
        "next field",
        "Next field",
    ),
    on(
        Scope::Form,
        &["Shift-Tab", "Up"],
        Act::Up,
        "",
        "Previous field",
    ),
    on(Scope::Form, &["Esc"], Act::Back, "cancel", "Cancel"),
];

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
    if held.contains(KeyModifiers::ALT) {
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
    }
}
