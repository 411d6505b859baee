//! The thread that makes written lines durable: at most 50 ms after the first,
//! at once when somebody waits, never when nothing was written.

use std::io;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::writer::Core;

/// How long lines are gathered before they are synced together.
const GATHER: Duration = Duration::from_millis(50);

/// How often writing is tried again while it fails.
const RETRY: Duration = Duration::from_secs(5);

pub(super) fn start(core: Arc<Core>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("session-sync".to_owned())
        .spawn(move || while turn(&core) {})
}

/// Waits for work and does it once; false when it was the last time.
fn turn(core: &Core) -> bool {
    let poisoned = PoisonError::into_inner;
    let mut signal = core.signal.lock().unwrap_or_else(poisoned);
    while !(signal.dirty || signal.now || signal.stop) {
        if signal.failing {
            let (next, waited) = core
                .wake
                .wait_timeout(signal, RETRY)
                .unwrap_or_else(PoisonError::into_inner);
            signal = next;
            if waited.timed_out() && signal.failing {
                drop(signal);
                core.retry();
                return true;
            }
        } else {
            signal = core
                .wake
                .wait(signal)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
    if !(signal.now || signal.stop) {
        let result = core
            .wake
            .wait_timeout_while(signal, GATHER, |signal| !(signal.now || signal.stop));
        signal = result.unwrap_or_else(PoisonError::into_inner).0;
    }
    let stop = signal.stop;
    let failing = signal.failing;
    signal.dirty = false;
    signal.now = false;
    drop(signal);
    if failing && stop {
        core.retry();
    }
    core.sync();
    !stop
}
