//! How a text must be written: words of the instructions and of the field's
//! description, and the manner of the demonstrations.

use serde_json::Value;

use crate::gateway::demo::nearest::Neighbours;
use crate::gateway::demo::prompt::{self, Field, Prompt};
use crate::gateway::demo::skills::arithmetic;
use crate::gateway::demo::skills::expression::number;

/// How a text must be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Manner {
    short: bool,
    one_word: bool,
    upper: bool,
    lower: bool,
    bare: bool,
    number: bool,
}

impl Manner {
    /// What instructions, description and demonstrations ask of a field.
    pub fn of(prompt: &Prompt, field: &Field, neighbours: &Neighbours<'_>) -> Self {
        let words = format!("{} {}", prompt.instructions, field.description).to_lowercase();
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
        let mut manner = Self {
            short: says(&[
                "concise",
                "short answer",
                "short factoid",
                "briefly",
                "few words",
                "only the answer",
                "just the answer",
                "1 and 5 words",
                "exact answer",
                "as short as possible",
                "nothing else",
                "no explanation",
                "only the value",
                "bare answer",
            ]),
            one_word: says(&["one word", "single word", "one-word", "single-word"]),
            upper: says(&[
                "uppercase",
                "upper case",
                "upper-case",
                "capital letters",
                "all caps",
            ]),
            lower: says(&["lowercase", "lower case", "lower-case"]),
            bare: says(&["no punctuation", "without punctuation", "omit punctuation"]),
            number: says(&[
                "only the number",
                "number only",
                "just the number",
                "only a number",
                "as a number",
                "single number",
                "numeric answer",
                "only the numeric",
            ]),
        };
        let shown: Vec<&str> = neighbours
            .values(&field.name)
            .filter_map(|(_, value, _)| value.as_str())
            .collect();
        if !shown.is_empty() {
            let all = |test: &dyn Fn(&str) -> bool| shown.iter().all(|text| test(text));
            manner.short |=
                all(&|text| text.split_whitespace().count() <= 4 && !text.ends_with('.'));
            let lettered = shown
                .iter()
                .any(|text| text.chars().filter(|c| c.is_alphabetic()).count() > 3);
            manner.upper |= lettered && all(&|text| !text.chars().any(char::is_lowercase));
            let lower = lettered && all(&|text| !text.chars().any(char::is_uppercase));
            manner.lower |= lower && shown.len() > 1 && changes_case(prompt, field);
        }
        manner
    }

    /// Whether the bare value is wanted.
    pub fn is_short(self) -> bool {
        self.short || self.one_word || self.number
    }

    /// The text, so written.
    pub fn apply(self, text: &str) -> String {
        let mut text = text.to_owned();
        if self.number
            && let Some(value) = arithmetic::numbers(&text).last()
        {
            text = number(*value);
        }
        if self.one_word {
            let last = text.split_whitespace().next_back().unwrap_or_default();
            text = last.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
        }
        if self.bare {
            text.retain(|c| c.is_alphanumeric() || c.is_whitespace());
        }
        if self.upper {
            text = text.to_uppercase();
        } else if self.lower {
            text = text.to_lowercase();
        }
        text
    }
}

/// Whether the demonstrations' answers are their inputs' words in another case, or
/// no words of the inputs at all: `22 hours` copied from a passage says nothing
/// about how to write `Gdansk`.
fn changes_case(prompt: &Prompt, field: &Field) -> bool {
    let mut copied = false;
    for demo in &prompt.demos {
        let inputs = prompt::join(&demo.inputs);
        let shown = demo.outputs.get(&field.name).and_then(Value::as_str);
        for word in shown.into_iter().flat_map(str::split_whitespace) {
            let same = |given: &str| given.trim_matches(|c: char| !c.is_alphanumeric()) == word;
            if inputs.split_whitespace().any(same) {
                copied = true;
            } else if inputs.to_lowercase().contains(word) {
                return true;
            }
        }
    }
    !copied
}
