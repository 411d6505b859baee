//! What follows from a worker's answer to a request.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::effect::Effect;
use super::state::{Pending, State};
use super::tools;
use super::update::status;
use super::{OperationResult, audit};
use crate::protocol::error::ErrorClass;
use crate::session::event::{
    DatasetDef, EventBody, Level, LmProfile, Output, ProgramDef, RunStatus, Scope, SignatureDef,
};

/// Records how the request ended and what it made, then answers the caller.
pub(super) fn effects(
    state: &State,
    pending: Pending,
    result: OperationResult,
    duration_ms: f64,
) -> Vec<Effect> {
    let scope = Scope {
        run: pending.run,
        cell: pending.cell,
    };
    let mut effects = Vec::new();
    let mut append = |body: EventBody| effects.push(Effect::Append(scope, Box::new(body)));

    let mut result = result.map_err(|error| {
        let stopped = error.class == ErrorClass::Interrupted && error.recovery.hint.is_empty();
        if stopped && pending.operation.name == "run_batch" {
            return error.hint("rows that are done are kept: the same batch goes on from there");
        }
        error
    });
    let mut audited = None;
    if let Ok(answer) = &mut result {
        for body in made(state, &pending, answer) {
            append(body);
        }
    }
    if let Some(cell) = pending.cell {
        let cell_status = cell_status(&result);
        if let Err(error) = &result
            && error.class == ErrorClass::ProcessCrashed
        {
            append(EventBody::CellOutput {
                output: Output::Error {
                    error: error.clone(),
                },
            });
        }
        append(EventBody::CellFinished {
            status: cell_status,
            duration_ms,
        });
        let error = result.as_ref().err().cloned();
        append(EventBody::RunFinished {
            status: cell_status,
            result: None,
            error,
            duration_ms,
        });
        if let Ok(Value::Object(answer)) = &mut result {
            answer.insert("cell".to_owned(), json!(cell.0));
            let outputs = state.session.cell(cell).map(|cell| cell.outputs.clone());
            answer.insert("outputs".to_owned(), json!(outputs.unwrap_or_default()));
        }
    } else if let Some(run) = pending.run {
        if audit::concerns(pending.operation.name) {
            let fact = audit::finished(state, run, &result, duration_ms);
            audited = Some(Effect::Audit(run, Box::new(fact)));
        }
        append(EventBody::RunFinished {
            status: status(&result),
            result: result.as_ref().ok().cloned(),
            error: result.as_ref().err().cloned(),
            duration_ms,
        });
    }
    let made = effects.iter().find_map(|effect| match effect {
        Effect::Append(_, body) => match &**body {
            EventBody::ProgramRegistered { program } => Some(program.clone()),
            _ => None,
        },
        _ => None,
    });
    if trained(&effects) {
        effects.push(Effect::SyncProfiles);
    }
    let learned = matches!(pending.operation.name, "optimize_prompt" | "train_model");
    if let Some(program) = made.filter(|_| learned) {
        effects.push(Effect::Adopt(program));
    }
    effects.extend(audited);
    if let Some(reply) = pending.reply {
        effects.push(Effect::Reply(reply, result));
    }
    effects
}

fn trained(effects: &[Effect]) -> bool {
    let mut bodies = effects.iter().filter_map(|effect| match effect {
        Effect::Append(_, body) => Some(&**body),
        _ => None,
    });
    bodies.any(|body| matches!(body, EventBody::LmConfigured { .. }))
}

/// A cell that raised is an answer, not an error of the operation: read its status.
fn cell_status(result: &OperationResult) -> RunStatus {
    match result {
        Ok(answer) => answer
            .get("status")
            .cloned()
            .and_then(|status| serde_json::from_value(status).ok())
            .unwrap_or(RunStatus::Ok),
        Err(_) => status(result),
    }
}

