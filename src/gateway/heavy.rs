//! Large bodies: what computes on them does not hold up the calls and clocks that share
//! the runtime's one thread (R58).

use tokio::runtime::{Handle, RuntimeFlavor};

/// Bytes that take a millisecond or more to read, hash or answer.
const LARGE: usize = 256 * 1024;

/// Does what computes on a body of this many bytes; meanwhile everything else goes on,
/// where the body is large and the runtime has threads.
pub(super) fn on_body<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let has_threads = Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if bytes > LARGE && has_threads {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// R58: on the one thread of the runtime another task goes on meanwhile.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_go_on_while_a_large_body_is_worked_on() {
        let heavy = tokio::spawn(async {
            let (told, heard) = mpsc::channel();
            tokio::spawn(async move { told.send("went on") });
            on_body(LARGE + 1, || heard.recv())
        });
        assert_eq!(heavy.await.unwrap(), Ok("went on"));
    }

    #[test]
    fn without_a_runtime_it_is_done_at_once() {
        assert_eq!(on_body(LARGE + 1, || 7), 7);
    }
}
