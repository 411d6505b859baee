//! The files a journal appends to, and what of them is not synced yet.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::session::blob::Blobs;
use crate::session::directory::{self, Lock, LockInfo};
use crate::session::log;
use crate::session::recovery::Cursor;

/// An open log.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) dir: PathBuf,
    lock: Lock,
    file: Arc<File>,
    segment: u32,
    /// Bytes of the file that are whole lines.
    len: u64,
    /// Lines written but not known to be synced, with their numbers.
    recent: VecDeque<(u64, Vec<u8>)>,
    /// Bytes of them.
    recent_bytes: u64,
}

impl Disk {
    /// Opens the last file of the log in `dir` for appending, and its blobs.
    pub(super) fn open(dir: &Path, cursor: Cursor, lock: Lock) -> io::Result<(Self, Blobs)> {
        let path = log::segment_path(dir, cursor.segment);
        let file = directory::open_file(&path, true)?;
        let len = file.metadata()?.len();
        let blobs = Blobs::open(dir, true)?;
        directory::sync_dir(dir)?;
        let disk = Self {
            dir: dir.to_path_buf(),
            lock,
            file: Arc::new(file),
            segment: cursor.segment,
            len,
            recent: VecDeque::new(),
            recent_bytes: 0,
        };
        Ok((disk, blobs))
    }

    /// Writes one line with one `write`, or nothing at all. Gives it back when
    /// it failed.
    pub(super) fn write(&mut self, seq: u64, line: Vec<u8>) -> Result<(), (Vec<u8>, io::Error)> {
        let bytes = line.len() as u64;
        let full = self.len > 0 && self.len + bytes > log::SEGMENT;
        if let Err(error) = if full { self.rotate() } else { Ok(()) } {
            return Err((line, error));
        }
        if let Err(error) = (&*self.file).write_all(&line) {
            // Half a line must not stay before the next one.
            let _ = self.file.set_len(self.len);
            return Err((line, error));
        }
        self.len += bytes;
        self.recent_bytes += bytes;
        self.recent.push_back((seq, line));
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let segment = self.segment + 1;
        let path = log::segment_path(&self.dir, segment);
        let file = directory::open_file(&path, true)?;
        directory::sync_dir(&self.dir)?;
        self.file = Arc::new(file);
        self.segment = segment;
        self.len = 0;
        self.recent.clear();
        self.recent_bytes = 0;
        Ok(())
    }

    /// The file to sync.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Everything up to this number is synced.
    pub(super) fn synced(&mut self, seq: u64) {
        while self
            .recent
            .front()
            .is_some_and(|(recent, _)| *recent <= seq)
        {
            if let Some((_, line)) = self.recent.pop_front() {
                self.recent_bytes -= line.len() as u64;
            }
        }
    }

    /// Takes the lines that a failed sync may have lost.
    pub(super) fn take_recent(&mut self) -> VecDeque<(u64, Vec<u8>)> {
        self.len -= self.recent_bytes;
        self.recent_bytes = 0;
        std::mem::take(&mut self.recent)
    }

    /// Bytes of the whole log.
    pub(super) fn log_bytes(&self) -> u64 {
        let before = (1..self.segment).map(|segment| {
            fs::metadata(log::segment_path(&self.dir, segment)).map_or(0, |meta| meta.len())
        });
        before.sum::<u64>() + self.len
    }

    pub(super) fn note_lock(&self, info: &LockInfo) -> io::Result<()> {
        self.lock.note(info)
    }

    /// Copies what is whole into another directory.
    pub(super) fn copy_to(&self, dir: &Path) -> io::Result<()> {
        for segment in 1..=self.segment {
            let from = File::open(log::segment_path(&self.dir, segment))?;
            let mut to = directory::open_file(&log::segment_path(dir, segment), true)?;
            let len = if segment == self.segment {
                self.len
            } else {
                u64::MAX
            };
            io::copy(&mut io::Read::take(from, len), &mut to)?;
            to.sync_all()?;
        }
        copy_file(&self.dir, dir, "blobs-000001.pack")?;
        copy_file(&self.dir, dir, "session.json")?;
        copy_tree(&self.dir.join("blobs"), &dir.join("blobs"))
    }

    /// Where the copy made by [`Disk::copy_to`] is appended to.
    pub(super) fn cursor(&self) -> Cursor {
        Cursor {
            segment: self.segment,
            offset: self.len,
            ..Cursor::START
        }
    }
}

fn copy_file(from: &Path, to: &Path, name: &str) -> io::Result<()> {
    match File::open(from.join(name)) {
        Ok(mut source) => {
            let mut target = directory::open_file(&to.join(name), true)?;
            io::copy(&mut source, &mut target)?;
            target.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Copies a directory of directories of files (the single blobs).
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for folder in entries {
        let folder = folder?;
        let target = to.join(folder.file_name());
        directory::create_dirs(&target)?;
        for file in fs::read_dir(folder.path())? {
            let name = file?.file_name();
            copy_file(&folder.path(), &target, &name.to_string_lossy())?;
        }
    }
    Ok(())
}
