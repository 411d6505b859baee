//! An operation's result as a cell's output: a MIME bundle with plain text.
//!
//! Owns the plain words; screens may show the JSON beside it in their own way.

mod cache;
mod code;
mod health;
pub mod prediction;
pub mod telemetry;
pub mod value;

use serde_json::{Map, Value};

use crate::app::answer::text;
use crate::operation::Operation;
use crate::session::event::Output;

/// The MIME type of a prediction: an object of its fields.
pub const PREDICTION: &str = "application/vnd.dspex.prediction+json";

/// Columns of plain text where nobody knows the width of what shows it.
pub const PAGE: usize = 100;

/// Columns of a table that must fit the narrowest terminal.
const NARROW: usize = 76;

/// What a cell shows for this result.
pub fn output(operation: &Operation, result: &Value) -> Output {
    let mut data = Map::new();
    data.insert(
        "text/plain".to_owned(),
        Value::from(plain(operation.name, result)),
    );
    let is_prediction = matches!(
        operation.name,
        "execute_program" | "execute_module" | "generate"
    );
    let json_type = if is_prediction {
        PREDICTION
    } else {
        "application/json"
    };
    data.insert(json_type.to_owned(), result.clone());
    Output::Result { data }
}

/// The result in plain words.
pub fn plain(operation: &str, result: &Value) -> String {
    match operation {
        "render_prompt" => messages(result),
        "evaluate_pipeline" => format!("score {}", number(result.get("score"))),
        "optimize_prompt" => {
            let performance = result.get("performance").cloned().unwrap_or_default();
            let of = |key: &str| number(performance.get(key));
            if let Some(reason) = result.pointer("/fallback/reason").and_then(Value::as_str) {
                return format!("not optimised, the program stays as it was: {reason}");
            }
            let name = result
                .pointer("/program/name")
                .and_then(Value::as_str)
                .unwrap_or("program");
            let kept = result
                .pointer("/cached/seconds")
                .map_or_else(String::new, |seconds| {
                    format!("; kept from {seconds} s ago, `fresh=true` runs it anew")
                });
            format!(
                "{name}: {} → {} ({} examples used{kept})",
                of("baseline"),
                of("optimized"),
                number(result.get("examples_used"))
            )
        }
        "train_model" => trained(result),
        "run_batch" => batch(result),
        "create_signature" | "parse_signature" => signature(result),
        "create_program" | "load_program" => program(result),
        "load_dataset" => dataset(result),
        "test_lm" => test(result),
        "execute_code" => code::plain(result),
        "validate_inputs" => problems(result),
        "health_check" | "pools" => health::plain(result),
        "metrics" => telemetry::metrics(result, NARROW).join("\n"),
        "audit" => telemetry::audit(result),
        "cache" => cache::plain(result),
        "list_lms" => table(result.get("lms"), &["name", "model"]),
        "list_programs" => {
            let list = result.get("programs").and_then(Value::as_array);
            let lines: Vec<String> = list.into_iter().flatten().map(program).collect();
            if lines.is_empty() {
                "none".to_owned()
            } else {
                lines.join("\n")
            }
        }
        "list_dspy_modules" => modules(result),
        "list_tools" | "register_mcp_server" => tools(result),
        "register_tool" => tool(result),
        "list_mcp_servers" => table(result.get("servers"), &["name", "command", "url"]),
        "call_tool" => result.get("result").map(short).unwrap_or_default(),
        "list_sessions" => table(result.get("sessions"), &["id", "name", "cells", "calls"]),
        "find_local_lms" => servers(result),
        "list_models" => models(result),
        "compare_sessions" => comparison(result),
        "show_dataset" => rows(result.get("rows")),
        "execute_program" | "execute_module" | "generate" => match result {
            Value::Object(fields) if !fields.is_empty() => prediction::plain(fields, PAGE),
            other => short(other),
        },
        _ => fields(result),
    }
}

/// What was trained, with how much, and what it came to.
fn trained(result: &Value) -> String {
    let of = |path: &str| number(result.pointer(path));
    let kept = result.pointer("/profile/name").and_then(Value::as_str);
    let kept = kept.map_or_else(
        || "kept in the notebook".to_owned(),
        |name| format!("kept as the LM profile {name}"),
    );
    let program = result.pointer("/program/name").and_then(Value::as_str);
    format!(
        "{}: {} → {} with {}, trained on {} answers, {kept}",
        program.unwrap_or("program"),
        of("/performance/baseline"),
        of("/performance/optimized"),
        text(result, "model"),
        of("/examples_used"),
    )
}

/// How many rows are in which file, and the first that failed.
fn batch(result: &Value) -> String {
    let of = |key: &str| number(result.get(key));
    let mut lines = vec![format!(
        "{} rows in {}: {} failed, {} of an earlier start, {} s",
        of("rows"),
        text(result, "output"),
        of("failed"),
        of("resumed"),
        of("seconds"),
    )];
    let errors = result.get("errors").and_then(Value::as_array);
    lines.extend(errors.into_iter().flatten().map(|error| {
        let row = number(error.get("row"));
        format!("  row {row}: {}", clip(text(error, "message"), 160))
    }));
    lines.join("\n")
}

