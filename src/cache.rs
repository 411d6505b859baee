//! What the workbench keeps on disk that can be made again: how much there is, how much
//! there may be, and what goes first.
//!
//! Knows the workers' Python packages (a folder for each version), snapshots of the
//! sandbox, and what a crash left half made. Sessions, Pyodide and IPython's history are
//! told of and never touched. What somebody uses is locked by whoever uses it, or is
//! only read while a sandbox starts.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;

/// Bytes of a megabyte, as settings count them.
pub const MB: u64 = 1024 * 1024;

/// What is half made is nobody's any more after this time.
const ABANDONED: Duration = Duration::from_hours(1);

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The workbench's folder of the user's cache.
    pub cache: Option<PathBuf>,
    /// Deno's folder, where Pyodide is, and snapshots beside it.
    pub deno: Option<PathBuf>,
    /// Where sessions are kept.
    pub sessions: Option<PathBuf>,
}

/// All of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// `worker packages`, `sandbox snapshots`, `half made`, `pyodide`, `ipython`, `sessions`.
    pub what: &'static str,
    /// How many there are.
    pub count: u64,
    /// How large they are together.
    pub bytes: u64,
    /// Whether they can be made again, and so count against the quota.
    pub cleared: bool,
    /// Where they are.
    pub path: PathBuf,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// How many.
    pub removed: u64,
    /// How large they were together.
    pub bytes: u64,
    /// How many stayed because they are in use.
    pub in_use: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Package,
    Snapshot,
    HalfMade,
}

