//! Help, usage lines, palette entries and the README's table, all from the rows.

use std::fmt::Write as _;

use super::{Command, Group, Shape, TABLE, named, unknown};
use crate::operation;
use crate::protocol::error::OperationError;

/// A command as the palette shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaletteEntry {
    /// What to type after the colon.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Its heading.
    pub group: Group,
    /// The key that does the same; may be empty.
    pub key: &'static str,
    /// It cannot run without arguments: put it in the command line instead.
    pub needs_arguments: bool,
}

/// Every command, for the palette.
pub fn palette_entries() -> Vec<PaletteEntry> {
    TABLE
        .iter()
        .map(|command| PaletteEntry {
            name: command.name,
            doc: command.doc,
            group: command.group,
            key: command.key,
            needs_arguments: command
                .arguments
                .iter()
                .any(|argument| argument.required && argument.shape != Shape::Pairs),
        })
        .collect()
}

/// `:lm add provider [model=…] [option=value…]`.
pub fn usage(command: &Command) -> String {
    let mut text = format!(":{}", command.name);
    for argument in command.arguments {
        let written = match argument.shape {
            Shape::Word | Shape::Number | Shape::Text | Shape::Json | Shape::Code => {
                argument.name.to_owned()
            }
            Shape::Option => format!("{}=…", argument.name),
            Shape::Pairs => "key=value…".to_owned(),
        };
        let optional = !argument.required || argument.shape == Shape::Pairs;
        let _ = if optional {
            write!(text, " [{written}]")
        } else {
            write!(text, " {written}")
        };
    }
    text
}

/// The help: all commands under their headings, or one command or operation in full.
///
/// # Errors
/// `unknown_command` with near matches.
pub fn help_text(topic: Option<&str>) -> Result<String, OperationError> {
    let Some(topic) = topic.map(|topic| topic.trim().trim_start_matches(':').to_lowercase()) else {
        return Ok(overview());
    };
    let family: Vec<&Command> = TABLE
        .iter()
        .filter(|command| command.name.split(' ').next() == Some(topic.as_str()))
        .collect();
    if family.len() > 1 {
        return Ok(family
            .iter()
            .map(|command| details(command))
            .collect::<Vec<_>>()
            .join("\n\n"));
    }
    if let Some(command) = named(&topic) {
        return Ok(details(command));
    }
    if let Ok(operation) = operation::find(&topic) {
        let example = operation::check::example(operation);
        return Ok(format!(
            "{}: {}\nfor example :exec {}",
            operation.name,
            operation.doc,
            example.trim_matches('`')
        ));
    }
    Err(unknown(&topic, &topic))
}

fn overview() -> String {
    let width = TABLE
        .iter()
        .map(|command| command.name.len())
        .max()
        .unwrap_or(0)
        + 1;
    let mut text = String::from(
        "Type Python, or one of these commands. `:help NAME` tells more, Tab completes.\n",
    );
    for group in Group::ALL {
        let _ = writeln!(text, "\n{}", group.title());
        for command in TABLE.iter().filter(|command| command.group == group) {
            let name = format!(":{}", command.name);
            let _ = writeln!(text, "  {name:<width$}  {}", command.doc);
        }
    }
    text.trim_end().to_owned()
}

fn details(command: &Command) -> String {
    let mut text = format!("{}\n  {}", usage(command), command.doc);
    for argument in command.arguments {
        let name = match argument.shape {
            Shape::Pairs => "key=value",
            _ => argument.name,
        };
        let _ = write!(text, "\n  {name:<14}  {}", argument.doc);
    }
    if !command.aliases.is_empty() {
        let names: Vec<String> = command
            .aliases
            .iter()
            .map(|alias| format!(":{alias}"))
            .collect();
        let _ = write!(text, "\n  also: {}", names.join(", "));
    }
    if !command.key.is_empty() {
        let _ = write!(text, "\n  key: {}", command.key);
    }
    let _ = write!(text, "\n  example: {}", command.example);
    text
}

/// The table of commands of the README, as Markdown.
pub fn readme_table() -> String {
    let mut text = String::from("| command | what it does | example |\n|---|---|---|\n");
    for group in Group::ALL {
        let _ = writeln!(text, "| **{}** | | |", group.title());
        for command in TABLE.iter().filter(|command| command.group == group) {
            let escape = |part: &str| part.replace('|', r"\|");
            let _ = writeln!(
                text,
                "| `{}` | {} | `{}` |",
                escape(&usage(command)),
                escape(command.doc),
                escape(command.example)
            );
        }
    }
    text
}
