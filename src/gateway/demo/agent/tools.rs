//! Tools: reading them from a prompt, choosing one, filling its arguments.

use serde_json::{Map, Value, json};

use super::Observation;
use crate::gateway::demo::conversation::{Tool, ToolCall};
use crate::gateway::demo::skills::extract::{self, Kind};
use crate::gateway::demo::skills::{arithmetic, choice, expression, summary};
use crate::gateway::demo::text;

/// Tools as DSPy lists them: `(1) name, whose description is <desc>…</desc>. It
/// takes arguments {…}.`
pub fn listed(instructions: &str) -> Vec<Tool> {
    let mut found = Vec::new();
    let mut rest = instructions;
    while let Some((before, after)) = rest.split_once(", whose description is <desc>") {
        let name = before
            .rsplit(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .next()
            .unwrap_or_default();
        let Some((description, after)) = after.split_once("</desc>") else {
            break;
        };
        let arguments = after
            .split_once("It takes arguments ")
            .map_or("", |(_, rest)| rest);
        let literal = balanced(arguments).unwrap_or("{}");
        found.push(Tool {
            name: name.to_owned(),
            description: description.trim().to_owned(),
            schema: json!({"type": "object", "properties": python_literal(literal)}),
        });
        rest = after;
    }
    found
}

/// The braces a text begins with, with all they hold.
fn balanced(text: &str) -> Option<&str> {
    let (mut depth, mut quote) = (0_usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return text.get(..=at);
                }
            }
            _ => {}
        }
        if at == 0 && c != '{' {
            return None;
        }
    }
    None
}

/// A Python dict of plain values as JSON; an empty object where it is none.
fn python_literal(literal: &str) -> Value {
    let mut json = String::new();
    let mut quote = None;
    let mut word = String::new();
    for c in literal.chars() {
        if quote.is_none() && c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        if quote.is_none() && !word.is_empty() {
            json.push_str(match word.as_str() {
                "True" => "true",
                "False" => "false",
                "None" => "null",
                other => other,
            });
            word.clear();
        }
        match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                json.push('"');
            }
            (Some(open), c) if c == open => {
                quote = None;
                json.push('"');
            }
            (Some(_), '"') => json.push_str("\\\""),
            _ => json.push(c),
        }
    }
    serde_json::from_str(&json).unwrap_or_else(|_| json!({}))
}

/// The next call: `None` once an observation answers, or nothing fits.
pub fn next(tools: &[Tool], question: &str, done: &[Observation]) -> Option<ToolCall> {
    let unused: Vec<&Tool> = tools
        .iter()
        .filter(|tool| tool.name != "finish" && !done.iter().any(|seen| seen.tool == tool.name))
        .collect();
    let answered = done.iter().any(Observation::is_good);
    let mut best: Option<(usize, &Tool)> = None;
    for tool in unused {
        let score = fitness(tool, question);
        let named = text::shared_words(&tool.name.replace('_', " "), question) > 0;
        let enough = if answered { named } else { true };
        if enough && best.is_none_or(|(most, _)| score > most) {
            best = Some((score, tool));
        }
    }
    if done.len() >= 6 {
        return None;
    }
    best.map(|(_, tool)| call(tool, question))
}

/// How well a tool fits a question: shared words, and kinds of work.
fn fitness(tool: &Tool, question: &str) -> usize {
    let properties = tool.schema.get("properties").and_then(Value::as_object);
    let arguments: Vec<&str> = properties
        .map(|all| all.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let spoken = |text: &str| text.replace('_', " ");
    let about = format!("{} {}", tool.description, spoken(&arguments.join(" ")));
    let mut score = 3 * text::shared_words(&spoken(&tool.name), question)
        + text::shared_words(&about, question);
    let words = text::words(&format!("{} {about}", spoken(&tool.name)));
    let is = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if let Some(found) = expression::find(question) {
        let operators: &[(char, &[&str])] = &[
            ('*', &["multiply", "multiplies", "product", "times", "mul"]),
            ('+', &["add", "adds", "sum", "plus"]),
            (
                '-',
                &["subtract", "subtracts", "minus", "difference", "sub"],
            ),
            ('/', &["divide", "divides", "division", "quotient", "div"]),
        ];
        for (operator, names) in operators {
            if found.text.contains(*operator) && is(names) {
                score += 6;
            }
        }
        if is(&[
            "calculate",
            "calculator",
            "evaluate",
            "math",
            "compute",
            "arithmetic",
            "expression",
        ]) {
            score += 5;
        }
    } else if is(&["search", "lookup", "retrieve", "find", "wikipedia"]) {
        score += 1;
    }
    score
}

/// A call of a tool with arguments filled from the question by schema.
pub fn call(tool: &Tool, question: &str) -> ToolCall {
    let mut arguments = Map::new();
    let mut numbers = arithmetic::numbers(question).into_iter();
    let mut names = extract::all(question, Kind::Name).into_iter();
    let required = tool.schema.get("required").and_then(Value::as_array);
    let properties = tool.schema.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        let optional = schema.get("default").is_some()
            || required
                .is_some_and(|names| !names.iter().any(|known| known.as_str() == Some(name)));
        if !optional {
            arguments.insert(
                name.clone(),
                argument(name, schema, tool, question, &mut numbers, &mut names),
            );
        }
    }
    ToolCall {
        name: tool.name.clone(),
        arguments,
    }
}

