//! Values of types other than text: numbers, booleans, lists, objects, unions,
//! by JSON Schema.

use serde_json::{Map, Value, json};

use crate::gateway::demo::nearest::Taken;
use crate::gateway::demo::skills::expression::number;
use crate::gateway::demo::skills::{
    arithmetic, choice, extract, facts, passage, sentiment, summary,
};
use crate::gateway::demo::{compose::plain, text};

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
        "array" => list(input, schema, depth),
        "object" => object(input, schema, depth),
        "null" => (Value::Null, String::new()),
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
    at_depth(&part(input, first, input.name), depth + 1)
}

fn part<'a>(input: &Input<'a>, schema: &'a Value, name: &'a str) -> Input<'a> {
    Input {
        schema,
        root: input.root,
        name,
        question: input.question,
        all: input.all,
        learned: None,
    }
}

fn boolean(input: &Input<'_>) -> (Value, String) {
    if let Some(taken) = input
        .learned
        .as_ref()
        .filter(|taken| taken.value.is_boolean())
    {
        return (taken.value.clone(), "It resembles an example.".to_owned());
    }
    if let Some((holds, why)) = choice::truth(input.question) {
        return (Value::Bool(holds), why);
    }
    let name = input.name.to_lowercase();
    let lower = input.all.to_lowercase();
    if ["urgent", "spam", "question"]
        .iter()
        .any(|word| name.contains(word))
    {
        let labels = [name.replace("is_", ""), "\u{0}".to_owned()];
        let found = choice::by_name(&lower, &labels).is_some()
            || (name.contains("question") && lower.contains('?'));
        let why = format!(
            "The words of the input {} it.",
            if found {
                "speak for"
            } else {
                "do not speak for"
            }
        );
        return (Value::Bool(found), why);
    }
    let score = sentiment::score(input.all);
    let holds = if name.contains("negative") {
        score < 0
    } else {
        score >= 0
    };
    (
        Value::Bool(holds),
        format!(
            "The words of the input sound {}.",
            sentiment::word(input.all)
        ),
    )
}

fn numeric(input: &Input<'_>, schema: &Value) -> (f64, String) {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let whole = schema.get("type").and_then(Value::as_str) == Some("integer");
    let step = if whole { 1.0 } else { 0.01 };
    let low = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|low| low + step));
    let high = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|high| high - step));
    let name = input.name.to_lowercase();
    let scored = [
        "score",
        "rating",
        "stars",
        "confidence",
        "probability",
        "quality",
        "grade",
    ];
    let learned = input
        .learned
        .as_ref()
        .and_then(|taken| taken.value.as_f64());
    let (value, why) = if let Some(found) = arithmetic::solve(input.question)
        .and_then(|found| Some((found.value.parse().ok()?, found.because)))
    {
        found
    } else if let Some(value) = learned {
        (value, "It resembles an example.".to_owned())
    } else if scored.iter().any(|word| name.contains(word)) {
        let (low, high) = (
            low.unwrap_or(if whole { 1.0 } else { 0.0 }),
            high.unwrap_or(if whole { 5.0 } else { 1.0 }),
        );
        let share = (0.5 + 0.25 * f64::from(sentiment::score(input.all))).clamp(0.0, 1.0);
        (
            low + share * (high - low),
            format!(
                "The words of the input sound {}.",
                sentiment::word(input.all)
            ),
        )
    } else if let Some(found) = facts::recall(input.question)
        .and_then(|found| Some((found.value.parse().ok()?, found.because)))
    {
        found
    } else if name.contains("word") && name.contains("count") {
        (
            text::words(input.all).len() as f64,
            "The words were counted.".to_owned(),
        )
    } else if let Some(first) = arithmetic::numbers(input.all).first() {
        (
            *first,
            format!("The input names the number {}.", number(*first)),
        )
    } else {
        (low.unwrap_or(0.0), String::new())
    };
    let value = low.map_or(value, |low| value.max(low));
    (high.map_or(value, |high| value.min(high)), why)
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
                None => (
                    summary::keywords(input.all, 4),
                    "These are the most frequent words.",
                ),
            };
            (found.into_iter().map(Value::String).collect(), why)
        }
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

fn string(input: &Input<'_>) -> (String, String) {
    let name = input.name.to_lowercase();
    if name.contains("sentiment") {
        return (sentiment::word(input.all).to_owned(), String::new());
    }
    if name.contains("summary") || name.contains("description") {
        return (
            summary::first_sentence(input.all).unwrap_or_default(),
            String::new(),
        );
    }
    if let Some(first) =
        extract::wanted(&name).and_then(|kind| extract::all(input.all, kind).into_iter().next())
    {
        let why = format!("The input names {first}.");
        return (first, why);
    }
    if let Some(found) = crate::gateway::demo::skills::question(input.question) {
        return (found.value, found.because);
    }
    let words = summary::keywords(input.all, 2);
    (
        if words.is_empty() {
            "unknown".to_owned()
        } else {
            words.join(" ")
        },
        String::new(),
    )
}

fn fit_length(value: String, schema: &Value) -> String {
    match schema.get("maxLength").and_then(Value::as_u64) {
        Some(most) => value
            .chars()
            .take(usize::try_from(most).unwrap_or(usize::MAX))
            .collect(),
        None => value,
    }
}
