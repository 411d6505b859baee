//! A core whose session another process holds: it reads the log that grows there,
//! hears what waits for a person there, and hands operations over.
//!
//! When that process ends it holds the session itself, or follows the one that was faster.

use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{Backing, Core, root};
use crate::app::socket::{News, Remote};
use crate::app::state::{Message, SaveStatus, State, Submission};
use crate::app::{CoreOptions, update};
use crate::gateway::Watching;
use crate::protocol::error::OperationError;
use crate::session::SessionError;
use crate::session::event::RunId;
use crate::session::journal::Journal;
use crate::session::reader::SessionReader;

/// How long to wait before the lock of a process that ended is tried again.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The end that follows.
pub(super) struct Follower {
    reader: SessionReader,
    remote: Remote,
    id: String,
    /// Operations that came while nobody held the session.
    late: Vec<Submission>,
}

impl Follower {
    pub(super) fn watch(&self, run: RunId) -> Watching {
        self.remote.watch(run)
    }
}

impl Core {
    /// Follows a session that another process holds.
    pub(super) fn follow(
        options: CoreOptions,
        dir: &Path,
        socket: &Path,
        tx: mpsc::UnboundedSender<Message>,
        rx: mpsc::UnboundedReceiver<Message>,
    ) -> Result<Self, OperationError> {
        let mut reader = SessionReader::open(dir)?;
        let id = reader.header().id.clone();
        let session = reader.final_state();
        let remote = connect(socket, &options, &tx).map_err(|error| {
            let message =
                format!("session {id} is held by a process that does not answer: {error}");
            OperationError::internal(message).hint("wait for it to end, or end it")
        })?;
        let state = State::resuming(id.clone(), session);
        Ok(Self {
            state,
            tx,
            rx,
            options,
            backing: Backing::Follower(Box::new(Follower {
                reader,
                remote,
                id,
                late: Vec::new(),
            })),
        })
    }

    pub(super) fn dispatch_following(&mut self, message: Message) {
        let Backing::Follower(follower) = &mut self.backing else {
            return;
        };
        match message {
            Message::Submitted(submission) if follower.remote.is_closed() => {
                follower.late.push(submission);
            }
            Message::Submitted(submission) => {
                let (remote, tx) = (follower.remote.clone(), self.tx.clone());
                tokio::spawn(async move {
                    let arguments = submission.arguments.clone();
                    match remote.call(&submission.operation, arguments).await {
                        Some(answer) => drop(submission.reply.send(answer)),
                        // For who holds the session next.
                        None => drop(tx.send(Message::Submitted(submission))),
                    }
                });
            }
            Message::Remote(News::Advanced) => self.read_on(),
            Message::Remote(News::Waiting(asked)) => asked.take_over(&mut self.state),
            Message::RemoteGone => self.take_over(),
            other => {
                update(&mut self.state, other);
            }
        }
    }

    /// Applies what the process that holds the session has written.
    pub(super) fn read_on(&mut self) {
        if let Backing::Follower(follower) = &mut self.backing {
            for event in follower.reader.poll_new().unwrap_or_default() {
                self.state.session.apply(&event);
            }
        }
    }

    /// The process that held the session ended: hold it from here on.
    fn take_over(&mut self) {
        let Backing::Follower(follower) = &mut self.backing else {
            return;
        };
        let late = std::mem::take(&mut follower.late);
        let found = root(&self.options).map(|root| Journal::open(&root, &follower.id));
        let reason = match found {
            Ok(Ok((journal, session, _report))) => {
                let (tx, rx) = mpsc::unbounded_channel();
                let rx = std::mem::replace(&mut self.rx, rx);
                drop(tx);
                *self = Self::own(self.options.clone(), journal, session, self.tx.clone(), rx);
                return self.submit_again(late);
            }
            Ok(Err(SessionError::Locked { id, by })) => {
                let another = by.socket.as_deref();
                let again = another.and_then(|path| connect(path, &self.options, &self.tx).ok());
                if let Some(remote) = again {
                    follower.remote = remote;
                    self.state.save = SaveStatus::default();
                    return self.submit_again(late);
                }
                // A process that ends lets go of its socket before its lock.
                let tx = self.tx.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(LOCK_PAUSE).await;
                    let _ = tx.send(Message::RemoteGone);
                });
                OperationError::from(SessionError::Locked { id, by }).message
            }
            Ok(Err(error)) => OperationError::from(error).message,
            Err(error) => error.message,
        };
        follower.late = late;
        self.state.save = SaveStatus::NotSaving { reason };
    }

    fn submit_again(&self, late: Vec<Submission>) {
        for submission in late {
            let _ = self.tx.send(Message::Submitted(submission));
        }
    }
}

/// Connects to who holds the session; what it pushes comes as messages.
fn connect(
    socket: &Path,
    options: &CoreOptions,
    tx: &mpsc::UnboundedSender<Message>,
) -> std::io::Result<Remote> {
    let (pushed, mut news) = mpsc::unbounded_channel();
    let remote = Remote::connect(socket, options.interactive, pushed)?;
    let tx = tx.clone();
    tokio::spawn(async move {
        while let Some(news) = news.recv().await {
            let _ = tx.send(Message::Remote(news));
        }
        let _ = tx.send(Message::RemoteGone);
    });
    Ok(remote)
}
