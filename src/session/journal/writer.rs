//! The critical section: numbering, chaining, writing and publishing, and what
//! happens when writing fails.
//!
//! When a write fails nothing is thrown away: lines wait in memory, up to
//! [`WAITING`] bytes, and are written when the disk takes them again. When a
//! sync fails the file is not trusted any more; only another directory helps.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::{mpsc, watch};

use super::disk::Disk;
use crate::session::blob::Blobs;
use crate::session::directory::{self, Lock, LockInfo};
use crate::session::event::{BlobRef, Event, EventBody, Scope};
use crate::session::line::{self, Chain, Head};
use crate::session::recovery::Cursor;
use crate::session::state::hex;
use crate::session::summary::Summary;
use crate::session::{SaveStatus, SessionError};

/// How many bytes of lines wait in memory while they cannot be written.
const WAITING: usize = 64 << 20;

/// An event but for its number and chain.
pub(super) struct Prepared {
    pub(super) time_ms: i64,
    pub(super) mono_ns: u64,
    pub(super) scope: Scope,
    pub(super) kind: String,
    /// The details as they are stored.
    pub(super) d: String,
    /// The event as it is published.
    pub(super) body: EventBody,
}

/// What all clones of a journal and its syncing thread share.
pub(super) struct Core {
    writer: Mutex<Writer>,
    blobs: RwLock<Arc<Blobs>>,
    status: watch::Sender<SaveStatus>,
    synced: watch::Sender<u64>,
    pub(super) signal: Mutex<Signal>,
    pub(super) wake: Condvar,
}

/// What the syncing thread waits for.
#[derive(Debug, Default)]
pub(super) struct Signal {
    /// Something was written.
    pub(super) dirty: bool,
    /// Somebody waits for it to be synced.
    pub(super) now: bool,
    /// Sync and end.
    pub(super) stop: bool,
    /// Writing failed: try again now and then.
    pub(super) failing: bool,
}

struct Writer {
    seq: u64,
    chain: Chain,
    /// The last event that is in the file.
    written: u64,
    subscribers: Vec<mpsc::UnboundedSender<Arc<Event>>>,
    disk: Option<Disk>,
    summary: Summary,
    waiting: VecDeque<(u64, Vec<u8>)>,
    waiting_bytes: usize,
    lost: u64,
    failure: Option<Failure>,
}

/// Why events are not written.
struct Failure {
    reason: String,
    /// A sync failed: the file must not be written again.
    is_final: bool,
}

