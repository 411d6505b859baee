//! The settings file: how many workers, how long jobs wait, what a worker may hold.
//!
//! One table names every setting; the README's list and the near matches of a wrong
//! name come from it. What the command line says goes before what the file says.
//! Owns reading and checking; what a setting does is known where it is applied.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use crate::paths;
use crate::protocol::error::{OperationError, near_matches};
use crate::worker::{PoolOptions, PoolsOptions};

/// Names another file than the usual one.
const VARIABLE: &str = "DSPEX_CONFIG";

/// A setting: section, name, least and most, what it is.
pub type Setting = (&'static str, &'static str, u64, u64, &'static str);

/// Every setting there is. All are whole numbers.
#[rustfmt::skip] // One line a setting: it is read as a table.
pub const TABLE: &[Setting] = &[
    ("pool", "workers", 0, 64, "most workers for programs and evaluations (one a core, at most 4)"),
    ("pool", "jobs_per_worker", 1, 256, "jobs of one worker at a time (16)"),
    ("pool", "queue", 0, 10_000, "jobs that may wait; one more is refused as `pool_exhausted` (10)"),
    ("pool", "wait_seconds", 1, 86_400, "how long a job waits for a busy pool (5)"),
    ("pool", "memory_mb", 128, 1_048_576, "a worker that holds more is replaced after its jobs (2048)"),
    ("optimizers", "workers", 0, 64, "most workers for optimizers (one a core, at most 2)"),
    ("optimizers", "queue", 0, 10_000, "optimizations that may wait (10)"),
    ("optimizers", "wait_seconds", 1, 86_400, "how long one waits (5)"),
    ("optimizers", "memory_mb", 128, 1_048_576, "as above (2048)"),
    ("kernel", "memory_mb", 128, 1_048_576, "above it the kernel is told of; it is never ended for it (2048)"),
    ("kernel", "answer_seconds", 1, 86_400, "how long it may take to answer what is no run: completion, inspection, prompts (30)"),
    ("cache", "max_mb", 1, 1_048_576, "most disk space of what can be made again; above it the oldest goes when a worker starts (1024)"),
    ("health", "probe_seconds", 1, 3_600, "how often a worker with jobs is asked whether it lives (5)"),
    ("health", "probe_idle_seconds", 1, 86_400, "how often one without jobs is asked (30)"),
    ("health", "unresponsive_seconds", 1, 3_600, "silence after which it gets no further jobs (10)"),
    ("health", "kill_seconds", 1, 86_400, "silence after which it is replaced (60)"),
];

/// What a settings file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<(&'static str, &'static str), u64>);

type Section = BTreeMap<Spanned<String>, Spanned<toml::Value>>;

impl Settings {
    /// Reads the file that `$DSPEX_CONFIG` names, else `dspex-tui/config.toml` under
    /// the XDG configuration directory, which need not be there.
    ///
    /// # Errors
    /// It cannot be read, or says something that is no setting: with its line.
    pub fn load() -> Result<Self, OperationError> {
        let named = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
        let (path, must) = match named {
            Some(path) => (PathBuf::from(path), true),
            None => match paths::config_dir() {
                Ok(dir) => (dir.join("config.toml"), false),
                Err(_) => return Ok(Self::default()),
            },
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path),
            Err(error) if !must && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(OperationError::invalid(
                "invalid_settings",
                format!("the settings {} cannot be read: {error}", path.display()),
            )),
        }
    }

    /// Reads the text of a settings file.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, OperationError> {
        let wrong = |at: usize, what: String| {
            let before = text.as_bytes().iter().take(at);
            let line = before.filter(|byte| **byte == b'\n').count() + 1;
            OperationError::invalid(
                "invalid_settings",
                format!("{}, line {line}: {what}", path.display()),
            )
        };
        let file: BTreeMap<Spanned<String>, Spanned<toml::Value>> =
            toml::from_str(text).map_err(|error| {
                let at = error.span().map_or(0, |span| span.start);
                wrong(at, error.message().to_owned())
            })?;
        // Sections again, now each with its places.
        let sections: Vec<&str> = TABLE.iter().map(|row| row.0).collect();
        for (name, value) in &file {
            let (name, at) = (name.get_ref().as_str(), name.span().start);
            if !sections.contains(&name) {
                let error = wrong(at, format!("there is no section `{name}`"));
                return Err(error.near(near_matches(name, sections.iter().copied())));
            }
            if !value.get_ref().is_table() {
                return Err(wrong(
                    at,
                    format!("`{name}` is a section: write `[{name}]`"),
                ));
            }
        }
        let file: BTreeMap<String, Section> = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            wrong(at, error.message().to_owned())
        })?;
        let mut settings = Self::default();
        for (section, values) in &file {
            for (name, value) in values {
                let (key, at) = (name.get_ref().as_str(), name.span().start);
                let found = TABLE.iter().find(|row| row.0 == section && row.1 == key);
                let Some((section, key, least, most, _)) = found else {
                    let known = TABLE.iter().filter(|row| row.0 == section);
                    let error = wrong(at, format!("`{section}` has no setting `{key}`"));
                    return Err(error.near(near_matches(key, known.map(|row| row.1))));
                };
                let number = value.get_ref().as_integer();
                let number = number.and_then(|number| u64::try_from(number).ok());
                let Some(number) = number.filter(|it| (*least..=*most).contains(it)) else {
                    let what = format!("`{key}` is a whole number of {least} to {most}");
                    return Err(wrong(value.span().start, what));
                };
                settings.0.insert((section, key), number);
            }
        }
        Ok(settings)
    }

    /// MB above which the kernel is told of.
    pub fn kernel_memory_mb(&self) -> Option<u64> {
        self.get("kernel", "memory_mb")
    }

    /// How long the kernel may take to answer what is no run.
    pub fn request_deadline(&self) -> Option<Duration> {
        let seconds = self.get("kernel", "answer_seconds");
        seconds.map(Duration::from_secs)
    }

    /// MB on disk of what can be made again.
    pub fn cache_mb(&self) -> Option<u64> {
        self.get("cache", "max_mb")
    }

    /// Changes the pools; their sizes only where there are pools at all.
    pub fn apply(&self, pools: &mut PoolsOptions) {
        self.apply_to("pool", &mut pools.general);
        self.apply_to("optimizers", &mut pools.optimizer);
        let health = |name, place: &mut Duration| {
            if let Some(seconds) = self.get("health", name) {
                *place = Duration::from_secs(seconds);
            }
        };
        health("probe_seconds", &mut pools.probe_every);
        health("probe_idle_seconds", &mut pools.probe_idle_every);
        health("unresponsive_seconds", &mut pools.unresponsive_after);
        health("kill_seconds", &mut pools.kill_after);
    }

    fn apply_to(&self, section: &'static str, pool: &mut PoolOptions) {
        let count = |name| self.get(section, name).map(|n| n as usize);
        if let Some(workers) = count("workers").filter(|_| pool.size > 0) {
            pool.size = workers;
        }
        pool.slots = count("jobs_per_worker").unwrap_or(pool.slots);
        pool.queue = count("queue").unwrap_or(pool.queue);
        pool.memory_mb = self.get(section, "memory_mb").unwrap_or(pool.memory_mb);
        if let Some(seconds) = self.get(section, "wait_seconds") {
            pool.patience = Duration::from_secs(seconds);
        }
    }

    fn get(&self, section: &'static str, name: &'static str) -> Option<u64> {
        self.0.get(&(section, name)).copied()
    }
}

