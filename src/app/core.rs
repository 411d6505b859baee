//! The core's running parts: carries effects out and feeds messages in.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::Handle;
use super::approvals::Asked;
use super::host::CoreHost;
use super::options::{CoreOptions, SessionChoice};
use super::requests::Requests;
use super::resolve::DEMO;
use super::socket::{Feeds, Server};
use super::state::{Message, State};
use super::update::update;
use crate::gateway::{Gateway, Watching};
use crate::paths;
use crate::protocol::error::OperationError;
use crate::session::SessionError;
use crate::session::event::{Event, EventBody, Exchange, Passport, RunId, Scope};
use crate::session::journal::Journal;
use crate::session::reader::SessionReader;
use crate::session::state::SessionState;
use crate::worker::Supervisor;

mod carry;
mod ending;
mod follower;

use follower::Follower;

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
    /// What waits for a person, for followers.
    asked: watch::Sender<Arc<Asked>>,
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
        let (asked, asked_here) = watch::channel(Arc::default());
        let feeds = Feeds {
            handle: Handle::new(tx.clone()),
            seq: watched,
            asked: asked_here,
            gateway: gateway.clone(),
        };
        let server = journal.dir().and_then(|dir| {
            let server = Server::listen(&dir, feeds)
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
            asked,
            busy,
            _server: server,
        }
    }
}

impl Core {
    /// Opens the session and makes the core; starts no Python.
    ///
    /// # Errors
    /// When the session cannot be opened: unknown, damaged beyond reading,
    /// written by a newer version.
    #[expect(
        clippy::unused_async,
        reason = "it spawns tasks: whoever starts a core is on a runtime"
    )]
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
                        return Self::follow(options, &root.join(&id), &socket, tx, rx);
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

    /// The tokens of a run's calls as they come, from whichever process makes them.
    pub fn watch(&self, run: RunId) -> Watching {
        match &self.backing {
            Backing::Owner(owner) => owner.gateway.watch(run),
            Backing::Follower(follower) => follower.watch(run),
        }
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
        owner.asked.send_if_modified(|asked| {
            let changed = !asked.is_of(&self.state);
            if changed {
                *asked = Arc::new(Asked::of(&self.state));
            }
            changed
        });
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

fn passport(options: &CoreOptions) -> Passport {
    Passport {
        app: env!("CARGO_PKG_VERSION").to_owned(),
        cwd: options.cwd.display().to_string(),
        ..Passport::default()
    }
}
