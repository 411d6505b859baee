//! F11: modules with their options, the form of one, the form of a program's inputs.

use dspex_tui::app::State;
use dspex_tui::protocol::error::OperationError;
use dspex_tui::theme::Theme;
use dspex_tui::ui::{Action, Input, Screen};
use serde_json::{Value, json};

use super::build::session;
use super::{draw, key, keys, submitted, tag_of, write};

/// The screen with the selection on this row of the modules.
fn at(state: &State, row: usize) -> Screen {
    let mut screen = Screen::new(Theme::dark());
    screen.update(state, Input::StateChanged);
    key(&mut screen, state, "F11");
    for _ in 0..row {
        key(&mut screen, state, "Down");
    }
    screen
}

fn answer(screen: &mut Screen, state: &State, tag: u64, result: Value) -> Vec<Action> {
    let result = Ok(result);
    screen.update(state, Input::Answered { tag, result })
}

/// Fills the form of ReAct and asks for the program.
fn fill(screen: &mut Screen, state: &State, max_iters: &str) -> Vec<Action> {
    keys(screen, state, &["Enter", "Tab"]);
    write(screen, state, "question -> answer");
    keys(screen, state, &["Tab", "Tab"]);
    write(screen, state, max_iters);
    key(screen, state, "Ctrl-S")
}

/// R10, R36: the modules, one's options with defaults and help, and its form, at both sizes.
#[test]
fn modules_are_chosen_and_made() {
    let state = session();
    for (width, height) in [(120, 36), (80, 24)] {
        let mut screen = at(&state, 2);
        let size = format!("{width}x{height}");
        insta::assert_snapshot!(
            format!("modules_{size}"),
            draw(&mut screen, &state, width, height)
        );
        keys(&mut screen, &state, &["Enter", "Tab"]);
        write(&mut screen, &state, "question -> answer");
        insta::assert_snapshot!(
            format!("modules_form_{size}"),
            draw(&mut screen, &state, width, height)
        );
        // The longest form there is.
        let mut screen = at(&state, 0);
        keys(&mut screen, &state, &["Enter", "Up"]);
        let drawn = draw(&mut screen, &state, width, height);
        assert!(drawn.contains("signature") || height < 30, "{drawn}");
        assert!(drawn.contains("top k"), "{drawn}");
    }
}

/// R14, R36: the form asks for the program that it says; an error stands at its field;
/// then the inputs are asked for, checked, and the run is a cell.
#[test]
fn a_program_is_made_and_run_with_forms() {
    let state = session();
    let mut screen = at(&state, 2);
    let actions = fill(&mut screen, &state, "0");
    let asked = json!({"module": "ReAct", "name": "react", "signature": "question -> answer",
                       "options": {"max_iters": 0}});
    assert_eq!(submitted(&actions), [("create_program", asked)]);
    // Once is enough.
    assert_eq!(submitted(&key(&mut screen, &state, "Ctrl-S")), []);

    let words = "the option `max_iters` of ReAct must be a whole number of 1 or more, not 0";
    let error = OperationError::invalid("invalid_option", words)
        .hint("most steps")
        .with("option", "max_iters");
    let tag = tag_of(&actions, "create_program");
    screen.update(
        &state,
        Input::Answered {
            tag,
            result: Err(error),
        },
    );
    insta::assert_snapshot!("modules_wrong_80x24", draw(&mut screen, &state, 80, 24));

    // The cursor stands in the field that was wrong.
    keys(&mut screen, &state, &["Backspace"]);
    write(&mut screen, &state, "4");
    let actions = key(&mut screen, &state, "Ctrl-S");
    let (_, arguments) = &submitted(&actions)[0];
    assert_eq!(arguments["options"], json!({"max_iters": 4}));
    let tag = tag_of(&actions, "create_program");
    answer(
        &mut screen,
        &state,
        tag,
        json!({"name": "qa", "version": 2}),
    );
    write(&mut screen, &state, "What is \"12*7\"?");
    insta::assert_snapshot!("modules_run_80x24", draw(&mut screen, &state, 80, 24));

    let actions = key(&mut screen, &state, "Enter");
    let inputs = json!({"program": "qa", "inputs": {"question": "What is \"12*7\"?"}});
    assert_eq!(submitted(&actions), [("validate_inputs", inputs)]);
    let tag = tag_of(&actions, "validate_inputs");
    let problem =
        json!({"field": "question", "problem": "wrong_type", "expected": "int", "got": "str"});
    answer(
        &mut screen,
        &state,
        tag,
        json!({"ok": false, "problems": [problem]}),
    );
    let drawn = draw(&mut screen, &state, 80, 24);
    assert!(drawn.contains("`question` must be int, not str"), "{drawn}");

    let actions = key(&mut screen, &state, "Enter");
    let tag = tag_of(&actions, "validate_inputs");
    let actions = answer(
        &mut screen,
        &state,
        tag,
        json!({"ok": true, "problems": []}),
    );
    let line = json!({"line": r#":run qa question="What is \"12*7\"?""#});
    assert_eq!(submitted(&actions), [("command", line)]);
    assert!(draw(&mut screen, &state, 120, 36).contains("Notebook"));
}

/// R10: what cannot be used says why; what is missing is asked for before anybody is.
#[test]
fn what_cannot_be_made_says_why() {
    let state = session();
    let mut screen = at(&state, 100);
    assert_eq!(submitted(&key(&mut screen, &state, "Enter")), []);
    let drawn = draw(&mut screen, &state, 120, 36);
    assert!(
        drawn.contains("Suggest cannot be used here: gone from DSPy"),
        "{drawn}"
    );
    let mut screen = at(&state, 0);
    let actions = keys(&mut screen, &state, &["Enter", "Ctrl-S"]);
    assert_eq!(submitted(&actions), []);
    let drawn = draw(&mut screen, &state, 80, 24);
    assert!(drawn.contains("Predict needs a signature"), "{drawn}");
}

/// A program of the explorer is run from there.
#[test]
fn a_program_of_the_explorer_is_run() {
    let state = session();
    let mut screen = Screen::new(Theme::dark());
    screen.update(&state, Input::StateChanged);
    key(&mut screen, &state, "Alt-1");
    let name = state.session.programs.keys().next().unwrap().clone();
    for _ in 0..40 {
        if draw(&mut screen, &state, 120, 36).contains(&format!("Run {name}")) {
            break;
        }
        keys(&mut screen, &state, &["Down", "r"]);
    }
    let drawn = draw(&mut screen, &state, 120, 36);
    assert!(drawn.contains(&format!("Run {name}")), "{drawn}");
    let actions = key(&mut screen, &state, "Ctrl-S");
    assert_eq!(submitted(&actions)[0].0, "validate_inputs");
}
