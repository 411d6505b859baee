//! Writing and reading back in good order.

use std::borrow::Cow;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use dspex_tui::session::event::{Document, EventBody, Scope};
use dspex_tui::session::{Journal, SaveStatus, SessionError, SessionReader, catalog, line};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{live, live_one_cell, note, passport, recorded, response_of};

/// R61, invariant 5: the state read back is the state that was lived.
#[test]
fn lived_and_reopened_have_the_same_hash() {
    let root = tempfile::tempdir().unwrap();
    let lived = recorded(root.path(), 5);
    let (journal, opened, report) = Journal::open(root.path(), "s").unwrap();
    assert_eq!(report.sentence(), None);
    assert_eq!(report.unknown_events, 0);
    assert_eq!(opened.hash(), lived.hash());
    // It goes on where it was.
    assert_eq!(journal.append(Scope::NONE, note("again")), lived.seq + 1);
    journal.close();
    let mut reader = SessionReader::open(&root.path().join("s")).unwrap();
    assert_eq!(reader.len() as u64, lived.seq + 2);
    assert!(reader.report().closed);
    assert_eq!(reader.state_at(lived.seq as usize).hash(), lived.hash());
    let body = reader.document(&response_of(&lived, 3)).unwrap();
    assert_eq!(body, br#"{"n": 3}"#);
}

#[test]
fn an_ephemeral_journal_publishes_and_keeps_documents_in_memory() {
    let journal = Journal::ephemeral();
    let state = live(&journal, 2);
    assert_eq!(state.cells.len(), 2);
    assert_eq!(journal.dir(), None);
    assert_eq!(*journal.status().borrow(), SaveStatus::Ephemeral);
    let long = "x".repeat(5000);
    let document = journal.document(long.as_bytes());
    assert!(matches!(document, Document::Blob(_)));
    assert_eq!(journal.read_document(&document).unwrap(), long.as_bytes());
}

/// D1, invariant 5: altering any one event changes the state hash, even one that
/// shows nowhere, and even when its CRC is made right again.
#[test]
fn altering_any_event_changes_the_hash() {
    let root = tempfile::tempdir().unwrap();
    let lived = recorded(root.path(), 2);
    let dir = root.path().join("s");
    let path = super::log_of(root.path());
    let whole = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len() as u64, lived.seq);
    for (idx, text) in lines.iter().enumerate() {
        let decoded = line::decode(&text[..text.len() - 1]).unwrap();
        let mut head = decoded.head;
        head.time_ms += 1;
        let d = decoded.d.get();
        let (forged, _) = line::encode(head, &decoded.kind, d, &line::CHAIN_START);
        let mut log = lines.clone();
        log[idx] = &forged;
        fs::write(&path, log.concat()).unwrap();
        let mut reader = SessionReader::open(&dir).unwrap();
        assert_eq!(reader.report().sentence(), None);
        assert_ne!(reader.final_state().hash(), lived.hash(), "event {idx}");
    }
}

/// R5, invariant 4: a secret never reaches the disk or a subscriber.
#[test]
fn a_secret_is_nowhere() {
    const SECRET: &str = "sk-canary-5e1f";
    let root = tempfile::tempdir().unwrap();
    let journal = Journal::create(root.path(), Some("s"), passport()).unwrap();
    journal.set_redactor(Arc::new(|text| {
        if text.contains(SECRET) {
            Cow::Owned(text.replace(SECRET, "[secret]"))
        } else {
            Cow::Borrowed(text)
        }
    }));
    let mut events = journal.subscribe();
    let long = format!("{}{SECRET}", "x".repeat(5000));
    let larger = format!("{}{SECRET}", "y".repeat(2 << 20));
    for text in [SECRET, &long, &larger] {
        journal.append(Scope::NONE, note(text));
        let body = json!({SECRET: [text]}).to_string();
        let kept = journal.tree(body.as_bytes(), &serde_json::from_str(&body).unwrap());
        assert!(!format!("{kept:?}").contains(SECRET));
        journal.document(body.as_bytes());
        let mut binary = vec![0xff];
        binary.extend_from_slice(text.as_bytes());
        journal.put_blob(&binary);
    }
    journal.close();
    let mut seen = 0;
    while let Ok(event) = events.try_recv() {
        assert!(!format!("{event:?}").contains(SECRET));
        seen += 1;
    }
    assert_eq!(seen, 4);
    let files = files_under(root.path());
    assert!(files.len() >= 5, "{files:?}");
    for path in files {
        let bytes = fs::read(&path).unwrap();
        assert!(
            !bytes
                .windows(SECRET.len())
                .any(|window| window == SECRET.as_bytes()),
            "{}",
            path.display()
        );
    }
}