/// One thing that can be made again.
struct Item {
    kind: Kind,
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// What there is, by kind.
pub fn parts(places: &Places) -> Vec<Part> {
    let items = items(places);
    let removable = |kind, what, path: Option<&PathBuf>| {
        let of_kind = items.iter().filter(|item| item.kind == kind);
        let (count, bytes) = of_kind.fold((0, 0), |(count, bytes), item| {
            (count + 1, bytes + item.bytes)
        });
        let path = path.cloned().unwrap_or_default();
        (count > 0).then_some(Part {
            what,
            count,
            bytes,
            cleared: true,
            path,
        })
    };
    let kept = |what, path: Option<PathBuf>, by_folder: bool| {
        let path = path.filter(|path| path.is_dir())?;
        let (files, bytes) = size(&path);
        let count = if by_folder { folders(&path) } else { files };
        Some(Part {
            what,
            count,
            bytes,
            cleared: false,
            path,
        })
    };
    let below = |folder: &Option<PathBuf>, name: &str| folder.as_ref().map(|it| it.join(name));
    let cache = places.cache.as_ref();
    let snapshots = items.iter().find(|item| item.kind == Kind::Snapshot);
    let snapshots = snapshots.and_then(|item| item.path.parent().map(Path::to_path_buf));
    [
        removable(Kind::Package, "worker packages", cache),
        removable(Kind::Snapshot, "sandbox snapshots", snapshots.as_ref()),
        removable(Kind::HalfMade, "half made", cache),
        kept("pyodide", below(&places.deno, "npm"), false),
        kept("ipython", below(&places.cache, "ipython"), false),
        kept("sessions", places.sessions.clone(), true),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Removes what was used longest ago until the rest is no larger than `most` bytes. Of
/// each kind the newest stays: without it the next start would make it again.
pub fn enforce(places: &Places, most: u64) -> Removed {
    let mut items = items(places);
    items.sort_by_key(|item| item.used);
    let newest = |kind| items.iter().rposition(|item: &Item| item.kind == kind);
    let stay = [newest(Kind::Package), newest(Kind::Snapshot)];
    let mut left: u64 = items.iter().map(|item| item.bytes).sum();
    let mut done = Removed::default();
    for (at, item) in items.iter().enumerate() {
        let abandoned = item.kind == Kind::HalfMade;
        if (left > most || abandoned) && !stay.contains(&Some(at)) && done.take(item) {
            left -= item.bytes;
        }
    }
    done
}

/// Removes all that can be made again and is not in use.
pub fn clear(places: &Places) -> Removed {
    let mut done = Removed::default();
    for item in items(places) {
        done.take(&item);
    }
    done
}

impl Removed {
    /// Removes one; whether it is gone.
    fn take(&mut self, item: &Item) -> bool {
        match remove(item) {
            Ok(true) => {
                self.removed += 1;
                self.bytes += item.bytes;
                true
            }
            Ok(false) => {
                self.in_use += 1;
                false
            }
            Err(error) => {
                tracing::warn!(%error, path = %item.path.display(), "not removed from the cache");
                false
            }
        }
    }
}

/// Whether it was removed, and not in use.
fn remove(item: &Item) -> std::io::Result<bool> {
    if item.kind == Kind::Snapshot {
        return fs::remove_file(&item.path).map(|()| true);
    }
    let folder = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(&item.path)?;
    let Ok(_lock) = Flock::lock(folder, FlockArg::LockExclusiveNonblock) else {
        return Ok(false);
    };
    fs::remove_dir_all(&item.path).map(|()| true)
}

fn items(places: &Places) -> Vec<Item> {
    let beside_pyodide = places.deno.as_ref().map(|deno| deno.join("dspex"));
    let own = nix::unistd::geteuid().as_raw();
    let mut found = Vec::new();
    for folder in [&places.cache, &beside_pyodide].into_iter().flatten() {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            let name = entry.file_name();
            let (name, path) = (name.to_string_lossy(), entry.path());
            let Ok(about) = fs::symlink_metadata(&path) else {
                continue;
            };
            let used = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let age = used.elapsed().unwrap_or_default();
            let kind = match (about.is_dir(), about.is_file()) {
                (true, _) if name.starts_with("python-") => Kind::Package,
                (true, _) if name.starts_with("new-") && age > ABANDONED => Kind::HalfMade,
                (_, true) if name.ends_with(".snapshot") => Kind::Snapshot,
                _ => continue,
            };
            if about.uid() == own {
                let bytes = size(&path).1;
                found.push(Item {
                    kind,
                    path,
                    bytes,
                    used,
                });
            }
        }
    }
    found
}

/// Number of files at and below a path, and their size on disk; links are not followed.
fn size(path: &Path) -> (u64, u64) {
    let Ok(about) = fs::symlink_metadata(path) else {
        return (0, 0);
    };
    if !about.is_dir() {
        return (1, about.blocks() * 512);
    }
    let entries = path.read_dir().into_iter().flatten().flatten();
    entries.fold((0, 0), |(files, bytes), entry| {
        let (more, size) = size(&entry.path());
        (files + more, bytes + size)
    })
}

fn folders(path: &Path) -> u64 {
    let entries = path.read_dir().into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().is_dir()).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Disk {
        root: tempfile::TempDir,
        places: Places,
    }

    impl Disk {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            let below = |name: &str| Some(root.path().join(name));
            let places = Places {
                cache: below("cache"),
                deno: below("deno"),
                sessions: below("sessions"),
            };
            let disk = Self { root, places };
            disk.file("sessions/s1/log", 9, 0);
            disk.file("sessions/audit.jsonl", 1, 0);
            disk.file("deno/npm/pyodide.js", 3, 0);
            disk.file("cache/ipython/history", 2, 0);
            disk
        }

        /// A file of so many MB whose folder was used so many hours ago.
        fn file(&self, path: &str, mb: usize, hours: u64) {
            let path = self.root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, vec![1; mb * MB as usize]).unwrap();
            let used = SystemTime::now() - Duration::from_hours(hours);
            let touch = |path: &Path| fs::File::open(path).unwrap().set_modified(used).unwrap();
            touch(&path);
            touch(path.parent().unwrap());
        }

