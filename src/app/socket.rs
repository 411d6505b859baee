//! The session's socket: how another process of the same user steers a core
//! that holds the session's lock.
//!
//! Newline-delimited JSON. A line `{"operation", "arguments", "id"}` is answered
//! by `{"ok", "result" | "error", "id"}`; a line `{"follow": true}` is answered
//! by `{"seq": n}` whenever the log has grown (the follower reads the events
//! themselves from disk). Owner-only: directory 0700, socket 0600, and the
//! peer's user id is checked.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;

use super::{Handle, OperationResult};
use crate::protocol::error::{ErrorClass, OperationError, Strategy};
use crate::session::state::hex;

/// A listening socket; ends and removes its file when dropped.
#[derive(Debug)]
pub(super) struct Server {
    path: PathBuf,
    _task: AbortOnDropHandle<()>,
}

impl Server {
    /// Listens for this session.
    ///
    /// # Errors
    /// When no private directory for sockets can be had.
    pub(super) fn listen(
        session_dir: &Path,
        handle: Handle,
        seq: watch::Receiver<u64>,
    ) -> io::Result<Self> {
        let path = path_for(session_dir)?;
        // The session's lock is ours, so a socket left here belongs to a dead process.
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let ours = nix::unistd::getuid().as_raw();
                if stream.peer_cred().is_ok_and(|peer| peer.uid() == ours) {
                    tokio::spawn(serve(stream, handle.clone(), seq.clone()));
                }
            }
        });
        Ok(Self {
            path,
            _task: AbortOnDropHandle::new(task),
        })
    }

    /// Where it listens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

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

async fn serve(stream: UnixStream, handle: Handle, mut seq: watch::Receiver<u64>) {
    let (reader, mut writer) = stream.into_split();
    let (tx, mut rx) = mpsc::unbounded_channel::<Value>();
    tokio::spawn(async move {
        while let Some(value) = rx.recv().await {
            let line = format!("{value}\n");
            if writer.write_all(line.as_bytes()).await.is_err() {
                break;
            }
        }
    });
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(mut request) = serde_json::from_str::<Value>(&line) else {
            let error = OperationError::invalid("invalid_request", "this line is not JSON");
            let _ = tx.send(answer(Value::Null, &Err(error)));
            continue;
        };
        let tx = tx.clone();
        if request.get("follow").is_some() {
            let mut seq = seq.clone();
            tokio::spawn(async move {
                loop {
                    let now = *seq.borrow_and_update();
                    if tx.send(json!({"seq": now})).is_err() || seq.changed().await.is_err() {
                        break;
                    }
                }
            });
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
        tokio::spawn(async move {
            let result = pending.await.unwrap_or_else(|_| Err(gone()));
            let _ = tx.send(answer(id, &result));
        });
    }
    let _ = seq.borrow_and_update();
}

fn answer(id: Value, result: &OperationResult) -> Value {
    match result {
        Ok(result) => json!({"id": id, "ok": true, "result": result}),
        Err(error) => json!({"id": id, "ok": false, "error": error}),
    }
}

fn gone() -> OperationError {
    OperationError::new(
        "session_gone",
        ErrorClass::Internal,
        "the process of this session ended",
    )
    .strategy(Strategy::Retry)
}

/// The other end: a session held by another process.
#[derive(Debug, Clone)]
pub struct Remote {
    tx: mpsc::UnboundedSender<(Value, oneshot::Sender<OperationResult>)>,
}

impl Remote {
    /// Connects; `advanced` gets the log's length whenever it grows, and is
    /// closed when the other process ends.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn connect(path: &Path, advanced: mpsc::UnboundedSender<u64>) -> io::Result<Self> {
        let stream = UnixStream::connect(path).await?;
        let (tx, rx) = mpsc::unbounded_channel();
        tokio::spawn(converse(stream, rx, advanced));
        Ok(Self { tx })
    }

    /// Has an operation done there.
    pub async fn call(&self, operation: &str, arguments: Value) -> OperationResult {
        let (reply, answer) = oneshot::channel();
        let request = json!({"operation": operation, "arguments": arguments});
        if self.tx.send((request, reply)).is_err() {
            return Err(gone());
        }
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

async fn converse(
    stream: UnixStream,
    mut requests: mpsc::UnboundedReceiver<(Value, oneshot::Sender<OperationResult>)>,
    advanced: mpsc::UnboundedSender<u64>,
) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut waiting = std::collections::HashMap::new();
    let mut next_id = 0_u64;
    if writer.write_all(b"{\"follow\":true}\n").await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            request = requests.recv() => {
                let Some((mut request, reply)) = request else { return };
                next_id += 1;
                request["id"] = json!(next_id);
                waiting.insert(next_id, reply);
                if writer.write_all(format!("{request}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { return };
                let Ok(mut value) = serde_json::from_str::<Value>(&line) else { continue };
                if let Some(seq) = value.get("seq").and_then(Value::as_u64) {
                    let _ = advanced.send(seq);
                    continue;
                }
                let id = value.get("id").and_then(Value::as_u64).unwrap_or_default();
                let Some(reply) = waiting.remove(&id) else { continue };
                let result = if value.get("ok") == Some(&Value::Bool(true)) {
                    Ok(value.get_mut("result").map(Value::take).unwrap_or_default())
                } else {
                    let error = value.get_mut("error").map(Value::take).unwrap_or_default();
                    Err(serde_json::from_value(error).unwrap_or_else(|_| gone()))
                };
                let _ = reply.send(result);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Message;

    /// D14: an operation travels over the socket and its answer comes back.
    #[tokio::test]
    async fn an_operation_is_answered_over_the_socket() {
        let dir = tempfile::tempdir().unwrap();
        let (tx, mut rx) = mpsc::unbounded_channel();
        let (_seq_tx, seq) = watch::channel(41);
        let server = Server::listen(dir.path(), Handle::new(tx), seq).unwrap();
        let (advanced_tx, mut advanced) = mpsc::unbounded_channel();
        let remote = Remote::connect(server.path(), advanced_tx).await.unwrap();
        tokio::spawn(async move {
            while let Some(Message::Submitted(submission)) = rx.recv().await {
                assert_eq!(submission.operation, "list_lms");
                let _ = submission.reply.send(Ok(json!({"lms": []})));
            }
        });
        assert_eq!(advanced.recv().await, Some(41));
        assert_eq!(
            remote.call("list_lms", json!({})).await.unwrap(),
            json!({"lms": []})
        );
    }
}
