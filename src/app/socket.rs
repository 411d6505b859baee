//! The session's socket: how another process of the same user steers a core
//! that holds the session's lock, and sees what its log does not say.
//!
//! Newline-delimited JSON. A line `{"operation", "arguments", "id"}` is answered
//! by `{"ok", "result" | "error", "id"}`. After a line `{"follow": true, "interactive"}`
//! the core pushes `{"seq": n}` whenever the log has grown (the follower reads the events
//! themselves from disk) and `{"waiting": …}` whenever what waits for a person has
//! changed; `interactive` says that somebody sits at the follower's screen. After
//! `{"watch": run}` it pushes `{"tokens": […]}`, until `{"watch": null}`.
//!
//! Nobody waits for a slow follower: it misses lengths of the log that are outdated and
//! tokens that came too fast, and gets the newest. Owner-only: directory 0700, socket
//! 0600, and the peer's user id is checked.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::protocol::error::{ErrorClass, OperationError, Strategy};
use crate::session::state::hex;

mod client;
mod server;

pub use client::{News, Remote};
pub(super) use server::{Feeds, Server};

/// A session's socket path: short (a socket's name has 108 bytes at most) and private.
fn path_for(session_dir: &Path) -> io::Result<PathBuf> {
    let uid = nix::unistd::getuid();
    let base = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if Path::new(&dir).is_dir() => PathBuf::from(dir).join("dspex-tui"),
        _ => std::env::temp_dir().join(format!("dspex-tui-{uid}")),
    };
    if !base.exists() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&base)?;
    }
    let metadata = std::fs::symlink_metadata(&base)?;
    if !metadata.is_dir() || metadata.uid() != uid.as_raw() || metadata.mode() & 0o077 != 0 {
        let message = format!("{} is not a private directory of this user", base.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    let digest = hex(&Sha256::digest(session_dir.as_os_str().as_encoded_bytes()));
    Ok(base.join(format!("{}.sock", digest.get(..16).unwrap_or(&digest))))
}

fn gone() -> OperationError {
    OperationError::new(
        "session_gone",
        ErrorClass::Internal,
        "the process of this session ended",
    )
    .strategy(Strategy::Retry)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::app::approvals::Asked;
    use crate::app::{Handle, InputWanted, Message};
    use crate::gateway::{Gateway, GatewayOptions, TokenDelta};
    use crate::session::event::{CellId, RunId};
    use crate::session::journal::Journal;

    /// A core's side of the socket, without a core.
    struct Holder {
        messages: mpsc::UnboundedReceiver<Message>,
        seq: watch::Sender<u64>,
        asked: watch::Sender<Arc<Asked>>,
        gateway: Gateway,
        server: Server,
        _dir: tempfile::TempDir,
    }

    impl Holder {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (tx, messages) = mpsc::unbounded_channel();
            let (seq, watched) = watch::channel(41);
            let (asked, asked_here) = watch::channel(Arc::default());
            let gateway = Gateway::new(GatewayOptions::default(), Journal::ephemeral());
            let feeds = Feeds {
                handle: Handle::new(tx),
                seq: watched,
                asked: asked_here,
                gateway: gateway.clone(),
            };
            let server = Server::listen(dir.path(), feeds).unwrap();
            Self {
                messages,
                seq,
                asked,
                gateway,
                server,
                _dir: dir,
            }
        }

        fn tell(&self, run: RunId, text: &str) {
            let delta = TokenDelta {
                run,
                span: None,
                text: text.to_owned(),
            };
            // Nobody listening is no matter.
            let _ = self.gateway.watchers().sender().send(delta);
        }

        fn follow(&self, interactive: bool) -> (Remote, mpsc::UnboundedReceiver<News>) {
            let (tx, news) = mpsc::unbounded_channel();
            let remote = Remote::connect(self.server.path(), interactive, tx).unwrap();
            (remote, news)
        }
    }

    /// D14: an operation travels over the socket and its answer comes back.
    #[tokio::test]
    async fn an_operation_is_answered_over_the_socket() {
        let mut holder = Holder::new();
        let (remote, mut news) = holder.follow(false);
        assert_eq!(news.recv().await, Some(News::Waiting(Asked::default())));
        assert_eq!(news.recv().await, Some(News::Advanced));
        tokio::spawn(async move {
            while let Some(Message::Submitted(submission)) = holder.messages.recv().await {
                assert_eq!(submission.operation, "list_lms");
                let _ = submission.reply.send(Ok(json!({"lms": []})));
            }
        });
        let answer = remote.call("list_lms", json!({})).await;
        assert_eq!(answer.unwrap().unwrap(), json!({"lms": []}));
    }

    /// An operation whose process ends over it is an error; one that comes later was
    /// never told to anybody.
    #[tokio::test]
    async fn an_operation_of_a_process_that_ends_is_an_error() {
        let mut holder = Holder::new();
        let (remote, mut news) = holder.follow(false);
        let call = tokio::spawn({
            let remote = remote.clone();
            async move { remote.call("run_cell", json!({})).await }
        });
        let told = holder.messages.recv().await;
        assert!(matches!(told, Some(Message::Submitted(_))), "{told:?}");
        drop((told, holder));
        let error = call.await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind, "session_gone");
        while news.recv().await.is_some() {}
        assert!(remote.is_closed());
        assert!(remote.call("run_cell", json!({})).await.is_none());
    }

    /// What waits for a person is told, and who sits at a screen is counted.
    #[tokio::test]
    async fn what_waits_is_told_and_who_can_answer_is_counted() {
        let mut holder = Holder::new();
        let (remote, mut news) = holder.follow(true);
        assert_eq!(news.recv().await, Some(News::Waiting(Asked::default())));
        assert!(matches!(
            holder.messages.recv().await,
            Some(Message::FollowerCame)
        ));
        let wanted = InputWanted {
            id: 7,
            cell: CellId(2),
            prompt: "name? ".to_owned(),
            password: false,
        };
        let asked = Asked {
            input: Some(wanted),
            ..Asked::default()
        };
        holder.asked.send(Arc::new(asked.clone())).unwrap();
        while let Some(told) = news.recv().await {
            if told != News::Advanced {
                assert_eq!(told, News::Waiting(asked));
                break;
            }
        }
        drop(remote);
        assert!(matches!(
            holder.messages.recv().await,
            Some(Message::FollowerLeft)
        ));
        drop(holder.seq);
    }

    /// Tokens of the watched run come over the socket, and stop with the watching.
    #[tokio::test]
    async fn tokens_are_pushed_while_they_are_watched() {
        let holder = Holder::new();
        let (remote, _news) = holder.follow(true);
        let mut watching = remote.watch(RunId(3));
        holder.gateway.watchers().until(RunId(3), true).await;
        holder.tell(RunId(2), "not ours");
        holder.tell(RunId(3), "hello");
        let deltas = watching.next().await;
        assert_eq!(deltas.len(), 1);
        assert_eq!(
            (deltas[0].run, deltas[0].text.as_str()),
            (RunId(3), "hello")
        );
        drop(watching);
        holder.gateway.watchers().until(RunId(3), false).await;
    }

    /// A follower that reads nothing holds nobody up.
    #[tokio::test]
    async fn a_follower_that_does_not_read_is_not_waited_for() {
        use std::io::Write as _;
        let holder = Holder::new();
        let mut stuck = std::os::unix::net::UnixStream::connect(holder.server.path()).unwrap();
        stuck
            .write_all(b"{\"follow\":true}\n{\"watch\":3}\n")
            .unwrap();
        holder.gateway.watchers().until(RunId(3), true).await;
        let page = "x".repeat(1 << 10);
        for n in 0..10_000 {
            holder.tell(RunId(3), &page);
            holder.seq.send_replace(n);
            if n % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
        // Another one is served meanwhile.
        let (_remote, mut news) = holder.follow(false);
        assert_eq!(news.recv().await, Some(News::Waiting(Asked::default())));
        assert_eq!(news.recv().await, Some(News::Advanced));
        drop(stuck);
        holder.gateway.watchers().until(RunId(3), false).await;
    }

    /// A line that is no JSON is answered, and the connection lives on.
    #[tokio::test]
    async fn rubbish_is_answered() {
        use std::io::{BufRead as _, Write as _};
        let holder = Holder::new();
        let path = holder.server.path().to_owned();
        let lines = tokio::task::spawn_blocking(move || {
            let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
            stream
                .write_all(b"rubbish\n{\"watch\":\"x\"}\n{\"follow\":true}\n")
                .unwrap();
            let lines = std::io::BufReader::new(stream).lines();
            lines
                .take(2)
                .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
                .collect::<Vec<_>>()
        });
        let lines = lines.await.unwrap();
        assert_eq!(lines[0]["error"]["type"], "invalid_request");
        assert!(lines[1].get("waiting").is_some(), "{:#}", lines[1]);
    }
}
