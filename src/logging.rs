//! The log of the workbench itself: a file, never the terminal.
//!
//! Opened when the first line is written, so that a run without anything to say
//! leaves no file. `DSPEX_LOG` filters as `tracing` does (`debug`,
//! `dspex_tui::gateway=trace`, …); the default is `warn`, and each start is told at `info`. Whoever logs text from
//! outside hides secrets first.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::paths;

/// Starts logging. Without a home there is no log, and that is no failure.
pub fn start() {
    let Ok(path) = paths::log_file() else { return };
    let filter = EnvFilter::try_from_env("DSPEX_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = Log { path, file: None };
    // A second start (in tests) keeps the first one's log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Mutex::new(log))
        .try_init();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        process = std::process::id(),
        "dspex-tui starts"
    );
}

/// A file that is opened when it is first written to.
struct Log {
    path: PathBuf,
    file: Option<File>,
}

impl Log {
    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            if let Some(folder) = self.path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(&self.path)?;
            return Ok(self.file.insert(file));
        }
        self.file
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A log that cannot be written must not stop the work it is about.
        Ok(self
            .open()
            .and_then(|file| file.write(bytes))
            .unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
