//! Finds numbers, names, places, e-mails, dates, links and telephone numbers.

use crate::gateway::demo::text;

/// What a field's name and description ask to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A link.
    Url,
    /// A date.
    Date,
    /// A telephone number.
    Phone,
    /// A person, company or place: capitalised words.
    Name,
    /// A number.
    Number,
}

/// What a field name asks to be found; `None` when it asks for nothing of the kind.
pub fn wanted(field: &str) -> Option<Kind> {
    let words: Vec<String> = text::words(&field.replace('_', " "));
    let has = |names: &[&str]| {
        words.iter().any(|word| {
            names.contains(&word.trim_end_matches('s')) || names.contains(&word.as_str())
        })
    };
    if has(&["email", "mail"]) {
        Some(Kind::Email)
    } else if has(&["url", "link", "website"]) {
        Some(Kind::Url)
    } else if has(&["date", "day", "deadline", "birthday"]) {
        Some(Kind::Date)
    } else if has(&["phone", "telephone", "mobile"]) {
        Some(Kind::Phone)
    } else if has(&[
        "name",
        "person",
        "people",
        "company",
        "organization",
        "organisation",
        "city",
        "country",
        "location",
        "place",
        "entity",
        "entitie",
        "author",
        "customer",
        "cities",
        "countries",
        "companies",
        "companie",
        "citie",
        "countrie",
    ]) {
        Some(Kind::Name)
    } else if has(&[
        "number", "amount", "price", "age", "quantity", "count", "year", "total", "cost",
    ]) {
        Some(Kind::Number)
    } else {
        None
    }
}

/// Whether a field of this name asks for a place.
pub fn is_place(field: &str) -> bool {
    let places = [
        "city", "country", "location", "place", "town", "village", "where",
    ];
    text::words(&field.replace('_', " "))
        .iter()
        .any(|word| places.contains(&word.as_str()))
}

/// Names that stand behind a preposition of place.
pub fn places(text: &str) -> Vec<String> {
    let before = ["in", "from", "at", "to", "near", "of", "into", "via"];
    names(text)
        .into_iter()
        .filter(|name| {
            before.iter().any(|word| {
                text.contains(&format!(" {word} {name}"))
                    || text.contains(&format!(" {word} the {name}"))
            })
        })
        .collect()
}

/// Everything of that kind in a text, in order, without repeats.
pub fn all(text: &str, kind: Kind) -> Vec<String> {
    let found = match kind {
        Kind::Email => tokens(text)
            .filter(|token| is_email(token))
            .map(str::to_owned)
            .collect(),
        Kind::Url => tokens(text)
            .filter(|token| {
                token.starts_with("http://")
                    || token.starts_with("https://")
                    || token.starts_with("www.")
            })
            .map(str::to_owned)
            .collect(),
        Kind::Date => dates(text),
        Kind::Phone => phones(text),
        Kind::Name => names(text),
        Kind::Number => super::arithmetic::numbers(text)
            .into_iter()
            .map(super::expression::number)
            .collect(),
    };
    let mut unique: Vec<String> = Vec::new();
    for item in found {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    unique
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace().map(|token| {
        token.trim_matches(|c: char| {
            matches!(
                c,
                '.' | ','
                    | ';'
                    | ':'
                    | '!'
                    | '?'
                    | '('
                    | ')'
                    | '<'
                    | '>'
                    | '"'
                    | '\''
                    | '['
                    | ']'
                    | '«'
                    | '»'
            )
        })
    })
}

fn is_email(token: &str) -> bool {
    token.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty()
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !host.contains('@')
    })
}

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Whether a word is a month.
pub fn is_month(word: &str) -> bool {
    MONTHS.contains(&word.to_lowercase().as_str())
}

const DAYS: &[&str] = &[
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "today",
    "tomorrow",
    "yesterday",
];

fn dates(text: &str) -> Vec<String> {
    let tokens: Vec<&str> = tokens(text).filter(|token| !token.is_empty()).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let is_number = |offset: usize| {
            tokens.get(at + offset).is_some_and(|token| {
                token
                    .trim_end_matches(char::is_alphabetic)
                    .parse::<u32>()
                    .is_ok()
            })
        };
        let is_month = |offset: usize| {
            tokens
                .get(at + offset)
                .is_some_and(|token| MONTHS.contains(&token.to_lowercase().as_str()))
        };
        let length = if is_numeric_date(token) {
            1
        } else if (is_month(0) && token.starts_with(char::is_uppercase) && is_number(1))
            || (is_number(0) && is_month(1))
        {
            if is_number(2) { 3 } else { 2 }
        } else {
            usize::from(DAYS.contains(&token.to_lowercase().as_str()))
        };
        if length > 0 {
            found.push(tokens.get(at..at + length).unwrap_or_default().join(" "));
        }
        at += length.max(1);
    }
    found
}

