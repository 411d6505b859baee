//! A value of a result as text for a person: tables as tables, pictures as their
//! size and kind, nested values as a tree.
//!
//! Owns what the tags of the worker's serialiser (`dspex_worker.serialize`) look
//! like; the JSON itself, tags and all, is what `exec` prints.

mod table;

use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr as _;

/// Items of a list that are shown.
const MOST: usize = 12;
/// Members of an object that are shown.
const MOST_MEMBERS: usize = 4 * MOST;
/// Characters of a list or object that still stands on one line.
const LINE: usize = 72;

/// The value in words; several lines where it has parts.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        _ => tree(value).join("\n"),
    }
}

/// Pictures of a MIME bundle, such as `[image/png, 12.3 kB]`; empty without one.
pub fn pictures(data: &Map<String, Value>) -> String {
    let shown: Vec<String> = data
        .iter()
        .filter(|(mime, _)| mime.starts_with("image/"))
        .map(|(mime, content)| {
            let content = content.as_str().unwrap_or_default();
            let bytes = if mime == "image/svg+xml" {
                content.len()
            } else {
                decoded(content)
            };
            format!("[{mime}, {}]", size(bytes as u64))
        })
        .collect();
    shown.join(" ")
}

/// The value without tags: records as objects, tuples and sets as lists, anything
/// else that JSON cannot say as words.
pub fn untagged(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(untagged).collect(),
        Value::Object(members) => match kind(members) {
            None => Value::Object(plain_members(members)),
            Some("model" | "dataclass" | "namedtuple" | "Example" | "Prediction") => {
                match media(members) {
                    Some(words) => Value::from(words),
                    None => members.get("fields").map(untagged).unwrap_or_default(),
                }
            }
            Some("tuple" | "set" | "frozenset") => {
                members.get("items").map(untagged).unwrap_or_default()
            }
            Some("dict") => Value::Object(pairs(members)),
            Some(kind) => Value::from(words(kind, members).join("\n")),
        },
        other => other.clone(),
    }
}

fn plain_members(members: &Map<String, Value>) -> Map<String, Value> {
    members
        .iter()
        .map(|(name, member)| (name.clone(), untagged(member)))
        .collect()
}

/// Pairs of a mapping with other keys than text.
fn pairs(members: &Map<String, Value>) -> Map<String, Value> {
    let items = members.get("items").and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .map(|pair| {
            let key = pair.get(0).map(inline).unwrap_or_default();
            (key, pair.get(1).map(untagged).unwrap_or_default())
        })
        .collect()
}

fn kind(members: &Map<String, Value>) -> Option<&str> {
    members.get("_type").and_then(Value::as_str)
}

/// One line if it fits, else a line a part.
fn tree(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => match kind(members) {
            Some("DataFrame" | "Series" | "ndarray") => {
                words(kind(members).unwrap_or_default(), members)
            }
            Some(kind @ ("model" | "dataclass" | "Example" | "Prediction")) => {
                record(kind, members)
            }
            Some(_) => lines_of(&untagged(value)),
            None => branches(members),
        },
        Value::Array(_) => lines_of(value),
        other => inline(other).lines().map(str::to_owned).collect(),
    }
}

/// A record: its class over its fields.
fn record(kind: &str, members: &Map<String, Value>) -> Vec<String> {
    if let Some(words) = media(members) {
        return vec![words];
    }
    let name = class(members).unwrap_or(kind);
    let fields = members.get("fields").and_then(Value::as_object);
    let inner = fields.map(branches).unwrap_or_default();
    match inner.as_slice() {
        [one] if one.len() < LINE => vec![format!("{name} {one}")],
        _ => std::iter::once(name.to_owned())
            .chain(inner.iter().map(|line| format!("  {line}")))
            .collect(),
    }
}

fn lines_of(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => {
            let line = inline(value);
            if line.width() <= LINE && !line.contains('\n') {
                return vec![line];
            }
            let mut lines = Vec::new();
            for item in items.iter().take(MOST) {
                for (at, line) in tree(item).into_iter().enumerate() {
                    let bullet = if at == 0 { "- " } else { "  " };
                    lines.push(format!("{bullet}{line}"));
                }
            }
            if items.len() > MOST {
                lines.push(format!("… {} more items", items.len() - MOST));
            }
            lines
        }
        Value::Object(members) => branches(members),
        other => inline(other).lines().map(str::to_owned).collect(),
    }
}

