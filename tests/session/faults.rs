//! Killed writers and full disks. The tests here run themselves once more, as
//! the process that is killed or has no space.

use std::fs;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dspex_tui::session::event::Scope;
use dspex_tui::session::{Journal, SaveStatus, SessionReader};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

use super::{count, note, passport};

/// Says to a test that it is the child, and where to write.
const CHILD: &str = "DSPEX_TEST_CHILD";

fn as_child() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("session::faults::{test}");
    command
        .args(["--exact", &name, "--nocapture"])
        .env(CHILD, dir);
    command
}

/// R61, invariant 6: what was acknowledged is there after `kill -9`.
#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    if let Some(dir) = as_child() {
        return write_until_killed(&dir);
    }
    for trial in 0..20 {
        let root = tempfile::tempdir().unwrap();
        let mut writer = child("nothing_acknowledged_is_lost_to_kill_9", root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Each `+` of its output is an acknowledged event.
        let mut output = writer.stdout.take().unwrap();
        let (mut seen, mut buffer) = (Vec::new(), [0; 64]);
        while count(&seen, b'+') < 40 + trial * 37 {
            let read = output.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "the writer ended by itself");
            seen.extend_from_slice(&buffer[..read]);
        }
        writer.kill().unwrap();
        assert_eq!(writer.wait().unwrap().signal(), Some(9));
        output.read_to_end(&mut seen).unwrap();
        let acknowledged = count(&seen, b'+') as u64;
        let (_, state, report) = Journal::open(root.path(), "s").unwrap();
        let found = state.seq;
        assert!(
            found >= acknowledged,
            "trial {trial}: {found} of {acknowledged}"
        );
        assert_eq!((report.missing_events, report.missing_blobs), (0, 0));
    }
}

fn write_until_killed(dir: &Path) {
    let journal = Journal::create(dir, Some("s"), passport()).unwrap();
    for number in 0_u64.. {
        let text = format!("event {number} {}", "x".repeat(300));
        journal.append(Scope::NONE, note(&text));
        nix::unistd::write(std::io::stdout(), b"+").unwrap();
    }
}

/// A full disk: events wait in memory, the status says so, and when there is
/// room again, or another directory, nothing is missing.
#[test]
fn a_full_disk_loses_nothing() {
    if let Some(dir) = as_child() {
        return write_to_a_full_disk(&dir);
    }
    let root = tempfile::tempdir().unwrap();
    let done = child("a_full_disk_loses_nothing", root.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    for (name, least) in [("s", 200), ("elsewhere/s", 400)] {
        let mut reader = SessionReader::open(&root.path().join(name)).unwrap();
        assert_eq!(reader.report().sentence(), None, "{name}");
        let notes = reader.final_state().notes;
        assert!(notes.len() >= least, "{name}: {}", notes.len());
        for (idx, note) in notes.iter().enumerate() {
            assert_eq!(note.seq, idx as u64 + 1, "{name}");
            assert!(note.text.starts_with("note"), "{name}: {}", note.text);
        }
    }
}

#[expect(
    unsafe_code,
    reason = "without it the limit kills instead of failing the write"
)]
fn write_to_a_full_disk(dir: &Path) {
    // SAFETY: ignoring a signal installs no handler that could do harm.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
    // A limit of file size is a disk that is full, for this process only.
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    let limit = |bytes| setrlimit(Resource::RLIMIT_FSIZE, bytes, most).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let journal = Journal::create(dir, Some("s"), passport()).unwrap();
    let synced = || runtime.block_on(journal.synced());
    let write = |count: usize| {
        for number in 0..count {
            let text = format!("note {number} {}", "y".repeat(number * 2));
            journal.append(Scope::NONE, note(&text));
        }
    };
    limit(10_000);
    write(200);
    match &*journal.status().borrow() {
        SaveStatus::NotSaving { reason } => assert!(reason.contains("directory"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(synced(), SaveStatus::NotSaving { .. }));
    limit(most);
    assert!(journal.retry_saving());
    assert_eq!(synced(), SaveStatus::Saved);
    let len = fs::metadata(super::log_of(dir)).unwrap().len();
    limit(len + 100);
    write(200);
    assert!(matches!(synced(), SaveStatus::NotSaving { .. }));
    limit(most);
    let moved = journal.save_elsewhere(&dir.join("elsewhere")).unwrap();
    assert_eq!(journal.dir(), Some(moved));
    assert_eq!(synced(), SaveStatus::Saved);
    journal.close();
}
