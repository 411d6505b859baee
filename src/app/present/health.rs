//! How the parts are, in plain words: a line for the kernel, one for each pool
//! with its workers below, one for the session.

use serde_json::Value;

/// A `health_check` or `pools` answer as a small table.
pub(super) fn plain(result: &Value) -> String {
    let mut lines = Vec::new();
    if let Some(workers) = result.get("workers").and_then(Value::as_array) {
        let of_role = |role: &str| {
            let mut found = workers.iter().rev().filter(|it| text(it, "role") == role);
            found.next()
        };
        for role in ["kernel", "standby"] {
            let Some(worker) = of_role(role) else {
                continue;
            };
            let memory = match result.get("kernel_rss_mb").and_then(Value::as_u64) {
                Some(mb) if role == "kernel" => format!(" · {mb} MB"),
                _ => String::new(),
            };
            let detail = text(worker, "detail");
            let detail = if detail.is_empty() {
                String::new()
            } else {
                format!(" · {detail}")
            };
            lines.push(format!(
                "{role:<10} {} · worker {} · process {}{memory}{detail}",
                text(worker, "state"),
                count(worker, "worker"),
                count(worker, "pid"),
            ));
        }
        if of_role("kernel").is_none() {
            lines.push(format!("{:<10} not started", "kernel"));
        }
    }
    let pools = result.get("pools").and_then(Value::as_array);
    for each in pools.into_iter().flatten() {
        pool(each, &mut lines);
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
    let down = text(pool, "down");
    if !down.is_empty() {
        lines.push(format!("{:<10} ✗ {down}", ""));
    }
    let workers = pool.get("workers").and_then(Value::as_array);
    for worker in workers.into_iter().flatten() {
        let runs = worker.get("runs").and_then(Value::as_array);
        let mut runs: Vec<String> = runs
            .into_iter()
            .flatten()
            .map(|run| format!("run {run}"))
            .collect();
        runs.dedup();
        let runs = if runs.is_empty() {
            String::new()
        } else {
            format!(" · {}", runs.join(", "))
        };
        lines.push(format!(
            "{:<10} worker {} {} · process {} · {} MB{runs}",
            "",
            count(worker, "worker"),
            text(worker, "state"),
            count(worker, "pid"),
            count(worker, "rss_mb"),
        ));
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn count(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// R85: size, busy, idle and queue are shown, and who does what.
    #[test]
    fn r85_the_health_names_every_worker_and_what_it_does() {
        let health = json!({
            "workers": [{"worker": 1, "role": "kernel", "state": "ready", "pid": 41}],
            "kernel_rss_mb": 62,
            "pools": [
                {"name": "pool", "size": 2, "busy": 1, "idle": 0, "starting": 0, "queue": 3,
                 "queue_limit": 10, "restarts": 1, "down": "",
                 "workers": [{"worker": 3, "pid": 43, "state": "busy", "runs": [7, 7], "rss_mb": 80}]},
                {"name": "optimizer", "size": 0, "workers": []},
            ],
            "session": {"id": "", "save": "ephemeral"},
            "lm": "demo",
        });
        assert_eq!(
            plain(&health),
            "kernel     ready · worker 1 · process 41 · 62 MB\n\
             pool       1 busy · 0 idle · 0 starting of 2 · 3 of 10 waiting · 1 replaced\n\
             \u{20}          worker 3 busy · process 43 · 80 MB · run 7\n\
             optimizer  none; the kernel does its work\n\
             session    not kept · ephemeral\n\
             lm         demo"
        );
    }
}
