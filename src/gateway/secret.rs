//! Secrets: a type that cannot be printed, and the vault that hides known ones.
//!
//! Owns what counts as a secret in text and how it is hidden. Does not own where
//! keys come from ([`super::keys`]).

use std::borrow::Cow;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use aho_corasick::AhoCorasick;
use bytes::Bytes;

/// What stands in a text where a secret stood.
pub const HIDDEN: &str = "***";

/// Shorter values are placeholders (`x`, `none`, `EMPTY`), not secrets.
const SHORTEST: usize = 8;

/// Beginnings of keys of well-known providers.
const PREFIXES: [&str; 7] = ["sk-", "gsk_", "xai-", "AIza", "hf_", "ghp_", "pplx-"];

/// Names of arguments and variables whose literal values are keys.
const NAMES: [&str; 3] = ["api_key", "API_KEY", "apikey"];

/// A key gets no shorter than this, its prefix included.
const SHORTEST_KEY: usize = 20;

/// A key. `Debug` and `Display` show `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; only for a header about to be sent.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Every secret value seen so far; hides them in text.
pub struct Vault {
    known: RwLock<Known>,
}

struct Known {
    /// The longest first, so that a key that contains another goes whole.
    values: Vec<String>,
    /// Finds in one pass whether anything in a text may have to be hidden: hardly
    /// any text has such a thing, and every text is looked at. `None` where it could
    /// not be built: then the long way is taken.
    suspects: Option<AhoCorasick>,
}

impl Known {
    fn new(mut values: Vec<String>) -> Self {
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        let constant = PREFIXES.iter().chain(&NAMES).copied();
        let all = values.iter().map(String::as_str).chain(constant);
        Self {
            suspects: AhoCorasick::new(all).ok(),
            values,
        }
    }

    /// The text with the known values replaced.
    fn hidden_in<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut shown = Cow::Borrowed(text);
        for secret in &self.values {
            if shown.contains(secret.as_str()) {
                shown = Cow::Owned(shown.replace(secret.as_str(), HIDDEN));
            }
        }
        shown
    }

    /// Whether the text holds no secret and nothing that looks like one.
    fn clears(&self, text: &str) -> bool {
        self.suspects
            .as_ref()
            .is_some_and(|suspects| !suspects.is_match(text))
    }
}

