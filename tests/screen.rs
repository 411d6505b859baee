//! The screen drawn from hand-made sessions, and driven by keys.

mod asked;
mod build;
mod health;
mod modules;
mod reach;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use dspex_tui::app::State;
use dspex_tui::theme::Theme;
use dspex_tui::ui::{Action, Input, Screen};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use build::session;

fn draw(screen: &mut Screen, state: &State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.draw(state, frame)).unwrap();
    let buffer = terminal.backend().buffer().clone();
    let mut text = String::new();
    for y in 0..height {
        let mut skip = 0;
        let mut line = String::new();
        for x in 0..width {
            if skip > 0 {
                skip -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn key(screen: &mut Screen, state: &State, name: &str) -> Vec<Action> {
    let (name, mut held) = match name.rsplit_once('-').filter(|(held, _)| !held.is_empty()) {
        Some(("Ctrl", key)) => (key, KeyModifiers::CONTROL),
        Some(("Alt", key)) => (key, KeyModifiers::ALT),
        Some(("Shift", key)) => (key, KeyModifiers::SHIFT),
        _ => (name, KeyModifiers::NONE),
    };
    let code = match name {
        "Enter" => KeyCode::Enter,
        "Esc" => KeyCode::Esc,
        "Tab" if held == KeyModifiers::SHIFT => KeyCode::BackTab,
        "Tab" => KeyCode::Tab,
        "Up" => KeyCode::Up,
        "Down" => KeyCode::Down,
        "Left" => KeyCode::Left,
        "Right" => KeyCode::Right,
        "Home" => KeyCode::Home,
        "End" => KeyCode::End,
        "PageUp" => KeyCode::PageUp,
        "PageDown" => KeyCode::PageDown,
        "Backspace" => KeyCode::Backspace,
        "Space" => KeyCode::Char(' '),
        name if name.len() > 1 && name.starts_with('F') => KeyCode::F(name[1..].parse().unwrap()),
        name => {
            let mut ch = name.chars().next().unwrap();
            if held == KeyModifiers::CONTROL {
                ch = ch.to_ascii_lowercase();
            } else if ch.is_uppercase() {
                held |= KeyModifiers::SHIFT;
            }
            KeyCode::Char(ch)
        }
    };
    screen.update(state, Input::Key(KeyEvent::new(code, held)))
}

fn keys(screen: &mut Screen, state: &State, names: &[&str]) -> Vec<Action> {
    names
        .iter()
        .flat_map(|name| key(screen, state, name))
        .collect()
}

fn write(screen: &mut Screen, state: &State, text: &str) {
    for ch in text.chars() {
        key(screen, state, &ch.to_string());
    }
}

fn submitted(actions: &[Action]) -> Vec<(&'static str, serde_json::Value)> {
    let of = |action| match action {
        Action::Submit {
            operation,
            arguments,
            ..
        } => Some((operation, arguments)),
        _ => None,
    };
    let of = |action: &'_ Action| of(action.clone());
    actions.iter().filter_map(of).collect()
}

fn tag_of(actions: &[Action], wanted: &str) -> u64 {
    let found = actions.iter().rev().find_map(|action| match action {
        Action::Submit { tag, operation, .. } if *operation == wanted => Some(*tag),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no {wanted} in {actions:?}"))
}

/// R137: the main screen at three sizes, and the word below the least.
#[test]
fn the_main_screen() {
    let state = session();
    for (width, height) in [(200, 60), (120, 36), (80, 24), (60, 20), (40, 10), (20, 6)] {
        let mut screen = Screen::new(Theme::dark());
        screen.update(&state, Input::StateChanged);
        insta::assert_snapshot!(
            format!("main_{width}x{height}"),
            draw(&mut screen, &state, width, height)
        );
    }
}

/// R112, R135, R136, R137: every other view at 120×36.
#[test]
fn every_view() {
    let state = session();
    for (name, path) in [
        ("lm", ["F2"].as_slice()),
        ("lm_form", &["F2", "n"]),
        ("trace", &["F4", "Down", "Down", "Down"]),
        ("trace_filter", &["F4", "/", "t", "o", "o", "l"]),
        ("trace_diff", &["F4", "Enter", "Left"]),
        ("history", &["Ctrl-R", "q", "a"]),
        ("optimise", &["F5"]),
        ("data", &["F7"]),
        ("help", &["Esc", "?"]),
        ("palette", &["Ctrl-P", "d", "e", "m", "o"]),
    ] {
        let mut screen = Screen::new(Theme::dark());
        screen.update(&state, Input::StateChanged);
        keys(&mut screen, &state, path);
        insta::assert_snapshot!(format!("view_{name}"), draw(&mut screen, &state, 120, 36));
    }
}

#[test]
fn a_cell_is_written_and_run() {
    let state = session();
    let mut screen = Screen::new(Theme::dark());
    write(&mut screen, &state, "def f(x):");
    assert!(
        key(&mut screen, &state, "Enter").is_empty(),
        "an open block is not run"
    );
    write(&mut screen, &state, "return x");
    assert!(key(&mut screen, &state, "Enter").is_empty());
    let actions = key(&mut screen, &state, "F9");
    assert_eq!(
        submitted(&actions),
        [("run_cell", json!({"source": "def f(x):\n    return x"}))]
    );
    write(&mut screen, &state, "1 + 1");
    let actions = key(&mut screen, &state, "Enter");
    assert_eq!(
        submitted(&actions),
        [("run_cell", json!({"source": "1 + 1"}))]
    );
}

#[test]
fn a_command_line_goes_to_the_core() {
    let state = session();
    let mut screen = Screen::new(Theme::dark());
    write(&mut screen, &state, ":lm use demo");
    let actions = key(&mut screen, &state, "Enter");
    assert_eq!(
        submitted(&actions),
        [("command", json!({"line": ":lm use demo"}))]
    );
}

/// R47, D4: the prompt is asked for at every key, and an old answer is dropped.
#[test]
fn the_prompt_follows_every_key() {
    let state = session();
    let mut screen = Screen::new(Theme::dark());
    let opened = key(&mut screen, &state, "F3");
    let stale = tag_of(&opened, "render_prompt");
    keys(&mut screen, &state, &["Down", "e"]);
    let actions = key(&mut screen, &state, "x");
    let asked = submitted(&actions);
    assert_eq!(asked[0].0, "render_prompt");
    assert_eq!(
        asked[0].1["signature"]["inputs"][0]["name"],
        json!("questionx")
    );
    let fresh = tag_of(&actions, "render_prompt");
    let answer = |text: &str| Ok(json!({"messages": [{"role": "system", "content": text}]}));
    screen.update(
        &state,
        Input::Answered {
            tag: fresh,
            result: answer("THE NEW PROMPT"),
        },
    );
    screen.update(
        &state,
        Input::Answered {
            tag: stale,
            result: answer("THE OLD PROMPT"),
        },
    );
    let drawn = draw(&mut screen, &state, 120, 36);
    assert!(
        drawn.contains("THE NEW PROMPT") && !drawn.contains("THE OLD PROMPT"),
        "{drawn}"
    );
    // Undo brings the field's name back.
    keys(&mut screen, &state, &["Enter", "u"]);
    assert!(draw(&mut screen, &state, 120, 36).contains("question "));
}

#[test]
fn a_form_says_what_is_wrong() {
    let state = session();
    let mut screen = Screen::new(Theme::dark());
    keys(&mut screen, &state, &["F2", "n"]);
    for _ in 0..8 {
        key(&mut screen, &state, "Enter");
    }
    let drawn = draw(&mut screen, &state, 120, 36);
    assert!(drawn.contains("a name of 1 to 64 letters"), "{drawn}");
}

/// R57: no control character reaches a cell of the screen.
#[test]
fn hostile_text_is_shown_not_obeyed() {
    let state = build::hostile();
    for view in ["Esc", "F2", "F3", "F4", "F5", "F7"] {
        let mut screen = Screen::new(Theme::dark());
        screen.update(&state, Input::StateChanged);
        key(&mut screen, &state, view);
        let drawn = draw(&mut screen, &state, 120, 36);
        assert!(
            !drawn.chars().any(|ch| ch.is_control() && ch != '\n'),
            "{view}: {drawn:?}"
        );
    }
}

/// Without colour nothing is coloured, also not what programs coloured.
#[test]
fn no_color_means_none() {
    let state = session();
    let mut screen = Screen::new(Theme::mono());
    screen.update(&state, Input::StateChanged);
    let mut terminal = Terminal::new(TestBackend::new(120, 36)).unwrap();
    terminal.draw(|frame| screen.draw(&state, frame)).unwrap();
    for cell in terminal.backend().buffer().content() {
        let plain = ratatui::style::Color::Reset;
        assert_eq!((cell.fg, cell.bg), (plain, plain), "{cell:?}");
    }
}

const KEYS: &[&str] = &[
    "Enter",
    "Esc",
    "Tab",
    "Shift-Tab",
    "Up",
    "Down",
    "Left",
    "Right",
    "Home",
    "End",
    "PageUp",
    "PageDown",
    "Backspace",
    "Space",
    "F1",
    "F2",
    "F3",
    "F4",
    "F5",
    "F6",
    "F7",
    "F8",
    "F9",
    "F12",
    "Ctrl-P",
    "Ctrl-C",
    "Ctrl-Q",
    "Ctrl-R",
    "Ctrl-S",
    "Ctrl-O",
    "Alt-1",
    "Alt-2",
    "Alt-3",
    "Alt-4",
    "c",
    "Alt-Enter",
    "Alt-Up",
    "Alt-Down",
    "a",
    "d",
    "e",
    "i",
    "k",
    "n",
    "o",
    "r",
    "s",
    "t",
    "u",
    "x",
    "y",
    "z",
    ":",
    "?",
    "/",
    "[",
    "]",
    "(",
    "漢",
    "é",
    "\"",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is pressed at whatever size, the screen draws.
    #[test]
    fn no_key_and_no_size_panics(steps in prop::collection::vec((0..KEYS.len(), 0u16..140, 0u16..50), 1..60)) {
        let state = session();
        let mut screen = Screen::new(Theme::dark());
        for (at, width, height) in steps {
            key(&mut screen, &state, KEYS[at]);
            screen.update(&state, Input::Resize(width, height));
            draw(&mut screen, &state, width, height);
        }
    }
}