        fn names(&self) -> Vec<&'static str> {
            const ALL: [&str; 6] = [
                "cache/python-a",
                "cache/python-b",
                "cache/python-c",
                "cache/new-x",
                "deno/dspex/old.snapshot",
                "deno/dspex/now.snapshot",
            ];
            let there = |name: &&&str| self.root.path().join(name).exists();
            ALL.iter().filter(there).copied().collect()
        }

        fn fill(&self) {
            self.file("cache/python-a/dspex_worker/a.py", 2, 0);
            self.file("cache/python-b/dspex_worker/a.py", 2, 0);
            self.file("cache/python-c/dspex_worker/a.py", 2, 0);
            for (name, hours) in [("a", 30), ("b", 20), ("c", 10)] {
                let used = SystemTime::now() - Duration::from_hours(hours);
                let folder = self.root.path().join(format!("cache/python-{name}"));
                fs::File::open(folder).unwrap().set_modified(used).unwrap();
            }
            self.file("cache/new-x/half", 1, 2);
            self.file("deno/dspex/old.snapshot", 4, 40);
            self.file("deno/dspex/now.snapshot", 4, 0);
        }
    }

    /// R117: what there is, by kind, and which of it may go.
    #[test]
    fn what_is_on_disk_is_told_by_kind() {
        let disk = Disk::new();
        disk.fill();
        let told: Vec<_> = parts(&disk.places)
            .into_iter()
            .map(|part| (part.what, part.count, part.bytes / MB, part.cleared))
            .collect();
        assert_eq!(
            told,
            [
                ("worker packages", 3, 6, true),
                ("sandbox snapshots", 2, 8, true),
                ("half made", 1, 1, true),
                ("pyodide", 1, 3, false),
                ("ipython", 1, 2, false),
                ("sessions", 1, 10, false),
            ]
        );
        assert_eq!(parts(&Places::default()), []);
    }

    /// R117: the oldest goes first, until the rest fits; the newest of a kind and what
    /// is in use stay, and so do sessions.
    #[test]
    fn the_oldest_goes_first_and_only_as_much_as_must() {
        let disk = Disk::new();
        disk.fill();
        let done = enforce(&disk.places, 11 * MB);
        assert_eq!((done.removed, done.bytes / MB, done.in_use), (2, 5, 0));
        assert_eq!(
            disk.names(),
            [
                "cache/python-a",
                "cache/python-b",
                "cache/python-c",
                "deno/dspex/now.snapshot"
            ]
        );
        assert_eq!(enforce(&disk.places, 11 * MB), Removed::default());
        let used = fs::File::open(disk.root.path().join("cache/python-a")).unwrap();
        let lock = Flock::lock(used, FlockArg::LockShared).unwrap();
        let done = enforce(&disk.places, MB);
        assert_eq!((done.removed, done.in_use), (1, 1));
        assert_eq!(
            disk.names(),
            [
                "cache/python-a",
                "cache/python-c",
                "deno/dspex/now.snapshot"
            ]
        );
        let done = clear(&disk.places);
        assert_eq!((done.removed, done.in_use), (2, 1));
        drop(lock);
        assert_eq!(clear(&disk.places).removed, 1);
        assert_eq!(disk.names(), [""; 0]);
        let kept: Vec<_> = parts(&disk.places).iter().map(|part| part.what).collect();
        assert_eq!(kept, ["pyodide", "ipython", "sessions"]);
    }

    /// R117: what is being made now is not taken away, nor what a link leads to.
    #[test]
    fn what_is_being_made_and_what_is_elsewhere_stay() {
        let disk = Disk::new();
        disk.file("cache/new-now/half", 1, 0);
        disk.file("elsewhere/a.py", 1, 50);
        let link = disk.root.path().join("cache/python-link");
        std::os::unix::fs::symlink(disk.root.path().join("elsewhere"), link).unwrap();
        assert_eq!(enforce(&disk.places, 0), Removed::default());
        assert_eq!(clear(&disk.places), Removed::default());
        assert!(disk.root.path().join("elsewhere/a.py").exists());
    }
}