impl Default for Vault {
    fn default() -> Self {
        Self {
            known: RwLock::new(Known::new(Vec::new())),
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(***)")
    }
}

impl Vault {
    /// Remembers a value, which [`Vault::redact`] hides from now on. Values of
    /// fewer than 8 characters are taken for placeholders and left alone.
    pub fn learn(&self, value: &str) {
        if value.len() < SHORTEST {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.values.iter().any(|old| old == value) {
            return;
        }
        let mut values = std::mem::take(&mut known.values);
        values.push(value.to_owned());
        *known = Known::new(values);
    }

    /// The text with every known secret, everything that looks like a provider's
    /// key and every literal given as an API key (`api_key="…"`) replaced by `***`.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        // Most strings of an event are names and numbers, too short for a secret.
        if text.len() < SHORTEST {
            return Cow::Borrowed(text);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.clears(text) {
            return Cow::Borrowed(text);
        }
        let mut shown = known.hidden_in(text);
        drop(known);
        for hide in [hide_patterns, hide_literals] {
            if let Some(hidden) = hide(&shown) {
                shown = Cow::Owned(hidden);
            }
        }
        shown
    }

    /// A server's bytes without the known secrets: what merely looks like one is
    /// left alone, it may be part of the answer.
    pub fn hide_known(&self, bytes: Bytes) -> Bytes {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let hidden = match std::str::from_utf8(&bytes) {
            Ok(text) if !known.clears(text) => known.hidden_in(text),
            _ => return bytes,
        };
        match hidden {
            Cow::Owned(hidden) => hidden.into(),
            Cow::Borrowed(_) => bytes,
        }
    }
}

/// The text with every literal hidden that code gives as an API key:
/// `api_key="…"`, `"api_key": "…"`, `os.environ["X_API_KEY"] = "…"`.
fn hide_literals(text: &str) -> Option<String> {
    let mut hidden = String::new();
    let mut copied = 0;
    let mut places: Vec<usize> = NAMES
        .iter()
        .flat_map(|name| text.match_indices(name).map(|(at, _)| at + name.len()))
        .collect();
    places.sort_unstable();
    for place in places {
        if let Some((start, end)) = literal_after(text, place)
            && place >= copied
        {
            hidden.push_str(text.get(copied..start).unwrap_or_default());
            hidden.push_str(HIDDEN);
            copied = end;
        }
    }
    hidden.push_str(text.get(copied..).unwrap_or_default());
    (copied > 0).then_some(hidden)
}

/// Where the quoted literal assigned to the name that ends at `from` begins and ends.
fn literal_after(text: &str, from: usize) -> Option<(usize, usize)> {
    let rest = text.get(from..)?;
    let assigned = rest.trim_start_matches(['"', '\'', '\\', ']', ')', ' ']);
    let value = assigned.strip_prefix(['=', ':', ','])?;
    let value = value.trim_start_matches([' ', '=', '\\']);
    let value = value.strip_prefix(['"', '\''])?;
    let len = value.find(['"', '\'', '\\', '\n'])?;
    let start = text.len() - value.len();
    let new = len >= SHORTEST && value.get(..len)? != HIDDEN;
    new.then_some((start, start + len))
}

/// The text with everything that looks like a key hidden, or `None` when nothing does.
fn hide_patterns(text: &str) -> Option<String> {
    let mut found: Vec<(usize, usize)> = PREFIXES
        .iter()
        .flat_map(|prefix| text.match_indices(prefix))
        .filter_map(|(start, _)| key_at(text, start).map(|end| (start, end)))
        .collect();
    if found.is_empty() {
        return None;
    }
    found.sort_unstable();
    let mut hidden = String::with_capacity(text.len());
    let mut copied = 0;
    for (start, end) in found {
        if start < copied {
            continue;
        }
        hidden.push_str(text.get(copied..start).unwrap_or_default());
        hidden.push_str(HIDDEN);
        copied = end;
    }
    hidden.push_str(text.get(copied..).unwrap_or_default());
    Some(hidden)
}

/// Where the key that starts here ends: it must stand at the start of a word, be
/// long enough, and hold a digit (so that `sk-learn-is-a-library-for` stays).
fn key_at(text: &str, start: usize) -> Option<usize> {
    let before = text.get(..start)?.chars().next_back();
    if before.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_') {
        return None;
    }
    let rest = text.get(start..)?;
    let len = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        .unwrap_or(rest.len());
    let word = rest.get(..len)?;
    (len >= SHORTEST_KEY && word.bytes().any(|b| b.is_ascii_digit())).then_some(start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_cannot_be_printed() {
        let secret = Secret::new("canary-value");
        assert_eq!(format!("{secret:?} {secret}"), "*** ***");
    }

    #[test]
    fn known_values_and_patterns_are_hidden() {
        let vault = Vault::default();
        vault.learn("canary-value");
        vault.learn("x");
        assert_eq!(vault.redact("a canary-value x"), "a *** x");
        assert_eq!(
            vault.redact("key=sk-abcdefgh1234567890ABCD, done"),
            "key=***, done"
        );
        assert_eq!(format!("{vault:?}"), "Vault(***)");
    }

    #[test]
    fn literals_given_as_keys_are_hidden_whatever_they_look_like() {
        let vault = Vault::default();
        for (code, shown) in [
            ("LM('m', api_key='canary two')", "LM('m', api_key='***')"),
            (
                r#"os.environ["MY_API_KEY"] = "canary-two""#,
                r#"os.environ["MY_API_KEY"] = "***""#,
            ),
            (r#"{"api_key": "canary-two"}"#, r#"{"api_key": "***"}"#),
            (
                r#"{\"api_key\": \"canary-two\", 1}"#,
                r#"{\"api_key\": \"***\", 1}"#,
            ),
        ] {
            assert_eq!(vault.redact(code), shown);
        }
        for code in [
            "api_key=os.environ['HOME']",
            r#""api_key_env": "OPENAI_API_KEY""#,
        ] {
            assert_eq!(vault.redact(code), code);
        }
    }

    #[test]
    fn a_server_s_echo_of_a_key_is_hidden() {
        let vault = Vault::default();
        vault.learn("canary-value");
        let said = vault.hide_known(Bytes::from_static(
            b"wrong key canary-value; sk-1234567890123456789012",
        ));
        assert_eq!(said, "wrong key ***; sk-1234567890123456789012");
    }

    #[test]
    fn ordinary_words_stay() {
        let vault = Vault::default();
        for text in [
            "risk-averse-people-2024-are-many",
            "sk-learn-is-a-library-for-learning",
            "AIza",
        ] {
            assert!(matches!(vault.redact(text), Cow::Borrowed(same) if same == text));
        }
    }
}
