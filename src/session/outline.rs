//! Long strings of an event, moved out to the blobs and back in.
//!
//! Owns the walk over a JSON tree: redaction, the limit of depth, `$blob`
//! references and their escape. In `d`, a string of [`LONG`] bytes or more is
//! stored as `{"$blob": sha256, "len": n}`; a user's own key `$blob` is written
//! `$$blob` (and `$$blob` as `$$$blob`). The documents of an exchange are
//! outlined already and left as they are.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::event::BlobRef;

/// Strings from this many bytes on are kept as blobs.
pub const LONG: usize = 256;

/// Deeper trees than this are kept as their text: readers refuse depth 128.
const DEEPEST: usize = 96;

/// Hides secrets in a text; borrowed when there is none.
pub type Redactor = Arc<dyn for<'a> Fn(&'a str) -> Cow<'a, str> + Send + Sync>;

/// Hides secrets in every string and key of `tree`, and turns subtrees that are
/// too deep into text.
pub fn redact(tree: &mut Value, redactor: Option<&Redactor>) {
    redact_at(tree, redactor, 0);
}

fn redact_at(tree: &mut Value, redactor: Option<&Redactor>, depth: usize) {
    if depth > DEEPEST && matches!(tree, Value::Array(_) | Value::Object(_)) {
        *tree = Value::String(tree.to_string());
    }
    match tree {
        Value::String(text) => {
            if let Some(hidden) = redactor.and_then(|redactor| changed(redactor, text)) {
                *text = hidden;
            }
        }
        Value::Array(items) => {
            for item in items {
                redact_at(item, redactor, depth + 1);
            }
        }
        Value::Object(map) => {
            if let Some(redactor) = redactor
                && map.keys().any(|key| changed(redactor, key).is_some())
            {
                rename(map, |key| changed(redactor, key));
            }
            for item in map.values_mut() {
                redact_at(item, redactor, depth + 1);
            }
        }
        _ => {}
    }
}

/// What the redactor makes of a text, when that is something else.
pub(super) fn changed(redactor: &Redactor, text: &str) -> Option<String> {
    match redactor(text) {
        Cow::Borrowed(same) if same.len() == text.len() => None,
        hidden => Some(hidden.into_owned()),
    }
}

/// Moves the long strings of an event's details out: `put` stores one.
pub fn outline(kind: &str, d: &mut Value, put: &mut dyn FnMut(&str) -> BlobRef) {
    for_each_part(kind, d, &mut |part| outline_tree(part, put));
}

/// Moves them back in: `get` fetches one, and is asked for a substitute where
/// it has none.
pub fn inline(kind: &str, d: &mut Value, get: &mut dyn FnMut(&BlobRef) -> String) {
    for_each_part(kind, d, &mut |part| inline_tree(part, get));
}

/// Calls `each` on the whole of `d`, except for the documents of an exchange.
fn for_each_part(kind: &str, d: &mut Value, each: &mut dyn FnMut(&mut Value)) {
    match d {
        Value::Object(map) if kind == "exchange" => {
            for (key, value) in map.iter_mut() {
                if key != "request" && key != "response" {
                    each(value);
                }
            }
        }
        _ => each(d),
    }
}

/// [`outline`] for a tree that is not an event's details.
pub fn outline_tree(tree: &mut Value, put: &mut dyn FnMut(&str) -> BlobRef) {
    match tree {
        Value::String(text) if text.len() >= LONG => {
            let blob = put(text);
            *tree = reference(&blob);
        }
        Value::Array(items) => {
            for item in items {
                outline_tree(item, put);
            }
        }
        Value::Object(map) => {
            if map.keys().any(|key| is_reserved(key)) {
                rename(map, |key| is_reserved(key).then(|| format!("${key}")));
            }
            for item in map.values_mut() {
                outline_tree(item, put);
            }
        }
        _ => {}
    }
}

/// What [`outline_tree`] makes of a tree, which is left as it is.
pub fn outlined(tree: &Value, put: &mut dyn FnMut(&str) -> BlobRef) -> Value {
    match tree {
        Value::String(text) if text.len() >= LONG => reference(&put(text)),
        Value::Array(items) => items.iter().map(|item| outlined(item, put)).collect(),
        Value::Object(map) => map
            .iter()
            .map(|(key, item)| {
                let key = if is_reserved(key) {
                    format!("${key}")
                } else {
                    key.clone()
                };
                (key, outlined(item, put))
            })
            .collect(),
        other => other.clone(),
    }
}

