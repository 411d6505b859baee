//! Which tool is called next, if any.

use serde_json::Value;

use super::{Observation, arguments};
use crate::gateway::demo::conversation::{Tool, ToolCall};
use crate::gateway::demo::skills::expression;
use crate::gateway::demo::text;

/// Most calls of one agent, and most errors of one tool.
const MOST_CALLS: usize = 6;
const MOST_ERRORS: usize = 4;

/// Words of a question that ask for a tool which is called or described otherwise.
const ALSO: &[(&str, &[&str])] = &[
    ("price", &["cost", "costs", "expensive", "cheap", "pay"]),
    ("stock", &["available", "left", "inventory", "warehouse"]),
    (
        "weather",
        &[
            "rain",
            "raining",
            "sunny",
            "temperature",
            "forecast",
            "cold",
            "warm",
            "umbrella",
        ],
    ),
    ("time", &["clock", "hour", "oclock"]),
    (
        "convert",
        &[
            "exchange", "worth", "into", "euros", "dollars", "pounds", "eur", "usd", "gbp",
        ],
    ),
    ("distance", &["far", "kilometres", "miles"]),
    ("translate", &["french", "german", "spanish", "translation"]),
    ("email", &["mail", "message", "write"]),
    ("population", &["people", "inhabitants"]),
];

/// The next call: `None` once an observation answers, or nothing fits.
///
/// A tool that answered with an error is called again with other arguments, as long
/// as the question offers some.
pub fn next(tools: &[Tool], question: &str, done: &[Observation]) -> Option<ToolCall> {
    if done.len() >= MOST_CALLS {
        return None;
    }
    let good: Vec<&Observation> = done.iter().filter(|seen| seen.is_good()).collect();
    let mut best: Option<(usize, ToolCall)> = None;
    for tool in tools.iter().filter(|tool| tool.name != "finish") {
        let errors = done.iter().filter(|seen| seen.tool == tool.name).count();
        let answered = good.iter().any(|seen| seen.tool == tool.name);
        let wanted = good.is_empty() || names_more(tool, question, &good);
        let score = fitness(tool, question);
        if answered || !wanted || errors >= MOST_ERRORS || score == 0 {
            continue;
        }
        let filled = arguments::fill(tool, question, done);
        let score = if filled.is_doubtful {
            score.div_ceil(3)
        } else {
            score
        };
        if filled.is_supplied && best.as_ref().is_none_or(|(most, _)| score > *most) {
            best = Some((
                score,
                ToolCall {
                    name: tool.name.clone(),
                    arguments: filled.arguments,
                },
            ));
        }
    }
    best.map(|(_, call)| call)
}

/// Whether a question names this tool by a word that the tools which have answered
/// are not named by.
fn names_more(tool: &Tool, question: &str, good: &[&Observation]) -> bool {
    let known: Vec<String> = good
        .iter()
        .flat_map(|seen| spoken_words(&seen.tool))
        .collect();
    named_at(&tool.name, question, &known).is_some()
}

/// Which word of meaning of a question is the first that a tool's name has too,
/// other than these.
pub fn named_at(tool: &str, question: &str, known: &[String]) -> Option<usize> {
    let name = spoken_words(tool);
    text::content_words(question)
        .iter()
        .position(|word| name.contains(word) && !text::is_asking(word) && !known.contains(word))
}

fn spoken_words(name: &str) -> Vec<String> {
    text::content_words(&spoken(name))
}

/// `getWeather` and `get_weather` as words.
fn spoken(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_uppercase() && words.ends_with(char::is_lowercase) {
            words.push(' ');
        }
        words.push(if matches!(c, '_' | '-') { ' ' } else { c });
    }
    words
}

