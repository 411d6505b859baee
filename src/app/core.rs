//! The core's running parts: carries effects out and feeds messages in.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::effect::Effect;
use super::host::CoreHost;
use super::options::{CoreOptions, SessionChoice};
use super::requests::Requests;
use super::resolve::DEMO;
use super::socket::{Remote, Server};
use super::state::{Message, SaveStatus, State};
use super::update::update;
use super::{Handle, OperationResult};
use super::{audit, health, telemetry};
use crate::cache;
use crate::gateway::Gateway;
use crate::paths;
use crate::protocol::error::OperationError;
use crate::protocol::message::Request;
use crate::session::event::{Document, Event, EventBody, Exchange, Passport, Scope};
use crate::session::journal::Journal;
use crate::session::reader::SessionReader;
use crate::session::state::SessionState;
use crate::session::{SessionError, catalog, compare as session_compare};
use crate::worker::{Supervisor, shutting_down};

mod ending;

/// How long to wait before the lock of a process that ended is tried again.
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// How long spans and exchanges gather before the front end is woken for more of
/// them: a thousand calls a second must not wake it a thousand times. Shorter than a
/// frame; whatever else happens wakes it at once and finds them applied.
const GATHER: std::time::Duration = std::time::Duration::from_millis(8);

/// A running core. Front ends drive it: [`Core::next`], then [`Core::dispatch`].
pub struct Core {
    state: State,
    tx: mpsc::UnboundedSender<Message>,
    rx: mpsc::UnboundedReceiver<Message>,
    options: CoreOptions,
    backing: Backing,
}

/// Who holds the session.
enum Backing {
    /// This process.
    Owner(Box<Owner>),
    /// Another one: it is followed through its log and steered over its socket.
    Follower(Box<Follower>),
}

struct Owner {
    journal: Journal,
    events: mpsc::UnboundedReceiver<Arc<Event>>,
    /// Not before this are events waited for again.
    rest: Option<tokio::time::Instant>,
    gateway: Gateway,
    requests: Requests,
    /// Length of the log, for followers.
    seq: watch::Sender<u64>,
    /// Whether something runs, for who reads the workers' memory.
    busy: watch::Sender<bool>,
    /// Kept alive: it stops listening when dropped.
    _server: Option<Server>,
}

/// The log, where the state has let some of it go: no answer may be paid for twice.
fn whole_log(journal: &Journal, session: &SessionState) -> Option<SessionReader> {
    let dir = journal.dir().filter(|_| session.has_let_go())?;
    let log = SessionReader::open(&dir);
    log.inspect_err(|error| tracing::warn!(%error, "older answers cannot be read"))
        .ok()
}

impl Owner {
    fn new(
        options: &CoreOptions,
        journal: Journal,
        session: &SessionState,
        tx: &mpsc::UnboundedSender<Message>,
    ) -> Self {
        let events = journal.subscribe();
        let gateway = Gateway::new(options.gateway.clone(), journal.clone());
        let cacheable = |exchange: &Exchange| exchange.cacheable;
        if let Some(mut log) = whole_log(&journal, session) {
            gateway.load_cassette(log.exchanges());
            gateway.load_cache(log.exchanges().filter(cacheable));
        } else {
            gateway.load_cassette(session.exchanges().cloned());
            gateway.load_cache(session.exchanges().filter(|e| e.cacheable).cloned());
        }
        let host = CoreHost::new(journal.clone(), gateway.clone(), tx.clone());
        let (busy, sampled) = watch::channel(false);
        let requests = Requests::new(options, &gateway, host, tx.clone(), sampled);
        let (seq, watched) = watch::channel(session.seq);
        let handle = Handle::new(tx.clone());
        let server = journal.dir().and_then(|dir| {
            let server = Server::listen(&dir, handle, watched)
                .inspect_err(|error| tracing::warn!(%error, "no socket for this session"))
                .ok()?;
            let _ = journal.announce_socket(server.path());
            Some(server)
        });
        let mut status = journal.status();
        let tx = tx.clone();
        tokio::spawn(async move {
            while status.changed().await.is_ok() {
                let _ = tx.send(Message::SaveChanged(status.borrow_and_update().clone()));
            }
        });
        Self {
            journal,
            events,
            rest: None,
            gateway,
            requests,
            seq,
            busy,
            _server: server,
        }
    }
}

