//! Language models.

use super::{LM_NAME, LM_OPTIONS, aka, key, maybe, option, row, word};
use crate::command::Becomes::{Operation, With};
use crate::command::Group::Lm;
use crate::command::meaning::{lm, lm_add, lm_edit, lm_models, set};
use crate::command::{Command, Completer};

pub(super) const ROWS: &[Command] = &[
    key(
        "F2",
        aka(
            &["lms", "lm list"],
            row(
                "lm",
                Lm,
                "Lists the LM profiles, or selects one.",
                &[maybe("name", Completer::Lm, "profile to select")],
                ":lm demo",
                With(lm),
            ),
        ),
    ),
    row(
        "lm use",
        Lm,
        "Selects the LM profile that calls go to.",
        &[LM_NAME],
        ":lm use demo",
        Operation("select_lm"),
    ),
    row(
        "lm add",
        Lm,
        "Makes an LM profile and selects it.",
        &[
            word("provider", Completer::Provider, "who serves it"),
            option("name", Completer::None, "name of the profile"),
            LM_OPTIONS,
        ],
        ":lm add openai model=gpt-4o-mini temperature=0",
        With(lm_add),
    ),
    row(
        "lm edit",
        Lm,
        "Changes options of an LM profile.",
        &[LM_NAME, LM_OPTIONS],
        ":lm edit demo temperature=0.7",
        With(lm_edit),
    ),
    row(
        "set",
        Lm,
        "Changes options of the selected LM profile.",
        &[LM_OPTIONS],
        ":set temperature=0.7",
        With(set),
    ),
    aka(
        &["lm remove"],
        row(
            "lm rm",
            Lm,
            "Removes an LM profile.",
            &[LM_NAME],
            ":lm rm gpt",
            Operation("remove_lm"),
        ),
    ),
    row(
        "lm models",
        Lm,
        "Lists the models a server offers.",
        &[
            maybe(
                "of",
                Completer::LmOrProvider,
                "profile or provider (default: the selected profile)",
            ),
            option("api_base", Completer::None, "base URL of a server"),
            option("port", Completer::None, "port of a server on this machine"),
            option(
                "api_key_env",
                Completer::None,
                "variable that holds the key",
            ),
        ],
        ":lm models openai",
        With(lm_models),
    ),
    aka(
        &["lm find"],
        row(
            "lm local",
            Lm,
            "Looks for LM servers on this machine: Ollama, vLLM, llama.cpp and others.",
            &[option(
                "ports",
                Completer::None,
                "further ports: [9000, 9001]",
            )],
            ":lm local",
            Operation("find_local_lms"),
        ),
    ),
    row(
        "lm test",
        Lm,
        "Sends one short request and reports time or error.",
        &[maybe(
            "name",
            Completer::Lm,
            "profile (default: the selected one)",
        )],
        ":lm test demo",
        Operation("test_lm"),
    ),
];
