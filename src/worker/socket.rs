//! The workbench's end of a worker's socket.
//!
//! Reading wakes a task when something came. That there is room again wakes nobody
//! but who waits for room: a socket that is registered for both is reported with each
//! message that the other side takes. Owns no queue and no frame.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Bytes read at once.
const AT_ONCE: usize = 64 * 1024;

/// Both halves of a socket.
///
/// # Errors
/// When it cannot be registered with the runtime.
pub(super) fn halves(socket: UnixStream) -> std::io::Result<(ReadHalf, WriteHalf)> {
    socket.set_nonblocking(true)?;
    let socket = Arc::new(registered(socket, Interest::READABLE)?);
    let read = ReadHalf {
        socket: Arc::clone(&socket),
        bytes: vec![0; AT_ONCE].into_boxed_slice(),
    };
    Ok((read, WriteHalf { socket }))
}

/// What comes from the worker.
#[derive(Debug)]
pub(super) struct ReadHalf {
    socket: Arc<AsyncFd<UnixStream>>,
    bytes: Box<[u8]>,
}

impl ReadHalf {
    /// Waits for bytes; none at all say that the worker closed its end. Nothing is lost
    /// when the future is dropped.
    ///
    /// # Errors
    /// When the socket is broken.
    pub(super) async fn read(&mut self) -> std::io::Result<&[u8]> {
        let len = loop {
            let mut ready = self.socket.readable().await?;
            let bytes = &mut self.bytes;
            match ready.try_io(|socket| socket.get_ref().read(bytes)) {
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(read) => break read?,
                Err(_would_block) => {}
            }
        };
        Ok(self.bytes.get(..len).unwrap_or_default())
    }
}

/// What goes to the worker, who sees the end when this is dropped.
#[derive(Debug)]
pub(super) struct WriteHalf {
    socket: Arc<AsyncFd<UnixStream>>,
}

impl WriteHalf {
    /// Writes what there is room for now: perhaps nothing.
    ///
    /// # Errors
    /// When the worker is gone.
    pub(super) fn write_now(&self, bytes: &[u8]) -> std::io::Result<usize> {
        loop {
            match self.socket.get_ref().write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => return written,
            }
        }
    }

    /// Waits until there is room.
    ///
    /// # Errors
    /// When no descriptor is left to wait with.
    pub(super) async fn room(&self) -> std::io::Result<()> {
        let waiting = registered(self.socket.get_ref().try_clone()?, Interest::WRITABLE)?;
        waiting.writable().await?.retain_ready();
        Ok(())
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        let _ = self.socket.get_ref().shutdown(Shutdown::Write);
    }
}

#[expect(
    deprecated,
    reason = "the new way is unsafe, for types that change their descriptor: this one does not"
)]
fn registered(socket: UnixStream, interest: Interest) -> std::io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(socket, interest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn more_than_there_is_room_for_arrives_whole_and_then_the_end() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (_read, write) = halves(ours).unwrap();
        let (mut other, _theirs) = halves(theirs).unwrap();
        let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move {
            let mut left = sent.as_slice();
            let mut waited = 0;
            while !left.is_empty() {
                let written = write.write_now(left).unwrap();
                left = &left[written..];
                if written == 0 {
                    waited += 1;
                    write.room().await.unwrap();
                }
            }
            waited
        });
        let mut got = Vec::new();
        loop {
            let bytes = other.read().await.unwrap();
            if bytes.is_empty() {
                break;
            }
            got.extend_from_slice(bytes);
        }
        assert!(writing.await.unwrap() > 0, "it never was full");
        assert!(got == expected);
    }

    #[tokio::test]
    async fn a_worker_that_is_gone_is_an_error() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut read, write) = halves(ours).unwrap();
        drop(theirs);
        assert!(write.write_now(b"x").is_err());
        assert!(read.read().await.unwrap().is_empty());
    }
}