struct Follower {
    reader: SessionReader,
    remote: Remote,
    id: String,
}

impl Core {
    /// Opens the session and makes the core; starts no Python.
    ///
    /// # Errors
    /// When the session cannot be opened: unknown, damaged beyond reading,
    /// written by a newer version.
    pub async fn start(options: CoreOptions) -> Result<Self, OperationError> {
        let (tx, rx) = mpsc::unbounded_channel();
        let (journal, session) = match &options.session {
            SessionChoice::Ephemeral => (Journal::ephemeral(), SessionState::default()),
            SessionChoice::New(name) => {
                let root = root(&options)?;
                let journal = Journal::create(&root, name.as_deref(), passport(&options))?;
                (journal, SessionState::default())
            }
            SessionChoice::Open(id) => {
                let root = root(&options)?;
                match Journal::open(&root, id) {
                    Ok((journal, session, _report)) => (journal, session),
                    Err(SessionError::Locked { id, by }) => {
                        let socket = by
                            .socket
                            .clone()
                            .ok_or(SessionError::Locked { id: id.clone(), by })?;
                        return Self::follow(options, &root.join(&id), &socket, tx, rx).await;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        let mut core = Self::own(options, journal, session, tx, rx);
        if core.options.demo && core.state.session.lms.is_empty() {
            let arguments = serde_json::Map::from_iter([("provider".to_owned(), json!(DEMO))]);
            let profile = core.state.build_profile(&arguments)?;
            core.append(EventBody::LmConfigured { profile });
            core.append(EventBody::LmSelected {
                name: DEMO.to_owned(),
            });
            core.sync();
        }
        Ok(core)
    }

    /// A core that holds this journal.
    fn own(
        options: CoreOptions,
        journal: Journal,
        session: SessionState,
        tx: mpsc::UnboundedSender<Message>,
        rx: mpsc::UnboundedReceiver<Message>,
    ) -> Self {
        let mut state = State::resuming(journal.id().to_owned(), session);
        state.save = journal.status().borrow().clone();
        let owner = Owner::new(&options, journal, &state.session, &tx);
        state.gateway = Some(owner.gateway.clone());
        state.approvals.interactive = options.interactive;
        let backing = Backing::Owner(Box::new(owner));
        let mut core = Self {
            state,
            tx,
            rx,
            options,
            backing,
        };
        core.append(EventBody::SessionOpened {
            passport: passport(&core.options),
        });
        core.sync();
        core
    }
}

impl Core {
    /// Follows a session that another process holds.
    async fn follow(
        options: CoreOptions,
        dir: &Path,
        socket: &Path,
        tx: mpsc::UnboundedSender<Message>,
        rx: mpsc::UnboundedReceiver<Message>,
    ) -> Result<Self, OperationError> {
        let mut reader = SessionReader::open(dir)?;
        let id = reader.header().id.clone();
        let session = reader.final_state();
        let (advanced_tx, mut advanced) = mpsc::unbounded_channel();
        let remote = Remote::connect(socket, advanced_tx)
            .await
            .map_err(|error| {
                let message =
                    format!("session {id} is held by a process that does not answer: {error}");
                OperationError::internal(message).hint("wait for it to end, or end it")
            })?;
        let follow_tx = tx.clone();
        tokio::spawn(async move {
            while advanced.recv().await.is_some() {
                let _ = follow_tx.send(Message::RemoteAdvanced);
            }
            let _ = follow_tx.send(Message::RemoteGone);
        });
        let state = State::resuming(id.clone(), session);
        Ok(Self {
            state,
            tx,
            rx,
            options,
            backing: Backing::Follower(Box::new(Follower { reader, remote, id })),
        })
    }

    /// What front ends read.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// How it was made.
    pub fn options(&self) -> &CoreOptions {
        &self.options
    }

    /// Submits operations to this core.
    pub fn handle(&self) -> Handle {
        Handle::new(self.tx.clone())
    }

    /// Whether another process holds the session.
    pub fn is_follower(&self) -> bool {
        matches!(self.backing, Backing::Follower(_))
    }

    /// Starts the kernel, so that it is ready when it is wanted.
    pub fn warm_up(&mut self) {
        if let Backing::Owner(owner) = &mut self.backing {
            owner.requests.warm_up();
        }
    }

    /// The kernel's process id, while it is ready.
    pub fn kernel_pid(&self) -> Option<u32> {
        match &self.backing {
            Backing::Owner(owner) => owner.requests.kernel_pid(),
            Backing::Follower(_) => None,
        }
    }

    /// The supervisor, once the kernel was wanted.
    pub fn supervisor(&self) -> Option<Supervisor> {
        match &self.backing {
            Backing::Owner(owner) => owner.requests.running(),
            Backing::Follower(_) => None,
        }
    }

    /// The gateway of a session that this process holds.
    pub fn gateway(&self) -> Option<Gateway> {
        self.state.gateway.clone()
    }

    /// Applies what was written so far without waiting for anything. An answer may come
    /// before the news of what it left in the session.
    pub fn settle(&mut self) {
        self.drain();
        self.read_on();
    }

    /// Waits for the next message. Cancel-safe.
    pub async fn next(&mut self) -> Message {
        let backing = &mut self.backing;
        let event = async {
            match backing {
                Backing::Owner(owner) => {
                    if let Some(until) = owner.rest {
                        tokio::time::sleep_until(until).await;
                        owner.rest = None;
                    }
                    owner.events.recv().await
                }
                Backing::Follower(_) => std::future::pending().await,
            }
        };
        // Events first: an answer must find the state its run left.
        tokio::select! {
            biased;
            Some(event) = event => Message::Journalled(event),
            message = self.rx.recv() => match message {
                Some(message) => message,
                // `self.tx` is alive, so the channel cannot be closed.
                None => std::future::pending().await,
            },
        }
    }

    /// Takes one message in and carries out what follows.
    pub fn dispatch(&mut self, message: Message) {
        if self.is_follower() {
            return self.dispatch_following(message);
        }
        // An event taken off the queue comes before those still in it.
        if let Message::Journalled(event) = &message {
            let gathers = matches!(event.body, EventBody::Spans { .. } | EventBody::Exchange(_));
            if let (true, Backing::Owner(owner)) = (gathers, &mut self.backing) {
                owner.rest = Some(tokio::time::Instant::now() + GATHER);
            }
            update(&mut self.state, message);
            return self.drain();
        }
        self.drain();
        for effect in update(&mut self.state, message) {
            self.carry_out(effect);
            // What was just written is applied before the next effect, so that
            // whoever gets an answer finds its consequences in the state.
            self.drain();
        }
    }

    /// Drives the core until `future` is done.
    pub async fn run_until<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        loop {
            tokio::select! {
                biased;
                output = &mut future => return output,
                message = self.next() => self.dispatch(message),
            }
        }
    }

    fn dispatch_following(&mut self, message: Message) {
        let Backing::Follower(follower) = &mut self.backing else {
            return;
        };
        match message {
            Message::Submitted(submission) => {
                let remote = follower.remote.clone();
                tokio::spawn(async move {
                    let answer = remote
                        .call(&submission.operation, submission.arguments)
                        .await;
                    let _ = submission.reply.send(answer);
                });
            }
            Message::RemoteAdvanced => self.read_on(),
            Message::RemoteGone => self.take_over(),
            other => {
                update(&mut self.state, other);
            }
        }
    }

    /// Applies what the process that holds the session has written.
    fn read_on(&mut self) {
        if let Backing::Follower(follower) = &mut self.backing {
            for event in follower.reader.poll_new().unwrap_or_default() {
                self.state.session.apply(&event);
            }
        }
    }

    /// The process that held the session ended: hold it from here on.
    fn take_over(&mut self) {
        let Backing::Follower(follower) = &self.backing else {
            return;
        };
        let id = follower.id.clone();
        let opened =
            root(&self.options).and_then(|root| Journal::open(&root, &id).map_err(Into::into));
        match opened {
            Ok((journal, session, _report)) => {
                let (tx, rx) = mpsc::unbounded_channel();
                let rx = std::mem::replace(&mut self.rx, rx);
                drop(tx);
                *self = Self::own(self.options.clone(), journal, session, self.tx.clone(), rx);
            }
            Err(error) => {
                // A process that ends lets go of its socket before its lock.
                if error.kind == "session_locked" {
                    let tx = self.tx.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(LOCK_PAUSE).await;
                        let _ = tx.send(Message::RemoteGone);
                    });
                }
                self.state.save = SaveStatus::NotSaving {
                    reason: error.message,
                }
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        let Backing::Owner(owner) = &mut self.backing else {
            return;
        };
        match effect {
            Effect::Append(scope, body) => {
                owner.journal.append(scope, *body);
            }
            Effect::Ask {
                ticket,
                request,
                lm,
                pool,
            } => {
                let request = Request {
                    lm: lm.and_then(|lm| owner.gateway.lm_spec(&lm)),
                    ..*request
                };
                owner.requests.ask(ticket, request, pool);
            }
            Effect::Reply(reply, result) => {
                let _ = reply.send(owner.gateway.hide_in_answer(result));
            }
            Effect::SyncProfiles => self.sync(),
            Effect::Adopt(program) => owner.requests.adopt(&program),
            Effect::Interrupt(cell) => owner.requests.interrupt(cell),
            Effect::Cancel(run) => {
                owner.gateway.cancel_run(run);
                owner.requests.cancel(run);
            }
            Effect::Hold(run, held) => owner.gateway.hold_run(run, held),
            Effect::ReplyInput(text) => owner.requests.reply_input(text),
            Effect::AnswerApproval(reply, allow, reason) => reply.answer(allow, reason),
            Effect::WatchApproval(id, withdrawn) => {
                let tx = self.tx.clone();
                tokio::spawn(async move {
                    withdrawn.cancelled().await;
                    let _ = tx.send(Message::ApprovalWithdrawn(id));
                });
            }
            Effect::RestartKernel(reply) => {
                owner.requests.restart_kernel(reply);
            }
            Effect::ReadDocument(document, reply) => {
                let journal = owner.journal.clone();
                tokio::task::spawn_blocking(move || {
                    let _ = reply.send(read_document(&journal, &document));
                });
            }
            Effect::ListSessions(reply) => {
                let root = root(&self.options);
                tokio::task::spawn_blocking(move || {
                    let sessions = root.and_then(|root| Ok(catalog::list(&root)?));
                    let _ = reply.send(sessions.map(|sessions| json!({"sessions": sessions})));
                });
            }
            Effect::CompareSessions(wanted, reply) => {
                let root = root(&self.options);
                tokio::task::spawn_blocking(move || {
                    let _ = reply.send(root.and_then(|root| compare(&root, &wanted)));
                });
            }
            Effect::FindLms(ports, reply) => {
                let gateway = owner.gateway.clone();
                tokio::spawn(async move {
                    let servers = gateway.find_local(&ports).await;
                    let _ = reply.send(Ok(json!({"servers": servers})));
                });
            }
            Effect::ListModels(profile, reply) => {
                let gateway = owner.gateway.clone();
                tokio::spawn(async move {
                    let offered = gateway.list_models(&profile).await;
                    let answer = offered.map(|offered| json!(offered));
                    let _ = reply.send(gateway.hide_in_answer(answer));
                });
            }
            Effect::Health(health, reply) => {
                let supervisor = owner.requests.running();
                tokio::spawn(async move {
                    let _ = reply.send(Ok(health::complete(health, supervisor).await));
                });
            }
            Effect::RestartPools(reply) => {
                if let Some(supervisor) = owner.requests.running() {
                    supervisor.restart_pools();
                }
                let _ = reply.send(Ok(json!({})));
            }
            Effect::Command {
                cell,
                operation,
                arguments,
                reply,
            } => {
                let answer = self.handle().submit(&operation, arguments);
                let tx = self.tx.clone();
                let begun = Instant::now();
                tokio::spawn(async move {
                    let result = answer.await.unwrap_or_else(|_| Err(shutting_down()));
                    let _ = tx.send(Message::CommandDone {
                        cell,
                        operation,
                        result,
                        duration_ms: begun.elapsed().as_secs_f64() * 1e3,
                        reply,
                    });
                });
            }
            Effect::Audit(run, fact) => {
                let fact = audit::without_keys(*fact, |value| owner.gateway.hide_in_answer(value));
                let written = audit::write(root(&self.options), &self.state.session_id, run, fact);
                let _ = written.map(|note| self.append(note));
            }
            Effect::ReadAudit(arguments, reply) => {
                let _ = reply.send(audit::read(root(&self.options), &arguments));
            }
            Effect::Cache { clear, reply } => {
                let (places, optimised) = (owner.requests.places(), owner.requests.optimised());
                let most = self.options.cache_mb * cache::MB;
                tokio::task::spawn_blocking(move || {
                    let answer = if clear {
                        let forgotten = optimised.clear();
                        json!({"removed": cache::clear(&places), "optimisations": forgotten})
                    } else {
                        let parts = cache::parts(&places);
                        let counted = parts.iter().filter(|part| part.cleared);
                        let bytes: u64 = counted.map(|part| part.bytes).sum();
                        json!({"parts": parts, "bytes": bytes, "quota_bytes": most,
                            "optimisations": optimised.stats()})
                    };
                    let _ = reply.send(Ok(answer));
                });
            }
            Effect::VerifyAudit(reply) => {
                let _ = reply.send(audit::verify(root(&self.options)));
            }
            Effect::ExportOtlp(wanted, reply) => {
                let session = self.state.session.clone();
                let (journal, gateway) = (owner.journal.clone(), owner.gateway.clone());
                let sending = telemetry::export(session, journal, gateway, wanted);
                tokio::spawn(async move { reply.send(sending.await) });
            }
            Effect::Stop(reply) => {
                let _ = reply.send(Ok(json!({})));
            }
        }
    }

    /// Tells gateway and kernel which profiles, programs and data there are.
    fn sync(&mut self) {
        let Backing::Owner(owner) = &mut self.backing else {
            return;
        };
        let session = &self.state.session;
        for profile in owner.gateway.profiles() {
            if !session.lms.contains_key(&profile.name) {
                owner.gateway.remove_profile(&profile.name);
            }
        }
        for profile in session.lms.values() {
            owner.gateway.put_profile(profile.clone());
        }
        let lm = session
            .lm
            .as_ref()
            .and_then(|name| owner.gateway.lm_spec(name));
        owner.requests.select_lm(lm);
        let running = self.state.running_scope();
        owner.requests.remember(session, running);
    }

    fn append(&mut self, body: EventBody) {
        if let Backing::Owner(owner) = &self.backing {
            owner.journal.append(Scope::NONE, body);
        }
        self.drain();
    }

    /// Applies every event written so far.
    fn drain(&mut self) {
        let Backing::Owner(owner) = &mut self.backing else {
            return;
        };
        while let Ok(event) = owner.events.try_recv() {
            update(&mut self.state, Message::Journalled(event));
        }
        let now = self.state.session.seq;
        owner
            .seq
            .send_if_modified(|seq| std::mem::replace(seq, now) != now);
        let now = self.state.busy();
        owner
            .busy
            .send_if_modified(|busy| std::mem::replace(busy, now) != now);
        owner
            .requests
            .remember(&self.state.session, self.state.running_scope());
    }
}

fn root(options: &CoreOptions) -> Result<PathBuf, OperationError> {
    paths::sessions_dir(options.sessions_dir.as_deref())
        .map_err(|error| OperationError::invalid("no_home", error.to_string()))
}

fn compare(root: &Path, wanted: &[String; 2]) -> OperationResult {
    let read = |wanted: &String| -> Result<_, OperationError> {
        let mut reader = SessionReader::open(&catalog::resolve(root, wanted)?)?;
        Ok((reader.header().id.clone(), reader.final_state()))
    };
    let [(left, a), (right, b)] = [read(&wanted[0])?, read(&wanted[1])?];
    let comparison = session_compare::compare(&a, &b);
    Ok(json!({
        "left": left, "right": right, "rows": comparison.rows, "cells": comparison.cells,
    }))
}

fn passport(options: &CoreOptions) -> Passport {
    Passport {
        app: env!("CARGO_PKG_VERSION").to_owned(),
        cwd: options.cwd.display().to_string(),
        ..Passport::default()
    }
}

fn read_document(journal: &Journal, document: &Document) -> OperationResult {
    let bytes = journal.read_document(document).ok_or_else(|| {
        OperationError::invalid(
            "unknown_document",
            "this body is not in the session's record",
        )
    })?;
    Ok(json!({"text": String::from_utf8_lossy(&bytes)}))
}
