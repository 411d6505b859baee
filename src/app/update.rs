//! `update`: the only code that decides. Pure: no clock, no disk, no process.

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::effect::Effect;
use super::state::{InputWanted, Message, Pending, State, Submission};
use super::{
    OperationResult, approvals, audit, command_cell, health, hold, lms, outcome, resolve,
    telemetry, tools,
};
use crate::gateway::demo::dataset;
use crate::operation::{self, Operation, Route, check};
use crate::protocol::error::{OperationError, near_matches};
use crate::protocol::message::{Lane, Request};
use crate::session::event::{
    CellId, CellKind, Document, EventBody, RunId, RunKind, RunStatus, Scope,
};
use crate::session::metrics;
use crate::worker::PoolRole;

type Reply = oneshot::Sender<OperationResult>;

/// Takes one message in and says what is to be done.
pub fn update(state: &mut State, message: Message) -> Vec<Effect> {
    match message {
        Message::Submitted(submission) => submitted(state, submission),
        Message::Journalled(event) => {
            state.session.apply(&event);
            Vec::new()
        }
        Message::Answered {
            ticket,
            result,
            duration_ms,
        } => match state.pending.remove(&ticket) {
            Some(pending) => {
                if pending.cell.is_some() && pending.cell == state.input.as_ref().map(|i| i.cell) {
                    state.input = None;
                }
                outcome::effects(state, pending, result, duration_ms)
            }
            None => Vec::new(),
        },
        Message::CommandDone {
            cell,
            operation,
            result,
            duration_ms,
            reply,
        } => command_cell::end(state, cell, &operation, result, duration_ms, reply),
        Message::ApprovalWanted(wanted, reply) => approvals::wanted(state, wanted, reply),
        Message::ApprovalWithdrawn(id) => {
            state.approvals.withdrawn(id);
            Vec::new()
        }
        Message::InputWanted(wanted) => {
            state.issued.inputs += 1;
            state.input = Some(InputWanted {
                id: state.issued.inputs,
                ..wanted
            });
            Vec::new()
        }
        Message::FollowerCame => state.approvals.follower(true),
        Message::FollowerLeft => state.approvals.follower(false),
        Message::KernelReplaced => {
            // Whoever asked for input is gone.
            state.input = None;
            Vec::new()
        }
        Message::MemoryRead(held) => health::measured(state, held),
        Message::SaveChanged(save) => {
            state.save = save;
            Vec::new()
        }
        // For a core that follows another process; see `Core::dispatch`.
        Message::Remote(_) | Message::RemoteGone => Vec::new(),
    }
}

fn submitted(state: &mut State, submission: Submission) -> Vec<Effect> {
    let Submission {
        operation,
        arguments,
        reply,
    } = submission;
    let checked = operation::find(&operation)
        .and_then(|found| check::arguments(found, arguments).map(|arguments| (found, arguments)));
    let (found, arguments) = match checked {
        Ok(checked) => checked,
        Err(error) => return vec![Effect::Reply(reply, Err(error))],
    };
    if state.stopping {
        let error = OperationError::internal("the workbench is shutting down");
        return vec![Effect::Reply(reply, Err(error))];
    }
    match found.route {
        Route::Core => by_core(state, found, arguments, reply),
        Route::Run(Lane::Main, RunKind::Cell) => cell(state, found, arguments, reply),
        Route::Kernel(lane) => by_python(state, found, (lane, None), arguments, reply),
        Route::Run(lane, kind) => by_python(state, found, (lane, Some(kind)), arguments, reply),
        Route::Job(kind) => by_python(state, found, (Lane::Run, Some(kind)), arguments, reply),
    }
}

