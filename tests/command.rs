//! The table of `:commands`: every row is documented, parses, completes, and
//! means what it says.

use dspex_tui::command::{
    Context, Local, Parsed, ProgramNames, ScreenAction, ScreenName, TABLE, complete, help_text,
    models_wanted, palette_entries, parse, readme_table,
};
use dspex_tui::operation;
use dspex_tui::session::event::{KeySource, LmProfile};
use serde_json::{Value, json};

use crate::support::readme::check_section;

/// A session with one of everything the examples name.
fn context() -> Context {
    let fields = vec![("question".to_owned(), "str".to_owned())];
    let names = |name: &str| ProgramNames {
        name: name.to_owned(),
        inputs: fields.clone(),
    };
    Context {
        lms: vec![LmProfile {
            name: "demo".into(),
            model: "demo/demo".into(),
            key: KeySource::Env("DEMO_KEY".into()),
            ..LmProfile::default()
        }],
        lm: Some("demo".into()),
        programs: vec![names("qa")],
        signatures: vec![names("QA")],
        tools: vec!["add".into()],
        servers: vec!["time".into()],
        modules: vec![("planner".into(), false)],
        datasets: vec!["train".into()],
        functions: vec!["my_metric".into()],
        runs: vec![3, 2, 1],
        sessions: vec!["triage".into()],
        models: Vec::new(),
    }
}

fn arguments(line: &str) -> (String, Value) {
    match parse(line, &context()).unwrap() {
        Parsed::Operation {
            operation,
            arguments,
        } => (operation, arguments),
        other => panic!("{line}: {other:?}"),
    }
}

fn texts(line: &str) -> Vec<String> {
    let found = complete(line, line.len(), &context());
    found.into_iter().map(|candidate| candidate.text).collect()
}

/// D14: every command is documented, has help, completes and parses its own
/// example; what it asks for is what the operation accepts.
#[test]
fn every_command_keeps_its_word() {
    for command in TABLE {
        let name = command.name;
        assert!(command.doc.ends_with('.'), "{name}: doc is a sentence");
        assert!(!command.example.is_empty(), "{name}: no example");
        let help = help_text(Some(name)).unwrap();
        assert!(help.contains(command.example), "{name}: {help}");
        let half = &name[..name.len() - 1];
        assert!(
            texts(&format!(":{half}")).iter().any(|text| text == name),
            "{name} does not complete"
        );
        let parsed = parse(command.example, &context());
        match parsed.unwrap_or_else(|error| panic!("{}: {error}", command.example)) {
            Parsed::Operation {
                operation,
                arguments,
            } => {
                let row = operation::find(&operation).unwrap();
                let checked = operation::check::arguments(row, arguments);
                checked.unwrap_or_else(|error| panic!("{}: {error}", command.example));
            }
            Parsed::Screen(_) | Parsed::Local(_) => {}
        }
        for alias in command.aliases {
            let line = command.example.replacen(name, alias, 1);
            assert_eq!(
                parse(&line, &context()),
                parse(command.example, &context()),
                "{alias}"
            );
        }
    }
    assert_eq!(palette_entries().len(), TABLE.len());
}

#[test]
fn no_word_means_two_things() {
    let mut seen = std::collections::HashSet::new();
    for command in TABLE {
        for name in std::iter::once(&command.name).chain(command.aliases) {
            assert!(seen.insert(name), "`{name}` is listed twice");
        }
        let mut names = std::collections::HashSet::new();
        for argument in command.arguments {
            assert!(
                names.insert(argument.name),
                "{}: {}",
                command.name,
                argument.name
            );
            assert!(
                !argument.doc.is_empty(),
                "{}: {}",
                command.name,
                argument.name
            );
        }
    }
}

/// R24, D14: every operation can be asked for on the command line.
#[test]
fn every_operation_is_reachable() {
    for row in operation::all() {
        let (name, given) = arguments(&format!(":exec {} {{\"a\": [1, 2]}}", row.name));
        assert_eq!((name.as_str(), given), (row.name, json!({"a": [1, 2]})));
    }
}

