//! The rows.

use super::{Field, Kind, Operation, Route};
use crate::protocol::message::Lane;
use crate::session::event::RunKind;

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
const INPUTS: Field = need("inputs", Kind::Object, "Value of each input field.");
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
    "`exact_match` (default), `contains`, `f1`, a function of a cell, or `{file, function}`.",
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

/// Every operation there is.
pub const TABLE: &[Operation] = &[
    // Language models.
    open(core(
        "configure_lm",
        "Makes or changes an LM profile and selects it; further arguments go to `dspy.LM`.",
        &[
            may(
                "name",
                Kind::Text,
                "Name of the profile (default: provider or model).",
            ),
            may(
                "provider",
                Kind::Text,
                "`demo`, `openai`, `anthropic`, `gemini`, `ollama`, `local`, …",
            ),
            may(
                "model",
                Kind::Text,
                "Model, with or without its `provider/`.",
            ),
            may("api_base", Kind::Text, "Base URL of a server of one's own."),
            may("port", Kind::Count, "Port of a server on this machine."),
            may(
                "api_key_env",
                Kind::Text,
                "Environment variable that holds the key.",
            ),
            may(
                "api_key_command",
                Kind::Text,
                "Command that prints the key.",
            ),
            may("api_key_file", Kind::Text, "File that holds the key."),
            may(
                "select",
                Kind::Bool,
                "Make it the selected profile (default true).",
            ),
        ],
        &[
            need("status", Kind::Text, "`configured`."),
            need("name", Kind::Text, "Name of the profile."),
            need("provider", Kind::Text, "Provider."),
            need("model", Kind::Text, "Model as given to `dspy.LM`."),
        ],
    )),
    core(
        "select_lm",
        "Makes a profile the one that calls go to by default.",
        &[need("name", Kind::Text, "Name of the profile.")],
        &[need("name", Kind::Text, "Name of the profile.")],
    ),
    core(
        "remove_lm",
        "Removes an LM profile.",
        &[need("name", Kind::Text, "Name of the profile.")],
        &[need("name", Kind::Text, "Name of the profile.")],
    ),
    core(
        "list_lms",
        "Lists the LM profiles.",
        &[],
        &[
            need(
                "lms",
                Kind::List,
                "Profiles: name, model, where the key comes from, options.",
            ),
            need("selected", Kind::MaybeText, "Name of the selected profile."),
        ],
    ),
    run(
        "test_lm",
        "Sends one short request through a profile and reports time or error.",
        RunKind::Operation,
        &[may(
            "name",
            Kind::Lm,
            "Profile (default: the selected one).",
        )],
        &[
            need("ok", Kind::Bool, "Whether an answer came."),
            need("latency_ms", Kind::Number, "Time to the answer."),
            may("answer", Kind::Text, "What it said."),
        ],
    ),
    // Signatures and prompts.
    side(
        "create_signature",
        "Builds a signature and answers its fields, with DSPy's own verdict; keeps it when named.",
        &[
            SIGNATURE,
            may("instructions", Kind::Text, "Instructions."),
            may("name", Kind::Text, "Keep it under this name."),
        ],
        FIELDS,
    ),
    side(
        "parse_signature",
        "Reads a signature that may be half typed, without a verdict.",
        &[SIGNATURE],
        FIELDS,
    ),
    side(
        "render_prompt",
        "Renders the exact messages DSPy would send.",
        &[
            SIGNATURE,
            may(
                "adapter",
                Kind::OneOf(&["chat", "json", "xml"]),
                "DSPy adapter (default chat).",
            ),
            may(
                "inputs",
                Kind::Object,
                "Values; missing ones are shown as placeholders.",
            ),
            may("demos", Kind::List, "Demonstrations: objects of fields."),
            may(
                "instructions",
                Kind::Text,
                "Instructions in place of the signature's.",
            ),
        ],
        &[need("messages", Kind::List, "`{role, content}` in order.")],
    ),
    side(
        "validate_inputs",
        "Reports all missing and wrong inputs at once.",
        &[
            may(
                "signature",
                Kind::Signature,
                "The signature to check against.",
            ),
            may("program", Kind::Program, "Or the program."),
            INPUTS,
        ],
        &[
            need("ok", Kind::Bool, "Whether nothing is wrong."),
            need("problems", Kind::List, "`{field, problem, expected, got}`."),
        ],
    ),
    // Modules and programs.
    side(
        "list_dspy_modules",
        "Lists DSPy's modules with options, and why some cannot be used.",
        &[],
        &[need(
            "modules",
            Kind::List,
            "`{name, status, reason, doc, options}`.",
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
    run(
        "execute_program",
        "Runs a program.",
        RunKind::Operation,
        &[
            PROGRAM,
            INPUTS,
            may("config", Kind::Object, "LM options of this call."),
            LM,
        ],
        &[],
    ),
    run(
        "execute_module",
        "Makes a DSPy module and runs it once.",
        RunKind::Operation,
        &[
            need(
                "module",
                Kind::Text,
                "A DSPy module; `dspy.` may stand before it.",
            ),
            SIGNATURE,
            INPUTS,
            OPTIONS,
            LM,
        ],
        &[],
    ),
    open(run(
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
    // Data, evaluation, optimisation.
    run(
        "load_dataset",
        "Loads examples from JSONL, JSON or CSV, from rows, or a shipped set.",
        RunKind::Operation,
        &[
            may(
                "name",
                Kind::Text,
                "Keep it under this name (default: the file's).",
            ),
            may("path", Kind::Text, "A `.jsonl`, `.json` or `.csv` file."),
            may("rows", Kind::List, "The examples themselves, as objects."),
            may(
                "shipped",
                Kind::Text,
                "Name of a set that comes with the workbench.",
            ),
            may(
                "generate",
                Kind::Object,
                "`{kind, seed, n}`: a made-up set of a shipped kind.",
            ),
            may(
                "inputs",
                Kind::Names,
                "Which fields are inputs (default: all but the last).",
            ),
            may("limit", Kind::Count, "Take at most this many."),
            may(
                "shuffle_labels",
                Kind::Count,
                "Shuffle the outputs with this seed (a control).",
            ),
        ],
        &[
            need("name", Kind::Text, "Its name."),
            need("len", Kind::Count, "Number of examples."),
            need("fields", Kind::List, "Field names."),
            need("inputs", Kind::List, "Which of them are inputs."),
            need("hash", Kind::Text, "SHA-256 of the rows."),
        ],
    ),
    core(
        "show_dataset",
        "Answers rows of a dataset.",
        &[
            need("name", Kind::Text, "Name of the dataset."),
            may("offset", Kind::Count, "First row (default 0)."),
            may("limit", Kind::Count, "Number of rows (default 20)."),
        ],
        &[
            need("rows", Kind::List, "The rows."),
            need("len", Kind::Count, "How many there are."),
        ],
    ),
    run(
        "evaluate_pipeline",
        "Scores a program on a dataset, example by example.",
        RunKind::Evaluate,
        &[PROGRAM, DATASET, METRIC, THREADS, LM],
        &[
            need("score", Kind::Number, "Percent."),
            need(
                "results",
                Kind::List,
                "`{index, example, prediction, score, error}`.",
            ),
        ],
    ),
    run(
        "bootstrap_examples",
        "Collects demonstrations that a program got right.",
        RunKind::Compile,
        &[
            may("program", Kind::Program, "Name of a program."),
            may("module", Kind::Text, "Or a DSPy module"),
            may("signature", Kind::Signature, "and its signature."),
            DATASET,
            METRIC,
            may(
                "max_bootstrapped_demos",
                Kind::Count,
                "Most demos with traces (default 4).",
            ),
            may(
                "max_labeled_demos",
                Kind::Count,
                "Most demos in all (default 16).",
            ),
            LM,
        ],
        &[
            need(
                "demos",
                Kind::List,
                "The demos; `augmented` marks bootstrapped ones.",
            ),
            need("count", Kind::Count, "How many."),
        ],
    ),
    run(
        "optimize_prompt",
        "Compiles a program with an optimizer and scores it before and after on held-out examples.",
        RunKind::Compile,
        &[
            PROGRAM,
            DATASET,
            may(
                "valset",
                Kind::Dataset,
                "Held-out examples (default: a part of the dataset).",
            ),
            METRIC,
            may("optimizer", Kind::Text, "`BootstrapFewShot` (default)."),
            OPTIONS,
            THREADS,
            LM,
        ],
        &[
            need(
                "optimized_prompt",
                Kind::List,
                "`{predictor, instructions, demos, messages}`.",
            ),
            need("examples_used", Kind::Count, "Training examples looked at."),
            need(
                "performance",
                Kind::Object,
                "`{baseline, optimized, gain, seconds, calls}`.",
            ),
        ],
    ),
    // The notebook.
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
        "reply_input",
        "Answers a running cell's `input()`.",
        &[need(
            "text",
            Kind::MaybeText,
            "The line; null is end of file.",
        )],
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
        "restart_kernel",
        "Ends the kernel and starts a fresh one; registered things are rebuilt.",
        &[],
        &[],
    ),
    // The session and the workbench.
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
            need(
                "session",
                Kind::Object,
                "Session id and whether it is being saved.",
            ),
        ],
    ),
    core(
        "shutdown",
        "Finishes what runs, stops the workers and ends.",
        &[],
        &[],
    ),
];
