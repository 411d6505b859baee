//! A recorded session is altered, one field at a time, in sound lines: it is never
//! taken for the session that was lived.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dspex_tui::session::event::{CellId, Document, RunId};
use dspex_tui::session::line::{self, Head};
use dspex_tui::session::log;

use super::*;

/// Every kind of event there is.
const KINDS: [&str; 22] = [
    "session_opened",
    "python_found",
    "session_closed",
    "cell_submitted",
    "cell_output",
    "cell_finished",
    "cell_deleted",
    "run_started",
    "run_finished",
    "spans",
    "exchange",
    "lm_configured",
    "lm_removed",
    "lm_selected",
    "signature_defined",
    "program_registered",
    "program_removed",
    "dataset_loaded",
    "names_changed",
    "progressed",
    "worker_changed",
    "noted",
];

/// Lives a session in which everything happens that can.
fn live(home: &Home) {
    let mut exec = Exec::start(home, &["--new", "life"]);
    exec.done("configure_lm", json!({"provider": "demo"}));
    exec.done("configure_lm", json!({"model": "openai/gpt-4o-mini", "name": "other", "api_base": "http://127.0.0.1:9/v1", "timeout": 2.5}));
    exec.done("remove_lm", json!({"name": "other"}));
    exec.done("select_lm", json!({"name": "demo"}));
    exec.cell("import dspy, sys\nfrom IPython.display import display, clear_output\nprint('gone')\nclear_output(wait=True)\nshown = display({'text/plain': 'one'}, raw=True, display_id='d')\nshown.update({'text/plain': 'two'}, raw=True)\nprint('six', file=sys.stderr)\nqa = dspy.ChainOfThought('question -> answer')\nqa(question='What is 12*7?').answer");
    exec.cell_fails("1/0");
    let deleted = exec.cell("'deleted'");
    exec.done("delete_cell", json!({"cell": deleted}));
    exec.done("create_signature", json!({"signature": "question, n: int -> answer", "name": "Asked", "instructions": "Be brief."}));
    for name in ["sums", "gone"] {
        exec.done(
            "create_program",
            json!({"name": name, "module": "Predict", "signature": "question -> answer"}),
        );
    }
    exec.done("remove_program", json!({"name": "gone"}));
    let rows: Vec<Value> = (2..8)
        .map(|n| json!({"question": format!("What is {n}*3?"), "answer": (n * 3).to_string()}))
        .collect();
    exec.done(
        "load_dataset",
        json!({"name": "times", "rows": rows, "inputs": ["question"]}),
    );
    exec.done(
        "optimize_prompt",
        json!({"program": "sums", "dataset": "times", "options": {"max_bootstrapped_demos": 2}}),
    );
    exec.cell("treasure = 1");
    exec.ask("run_cell", json!({"source": "import os; os.abort()"}));
    exec.done("list_programs", json!({}));
    let (_, said) = exec.close();
    assert!(!said.contains("panicked"), "{said}");
}

/// The session as it was, and a copy to do things to.
struct Altering {
    copy: PathBuf,
    /// The state's hash after so many events.
    hashes: Vec<String>,
    lines: Vec<Vec<u8>>,
}

