//! `dspex-tui`: a terminal workbench for DSPy.
//!
//! Start with `src/ARCHITECTURE.md`. Nothing in this library names `pyo3`: only
//! `src/python*` and `src/bin/dspex-worker.rs` do, so that the workbench starts
//! without libpython.

pub mod app;
pub mod bench;
pub mod cache;
pub mod cli;
pub mod command;
pub mod config;
pub mod doctor;
pub mod gateway;
pub mod highlight;
pub mod logging;
pub mod monitor;
pub mod operation;
pub mod paths;
pub mod protocol;
pub mod repl;
pub mod sanitize;
pub mod script;
pub mod session;
pub mod signals;
pub mod terminal;
pub mod theme;
pub mod ui;
pub mod worker;

/// Runs the program with the arguments of this process.
pub fn run() -> std::process::ExitCode {
    // First thing of all: a child of the same user must not read our environment.
    gateway::harden();
    logging::start();
    cli::main(std::env::args_os())
}
