//! The generated parts of README.md are what the tables in the code say.
//! `UPDATE=1 cargo test readme` writes them anew.

use std::fmt::Write as _;

use dspex_tui::operation::{self, Kind};

use crate::support::readme::check_section;

#[test]
fn operations_in_the_readme_are_those_of_the_table() {
    let mut table = String::from("| operation | arguments | what it does |\n|---|---|---|\n");
    for operation in operation::all() {
        let mut arguments: Vec<String> = operation
            .arguments
            .iter()
            .map(|field| {
                let mark = if field.required { "" } else { "?" };
                match field.kind {
                    Kind::OneOf(words) => format!("`{}{mark}`: {}", field.name, words.join(", ")),
                    _ => format!("`{}{mark}`", field.name),
                }
            })
            .collect();
        if operation.open {
            arguments.push("…".into());
        }
        let _ = writeln!(
            table,
            "| `{}` | {} | {} |",
            operation.name,
            arguments.join(", "),
            operation.doc.replace('|', r"\|")
        );
    }
    check_section("operations", &table);
}

#[test]
fn settings_in_the_readme_are_those_of_the_table() {
    check_section("settings", &dspex_tui::config::readme_table());
}

/// R136: every key is listed, from the one table the screen reads.
#[test]
fn keys_in_the_readme_are_those_of_the_table() {
    check_section("keys", &dspex_tui::ui::readme_keys());
}
