//! `events.idx`: where each event is and the chain after it. Derived from the
//! log, may be deleted, and is never believed: each line is checked against it
//! when it is read.

use std::fs;
use std::io;
use std::path::Path;

use crate::session::directory;
use crate::session::log;
use crate::session::recovery::{Cursor, Place, RecoveryReport};

const FILE: &str = "events.idx";
const MAGIC: [u8; 8] = *b"DXEIDX01";

/// Segment 4, offset 8, length 4, chain 32.
const ENTRY: usize = 48;

/// How many events an index must save reading to be written.
pub(super) const WORTH: usize = 10_000;

/// What an index says.
pub(super) struct Index {
    pub(super) cursor: Cursor,
    pub(super) places: Vec<Place>,
    pub(super) report: RecoveryReport,
}

/// Reads the index, when it is whole and the log is at least as long. The log
/// of a session that was damaged has no index: its report comes from reading.
pub(super) fn load(dir: &Path) -> Option<Index> {
    let bytes = fs::read(dir.join(FILE)).ok()?;
    let (body, stored) = bytes.split_last_chunk::<4>()?;
    if u32::from_le_bytes(*stored) != crc32fast::hash(body) {
        return None;
    }
    let rest = body.strip_prefix(&MAGIC)?;
    let (segment, rest) = rest.split_first_chunk::<4>()?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let (closed, rest) = rest.split_first()?;
    let places: Option<Vec<Place>> = rest
        .as_chunks::<ENTRY>()
        .0
        .iter()
        .map(|entry| place(entry))
        .collect();
    let places = places?;
    let cursor = Cursor {
        segment: u32::from_le_bytes(*segment),
        offset: u64::from_le_bytes(*offset),
        seq: u64::from_le_bytes(*seq),
        chain: places.last()?.chain,
    };
    let len = fs::metadata(log::segment_path(dir, cursor.segment))
        .ok()?
        .len();
    let report = RecoveryReport {
        events: places.len() as u64,
        closed: *closed == 1,
        ..RecoveryReport::default()
    };
    (len >= cursor.offset).then_some(Index {
        cursor,
        places,
        report,
    })
}

fn place(entry: &[u8]) -> Option<Place> {
    let (segment, rest) = entry.split_first_chunk::<4>()?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    Some(Place {
        segment: u32::from_le_bytes(*segment),
        offset: u64::from_le_bytes(*offset),
        len: u32::from_le_bytes(*len),
        chain: *rest.first_chunk::<32>()?,
    })
}

pub(super) fn save(
    dir: &Path,
    cursor: Cursor,
    places: &[Place],
    report: &RecoveryReport,
) -> io::Result<()> {
    if report.damaged_bytes > 0 || report.missing_events > 0 {
        return Ok(());
    }
    let mut bytes = Vec::with_capacity(40 + places.len() * ENTRY);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&cursor.segment.to_le_bytes());
    bytes.extend_from_slice(&cursor.offset.to_le_bytes());
    bytes.extend_from_slice(&cursor.seq.to_le_bytes());
    bytes.push(u8::from(report.closed));
    for place in places {
        bytes.extend_from_slice(&place.segment.to_le_bytes());
        bytes.extend_from_slice(&place.offset.to_le_bytes());
        bytes.extend_from_slice(&place.len.to_le_bytes());
        bytes.extend_from_slice(&place.chain);
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    directory::write_whole(&dir.join(FILE), &bytes)
}

pub(super) fn remove(dir: &Path) {
    let _ = fs::remove_file(dir.join(FILE));
}
