//! What keys reach: tokens as they come, filter, history, undo, sessions,
//! servers of this machine.

use dspex_tui::gateway::TokenDelta;
use dspex_tui::session::event::{LmProfile, RunId};
use dspex_tui::theme::Theme;
use dspex_tui::ui::{Action, Input, Screen};
use serde_json::{Value, json};

use super::build::{answered, asking, bereaved, session};
use super::{draw, key, keys, submitted, tag_of, write};

fn answer(screen: &mut Screen, state: &dspex_tui::app::State, tag: u64, result: Value) {
    let result = Ok(result);
    screen.update(state, Input::Answered { tag, result });
}

fn says(text: &str) -> Input {
    Input::Tokens(vec![TokenDelta {
        run: RunId(6),
        span: Some("6-2".into()),
        text: text.into(),
    }])
}

/// Tokens of the run on the screen are shown as they come, in the cell
/// and in the trace, and give way to the answer.
#[test]
fn tokens_are_shown_as_they_come() {
    let state = asking();
    let mut screen = Screen::new(Theme::dark());
    screen.update(&state, Input::StateChanged);
    assert_eq!(screen.watching(&state), Some(RunId(6)));
    screen.update(
        &state,
        says("[[ ## answer ## ]]\nBecause light\u{1b}[2J scat"),
    );
    screen.update(&state, says("ters"));
    let drawn = draw(&mut screen, &state, 140, 40);
    // Below the cell, in the row of the tree, in the tabs.
    assert_eq!(drawn.matches("scatters").count(), 3, "{drawn}");
    assert!(!drawn.contains('\u{1b}'));
    let state = answered();
    screen.update(&state, Input::StateChanged);
    let drawn = draw(&mut screen, &state, 140, 40);
    assert!(!drawn.contains("scatters"), "{drawn}");
    assert!(drawn.contains("Because."), "{drawn}");
}

/// Nothing is streamed for a screen that does not show it.
#[test]
fn only_what_is_on_the_screen_is_watched() {
    let state = asking();
    let mut screen = Screen::new(Theme::dark());
    key(&mut screen, &state, "F2");
    assert_eq!(screen.watching(&state), None);
    key(&mut screen, &state, "F4");
    assert_eq!(screen.watching(&state), Some(RunId(6)));
    screen.set_replay(Some((1, 2)));
    assert_eq!(screen.watching(&state), None);
    assert_eq!(Screen::new(Theme::dark()).watching(&session()), None);
}

/// R137: spans are filtered by words; `n` goes on; Esc shows all again.
#[test]
fn the_trace_is_filtered() {
    let state = session();
    let mut screen = Screen::new(Theme::dark());
    keys(&mut screen, &state, &["F4", "/"]);
    write(&mut screen, &state, "error");
    let drawn = draw(&mut screen, &state, 120, 36);
    assert!(drawn.contains("1 of 6"), "{drawn}");
    assert!(
        drawn.contains("tool search") && !drawn.contains("format"),
        "{drawn}"
    );
    keys(&mut screen, &state, &["Enter", "n", "Esc"]);
    assert!(draw(&mut screen, &state, 120, 36).contains("format ChatAdapter"));
    keys(&mut screen, &state, &["/", "q", "q", "q"]);
    assert!(draw(&mut screen, &state, 120, 36).contains("no span fits"));
}

/// A call is sent to the notebook as an example.
#[test]
fn a_call_becomes_an_example() {
    let state = session();
    let mut screen = Screen::new(Theme::dark());
    keys(&mut screen, &state, &["F4", "s"]);
    let drawn = draw(&mut screen, &state, 120, 36);
    assert!(drawn.contains("example = dspy.Example("), "{drawn}");
    assert!(drawn.contains("answer=\"Rayleigh scattering\","), "{drawn}");
    assert!(drawn.contains(".with_inputs(\"question\")"), "{drawn}");
}

/// Earlier cells are found by letters and put into the editor.
#[test]
fn history_is_searched() {
    let state = session();
    let mut screen = Screen::new(Theme::dark());
    key(&mut screen, &state, "Ctrl-R");
    write(&mut screen, &state, "chain");
    key(&mut screen, &state, "Enter");
    let actions = key(&mut screen, &state, "F9");
    let source = "qa = dspy.ChainOfThought(\"question -> answer\")";
    assert_eq!(
        submitted(&actions),
        [("run_cell", json!({"source": source}))]
    );
}

/// A deleted cell comes back.
#[test]
fn deleting_is_undone() {
    let state = session();
    let mut screen = Screen::new(Theme::dark());
    screen.update(&state, Input::StateChanged);
    let actions = keys(&mut screen, &state, &["Esc", "d", "u"]);
    assert_eq!(
        submitted(&actions),
        [
            ("delete_cell", json!({"cell": 4})),
            ("restore_cell", json!({}))
        ]
    );
}

