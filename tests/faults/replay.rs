//! What is replayed is what was lived.

use std::fs;

use dspex_tui::session::line;
use dspex_tui::session::reader::SessionReader;

use super::*;

/// Lives a session: cells, an execution, an evaluation, an optimisation. Answers the
/// last `session_state`.
fn live(home: &Home, name: &str) -> Value {
    let mut exec = Exec::start(home, &["--new", name]);
    exec.done("configure_lm", json!({"provider": "demo"}));
    exec.cell("import dspy\nqa = dspy.Predict('question -> answer')\nprint('six', 6)\nqa(question='What is 12*7?').answer");
    exec.cell_fails("1/0");
    exec.done(
        "execute_module",
        json!({"module": "ChainOfThought", "signature": "question -> answer", "inputs": {"question": "What is 12*7?"}}),
    );
    exec.done(
        "create_program",
        json!({"name": "sums", "module": "Predict", "signature": "question -> answer"}),
    );
    let rows: Vec<Value> = (2..8)
        .map(|n| json!({"question": format!("What is {n}*3?"), "answer": (n * 3).to_string()}))
        .collect();
    exec.done(
        "load_dataset",
        json!({"name": "times", "rows": rows, "inputs": ["question"]}),
    );
    exec.done(
        "evaluate_pipeline",
        json!({"program": "sums", "dataset": "times"}),
    );
    exec.done(
        "optimize_prompt",
        json!({"program": "sums", "dataset": "times", "options": {"max_bootstrapped_demos": 2}}),
    );
    let state = exec.done("session_state", json!({}));
    let (_, said) = exec.close();
    assert!(!said.contains("panicked"), "{said}");
    state
}

/// R64, D1: without Python and without network a session replays to the state hash
/// it had when it was lived, and changing any of its events changes the hash.
#[test]
fn replay_equals_life_and_every_event_counts() {
    let mut home = Home::new();
    let lived = live(&home, "life");
    home.set("DSPEX_VENV", "/nowhere").set("PATH", "/nowhere");
    let seq = lived["seq"].to_string();
    let replayed = home.dspex(&["replay", "life", "--json", "--at", &seq]);
    replayed.success();
    let replayed = replayed.json();
    assert_eq!(replayed["hash"], lived["hash"]);
    assert_eq!(replayed["state"]["totals"], lived["totals"]);
    let runs = replayed["state"]["runs"].as_object().unwrap();
    assert_eq!(runs.len() as u64, lived["runs"].as_u64().unwrap());

    let end = home.dspex(&["replay", "life", "--json"]).json();
    let plain = home.dspex(&["replay", "life", "--plain"]);
    let hash = end["hash"].as_str().unwrap();
    assert!(plain.success().ends_with(&format!("state {hash}\n")));
    assert!(plain.stdout.contains("84") && plain.stdout.contains("ZeroDivisionError"));

    without_network(&home, hash);
    every_event_counts(&home, hash);
}

/// In a namespace without any network, where the system lets one be made.
fn without_network(home: &Home, hash: &str) {
    let output = Command::new("/usr/bin/unshare")
        .args(["-r", "-n"])
        .arg(workbench())
        .args(["replay", "life", "--json"])
        .env_clear()
        .envs(home.environment())
        .current_dir(home.work())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let said: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(said["hash"], hash);
        }
        refused => println!("not shown without network, the system refuses it: {refused:?}"),
    }
}

/// Changes one byte of each line's content in turn, with the checksum made to fit.
fn every_event_counts(home: &Home, hash: &str) {
    let dir = session_dir(home, "life");
    let log = dspex_tui::session::log::segment_path(&dir, 1);
    let original = fs::read(&log).unwrap();
    let lines: Vec<&[u8]> = original.split_inclusive(|byte| *byte == b'\n').collect();
    assert!(lines.len() > 100, "{} lines", lines.len());
    let copy = home.work().join("altered");
    copy_dir(&dir, &copy);
    let altered_log = dspex_tui::session::log::segment_path(&copy, 1);
    let mut altered_events = 0;
    for (index, line) in lines.iter().enumerate() {
        let Some(altered) = altered(line) else {
            // A header line: it is no event.
            assert_eq!(index, 0, "{}", String::from_utf8_lossy(line));
            continue;
        };
        let whole: Vec<u8> = lines
            .iter()
            .enumerate()
            .flat_map(|(other, bytes)| {
                if other == index {
                    altered.as_slice()
                } else {
                    bytes
                }
            })
            .copied()
            .collect();
        fs::write(&altered_log, whole).unwrap();
        let mut reader = SessionReader::open(&copy).unwrap();
        assert_eq!(
            reader.report().sentence(),
            None,
            "line {index} is not sound"
        );
        assert_ne!(
            reader.final_state().hash(),
            hash,
            "line {index} does not count"
        );
        altered_events += 1;
    }
    assert!(altered_events > 100);
    fs::write(&altered_log, &original).unwrap();
    let mut reader = SessionReader::open(&copy).unwrap();
    assert_eq!(reader.final_state().hash(), hash);
}

/// The line with its wall clock a millisecond later and a checksum that fits.
fn altered(line: &[u8]) -> Option<Vec<u8>> {
    let decoded = line::decode(line.strip_suffix(b"\n")?)?;
    let head = line::Head {
        time_ms: decoded.head.time_ms + 1,
        ..decoded.head
    };
    let (bytes, _) = line::encode(head, decoded.kind.as_ref(), decoded.d.get(), &[0; 32]);
    Some(bytes)
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
