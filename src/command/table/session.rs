//! Runs and the session.

use serde_json::Value;

use super::{SESSION, aka, argument, key, maybe, option, row, word};
use crate::command::Becomes::{Operation, With};
use crate::command::Group::Session;
use crate::command::meaning::session;
use crate::command::{Command, Completer, Local, Parsed, ScreenAction, Shape};

pub(super) const ROWS: &[Command] = &[
    row(
        "runs",
        Session,
        "Lists the runs, newest first.",
        &[],
        ":runs",
        With(|_, _| Ok(Parsed::Local(Local::Runs))),
    ),
    key(
        "F4",
        row(
            "trace",
            Session,
            "Shows the calls a run made; without a number, the newest.",
            &[argument(
                "run",
                Shape::Number,
                false,
                Completer::Run,
                "number of the run",
            )],
            ":trace 3",
            With(|bound, _| {
                Ok(Parsed::Local(Local::Trace(
                    bound.arguments.get("run").and_then(Value::as_u64),
                )))
            }),
        ),
    ),
    row(
        "cancel",
        Session,
        "Cancels a run.",
        &[argument(
            "run",
            Shape::Number,
            true,
            Completer::Run,
            "number of the run",
        )],
        ":cancel 3",
        Operation("cancel"),
    ),
    key(
        "F10",
        row(
            "pause",
            Session,
            "Holds the LM calls of a run until `:continue`.",
            &[argument(
                "run",
                Shape::Number,
                false,
                Completer::Run,
                "number of the run (default: the newest that runs)",
            )],
            ":pause 3",
            Operation("pause"),
        ),
    ),
    key(
        "F10",
        row(
            "continue",
            Session,
            "Lets a paused run go on.",
            &[argument(
                "run",
                Shape::Number,
                false,
                Completer::Run,
                "number of the run (default: the newest that is paused)",
            )],
            ":continue 3",
            Operation("continue"),
        ),
    ),
    key(
        "Ctrl-C",
        row(
            "interrupt",
            Session,
            "Stops the running cell softly.",
            &[],
            ":interrupt",
            Operation("interrupt"),
        ),
    ),
    row(
        "delete",
        Session,
        "Takes a cell out of the notebook.",
        &[argument(
            "cell",
            Shape::Number,
            true,
            Completer::None,
            "number of the cell",
        )],
        ":delete 2",
        Operation("delete_cell"),
    ),
    row(
        "undelete",
        Session,
        "Puts a deleted cell back; without a number, the last one.",
        &[argument(
            "cell",
            Shape::Number,
            false,
            Completer::None,
            "number of the cell",
        )],
        ":undelete",
        Operation("restore_cell"),
    ),
    row(
        "restart",
        Session,
        "Starts a fresh kernel; registered things are rebuilt.",
        &[],
        ":restart",
        Operation("restart_kernel"),
    ),
    key(
        "Alt-4",
        row(
            "health",
            Session,
            "Shows the workers: what each runs, for how long, and what it holds; who waits.",
            &[],
            ":health",
            Operation("health_check"),
        ),
    ),
    row(
        "pools",
        Session,
        "Tells how the pools of workers are: who is busy, who waits.",
        &[],
        ":pools",
        Operation("pools"),
    ),
    aka(
        &["restart_pools"],
        row(
            "pools restart",
            Session,
            "Ends the workers of the pools; fresh ones come when they are wanted.",
            &[],
            ":pools restart",
            Operation("restart_pools"),
        ),
    ),
    row(
        "metrics",
        Session,
        "Tells how often, how long, how well and for how much, by module, LM and signature.",
        &[],
        ":metrics",
        Operation("metrics"),
    ),
    row(
        "otlp",
        Session,
        "Sends the spans of runs that have ended to a collector of traces.",
        &[
            maybe("endpoint", Completer::None, "such as http://127.0.0.1:4318"),
            option("run", Completer::Run, "only this run"),
            option(
                "protocol",
                Completer::OneOf(&["http/protobuf", "http/json"]),
                "how they are written",
            ),
        ],
        ":otlp http://127.0.0.1:4318",
        Operation("export_otlp"),
    ),
    row(
        "audit",
        Session,
        "Tells who asked for which optimisation, and what came of it.",
        &[
            option("limit", Completer::None, "the newest so many"),
            option(
                "signature",
                Completer::None,
                "hash of a signature, or its beginning",
            ),
        ],
        ":audit limit=20",
        Operation("audit"),
    ),
    row(
        "audit verify",
        Session,
        "Checks that the audit log is as it was written.",
        &[],
        ":audit verify",
        Operation("verify_audit"),
    ),
    row(
        "cache",
        Session,
        "Tells what takes disk space and which optimisations are kept; `clear` removes what can be made again.",
        &[maybe(
            "action",
            Completer::OneOf(&["stats", "clear"]),
            "stats, or clear",
        )],
        ":cache clear",
        Operation("cache"),
    ),
    aka(
        &["state"],
        row(
            "session",
            Session,
            "Tells the session's id, length and state hash.",
            &[],
            ":session",
            Operation("session_state"),
        ),
    ),
    key(
        "F6",
        aka(
            &["sessions"],
            row(
                "session list",
                Session,
                "Lists the sessions on disk.",
                &[],
                ":session list",
                Operation("list_sessions"),
            ),
        ),
    ),
    row(
        "session compare",
        Session,
        "Compares two sessions: versions, numbers, scores, cells.",
        &[
            word("left", Completer::Session, "a session"),
            word("right", Completer::Session, "the other one"),
        ],
        ":session compare latest triage",
        Operation("compare_sessions"),
    ),
    row(
        "session open",
        Session,
        "Opens a session and goes on in it.",
        &[SESSION],
        ":session open latest",
        With(|bound, _| Ok(Parsed::Screen(ScreenAction::OpenSession(session(bound))))),
    ),
    aka(
        &["session replay"],
        row(
            "replay",
            Session,
            "Replays a session, without Python or network.",
            &[SESSION],
            ":replay latest",
            With(|bound, _| Ok(Parsed::Screen(ScreenAction::ReplaySession(session(bound))))),
        ),
    ),
];
