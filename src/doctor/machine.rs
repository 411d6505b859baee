//! Checks of the machine itself: folders, the terminal, keys, the sandbox.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::report::Check;
use crate::gateway::provider::PROVIDERS;
use crate::paths;

/// The version of Pyodide that DSPy's sandboxed interpreter runs.
const PYODIDE: &str = "0.29.4";

/// The variables of this process, so that checks can be tried with others.
pub type Variables = BTreeMap<String, String>;

/// The folder for sessions exists and can be written to, or can be made.
pub fn sessions(chosen: Option<&Path>) -> Check {
    let name = "sessions";
    let folder = match paths::sessions_dir(chosen) {
        Ok(folder) => folder,
        Err(error) => return Check::missing(name, error.to_string(), "export HOME=/path/to/home"),
    };
    let shown = folder.display();
    // A folder that is not there yet is made in the nearest one that is.
    let nearest = folder.ancestors().find(|ancestor| ancestor.exists());
    let nearest = nearest.unwrap_or(&folder);
    if !nearest.is_dir() {
        return Check::missing(
            name,
            format!("{} is not a folder", nearest.display()),
            "dspex-tui --sessions-dir DIR",
        );
    }
    match access(nearest, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) => Check::ok(name, format!("kept in {shown}")),
        Err(error) => Check::missing(
            name,
            format!(
                "{} cannot be written to: {}",
                nearest.display(),
                error.desc()
            ),
            "dspex-tui --sessions-dir DIR",
        ),
    }
}

/// Size, colours and character set of the terminal.
pub fn terminal(variables: &Variables) -> Check {
    let name = "terminal";
    if !std::io::stdout().is_terminal() {
        return Check::optional(
            name,
            "standard output is not a terminal: use `repl`, `exec` or `run`",
            "",
        );
    }
    let size = crossterm::terminal::size().unwrap_or_default();
    describe_terminal(variables, size)
}

fn describe_terminal(variables: &Variables, (columns, rows): (u16, u16)) -> Check {
    let name = "terminal";
    let kind = variables.get("TERM").map_or("", String::as_str);
    if kind.is_empty() || kind == "dumb" {
        let detail = format!("TERM is '{kind}', which cannot draw a screen: use `dspex-tui repl`");
        return Check::optional(name, detail, "export TERM=xterm-256color");
    }
    let mut parts = vec![
        kind.to_owned(),
        format!("{columns}×{rows}"),
        colours(variables, kind).to_owned(),
    ];
    let mut remedy = "";
    if !is_unicode(variables) {
        parts.push("no Unicode".into());
        remedy = "export LANG=C.UTF-8";
    }
    if columns < 80 || rows < 24 {
        parts.push("smaller than 80×24: panes are shown one at a time".into());
    }
    if remedy.is_empty() {
        Check::ok(name, parts.join(", "))
    } else {
        Check::optional(name, parts.join(", "), remedy)
    }
}

fn colours(variables: &Variables, kind: &str) -> &'static str {
    let direct = |value: &String| matches!(value.as_str(), "truecolor" | "24bit");
    if variables
        .get("NO_COLOR")
        .is_some_and(|value| !value.is_empty())
    {
        "no colours (NO_COLOR)"
    } else if variables.get("COLORTERM").is_some_and(direct) {
        "16 million colours"
    } else if kind.contains("256") {
        "256 colours"
    } else {
        "16 colours"
    }
}

/// Whether the locale says that the terminal shows UTF-8.
pub fn is_unicode(variables: &Variables) -> bool {
    let chosen = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| variables.get(*name).filter(|value| !value.is_empty()));
    chosen.is_some_and(|value| {
        let value = value.to_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

/// Which provider keys there are: names only, never values.
pub fn keys(variables: &Variables) -> Check {
    keys_among(&key_variables(), variables)
}

/// Every variable in which a provider's key may be.
pub fn key_variables() -> Vec<&'static str> {
    let all = PROVIDERS.iter().flat_map(|provider| provider.variables);
    all.copied().collect()
}

fn keys_among(names: &[&str], variables: &Variables) -> Check {
    let present: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| variables.get(*name).is_some_and(|value| !value.is_empty()))
        .collect();
    if present.is_empty() {
        Check::optional(
            "keys",
            "no provider key is set; the demo LM and local servers need none",
            "",
        )
    } else {
        Check::ok("keys", present.join(", "))
    }
}

