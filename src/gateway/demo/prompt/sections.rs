//! `[[ ## field ## ]]` sections: reading and writing.

use serde_json::{Map, Value};

/// The sections of the fields asked for, in order. A header of any other name is
/// part of the value it stands in: a ReAct trajectory is full of them.
pub fn read(text: &str, names: &[&str]) -> Vec<(String, String)> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        match header(line) {
            Some("completed") => open = false,
            Some(name)
                if names.contains(&name) && !found.iter().any(|(known, _)| known == name) =>
            {
                found.push((name.to_owned(), Vec::new()));
                open = true;
            }
            _ => {
                if let Some((_, lines)) = found.last_mut().filter(|_| open) {
                    lines.push(line);
                }
            }
        }
    }
    found
        .into_iter()
        .map(|(name, lines)| (name, lines.join("\n").trim().to_owned()))
        .collect()
}

/// The name in a header line.
pub fn header(line: &str) -> Option<&str> {
    line.trim().strip_prefix("[[ ## ")?.strip_suffix(" ## ]]")
}

/// Writes an answer: a section a field, then the end marker.
pub fn write(answer: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in answer {
        for part in ["[[ ## ", name, " ## ]]\n", &plain(value), "\n\n"] {
            text.push_str(part);
        }
    }
    text.push_str("[[ ## completed ## ]]\n");
    text
}

/// A value as DSPy's text adapters write it: text as it is, Python's words for
/// booleans and nothing, JSON for the rest.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    }
}
