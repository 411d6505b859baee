//! What asks a person, and what tells them how a run goes on.

use dspex_tui::app::{InputWanted, State, Waiting};
use dspex_tui::protocol::message::ApprovalRequest;
use dspex_tui::session::event::*;
use dspex_tui::theme::Theme;
use dspex_tui::ui::{Input, Screen};
use serde_json::{Value, json};

use super::{build, draw, key, submitted};

fn waiting(id: u64, tool: &str, arguments: Value) -> Waiting {
    let wanted = ApprovalRequest {
        run: Some(RunId(3)),
        cell: None,
        tool: tool.to_owned(),
        arguments,
    };
    Waiting::elsewhere(id, wanted)
}

fn screen(state: &State) -> Screen {
    let mut screen = Screen::new(Theme::dark());
    screen.update(state, Input::StateChanged);
    screen
}

/// R37: who calls, with which arguments, how many more wait, and what each key does.
#[test]
fn r37_a_call_is_shown_with_its_exact_arguments() {
    let mut state = build::session();
    let order = json!({"target": "moon", "countdown": 7, "crew": ["Ada", "Grace"],
        "note": "a long word to the person who is to allow it, with all that it says, up to its end"});
    state.approvals.waiting = vec![waiting(1, "launch", order), waiting(2, "land", json!({}))];
    for (width, height) in [(120, 36), (80, 24), (40, 12)] {
        insta::assert_snapshot!(
            format!("asked_{width}x{height}"),
            draw(&mut screen(&state), &state, width, height)
        );
    }
}

/// R37: an answer that is on its way is not asked for again; the next call is.
#[test]
fn r37_a_call_is_asked_for_once() {
    let mut state = build::session();
    state.approvals.waiting = vec![waiting(1, "launch", json!({}))];
    let mut screen = screen(&state);
    let shown = |screen: &mut Screen, state: &State| draw(screen, state, 100, 30);
    let answered = key(&mut screen, &state, "y");
    assert_eq!(
        submitted(&answered),
        [("answer_approval", json!({"id": 1, "decision": "allow"}))]
    );
    screen.update(&state, Input::StateChanged);
    assert!(!shown(&mut screen, &state).contains("Allow launch?"));
    state.approvals.waiting.push(waiting(2, "land", json!({})));
    screen.update(&state, Input::StateChanged);
    assert!(shown(&mut screen, &state).contains("Allow land?"));
    // Answered elsewhere, and by a holder that counts anew.
    state.approvals.waiting.clear();
    screen.update(&state, Input::StateChanged);
    assert!(!shown(&mut screen, &state).contains("Allow"));
    state.approvals.waiting = vec![waiting(1, "launch", json!({}))];
    screen.update(&state, Input::StateChanged);
    assert!(shown(&mut screen, &state).contains("Allow launch?"));
}

/// R37: a window that comes up while a person writes takes none of the keys meant for
/// the cell, and allows nothing by them.
#[test]
fn r37_what_is_being_written_answers_nothing() {
    let mut state = build::session();
    let mut screen = screen(&state);
    for letter in ["k", "e"] {
        key(&mut screen, &state, letter);
    }
    state.approvals.waiting = vec![waiting(1, "launch", json!({}))];
    screen.update(&state, Input::StateChanged);
    for letter in ["y", "a", "n"] {
        assert!(submitted(&key(&mut screen, &state, letter)).is_empty());
    }
    let shown = draw(&mut screen, &state, 100, 30);
    assert!(shown.contains("Allow launch?"), "{shown}");
    assert!(shown.contains("keyan"), "{shown}");
    assert!(shown.contains("until you pause"), "{shown}");
    // Ctrl-C is meant for what runs, whenever it comes.
    let stopped = submitted(&key(&mut screen, &state, "Ctrl-C"));
    assert!(
        stopped.iter().any(|(what, _)| *what == "cancel"),
        "{stopped:?}"
    );
}

/// A cell's question is answered under its number, and asked once.
#[test]
fn input_is_asked_for_once() {
    let mut state = build::session();
    let question = |id| InputWanted {
        id,
        cell: CellId(2),
        prompt: "name? ".to_owned(),
        password: false,
    };
    state.input = Some(question(4));
    let mut screen = screen(&state);
    key(&mut screen, &state, "x");
    let answered = key(&mut screen, &state, "Enter");
    assert_eq!(
        submitted(&answered),
        [("reply_input", json!({"text": "x", "id": 4}))]
    );
    screen.update(&state, Input::StateChanged);
    assert!(!draw(&mut screen, &state, 100, 30).contains("[2] name?"));
    state.input = Some(question(5));
    screen.update(&state, Input::StateChanged);
    assert!(draw(&mut screen, &state, 100, 30).contains("[2] name?"));
}

/// R132: how a batch goes on: what has no room is left out whole, and a paused one has
/// neither a rate nor an end in sight.
#[test]
fn r132_a_batch_tells_how_far_it_is() {
    let mut state = build::session();
    let run = RunId(90);
    let mut seq = state.session.seq;
    let mut add = |state: &mut State, body: EventBody| {
        seq += 1;
        state.session.apply(&Event {
            seq,
            time_ms: 1_700_000_000_000,
            mono_ns: seq,
            run: Some(run),
            cell: None,
            body,
            chain: String::new(),
        });
    };
    let started = EventBody::RunStarted {
        run_kind: RunKind::Batch,
        title: "batch triage".to_owned(),
        operation: Some("run_batch".to_owned()),
        arguments: Value::Null,
    };
    add(&mut state, started);
    let progress = Progress::Rows {
        done: 1480,
        failed: 3,
        total: 10_000,
        per_second: 8.24,
        left_s: Some(1033.9),
    };
    add(&mut state, EventBody::Progressed { progress });
    let strip = |state: &State, width| {
        let mut screen = screen(state);
        screen.update(state, Input::Clock(1_700_000_179_600));
        let drawn = draw(&mut screen, state, width, 30);
        let line = drawn.lines().find(|line| line.contains("Ctrl-C stop"));
        line.unwrap_or_else(|| panic!("no strip in\n{drawn}"))
            .trim_end()
            .to_owned()
    };
    let mut strips: Vec<String> = [200, 120, 80, 50].map(|width| strip(&state, width)).into();
    add(&mut state, EventBody::RunPaused {});
    strips.push(strip(&state, 120));
    insta::assert_snapshot!("asked_batch_strips", strips.join("\n"));
}
