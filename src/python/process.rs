//! The process a worker lives in: descriptors, limits, life with its parent,
//! signals. All of the worker's system calls that need `unsafe` are here.
#![expect(
    unsafe_code,
    reason = "system calls without a safe wrapper; each is argued for where it stands"
)]

use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ThreadId;

use nix::sys::resource::{Resource, setrlimit};

/// The descriptor of the link with the workbench.
const LINK: RawFd = 3;

/// Python's main thread.
static MAIN: OnceLock<(ThreadId, libc::pthread_t)> = OnceLock::new();

/// Set in a child that user code forked: it has no link.
static FORKED: AtomicBool = AtomicBool::new(false);

/// Moves the link from descriptor 0 to 3, closes whatever leaked in, and ties
/// this process's life to the workbench's. Call first, on the main thread.
pub(super) fn settle(parent: i32) -> Result<UnixStream, String> {
    // SAFETY: pthread_self has no conditions.
    let _ = MAIN.set((std::thread::current().id(), unsafe { libc::pthread_self() }));
    // Its own process group: Ctrl-C at the terminal stays away, and everything
    // it starts can be ended with it.
    let _ = nix::unistd::setsid();
    hear_signals();
    die_with(parent)?;
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    limit_data();
    let said = |what: &str| format!("{what}: {}", std::io::Error::last_os_error());
    // SAFETY: plain descriptor calls; 0 is the socket the workbench passed, 3
    // is not owned by any Rust object this early, and what is closed behind it
    // was inherited by accident.
    unsafe {
        if libc::dup3(0, LINK, libc::O_CLOEXEC) < 0 {
            return Err(said("no socket from the workbench"));
        }
        close_above_link();
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        if null < 0 || libc::dup2(null, 0) < 0 {
            return Err(said("/dev/null cannot be opened"));
        }
        libc::close(null);
        if libc::pthread_atfork(None, None, Some(forget_link)) != 0 {
            return Err("no handler for forks could be set".to_owned());
        }
        Ok(UnixStream::from(OwnedFd::from_raw_fd(LINK)))
    }
}

/// Whether this thread is Python's main thread.
pub(super) fn is_main_thread() -> bool {
    MAIN.get()
        .is_some_and(|(id, _)| *id == std::thread::current().id())
}

/// Whether this process is a fork of a worker, made by user code.
pub(super) fn is_fork() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Sends SIGINT to Python's main thread, so that its waits end with `EINTR`.
pub(super) fn interrupt_main() {
    if let Some((_, thread)) = MAIN.get() {
        // SAFETY: the main thread lives as long as the process.
        unsafe {
            libc::pthread_kill(*thread, libc::SIGINT);
        }
    }
}

/// Ends the process without finalising Python (which would wait for threads)
/// or running destructors.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no conditions.
    unsafe { libc::_exit(code) }
}

/// Ends this process and everything in its group: the workbench is gone.
pub(super) fn exit_with_group() -> ! {
    end_group(0);
    exit_now(1)
}

/// Nanoseconds of `CLOCK_MONOTONIC`, which all processes of a machine share.
pub(super) fn monotonic_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid place for the result.
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now);
    }
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Takes back what was inherited: a workbench started in the background of a
/// script ignores SIGINT, and Python would leave it ignored and hear no interrupt.
fn hear_signals() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGQUIT] {
        // SAFETY: the default action needs no handler.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
    let _ = nix::sys::signal::SigSet::empty().thread_set_mask();
}

fn die_with(parent: i32) -> Result<(), String> {
    // A real-time signal, so that nothing else sends it; its default would also
    // end the process, but the handler ends the children too.
    let signal = libc::SIGRTMAX();
    let handler: extern "C" fn(libc::c_int) = end_group;
    // SAFETY: the handler only makes async-signal-safe calls.
    let set = unsafe {
        libc::signal(signal, handler as libc::sighandler_t) != libc::SIG_ERR
            && libc::prctl(libc::PR_SET_PDEATHSIG, signal) == 0
    };
    if !set {
        return Err("the worker could not be tied to its workbench".to_owned());
    }
    // The workbench may have died before the line above.
    if parent != 0 && nix::unistd::getppid().as_raw() != parent {
        return Err("the workbench is gone".to_owned());
    }
    Ok(())
}

extern "C" fn end_group(_signal: libc::c_int) {
    // SAFETY: kill, getpid, getpgrp and _exit are async-signal-safe; the group
    // is signalled only when it is our own.
    unsafe {
        if libc::getpgrp() == libc::getpid() {
            libc::kill(0, libc::SIGKILL);
        }
        libc::_exit(1);
    }
}

/// `DSPEX_RLIMIT_DATA` in bytes, where the workbench asks for it (never for a
/// kernel). `RLIMIT_AS` would kill Deno.
fn limit_data() {
    let asked = std::env::var("DSPEX_RLIMIT_DATA").ok();
    if let Some(bytes) = asked.and_then(|text| text.parse().ok()) {
        let _ = setrlimit(Resource::RLIMIT_DATA, bytes, bytes);
    }
}

unsafe fn close_above_link() {
    let first = LINK.unsigned_abs() + 1;
    // SAFETY: closes descriptors nobody in this process owns.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if closed != 0 {
        // Kernels before 5.9.
        for fd in LINK + 1..1024 {
            // SAFETY: as above.
            unsafe {
                libc::close(fd);
            }
        }
    }
}

/// In a fork the link becomes /dev/null, so that the child can neither read nor
/// write the workbench's frames, nor get another file under its number.
extern "C" fn forget_link() {
    FORKED.store(true, Ordering::Relaxed);
    // SAFETY: open, dup3 and close are async-signal-safe.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if null < 0 {
            libc::close(LINK);
            return;
        }
        libc::dup3(null, LINK, libc::O_CLOEXEC);
        if null != LINK {
            libc::close(null);
        }
    }
}
