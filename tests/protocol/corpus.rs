//! `frames.jsonl`: messages both sides must read alike. A line is
//! `{"to": "worker"|"workbench", "message": {…envelope…}}`.

use dspex_tui::protocol::codec::{RawMessage, Sender, decode};
use dspex_tui::protocol::message::{Envelope, FromWorker, ToWorker};
use pretty_assertions::assert_eq;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const CORPUS: &str = include_str!("frames.jsonl");

/// R52: every line is an envelope that decodes to its type and encodes to the
/// same JSON again.
#[test]
fn r52_every_frame_of_the_corpus_decodes_and_encodes() {
    let mut kinds = std::collections::BTreeSet::new();
    for (number, line) in (1..).zip(CORPUS.lines()) {
        let row: Value = serde_json::from_str(line).unwrap();
        let message = &row["message"];
        let kind = message["type"].as_str().unwrap().to_owned();
        match row["to"].as_str().unwrap() {
            "worker" => round_trip::<ToWorker>(number, message),
            "workbench" => round_trip::<FromWorker>(number, message),
            other => panic!("line {number}: nobody is called {other}"),
        }
        kinds.insert((row["to"].as_str().unwrap().to_owned(), kind));
    }
    assert_eq!(
        kinds.len(),
        23,
        "every message type is in the corpus: {kinds:?}"
    );
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    number: usize,
    message: &Value,
) {
    let text = message.to_string();
    let (id, typed) =
        decode::<T>(text.as_bytes()).unwrap_or_else(|error| panic!("line {number}: {error}"));
    let envelope: Envelope<T> = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (envelope.id, &envelope.message),
        (id, &typed),
        "line {number}"
    );
    assert_eq!(
        &serde_json::to_value(&envelope).unwrap(),
        message,
        "line {number}"
    );

    let frame: Vec<u8> = Sender::new("x")
        .message(id, &typed)
        .unwrap()
        .flatten()
        .collect();
    let raw = RawMessage::parse(&frame[4..]).unwrap();
    assert_eq!(raw.kind, message["type"].as_str().unwrap());
    let payload: Value = serde_json::from_str(raw.payload.get()).unwrap();
    assert_eq!(payload, message["payload"], "line {number}");
}

/// R54: an unknown type tag is an error that names what is known.
#[test]
fn r54_an_unknown_type_is_refused_with_the_known_ones() {
    let text = r#"{"id":1,"type":"dance","payload":{},"timestamp":0.0,"metadata":{"source":"x","version":1}}"#;
    let error = decode::<ToWorker>(text.as_bytes()).unwrap_err().to_string();
    assert!(
        error.contains("dance") && error.contains("lm_answer"),
        "{error}"
    );
}
