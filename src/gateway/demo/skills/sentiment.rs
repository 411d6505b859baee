//! Word sentiment: counts of pleased and displeased words, with negation.

use crate::gateway::demo::text;

const GOOD: &[&str] = &[
    "amazing",
    "awesome",
    "beautiful",
    "best",
    "better",
    "brilliant",
    "charming",
    "cheerful",
    "clean",
    "comfortable",
    "delicious",
    "delight",
    "delightful",
    "easy",
    "enjoy",
    "enjoyed",
    "excellent",
    "fantastic",
    "fast",
    "favourite",
    "flawless",
    "fresh",
    "friendly",
    "fun",
    "generous",
    "glad",
    "good",
    "gorgeous",
    "great",
    "happy",
    "helpful",
    "impressed",
    "impressive",
    "incredible",
    "inspiring",
    "kind",
    "like",
    "liked",
    "love",
    "loved",
    "lovely",
    "masterpiece",
    "nice",
    "outstanding",
    "perfect",
    "perfectly",
    "pleasant",
    "pleased",
    "polite",
    "quick",
    "recommend",
    "reliable",
    "satisfied",
    "smooth",
    "superb",
    "terrific",
    "thank",
    "thanks",
    "thrilled",
    "warm",
    "welcoming",
    "wonderful",
    "works",
];
const BAD: &[&str] = &[
    "angry",
    "annoying",
    "awful",
    "bad",
    "boring",
    "broke",
    "broken",
    "bug",
    "cheap",
    "cold",
    "complaint",
    "confusing",
    "crash",
    "crashed",
    "crashes",
    "damaged",
    "defective",
    "dirty",
    "disappointed",
    "disappointing",
    "disgusting",
    "dull",
    "error",
    "expensive",
    "fail",
    "failed",
    "fails",
    "frustrating",
    "garbage",
    "hate",
    "hated",
    "horrible",
    "late",
    "leaking",
    "mediocre",
    "mess",
    "nightmare",
    "noisy",
    "overpriced",
    "pathetic",
    "poor",
    "problem",
    "refund",
    "regret",
    "rude",
    "ruined",
    "sad",
    "scam",
    "slow",
    "smelly",
    "stale",
    "terrible",
    "tired",
    "ugly",
    "unacceptable",
    "uncomfortable",
    "unhappy",
    "unhelpful",
    "upset",
    "useless",
    "waste",
    "wasted",
    "weak",
    "worse",
    "worst",
    "wrong",
];
const NOT: &[&str] = &[
    "not", "no", "never", "isn't", "wasn't", "don't", "didn't", "doesn't", "hardly", "can't",
    "couldn't", "won't", "nothing", "without", "aren't",
];

/// Pleased words minus displeased ones; a negation up to two words before turns
/// a word round.
pub fn score(text: &str) -> i32 {
    let words = text::words(text);
    let mut total = 0;
    for (at, word) in words.iter().enumerate() {
        let value = match () {
            () if GOOD.contains(&word.as_str()) => 1,
            () if BAD.contains(&word.as_str()) => -1,
            () => continue,
        };
        let before = words.get(at.saturating_sub(3)..at).unwrap_or_default();
        let negated = before.iter().any(|word| NOT.contains(&word.as_str()));
        total += if negated { -value } else { value };
    }
    total
}

/// `positive`, `negative` or `neutral`.
pub fn word(text: &str) -> &'static str {
    match score(text) {
        1.. => "positive",
        0 => "neutral",
        _ => "negative",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentiment_follows_the_words_and_their_negation() {
        assert_eq!(word("I loved this wonderful film"), "positive");
        assert_eq!(
            word("The food was not good and the waiter was rude"),
            "negative"
        );
        assert_eq!(word("The parcel has a label"), "neutral");
    }
}
