//! Quantities with their unit, as a passage says them: `14 hours`, `three years`.

use super::extract;
use crate::gateway::demo::text;

/// Numbers as words.
const NUMBERS: &[&str] = &[
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "thousand",
    "half",
];

/// Words of length of time, for questions of how long something takes.
const TIMES: &[&str] = &[
    "second", "minut", "hour", "day", "week", "month", "year", "decad",
];

/// Beginnings of questions that ask for a quantity.
const ASKED: &[&str] = &[
    "how long",
    "how high",
    "how tall",
    "how deep",
    "how wide",
    "how heavy",
    "how old",
    "how far",
    "how fast",
    "how big",
    "how large",
    "how much",
    "how often",
    "how hot",
    "how cold",
];

/// Verbs and nouns that ask for a quantity after `what`.
const QUANTITIES: &[&str] = &[
    "weigh",
    "weight",
    "height",
    "length",
    "depth",
    "width",
    "distanc",
    "speed",
    "pric",
    "cost",
    "duration",
    "lifespan",
    "temperatur",
    "capacity",
    "area",
    "mass",
];

/// Whether a question asks for a quantity.
pub fn is_asked(question: &str) -> bool {
    let lower = question.to_lowercase();
    ASKED.iter().any(|opener| lower.contains(opener))
        || text::words(&lower)
            .iter()
            .any(|word| QUANTITIES.contains(&text::stem(word).as_str()))
}

/// Other words for what a question asks, so that a passage may say it otherwise.
const ALSO: &[(&str, &str)] = &[
    ("how heavy", "weighs weight"),
    ("how tall", "height high metres"),
    ("how high", "height tall metres"),
    ("how deep", "depth"),
    ("how wide", "width"),
    ("how old", "age years"),
    ("how far", "distance kilometres away"),
    ("how fast", "speed"),
    ("how much", "costs price"),
    ("how hot", "temperature degrees"),
    ("how cold", "temperature degrees"),
];

/// A question with the words a passage may answer it by.
pub fn widen(question: &str) -> String {
    let lower = question.to_lowercase();
    let more = ALSO.iter().find(|(opener, _)| lower.contains(opener));
    more.map_or_else(
        || question.to_owned(),
        |(_, more)| format!("{question} {more}"),
    )
}

/// The quantity of a sentence that stands nearest behind the question's words.
pub fn find(question: &str, sentence: &str) -> Option<String> {
    let asked = text::content_words(&widen(question));
    let lower = question.to_lowercase();
    let wants_time = lower.contains("how long") || lower.contains("duration");
    let tokens: Vec<&str> = sentence.split_whitespace().collect();
    let stems: Vec<String> = tokens.iter().map(|token| stem(token)).collect();
    let mut best: Option<(f64, String)> = None;
    let mut at = 0;
    while at < tokens.len() {
        let length = quantity(tokens.get(at..).unwrap_or_default());
        if length == 0 {
            at += 1;
            continue;
        }
        let words = tokens.get(at..at + length).unwrap_or_default().join(" ");
        let value = words.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '%');
        let mut score: f64 = asked
            .iter()
            .filter_map(|word| {
                let before = stems.get(..at)?.iter().rposition(|stem| stem == word)?;
                Some(1.0 / (at - before) as f64)
            })
            .sum();
        let in_time = stems
            .get(at..at + length)
            .unwrap_or_default()
            .iter()
            .any(|stem| TIMES.contains(&stem.as_str()));
        if wants_time && in_time {
            score += 0.25;
        }
        let repeated = asked.contains(&stem(value));
        if !repeated && best.as_ref().is_none_or(|(most, _)| score > *most) {
            best = Some((score, value.to_owned()));
        }
        at += length;
    }
    best.map(|(_, value)| value)
}

/// How many tokens the quantity takes that a text begins with; 0 where it begins
/// with none. A year or a bare number is one only with a unit.
fn quantity(tokens: &[&str]) -> usize {
    let is_number = |token: &&str| {
        let bare = token.trim_matches(|c: char| !c.is_alphanumeric());
        bare.starts_with(|c: char| c.is_ascii_digit())
            || bare
                .to_lowercase()
                .split('-')
                .all(|part| NUMBERS.contains(&part))
    };
    let numbers = tokens.iter().take_while(|token| is_number(token)).count();
    if numbers == 0 {
        return 0;
    }
    let last = tokens.get(numbers - 1).copied().unwrap_or_default();
    let with_unit = last.ends_with('%')
        || last.contains(['€', '$', '£', '°'])
        || (last.starts_with(|c: char| c.is_ascii_digit())
            && last
                .trim_end_matches(['.', ','])
                .ends_with(char::is_alphabetic));
    let ends = last.ends_with(['.', ',', ';', '!', '?', ')']);
    let unit = tokens.get(numbers).filter(|unit| {
        let bare = unit.trim_matches(|c: char| !c.is_alphanumeric() && c != '%');
        let is_word = bare.starts_with(|c: char| c.is_lowercase()) || bare.starts_with('%');
        !ends && is_word && !text::content_words(bare).is_empty() && !extract::is_month(bare)
    });
    match (unit, with_unit) {
        (Some(_), false) => numbers + 1,
        (_, true) => numbers,
        (None, false) => 0,
    }
}

fn stem(token: &str) -> String {
    let bare = token.trim_matches(|c: char| !c.is_alphanumeric());
    text::stem(&bare.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantity_nearest_to_the_question_is_taken_with_its_unit() {
        let weights = "The Kestrel weighs 310 grams and the Heron weighs 540 grams.";
        let battery = "The Kestrel battery lasts 14 hours and charges in 90 minutes.";
        for (question, sentence, value) in [
            ("What does the Kestrel weigh?", weights, Some("310 grams")),
            ("What does the Heron weigh?", weights, Some("540 grams")),
            (
                "How long does the Kestrel battery last?",
                battery,
                Some("14 hours"),
            ),
            (
                "How long does the Kestrel take to charge?",
                battery,
                Some("90 minutes"),
            ),
            (
                "How long is it?",
                "It carries a warranty of three years from then.",
                Some("three years"),
            ),
            ("How heavy is the Heron?", weights, Some("540 grams")),
            ("How old is it?", "It was built in 1931.", None),
        ] {
            assert_eq!(find(question, sentence).as_deref(), value, "{question}");
        }
    }
}
