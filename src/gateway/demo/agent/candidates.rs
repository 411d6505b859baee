//! Words of a question that could be the argument of a tool, likeliest first:
//! quoted ones, identifiers, names, then the nouns the tool itself does not speak of.

use super::Observation;
use crate::gateway::demo::conversation::Tool;
use crate::gateway::demo::text;

/// Articles and prepositions that stand before what is asked about.
const BEFORE: &[&str] = &[
    "the", "a", "an", "of", "for", "about", "on", "called", "named", "in", "at", "my", "our",
];

/// What could be an argument, likeliest first.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    left: Vec<String>,
    names: Vec<String>,
    question: Vec<String>,
}

/// The candidates of a tool in a question, and in what other tools answered.
pub fn of(tool: &Tool, question: &str, done: &[Observation]) -> Candidates {
    let about = format!("{} {}", tool.name.replace('_', " "), tool.description);
    let about = text::content_words(&about);
    let tokens: Vec<Token<'_>> = tokens(question);
    let mut found = quoted(question);
    let (mixed, numbers): (Vec<&str>, Vec<&str>) = tokens
        .iter()
        .map(|token| token.text)
        .filter(|word| word.contains(|c: char| c.is_ascii_digit()))
        .partition(|word| word.contains(char::is_alphabetic));
    found.extend(mixed.into_iter().map(str::to_owned));
    let (mut names, first) = names(&tokens, &about);
    found.extend(names.iter().cloned());
    found.extend(names.iter().map(|name| name.to_lowercase()));
    let nouns = nouns(&tokens, &about);
    found.extend(nouns.iter().cloned());
    // A capital at the beginning of a sentence says little.
    found.extend(first.iter().cloned());
    names.extend(first);
    found.extend(numbers.into_iter().map(str::to_owned));
    found.extend(nouns.iter().map(|noun| text::capitalise(noun)));
    for seen in done.iter().filter(|seen| seen.is_good()) {
        if seen.tool != tool.name && seen.text.split_whitespace().count() <= 3 {
            found.push(seen.text.trim().trim_matches(['"', '\'']).to_owned());
        }
    }
    let mut left: Vec<String> = Vec::new();
    for item in found {
        if !item.is_empty() && !left.contains(&item) {
            left.push(item);
        }
    }
    Candidates {
        left,
        names,
        question: tokens.iter().map(|token| token.text.to_owned()).collect(),
    }
}

impl Candidates {
    /// Without those of the first calls, which failed.
    #[must_use]
    pub fn after(mut self, errors: usize) -> Self {
        self.left.drain(..errors.min(self.left.len()));
        self
    }

    /// The next one; first the one that stands behind the argument's name, as in
    /// `order A-17`.
    pub fn next(&mut self, argument: &str) -> Option<String> {
        let names = text::content_words(&argument.replace('_', " "));
        let named = self.question.windows(2).find_map(|pair| {
            let [before, item] = pair else { return None };
            let is_name = names.contains(&text::stem(&before.to_lowercase()));
            let place = self
                .left
                .iter()
                .position(|left| left.split(' ').next() == Some(item.as_str()));
            place.filter(|_| is_name)
        });
        let is_identifier = |place: &usize| {
            let item = self.left.get(*place);
            item.is_some_and(|item| item.contains(|c: char| c.is_ascii_digit()))
        };
        let is_id = argument.split('_').any(|part| part == "id");
        let identifier = if is_id {
            let first = (0..self.left.len()).find(is_identifier);
            named.filter(is_identifier).or(first)
        } else {
            None
        };
        let place = identifier.or(named).unwrap_or(0);
        if place >= self.left.len() {
            return None;
        }
        let found = self.left.remove(place);
        self.leave_out(&found);
        Some(found)
    }

    /// Leaves out what another argument has taken.
    pub fn leave_out(&mut self, taken: &str) {
        let words = text::words(taken);
        self.left
            .retain(|item| !text::words(item).iter().any(|word| words.contains(word)));
    }

    /// All names of the question; `None` where it has none.
    pub fn named(&self) -> Option<Vec<String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }
}

/// What stands behind `from` or `to`, for arguments that are called so.
pub fn beside(argument: &str, question: &str) -> Option<String> {
    let sides: [(&[&str], &[&str]); 2] = [
        (
            &["from", "origin", "source", "start", "departure", "src"],
            &["from"],
        ),
        (
            &[
                "to",
                "destination",
                "target",
                "end",
                "arrival",
                "dst",
                "into",
            ],
            &["to", "into", "in"],
        ),
    ];
    let (_, words) = sides
        .iter()
        .find(|(names, _)| argument.split('_').any(|part| names.contains(&part)))?;
    let tokens = tokens(question);
    let at = words.iter().find_map(|word| {
        tokens
            .iter()
            .rposition(|token| token.text.to_lowercase() == *word)
    })?;
    let mut run: Vec<&str> = Vec::new();
    for token in tokens.get(at + 1..)? {
        let goes_on = run.is_empty() || (token.is_capital() && run.iter().all(|t| is_capital(t)));
        let article = ["the", "a", "an"].contains(&token.text);
        if article && run.is_empty() {
            continue;
        }
        if !goes_on {
            break;
        }
        run.push(token.text);
        if token.ends_phrase {
            break;
        }
    }
    (!run.is_empty()).then(|| run.join(" "))
}

