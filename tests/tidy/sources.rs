//! The text files of the project: what `git` would have, found without `git`,
//! so that the rules also hold in an unpacked archive.

use std::fs;
use std::path::Path;

use crate::support::project;

/// One text file.
pub struct Source {
    /// Its path below the project, with `/`.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl Source {
    /// Whether its name ends in `.extension`.
    pub fn is(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }
}

/// Every text file below the project but build products and what git ignores.
pub fn sources() -> impl Iterator<Item = Source> {
    let mut found = Vec::new();
    collect(project(), &mut found);
    assert!(
        found.len() > 20,
        "the sources were not found in {}",
        project().display()
    );
    found.into_iter()
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if matches!(name.as_str(), "target" | ".git" | ".venv" | "__pycache__")
            || name.ends_with("_cache")
        {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(project()).unwrap().display().to_string();
            found.push(Source { path, text });
        }
    }
}