fn sessions() -> Value {
    let of = |id: &str, name: &str, title: &str, problem: &str| {
        json!({"id": id, "name": name, "title": title, "problem": problem, "events": 120,
               "calls": 12, "cost": 0.0123, "modified_ms": 1_700_000_000_000_i64})
    };
    json!({"sessions": [
        of("20261121-101500-ab12", "triage", "qa = dspy.Predict(\"question -> answer\")", ""),
        of("20261120-080000-cd34", "", ":lm use demo", ""),
        of("20261119-070000-ef56", "broken", "", "the log cannot be read"),
    ]})
}

/// R136: sessions are listed, opened, and two of them compared.
#[test]
fn sessions_are_opened_and_compared() {
    let state = session();
    let mut screen = Screen::new(Theme::dark());
    let asked = key(&mut screen, &state, "F6");
    let tag = tag_of(&asked, "list_sessions");
    answer(&mut screen, &state, tag, sessions());
    let actions = key(&mut screen, &state, "o");
    assert_eq!(
        actions,
        [Action::OpenSession("20261121-101500-ab12".into())]
    );
    assert!(
        key(&mut screen, &state, "c").is_empty(),
        "one must be marked"
    );
    let actions = keys(&mut screen, &state, &["Space", "Down", "c"]);
    let wanted = json!({"left": "20261121-101500-ab12", "right": "20261120-080000-cd34"});
    assert_eq!(submitted(&actions), [("compare_sessions", wanted.clone())]);
    let drawn = draw(&mut screen, &state, 120, 36);
    // The clock's zone is the machine's.
    let drawn = drawn.replace(&moment(), "<when>             ");
    insta::assert_snapshot!("view_sessions", drawn);
    let tag = tag_of(&actions, "compare_sessions");
    let mut compared = wanted;
    compared["rows"] = json!([
        {"what": "dspy", "left": "3.4.1", "right": "3.4.1"},
        {"what": "LM calls", "left": "12", "right": "7"},
        {"what": "program qa", "left": "v2 · 84.0", "right": ""},
    ]);
    compared["cells"] = json!([
        {"change": "same", "left": 1, "right": 1, "source": ":lm use demo"},
        {"change": "source", "left": 2, "right": 2, "source": "x = 1", "changed": "x = 2"},
        {"change": "outputs", "left": 3, "right": 3, "source": "qa(question=\"why?\")"},
        {"change": "added", "left": null, "right": 4, "source": "y = 3"},
    ]);
    answer(&mut screen, &state, tag, compared);
    insta::assert_snapshot!("view_compare", draw(&mut screen, &state, 120, 36));
    key(&mut screen, &state, "Esc");
    assert!(draw(&mut screen, &state, 120, 36).contains("Sessions · 3"));
}

