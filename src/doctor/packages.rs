//! Which Python packages an environment has, read from its files: no Python is
//! started for what a directory's name says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::report::Check;

/// The minor version of DSPy the workbench is made for.
pub const DSPY_SERIES: &str = "3.4";
/// The version it was tested with, and installs.
pub const DSPY_VERSION: &str = "3.4.1";

/// A package the worker uses.
struct Wanted {
    name: &'static str,
    /// What works less well without it; empty if nothing works without it.
    without: &'static str,
}

const WANTED: &[Wanted] = &[
    required("ipython"),
    required("cloudpickle"),
    optional("numpy", "embeddings, KNN and SIMBA need it"),
    optional("optuna", "MIPROv2 needs it"),
    optional("orjson", "large messages take twice as long without it"),
    optional("matplotlib-inline", "figures in cells need it"),
    optional("mcp", "tools over MCP need it"),
];

const fn required(name: &'static str) -> Wanted {
    Wanted { name, without: "" }
}

const fn optional(name: &'static str, without: &'static str) -> Wanted {
    Wanted { name, without }
}

/// The packages of an environment: normalised name to version.
pub struct Packages {
    found: BTreeMap<String, String>,
    python: PathBuf,
}

impl Packages {
    /// Reads the environment at `venv`, whose Python is `version` (`3.11`).
    pub fn read(venv: &Path, version: &str) -> Self {
        let mut found = BTreeMap::new();
        // The environment's own packages hide those of the system: read them last.
        for folder in system_folders(venv, version) {
            read_folder(&folder, &mut found);
        }
        read_folder(&site_packages(venv, version), &mut found);
        Self {
            found,
            python: venv.join("bin/python"),
        }
    }

    /// DSPy first, since nothing works without it, then the others.
    pub fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.dspy()];
        checks.extend(WANTED.iter().map(|wanted| self.check(wanted)));
        checks
    }

    fn dspy(&self) -> Check {
        let remedy = self.install(&format!("dspy=={DSPY_VERSION}"));
        match self.found.get("dspy") {
            None => Check::missing("dspy", "not installed in this environment", remedy),
            Some(version) if is_series(version) => Check::ok("dspy", version),
            Some(version) => Check::missing(
                "dspy",
                format!("{version}, and the workbench is made for {DSPY_SERIES}.x"),
                remedy,
            ),
        }
    }

    fn check(&self, wanted: &Wanted) -> Check {
        let remedy = self.install(wanted.name);
        match self.found.get(wanted.name) {
            Some(version) => Check::ok(wanted.name, version),
            None if wanted.without.is_empty() => {
                Check::missing(wanted.name, "not installed in this environment", remedy)
            }
            None => Check::optional(
                wanted.name,
                format!("not installed: {}", wanted.without),
                remedy,
            ),
        }
    }

    /// The command that installs `requirement` here; uv's environments have no pip.
    fn install(&self, requirement: &str) -> String {
        let python = shell_word(&self.python.display().to_string());
        if self.found.contains_key("pip") {
            format!("{python} -m pip install {requirement}")
        } else {
            format!("uv pip install --python {python} {requirement}")
        }
    }
}

/// `3.4.1` is of the series `3.4`; `3.40` is not.
fn is_series(version: &str) -> bool {
    version
        .strip_prefix(DSPY_SERIES)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn site_packages(prefix: &Path, version: &str) -> PathBuf {
    prefix.join(format!("lib/python{version}/site-packages"))
}

/// Where the packages of the interpreter behind `venv` are, if `venv` lets them in.
fn system_folders(venv: &Path, version: &str) -> Vec<PathBuf> {
    let settings = std::fs::read_to_string(venv.join("pyvenv.cfg")).unwrap_or_default();
    let value = |key: &str| {
        settings.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim().to_owned())
        })
    };
    let open = value("include-system-site-packages").is_some_and(|value| value == "true");
    let Some(prefix) = value("home")
        .filter(|_| open)
        .and_then(|home| Path::new(&home).parent().map(Path::to_path_buf))
    else {
        return Vec::new();
    };
    vec![
        prefix.join("lib/python3/dist-packages"),
        prefix.join(format!("local/lib/python{version}/dist-packages")),
        site_packages(&prefix, version),
    ]
}

/// Every `name-version.dist-info` of a folder. A folder that is not there has none.
fn read_folder(folder: &Path, found: &mut BTreeMap<String, String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((package, version)) = name
            .strip_suffix(".dist-info")
            .and_then(|stem| stem.split_once('-'))
        else {
            continue;
        };
        found.insert(normalised(package), version.to_owned());
    }
}

/// Package names as the index compares them: `Matplotlib_Inline` is `matplotlib-inline`.
fn normalised(name: &str) -> String {
    name.to_lowercase().replace(['_', '.'], "-")
}

/// A path as one word of a shell command.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::doctor::report::Status;

    fn environment(packages: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let folder = site_packages(dir.path(), "3.11");
        for package in packages {
            fs::create_dir_all(folder.join(format!("{package}.dist-info"))).unwrap();
        }
        dir
    }

    fn dspy(packages: &[&str]) -> (Check, String) {
        let dir = environment(packages);
        let check = Packages::read(dir.path(), "3.11").checks().remove(0);
        let python = dir.path().join("bin/python").display().to_string();
        (check, python)
    }

    /// R96: an environment without DSPy is answered with the exact pip line.
    #[test]
    fn an_environment_without_dspy_is_told_the_pip_line() {
        let (check, python) = dspy(&["pip-24.0"]);
        assert_eq!(check.status, Status::Missing);
        assert_eq!(check.remedy, format!("{python} -m pip install dspy==3.4.1"));
    }

    #[test]
    fn an_environment_without_pip_is_told_the_uv_line() {
        let (check, python) = dspy(&[]);
        assert_eq!(
            check.remedy,
            format!("uv pip install --python {python} dspy==3.4.1")
        );
    }

    #[test]
    fn another_series_of_dspy_is_refused() {
        assert_eq!(dspy(&["dspy-3.4.7"]).0.status, Status::Ok);
        assert_eq!(dspy(&["dspy-3.40.0"]).0.status, Status::Missing);
        assert_eq!(dspy(&["dspy-2.6.1"]).0.status, Status::Missing);
    }

    #[test]
    fn names_are_compared_as_the_index_compares_them() {
        let dir = environment(&["matplotlib_inline-0.2.2", "IPython-9.1"]);
        let packages = Packages::read(dir.path(), "3.11");
        assert_eq!(packages.found["matplotlib-inline"], "0.2.2");
        assert_eq!(packages.found["ipython"], "9.1");
    }

    #[test]
    fn system_packages_count_where_they_are_let_in() {
        let system = environment(&["dspy-3.4.1"]);
        let venv = environment(&["pip-24.0"]);
        let home = system.path().join("bin").display().to_string();
        for (open, status) in [("true", Status::Ok), ("false", Status::Missing)] {
            let settings = format!("home = {home}\ninclude-system-site-packages = {open}\n");
            fs::write(venv.path().join("pyvenv.cfg"), settings).unwrap();
            let check = Packages::read(venv.path(), "3.11").checks().remove(0);
            assert_eq!(
                check.status, status,
                "include-system-site-packages = {open}"
            );
        }
    }

    #[test]
    fn a_path_with_spaces_stays_one_word() {
        assert_eq!(shell_word("/a b/it's"), r"'/a b/it'\''s'");
        assert_eq!(shell_word("/usr/bin/python3.11"), "/usr/bin/python3.11");
    }
}
