//! Blobs: long values, kept once each by the SHA-256 of their bytes.
//!
//! Up to 1 MiB they are appended to `blobs-000001.pack`, each with a CRC;
//! larger ones are single files under `blobs/`. What is in the pack is known
//! from the pack alone; `blobs-000001.idx` only saves reading it through, and
//! may be deleted. Knows nothing of events.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use super::directory;
use super::event::BlobRef;
use super::state::hex;

mod pack;

/// Values above this many bytes are files of their own.
const SINGLE: usize = 1 << 20;

/// How many bytes are held in memory while there is no disk for them.
const MEMORY: usize = 256 << 20;

/// A session's blobs. One process adds; any number read.
#[derive(Debug)]
pub struct Blobs {
    dir: Option<PathBuf>,
    state: Mutex<State>,
}

/// A SHA-256.
type Sha = [u8; 32];

#[derive(Debug, Default)]
struct State {
    /// Where each blob of the pack is.
    places: HashMap<Sha, pack::Place>,
    pack: Option<Arc<File>>,
    /// Up to where the pack is known.
    end: u64,
    /// Blobs that are on no disk, in the order they came.
    memory: HashMap<Sha, Arc<[u8]>>,
    waiting: Vec<Sha>,
    memory_bytes: usize,
    writable: bool,
}

impl Blobs {
    /// Blobs that live in memory only, 256 MiB at most: what comes after is
    /// not kept.
    pub fn in_memory() -> Self {
        Self {
            dir: None,
            state: Mutex::default(),
        }
    }

    /// The blobs of a session directory; with `write`, ready for more.
    pub fn open(dir: &Path, write: bool) -> io::Result<Self> {
        let path = dir.join(pack::FILE);
        let file = match directory::open_file(&path, write) {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !write => None,
            Err(error) => return Err(error),
        };
        let blobs = Self {
            dir: Some(dir.to_path_buf()),
            state: Mutex::new(State {
                pack: file.map(Arc::new),
                writable: write,
                ..State::default()
            }),
        };
        let mut state = blobs.lock();
        if let Some((places, end)) = state
            .pack
            .as_ref()
            .and_then(|file| pack::load_index(dir, file))
        {
            state.places = places;
            state.end = end;
        }
        state.catch_up()?;
        drop(state);
        Ok(blobs)
    }

    /// Keeps `bytes`. The reference is right even when writing them failed:
    /// then they wait in memory for [`Blobs::flush`].
    pub fn put(&self, bytes: &[u8]) -> (BlobRef, io::Result<()>) {
        let sha: Sha = Sha256::digest(bytes).into();
        let blob = BlobRef {
            sha256: hex(&sha),
            len: bytes.len() as u64,
        };
        let mut state = self.lock();
        if state.memory.contains_key(&sha) || state.places.contains_key(&sha) {
            return (blob, Ok(()));
        }
        let Some(dir) = self.dir.as_deref() else {
            state.hold(sha, bytes);
            return (blob, Ok(()));
        };
        let written = if state.waiting.is_empty() {
            state.write(dir, sha, bytes)
        } else {
            // What waits goes first: the disk was full a moment ago.
            Err(io::ErrorKind::StorageFull.into())
        };
        if written.is_err() {
            state.hold(sha, bytes);
        }
        (blob, written)
    }

    /// The bytes of a blob; `None` when they are missing or damaged.
    pub fn get(&self, blob: &BlobRef) -> Option<Vec<u8>> {
        let sha = parse_sha(&blob.sha256)?;
        let mut state = self.lock();
        if let Some(bytes) = state.memory.get(&sha) {
            return Some(bytes.to_vec());
        }
        if !state.places.contains_key(&sha) && !state.writable {
            // The writer may have added it since.
            if state.pack.is_none() {
                let path = self.dir.as_deref()?.join(pack::FILE);
                state.pack = File::open(path).ok().map(Arc::new);
            }
            let _ = state.catch_up();
        }
        let packed = state.places.get(&sha).copied().zip(state.pack.clone());
        drop(state);
        let found = if let Some((place, file)) = packed {
            let mut bytes = vec![0; place.len as usize];
            file.read_exact_at(&mut bytes, place.data).ok()?;
            bytes
        } else {
            fs::read(single(self.dir.as_deref()?, &blob.sha256)).ok()?
        };
        (<Sha>::from(Sha256::digest(&found)) == sha).then_some(found)
    }

    /// Writes what waits in memory.
    pub fn flush(&self) -> io::Result<()> {
        let mut state = self.lock();
        let Some(dir) = self.dir.as_deref() else {
            return Ok(());
        };
        while let Some(sha) = state.waiting.first().copied() {
            if let Some(bytes) = state.memory.get(&sha).cloned() {
                state.write(dir, sha, &bytes)?;
                state.memory.remove(&sha);
                state.memory_bytes -= bytes.len();
            }
            state.waiting.remove(0);
        }
        Ok(())
    }

