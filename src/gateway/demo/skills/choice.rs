//! Choice of a label by what its name says.

use super::{Finding, sentiment};
use crate::gateway::demo::text;

/// Words that speak for a label of that name, beyond the name itself.
const ASSOCIATED: &[(&str, &str)] = &[
    (
        "billing",
        "invoice charge charged refund payment paid card subscription price bill receipt money",
    ),
    (
        "payment",
        "invoice charge charged refund paid card bill money",
    ),
    (
        "technical",
        "error crash bug broken install fail server login screen app software update",
    ),
    ("support", "help problem error broken issue"),
    (
        "account",
        "login password email username profile sign locked reset",
    ),
    (
        "shipping",
        "deliver delivery parcel package courier arrive late track order",
    ),
    (
        "delivery",
        "parcel package courier arrive late track order shipping",
    ),
    (
        "sales",
        "buy quote purchase discount price offer plan upgrade",
    ),
    (
        "sports",
        "match team goal game player league coach win championship",
    ),
    (
        "politics",
        "government election minister vote parliament law president party",
    ),
    (
        "business",
        "market stock company profit shares bank economy trade",
    ),
    (
        "technology",
        "software computer chip phone internet device app ai robot",
    ),
    (
        "tech",
        "software computer chip phone internet device app ai robot",
    ),
    (
        "science",
        "research study planet cell physics experiment species scientist",
    ),
    ("health", "doctor patient disease hospital medicine vaccine"),
    ("entertainment", "film movie music actor album show"),
    (
        "spam",
        "win free prize click offer winner cash congratulations",
    ),
    (
        "urgent",
        "immediately asap now emergency down critical outage deadline today",
    ),
    (
        "high",
        "immediately asap urgent emergency down critical outage",
    ),
    ("joy", "happy glad delighted love wonderful thrilled"),
    ("sadness", "sad cry lost lonely miss grief tears"),
    ("anger", "angry furious hate mad annoyed rage"),
    ("fear", "afraid scared fear terrified worried anxious"),
    ("surprise", "surprised unexpected sudden wow shocked"),
    ("question", "what how why when where who which"),
];

/// The one label a text names word for word; `None` if it names none or several.
pub fn spoken_out(input: &str, labels: &[String]) -> Option<usize> {
    let words = text::words(input);
    let mut named = labels.iter().enumerate().filter(|(_, label)| {
        let name = text::words(&label.replace(['_', '-'], " "));
        !text::content_words(label).is_empty()
            && !name.is_empty()
            && words.windows(name.len()).any(|part| part == name)
    });
    let (place, _) = named.next()?;
    named.next().is_none().then_some(place)
}

/// The label whose name, or the words associated with it, the text speaks for;
/// `None` when nothing does.
pub fn by_name(text: &str, labels: &[String]) -> Option<(usize, Finding)> {
    if let Some(found) = by_sentiment(text, labels) {
        return Some(found);
    }
    if let Some(found) = yes_no(text, labels) {
        return Some(found);
    }
    let words = text::content_words(text);
    let mut best: Option<(usize, usize, String)> = None;
    for (place, label) in labels.iter().enumerate() {
        let mut signs = text::content_words(&label.replace(['_', '-'], " "));
        let names: Vec<String> = text::words(&label.replace(['_', '-'], " "));
        for (name, more) in ASSOCIATED {
            if names.iter().any(|word| word == name) {
                signs.extend(more.split(' ').map(text::stem));
            }
        }
        let hits: Vec<&String> = words.iter().filter(|word| signs.contains(word)).collect();
        if let Some(first) = hits.first()
            && best
                .as_ref()
                .is_none_or(|(_, count, _)| hits.len() > *count)
        {
            best = Some((place, hits.len(), (*first).clone()));
        }
    }
    let (place, _, word) = best?;
    let label = labels.get(place)?;
    let finding = Finding::new(
        label.clone(),
        format!("The input speaks of \"{word}\", which points to {label}."),
    );
    Some((place, finding))
}

fn by_sentiment(text: &str, labels: &[String]) -> Option<(usize, Finding)> {
    let find = |names: &[&str]| {
        labels
            .iter()
            .position(|label| names.contains(&label.to_lowercase().as_str()))
    };
    let positive = find(&[
        "positive",
        "pos",
        "good",
        "happy",
        "favourable",
        "favorable",
    ])?;
    let negative = find(&[
        "negative",
        "neg",
        "bad",
        "unhappy",
        "unfavourable",
        "unfavorable",
    ])?;
    let neutral = find(&["neutral", "mixed", "none", "other"]);
    let (place, word) = match (sentiment::word(text), neutral) {
        ("positive", _) => (positive, "pleased"),
        ("negative", _) => (negative, "displeased"),
        (_, Some(neutral)) => (neutral, "neither pleased nor displeased"),
        _ => (positive, "neither pleased nor displeased"),
    };
    let label = labels.get(place)?;
    Some((
        place,
        Finding::new(
            label.clone(),
            format!("Its words sound {word}, so it is {label}."),
        ),
    ))
}

/// `yes` or `no`, where the text itself is a question that can be decided.
fn yes_no(text: &str, labels: &[String]) -> Option<(usize, Finding)> {
    let find = |name: &str| {
        labels
            .iter()
            .position(|label| label.eq_ignore_ascii_case(name))
    };
    let (yes, no) = (
        find("yes").or_else(|| find("true"))?,
        find("no").or_else(|| find("false"))?,
    );
    let (holds, because) = truth(text)?;
    let place = if holds { yes } else { no };
    Some((place, Finding::new(labels.get(place)?.clone(), because)))
}

/// Decides a statement or question that arithmetic can decide, with the reason.
pub fn truth(text: &str) -> Option<(bool, String)> {
    if let Some(found) = super::arithmetic::solve(text)
        && let Some(holds) = match found.value.as_str() {
            "Yes" => Some(true),
            "No" => Some(false),
            _ => None,
        }
    {
        return Some((holds, found.because));
    }
    if let Some(found) = super::facts::confirms(text) {
        return Some(found);
    }
    let (left, right) = text
        .split_once('=')
        .or_else(|| text.split_once(" equal to "))?;
    let value = |side: &str| {
        super::expression::find(side)
            .map(|found| found.value)
            .or_else(|| super::arithmetic::numbers(side).first().copied())
    };
    let (left, right) = (value(left)?, value(right)?);
    let equal = (left - right).abs() < 1e-9;
    let number = super::expression::number;
    Some((
        equal,
        format!(
            "The left side is {} and the right side {}.",
            number(left),
            number(right)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(text: &str, labels: &[&str]) -> Option<String> {
        let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        by_name(text, &labels).map(|(_, found)| found.value)
    }

    #[test]
    fn labels_are_chosen_by_what_they_say() {
        assert_eq!(
            choose("I was charged twice", &["billing", "technical"]).as_deref(),
            Some("billing")
        );
        assert_eq!(
            choose("What a lovely day", &["Positive", "Negative"]).as_deref(),
            Some("Positive")
        );
        assert_eq!(choose("2+2=5", &["yes", "no"]).as_deref(), Some("no"));
        assert_eq!(choose("I was charged twice", &["falcon", "heron"]), None);
    }
}
