//! The loop: messages before input, one frame for many changes, no timer at rest.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossterm::event::Event as TerminalEvent;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::input::{Action, Input};
use super::live::Watch;
use super::screen::Screen;
use crate::app::{Core, CoreOptions, OperationResult, SessionChoice, State};
use crate::protocol::error::OperationError;
use crate::session::catalog;
use crate::session::reader::SessionReader;
use crate::session::replay::Replay;
use crate::signals::{Signals, exit_code};
use crate::terminal::events::Events;
use crate::terminal::{self, Guard};
use crate::theme::{Depth, Theme};

/// Between two frames at least: 60 a second.
const FRAME: Duration = Duration::from_millis(16);
/// How often elapsed times are drawn anew while something runs.
const CLOCK: Duration = Duration::from_millis(250);
/// How long a core goes on without a screen for its runs to end.
const DETACHED: Duration = Duration::from_hours(24);

/// The exit code a shell gives to SIGHUP.
const HUNG_UP: u8 = 129;

/// How the screen is to be opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `dark`, `light`, or a file.
    pub theme: Option<String>,
    /// Folder of the person's own themes.
    pub themes: Option<PathBuf>,
    /// Where sessions are kept.
    pub sessions: Option<PathBuf>,
    /// Open this session as a replay.
    pub replay: Option<PathBuf>,
}

/// Why the loop ended.
enum End {
    Quit,
    /// Go on in this session.
    Open(String),
    /// The terminal went away (SIGHUP, or it cannot be read any more).
    Gone,
    /// It was told to end by this signal.
    Told(i32),
}

/// What others may tell the workbench.
struct Told {
    end: Signals,
    resize: Signal,
}

impl Told {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            end: Signals::catch()?,
            resize: signal(SignalKind::window_change())?,
        })
    }
}

/// Opens the workbench on this terminal and runs it until it is left.
///
/// # Errors
/// When there is no terminal, or it cannot be set.
pub async fn run(mut core: Core, options: Options) -> Result<ExitCode, OperationError> {
    terminal::check()?;
    let theme = theme(options.theme.as_deref().unwrap_or("dark"), &options)?;
    let cannot = |error: std::io::Error| {
        OperationError::internal(format!("the terminal cannot be set: {error}"))
    };
    // This thread draws, and starts the one that reads keys.
    terminal::scheduling::run_promptly();
    // Before the terminal is taken: whoever is told to end then gives it back.
    let mut told = Told::catch().map_err(cannot)?;
    let mut screen = Screen::new(theme);
    let mut replay = match &options.replay {
        Some(dir) => Some(Showing::open(dir)?),
        None => None,
    };
    let first = Guard::take().and_then(|mut guard| {
        draw(&mut guard, &mut screen, &core, replay.as_ref())?;
        Ok(guard)
    });
    let mut guard = match first {
        Ok(guard) => guard,
        // The window was closed in this very moment.
        Err(_) if !std::io::stdin().is_terminal() => {
            core.close().await;
            return Ok(ExitCode::from(HUNG_UP));
        }
        Err(error) => return Err(cannot(error)),
    };
    // Only now what is slow: the first frame is on the screen.
    if replay.is_none() {
        core.warm_up();
    }
    let end = loop {
        match Box::pin(work(
            &mut core,
            &mut guard,
            &mut screen,
            &mut replay,
            &mut told,
            &options,
        ))
        .await
        {
            End::Open(id) => {
                let error;
                (core, error) = Box::pin(change_session(core, &id)).await?;
                replay = None;
                screen = Screen::new(screen.theme().clone());
                if let Some(error) = error {
                    screen.update(core.state(), Input::Failed(error));
                }
                core.warm_up();
            }
            end => break end,
        }
    };
    drop(guard);
    let mut code = match end {
        End::Gone => ExitCode::from(HUNG_UP),
        End::Quit | End::Open(_) | End::Told(_) => ExitCode::SUCCESS,
    };
    let told_to_end = if let End::Told(number) = end {
        Some(number)
    } else {
        tokio::select! {
            () = core.run_headless(DETACHED) => None,
            // Without a screen this is how it is told to end.
            number = told.end.next_but_hangup() => Some(number),
        }
    };
    if let Some(number) = told_to_end {
        code = ExitCode::from(exit_code(number));
        core.stop_what_runs();
    }
    core.close().await;
    Ok(code)
}

/// Ends this session's core and opens another session; the same one again, with
/// the reason, when that one cannot be opened.
async fn change_session(
    core: Core,
    id: &str,
) -> Result<(Core, Option<OperationError>), OperationError> {
    let before = core.options().clone();
    let here = core.state().session_id.clone();
    core.close().await;
    let choose = |session: SessionChoice| CoreOptions {
        session,
        ..before.clone()
    };
    match Core::start(choose(SessionChoice::Open(id.to_owned()))).await {
        Ok(core) => Ok((core, None)),
        Err(error) => {
            let back = if here.is_empty() {
                SessionChoice::Ephemeral
            } else {
                SessionChoice::Open(here)
            };
            Ok((Core::start(choose(back)).await?, Some(error)))
        }
    }
}

