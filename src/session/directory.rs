//! A session's directory: its name, `session.json`, `lock`, and how files in it
//! are made (directories 0700, files 0600, whole or not at all).

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SessionError;
use super::event::Passport;

/// The version of the directory's format this program writes.
pub const FORMAT_VERSION: u32 = 1;

/// The newest `session.json` this program reads is one with this version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT_VERSION`] of the program that made the session.
    pub format_version: u32,
    /// The session's id: the name of its directory when it was made.
    pub id: String,
    /// The name it was given, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was made, milliseconds since the epoch.
    #[serde(default)]
    pub created_ms: i64,
    /// With what versions, where.
    #[serde(default)]
    pub passport: Passport,
}

/// Who holds a session open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockInfo {
    /// The process.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    #[serde(default)]
    pub start_time: u64,
    /// The boot it belongs to.
    #[serde(default)]
    pub boot_id: String,
    /// The machine.
    #[serde(default)]
    pub host: String,
    /// Where that process takes operations, once it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
}

impl std::fmt::Display for LockInfo {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.pid, self.host.as_str()) {
            (0, _) => write!(out, "another process"),
            (pid, "") => write!(out, "process {pid}"),
            (pid, host) => write!(out, "process {pid} on {host}"),
        }
    }
}

/// The lock of a session; released when dropped, or when the process dies.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of `dir`, or says who has it.
    pub fn take(dir: &Path, id: &str) -> Result<Self, SessionError> {
        let path = dir.join("lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| SessionError::io("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(SessionError::Locked {
                    id: id.to_owned(),
                    by: read_lock(dir),
                });
            }
            Err(fs::TryLockError::Error(source)) => {
                return Err(SessionError::io("lock", &path, source));
            }
        }
        let lock = Self { file };
        // The lock holds whether or not its note could be written (disk full).
        let _ = lock.note(&LockInfo::this_process());
        Ok(lock)
    }

    /// Says in the lock who holds it and where it takes operations.
    pub fn note(&self, info: &LockInfo) -> io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(&serde_json::to_vec(info)?)
    }
}

impl LockInfo {
    /// This process.
    pub fn this_process() -> Self {
        let text = |path| {
            fs::read_to_string(path)
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        // The second field is the program's name in parentheses and may hold spaces.
        let stat: String = text("/proc/self/stat");
        let start_time = stat
            .rsplit_once(')')
            .and_then(|(_, fields)| fields.split_whitespace().nth(19))
            .and_then(|field| field.parse().ok())
            .unwrap_or_default();
        Self {
            pid: std::process::id(),
            start_time,
            boot_id: text("/proc/sys/kernel/random/boot_id"),
            host: text("/proc/sys/kernel/hostname"),
            socket: None,
        }
    }
}

/// Who holds the lock of `dir` now; `None` when nobody does.
pub fn open_by(dir: &Path) -> Option<LockInfo> {
    let file = File::open(dir.join("lock")).ok()?;
    match file.try_lock_shared() {
        Err(fs::TryLockError::WouldBlock) => Some(read_lock(dir)),
        _ => None,
    }
}

fn read_lock(dir: &Path) -> LockInfo {
    fs::read(dir.join("lock"))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// Reads and checks `session.json`. A newer format is refused; a file that is
/// damaged or missing beside a log is made up from the directory's name.
pub fn read_header(dir: &Path) -> Result<Header, SessionError> {
    // The version comes first: a newer file may have any other shape.
    #[derive(Deserialize)]
    struct Version {
        format_version: u32,
    }
    let path = dir.join("session.json");
    let fallback = Header {
        format_version: FORMAT_VERSION,
        id: dir_name(dir),
        name: None,
        created_ms: 0,
        passport: Passport::default(),
    };
    match read_bounded(&path, 1 << 20) {
        Ok(bytes) => {
            if let Ok(Version { format_version }) = serde_json::from_slice(&bytes)
                && format_version > FORMAT_VERSION
            {
                return Err(SessionError::Newer {
                    path: dir.to_path_buf(),
                    found: format_version,
                });
            }
            Ok(serde_json::from_slice(&bytes).unwrap_or(fallback))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if super::log::segment_path(dir, 1).exists() {
                Ok(fallback)
            } else {
                Err(SessionError::NotASession(dir.to_path_buf()))
            }
        }
        Err(source) => Err(SessionError::io("read", &path, source)),
    }
}

/// Writes `session.json`.
pub fn write_header(dir: &Path, header: &Header) -> io::Result<()> {
    write_whole(
        &dir.join("session.json"),
        &serde_json::to_vec_pretty(header)?,
    )
}

/// `[A-Za-z0-9._-]{1,64}`, not beginning with `.` or `-`, and not `latest`.
pub fn check_name(name: &str) -> Result<(), SessionError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let good = (1..=64).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with(['.', '-'])
        && name != "latest";
    if good {
        Ok(())
    } else {
        Err(SessionError::BadName(name.to_owned()))
    }
}

/// A fresh id that sorts by time: `2026-11-21T0810-1a2b3c4d`.
pub fn fresh_id() -> String {
    let now = jiff::Zoned::now().strftime("%Y-%m-%dT%H%M").to_string();
    let random: u32 = rand::random();
    format!("{now}-{random:08x}")
}

/// The last part of a path as text.
pub fn dir_name(dir: &Path) -> String {
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_default()
}

/// Makes a directory and its parents, for this user only.
pub fn create_dirs(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Opens a file for reading, and with `write` also for appending, made 0600
/// where it is missing.
pub fn open_file(path: &Path, write: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    if write {
        options.append(true).create(true).mode(0o600);
    }
    options.open(path)
}

/// Writes a file whole or not at all: temporary file, fsync, rename, fsync of
/// the directory.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension(format!("{}.tmp", std::process::id()));
    let result = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), sync_dir)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Makes the entries of a directory durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// A small file's bytes; longer than `most` is an error.
pub fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other("the file is too large"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_directory() {
        for good in ["triage", "a.b_c-9", "2026-11-21T0810-1a2b3c4d"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let long = "x".repeat(65);
        for bad in [
            "", ".", "..", "../x", "a/b", "a\0b", "-x", "latest", "ü", &long,
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert!(check_name(&fresh_id()).is_ok());
    }

    /// R65: a later format is refused with a sentence, whatever its shape.
    #[test]
    fn a_newer_session_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("session.json"),
            r#"{"format_version": 2, "id": {}}"#,
        )
        .unwrap();
        let error = read_header(dir.path()).unwrap_err();
        assert!(matches!(error, SessionError::Newer { found: 2, .. }));
        assert!(error.to_string().contains("newer"), "{error}");
    }
}
