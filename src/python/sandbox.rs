//! `dspex-worker --sandbox PARENT PROGRAM ARGUMENTS…`: becomes the program that
//! runs generated code, tied to the worker and limited.
//!
//! Python cannot do this between fork and exec without risk, and the program
//! itself is Deno. The limit of memory is set from outside, for each piece of code.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::getppid;

/// Bytes of the largest file that code may write.
const LARGEST_FILE: u64 = 256 << 20;

/// Replaces this process by the program; answers why that could not be.
pub(super) fn become_program(mut words: impl Iterator<Item = OsString>) -> String {
    let parent: Option<i32> = words.next().and_then(|word| word.to_str()?.parse().ok());
    let (Some(parent), Some(program)) = (parent, words.next()) else {
        return "--sandbox needs a process id and a program".to_owned();
    };
    if let Err(error) = set_pdeathsig(Signal::SIGKILL) {
        return format!("the sandbox could not be tied to its worker: {error}");
    }
    // It may have ended before the line above.
    if getppid().as_raw() != parent {
        return "the worker is gone".to_owned();
    }
    // What the worker's threads do not hear is no matter of its children.
    let _ = SigSet::empty().thread_set_mask();
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = setrlimit(Resource::RLIMIT_FSIZE, LARGEST_FILE, LARGEST_FILE);
    let error = Command::new(&program).args(words).exec();
    format!("{} cannot be started: {error}", program.display())
}
