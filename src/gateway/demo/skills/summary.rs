//! First-sentence summaries, keywords and titles.

use crate::gateway::demo::text;

/// The first sentence.
pub fn first_sentence(input: &str) -> Option<String> {
    text::sentences(input).into_iter().next()
}

/// The most frequent words of meaning, most frequent first, as they were first written.
pub fn keywords(input: &str, limit: usize) -> Vec<String> {
    let mut found: Vec<(String, String, usize)> = Vec::new();
    for word in text::words(input) {
        let stem = text::stem(&word);
        if word.chars().count() < 3 || text::content_words(&word).is_empty() {
            continue;
        }
        match found.iter_mut().find(|(known, _, _)| *known == stem) {
            Some((_, _, count)) => *count += 1,
            None => found.push((stem, word, 1)),
        }
    }
    found.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
    found
        .into_iter()
        .take(limit)
        .map(|(_, word, _)| word)
        .collect()
}

/// A title of up to five words.
pub fn title(input: &str) -> Option<String> {
    let words = keywords(input, 4);
    (!words.is_empty()).then(|| text::capitalise(&words.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_counted_by_stem() {
        assert_eq!(
            keywords("Boats sail. A boat is a boat; wind helps sailing boats.", 2),
            ["boats", "sail"]
        );
    }
}