#[test]
fn what_repeats_is_kept_once_and_files_are_private() {
    let root = tempfile::tempdir().unwrap();
    let journal = Journal::create(root.path(), Some("s"), passport()).unwrap();
    let request = json!({"system": "a very long prompt ".repeat(1000), "n": 1}).to_string();
    let tree = |text: &str| journal.tree(text.as_bytes(), &serde_json::from_str(text).unwrap());
    let first = tree(&request);
    let pack = root.path().join("s").join("blobs-000001.pack");
    let len = fs::metadata(&pack).unwrap().len();
    let second = tree(&request.replace("\"n\":1", "\"n\":2"));
    assert_eq!(fs::metadata(&pack).unwrap().len(), len);
    assert_ne!(first, second);
    assert_eq!(journal.read_document(&first).unwrap(), request.as_bytes());
    live_one_cell(&journal, 1);
    journal.close();
    for path in files_under(root.path()) {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let mode = fs::metadata(root.path().join("s"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// R59: an id is given or generated; the catalogue knows both.
#[test]
fn sessions_are_listed_and_found() {
    let root = tempfile::tempdir().unwrap();
    recorded(root.path(), 2);
    let journal = Journal::create(root.path(), None, passport()).unwrap();
    live(&journal, 1);
    let generated = journal.id().to_owned();
    let sessions = catalog::list(root.path()).unwrap();
    assert_eq!(sessions.len(), 2);
    let listed = |id: &str| sessions.iter().find(|session| session.id == id).unwrap();
    let first = listed("s");
    assert_eq!((first.cells, first.runs, first.calls), (2, 2, 2));
    assert!(first.title.starts_with("qa(question=1)"), "{}", first.title);
    assert_eq!(first.open_by, None);
    let second = listed(&generated);
    assert_eq!(second.open_by.as_ref().unwrap().pid, std::process::id());

    let found = |wanted: &str| catalog::resolve(root.path(), wanted);
    let dir = root.path().join(&generated);
    assert_eq!(found(&generated).unwrap(), dir);
    assert_eq!(found(&generated[..8]).unwrap(), dir);
    assert_eq!(found(dir.to_str().unwrap()).unwrap(), dir);
    assert_eq!(found("latest").unwrap(), dir);
    Journal::create(root.path(), Some("triage"), passport()).unwrap();
    match found("triagge") {
        Err(SessionError::NotFound { near, .. }) => assert_eq!(near, ["triage"]),
        other => panic!("{other:?}"),
    }
    Journal::create(root.path(), Some("triage-2"), passport()).unwrap();
    assert!(matches!(found("tri"), Err(SessionError::Ambiguous { .. })));
    assert!(matches!(found("../s"), Err(SessionError::NotASession(_))));
    let again = Journal::create(root.path(), Some("s"), passport());
    assert!(matches!(again, Err(SessionError::Exists(_))));

    assert!(matches!(
        catalog::remove(root.path(), &generated),
        Err(SessionError::Locked { .. })
    ));
    journal.close();
    catalog::remove(root.path(), &generated).unwrap();
    assert!(!dir.exists());
}

/// A second opener is told who has the session; a reader follows it.
#[test]
fn one_writes_and_others_follow() {
    let root = tempfile::tempdir().unwrap();
    let journal = Journal::create(root.path(), Some("s"), passport()).unwrap();
    let mut reader = SessionReader::open(&journal.dir().unwrap()).unwrap();
    assert!(reader.is_empty());
    journal
        .announce_socket(Path::new("/run/dspex.sock"))
        .unwrap();
    match Journal::open(root.path(), "s") {
        Err(SessionError::Locked { by, .. }) => {
            assert_eq!(by.pid, std::process::id());
            assert_eq!(by.socket.as_deref(), Some(Path::new("/run/dspex.sock")));
            assert!(by.start_time > 0);
        }
        other => panic!("{other:?}"),
    }
    let lived = live(&journal, 1);
    assert_eq!(reader.poll_new().unwrap().len() as u64, lived.seq);
    assert_eq!(reader.final_state().hash(), lived.hash());
    assert!(reader.poll_new().unwrap().is_empty());
    drop(journal);
    assert!(Journal::open(root.path(), "s").is_ok());
}

/// Append 100,000 events of 1 kB: the figure is printed, not judged.
#[test]
fn speed_of_a_long_session() {
    let root = tempfile::tempdir().unwrap();
    let journal = Journal::create(root.path(), Some("s"), passport()).unwrap();
    let count = if cfg!(debug_assertions) {
        10_000
    } else {
        100_000
    };
    let line = "some text of a cell ".repeat(9);
    let body = EventBody::Unknown {
        kind: "filler".to_owned(),
        d: json!([line, line, line, line, line]),
    };
    let start = Instant::now();
    for _ in 0..count {
        journal.append(Scope::NONE, body.clone());
    }
    let appended = start.elapsed();
    journal.close();
    let start = Instant::now();
    let mut reader = SessionReader::open(&root.path().join("s")).unwrap();
    let first = start.elapsed();
    let start = Instant::now();
    SessionReader::open(&root.path().join("s")).unwrap();
    let indexed = start.elapsed();
    let start = Instant::now();
    reader.final_state();
    println!(
        "{count} events of 1 kB: {:?} an append, opened in {first:?}, with index in {indexed:?}, folded in {:?}",
        appended / count,
        start.elapsed()
    );
    assert_eq!(reader.len(), count as usize + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Any texts and any JSON come back as they were published.
    #[test]
    fn any_event_comes_back(texts in prop::collection::vec(any::<String>(), 1..8), number in any::<f64>()) {
        let root = tempfile::tempdir().unwrap();
        let journal = Journal::create(root.path(), Some("s"), passport()).unwrap();
        let mut events = journal.subscribe();
        for text in &texts {
            journal.append(Scope::NONE, note(text));
            let d: Value = json!({text.clone(): number, "$blob": text.repeat(20)});
            journal.append(Scope::NONE, EventBody::Unknown { kind: "odd".to_owned(), d });
        }
        let mut reader = SessionReader::open(&journal.dir().unwrap()).unwrap();
        let read = reader.events(1..=usize::MAX);
        let mut lived = Vec::new();
        while let Ok(event) = events.try_recv() {
            lived.push((*event).clone());
        }
        prop_assert_eq!(read, lived);
    }
}

fn files_under(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path));
        } else {
            files.push(path);
        }
    }
    files
}
