//! The only writer of a session.
//!
//! Numbers an event, hides secrets in it, moves its long values to the blobs,
//! writes its line, then publishes it. A line is written at once, so that it
//! survives the death of this process; a thread of its own makes it survive a
//! power cut within 50 ms. Does not decide what is worth an event.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::{mpsc, watch};

use self::disk::Disk;
use self::writer::{Core, Prepared};
use super::blob::Blobs;
use super::directory::{self, Header, Lock, LockInfo};
use super::event::{BlobRef, Document, Event, EventBody, Passport, Scope};
use super::outline::{self, LONG, Redactor};
use super::recovery::{self, Cursor, RecoveryReport};
use super::state::SessionState;
use super::summary::Summary;
use super::{SaveStatus, SessionError};

mod disk;
mod prepare;
mod sync;
mod writer;

/// A session being written; cheap to clone. When the last clone goes, what was
/// written is synced and the lock released.
#[derive(Clone)]
pub struct Journal(Arc<Owner>);

impl std::fmt::Debug for Journal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Journal").field(&self.id()).finish()
    }
}

struct Owner {
    core: Arc<Core>,
    id: String,
    opened: Instant,
    redactor: RwLock<Option<Redactor>>,
    syncer: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.stop_syncing();
    }
}

impl Owner {
    fn stop_syncing(&self) {
        self.core.stop();
        let thread = self
            .syncer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Journal {
    /// A journal that keeps nothing on disk (`exec` without `--session`).
    pub fn ephemeral() -> Self {
        let core = Core::new(None, Blobs::in_memory(), Cursor::START, Summary::default());
        Self::around(core, String::new(), None)
    }

    /// Makes a session directory under `root` and opens it. Its id is `name`,
    /// or a fresh one. Appends nothing: the caller subscribes and then appends
    /// [`EventBody::SessionOpened`], as after [`Journal::open`].
    pub fn create(
        root: &Path,
        name: Option<&str>,
        passport: Passport,
    ) -> Result<Self, SessionError> {
        let id = match name {
            Some(name) => {
                directory::check_name(name)?;
                name.to_owned()
            }
            None => directory::fresh_id(),
        };
        let dir = root.join(&id);
        directory::create_dirs(root).map_err(|source| SessionError::io("create", root, source))?;
        match std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
            .create(&dir)
        {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(SessionError::Exists(id));
            }
            Err(source) => return Err(SessionError::io("create", &dir, source)),
        }
        let header = Header {
            format_version: directory::FORMAT_VERSION,
            id: id.clone(),
            name: name.map(str::to_owned),
            created_ms: now_ms(),
            passport,
        };
        let lock = Lock::take(&dir, &id)?;
        directory::write_header(&dir, &header)
            .and_then(|()| directory::sync_dir(root))
            .map_err(|source| SessionError::io("write", &dir, source))?;
        let (disk, blobs) = Disk::open(&dir, Cursor::START, lock)
            .map_err(|source| SessionError::io("write", &dir, source))?;
        let core = Core::new(Some(disk), blobs, Cursor::START, Summary::default());
        Self::started(core, id, dir)
    }

    /// Opens the session that `wanted` means (an id, a unique beginning of one,
    /// a path, `latest`), mends its end and folds its events.
    pub fn open(
        root: &Path,
        wanted: &str,
    ) -> Result<(Self, SessionState, RecoveryReport), SessionError> {
        let dir = super::catalog::resolve(root, wanted)?;
        let header = directory::read_header(&dir)?;
        let id = directory::dir_name(&dir);
        let lock = Lock::take(&dir, &id)?;
        let failed = |source| SessionError::io("read", &dir, source);
        let blobs = Blobs::open(&dir, false).map_err(failed)?;
        let mut state = SessionState::default();
        let mut summary = Summary::default();
        let mut report = RecoveryReport::default();
        let mut cursor = Cursor::START;
        let mut missing = RecoveryReport::default();
        let torn = recovery::read_on(&dir, &mut cursor, false, &mut report, |place, line| {
            let event = recovery::to_event(&line, &place.chain, &blobs, &mut missing);
            state.apply(&event);
            summary.apply(&event);
        })
        .map_err(failed)?;
        report.missing_blobs = missing.missing_blobs;
        report.unknown_events = missing.unknown_events;
        report.cut = recovery::mend_end(&dir, torn.as_ref(), cursor.segment)
            .map_err(|source| SessionError::io("mend", &dir, source))?;
        let (disk, blobs) = Disk::open(&dir, cursor, lock)
            .map_err(|source| SessionError::io("open", &dir, source))?;
        tracing::debug!(
            session = id,
            made_by = header.passport.app,
            events = report.events,
            "opened"
        );
        let core = Core::new(Some(disk), blobs, cursor, summary);
        Ok((Self::started(core, id, dir)?, state, report))
    }

    fn started(core: Core, id: String, dir: PathBuf) -> Result<Self, SessionError> {
        let core = Arc::new(core);
        let thread = sync::start(Arc::clone(&core))
            .map_err(|source| SessionError::io("start the syncing thread for", &dir, source))?;
        Ok(Self::around_shared(core, id, Some(thread)))
    }

    fn around(core: Core, id: String, thread: Option<JoinHandle<()>>) -> Self {
        Self::around_shared(Arc::new(core), id, thread)
    }

    fn around_shared(core: Arc<Core>, id: String, thread: Option<JoinHandle<()>>) -> Self {
        Self(Arc::new(Owner {
            core,
            id,
            opened: Instant::now(),
            redactor: RwLock::new(None),
            syncer: Mutex::new(thread),
        }))
    }

    /// The session's id; empty for an ephemeral one.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Its directory; `None` for an ephemeral one. Changes with
    /// [`Journal::save_elsewhere`].
    pub fn dir(&self) -> Option<PathBuf> {
        self.0.core.dir()
    }

    /// Appends an event and answers its number. Never fails: when it cannot be
    /// written it is kept in memory and [`Journal::status`] says so.
    pub fn append(&self, scope: Scope, body: EventBody) -> u64 {
        let prepared = self.prepare(scope, body);
        self.0.core.append(prepared)
    }

    /// Keeps bytes and answers how to find them again. Secrets are hidden first.
    pub fn put_blob(&self, bytes: &[u8]) -> BlobRef {
        self.0.core.put_blob(&self.redact(bytes))
    }

    /// Keeps a body as a document that reads back byte for byte (but for hidden
    /// secrets).
    pub fn document(&self, bytes: &[u8]) -> Document {
        let bytes = self.redact(bytes);
        match std::str::from_utf8(&bytes) {
            Ok(text) if text.len() < LONG => Document::Text(text.to_owned()),
            _ => Document::Blob(self.0.core.put_blob(&bytes)),
        }
    }

    /// Keeps a body of JSON, which was parsed already, as a tree whose long strings
    /// are blobs, so that what repeats is kept once; it reads back as compact JSON.
    pub fn tree(&self, bytes: &[u8], json: &Value) -> Document {
        let mut put = |text: &str| self.put_blob(text.as_bytes());
        match self.redact(bytes) {
            Cow::Borrowed(_) => Document::Tree(outline::outlined(json, &mut put)),
            Cow::Owned(hidden) => match serde_json::from_slice::<Value>(&hidden) {
                Ok(tree) => Document::Tree(outline::outlined(&tree, &mut put)),
                Err(_) => self.document(&hidden),
            },
        }
    }

    /// The bytes of a document; `None` when a part of it is missing or damaged.
    pub fn read_document(&self, document: &Document) -> Option<Vec<u8>> {
        read_document(&self.0.core.blobs(), document)
    }

    /// The bytes of a blob; `None` when they are missing or damaged.
    pub fn read_blob(&self, blob: &BlobRef) -> Option<Vec<u8>> {
        self.0.core.blobs().get(blob)
    }

    /// Every event appended from now on, in order, each after it was written.
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Arc<Event>> {
        self.0.core.subscribe()
    }

    /// Waits until everything appended so far would survive a power cut, and
    /// answers whether it would. At once for an ephemeral journal.
    pub async fn synced(&self) -> SaveStatus {
        let mut synced = self.0.core.watch_synced();
        let mut status = self.status();
        let Some(wanted) = self.0.core.ask_sync() else {
            return status.borrow().clone();
        };
        loop {
            if *synced.borrow_and_update() >= wanted {
                return SaveStatus::Saved;
            }
            let now = status.borrow_and_update().clone();
            if now != SaveStatus::Saved {
                return now;
            }
            tokio::select! {
                changed = synced.changed() => if changed.is_err() { return now },
                changed = status.changed() => if changed.is_err() { return now },
            }
        }
    }

    /// Whether events reach the disk, and every change of it.
    pub fn status(&self) -> watch::Receiver<SaveStatus> {
        self.0.core.watch_status()
    }

    /// Sets what hides secrets in every string that is written or published.
    pub fn set_redactor(&self, redactor: Redactor) {
        *self
            .0
            .redactor
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(redactor);
    }

    /// Says in the session's lock where this process takes operations.
    pub fn announce_socket(&self, socket: &Path) -> std::io::Result<()> {
        self.0.core.note_lock(&LockInfo {
            socket: Some(socket.to_path_buf()),
            ..LockInfo::this_process()
        })
    }

    /// Tries at once to write what waits, instead of within 5 s. Answers
    /// whether everything is written now.
    pub fn retry_saving(&self) -> bool {
        self.0.core.retry()
    }

    /// Goes on in `root`, when the directory so far cannot be written: copies
    /// what is there, writes what waits in memory, and answers the new directory.
    pub fn save_elsewhere(&self, root: &Path) -> Result<PathBuf, SessionError> {
        self.0.core.save_elsewhere(root, &self.0.id)
    }

    /// Appends [`EventBody::SessionClosed`], syncs, writes what lists show and
    /// releases the lock. Events appended later are published but not kept.
    pub fn close(&self) {
        self.append(Scope::NONE, EventBody::SessionClosed {});
        self.0.stop_syncing();
        self.0.core.finish();
    }

    /// Everything that can be done to an event without holding the lock.
    fn prepare(&self, scope: Scope, body: EventBody) -> Prepared {
        let redactor = self.redactor();
        let mut put = |text: &str| self.0.core.put_blob(text.as_bytes());
        let (kind, d, body) = prepare::prepare(body, redactor.as_ref(), &mut put);
        Prepared {
            time_ms: now_ms(),
            mono_ns: self.0.opened.elapsed().as_nanos() as u64,
            scope,
            kind,
            d,
            body,
        }
    }

    fn redactor(&self) -> Option<Redactor> {
        let redactor = self
            .0
            .redactor
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        redactor.clone()
    }

    fn redact<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(redactor) = self.redactor() else {
            return Cow::Borrowed(bytes);
        };
        match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(text) => match redactor(text) {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            },
            // Bytes that are no text stay as they are unless they hold a secret.
            Cow::Owned(text) => match redactor(&text) {
                hidden if hidden == text => Cow::Borrowed(bytes),
                hidden => Cow::Owned(hidden.into_owned().into_bytes()),
            },
        }
    }
}

/// The bytes of a document whose long parts are in `blobs`.
pub(super) fn read_document(blobs: &Blobs, document: &Document) -> Option<Vec<u8>> {
    match document {
        Document::Text(text) => Some(text.clone().into_bytes()),
        Document::Blob(blob) => blobs.get(blob),
        Document::Tree(tree) => {
            let mut tree = tree.clone();
            let mut whole = true;
            outline::inline_tree(&mut tree, &mut |blob| {
                let text = blobs
                    .get(blob)
                    .and_then(|bytes| String::from_utf8(bytes).ok());
                whole &= text.is_some();
                text.unwrap_or_default()
            });
            whole.then(|| tree.to_string().into_bytes())
        }
    }
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}
