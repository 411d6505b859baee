//! The rows.

use serde_json::Value;

use super::meaning::{
    data_load, exec, focus, help, lm, lm_add, lm_edit, module, program_new, prompt, run, session,
    set, show, validate,
};
use super::{Argument, Becomes, Command, Completer, Group, Local, Parsed, ScreenAction, Shape};

const fn argument(
    name: &'static str,
    shape: Shape,
    required: bool,
    completer: Completer,
    doc: &'static str,
) -> Argument {
    Argument {
        name,
        shape,
        required,
        completer,
        doc,
    }
}

const fn word(name: &'static str, completer: Completer, doc: &'static str) -> Argument {
    argument(name, Shape::Word, true, completer, doc)
}

const fn maybe(name: &'static str, completer: Completer, doc: &'static str) -> Argument {
    argument(name, Shape::Word, false, completer, doc)
}

const fn option(name: &'static str, completer: Completer, doc: &'static str) -> Argument {
    argument(name, Shape::Option, false, completer, doc)
}

const fn pairs(name: &'static str, completer: Completer, doc: &'static str) -> Argument {
    argument(name, Shape::Pairs, false, completer, doc)
}

const SIGNATURE: Argument = argument(
    "signature",
    Shape::Text,
    true,
    Completer::Signature,
    "a signature, or the name of one",
);
/// `inputs` is sent even when empty, because the operation requires it.
const INPUTS: Argument = argument(
    "inputs",
    Shape::Pairs,
    true,
    Completer::Field,
    "input fields; values are JSON where they read as JSON",
);
const LM: Argument = option("lm", Completer::Lm, "LM profile or model for this run");
const OPTIONS: Argument = option(
    "options",
    Completer::None,
    "constructor options of the module, a JSON object",
);
const PROGRAM: Argument = word("program", Completer::Program, "name of a program");
const DATASET: Argument = word("dataset", Completer::Dataset, "name of a dataset");
const METRIC: Argument = option("metric", Completer::Metric, "how examples are scored");
const THREADS: Argument = option("num_threads", Completer::None, "examples at once");
const LM_NAME: Argument = word("name", Completer::Lm, "name of the profile");
const LM_OPTIONS: Argument = pairs(
    "options",
    Completer::LmOption,
    "options of the profile and of `dspy.LM`",
);
const SESSION: Argument = word(
    "session",
    Completer::Session,
    "id, unique beginning of one, name, or `latest`",
);

pub(super) const SCREENS: &[&str] = &[
    "main",
    "lm",
    "signature",
    "trace",
    "optimise",
    "sessions",
    "data",
];
pub(super) const PANES: &[&str] = &["explorer", "notebook", "trace"];

const fn row(
    name: &'static str,
    group: Group,
    doc: &'static str,
    arguments: &'static [Argument],
    example: &'static str,
    becomes: Becomes,
) -> Command {
    Command {
        name,
        aliases: &[],
        group,
        doc,
        arguments,
        example,
        key: "",
        becomes,
    }
}

const fn aka(aliases: &'static [&'static str], command: Command) -> Command {
    Command { aliases, ..command }
}

const fn key(key: &'static str, command: Command) -> Command {
    Command { key, ..command }
}

use Becomes::{Operation, With};
use Group::{Data, General, Lm, Program, Session};

