//! `dspex-tui bench`: every figure beside its rival, in one run.

pub mod stub;
pub mod terminal;