/// How well a tool fits a question: shared words, and kinds of work. 0 where only
/// words that ask are shared.
fn fitness(tool: &Tool, question: &str) -> usize {
    let properties = tool.schema.get("properties").and_then(Value::as_object);
    let names: Vec<&str> = properties
        .map(|all| all.keys().map(String::as_str).collect())
        .unwrap_or_default();
    if tool.description.is_empty() && !names.is_empty() && spoken_words(&tool.name).len() < 2 {
        return 1;
    }
    let name = spoken(&tool.name);
    let about = format!("{} {}", tool.description, spoken(&names.join(" ")));
    let asked = text::bag(question);
    let shared = |words: &str| {
        let (asking, telling): (Vec<String>, Vec<String>) = text::bag(words)
            .into_keys()
            .filter(|word| asked.contains_key(word))
            .partition(|word| text::is_asking(word));
        (asking.len(), telling.len())
    };
    let ((_, by_name), (asking, by_description)) = (shared(&name), shared(&about));
    let mut score = 6 * by_name + 2 * by_description;
    let words = text::words(&format!("{name} {about}"));
    let is = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let said = text::words(question);
    for (tool_word, question_words) in ALSO {
        if is(&[tool_word])
            && said
                .iter()
                .any(|word| question_words.contains(&word.as_str()))
        {
            score += 3;
        }
    }
    score += expressed(question, &is);
    if score > 0 { score + asking.min(1) } else { 0 }
}

/// What a tool is worth for the expression a question holds; tools that search are
/// worth a little for every other question.
fn expressed(question: &str, is: &dyn Fn(&[&str]) -> bool) -> usize {
    let Some(found) = expression::find(question) else {
        let searches = is(&[
            "search",
            "searches",
            "lookup",
            "retrieve",
            "find",
            "wikipedia",
        ]);
        return usize::from(searches);
    };
    let operators: &[(char, &[&str])] = &[
        ('*', &["multiply", "multiplies", "product", "times", "mul"]),
        ('+', &["add", "adds", "sum", "plus"]),
        (
            '-',
            &["subtract", "subtracts", "minus", "difference", "sub"],
        ),
        ('/', &["divide", "divides", "division", "quotient", "div"]),
    ];
    let mut score = 0;
    for (operator, names) in operators {
        if found.text.contains(*operator) && is(names) {
            score += 12;
        }
    }
    let computes = [
        "calculate",
        "calculates",
        "calculator",
        "evaluate",
        "evaluates",
        "math",
        "compute",
        "computes",
        "arithmetic",
        "expression",
    ];
    if is(&computes) {
        score += 10;
    }
    score
}