/// Every command there is.
pub const TABLE: &[Command] = &[
    // General.
    key(
        "F1",
        aka(
            &["h", "?"],
            row(
                "help",
                General,
                "Lists the commands, or tells all about one command or operation.",
                &[argument(
                    "topic",
                    Shape::Text,
                    false,
                    Completer::Command,
                    "a command or operation",
                )],
                ":help lm",
                With(help),
            ),
        ),
    ),
    aka(
        &["q", "exit"],
        row(
            "quit",
            General,
            "Leaves the workbench; the session stays.",
            &[],
            ":quit",
            With(|_, _| Ok(Parsed::Screen(ScreenAction::Quit))),
        ),
    ),
    key(
        "Ctrl-P",
        row(
            "palette",
            General,
            "Opens the palette of everything that can be done.",
            &[],
            ":palette",
            With(|_, _| Ok(Parsed::Screen(ScreenAction::Palette))),
        ),
    ),
    aka(
        &["screen"],
        row(
            "show",
            General,
            "Shows a screen.",
            &[word("screen", Completer::OneOf(SCREENS), "which")],
            ":show signature",
            With(show),
        ),
    ),
    row(
        "focus",
        General,
        "Moves the focus to a pane.",
        &[word("pane", Completer::OneOf(PANES), "which")],
        ":focus trace",
        With(focus),
    ),
    row(
        "zoom",
        General,
        "Gives the focused pane the whole screen, or takes it back.",
        &[],
        ":zoom",
        With(|_, _| Ok(Parsed::Screen(ScreenAction::Zoom))),
    ),
    row(
        "theme",
        General,
        "Changes the theme; without a name goes to the next one.",
        &[maybe(
            "name",
            Completer::OneOf(&["dark", "light"]),
            "name of a theme",
        )],
        ":theme light",
        With(|mut bound, _| Ok(Parsed::Screen(ScreenAction::Theme(bound.take_text("name"))))),
    ),
    row(
        "clear",
        General,
        "Clears what is shown; nothing of the session is lost.",
        &[],
        ":clear",
        With(|_, _| Ok(Parsed::Screen(ScreenAction::Clear))),
    ),
    row(
        "exec",
        General,
        "Does any operation with JSON arguments.",
        &[
            word("operation", Completer::Operation, "name of the operation"),
            argument(
                "arguments",
                Shape::Json,
                false,
                Completer::None,
                "its arguments, a JSON object",
            ),
        ],
        r#":exec parse_signature {"signature": "question -> answer"}"#,
        With(exec),
    ),
    // Language models.
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
    // Signatures and programs.
    key(
        "F3",
        aka(
            &["signature"],
            row(
                "sig",
                Program,
                "Builds a signature with DSPy's verdict, and keeps it when named.",
                &[
                    SIGNATURE,
                    option("name", Completer::None, "keep it under this name"),
                    option("instructions", Completer::None, "its instructions"),
                ],
                ":sig question -> answer: int name=QA",
                Operation("create_signature"),
            ),
        ),
    ),
    aka(
        &["sigs"],
        row(
            "sig list",
            Program,
            "Lists the named signatures.",
            &[],
            ":sig list",
            With(|_, _| Ok(Parsed::Local(Local::Signatures))),
        ),
    ),
    row(
        "prompt",
        Program,
        "Shows the exact messages DSPy would send.",
        &[
            SIGNATURE,
            option(
                "adapter",
                Completer::OneOf(&["chat", "json", "xml"]),
                "DSPy adapter",
            ),
            option("demos", Completer::None, "demonstrations, a JSON array"),
            option(
                "instructions",
                Completer::None,
                "in place of the signature's",
            ),
            INPUTS,
        ],
        r#":prompt question -> answer question="why is the sky blue?""#,
        With(prompt),
    ),
    row(
        "validate",
        Program,
        "Reports all missing and wrong inputs of a program or signature.",
        &[
            argument(
                "target",
                Shape::Text,
                true,
                Completer::Program,
                "a program or signature",
            ),
            INPUTS,
        ],
        ":validate question -> answer question=why",
        With(validate),
    ),
    row(
        "modules",
        Program,
        "Lists DSPy's modules.",
        &[],
        ":modules",
        Operation("list_dspy_modules"),
    ),
    aka(
        &["programs", "program list"],
        row(
            "program",
            Program,
            "Lists the programs.",
            &[],
            ":program",
            Operation("list_programs"),
        ),
    ),
    row(
        "program new",
        Program,
        "Makes a program of a module, or of several joined by commas.",
        &[
            word("name", Completer::None, "its name"),
            word(
                "modules",
                Completer::Module,
                "a module, or several: Predict,ChainOfThought",
            ),
            argument(
                "signature",
                Shape::Text,
                false,
                Completer::Signature,
                "its signature",
            ),
            OPTIONS,
        ],
        ":program new qa ChainOfThought question -> answer",
        With(program_new),
    ),
    aka(
        &["program remove"],
        row(
            "program rm",
            Program,
            "Forgets a program.",
            &[word("name", Completer::Program, "its name")],
            ":program rm qa",
            Operation("remove_program"),
        ),
    ),
    row(
        "run",
        Program,
        "Runs a program, or a module over a signature.",
        &[
            word("target", Completer::Runnable, "a program, or a DSPy module"),
            argument(
                "signature",
                Shape::Text,
                false,
                Completer::Signature,
                "for a module",
            ),
            LM,
            OPTIONS,
            INPUTS,
        ],
        r#":run ChainOfThought question -> answer question="What is 12*7?""#,
        With(run),
    ),
    row(
        "predict",
        Program,
        "Runs `Predict` over a signature.",
        &[SIGNATURE, LM, OPTIONS, INPUTS],
        r#":predict question -> answer question="What is 12*7?""#,
        With(|bound, context| module("Predict", bound, context)),
    ),
    row(
        "cot",
        Program,
        "Runs `ChainOfThought` over a signature.",
        &[SIGNATURE, LM, OPTIONS, INPUTS],
        r#":cot question -> answer question="What is 12*7?""#,
        With(|bound, context| module("ChainOfThought", bound, context)),
    ),
    aka(
        &["ask"],
        row(
            "generate",
            Program,
            "Answers a prompt with `Predict`, or with another module.",
            &[
                argument("prompt", Shape::Text, true, Completer::None, "the prompt"),
                option("module", Completer::Module, "a DSPy module"),
                option("signature", Completer::Signature, "its signature"),
                option("instructions", Completer::None, "instructions"),
                LM,
            ],
            ":generate What is ML?",
            Operation("generate"),
        ),
    ),
    // Data.
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
                    LM,
                    pairs("options", Completer::None, "options of the optimizer"),
                ],
                ":optimize qa train metric=exact_match max_bootstrapped_demos=4",
                Operation("optimize_prompt"),
            ),
        ),
    ),
    // Runs and sessions.
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
        "restart",
        Session,
        "Starts a fresh kernel; registered things are rebuilt.",
        &[],
        ":restart",
        Operation("restart_kernel"),
    ),
    row(
        "health",
        Session,
        "Tells how workers, gateway and session are.",
        &[],
        ":health",
        Operation("health_check"),
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
