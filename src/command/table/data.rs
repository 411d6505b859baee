//! Data, evaluation and optimisation.

use super::{DATASET, LM, METRIC, PROGRAM, THREADS, aka, key, option, pairs, row, word};
use crate::command::Becomes::{Operation, With};
use crate::command::Group::Data;
use crate::command::meaning::data_load;
use crate::command::{Command, Completer, Local, Parsed};

pub(super) const ROWS: &[Command] = &[
    key(
        "F7",
        aka(
            &["datasets", "data list"],
            row(
                "data",
                Data,
                "Lists the datasets.",
                &[],
                ":data",
                With(|_, _| Ok(Parsed::Local(Local::Datasets))),
            ),
        ),
    ),
    row(
        "data load",
        Data,
        "Loads examples from a file, or a set that comes with the workbench.",
        &[
            word(
                "path",
                Completer::File,
                "a .jsonl, .json or .csv file, or the name of a set",
            ),
            option("name", Completer::None, "keep it under this name"),
            option("inputs", Completer::None, "input fields: [\"question\"]"),
            option("limit", Completer::None, "take at most this many"),
            option(
                "shuffle_labels",
                Completer::None,
                "shuffle the outputs with this seed",
            ),
        ],
        ":data load train.jsonl name=train",
        With(data_load),
    ),
    row(
        "data show",
        Data,
        "Shows rows of a dataset.",
        &[
            word("name", Completer::Dataset, "its name"),
            option("offset", Completer::None, "first row"),
            option("limit", Completer::None, "number of rows"),
        ],
        ":data show train limit=5",
        Operation("show_dataset"),
    ),
    aka(
        &["evaluate"],
        row(
            "eval",
            Data,
            "Scores a program on a dataset.",
            &[PROGRAM, DATASET, METRIC, THREADS, LM],
            ":eval qa train metric=exact_match",
            Operation("evaluate_pipeline"),
        ),
    ),
    row(
        "bootstrap",
        Data,
        "Collects demonstrations that a program got right.",
        &[
            PROGRAM,
            DATASET,
            METRIC,
            option(
                "max_bootstrapped_demos",
                Completer::None,
                "most demos with traces",
            ),
            option("max_labeled_demos", Completer::None, "most demos in all"),
            LM,
        ],
        ":bootstrap qa train",
        Operation("bootstrap_examples"),
    ),
    key(
        "F5",
        aka(
            &["optimise", "compile"],
            row(
                "optimize",
                Data,
                "Compiles a program and scores it before and after on held-out examples.",
                &[
                    PROGRAM,
                    DATASET,
                    METRIC,
                    option("optimizer", Completer::Optimizer, "the optimizer"),
                    option("valset", Completer::Dataset, "held-out examples"),
                    THREADS,
                    option(
                        "fresh",
                        Completer::OneOf(&["true"]),
                        "run it, though its result was kept",
                    ),
                    LM,
                    pairs("options", Completer::None, "options of the optimizer"),
                ],
                ":optimize qa train metric=exact_match max_bootstrapped_demos=4",
                Operation("optimize_prompt"),
            ),
        ),
    ),
    aka(
        &["train", "finetune"],
        row(
            "train_model",
            Data,
            "Fine-tunes the LM of a program on the answers it got right, where its provider trains.",
            &[
                PROGRAM,
                DATASET,
                METRIC,
                option("valset", Completer::Dataset, "held-out examples"),
                THREADS,
                LM,
                pairs(
                    "options",
                    Completer::None,
                    "train_kwargs, exclude_demos, metric_threshold, holdout",
                ),
            ],
            ":train_model qa train metric=exact_match",
            Operation("train_model"),
        ),
    ),
];