/// Hands an operation to a worker, recorded as a run if it is one.
fn by_python(
    state: &mut State,
    operation: &'static Operation,
    (lane, kind): (Lane, Option<RunKind>),
    mut arguments: Map<String, Value>,
    reply: Reply,
) -> Vec<Effect> {
    let recorded = Value::Object(arguments.clone());
    let title = title(operation.name, &arguments);
    if let Err(error) = generate_rows(&mut arguments) {
        return vec![Effect::Reply(reply, Err(error))];
    }
    let build = |arguments: &Map<String, Value>| state.build_profile(arguments);
    let lm = match resolve::names(&state.session, operation.arguments, &mut arguments, &build) {
        Ok(lm) => lm,
        Err(error) => return vec![Effect::Reply(reply, Err(error))],
    };
    let lm_spec = |name: &str| {
        let spec = state.gateway.as_ref()?.lm_spec(name)?;
        serde_json::to_value(spec).ok()
    };
    resolve::options(&state.session, &mut arguments, &lm_spec);
    if kind.is_some() || operation.name == "list_dspy_modules" {
        arguments.insert("registered".to_owned(), tools::registered(&state.session));
    }
    let keeps_its_name = matches!(operation.name, "create_signature");
    let keep_as = if keeps_its_name {
        arguments
            .remove("name")
            .and_then(|name| name.as_str().map(str::to_owned))
    } else {
        None
    };
    let mut effects = Vec::new();
    if let Some(profile) = lm
        .as_ref()
        .filter(|lm| !state.session.lms.contains_key(&lm.name))
    {
        effects.push(append(EventBody::LmConfigured {
            profile: profile.clone(),
        }));
        effects.push(Effect::SyncProfiles);
    }
    let name = lm.as_ref().map(|lm| lm.name.as_str());
    let asked = audit::concerns(operation.name)
        .then(|| audit::requested(operation.name, &recorded, &arguments, name));
    let run = kind.map(|run_kind| {
        let run = state.issue_run();
        let body = EventBody::RunStarted {
            run_kind,
            title,
            operation: Some(operation.name.to_owned()),
            arguments: recorded,
        };
        effects.push(Effect::Append(Scope::run(run), Box::new(body)));
        effects.extend(asked.map(|fact| Effect::Audit(run, Box::new(fact))));
        run
    });
    let pending = Pending {
        operation,
        run,
        cell: None,
        keep_as,
        reply: Some(reply),
    };
    effects.push(ask(
        state,
        pending,
        lane,
        Value::Object(arguments),
        lm.map(|lm| lm.name),
    ));
    effects
}

/// Replaces `generate` of `load_dataset` by the rows it asks for.
fn generate_rows(arguments: &mut Map<String, Value>) -> Result<(), OperationError> {
    let Some(Value::Object(wanted)) = arguments.remove("generate") else {
        return Ok(());
    };
    let number = |key: &str, default| wanted.get(key).and_then(Value::as_u64).unwrap_or(default);
    let kind = text(&wanted, "kind").unwrap_or_default();
    let (seed, n) = (number("seed", 1), number("n", 60));
    let rows = dataset::generate(&kind, seed, n as usize)?;
    arguments.insert("rows".to_owned(), json!(rows));
    arguments
        .entry("name")
        .or_insert_with(|| json!(format!("{kind}-{seed}")));
    Ok(())
}

/// Runs a Python cell, or keeps a Markdown one.
fn cell(
    state: &mut State,
    operation: &'static Operation,
    mut arguments: Map<String, Value>,
    reply: Reply,
) -> Vec<Effect> {
    let source = text(&arguments, "source").unwrap_or_default();
    let cell = match arguments.remove("cell").and_then(|cell| cell.as_u64()) {
        None => state.issue_cell(),
        Some(number) if state.session.cell(CellId(number)).is_some() => CellId(number),
        Some(number) => {
            let message = format!("there is no cell {number}");
            return vec![Effect::Reply(
                reply,
                Err(OperationError::invalid("unknown_cell", message)),
            )];
        }
    };
    let running = |pending: &Pending| pending.cell == Some(cell);
    if state.pending.values().any(running) {
        let message = format!("cell {} is running", cell.0);
        let error = OperationError::invalid("cell_running", message)
            .hint("wait for it, or `interrupt` it first");
        return vec![Effect::Reply(reply, Err(error))];
    }
    if text(&arguments, "kind").as_deref() == Some("markdown") {
        let body = EventBody::CellSubmitted {
            cell_kind: CellKind::Markdown,
            source,
        };
        let scope = Scope {
            run: None,
            cell: Some(cell),
        };
        return vec![
            Effect::Append(scope, Box::new(body)),
            Effect::Reply(
                reply,
                Ok(json!({"cell": cell.0, "status": "ok", "outputs": []})),
            ),
        ];
    }
    arguments.remove("kind");
    let run = state.issue_run();
    let scope = Scope::cell(run, cell);
    let started = EventBody::RunStarted {
        run_kind: RunKind::Cell,
        title: format!("[{}] {}", cell.0, first_line(&source)),
        operation: None,
        arguments: Value::Null,
    };
    let submitted = EventBody::CellSubmitted {
        cell_kind: CellKind::Python,
        source,
    };
    let pending = Pending {
        operation,
        run: Some(run),
        cell: Some(cell),
        keep_as: None,
        reply: Some(reply),
    };
    vec![
        Effect::Append(scope, Box::new(submitted)),
        Effect::Append(scope, Box::new(started)),
        ask(state, pending, Lane::Main, Value::Object(arguments), None),
    ]
}

