//! Values of types other than text: numbers, booleans, lists, objects, unions,
//! by JSON Schema.

use serde_json::{Map, Value, json};

use crate::gateway::demo::nearest::Taken;
use crate::gateway::demo::skills::{arithmetic, choice, extract, passage, summary};
use crate::gateway::demo::{compose::plain, text};

mod simple;

use simple::{boolean, fit_length, formatted, numeric, string};

/// What a value is made from.
pub struct Input<'a> {
    /// The value's schema.
    pub schema: &'a Value,
    /// The schema that holds `$defs`.
    pub root: &'a Value,
    /// Name of the field or property.
    pub name: &'a str,
    /// Text of the inputs that ask.
    pub question: &'a str,
    /// Text of the inputs that are material.
    pub material: &'a str,
    /// Text of all inputs.
    pub all: &'a str,
    /// What the nearest demonstrations say.
    pub learned: Option<Taken>,
}

/// What a tool or a program printed, as a value of the schema's type; `None` where
/// it is of another type.
pub fn observed(printed: &str, schema: &Value) -> Option<Value> {
    let text = printed.trim();
    let number = || text.parse::<f64>().ok().filter(|value| value.is_finite());
    match schema.get("type").and_then(Value::as_str)? {
        "integer" => number().map(|value| json!(value.round() as i64)),
        "number" => number().map(|value| json!(value)),
        "boolean" => match text.to_lowercase().as_str() {
            "true" | "yes" => Some(json!(true)),
            "false" | "no" => Some(json!(false)),
            _ => number().map(|value| json!(value != 0.0)),
        },
        "array" => {
            let items: Vec<Value> = match serde_json::from_str(text) {
                Ok(Value::Array(items)) => items,
                _ => passage::lines(text)
                    .into_iter()
                    .map(Value::String)
                    .collect(),
            };
            let wanted = schema.pointer("/items/type").and_then(Value::as_str)?;
            let fits = |item: &Value| match wanted {
                "string" => item.is_string(),
                "integer" => item.is_i64(),
                "number" => item.is_number(),
                "object" => item.is_object(),
                _ => false,
            };
            items.iter().all(fits).then_some(Value::Array(items))
        }
        "object" => serde_json::from_str(text).ok().filter(Value::is_object),
        _ => None,
    }
}

/// Deepest nesting of a value.
const DEEPEST: usize = 12;

/// Deepest list of objects or lists.
const DEEPEST_LIST: usize = 5;

/// A value of the schema's type, and why.
pub fn value(input: &Input<'_>) -> (Value, String) {
    at_depth(input, 0)
}

fn at_depth(input: &Input<'_>, depth: usize) -> (Value, String) {
    let schema = resolve(input.schema, input.root);
    if let Some(fixed) = schema.get("const") {
        return (fixed.clone(), String::new());
    }
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return (choose(choices, input), String::new());
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(choices) = schema.get(key).and_then(Value::as_array) {
            return union(choices, input, depth);
        }
    }
    if depth > DEEPEST {
        return (Value::Null, String::new());
    }
    match schema
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
    {
        "boolean" => boolean(input),
        "integer" => {
            let (value, why) = numeric(input, schema);
            (json!(value.round() as i64), why)
        }
        "number" => {
            let (value, why) = numeric(input, schema);
            (json!(value), why)
        }
        "array" if schema.get("prefixItems").is_some() => tuple(input, schema, depth),
        "array" => list(input, schema, depth),
        "object" => object(input, schema, depth),
        "null" => (Value::Null, String::new()),
        "string" if schema.get("format").is_some() => formatted(input, schema),
        _ => {
            let (value, why) = string(input);
            (Value::String(fit_length(value, schema)), why)
        }
    }
}

/// Follows `$ref` into `$defs`, at most a few steps.
fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEEPEST {
        let Some(path) = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|path| path.strip_prefix('#'))
        else {
            break;
        };
        match root.pointer(path) {
            Some(found) => schema = found,
            None => break,
        }
    }
    schema
}

fn choose(choices: &[Value], input: &Input<'_>) -> Value {
    let names: Vec<String> = choices.iter().map(plain).collect();
    choice::by_name(input.all, &names)
        .and_then(|(place, _)| choices.get(place))
        .or_else(|| text::pick(choices, text::hash(input.all)))
        .cloned()
        .unwrap_or_default()
}

/// The first choice that is not null; null where a text was wanted and nothing found.
fn union(choices: &[Value], input: &Input<'_>, depth: usize) -> (Value, String) {
    let is_null = |schema: &&Value| schema.get("type").and_then(Value::as_str) == Some("null");
    let Some(first) = choices.iter().find(|schema| !is_null(schema)) else {
        return (Value::Null, String::new());
    };
    let nullable = choices.iter().any(|schema| is_null(&schema));
    let kind = extract::wanted(input.name);
    if nullable && kind.is_some_and(|kind| extract::all(input.all, kind).is_empty()) {
        return (
            Value::Null,
            format!("The input names no {}.", input.name.replace('_', " ")),
        );
    }
    let (value, why) = at_depth(&part(input, first, input.name), depth + 1);
    let is_filler = value.as_str().is_some() && why.is_empty() && kind.is_none();
    if nullable && is_filler {
        return (Value::Null, String::new());
    }
    (value, why)
}

