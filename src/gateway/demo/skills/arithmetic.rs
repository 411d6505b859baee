//! Arithmetic in words: expressions, comparisons, word problems.

use super::Finding;
use super::expression::{self, number};
use crate::gateway::demo::text;

/// Answers an arithmetic question; `None` when the text asks for none.
pub fn solve(question: &str) -> Option<Finding> {
    if let Some(found) = comparison(question) {
        return Some(found);
    }
    if let Some(found) =
        expression::find(question).filter(|found| !looks_like_date(question, &found.text))
    {
        let value = number(found.value);
        let because = format!("{} = {value}.", found.text);
        return Some(Finding::new(value, because));
    }
    problem(question)
}

/// `2026-01-31` and telephone numbers are no subtractions.
fn looks_like_date(question: &str, expression: &str) -> bool {
    let only_minus = !expression.contains(['*', '/', '+', '^', '%', 'm', ' ', '(']);
    only_minus
        && !question.contains(" - ")
        && !question.to_lowercase().contains("what is")
        && expression.matches('-').count() > 1
}

/// `Which is larger, 9.11 or 9.9?`, `Is 7 greater than 5?`
fn comparison(question: &str) -> Option<Finding> {
    let lower = question.to_lowercase();
    let up = [
        "larger", "greater", "bigger", "more", "higher", "largest", "biggest", "greatest",
        "highest",
    ];
    let down = [
        "smaller", "less", "lower", "fewer", "smallest", "least", "lowest",
    ];
    let words = text::words(&lower);
    let ascending = words.iter().any(|word| up.contains(&word.as_str()));
    let descending = words.iter().any(|word| down.contains(&word.as_str()));
    if ascending == descending {
        return None;
    }
    let numbers = numbers(question);
    let (first, second) = (*numbers.first()?, *numbers.get(1)?);
    if lower.starts_with("is ") && lower.contains(" than ") {
        let holds = if ascending {
            first > second
        } else {
            first < second
        };
        let relation = if first > second {
            "greater than"
        } else if first < second {
            "less than"
        } else {
            "equal to"
        };
        let because = format!("{} is {relation} {}.", number(first), number(second));
        return Some(Finding::new(if holds { "Yes" } else { "No" }, because));
    }
    if !lower.contains("which")
        && !lower.contains("what is the l")
        && !lower.contains("what is the s")
    {
        return None;
    }
    let best = numbers
        .iter()
        .copied()
        .reduce(|a, b| if (a > b) == ascending { a } else { b })?;
    let because = format!(
        "Of {} the {} is {}.",
        numbers
            .iter()
            .map(|value| number(*value))
            .collect::<Vec<_>>()
            .join(", "),
        if ascending { "largest" } else { "smallest" },
        number(best)
    );
    Some(Finding::new(number(best), because))
}

/// What a number does to the amount before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Add,
    Take,
    Times,
    Split,
}

const TAKE: &[&str] = &[
    "away", "ate", "eats", "eat", "lost", "loses", "lose", "sold", "sells", "sell", "spent",
    "spends", "spend", "fewer", "less", "broke", "break", "used", "uses", "removed", "remove",
    "removes", "left", "leave", "leaves", "donates", "donated", "gives", "gave", "give", "drank",
    "drinks", "returned", "took", "takes", "off", "flew",
];
const ADD: &[&str] = &[
    "more",
    "buys",
    "bought",
    "buy",
    "finds",
    "found",
    "find",
    "gets",
    "got",
    "get",
    "receives",
    "received",
    "adds",
    "added",
    "add",
    "joined",
    "join",
    "joins",
    "picks",
    "picked",
    "collects",
    "collected",
    "another",
    "arrive",
    "arrived",
    "earns",
    "earned",
    "wins",
    "won",
    "brings",
    "brought",
];
const SPLIT: &[&str] = &[
    "split", "share", "shared", "shares", "divided", "divide", "equally", "among", "between",
    "evenly",
];
const TIMES: &[&str] = &["each", "every", "per", "apiece"];
const TOTAL: &[&str] = &["total", "altogether", "all", "together", "sum", "combined"];