/// A call of a tool with arguments from the question, whatever they are.
pub fn call(tool: &Tool, question: &str) -> ToolCall {
    ToolCall {
        name: tool.name.clone(),
        arguments: arguments::fill(tool, question, &[]).arguments,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ERROR: &str = "Execution error in a tool: KeyError";

    fn tool(name: &str, description: &str, properties: Value) -> Tool {
        Tool {
            name: name.to_owned(),
            description: description.to_owned(),
            schema: json!({"type": "object", "properties": properties}),
        }
    }

    fn shop() -> Vec<Tool> {
        let text = json!({"type": "string"});
        let number = json!({"type": "number"});
        vec![
            tool(
                "price_of",
                "The price of a device in euros.",
                json!({"device": text}),
            ),
            tool(
                "stock_of",
                "How many of a device are in stock.",
                json!({"device": text}),
            ),
            tool(
                "get_weather",
                "Get the weather of a city.",
                json!({"city": text, "days": {"type": "integer", "default": 1}}),
            ),
            tool(
                "convert",
                "Convert an amount of money between currencies.",
                json!({"amount": number, "from_currency": text, "to_currency": text}),
            ),
            tool(
                "distance",
                "Kilometres between cities.",
                json!({"origin": text, "destination": text}),
            ),
            tool(
                "order_status",
                "Status of an order.",
                json!({"order_id": text}),
            ),
            tool(
                "days_between",
                "Number of days between two dates.",
                json!({
                    "start_date": {"type": "string", "format": "date"},
                    "end_date": {"type": "string", "format": "date"},
                }),
            ),
            tool(
                "power",
                "Raises a base to an exponent.",
                json!({"exponent": {"type": "integer"}, "base": number}),
            ),
            tool(
                "room",
                "Price of a hotel room.",
                json!({"kind": {"enum": ["single", "double"]}, "nights": {"type": "integer"}}),
            ),
        ]
    }

    fn seen(tool: &str, text: &str) -> Observation {
        Observation {
            tool: tool.to_owned(),
            arguments: String::new(),
            text: text.to_owned(),
        }
    }

    fn called(question: &str, done: &[Observation]) -> Option<(String, Value)> {
        next(&shop(), question, done).map(|call| (call.name, Value::Object(call.arguments)))
    }

    #[test]
    fn arguments_are_what_the_tool_itself_does_not_speak_of() {
        for (question, name, arguments) in [
            (
                "What is the price of the kestrel?",
                "price_of",
                json!({"device": "kestrel"}),
            ),
            (
                "How much does the heron cost?",
                "price_of",
                json!({"device": "heron"}),
            ),
            (
                "How many of the osprey are in stock?",
                "stock_of",
                json!({"device": "osprey"}),
            ),
            (
                "is the Blue Owl available today?",
                "stock_of",
                json!({"device": "Blue Owl"}),
            ),
            (
                "What is the weather in Tokyo?",
                "get_weather",
                json!({"city": "Tokyo"}),
            ),
            (
                "Will it rain in Oslo over the next 3 days?",
                "get_weather",
                json!({"city": "Oslo", "days": 3}),
            ),
            (
                "Convert 100 euros to dollars",
                "convert",
                json!({"amount": 100.0, "from_currency": "euros", "to_currency": "dollars"}),
            ),
            (
                "How far is it from Oslo to Rome?",
                "distance",
                json!({"origin": "Oslo", "destination": "Rome"}),
            ),
            (
                "Where is my order A-113?",
                "order_status",
                json!({"order_id": "A-113"}),
            ),
            (
                "What is the status of order 4512?",
                "order_status",
                json!({"order_id": "4512"}),
            ),
            (
                "How many days are between 3 May 2024 and 2024-06-01?",
                "days_between",
                json!({"start_date": "2024-05-03", "end_date": "2024-06-01"}),
            ),
            (
                "Raise the base 2 to the exponent 10.",
                "power",
                json!({"exponent": 10, "base": 2.0}),
            ),
            (
                "What does a double room cost for 4 nights?",
                "room",
                json!({"kind": "double", "nights": 4}),
            ),
        ] {
            assert_eq!(
                called(question, &[]),
                Some((name.to_owned(), arguments)),
                "{question}"
            );
        }
    }

    #[test]
    fn an_error_is_answered_with_other_arguments_until_there_are_none() {
        let question = "How many of the red lamp are in stock?";
        let errors = |count: usize| vec![seen("stock_of", ERROR); count];
        let device =
            |count| called(question, &errors(count)).map(|(_, given)| given["device"].clone());
        assert_eq!(device(0), Some(json!("lamp")));
        assert_eq!(device(1), Some(json!("red lamp")));
        assert_eq!(device(2), Some(json!("red")));
        assert_eq!(device(4), None);
    }

    #[test]
    fn an_answer_ends_the_calls_unless_another_tool_is_named_too() {
        let answered = [seen("price_of", "199.0")];
        assert_eq!(called("What is the price of the kestrel?", &answered), None);
        let both = "What is the price of the kestrel and how many are in stock?";
        let second = called(both, &answered).map(|(name, _)| name);
        assert_eq!(second.as_deref(), Some("stock_of"));
    }

    #[test]
    fn no_tool_is_called_that_does_not_fit() {
        for question in ["What is the capital of France?", "Who wrote the book?", ""] {
            assert_eq!(called(question, &[]), None, "{question}");
        }
    }

    #[test]
    fn what_one_tool_answers_another_is_called_with() {
        let text = json!({"type": "string"});
        let tools = [
            tool(
                "orders_of",
                "All orders of a user by user id.",
                json!({"user_id": text}),
            ),
            tool(
                "find_user",
                "Find the id of a user by name.",
                json!({"name": text}),
            ),
        ];
        let question = "Which orders does the user Anna Berg have?";
        let first = next(&tools, question, &[]).map(|call| call.name);
        assert_eq!(first.as_deref(), Some("find_user"));
        let second = next(&tools, question, &[seen("find_user", "u17")]);
        let second = second.map(|call| (call.name, Value::Object(call.arguments)));
        assert_eq!(
            second,
            Some(("orders_of".to_owned(), json!({"user_id": "u17"})))
        );
    }
}