/// The theme with this name, in the colours this terminal has.
fn theme(name: &str, options: &Options) -> Result<Theme, OperationError> {
    let theme = Theme::named(name, options.themes.as_deref())
        .map_err(|error| OperationError::invalid("unknown_theme", error.to_string()))?;
    Ok(theme.at_depth(Depth::detect(|name| std::env::var(name).ok())))
}

fn next_theme(name: &str) -> String {
    let all = Theme::BUILT_IN;
    let at = all.iter().position(|it| *it == name).map_or(0, |at| at + 1);
    let next = all.get(at % all.len().max(1));
    next.map_or_else(|| name.to_owned(), |it| (*it).to_owned())
}

/// The folder of a session.
fn locate(options: &Options, id: &str) -> Result<PathBuf, OperationError> {
    let root = crate::paths::sessions_dir(options.sessions.as_deref())
        .map_err(|error| OperationError::invalid("no_home", error.to_string()))?;
    Ok(catalog::resolve(&root, id)?)
}

/// A replay on show.
struct Showing {
    replay: Replay,
    state: State,
    playing: bool,
}

impl Showing {
    fn open(dir: &std::path::Path) -> Result<Self, OperationError> {
        let reader = SessionReader::open(dir)?;
        let mut replay = Replay::new(reader);
        let end = replay.len();
        replay.jump(end);
        let mut showing = Self {
            replay,
            state: State::default(),
            playing: false,
        };
        showing.look();
        Ok(showing)
    }

    /// Takes the replay's state over to where the screen reads it.
    fn look(&mut self) {
        self.state.session = self.replay.state().clone();
        self.state.session_id = self.replay.reader().header().id.clone();
    }

    fn seek(&mut self, to: u64) {
        let at = self.replay.position() as u64;
        if to == at + 1 {
            let _ = self.replay.step();
        } else {
            self.replay.jump(to as usize);
        }
        self.look();
    }
}

fn draw(
    guard: &mut Guard,
    screen: &mut Screen,
    core: &Core,
    replay: Option<&Showing>,
) -> std::io::Result<()> {
    let state = core.state();
    screen.set_following(core.is_follower() && replay.is_none());
    let position = replay.map(|it| (it.replay.position() as u64, it.replay.len() as u64));
    screen.set_replay(position);
    let state = replay.map_or(state, |it| &it.state);
    guard.draw(|frame| screen.draw(state, frame))
}

