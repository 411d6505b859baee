//! Booleans, numbers and texts, also of a format.

use serde_json::{Value, json};

use super::Input;
use crate::gateway::demo::skills::expression::number;
use crate::gateway::demo::skills::extract::{self, Kind};
use crate::gateway::demo::skills::{arithmetic, choice, facts, passage, sentiment, summary};
use crate::gateway::demo::text;

/// A date, a time, an address or a link in the format that is wanted; a fixed one
/// where the input has none.
pub fn formatted(input: &Input<'_>, schema: &Value) -> (Value, String) {
    let format = schema.get("format").and_then(Value::as_str);
    let first = |kind| extract::all(input.all, kind).into_iter().next();
    let day = || {
        let dates = extract::all(input.all, Kind::Date);
        dates.iter().find_map(|date| extract::iso_date(date))
    };
    let (found, otherwise) = match format.unwrap_or_default() {
        "date" => (day(), "1970-01-01"),
        "date-time" => (
            day().map(|day| format!("{day}T00:00:00")),
            "1970-01-01T00:00:00",
        ),
        "time" => (None, "00:00:00"),
        "duration" => (None, "PT0S"),
        "email" => (first(Kind::Email), "nobody@example.com"),
        "uri" | "url" => (first(Kind::Url), "https://example.com"),
        "uuid" => (None, "00000000-0000-0000-0000-000000000000"),
        _ => return (Value::String(string(input).0), String::new()),
    };
    let why = match &found {
        Some(found) => format!("The input names {found}."),
        None => "The input names none, so it is made up.".to_owned(),
    };
    (json!(found.unwrap_or_else(|| otherwise.to_owned())), why)
}

/// Whether it holds: as a demonstration, arithmetic, a fact or a passage says, else
/// as the words sound.
pub fn boolean(input: &Input<'_>) -> (Value, String) {
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
    if let Some((holds, why)) = passage::supports(input.question, input.material) {
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

/// A number within the bounds of the schema.
pub fn numeric(input: &Input<'_>, schema: &Value) -> (f64, String) {
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

/// A text by the name of its field.
pub fn string(input: &Input<'_>) -> (String, String) {
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
    if extract::is_place(&name)
        && let Some(place) = extract::places(input.all).into_iter().next()
    {
        let why = format!("The input names {place}.");
        return (place, why);
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

/// At most as long as the schema allows.
pub fn fit_length(value: String, schema: &Value) -> String {
    match schema.get("maxLength").and_then(Value::as_u64) {
        Some(most) => value
            .chars()
            .take(usize::try_from(most).unwrap_or(usize::MAX))
            .collect(),
        None => value,
    }
}
