//! Frames and chunks under every treatment a stream can get.

use dspex_tui::protocol::MAX_FRAME;
use dspex_tui::protocol::codec::{CHUNK_ABOVE, DecodeError, Decoder, RawMessage, Sender, decode};
use dspex_tui::protocol::message::{Answer, FromWorker};
use proptest::prelude::*;
use serde_json::json;
use sha2::{Digest as _, Sha256};

fn answer(value: serde_json::Value) -> FromWorker {
    FromWorker::Answer(Answer {
        ok: true,
        result: Some(value),
        error: None,
    })
}

fn bytes(id: u64, message: &FromWorker) -> Vec<u8> {
    let sender = Sender::new("worker-1");
    sender.message(id, message).unwrap().flatten().collect()
}

fn next(decoder: &mut Decoder) -> Option<Result<(u64, FromWorker), DecodeError>> {
    let message = decoder.next_message()?;
    Some(message.and_then(|json| decode(&json)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// R53: whatever the cuts, the same messages come out in the same order.
    #[test]
    fn r53_messages_survive_any_split(texts in prop::collection::vec(".{0,40}", 1..6), cut in 1_usize..40) {
        let messages: Vec<FromWorker> = texts.iter().map(|text| answer(json!(text))).collect();
        let stream: Vec<u8> = messages.iter().zip(1_u64..).flat_map(|(message, id)| bytes(id, message)).collect();
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        for piece in stream.chunks(cut) {
            decoder.feed(piece);
            while let Some(message) = next(&mut decoder) {
                seen.push(message.unwrap());
            }
        }
        let expected: Vec<(u64, FromWorker)> = (1..).zip(messages).collect();
        prop_assert_eq!(seen, expected);
    }

    /// R54: framed garbage is an error, and the next message still arrives.
    #[test]
    fn r54_garbage_then_a_valid_message(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut decoder = Decoder::default();
        decoder.feed(&u32::try_from(garbage.len()).unwrap().to_be_bytes());
        decoder.feed(&garbage);
        decoder.feed(&bytes(7, &answer(json!(1))));
        prop_assert!(next(&mut decoder).unwrap().is_err());
        prop_assert_eq!(next(&mut decoder).unwrap().unwrap(), (7, answer(json!(1))));
        prop_assert!(next(&mut decoder).is_none());
    }
}

/// R53: a frame of no bytes, and one above the bound, are errors; the stream goes on.
#[test]
fn r53_zero_and_oversized_lengths_are_refused_and_skipped() {
    let mut decoder = Decoder::default();
    decoder.feed(&[0, 0, 0, 0]);
    assert_eq!(next(&mut decoder).unwrap(), Err(DecodeError::Empty));

    let len = MAX_FRAME + 1;
    decoder.feed(&u32::try_from(len).unwrap().to_be_bytes());
    assert_eq!(next(&mut decoder).unwrap(), Err(DecodeError::TooLarge(len)));
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..len / piece.len() {
        decoder.feed(&piece);
        assert!(next(&mut decoder).is_none());
        assert!(
            decoder.buffer().is_empty(),
            "a refused frame must not pile up"
        );
    }
    decoder.feed(&piece[..len % piece.len()]);
    decoder.feed(&bytes(3, &answer(json!("after"))));
    assert_eq!(next(&mut decoder).unwrap().unwrap().0, 3);
}

/// R55: a large message goes out in chunks of at most 1 MiB of compressed
/// bytes, numbered from 0, the last one final, and comes back equal.
#[test]
fn r55_large_messages_travel_in_chunks() {
    let noise: Vec<u64> = (0..400_000_u64)
        .map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .collect();
    let message = answer(json!(noise));
    let sender = Sender::new("worker-1");
    let frames: Vec<Vec<u8>> = sender.message(9, &message).unwrap().collect();
    assert!(frames.len() > 2, "{} frames", frames.len());
    for (index, frame) in frames.iter().enumerate() {
        let raw = RawMessage::parse(&frame[4..]).unwrap();
        assert_eq!(raw.kind, "chunk");
        let chunk: serde_json::Value = serde_json::from_str(raw.payload.get()).unwrap();
        assert_eq!(chunk["chunk_index"], index);
        assert_eq!(chunk["is_final"], index + 1 == frames.len());
        assert!(chunk["data"].as_str().unwrap().len() <= (1 << 20) * 4 / 3 + 4);
    }
    let mut decoder = Decoder::default();
    for frame in &frames {
        decoder.feed(frame);
    }
    assert_eq!(next(&mut decoder).unwrap().unwrap(), (9, message));
    assert!(next(&mut decoder).is_none());
}

/// R55: the 100,000 examples of a dataset, row after row as a worker writes them, are the
/// same bytes again by their hash; the last chunk, and no other, is final.
#[test]
fn r55_a_dataset_travels_whole() {
    let row = |n: u64| {
        let noise = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        json!({"question": format!("What is {n} plus {noise}?"), "answer": format!("{noise:x}")})
    };
    let mut pieces = Sender::new("worker-1").pieces(9, "answer");
    let mut frames = pieces.push(br#"{"ok":true,"result":["#);
    let mut sent = Sha256::new();
    for n in 0..100_000 {
        let text = row(n).to_string();
        sent.update(&text);
        let comma = if n == 0 { "" } else { "," };
        frames.extend(pieces.push(format!("{comma}{text}").as_bytes()));
    }
    frames.extend(pieces.push(b"]}"));
    frames.extend(pieces.finish());
    let chunks = frames.iter().map(|frame| {
        let raw = RawMessage::parse(&frame[4..]).unwrap();
        let chunk: serde_json::Value = serde_json::from_str(raw.payload.get()).unwrap();
        (
            chunk["chunk_index"].as_u64().unwrap(),
            chunk["is_final"].as_bool().unwrap(),
        )
    });
    let chunks: Vec<(u64, bool)> = chunks.collect();
    let last = chunks.len() as u64 - 1;
    assert!(last > 1, "{chunks:?}");
    let expected: Vec<(u64, bool)> = (0..=last).map(|index| (index, index == last)).collect();
    assert_eq!(chunks, expected);
    let mut decoder = Decoder::default();
    let mut arrived = None;
    for frame in &frames {
        assert!(arrived.is_none(), "whole before its end");
        decoder.feed(frame);
        arrived = next(&mut decoder);
    }
    let Some(Ok((9, FromWorker::Answer(answer)))) = arrived else {
        panic!("no answer came");
    };
    let rows = answer.result.unwrap();
    let mut got = Sha256::new();
    for row in rows.as_array().unwrap() {
        got.update(row.to_string());
    }
    assert_eq!(rows.as_array().unwrap().len(), 100_000);
    assert_eq!(got.finalize(), sent.finalize());
}

/// R55, R56: a message written part by part is the same message, in chunks that
/// come out as they fill.
#[test]
fn r56_pieces_are_one_message() {
    let sender = Sender::new("worker-1");
    for len in [0_u64, 1, 400_000] {
        let noise: Vec<u64> = (0..len)
            .map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .collect();
        let message = answer(json!(noise));
        let payload = serde_json::to_value(&message).unwrap()["payload"].to_string();
        let mut pieces = sender.pieces(9, "answer");
        let mut decoder = Decoder::default();
        let (mut early, mut largest) = (0, 0);
        for part in payload.as_bytes().chunks(50_000) {
            for frame in pieces.push(part) {
                early += 1;
                largest = largest.max(frame.len());
                decoder.feed(&frame);
            }
        }
        for frame in pieces.finish() {
            decoder.feed(&frame);
        }
        assert!(largest <= (1 << 20) * 4 / 3 + 400);
        assert!(early > 1 || len < 2, "{early} frames before the end");
        assert_eq!(next(&mut decoder).unwrap().unwrap(), (9, message));
        assert!(next(&mut decoder).is_none());
    }
}

/// R55: small messages overtake the chunks of a large one, and two large ones
/// may be under way at once.
#[test]
fn r55_others_overtake_chunks() {
    let sender = Sender::new("worker-1");
    let noise = |seed: u64| {
        let numbers: Vec<u64> = (0..400_000_u64)
            .map(|n| (n + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .collect();
        answer(json!(numbers))
    };
    let (first, second) = (noise(1), noise(2));
    let mut one = sender.message(1, &first).unwrap();
    let mut two = sender.message(2, &second).unwrap();
    let mut decoder = Decoder::default();
    let mut seen = Vec::new();
    loop {
        let pieces = [one.next(), two.next()];
        if pieces.iter().all(Option::is_none) {
            break;
        }
        for piece in pieces.into_iter().flatten() {
            decoder.feed(&piece);
            decoder.feed(&bytes(3, &answer(json!("quick"))));
            while let Some(message) = next(&mut decoder) {
                seen.push(message.unwrap());
            }
        }
    }
    assert_eq!(seen[0].0, 3);
    let large: Vec<_> = seen.into_iter().filter(|(id, _)| *id != 3).collect();
    assert_eq!(large, [(1, first), (2, second)]);
}

/// R54: chunks out of order, of no stream, or that are no zlib, are errors, and
/// a later large message arrives whole.
#[test]
fn r54_broken_chunks_do_not_stop_the_stream() {
    let sender = Sender::new("worker-1");
    let mut decoder = Decoder::default();
    let bad = [
        json!({"stream": 5, "chunk_index": 1, "is_final": false, "data": ""}),
        json!({"stream": 5, "chunk_index": 0, "is_final": true, "data": "AAAA"}),
        json!({"stream": 6, "chunk_index": 0, "is_final": false, "data": "?"}),
        json!({"stream": 7}),
    ];
    for payload in &bad {
        let frames = sender.raw(0, "chunk", payload.to_string().as_bytes());
        decoder.feed(&frames.flatten().collect::<Vec<u8>>());
        assert!(matches!(
            decoder.next_message().unwrap(),
            Err(DecodeError::BadChunk(_))
        ));
    }
    let text = answer(json!("x".repeat(CHUNK_ABOVE + 1)));
    decoder.feed(&bytes(8, &text));
    assert_eq!(next(&mut decoder).unwrap().unwrap(), (8, text));
}
