//! The side of the process that holds the session.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use super::{gone, path_for};
use crate::app::approvals::Asked;
use crate::app::{Handle, Message, OperationResult};
use crate::gateway::{Gateway, Watching};
use crate::protocol::error::OperationError;
use crate::session::event::RunId;

/// A listening socket; ends and removes its file when dropped.
#[derive(Debug)]
pub(in crate::app) struct Server {
    path: PathBuf,
    _task: AbortOnDropHandle<()>,
}

/// What others are told from, and where what they want goes.
#[derive(Debug, Clone)]
pub(in crate::app) struct Feeds {
    /// Takes operations.
    pub(in crate::app) handle: Handle,
    /// Length of the log.
    pub(in crate::app) seq: watch::Receiver<u64>,
    /// What waits for a person.
    pub(in crate::app) asked: watch::Receiver<Arc<Asked>>,
    /// Has the tokens of running calls.
    pub(in crate::app) gateway: Gateway,
}

impl Server {
    /// Listens for this session.
    ///
    /// # Errors
    /// When no private directory for sockets can be had.
    pub(in crate::app) fn listen(session_dir: &Path, feeds: Feeds) -> io::Result<Self> {
        let path = path_for(session_dir)?;
        // The session's lock is ours, so a socket left here belongs to a dead process.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let task = tokio::spawn(accept(listener, feeds));
        Ok(Self {
            path,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Where it listens.
    pub(in crate::app) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves who connects; all connections end with it.
async fn accept(listener: UnixListener, feeds: Feeds) {
    let ours = nix::unistd::getuid().as_raw();
    let mut served = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { return };
                if stream.peer_cred().is_ok_and(|peer| peer.uid() == ours) {
                    served.spawn(serve(stream, feeds.clone()));
                }
            }
            Some(_) = served.join_next() => {}
        }
    }
}

/// What the reading half has for the writing half of a connection.
enum Told {
    /// An answer to write.
    Answer(Value),
    /// Push what happens from here on.
    Follow(Option<Presence>),
    /// Push this run's tokens too, or none.
    Watch(Option<RunId>),
}

/// Somebody at a follower's screen, while it is there.
struct Presence(Handle);

impl Presence {
    fn new(handle: Handle) -> Self {
        let _ = handle.tx.send(Message::FollowerCame);
        Self(handle)
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let _ = self.0.tx.send(Message::FollowerLeft);
    }
}

/// Reads what one connection wants, until it is closed.
async fn serve(stream: UnixStream, feeds: Feeds) {
    let (reader, writer) = stream.into_split();
    let (tx, rx) = mpsc::unbounded_channel();
    let handle = feeds.handle.clone();
    tokio::spawn(write(writer, rx, feeds));
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(mut request) = serde_json::from_str::<Value>(&line) else {
            let error = OperationError::invalid("invalid_request", "this line is not JSON");
            let _ = tx.send(Told::Answer(answer(Value::Null, &Err(error))));
            continue;
        };
        if request.get("follow").is_some() {
            let person = request.get("interactive") == Some(&Value::Bool(true));
            let _ = tx.send(Told::Follow(person.then(|| Presence::new(handle.clone()))));
            continue;
        }
        if let Some(run) = request.get("watch") {
            let _ = tx.send(Told::Watch(run.as_u64().map(RunId)));
            continue;
        }
        let operation = request
            .get("operation")
            .and_then(Value::as_str)
            .unwrap_or("")
            .to_owned();
        let mut take = |key: &str| request.get_mut(key).map(Value::take).unwrap_or_default();
        let (arguments, id) = (take("arguments"), take("id"));
        let pending = handle.submit(&operation, arguments);
        let tx = tx.clone();
        tokio::spawn(async move {
            let result = pending.await.unwrap_or_else(|_| Err(gone()));
            let _ = tx.send(Told::Answer(answer(id, &result)));
        });
    }
}

/// Writes answers and pushes. Only this waits for a peer that reads slowly: lengths of
/// the log and what waits are read when they are written, and tokens that do not wait
/// so long are dropped by their channel.
async fn write(
    mut writer: OwnedWriteHalf,
    mut rx: mpsc::UnboundedReceiver<Told>,
    mut feeds: Feeds,
) {
    let mut following = false;
    let mut _person = None;
    let mut watching: Option<Watching> = None;
    loop {
        let line = tokio::select! {
            biased;
            told = rx.recv() => match told {
                Some(Told::Answer(answer)) => answer,
                Some(Told::Follow(person)) => {
                    (following, _person) = (true, person);
                    feeds.asked.mark_changed();
                    feeds.seq.mark_changed();
                    continue;
                }
                Some(Told::Watch(run)) => {
                    watching = run.map(|run| feeds.gateway.watch(run));
                    continue;
                }
                None => return,
            },
            Ok(()) = feeds.asked.changed(), if following => {
                json!({"waiting": feeds.asked.borrow_and_update().as_ref()})
            }
            Ok(()) = feeds.seq.changed(), if following => {
                json!({"seq": *feeds.seq.borrow_and_update()})
            }
            tokens = next(&mut watching) => json!({"tokens": tokens}),
        };
        if writer
            .write_all(format!("{line}\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

async fn next(watching: &mut Option<Watching>) -> Vec<crate::gateway::TokenDelta> {
    match watching {
        Some(watching) => watching.next().await,
        None => std::future::pending().await,
    }
}

fn answer(id: Value, result: &OperationResult) -> Value {
    match result {
        Ok(result) => json!({"id": id, "ok": true, "result": result}),
        Err(error) => json!({"id": id, "ok": false, "error": error}),
    }
}
