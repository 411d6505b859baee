//! Answers a question from given passages: the sentence that shares the most
//! words with it, and of that sentence what the question word asks for.

use std::collections::BTreeSet;

use super::extract::{self, Kind};
use super::{Finding, measure};
use crate::gateway::demo::text;

/// Finds the answer in a context; `None` when no sentence shares a word with the
/// question.
pub fn answer(question: &str, context: &str) -> Option<Finding> {
    if let Some(found) = counted(question, context) {
        return Some(found);
    }
    if measure::is_asked(question) {
        let has_quantity = |sentence: &str| measure::find(question, sentence).is_some();
        let sentence = best_of(&measure::widen(question), context, &has_quantity);
        if let Some(sentence) = sentence
            && let Some(quantity) = measure::find(question, &sentence)
        {
            let because = format!("The passage says: {sentence}");
            return Some(Finding::new(quantity, because).sentence(sentence));
        }
    }
    let sentence = best_sentence(question, context)?;
    let lower = question.to_lowercase();
    let asked = text::content_words(question);
    let kind = match () {
        () if lower.contains("who") => Some(Kind::Name),
        () if lower.contains("when")
            || lower.contains("what year")
            || lower.contains("which year") =>
        {
            Some(Kind::Date)
        }
        () if lower.contains("how many")
            || lower.contains("how much")
            || lower.contains("how long") =>
        {
            Some(Kind::Number)
        }
        () if lower.contains("where") || lower.contains("city") || lower.contains("country") => {
            Some(Kind::Name)
        }
        () => None,
    };
    let fresh = |item: &String| {
        let words = text::content_words(item);
        words.iter().any(|word| !asked.contains(word))
    };
    let mut found = kind
        .map(|kind| extract::all(&sentence, kind))
        .unwrap_or_default();
    if kind == Some(Kind::Date) && found.is_empty() {
        found = extract::all(&sentence, Kind::Number);
    }
    let value = found
        .into_iter()
        .find(fresh)
        .or_else(|| complement(question, &sentence))
        .unwrap_or_else(|| sentence.trim_end_matches('.').to_owned());
    let because = format!("The passage says: {sentence}");
    Some(Finding::new(value, because).sentence(sentence))
}

/// Whether a context says what a claim says: the numbers, most of the words, and no
/// denial of them; `None` without a context or a sentence about it.
pub fn supports(claim: &str, context: &str) -> Option<(bool, String)> {
    let sentence = best_sentence(claim, context)?;
    let said: BTreeSet<String> = text::content_words(&sentence).into_iter().collect();
    let claimed: BTreeSet<String> = text::content_words(claim).into_iter().collect();
    let shared = claimed.intersection(&said).count();
    let numbers = |text: &str| extract::all(text, Kind::Number);
    let known = numbers(&sentence);
    let denies = |text: &str| {
        let denials = ["not", "no", "never", "none", "isn't", "wasn't", "doesn't"];
        text::words(text)
            .iter()
            .any(|word| denials.contains(&word.as_str()))
    };
    let holds = numbers(claim).iter().all(|number| known.contains(number))
        && shared * 5 >= claimed.len() * 3
        && denies(claim) == denies(&sentence);
    Some((holds, format!("The passage says: {sentence}")))
}

/// `How many metres …`: the number that stands before that word.
fn counted(question: &str, context: &str) -> Option<Finding> {
    let lower = question.to_lowercase();
    let (_, rest) = lower.split_once("how many ")?;
    let unit = text::stem(text::words(rest).first()?);
    let mut best: Option<(usize, String, String)> = None;
    for sentence in text::sentences(&plain(context)) {
        let words = text::words(&sentence);
        let number = words.windows(2).find_map(|pair| match pair {
            [number, word] if text::stem(word) == unit && number.parse::<f64>().is_ok() => {
                Some(number.clone())
            }
            _ => None,
        });
        let shared = text::shared_words(question, &sentence);
        if let Some(number) = number
            && best.as_ref().is_none_or(|(most, _, _)| shared > *most)
        {
            best = Some((shared, number, sentence));
        }
    }
    let (_, number, sentence) = best?;
    let because = format!("The passage says: {sentence}");
    Some(Finding::new(number, because).sentence(sentence))
}

/// The sentence of a context that shares the most words with a question.
pub fn best_sentence(question: &str, context: &str) -> Option<String> {
    best_of(question, context, &|_| true)
}