/// A word of a question as it was written.
#[derive(Debug, Clone, Copy)]
struct Token<'a> {
    text: &'a str,
    /// Whether a sentence begins with it.
    begins: bool,
    /// Whether a comma, a full stop or a possessive stands behind it.
    ends_phrase: bool,
}

impl Token<'_> {
    fn is_capital(&self) -> bool {
        is_capital(self.text)
    }

    fn stem(&self) -> String {
        text::stem(&self.text.to_lowercase())
    }
}

fn is_capital(word: &str) -> bool {
    word.starts_with(char::is_uppercase)
}

fn tokens(question: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut begins = true;
    for raw in question.split_whitespace() {
        let bare = raw.trim_matches(|c: char| !c.is_alphanumeric());
        let text = bare
            .strip_suffix("'s")
            .or_else(|| bare.strip_suffix("’s"))
            .unwrap_or(bare);
        if !text.is_empty() {
            found.push(Token {
                text,
                begins,
                ends_phrase: text.len() < bare.len()
                    || raw.ends_with(['.', ',', '?', '!', ';', ':', ')']),
            });
        }
        begins = raw.ends_with(['.', '?', '!', ':']);
    }
    found
}

/// Runs of capitalised words the tool does not speak of; apart from them those that
/// begin a sentence.
fn names(tokens: &[Token<'_>], about: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut inside, mut first) = (Vec::new(), Vec::new());
    let mut run: Vec<&Token<'_>> = Vec::new();
    let mut close = |run: &mut Vec<&Token<'_>>| {
        if let Some(head) = run.first() {
            let words: Vec<&str> = run.iter().map(|token| token.text).collect();
            let all = if head.begins { &mut first } else { &mut inside };
            all.push(words.join(" "));
        }
        run.clear();
    };
    for token in tokens {
        let stem = token.stem();
        let is_name = token.is_capital()
            && !text::content_words(token.text).is_empty()
            && !text::is_asking(&stem)
            && !about.contains(&stem);
        if is_name {
            run.push(token);
        }
        if !is_name || token.ends_phrase {
            close(&mut run);
        }
    }
    close(&mut run);
    (inside, first)
}

/// Words of meaning the tool does not speak of: the last one behind an article or a
/// preposition first, with its phrase after it.
fn nouns(tokens: &[Token<'_>], about: &[String]) -> Vec<String> {
    let fresh = |token: &Token<'_>| {
        let stem = token.stem();
        !text::content_words(token.text).is_empty()
            && !token.is_capital()
            && !token.text.contains(|c: char| c.is_ascii_digit())
            && !text::is_asking(&stem)
            && !about.contains(&stem)
            && stem.chars().count() > 1
    };
    let (mut likely, mut other) = (Vec::new(), Vec::new());
    let mut phrase: Vec<&str> = Vec::new();
    let mut led = false;
    let mut before = "";
    let mut phrases: Vec<(bool, Vec<&str>)> = Vec::new();
    for token in tokens {
        if fresh(token) {
            if phrase.is_empty() {
                led = BEFORE.contains(&before.to_lowercase().as_str());
            }
            phrase.push(token.text);
        }
        if (!fresh(token) || token.ends_phrase) && !phrase.is_empty() {
            phrases.push((led, std::mem::take(&mut phrase)));
        }
        before = token.text;
    }
    if !phrase.is_empty() {
        phrases.push((led, phrase));
    }
    for (led, words) in phrases.into_iter().rev() {
        let into: &mut Vec<String> = if led { &mut likely } else { &mut other };
        into.extend(words.last().map(|word| (*word).to_owned()));
        if words.len() > 1 {
            into.push(words.join(" "));
        }
        into.extend(words.iter().rev().skip(1).map(|word| (*word).to_owned()));
    }
    likely.extend(other);
    likely
}

/// What stands in quotes.
fn quoted(text: &str) -> Vec<String> {
    let pairs = [('"', '"'), ('“', '”'), ('«', '»'), ('`', '`')];
    let mut found = Vec::new();
    for (open, close) in pairs {
        let mut rest = text;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((inner, after)) = after.split_once(close) else {
                break;
            };
            if !inner.trim().is_empty() {
                found.push(inner.trim().to_owned());
            }
            rest = after;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_identifiers_names_and_nouns_come_in_that_order() {
        let tool = Tool {
            name: "find_part".to_owned(),
            description: "Where a part is stored.".to_owned(),
            ..Tool::default()
        };
        let found = of(
            &tool,
            "Where is part B-12 of the red \"Swift\" lamp stored in Gdansk?",
            &[],
        );
        assert_eq!(
            found.left.get(..3),
            Some(&["Swift".to_owned(), "B-12".to_owned(), "Gdansk".to_owned()][..])
        );
        let lamp = found.left.iter().position(|item| item == "lamp");
        assert!(lamp.is_some_and(|place| place > 2));
    }
}
