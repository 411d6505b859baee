//! Which sessions there are, and which one a person means.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::SessionError;
use super::blob::Blobs;
use super::directory::{self, LockInfo};
use super::log;
use super::recovery::{self, Cursor, RecoveryReport};
use super::summary::Summary;
use crate::protocol::error::near_matches;

/// A session as lists show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionSummary {
    /// Its id: the name of its directory.
    pub id: String,
    /// The name it was given, if any.
    pub name: Option<String>,
    /// When it was made, milliseconds since the epoch.
    pub created_ms: i64,
    /// When its last event happened, milliseconds.
    pub modified_ms: i64,
    /// Number of events.
    pub events: u64,
    /// Number of cells.
    pub cells: usize,
    /// Number of runs.
    pub runs: u64,
    /// Number of LM calls that were answered by a server or the demo LM.
    pub calls: u64,
    /// Known dollars.
    pub cost: f64,
    /// First line of the first cell.
    pub title: String,
    /// Who has it open now.
    pub open_by: Option<LockInfo>,
    /// Why it cannot be opened, when it cannot.
    pub problem: Option<String>,
}

/// All sessions under `root`, newest first. A root that is not there has none.
pub fn list(root: &Path) -> Result<Vec<SessionSummary>, SessionError> {
    let mut sessions: Vec<_> = session_dirs(root)?
        .iter()
        .map(|dir| summarise(dir))
        .collect();
    sessions.sort_by(|a, b| {
        b.modified_ms
            .cmp(&a.modified_ms)
            .then_with(|| b.id.cmp(&a.id))
    });
    Ok(sessions)
}

/// The directory of the session that `wanted` means: an id, a name, a unique
/// beginning of an id, `latest`, or a path (with a `/`).
pub fn resolve(root: &Path, wanted: &str) -> Result<PathBuf, SessionError> {
    if wanted.contains('/') {
        let dir = PathBuf::from(wanted);
        return directory::read_header(&dir).map(|_| dir);
    }
    let dirs = session_dirs(root)?;
    let not_found = |near| SessionError::NotFound {
        wanted: wanted.to_owned(),
        root: root.to_path_buf(),
        near,
    };
    if wanted == "latest" {
        let newest = dirs.into_iter().max_by_key(|dir| last_written(dir));
        return newest.ok_or_else(|| not_found(Vec::new()));
    }
    let named: Vec<(String, PathBuf)> = dirs
        .into_iter()
        .map(|dir| (directory::dir_name(&dir), dir))
        .collect();
    if let Some((_, dir)) = named.iter().find(|(id, _)| id == wanted) {
        return Ok(dir.clone());
    }
    let fits = |id: &str| !wanted.is_empty() && (id.starts_with(wanted) || id.ends_with(wanted));
    let matches: Vec<_> = named.iter().filter(|(id, _)| fits(id)).collect();
    match matches.as_slice() {
        [(_, dir)] => Ok(dir.clone()),
        [] => Err(not_found(near_matches(
            wanted,
            named.iter().map(|(id, _)| id.as_str()),
        ))),
        several => Err(SessionError::Ambiguous {
            wanted: wanted.to_owned(),
            matches: several.iter().map(|(id, _)| id.clone()).collect(),
        }),
    }
}

/// Deletes a session and answers its id. Refuses one that is open.
pub fn remove(root: &Path, wanted: &str) -> Result<String, SessionError> {
    let dir = resolve(root, wanted)?;
    let id = directory::dir_name(&dir);
    // Only a directory that is a session is ever removed.
    directory::read_header(&dir)?;
    let _lock = directory::Lock::take(&dir, &id)?;
    fs::remove_dir_all(&dir).map_err(|source| SessionError::io("remove", &dir, source))?;
    Ok(id)
}

/// What lists show of the session in `dir`.
pub fn summarise(dir: &Path) -> SessionSummary {
    let header = directory::read_header(dir);
    let problem = header.as_ref().err().map(ToString::to_string);
    let header = header.ok();
    let counted = match problem {
        None => count(dir).unwrap_or_default(),
        Some(_) => Summary::default(),
    };
    let created_ms = header.as_ref().map_or(0, |header| header.created_ms);
    SessionSummary {
        id: directory::dir_name(dir),
        name: header.and_then(|header| header.name),
        created_ms,
        modified_ms: counted.modified_ms.max(created_ms),
        events: counted.events,
        cells: counted.cells.len(),
        runs: counted.runs,
        calls: counted.totals.calls,
        cost: counted.totals.cost,
        title: counted.title,
        open_by: directory::open_by(dir),
        problem,
    }
}

/// The numbers kept at closing, or, where the log went on since, counted anew.
fn count(dir: &Path) -> io::Result<Summary> {
    let mut log_bytes = 0;
    for segment in 1..=recovery::last_segment(dir) {
        let path = log::segment_path(dir, segment);
        log_bytes += fs::metadata(path).map_or(0, |meta| meta.len());
    }
    if let Some(kept) = Summary::load(dir).filter(|kept| kept.log_bytes == log_bytes) {
        return Ok(kept);
    }
    let blobs = Blobs::open(dir, false)?;
    let mut summary = Summary::default();
    let (mut cursor, mut report) = (Cursor::START, RecoveryReport::default());
    let mut unread = RecoveryReport::default();
    recovery::read_on(dir, &mut cursor, true, &mut report, |place, line| {
        summary.apply(&recovery::to_event(
            &line,
            &place.chain,
            &blobs,
            &mut unread,
        ));
    })?;
    summary.log_bytes = log_bytes;
    if directory::open_by(dir).is_none() {
        // Saves the next list the reading; a read-only directory is no matter.
        let _ = summary.save(dir);
    }
    Ok(summary)
}

fn session_dirs(root: &Path) -> Result<Vec<PathBuf>, SessionError> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(SessionError::io("read", root, source)),
    };
    let mut dirs: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.join("session.json").is_file() || log::segment_path(dir, 1).is_file())
        .collect();
    dirs.sort();
    Ok(dirs)
}

fn last_written(dir: &Path) -> Option<std::time::SystemTime> {
    let log = log::segment_path(dir, recovery::last_segment(dir));
    fs::metadata(log)
        .or_else(|_| fs::metadata(dir.join("session.json")))
        .and_then(|meta| meta.modified())
        .ok()
}
