//! Damaged sessions open, lose little, and say what.

use std::fs;

use dspex_tui::session::event::{EventBody, Scope};
use dspex_tui::session::{Journal, SessionReader};
use proptest::prelude::*;

use super::{count, live_one_cell, log_of, note, recorded};

/// Cut anywhere, a log loses the event that was cut and no other; opening it
/// puts the rest into quarantine and goes on.
#[test]
fn cut_at_every_offset() {
    let root = tempfile::tempdir().unwrap();
    recorded(root.path(), 1);
    let dir = root.path().join("s");
    let path = log_of(root.path());
    let whole = fs::read(&path).unwrap();
    let last_line = whole
        .trim_ascii_end()
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap();
    for len in 0..=whole.len() {
        let text = &whole[..len];
        // A line is whole even without its newline.
        let complete = count(text, b'\n')
            + usize::from(text.ends_with(b"\"}") && whole.get(len) == Some(&b'\n'));
        fs::write(&path, text).unwrap();
        let reader = SessionReader::open(&dir).unwrap();
        assert!(complete - reader.len() <= 1, "cut at {len}");
        // Mending syncs the disk: done at every offset of the last line, around
        // every newline, and here and there.
        let near_newline =
            whole[len.saturating_sub(1)..(len + 2).min(whole.len())].contains(&b'\n');
        if !(near_newline || len > last_line || len % 61 == 0) {
            continue;
        }
        let (journal, state, report) = Journal::open(root.path(), "s").unwrap();
        assert_eq!(state.seq, complete as u64, "cut at {len}");
        let clean = text.is_empty() || text.ends_with(b"\n") || whole.get(len) == Some(&b'\n');
        assert_eq!(report.cut.is_some(), !clean, "cut at {len}");
        if let Some(cut) = report.cut {
            let lost = fs::read(cut).unwrap();
            assert!(text.ends_with(&lost) && !lost.contains(&b'\n'));
        }
        assert_eq!(journal.append(Scope::NONE, note("goes on")), state.seq + 1);
        drop(journal);
        let (_, state, report) = Journal::open(root.path(), "s").unwrap();
        assert_eq!((state.seq, report.sentence()), (complete as u64 + 1, None));
    }
}

/// Any one flipped bit costs one event at most, newlines included.
#[test]
fn a_flipped_bit_costs_one_event() {
    let root = tempfile::tempdir().unwrap();
    let lived = recorded(root.path(), 1);
    let dir = root.path().join("s");
    let path = log_of(root.path());
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&path, &damaged).unwrap();
        let mut reader = SessionReader::open(&dir).unwrap();
        // The last line may be growing: a reader leaves it, an opener judges it.
        assert!(reader.len() as u64 + 1 >= lived.seq, "byte {at}");
        reader.final_state();
        if damaged[at] != b'\n' && whole[at] != b'\n' && at % 7 != 0 {
            continue; // Opening syncs the disk: every newline, and here and there.
        }
        let (_, state, report) = Journal::open(root.path(), "s").unwrap();
        assert!(report.events + 1 >= lived.seq, "byte {at}");
        assert!(state.seq + 1 >= lived.seq, "byte {at}");
        if report.events < lived.seq {
            assert!(report.sentence().is_some(), "byte {at}");
            assert!(report.damaged_bytes > 0, "byte {at}");
        }
        // Only the end is ever cut: what was before is still there.
        let left = fs::read(&path).unwrap();
        assert!(damaged.starts_with(left.trim_ascii_end()), "byte {at}");
    }
}

#[test]
fn four_kilobytes_of_zeros_cost_what_they_cover() {
    let root = tempfile::tempdir().unwrap();
    let lived = recorded(root.path(), 20);
    let path = log_of(root.path());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    let (from, to) = (middle - 2048, middle + 2048);
    let touched = 1 + count(&bytes[from..to], b'\n');
    bytes[from..to].fill(0);
    fs::write(&path, bytes).unwrap();
    let (_, state, report) = Journal::open(root.path(), "s").unwrap();
    assert_eq!(state.seq, lived.seq);
    assert_eq!(report.cut, None);
    assert!(lived.seq - report.events <= touched as u64, "{report:?}");
    assert_eq!(report.missing_events, lived.seq - report.events);
}

/// R65: events of a later version are kept and shown raw.
#[test]
fn later_versions_of_a_line_do_not_fail() {
    use std::io::Write as _;
    let root = tempfile::tempdir().unwrap();
    let lived = recorded(root.path(), 1);
    let seq = lived.seq + 1;
    let covered = format!(r#"{{"v":9,"seq":{seq},"new":[1],"kind":"noted","d":{{"text":7}}"#);
    let line = format!(
        "{covered},\"crc\":\"{:08x}\"}}\n",
        crc32fast::hash(covered.as_bytes())
    );
    let mut log = fs::OpenOptions::new()
        .append(true)
        .open(log_of(root.path()))
        .unwrap();
    log.write_all(line.as_bytes()).unwrap();
    let mut reader = SessionReader::open(&root.path().join("s")).unwrap();
    match reader.event(seq as usize).unwrap().body {
        EventBody::Unknown { kind, d } => {
            assert_eq!(
                (kind.as_str(), d),
                ("noted", serde_json::json!({"text": 7}))
            );
        }
        other => panic!("{other:?}"),
    }
    let (_, state, report) = Journal::open(root.path(), "s").unwrap();
    assert_eq!((state.seq, report.unknown_events), (seq, 1));
}

/// A lost pack costs the long values, and says so where they were.
#[test]
fn missing_blobs_are_named() {
    let root = tempfile::tempdir().unwrap();
    recorded(root.path(), 1);
    fs::remove_file(root.path().join("s").join("blobs-000001.pack")).unwrap();
    let (journal, state, report) = Journal::open(root.path(), "s").unwrap();
    assert!(
        state.cells[0].source.starts_with("[missing: "),
        "{}",
        state.cells[0].source
    );
    assert!(report.missing_blobs >= 1);
    assert!(report.sentence().unwrap().contains("missing"));
    live_one_cell(&journal, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever the bytes are, nothing panics.
    #[test]
    fn rubbish_opens(rubbish in prop::collection::vec(any::<u8>(), 0..2000), at in 0.0..1.0f64) {
        let root = tempfile::tempdir().unwrap();
        recorded(root.path(), 1);
        for name in ["events-000001.jsonl", "blobs-000001.pack", "lock", "summary.json", "events.idx"] {
            let path = root.path().join("s").join(name);
            let mut bytes = fs::read(&path).unwrap_or_default();
            let at = (bytes.len() as f64 * at) as usize;
            bytes.splice(at..at, rubbish.iter().copied());
            fs::write(&path, bytes).unwrap();
        }
        let mut reader = SessionReader::open(&root.path().join("s")).unwrap();
        reader.final_state();
        Journal::open(root.path(), "s").unwrap();
    }
}
