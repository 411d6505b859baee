//! `exec`: one operation, one JSON object; or one line each with `--jsonl`.

use std::io::Read as _;
use std::process::ExitCode;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::open::{self, complain, print_line};
use super::{Common, ExecArgs};
use crate::app::{Core, OperationResult};
use crate::operation::{self, Kind, Operation, Route, schema};
use crate::protocol::error::{ErrorClass, OperationError};
use crate::signals::{Signals, exit_code};

/// Runs `exec`. Exit code 0 when every answer is `ok`, 1 when one is not, 2 on wrong usage.
pub(super) async fn run(args: ExecArgs, common: &Common) -> ExitCode {
    if args.list {
        return list();
    }
    if args.schema {
        return schemas(args.operation.as_deref());
    }
    if args.jsonl {
        return jsonl(common).await;
    }
    let Some(name) = args.operation else {
        return complain("which operation? `dspex-tui exec --list` names them", 2);
    };
    let request = operation::find(&name).and_then(|operation| {
        let text = args.arguments.as_deref();
        let arguments = match text.and_then(|text| one_word(operation, text)) {
            Some(arguments) => Ok(arguments),
            None => read_arguments(text),
        };
        arguments.map(|arguments| (operation, arguments))
    });
    let (operation, arguments) = match request {
        Ok(request) => request,
        Err(error) => return finish(&Err(error)),
    };
    // Before there is a worker: whoever is told to end then takes it along.
    let signals = Signals::catch().ok();
    let mut core = match open_core(common, Some(operation)).await {
        Ok(core) => core,
        Err(error) => return finish(&Err(error)),
    };
    let handle = core.handle();
    let answer = until_told(&mut core, signals, async move {
        handle.call(operation.name, arguments).await
    });
    let answer = answer.await;
    core.close().await;
    match answer {
        Ok(answer) => finish(&answer),
        Err(number) => {
            print_line(&envelope(&Err(told_to_end())).to_string());
            ExitCode::from(exit_code(number))
        }
    }
}

/// Drives the core until `future` is done, or until a signal asks this process to end:
/// its number. What runs was then asked to stop.
async fn until_told<F: Future>(
    core: &mut Core,
    signals: Option<Signals>,
    future: F,
) -> Result<F::Output, i32> {
    let told = async {
        match signals {
            Some(mut signals) => signals.next().await,
            None => std::future::pending().await,
        }
    };
    let number = tokio::select! {
        output = core.run_until(future) => return Ok(output),
        number = told => number,
    };
    core.stop_what_runs();
    Err(number)
}

fn told_to_end() -> OperationError {
    OperationError::new(
        "interrupted",
        ErrorClass::Interrupted,
        "a signal ended this before it was done",
    )
}

async fn open_core(
    common: &Common,
    operation: Option<&'static Operation>,
) -> Result<Core, OperationError> {
    let mut options = open::core_options(common)?;
    options.interactive = false;
    // One answer is all that is wanted: a standby would be started for nothing.
    options.standby = operation.is_none();
    let mut core = Core::start(options).await?;
    if operation.is_some_and(|operation| operation.route != Route::Core) {
        core.warm_up();
    }
    Ok(core)
}

/// Answers line after line: each may build on what the ones before it made.
async fn jsonl(common: &Common) -> ExitCode {
    let signals = Signals::catch().ok();
    let mut core = match open_core(common, None).await {
        Ok(core) => core,
        Err(error) => return finish(&Err(error)),
    };
    let _monitor = match open::monitor(common, &core).await {
        Ok(monitor) => monitor,
        Err(error) => return finish(&Err(error)),
    };
    let handle = core.handle();
    let answering = async move {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let mut all_ok = true;
        while let Ok(Some(line)) = lines.next_line().await {
            if line.trim().is_empty() {
                continue;
            }
            let (id, answer) = match parse_line(&line) {
                Ok((operation, arguments, id)) => (id, handle.call(&operation, arguments).await),
                Err(error) => (Value::Null, Err(error)),
            };
            all_ok &= answer.is_ok();
            let mut object = envelope(&answer);
            if let Value::Object(object) = &mut object {
                object.insert("id".to_owned(), id);
            }
            if !print_line(&object.to_string()) {
                break;
            }
        }
        all_ok
    };
    let answered = until_told(&mut core, signals, answering).await;
    core.close().await;
    ExitCode::from(match answered {
        Ok(all_ok) => u8::from(!all_ok),
        Err(number) => exit_code(number),
    })
}