fn branches(members: &Map<String, Value>) -> Vec<String> {
    let line = inline(&Value::Object(members.clone()));
    if line.width() <= LINE && !line.contains('\n') {
        return vec![line];
    }
    let mut lines = Vec::new();
    for (name, member) in members.iter().take(MOST_MEMBERS) {
        let parts = tree(member);
        if let [one] = parts.as_slice() {
            lines.push(format!("{name}: {one}"));
        } else {
            lines.push(format!("{name}:"));
            lines.extend(parts.iter().map(|part| format!("  {part}")));
        }
    }
    if members.len() > MOST_MEMBERS {
        lines.push(format!("… {} more", members.len() - MOST_MEMBERS));
    }
    lines
}

/// On one line.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(members) => match kind(members) {
            Some("tuple") => format!("({})", listed(members.get("items"))),
            Some("set" | "frozenset") => format!("{{{}}}", listed(members.get("items"))),
            Some(_) => match untagged(value) {
                Value::String(text) => text.lines().next().unwrap_or_default().to_owned(),
                other => other.to_string(),
            },
            None => Value::Object(plain_members(members)).to_string(),
        },
        Value::Array(_) => untagged(value).to_string(),
        other => other.to_string(),
    }
}

fn listed(items: Option<&Value>) -> String {
    let items = items.and_then(Value::as_array);
    let shown: Vec<String> = items.into_iter().flatten().map(inline).collect();
    shown.join(", ")
}

/// What a tag says.
fn words(kind: &str, members: &Map<String, Value>) -> Vec<String> {
    let of = |key: &str| members.get(key).map(inline).unwrap_or_default();
    let line = match kind {
        "DataFrame" => return table::frame(members),
        "Series" => return table::series(members),
        "ndarray" => return table::array(members),
        "bytes" | "bytearray" => {
            let len = members.get("len").and_then(Value::as_u64).unwrap_or(0);
            format!("{kind}, {}", size(len))
        }
        "str" => of("text"),
        "complex" => format!("{} + {}i", of("real"), of("imag")),
        "range" => format!("range({})", listed(members.get("args"))),
        "timedelta" => {
            let number = |key: &str| members.get(key).and_then(Value::as_i64).unwrap_or(0);
            let seconds = number("seconds") as f64 + number("microseconds") as f64 / 1e6;
            match number("days") {
                0 => format!("{seconds} s"),
                days => format!("{days} d {seconds} s"),
            }
        }
        "enum" => format!("{}.{}", class(members).unwrap_or("enum"), of("name")),
        "class" => format!("class {}", class(members).unwrap_or("?")),
        "exception" => format!("{}: {}", class(members).unwrap_or("error"), of("text")),
        "cycle" => format!("({} that holds itself)", class(members).unwrap_or("value")),
        "truncated" => match members.get("left_out") {
            Some(count) => format!("… {count} more"),
            None => format!("… ({} left out)", class(members).unwrap_or("value")),
        },
        "object" => match members.get("mime").and_then(Value::as_str) {
            Some(mime) => {
                let len = members.get("len").and_then(Value::as_u64).unwrap_or(0);
                format!("[{mime}, {}]", size(len))
            }
            None => of("text"),
        },
        "Index" => of("data"),
        _ => match members.get("value") {
            Some(_) => of("value"),
            None => kind.to_owned(),
        },
    };
    vec![line]
}

/// The last part of `module:Outer.Name`.
fn class(members: &Map<String, Value>) -> Option<&str> {
    let path = members.get("class")?.as_str()?;
    path.rsplit([':', '.']).next()
}

/// DSPy's images, sounds and files: kind and size instead of their base64.
fn media(members: &Map<String, Value>) -> Option<String> {
    let name = class(members)?;
    let fields = members.get("fields")?;
    let of = |key: &str| fields.get(key).and_then(Value::as_str);
    match name {
        "Image" => Some(described(of("url")?)),
        "Audio" => {
            let kind = format!("audio/{}", of("audio_format")?);
            Some(format!("[{kind}, {}]", size(decoded(of("data")?) as u64)))
        }
        "File" => Some(described(of("file_data")?)),
        _ => None,
    }
}