/// Of the sentences that will do, the one that shares the most words with a question.
fn best_of(question: &str, context: &str, will_do: &dyn Fn(&str) -> bool) -> Option<String> {
    let asked: BTreeSet<String> = text::content_words(question).into_iter().collect();
    let mut best: Option<(usize, String)> = None;
    for sentence in text::sentences(&plain(context)) {
        let words: BTreeSet<String> = text::content_words(&sentence).into_iter().collect();
        let shared = words.intersection(&asked).count();
        let better = best.as_ref().is_none_or(|(most, _)| shared > *most);
        if shared > 0 && better && will_do(&sentence) {
            best = Some((shared, sentence));
        }
    }
    best.map(|(_, sentence)| sentence)
}

/// Whether a text asks something: it ends with a question mark, or begins as a
/// question does.
pub fn is_question(text: &str) -> bool {
    let openers = [
        "who", "whom", "whose", "what", "when", "where", "which", "why", "how", "is", "are", "was",
        "were", "do", "does", "did", "can", "could", "has", "have",
    ];
    let words = text::words(text);
    text.trim_end().ends_with('?')
        || words
            .first()
            .is_some_and(|word| openers.contains(&word.as_str()))
}

/// The items of a list as DSPy or JSON writes it.
pub fn lines(list: &str) -> Vec<String> {
    plain(list)
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// A list's items beside each other; other texts as they are.
pub fn items(list: &str) -> String {
    let is_list = list.trim_start().starts_with(['[', '«']);
    if is_list {
        lines(list).join(", ")
    } else {
        list.trim().to_owned()
    }
}

/// Passages without DSPy's marks and JSON's quotes.
pub fn plain(context: &str) -> String {
    if let Ok(serde_json::Value::Array(items)) = serde_json::from_str(context) {
        let texts: Vec<String> = items
            .iter()
            .map(|item| {
                item.as_str()
                    .map_or_else(|| item.to_string(), str::to_owned)
            })
            .collect();
        return texts.join("\n");
    }
    let lines: Vec<&str> = context
        .lines()
        .map(|line| {
            let line = line.trim();
            let line = line
                .strip_prefix('[')
                .and_then(|rest| rest.split_once("] "))
                .map_or(line, |(_, rest)| rest);
            line.trim_matches(|c| matches!(c, '«' | '»'))
        })
        .collect();
    lines.join("\n")
}

/// What stands after the last word the question already has: "… is the yen".
fn complement(question: &str, sentence: &str) -> Option<String> {
    let asked = text::content_words(question);
    let verbs = ["is", "are", "was", "were", "called", "by", "named"];
    let words: Vec<&str> = sentence
        .trim_end_matches(['.', '!', '?'])
        .split_whitespace()
        .collect();
    let at = words
        .iter()
        .rposition(|word| verbs.contains(&word.to_lowercase().as_str()))?;
    let known = |word: &&str| asked.contains(&text::stem(&word.to_lowercase()));
    let (before, after) = (words.get(..at)?, words.get(at + 1..)?);
    let side = match after.iter().rposition(known) {
        None => after,
        Some(last) => {
            let rest = after.get(last + 1..)?;
            let links = ["for", "by", "in", "of", "at", "to", "as", "with", "on"];
            let rest = if rest.first().is_some_and(|word| links.contains(word)) {
                rest.get(1..)?
            } else {
                rest
            };
            if rest.is_empty() { before } else { rest }
        }
    };
    let answer = side.join(" ");
    let answer = ["the ", "a ", "an ", "The ", "A ", "An "]
        .iter()
        .find_map(|article| answer.strip_prefix(article))
        .unwrap_or(&answer);
    (!answer.is_empty() && answer.split(' ').count() <= 6).then(|| answer.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_held_against_the_passage() {
        let context = "The bridge is 240 metres long. Soup is warm.";
        let holds = |claim| supports(claim, context).map(|(holds, _)| holds);
        assert_eq!(holds("The bridge is 240 metres long."), Some(true));
        assert_eq!(holds("The bridge is 300 metres long."), Some(false));
        assert_eq!(holds("Soup is not warm."), Some(false));
        assert_eq!(holds("Whales sing."), None);
    }

    #[test]
    fn passages_answer_questions() {
        let context = "[1] «The bridge was built by Ada Holm in 1931. It is 240 metres long.»\n[2] «Soup is warm.»";
        let value = |question| answer(question, context).map(|found| found.value);
        assert_eq!(value("Who built the bridge?").as_deref(), Some("Ada Holm"));
        assert_eq!(value("When was the bridge built?").as_deref(), Some("1931"));
        assert_eq!(value("How many metres long is it?").as_deref(), Some("240"));
        assert_eq!(
            value("How long is the bridge?").as_deref(),
            Some("240 metres")
        );
        assert_eq!(value("Which planet?"), None);
        let known = answer(
            "What is Veld known for?",
            "Veld is known for its pear wine.",
        );
        assert_eq!(
            known.map(|found| found.value).as_deref(),
            Some("its pear wine")
        );
    }
}