/// A date as `2024-05-03`; `None` where it has no day, month and year, or the order
/// of day and month cannot be told.
pub fn iso_date(date: &str) -> Option<String> {
    let lower = date.to_lowercase();
    let parts = text::words(&lower);
    let number = |part: &String| {
        part.trim_end_matches(char::is_alphabetic)
            .parse::<u32>()
            .ok()
    };
    let month = parts.iter().find_map(|part| {
        let place = MONTHS.iter().position(|month| month == part)?;
        u32::try_from(place + 1).ok()
    });
    let numbers: Vec<u32> = parts.iter().filter_map(number).collect();
    let (year, month, day) = match (month, numbers.as_slice()) {
        (Some(month), [day, year]) if *year > 31 => (*year, month, *day),
        (None, [year, month, day]) if *year > 31 => (*year, *month, *day),
        (None, [day, month, year]) if *year > 31 && (*day > 12 || date.contains('.')) => {
            (*year, *month, *day)
        }
        _ => return None,
    };
    ((1..=12).contains(&month) && (1..=31).contains(&day))
        .then(|| format!("{year:04}-{month:02}-{day:02}"))
}

fn is_numeric_date(token: &str) -> bool {
    ['-', '/', '.'].iter().any(|mark| {
        let parts: Vec<&str> = token.split(*mark).collect();
        let numeric = parts
            .iter()
            .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()));
        parts.len() == 3 && numeric && parts.iter().any(|part| part.len() == 4)
    })
}

fn phones(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_digit()
            || matches!(c, '-' | '(' | ')' | ' ')
            || (c == '+' && current.trim().is_empty())
        {
            current.push(c);
            continue;
        }
        let candidate = current.trim_matches(|c: char| matches!(c, ' ' | '-'));
        let digits = candidate.chars().filter(char::is_ascii_digit).count();
        if (7..=15).contains(&digits) && !is_numeric_date(candidate) {
            found.push(candidate.to_owned());
        }
        current.clear();
    }
    found
}

/// Words that begin sentences and are no names.
const NOT_NAMES: &[&str] = &[
    "the",
    "a",
    "an",
    "i",
    "in",
    "on",
    "at",
    "it",
    "is",
    "was",
    "we",
    "you",
    "he",
    "she",
    "they",
    "my",
    "our",
    "this",
    "that",
    "these",
    "those",
    "when",
    "where",
    "what",
    "who",
    "which",
    "why",
    "how",
    "please",
    "hello",
    "hi",
    "dear",
    "if",
    "and",
    "but",
    "or",
    "for",
    "from",
    "to",
    "by",
    "with",
    "after",
    "before",
    "there",
    "contact",
    "call",
    "email",
    "write",
    "send",
    "her",
    "his",
    "their",
    "as",
    "does",
    "do",
    "did",
    "are",
    "can",
    "could",
    "would",
    "tell",
    "give",
    "find",
    "meet",
    "everyone",
    "everybody",
    "nobody",
    "someone",
    "all",
    "some",
    "order",
    "not",
    "no",
    "yes",
    "thanks",
    "thank",
    "regards",
    "today",
    "tomorrow",
];

/// Runs of capitalised words.
fn names(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut run: Vec<&str> = Vec::new();
    for raw in text.split_whitespace().chain([""]) {
        let token = raw.trim_matches(|c: char| !c.is_alphanumeric());
        let token = token.strip_suffix("'s").unwrap_or(token);
        let lower = token.to_lowercase();
        let capital = token.starts_with(char::is_uppercase)
            && !NOT_NAMES.contains(&lower.as_str())
            && !MONTHS.contains(&lower.as_str())
            && !DAYS.contains(&lower.trim_end_matches('s'));
        if capital {
            run.push(token);
        }
        if (!capital || raw.ends_with(['.', ',', '?', '!', ';', ':', ')']) || raw.ends_with("'s"))
            && !run.is_empty()
        {
            found.push(run.join(" "));
            run.clear();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_found_by_kind() {
        let text = "Dear team, Anna Berg (anna@berg.example) moved to Oslo on 3 May 2024. Call +47 22 33 44 55 or see https://berg.example/x.";
        assert_eq!(all(text, Kind::Email), ["anna@berg.example"]);
        assert_eq!(all(text, Kind::Url), ["https://berg.example/x"]);
        assert_eq!(all(text, Kind::Date), ["3 May 2024"]);
        assert_eq!(all(text, Kind::Phone), ["+47 22 33 44 55"]);
        assert_eq!(all(text, Kind::Name), ["Anna Berg", "Oslo"]);
    }

    #[test]
    fn dates_become_iso_dates_where_they_are_certain() {
        for (date, iso) in [
            ("3 May 2024", Some("2024-05-03")),
            ("May 3rd, 2024", Some("2024-05-03")),
            ("2024-05-03", Some("2024-05-03")),
            ("3.5.2024", Some("2024-05-03")),
            ("3/5/2024", None),
            ("tomorrow", None),
        ] {
            assert_eq!(iso_date(date).as_deref(), iso, "{date}");
        }
    }
}