impl Altering {
    fn new(home: &Home) -> Self {
        let dir = session_dir(home, "life");
        let copy = home.work().join("altered");
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
            }
        }
        let mut reader = SessionReader::open(&copy).unwrap();
        let log = fs::read(log::segment_path(&copy, 1)).unwrap();
        Self {
            hashes: (0..=reader.len())
                .map(|at| reader.state_at(at).hash())
                .collect(),
            lines: log
                .split_inclusive(|it| *it == b'\n')
                .map(<[u8]>::to_vec)
                .collect(),
            copy,
        }
    }

    /// Whether the copy, with these lines, is taken for so many events as they were lived.
    fn passes(&self, lines: &[&[u8]], len: usize) -> bool {
        fs::write(log::segment_path(&self.copy, 1), lines.concat()).unwrap();
        let Ok(mut reader) = SessionReader::open(&self.copy) else {
            return false;
        };
        reader.report().sentence().is_none()
            && reader.len() == len
            && reader.final_state().hash() == self.hashes[len]
    }

    /// The same with one line replaced by others, and all that followed it.
    fn passes_with(&self, index: usize, instead: &[&[u8]]) -> bool {
        self.passes(
            &self.spliced(index, instead, &self.lines[index + 1..]),
            self.hashes.len() - 1,
        )
    }

    /// The same as of the moment at which that event was the last one.
    fn passed_with(&self, index: usize, instead: &[u8]) -> bool {
        let lines = self.spliced(index, &[instead], &[]);
        self.passes(&lines, lines.len())
    }

    fn spliced<'a>(
        &'a self,
        index: usize,
        instead: &[&'a [u8]],
        rest: &'a [Vec<u8>],
    ) -> Vec<&'a [u8]> {
        let before = self.lines[..index].iter().map(Vec::as_slice);
        let rest = rest.iter().map(Vec::as_slice);
        before.chain(instead.iter().copied()).chain(rest).collect()
    }
}

/// D1: altering any one field of any kind of event, with a checksum that fits, changes
/// the state hash or is refused; so do losing and swapping events, and any change to a
/// long value kept beside them.
#[test]
fn no_field_of_any_event_can_be_altered_unnoticed() {
    let home = Home::new();
    live(&home);
    let altering = Altering::new(&home);
    let whole: Vec<&[u8]> = altering.lines.iter().map(Vec::as_slice).collect();
    assert!(
        altering.passes(&whole, whole.len()),
        "unaltered it is what it was"
    );

    let mut done: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (index, bytes) in altering.lines.iter().enumerate() {
        let decoded = line::decode(bytes.strip_suffix(b"\n").unwrap()).unwrap();
        let d: Value = serde_json::from_str(decoded.d.get()).unwrap();
        let written = encode(decoded.head, &decoded.kind, &d);
        assert_eq!(&written, bytes, "unaltered it is the same line");
        let first = !done.contains_key(&decoded.kind);
        let fields = done.entry(decoded.kind.clone()).or_default();
        if first {
            for (name, kind, head) in heads(&decoded.kind, decoded.head) {
                let altered = encode(head, &kind, &d);
                assert!(
                    !altering.passes_with(index, &[&altered]),
                    "{kind} of event {index}: {name}"
                );
                fields.insert(name.to_owned());
            }
            assert!(!altering.passes_with(index, &[]), "without event {index}");
            assert!(
                altering.passes_with(index, &[bytes, bytes]),
                "a copied line is no second event {index}"
            );
        }
        for (field, altered) in alterations(&d) {
            if fields.insert(field.clone()) {
                let altered = encode(decoded.head, &decoded.kind, &altered);
                assert!(
                    !altering.passed_with(index, &altered),
                    "{} of event {index}: {field}",
                    decoded.kind
                );
            }
        }
    }
    let fields: usize = done.values().map(BTreeSet::len).sum();
    println!("{fields} fields of {} kinds: {done:#?}", done.len());
    for kind in KINDS {
        assert!(done.contains_key(kind), "no {kind} in the session");
    }
    let mut swapped = whole.clone();
    swapped.swap(5, 6);
    assert!(
        !altering.passes(&swapped, swapped.len()),
        "two events swapped"
    );
    assert!(altering.passes(&whole, whole.len()), "and whole again");
    blobs_count(&altering.copy, &altering.hashes[whole.len()]);
}

fn encode(head: Head, kind: &str, d: &Value) -> Vec<u8> {
    line::encode(head, kind, &d.to_string(), &[0; 32]).0
}

