//! The rows, and what those become that are not simply an operation.

use serde_json::{Map, Value};

use super::context::MODULES;
use super::{
    Argument, Becomes, Bound, Command, Completer, Context, Group, Local, PaneName, Parsed,
    ScreenAction, ScreenName, Shape,
};
use crate::operation;
use crate::protocol::error::{OperationError, near_matches};

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

const SCREENS: &[&str] = &[
    "main",
    "lm",
    "signature",
    "trace",
    "optimise",
    "sessions",
    "data",
];
const PANES: &[&str] = &["explorer", "notebook", "trace"];

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

fn help(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    Ok(Parsed::Local(Local::Help(bound.take_text("topic"))))
}

fn session(mut bound: Bound) -> String {
    bound.take_text("session").unwrap_or_default()
}

fn show(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let name = bound.take_text("screen").unwrap_or_default();
    let screen = match name.as_str() {
        "main" => ScreenName::Main,
        "lm" => ScreenName::Lm,
        "signature" => ScreenName::Signature,
        "trace" => ScreenName::Trace,
        "optimise" | "optimize" => ScreenName::Optimise,
        "sessions" => ScreenName::Sessions,
        "data" => ScreenName::Data,
        _ => return Err(not_one_of(&bound, "screen", &name, SCREENS)),
    };
    Ok(Parsed::Screen(ScreenAction::Show(screen)))
}

fn focus(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let name = bound.take_text("pane").unwrap_or_default();
    let pane = match name.as_str() {
        "explorer" => PaneName::Explorer,
        "notebook" => PaneName::Notebook,
        "trace" => PaneName::Trace,
        _ => return Err(not_one_of(&bound, "pane", &name, PANES)),
    };
    Ok(Parsed::Screen(ScreenAction::Focus(pane)))
}

fn not_one_of(bound: &Bound, what: &str, got: &str, words: &[&str]) -> OperationError {
    bound
        .error(format!("there is no {what} `{got}`: {}", words.join(", ")))
        .near(near_matches(got, words.iter().copied()))
}

fn exec(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let name = bound.take_text("operation").unwrap_or_default();
    let operation = operation::find(&name)?;
    let arguments = bound.take_object("arguments");
    Ok(Parsed::operation(operation.name, arguments))
}

fn lm(bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let operation = if bound.arguments.is_empty() {
        "list_lms"
    } else {
        "select_lm"
    };
    Ok(Parsed::operation(operation, bound.arguments))
}

fn lm_add(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let options = bound.take_object("options");
    bound.arguments.extend(options);
    Ok(Parsed::operation("configure_lm", bound.arguments))
}

fn lm_edit(mut bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
    let name = bound.take_text("name").unwrap_or_default();
    edited(bound, &name, context)
}

fn set(bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
    let Some(name) = context.lm.clone() else {
        return Err(bound
            .error("no LM profile is selected")
            .hint("`:lm use NAME` selects one, `:lm add PROVIDER` makes one"));
    };
    edited(bound, &name, context)
}

/// `configure_lm` with what the profile has, and the given options over it.
fn edited(mut bound: Bound, name: &str, context: &Context) -> Result<Parsed, OperationError> {
    use crate::session::event::KeySource;

    let options = bound.take_object("options");
    if options.is_empty() {
        return Err(bound.error("there is nothing to change: give `option=value`"));
    }
    let Some(profile) = context.lms.iter().find(|profile| profile.name == name) else {
        let names = context.lms.iter().map(|profile| profile.name.as_str());
        return Err(OperationError::invalid(
            "unknown_lm",
            format!("there is no LM profile `{name}`"),
        )
        .near(near_matches(name, names))
        .hint("`:lm` lists them, `:lm add PROVIDER` makes one"));
    };
    let mut arguments = profile.params.clone();
    arguments.insert("name".to_owned(), name.into());
    arguments.insert("model".to_owned(), profile.model.clone().into());
    if let Some(base) = &profile.api_base {
        arguments.insert("api_base".to_owned(), base.clone().into());
    }
    let new_key = options.keys().any(|key| key.starts_with("api_key"));
    let (key, source) = match &profile.key {
        KeySource::None => ("", ""),
        KeySource::Env(variable) => ("api_key_env", variable.as_str()),
        KeySource::Command(command) => ("api_key_command", command.as_str()),
        KeySource::File(path) => ("api_key_file", path.as_str()),
    };
    if !key.is_empty() && !new_key {
        arguments.insert(key.to_owned(), source.into());
    }
    if let Some(timeout) = profile.timeout {
        arguments.insert("timeout".to_owned(), timeout.into());
    }
    for (limit, value) in [
        ("max_concurrency", profile.max_concurrency),
        ("requests_per_minute", profile.requests_per_minute),
    ] {
        if value > 0 {
            arguments.insert(limit.to_owned(), value.into());
        }
    }
    // Editing a profile is no reason to send calls elsewhere.
    let selected = context.lm.as_deref() == Some(name);
    arguments.insert("select".to_owned(), selected.into());
    arguments.extend(options);
    Ok(Parsed::operation("configure_lm", arguments))
}

