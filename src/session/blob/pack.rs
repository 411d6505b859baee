//! The pack file: records of magic, length, SHA-256, CRC and bytes.
//!
//! A damaged record is skipped by searching for the next magic with a right CRC.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::Sha;
use crate::session::directory;

/// The pack's name.
pub(super) const FILE: &str = "blobs-000001.pack";

/// The index's name.
pub(super) const INDEX: &str = "blobs-000001.idx";

/// Magic 4, length 4, SHA-256 32, CRC 4.
pub(super) const HEADER: usize = 44;

const MAGIC: [u8; 4] = *b"\x89DXB";
const INDEX_MAGIC: [u8; 8] = *b"DXBIDX01";

/// Where a blob's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Offset of the first byte.
    pub data: u64,
    /// Number of bytes.
    pub len: u32,
}

/// A record, ready to be appended.
pub(super) fn record(sha: &Sha, bytes: &[u8]) -> Vec<u8> {
    let len = (bytes.len() as u32).to_le_bytes();
    let mut record = Vec::with_capacity(HEADER + bytes.len());
    record.extend_from_slice(&MAGIC);
    record.extend_from_slice(&len);
    record.extend_from_slice(sha);
    record.extend_from_slice(&crc(&len, sha, bytes).to_le_bytes());
    record.extend_from_slice(bytes);
    record
}

fn crc(len: &[u8], sha: &[u8], bytes: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(len);
    crc.update(sha);
    crc.update(bytes);
    crc.finalize()
}

/// Calls `each` for every whole record from `start` to `end`; answers where the
/// next one will begin (a last record may be half written).
pub(super) fn scan(
    file: &File,
    start: u64,
    end: u64,
    mut each: impl FnMut(Sha, Place),
) -> io::Result<u64> {
    let mut bytes = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, start)?;
    let (mut at, mut known) = (0, 0);
    while let Some(rest) = bytes.get(at..) {
        if let Some((sha, len)) = read(rest) {
            let data = start + (at + HEADER) as u64;
            each(sha, Place { data, len });
            at += HEADER + len as usize;
            known = at;
        } else {
            let next = rest.get(1..).and_then(|later| find(later, MAGIC));
            match next {
                Some(step) => at += step + 1,
                None => break,
            }
        }
    }
    Ok(start + known as u64)
}

fn read(bytes: &[u8]) -> Option<(Sha, u32)> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (sha, rest) = rest.split_first_chunk::<32>()?;
    let (stored, rest) = rest.split_first_chunk::<4>()?;
    let data = rest.get(..u32::from_le_bytes(*len) as usize)?;
    (*magic == MAGIC && u32::from_le_bytes(*stored) == crc(len, sha, data))
        .then(|| (*sha, u32::from_le_bytes(*len)))
}

fn find(bytes: &[u8], magic: [u8; 4]) -> Option<usize> {
    bytes.windows(4).position(|window| window == magic)
}

/// The index of the pack, where it is there and agrees with it.
pub(super) fn load_index(dir: &Path, pack: &File) -> Option<(HashMap<Sha, Place>, u64)> {
    let bytes = fs::read(dir.join(INDEX)).ok()?;
    let (body, stored) = bytes.split_last_chunk::<4>()?;
    if u32::from_le_bytes(*stored) != crc32fast::hash(body) {
        return None;
    }
    let rest = body.strip_prefix(&INDEX_MAGIC)?;
    let (end, rest) = rest.split_first_chunk::<8>()?;
    let end = u64::from_le_bytes(*end);
    let mut places = HashMap::with_capacity(rest.len() / 44);
    let mut last: Option<(Sha, Place)> = None;
    for entry in rest.as_chunks::<44>().0 {
        let (sha, entry) = entry.split_first_chunk::<32>()?;
        let (data, len) = entry.split_first_chunk::<8>()?;
        let place = Place {
            data: u64::from_le_bytes(*data),
            len: u32::from_le_bytes(*len.first_chunk::<4>()?),
        };
        if last.is_none_or(|(_, last)| last.data < place.data) {
            last = Some((*sha, place));
        }
        places.insert(*sha, place);
    }
    // The pack still has the last record where the index says, and is as long.
    if end > pack.metadata().ok()?.len() {
        return None;
    }
    if let Some((sha, place)) = last {
        let mut record = vec![0; HEADER + place.len as usize];
        let start = place.data.checked_sub(HEADER as u64)?;
        pack.read_exact_at(&mut record, start).ok()?;
        if read(&record) != Some((sha, place.len)) {
            return None;
        }
    }
    Some((places, end))
}

pub(super) fn save_index(dir: &Path, places: &HashMap<Sha, Place>, end: u64) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(20 + places.len() * 44);
    bytes.extend_from_slice(&INDEX_MAGIC);
    bytes.extend_from_slice(&end.to_le_bytes());
    for (sha, place) in places {
        bytes.extend_from_slice(sha);
        bytes.extend_from_slice(&place.data.to_le_bytes());
        bytes.extend_from_slice(&place.len.to_le_bytes());
    }
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    directory::write_whole(&dir.join(INDEX), &bytes)
}