/// Deno and Pyodide, which run the code of ProgramOfThought, CodeAct and RLM;
/// `cache` is where `make setup` put Pyodide.
pub fn sandbox(venv: &Path, cache: Option<PathBuf>, variables: &Variables) -> Check {
    let name = "sandbox";
    let on_path = variables
        .get("PATH")
        .into_iter()
        .flat_map(std::env::split_paths);
    let deno = std::iter::once(venv.join("bin"))
        .chain(on_path)
        .map(|folder| folder.join("deno"))
        .find(|file| file.is_file());
    let Some(deno) = deno else {
        let remedy = format!("{}/bin/python -m pip install deno", venv.display());
        return Check::optional(name, "no Deno: sandboxed interpreters need it", remedy);
    };
    let cache = deno_cache(cache, variables);
    if cache.as_deref().is_some_and(has_pyodide) {
        return Check::ok(name, format!("Deno and Pyodide {PYODIDE}"));
    }
    let cache = cache.unwrap_or_else(|| venv.join("deno"));
    Check::optional(
        name,
        format!("no Pyodide {PYODIDE}: sandboxed interpreters need it"),
        format!(
            "DENO_DIR={} {} cache npm:pyodide@{PYODIDE}",
            cache.display(),
            deno.display()
        ),
    )
}

/// Where Deno keeps what it fetched: the folder of `make setup`, else Deno's.
fn deno_cache(own: Option<PathBuf>, variables: &Variables) -> Option<PathBuf> {
    let set = |name: &str| {
        variables
            .get(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("DENO_DIR")
        .or(own)
        .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("deno")))
        .or_else(|| set("HOME").map(|folder| folder.join(".cache/deno")))
}

/// Deno files packages under the host of their registry, whichever it is.
fn has_pyodide(cache: &Path) -> bool {
    let Ok(registries) = cache.join("npm").read_dir() else {
        return false;
    };
    registries
        .flatten()
        .any(|registry| registry.path().join("pyodide").join(PYODIDE).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::Status;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn keys_are_named_and_never_shown() {
        let check = keys_among(
            &["A_KEY", "B_KEY"],
            &variables(&[("A_KEY", "secret-value"), ("B_KEY", "")]),
        );
        assert_eq!(check.status, Status::Ok);
        assert_eq!(check.detail, "A_KEY");
        assert_eq!(
            keys_among(&["A_KEY"], &Variables::new()).status,
            Status::Optional
        );
    }

    #[test]
    fn a_terminal_is_described() {
        let full = variables(&[
            ("TERM", "xterm-256color"),
            ("LANG", "en_GB.UTF-8"),
            ("COLORTERM", "truecolor"),
        ]);
        assert_eq!(
            describe_terminal(&full, (120, 36)).detail,
            "xterm-256color, 120×36, 16 million colours"
        );
        let plain = variables(&[("TERM", "vt220"), ("LC_ALL", "C"), ("LANG", "C.UTF-8")]);
        let check = describe_terminal(&plain, (80, 24));
        assert_eq!(
            (check.status, check.remedy.as_str()),
            (Status::Optional, "export LANG=C.UTF-8")
        );
        assert_eq!(
            describe_terminal(&variables(&[("TERM", "dumb")]), (80, 24)).status,
            Status::Optional
        );
    }

    #[test]
    fn a_folder_that_can_be_made_will_do() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(sessions(Some(&dir.path().join("a/b"))).status, Status::Ok);
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(sessions(Some(&file.join("below"))).status, Status::Missing);
    }

    #[test]
    fn pyodide_is_found_under_any_registry() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("bin")).unwrap();
        std::fs::write(dir.path().join("bin/deno"), "").unwrap();
        let nothing = Variables::new();
        let check = sandbox(dir.path(), Some(dir.path().join("deno")), &nothing);
        assert_eq!(check.status, Status::Optional);
        assert!(
            check.remedy.contains("cache npm:pyodide@"),
            "{}",
            check.remedy
        );
        std::fs::create_dir_all(
            dir.path()
                .join("deno/npm/registry.example/pyodide")
                .join(PYODIDE),
        )
        .unwrap();
        assert_eq!(
            sandbox(dir.path(), Some(dir.path().join("deno")), &nothing).status,
            Status::Ok
        );
    }
}
