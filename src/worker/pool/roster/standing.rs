//! What a roster tells of itself and its members. Changes nothing but [`Roster::drain`].

use super::{Member, Roster};
use crate::worker::health::{MemberHealth, PoolHealth};

impl<W: Clone> Roster<W> {
    /// Whether this worker is one of its members.
    pub(in crate::worker) fn has(&self, number: u32) -> bool {
        self.members.iter().any(|m| m.number == number)
    }

    /// Its members' numbers.
    pub(in crate::worker) fn numbers(&self) -> Vec<u32> {
        self.members.iter().map(|m| m.number).collect()
    }

    /// The handle of a member.
    pub(in crate::worker) fn worker(&self, number: u32) -> Option<W> {
        let found = self.members.iter().find(|m| m.number == number);
        found.map(|m| m.worker.clone())
    }

    /// Whether a member does not answer.
    pub(in crate::worker) fn is_silent(&self, number: u32) -> bool {
        let found = self.members.iter().find(|m| m.number == number);
        found.is_some_and(|m| m.silent)
    }

    /// Whether a member has no job.
    pub(in crate::worker) fn is_idle(&self, number: u32) -> bool {
        let found = self.members.iter().find(|m| m.number == number);
        found.is_some_and(|m| m.jobs.is_empty())
    }

    /// Why a member gets no further jobs.
    pub(in crate::worker) fn retiring(&self, number: u32) -> Option<String> {
        let found = self.members.iter().find(|m| m.number == number);
        found.and_then(|m| m.retiring.clone())
    }

    /// All members, to end them; `true` where one was ready.
    pub(in crate::worker) fn drain(&mut self) -> Vec<(W, bool)> {
        self.members
            .drain(..)
            .map(|m| (m.worker, m.ready))
            .collect()
    }

    /// How it stands.
    pub(in crate::worker) fn health(&self, resident: impl Fn(u32) -> Option<u64>) -> PoolHealth {
        let state = |m: &Member<W>| match m {
            m if m.retiring.is_some() => "retiring",
            m if m.silent => "unresponsive",
            m if !m.ready => "starting",
            m if m.jobs.is_empty() => "idle",
            _ => "busy",
        };
        let count = |word: &str| self.members.iter().filter(|m| state(m) == word).count();
        let workers = self.members.iter().map(|m| MemberHealth {
            worker: m.number,
            role: self.role.name(),
            pid: m.pid,
            state: state(m),
            runs: m.jobs.iter().filter_map(|(_, run)| *run).collect(),
            rss_mb: resident(m.pid).unwrap_or_default(),
            memory_mb: self.options.memory_mb,
        });
        PoolHealth {
            name: self.role.name(),
            size: self.options.size,
            busy: count("busy"),
            idle: count("idle"),
            starting: count("starting"),
            queue: self.waiting.len(),
            queue_limit: self.options.queue,
            waiting: self.waiting.iter().filter_map(|w| w.wish.run).collect(),
            restarts: self.restarts,
            down: self
                .down
                .as_ref()
                .map(|(error, _)| error.message.clone())
                .unwrap_or_default(),
            workers: workers.collect(),
        }
    }
}