async fn work(
    core: &mut Core,
    guard: &mut Guard,
    screen: &mut Screen,
    replay: &mut Option<Showing>,
    told: &mut Told,
    options: &Options,
) -> End {
    let (answer_tx, mut answers) = mpsc::unbounded_channel::<(u64, OperationResult)>();
    let Ok(mut events) = Events::listen() else {
        return End::Gone;
    };
    let mut drawn = Instant::now();
    let mut dirty = false;
    let mut pending: Vec<Input> = vec![Input::StateChanged];
    let mut watch = Watch::default();
    let mut ticked = Instant::now();
    loop {
        let shown = replay.as_ref().map_or(core.state(), |it| &it.state);
        let clock = screen.wants_clock(shown);
        watch.set(core, screen.watching(shown));
        let wait = replay.as_mut().filter(|it| it.playing).map(|it| {
            it.replay
                .wait(1.0)
                .unwrap_or_default()
                .min(Duration::from_secs(1))
        });
        let mut todo: Vec<Action> = Vec::new();
        for input in pending.drain(..) {
            let state = replay.as_ref().map_or(core.state(), |it| &it.state);
            todo.extend(screen.update(state, input));
            dirty = true;
        }
        for action in todo {
            match action {
                Action::Quit => return End::Quit,
                Action::Submit {
                    tag,
                    operation,
                    arguments,
                } => {
                    let answer_tx = answer_tx.clone();
                    if let Some(showing) = replay.as_mut()
                        && operation == "read_document"
                    {
                        let _ = answer_tx.send((tag, read_document(showing, &arguments)));
                        continue;
                    }
                    let answer = core.handle().submit(operation, arguments);
                    tokio::spawn(async move {
                        let result = answer.await.unwrap_or_else(|_| {
                            Err(OperationError::internal("the workbench is shutting down"))
                        });
                        let _ = answer_tx.send((tag, result));
                    });
                }
                Action::Suspend => {
                    drop(events);
                    let _ = guard.leave();
                    let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGTSTP);
                    let _ = guard.enter();
                    let Ok(again) = Events::listen() else {
                        return End::Gone;
                    };
                    events = again;
                }
                Action::EditExternally(text) => {
                    drop(events);
                    let _ = guard.leave();
                    let edited = edit(&text);
                    let _ = guard.enter();
                    let Ok(again) = Events::listen() else {
                        return End::Gone;
                    };
                    events = again;
                    if let Some(edited) = edited {
                        pending.push(Input::Edited(edited));
                    }
                }
                Action::Copy(text) => drop(guard.copy(&text)),
                Action::Bell => drop(guard.bell()),
                Action::CatchMouse(catch) => drop(guard.catch_mouse(catch)),
                Action::Redraw => drop(guard.repaint()),
                Action::Replay(id) => {
                    match locate(options, &id).and_then(|dir| Showing::open(&dir)) {
                        Ok(showing) => {
                            *replay = Some(showing);
                            pending.push(Input::StateChanged);
                        }
                        Err(error) => pending.push(Input::Failed(error)),
                    }
                }
                Action::OpenSession(id) => match locate(options, &id) {
                    Ok(_) => return End::Open(id),
                    Err(error) => pending.push(Input::Failed(error)),
                },
                Action::Theme(name) => {
                    let name = name.unwrap_or_else(|| next_theme(&screen.theme().name));
                    match theme(&name, options) {
                        Ok(theme) => screen.set_theme(theme),
                        Err(error) => pending.push(Input::Failed(error)),
                    }
                }
                Action::Seek(to) => {
                    if let Some(showing) = replay {
                        showing.playing = false;
                        showing.seek(to);
                        pending.push(Input::StateChanged);
                    }
                }
                Action::Play => {
                    if let Some(showing) = replay {
                        showing.playing = !showing.playing;
                        if showing.replay.position() == showing.replay.len() {
                            showing.seek(0);
                        }
                    }
                }
                Action::LeaveReplay => {
                    if options.replay.is_some() {
                        return End::Quit;
                    }
                    *replay = None;
                    pending.push(Input::StateChanged);
                }
            }
            dirty = true;
        }
        if !pending.is_empty() {
            continue;
        }
        let rest = FRAME.saturating_sub(drawn.elapsed());
        if dirty && rest.is_zero() {
            if draw(guard, screen, core, replay.as_ref()).is_err() {
                return End::Gone;
            }
            drawn = Instant::now();
            dirty = false;
        }
        // Messages before input: what a key meets is the newest state.
        tokio::select! {
            biased;
            number = told.end.next() => return match number {
                libc::SIGHUP => End::Gone,
                number => End::Told(number),
            },
            message = core.next() => {
                core.dispatch(message);
                pending.push(Input::StateChanged);
            }
            Some((tag, result)) = answers.recv() => pending.push(Input::Answered { tag, result }),
            tokens = watch.next() => pending.push(Input::Tokens(tokens)),
            _ = told.resize.recv() => {
                if let Ok((width, height)) = crossterm::terminal::size() {
                    pending.push(Input::Resize(width, height));
                }
            }
            event = events.next() => match event {
                Some(TerminalEvent::Key(key)) => {
                    pending.push(Input::Key(key));
                    // A key is answered at once, not at the next frame's time.
                    drawn = drawn.checked_sub(FRAME).unwrap_or(drawn);
                }
                Some(TerminalEvent::Mouse(mouse)) => pending.push(Input::Mouse(mouse)),
                Some(TerminalEvent::Paste(text)) => pending.push(Input::Paste(text)),
                Some(_) => {}
                None => return End::Gone,
            },
            () = tokio::time::sleep(rest), if dirty => {}
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {
                if let Some(showing) = replay {
                    if showing.replay.step().is_none() {
                        showing.playing = false;
                    }
                    showing.look();
                }
                pending.push(Input::StateChanged);
            }
            // Also where something comes more often than the clock ticks.
            () = tokio::time::sleep(CLOCK.saturating_sub(ticked.elapsed())), if clock => {
                ticked = Instant::now();
                pending.push(Input::Clock(jiff::Timestamp::now().as_millisecond()));
            }
        }
    }
}

/// A recorded body of the session on show.
fn read_document(showing: &mut Showing, arguments: &serde_json::Value) -> OperationResult {
    let document = arguments.get("document").cloned().unwrap_or_default();
    let document = serde_json::from_value(document)
        .map_err(|error| OperationError::internal(error.to_string()))?;
    let missing = || {
        OperationError::invalid(
            "unknown_document",
            "this body is not in the session's record",
        )
    };
    let bytes = showing
        .replay
        .reader()
        .document(&document)
        .ok_or_else(missing)?;
    Ok(serde_json::json!({"text": String::from_utf8_lossy(&bytes)}))
}

/// Lets the person edit a text in their own editor; `None` when that failed.
fn edit(text: &str) -> Option<String> {
    use std::io::Write as _;
    let path = std::env::temp_dir().join(format!("dspex-cell-{}.py", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = std::fs::remove_file(&path);
    options
        .write(true)
        .create_new(true)
        .open(&path)
        .ok()?
        .write_all(text.as_bytes())
        .ok()?;
    let editor = std::env::var("VISUAL")
        .or_else(|_| std::env::var("EDITOR"))
        .unwrap_or_else(|_| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let done = std::process::Command::new(words.next()?)
        .args(words)
        .arg(&path)
        .status();
    let edited = std::fs::read_to_string(&path).ok();
    let _ = std::fs::remove_file(&path);
    edited.filter(|_| done.is_ok_and(|it| it.success()))
}
