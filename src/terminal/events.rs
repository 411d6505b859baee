//! What the terminal sends: keys, mouse, pastes, as they come.
//!
//! One thread waits for the terminal and parses; the receiver waits without polling.
//! Crossterm's own stream is not used: it tries its reader's lock anew each time it is
//! polled, and every try gives the processor to whoever computes. Sizes are not told here
//! (crossterm says them late, after the next key): whoever draws listens for `SIGWINCH`.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::thread::JoinHandle;
use std::time::Duration;

use crossterm::event::{self, Event};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long the thread stays with crossterm after an event: the rest of a sequence or of
/// a paste may still be under way, and crossterm may hold more than it has told.
const MORE: Duration = Duration::from_millis(20);

/// The terminal's events from now until this is dropped.
pub struct Events {
    received: UnboundedReceiver<Event>,
    /// Dropped first: its end of the pipe tells the thread to stop.
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Events {
    /// Begins to read the terminal on standard input.
    ///
    /// # Errors
    /// When there is no pipe or thread to be had.
    pub fn listen() -> io::Result<Self> {
        let (stopped, stop) = nix::unistd::pipe()?;
        let (sender, received) = unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("keys".to_owned())
            .spawn(move || {
                // An error is the terminal's end, and so is the channel's.
                let _ = read(&stopped, &sender);
            })?;
        Ok(Self {
            received,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The next event; `None` when the terminal is gone.
    pub async fn next(&mut self) -> Option<Event> {
        self.received.recv().await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.stop = None;
        // Whoever reads the terminal next (an editor, a shell) must be alone with it.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Sends what comes until `stopped` closes, nobody receives, or the terminal is gone.
fn read(stopped: &OwnedFd, sender: &UnboundedSender<Event>) -> io::Result<()> {
    let stdin = io::stdin();
    loop {
        let mut fds = [
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            result => result?,
        };
        let [terminal, stop] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        // Crossterm would read a closed terminal's end for ever.
        let ended = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
        if !stop.is_empty() || terminal.intersects(ended) {
            return Ok(());
        }
        while event::poll(MORE)? {
            if sender.send(event::read()?).is_err() {
                return Ok(());
            }
        }
    }
}