fn argument(
    name: &str,
    schema: &Value,
    tool: &Tool,
    question: &str,
    numbers: &mut impl Iterator<Item = f64>,
    names: &mut impl Iterator<Item = String>,
) -> Value {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        let labels: Vec<String> = choices
            .iter()
            .map(crate::gateway::demo::compose::plain)
            .collect();
        let place = choice::by_name(question, &labels).map_or(0, |(place, _)| place);
        return choices.get(place).cloned().unwrap_or_default();
    }
    let schema = schema
        .get("anyOf")
        .and_then(Value::as_array)
        .and_then(|choices| {
            choices
                .iter()
                .find(|choice| choice.get("type").and_then(Value::as_str) != Some("null"))
        })
        .unwrap_or(schema);
    match schema.get("type").and_then(Value::as_str) {
        Some("integer") => json!(numbers.next().unwrap_or(1.0).round() as i64),
        Some("number") => json!(numbers.next().unwrap_or(1.0)),
        Some("boolean") => json!(true),
        Some("array") => {
            let items = schema
                .pointer("/items/type")
                .and_then(Value::as_str)
                .unwrap_or("string");
            if matches!(items, "integer" | "number") {
                let whole = items == "integer";
                numbers
                    .map(|value| {
                        if whole {
                            json!(value.round() as i64)
                        } else {
                            json!(value)
                        }
                    })
                    .collect()
            } else {
                summary::keywords(question, 4)
                    .into_iter()
                    .map(Value::String)
                    .collect()
            }
        }
        Some("object") => json!({}),
        _ => Value::String(string(name, tool, question, names)),
    }
}

fn string(
    name: &str,
    tool: &Tool,
    question: &str,
    names: &mut impl Iterator<Item = String>,
) -> String {
    let lower = name.to_lowercase();
    let is = |words: &[&str]| lower.split('_').any(|word| words.contains(&word));
    if is(&["expression", "expr", "formula", "equation", "calculation"]) {
        return expression::find(question).map_or_else(
            || question.to_owned(),
            |found| found.text.replace('^', "**"),
        );
    }
    if is(&[
        "query", "question", "q", "prompt", "input", "task", "request",
    ]) {
        return question.trim().to_owned();
    }
    if let Some(quoted) = quoted(question) {
        return quoted;
    }
    let found = match extract::wanted(&lower) {
        Some(Kind::Name) | None => names.next(),
        Some(kind) => extract::all(question, kind).into_iter().next(),
    };
    found.unwrap_or_else(|| {
        // Words the tool itself is described with ask for it; the others say about what.
        let about = format!("{} {}", tool.name.replace('_', " "), tool.description);
        let mut words = summary::keywords(question, 6);
        let fresh = |word: &String| text::shared_words(word, &about) == 0;
        if words.iter().any(fresh) {
            words.retain(fresh);
        }
        words.truncate(3);
        if words.is_empty() {
            question.trim().to_owned()
        } else {
            words.join(" ")
        }
    })
}

/// What stands in double quotes.
fn quoted(text: &str) -> Option<String> {
    let mut parts = text.split('"');
    let inner = parts.nth(1)?;
    (!inner.is_empty() && parts.next().is_some()).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = "(1) multiply, whose description is <desc>Multiply two numbers.</desc>. It takes arguments {'a': {'type': 'integer'}, 'b': {'type': 'integer'}}.\n(2) get_weather, whose description is <desc>The city's \"weather\".</desc>. It takes arguments {'city': {'type': 'string'}, 'days': {'type': 'integer', 'default': 1}}.";

    #[test]
    fn tools_are_read_chosen_and_called() {
        let tools = listed(LISTED);
        let call = next(&tools, "What is 12*7?", &[])
            .map(|call| (call.name, Value::Object(call.arguments)));
        assert_eq!(
            call,
            Some(("multiply".to_owned(), json!({"a": 12, "b": 7})))
        );
        let call = next(&tools, "What is the weather in Tokyo?", &[])
            .map(|call| (call.name, Value::Object(call.arguments)));
        assert_eq!(
            call,
            Some(("get_weather".to_owned(), json!({"city": "Tokyo"})))
        );
    }

    #[test]
    fn words_of_the_tool_are_not_its_arguments() {
        let tools = listed(
            "(1) stock_of, whose description is <desc>How many of a device are in stock.</desc>. It takes arguments {'device': {'type': 'string'}}.",
        );
        let call = next(&tools, "How many of the osprey are in stock?", &[]);
        let arguments = call.map(|call| Value::Object(call.arguments));
        assert_eq!(arguments, Some(json!({"device": "osprey"})));
    }

    #[test]
    fn an_answer_ends_the_calls() {
        let seen = Observation {
            tool: "multiply".to_owned(),
            text: "84".to_owned(),
        };
        assert_eq!(next(&listed(LISTED), "What is 12*7?", &[seen]), None);
    }
}
