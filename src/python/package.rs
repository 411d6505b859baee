//! The Python package `dspex_worker`, which this binary carries: where it is
//! laid down so that any environment's Python can import it, with its compiled
//! files kept for the next start.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest as _, Sha256};

/// A file of the package: its path in `dspex_worker`, and what it says.
type File = (&'static str, &'static [u8]);

/// The package as it was when this binary was built, listed by `build.rs`.
static PACKAGE: &[File] = include!(concat!(env!("OUT_DIR"), "/package.rs"));

/// Where the package lies.
#[derive(Debug)]
pub(super) struct Placed {
    /// The folder that holds `dspex_worker`.
    pub(super) path: PathBuf,
    private: bool,
    /// Held as long as the folder is used, so that nobody clears it away meanwhile.
    _used: Option<Flock<fs::File>>,
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
            _used: None,
        });
    }
    if let Some(cache) = cache_dir()
        && let Ok((path, used)) = place_in(&cache)
    {
        return Ok(Placed {
            path,
            private: false,
            _used: Some(used),
        });
    }
    place_privately().map_err(|error| {
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

/// The folder in the cache, and the hold on it.
fn place_in(cache: &Path) -> io::Result<(PathBuf, Flock<fs::File>)> {
    let path = cache.join(format!("python-{}", hash()));
    for _ in 0..3 {
        lay_down(cache, &path)?;
        // Whoever clears the cache may have been between the two.
        if let Ok(used) = hold(&path)
            && path.join("dspex_worker/__init__.py").is_file()
        {
            return Ok((path, used));
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Marks a folder as used, now and as long as the answer lives.
fn hold(path: &Path) -> io::Result<Flock<fs::File>> {
    let folder = fs::File::open(path)?;
    // The age of a folder is told by when it was last used; one of another's stays as it is.
    let _ = folder.set_modified(SystemTime::now());
    Flock::lock(folder, FlockArg::LockSharedNonblock).map_err(|(_, error)| error.into())
}

fn lay_down(cache: &Path, path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(cache)?;
    let fresh = nix::unistd::mkdtemp(&cache.join("new-XXXXXX")).map_err(io::Error::from)?;
    let written = write_all(&fresh).and_then(|()| fs::rename(&fresh, path));
    if let Err(error) = written {
        let _ = fs::remove_dir_all(&fresh);
        // Another worker may have been quicker.
        return if path.is_dir() { Ok(()) } else { Err(error) };
    }
    Ok(())
}

fn place_privately() -> io::Result<Placed> {
    let template = std::env::temp_dir().join("dspex-python-XXXXXX");
    let path = nix::unistd::mkdtemp(&template).map_err(io::Error::from)?;
    write_all(&path)?;
    Ok(Placed {
        path,
        private: true,
        _used: None,
    })
}

fn write_all(folder: &Path) -> io::Result<()> {
    let package = folder.join("dspex_worker");
    fs::create_dir_all(&package)?;
    for (name, contents) in PACKAGE {
        let path = package.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, contents)?;
    }
    Ok(())
}

fn hash() -> String {
    let mut hasher = Sha256::new();
    for (name, contents) in PACKAGE {
        hasher.update(name);
        hasher.update(contents.len().to_le_bytes());
        hasher.update(contents);
    }
    let digest = hasher.finalize();
    dspex_tui::session::state::hex(digest.get(..8).unwrap_or_default())
}