/// The settings as the README lists them.
pub fn readme_table() -> String {
    let row = |(section, name, .., doc): &Setting| format!("| `[{section}]` `{name}` | {doc} |\n");
    let rows: String = TABLE.iter().map(row).collect();
    format!("| setting | what it is (default) |\n|---|---|\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, OperationError> {
        Settings::parse(text, Path::new("config.toml"))
    }

    /// R85, R86, R87: sizes, queue, wait and memory come from the file.
    #[test]
    fn r85_the_file_sets_the_pools() {
        let settings = parse(
            "[pool]\nworkers = 3\nqueue = 20\nwait_seconds = 7\nmemory_mb = 512\n\
             [optimizers]\nworkers = 1\n[kernel]\nmemory_mb = 900\nanswer_seconds = 7\n[health]\nkill_seconds = 30\n\
             probe_idle_seconds = 60\n",
        )
        .unwrap();
        let mut pools = PoolsOptions::none();
        settings.apply(&mut pools);
        assert_eq!(pools.general.size, 0, "no pool is made where there is none");
        pools.general.size = 2;
        pools.optimizer.size = 2;
        settings.apply(&mut pools);
        let general = &pools.general;
        assert_eq!(
            (
                general.size,
                general.queue,
                general.patience.as_secs(),
                general.memory_mb
            ),
            (3, 20, 7, 512)
        );
        assert_eq!((pools.optimizer.size, pools.kill_after.as_secs()), (1, 30));
        assert_eq!(settings.kernel_memory_mb(), Some(900));
        assert_eq!(settings.request_deadline(), Some(Duration::from_secs(7)));
        assert_eq!(pools.probe_idle_every, Duration::from_mins(1));
        assert_eq!(parse("").unwrap(), Settings::default());
    }

    /// R87, R90, R102: what holds where the file says nothing, and that the table says so.
    #[test]
    fn r102_the_defaults_are_what_the_table_says() {
        let pools = PoolsOptions::none();
        let core = crate::app::CoreOptions::new(std::path::PathBuf::new());
        let seconds = |time: Duration| time.as_secs();
        let defaults = [
            ("pool", "jobs_per_worker", pools.general.slots as u64),
            ("pool", "queue", pools.general.queue as u64),
            ("pool", "wait_seconds", seconds(pools.general.patience)),
            ("pool", "memory_mb", pools.general.memory_mb),
            ("optimizers", "queue", pools.optimizer.queue as u64),
            (
                "optimizers",
                "wait_seconds",
                seconds(pools.optimizer.patience),
            ),
            ("kernel", "memory_mb", core.kernel_memory_mb),
            ("kernel", "answer_seconds", seconds(core.request_deadline)),
            ("health", "probe_seconds", seconds(pools.probe_every)),
            (
                "health",
                "probe_idle_seconds",
                seconds(pools.probe_idle_every),
            ),
            (
                "health",
                "unresponsive_seconds",
                seconds(pools.unresponsive_after),
            ),
            ("health", "kill_seconds", seconds(pools.kill_after)),
        ];
        for (section, name, default) in defaults {
            let row = TABLE.iter().find(|row| (row.0, row.1) == (section, name));
            let says = row.map_or("", |row| row.4);
            assert!(
                says.ends_with(&format!("({default})")),
                "{name}: {says}, not {default}"
            );
        }
        assert_eq!(seconds(core.request_deadline), 30);
        assert_eq!(
            (pools.general.queue, seconds(pools.general.patience)),
            (10, 5)
        );
    }

    /// What is wrong is named with its line and what may have been meant.
    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, said, near) in [
            (
                "[pool]\nworkers = 2\nqeue = 3\n",
                "line 3: `pool` has no setting `qeue`",
                "queue",
            ),
            (
                "\n[pools]\nworkers = 2\n",
                "line 2: there is no section `pools`",
                "pool",
            ),
            (
                "[pool]\nworkers = 'two'\n",
                "line 2: `workers` is a whole number of 0 to 64",
                "",
            ),
            (
                "[pool]\nworkers = 65\n",
                "line 2: `workers` is a whole number of 0 to 64",
                "",
            ),
            (
                "pool = 3\n",
                "line 1: `pool` is a section: write `[pool]`",
                "",
            ),
            ("[pool]\nworkers = \n", "line 2: ", ""),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(said), "{text:?}: {}", error.message);
            let nearest = error.recovery.near.first().map_or("", String::as_str);
            assert_eq!(nearest, near, "{text:?}");
        }
    }
}
