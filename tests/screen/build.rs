//! Sessions made by applying events.

use dspex_tui::app::State;
use dspex_tui::protocol::error::OperationError;
use dspex_tui::session::event::*;
use serde_json::{Map, Value, json};

struct Builder {
    state: State,
    seq: u64,
}

impl Builder {
    fn add(&mut self, scope: Scope, body: EventBody) {
        self.seq += 1;
        self.state.session.apply(&Event {
            seq: self.seq,
            time_ms: 1_700_000_000_000 + self.seq as i64,
            mono_ns: self.seq * 1_000_000,
            run: scope.run,
            cell: scope.cell,
            body,
            chain: format!("{:064x}", self.seq),
        });
    }

    fn cell(&mut self, n: u64, source: &str, outputs: Vec<Output>, status: RunStatus) -> Scope {
        let scope = Scope::cell(RunId(n), CellId(n));
        let cell_kind = if source.starts_with(':') {
            CellKind::Command
        } else {
            CellKind::Python
        };
        self.add(
            scope,
            EventBody::CellSubmitted {
                cell_kind,
                source: source.to_owned(),
            },
        );
        self.add(
            scope,
            EventBody::RunStarted {
                run_kind: RunKind::Cell,
                title: format!("[{n}]"),
                operation: None,
                arguments: Value::Null,
            },
        );
        for output in outputs {
            self.add(scope, EventBody::CellOutput { output });
        }
        self.add(
            scope,
            EventBody::CellFinished {
                status,
                duration_ms: 412.0,
            },
        );
        self.add(
            scope,
            EventBody::RunFinished {
                status,
                result: None,
                error: None,
                duration_ms: 412.0,
            },
        );
        scope
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn field(name: &str) -> FieldDef {
    FieldDef {
        name: name.to_owned(),
        type_name: "str".to_owned(),
        desc: String::new(),
    }
}

fn start(id: &str, parent: Option<&str>, kind: &str, name: &str, ms: u64) -> SpanItem {
    SpanItem::Start {
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        run: None,
        kind: kind.to_owned(),
        name: name.to_owned(),
        ns: ms * 1_000_000,
        inputs: object(json!({"question": "why is the sky blue?"})),
    }
}

fn end(id: &str, ms: u64, error: Option<&str>) -> SpanItem {
    SpanItem::End {
        id: id.to_owned(),
        ns: ms * 1_000_000,
        outputs: object(json!({"answer": "Rayleigh scattering"})),
        error: error.map(str::to_owned),
    }
}

/// A session with one of everything.
pub fn session() -> State {
    made_of("why is the sky blue?")
}

/// The same with text that means harm.
pub fn hostile() -> State {
    made_of("\u{1b}[2J\u{7}\u{202e}\u{9b}31m\u{0}x\ty\r")
}

/// A cell runs, and its LM call has not been answered.
pub fn asking() -> State {
    going(false)
}

/// The same, once the answer is recorded.
pub fn answered() -> State {
    going(true)
}

fn going(answered: bool) -> State {
    let state = session();
    let seq = state.session.seq;
    let mut it = Builder { state, seq };
    let scope = Scope::cell(RunId(6), CellId(5));
    it.add(
        scope,
        EventBody::CellSubmitted {
            cell_kind: CellKind::Python,
            source: "qa(question=\"why?\")".into(),
        },
    );
    it.add(
        scope,
        EventBody::RunStarted {
            run_kind: RunKind::Cell,
            title: "[5]".into(),
            operation: None,
            arguments: Value::Null,
        },
    );
    it.add(
        scope,
        EventBody::Spans {
            items: vec![
                start("6-1", None, "module", "Predict", 500),
                start("6-2", Some("6-1"), "lm", "demo/demo", 501),
            ],
        },
    );
    if answered {
        it.add(scope, exchange("6-2", "why?", "Because."));
    }
    it.state
}

fn exchange(span: &str, question: &str, answer: &str) -> EventBody {
    let request = json!({"messages": [{"role": "system", "content": "Your input fields are: question"}, {"role": "user", "content": format!("[[ ## question ## ]]\n{question}")}]});
    let response =
        json!({"choices": [{"message": {"content": format!("[[ ## answer ## ]]\n{answer}")}}]});
    EventBody::Exchange(Box::new(Exchange {
        span: Some(span.into()),
        profile: "demo".into(),
        url: "https://demo.invalid/v1/chat/completions".into(),
        model: "demo/demo".into(),
        key: format!("k{span}"),
        occurrence: 0,
        cacheable: true,
        request: Document::Text(request.to_string()),
        response: Document::Text(response.to_string()),
        headers: Vec::new(),
        status: 200,
        error: None,
        source: AnswerSource::Demo,
        latency_us: 408_000,
        input_tokens: 312,
        output_tokens: 48,
        cost: Some(0.0012),
        streamed: false,
    }))
}

/// The kernel died with the name `x`, which cell 2 had set.
pub fn bereaved() -> State {
    let state = session();
    let seq = state.session.seq;
    let mut it = Builder { state, seq };
    it.add(
        Scope::NONE,
        EventBody::WorkerChanged {
            worker: WorkerReport {
                worker: 1,
                role: "kernel".into(),
                state: WorkerState::Died,
                pid: 7,
                detail: "was killed".into(),
                lost: vec!["qa".into(), "x".into()],
            },
        },
    );
    it.state
}

fn made_of(text: &str) -> State {
    let mut it = Builder {
        state: State::default(),
        seq: 0,
    };
    "triage".clone_into(&mut it.state.session_id);
    let none = Scope::NONE;
    it.add(
        none,
        EventBody::SessionOpened {
            passport: Passport {
                python: "3.11.7".into(),
                dspy: "3.4.1".into(),
                ..Passport::default()
            },
        },
    );
    it.add(
        none,
        EventBody::WorkerChanged {
            worker: WorkerReport {
                worker: 1,
                role: "kernel".into(),
                state: WorkerState::Ready,
                pid: 7,
                detail: text.into(),
                lost: Vec::new(),
            },
        },
    );
    for (name, model, key) in [
        ("demo", "demo/demo", KeySource::None),
        (
            "mini",
            "openai/gpt-4o-mini",
            KeySource::Env("OPENAI_API_KEY".into()),
        ),
    ] {
        it.add(
            none,
            EventBody::LmConfigured {
                profile: LmProfile {
                    name: name.into(),
                    model: model.into(),
                    key,
                    params: object(json!({"temperature": 0.2})),
                    ..LmProfile::default()
                },
            },
        );
    }
    it.add(
        none,
        EventBody::LmSelected {
            name: "demo".into(),
        },
    );
    let signature = SignatureDef {
        inputs: vec![field("question")],
        outputs: vec![field("answer")],
        instructions: text.into(),
    };
    it.add(
        none,
        EventBody::SignatureDefined {
            name: "QA".into(),
            signature: signature.clone(),
        },
    );
    it.add(
        none,
        EventBody::ProgramRegistered {
            program: Box::new(ProgramDef {
                name: "qa".into(),
                version: 1,
                modules: vec!["ChainOfThought".into()],
                signature: Some(signature),
                ..ProgramDef::default()
            }),
        },
    );
    it.add(
        none,
        EventBody::ProgramRegistered {
            program: Box::new(ProgramDef {
                name: "qa_few".into(),
                version: 2,
                optimizer: Some("BootstrapFewShot".into()),
                score: Some(84.0),
                ..ProgramDef::default()
            }),
        },
    );
    let rows = (0..40)
        .map(|n| json!({"question": format!("{text} {n}"), "answer": n.to_string()}))
        .collect();
    it.add(
        none,
        EventBody::DatasetLoaded {
            dataset: DatasetDef {
                name: "sums".into(),
                len: 40,
                fields: vec!["question".into(), "answer".into()],
                inputs: vec!["question".into()],
                source: "shipped:sums".into(),
                rows,
                ..DatasetDef::default()
            },
        },
    );
    it.add(
        none,
        EventBody::NamesChanged {
            names: vec![NameInfo {
                name: "qa".into(),
                kind: "program".into(),
                type_name: "ChainOfThought".into(),
                summary: text.into(),
                cell: Some(CellId(2)),
                registered: true,
            }],
        },
    );
    it.cell(
        1,
        ":lm use demo",
        vec![Output::Stream {
            stderr: false,
            text: "calls go to demo\n".into(),
        }],
        RunStatus::Ok,
    );
    it.cell(
        2,
        "qa = dspy.ChainOfThought(\"question -> answer\")",
        vec![],
        RunStatus::Ok,
    );
    let fields = json!({"reasoning": "Shorter wavelengths scatter more than longer ones, so the light that reaches us from the sky is blue.", "answer": text});
    let data = object(
        json!({"text/plain": "Prediction(…)", "application/vnd.dspex.prediction+json": fields}),
    );
    let run = it.cell(
        3,
        &format!("qa(question={text:?})"),
        vec![
            Output::Stream {
                stderr: false,
                text: format!("\u{1b}[32mgreen\u{1b}[0m {text}\n"),
            },
            Output::Result { data },
        ],
        RunStatus::Ok,
    );
    let mut error = OperationError::new(
        "ValueError",
        dspex_tui::protocol::error::ErrorClass::PythonRuntime,
        text,
    )
    .hint("check the value");
    error.traceback = vec![
        "Traceback:".into(),
        format!("  File \u{1b}[31m{text}\u{1b}[0m"),
    ];
    it.add(
        run,
        EventBody::Spans {
            items: vec![
                start("1-1", None, "module", "ChainOfThought", 0),
                start("1-2", Some("1-1"), "module", "Predict", 1),
                start("1-3", Some("1-2"), "adapter_format", "ChatAdapter", 1),
                end("1-3", 2, None),
                start("1-4", Some("1-2"), "lm", "demo/demo", 2),
            ],
        },
    );
    it.add(run, exchange("1-4", text, "Rayleigh scattering"));
    it.add(
        run,
        EventBody::Spans {
            items: vec![
                end("1-4", 410, None),
                start("1-5", Some("1-2"), "adapter_parse", "ChatAdapter", 410),
                end("1-5", 411, None),
                end("1-2", 411, None),
                start("1-6", Some("1-1"), "tool", "search", 411),
                end("1-6", 412, Some(&format!("ValueError: {text}"))),
                end("1-1", 412, None),
            ],
        },
    );
    it.cell(4, "1/0", vec![Output::Error { error }], RunStatus::Error);
    let run = Scope::run(RunId(5));
    it.add(
        run,
        EventBody::RunStarted {
            run_kind: RunKind::Compile,
            title: "optimize qa".into(),
            operation: Some("optimize_prompt".into()),
            arguments: Value::Null,
        },
    );
    let mut progress = vec![Progress::Phase {
        name: "baseline".into(),
        total: Some(10),
    }];
    progress.extend((0..10).map(|n| Progress::Example {
        candidate: 0,
        index: n,
        score: f64::from(u8::from(n % 2 == 0)),
        prediction: text.into(),
        error: None,
    }));
    progress.push(Progress::Candidate {
        candidate: 0,
        label: "as it was".into(),
        score: 50.0,
        instructions: text.into(),
        demos: 0,
        parent: None,
    });
    progress.push(Progress::Phase {
        name: "bootstrap".into(),
        total: Some(4),
    });
    progress.push(Progress::Demo {
        found: 3,
        wanted: 4,
    });
    progress.push(Progress::Phase {
        name: "evaluate".into(),
        total: Some(10),
    });
    progress.extend((0..10).map(|n| Progress::Example {
        candidate: 1,
        index: n,
        score: f64::from(u8::from(n % 5 != 0)),
        prediction: text.into(),
        error: None,
    }));
    progress.push(Progress::Candidate {
        candidate: 1,
        label: format!("3 demos {text}"),
        score: 80.0,
        instructions: String::new(),
        demos: 3,
        parent: Some(0),
    });
    for progress in progress {
        it.add(run, EventBody::Progressed { progress });
    }
    it.add(
        run,
        EventBody::RunFinished {
            status: RunStatus::Ok,
            result: None,
            error: None,
            duration_ms: 3210.0,
        },
    );
    it.state
}
