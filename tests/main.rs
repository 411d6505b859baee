//! The integration tests: one binary, one module an area.
//!
//! Prefer the lowest layer that can show the fault: a unit test beside the
//! code, then `update` with messages, then the real binary (`support::dspex`),
//! and a real terminal (`support::terminal`) only for what a terminal alone can
//! show. No test sleeps, depends on another, or reads the caller's home.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that cannot go on should stop there, and may say what it saw"
)]

mod support;

#[cfg(feature = "worker")]
mod cache;
mod command;
mod demo;
mod doctor;
mod exec;
#[cfg(feature = "worker")]
mod faults;
mod gateway;
#[cfg(feature = "worker")]
mod kernel;
mod protocol;
mod pty;
mod readme;
mod repl;
mod screen;
mod script;
mod session;
mod setup;
#[cfg(feature = "worker")]
mod telemetry;
mod tidy;
mod tour;
mod worked;
#[cfg(feature = "worker")]
mod worker;
