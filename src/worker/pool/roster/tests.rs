//! Rosters without processes.

use std::time::Duration;

use super::*;

/// A roster with a clock of its own and workers that are only numbers.
struct Pool {
    roster: Roster<u32>,
    now: Instant,
    next: u32,
    jobs: u64,
}

impl Pool {
    fn new(size: usize, slots: usize) -> Self {
        let options = PoolOptions {
            slots,
            ..PoolOptions::of(size)
        };
        Self {
            roster: Roster::new(PoolRole::General, options),
            now: Instant::now(),
            next: 0,
            jobs: 0,
        }
    }

    /// With this many workers up and idle.
    fn with(size: usize, slots: usize, up: usize) -> Self {
        let mut pool = Self::new(size, slots);
        for _ in 0..up {
            pool.roster.asked_for += 1;
            pool.arrives();
        }
        pool
    }

    fn wish(&mut self, affinity: Option<u64>) -> Wish {
        self.jobs += 1;
        Wish {
            job: self.jobs,
            run: Some(RunId(self.jobs)),
            affinity,
            apart: false,
        }
    }

    fn ask(&mut self) -> Vec<Act<u32>> {
        let wish = self.wish(None);
        self.roster.ask(wish, self.now)
    }

    /// A worker that was asked for is up.
    fn arrives(&mut self) -> Vec<Act<u32>> {
        self.next += 1;
        self.roster.joined(self.next, 0, self.next, true)
    }

    fn dies(&mut self, number: u32) -> Vec<Act<u32>> {
        let error = OperationError::internal("it was killed by SIGKILL");
        self.roster.ended(number, &error, false, self.now)
    }
}

/// `grant 3 on 1`, `refuse 12 pool_exhausted`, `start`, `end 1`.
fn words(acts: Vec<Act<u32>>) -> Vec<String> {
    acts.into_iter()
        .map(|act| match act {
            Act::Grant { job, number, .. } => format!("grant {job} on {number}"),
            Act::Refuse { job, error } => format!("refuse {job} {}", error.kind),
            Act::Start => "start".to_owned(),
            Act::End { worker, .. } => format!("end {worker}"),
        })
        .collect()
}

/// R85: a pool starts empty, and grows by one while all it has are busy.
#[test]
fn a_pool_grows_when_it_is_busy_and_no_further_than_its_size() {
    let mut pool = Pool::new(2, 4);
    assert_eq!(words(pool.ask()), ["start"]);
    assert_eq!(words(pool.ask()), [""; 0], "one is on its way");
    assert_eq!(
        words(pool.arrives()),
        ["grant 1 on 1", "grant 2 on 1", "start"]
    );
    assert_eq!(words(pool.arrives()), [""; 0]);
    assert_eq!(words(pool.ask()), ["grant 3 on 2"], "the idle one");
    for _ in 0..5 {
        assert!(!words(pool.ask()).contains(&"start".to_owned()));
    }
}

/// R87: ten wait, the eleventh is refused at once, and one that waited 5 s too.
#[test]
fn the_queue_is_bounded_in_number_and_in_time() {
    let mut pool = Pool::with(1, 1, 1);
    assert_eq!(words(pool.ask()), ["grant 1 on 1"]);
    for _ in 0..10 {
        assert_eq!(words(pool.ask()), [""; 0]);
    }
    assert_eq!(words(pool.ask()), ["refuse 12 pool_exhausted"]);
    assert_eq!(pool.roster.health(|_| None).queue, 10);
    let deadline = pool.roster.deadline().unwrap();
    assert_eq!(deadline - pool.now, Duration::from_secs(5));
    assert_eq!(words(pool.roster.tick(deadline)).len(), 10);
    assert_eq!(pool.roster.deadline(), None);
}

/// R88: a worker that comes back goes to who has waited longest.
#[test]
fn a_returned_worker_goes_to_the_first_in_the_queue() {
    let mut pool = Pool::with(1, 1, 1);
    pool.ask();
    pool.ask();
    pool.ask();
    assert_eq!(words(pool.roster.returned(1, 1, None)), ["grant 2 on 1"]);
    pool.roster.forget(2);
    assert_eq!(pool.roster.health(|_| None).queue, 0, "3 got it");
}

