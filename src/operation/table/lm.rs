//! Operations on language models.

use super::{
    API_BASE, API_KEY_COMMAND, API_KEY_ENV, API_KEY_FILE, PORT, core, may, need, open, run,
};
use crate::operation::{Kind, Operation};
use crate::session::event::RunKind;

pub(super) const ROWS: &[Operation] = &[
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
            API_BASE,
            PORT,
            API_KEY_ENV,
            API_KEY_COMMAND,
            API_KEY_FILE,
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
    core(
        "list_models",
        "Asks a server which models it offers: of a profile, or of what `configure_lm` would take.",
        &[
            may(
                "profile",
                Kind::Lm,
                "Profile (default: the selected one, unless a provider or address is given).",
            ),
            may(
                "provider",
                Kind::Text,
                "`openai`, `anthropic`, `gemini`, `ollama`, `local`, …",
            ),
            API_BASE,
            PORT,
            API_KEY_ENV,
            API_KEY_COMMAND,
            API_KEY_FILE,
        ],
        &[
            need(
                "models",
                Kind::List,
                "Their names, as `configure_lm` takes them.",
            ),
            need("provider", Kind::Text, "Whose server was asked."),
            need("url", Kind::Text, "Where the list came from."),
            need("latency_ms", Kind::Number, "Time to the answer."),
        ],
    ),
    core(
        "find_local_lms",
        "Looks for LM servers on this machine: Ollama, vLLM, llama.cpp and others on their usual ports.",
        &[may("ports", Kind::List, "Further ports to ask.")],
        &[need(
            "servers",
            Kind::List,
            "`{server, port, provider, api_base, models, latency_ms}`, as `configure_lm` takes them.",
        )],
    ),
];
