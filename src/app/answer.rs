//! Reading fields of what an operation answered: what is not there, or is something
//! else, counts as empty. Knows no operation; how answers look is `present`'s.

use serde_json::Value;

/// The items of a list.
pub(crate) fn list<'a>(answer: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    let items = answer.get(key).and_then(Value::as_array);
    items.into_iter().flatten()
}

/// Whether something is so.
pub(crate) fn is(answer: &Value, key: &str) -> bool {
    answer.get(key).and_then(Value::as_bool) == Some(true)
}

/// A text.
pub(crate) fn text<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number.
pub(crate) fn count(answer: &Value, key: &str) -> u64 {
    answer.get(key).and_then(Value::as_u64).unwrap_or_default()
}
