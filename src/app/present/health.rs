//! How the parts are, in plain words: what is wrong, a line for the kernel, one for
//! each pool with its workers and what waits below, what runs, one for the session.

use serde_json::Value;

use crate::app::answer::{count, is, list, text};

/// A `health_check` or `pools` answer as a small table.
pub(super) fn plain(result: &Value) -> String {
    let mut lines = Vec::new();
    for problem in list(result, "problems") {
        lines.push(format!("✗ {}", problem.as_str().unwrap_or_default()));
    }
    if result.get("session").is_some()
        && !list(result, "workers").any(|it| text(it, "role") == "kernel")
    {
        lines.push(format!("{:<10} not started", "kernel"));
    }
    let named = result.get("session").is_some();
    for worker in list(result, "workers").filter(|_| named) {
        lines.push(format!("{:<10} {}", text(worker, "role"), member(worker)));
    }
    for each in list(result, "pools") {
        pool(each, &mut lines);
    }
    for run in list(result, "running") {
        let seconds = run.get("seconds").and_then(Value::as_f64);
        let seconds = seconds.map_or_else(String::new, |it| format!(" · {it:.1} s"));
        let paused = if is(run, "paused") { " · paused" } else { "" };
        let waits = if is(run, "waits") {
            " · waits for a worker"
        } else {
            ""
        };
        lines.push(format!(
            "{:<10} {}{seconds}{paused}{waits}",
            format!("run {}", count(run, "run")),
            text(run, "title"),
        ));
    }
    if let Some(memory) = result.get("memory").filter(|_| named) {
        lines.push(format!(
            "{:<10} Python {} MB · workbench {} MB",
            "memory",
            count(memory, "python_mb"),
            count(memory, "workbench_mb"),
        ));
    }
    if let Some(session) = result.get("session") {
        let id = text(session, "id");
        let id = if id.is_empty() { "not kept" } else { id };
        lines.push(format!(
            "{:<10} {id} · {}",
            "session",
            text(session, "save")
        ));
    }
    if let Some(lm) = result.get("lm") {
        lines.push(format!("{:<10} {}", "lm", lm.as_str().unwrap_or("none")));
    }
    lines.join("\n")
}

fn pool(pool: &Value, lines: &mut Vec<String>) {
    let name = text(pool, "name");
    if count(pool, "size") == 0 {
        lines.push(format!("{name:<10} none; the kernel does its work"));
        return;
    }
    lines.push(format!(
        "{name:<10} {} busy · {} idle · {} starting of {} · {} of {} waiting · {} replaced",
        count(pool, "busy"),
        count(pool, "idle"),
        count(pool, "starting"),
        count(pool, "size"),
        count(pool, "queue"),
        count(pool, "queue_limit"),
        count(pool, "restarts"),
    ));
    for worker in list(pool, "workers") {
        lines.push(format!("{:<10} {}", "", member(worker)));
    }
}

/// `worker 3 busy · process 43 · 80 of 2048 MB · run 7`.
fn member(worker: &Value) -> String {
    let runs = list(worker, "runs").map(|run| format!("run {run}"));
    let mut runs: Vec<String> = runs.collect();
    runs.dedup();
    let runs = if runs.is_empty() {
        String::new()
    } else {
        format!(" · {}", runs.join(", "))
    };
    format!(
        "worker {} {} · process {} · {} of {} MB{runs}",
        count(worker, "worker"),
        text(worker, "state"),
        count(worker, "pid"),
        count(worker, "rss_mb"),
        count(worker, "memory_mb"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// R85, R93, R123: size, busy, idle, queue and memory are shown, and who does what.
    #[test]
    fn r85_the_health_names_every_worker_and_what_it_does() {
        let health = json!({
            "problems": ["worker 3 (pool) holds 80 MB, more than 64 MB"],
            "workers": [{"worker": 1, "role": "kernel", "state": "idle", "pid": 41, "rss_mb": 62, "memory_mb": 2048}],
            "pools": [
                {"name": "pool", "size": 2, "busy": 1, "idle": 0, "starting": 0, "queue": 3,
                 "queue_limit": 10, "restarts": 1, "down": "",
                 "workers": [{"worker": 3, "pid": 43, "state": "busy", "runs": [7, 7], "rss_mb": 80, "memory_mb": 64}]},
                {"name": "optimizer", "size": 0, "workers": []},
            ],
            "running": [{"run": 7, "title": "qa(question=\"x\")", "seconds": 2.46, "paused": true}],
            "memory": {"python_mb": 142, "workbench_mb": 21},
            "session": {"id": "", "save": "ephemeral"},
            "lm": "demo",
        });
        assert_eq!(
            plain(&health),
            "✗ worker 3 (pool) holds 80 MB, more than 64 MB\n\
             kernel     worker 1 idle · process 41 · 62 of 2048 MB\n\
             pool       1 busy · 0 idle · 0 starting of 2 · 3 of 10 waiting · 1 replaced\n\
             \u{20}          worker 3 busy · process 43 · 80 of 64 MB · run 7\n\
             optimizer  none; the kernel does its work\n\
             run 7      qa(question=\"x\") · 2.5 s · paused\n\
             memory     Python 142 MB · workbench 21 MB\n\
             session    not kept · ephemeral\n\
             lm         demo"
        );
    }
}
