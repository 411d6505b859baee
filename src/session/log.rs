//! The log's files: `events-000001.jsonl` and on, read line by line.
//!
//! Reading never fails because of what is in a file: a damaged line is skipped
//! and reported, and what follows it is found again.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::line::{self, Line};

/// A new file is begun when one reaches this many bytes.
pub const SEGMENT: u64 = 256 << 20;

/// A line longer than this is damage: no event is as long.
const LONGEST: u64 = 128 << 20;

/// How every line begins.
const START: &[u8] = br#"{"v":"#;

/// How every line's tail begins.
const END: &[u8] = br#","crc":""#;

/// The path of a log's nth file, from 1.
pub fn segment_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("events-{segment:06}.jsonl"))
}

/// A stretch of a log that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which file, from 1.
    pub segment: u32,
    /// Where it begins.
    pub offset: u64,
    /// How many bytes it has.
    pub bytes: u64,
}

/// What a scan of one file found besides its lines.
#[derive(Debug, Default)]
pub struct Scan {
    /// Stretches that are no lines. The last one is the end of the file when
    /// [`Scan::torn`].
    pub damage: Vec<Damage>,
    /// Where the next line begins or would begin: after the last newline.
    pub end: u64,
    /// The file ends in bytes that are no line.
    pub torn: bool,
}

/// Calls `each` with every valid line of a file from `start` on and its offset.
/// With `follow`, an end without newline is left for the next time.
pub fn scan(
    file: &File,
    segment: u32,
    start: u64,
    follow: bool,
    mut each: impl FnMut(u64, Line<'_>),
) -> io::Result<Scan> {
    let mut reader = BufReader::with_capacity(1 << 18, file);
    reader.seek(SeekFrom::Start(start))?;
    let mut found = Scan {
        end: start,
        ..Scan::default()
    };
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut bytes)? as u64;
        if read == 0 {
            return Ok(found);
        }
        let at = found.end;
        let whole = bytes.last() == Some(&b'\n');
        if read == LONGEST && !whole {
            let rest = skip_line(&mut reader)?;
            found.lost(segment, at, read + rest, true);
            continue;
        }
        if !whole && follow {
            return Ok(found);
        }
        let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        if let Some(line) = line::decode(text) {
            each(at, line);
            found.end += read;
            found.torn = false;
            continue;
        }
        let end = at + read;
        let good = salvage(text, at, &mut each).unwrap_or(at);
        // A line that lost only its newline is whole after all.
        let torn = good < at + text.len() as u64;
        if torn {
            found.end = good;
        }
        found.lost(segment, found.end, end - found.end, torn);
    }
}

impl Scan {
    fn lost(&mut self, segment: u32, offset: u64, bytes: u64, torn: bool) {
        self.damage.push(Damage {
            segment,
            offset,
            bytes,
        });
        self.end += bytes;
        self.torn = torn;
    }
}

/// Finds the valid lines inside one that is not: two run together where a
/// newline was damaged, or one beside a stretch of rubbish. Answers where the
/// last of them ends.
fn salvage(text: &[u8], at: u64, each: &mut impl FnMut(u64, Line<'_>)) -> Option<u64> {
    let ends: Vec<usize> = positions(text, END).map(|idx| idx + line::TAIL).collect();
    // Hostile files must not make this quadratic.
    let mut budget = text.len().saturating_mul(32);
    let mut last_end = None;
    for start in positions(text, START) {
        if last_end.is_some_and(|end| start < end) {
            continue;
        }
        for end in ends.iter().copied().filter(|end| *end > start) {
            budget = budget.saturating_sub(end - start);
            if budget == 0 {
                return last_end.map(|end| at + end as u64);
            }
            if let Some(line) = text.get(start..end).and_then(line::decode) {
                each(at + start as u64, line);
                last_end = Some(end);
                break;
            }
        }
    }
    last_end.map(|end| at + end as u64)
}

fn positions<'a>(text: &'a [u8], what: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    text.windows(what.len())
        .enumerate()
        .filter_map(move |(idx, window)| (window == what).then_some(idx))
}

/// Skips to after the next newline; answers how many bytes.
fn skip_line(reader: &mut impl io::BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(skipped);
        }
        let (len, done) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(idx) => (idx + 1, true),
            None => (buffer.len(), false),
        };
        reader.consume(len);
        skipped += len as u64;
        if done {
            return Ok(skipped);
        }
    }
}