/// `[image/png, 12.3 kB]` of a data address; any other address as it is.
fn described(url: &str) -> String {
    let parts = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(','));
    match parts {
        Some((head, data)) => {
            let mime = head.split(';').next().unwrap_or_default();
            format!("[{mime}, {}]", size(decoded(data) as u64))
        }
        None => url.to_owned(),
    }
}

/// Bytes that base64 stands for.
fn decoded(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// R51: tables are tables, pictures their kind and size, records trees.
    #[test]
    fn each_kind_is_shown_well() {
        let table = json!({"_type": "DataFrame", "columns": ["n", "word"], "dtypes": ["int64", "str"],
            "index": null, "data": [[1, 22], ["a", null]], "len": 2});
        assert_eq!(
            text(&table),
            "   n   word\n0  1   a\n1  22\n2 rows × 2 columns"
        );
        let column = json!({"_type": "Series", "name": "x", "dtype": "float64", "len": 2,
            "index": {"_type": "Index", "data": ["r1", "r2"], "dtype": "str"},
            "data": [0.5, {"_type": "float", "value": "NaN"}]});
        assert_eq!(text(&column), "r1  0.5\nr2  NaN\n2 values of float64");
        let array = json!({"_type": "ndarray", "data": [[1, 2], [3, 4]], "shape": [2, 2], "dtype": "int64"});
        assert_eq!(text(&array), "array 2 × 2 of int64\n  1  2\n  3  4");
        let image = json!({"_type": "model", "class": "dspy.adapters.types.image:Image",
            "fields": {"url": "data:image/png;base64,iVBORw0KGgo="}});
        assert_eq!(text(&image), "[image/png, 8 B]");
        let person = json!({"_type": "model", "class": "mine:Person", "fields": {"name": "Ann",
            "born": {"_type": "date", "value": "1990-01-02"}}});
        assert_eq!(
            text(&person),
            "Person {\"name\":\"Ann\",\"born\":\"1990-01-02\"}"
        );
        let pair =
            json!({"_type": "tuple", "items": [1, {"_type": "bytes", "data": "AA==", "len": 1}]});
        assert_eq!(text(&pair), "[1,\"bytes, 1 B\"]");
        let shown = pictures(
            json!({"image/png": "iVBORw0KGgo=", "text/plain": "x"})
                .as_object()
                .unwrap(),
        );
        assert_eq!(shown, "[image/png, 8 B]");
    }

    #[test]
    fn nested_values_are_a_tree() {
        let value = json!({"city": "Paris, the capital of France", "facts": [
            {"text": "It lies on the Seine, a river of seven hundred and seventy-seven kilometres", "sure": true},
            {"text": "short"}]});
        assert_eq!(
            text(&value),
            "city: Paris, the capital of France\nfacts:\n  - text: It lies on the Seine, a river of \
             seven hundred and seventy-seven kilometres\n    sure: true\n  - {\"text\":\"short\"}"
        );
        assert!(text(&json!((0..100).collect::<Vec<_>>())).ends_with("… 88 more items"));
        assert_eq!(text(&json!([1, 2])), "[1,2]");
    }

    /// Tags come from Python: whatever is in them, nothing panics.
    #[test]
    fn broken_tags_are_shown_somehow() {
        for kind in [
            "DataFrame",
            "Series",
            "ndarray",
            "dict",
            "tuple",
            "model",
            "bytes",
            "enum",
            "timedelta",
            "cycle",
            "truncated",
            "object",
            "range",
            "mine",
        ] {
            for rest in [
                json!({}),
                json!({"class": 3, "fields": [], "items": [[]], "data": [null, [1]],
                "columns": [{}], "index": {"data": [1]}, "len": 5, "value": null, "url": 1}),
            ] {
                let mut tagged = rest.as_object().unwrap().clone();
                tagged.insert("_type".to_owned(), json!(kind));
                let _ = text(&json!([tagged.clone(), {"a": tagged}]));
                let _ = text(&Value::Object(tagged));
            }
        }
    }
}
