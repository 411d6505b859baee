//! How everything is: the answer of `health_check`, and what Python holds.
//!
//! The state says which runs go on, the supervisor which worker each is on and
//! how much memory it holds. Between questions memory is read only while
//! something runs: at rest there is no timer.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::effect::Effect;
use super::state::{Message, SaveStatus, State};
use crate::session::event::{EventBody, Level, RunId, Scope};
use crate::worker::{MemberHealth, Supervisor, WorkersHealth, resident_mb};

/// How often memory is read while something runs.
const SAMPLED: Duration = Duration::from_secs(1);
/// Share of a limit, in percent, from which it is told.
pub const NEARLY: u64 = 80;

/// What a worker holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Held {
    /// `kernel`, `standby`, `pool` or `optimizer`.
    pub role: &'static str,
    /// Its number in the session.
    pub worker: u32,
    /// Resident memory, MB.
    pub rss_mb: u64,
    /// What it may hold, MB.
    pub memory_mb: u64,
}

impl Held {
    /// Percent of what it may hold.
    pub fn percent(&self) -> u64 {
        self.rss_mb * 100 / self.memory_mb.max(1)
    }
}

impl From<&MemberHealth> for Held {
    fn from(member: &MemberHealth) -> Self {
        Self {
            role: member.role,
            worker: member.worker,
            rss_mb: member.rss_mb,
            memory_mb: member.memory_mb,
        }
    }
}

/// The newest reading of what Python holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Each worker; empty before the first reading.
    pub held: Vec<Held>,
    /// The kernel whose limit was told of already.
    warned: Option<u32>,
}

impl Memory {
    /// All together, MB.
    pub fn total_mb(&self) -> u64 {
        self.held.iter().map(|held| held.rss_mb).sum()
    }

    /// The one that is nearest to its limit.
    pub fn fullest(&self) -> Option<&Held> {
        self.held.iter().max_by_key(|held| held.percent())
    }
}

/// Memory was read: keeps it, and says once when a kernel is over its limit.
pub(super) fn measured(state: &mut State, held: Vec<Held>) -> Vec<Effect> {
    let kernel = held.iter().find(|held| held.role == "kernel");
    let over = kernel.filter(|kernel| kernel.rss_mb > kernel.memory_mb);
    let mut effects = Vec::new();
    if let Some(kernel) = over.filter(|kernel| state.memory.warned != Some(kernel.worker)) {
        state.memory.warned = Some(kernel.worker);
        let (rss, limit) = (kernel.rss_mb, kernel.memory_mb);
        let body = EventBody::Noted {
            level: Level::Warning,
            text: format!("the kernel holds {rss} MB, more than {limit} MB"),
            hint: "`del` what is large, or `:restart`; it is never ended for it".to_owned(),
        };
        effects.push(Effect::Append(Scope::NONE, Box::new(body)));
    }
    state.memory.held = held;
    effects
}

/// Reads what the workers hold once the kernel is there, then each second while
/// something runs, and when it has ended. Ends with the sender of `busy`.
pub(super) async fn sample(
    supervisor: Supervisor,
    mut busy: watch::Receiver<bool>,
    tx: mpsc::UnboundedSender<Message>,
) {
    let _ = supervisor.kernel_ready().await;
    let mut before = Vec::new();
    loop {
        let held: Vec<Held> = supervisor
            .health()
            .await
            .members()
            .map(Held::from)
            .collect();
        if held != before {
            before.clone_from(&held);
            let _ = tx.send(Message::MemoryRead(held));
        }
        if *busy.borrow_and_update() {
            // What just ended is read once more.
            let ended = busy.wait_for(|busy| !busy);
            if let Ok(Err(_)) = tokio::time::timeout(SAMPLED, ended).await {
                return;
            }
        } else if busy.wait_for(|busy| *busy).await.is_err() {
            return;
        }
    }
}

/// What the state knows of a `health_check`; [`complete`] adds the workers.
pub(super) fn begin(state: &State) -> Value {
    let session = &state.session;
    let mut going: Vec<RunId> = state.pending.values().filter_map(|it| it.run).collect();
    going.sort_unstable();
    let running = going.iter().map(|id| {
        let run = session.runs.get(id);
        json!({
            "run": id,
            "title": run.map_or("", |run| &run.title),
            "kind": run.map(|run| run.kind),
            "paused": run.is_some_and(|run| run.paused),
            "started_ms": run.map(|run| run.started_ms),
        })
    });
    json!({
        "session": {"id": state.session_id, "save": format!("{:?}", state.save)},
        "not_saving": match &state.save {
            SaveStatus::NotSaving { reason } => Some(reason),
            SaveStatus::Saved | SaveStatus::Ephemeral => None,
        },
        "pending": state.pending.len(),
        "approvals": state.approvals.waiting.len(),
        "lm": session.lm,
        "totals": session.totals,
        "running": running.collect::<Vec<_>>(),
    })
}