fn ask(
    state: &mut State,
    pending: Pending,
    lane: Lane,
    arguments: Value,
    lm: Option<String>,
) -> Effect {
    let ticket = state.issue_ticket();
    let request = Request {
        operation: pending.operation.name.to_owned(),
        lane,
        arguments,
        run: pending.run,
        cell: pending.cell,
        ..Request::default()
    };
    let pool = match pending.operation.route {
        Route::Job(RunKind::Compile) => Some(PoolRole::Optimizer),
        Route::Job(_) => Some(PoolRole::General),
        _ => None,
    };
    state.pending.insert(ticket, pending);
    Effect::Ask {
        ticket,
        request: Box::new(request),
        lm,
        pool,
    }
}

fn by_core(
    state: &mut State,
    operation: &'static Operation,
    arguments: Map<String, Value>,
    reply: Reply,
) -> Vec<Effect> {
    match operation.name {
        "reply_input" => reply_input(state, &arguments, reply),
        "answer_approval" => {
            let (mut effects, result) = approvals::answer(state, &arguments);
            effects.push(Effect::Reply(reply, result));
            effects
        }
        "interrupt" => interrupt(state, &arguments, reply),
        "cancel" => cancel(state, &arguments, reply),
        "pause" => hold::hold(state, &arguments, true, reply),
        "continue" => hold::hold(state, &arguments, false, reply),
        "restart_kernel" => vec![Effect::RestartKernel(reply)],
        "list_sessions" => vec![Effect::ListSessions(reply)],
        "compare_sessions" => {
            let wanted = ["left", "right"].map(|key| text(&arguments, key).unwrap_or_default());
            vec![Effect::CompareSessions(wanted, reply)]
        }
        "audit" => vec![Effect::ReadAudit(arguments, reply)],
        "export_otlp" => {
            let wanted = telemetry::Wanted {
                id: state.session_id.clone(),
                endpoint: text(&arguments, "endpoint"),
                run: arguments.get("run").and_then(Value::as_u64),
                protocol: text(&arguments, "protocol"),
            };
            vec![Effect::ExportOtlp(wanted, reply)]
        }
        "cache" => vec![Effect::Cache {
            clear: text(&arguments, "action").as_deref() == Some("clear"),
            reply,
        }],
        "verify_audit" => vec![Effect::VerifyAudit(reply)],
        "list_models" => match lms::asked(state, &arguments) {
            Ok(profile) => vec![Effect::ListModels(Box::new(profile), reply)],
            Err(error) => vec![fail(reply, error)],
        },
        "find_local_lms" => match lms::ports(&arguments) {
            Ok(ports) => vec![Effect::FindLms(ports, reply)],
            Err(error) => vec![fail(reply, error)],
        },
        "command" => {
            let line = text(&arguments, "line").unwrap_or_default();
            command_cell::begin(state, &line, reply)
        }
        "read_document" => {
            let document = arguments.get("document").cloned().unwrap_or_default();
            match serde_json::from_value::<Document>(document) {
                Ok(document) => vec![Effect::ReadDocument(document, reply)],
                Err(error) => {
                    let message = format!("this is not a recorded document: {error}");
                    vec![fail(
                        reply,
                        OperationError::invalid("invalid_arguments", message),
                    )]
                }
            }
        }
        "health_check" => vec![Effect::Health(health::begin(state), reply)],
        "pools" => {
            let mut running = health::begin(state);
            if let Value::Object(running) = &mut running {
                running.retain(|key, _| key == "running");
            }
            vec![Effect::Health(running, reply)]
        }
        "restart_pools" => vec![Effect::RestartPools(reply)],
        "shutdown" => {
            state.stopping = true;
            vec![Effect::Stop(reply)]
        }
        _ => match about_the_session(state, operation.name, &arguments) {
            Ok((mut effects, result)) => {
                effects.push(Effect::Reply(reply, Ok(result)));
                effects
            }
            Err(error) => vec![fail(reply, error)],
        },
    }
}

