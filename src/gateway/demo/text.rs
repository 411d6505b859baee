//! Words, stems, sentences, similarity and a stable hash: what every skill
//! shares. Pure.

use std::collections::BTreeMap;

/// Words too common to say what a text is about. Sorted.
const STOPWORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be",
    "been", "but", "by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have",
    "he", "her", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "me", "my",
    "no", "not", "of", "on", "or", "our", "out", "she", "so", "some", "than", "that", "the",
    "their", "them", "then", "there", "they", "this", "to", "up", "us", "was", "we", "were",
    "what", "when", "where", "which", "who", "whom", "why", "will", "with", "would", "you", "your",
];

/// Words, as stems, that ask and do not say about what. Sorted.
const ASKING: &[&str] = &[
    "again", "answer", "availabl", "check", "choos", "comput", "cost", "current", "explain",
    "fetch", "find", "get", "giv", "know", "let", "list", "long", "look", "lookup", "many", "mean",
    "much", "nam", "need", "now", "number", "one", "pleas", "question", "result", "return", "say",
    "search", "show", "tak", "tell", "thing", "today", "use", "valu", "want",
];

/// Lower-case words (letters and digits), in order.
pub fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .map(|word| word.trim_matches('\'').to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Stems of the words that carry meaning, in order.
pub fn content_words(text: &str) -> Vec<String> {
    words(text)
        .into_iter()
        .filter(|word| STOPWORDS.binary_search(&word.as_str()).is_err())
        .map(|word| stem(&word))
        .collect()
}

/// Whether a word only asks.
pub fn is_asking(stem: &str) -> bool {
    ASKING.binary_search(&stem).is_ok()
}

/// Cuts the commonest English endings off, so that `boils` meets `boiling`.
pub fn stem(word: &str) -> String {
    let word = word.strip_suffix("'s").unwrap_or(word);
    for (ending, rest) in [
        ("ies", "y"),
        ("ing", ""),
        ("ed", ""),
        ("ly", ""),
        ("es", ""),
        ("s", ""),
        ("e", ""),
    ] {
        if let Some(root) = word.strip_suffix(ending)
            && root.chars().count() >= 3
            && !root.ends_with('s')
        {
            return format!("{root}{rest}");
        }
    }
    word.to_owned()
}

/// Sentences, trimmed, without empty ones. A full stop between digits or in an
/// initial does not end a sentence.
pub fn sentences(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    let chars: Vec<char> = text.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        if *c == '\n' {
            push_trimmed(&mut found, &mut current);
            continue;
        }
        current.push(*c);
        let next = chars.get(i + 1);
        if matches!(c, '.' | '!' | '?') && next.is_none_or(|next| next.is_whitespace()) {
            push_trimmed(&mut found, &mut current);
        }
    }
    push_trimmed(&mut found, &mut current);
    found
}

fn push_trimmed(found: &mut Vec<String>, current: &mut String) {
    let sentence = current.trim();
    if !sentence.is_empty() {
        found.push(sentence.to_owned());
    }
    current.clear();
}

/// How often each content word occurs.
pub fn bag(text: &str) -> BTreeMap<String, f64> {
    let mut bag = BTreeMap::new();
    for word in content_words(text) {
        *bag.entry(word).or_insert(0.0) += 1.0;
    }
    bag
}

/// Number of different content words both texts have.
pub fn shared_words(left: &str, right: &str) -> usize {
    let left = bag(left);
    bag(right)
        .keys()
        .filter(|word| left.contains_key(*word))
        .count()
}

/// A stable 64-bit hash (FNV-1a): the same on every machine and in every version.
pub fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The item a hash chooses; `None` for no items.
pub fn pick<T>(items: &[T], seed: u64) -> Option<&T> {
    let len = u64::try_from(items.len()).unwrap_or(u64::MAX);
    // The high bits of FNV mix better than the low ones.
    let place = (seed ^ (seed >> 29)).checked_rem(len)?;
    items.get(usize::try_from(place).unwrap_or(0))
}

/// The first letter in upper case, the rest as it is.
pub fn capitalise(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// At most `limit` characters, cut at a word where one ends near.
pub fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let cut: String = text.chars().take(limit).collect();
    let end = cut
        .rfind(' ')
        .filter(|end| *end > limit / 2)
        .unwrap_or(cut.len());
    format!("{}…", cut.get(..end).unwrap_or(&cut).trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopwords_are_sorted_for_the_binary_search() {
        assert!(STOPWORDS.is_sorted());
        assert!(ASKING.is_sorted());
    }

    #[test]
    fn stems_meet() {
        assert_eq!(stem("boils"), stem("boiling"));
        assert_eq!(stem("cities"), stem("city"));
        assert_eq!(stem("charged"), stem("charge"));
        assert_eq!(stem("class"), "class");
    }

    #[test]
    fn sentences_keep_decimals_whole() {
        assert_eq!(
            sentences("It is 3.5 m. Good!\nBye"),
            ["It is 3.5 m.", "Good!", "Bye"]
        );
    }
}