/// One value for each place.
fn tuple(input: &Input<'_>, schema: &Value, depth: usize) -> (Value, String) {
    let places = schema.get("prefixItems").and_then(Value::as_array);
    let values = places
        .into_iter()
        .flatten()
        .map(|place| at_depth(&part(input, place, input.name), depth + 1).0)
        .collect();
    (Value::Array(values), String::new())
}

fn part<'a>(input: &Input<'a>, schema: &'a Value, name: &'a str) -> Input<'a> {
    Input {
        schema,
        root: input.root,
        name,
        question: input.question,
        material: input.material,
        all: input.all,
        learned: None,
    }
}

fn list(input: &Input<'_>, schema: &Value, depth: usize) -> (Value, String) {
    if let Some(taken) = input
        .learned
        .as_ref()
        .filter(|taken| taken.value.is_array() && taken.likeness > 0.6)
    {
        return (taken.value.clone(), "It resembles an example.".to_owned());
    }
    let empty = json!({"type": "string"});
    let items = resolve(
        schema
            .get("items")
            .filter(|items| items.is_object())
            .unwrap_or(&empty),
        input.root,
    );
    let (values, why): (Vec<Value>, &str) = match items.get("type").and_then(Value::as_str) {
        _ if items.get("enum").is_some() => (
            vec![at_depth(&part(input, items, input.name), depth + 1).0],
            "",
        ),
        Some("integer") => (
            arithmetic::numbers(input.all)
                .iter()
                .map(|value| json!(value.round() as i64))
                .collect(),
            "These are the numbers of the input.",
        ),
        Some("number") => (
            arithmetic::numbers(input.all)
                .into_iter()
                .map(|value| json!(value))
                .collect(),
            "These are the numbers of the input.",
        ),
        Some("string") => {
            let (found, why) = match extract::wanted(input.name) {
                Some(kind) => (
                    extract::all(input.all, kind),
                    "These are the ones the input names.",
                ),
                None if ["summary", "points", "sentences", "facts", "claims"]
                    .iter()
                    .any(|word| input.name.contains(word)) =>
                {
                    let mut sentences = text::sentences(input.all);
                    sentences.truncate(3);
                    (sentences, "These are the first sentences.")
                }
                None => (
                    summary::keywords(input.all, 4),
                    "These are the most frequent words.",
                ),
            };
            (found.into_iter().map(Value::String).collect(), why)
        }
        // A type that holds itself must end somewhere.
        _ if depth > DEEPEST_LIST && schema.get("minItems").is_none() => (Vec::new(), ""),
        _ => (
            vec![at_depth(&part(input, items, input.name), depth + 1).0],
            "",
        ),
    };
    let most = schema
        .get("maxItems")
        .or_else(|| schema.get("maxLength"))
        .and_then(Value::as_u64)
        .unwrap_or(20);
    let values: Vec<Value> = values
        .into_iter()
        .take(usize::try_from(most).unwrap_or(20))
        .collect();
    (Value::Array(values), why.to_owned())
}

fn object(input: &Input<'_>, schema: &Value, depth: usize) -> (Value, String) {
    if let Some(taken) = input
        .learned
        .as_ref()
        .filter(|taken| taken.value.is_object() && taken.likeness > 0.6)
    {
        return (taken.value.clone(), "It resembles an example.".to_owned());
    }
    let mut object = Map::new();
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            let (value, _) = at_depth(&part(input, property, name), depth + 1);
            object.insert(name.clone(), value);
        }
    } else if let Some(values) = schema
        .get("additionalProperties")
        .filter(|values| values.is_object())
    {
        for word in summary::keywords(input.all, 2) {
            let (value, _) = at_depth(&part(input, values, ""), depth + 1);
            object.insert(word, value);
        }
    }
    (Value::Object(object), String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(schema: &Value, text: &str) -> Value {
        let input = Input {
            schema,
            root: schema,
            name: "",
            question: text,
            material: "",
            all: text,
            learned: None,
        };
        value(&input).0
    }

    #[test]
    fn formats_and_tuples_are_kept_also_where_the_input_has_none() {
        let date = json!({"type": "string", "format": "date"});
        assert_eq!(made(&date, "It began on 3 May 2024."), json!("2024-05-03"));
        assert_eq!(made(&date, "你好"), json!("1970-01-01"));
        let pair =
            json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]});
        assert_eq!(made(&pair, "Oslo has 7 hills"), json!(["oslo hills", 7]));
    }

    #[test]
    fn a_type_that_holds_itself_ends() {
        let tree = json!({
            "$defs": {"Tree": {"type": "object", "properties": {
                "value": {"type": "integer"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
            }}},
            "$ref": "#/$defs/Tree",
        });
        let mut at = &made(&tree, "3 apples");
        let mut depth = 0;
        while let Some(child) = at.pointer("/children/0") {
            assert_eq!(child["value"], json!(3));
            (at, depth) = (child, depth + 1);
        }
        assert!(depth > 0);
        assert_eq!(at["children"], json!([]));
    }

    #[test]
    fn printed_values_are_read_in_the_type_that_is_wanted() {
        let of = |printed: &str, kind: &str| observed(printed, &json!({"type": kind}));
        assert_eq!(of("199.0", "number"), Some(json!(199.0)));
        assert_eq!(of("41", "integer"), Some(json!(41)));
        assert_eq!(of("0", "boolean"), Some(json!(false)));
        assert_eq!(of("rainy", "number"), None);
        let names = json!({"type": "array", "items": {"type": "string"}});
        assert_eq!(
            observed("[1] «B-1»\n[2] «B-2»", &names),
            Some(json!(["B-1", "B-2"]))
        );
    }
}
