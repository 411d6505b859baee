//! What a bound line becomes, where that is more than an operation of its words.
#![expect(
    clippy::unnecessary_wraps,
    reason = "the table holds functions of one type, and most of them can refuse"
)]

use serde_json::{Map, Value};

use super::table::{PANES, SCREENS};
use super::{Bound, Context, Local, PaneName, Parsed, ScreenAction, ScreenName};
use crate::operation::{self, modules};
use crate::protocol::error::{OperationError, near_matches};

pub(super) fn help(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    Ok(Parsed::Local(Local::Help(bound.take_text("topic"))))
}

pub(super) fn session(mut bound: Bound) -> String {
    bound.take_text("session").unwrap_or_default()
}

pub(super) fn show(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let name = bound.take_text("screen").unwrap_or_default();
    let screen = match name.as_str() {
        "main" => ScreenName::Main,
        "lm" => ScreenName::Lm,
        "signature" => ScreenName::Signature,
        "trace" => ScreenName::Trace,
        "optimise" | "optimize" => ScreenName::Optimise,
        "sessions" => ScreenName::Sessions,
        "data" => ScreenName::Data,
        "modules" => ScreenName::Modules,
        _ => return Err(not_one_of(&bound, "screen", &name, SCREENS)),
    };
    Ok(Parsed::Screen(ScreenAction::Show(screen)))
}

