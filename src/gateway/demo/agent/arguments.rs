//! The arguments of a tool call: taken from the question by name and by schema,
//! and other ones after the tool answered with an error.

use serde_json::{Map, Value, json};

use super::Observation;
use super::candidates::{self, Candidates};
use crate::gateway::demo::compose::plain;
use crate::gateway::demo::conversation::Tool;
use crate::gateway::demo::skills::extract::{self, Kind};
use crate::gateway::demo::skills::{arithmetic, choice, expression, summary};
use crate::gateway::demo::text;

/// The arguments of one call.
#[derive(Debug, Clone, PartialEq)]
pub struct Filled {
    /// The arguments.
    pub arguments: Map<String, Value>,
    /// Whether the question (or an observation) supplied all that are needed, and
    /// they were not all tried before.
    pub is_supplied: bool,
    /// Whether an identifier is wanted and what was found looks like none.
    pub is_doubtful: bool,
}

/// Fills a tool's arguments. Each earlier error of the same tool moves its texts on
/// to the next candidates.
pub fn fill(tool: &Tool, question: &str, done: &[Observation]) -> Filled {
    let errors = done
        .iter()
        .filter(|seen| seen.tool == tool.name && !seen.is_good())
        .count();
    let required = tool.schema.get("required").and_then(Value::as_array);
    let properties = tool.schema.get("properties").and_then(Value::as_object);
    let needed: Vec<(&String, &Value)> = properties
        .into_iter()
        .flatten()
        .filter(|(name, schema)| {
            let optional = schema.get("default").is_some()
                || required
                    .is_some_and(|names| !names.iter().any(|known| known.as_str() == Some(name)));
            !optional || named_number(name, schema, question).is_some()
        })
        .collect();
    let texts: Vec<&str> = needed
        .iter()
        .filter(|(_, schema)| is_text(without_null(schema)))
        .map(|(name, _)| name.as_str())
        .collect();
    let mut numbers = arithmetic::numbers(question);
    for seen in done.iter().filter(|seen| seen.is_good()) {
        numbers.extend(arithmetic::numbers(&seen.text));
    }
    let mut filler = Filler {
        question,
        errors,
        sided: Vec::new(),
        numbers,
        candidates: candidates::of(tool, question, done).after(errors),
        missing: false,
        moved: errors == 0,
        doubtful: false,
    };
    if texts.len() > 1 && errors == 0 {
        filler.take_sides(&texts);
    }
    let mut arguments = Map::new();
    for (name, schema) in needed {
        let value = filler.value(name, schema);
        arguments.insert(name.clone(), value);
    }
    Filled {
        arguments,
        is_supplied: !filler.missing && filler.moved,
        is_doubtful: filler.doubtful,
    }
}

/// Fills one call.
struct Filler<'a> {
    question: &'a str,
    errors: usize,
    /// Arguments called after a side, and what stands behind `from` or `to`.
    sided: Vec<(String, String)>,
    /// Numbers of the question, then of the observations.
    numbers: Vec<f64>,
    candidates: Candidates,
    /// Something needed was nowhere to be found.
    missing: bool,
    /// Some argument differs from those of the calls that failed.
    moved: bool,
    doubtful: bool,
}