/// [`inline`] for a tree that is not an event's details.
pub fn inline_tree(tree: &mut Value, get: &mut dyn FnMut(&BlobRef) -> String) {
    if let Some(blob) = as_reference(tree) {
        *tree = Value::String(get(&blob));
        return;
    }
    match tree {
        Value::Array(items) => {
            for item in items {
                inline_tree(item, get);
            }
        }
        Value::Object(map) => {
            let escaped = |key: &str| key.len() > 5 && is_reserved(key);
            if map.keys().any(|key| escaped(key)) {
                rename(map, |key| {
                    escaped(key).then(|| key.strip_prefix('$').unwrap_or(key).to_owned())
                });
            }
            for item in map.values_mut() {
                inline_tree(item, get);
            }
        }
        _ => {}
    }
}

/// The blob a value stands for.
pub fn as_reference(value: &Value) -> Option<BlobRef> {
    let sha256 = value.get("$blob")?.as_str()?.to_owned();
    let len = value.get("len")?.as_u64()?;
    Some(BlobRef { sha256, len })
}

fn reference(blob: &BlobRef) -> Value {
    serde_json::json!({"$blob": blob.sha256, "len": blob.len})
}

/// `$blob`, `$$blob`, …
pub(super) fn is_reserved(key: &str) -> bool {
    key.strip_suffix("blob")
        .is_some_and(|dollars| !dollars.is_empty() && dollars.bytes().all(|byte| byte == b'$'))
}

fn rename(map: &mut Map<String, Value>, mut new_name: impl FnMut(&str) -> Option<String>) {
    *map = std::mem::take(map)
        .into_iter()
        .map(|(key, value)| (new_name(&key).unwrap_or(key), value))
        .collect();
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn there_and_back(kind: &str, tree: &Value) -> (Value, Value) {
        let mut kept = HashMap::new();
        let mut out = tree.clone();
        outline(kind, &mut out, &mut |text| {
            let sha256 = format!("{}", kept.len());
            kept.insert(sha256.clone(), text.to_owned());
            BlobRef {
                sha256,
                len: text.len() as u64,
            }
        });
        let mut back = out.clone();
        inline(kind, &mut back, &mut |blob| kept[&blob.sha256].clone());
        (out, back)
    }

    #[test]
    fn users_own_blob_keys_survive() {
        let tree = json!({"$blob": "x", "len": 3, "a": {"$$blob": "y", "$blob": null}});
        let (out, back) = there_and_back("noted", &tree);
        assert_eq!(out["$$blob"], "x");
        assert_eq!(back, tree);
        let order: Vec<_> = back.as_object().unwrap().keys().collect();
        assert_eq!(order, ["$blob", "len", "a"]);
    }

    #[test]
    fn documents_are_left_alone() {
        let long = "x".repeat(LONG);
        let tree = json!({"request": {"tree": {"$blob": "ab", "len": 999}}, "url": long});
        let (out, back) = there_and_back("exchange", &tree);
        assert_eq!(out["request"], tree["request"]);
        assert_eq!(out["url"]["len"], LONG);
        assert_eq!(back, tree);
    }

    #[test]
    fn depth_is_limited() {
        let mut tree = json!("leaf");
        for _ in 0..200 {
            tree = json!([tree]);
        }
        redact(&mut tree, None);
        let text = tree.to_string();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), tree);
    }

    #[test]
    fn keys_and_strings_are_redacted() {
        let redactor: Redactor = Arc::new(|text| {
            if text.contains("sk-1") {
                Cow::Owned(text.replace("sk-1", "***"))
            } else {
                Cow::Borrowed(text)
            }
        });
        let mut tree = json!({"sk-1": ["a sk-1 b", {"x": "ok"}]});
        redact(&mut tree, Some(&redactor));
        assert_eq!(tree, json!({"***": ["a *** b", {"x": "ok"}]}));
    }

    fn trees() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "[$]{0,3}blob",
            Just("len".to_owned()),
            any::<String>(),
            "[a-z]{250,300}"
        ];
        let leaf = prop_oneof![
            text.clone().prop_map(Value::String),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                prop::collection::vec((text.clone(), inner), 0..5)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_tree_survives(tree in trees()) {
            let (out, back) = there_and_back("noted", &tree);
            prop_assert_eq!(&back, &tree);
            let mut count = 0;
            let copied = outlined(&tree, &mut |text| {
                count += 1;
                BlobRef { sha256: format!("{}", count - 1), len: text.len() as u64 }
            });
            prop_assert_eq!(&copied, &out);
            // The text of the line gives the same tree too, floats included.
            let text = out.to_string();
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), out);
        }
    }
}
