//! The table of operations: name, doc, argument and result fields, route.
//!
//! Everything that can be asked of the workbench is a row of the table ([`all`]). `exec`,
//! the screen, the REPL, the socket and the README read it; nothing is listed
//! twice. Owns the check of arguments ([`check`]) and the JSON Schemas
//! ([`schema`]); does not carry anything out (see [`crate::app`]).

pub mod check;
pub mod modules;
pub mod schema;
mod table;

use crate::protocol::error::{OperationError, near_matches};
use crate::protocol::message::Lane;
use crate::session::event::RunKind;

pub use table::all;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// `snake_case`, stable.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
    /// Who carries it out.
    pub route: Route,
    /// What it accepts.
    pub arguments: &'static [Field],
    /// Whether further arguments are passed on (LM options, module options).
    pub open: bool,
    /// What it answers; empty where the answer depends on the program.
    pub result: &'static [Field],
}

/// Who carries an operation out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The core itself; no Python is started.
    Core,
    /// The kernel, on this lane, without being recorded as a run.
    Kernel(Lane),
    /// The kernel, on this lane, recorded as a run of this kind.
    Run(Lane, RunKind),
    /// A worker of a pool (the kernel, where there is no pool or what it needs
    /// cannot leave the kernel), recorded as a run of this kind.
    Job(RunKind),
}

/// One argument, or one member of a result.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// One sentence.
    pub doc: &'static str,
}

/// What values a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any JSON.
    Any,
    /// Text.
    Text,
    /// Text or null.
    MaybeText,
    /// `true` or `false`.
    Bool,
    /// A whole number, 0 or more.
    Count,
    /// A number.
    Number,
    /// An object.
    Object,
    /// An array of anything.
    List,
    /// An array of strings, or one string.
    Names,
    /// A signature: `"question -> answer"`, the name of one, or `{inputs, outputs, instructions}`.
    Signature,
    /// The name of a program, or a whole program.
    Program,
    /// The name of a dataset, or a whole dataset, or an array of objects.
    Dataset,
    /// A metric: a name, or `{"file", "function"}`.
    Metric,
    /// The name of an LM profile, or a model string `provider/model`.
    Lm,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// Further names under which an operation is found: the `:command`'s, where monitoring
/// asks by it.
const ALIASES: [(&str, &str); 1] = [("health", "health_check")];

/// Finds an operation by name.
///
/// # Errors
/// `unknown_operation`, with near matches.
pub fn find(name: &str) -> Result<&'static Operation, OperationError> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    let name = alias.map_or(name, |(_, named)| named);
    all()
        .find(|operation| operation.name == name)
        .ok_or_else(|| {
            OperationError::invalid(
                "unknown_operation",
                format!("there is no operation `{name}`"),
            )
            .near(near_matches(name, all().map(|operation| operation.name)))
            .hint("`dspex-tui exec --list` names them all")
            .with("operation", name)
        })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// R22: an unknown operation is an error object with near matches.
    #[test]
    fn unknown_operation_names_its_neighbours() {
        let error = find("execute_modul").unwrap_err();
        assert_eq!(error.kind, "unknown_operation");
        assert_eq!(
            error.recovery.near.first().map(String::as_str),
            Some("execute_module")
        );
    }

    /// D14: every operation has a name of its own, a doc line and documented fields.
    #[test]
    fn every_operation_is_documented_once() {
        let mut seen = HashSet::new();
        for operation in all() {
            assert!(
                seen.insert(operation.name),
                "{} is listed twice",
                operation.name
            );
            assert!(ALIASES.iter().all(|(alias, _)| *alias != operation.name));
            assert!(
                operation.doc.ends_with('.'),
                "{}: doc is a sentence",
                operation.name
            );
            for field in operation.arguments.iter().chain(operation.result) {
                assert!(
                    !field.doc.is_empty(),
                    "{}.{} has no doc",
                    operation.name,
                    field.name
                );
            }
        }
    }
}
