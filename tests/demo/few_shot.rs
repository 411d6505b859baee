//! Learning from demonstrations, and from wrong ones not.

use super::{Value, ask, dataset, json, section};

const TEAMS: [&str; 4] = ["falcon", "heron", "otter", "badger"];

/// A prompt as DSPy's chat adapter writes it, with these demonstrations.
fn classify(demos: &[(String, String)], ticket: &str) -> String {
    let literal = "Literal['falcon', 'heron', 'otter', 'badger']";
    let system = format!(
        "Your input fields are:\n1. `ticket` (str):\nYour output fields are:\n1. `category` ({literal}):\nAll interactions will be structured in the following way, with the appropriate values filled in.\n\n[[ ## ticket ## ]]\n{{ticket}}\n\n[[ ## category ## ]]\n{{category}}        # note: the value you produce must exactly match (no extra characters) one of: falcon; heron; otter; badger\n\n[[ ## completed ## ]]\nIn adhering to this structure, your objective is: \n        Route the ticket."
    );
    let mut messages = vec![json!({"role": "system", "content": system})];
    for (ticket, category) in demos {
        messages.push(json!({"role": "user", "content": format!("[[ ## ticket ## ]]\n{ticket}")}));
        let answer = format!("[[ ## category ## ]]\n{category}\n\n[[ ## completed ## ]]\n");
        messages.push(json!({"role": "assistant", "content": answer}));
    }
    let asked = format!(
        "[[ ## ticket ## ]]\n{ticket}\n\nRespond with the corresponding output fields, starting with the field `[[ ## category ## ]]`."
    );
    messages.push(json!({"role": "user", "content": asked}));
    let response = ask(
        "https://demo.invalid/v1/chat/completions",
        &json!({"model": "demo", "messages": messages}),
        None,
    );
    let response: Value = serde_json::from_slice(&response.body).expect("JSON");
    section(
        response["choices"][0]["message"]["content"]
            .as_str()
            .unwrap_or_default(),
        "category",
    )
}

/// Right answers of a hundred held-out tickets.
fn score(seed: u64, shots: usize, label: impl Fn(usize, &str) -> String) -> usize {
    let rows = dataset::generate("tickets", seed, shots + 100).expect("a known kind");
    let cell = |place: usize, key: &str| rows[place][key].as_str().unwrap_or_default().to_owned();
    let demos: Vec<(String, String)> = (0..shots)
        .map(|place| {
            (
                cell(place, "ticket"),
                label(place, &cell(place, "category")),
            )
        })
        .collect();
    (shots..shots + 100)
        .filter(|place| classify(&demos, &cell(*place, "ticket")) == cell(*place, "category"))
        .count()
}

/// Demonstrations raise the score on held-out tickets of any seed; with
/// shuffled labels they do not.
#[test]
fn demonstrations_teach_a_convention_and_shuffled_ones_do_not() {
    for seed in [1, 7, 99] {
        let zero = score(seed, 0, |_, label| label.to_owned());
        let taught = score(seed, 16, |_, label| label.to_owned());
        let fooled = score(seed, 16, |place, _| TEAMS[(place * 7 / 3) % 4].to_owned());
        assert!(zero <= 45, "seed {seed}: zero-shot {zero}");
        assert!(taught >= zero + 25, "seed {seed}: {zero} to {taught}");
        assert!(
            fooled <= zero + 20,
            "seed {seed}: {zero} to {fooled} with shuffled labels"
        );
    }
}

#[test]
fn shipped_datasets_are_what_the_generator_makes() {
    for (kind, count) in [
        ("tickets", 60),
        ("arithmetic", 60),
        ("reviews", 60),
        ("facts", 48),
    ] {
        let path = format!(
            "{}/python/dspex_worker/datasets/{kind}.jsonl",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let shipped: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let made = dataset::generate(kind, 1, count).expect("a known kind");
        assert_eq!(
            shipped,
            made.into_iter().map(Value::Object).collect::<Vec<_>>(),
            "{kind}"
        );
    }
}

/// A question with passages, and demonstrations: context, question, answer.
fn read(demos: &[(&str, &str, &str)], context: &str, question: &str) -> String {
    let system = "Your input fields are:\n1. `context` (list[str]):\n2. `question` (str):\nYour output fields are:\n1. `answer` (str):\nAll interactions will be structured in the following way, with the appropriate values filled in.\n\n[[ ## context ## ]]\n{context}\n\n[[ ## question ## ]]\n{question}\n\n[[ ## answer ## ]]\n{answer}\n\n[[ ## completed ## ]]\nIn adhering to this structure, your objective is: \n        Given the fields `context`, `question`, produce the fields `answer`.";
    let inputs = |context: &str, question: &str| {
        format!("[[ ## context ## ]]\n{context}\n\n[[ ## question ## ]]\n{question}")
    };
    let mut messages = vec![json!({"role": "system", "content": system})];
    for (context, question, answer) in demos {
        messages.push(json!({"role": "user", "content": inputs(context, question)}));
        let answer = format!("[[ ## answer ## ]]\n{answer}\n\n[[ ## completed ## ]]\n");
        messages.push(json!({"role": "assistant", "content": answer}));
    }
    let asked = format!(
        "{}\n\nRespond with the corresponding output fields, starting with the field `[[ ## answer ## ]]`.",
        inputs(context, question)
    );
    messages.push(json!({"role": "user", "content": asked}));
    let response = ask(
        "https://demo.invalid/v1/chat/completions",
        &json!({"model": "demo", "messages": messages}),
        None,
    );
    let response: Value = serde_json::from_slice(&response.body).expect("JSON");
    let content = response["choices"][0]["message"]["content"].as_str();
    section(content.unwrap_or_default(), "answer")
}

const PASSAGES: &str = "[1] «Kestrel devices are serviced in Porto; parts ship within two days.»\n[2] «Heron devices are serviced in Gdansk; parts ship within five days.»";

/// What the passages say is the answer, whatever the nearest demonstrations
/// answered; how it is written is the demonstrations' manner.
#[test]
fn passages_answer_and_demonstrations_give_the_manner() {
    let question = "Where are Heron devices serviced?";
    let near = (PASSAGES, "Where are Kestrel devices serviced?", "Porto");
    let again = (
        PASSAGES,
        "Where are the Kestrel devices serviced now?",
        "Porto",
    );
    let copied = (
        "[1] «The Kestrel battery lasts 14 hours.»",
        "How long does it last?",
        "14 hours",
    );
    let loud = (PASSAGES, "Where are Kestrel devices serviced?", "PORTO");
    assert_eq!(
        read(&[], PASSAGES, question),
        "Heron devices are serviced in Gdansk; parts ship within five days."
    );
    assert_eq!(read(&[near], PASSAGES, question), "Gdansk");
    assert_eq!(read(&[near, again], PASSAGES, question), "Gdansk");
    assert_eq!(read(&[copied, copied], PASSAGES, question), "Gdansk");
    assert_eq!(read(&[loud], PASSAGES, question), "GDANSK");
}
