//! Operations on the session and the workbench.

use super::{core, need};
use crate::operation::{Kind, Operation};

pub(super) const ROWS: &[Operation] = &[
    core(
        "list_sessions",
        "Lists the sessions on disk, newest first.",
        &[],
        &[need(
            "sessions",
            Kind::List,
            "`{id, name, modified, cells, runs, calls, cost}`.",
        )],
    ),
    core(
        "compare_sessions",
        "Compares two sessions on disk: versions, numbers, scores, cells.",
        &[
            need(
                "left",
                Kind::Text,
                "Id, unique beginning of one, name, or `latest`.",
            ),
            need("right", Kind::Text, "The other one."),
        ],
        &[
            need("rows", Kind::List, "`{what, left, right}`."),
            need(
                "cells",
                Kind::List,
                "`{change, left, right, source, changed}`; change is same, outputs, source, removed or added.",
            ),
        ],
    ),
    core(
        "session_state",
        "Answers the state of the session with its hash.",
        &[],
        &[
            need("id", Kind::Text, "Session id."),
            need("seq", Kind::Count, "Number of events."),
            need("hash", Kind::Text, "State hash."),
        ],
    ),
    core(
        "read_document",
        "Answers a recorded request or response body.",
        &[need("document", Kind::Any, "As an exchange names it.")],
        &[need("text", Kind::Text, "The body.")],
    ),
    core(
        "health_check",
        "Answers how workers, gateway and session are.",
        &[],
        &[
            need("ok", Kind::Bool, "Whether all is well."),
            need("workers", Kind::List, "Workers with their states."),
            need("pools", Kind::List, "Pools, as `pools` answers them."),
            need(
                "session",
                Kind::Object,
                "Session id and whether it is being saved.",
            ),
        ],
    ),
    core(
        "pools",
        "Answers how the pools of workers are: size, busy, idle, queue, memory, restarts.",
        &[],
        &[need(
            "pools",
            Kind::List,
            "`{name, size, busy, idle, starting, queue, restarts, down, workers}`.",
        )],
    ),
    core(
        "restart_pools",
        "Ends the workers of the pools; fresh ones come when they are wanted. The kernel stays.",
        &[],
        &[],
    ),
    core(
        "shutdown",
        "Finishes what runs, stops the workers and ends.",
        &[],
        &[],
    ),
];
