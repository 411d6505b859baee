//! From an event to the details of its line, and to what is published.
//!
//! What is published is what reading the line gives. Does not number, write or
//! hold any lock.

use serde_json::Value;

use crate::session::event::{BlobRef, Document, EventBody, Exchange, SpanItem};
use crate::session::line;
use crate::session::outline::{self, Redactor};

/// Values of spans this deep go the long way, which knows where depth ends.
const SHALLOW: usize = 32;

/// An event's details as they are stored, with its kind, and the event as it is
/// published. `put` keeps a long string.
pub(super) fn prepare(
    body: EventBody,
    redactor: Option<&Redactor>,
    put: &mut dyn FnMut(&str) -> BlobRef,
) -> (String, String, EventBody) {
    if is_plain(&body, redactor)
        && let Some((kind, d)) = written(&body)
    {
        return (kind.to_owned(), d, body);
    }
    let (kind, mut d) = line::to_parts(&body);
    outline::redact(&mut d, redactor);
    // Published is what reading the line will give, by construction.
    let body = line::from_parts(kind.clone(), d.clone());
    outline::outline(&kind, &mut d, put);
    (kind, d.to_string(), body)
}

/// Spans and exchanges come by the thousand: their details are written straight
/// from the event, without a tree in between.
fn written(body: &EventBody) -> Option<(&'static str, String)> {
    let kind = match body {
        EventBody::Spans { .. } => "spans",
        EventBody::Exchange(_) => "exchange",
        _ => return None,
    };
    let mut text = serde_json::to_string(body).ok()?;
    let start = text.strip_prefix(r#"{"kind":""#)?;
    let start = start.strip_prefix(kind)?.strip_prefix(r#"","d":"#)?;
    let d_len = start.strip_suffix('}')?.len();
    let begin = text.len() - d_len - 1;
    text.truncate(begin + d_len);
    text.drain(..begin);
    Some((kind, text))
}

/// Whether a spans or exchange event is stored as it is: nothing in it is to be
/// hidden, moved out, renamed or cut off.
fn is_plain(body: &EventBody, redactor: Option<&Redactor>) -> bool {
    let plain = Plain { redactor };
    match body {
        EventBody::Spans { items } => items.iter().all(|item| plain.span(item)),
        EventBody::Exchange(exchange) => plain.exchange(exchange),
        _ => false,
    }
}

struct Plain<'a> {
    redactor: Option<&'a Redactor>,
}

impl Plain<'_> {
    fn span(&self, item: &SpanItem) -> bool {
        match item {
            SpanItem::Start {
                id,
                parent,
                kind,
                name,
                inputs,
                ..
            } => {
                self.text(id)
                    && parent.iter().all(|parent| self.text(parent))
                    && self.text(kind)
                    && self.text(name)
                    && self.members(inputs, 0)
            }
            SpanItem::End {
                id, outputs, error, ..
            } => {
                self.text(id)
                    && self.members(outputs, 0)
                    && error.iter().all(|error| self.text(error))
            }
        }
    }

    fn exchange(&self, exchange: &Exchange) -> bool {
        let texts = [
            &exchange.profile,
            &exchange.url,
            &exchange.model,
            &exchange.key,
        ];
        let optional = [&exchange.span, &exchange.error];
        texts.into_iter().all(|text| self.text(text))
            && optional.into_iter().flatten().all(|text| self.text(text))
            && exchange
                .headers
                .iter()
                .all(|(name, value)| self.text(name) && self.text(value))
            // JSON has no other numbers: they would be read as none.
            && exchange.cost.is_none_or(f64::is_finite)
            && self.document(&exchange.request)
            && self.document(&exchange.response)
    }

    /// A document is outlined already: only its secrets and its depth count.
    fn document(&self, document: &Document) -> bool {
        match document {
            Document::Text(text) => self.shows(text),
            Document::Blob(_) => true,
            Document::Tree(tree) => self.tree(tree, 0),
        }
    }

    fn tree(&self, tree: &Value, depth: usize) -> bool {
        match tree {
            Value::String(text) => self.shows(text),
            Value::Array(items) => {
                depth < SHALLOW && items.iter().all(|item| self.tree(item, depth + 1))
            }
            Value::Object(map) => {
                depth < SHALLOW
                    && map
                        .iter()
                        .all(|(key, item)| self.shows(key) && self.tree(item, depth + 1))
            }
            _ => true,
        }
    }

    fn members(&self, map: &serde_json::Map<String, Value>, depth: usize) -> bool {
        map.iter().all(|(key, value)| {
            !outline::is_reserved(key) && self.shows(key) && self.value(value, depth)
        })
    }

    fn value(&self, value: &Value, depth: usize) -> bool {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                depth < SHALLOW && items.iter().all(|item| self.value(item, depth + 1))
            }
            Value::Object(map) => depth < SHALLOW && self.members(map, depth + 1),
            _ => true,
        }
    }

    /// A text that stays in the line as it is.
    fn text(&self, text: &str) -> bool {
        text.len() < outline::LONG && self.shows(text)
    }

    /// A text without secrets.
    fn shows(&self, text: &str) -> bool {
        self.redactor
            .is_none_or(|redactor| outline::changed(redactor, text).is_none())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::HashMap;
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;
    use crate::session::event::{AnswerSource, RunId};

    fn redactor() -> Redactor {
        Arc::new(|text| {
            if text.contains("sk-1") {
                Cow::Owned(text.replace("sk-1", "***"))
            } else {
                Cow::Borrowed(text)
            }
        })
    }

    /// Reads a line's details as a session that is opened again does.
    fn read(kind: &str, d: &str, kept: &HashMap<String, String>) -> EventBody {
        let mut d: Value = serde_json::from_str(d).unwrap();
        outline::inline(kind, &mut d, &mut |blob| kept[&blob.sha256].clone());
        line::from_parts(kind.to_owned(), d)
    }

    fn check(body: EventBody) {
        let mut kept = HashMap::new();
        let redactor = redactor();
        let (kind, d, published) = prepare(body, Some(&redactor), &mut |text| {
            let sha256 = kept.len().to_string();
            kept.insert(sha256.clone(), text.to_owned());
            BlobRef {
                sha256,
                len: text.len() as u64,
            }
        });
        assert_eq!(read(&kind, &d, &kept), published);
        assert!(!d.contains("sk-1"), "{d}");
    }

    fn span(inputs: Map<String, Value>, name: &str, end: bool) -> SpanItem {
        if end {
            SpanItem::End {
                id: "1-2-3".into(),
                ns: 3,
                outputs: inputs,
                error: Some(name.into()),
            }
        } else {
            SpanItem::Start {
                id: "1-2-3".into(),
                parent: Some("1-2-2".into()),
                run: Some(RunId(2)),
                kind: "module".into(),
                name: name.into(),
                ns: u64::MAX,
                inputs,
            }
        }
    }

    fn exchange(request: Value, text: &str, cost: Option<f64>) -> Exchange {
        Exchange {
            span: None,
            profile: String::new(),
            url: text.to_owned(),
            model: "m".into(),
            key: "k".into(),
            occurrence: 0,
            cacheable: true,
            request: Document::Tree(request),
            response: Document::Text(text.to_owned()),
            headers: vec![("content-type".into(), text.to_owned())],
            status: 200,
            error: None,
            source: AnswerSource::Server,
            latency_us: 12,
            input_tokens: 3,
            output_tokens: 4,
            cost,
            streamed: false,
        }
    }

    #[test]
    fn plain_events_go_the_short_way_and_no_others_do() {
        let redactor = redactor();
        let short = |inputs: Value| {
            let inputs = inputs.as_object().unwrap().clone();
            let items = vec![span(inputs, "QA", false)];
            is_plain(&EventBody::Spans { items }, Some(&redactor))
        };
        assert!(short(json!({"question": "why", "k": 3, "list": [1, null]})));
        for odd in [
            json!({"question": "sk-1"}),
            json!({"sk-1": 1}),
            json!({"question": "x".repeat(outline::LONG)}),
            json!({"deep": [{"$blob": 1}]}),
        ] {
            assert!(!short(odd.clone()), "{odd}");
        }
        let whole = |exchange| is_plain(&EventBody::Exchange(Box::new(exchange)), Some(&redactor));
        let reference = json!({"content": {"$blob": "ab", "len": 999}});
        assert!(whole(exchange(reference.clone(), "http://h/v1", Some(0.1))));
        assert!(!whole(exchange(reference.clone(), "sk-1", None)));
        assert!(!whole(exchange(json!(["sk-1"]), "http://h/v1", None)));
        assert!(!whole(exchange(reference, "http://h/v1", Some(f64::NAN))));
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            "[$]{0,3}blob",
            Just("a sk-1 b".to_owned()),
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
        /// Either way, what is published is what reading the line gives.
        #[test]
        fn published_is_what_is_read(
            value in values(),
            plain in "[a-z ]{0,20}",
            name in any::<String>(),
            cost in prop::option::of(any::<f64>()),
        ) {
            for end in [false, true] {
                let mut inputs = Map::new();
                inputs.insert("value".into(), value.clone());
                check(EventBody::Spans { items: vec![span(inputs, &name, end)] });
                let inputs = Map::from_iter([("question".to_owned(), Value::from(plain.clone()))]);
                check(EventBody::Spans { items: vec![span(inputs, "QA", end)] });
            }
            check(EventBody::Exchange(Box::new(exchange(json!({"q": plain}), &name, cost))));
        }
    }
}
