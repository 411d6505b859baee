//! Killed writers and full disks.

use std::fs;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use dspex_tui::session::event::{EventBody, Scope};
use dspex_tui::session::{Journal, SaveStatus, SessionReader};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};

use super::{note, passport};

/// Runs one of this file's `child_…` tests in a process of its own, on `dir`.
fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            &format!("session::faults::{test}"),
            "--ignored",
            "--nocapture",
        ])
        .env("DSPEX_TEST_DIR", dir);
    command
}

fn dir_of_child() -> std::path::PathBuf {
    std::env::var_os("DSPEX_TEST_DIR")
        .expect("run by another test only")
        .into()
}

/// R61, invariant 6: what was acknowledged is there after `kill -9`.
#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    for trial in 0..20 {
        let root = tempfile::tempdir().unwrap();
        let acknowledged = root.path().join("acknowledged");
        let mut writer = child("child_that_writes_until_killed", root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Each byte of output is an acknowledged event, after the harness's words.
        let mut seen = Vec::new();
        let wanted = 40 + trial * 37;
        let mut output = writer.stdout.take().unwrap();
        let mut buffer = [0; 64];
        while seen.iter().filter(|byte| **byte == b'+').count() < wanted {
            let read = output.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "the writer ended by itself");
            seen.extend_from_slice(&buffer[..read]);
        }
        writer.kill().unwrap();
        assert_eq!(writer.wait().unwrap().signal(), Some(9));
        output.read_to_end(&mut seen).unwrap();
        let acked = seen.iter().filter(|byte| **byte == b'+').count() as u64;
        fs::write(&acknowledged, acked.to_string()).unwrap();
        let (_, state, report) = Journal::open(root.path(), "s").unwrap();
        assert!(
            state.seq >= acked,
            "trial {trial}: {} of {acked}",
            state.seq
        );
        assert_eq!(report.missing_events, 0);
        assert_eq!(report.missing_blobs, 0);
    }
}

#[test]
#[ignore = "a child process of the test above"]
fn child_that_writes_until_killed() {
    let journal = Journal::create(&dir_of_child(), Some("s"), passport()).unwrap();
    let stdout = std::io::stdout();
    for number in 0_u64.. {
        journal.append(
            Scope::NONE,
            note(&format!("event {number} {}", "x".repeat(300))),
        );
        nix::unistd::write(&stdout, b"+").unwrap();
    }
    let _ = stdout.as_raw_fd();
}

/// A full disk: events wait in memory, the status says so, and when there is
/// room again, or another directory, nothing is missing.
#[test]
fn a_full_disk_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let done = child("child_with_a_full_disk", root.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    for name in ["s", "elsewhere/s"] {
        let mut reader = SessionReader::open(&root.path().join(name)).unwrap();
        assert_eq!(reader.report().sentence(), None, "{name}");
        let state = reader.final_state();
        assert!(state.notes.len() >= 200, "{name}: {}", state.notes.len());
        let numbers: Vec<_> = state.notes.iter().map(|note| note.seq).collect();
        assert_eq!(
            numbers,
            (1..=numbers.len() as u64).collect::<Vec<_>>(),
            "{name}"
        );
        assert!(
            state.notes.iter().all(|note| note.text.starts_with("note")),
            "{name}"
        );
    }
    let mut reader = SessionReader::open(&root.path().join("elsewhere/s")).unwrap();
    assert_eq!(reader.final_state().notes.len(), 400);
}

#[test]
#[ignore = "a child process of the test above"]
fn child_with_a_full_disk() {
    // A limit of file size is a disk that is full, for this process only.
    // SAFETY: ignoring a signal installs no handler.
    #[expect(
        unsafe_code,
        reason = "without it the limit kills instead of failing the write"
    )]
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    let limit = |bytes| setrlimit(Resource::RLIMIT_FSIZE, bytes, most).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let dir = dir_of_child();
    let journal = Journal::create(&dir, Some("s"), passport()).unwrap();
    let write = |count: usize| {
        for number in 0..count {
            journal.append(
                Scope::NONE,
                note(&format!("note {number} {}", "y".repeat(number * 2))),
            );
        }
    };
    limit(10_000);
    write(200);
    match &*journal.status().borrow() {
        SaveStatus::NotSaving { reason } => assert!(reason.contains("space"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        runtime.block_on(journal.synced()),
        SaveStatus::NotSaving { .. }
    ));
    limit(most);
    assert!(journal.retry_saving());
    assert_eq!(runtime.block_on(journal.synced()), SaveStatus::Saved);
    let len = fs::metadata(super::log_of(&dir)).unwrap().len();
    limit(len + 100);
    write(200);
    assert!(matches!(
        runtime.block_on(journal.synced()),
        SaveStatus::NotSaving { .. }
    ));
    limit(most);
    let moved = journal.save_elsewhere(&dir.join("elsewhere")).unwrap();
    assert_eq!(journal.dir(), Some(moved));
    assert_eq!(runtime.block_on(journal.synced()), SaveStatus::Saved);
    journal.append(Scope::NONE, EventBody::SessionClosed {});
}
