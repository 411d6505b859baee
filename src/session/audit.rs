//! The audit log: who asked for which optimisation, and what came of it.
//!
//! One file beside the sessions, for all of them: `audit.jsonl`, a line for each
//! request and one for its end, append-only. Each line carries the hash of the one
//! before, and `audit.head` the number of lines and the last hash, so that a line that
//! was altered, taken out, put in or cut off at the end is found ([`verify`]). Whoever
//! can write all files can also forge all hashes: keep a copy of the last hash elsewhere
//! where that matters.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use nix::unistd::{User, getuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::state::hex;

const FILE: &str = "audit.jsonl";
const HEAD: &str = "audit.head";

/// What is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the line, from 1.
    pub seq: u64,
    /// Wall clock, milliseconds since the epoch.
    pub time_ms: i64,
    /// The account that the workbench runs under.
    pub user: String,
    /// The session; empty when it is not kept.
    pub session: String,
    /// The run in it.
    pub run: u64,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Fact {
    /// Somebody asked for an optimisation.
    Requested {
        /// The operation.
        operation: String,
        /// The program.
        program: String,
        /// Its signature, short.
        signature: String,
        /// SHA-256 of its signature.
        signature_hash: String,
        /// The optimizer.
        optimizer: String,
        /// The LM profile.
        lm: String,
        /// Every other argument; data by its hash.
        config: Value,
    },
    /// It ended.
    Finished {
        /// `ok`, `error`, `interrupted`, `died`.
        status: String,
        /// Type and message, when it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        /// Score before, percent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        baseline: Option<f64>,
        /// Score after, percent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        optimized: Option<f64>,
        /// LM calls that were answered by a server or the demo LM.
        calls: u64,
        /// Tokens in and out.
        tokens: u64,
        /// Known dollars.
        cost: f64,
        /// Calls whose price is unknown.
        unpriced: u64,
        /// How long it took.
        seconds: f64,
    },
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// Lines there are.
    pub entries: u64,
    /// The hash of the last line; empty without one.
    pub last_hash: String,
    /// What is wrong, with the number of the line.
    pub problems: Vec<String>,
}

/// A line as it is read; the entry's bytes are what is hashed.
#[derive(Deserialize)]
struct Line<'a> {
    hash: String,
    prev: String,
    #[serde(borrow)]
    entry: &'a RawValue,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Head {
    lines: u64,
    hash: String,
}

/// Where the log of the sessions in `root` is.
pub fn path(root: &Path) -> PathBuf {
    root.join(FILE)
}

/// Writes one line; on disk when this returns.
///
/// # Errors
/// When the file cannot be written.
pub fn append(root: &Path, session: &str, run: u64, fact: Fact) -> io::Result<()> {
    fs::create_dir_all(root)?;
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path(root))?;
    // Released when the file is closed.
    file.lock()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    // A line without an end was cut off by a crash, and nobody was told it was written.
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
    }
    let lines = text.get(..whole).unwrap_or_default().lines();
    let (count, last) = lines.fold((0, ""), |(count, _), line| (count + 1, line));
    let prev = serde_json::from_str::<Line<'_>>(last).map_or(String::new(), |line| line.hash);
    let entry = Entry {
        seq: count + 1,
        time_ms: jiff::Timestamp::now().as_millisecond(),
        user: user(),
        session: session.to_owned(),
        run,
        fact,
    };
    let entry = serde_json::to_string(&entry)?;
    let hash = chain(&prev, &entry);
    let line = format!("{{\"hash\":\"{hash}\",\"prev\":\"{prev}\",\"entry\":{entry}}}\n");
    file.write_all(line.as_bytes())?;
    file.sync_data()?;
    let head = Head {
        lines: count + 1,
        hash,
    };
    write_head(root, &head)
}

/// The last `limit` entries, oldest first. Lines that cannot be read are left out:
/// [`verify`] tells of them.
///
/// # Errors
/// When the file cannot be read.
pub fn read(root: &Path, limit: usize) -> io::Result<Vec<Entry>> {
    let text = text(root)?;
    let parse = |line: &str| {
        let line: Line<'_> = serde_json::from_str(line).ok()?;
        serde_json::from_str(line.entry.get()).ok()
    };
    let mut entries: Vec<Entry> = text.lines().rev().filter_map(parse).take(limit).collect();
    entries.reverse();
    Ok(entries)
}

/// Checks every line and the head.
///
/// # Errors
/// When a file cannot be read.
pub fn verify(root: &Path) -> io::Result<Verdict> {
    #[derive(Deserialize)]
    struct Seq {
        seq: u64,
    }
    let text = text(root)?;
    let mut problems = Vec::new();
    let (mut entries, mut last, mut before) = (0, String::new(), String::new());
    for raw in text.split_inclusive('\n') {
        entries += 1;
        if !raw.ends_with('\n') {
            problems.push(format!("line {entries} has no end"));
        }
        let Ok(line) = serde_json::from_str::<Line<'_>>(raw.trim_end_matches('\n')) else {
            problems.push(format!("line {entries} is not a line of this log"));
            continue;
        };
        if line.prev != last {
            problems.push(format!(
                "line {entries} does not follow the line before it: one was altered, taken out or put in"
            ));
        }
        if chain(&line.prev, line.entry.get()) != line.hash {
            problems.push(format!("line {entries} was altered"));
        }
        let seq = serde_json::from_str::<Seq>(line.entry.get()).map_or(0, |it| it.seq);
        if seq != entries {
            problems.push(format!("line {entries} says it is number {seq}"));
        }
        before = std::mem::replace(&mut last, line.hash);
    }
    let head = read_head(root)?;
    let now = Head {
        lines: entries,
        hash: last.clone(),
    };
    // A crash between line and head leaves the head one line behind.
    let behind = Head {
        lines: entries.saturating_sub(1),
        hash: before,
    };
    let behind = entries > 0 && head.as_ref().unwrap_or(&Head::default()) == &behind;
    match head {
        Some(head) if head.lines > entries => problems.push(format!(
            "there were {} lines, now there are {entries}: the end was cut off",
            head.lines
        )),
        Some(head) if head != now && !behind => problems.push(format!(
            "`{HEAD}` speaks of other lines: the log was replaced or written by something else"
        )),
        None if entries > 1 => problems.push(format!("`{HEAD}` is missing")),
        _ => {}
    }
    Ok(Verdict {
        ok: problems.is_empty(),
        entries,
        last_hash: last,
        problems,
    })
}

