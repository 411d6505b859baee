//! Pools of workers that carry out jobs: sizes, limits, and how they are told.
//!
//! A pool starts empty and grows when every worker it has is busy. Who gets
//! which worker is decided by [`roster`], which is pure; the supervisor's keeper
//! carries that out. Owns nothing of the kernel, and knows nothing of DSPy.

use std::time::Duration;

use super::supervisor::Intensity;

pub(super) mod roster;

/// Which pool a job belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoolRole {
    /// Programs, modules, evaluations.
    General,
    /// Optimizers: kept apart, so that none of them delays a program.
    Optimizer,
}

impl PoolRole {
    /// As workers' reports name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::General => "pool",
            Self::Optimizer => "optimizer",
        }
    }
}

/// How a pool behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolOptions {
    /// Most workers; 0 means that there is no pool and the kernel does its work.
    pub size: usize,
    /// Most jobs of one worker at a time: they share its interpreter lock.
    pub slots: usize,
    /// Most jobs that wait; one more is refused.
    pub queue: usize,
    /// How long a job waits for a busy pool before it is refused.
    pub patience: Duration,
    /// Resident memory above which a worker is replaced once its jobs are done.
    pub memory_mb: u64,
    /// Added to the niceness of its workers.
    pub nice: i32,
    /// How many deaths are too many.
    pub intensity: Intensity,
}

impl PoolOptions {
    /// No pool.
    pub fn none() -> Self {
        Self {
            size: 0,
            slots: 16,
            queue: 10,
            patience: Duration::from_secs(5),
            memory_mb: 2048,
            nice: 0,
            intensity: Intensity::default(),
        }
    }

    /// A pool of up to `size` workers.
    pub fn of(size: usize) -> Self {
        Self {
            size,
            ..Self::none()
        }
    }
}

/// Both pools, and how their workers are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolsOptions {
    /// For programs, modules and evaluations.
    pub general: PoolOptions,
    /// For optimizers.
    pub optimizer: PoolOptions,
    /// How often a worker with jobs is asked whether it lives.
    pub probe_every: Duration,
    /// How often one without jobs is asked.
    pub probe_idle_every: Duration,
    /// How long it may take to say so before it gets no further jobs.
    pub unresponsive_after: Duration,
    /// How long it may stay silent before it is killed.
    pub kill_after: Duration,
}

impl PoolsOptions {
    /// No pools: the kernel carries everything out.
    pub fn none() -> Self {
        Self {
            general: PoolOptions::none(),
            optimizer: PoolOptions {
                slots: 1,
                nice: 5,
                ..PoolOptions::none()
            },
            probe_every: Duration::from_secs(5),
            probe_idle_every: Duration::from_secs(30),
            unresponsive_after: Duration::from_secs(10),
            kill_after: Duration::from_mins(1),
        }
    }

    /// R85, R86: up to four workers, at most one for each core, and two for optimizers.
    pub fn usual() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut usual = Self::none();
        usual.general.size = cores.min(4);
        usual.optimizer.size = cores.min(2);
        usual
    }

    /// The options of one pool.
    pub fn of(&self, role: PoolRole) -> &PoolOptions {
        match role {
            PoolRole::General => &self.general,
            PoolRole::Optimizer => &self.optimizer,
        }
    }
}
