//! The view of how the workers are, and the gauge of what they hold.

use dspex_tui::app::health::Held;
use dspex_tui::app::{Message, State, update};
use dspex_tui::theme::Theme;
use dspex_tui::ui::{Action, Input, Screen};
use serde_json::{Value, json};

use super::{build, draw, key, keys, submitted, tag_of, write};

/// Two pools at work: a run in the kernel, one on a worker, one that waits.
fn answer() -> Value {
    let member = |worker: u32, role: &str, state: &str, runs: &[u64], rss: u64| {
        json!({"worker": worker, "role": role, "pid": 4200 + worker, "state": state,
               "runs": runs, "rss_mb": rss, "memory_mb": 2048})
    };
    json!({
        "ok": false,
        "problems": ["worker 5 (optimizer) does not answer"],
        "workers": [member(1, "kernel", "busy", &[11], 312), member(2, "standby", "idle", &[], 118)],
        "pools": [
            {"name": "pool", "size": 2, "busy": 2, "idle": 0, "starting": 0, "queue": 1,
             "queue_limit": 10, "waiting": [14], "restarts": 1, "down": "",
             "workers": [member(3, "pool", "busy", &[12], 1740), member(4, "pool", "busy", &[12], 140)]},
            {"name": "optimizer", "size": 2, "busy": 0, "idle": 0, "starting": 0, "queue": 0,
             "queue_limit": 10, "waiting": [], "restarts": 0, "down": "",
             "workers": [member(5, "optimizer", "unresponsive", &[13], 2300)]},
        ],
        "running": [
            {"run": 11, "title": "[4] train(everything, slowly)", "seconds": 3725.0, "paused": false, "waits": false},
            {"run": 12, "title": "evaluate triage", "seconds": 12.34, "paused": false, "waits": false},
            {"run": 13, "title": "optimize triage", "seconds": 61.0, "paused": true, "waits": false},
            {"run": 14, "title": "qa(question=\"Why is the sky blue, and was it ever green?\")", "seconds": 0.4, "paused": false, "waits": true},
        ],
        "memory": {"python_mb": 4610, "workbench_mb": 21},
        "approvals": 1,
        "session": {"id": "demo", "save": "Saved"},
    })
}

/// A screen whose view has its first answer.
fn opened(state: &State) -> Screen {
    let mut screen = Screen::new(Theme::dark());
    screen.update(state, Input::StateChanged);
    assert!(
        !screen.wants_clock(state),
        "nothing ticks while it is closed"
    );
    let asked = key(&mut screen, state, "Alt-4");
    answered(&mut screen, state, &asked);
    screen
}

fn answered(screen: &mut Screen, state: &State, asked: &[Action]) {
    let tag = tag_of(asked, "health_check");
    let result = Ok(answer());
    screen.update(state, Input::Answered { tag, result });
}

/// R85, R92, R93: who runs what, for how long, what each holds, who waits.
#[test]
fn r85_the_view_shows_every_worker_and_every_run() {
    let state = build::session();
    for (width, height) in [(120, 36), (80, 24), (60, 14)] {
        let mut screen = opened(&state);
        insta::assert_snapshot!(
            format!("health_{width}x{height}"),
            draw(&mut screen, &state, width, height)
        );
    }
}

/// R93: a run is cancelled from the view; the selection stays on its run.
#[test]
fn r93_the_selected_run_is_cancelled() {
    let state = build::session();
    let mut screen = opened(&state);
    keys(&mut screen, &state, &["Down", "Down", "Down", "Up"]);
    let asked = key(&mut screen, &state, "c");
    assert_eq!(submitted(&asked), [("cancel", json!({"run": 13}))]);
    keys(&mut screen, &state, &["Enter"]);
    assert!(
        !screen.wants_clock(&state),
        "`Enter` leaves it for the trace"
    );
}

/// It asks anew while it is open, never twice at once, and not at all when closed.
#[test]
fn the_view_asks_while_it_is_open() {
    let state = build::session();
    let mut screen = Screen::new(Theme::dark());
    write(&mut screen, &state, ":health");
    let asked = key(&mut screen, &state, "Enter");
    assert_eq!(submitted(&asked), [("health_check", json!({}))]);
    assert!(screen.wants_clock(&state));
    let tick = |screen: &mut Screen, ms: i64| {
        let asked = screen.update(&state, Input::Clock(1_000_000 + ms));
        submitted(&asked).len()
    };
    assert_eq!(
        [tick(&mut screen, 0), tick(&mut screen, 2_000)],
        [0, 0],
        "the first is on its way"
    );
    answered(&mut screen, &state, &asked);
    assert_eq!([tick(&mut screen, 2_250), tick(&mut screen, 2_500)], [1, 0]);
    key(&mut screen, &state, "Esc");
    assert_eq!(tick(&mut screen, 9_000), 0);
    assert!(!screen.wants_clock(&state));
}

/// R123: the gauge of memory stands in the status line, and names who is too full.
#[test]
fn r123_the_status_line_has_a_gauge_of_memory() {
    let mut state = build::session();
    let held = |role, worker, rss_mb| Held {
        role,
        worker,
        rss_mb,
        memory_mb: 2048,
    };
    let mut top = |held: Vec<Held>, width| {
        update(&mut state, Message::MemoryRead(held));
        let mut screen = Screen::new(Theme::dark());
        screen.update(&state, Input::StateChanged);
        let drawn = draw(&mut screen, &state, width, 24);
        drawn.lines().next().unwrap_or_default().to_owned()
    };
    let calm = top(vec![held("kernel", 1, 300), held("pool", 3, 900)], 160);
    assert!(calm.contains("mem ▄ 1.2 GB"), "{calm}");
    let full = top(vec![held("kernel", 1, 300), held("pool", 3, 1_900)], 160);
    assert!(full.contains("mem pool 3 1.9 GB of 2.0 GB"), "{full}");
    let narrow = top(vec![held("kernel", 1, 2_300)], 80);
    assert!(narrow.contains("mem 112 %"), "{narrow}");
}
