//! What is configured is what the next call is made with, as a server sees it.

use serde_json::{Value, json};

use super::Lines;
use crate::support::stub_lm::{Received, Scripted, StubLm};

const QA: &str = "question -> answer";

/// Under whichever name DSPy sends it to this server.
fn most_tokens(received: &Received) -> Value {
    let names = ["max_tokens", "max_completion_tokens"];
    let found = names.iter().find_map(|name| received.json.get(name));
    found.cloned().unwrap_or_default()
}

fn ask(lines: &mut Lines, more: Value) -> usize {
    let mut arguments =
        json!({"module": "Predict", "signature": QA, "inputs": {"question": "What is 12*7?"}});
    for (name, value) in more.as_object().unwrap() {
        arguments[name] = value.clone();
    }
    lines.ask("execute_module", arguments)
}

/// R1: `configure_lm` answers status, provider and model, and the next call uses it.
#[test]
fn the_next_call_uses_what_was_configured() {
    let server = StubLm::answering("answer", "stubbed");
    let mut lines = Lines::new();
    lines.home.set("OPENAI_API_KEY", "sk-of-the-test");
    let configured = lines.ask(
        "configure_lm",
        json!({"provider": "openai", "model": "gpt-4o-mini", "api_base": server.base(),
               "api_key_env": "OPENAI_API_KEY"}),
    );
    let ran = ask(&mut lines, json!({}));
    let lived = lines.live();
    let result = lived.result(configured);
    assert_eq!(
        [&result["status"], &result["provider"], &result["model"]],
        ["configured", "openai", "openai/gpt-4o-mini"]
    );
    assert_eq!(lived.result(ran)["answer"], "stubbed");
    let [received] = &server.received()[..] else {
        panic!("one call: {:#?}", server.received());
    };
    assert_eq!(received.path, "/v1/chat/completions");
    assert_eq!(received.json["model"], "gpt-4o-mini");
    assert_eq!(
        received.header("authorization"),
        Some("Bearer sk-of-the-test")
    );
}

/// R4: an Ollama server at its own port receives model, temperature and most tokens.
#[test]
fn ollama_is_asked_at_its_own_port() {
    let server = StubLm::start_at(11434, |_, _| {
        Scripted::chat("[[ ## answer ## ]]\nfrom here\n\n[[ ## completed ## ]]")
    });
    let mut lines = Lines::new();
    let configured = lines.ask(
        "configure_lm",
        json!({"model": "ollama_chat/llama3", "temperature": 0.7, "max_tokens": 2048}),
    );
    let ran = ask(&mut lines, json!({}));
    let lived = lines.live();
    lived.result(configured);
    assert_eq!(lived.result(ran)["answer"], "from here");
    let received = &server.received()[0];
    let body = &received.json;
    assert_eq!(body["model"], "llama3", "{received:#?}");
    assert_eq!(body["temperature"], 0.7);
    assert_eq!(most_tokens(received), 2048);
}

/// R6: `temperature` and `max_tokens` go along with the request, as it was recorded;
/// `num_retries` is how often DSPy tries again, and each try is recorded.
#[test]
fn further_options_reach_the_lm() {
    let server = StubLm::start(|number, _| match number {
        // The profile that tries again fails once, the other for good.
        0 | 2 => Scripted::Whole(500, vec![("retry-after", "0")], "{}".to_owned()),
        _ => Scripted::chat("[[ ## answer ## ]]\nat last\n\n[[ ## completed ## ]]"),
    });
    let mut lines = Lines::new();
    let profile = |name: &str, retries: u32| {
        json!({"provider": "local", "name": name, "model": "m", "api_base": server.base(),
               "temperature": 0.3, "max_tokens": 321, "num_retries": retries})
    };
    lines.ask("configure_lm", profile("patient", 1));
    let patient = ask(&mut lines, json!({}));
    lines.ask("configure_lm", profile("hasty", 0));
    let hasty = ask(&mut lines, json!({"inputs": {"question": "What is 2+2?"}}));
    let lived = lines.live();
    assert_eq!(lived.result(patient)["answer"], "at last");
    assert_eq!(lived.error(hasty)["class"], "lm");
    let runs: Vec<_> = lived.state.runs.values().collect();
    let [first, second] = &runs[..] else {
        panic!("two runs: {}", runs.len());
    };
    let statuses = |run: &dspex_tui::session::state::Run| -> Vec<u16> {
        let exchanges = run.spans.iter().flat_map(|span| &span.exchanges);
        exchanges.map(|it| it.status).collect()
    };
    assert_eq!(statuses(first), [500, 200], "one more try");
    assert_eq!(statuses(second), [500], "no other try");
    for (name, retries) in [("patient", 1), ("hasty", 0)] {
        assert_eq!(lived.state.lms[name].params["num_retries"], retries);
    }
    for received in server.received() {
        assert_eq!(received.json["temperature"], 0.3);
        assert_eq!(most_tokens(&received), 321);
        assert!(received.json.get("num_retries").is_none());
    }
}

/// R13: ChainOfThought with options of this call, and with options it is made with; a
/// module of the notebook that takes nothing.
#[test]
fn options_of_a_call_and_of_a_module_reach_the_lm() {
    let server = StubLm::answering("reasoning", "so\n\n[[ ## answer ## ]]\n84");
    let mut lines = Lines::new();
    lines.ask(
        "configure_lm",
        json!({"provider": "local", "model": "m", "api_base": server.base()}),
    );
    let thought =
        json!({"module": "ChainOfThought", "config": {"temperature": 0.25, "max_tokens": 77}});
    let called = ask(&mut lines, thought);
    let made = ask(
        &mut lines,
        json!({"module": "ChainOfThought", "options": {"temperature": 0.5}}),
    );
    lines.cell(
        "class Plain(dspy.Module):\n    def __init__(self):\n        super().__init__()\n        \
         self.ask = dspy.ChainOfThought('question -> answer')\n    \
         def forward(self, question):\n        return self.ask(question=question)",
    );
    let own = lines.ask(
        "execute_module",
        json!({"module": "Plain", "inputs": {"question": "What is 12*7?"}}),
    );
    let lived = lines.live();
    for place in [called, made, own] {
        assert_eq!(lived.result(place)["answer"], "84");
    }
    let received = server.received();
    let each = received.iter();
    let temperatures: Vec<&Value> = each.map(|it| &it.json["temperature"]).collect();
    assert_eq!(temperatures, [&json!(0.25), &json!(0.5), &Value::Null]);
    let tokens: Vec<Value> = received.iter().map(most_tokens).collect();
    assert_eq!(tokens, [json!(77), Value::Null, Value::Null]);
}
