//! The rows, in groups as the help shows them.

use super::{Argument, Becomes, Command, Completer, Group, Shape};

mod data;
mod general;
mod lm;
mod program;
mod session;
mod tool;

/// Every command there is.
pub const TABLE: &[Command] = &JOINED;

const GROUPS: [&[Command]; 6] = [
    general::ROWS,
    lm::ROWS,
    program::ROWS,
    tool::ROWS,
    data::ROWS,
    session::ROWS,
];

const COUNT: usize = {
    let (mut count, mut group) = (0, 0);
    while group < GROUPS.len() {
        count += GROUPS[group].len();
        group += 1;
    }
    count
};

/// The groups one after the other, made by the compiler.
static JOINED: [Command; COUNT] = {
    let mut rows = [GROUPS[0][0]; COUNT];
    let (mut at, mut group) = (0, 0);
    while group < GROUPS.len() {
        let mut row = 0;
        while row < GROUPS[group].len() {
            rows[at] = GROUPS[group][row];
            (at, row) = (at + 1, row + 1);
        }
        group += 1;
    }
    rows
};

const fn argument(
    name: &'static str,
    shape: Shape,
    required: bool,
    completer: Completer,
    doc: &'static str,
) -> Argument {
    Argument {
        name,
        shape,
        required,
        completer,
        doc,
    }
}

const fn word(name: &'static str, completer: Completer, doc: &'static str) -> Argument {
    argument(name, Shape::Word, true, completer, doc)
}

const fn maybe(name: &'static str, completer: Completer, doc: &'static str) -> Argument {
    argument(name, Shape::Word, false, completer, doc)
}

const fn option(name: &'static str, completer: Completer, doc: &'static str) -> Argument {
    argument(name, Shape::Option, false, completer, doc)
}

const fn pairs(name: &'static str, completer: Completer, doc: &'static str) -> Argument {
    argument(name, Shape::Pairs, false, completer, doc)
}

const SIGNATURE: Argument = argument(
    "signature",
    Shape::Text,
    true,
    Completer::Signature,
    "a signature, or the name of one",
);
/// `inputs` is sent even when empty, because the operation requires it.
const INPUTS: Argument = argument(
    "inputs",
    Shape::Pairs,
    true,
    Completer::Field,
    "input fields, and options of a module; values are JSON where they read as JSON",
);
const LM: Argument = option("lm", Completer::Lm, "LM profile or model for this run");
const OPTIONS: Argument = option(
    "options",
    Completer::None,
    "constructor options of the module, a JSON object",
);
const PROGRAM: Argument = word("program", Completer::Program, "name of a program");
const DATASET: Argument = word("dataset", Completer::Dataset, "name of a dataset");
const METRIC: Argument = option("metric", Completer::Metric, "how examples are scored");
const THREADS: Argument = option("num_threads", Completer::None, "examples at once");
const LM_NAME: Argument = word("name", Completer::Lm, "name of the profile");
const LM_OPTIONS: Argument = pairs(
    "options",
    Completer::LmOption,
    "options of the profile and of `dspy.LM`",
);
const SESSION: Argument = word(
    "session",
    Completer::Session,
    "id, unique beginning of one, name, or `latest`",
);

pub(super) const SCREENS: &[&str] = &[
    "main",
    "lm",
    "signature",
    "trace",
    "optimise",
    "sessions",
    "data",
    "modules",
];
pub(super) const PANES: &[&str] = &["explorer", "notebook", "trace"];

const fn row(
    name: &'static str,
    group: Group,
    doc: &'static str,
    arguments: &'static [Argument],
    example: &'static str,
    becomes: Becomes,
) -> Command {
    Command {
        name,
        aliases: &[],
        group,
        doc,
        arguments,
        example,
        key: "",
        becomes,
    }
}

const fn aka(aliases: &'static [&'static str], command: Command) -> Command {
    Command { aliases, ..command }
}

const fn key(key: &'static str, command: Command) -> Command {
    Command { key, ..command }
}