fn chain(prev: &str, entry: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(prev.as_bytes());
    hash.update(entry.as_bytes());
    hex(&hash.finalize())
}

fn user() -> String {
    let uid = getuid();
    let known = User::from_uid(uid).ok().flatten();
    known.map_or_else(|| uid.to_string(), |user| user.name)
}

/// The whole log; empty where there is none. Bytes that are no text are no line of it.
fn text(root: &Path) -> io::Result<String> {
    match fs::read(path(root)) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// In one step, so that a reader finds the old one or the new one.
fn write_head(root: &Path, head: &Head) -> io::Result<()> {
    let fresh = root.join(format!("{HEAD}.new"));
    let mut file = File::create(&fresh)?;
    file.write_all(&serde_json::to_vec(head)?)?;
    file.sync_data()?;
    fs::rename(fresh, root.join(HEAD))
}

fn read_head(root: &Path) -> io::Result<Option<Head>> {
    match fs::read(root.join(HEAD)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).unwrap_or_default())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(lines: u64) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for run in 1..=lines {
            let fact = Fact::Requested {
                operation: "optimize_prompt".into(),
                program: "qa".into(),
                signature: "question -> answer".into(),
                signature_hash: "00".into(),
                optimizer: "BootstrapFewShot".into(),
                lm: "demo".into(),
                config: json!({"max_bootstrapped_demos": 4}),
            };
            append(root.path(), "s", run, fact).unwrap();
        }
        root
    }

    fn problems_after(change: impl FnOnce(&mut Vec<String>)) -> Vec<String> {
        let root = written(4);
        let text = fs::read_to_string(path(root.path())).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        change(&mut lines);
        lines.push(String::new());
        fs::write(path(root.path()), lines.join("\n")).unwrap();
        verify(root.path()).unwrap().problems
    }

    /// R127: what was written is read back and found whole.
    #[test]
    fn a_log_left_alone_is_whole() {
        let root = written(3);
        let verdict = verify(root.path()).unwrap();
        assert!(verdict.ok && verdict.entries == 3, "{verdict:?}");
        let entries = read(root.path(), 2).unwrap();
        assert_eq!(entries.iter().map(|it| it.seq).collect::<Vec<_>>(), [2, 3]);
        assert!(!entries[0].user.is_empty() && entries[0].time_ms > 0);
        let nothing = tempfile::tempdir().unwrap();
        assert!(verify(nothing.path()).unwrap().ok);
    }

    /// R127: altering, deleting, inserting, swapping or cutting off any line is found.
    #[test]
    fn every_change_is_found() {
        for at in 0..4 {
            let altered = problems_after(|lines| {
                lines[at] =
                    lines[at].replace("max_bootstrapped_demos\":4", "max_bootstrapped_demos\":5");
            });
            assert!(
                altered[0].contains(&format!("line {} was altered", at + 1)),
                "{altered:?}"
            );
            let deleted = problems_after(|lines| {
                lines.remove(at);
            });
            assert!(!deleted.is_empty(), "line {at} deleted");
            let doubled = problems_after(|lines| lines.insert(at, lines[at].clone()));
            assert!(!doubled.is_empty(), "line {at} doubled");
        }
        assert!(!problems_after(|lines| lines.swap(1, 2)).is_empty());
        assert!(problems_after(|lines| lines.truncate(3))[0].contains("cut off"));
        assert!(!problems_after(Vec::clear).is_empty());
        assert!(!problems_after(|lines| lines[2] = "not JSON".into()).is_empty());
        // Not even one that mends its own hash.
        let forged = problems_after(|lines| {
            let text = lines[1].replace("BootstrapFewShot", "MIPROv2");
            let line: Line<'_> = serde_json::from_str(&text).unwrap();
            let hash = chain(&line.prev, line.entry.get());
            lines[1] = text.replace(&line.hash, &hash);
        });
        assert!(forged[0].contains("line 3 does not follow"), "{forged:?}");
    }

    /// R127: a crash in the middle of a line, or before the head, is no forgery.
    #[test]
    fn a_crash_is_no_forgery() {
        let root = written(2);
        let head = fs::read(root.path().join(HEAD)).unwrap();
        let fact = |status: &str| Fact::Finished {
            status: status.into(),
            error: None,
            baseline: Some(50.0),
            optimized: None,
            calls: 1,
            tokens: 2,
            cost: 0.0,
            unpriced: 0,
            seconds: 1.0,
        };
        append(root.path(), "s", 2, fact("ok")).unwrap();
        fs::write(root.path().join(HEAD), &head).unwrap();
        assert!(verify(root.path()).unwrap().ok);
        let mut log = OpenOptions::new()
            .append(true)
            .open(path(root.path()))
            .unwrap();
        log.write_all(b"{\"hash\":\"12").unwrap();
        append(root.path(), "s", 3, fact("error")).unwrap();
        let verdict = verify(root.path()).unwrap();
        assert!(verdict.ok && verdict.entries == 4, "{verdict:?}");
    }
}
