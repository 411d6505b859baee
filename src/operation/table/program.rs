//! Operations on modules and programs.

use super::{CONFIG, INPUTS, LM, OPTIONS, PROGRAM, core, job, may, need, open, run, side};
use crate::operation::{Kind, Operation};
use crate::session::event::RunKind;

pub(super) const ROWS: &[Operation] = &[
    side(
        "list_dspy_modules",
        "Lists DSPy's modules with options, and why some cannot be used.",
        &[],
        &[need(
            "modules",
            Kind::List,
            "`{name, status, reason, doc, signature, options}`.",
        )],
    ),
    run(
        "create_program",
        "Makes a named, stateful program of one module or several.",
        RunKind::Operation,
        &[
            may("name", Kind::Text, "Name (default: made of its contents)."),
            may("module", Kind::Text, "A DSPy module."),
            may(
                "modules",
                Kind::Names,
                "Several modules; outputs feed the next one.",
            ),
            may("signature", Kind::Signature, "Its signature."),
            OPTIONS,
        ],
        &[
            need("name", Kind::Text, "Name; its id."),
            need("version", Kind::Count, "Version, from 1."),
        ],
    ),
    run(
        "save_program",
        "Writes a program to a file of plain JSON: modules, signature, options, state.",
        RunKind::Operation,
        &[PROGRAM, need("path", Kind::Text, "The file to write.")],
        &[
            need("path", Kind::Text, "The file."),
            need("hash", Kind::Text, "SHA-256 of its bytes, hex."),
        ],
    ),
    run(
        "load_program",
        "Reads a program from a file; a pickle only when its hash is trusted.",
        RunKind::Operation,
        &[
            need(
                "path",
                Kind::Text,
                "A file of `save_program`, or a state saved by DSPy.",
            ),
            may("name", Kind::Text, "Name (default: the one in the file)."),
            may("module", Kind::Text, "Module, for a state saved by DSPy."),
            may(
                "signature",
                Kind::Signature,
                "Signature, for a state saved by DSPy.",
            ),
            OPTIONS,
            may(
                "trust",
                Kind::Text,
                "SHA-256 of a pickle that may run its code.",
            ),
        ],
        &[
            need("name", Kind::Text, "Name; its id."),
            need("version", Kind::Count, "Version, from 1."),
        ],
    ),
    core(
        "list_programs",
        "Lists the programs of the session.",
        &[],
        &[need(
            "programs",
            Kind::List,
            "`{name, version, modules, signature, score}`.",
        )],
    ),
    core(
        "remove_program",
        "Forgets a program.",
        &[need("name", Kind::Text, "Name of the program.")],
        &[need("name", Kind::Text, "Name of the program.")],
    ),
    job(
        "execute_program",
        "Runs a program.",
        RunKind::Operation,
        &[
            need(
                "program",
                Kind::Program,
                "Name of a program, or one written out: `{modules, signature, options}`.",
            ),
            INPUTS,
            CONFIG,
            LM,
        ],
        &[],
    ),
    job(
        "execute_module",
        "Makes a DSPy module and runs it once.",
        RunKind::Operation,
        &[
            need(
                "module",
                Kind::Text,
                "A DSPy module; `dspy.` may stand before it.",
            ),
            may(
                "signature",
                Kind::Signature,
                "`question -> answer`, a name, or its fields; some modules take none.",
            ),
            INPUTS,
            OPTIONS,
            CONFIG,
            LM,
        ],
        &[],
    ),
    run(
        "execute_code",
        "Runs Python code in the sandbox: limited in time and memory, no network, no files but its own.",
        RunKind::Operation,
        &[
            need(
                "code",
                Kind::Text,
                "The code; its last expression is the result.",
            ),
            may("timeout", Kind::Number, "Seconds it may take (default 30)."),
            may(
                "memory_mb",
                Kind::Count,
                "Megabytes it may take (default 1024).",
            ),
            may(
                "restricted_modules",
                Kind::Names,
                "Further modules it may not import.",
            ),
            may(
                "variables",
                Kind::Object,
                "Values it finds under these names.",
            ),
            may(
                "files",
                Kind::Object,
                "Texts it finds as files of these names.",
            ),
            may(
                "interpreter",
                Kind::Text,
                "`sandbox` (default), `local` (unsafe: this machine's Python), or a factory of a cell.",
            ),
        ],
        &[
            need(
                "status",
                Kind::OneOf(&[
                    "ok",
                    "failed",
                    "timeout",
                    "memory",
                    "denied",
                    "output",
                    "crash",
                    "cancelled",
                ]),
                "How it ended.",
            ),
            need("result", Kind::Any, "Value of the last expression."),
            need("stdout", Kind::Text, "What it printed."),
            need("stderr", Kind::Text, "What it printed there."),
            may("error", Kind::Text, "Why it did not end well."),
            may("files", Kind::List, "What it wrote: `{name, size, text}`."),
            may("unsafe", Kind::Bool, "Whether it ran outside of a sandbox."),
        ],
    ),
    job(
        "run_batch",
        "Runs a program over the rows of a file; started again, it goes on where it ended.",
        RunKind::Batch,
        &[
            PROGRAM,
            need(
                "input",
                Kind::Text,
                "A `.jsonl` or `.csv` file: a row for each run, its input fields by name.",
            ),
            may(
                "output",
                Kind::Text,
                "Where the answers go, a JSON line a row, in order (default: `INPUT.out.jsonl`).",
            ),
            may("num_threads", Kind::Count, "Rows run at once (default 8)."),
            may("rate", Kind::Number, "Most rows started a minute."),
            may(
                "keep",
                Kind::Names,
                "Fields of a row that its answer repeats, such as an id.",
            ),
            may(
                "max_errors",
                Kind::Count,
                "Stop after more failed rows than this (default: never).",
            ),
            may(
                "overwrite",
                Kind::Bool,
                "Start again although there is an output.",
            ),
            LM,
        ],
        &[
            need("output", Kind::Text, "The file that was written."),
            need("rows", Kind::Count, "Rows in it."),
            need("failed", Kind::Count, "Rows that ended with an error."),
            need(
                "resumed",
                Kind::Count,
                "Rows that an earlier start had done.",
            ),
            need(
                "errors",
                Kind::List,
                "The first of this start: `{row, type, message}`.",
            ),
            need("seconds", Kind::Number, "How long this start took."),
        ],
    ),
    open(job(
        "generate",
        "Answers a prompt: `Predict` over `prompt -> answer` unless told otherwise.",
        RunKind::Operation,
        &[
            need(
                "prompt",
                Kind::Text,
                "The prompt: value of the first input field.",
            ),
            may("module", Kind::Text, "A DSPy module (default Predict)."),
            may("signature", Kind::Signature, "Its signature."),
            may("instructions", Kind::Text, "Instructions."),
            LM,
        ],
        &[],
    )),
];