/// Servers with their models, and how one is put to use.
fn servers(result: &Value) -> String {
    let list = result.get("servers").and_then(Value::as_array);
    let mut lines = Vec::new();
    for server in list.into_iter().flatten() {
        let of = |key: &str| short(server.get(key).unwrap_or(&Value::Null));
        lines.push(format!("{} at {}", of("server"), of("api_base")));
        let models = server.get("models").and_then(Value::as_array);
        for model in models.into_iter().flatten() {
            let model = short(model);
            let model = if model.contains(char::is_whitespace) {
                format!("{model:?}")
            } else {
                model
            };
            let add = format!(":lm add {} model={model}", of("provider"));
            lines.push(format!("  {add} api_base={}", of("api_base")));
        }
    }
    if lines.is_empty() {
        return "no LM server answers on this machine's usual ports".to_owned();
    }
    lines.join("\n")
}

/// A model a line, and how to use one.
fn models(result: &Value) -> String {
    let of = |key: &str| short(result.get(key).unwrap_or(&Value::Null));
    let list = result.get("models").and_then(Value::as_array);
    let mut lines: Vec<String> = list.into_iter().flatten().map(short).collect();
    if lines.is_empty() {
        return format!("{} offers no model", of("url"));
    }
    let many = if lines.len() == 1 { "model" } else { "models" };
    lines.push(format!(
        "{} {many} at {} · `:lm add {} model=…` makes a profile of one",
        lines.len(),
        of("url"),
        of("provider")
    ));
    lines.join("\n")
}

/// What differs between two sessions; what is the same is counted.
fn comparison(result: &Value) -> String {
    let list = |key: &str| result.get(key).and_then(Value::as_array).cloned();
    let of = |value: &Value, key: &str| short(value.get(key).unwrap_or(&Value::Null));
    let (left, right) = (of(result, "left"), of(result, "right"));
    let mut lines = vec![format!("{left} → {right}")];
    let mut same = 0;
    for row in list("rows").unwrap_or_default() {
        if row.get("left") == row.get("right") {
            same += 1;
        } else {
            let side = |key: &str| Some(of(&row, key)).filter(|it| !it.is_empty());
            let side = |key: &str| side(key).unwrap_or_else(|| "—".to_owned());
            lines.push(format!(
                "{}: {} → {}",
                of(&row, "what"),
                side("left"),
                side("right")
            ));
        }
    }
    for cell in list("cells").unwrap_or_default() {
        let first = |key: &str| {
            let text = cell.get(key).and_then(Value::as_str).unwrap_or_default();
            text.lines().next().unwrap_or_default().to_owned()
        };
        match cell.get("change").and_then(Value::as_str) {
            Some("added") => lines.push(format!("+ [{}] {}", of(&cell, "right"), first("source"))),
            Some("removed") => lines.push(format!("- [{}] {}", of(&cell, "left"), first("source"))),
            Some("source") => {
                lines.push(format!("- [{}] {}", of(&cell, "left"), first("source")));
                lines.push(format!("+ [{}] {}", of(&cell, "right"), first("changed")));
            }
            Some("outputs") => lines.push(format!(
                "~ [{}] {}: other outputs",
                of(&cell, "left"),
                first("source")
            )),
            _ => same += 1,
        }
    }
    lines.push(format!("{same} more are the same"));
    lines.join("\n")
}

