//! Reading a log from where one was, and putting its end in order.
//!
//! Only an invalid final line is ever cut off, and only after it was copied to
//! `quarantine/`. Damage elsewhere is skipped, reported and kept.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::blob::Blobs;
use super::directory;
use super::event::{BlobRef, Event, EventBody};
use super::line::{self, CHAIN_START, Chain, Line};
use super::log::{self, Damage};
use super::outline;
use super::state::hex;

/// How many damages are described; more are only counted.
const DESCRIBED: usize = 100;

/// What was found while reading a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Valid events.
    pub events: u64,
    /// Damaged stretches, the first 100.
    pub damage: Vec<Damage>,
    /// Their total length in bytes.
    pub damaged_bytes: u64,
    /// Sequence numbers that no line has.
    pub missing_events: u64,
    /// Long values that are gone; their places say so.
    pub missing_blobs: u64,
    /// Events of a kind this version does not know.
    pub unknown_events: u64,
    /// Where the cut-off end of the log was put.
    pub cut: Option<PathBuf>,
    /// The last event says that the session was closed.
    pub closed: bool,
}

impl RecoveryReport {
    /// One sentence when something was lost; `None` when all is well.
    pub fn sentence(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(cut) = &self.cut {
            parts.push(format!(
                "a half-written last line was moved to {}",
                cut.display()
            ));
        }
        if self.missing_events > 0 {
            parts.push(format!(
                "{} events are damaged and skipped",
                self.missing_events
            ));
        } else if self.damaged_bytes > 0 && self.cut.is_none() {
            parts.push(format!("{} damaged bytes are skipped", self.damaged_bytes));
        }
        if self.missing_blobs > 0 {
            parts.push(format!("{} long values are missing", self.missing_blobs));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Where reading has got to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor {
    /// The file, from 1.
    pub segment: u32,
    /// The next byte of it.
    pub offset: u64,
    /// The last event's number; 0 before the first.
    pub seq: u64,
    /// The chain after it.
    pub chain: Chain,
}

impl Cursor {
    /// Before the first event.
    pub(super) const START: Self = Self {
        segment: 1,
        offset: 0,
        seq: 0,
        chain: CHAIN_START,
    };
}

/// An event's place in the files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The file, from 1.
    pub segment: u32,
    /// Its first byte.
    pub offset: u64,
    /// Its length without the newline.
    pub len: u32,
    /// The chain after it.
    pub chain: Chain,
}

/// Reads on from `cursor` to the end of what is there. Answers the
/// bytes at the very end that are no line. With `follow` such an end is left for
/// the next time, as it may be growing.
pub(super) fn read_on(
    dir: &Path,
    cursor: &mut Cursor,
    follow: bool,
    report: &mut RecoveryReport,
    mut each: impl FnMut(Place, Line<'_>),
) -> io::Result<Option<Damage>> {
    loop {
        let file = match File::open(log::segment_path(dir, cursor.segment)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Asked before reading: once there is a next file, this one is final.
        let last = !log::segment_path(dir, cursor.segment + 1).exists();
        let segment = cursor.segment;
        let (mut seq, mut chain) = (cursor.seq, cursor.chain);
        let found = log::scan(
            &file,
            segment,
            cursor.offset,
            follow && last,
            |offset, line| {
                if line.head.seq <= seq {
                    return; // Seen already: a copied or spliced line.
                }
                report.missing_events += line.head.seq - seq - 1;
                report.events += 1;
                report.closed = line.kind == "session_closed";
                seq = line.head.seq;
                chain = line::link(&chain, line.covered);
                let place = Place {
                    segment,
                    offset,
                    len: (line.covered.len() + line::TAIL) as u32,
                    chain,
                };
                each(place, line);
            },
        )?;
        let torn = found.damage.last().cloned().filter(|_| found.torn);
        for damage in found.damage {
            report.damaged_bytes += damage.bytes;
            if report.damage.len() < DESCRIBED {
                report.damage.push(damage);
            }
        }
        *cursor = Cursor {
            segment,
            offset: found.end,
            seq,
            chain,
        };
        if last {
            return Ok(torn);
        }
        cursor.segment += 1;
        cursor.offset = 0;
    }
}

/// Makes the last file end after a whole line. Answers where bytes that had to
/// be cut off were put.
pub(super) fn mend_end(
    dir: &Path,
    torn: Option<&Damage>,
    segment: u32,
) -> io::Result<Option<PathBuf>> {
    let path = log::segment_path(dir, segment);
    let mut file = directory::open_file(&path, true)?;
    let mut cut = None;
    if let Some(damage) = torn {
        let mut bytes = vec![0; usize::try_from(damage.bytes).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, damage.offset)?;
        let quarantine = dir.join("quarantine");
        directory::create_dirs(&quarantine)?;
        let name = format!("events-{segment:06}-{}.cut", damage.offset);
        let mut target = quarantine.join(&name);
        let mut nth = 1;
        while target.exists() {
            nth += 1;
            target = quarantine.join(format!("{name}.{nth}"));
        }
        directory::write_whole(&target, &bytes)?;
        file.set_len(damage.offset)?;
        cut = Some(target);
    }
    let len = file.metadata()?.len();
    let mut last = [b'\n'];
    if len > 0 {
        file.read_exact_at(&mut last, len - 1)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    if cut.is_some() || last != *b"\n" {
        file.sync_all()?;
    }
    Ok(cut)
}

/// The event a line tells of, with its long values fetched.
pub(super) fn to_event(
    line: &Line<'_>,
    chain: &Chain,
    blobs: &Blobs,
    report: &mut RecoveryReport,
) -> Event {
    let kind = line.kind.clone();
    let body = match serde_json::from_str::<Value>(line.d.get()) {
        Ok(mut d) => {
            outline::inline(&kind, &mut d, &mut |blob| {
                text_of(blobs, blob).unwrap_or_else(|| {
                    report.missing_blobs += 1;
                    format!("[missing: {} bytes, SHA-256 {}]", blob.len, blob.sha256)
                })
            });
            if line.newer {
                EventBody::Unknown { kind, d }
            } else {
                line::from_parts(kind, d)
            }
        }
        // Too deep for this reader: kept as text.
        Err(_) => EventBody::Unknown {
            kind,
            d: Value::String(line.d.get().to_owned()),
        },
    };
    if matches!(body, EventBody::Unknown { .. }) {
        report.unknown_events += 1;
    }
    Event {
        seq: line.head.seq,
        time_ms: line.head.time_ms,
        mono_ns: line.head.mono_ns,
        run: line.head.scope.run,
        cell: line.head.scope.cell,
        body,
        chain: hex(chain),
    }
}

fn text_of(blobs: &Blobs, blob: &BlobRef) -> Option<String> {
    String::from_utf8(blobs.get(blob)?).ok()
}

/// The number of the last file of a log; 1 when there is none.
pub(super) fn last_segment(dir: &Path) -> u32 {
    let mut segment = 1;
    while log::segment_path(dir, segment + 1).exists() {
        segment += 1;
    }
    segment
}
