//! The side of a process that follows.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::gone;
use crate::app::OperationResult;
use crate::app::approvals::Asked;
use crate::gateway::{TOKEN_LAG, TokenDelta, Watching};
use crate::session::event::RunId;

/// A session held by another process.
#[derive(Debug, Clone)]
pub struct Remote {
    tx: mpsc::UnboundedSender<Wanted>,
    tokens: broadcast::Sender<TokenDelta>,
}

/// What the other process pushes, tokens aside. Closed when that process ends.
#[derive(Debug, PartialEq)]
pub enum News {
    /// The log has grown.
    Advanced,
    /// What waits for a person there.
    Waiting(Asked),
}

/// What is wanted of the other process.
#[derive(Debug)]
enum Wanted {
    /// An operation.
    Call(Value, oneshot::Sender<OperationResult>),
    /// A run's tokens, or none.
    Watch(Option<RunId>),
}

impl Remote {
    /// Connects; `news` gets what is pushed. `interactive` says that somebody here can
    /// be asked.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(
        path: &Path,
        interactive: bool,
        news: mpsc::UnboundedSender<News>,
    ) -> io::Result<Self> {
        let stream = std::os::unix::net::UnixStream::connect(path)?;
        stream.set_nonblocking(true)?;
        let stream = UnixStream::from_std(stream)?;
        let (tx, rx) = mpsc::unbounded_channel();
        let tokens = broadcast::channel(TOKEN_LAG).0;
        let follow = json!({"follow": true, "interactive": interactive});
        tokio::spawn(converse(stream, follow, rx, news, tokens.clone()));
        Ok(Self { tx, tokens })
    }

    /// Has an operation done there; `None` when that process had ended before it was
    /// told, so that nothing was done.
    pub async fn call(&self, operation: &str, arguments: Value) -> Option<OperationResult> {
        let (reply, answer) = oneshot::channel();
        let request = json!({"operation": operation, "arguments": arguments});
        self.tx.send(Wanted::Call(request, reply)).ok()?;
        answer.await.ok()
    }

    /// Whether that process has ended.
    pub fn is_closed(&self) -> bool {
        self.tx.is_closed()
    }

    /// The tokens of this run, from now on. One run is watched at a time: the last one.
    pub fn watch(&self, run: RunId) -> Watching {
        let deltas = self.tokens.subscribe();
        let tx = self.tx.clone();
        let _ = tx.send(Wanted::Watch(Some(run)));
        Watching::new(run, deltas, move || drop(tx.send(Wanted::Watch(None))))
    }
}

type Replies = HashMap<u64, oneshot::Sender<OperationResult>>;

async fn converse(
    stream: UnixStream,
    follow: Value,
    wanted: mpsc::UnboundedReceiver<Wanted>,
    news: mpsc::UnboundedSender<News>,
    tokens: broadcast::Sender<TokenDelta>,
) {
    let mut waiting = Replies::new();
    exchange(stream, follow, wanted, &mut waiting, &news, &tokens).await;
    // Whether these were done nobody here can know.
    for (_, reply) in waiting.drain() {
        let _ = reply.send(Err(gone()));
    }
}

/// Until either side ends. What could not be written is left unanswered.
async fn exchange(
    stream: UnixStream,
    follow: Value,
    mut wanted: mpsc::UnboundedReceiver<Wanted>,
    waiting: &mut Replies,
    news: &mpsc::UnboundedSender<News>,
    tokens: &broadcast::Sender<TokenDelta>,
) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut next_id = 0_u64;
    let mut line = follow;
    loop {
        if writer
            .write_all(format!("{line}\n").as_bytes())
            .await
            .is_err()
        {
            waiting.remove(&next_id);
            return;
        }
        line = loop {
            tokio::select! {
                wanted = wanted.recv() => match wanted {
                    Some(Wanted::Call(mut request, reply)) => {
                        next_id += 1;
                        request["id"] = json!(next_id);
                        waiting.insert(next_id, reply);
                        break request;
                    }
                    Some(Wanted::Watch(run)) => break json!({"watch": run}),
                    None => return,
                },
                line = lines.next_line() => {
                    let Ok(Some(line)) = line else { return };
                    let Ok(value) = serde_json::from_str(&line) else { continue };
                    received(value, waiting, news, tokens);
                }
            }
        };
    }
}

/// Takes one line of the other process in.
fn received(
    mut value: Value,
    waiting: &mut Replies,
    news: &mpsc::UnboundedSender<News>,
    tokens: &broadcast::Sender<TokenDelta>,
) {
    let mut take = |key: &str| value.get_mut(key).map(Value::take);
    if take("seq").is_some() {
        let _ = news.send(News::Advanced);
    } else if let Some(asked) = take("waiting") {
        if let Ok(asked) = serde_json::from_value(asked) {
            let _ = news.send(News::Waiting(asked));
        }
    } else if let Some(pushed) = take("tokens") {
        let deltas: Vec<TokenDelta> = serde_json::from_value(pushed).unwrap_or_default();
        for delta in deltas {
            // Nobody looks any more: they are let go.
            let _ = tokens.send(delta);
        }
    } else {
        let id = take("id").and_then(|id| id.as_u64()).unwrap_or_default();
        let Some(reply) = waiting.remove(&id) else {
            return;
        };
        let result = if take("ok") == Some(Value::Bool(true)) {
            Ok(take("result").unwrap_or_default())
        } else {
            let error = take("error").unwrap_or_default();
            Err(serde_json::from_value(error).unwrap_or_else(|_| gone()))
        };
        let _ = reply.send(result);
    }
}
