//! Asks Linux to let a thread run as soon as it wakes.
//!
//! With every processor busy (a cell that computes, a build next door) a thread that
//! wakes for a key waits until another one's turn is over: milliseconds. One whose own
//! turns are short goes first. It gets no more of the processor than before, so this
//! needs no privilege. Other systems, and Linux before 6.12, do as they always did.
#![expect(
    unsafe_code,
    reason = "sched_setattr(2) has no safe wrapper in the libraries in use"
)]

/// The shortest turn Linux gives, nanoseconds.
#[cfg(target_os = "linux")]
const TURN: u64 = 100_000;

/// Gives this thread short turns, and those that it starts from now on.
pub fn run_promptly() {
    #[cfg(target_os = "linux")]
    set_turn(TURN);
}

#[cfg(target_os = "linux")]
fn set_turn(nanoseconds: u64) {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER.unsigned_abs(),
        sched_flags: 0,
        // SAFETY: getpriority has no conditions.
        sched_nice: unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) },
        sched_priority: 0,
        sched_runtime: nanoseconds,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: `attributes` is valid for the call and says its own size; 0 is this
    // thread. A refusal changes nothing, and nothing depends on success.
    unsafe {
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Whether accepted or not, the thread keeps its policy and its niceness.
    #[test]
    fn short_turns_change_nothing_else() {
        let nice = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let (_, fields) = stat.rsplit_once(')').unwrap();
            let fields: Vec<&str> = fields.split_whitespace().collect();
            // Fields 19 and 41 of proc_pid_stat(5): niceness and policy.
            (fields[16].to_owned(), fields[38].to_owned())
        };
        let before = nice();
        run_promptly();
        assert_eq!(nice(), before);
    }
}
