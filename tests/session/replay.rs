//! Time travel and replay as text.

use dspex_tui::session::SessionReader;
use dspex_tui::session::event::Scope;
use dspex_tui::session::replay::{Replay, json, plain};
use dspex_tui::session::state::SessionState;
use dspex_tui::session::{Journal, SaveStatus};

use super::{note, passport, recorded};

/// D3: the state at any event is the fold up to it, whichever way one came.
#[test]
fn jumping_is_stepping() {
    let root = tempfile::tempdir().unwrap();
    let journal = Journal::create(root.path(), Some("s"), passport()).unwrap();
    super::live(&journal, 500); // More than two keyframes.
    drop(journal);
    let open = || SessionReader::open(&root.path().join("s")).unwrap();
    let mut stepped = Replay::new(open());
    let mut jumped = Replay::new(open());
    let len = stepped.len();
    assert!(len > 4096);
    for target in [0, 1, 2047, 2048, 2049, 4100, len] {
        while stepped.position() < target {
            stepped.step().unwrap();
        }
        jumped.jump(len);
        jumped.jump(target);
        assert_eq!(jumped.state().hash(), stepped.state().hash(), "at {target}");
    }
    assert!(stepped.step().is_none());
    assert!(stepped.wait(1.0).is_none());
    assert!(stepped.back());
    assert_eq!(stepped.position(), len - 1);
    stepped.jump(0);
    assert!(!stepped.back());
    assert_eq!(stepped.state().hash(), SessionState::default().hash());
    assert!(stepped.wait(f64::NAN).unwrap() <= std::time::Duration::from_secs(2));
}

/// R64, D1: two replays are byte-identical, say the lived hash, and hold
/// nothing that could move a terminal.
#[test]
fn replays_are_identical_and_harmless() {
    let root = tempfile::tempdir().unwrap();
    let lived = recorded(root.path(), 3);
    let print = || {
        let mut out = Vec::new();
        plain(
            &mut SessionReader::open(&root.path().join("s")).unwrap(),
            None,
            &mut out,
        )
        .unwrap();
        String::from_utf8(out).unwrap()
    };
    let text = print();
    assert_eq!(text, print());
    assert!(
        text.ends_with(&format!("state {}\n", lived.hash())),
        "{text}"
    );
    for part in [
        "[3] error",
        "lm demo · 0.0 ms",
        "demo LM · status 200 · 10→2 tok",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains(|ch: char| ch.is_control() && ch != '\n'));
    let data = json(
        &mut SessionReader::open(&root.path().join("s")).unwrap(),
        None,
    );
    assert_eq!(data["hash"], lived.hash());
    assert_eq!(data["state"]["cells"].as_array().unwrap().len(), 3);
}

/// Invariant 6: once `synced` answers, the line is in the file.
#[tokio::test]
async fn synced_means_written() {
    let root = tempfile::tempdir().unwrap();
    let journal = Journal::create(root.path(), Some("s"), passport()).unwrap();
    for number in 0..20 {
        let seq = journal.append(Scope::NONE, note(&format!("{number}")));
        assert_eq!(journal.synced().await, SaveStatus::Saved);
        let reader = SessionReader::open(&root.path().join("s")).unwrap();
        assert_eq!(reader.len() as u64, seq);
    }
    assert_eq!(Journal::ephemeral().synced().await, SaveStatus::Ephemeral);
}