/// R23: `generate` takes its prompt as it stands, `sandbox` its code.
#[test]
fn lines_become_operations() {
    let expected = [
        (
            ":generate What is ML?",
            "generate",
            json!({"prompt": "What is ML?"}),
        ),
        (
            r#"cot question -> answer: int question="What is 12*7?" lm=demo"#,
            "execute_module",
            json!({"signature": "question -> answer: int", "lm": "demo",
                   "inputs": {"question": "What is 12*7?"}, "module": "ChainOfThought"}),
        ),
        (
            ":run qa question=84",
            "execute_program",
            json!({"inputs": {"question": "84"}, "program": "qa"}),
        ),
        (
            ":run dspy.Predict n: int -> m n=84",
            "execute_module",
            json!({"signature": "n: int -> m", "inputs": {"n": 84}, "module": "Predict"}),
        ),
        (
            ":sig text -> label: Literal['a', 'b'] name=L",
            "create_signature",
            json!({"signature": "text -> label: Literal['a', 'b']", "name": "L"}),
        ),
        (
            r#":sig "a -> b""#,
            "create_signature",
            json!({"signature": "a -> b"}),
        ),
        (
            ":lm add openai model=gpt-4o-mini temperature=0",
            "configure_lm",
            json!({"provider": "openai", "model": "gpt-4o-mini", "temperature": 0}),
        ),
        (
            ":set temperature=0.7",
            "configure_lm",
            json!({"name": "demo", "model": "demo/demo", "api_key_env": "DEMO_KEY",
                   "select": true, "temperature": 0.7}),
        ),
        (":lm", "list_lms", json!({})),
        (":lm demo", "select_lm", json!({"name": "demo"})),
        (
            ":optimize qa train max_bootstrapped_demos=2",
            "optimize_prompt",
            json!({"program": "qa", "dataset": "train", "options": {"max_bootstrapped_demos": 2}}),
        ),
        (
            ":sandbox timeout=5 x=1; print('it''s', x==1)",
            "execute_code",
            json!({"timeout": 5, "code": "x=1; print('it''s', x==1)"}),
        ),
        (
            ":sandbox\nfor i in range(3):\n    print(i)\n",
            "execute_code",
            json!({"code": "for i in range(3):\n    print(i)"}),
        ),
        (
            ":data load trivia",
            "load_dataset",
            json!({"shipped": "trivia"}),
        ),
        (
            ":program new p Predict,ChainOfThought question -> answer",
            "create_program",
            json!({"name": "p", "signature": "question -> answer",
                   "modules": ["Predict", "ChainOfThought"]}),
        ),
        (
            ":program new rag BM25,ChainOfThought question -> answer corpus=train k=2 max_tokens=9",
            "create_program",
            json!({"name": "rag", "signature": "question -> answer",
                   "modules": ["BM25", "ChainOfThought"],
                   "options": {"BM25": {"corpus": "train", "k": 2},
                               "ChainOfThought": {"max_tokens": 9}}}),
        ),
        (
            ":pipeline BM25,ChainOfThought question -> answer corpus=train question=84",
            "execute_program",
            json!({"program": {"modules": ["BM25", "ChainOfThought"],
                               "signature": "question -> answer",
                               "options": {"BM25": {"corpus": "train"}}},
                   "inputs": {"question": "84"}}),
        ),
        (
            ":predictor p question -> answer temperature=1",
            "create_program",
            json!({"name": "p", "signature": "question -> answer", "modules": ["Predict"],
                   "options": {"temperature": 1}}),
        ),
        (
            r#":react question -> answer tools=["add"] question=84"#,
            "execute_module",
            json!({"module": "ReAct", "signature": "question -> answer",
                   "options": {"tools": ["add"]}, "inputs": {"question": "84"}}),
        ),
        (
            ":train_model qa train exclude_demos=true",
            "train_model",
            json!({"program": "qa", "dataset": "train", "options": {"exclude_demos": true}}),
        ),
    ];
    for (line, operation, given) in expected {
        assert_eq!(arguments(line), (operation.to_owned(), given), "{line}");
    }
    assert_eq!(
        parse(":show lm", &context()),
        Ok(Parsed::Screen(ScreenAction::Show(ScreenName::Lm)))
    );
    assert_eq!(
        parse(":trace", &context()),
        Ok(Parsed::Local(Local::Trace(None)))
    );
    assert_eq!(parse(":", &context()), Ok(Parsed::Local(Local::Help(None))));
}