impl Filler<'_> {
    fn take_sides(&mut self, names: &[&str]) {
        for name in names {
            if let Some(found) = candidates::beside(&name.to_lowercase(), self.question) {
                self.candidates.leave_out(&found);
                self.sided.push(((*name).to_owned(), found));
            }
        }
    }

    fn value(&mut self, name: &str, schema: &Value) -> Value {
        if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
            let labels: Vec<String> = choices.iter().map(plain).collect();
            let place = choice::spoken_out(self.question, &labels)
                .or_else(|| choice::by_name(self.question, &labels).map(|(place, _)| place));
            return choices
                .get(place.unwrap_or_default())
                .cloned()
                .unwrap_or_default();
        }
        let schema = without_null(schema);
        match schema.get("type").and_then(Value::as_str) {
            Some("integer") => json!(self.number(name, schema).round() as i64),
            Some("number") => json!(self.number(name, schema)),
            Some("boolean") => json!(true),
            Some("array") => self.list(schema),
            Some("object") => json!({}),
            _ => Value::String(self.text(name, schema)),
        }
    }

    /// The number that stands beside the argument's name, else the next one.
    fn number(&mut self, name: &str, schema: &Value) -> f64 {
        let value = named_number(name, schema, self.question)
            .and_then(|value| {
                self.numbers
                    .iter()
                    .position(|known| known.total_cmp(&value).is_eq())
            })
            .or_else(|| (!self.numbers.is_empty()).then_some(0));
        if let Some(place) = value {
            self.numbers.remove(place)
        } else {
            self.missing = true;
            1.0
        }
    }

    fn list(&mut self, schema: &Value) -> Value {
        let items = schema
            .pointer("/items/type")
            .and_then(Value::as_str)
            .unwrap_or("string");
        let numbers = std::mem::take(&mut self.numbers).into_iter();
        match items {
            "integer" => numbers.map(|value| json!(value.round() as i64)).collect(),
            "number" => numbers.map(|value| json!(value)).collect(),
            _ => self
                .candidates
                .named()
                .unwrap_or_else(|| summary::keywords(self.question, 4))
                .into_iter()
                .map(Value::String)
                .collect(),
        }
    }

    fn text(&mut self, name: &str, schema: &Value) -> String {
        let lower = name.to_lowercase();
        let is = |words: &[&str]| lower.split('_').any(|word| words.contains(&word));
        if is(&["expression", "expr", "formula", "equation", "calculation"]) {
            return expression::find(self.question).map_or_else(
                || self.question.to_owned(),
                |found| found.text.replace('^', "**"),
            );
        }
        if is(&[
            "query", "question", "q", "prompt", "input", "task", "request",
        ]) {
            return self.query();
        }
        if self.errors == 0
            && let Some(found) = self.of_kind(&lower, schema)
        {
            return found;
        }
        if let Some((_, found)) = self.sided.iter().find(|(known, _)| known == name) {
            return found.clone();
        }
        if let Some(found) = self.candidates.next(&lower) {
            self.moved = true;
            self.doubtful |= is(&["id"]) && !found.contains(|c: char| c.is_ascii_digit());
            return found;
        }
        self.missing = true;
        let words = summary::keywords(self.question, 3);
        if words.is_empty() {
            self.question.trim().to_owned()
        } else {
            words.join(" ")
        }
    }

    /// The whole question at first, then its words of meaning.
    fn query(&mut self) -> String {
        self.moved |= self.errors == 1;
        if self.errors == 0 {
            self.question.trim().to_owned()
        } else {
            summary::keywords(self.question, 5).join(" ")
        }
    }

    /// An address, date, link or number, where name or format ask for one.
    fn of_kind(&mut self, name: &str, schema: &Value) -> Option<String> {
        let format = schema.get("format").and_then(Value::as_str);
        let kind = match format {
            Some("date") => Kind::Date,
            Some("email") => Kind::Email,
            Some("uri") => Kind::Url,
            _ => extract::wanted(name).filter(|kind| *kind != Kind::Name)?,
        };
        let place = usize::from(
            ["end", "until", "to", "last"]
                .iter()
                .any(|word| name.split('_').any(|part| part == *word)),
        );
        let found = extract::all(self.question, kind);
        let Some(found) = found.get(place).or_else(|| found.first()).cloned() else {
            self.missing |= format.is_some();
            self.doubtful = true;
            return None;
        };
        self.candidates.leave_out(&found);
        if kind == Kind::Date && format == Some("date") {
            return Some(extract::iso_date(&found).unwrap_or(found));
        }
        Some(found)
    }
}

/// A number that stands beside the argument's name: `for 3 nights`, `order 4512`.
fn named_number(name: &str, schema: &Value, question: &str) -> Option<f64> {
    let kind = without_null(schema).get("type").and_then(Value::as_str)?;
    if !matches!(kind, "integer" | "number") {
        return None;
    }
    let names = text::content_words(&name.replace('_', " "));
    let tokens: Vec<&str> = question.split_whitespace().collect();
    tokens.windows(2).find_map(|pair| {
        let [left, right] = pair else { return None };
        let is_name = |token: &str| {
            text::words(token)
                .iter()
                .any(|word| names.contains(&text::stem(word)))
        };
        let value = |token: &str| arithmetic::numbers(token).first().copied();
        match (is_name(left), is_name(right)) {
            (true, _) => value(right),
            (_, true) => value(left),
            _ => None,
        }
    })
}

/// The first choice of a union that is not null.
fn without_null(schema: &Value) -> &Value {
    let choices = schema.get("anyOf").and_then(Value::as_array);
    choices
        .into_iter()
        .flatten()
        .find(|choice| choice.get("type").and_then(Value::as_str) != Some("null"))
        .unwrap_or(schema)
}

fn is_text(schema: &Value) -> bool {
    let other = ["integer", "number", "boolean", "array", "object"];
    schema.get("enum").is_none()
        && schema
            .get("type")
            .and_then(Value::as_str)
            .is_none_or(|kind| !other.contains(&kind))
}
