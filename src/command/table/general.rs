//! The workbench itself.

use super::{PANES, SCREENS, aka, argument, key, maybe, row, word};
use crate::command::Becomes::With;
use crate::command::Group::General;
use crate::command::meaning::{exec, focus, help, show};
use crate::command::{Command, Completer, Parsed, ScreenAction, Shape};

pub(super) const ROWS: &[Command] = &[
    key(
        "F1",
        aka(
            &["h", "?"],
            row(
                "help",
                General,
                "Lists the commands, or tells all about one command or operation.",
                &[argument(
                    "topic",
                    Shape::Text,
                    false,
                    Completer::Command,
                    "a command or operation",
                )],
                ":help lm",
                With(help),
            ),
        ),
    ),
    aka(
        &["q", "exit"],
        row(
            "quit",
            General,
            "Leaves the workbench; the session stays.",
            &[],
            ":quit",
            With(|_, _| Ok(Parsed::Screen(ScreenAction::Quit))),
        ),
    ),
    key(
        "Ctrl-P",
        row(
            "palette",
            General,
            "Opens the palette of everything that can be done.",
            &[],
            ":palette",
            With(|_, _| Ok(Parsed::Screen(ScreenAction::Palette))),
        ),
    ),
    aka(
        &["screen"],
        row(
            "show",
            General,
            "Shows a screen.",
            &[word("screen", Completer::OneOf(SCREENS), "which")],
            ":show signature",
            With(show),
        ),
    ),
    row(
        "focus",
        General,
        "Moves the focus to a pane.",
        &[word("pane", Completer::OneOf(PANES), "which")],
        ":focus trace",
        With(focus),
    ),
    row(
        "zoom",
        General,
        "Gives the focused pane the whole screen, or takes it back.",
        &[],
        ":zoom",
        With(|_, _| Ok(Parsed::Screen(ScreenAction::Zoom))),
    ),
    row(
        "theme",
        General,
        "Changes the theme; without a name goes to the next one.",
        &[maybe(
            "name",
            Completer::OneOf(&["dark", "light"]),
            "name of a theme",
        )],
        ":theme light",
        With(|mut bound, _| Ok(Parsed::Screen(ScreenAction::Theme(bound.take_text("name"))))),
    ),
    row(
        "clear",
        General,
        "Clears what is shown; nothing of the session is lost.",
        &[],
        ":clear",
        With(|_, _| Ok(Parsed::Screen(ScreenAction::Clear))),
    ),
    row(
        "exec",
        General,
        "Does any operation with JSON arguments.",
        &[
            word("operation", Completer::Operation, "name of the operation"),
            argument(
                "arguments",
                Shape::Json,
                false,
                Completer::None,
                "its arguments, a JSON object",
            ),
        ],
        r#":exec parse_signature {"signature": "question -> answer"}"#,
        With(exec),
    ),
];