fn prompt(mut bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
    let signature = text_of(&bound, "signature");
    keep_text(&mut bound, &context.signature_inputs(&signature));
    Ok(Parsed::operation("render_prompt", bound.arguments))
}

fn validate(mut bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
    let target = bound.take_text("target").unwrap_or_default();
    let known = context.program(&target);
    let fields = known.map_or_else(
        || context.signature_inputs(&target),
        |program| program.inputs.clone(),
    );
    keep_text(&mut bound, &fields);
    let what = if known.is_some() {
        "program"
    } else {
        "signature"
    };
    bound.arguments.insert(what.to_owned(), target.into());
    Ok(Parsed::operation("validate_inputs", bound.arguments))
}

fn program_new(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let modules = bound.take_text("modules").unwrap_or_default();
    let modules: Vec<Value> = modules
        .split(',')
        .map(str::trim)
        .filter(|module| !module.is_empty())
        .map(Value::from)
        .collect();
    if modules.is_empty() {
        return Err(bound.error("`:program new` needs a module"));
    }
    bound.arguments.insert("modules".to_owned(), modules.into());
    Ok(Parsed::operation("create_program", bound.arguments))
}

fn run(mut bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
    let target = bound.take_text("target").unwrap_or_default();
    if let Some(program) = context.program(&target) {
        for extra in ["signature", "options"] {
            if bound.arguments.contains_key(extra) {
                let message = format!("`{target}` is a program and has its {extra} already");
                return Err(bound.error(message));
            }
        }
        keep_text(&mut bound, &program.inputs);
        bound.arguments.insert("program".to_owned(), target.into());
        return Ok(Parsed::operation("execute_program", bound.arguments));
    }
    let bare = target.trim_start_matches("dspy.");
    if MODULES.contains(&bare) || bare.starts_with(char::is_uppercase) {
        return module(bare, bound, context);
    }
    let names = context.programs.iter().map(|program| program.name.as_str());
    let near = near_matches(&target, names.chain(MODULES.iter().copied()));
    let message = format!("there is no program or module `{target}`");
    Err(OperationError::invalid("unknown_program", message)
        .near(near)
        .hint("`:program` lists the programs, `:modules` the modules"))
}

fn module(name: &str, mut bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
    let signature = text_of(&bound, "signature");
    if signature.is_empty() {
        return Err(bound.error(format!("`{name}` needs a signature")));
    }
    keep_text(&mut bound, &context.signature_inputs(&signature));
    bound.arguments.insert("module".to_owned(), name.into());
    Ok(Parsed::operation("execute_module", bound.arguments))
}

fn data_load(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let path = bound.take_text("path").unwrap_or_default();
    let is_file = path.contains(['/', '.']);
    let key = if is_file { "path" } else { "shipped" };
    bound.arguments.insert(key.to_owned(), path.into());
    Ok(Parsed::operation("load_dataset", bound.arguments))
}

fn text_of(bound: &Bound, name: &str) -> String {
    let value = bound.arguments.get(name).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

/// A field of type `str` gets what was typed, also where it reads as a number.
fn keep_text(bound: &mut Bound, fields: &[(String, String)]) {
    let Some(Value::Object(inputs)) = bound.arguments.get_mut("inputs") else {
        bound
            .arguments
            .insert("inputs".to_owned(), Value::Object(Map::new()));
        return;
    };
    for (name, kind) in fields {
        if kind == "str"
            && let Some(value) = inputs.get_mut(name)
            && !value.is_string()
        {
            *value = value.to_string().into();
        }
    }
}
