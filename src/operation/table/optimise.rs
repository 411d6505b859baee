//! Operations on data, evaluation and optimisation.

use super::{DATASET, LM, METRIC, OPTIONS, PROGRAM, THREADS, core, job, may, need, run};
use crate::operation::{Kind, Operation};
use crate::session::event::RunKind;

pub(super) const ROWS: &[Operation] = &[
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
    job(
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
    job(
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
    job(
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
            may(
                "fresh",
                Kind::Bool,
                "Run it, though the same was optimised within the hour (default false).",
            ),
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
                "`{baseline, optimized, gain, seconds, calls, failed}`.",
            ),
            may(
                "cached",
                Kind::Object,
                "`{since_ms, seconds}` where the result of an earlier run was kept.",
            ),
        ],
    ),
    // In the kernel: the LM and what trains it may be objects of the notebook.
    run(
        "train_model",
        "Fine-tunes the LM of a program on the answers it got right (BootstrapFinetune), where its provider trains.",
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
            may(
                "options",
                Kind::Object,
                "`train_kwargs` for the provider, `exclude_demos`, `metric_threshold`, `holdout`.",
            ),
            THREADS,
            LM,
        ],
        &[
            need("model", Kind::Text, "The trained model."),
            need("examples_used", Kind::Count, "Answers it was trained on."),
            need(
                "performance",
                Kind::Object,
                "`{baseline, optimized, gain, seconds, calls}`.",
            ),
            need(
                "program",
                Kind::Object,
                "The program that uses it, as its next version.",
            ),
            may(
                "profile",
                Kind::Object,
                "`{name, base, model}`: the LM profile it is kept as.",
            ),
        ],
    ),
];
