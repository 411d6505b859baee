//! The worked sessions that come with the product: they open with no Python at
//! all, and are what their sources say. `make sessions` records them anew.

use crate::support::{Home, project};

/// A home in which no Python can be found.
fn home_without_python() -> Home {
    let mut home = Home::new();
    home.set("DSPEX_VENV", "/nowhere").set("PATH", "/nowhere");
    home
}

fn replay(name: &str) -> (String, serde_json::Value) {
    let home = home_without_python();
    let dir = project().join("sessions").join(name).display().to_string();
    let text = home
        .dspex(&["replay", &dir, "--plain"])
        .success()
        .to_owned();
    let state = home.dspex(&["replay", &dir, "--json"]).json();
    let hash = state["hash"].as_str().unwrap();
    assert!(text.contains(hash), "text and JSON name different states");
    assert_eq!(
        state["warning"],
        serde_json::Value::Null,
        "{name} is damaged"
    );
    (text, state)
}

/// R64, D1: a recorded session replays with no Python and no network.
#[test]
fn first_steps_replays_without_python() {
    let (text, state) = replay("first-steps");
    assert!(text.contains("answer='84'"), "{text}");
    assert!(text.contains("ZeroDivisionError"), "{text}");
    assert!(state["state"]["programs"]["qa"].is_object());
    // BestOfN asked four times, and four different answers came.
    for answer in ["'84'", "'12*7 = 84'", "'The answer is 84.'", "'It is 84.'"] {
        assert!(text.contains(answer), "no {answer} in:\n{text}");
    }
}

/// R16, R64: the recorded optimisation raised the score on held-out examples.
#[test]
fn optimise_tickets_replays_with_its_scores() {
    let (_, state) = replay("optimise-tickets");
    let runs = state["state"]["runs"].as_object().unwrap();
    let compile = runs.values().find(|run| run["kind"] == "compile").unwrap();
    let performance = &compile["result"]["performance"];
    let score = |key: &str| performance[key].as_f64().unwrap();
    assert!(
        score("optimized") > score("baseline") + 20.0,
        "{performance}"
    );
}
