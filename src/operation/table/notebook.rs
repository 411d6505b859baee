//! Operations on the notebook and its kernel.

use super::{core, may, need, side};
use crate::operation::{Field, Kind, Operation, Route};
use crate::protocol::message::Lane;
use crate::session::event::RunKind;

pub(super) const ROWS: &[Operation] = &[
    Operation {
        name: "run_cell",
        doc: "Runs a cell of Python in the kernel.",
        route: Route::Run(Lane::Main, RunKind::Cell),
        arguments: &[
            need("source", Kind::Text, "Its text."),
            may(
                "cell",
                Kind::Count,
                "Run this cell again instead of adding one.",
            ),
            may(
                "file",
                Kind::Text,
                "The file it comes from, for `__file__` and imports.",
            ),
            may("argv", Kind::Names, "`sys.argv[1:]` for a file."),
            may(
                "kind",
                Kind::OneOf(&["python", "markdown"]),
                "What it holds (default python).",
            ),
        ],
        open: false,
        result: &[
            need("cell", Kind::Count, "Its number."),
            need(
                "status",
                Kind::OneOf(&["ok", "error", "interrupted", "died"]),
                "How it ended.",
            ),
            need(
                "outputs",
                Kind::List,
                "What it printed, showed and returned, in order.",
            ),
        ],
    },
    core(
        "command",
        "Runs a `:command` line as a cell.",
        &[need(
            "line",
            Kind::Text,
            "The line; the colon may be left out.",
        )],
        &[],
    ),
    core(
        "delete_cell",
        "Takes a cell out of the notebook.",
        &[need("cell", Kind::Count, "Its number.")],
        &[],
    ),
    core(
        "restore_cell",
        "Puts a deleted cell back, with its outputs.",
        &[may(
            "cell",
            Kind::Count,
            "Its number (default: the one deleted last).",
        )],
        &[need("cell", Kind::Count, "Its number.")],
    ),
    core(
        "reply_input",
        "Answers a running cell's `input()`.",
        &[
            need("text", Kind::MaybeText, "The line; null is end of file."),
            may("id", Kind::Count, "Number of the question."),
        ],
        &[],
    ),
    side(
        "complete",
        "Completes Python at a position.",
        &[
            need("source", Kind::Text, "The cell's text."),
            need("cursor", Kind::Count, "Position, in characters."),
        ],
        &[need("matches", Kind::List, "`{text, start, end, type}`.")],
    ),
    side(
        "inspect",
        "Shows what the name at a position is.",
        &[
            need("source", Kind::Text, "The cell's text."),
            need("cursor", Kind::Count, "Position, in characters."),
        ],
        &[
            need("found", Kind::Bool, "Whether there is such a thing."),
            may("data", Kind::Object, "MIME bundle."),
        ],
    ),
    core(
        "interrupt",
        "Stops the running cell softly.",
        &[may("cell", Kind::Count, "Only if this cell is running.")],
        &[need("interrupted", Kind::Bool, "Whether one was running.")],
    ),
    core(
        "cancel",
        "Cancels a run.",
        &[need("run", Kind::Count, "Its number.")],
        &[need("cancelled", Kind::Bool, "Whether it was running.")],
    ),
    core(
        "pause",
        "Holds the LM calls of a run before they are sent, until `continue`.",
        &[may(
            "run",
            Kind::Count,
            "Its number (default: the newest that runs).",
        )],
        HELD,
    ),
    core(
        "continue",
        "Lets the held LM calls of a paused run go.",
        &[may(
            "run",
            Kind::Count,
            "Its number (default: the newest that is paused).",
        )],
        HELD,
    ),
    core(
        "restart_kernel",
        "Ends the kernel and starts a fresh one; registered things are rebuilt.",
        &[],
        &[],
    ),
];

/// What `pause` and `continue` answer.
const HELD: &[Field] = &[
    need("run", Kind::Count, "Number of the run."),
    need("paused", Kind::Bool, "Whether its calls are held now."),
];