/// What stands before an event's own fields, each altered in turn.
fn heads(kind: &str, head: Head) -> Vec<(&'static str, String, Head)> {
    let altered = |change: fn(&mut Head)| {
        let mut head = head;
        change(&mut head);
        head
    };
    let same = || kind.to_owned();
    vec![
        ("kind", format!("{kind}_"), head),
        ("seq", same(), altered(|head| head.seq += 1)),
        ("t", same(), altered(|head| head.time_ms += 1)),
        ("mono", same(), altered(|head| head.mono_ns += 1)),
        (
            "run",
            same(),
            altered(|head| {
                head.scope.run = Some(RunId(head.scope.run.map_or(1, |id| id.0 + 1)));
            }),
        ),
        (
            "cell",
            same(),
            altered(|head| {
                head.scope.cell = Some(CellId(head.scope.cell.map_or(1, |id| id.0 + 1)));
            }),
        ),
    ]
}

/// A value with one of its fields altered, or left out, for each field in it; the
/// fields of a list's elements count as one.
fn alterations(value: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let mut without = fields.clone();
                without.shift_remove(name);
                all.push((format!("{name} left out"), Value::Object(without)));
                for (path, altered) in alterations(field) {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), altered);
                    all.push((format!("{name}{path}"), Value::Object(fields)));
                }
            }
            let mut more = fields.clone();
            more.insert("more".to_owned(), Value::Null);
            all.push((".more".to_owned(), Value::Object(more)));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for (path, altered) in alterations(item) {
                    let mut items = items.clone();
                    items[index] = altered;
                    all.push((format!("[].{path}"), Value::Array(items)));
                }
            }
            let more = [items.as_slice(), &[Value::Null]].concat();
            all.push(("[more]".to_owned(), Value::Array(more)));
        }
        Value::String(text) => all.push((String::new(), format!("{text}x").into())),
        Value::Number(number) if number.is_f64() => {
            all.push((String::new(), (number.as_f64().unwrap() + 0.5).into()));
        }
        Value::Number(number) => {
            let altered = number.as_i64().map_or(0, |number| number ^ 1);
            all.push((String::new(), altered.into()));
        }
        Value::Bool(truth) => all.push((String::new(), (!truth).into())),
        Value::Null => all.push((String::new(), 0.into())),
    }
    all
}

/// Bodies and other long values lie beside the log, under the hash of what they say:
/// with one bit changed they are missing, never another text.
fn blobs_count(dir: &Path, hash: &str) {
    let texts = |dir: &Path| {
        let mut reader = SessionReader::open(dir).unwrap();
        let len = reader.len();
        let documents: Vec<Document> = reader
            .events(1..=len)
            .into_iter()
            .filter_map(|event| match event.body {
                EventBody::Exchange(exchange) => Some([exchange.request, exchange.response]),
                _ => None,
            })
            .flatten()
            .collect();
        let texts: Vec<_> = documents.iter().map(|it| reader.document(it)).collect();
        (
            reader.final_state().hash(),
            reader.report().sentence(),
            texts,
        )
    };
    let lived = texts(dir);
    assert_eq!((lived.0.as_str(), &lived.1), (hash, &None));
    assert!(lived.2.iter().all(Option::is_some));
    let pack = dir.join("blobs-000001.pack");
    let original = fs::read(&pack).unwrap();
    let (mut missed, mut flips) = (0, 0);
    for at in (0..original.len()).step_by(original.len() / 64 + 1) {
        let mut damaged = original.clone();
        damaged[at] ^= 1;
        fs::write(&pack, damaged).unwrap();
        let found = texts(dir);
        for (lived, found) in lived.2.iter().zip(&found.2) {
            assert!(
                found.is_none() || found == lived,
                "byte {at} changed a text"
            );
        }
        flips += 1;
        missed += usize::from(found == lived);
    }
    println!(
        "{flips} bits changed in {} bytes of long values, {missed} of them in no value",
        original.len()
    );
    assert!(missed * 4 < flips, "{missed} of {flips} changed nothing");
    fs::write(&pack, &original).unwrap();
}