/// `name: value` lines of an object; JSON for anything else.
fn fields(result: &Value) -> String {
    match result {
        Value::Object(object) if object.is_empty() => "done".to_owned(),
        Value::Object(object) => {
            let width = object
                .keys()
                .map(|key| key.chars().count())
                .max()
                .unwrap_or(0);
            let line = |(key, value): (&String, &Value)| format!("{key:<width$}  {}", short(value));
            object.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        other => short(other),
    }
}

fn messages(result: &Value) -> String {
    let list = result
        .get("messages")
        .and_then(Value::as_array)
        .map(Vec::as_slice);
    list.unwrap_or_default()
        .iter()
        .map(|message| {
            let of = |key: &str| message.get(key).and_then(Value::as_str).unwrap_or_default();
            format!("── {} ──\n{}", of("role"), of("content"))
        })
        .collect::<Vec<_>>()
        .join("\n\n")
}

fn signature(result: &Value) -> String {
    let instructions = text(result, "instructions");
    format!("{}\n{instructions}", fields_line(result))
}

/// `question: str -> answer: str`.
fn fields_line(signature: &Value) -> String {
    let side = |key: &str| {
        let list = signature
            .get(key)
            .and_then(Value::as_array)
            .map(Vec::as_slice);
        list.unwrap_or_default()
            .iter()
            .map(|field| {
                let of = |key: &str| field.get(key).and_then(Value::as_str).unwrap_or_default();
                format!("{}: {}", of("name"), of("type"))
            })
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!("{} -> {}", side("inputs"), side("outputs"))
}

/// `triage v2  ChainOfThought  ticket: str -> category: str  score 83.3`.
fn program(result: &Value) -> String {
    let modules = short(result.get("modules").unwrap_or(&Value::Null));
    let mut line = format!(
        "{} v{}  {modules}",
        text(result, "name"),
        number(result.get("version"))
    );
    if let Some(signature) = result
        .get("signature")
        .filter(|signature| signature.is_object())
    {
        line.push_str("  ");
        line.push_str(&fields_line(signature));
    }
    if let Some(score) = result.get("score").filter(|score| score.is_number()) {
        line.push_str("  score ");
        line.push_str(&score.to_string());
    }
    line
}

/// Name, status, and the reason where there is one, else what it does.
fn modules(result: &Value) -> String {
    let mut list = result.get("modules").cloned().unwrap_or_default();
    for module in list.as_array_mut().into_iter().flatten() {
        let about = match text(module, "reason") {
            "" => text(module, "doc"),
            reason => reason,
        };
        let about = Value::from(about);
        if let Value::Object(module) = module {
            module.insert("about".to_owned(), about);
        }
    }
    table(Some(&list), &["name", "status", "about"])
}

/// Tools, then the calls that wait.
fn tools(result: &Value) -> String {
    let list = |key: &str| {
        let list = result.get(key).and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    };
    let mut lines: Vec<String> = list("tools").iter().map(tool).collect();
    if lines.is_empty() {
        lines.push("none: `:tool add NAME file=FILE` makes one".to_owned());
    }
    lines.extend(list("waiting").iter().map(|waiting| {
        let arguments = waiting.get("arguments").cloned().unwrap_or_default();
        format!(
            "waits: {} {}({arguments})  `:approve` allows it",
            number(waiting.get("id")),
            text(waiting, "tool")
        )
    }));
    lines.join("\n")
}

/// `search(query, k)  ask  Finds passages.`
fn tool(result: &Value) -> String {
    let arguments = result.get("args").and_then(Value::as_object);
    let names: Vec<&str> = arguments
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    let desc = text(result, "desc");
    format!(
        "{}({})  {}  {}",
        text(result, "name"),
        names.join(", "),
        text(result, "approval"),
        clip(desc.lines().next().unwrap_or_default(), 100)
    )
}

fn dataset(result: &Value) -> String {
    let names = |key: &str| short(result.get(key).unwrap_or(&Value::Null));
    let mut lines = vec![format!(
        "{}  {} examples  {}  inputs: {}",
        text(result, "name"),
        number(result.get("len")),
        names("fields"),
        names("inputs"),
    )];
    let head = result.get("head").and_then(Value::as_array);
    lines.extend(
        head.into_iter()
            .flatten()
            .map(|row| format!("  {}", clip(&row.to_string(), 160))),
    );
    lines.join("\n")
}

fn test(result: &Value) -> String {
    let latency = result
        .get("latency_ms")
        .and_then(Value::as_f64)
        .unwrap_or_default();
    format!(
        "answered in {latency:.0} ms: {}",
        clip(text(result, "answer"), 160)
    )
}

fn problems(result: &Value) -> String {
    let list = result
        .get("problems")
        .and_then(Value::as_array)
        .map(Vec::as_slice);
    match list.unwrap_or_default() {
        [] => "nothing is wrong".to_owned(),
        list => table(
            Some(&Value::from(list.to_vec())),
            &["field", "problem", "expected", "got"],
        ),
    }
}

fn clip(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

fn table(list: Option<&Value>, columns: &[&str]) -> String {
    let list = list
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    if list.is_empty() {
        return "none".to_owned();
    }
    let cells: Vec<Vec<String>> = list
        .iter()
        .map(|row| {
            columns
                .iter()
                .map(|column| short(row.get(column).unwrap_or(&Value::Null)))
                .collect()
        })
        .collect();
    let width = |idx: usize| {
        cells
            .iter()
            .filter_map(|row| row.get(idx))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    cells
        .iter()
        .map(|row| {
            let line: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(idx, cell)| format!("{cell:<width$}", width = width(idx)))
                .collect();
            line.join("  ").trim_end().to_owned()
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn rows(list: Option<&Value>) -> String {
    let list = list
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    list.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

fn number(value: Option<&Value>) -> String {
    value.map_or_else(|| "?".to_owned(), ToString::to_string)
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(items) if items.iter().all(Value::is_string) => items
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(", "),
        other => value::untagged(other).to_string(),
    };
    clip(&text, 400)
}

/// The result of an error as a cell's output.
pub fn failure(error: &crate::protocol::error::OperationError) -> Output {
    Output::Error {
        error: error.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operation::find;

    #[test]
    fn a_prediction_is_shown_as_its_fields() {
        let result = json!({"reasoning": "12 * 7 = 84", "answer": "84"});
        let output = output(find("execute_module").unwrap(), &result);
        let Output::Result { data } = output else {
            panic!("not a result")
        };
        assert_eq!(data["text/plain"], "reasoning  12 * 7 = 84\nanswer     84");
        assert_eq!(data[PREDICTION], result);
    }
}