    /// The pack, for syncing it.
    pub fn pack(&self) -> Option<Arc<File>> {
        self.lock().pack.clone()
    }

    /// Takes over the blobs that `other` holds in memory.
    pub fn adopt(&self, other: &Self) {
        let other = other.lock();
        let mut state = self.lock();
        for sha in &other.waiting {
            if let Some(bytes) = other.memory.get(sha) {
                state.hold(*sha, bytes);
            }
        }
    }

    /// Writes the index beside the pack. Failing costs nothing but time later.
    pub fn save_index(&self) {
        if let Some(dir) = self.dir.as_deref() {
            let state = self.lock();
            let _ = pack::save_index(dir, &state.places, state.end);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the maps whole: they change by single inserts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn hold(&mut self, sha: Sha, bytes: &[u8]) {
        if self.memory_bytes + bytes.len() <= MEMORY {
            self.memory_bytes += bytes.len();
            if self.memory.insert(sha, bytes.into()).is_none() {
                self.waiting.push(sha);
            }
        }
    }

    fn write(&mut self, dir: &Path, sha: Sha, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > SINGLE {
            let path = single(dir, &hex(&sha));
            if !path.exists() {
                if let Some(parent) = path.parent() {
                    directory::create_dirs(parent)?;
                }
                directory::write_whole(&path, bytes)?;
            }
            return Ok(());
        }
        let Some(file) = self.pack.as_deref() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let record = pack::record(&sha, bytes);
        if let Err(error) = (&*file).write_all(&record) {
            // A half record would only be noise, but noise that grows on each try.
            let _ = file.set_len(self.end);
            return Err(error);
        }
        let place = pack::Place {
            data: self.end + pack::HEADER as u64,
            len: bytes.len() as u32,
        };
        self.places.insert(sha, place);
        self.end += record.len() as u64;
        Ok(())
    }

    /// Reads what was appended to the pack since.
    fn catch_up(&mut self) -> io::Result<()> {
        let Some(file) = self.pack.clone() else {
            return Ok(());
        };
        let len = file.metadata()?.len();
        if len > self.end {
            let places = &mut self.places;
            let known = pack::scan(&file, self.end, len, |sha, place| {
                places.insert(sha, place);
            })?;
            self.end = if self.writable { len } else { known };
        }
        Ok(())
    }
}

fn single(dir: &Path, sha256: &str) -> PathBuf {
    let (head, tail) = sha256.split_at_checked(2).unwrap_or(("", sha256));
    dir.join("blobs").join(head).join(tail)
}

/// 64 hex digits and nothing else, so that it is safe in a path.
fn parse_sha(text: &str) -> Option<Sha> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut sha = [0; 32];
    for (idx, byte) in sha.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(idx * 2..idx * 2 + 2)?, 16).ok()?;
    }
    Some(sha)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let long = vec![7; SINGLE + 1];
        let (small, large) = {
            let blobs = Blobs::open(dir.path(), true).unwrap();
            let (small, done) = blobs.put(b"hello");
            done.unwrap();
            let len = fs::metadata(dir.path().join(pack::FILE)).unwrap().len();
            assert_eq!(blobs.put(b"hello").0, small);
            assert_eq!(
                fs::metadata(dir.path().join(pack::FILE)).unwrap().len(),
                len
            );
            (small, blobs.put(&long).0)
        };
        let reader = Blobs::open(dir.path(), false).unwrap();
        assert_eq!(reader.get(&small).unwrap(), b"hello");
        assert_eq!(reader.get(&large).unwrap(), long);
        let writer = Blobs::open(dir.path(), true).unwrap();
        let (later, _) = writer.put(b"later");
        assert_eq!(reader.get(&later).unwrap(), b"later");
    }

    #[test]
    fn damage_costs_one_blob_and_the_index_is_not_believed_blindly() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), true).unwrap();
        let refs: Vec<_> = (0..20)
            .map(|idx| blobs.put(format!("value number {idx}").as_bytes()).0)
            .collect();
        blobs.save_index();
        drop(blobs);
        let path = dir.path().join(pack::FILE);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes.truncate(bytes.len() - 3);
        fs::write(&path, bytes).unwrap();
        for index in [true, false] {
            if !index {
                fs::remove_file(dir.path().join(pack::INDEX)).unwrap();
            }
            let reader = Blobs::open(dir.path(), false).unwrap();
            let found = refs
                .iter()
                .filter(|blob| reader.get(blob).is_some())
                .count();
            assert_eq!(found, 18, "with index: {index}");
        }
    }

    #[test]
    fn a_reference_is_never_a_path() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path(), false).unwrap();
        let sha256 = "../../../../etc/passwd".to_owned();
        assert!(blobs.get(&BlobRef { sha256, len: 1 }).is_none());
    }
}
