//! The Python package `dspex_worker`, which this binary carries: where it is
//! laid down so that any environment's Python can import it, with its compiled
//! files kept for the next start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, File, include_dir};
use sha2::{Digest as _, Sha256};

/// The package as it was when this binary was built.
static PACKAGE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/python/dspex_worker");

/// Where the package lies.
#[derive(Debug)]
pub(super) struct Placed {
    /// The folder that holds `dspex_worker`.
    pub(super) path: PathBuf,
    private: bool,
}

impl Placed {
    /// Removes a folder that was made for this process only.
    pub(super) fn remove(&self) {
        if self.private {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// `$DSPEX_PYTHON_DIR` as it is, else the carried package in the cache folder
/// (once for each content), else in a private temporary folder.
pub(super) fn place() -> Result<Placed, String> {
    if let Some(dir) = std::env::var_os("DSPEX_PYTHON_DIR").filter(|dir| !dir.is_empty()) {
        return Ok(Placed {
            path: dir.into(),
            private: false,
        });
    }
    let files = files();
    if let Some(cache) = cache_dir()
        && let Ok(path) = place_in(&cache, &files)
    {
        return Ok(Placed {
            path,
            private: false,
        });
    }
    place_privately(&files).map_err(|error| {
        format!("the worker's Python files can be written neither to the cache folder nor to the temporary one: {error}")
    })
}

fn cache_dir() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("dspex-tui"))
}

fn place_in(cache: &Path, files: &[&File<'_>]) -> io::Result<PathBuf> {
    let path = cache.join(format!("python-{}", hash(files)));
    if path.is_dir() {
        return Ok(path);
    }
    fs::create_dir_all(cache)?;
    let fresh = nix::unistd::mkdtemp(&cache.join("new-XXXXXX")).map_err(io::Error::from)?;
    let written = write_all(&fresh, files).and_then(|()| fs::rename(&fresh, &path));
    if let Err(error) = written {
        let _ = fs::remove_dir_all(&fresh);
        // Another worker may have been quicker.
        return if path.is_dir() { Ok(path) } else { Err(error) };
    }
    Ok(path)
}

fn place_privately(files: &[&File<'_>]) -> io::Result<Placed> {
    let template = std::env::temp_dir().join("dspex-python-XXXXXX");
    let path = nix::unistd::mkdtemp(&template).map_err(io::Error::from)?;
    write_all(&path, files)?;
    Ok(Placed {
        path,
        private: true,
    })
}

fn write_all(folder: &Path, files: &[&File<'_>]) -> io::Result<()> {
    let package = folder.join("dspex_worker");
    fs::create_dir_all(&package)?;
    for file in files {
        let path = package.join(file.path());
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, file.contents())?;
    }
    Ok(())
}

/// The package's files, without what Python may have left beside them.
fn files() -> Vec<&'static File<'static>> {
    let mut found = Vec::new();
    let mut folders = vec![&PACKAGE];
    while let Some(folder) = folders.pop() {
        for entry in folder.entries() {
            match entry {
                DirEntry::Dir(inner) if !inner.path().ends_with("__pycache__") => {
                    folders.push(inner);
                }
                DirEntry::Dir(_) => {}
                DirEntry::File(file) => found.push(file),
            }
        }
    }
    found.sort_by_key(|file| file.path());
    found
}

fn hash(files: &[&File<'_>]) -> String {
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update(file.path().as_os_str().as_encoded_bytes());
        hasher.update(file.contents().len().to_le_bytes());
        hasher.update(file.contents());
    }
    let digest = hasher.finalize();
    dspex_tui::session::state::hex(digest.get(..8).unwrap_or_default())
}
