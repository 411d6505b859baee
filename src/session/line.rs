//! One line of the log: an event as bytes, and back.
//!
//! `{"v":1,"seq":…,"t":…,"mono":…,"run":…,"cell":…,"kind":"…","d":{…},"crc":"xxxxxxxx"}`
//!
//! The CRC is over all bytes before `,"crc"`; so is the chain. Knows nothing of
//! files, nor of what is inside `d` (see [`super::outline`]).

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::event::{CellId, EventBody, RunId, Scope};

/// The version of the line format this program writes.
pub const LINE_VERSION: u32 = 1;

/// `,"crc":"xxxxxxxx"}`.
pub(super) const TAIL: usize = 18;

/// A running SHA-256 over a log.
pub type Chain = [u8; 32];

/// The chain of an empty log.
pub const CHAIN_START: Chain = [0; 32];

/// What comes before `d` in a line.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Position in the session, from 1.
    pub seq: u64,
    /// Wall clock, milliseconds.
    pub time_ms: i64,
    /// Monotonic nanoseconds.
    pub mono_ns: u64,
    /// What it belongs to.
    pub scope: Scope,
}

/// A line whose CRC is right.
#[derive(Debug)]
pub struct Line<'a> {
    /// Everything before `d` but the kind.
    pub head: Head,
    /// Written by a format this program does not know.
    pub newer: bool,
    /// The kind of event.
    pub kind: String,
    /// The details, as stored.
    pub d: &'a RawValue,
    /// The bytes under CRC and chain.
    pub covered: &'a [u8],
}

/// Writes a line, newline included, and gives the chain after it.
pub fn encode(head: Head, kind: &str, d: &str, chain: &Chain) -> (Vec<u8>, Chain) {
    use std::io::Write as _;
    let mut line = Vec::with_capacity(d.len() + 160);
    // Writing to memory cannot fail.
    let _ = write!(
        line,
        r#"{{"v":{LINE_VERSION},"seq":{},"t":{},"mono":{}"#,
        head.seq, head.time_ms, head.mono_ns
    );
    if let Some(RunId(run)) = head.scope.run {
        let _ = write!(line, r#","run":{run}"#);
    }
    if let Some(CellId(cell)) = head.scope.cell {
        let _ = write!(line, r#","cell":{cell}"#);
    }
    line.extend_from_slice(br#","kind":"#);
    let _ = serde_json::to_writer(&mut line, kind);
    line.extend_from_slice(br#","d":"#);
    line.extend_from_slice(d.as_bytes());
    let chain = link(chain, &line);
    let crc = crc32fast::hash(&line);
    let _ = writeln!(line, r#","crc":"{crc:08x}"}}"#);
    (line, chain)
}

/// Reads a line without its newline; `None` when its CRC or form is wrong.
pub fn decode(line: &[u8]) -> Option<Line<'_>> {
    #[derive(Deserialize)]
    struct Parsed<'a> {
        v: u32,
        seq: u64,
        #[serde(default)]
        t: i64,
        #[serde(default)]
        mono: u64,
        #[serde(default)]
        run: Option<RunId>,
        #[serde(default)]
        cell: Option<CellId>,
        kind: String,
        #[serde(borrow)]
        d: &'a RawValue,
    }
    let (covered, tail) = line.split_at_checked(line.len().checked_sub(TAIL)?)?;
    let hex = tail.strip_prefix(br#","crc":""#)?.strip_suffix(br#""}"#)?;
    let stored = u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?;
    if stored != crc32fast::hash(covered) {
        return None;
    }
    let parsed: Parsed<'_> = serde_json::from_slice(line).ok()?;
    Some(Line {
        head: Head {
            seq: parsed.seq,
            time_ms: parsed.t,
            mono_ns: parsed.mono,
            scope: Scope {
                run: parsed.run,
                cell: parsed.cell,
            },
        },
        newer: parsed.v > LINE_VERSION,
        kind: parsed.kind,
        d: parsed.d,
        covered,
    })
}

/// The chain after a line: SHA-256 of the chain before and the covered bytes.
pub fn link(before: &Chain, covered: &[u8]) -> Chain {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(covered);
    hash.finalize().into()
}

/// An event's kind and details. Total: what cannot be written as JSON becomes
/// an unknown event that says so.
pub fn to_parts(body: &EventBody) -> (String, Value) {
    if let EventBody::Unknown { kind, d } = body {
        return (kind.clone(), d.clone());
    }
    match serde_json::to_value(body) {
        Ok(Value::Object(mut parts)) => match (parts.remove("kind"), parts.remove("d")) {
            (Some(Value::String(kind)), d) => (kind, d.unwrap_or_default()),
            _ => ("unwritable".to_owned(), Value::Null),
        },
        Ok(_) => ("unwritable".to_owned(), Value::Null),
        Err(error) => ("unwritable".to_owned(), Value::String(error.to_string())),
    }
}

/// The event of a kind and its details; unknown where this version knows no such.
pub fn from_parts(kind: String, d: Value) -> EventBody {
    let mut parts = Map::new();
    parts.insert("kind".to_owned(), Value::String(kind.clone()));
    parts.insert("d".to_owned(), d);
    let parts = Value::Object(parts);
    match EventBody::deserialize(&parts) {
        Ok(body) => body,
        Err(_) => EventBody::Unknown {
            kind,
            d: parts.get("d").cloned().unwrap_or_default(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Head = Head {
        seq: 7,
        time_ms: 1_700_000_000_000,
        mono_ns: 12,
        scope: Scope {
            run: Some(RunId(3)),
            cell: None,
        },
    };

    #[test]
    fn a_line_comes_back() {
        let (bytes, chain) = encode(HEAD, "noted", r#"{"level":"info"}"#, &CHAIN_START);
        let text = bytes.strip_suffix(b"\n").unwrap();
        let line = decode(text).unwrap();
        assert_eq!((line.head.seq, line.kind.as_str()), (7, "noted"));
        assert_eq!(line.head.scope, HEAD.scope);
        assert_eq!(line.d.get(), r#"{"level":"info"}"#);
        assert_eq!(link(&CHAIN_START, line.covered), chain);
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let (bytes, _) = encode(HEAD, "noted", r#"{"text":"hello"}"#, &CHAIN_START);
        let text = bytes.strip_suffix(b"\n").unwrap();
        for at in 0..text.len() * 8 {
            let mut damaged = text.to_vec();
            damaged[at / 8] ^= 1 << (at % 8);
            // The case of a hex digit of the CRC is the one thing that may change.
            let harmless = damaged.eq_ignore_ascii_case(text) && at / 8 >= text.len() - TAIL;
            assert!(decode(&damaged).is_none() || harmless, "bit {at}");
        }
    }

    /// R65: kinds of a later version are kept raw.
    #[test]
    fn an_unknown_kind_is_kept() {
        let d = serde_json::json!({"x": [1, 2]});
        let body = from_parts("teleported".to_owned(), d.clone());
        assert_eq!(
            body,
            EventBody::Unknown {
                kind: "teleported".to_owned(),
                d: d.clone()
            }
        );
        assert_eq!(to_parts(&body), ("teleported".to_owned(), d));
    }
}