impl Core {
    pub(super) fn new(disk: Option<Disk>, blobs: Blobs, cursor: Cursor, summary: Summary) -> Self {
        let status = match disk {
            Some(_) => SaveStatus::Saved,
            None => SaveStatus::Ephemeral,
        };
        Self {
            writer: Mutex::new(Writer {
                seq: cursor.seq,
                chain: cursor.chain,
                written: cursor.seq,
                subscribers: Vec::new(),
                disk,
                summary,
                waiting: VecDeque::new(),
                waiting_bytes: 0,
                lost: 0,
                failure: None,
            }),
            blobs: RwLock::new(Arc::new(blobs)),
            status: watch::Sender::new(status),
            synced: watch::Sender::new(cursor.seq),
            signal: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    pub(super) fn append(&self, event: Prepared) -> u64 {
        let mut writer = self.lock();
        let seq = writer.seq + 1;
        let head = Head {
            seq,
            time_ms: event.time_ms,
            mono_ns: event.mono_ns,
            scope: event.scope,
        };
        let (line, chain) = line::encode(head, &event.kind, &event.d, &writer.chain);
        writer.seq = seq;
        writer.chain = chain;
        let event = Arc::new(Event {
            seq,
            time_ms: event.time_ms,
            mono_ns: event.mono_ns,
            run: event.scope.run,
            cell: event.scope.cell,
            body: event.body,
            chain: hex(&chain),
        });
        writer.summary.apply(&event);
        let on_disk = writer.disk.is_some();
        if on_disk {
            self.write(&mut writer, seq, line);
        }
        writer
            .subscribers
            .retain(|subscriber| subscriber.send(Arc::clone(&event)).is_ok());
        drop(writer);
        if on_disk {
            self.signal(|signal| !std::mem::replace(&mut signal.dirty, true));
        }
        seq
    }

    fn write(&self, writer: &mut Writer, seq: u64, line: Vec<u8>) {
        let result = match (&writer.failure, &mut writer.disk) {
            (None, Some(disk)) => disk.write(seq, line),
            // What waits goes first.
            _ => return self.hold(writer, seq, line),
        };
        match result {
            Ok(()) => writer.written = seq,
            Err((line, error)) => {
                self.fail(writer, &error, false);
                self.hold(writer, seq, line);
            }
        }
    }

    fn hold(&self, writer: &mut Writer, seq: u64, line: Vec<u8>) {
        if writer.waiting_bytes + line.len() <= WAITING {
            writer.waiting_bytes += line.len();
            writer.waiting.push_back((seq, line));
        } else {
            writer.lost += 1;
            self.tell(writer);
        }
    }

    fn fail(&self, writer: &mut Writer, error: &io::Error, is_final: bool) {
        let advice = if is_final {
            "this disk is not trusted any more, save the session in another directory"
        } else {
            "free some space, or save the session in another directory"
        };
        let is_final = is_final
            || writer
                .failure
                .as_ref()
                .is_some_and(|failure| failure.is_final);
        writer.failure = Some(Failure {
            reason: format!("{error}; {advice}"),
            is_final,
        });
        self.tell(writer);
        self.signal(|signal| !std::mem::replace(&mut signal.failing, true));
    }

    /// Publishes how saving stands.
    fn tell(&self, writer: &Writer) {
        let status = match (&writer.failure, &writer.disk) {
            (Some(failure), _) => {
                let mut reason = failure.reason.clone();
                if writer.lost > 0 {
                    reason = format!("{reason}; memory is full, {} events are lost", writer.lost);
                }
                SaveStatus::NotSaving { reason }
            }
            (None, Some(_)) => SaveStatus::Saved,
            (None, None) => SaveStatus::Ephemeral,
        };
        self.status.send_if_modified(|now| {
            let changed = *now != status;
            *now = status;
            changed
        });
    }

    pub(super) fn put_blob(&self, bytes: &[u8]) -> BlobRef {
        let (blob, written) = self.blobs().put(bytes);
        if let Err(error) = written {
            let mut writer = self.lock();
            if writer.failure.is_none() && writer.disk.is_some() {
                self.fail(&mut writer, &error, false);
            }
        }
        blob
    }

    /// Syncs what is written. Called by the syncing thread only.
    pub(super) fn sync(&self) {
        let mut writer = self.lock();
        let seq = writer.written;
        let failed = writer
            .failure
            .as_ref()
            .is_some_and(|failure| failure.is_final);
        let Some(file) = writer.disk.as_ref().map(Disk::file).filter(|_| !failed) else {
            return;
        };
        drop(writer);
        // The blobs first: no synced event may name one that is not.
        let pack = self.blobs().pack();
        let result = pack
            .map_or(Ok(()), |pack| pack.sync_data())
            .and_then(|()| file.sync_data());
        writer = self.lock();
        match result {
            Ok(()) => {
                if let Some(disk) = &mut writer.disk {
                    disk.synced(seq);
                }
                self.synced.send_replace(seq);
            }
            Err(error) => {
                if let Some(disk) = &mut writer.disk {
                    let mut lines = disk.take_recent();
                    writer.waiting_bytes += lines.iter().map(|(_, line)| line.len()).sum::<usize>();
                    lines.append(&mut writer.waiting);
                    writer.waiting = lines;
                }
                self.fail(&mut writer, &error, true);
            }
        }
    }

    /// Tries to write what waits. Answers whether all is written.
    pub(super) fn retry(&self) -> bool {
        let mut writer = self.lock();
        match &writer.failure {
            None => return true,
            Some(failure) if failure.is_final => return false,
            Some(_) => {}
        }
        if let Err(error) = self.blobs().flush() {
            self.fail(&mut writer, &error, false);
            return false;
        }
        self.write_waiting(&mut writer)
    }

    fn write_waiting(&self, writer: &mut Writer) -> bool {
        while let Some((seq, line)) = writer.waiting.pop_front() {
            let bytes = line.len();
            let Some(disk) = &mut writer.disk else {
                return false;
            };
            match disk.write(seq, line) {
                Ok(()) => {
                    writer.waiting_bytes -= bytes;
                    writer.written = seq;
                }
                Err((line, error)) => {
                    writer.waiting.push_front((seq, line));
                    self.fail(writer, &error, false);
                    return false;
                }
            }
        }
        writer.failure = None;
        writer.lost = 0;
        self.tell(writer);
        self.signal(|signal| {
            signal.failing = false;
            signal.dirty = true;
            true
        });
        true
    }

    pub(super) fn save_elsewhere(&self, root: &Path, id: &str) -> Result<PathBuf, SessionError> {
        let mut writer = self.lock();
        let dir = root.join(id);
        let Some(disk) = &writer.disk else {
            return Err(SessionError::NotASession(dir));
        };
        if dir.exists() {
            return Err(SessionError::Exists(dir.display().to_string()));
        }
        let failed = |source| SessionError::io("write", &dir, source);
        directory::create_dirs(&dir).map_err(failed)?;
        let lock = Lock::take(&dir, id)?;
        disk.copy_to(&dir).map_err(failed)?;
        let (disk, blobs) = Disk::open(&dir, disk.cursor(), lock).map_err(failed)?;
        blobs.adopt(&self.blobs());
        blobs.flush().map_err(failed)?;
        writer.disk = Some(disk);
        *self.blobs.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(blobs);
        writer.failure = None;
        self.write_waiting(&mut writer);
        Ok(dir)
    }

    /// Writes what lists show and lets go of the directory.
    pub(super) fn finish(&self) {
        self.retry();
        let mut writer = self.lock();
        let Some(disk) = writer.disk.take() else {
            return;
        };
        let mut summary = writer.summary.clone();
        summary.log_bytes = disk.log_bytes();
        if writer.failure.is_none() {
            self.blobs().save_index();
            // Only saves time later: a list without it reads the log.
            let _ = summary.save(&disk.dir);
        }
        drop(disk);
        if writer.failure.is_none() {
            self.tell(&writer);
        }
    }

    pub(super) fn subscribe(&self) -> mpsc::UnboundedReceiver<Arc<Event>> {
        let (tx, rx) = mpsc::unbounded_channel();
        self.lock().subscribers.push(tx);
        rx
    }

    /// Asks for a sync; answers the number to wait for.
    pub(super) fn ask_sync(&self) -> Option<u64> {
        let writer = self.lock();
        writer.disk.as_ref()?;
        let seq = writer.seq;
        drop(writer);
        self.signal(|signal| {
            signal.now = true;
            true
        });
        Some(seq)
    }

    /// Ends the syncing thread once it has synced.
    pub(super) fn stop(&self) {
        self.signal(|signal| {
            signal.stop = true;
            true
        });
    }

    /// Changes what the syncing thread waits for; wakes it when `change` says so.
    fn signal(&self, change: impl FnOnce(&mut Signal) -> bool) {
        let mut signal = self.signal.lock().unwrap_or_else(PoisonError::into_inner);
        if change(&mut signal) {
            self.wake.notify_one();
        }
    }

    pub(super) fn watch_status(&self) -> watch::Receiver<SaveStatus> {
        self.status.subscribe()
    }

    pub(super) fn watch_synced(&self) -> watch::Receiver<u64> {
        self.synced.subscribe()
    }

    pub(super) fn blobs(&self) -> Arc<Blobs> {
        Arc::clone(&self.blobs.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn dir(&self) -> Option<PathBuf> {
        self.lock().disk.as_ref().map(|disk| disk.dir.clone())
    }

    pub(super) fn note_lock(&self, info: &LockInfo) -> io::Result<()> {
        match &self.lock().disk {
            Some(disk) => disk.note_lock(info),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
