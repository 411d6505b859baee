//! A small process beside each worker that ends it when the workbench is gone.
//!
//! A worker hears of the workbench's end by a signal and on its socket. While it is
//! stopped (SIGSTOP) it hears neither; only SIGKILL ends it then, and somebody must
//! send it. The warden is nobody's child, so that code which waits for its children
//! never meets it, and sleeps until one of the two processes ends.
#![expect(
    unsafe_code,
    reason = "fork and descriptor calls without a safe wrapper; argued for where they stand"
)]

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fork, getpid, setsid};

use super::process::exit_now;

/// Posts a warden. Call before there is a second thread. Where the system has no
/// pidfds (Linux before 5.3) there is none, and only a stopped worker can be left.
pub(super) fn post(workbench: i32) {
    let worker = getpid();
    let (Some(its_workbench), Some(its_worker)) = (pidfd(Pid::from_raw(workbench)), pidfd(worker))
    else {
        return;
    };
    // SAFETY: this process has one thread, so its copy may do anything.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => {
            let _ = waitpid(child, None);
        }
        Ok(ForkResult::Child) => {
            let _ = setsid();
            // SAFETY: as above. The one in between ends: what is left is init's child.
            if let Ok(ForkResult::Child) = unsafe { fork() } {
                watch(worker, &its_workbench, &its_worker);
            }
            exit_now(0);
        }
        Err(_) => {}
    }
}

/// Waits for the end of either; the workbench's is the worker's too.
fn watch(worker: Pid, its_workbench: &OwnedFd, its_worker: &OwnedFd) {
    let _ = nix::sys::prctl::set_name(c"dspex-warden");
    // Nothing of the worker's is held open: neither its pipes nor its socket.
    let kept = dup2_stdin(its_workbench).is_ok()
        && dup2_stdout(its_worker).is_ok()
        && dup2_stderr(its_worker).is_ok();
    if !kept {
        return;
    }
    // SAFETY: nothing in this process uses a descriptor above 2 from here on.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0) };
    if closed != 0 {
        return;
    }
    // SAFETY: 0 and 1 are open until this process ends.
    let [workbench, own] = [0, 1].map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    let mut both = [workbench, own].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    while let Err(Errno::EINTR) = poll(&mut both, PollTimeout::NONE) {}
    let ended = |fd: &PollFd<'_>| fd.any() == Some(true);
    // Only while the worker lives is its group's number surely its own.
    if let [workbench, own] = &both
        && ended(workbench)
        && !ended(own)
    {
        let _ = killpg(worker, Signal::SIGKILL);
    }
}

/// A descriptor that is readable once the process has ended.
fn pidfd(process: Pid) -> Option<OwnedFd> {
    // SAFETY: answers a new descriptor or an error, and touches nothing else.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, process.as_raw(), 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: it was opened just now, for us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    (fd.as_raw_fd() > 2).then_some(fd)
}