fn parse_line(line: &str) -> Result<(String, Value, Value), OperationError> {
    let bad = |why: String| {
        OperationError::invalid("invalid_request", why)
            .hint("a line is `{\"operation\": …, \"arguments\": {…}, \"id\": …}`")
    };
    let mut value: Value = serde_json::from_str(line)
        .map_err(|error| bad(format!("this line is not JSON: {error}")))?;
    let operation = value
        .get("operation")
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| bad("this line names no `operation`".to_owned()))?;
    let mut take = |key: &str| value.get_mut(key).map(Value::take).unwrap_or_default();
    Ok((operation, take("arguments"), take("id")))
}

/// `cache stats`: a bare word is the first argument, where that is one of some words.
fn one_word(operation: &Operation, text: &str) -> Option<Value> {
    let first = operation.arguments.first()?;
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let takes_words = matches!(first.kind, Kind::OneOf(_));
    (is_word && takes_words && !text.is_empty()).then(|| json!({ first.name: text }))
}

fn read_arguments(text: Option<&str>) -> Result<Value, OperationError> {
    let mut input = String::new();
    let text = match text {
        None => return Ok(Value::Null),
        Some("-") => {
            std::io::stdin()
                .read_to_string(&mut input)
                .map_err(|error| {
                    OperationError::invalid("invalid_arguments", format!("standard input: {error}"))
                })?;
            input.as_str()
        }
        Some(text) => text,
    };
    serde_json::from_str(text).map_err(|error| {
        OperationError::invalid(
            "invalid_arguments",
            format!("the arguments are not JSON: {error}"),
        )
        .hint("put them in single quotes: '{\"name\": \"demo\"}'")
    })
}

/// `{"ok": true, "result"}` or `{"ok": false, "error"}`.
pub(super) fn envelope(answer: &OperationResult) -> Value {
    match answer {
        Ok(result) => json!({"ok": true, "result": result}),
        Err(error) => json!({"ok": false, "error": error}),
    }
}

fn finish(answer: &OperationResult) -> ExitCode {
    print_line(&envelope(answer).to_string());
    ExitCode::from(u8::from(answer.is_err()))
}

fn list() -> ExitCode {
    for operation in operation::all() {
        if !print_line(&format!("{:<20} {}", operation.name, operation.doc)) {
            break;
        }
    }
    ExitCode::SUCCESS
}

fn schemas(name: Option<&str>) -> ExitCode {
    let described = match name.map(operation::find).transpose() {
        Ok(Some(operation)) => schema::describe(operation),
        Ok(None) => operation::all().map(schema::describe).collect(),
        Err(error) => return finish(&Err(error)),
    };
    print_line(&described.to_string());
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R22: a line that is not a request says what one looks like.
    #[test]
    fn a_bad_line_is_an_error_with_the_shape_wanted() {
        for line in ["{", "[]", "{\"operation\": 3}"] {
            let error = parse_line(line).unwrap_err();
            assert!(error.recovery.hint.contains("operation"), "{line}");
        }
        let (operation, arguments, id) =
            parse_line(r#"{"operation": "list_lms", "id": 7}"#).unwrap();
        assert_eq!(
            (operation.as_str(), arguments, id),
            ("list_lms", Value::Null, json!(7))
        );
    }
}
