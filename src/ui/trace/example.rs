//! A span sent to the notebook: as an example, ready for a dataset.

use std::fmt::Write as _;

use serde_json::Value;

use crate::session::state::{Run, Span};
use crate::ui::context::Context;

/// Writes `dspy.Example(…)` of what the span took and gave into the editor.
/// Spans without fields stand for the module that called them.
pub(super) fn send(run: &Run, span: &Span, cx: &mut Context<'_>) {
    let mut span = span;
    while span.kind != "module" || span.inputs.is_empty() {
        let Some(up) = span.parent.and_then(|up| run.spans.get(up)) else {
            cx.say("no module with inputs called this: there is nothing to make an example of");
            return;
        };
        span = up;
    }
    let inputs = flat(span.inputs.iter());
    let mut fields = String::new();
    for (name, value) in inputs.iter().chain(&flat(span.outputs.iter())) {
        let _ = writeln!(fields, "    {name}={},", python(value));
    }
    let names: Vec<String> = inputs.iter().map(|(name, _)| format!("{name:?}")).collect();
    cx.insert = Some(format!(
        "example = dspy.Example(\n{fields}).with_inputs({})",
        names.join(", ")
    ));
    cx.focus = Some(crate::ui::Focus::Editor);
    cx.say("the call is in the editor as an example; Enter runs it");
}

/// Fields of a span; those gathered under `kwargs` for themselves.
fn flat<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>) -> Vec<(&'a str, &'a Value)> {
    let mut out = Vec::new();
    for (name, value) in fields {
        match value {
            Value::Object(inner) if name == "kwargs" => {
                out.extend(inner.iter().map(|(name, value)| (name.as_str(), value)));
            }
            _ => out.push((name.as_str(), value)),
        }
    }
    let identifier = |name: &str| {
        !name.starts_with(|ch: char| ch.is_ascii_digit())
            && name.chars().all(|ch| ch.is_alphanumeric() || ch == '_')
    };
    out.retain(|(name, _)| identifier(name));
    out
}

/// A value as Python writes it.
fn python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(python).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields: Vec<String> = fields
                .map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), python(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        // JSON's strings and numbers are Python's.
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_python_has_them() {
        let value = json!({"a": [1, null, true], "b": "it's \"é\"\n"});
        assert_eq!(
            python(&value),
            r#"{"a": [1, None, True], "b": "it's \"é\"\n"}"#
        );
    }
}
