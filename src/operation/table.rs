//! The rows, in groups, and what several rows share.

use super::{Field, Kind, Operation, Route};
use crate::protocol::message::Lane;
use crate::session::event::RunKind;

mod lm;
mod notebook;
mod optimise;
mod program;
mod session;
mod signature;
mod tool;

/// Every operation there is, group by group, in the order they are listed.
const GROUPS: &[&[Operation]] = &[
    lm::ROWS,
    signature::ROWS,
    program::ROWS,
    tool::ROWS,
    optimise::ROWS,
    notebook::ROWS,
    session::ROWS,
];

/// Every operation there is.
pub fn all() -> impl Iterator<Item = &'static Operation> {
    GROUPS.iter().copied().flatten()
}

const fn need(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field {
        name,
        kind,
        required: true,
        doc,
    }
}

const fn may(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field {
        name,
        kind,
        required: false,
        doc,
    }
}

const fn core(
    name: &'static str,
    doc: &'static str,
    arguments: &'static [Field],
    result: &'static [Field],
) -> Operation {
    Operation {
        name,
        doc,
        route: Route::Core,
        arguments,
        open: false,
        result,
    }
}

const fn side(
    name: &'static str,
    doc: &'static str,
    arguments: &'static [Field],
    result: &'static [Field],
) -> Operation {
    Operation {
        name,
        doc,
        route: Route::Kernel(Lane::Side),
        arguments,
        open: false,
        result,
    }
}

const fn run(
    name: &'static str,
    doc: &'static str,
    kind: RunKind,
    arguments: &'static [Field],
    result: &'static [Field],
) -> Operation {
    Operation {
        name,
        doc,
        route: Route::Run(Lane::Run, kind),
        arguments,
        open: false,
        result,
    }
}

/// A run that a worker of a pool can carry out.
const fn job(
    name: &'static str,
    doc: &'static str,
    kind: RunKind,
    arguments: &'static [Field],
    result: &'static [Field],
) -> Operation {
    Operation {
        route: Route::Job(kind),
        ..run(name, doc, kind, arguments, result)
    }
}

const fn open(operation: Operation) -> Operation {
    Operation {
        open: true,
        ..operation
    }
}

const SIGNATURE: Field = need(
    "signature",
    Kind::Signature,
    "`question -> answer`, a name, or its fields.",
);
const LM: Field = may(
    "lm",
    Kind::Lm,
    "LM profile or model to use instead of the selected one.",
);
const API_BASE: Field = may("api_base", Kind::Text, "Base URL of a server of one's own.");
const PORT: Field = may("port", Kind::Count, "Port of a server on this machine.");
const API_KEY_ENV: Field = may(
    "api_key_env",
    Kind::Text,
    "Environment variable that holds the key.",
);
const API_KEY_COMMAND: Field = may(
    "api_key_command",
    Kind::Text,
    "Command that prints the key.",
);
const API_KEY_FILE: Field = may("api_key_file", Kind::Text, "File that holds the key.");
const INPUTS: Field = need("inputs", Kind::Object, "Value of each input field.");
const CONFIG: Field = may("config", Kind::Object, "LM options of this call.");
const OPTIONS: Field = may(
    "options",
    Kind::Object,
    "Constructor options of the module.",
);
const PROGRAM: Field = need("program", Kind::Program, "Name of a program.");
const DATASET: Field = need(
    "dataset",
    Kind::Dataset,
    "Name of a loaded dataset, or its rows.",
);
const METRIC: Field = may(
    "metric",
    Kind::Metric,
    "`exact_match` (default), `contains`, `f1`, `SemanticF1`, `CompleteAndGrounded`, a function of a cell, or `{file, function}`.",
);
const THREADS: Field = may(
    "num_threads",
    Kind::Count,
    "Examples scored at once (default 8).",
);
const FIELDS: &[Field] = &[
    need(
        "inputs",
        Kind::List,
        "Input fields: `{name, type, desc?}` in order.",
    ),
    need("outputs", Kind::List, "Output fields."),
    need("instructions", Kind::Text, "The instructions."),
];