fn moment() -> String {
    let zone = jiff::tz::TimeZone::system();
    let time = jiff::Timestamp::from_millisecond(1_700_000_000_000).unwrap();
    let time = time.to_zoned(zone);
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// R135: servers of this machine are found and become profiles.
#[test]
fn servers_of_this_machine_become_profiles() {
    let state = session();
    let mut screen = Screen::new(Theme::dark());
    let asked = key(&mut screen, &state, "F2");
    let tag = tag_of(&asked, "find_local_lms");
    let found = json!({"servers": [{"server": "Ollama", "port": 11434, "provider": "ollama",
        "api_base": "http://127.0.0.1:11434", "models": ["llama3.2:latest"], "latency_ms": 2.0}]});
    answer(&mut screen, &state, tag, found);
    keys(&mut screen, &state, &["Down", "Down"]);
    insta::assert_snapshot!("view_lm_local", draw(&mut screen, &state, 120, 36));
    key(&mut screen, &state, "Enter");
    let mut actions = Vec::new();
    for _ in 0..8 {
        actions.extend(key(&mut screen, &state, "Enter"));
    }
    assert_eq!(
        submitted(&actions),
        [(
            "configure_lm",
            json!({"name": "llama3.2-latest", "provider": "ollama", "model": "llama3.2:latest",
                   "api_base": "http://127.0.0.1:11434"})
        )]
    );
}

/// R8: in the form of a profile Tab offers providers, and the models that the server
/// says it has; what it says instead of a list stands in the hint line.
#[test]
fn the_form_offers_what_can_stand_in_it() {
    let state = session();
    let mut screen = Screen::new(Theme::dark());
    keys(&mut screen, &state, &["F2", "n"]);
    write(&mut screen, &state, "mine");
    key(&mut screen, &state, "Tab");
    write(&mut screen, &state, "opena");
    key(&mut screen, &state, "Tab");
    let drawn = draw(&mut screen, &state, 120, 36);
    assert!(drawn.contains("provider          openai "), "{drawn}");
    keys(&mut screen, &state, &["Tab"]);
    let asked = key(&mut screen, &state, "Tab");
    let tag = tag_of(&asked, "list_models");
    assert_eq!(submitted(&asked)[0].1, json!({"provider": "openai"}));
    let models = json!({"models": ["gpt-4o", "gpt-4o-mini", "o3"], "provider": "openai",
        "url": "https://api.openai.com/v1/models", "latency_ms": 2.0});
    answer(&mut screen, &state, tag, models);
    for (width, height) in [(120, 36), (80, 24)] {
        let drawn = draw(&mut screen, &state, width, height);
        insta::assert_snapshot!(format!("form_models_{width}x{height}"), drawn);
    }
    keys(&mut screen, &state, &["Down", "Enter"]);
    let drawn = draw(&mut screen, &state, 120, 36);
    assert!(drawn.contains("model             gpt-4o-mini "), "{drawn}");
    // Known now: nothing is asked again.
    let again = keys(&mut screen, &state, &["Up", "Down", "Tab"]);
    assert!(submitted(&again).is_empty());

    // The command line offers the same, and asks where it does not know.
    keys(&mut screen, &state, &["Esc", ":"]);
    write(&mut screen, &state, "lm add anthropic model=");
    let asked = key(&mut screen, &state, "Tab");
    let tag = tag_of(&asked, "list_models");
    let models =
        json!({"models": ["claude-one"], "provider": "anthropic", "url": "", "latency_ms": 2.0});
    answer(&mut screen, &state, tag, models);
    let drawn = draw(&mut screen, &state, 120, 36);
    assert!(
        drawn.contains(":lm add anthropic model=claude-one"),
        "{drawn}"
    );
}

/// R130, R131: what was measured, in a window that fits.
#[test]
fn metrics_stand_in_a_window() {
    let state = answered();
    for (width, height) in [(120, 36), (80, 24)] {
        let mut screen = Screen::new(Theme::dark());
        key(&mut screen, &state, ":");
        write(&mut screen, &state, "metrics");
        let actions = key(&mut screen, &state, "Enter");
        assert!(submitted(&actions).is_empty(), "nothing is recorded");
        let drawn = draw(&mut screen, &state, width, height);
        insta::assert_snapshot!(format!("metrics_{width}x{height}"), drawn);
        key(&mut screen, &state, "Esc");
        assert!(!draw(&mut screen, &state, width, height).contains("LM calls ·"));
    }
}

/// What is lost with a direct profile is said where it is looked at.
#[test]
fn a_direct_profile_says_what_is_lost() {
    let mut state = session();
    let profile = LmProfile {
        name: "zz-haiku".into(),
        model: "bedrock/anthropic.claude-3-haiku-20240307-v1:0".into(),
        ..LmProfile::default()
    };
    state.session.lms.insert(profile.name.clone(), profile);
    let mut screen = Screen::new(Theme::dark());
    keys(&mut screen, &state, &["F2", "End"]);
    for (width, height) in [(120, 36), (80, 24)] {
        let drawn = draw(&mut screen, &state, width, height);
        insta::assert_snapshot!(format!("direct_profile_{width}x{height}"), drawn);
    }
}

/// Names that went with a kernel are listed where names are.
#[test]
fn lost_names_are_listed() {
    let state = bereaved();
    let mut screen = Screen::new(Theme::dark());
    screen.update(&state, Input::StateChanged);
    let drawn = draw(&mut screen, &state, 120, 36);
    assert!(drawn.contains("▾ Lost"), "{drawn}");
    assert!(
        drawn.contains("† qa") && drawn.contains("re-run [2]"),
        "{drawn}"
    );
    assert!(drawn.contains("† x"), "{drawn}");
}

/// F3 with the prompt DSPy would send, at two widths.
#[test]
fn the_signature_editor() {
    let state = session();
    for (width, height) in [(120, 36), (80, 24)] {
        let mut screen = Screen::new(Theme::dark());
        let asked = key(&mut screen, &state, "F3");
        let tag = tag_of(&asked, "render_prompt");
        let messages = json!({"messages": [
            {"role": "system", "content": "Your input fields are:\n1. `question` (str):\nYour output fields are:\n1. `answer` (str):\n\n[[ ## question ## ]]\n{question}\n\n[[ ## completed ## ]]\nIn adhering to this structure, your objective is: why is the sky blue?"},
            {"role": "user", "content": "[[ ## question ## ]]\n{question}\n\nRespond with the corresponding output fields."},
        ]});
        answer(&mut screen, &state, tag, messages);
        let name = format!("view_signature_{width}x{height}");
        insta::assert_snapshot!(name, draw(&mut screen, &state, width, height));
    }
}