/// A word problem: an amount, then numbers that change it.
fn problem(question: &str) -> Option<Finding> {
    let lower = question.to_lowercase();
    let asks = [
        "how many",
        "how much",
        "how far",
        "how old",
        "how long",
        "what is the total",
        "what is the sum",
        "what does",
    ];
    if !asks.iter().any(|words| lower.contains(words)) {
        return None;
    }
    let words = text::words(&lower);
    let found: Vec<(usize, f64)> = words
        .iter()
        .enumerate()
        .filter_map(|(at, word)| Some((at, value_of(word)?)))
        .collect();
    let (first, amount) = *found.first()?;
    let asked = words
        .iter()
        .position(|word| word == "how" || word == "what")
        .unwrap_or(words.len());
    let tail = words.get(asked..).unwrap_or_default();
    let any =
        |list: &[&str], words: &[String]| words.iter().any(|word| list.contains(&word.as_str()));
    let mut value = amount;
    let mut trail = number(amount);
    let mut from = first + 1;
    for (place, (at, next)) in found.iter().enumerate().skip(1) {
        let end = found
            .get(place + 1)
            .map_or(asked.max(*at), |(after, _)| *after);
        let before = words.get(from..*at).unwrap_or_default();
        let after = words.get(at + 1..end.max(at + 1)).unwrap_or_default();
        let near = after.get(..after.len().min(4)).unwrap_or_default();
        let step = if any(SPLIT, before) || any(SPLIT, near) {
            Step::Split
        } else if any(TIMES, before)
            || any(TIMES, after)
            || any(TIMES, tail) && !any(SPLIT, tail) && found.len() == 2
        {
            Step::Times
        } else if any(TAKE, before) {
            Step::Take
        } else if any(ADD, before) || near.first().is_some_and(|word| word == "more") {
            Step::Add
        } else if any(TAKE, tail)
            || tail
                .iter()
                .any(|word| matches!(word.as_str(), "left" | "remain" | "difference"))
        {
            Step::Take
        } else if any(TOTAL, &words) {
            Step::Add
        } else {
            return None;
        };
        let (sign, result) = match step {
            Step::Add => ('+', value + next),
            Step::Take => ('-', value - next),
            Step::Times => ('*', value * next),
            Step::Split => ('/', value / next),
        };
        value = result;
        trail = format!("{trail} {sign} {}", number(*next));
        from = at + 1;
    }
    if found.len() == 1 {
        let (factor, sign) = match () {
            () if lower.contains("twice") || lower.contains("double") => (2.0, "* 2"),
            () if lower.contains("half") => (0.5, "/ 2"),
            () => return None,
        };
        value *= factor;
        trail = format!("{trail} {sign}");
    }
    value.is_finite().then(|| {
        let answer = number(value);
        Finding::new(answer.clone(), format!("{trail} = {answer}."))
    })
}

fn value_of(word: &str) -> Option<f64> {
    const NAMES: &[&str] = &[
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
        "eleven", "twelve",
    ];
    if let Some(value) = NAMES.iter().position(|name| *name == word) {
        // "one" is more often a pronoun than an amount.
        return (value != 1).then_some(value as f64);
    }
    if word == "dozen" {
        return Some(12.0);
    }
    word.parse()
        .ok()
        .filter(|value: &f64| value.is_finite() && word.starts_with(|c: char| c.is_ascii_digit()))
}

/// All numbers of a text, in order, with sign and decimals.
pub fn numbers(text: &str) -> Vec<f64> {
    let chars: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = chars.get(at) {
        if !c.is_ascii_digit() {
            at += 1;
            continue;
        }
        let before = at.checked_sub(1).and_then(|before| chars.get(before));
        let further = at.checked_sub(2).and_then(|before| chars.get(before));
        let negative =
            before == Some(&'-') && further.is_none_or(|c| c.is_whitespace() || *c == '(');
        let inside_word = before.is_some_and(|c| c.is_alphabetic());
        let mut digits = String::new();
        while let Some(next) = chars.get(at) {
            let joins = next.is_ascii_digit()
                || (matches!(next, '.' | ',')
                    && chars.get(at + 1).is_some_and(char::is_ascii_digit));
            if !joins {
                break;
            }
            if *next != ',' {
                digits.push(*next);
            }
            at += 1;
        }
        if let Ok(value) = digits.parse::<f64>()
            && !inside_word
        {
            found.push(if negative { -value } else { value });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(question: &str) -> Option<String> {
        solve(question).map(|found| found.value)
    }

    #[test]
    fn word_problems_are_solved() {
        assert_eq!(
            value("Tom has 5 apples and buys 3 more. How many apples does he have?").as_deref(),
            Some("8")
        );
        assert_eq!(
            value("Mia has 12 sweets and gives away 5. How many are left?").as_deref(),
            Some("7")
        );
        assert_eq!(
            value("A box holds 6 eggs. How many eggs are in 4 boxes if each is full?").as_deref(),
            Some("24")
        );
        assert_eq!(
            value("24 cards are shared equally among 6 players. How many does each get?")
                .as_deref(),
            Some("4")
        );
        assert_eq!(
            value("Pens cost 3 dollars each. How much do 7 pens cost?").as_deref(),
            Some("21")
        );
    }

    #[test]
    fn numbers_are_compared() {
        assert_eq!(
            value("Which is larger, 9.11 or 9.9?").as_deref(),
            Some("9.9")
        );
        assert_eq!(value("Is 7 greater than 5?").as_deref(), Some("Yes"));
        assert_eq!(value("Is 7 less than 5?").as_deref(), Some("No"));
    }

    #[test]
    fn other_questions_are_left_alone() {
        assert_eq!(value("Who wrote Hamlet?"), None);
        assert_eq!(value("When was 1984 published?"), None);
    }
}