/// Adds what the supervisor knows of its workers, and says what is wrong.
pub(super) async fn complete(mut health: Value, supervisor: Option<Supervisor>) -> Value {
    let mut workers = match &supervisor {
        Some(supervisor) => supervisor.health().await,
        None => WorkersHealth::default(),
    };
    let Value::Object(answer) = &mut health else {
        return health;
    };
    let now = jiff::Timestamp::now().as_millisecond();
    let kernel = workers.workers.iter().position(|it| it.role == "kernel");
    let running = answer.get_mut("running").and_then(Value::as_array_mut);
    for run in running.into_iter().flatten() {
        place(run, now, kernel, &mut workers);
    }
    let mut problems = problems(&workers);
    if let Some(Value::String(reason)) = answer.remove("not_saving") {
        problems.push(format!("nothing is saved: {reason}"));
    }
    let python: u64 = workers.members().map(|it| it.rss_mb).sum();
    answer.insert("ok".to_owned(), json!(problems.is_empty()));
    answer.insert("problems".to_owned(), json!(problems));
    answer.insert("workers".to_owned(), json!(workers.workers));
    answer.insert("pools".to_owned(), json!(workers.pools));
    let workbench = resident_mb(std::process::id());
    answer.insert(
        "memory".to_owned(),
        json!({"python_mb": python, "workbench_mb": workbench}),
    );
    health
}

/// Says how long a run goes on and on which worker; what is on none of a pool's,
/// and does not wait for one, is the kernel's.
fn place(run: &mut Value, now_ms: i64, kernel: Option<usize>, workers: &mut WorkersHealth) {
    let Some(run) = run.as_object_mut() else {
        return;
    };
    let started = run.remove("started_ms").and_then(|it| it.as_i64());
    let seconds = started.map(|it| now_ms.saturating_sub(it).max(0) as f64 / 1e3);
    run.insert("seconds".to_owned(), json!(seconds));
    let Some(id) = run.get("run").and_then(Value::as_u64).map(RunId) else {
        return;
    };
    let waits = workers.pools.iter().any(|pool| pool.waiting.contains(&id));
    run.insert("waits".to_owned(), json!(waits));
    let mut pooled = workers.pools.iter().flat_map(|pool| &pool.workers);
    if waits || pooled.any(|worker| worker.runs.contains(&id)) {
        return;
    }
    if let Some(kernel) = kernel.and_then(|at| workers.workers.get_mut(at)) {
        kernel.runs.push(id);
        if kernel.state == "idle" {
            kernel.state = "busy";
        }
    }
}

/// What is not as it should be, in sentences.
fn problems(workers: &WorkersHealth) -> Vec<String> {
    let mut problems = Vec::new();
    if !workers.kernel_down.is_empty() {
        problems.push(format!(
            "there is no kernel: {}; `:restart` starts one",
            workers.kernel_down
        ));
    }
    let down = workers.pools.iter().map(|pool| &pool.down);
    problems.extend(down.filter(|why| !why.is_empty()).cloned());
    for member in workers.members() {
        let (role, number) = (member.role, member.worker);
        if member.state == "unresponsive" {
            problems.push(format!("worker {number} ({role}) does not answer"));
        }
        if member.rss_mb > member.memory_mb {
            problems.push(format!(
                "worker {number} ({role}) holds {} MB, more than {} MB",
                member.rss_mb, member.memory_mb
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::PoolHealth;

    fn member(role: &'static str, worker: u32, rss_mb: u64, runs: &[u64]) -> MemberHealth {
        MemberHealth {
            worker,
            role,
            pid: 40 + worker,
            state: "idle",
            runs: runs.iter().copied().map(RunId).collect(),
            rss_mb,
            memory_mb: 100,
        }
    }

    fn workers() -> WorkersHealth {
        WorkersHealth {
            workers: vec![member("kernel", 1, 60, &[])],
            kernel_down: String::new(),
            pools: vec![PoolHealth {
                name: "pool",
                size: 2,
                busy: 1,
                idle: 0,
                starting: 0,
                queue: 1,
                queue_limit: 10,
                waiting: vec![RunId(9)],
                restarts: 0,
                down: String::new(),
                workers: vec![member("pool", 3, 130, &[7])],
            }],
        }
    }

    /// R93: each run is told where it is: on a pool's worker, in a queue, in the kernel.
    #[test]
    fn r93_every_run_is_somewhere() {
        let mut workers = workers();
        let mut told = |id: u64| {
            let mut run = json!({"run": id, "started_ms": 1_000});
            place(&mut run, 3_500, Some(0), &mut workers);
            run
        };
        assert_eq!(told(7), json!({"run": 7, "seconds": 2.5, "waits": false}));
        assert_eq!(told(9)["waits"], true);
        assert_eq!(told(8)["waits"], false);
        let kernel = &workers.workers[0];
        assert_eq!(
            (kernel.state, kernel.runs.as_slice()),
            ("busy", &[RunId(8)][..])
        );
    }

    /// R123: what holds more than it may is told.
    #[test]
    fn r123_too_much_memory_is_a_problem() {
        assert_eq!(
            problems(&workers()),
            ["worker 3 (pool) holds 130 MB, more than 100 MB"]
        );
    }

    /// R123: a kernel over its limit is told of once, and never ended.
    #[test]
    fn r123_the_kernel_is_warned_of_once() {
        let mut state = State::default();
        let held = |rss| vec![Held::from(&member("kernel", 1, rss, &[]))];
        assert!(measured(&mut state, held(99)).is_empty());
        assert_eq!(state.memory.fullest().map(Held::percent), Some(99));
        assert_eq!(measured(&mut state, held(101)).len(), 1);
        assert!(measured(&mut state, held(140)).is_empty(), "it was told");
    }
}
