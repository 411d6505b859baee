//! What asks this process to end: SIGINT, SIGTERM and SIGHUP, as a future.
//!
//! Catching begins with [`Signals::catch`] and lasts as long as the process. Decides
//! nothing about what follows; the codes are those a shell gives.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals, caught.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where whoever started the process wants it ignored (`nohup`).
    hangup: Option<Signal>,
}

impl Signals {
    /// Catches them from here on. Call within a Tokio runtime.
    ///
    /// # Errors
    /// The system refuses.
    pub fn catch() -> std::io::Result<Self> {
        let hangup = if is_ignored(libc::SIGHUP) {
            None
        } else {
            Some(signal(SignalKind::hangup())?)
        };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
        })
    }

    /// The number of the next one. Cancel-safe.
    pub async fn next(&mut self) -> i32 {
        let Self {
            interrupt,
            terminate,
            hangup,
        } = self;
        let hangup = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => None,
            }
        };
        tokio::select! {
            Some(()) = interrupt.recv() => libc::SIGINT,
            Some(()) = terminate.recv() => libc::SIGTERM,
            Some(()) = hangup => libc::SIGHUP,
            else => std::future::pending().await,
        }
    }

    /// The number of the next one that is no hang-up: for a process that goes on
    /// without its terminal. Cancel-safe.
    pub async fn next_but_hangup(&mut self) -> i32 {
        loop {
            let number = self.next().await;
            if number != libc::SIGHUP {
                return number;
            }
        }
    }
}

/// The exit code of a process that a signal ended.
pub fn exit_code(number: i32) -> u8 {
    128 + u8::try_from(number).unwrap_or(0)
}

/// Whether a signal was ignored when this process began.
fn is_ignored(number: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status).is_some_and(|ignored| ignored >> (number - 1) & 1 == 1)
}

/// The mask of ignored signals in a process's `status`.
fn ignored_in(status: &str) -> Option<u64> {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_is_read() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        let ignored = ignored_in(status).unwrap();
        assert_eq!(
            (ignored & 1, ignored >> 12 & 1, ignored >> 14 & 1),
            (1, 1, 0)
        );
        assert_eq!(exit_code(libc::SIGTERM), 143);
    }
}
