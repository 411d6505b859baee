//! A worker's descriptors 1 and 2: text to show, never frames (R57).

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use tokio::net::unix::pipe::Receiver;

/// A line longer than this is handed on in pieces, bytes.
const LINE: usize = 8 * 1024;

/// Bytes read before others get their turn.
const TURN: usize = 256 * 1024;

/// Last lines kept for the report of a death.
const LAST_LINES: usize = 12;

/// One pipe, read without blocking.
#[derive(Debug)]
pub(super) struct Pipe {
    end: Receiver,
    buffer: Vec<u8>,
    partial: Vec<u8>,
    last: VecDeque<String>,
    open: bool,
}

impl Pipe {
    /// Takes the reading end over.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            end: Receiver::from_owned_fd(fd)?,
            buffer: vec![0; 64 * 1024],
            partial: Vec::new(),
            last: VecDeque::new(),
            open: true,
        })
    }

    /// Waits for text and answers the whole lines there are; for ever once the
    /// pipe has ended. Cancel safe.
    pub(super) async fn lines(&mut self) -> String {
        loop {
            if !self.open {
                std::future::pending::<()>().await;
            }
            if self.end.readable().await.is_err() {
                self.open = false;
                continue;
            }
            let mut text = String::new();
            while text.len() < TURN {
                match self.end.try_read(&mut self.buffer) {
                    Ok(0) => self.open = false,
                    Ok(len) => {
                        self.append(len);
                        text.push_str(&self.take(false));
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => self.open = false,
                }
                break;
            }
            if !self.open {
                text.push_str(&self.take(true));
            }
            if !text.is_empty() {
                return text;
            }
        }
    }

    /// Everything written so far, including a line without its end.
    pub(super) fn drain(&mut self) -> String {
        let mut text = String::new();
        // Asked of the system itself: Tokio may not have heard of it yet.
        while self.open && text.len() < 16 * TURN {
            match nix::unistd::read(&self.end, &mut self.buffer) {
                Ok(0) => self.open = false,
                Ok(len) => {
                    self.append(len);
                    text.push_str(&self.take(true));
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                Err(_) => self.open = false,
            }
        }
        text.push_str(&self.take(true));
        text
    }

    /// The last lines, oldest first.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    fn append(&mut self, len: usize) {
        let read = self.buffer.get(..len).unwrap_or_default();
        self.partial.extend_from_slice(read);
    }

    /// Takes whole lines, or `all`, out of what was read.
    fn take(&mut self, all: bool) -> String {
        let end = if all || self.partial.len() > LINE {
            // A character cut in two waits for its rest.
            self.partial.len() - unfinished(&self.partial)
        } else {
            self.partial
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |place| place + 1)
        };
        let text =
            String::from_utf8_lossy(self.partial.get(..end).unwrap_or_default()).into_owned();
        self.partial.drain(..end);
        let skip = text.lines().count().saturating_sub(LAST_LINES);
        for line in text.lines().skip(skip) {
            if !line.trim().is_empty() {
                self.last.push_back(line.chars().take(500).collect());
            }
        }
        while self.last.len() > LAST_LINES {
            self.last.pop_front();
        }
        text
    }
}

/// Bytes at the end that begin a UTF-8 character without ending it.
fn unfinished(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe() -> (Pipe, OwnedFd) {
        let (read, write) = nix::unistd::pipe().unwrap();
        (Pipe::new(read).unwrap(), write)
    }

    #[tokio::test]
    async fn whole_lines_come_at_once_and_a_rest_with_drain() {
        let (mut pipe, write) = pipe();
        nix::unistd::write(&write, b"one\ntwo\nthr").unwrap();
        assert_eq!(pipe.lines().await, "one\ntwo\n");
        assert_eq!(pipe.drain(), "thr");
        nix::unistd::write(&write, b"ee\n").unwrap();
        assert_eq!(pipe.lines().await, "ee\n");
        assert_eq!(pipe.last_lines(), ["one", "two", "thr", "ee"]);
    }

    #[tokio::test]
    async fn a_character_is_never_cut_in_two() {
        let (mut pipe, write) = pipe();
        let text = "é\n".as_bytes();
        nix::unistd::write(&write, &text[..1]).unwrap();
        assert_eq!(pipe.drain(), "");
        nix::unistd::write(&write, &text[1..]).unwrap();
        assert_eq!(pipe.lines().await, "é\n");
    }
}
