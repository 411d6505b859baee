//! What is kept on disk: told, cleared, and held within its quota, by the real binaries.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::Home;

/// A folder of the cache that was used so many days ago.
fn put(cache: &Path, name: &str, mb: usize, days: u64) -> PathBuf {
    let folder = cache.join(name);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("data"), vec![1; mb << 20]).unwrap();
    let used = SystemTime::now() - Duration::from_hours(24 * days);
    File::open(&folder).unwrap().set_modified(used).unwrap();
    folder
}

fn ask(home: &Home, arguments: &[&str]) -> Value {
    let outcome = home.dspex(&[&["exec"], arguments].concat());
    outcome.success();
    outcome.json()["result"].clone()
}

fn part<'a>(answer: &'a Value, what: &str) -> &'a Value {
    let parts = answer["parts"].as_array().unwrap();
    let found = parts.iter().find(|part| part["what"] == what);
    found.unwrap_or_else(|| panic!("no {what} in {answer:#}"))
}

/// R117: `cache stats` tells what is there; a start of a worker holds the quota of the
/// settings file, oldest first; `cache clear` removes the rest; sessions stay.
#[test]
fn the_cache_is_told_cut_and_cleared() {
    let mut home = Home::new();
    let settings = home.work().join("settings.toml");
    fs::write(&settings, "[cache]\nmax_mb = 12\n").unwrap();
    home.set("DSPEX_CONFIG", settings.display().to_string());
    // A folder of its own for snapshots: others may be made in the environment's meanwhile.
    home.set("DENO_DIR", home.root().join("deno").display().to_string());
    let cache = home.root().join("home/.cache/dspex-tui");
    let [oldest, older, newest] = [("python-a", 30), ("python-b", 20), ("python-c", 1)]
        .map(|(name, days)| put(&cache, name, 5, days));

    let told = ask(&home, &["cache", "stats"]);
    assert_eq!(part(&told, "worker packages")["count"], 3);
    assert_eq!(told["quota_bytes"], 12 << 20);
    let bytes = told["bytes"].as_u64().unwrap();
    assert!((15 << 20..16 << 20).contains(&bytes), "{told:#}");
    assert!(oldest.exists(), "asking removes nothing");

    // A worker lays its own package down, and what is too much goes.
    ask(
        &home,
        &[
            "--new",
            "kept",
            "create_signature",
            r#"{"signature": "question -> answer", "name": "qa"}"#,
        ],
    );
    assert!(!oldest.exists(), "the oldest goes first");
    assert!(!older.exists() || newest.exists());
    let told = ask(&home, &["cache"]);
    assert!(told["bytes"].as_u64().unwrap() <= 12 << 20, "{told:#}");
    let session = part(&told, "sessions");
    assert_eq!(
        (&session["count"], &session["cleared"]),
        (&json!(1), &json!(false))
    );

    let done = ask(&home, &["cache", "clear"]);
    assert!(
        done["removed"]["removed"].as_u64().unwrap() >= 2,
        "{done:#}"
    );
    assert_eq!(done["removed"]["in_use"], 0);
    let left = fs::read_dir(&cache).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| name == "ipython"), "{left:?}");
    assert!(home.sessions().join("kept").is_dir());
    // The next start makes again what it needs.
    let again = ask(
        &home,
        &["create_signature", r#"{"signature": "question -> answer"}"#],
    );
    assert_eq!(again["inputs"][0]["name"], "question");

    let wrong = home.dspex(&["exec", "cache", "clean"]);
    assert_eq!(wrong.code, Some(1));
    let error = &wrong.json()["error"];
    assert_eq!(error["recovery"]["near"][0], "clear", "{error:#}");
}

/// R117: the package that a worker runs from is not cleared away under it.
#[test]
fn what_a_worker_runs_from_stays() {
    let mut home = Home::new();
    home.set("DENO_DIR", home.root().join("deno").display().to_string());
    let lines = [
        json!({"operation": "run_cell", "arguments": {"source": "import dspex_worker, os\nwhere = os.path.dirname(dspex_worker.__file__)"}}),
        json!({"operation": "command", "arguments": {"line": ":cache clear"}}),
        json!({"operation": "run_cell", "arguments": {"source": "os.path.isfile(os.path.join(where, '__init__.py'))"}}),
        json!({"operation": "cache"}),
    ];
    let text: Vec<String> = lines.iter().map(Value::to_string).collect();
    let outcome = home.dspex_with_input(&["exec", "--jsonl"], &text.join("\n"));
    let answers: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let shown = answers[2]["result"]["outputs"].to_string();
    assert!(shown.contains("True"), "{shown}");
    assert_eq!(part(&answers[3]["result"], "worker packages")["count"], 1);
    let cleared = &answers[1]["result"]["removed"];
    assert_eq!(
        (&cleared["removed"], &cleared["in_use"]),
        (&json!(0), &json!(1))
    );
}
