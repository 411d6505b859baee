//! Optimisations that are asked for again.

use serde_json::{Value, json};

use super::{Lines, Lived};

fn program(lines: &mut Lines) {
    let made = json!({"name": "sorts", "module": "Predict", "signature": "ticket -> category"});
    lines.ask("create_program", made);
}

fn optimize(lines: &mut Lines, more: &Value) -> usize {
    let mut asked = json!({"program": "sorts", "dataset": "tickets"});
    for (name, value) in more.as_object().unwrap() {
        asked[name] = value.clone();
    }
    lines.ask("optimize_prompt", asked)
}

/// The same program is optimised, made anew and optimised again, in several ways.
fn live(options: &[&str]) -> (Lived, [usize; 4], usize) {
    let mut lines = Lines::new();
    lines.ask("load_dataset", json!({"shipped": "tickets", "limit": 12}));
    let places = [
        json!({}),
        json!({"num_threads": 3}),
        json!({"fresh": true}),
        json!({"options": {"max_labeled_demos": 1}}),
    ]
    .map(|more| {
        program(&mut lines);
        optimize(&mut lines, &more)
    });
    let told = lines.ask("cache", json!({}));
    (lines.live_with(options), places, told)
}

#[track_caller]
fn check(lived: &Lived, places: [usize; 4], told: usize) {
    let [first, again, fresh, other] = places.map(|place| lived.result(place));
    assert!(first["cached"].is_null() && fresh["cached"].is_null() && other["cached"].is_null());
    assert!(
        again["cached"]["since_ms"].as_u64().unwrap() > 1_700_000_000_000,
        "{again:#}"
    );
    assert_eq!(again["performance"], first["performance"]);
    assert_eq!(again["optimized_prompt"], first["optimized_prompt"]);
    assert_eq!(again["program"]["state"], first["program"]["state"]);
    let history = |answer: &Value| {
        (
            answer["program"]["version"].clone(),
            answer["program"]["parent"].clone(),
        )
    };
    assert_eq!(history(first), (json!(2), json!("sorts@1")));
    assert_eq!(history(again), (json!(4), json!("sorts@3")));
    let compiled = lived
        .state
        .runs
        .values()
        .filter(|run| run.operation.as_deref() == Some("optimize_prompt"));
    let spans: Vec<bool> = compiled.map(|run| !run.spans.is_empty()).collect();
    assert_eq!(
        spans,
        [true, false, true, true],
        "one of the four called nothing"
    );
    let notes = lived
        .state
        .notes
        .iter()
        .filter(|note| note.text.contains("its result was kept"));
    assert_eq!(notes.count(), 1);
    let stats = &lived.result(told)["optimisations"];
    assert_eq!(
        (&stats["hits"], &stats["misses"], &stats["kept"]),
        (&json!(1), &json!(2), &json!(2))
    );
}

/// R114: the same optimisation is answered at once, and says since when it is kept; an
/// option makes another one of it, `fresh` runs it anew. In the kernel.
#[test]
fn the_same_optimisation_is_answered_at_once() {
    let (lived, places, told) = live(&[]);
    check(&lived, places, told);
}

/// R114: the same where workers of a pool optimise.
#[test]
fn workers_of_a_pool_need_not_optimise_again() {
    let (lived, places, told) = live(&["--workers", "1", "--optimizers", "1"]);
    check(&lived, places, told);
}