/// Events for what an operation made; shortens the answer where it is bulky.
fn made(state: &State, pending: &Pending, answer: &mut Value) -> Vec<EventBody> {
    let mut bodies = Vec::new();
    match pending.operation.name {
        "create_signature" => {
            if let (Some(name), Some(signature)) = (&pending.keep_as, parse::<SignatureDef>(answer))
            {
                bodies.push(EventBody::SignatureDefined {
                    name: name.clone(),
                    signature,
                });
            }
        }
        "create_program" | "load_program" => {
            if let Some(program) = parse::<ProgramDef>(answer) {
                bodies.push(register(state, program, answer));
            }
        }
        "load_dataset" => {
            if let Some(dataset) = parse::<DatasetDef>(answer) {
                if let Value::Object(answer) = answer {
                    let rows = answer.remove("rows");
                    let head = rows
                        .as_ref()
                        .and_then(Value::as_array)
                        .map(|rows| rows.iter().take(3).cloned().collect::<Vec<_>>());
                    answer.insert("head".to_owned(), json!(head));
                }
                bodies.push(EventBody::DatasetLoaded { dataset });
            }
        }
        "optimize_prompt" => {
            if answer.get("fallback").is_none()
                && let Some(program) = answer.get_mut("program")
                && let Some(definition) = parse::<ProgramDef>(program)
            {
                bodies.push(register(state, definition, program));
            }
            bodies.extend(told_as_kept(answer));
        }
        "train_model" => {
            bodies.extend(profile_of_trained(state, answer));
            if let Some(program) = answer.get_mut("program")
                && let Some(definition) = parse::<ProgramDef>(program)
            {
                bodies.push(register(state, definition, program));
            }
        }
        "register_tool" | "register_mcp_server" | "register_module" => {
            bodies.extend(tools::made(pending.operation.name, answer));
        }
        "run_cell" => bodies.extend(made_by_cell(state, answer)),
        _ => {}
    }
    bodies
}

/// The profile whose model was trained, once more with the model that came of it.
fn profile_of_trained(state: &State, answer: &Value) -> Option<EventBody> {
    let told = answer.get("profile")?;
    let word = |key: &str| told.get(key).and_then(Value::as_str).map(str::to_owned);
    let base = state.session.lms.get(&word("base")?)?;
    let profile = LmProfile {
        name: word("name")?,
        model: word("model")?,
        ..base.clone()
    };
    Some(EventBody::LmConfigured { profile })
}

/// A note where an answer was kept from an earlier run.
fn told_as_kept(answer: &Value) -> Option<EventBody> {
    let seconds = answer.pointer("/cached/seconds")?.as_u64()?;
    Some(EventBody::Noted {
        level: Level::Info,
        text: format!("the same was optimised {seconds} s ago: its result was kept"),
        hint: "`fresh=true` runs it anew".to_owned(),
    })
}

/// Takes what a cell registered out of its answer.
fn made_by_cell(state: &State, answer: &mut Value) -> Vec<EventBody> {
    let Value::Object(answer) = answer else {
        return Vec::new();
    };
    let mut bodies = Vec::new();
    for mut program in list(answer.remove("registered")) {
        if let Some(definition) = parse::<ProgramDef>(&program) {
            bodies.push(register(state, definition, &mut program));
        }
    }
    if let Some(Value::Object(signatures)) = answer.remove("signatures") {
        for (name, signature) in signatures {
            if let Some(signature) = parse::<SignatureDef>(&signature) {
                bodies.push(EventBody::SignatureDefined { name, signature });
            }
        }
    }
    for dataset in list(answer.remove("datasets")) {
        if let Some(dataset) = parse::<DatasetDef>(&dataset) {
            bodies.push(EventBody::DatasetLoaded { dataset });
        }
    }
    bodies
}

/// Numbers the version: one more than the session has under this name, and more
/// than that of the program it was made from.
fn register(state: &State, mut program: ProgramDef, answer: &mut Value) -> EventBody {
    let known = state.session.programs.get(&program.name);
    let least = if program.parent.is_some() {
        program.version
    } else {
        1
    };
    program.version = known
        .map_or(0, |old| old.version)
        .saturating_add(1)
        .max(least);
    if let Value::Object(answer) = answer {
        answer.insert("version".to_owned(), json!(program.version));
    }
    EventBody::ProgramRegistered {
        program: Box::new(program),
    }
}

fn list(value: Option<Value>) -> Vec<Value> {
    match value {
        Some(Value::Array(items)) => items,
        Some(Value::Object(items)) => named(items),
        _ => Vec::new(),
    }
}

/// `{name: definition}` as a list of definitions that carry their names.
fn named(items: Map<String, Value>) -> Vec<Value> {
    items
        .into_iter()
        .map(|(name, mut definition)| {
            if let Value::Object(definition) = &mut definition {
                definition.insert("name".to_owned(), json!(name));
            }
            definition
        })
        .collect()
}

fn parse<T: DeserializeOwned>(value: &Value) -> Option<T> {
    match serde_json::from_value(value.clone()) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            tracing::warn!(%error, "the kernel's answer is not what the table of operations says");
            None
        }
    }
}
