//! Where the product keeps its files (XDG), and nothing else.
//!
//! Creates nothing: who writes a file makes its directory.

use std::path::{Path, PathBuf};

use etcetera::{BaseStrategy, base_strategy::Xdg};

/// The directory name under each XDG base directory.
const APP: &str = "dspex-tui";

/// Why no directory can be named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no home directory: set HOME, or say where with {0}")]
pub struct NoHome(&'static str);

/// Where sessions are kept: `cli` (`--sessions-dir`), else `$DSPEX_SESSIONS`,
/// else `dspex-tui/sessions` under the XDG data directory.
pub fn sessions_dir(cli: Option<&Path>) -> Result<PathBuf, NoHome> {
    let named = cli
        .map(Path::to_path_buf)
        .or_else(|| variable("DSPEX_SESSIONS"));
    match named {
        Some(dir) => Ok(dir),
        None => base("--sessions-dir").map(|xdg| xdg.data_dir().join(APP).join("sessions")),
    }
}

/// Where things are kept that may be deleted at any time.
pub fn cache_dir() -> Result<PathBuf, NoHome> {
    base("XDG_CACHE_HOME").map(|xdg| xdg.cache_dir().join(APP))
}

/// Where the user's configuration is.
pub fn config_dir() -> Result<PathBuf, NoHome> {
    base("XDG_CONFIG_HOME").map(|xdg| xdg.config_dir().join(APP))
}

/// The log file of the workbench itself, under the XDG state directory.
pub fn log_file() -> Result<PathBuf, NoHome> {
    let xdg = base("XDG_STATE_HOME")?;
    let state = xdg.state_dir().unwrap_or_else(|| xdg.data_dir());
    Ok(state.join(APP).join("dspex-tui.log"))
}

/// The history of the REPL's prompt, under the XDG state directory.
pub fn history_file() -> Result<PathBuf, NoHome> {
    Ok(log_file()?.with_file_name("history"))
}

/// Where sockets are: the XDG runtime directory, else the cache directory.
pub fn runtime_dir() -> Result<PathBuf, NoHome> {
    let xdg = base("XDG_RUNTIME_DIR")?;
    Ok(xdg
        .runtime_dir()
        .unwrap_or_else(|| xdg.cache_dir())
        .join(APP))
}

fn base(otherwise: &'static str) -> Result<Xdg, NoHome> {
    let xdg = Xdg::new().map_err(|_| NoHome(otherwise))?;
    // An empty HOME makes every directory relative, `/` puts files at the root.
    let home = xdg.home_dir();
    if home.is_absolute() && home != Path::new("/") {
        Ok(xdg)
    } else {
        Err(NoHome(otherwise))
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_wins() {
        let dir = Path::new("/tmp/elsewhere");
        assert_eq!(sessions_dir(Some(dir)), Ok(dir.to_path_buf()));
    }

    #[test]
    fn the_error_says_what_to_do() {
        let text = NoHome("--sessions-dir").to_string();
        assert!(
            text.contains("HOME") && text.contains("--sessions-dir"),
            "{text}"
        );
    }
}
