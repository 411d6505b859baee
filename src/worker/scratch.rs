//! Working folders of sandboxes that a crash left behind.
//!
//! A sandbox holds a lock on its folder as long as it lives (see
//! `python/dspex_worker/sandbox/child.py`); one without a lock is nobody's.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

/// What the folders' names begin with.
const PREFIX: &str = "dspex-sandbox-";

/// Removes this user's folders that no sandbox uses any more.
pub(super) fn sweep() {
    sweep_in(&std::env::temp_dir());
}

fn sweep_in(base: &Path) {
    let Ok(entries) = base.read_dir() else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            remove_if_free(&entry.path());
        }
    }
}

fn remove_if_free(path: &Path) {
    let options = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let Ok(folder) = OpenOptions::new()
        .read(true)
        .custom_flags(options)
        .open(path)
    else {
        return;
    };
    let own = nix::unistd::geteuid().as_raw();
    if folder.metadata().is_ok_and(|about| about.uid() == own)
        && let Ok(_lock) = Flock::lock(folder, FlockArg::LockExclusiveNonblock)
    {
        let _ = fs::remove_dir_all(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R121: a folder left by a crash goes, one in use and anything else stays.
    #[test]
    fn only_folders_without_a_lock_go() {
        let base = tempfile::tempdir().unwrap();
        let [left, used, other] = ["dspex-sandbox-left", "dspex-sandbox-used", "other"]
            .map(|name| base.path().join(name));
        for folder in [&left, &used, &other] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("note"), "x").unwrap();
        }
        let file = fs::File::open(&used).unwrap();
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        sweep_in(base.path());
        assert_eq!(
            [&left, &used, &other].map(|folder| folder.exists()),
            [false, true, true]
        );
        drop(lock);
        sweep_in(base.path());
        assert!(!used.exists());
    }
}
