//! A `:command` as a cell: recorded like any other, with its outcome as output.

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::effect::Effect;
use super::state::State;
use super::update::status;
use super::{OperationResult, present};
use crate::command::{self, Context, Parsed};
use crate::operation;
use crate::protocol::error::OperationError;
use crate::session::event::{CellId, CellKind, EventBody, Output, RunStatus, Scope};

type Reply = oneshot::Sender<OperationResult>;

/// Reads the line and begins what it asks for.
pub(super) fn begin(state: &mut State, line: &str, reply: Reply) -> Vec<Effect> {
    let parsed = command::parse(line, &Context::of(&state.session));
    if let Ok(Parsed::Screen(_)) = parsed {
        let message = format!("`{line}` is for the full-screen workbench");
        return vec![Effect::Reply(
            reply,
            Err(OperationError::invalid("screen_only", message)),
        )];
    }
    let cell = state.issue_cell();
    let submitted = EventBody::CellSubmitted {
        cell_kind: CellKind::Command,
        source: line.to_owned(),
    };
    let mut effects = vec![append(cell, submitted)];
    match parsed {
        Ok(Parsed::Operation {
            operation,
            arguments,
        }) => {
            state.commands += 1;
            effects.push(Effect::Command {
                cell,
                operation,
                arguments,
                reply,
            });
        }
        Ok(Parsed::Local(question)) => match question.answer(&state.session) {
            Ok(text) => {
                let data = Map::from_iter([("text/plain".to_owned(), Value::from(text.clone()))]);
                effects.push(append(
                    cell,
                    EventBody::CellOutput {
                        output: Output::Result { data },
                    },
                ));
                effects.push(finished(cell, RunStatus::Ok, 0.0));
                effects.push(Effect::Reply(
                    reply,
                    Ok(json!({"text": text, "cell": cell.0})),
                ));
            }
            Err(error) => effects.extend(failed(cell, error, reply)),
        },
        Err(error) => effects.extend(failed(cell, error, reply)),
        Ok(Parsed::Screen(_)) => {}
    }
    effects
}

/// Records how it ended.
pub(super) fn end(
    state: &mut State,
    cell: CellId,
    operation: &str,
    result: OperationResult,
    duration_ms: f64,
    reply: Reply,
) -> Vec<Effect> {
    state.commands = state.commands.saturating_sub(1);
    let output = match &result {
        Ok(answer) => operation::find(operation)
            .ok()
            .map(|row| present::output(row, answer)),
        Err(error) => Some(present::failure(error)),
    };
    let mut effects: Vec<Effect> = output
        .map(|output| append(cell, EventBody::CellOutput { output }))
        .into_iter()
        .collect();
    effects.push(finished(cell, status(&result), duration_ms));
    effects.push(Effect::Reply(reply, result));
    effects
}

fn failed(cell: CellId, error: OperationError, reply: Reply) -> Vec<Effect> {
    let output = present::failure(&error);
    vec![
        append(cell, EventBody::CellOutput { output }),
        finished(cell, RunStatus::Error, 0.0),
        Effect::Reply(reply, Err(error)),
    ]
}

fn finished(cell: CellId, status: RunStatus, duration_ms: f64) -> Effect {
    append(
        cell,
        EventBody::CellFinished {
            status,
            duration_ms,
        },
    )
}

fn append(cell: CellId, body: EventBody) -> Effect {
    Effect::Append(
        Scope {
            run: None,
            cell: Some(cell),
        },
        Box::new(body),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Message, Submission, update};

    fn submit(state: &mut State, operation: &str, arguments: Value) -> Vec<Effect> {
        let (reply, _answer) = oneshot::channel();
        let submission = Submission {
            operation: operation.to_owned(),
            arguments,
            reply,
        };
        update(state, Message::Submitted(submission))
    }

    /// D14: a command is recorded as a cell, whatever becomes of it.
    #[test]
    fn a_command_becomes_a_cell_even_when_it_is_wrong() {
        let mut state = State::default();
        for line in ["help", "nonsense", "lm list"] {
            let effects = submit(&mut state, "command", json!({"line": line}));
            let Some(Effect::Append(scope, body)) = effects.first() else {
                panic!("no event")
            };
            assert!(scope.cell.is_some());
            assert!(matches!(**body, EventBody::CellSubmitted { .. }), "{line}");
        }
    }
}
