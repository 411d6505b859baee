//! Completion of a `:command` line.

use serde_json::{Map, Value};

use super::context::{LM_OPTIONS, METRICS, OPTIMIZERS, PROVIDERS};
use super::{Argument, Command, Completer, Context, Shape, TABLE, named};
use crate::operation::{self, modules};

/// One thing that could stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The text to put from `start` to the cursor.
    pub text: String,
    /// Byte offset in the line where it begins.
    pub start: usize,
    /// A few words about it; may be empty.
    pub doc: String,
}

/// What could stand at `cursor`, a byte offset of `line`. The colon may be left out.
pub fn complete(line: &str, cursor: usize, context: &Context) -> Vec<Candidate> {
    let cursor = (0..=cursor.min(line.len()))
        .rev()
        .find(|at| line.is_char_boundary(*at))
        .unwrap_or(0);
    let typed = &line[..cursor];
    let body = typed.trim_start().trim_start_matches(':').trim_start();
    let offset = typed.len() - body.len();
    let mut found = names(body, offset);
    if let Some((command, rest)) = command_of(body) {
        let at = cursor - rest.len();
        found.extend(arguments(command, rest, at, context));
    }
    found.dedup_by(|a, b| a.text == b.text && a.start == b.start);
    found
}

/// What to ask `list_models` for, where the cursor stands in the `model=` of a line
/// about a profile. The answer belongs in [`Context::models`].
pub fn models_wanted(line: &str, cursor: usize, context: &Context) -> Option<Map<String, Value>> {
    let typed = line.get(..cursor)?;
    let body = typed.trim_start().trim_start_matches(':').trim_start();
    let (command, rest) = command_of(body)?;
    let mut words = rest.split_whitespace().rev();
    let at_model = !rest.ends_with(char::is_whitespace)
        && words.next().is_some_and(|word| word.starts_with("model="));
    if !at_model || !takes_models(command) {
        return None;
    }
    let mut wanted = Map::new();
    let words: Vec<&str> = rest.split_whitespace().collect();
    let named = words.first().filter(|word| !word.contains('='));
    match command.name {
        "lm add" => {
            wanted.insert("provider".to_owned(), (*named?).into());
            for (name, value) in words.iter().filter_map(|word| word.split_once('=')) {
                if name.starts_with("api_") || name == "port" {
                    wanted.insert(name.to_owned(), value.into());
                }
            }
            if let Some(port) = wanted.get("port").and_then(Value::as_str) {
                let number: u64 = port.parse().ok()?;
                wanted.insert("port".to_owned(), number.into());
            }
        }
        "lm edit" => {
            wanted.insert("profile".to_owned(), (*named?).into());
        }
        _ => {
            wanted.insert("profile".to_owned(), context.lm.clone()?.into());
        }
    }
    Some(wanted)
}

fn takes_models(command: &Command) -> bool {
    let mut arguments = command.arguments.iter();
    arguments.any(|argument| argument.completer == Completer::LmOption)
}

fn owned(list: &[String]) -> Vec<(String, String)> {
    let list = list.iter();
    list.map(|word| (word.clone(), String::new())).collect()
}

/// The command a line is certainly about, and the text after its name and a blank.
fn command_of(body: &str) -> Option<(&'static Command, &str)> {
    let after = |words: usize| {
        let mut rest = body;
        for _ in 0..words {
            let end = rest.find(char::is_whitespace)?;
            rest = rest[end..].trim_start();
        }
        let name = body[..body.len() - rest.len()].split_whitespace();
        let name = name.collect::<Vec<_>>().join(" ").to_lowercase();
        Some((named(&name)?, rest))
    };
    after(2).or_else(|| after(1))
}

/// Names of commands that begin as the line does.
fn names(body: &str, offset: usize) -> Vec<Candidate> {
    let mut found = Vec::new();
    for command in TABLE {
        for name in std::iter::once(&command.name).chain(command.aliases) {
            // An alias is offered only to who has begun to type it.
            let shown = *name == command.name || !body.is_empty();
            if shown && name.starts_with(&body.to_lowercase()) && *name != body {
                found.push(Candidate {
                    text: (*name).to_owned(),
                    start: offset,
                    doc: command.doc.to_owned(),
                });
            }
        }
    }
    found
}

