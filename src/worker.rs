//! The parent's side of worker processes: find Python, spawn, talk, supervise.

pub mod environment;