/// Operations that read the session or append to it, and need nothing else.
fn about_the_session(
    state: &mut State,
    operation: &str,
    arguments: &Map<String, Value>,
) -> Result<(Vec<Effect>, Value), OperationError> {
    if let Some(done) = tools::operation(state, operation, arguments) {
        return done.map(|(events, answer)| (events.into_iter().map(append).collect(), answer));
    }
    let session = &state.session;
    let name = text(arguments, "name").unwrap_or_default();
    match operation {
        "configure_lm" => lms::configure(state, arguments),
        "select_lm" => {
            let build = |arguments: &Map<String, Value>| state.build_profile(arguments);
            let profile = resolve::profile(session, &name, &build)?;
            let mut effects = Vec::new();
            if !session.lms.contains_key(&profile.name) {
                effects.push(append(EventBody::LmConfigured {
                    profile: profile.clone(),
                }));
            }
            effects.push(append(EventBody::LmSelected {
                name: profile.name.clone(),
            }));
            effects.push(Effect::SyncProfiles);
            Ok((effects, json!({"name": profile.name})))
        }
        "remove_lm" => {
            known(&name, "LM profile", "unknown_lm", session.lms.keys())?;
            let removed = append(EventBody::LmRemoved { name: name.clone() });
            Ok((vec![removed, Effect::SyncProfiles], json!({"name": name})))
        }
        "list_lms" => {
            let lms: Vec<_> = session.lms.values().collect();
            Ok((Vec::new(), json!({"lms": lms, "selected": session.lm})))
        }
        "list_programs" => {
            let programs: Vec<_> = session.programs.values().collect();
            Ok((Vec::new(), json!({"programs": programs})))
        }
        "remove_program" => {
            known(&name, "program", "unknown_program", session.programs.keys())?;
            let removed = append(EventBody::ProgramRemoved { name: name.clone() });
            Ok((vec![removed], json!({"name": name})))
        }
        "show_dataset" => {
            known(&name, "dataset", "unknown_dataset", session.datasets.keys())?;
            let number = |key: &str, default: u64| {
                arguments
                    .get(key)
                    .and_then(Value::as_u64)
                    .unwrap_or(default) as usize
            };
            let rows = session
                .datasets
                .get(&name)
                .map(|d| d.rows.as_slice())
                .unwrap_or_default();
            let page: Vec<_> = rows
                .iter()
                .skip(number("offset", 0))
                .take(number("limit", 20))
                .collect();
            Ok((Vec::new(), json!({"rows": page, "len": rows.len()})))
        }
        "delete_cell" => {
            let number = arguments
                .get("cell")
                .and_then(Value::as_u64)
                .unwrap_or_default();
            if session.cell(CellId(number)).is_none() {
                let message = format!("there is no cell {number}");
                return Err(OperationError::invalid("unknown_cell", message));
            }
            let scope = Scope {
                run: None,
                cell: Some(CellId(number)),
            };
            let deleted = Effect::Append(scope, Box::new(EventBody::CellDeleted {}));
            Ok((vec![deleted], json!({"cell": number})))
        }
        "restore_cell" => {
            let wanted = arguments.get("cell").and_then(Value::as_u64).map(CellId);
            let mut gone = session.deleted.iter().rev().map(|(_, cell)| cell.id);
            let found = gone.find(|id| wanted.is_none_or(|wanted| wanted == *id));
            let Some(cell) = found.filter(|id| session.cell(*id).is_none()) else {
                let message = match wanted {
                    Some(cell) => format!("no cell {} was deleted", cell.0),
                    None => "no cell was deleted".to_owned(),
                };
                return Err(OperationError::invalid("unknown_cell", message));
            };
            let scope = Scope {
                run: None,
                cell: Some(cell),
            };
            let restored = Effect::Append(scope, Box::new(EventBody::CellRestored {}));
            Ok((vec![restored], json!({"cell": cell})))
        }
        "metrics" => Ok((Vec::new(), metrics::report(session))),
        "session_state" => {
            let result = json!({
                "id": state.session_id,
                "seq": session.seq,
                "hash": session.hash(),
                "cells": session.cells.len(),
                "runs": session.runs.len(),
                "programs": session.programs.keys().collect::<Vec<_>>(),
                "datasets": session.datasets.keys().collect::<Vec<_>>(),
                "names": session.names,
                "totals": session.totals,
            });
            Ok((Vec::new(), result))
        }
        other => {
            let message = format!("`{other}` is in the table but nothing carries it out");
            Err(OperationError::internal(message))
        }
    }
}

/// Answers `input()`: the first who does so is heard.
fn reply_input(state: &mut State, arguments: &Map<String, Value>, reply: Reply) -> Vec<Effect> {
    let id = arguments.get("id").and_then(Value::as_u64);
    let asked = |input: &mut InputWanted| id.is_none_or(|id| id == input.id);
    if state.input.take_if(asked).is_none() {
        let sentence = match id {
            Some(_) => "this question does not wait any more",
            None => "no cell waits for input",
        };
        let error = OperationError::invalid("nothing_waits", sentence);
        return vec![fail(
            reply,
            error.hint("it was answered in another window, or stopped"),
        )];
    }
    vec![
        Effect::ReplyInput(text(arguments, "text")),
        Effect::Reply(reply, Ok(json!({}))),
    ]
}