fn arguments(
    command: &'static Command,
    rest: &str,
    at: usize,
    context: &Context,
) -> Vec<Candidate> {
    let begin = rest.rfind(char::is_whitespace).map_or(0, |blank| {
        blank + rest[blank..].chars().next().map_or(1, char::len_utf8)
    });
    let (before, stem) = rest.split_at(begin);
    let start = at + begin;
    if let Some((key, value)) = stem.split_once('=') {
        let option = command
            .arguments
            .iter()
            .find(|argument| argument.name == key);
        if key == "model" && takes_models(command) {
            return candidates(owned(&context.models), value, start + key.len() + 1);
        }
        let completer = option.map_or_else(
            || of_module(command, before, key).unwrap_or(Completer::None),
            |option| option.completer,
        );
        let values = values(completer, value, context);
        return candidates(values, value, start + key.len() + 1);
    }
    let words: Vec<&str> = before.split_whitespace().collect();
    let plain = words.iter().filter(|word| !word.contains('=')).count();
    let mut offered = Vec::new();
    if let Some(argument) = positional(command, plain) {
        offered.extend(values(argument.completer, stem, context));
    }
    offered.extend(keys(command, &words, before, context));
    candidates(offered, stem, start)
}

/// The argument the next plain word belongs to.
fn positional(command: &'static Command, plain: usize) -> Option<&'static Argument> {
    let mut left = plain;
    for argument in command.arguments {
        match argument.shape {
            Shape::Word | Shape::Number if left == 0 => return Some(argument),
            Shape::Word | Shape::Number => left -= 1,
            // A name is one word; a signature written out is nobody's to complete.
            Shape::Text => return (left == 0).then_some(argument),
            Shape::Option | Shape::Pairs | Shape::Json | Shape::Code => {}
        }
    }
    None
}

/// `name=` for each option and pair that is not there yet.
fn keys(
    command: &'static Command,
    words: &[&str],
    before: &str,
    context: &Context,
) -> Vec<(String, String)> {
    let there = |key: &str| {
        words
            .iter()
            .any(|word| word.split_once('=').is_some_and(|(name, _)| name == key))
    };
    let mut found = Vec::new();
    for argument in command.arguments {
        match (argument.shape, argument.completer) {
            (Shape::Option, _) => found.push((argument.name.to_owned(), argument.doc.to_owned())),
            (Shape::Pairs, Completer::LmOption) => {
                found.extend(
                    LM_OPTIONS
                        .iter()
                        .map(|name| ((*name).to_owned(), String::new())),
                );
            }
            (Shape::Pairs, Completer::Field) => {
                found.extend(fields(words, before, context));
                found.extend(module_options(command, words));
            }
            (Shape::Pairs, Completer::ModuleOption) => found.extend(module_options(command, words)),
            _ => {}
        }
    }
    found.retain(|(name, _)| !there(name));
    for (name, _) in &mut found {
        name.push('=');
    }
    found
}

/// The modules a line is about: those of a word of it, or the one that the command stands for.
fn modules_on(command: &Command, words: &[&str]) -> Vec<&'static modules::Module> {
    let named = match command.name {
        "predict" | "predictor" => "Predict",
        "cot" => "ChainOfThought",
        "react" => "ReAct",
        "program new" => words.get(1).copied().unwrap_or_default(),
        _ => words.first().copied().unwrap_or_default(),
    };
    named.split(',').filter_map(modules::find).collect()
}

fn module_options(command: &Command, words: &[&str]) -> Vec<(String, String)> {
    modules_on(command, words)
        .into_iter()
        .flat_map(|module| &module.options)
        .map(|option| (option.name.clone(), option.doc.clone()))
        .collect()
}

/// What can be offered as the value of a module's option.
fn of_module(command: &Command, before: &str, key: &str) -> Option<Completer> {
    let words: Vec<&str> = before.split_whitespace().collect();
    let on = modules_on(command, &words);
    let option = on.iter().find_map(|module| module.option(key))?;
    Some(match option.kind.as_str() {
        "flag" => Completer::OneOf(&["true", "false"]),
        "module" => Completer::Module,
        "tools" => Completer::Tool,
        "metric" => Completer::Metric,
        "dataset" | "corpus" => Completer::Dataset,
        "embedder" => Completer::OneOf(&["words"]),
        "lm" => Completer::Lm,
        _ => Completer::None,
    })
}

