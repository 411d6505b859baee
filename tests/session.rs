//! Sessions on disk: what is written is read back, whatever happens between.

mod damage;
mod faults;
mod replay;
mod writing;

use std::path::Path;

use dspex_tui::protocol::error::OperationError;
use dspex_tui::session::Journal;
use dspex_tui::session::event::{
    AnswerSource, CellId, CellKind, Document, EventBody, Exchange, Level, Output, Passport,
    Progress, RunId, RunKind, RunStatus, Scope, SpanItem,
};
use dspex_tui::session::state::SessionState;
use serde_json::{Map, Value, json};

fn passport() -> Passport {
    Passport {
        app: "0.1.0".to_owned(),
        cwd: "/home/somebody".to_owned(),
        dspy: "3.4.1".to_owned(),
        ..Passport::default()
    }
}

fn note(text: &str) -> EventBody {
    EventBody::Noted {
        level: Level::Info,
        text: text.to_owned(),
        hint: String::new(),
    }
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Appends one cell with everything a cell can have.
fn live_one_cell(journal: &Journal, number: u64) {
    let (run, cell) = (RunId(number), CellId(number));
    let scope = Scope::cell(run, cell);
    let span = format!("1-{number}");
    journal.append(
        scope,
        EventBody::CellSubmitted {
            cell_kind: CellKind::Python,
            source: format!("qa(question={number})  # {}", "long ".repeat(80)),
        },
    );
    journal.append(
        scope,
        EventBody::RunStarted {
            run_kind: RunKind::Cell,
            title: format!("[{number}]"),
            operation: None,
            arguments: json!({"$blob": "a user's own", "n": 0.1 + 0.2}),
        },
    );
    journal.append(
        scope,
        EventBody::Spans {
            items: vec![SpanItem::Start {
                id: span.clone(),
                parent: None,
                run: Some(run),
                kind: "lm".to_owned(),
                name: "demo".to_owned(),
                ns: number * 1000,
                inputs: map(json!({"temperature": 0.7})),
            }],
        },
    );
    let request = json!({"messages": [{"role": "system", "content": "Be brief. ".repeat(100)}]});
    journal.append(
        scope,
        EventBody::Exchange(Box::new(Exchange {
            span: Some(span.clone()),
            profile: "demo".to_owned(),
            url: "http://localhost/v1/chat/completions".to_owned(),
            model: "demo".to_owned(),
            key: "00".repeat(32),
            occurrence: 0,
            cacheable: true,
            request: journal.tree(request.to_string().as_bytes(), &request),
            response: journal.document(format!("{{\"n\": {number}}}").as_bytes()),
            headers: Vec::new(),
            status: 200,
            error: None,
            source: AnswerSource::Demo,
            latency_us: 412,
            input_tokens: 10,
            output_tokens: 2,
            cost: Some(0.000_1),
            streamed: false,
        })),
    );
    journal.append(
        scope,
        EventBody::Spans {
            items: vec![SpanItem::End {
                id: span,
                ns: number * 1000 + 500,
                outputs: map(json!({"answer": "ü\u{1b}[2J\u{202e}"})),
                error: None,
            }],
        },
    );
    journal.append(
        scope,
        EventBody::CellOutput {
            output: Output::Stream {
                stderr: false,
                text: format!("{number}\n").repeat(60),
            },
        },
    );
    journal.append(
        scope,
        EventBody::Progressed {
            progress: Progress::Example {
                candidate: 0,
                index: 1,
                score: f64::NAN,
                prediction: String::new(),
                error: None,
            },
        },
    );
    journal.append(
        scope,
        EventBody::RunFinished {
            status: RunStatus::Error,
            result: Some(Value::Null),
            error: Some(OperationError::internal("a cell failed")),
            duration_ms: 1.0 / 3.0,
        },
    );
    journal.append(
        scope,
        EventBody::CellFinished {
            status: RunStatus::Error,
            duration_ms: 1e-300,
        },
    );
}

/// A session of `cells` cells; answers its state as it was lived.
fn live(journal: &Journal, cells: u64) -> SessionState {
    let mut events = journal.subscribe();
    let mut state = SessionState::default();
    let passport = passport();
    journal.append(Scope::NONE, EventBody::SessionOpened { passport });
    for number in 1..=cells {
        live_one_cell(journal, number);
    }
    while let Ok(event) = events.try_recv() {
        state.apply(&event);
    }
    state
}

/// A session on disk named `s`, left as a crash would leave it.
fn recorded(root: &Path, cells: u64) -> SessionState {
    let journal = Journal::create(root, Some("s"), passport()).unwrap();
    live(&journal, cells)
}

fn log_of(root: &Path) -> std::path::PathBuf {
    root.join("s").join("events-000001.jsonl")
}

fn response_of(state: &SessionState, run: u64) -> Document {
    let run = &state.runs[&RunId(run)];
    run.spans[0].exchanges[0].response.clone()
}

/// How often a byte occurs.
fn count(bytes: &[u8], wanted: u8) -> usize {
    bytes.split(|byte| *byte == wanted).count() - 1
}
