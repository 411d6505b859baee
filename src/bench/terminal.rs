//! A terminal to measure programs in: a PTY whose output is only timed, plus
//! the answers a terminal gives to what programs ask at start.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};

/// A program running in a PTY; killed when dropped.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    master: OwnedFd,
    started: Instant,
    /// Everything written so far, escapes included.
    pub seen: Vec<u8>,
}

impl Terminal {
    /// Starts `command` in a terminal of this size.
    ///
    /// # Errors
    /// When there is no PTY or no such program.
    pub fn start(mut command: Command, rows: u16, cols: u16) -> io::Result<Self> {
        let size = Winsize {
            ws_row: rows,
            ws_col: cols,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(&size, None)?;
        let (input, output, error) = (pty.slave.try_clone()?, pty.slave.try_clone()?, pty.slave);
        command
            .env("TERM", "xterm-256color")
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(output))
            .stderr(Stdio::from(error))
            .process_group(0);
        let started = Instant::now();
        let child = command.spawn()?;
        Ok(Self {
            child,
            master: pty.master,
            started,
            seen: Vec::new(),
        })
    }

    /// Process id of the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads until `text` has been written; the time since the start.
    pub fn wait_for(&mut self, text: &str, limit: Duration) -> Option<Duration> {
        let deadline = Instant::now() + limit;
        while !contains(&self.seen, text.as_bytes()) {
            self.read_until(deadline)?;
        }
        Some(self.started.elapsed())
    }

    /// Types, then reads until something is written; the time between.
    pub fn key(&mut self, keys: &[u8], limit: Duration) -> Option<Duration> {
        let before = self.seen.len();
        let typed = Instant::now();
        nix::unistd::write(&self.master, keys).ok()?;
        while self.seen.len() == before {
            self.read_until(typed + limit)?;
        }
        Some(typed.elapsed())
    }

    /// Reads what comes until nothing came for `quiet`, ten times that at most
    /// (a running cell's clock never rests); the number of bytes.
    pub fn settle(&mut self, quiet: Duration) -> usize {
        let before = self.seen.len();
        let end = Instant::now() + quiet * 10;
        while Instant::now() < end && self.read_until(Instant::now() + quiet).is_some() {}
        self.seen.len() - before
    }

    fn read_until(&mut self, deadline: Instant) -> Option<()> {
        let left = deadline.checked_duration_since(Instant::now())?;
        let timeout = PollTimeout::try_from(left.as_millis().max(1)).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, timeout).ok()? == 0 {
            return None;
        }
        let mut buffer = [0_u8; 16384];
        let n = nix::unistd::read(self.master.as_fd(), &mut buffer)
            .ok()
            .filter(|n| *n > 0)?;
        let piece = buffer.get(..n)?;
        self.seen.extend_from_slice(piece);
        // A terminal answers at once; a program that waits for it is not charged.
        for (question, reply) in [
            (b"\x1b[c".as_slice(), b"\x1b[?62;22c".as_slice()),
            (b"\x1b[6n", b"\x1b[1;1R"),
            (b"\x1b[?u", b"\x1b[?0u"),
        ] {
            if contains(piece, question) {
                let _ = nix::unistd::write(&self.master, reply);
            }
        }
        Some(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