/// The input fields of the program or signature on the line.
fn fields(words: &[&str], before: &str, context: &Context) -> Vec<(String, String)> {
    let first = words.first().copied().unwrap_or_default();
    if let Some(program) = context.program(first) {
        return program.inputs.clone();
    }
    let module = modules::find(first);
    let many = first.contains(',') && first.split(',').any(|it| modules::find(it).is_some());
    if let Some(module) = module.filter(|module| !module.inputs.is_empty()) {
        let inputs = module.inputs.iter();
        return inputs
            .map(|name| (name.clone(), "an input".to_owned()))
            .collect();
    }
    let mut text = before.trim();
    if module.is_some() || many {
        text = text[first.len()..].trim_start();
    }
    // Inputs that are there already are no part of the signature.
    let end = words
        .iter()
        .find(|word| word.contains('='))
        .and_then(|word| text.find(*word))
        .unwrap_or(text.len());
    context.signature_inputs(&text[..end])
}

fn values(completer: Completer, stem: &str, context: &Context) -> Vec<(String, String)> {
    let words = |list: &[&str]| -> Vec<(String, String)> {
        list.iter()
            .map(|word| ((*word).to_owned(), String::new()))
            .collect()
    };
    let usable = || -> Vec<(String, String)> {
        let there = modules::all()
            .iter()
            .filter(|module| module.status != "unavailable");
        let own = context.modules.iter();
        there
            .map(|module| (module.name.clone(), module.doc.clone()))
            .chain(own.map(|(name, _)| (name.clone(), "a module of yours".to_owned())))
            .collect()
    };
    let programs = || -> Vec<(String, String)> {
        let list = context.programs.iter();
        list.map(|program| (program.name.clone(), "program".to_owned()))
            .collect()
    };
    match completer {
        Completer::None | Completer::Field | Completer::LmOption | Completer::ModuleOption => {
            Vec::new()
        }
        Completer::Lm => {
            let list = context.lms.iter();
            list.map(|lm| (lm.name.clone(), lm.model.clone())).collect()
        }
        Completer::Provider => words(PROVIDERS),
        Completer::LmOrProvider => {
            let list = context.lms.iter();
            let own = list.map(|lm| (lm.name.clone(), lm.model.clone())).collect();
            [own, words(PROVIDERS)].concat()
        }
        Completer::Program => programs(),
        Completer::Runnable => [programs(), usable()].concat(),
        Completer::Signature => {
            let list = context.signatures.iter();
            list.map(|signature| (signature.name.clone(), "signature".to_owned()))
                .collect()
        }
        Completer::Tool => owned(&context.tools),
        Completer::Server => owned(&context.servers),
        Completer::Dataset => owned(&context.datasets),
        Completer::Module => usable(),
        Completer::Metric => [words(METRICS), owned(&context.functions)].concat(),
        Completer::Optimizer => words(OPTIMIZERS),
        Completer::File => files(stem),
        Completer::Run => {
            let runs = context.runs.iter();
            runs.map(|run| (run.to_string(), String::new())).collect()
        }
        Completer::Session => {
            let mut list = words(&["latest"]);
            list.extend(owned(&context.sessions));
            list
        }
        Completer::Operation => {
            let rows = operation::all();
            rows.map(|row| (row.name.to_owned(), row.doc.to_owned()))
                .collect()
        }
        Completer::Command => {
            let rows = TABLE.iter();
            rows.map(|row| (row.name.to_owned(), row.doc.to_owned()))
                .collect()
        }
        Completer::OneOf(list) => words(list),
    }
}

/// Files and folders that begin with `stem`; at most 200, hidden ones only when asked for.
fn files(stem: &str) -> Vec<(String, String)> {
    let (folder, name) = match stem.rfind('/') {
        Some(slash) => stem.split_at(slash + 1),
        None => ("", stem),
    };
    let dir = if folder.is_empty() { "." } else { folder };
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut found: Vec<(String, String)> = entries
        .flatten()
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let hidden = file.starts_with('.') && !name.starts_with('.');
            if hidden || !file.starts_with(name) || file.contains(char::is_control) {
                return None;
            }
            let slash = if entry.path().is_dir() { "/" } else { "" };
            Some((format!("{folder}{file}{slash}"), String::new()))
        })
        .take(200)
        .collect();
    found.sort();
    found
}

fn candidates(offered: Vec<(String, String)>, stem: &str, start: usize) -> Vec<Candidate> {
    let stem = stem.to_lowercase();
    offered
        .into_iter()
        .filter(|(text, _)| text.to_lowercase().starts_with(&stem))
        .map(|(text, doc)| Candidate { text, start, doc })
        .collect()
}