#[test]
fn a_job_goes_to_the_idlest_and_then_to_the_one_that_knows_it() {
    let mut pool = Pool::with(2, 4, 2);
    let first = pool.wish(Some(7));
    assert_eq!(words(pool.roster.ask(first, pool.now)), ["grant 1 on 1"]);
    let second = pool.wish(Some(8));
    assert_eq!(words(pool.roster.ask(second, pool.now)), ["grant 2 on 2"]);
    pool.roster.returned(1, 1, None);
    pool.roster.returned(2, 2, None);
    let again = pool.wish(Some(8));
    assert_eq!(words(pool.roster.ask(again, pool.now)), ["grant 3 on 2"]);
}

/// An evaluation's second share waits for a second worker instead of crowding the first.
#[test]
fn jobs_that_want_to_be_apart_are() {
    let mut pool = Pool::with(2, 4, 1);
    let apart = |job| Wish {
        job,
        run: Some(RunId(9)),
        affinity: None,
        apart: true,
    };
    assert_eq!(words(pool.roster.ask(apart(1), pool.now)), ["grant 1 on 1"]);
    assert_eq!(words(pool.roster.ask(apart(2), pool.now)), ["start"]);
    assert_eq!(words(pool.arrives()), ["grant 2 on 2"]);
}

/// A worker over the limit ends once its jobs are done, and another one comes when it is wanted.
#[test]
fn a_worker_that_grew_too_big_is_recycled_after_its_jobs() {
    let mut pool = Pool::with(1, 4, 1);
    pool.ask();
    pool.ask();
    assert_eq!(words(pool.roster.returned(1, 1, Some(5000))), [""; 0]);
    assert_eq!(words(pool.ask()), ["start"], "it gets no further job");
    assert_eq!(words(pool.roster.returned(2, 1, Some(5000))), ["end 1"]);
    assert_eq!(words(pool.arrives()), ["grant 3 on 2"]);
    assert_eq!(pool.roster.health(|_| None).restarts, 1);
}

/// R123: so is one that is found too big between jobs, and one that still has a job after it.
#[test]
fn r123_a_worker_is_weighed_while_it_works() {
    let mut pool = Pool::with(2, 1, 2);
    pool.ask();
    assert_eq!(words(pool.roster.measured(|_| Some(2048))), [""; 0]);
    assert_eq!(words(pool.roster.measured(|_| Some(2049))), ["end 2"]);
    assert_eq!(pool.roster.health(|_| None).workers[0].state, "retiring");
    assert_eq!(words(pool.roster.returned(1, 1, None)), ["end 1"]);
}

/// R90: a worker that does not answer is not counted on; one comes in its place.
#[test]
fn a_silent_worker_is_passed_over() {
    let mut pool = Pool::with(1, 4, 1);
    pool.ask();
    pool.roster.silent(1, true);
    assert_eq!(words(pool.ask()), ["start"]);
    assert_eq!(words(pool.arrives()), ["grant 2 on 2"]);
    assert_eq!(
        pool.roster.health(|_| None).workers[0].state,
        "unresponsive"
    );
}

/// Three deaths in 30 s are borne; the fourth takes the pool down until they are past.
#[test]
fn too_many_deaths_take_the_pool_down_for_a_while() {
    let mut pool = Pool::new(1, 1);
    assert_eq!(words(pool.ask()), ["start"]);
    for number in 1..=3 {
        pool.arrives();
        let job = pool.jobs;
        pool.roster.forget(job);
        assert_eq!(
            words(pool.dies(number)),
            [""; 0],
            "nobody waits for another"
        );
        assert_eq!(words(pool.ask()), ["start"]);
    }
    pool.arrives();
    pool.ask();
    assert_eq!(words(pool.dies(4)), ["refuse 5 pool_down"]);
    assert_eq!(words(pool.ask()), ["refuse 6 pool_down"]);
    assert!(pool.roster.health(|_| None).down.contains("died 4 times"));
    pool.now += Duration::from_secs(31);
    assert_eq!(words(pool.ask()), ["start"]);
}

#[test]
fn a_cancelled_run_leaves_the_queue() {
    let mut pool = Pool::with(1, 1, 1);
    pool.ask();
    pool.ask();
    assert_eq!(pool.roster.cancel_waiting(RunId(2)), [2]);
    assert_eq!(pool.roster.carrying(RunId(1)), [(1, 1, true)]);
    assert_eq!(words(pool.roster.returned(1, 1, None)), [""; 0]);
}
