//! Real DSPy in a real worker on the demo LM, through `dspex-tui exec`.
//!
//! Each test lives one session in one process and then looks at its answers and
//! at what was recorded. Every answer is held against its row of the table.

mod cells;
mod code;
mod interrupts;
mod jobs;
mod kept;
mod learning;
mod library;
mod lives;
mod modules;
mod pipelines;
mod profiles;
mod refusals;
mod results;
mod sandbox;
mod scripts;
mod tools;
mod trace;
mod training;
mod unified;

use dspex_tui::operation::{self, schema};
use dspex_tui::session::SessionReader;
use dspex_tui::session::event::Output;
use dspex_tui::session::state::{Cell, Run, SessionState};
use serde_json::{Value, json};

use crate::support::Home;

/// Lines for one `exec --jsonl`, the demo LM selected first.
struct Lines {
    home: Home,
    asked: Vec<(String, Value)>,
}

impl Lines {
    fn new() -> Self {
        let mut lines = Self::without_lm();
        lines.ask("select_lm", json!({"name": "demo"}));
        lines
    }

    fn without_lm() -> Self {
        Self {
            home: Home::new(),
            asked: Vec::new(),
        }
    }

    /// Adds a request; answers its place.
    fn ask(&mut self, operation: &str, arguments: Value) -> usize {
        self.asked.push((operation.to_owned(), arguments));
        self.asked.len() - 1
    }

    /// Adds a cell; answers its place.
    fn cell(&mut self, source: &str) -> usize {
        self.ask("run_cell", json!({ "source": source }))
    }

    /// The lines as they are read.
    fn text(&self) -> String {
        let line = |(operation, arguments): &(String, Value)| {
            json!({"operation": operation, "arguments": arguments}).to_string()
        };
        let lines: Vec<String> = self.asked.iter().map(line).collect();
        lines.join("\n") + "\n"
    }

    /// Runs them in a session of their own.
    fn live(self) -> Lived {
        self.live_with(&[])
    }

    fn live_with(self, options: &[&str]) -> Lived {
        let arguments = [&["exec", "--jsonl", "--new", "lived"], options].concat();
        let outcome = self.home.dspex_with_input(&arguments, &self.text());
        let answers: Vec<Value> = outcome
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(answers.len(), self.asked.len(), "{outcome:?}");
        let state = lived_state(&self.home);
        Lived {
            asked: self.asked,
            answers,
            state,
        }
    }
}

/// What a home's session `lived` holds.
fn lived_state(home: &Home) -> SessionState {
    SessionReader::open(&home.sessions().join("lived"))
        .unwrap()
        .final_state()
}

/// A session that was lived.
struct Lived {
    asked: Vec<(String, Value)>,
    answers: Vec<Value>,
    state: SessionState,
}

impl Lived {
    /// The result of a request that must have gone well, as the table says it is.
    #[track_caller]
    fn result(&self, place: usize) -> &Value {
        let (operation, arguments) = &self.asked[place];
        let answer = &self.answers[place];
        assert_eq!(answer["ok"], true, "{operation} {arguments}: {answer:#}");
        let row = operation::find(operation).unwrap();
        let described = schema::describe(row);
        agrees(&described["result"], &answer["result"], operation);
        &answer["result"]
    }

    /// The error of a request that must have been refused: one clear sentence, no wall.
    #[track_caller]
    fn error(&self, place: usize) -> &Value {
        let (operation, arguments) = &self.asked[place];
        let answer = &self.answers[place];
        assert_eq!(answer["ok"], false, "{operation} {arguments}: {answer:#}");
        let error = &answer["error"];
        for part in [
            "type",
            "class",
            "message",
            "traceback",
            "context",
            "recovery",
        ] {
            assert!(
                error.get(part).is_some(),
                "{operation}: no {part} in {error:#}"
            );
        }
        let message = error["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains('\n'), "{message}");
        assert!(message.chars().count() < 300, "{message}");
        error
    }

    /// The recorded cell of a `run_cell`.
    #[track_caller]
    fn cell(&self, place: usize) -> &Cell {
        let number = self.answers[place]["result"]["cell"].as_u64().unwrap();
        let mut cells = self.state.cells.iter();
        cells.find(|cell| cell.id.0 == number).unwrap()
    }

    /// All text a cell printed.
    fn printed(&self, place: usize) -> String {
        let text = |output: &Output| match output {
            Output::Stream { text, .. } => Some(text.clone()),
            _ => None,
        };
        self.cell(place).outputs.iter().filter_map(text).collect()
    }

    /// The value of a cell that must have gone well.
    #[track_caller]
    fn value(&self, place: usize) -> String {
        let status = &self.result(place)["status"];
        assert_eq!(status, "ok", "{:#}", self.answers[place]);
        let value = self
            .cell(place)
            .outputs
            .iter()
            .find_map(|output| match output {
                Output::Result { data } => data["text/plain"].as_str().map(str::to_owned),
                _ => None,
            });
        value.unwrap_or_default()
    }

    /// The error of a cell that must have raised.
    #[track_caller]
    fn raised(&self, place: usize) -> &Value {
        let result = self.result(place);
        assert_ne!(result["status"], "ok", "{result:#}");
        &result["error"]
    }

    /// The run of the `n`th request that made one (from 0).
    fn run(&self, n: usize) -> &Run {
        self.state.runs.values().nth(n).unwrap()
    }
}

/// Holds a value against one of the table's schemas.
#[track_caller]
fn agrees(schema: &Value, value: &Value, operation: &str) {
    for name in schema["required"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        assert!(
            value.get(name).is_some(),
            "{operation} lacks {name}: {value:#}"
        );
    }
    for (name, property) in schema["properties"].as_object().unwrap() {
        let (Some(given), Some(kind)) = (value.get(name), property.get("type")) else {
            continue;
        };
        let is = |kind: &str| match kind {
            "string" => given.is_string(),
            "boolean" => given.is_boolean(),
            "integer" => given.is_u64(),
            "number" => given.is_number(),
            "object" => given.is_object(),
            "array" => given.is_array(),
            "null" => given.is_null(),
            other => panic!("the schema says {other}"),
        };
        let fits = match kind {
            Value::Array(kinds) => kinds.iter().any(|kind| is(kind.as_str().unwrap())),
            kind => is(kind.as_str().unwrap()),
        };
        assert!(fits, "{operation}: {name} is no {kind}: {given}");
    }
}