fn interrupt(state: &State, arguments: &Map<String, Value>, reply: Reply) -> Vec<Effect> {
    let wanted = arguments.get("cell").and_then(Value::as_u64).map(CellId);
    match state.running_cell() {
        Some(cell) if wanted.is_none_or(|wanted| wanted == cell) => {
            vec![
                Effect::Interrupt(cell),
                Effect::Reply(reply, Ok(json!({"interrupted": true}))),
            ]
        }
        _ => vec![Effect::Reply(reply, Ok(json!({"interrupted": false})))],
    }
}

fn cancel(state: &State, arguments: &Map<String, Value>, reply: Reply) -> Vec<Effect> {
    let run = RunId(
        arguments
            .get("run")
            .and_then(Value::as_u64)
            .unwrap_or_default(),
    );
    if !state.session.runs.contains_key(&run) && run.0 > state.issued.runs {
        let error = OperationError::invalid("unknown_run", format!("there is no run {}", run.0));
        return vec![fail(reply, error)];
    }
    let Some(pending) = state
        .pending
        .values()
        .find(|pending| pending.run == Some(run))
    else {
        return vec![Effect::Reply(reply, Ok(json!({"cancelled": false})))];
    };
    let mut effects = vec![Effect::Cancel(run)];
    effects.extend(pending.cell.map(Effect::Interrupt));
    effects.push(Effect::Reply(reply, Ok(json!({"cancelled": true}))));
    effects
}

pub(super) fn known<'a>(
    name: &str,
    what: &str,
    kind: &str,
    names: impl Iterator<Item = &'a String> + Clone,
) -> Result<(), OperationError> {
    if names.clone().any(|known| known == name) {
        return Ok(());
    }
    Err(
        OperationError::invalid(kind, format!("there is no {what} `{name}`"))
            .near(near_matches(name, names.map(String::as_str))),
    )
}

/// One line for the list of runs.
fn title(operation: &str, arguments: &Map<String, Value>) -> String {
    let subject = ["program", "module", "prompt", "name", "path", "shipped"]
        .iter()
        .find_map(|key| text(arguments, key))
        .or_else(|| steps(arguments))
        .unwrap_or_default();
    let fields = match arguments.get("inputs") {
        Some(Value::Object(inputs)) => inputs
            .iter()
            .map(|(name, value)| format!("{name}={}", shorten(&value.to_string(), 40)))
            .collect::<Vec<_>>()
            .join(", "),
        _ => String::new(),
    };
    match operation {
        "execute_program" | "execute_module" => format!("{subject}({fields})"),
        "evaluate_pipeline" => format!("evaluate {subject}"),
        "optimize_prompt" => format!("optimize {subject}"),
        "train_model" => format!("train {subject}"),
        "run_batch" => format!("batch {subject}"),
        _ => format!("{operation} {}", shorten(&subject, 60))
            .trim_end()
            .to_owned(),
    }
}

/// The modules of a program that was written out: `BM25 → ChainOfThought`.
fn steps(arguments: &Map<String, Value>) -> Option<String> {
    let modules = arguments.get("program")?.get("modules")?.as_array()?;
    let names: Vec<&str> = modules.iter().filter_map(Value::as_str).collect();
    Some(shorten(&names.join(" → "), 60))
}

fn first_line(source: &str) -> String {
    shorten(
        source
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default(),
        60,
    )
}

fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars()
        .take(width.saturating_sub(1))
        .chain(['…'])
        .collect()
}

pub(super) fn text(arguments: &Map<String, Value>, key: &str) -> Option<String> {
    arguments
        .get(key)
        .and_then(Value::as_str)
        .map(str::to_owned)
}

pub(super) fn append(body: EventBody) -> Effect {
    Effect::Append(Scope::NONE, Box::new(body))
}

fn fail(reply: Reply, error: OperationError) -> Effect {
    Effect::Reply(reply, Err(error))
}

/// How a result ends a run.
pub(super) fn status(result: &OperationResult) -> RunStatus {
    use crate::protocol::error::ErrorClass;
    match result {
        Ok(_) => RunStatus::Ok,
        Err(error) => match error.class {
            ErrorClass::Interrupted => RunStatus::Interrupted,
            ErrorClass::ProcessCrashed => RunStatus::Died,
            _ => RunStatus::Error,
        },
    }
}