/// Bad input gets one clear sentence, the usage, and near matches.
#[test]
fn bad_lines_say_what_to_do() {
    let cases = [
        (
            ":optimise_ qa",
            "there is no command `:optimise_`",
            ":optimise",
        ),
        (":runn qa", "there is no command `:runn`", ":run"),
        (
            ":eval qa",
            "`:eval` needs `dataset`",
            "usage: :eval program dataset",
        ),
        (
            ":eval qa train metrik=f1",
            "`metrik` is not an option of `:eval`",
            "metric",
        ),
        (
            ":clear now",
            "`:clear` does not take `now`",
            "usage: :clear",
        ),
        (
            ":cancel seven",
            "`run` is a whole number, not `seven`",
            "usage: :cancel run",
        ),
        (
            ":run qaa question=1",
            "there is no program or module `qaa`",
            "qa",
        ),
        (
            ":program new p Predict,ChainOfThought a -> b temperature=1",
            "whose option is `temperature`?",
            r#"options={"Predict":{"temperature":1}}"#,
        ),
        (
            ":program new p BM25,ChainOfThought a -> b corpos=x",
            "none of these modules has an option `corpos`",
            "corpus",
        ),
        (
            ":pipeline BM25,Predict",
            "a pipeline needs a signature",
            "question -> answer",
        ),
        (":cot a -> b a=1 a=2", "`a` is given twice", "usage: :cot"),
        (
            ":generate \"open",
            "the quote before `open` is not closed",
            "usage",
        ),
        (
            ":exec run_cel {}",
            "there is no operation `run_cel`",
            "run_cell",
        ),
        (
            ":exec run_cell {\"a\"",
            "`arguments` is not JSON",
            "usage: :exec",
        ),
        (
            ":lm edit nobody a=1",
            "there is no LM profile `nobody`",
            ":lm",
        ),
        (":show lmm", "there is no screen `lmm`", "lm"),
    ];
    for (line, message, help) in cases {
        let error = parse(line, &context()).expect_err(line);
        assert!(error.message.starts_with(message), "{line}: {error}");
        let recovery = format!("{} {}", error.recovery.near.join(" "), error.recovery.hint);
        assert!(recovery.contains(help), "{line}: {recovery}");
    }
}

#[test]
fn completion_knows_what_may_follow() {
    assert!(texts(":lm us").contains(&"lm use".to_owned()));
    assert_eq!(texts(":lm use d"), ["demo"]);
    assert_eq!(texts(":eval qa tr"), ["train"]);
    assert_eq!(texts(":eval qa train metric=my"), ["my_metric"]);
    assert_eq!(texts(":run qa qu"), ["question="]);
    assert_eq!(texts(":run Predict a, b -> c b"), ["b="]);
    assert_eq!(texts(":run BM25,Predict ask -> c corp"), ["corpus="]);
    assert_eq!(texts(":run BM25,Predict ask -> c as"), ["ask="]);
    let offered = texts(":cot a, b -> c a=1 ");
    assert_eq!(offered[..3], ["lm=", "options=", "b="]);
    assert!(offered.contains(&"temperature=".to_owned()), "{offered:?}");
    assert_eq!(texts(":exec execute_m"), ["execute_module"]);
    assert_eq!(texts(":theme l"), ["light"]);
    assert_eq!(texts(":lm models azu"), ["azure"]);
    assert!(texts(":nonsense x").is_empty());
    let found = complete(":lm use d", 9, &context());
    assert_eq!(found.first().map(|candidate| candidate.start), Some(8));
}

/// R8: where a model is to be named, the line says whose models to ask for, and what the
/// server offers can be chosen.
#[test]
fn models_are_asked_of_the_server_on_the_line() {
    let wanted = |line: &str| {
        let wanted = models_wanted(line, line.len(), &context());
        wanted.map(|wanted| Value::Object(wanted).to_string())
    };
    let of = |line: &str| wanted(line).unwrap_or_default();
    assert_eq!(of(":lm add openai model="), r#"{"provider":"openai"}"#);
    assert_eq!(
        of("lm add local port=8000 temperature=1 model=qw"),
        r#"{"provider":"local","port":8000}"#
    );
    assert_eq!(of(":lm edit demo model=x"), r#"{"profile":"demo"}"#);
    assert_eq!(of(":set model="), r#"{"profile":"demo"}"#);
    for line in [
        ":lm add openai",
        ":lm add openai model=x ",
        ":lm add model=",
        ":run qa model=",
    ] {
        assert_eq!(wanted(line), None, "{line}");
    }
    let mut context = context();
    context.models = vec!["gpt-4o".into(), "gpt-4o-mini".into(), "o3".into()];
    let line = ":lm add openai model=gpt";
    let found = complete(line, line.len(), &context);
    let texts: Vec<&str> = found.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["gpt-4o", "gpt-4o-mini"]);
    assert_eq!(found[0].start, line.len() - 3);
}

proptest::proptest! {
    /// No line makes the parser or the completer panic, and an accepted
    /// candidate always fits the line.
    #[test]
    fn any_line_is_survived(line in "[ -~ü→]{0,60}", index in 0..TABLE.len(), at in 0_usize..80) {
        for line in [line.clone(), format!(":{} {line}", TABLE[index].name)] {
            let _ = parse(&line, &context());
            for candidate in complete(&line, at, &context()) {
                assert!(line.get(..candidate.start).is_some());
            }
        }
    }
}

#[test]
fn commands_in_the_readme_are_those_of_the_table() {
    check_section("commands", &readme_table());
}
