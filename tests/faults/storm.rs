//! A storm: runs struck at random by faults of servers, programs, code and workers.
//! Each ends in a result or a typed error, and nothing is left of it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::Mutex;

use dspex_tui::protocol::error::OperationError;
use dspex_tui::session::event::RunId;
use rand::SeedableRng as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};

use super::*;

mod strike;

use strike::{MODULE, STRIKES, Strike, TAKEN_ALONG};

/// Runs at a time.
const LANES: usize = 5;

/// Growth of the workbench's memory that is none: what its allocator keeps, MB.
const SLACK_MB: f64 = 48.0;

/// And of its descriptors: connections to the LM server that are kept for later calls,
/// one a lane.
const SLACK_DESCRIPTORS: usize = LANES;

fn number_of(variable: &str, usual: usize) -> usize {
    let wanted = std::env::var(variable).ok();
    wanted.and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// What struck a run and how it ended: how often, and how long those took together.
type Ends = BTreeMap<(&'static str, String), (usize, Duration)>;

fn count(ends: &mut Ends, end: (&'static str, String), (times, took): (usize, Duration)) {
    let sum = ends.entry(end).or_default();
    sum.0 += times;
    sum.1 += took;
}

/// R88, R98, R126: whatever strikes, a run ends in a result or a typed error. Workers,
/// descriptors and memory are as before, each run in the log has its end, and the
/// next request is answered.
#[test]
fn whatever_strikes_a_run_it_ends_and_nothing_is_left_of_it() {
    let seed = number_of("DSPEX_FAULT_SEED", 7);
    // Most of the time of a run that ends a worker is the import of DSPy in the next.
    let plan = plan(number_of("DSPEX_FAULT_RUNS", 24), seed as u64);
    let mut home = Home::new();
    let scratch = home.root().join("scratch");
    std::fs::create_dir(&scratch).unwrap();
    home.set("TMPDIR", scratch.display().to_string());
    std::fs::write(home.work().join("struck.py"), MODULE).unwrap();
    let stub = strike::server();
    let mut holder = Exec::start(
        &home,
        &["--new", "storm", "--workers", "2", "--worker-memory", "256"],
    );
    set_up(&mut holder, &stub.base());
    let run_id = variable_of(holder.kernel_pid(), "DSPEX_RUN_ID");
    let dir = session_dir(&home, "storm");
    let steering = Mutex::new(Exec::start(&home, &["--session", "storm"]));
    let lanes = || Exec::start(&home, &["--session", "storm"]);
    let lanes: Vec<_> = (0..LANES).map(|_| lanes()).collect();
    let storm = Storm {
        home: &home,
        dir: &dir,
        steering,
        lanes: lanes.into_iter().map(Mutex::new).collect(),
        odd: Mutex::default(),
    };

    let (first, rest) = plan.split_at(plan.len() / 4);
    let mut ends = storm.rage(0, first);
    let before = Left::of(&mut holder, &run_id);
    for (end, times) in storm.rage(first.len(), rest) {
        count(&mut ends, end, times);
    }
    let after = Left::of(&mut holder, &run_id);
    storm.each_in_its_own_way(plan.len(), &mut ends);

    println!("{} runs, seed {seed}", plan.len());
    for ((struck, end), (times, took)) in &ends {
        println!("{times:5}  {struck:14} {:6.1} s  {end}", took.as_secs_f64());
    }
    println!(
        "after {} runs: {before:?}; at the end: {after:?}",
        first.len()
    );
    assert_eq!(storm.odd.lock().unwrap().as_slice(), [""; 0]);
    assert!(ends.values().map(|it| it.0).sum::<usize>() >= plan.len());
    assert!(after.descriptors <= before.descriptors + SLACK_DESCRIPTORS);
    let more = after.resident_mb - before.resident_mb;
    let allowed = SLACK_MB + rest.len() as f64 * 0.1;
    assert!(more < allowed, "{more} MB more in {} runs", rest.len());

    let asked = strike::STRIKES[0].request("run-last-none.", "");
    let answer = holder.done(asked.0, asked.1);
    assert_eq!(answer["answer"], "fine", "{answer}");
    drop(storm);
    let (code, said) = holder.close();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(comes_true(PATIENCE, || processes_with(&run_id).is_empty()));
    let left: Vec<_> = scratch.read_dir().unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    each_run_has_its_end(&home, plan.len());
}

/// Which fault strikes each run: each once, and what is left by its share.
fn plan(runs: usize, seed: u64) -> Vec<&'static Strike> {
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut plan: Vec<_> = STRIKES.iter().collect();
    for _ in plan.len()..runs {
        plan.push(STRIKES.choose_weighted(&mut random, |it| it.share).unwrap());
    }
    plan.shuffle(&mut random);
    plan
}

fn set_up(holder: &mut Exec, base: &str) {
    holder.done(
        "configure_lm",
        json!({"provider": "openai", "name": "stub", "model": "stub", "api_base": base,
               "num_retries": 1, "timeout": 2, "cache": false}),
    );
    holder.done(
        "register_module",
        json!({"name": "Struck", "file": "struck.py"}),
    );
    holder.done(
        "create_program",
        json!({"name": "struck", "module": "Struck"}),
    );
    holder.cell("lived = True");
}

/// A session and the processes that steer it.
struct Storm<'a> {
    home: &'a Home,
    dir: &'a Path,
    steering: Mutex<Exec>,
    lanes: Vec<Mutex<Exec>>,
    /// Runs that ended as their fault does not allow.
    odd: Mutex<Vec<String>>,
}

impl Storm<'_> {
    /// Has all these runs done, some at a time; the first has this number.
    fn rage(&self, number: usize, plan: &[&'static Strike]) -> Ends {
        let left: Mutex<VecDeque<_>> = Mutex::new(plan.iter().zip(number..).collect());
        let ends = Mutex::new(Ends::new());
        std::thread::scope(|scope| {
            for lane in &self.lanes {
                let (left, ends) = (&left, &ends);
                scope.spawn(move || {
                    let mut exec = lane.lock().unwrap();
                    loop {
                        let next = left.lock().unwrap().pop_front();
                        let Some((strike, number)) = next else { break };
                        let begun = Instant::now();
                        let end = self.one(&mut exec, strike, number);
                        let took = (1, begun.elapsed());
                        count(&mut ends.lock().unwrap(), (strike.name, end), took);
                    }
                });
            }
        });
        ends.into_inner().unwrap()
    }

    /// Has those strike again, alone, whose runs were all taken along by a neighbour:
    /// each must end once as it ends by itself.
    fn each_in_its_own_way(&self, mut number: usize, ends: &mut Ends) {
        let mut exec = self.lanes[0].lock().unwrap();
        for strike in &STRIKES {
            let own = |end: &str| strike.ends.contains(&end);
            let mut met = ends
                .keys()
                .any(|(name, end)| *name == strike.name && own(end));
            for _ in 0..3 {
                if met {
                    break;
                }
                let begun = Instant::now();
                let end = self.one(&mut exec, strike, number);
                met = own(&end);
                count(ends, (strike.name, end), (1, begun.elapsed()));
                number += 1;
            }
            assert!(met, "{} never ended by itself: {ends:?}", strike.name);
        }
    }

    /// One run; how it ended.
    fn one(&self, exec: &mut Exec, strike: &Strike, number: usize) -> String {
        let marker = format!("run-{number:04}-{}.", strike.name);
        let mark = self.home.work().join(&marker);
        let (operation, arguments) = strike.request(&marker, &mark.display().to_string());
        exec.submit(operation, &arguments);
        let mut answer = None;
        if strike.hangs() {
            let begun = comes_true(PATIENCE, || {
                answer = exec.answered();
                answer.is_some() || mark.exists()
            });
            assert!(begun, "{marker} never began");
            if answer.is_none() {
                let run = self.run_of(&marker);
                let mut steering = self.steering.lock().unwrap();
                steering.done("cancel", json!({"run": run.0}));
            }
        }
        let answer = answer.unwrap_or_else(|| exec.answer());
        let end = end_of(&answer);
        if !strike.ends.contains(&end.as_str()) && !TAKEN_ALONG.contains(&end.as_str()) {
            let odd = format!("{marker} ended as {end}: {answer}");
            self.odd.lock().unwrap().push(odd);
        }
        match end.as_str() {
            "pool_down" => exec.done("restart_pools", json!({})),
            "kernel_down" => exec.done("restart_kernel", json!({})),
            _ => Value::Null,
        };
        end
    }

    /// The run whose request has this marker.
    fn run_of(&self, marker: &str) -> RunId {
        let mut reader = SessionReader::open(self.dir).unwrap();
        let len = reader.len();
        let late = reader.events(len.saturating_sub(1000).max(1)..=len);
        let its = |event: &&Event| serde_json::to_string(&event.body).unwrap().contains(marker);
        let found = late.iter().filter(its).find_map(|event| event.run);
        found.unwrap_or_else(|| panic!("no run has {marker}"))
    }
}

/// `ok`, what a cell or code came to, or the type of an error that has all its parts.
fn end_of(answer: &Value) -> String {
    if answer["ok"] == json!(true) {
        let status = answer["result"]["status"].as_str();
        return status.unwrap_or("ok").to_owned();
    }
    let error: OperationError = serde_json::from_value(answer["error"].clone())
        .unwrap_or_else(|wrong| panic!("no typed error ({wrong}): {answer}"));
    assert!(
        !error.kind.is_empty() && !error.message.is_empty(),
        "{answer}"
    );
    error.kind
}

/// What the workbench holds while nothing runs and no pool has a worker.
#[derive(Debug)]
struct Left {
    descriptors: usize,
    resident_mb: f64,
}

impl Left {
    fn of(holder: &mut Exec, run_id: &str) -> Self {
        let mut pools = Value::Null;
        let idle = comes_true(PATIENCE, || {
            pools = holder.done("pools", json!({}));
            let all = pools["pools"].as_array().unwrap();
            all.iter()
                .all(|pool| pool["busy"] == 0 && pool["queue"] == 0)
        });
        assert!(idle, "a job holds a worker: {pools}");
        holder.done("restart_pools", json!({}));
        // The kernel died too often, perhaps: then it is started again.
        if holder.ask("run_cell", json!({"source": "1"}))["ok"] != json!(true) {
            holder.done("restart_kernel", json!({}));
            holder.cell("1");
        }
        let mut there = Vec::new();
        let settled = comes_true(PATIENCE, || {
            there = processes_with(run_id);
            there.len() == 4
        });
        assert!(
            settled,
            "not the kernel and its standby alone, with a warden each: {there:?}"
        );
        let of = format!("/proc/{}", holder.pid());
        let status = std::fs::read_to_string(format!("{of}/status")).unwrap();
        let resident = status.lines().find_map(|line| {
            let kb = line.strip_prefix("VmRSS:")?.split_whitespace().next()?;
            kb.parse::<f64>().ok()
        });
        Self {
            descriptors: std::fs::read_dir(format!("{of}/fd")).unwrap().count(),
            resident_mb: resident.unwrap() / 1024.0,
        }
    }
}

/// No run is left open in the log.
fn each_run_has_its_end(home: &Home, runs: usize) {
    let events = events(home, "storm");
    let runs_where = |holds: fn(&EventBody) -> bool| -> HashSet<u64> {
        let those = events.iter().filter(|event| holds(&event.body));
        those
            .filter_map(|event| event.run.map(|run| run.0))
            .collect()
    };
    let started = runs_where(|body| matches!(body, EventBody::RunStarted { .. }));
    let finished = runs_where(|body| matches!(body, EventBody::RunFinished { .. }));
    assert!(started.len() >= runs);
    assert_eq!(
        started.difference(&finished).collect::<Vec<_>>(),
        Vec::<&u64>::new()
    );
}
