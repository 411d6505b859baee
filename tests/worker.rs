//! The worker binary and its supervisor, with a stand-in for the Python package.

mod bench;
mod calls;
mod interrupts;
mod lives;
mod orphans;
mod pools;
mod talk;
