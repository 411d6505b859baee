//! Operations on the session and the workbench.

use super::{core, may, need};
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
        "metrics",
        "Answers how often, how long, how well and for how much: by operation, module, LM, tool and signature.",
        &[],
        &[
            need(
                "rows",
                Kind::List,
                "`{kind, name, count, errors, error_rate, p50_ms, p95_ms, calls, input_tokens, output_tokens, cost, …}`.",
            ),
            need(
                "signatures",
                Kind::List,
                "`{signature_hash, signature, last_score, best_score, cost, ms_per_call, …}`.",
            ),
            need("totals", Kind::Object, "Sums over all LM calls."),
        ],
    ),
    core(
        "audit",
        "Answers who asked for which optimisation in any session, and what came of it.",
        &[
            may("limit", Kind::Count, "The newest so many (default 50)."),
            may(
                "signature",
                Kind::Text,
                "Only of this signature: its hash, or the beginning of it.",
            ),
        ],
        &[
            need("entries", Kind::List, "The entries, oldest first."),
            need("path", Kind::Text, "The file they are in."),
        ],
    ),
    core(
        "verify_audit",
        "Checks that no line of the audit log was altered, taken out, put in or cut off.",
        &[],
        &[
            need(
                "ok",
                Kind::Bool,
                "True; a log that was altered is an error.",
            ),
            need("entries", Kind::Count, "Lines there are."),
            need(
                "last_hash",
                Kind::Text,
                "Hash of the last one, to be kept elsewhere.",
            ),
        ],
    ),
    core(
        "cache",
        "Answers what takes disk space and which optimisations are kept, or clears what can be made again.",
        &[may(
            "action",
            Kind::OneOf(&["stats", "clear"]),
            "`stats` (default) or `clear`; sessions are never touched.",
        )],
        &[
            may(
                "parts",
                Kind::List,
                "`{what, count, bytes, cleared, path}`; `cleared` where it can be made again.",
            ),
            may("bytes", Kind::Count, "Bytes of what can be made again."),
            may("quota_bytes", Kind::Count, "How many there may be."),
            may(
                "removed",
                Kind::Object,
                "`{removed, bytes, in_use}`: what `clear` removed.",
            ),
            need(
                "optimisations",
                Kind::Any,
                "`{kept, most, seconds, hits, misses, expired, evicted}`; of `clear` how many were forgotten.",
            ),
        ],
    ),
    core(
        "export_otlp",
        "Sends the spans of runs that have ended to a collector, over OTLP/HTTP, as OpenInference names them.",
        &[
            may(
                "endpoint",
                Kind::Text,
                "Such as `http://127.0.0.1:4318` (default: `$OTEL_EXPORTER_OTLP_ENDPOINT`).",
            ),
            may("run", Kind::Count, "Only this run."),
            may(
                "protocol",
                Kind::OneOf(&["http/protobuf", "http/json"]),
                "How they are written (default `http/protobuf`, or as `$OTEL_EXPORTER_OTLP_PROTOCOL` says).",
            ),
        ],
        &[
            need("spans", Kind::Count, "Spans that were sent."),
            need("rejected", Kind::Count, "Spans the collector did not want."),
            need("endpoint", Kind::Text, "Where they went."),
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
            need("problems", Kind::List, "What is not, in sentences."),
            need(
                "workers",
                Kind::List,
                "Kernel and standby: `{role, worker, pid, state, runs, rss_mb, memory_mb}`.",
            ),
            need("pools", Kind::List, "Pools, as `pools` answers them."),
            need(
                "running",
                Kind::List,
                "`{run, title, kind, seconds, paused, waits}` of each run that goes on.",
            ),
            need(
                "memory",
                Kind::Object,
                "`{python_mb, workbench_mb}`: what all workers hold, and this process.",
            ),
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
            "`{name, size, busy, idle, starting, queue, waiting, restarts, down, workers}`.",
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
