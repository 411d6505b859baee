//! A piece of code that was run: each stream, its value, how it ended.

use serde_json::Value;

/// What it printed and answered; what went wrong comes last.
pub(super) fn plain(result: &Value) -> String {
    let of = |key: &str| result.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut lines = Vec::new();
    if result.get("unsafe").and_then(Value::as_bool) == Some(true) {
        lines.push("unsafe: ran outside the sandbox".to_owned());
    }
    for (key, title) in [("stdout", ""), ("stderr", "── stderr ──\n")] {
        if !of(key).is_empty() {
            lines.push(format!("{title}{}", of(key).trim_end()));
        }
    }
    match result.get("result") {
        None | Some(Value::Null) => {}
        Some(Value::String(value)) => lines.push(value.clone()),
        Some(value) => lines.push(value.to_string()),
    }
    let files = result.get("files").and_then(Value::as_array);
    for file in files.into_iter().flatten() {
        let name = file.get("name").and_then(Value::as_str).unwrap_or_default();
        let size = file.get("size").and_then(Value::as_u64).unwrap_or(0);
        lines.push(format!("wrote {name} ({size} B)"));
    }
    if !of("error").is_empty() {
        lines.push(format!("{}: {}", of("status"), of("error")));
    }
    if lines.is_empty() {
        lines.push("done".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// R118, R122: streams apart, the value, the end; unsafe code says so first.
    #[test]
    fn streams_value_and_end_are_told_apart() {
        let result = json!({"status": "timeout", "stdout": "a\n", "stderr": "b\n", "result": 42,
            "files": [{"name": "f", "size": 3}], "error": "too slow", "unsafe": true});
        assert_eq!(
            plain(&result),
            "unsafe: ran outside the sandbox\na\n── stderr ──\nb\n42\nwrote f (3 B)\ntimeout: too slow"
        );
        assert_eq!(plain(&json!({"status": "ok", "stdout": ""})), "done");
    }
}