pub(super) fn focus(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
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

pub(super) fn exec(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let name = bound.take_text("operation").unwrap_or_default();
    let operation = operation::find(&name)?;
    let arguments = bound.take_object("arguments");
    Ok(Parsed::operation(operation.name, arguments))
}

pub(super) fn lm(bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let operation = if bound.arguments.is_empty() {
        "list_lms"
    } else {
        "select_lm"
    };
    Ok(Parsed::operation(operation, bound.arguments))
}

pub(super) fn lm_add(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let options = bound.take_object("options");
    bound.arguments.extend(options);
    Ok(Parsed::operation("configure_lm", bound.arguments))
}

/// A profile's name, else a provider's.
pub(super) fn lm_models(mut bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
    if let Some(of) = bound.take_text("of") {
        let known = context.lms.iter().any(|profile| profile.name == of);
        let name = if known { "profile" } else { "provider" };
        bound.arguments.insert(name.to_owned(), of.into());
    }
    Ok(Parsed::operation("list_models", bound.arguments))
}

pub(super) fn lm_edit(mut bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
    let name = bound.take_text("name").unwrap_or_default();
    edited(bound, &name, context)
}

pub(super) fn set(bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
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

pub(super) fn prompt(mut bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
    let signature = text_of(&bound, "signature");
    keep_text(&mut bound, &context.signature_inputs(&signature));
    Ok(Parsed::operation("render_prompt", bound.arguments))
}

pub(super) fn validate(mut bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
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

pub(super) fn program_new(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let modules = bound.take_text("modules").unwrap_or_default();
    let names = steps(&modules);
    if names.is_empty() {
        return Err(bound.error("`:program new` needs a module"));
    }
    let pairs = bound.take_object("pairs");
    if names.len() == 1 {
        merge_options(&mut bound, pairs);
    } else if let Some(stray) = options_by_module(&mut bound, &names, pairs)?.keys().next() {
        let message = format!("none of these modules has an option `{stray}`");
        let known = names.iter().filter_map(|name| modules::find(name));
        let known = known.flat_map(|module| module.options.iter().map(|it| it.name.as_str()));
        return Err(bound.error(message).near(near_matches(stray, known)));
    }
    bound.arguments.insert("modules".to_owned(), names.into());
    Ok(Parsed::operation("create_program", bound.arguments))
}

pub(super) fn predictor(mut bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
    bound
        .arguments
        .insert("modules".to_owned(), "Predict".into());
    program_new(bound, context)
}

/// The modules of `BM25,ChainOfThought`.
fn steps(text: &str) -> Vec<&str> {
    text.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

/// Adds each pair that is an option of one of these modules to the `options` of that module;
/// answers the other pairs.
fn options_by_module(
    bound: &mut Bound,
    names: &[&str],
    pairs: Map<String, Value>,
) -> Result<Map<String, Value>, OperationError> {
    let mut options = bound.take_object("options");
    let mut left = Map::new();
    for (name, value) in pairs {
        let has =
            |module: &&&str| modules::find(module).is_some_and(|it| it.option(&name).is_some());
        let owners: Vec<&&str> = names.iter().filter(has).collect();
        match owners.as_slice() {
            [] => {
                left.insert(name, value);
            }
            [owner] => {
                let its = options
                    .entry((**owner).to_owned())
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(its) = its {
                    its.insert(name, value);
                }
            }
            [first, ..] => {
                let example = serde_json::json!({ **first: { name.as_str(): value } });
                return Err(bound
                    .error(format!("whose option is `{name}`? several modules have it"))
                    .hint(format!("say it with `options={example}`")));
            }
        }
    }
    if !options.is_empty() {
        let options = Value::Object(options);
        bound.arguments.insert("options".to_owned(), options);
    }
    Ok(left)
}

/// Several modules in a row, run once: a program written out.
fn pipeline(names: &[&str], mut bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
    let Some(signature) = bound.take_text("signature") else {
        return Err(bound
            .error("a pipeline needs a signature")
            .hint("say what it is asked with and answers, as in `question -> answer`"));
    };
    let fields = context.signature_inputs(&signature);
    let pairs = bound.take_object("inputs");
    let is_field = |name: &String| fields.iter().any(|(field, _)| field == name);
    let (mut inputs, others): (Map<_, _>, Map<_, _>) =
        pairs.into_iter().partition(|(name, _)| is_field(name));
    inputs.extend(options_by_module(&mut bound, names, others)?);
    let options = bound.take_object("options");
    let program = serde_json::json!({
        "modules": names, "signature": signature, "options": options,
    });
    bound.arguments.insert("program".to_owned(), program);
    bound
        .arguments
        .insert("inputs".to_owned(), Value::Object(inputs));
    keep_text(&mut bound, &fields);
    Ok(Parsed::operation("execute_program", bound.arguments))
}

pub(super) fn run(mut bound: Bound, context: &Context) -> Result<Parsed, OperationError> {
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
    let names = steps(&target);
    if names.len() > 1 {
        return pipeline(&names, bound, context);
    }
    let bare = target.trim_start_matches("dspy.");
    let yours = context.modules.iter().any(|(name, _)| name == bare);
    if yours || modules::find(bare).is_some() || bare.starts_with(char::is_uppercase) {
        return module(bare, bound, context);
    }
    let programs = context.programs.iter().map(|program| &*program.name);
    let known: Vec<&str> = modules::all()
        .iter()
        .map(|module| &*module.name)
        .chain(programs)
        .collect();
    let near = near_matches(&target, known);
    let message = format!("there is no program or module `{target}`");
    Err(OperationError::invalid("unknown_program", message)
        .near(near)
        .hint("`:program` lists the programs, `:modules` the modules"))
}

pub(super) fn module(
    name: &str,
    mut bound: Bound,
    context: &Context,
) -> Result<Parsed, OperationError> {
    let signature = text_of(&bound, "signature");
    let known = modules::find(name);
    if signature.is_empty() && known.is_some_and(|module| module.signature) {
        return Err(bound.error(format!("`{name}` needs a signature")));
    }
    let fields = context.signature_inputs(&signature);
    if let Some(module) = known {
        options_out_of_inputs(&mut bound, module, &fields);
    }
    keep_text(&mut bound, &fields);
    bound.arguments.insert("module".to_owned(), name.into());
    Ok(Parsed::operation("execute_module", bound.arguments))
}

/// What is an option of the module, and no field of its signature, is one.
fn options_out_of_inputs(bound: &mut Bound, module: &modules::Module, fields: &[(String, String)]) {
    let inputs = bound.take_object("inputs");
    let is_option = |name: &String| {
        module.option(name).is_some() && !fields.iter().any(|(field, _)| field == name)
    };
    let (options, inputs) = inputs.into_iter().partition(|(name, _)| is_option(name));
    bound
        .arguments
        .insert("inputs".to_owned(), Value::Object(inputs));
    merge_options(bound, options);
}

/// Adds to the `options` that were given as JSON.
fn merge_options(bound: &mut Bound, more: Map<String, Value>) {
    if more.is_empty() {
        return;
    }
    let mut options = bound.take_object("options");
    options.extend(more);
    bound
        .arguments
        .insert("options".to_owned(), Value::Object(options));
}

pub(super) fn mcp_add(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    if let Some(command) = bound.take_text("command") {
        let words: Vec<Value> = command.split_whitespace().map(Value::from).collect();
        bound.arguments.insert("command".to_owned(), words.into());
    }
    Ok(Parsed::operation("register_mcp_server", bound.arguments))
}

pub(super) fn approve(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    bound
        .arguments
        .entry("decision")
        .or_insert_with(|| "allow".into());
    Ok(Parsed::operation("answer_approval", bound.arguments))
}

pub(super) fn tool_call(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
    let arguments = bound.take_object("arguments");
    bound
        .arguments
        .insert("arguments".to_owned(), Value::Object(arguments));
    Ok(Parsed::operation("call_tool", bound.arguments))
}

pub(super) fn data_load(mut bound: Bound, _: &Context) -> Result<Parsed, OperationError> {
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
