//! A terminal for tests: the real program under a pseudo-terminal, its screen
//! read through a terminal emulator. Waits on what the screen shows, never on time.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portable_pty::{CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

use super::{Home, PATIENCE, workbench};

/// What keys send, for [`Terminal::send`].
pub mod keys {
    pub const ENTER: &str = "\r";
    pub const TAB: &str = "\t";
    pub const ESCAPE: &str = "\x1b";
    pub const BACKSPACE: &str = "\x7f";
    pub const UP: &str = "\x1b[A";
    pub const DOWN: &str = "\x1b[B";
    pub const RIGHT: &str = "\x1b[C";
    pub const LEFT: &str = "\x1b[D";
    pub const CTRL_C: &str = "\x03";
    pub const CTRL_D: &str = "\x04";
    pub const CTRL_P: &str = "\x10";
    pub const CTRL_Q: &str = "\x11";
    pub const CTRL_S: &str = "\x13";
    pub const F1: &str = "\x1bOP";
    pub const F2: &str = "\x1bOQ";
    pub const F3: &str = "\x1bOR";
    pub const F4: &str = "\x1bOS";
    pub const F5: &str = "\x1b[15~";
    pub const F6: &str = "\x1b[17~";
    pub const F7: &str = "\x1b[18~";
    pub const F8: &str = "\x1b[19~";
    pub const F11: &str = "\x1b[23~";
    pub const F9: &str = "\x1b[20~";
}

/// A program on a terminal of its own. Dropping it kills the program.
pub struct Terminal {
    parser: vt100::Parser,
    /// Every byte the program wrote.
    pub output: Vec<u8>,
    output_rx: Receiver<Vec<u8>>,
    exit_rx: Receiver<ExitStatus>,
    exit: Option<ExitStatus>,
    pid: Pid,
    side: Option<Side>,
}

/// Our end of the pseudo-terminal: gone after [`Terminal::hang_up`].
struct Side {
    writer: Box<dyn Write + Send>,
    stop: OwnedFd,
    reader: JoinHandle<()>,
    master: Box<dyn MasterPty + Send>,
}

impl Terminal {
    /// Starts the workbench in `home` on a screen of `columns` × `rows`.
    pub fn dspex(home: &Home, arguments: &[&str], columns: u16, rows: u16) -> Self {
        let mut command = CommandBuilder::new(workbench());
        command.args(arguments);
        Self::start(home, command, columns, rows)
    }

    /// Starts any program in `home`.
    pub fn start(home: &Home, mut command: CommandBuilder, columns: u16, rows: u16) -> Self {
        command.env_clear();
        for (name, value) in home.environment() {
            command.env(name, value);
        }
        command.cwd(home.work());
        let pair = native_pty_system().openpty(size(columns, rows)).unwrap();
        let mut child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let pid = Pid::from_raw(i32::try_from(child.process_id().unwrap()).unwrap());

        let (stop_rx, stop) = nix::unistd::pipe().unwrap();
        let (output_tx, output_rx) = mpsc::channel();
        let input = pair.master.try_clone_reader().unwrap();
        let master_fd = pair.master.as_raw_fd().unwrap();
        let reader = std::thread::spawn(move || read_all(input, master_fd, &stop_rx, &output_tx));
        let (exit_tx, exit_rx) = mpsc::channel();
        std::thread::spawn(move || exit_tx.send(child.wait().unwrap()));
        Self {
            parser: vt100::Parser::new(nonzero(rows), nonzero(columns), 0),
            output: Vec::new(),
            output_rx,
            exit_rx,
            exit: None,
            pid,
            side: Some(Side {
                writer: pair.master.take_writer().unwrap(),
                stop,
                reader,
                master: pair.master,
            }),
        }
    }

    /// The program's process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Types text or [`keys`].
    #[track_caller]
    pub fn send(&mut self, text: &str) -> &mut Self {
        let side = self.side.as_mut().expect("the terminal was hung up");
        side.writer.write_all(text.as_bytes()).unwrap();
        side.writer.flush().unwrap();
        self
    }

    /// Pastes text, bracketed as a terminal does it.
    #[track_caller]
    pub fn paste(&mut self, text: &str) -> &mut Self {
        self.send(&format!("\x1b[200~{text}\x1b[201~"))
    }

    /// Changes the size of the window.
    #[track_caller]
    pub fn resize(&mut self, columns: u16, rows: u16) -> &mut Self {
        let side = self.side.as_ref().expect("the terminal was hung up");
        side.master.resize(size(columns, rows)).unwrap();
        self.parser.set_size(nonzero(rows), nonzero(columns));
        self
    }

    /// The text on the screen, one line a row.
    pub fn screen(&self) -> String {
        self.parser.screen().contents()
    }

    /// The emulated screen, for cells, cursor and modes.
    pub fn emulator(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> &mut Self {
        self.wait_until(&format!("'{text}' on the screen"), |screen| {
            screen.contents().contains(text)
        })
    }

    /// Waits until `text` has left the screen.
    #[track_caller]
    pub fn wait_gone(&mut self, text: &str) -> &mut Self {
        self.wait_until(&format!("'{text}' gone from the screen"), |screen| {
            !screen.contents().contains(text)
        })
    }

    /// Waits until `holds` is true of the screen; `what` names it in the failure.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, holds: impl Fn(&vt100::Screen) -> bool) -> &mut Self {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self.parser.screen()) {
            match self.output_rx.recv_timeout(left(deadline)) {
                Ok(bytes) => self.take(&bytes),
                Err(RecvTimeoutError::Timeout) => {
                    panic!("waited in vain for {what}; the screen:\n{}", self.screen())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!(
                        "the program ended before {what}; the screen:\n{}",
                        self.screen()
                    )
                }
            }
        }
        self
    }

    /// Takes what the program is just writing, so that no frame is cut in two.
    pub fn settle(&mut self) -> &mut Self {
        for _ in 0..20 {
            match self.output_rx.recv_timeout(Duration::from_millis(100)) {
                Ok(bytes) => self.take(&bytes),
                Err(_) => break,
            }
        }
        self
    }

    /// Waits for the program's end and takes what it still wrote.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        if self.exit.is_none() {
            let Ok(exit) = self.exit_rx.recv_timeout(PATIENCE) else {
                panic!("the program did not end; the screen:\n{}", self.screen())
            };
            self.exit = Some(exit);
        }
        while let Ok(bytes) = self.output_rx.recv_timeout(Duration::from_millis(200)) {
            self.take(&bytes);
        }
        self.exit.clone().unwrap()
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid, signal).unwrap();
    }

    /// Closes the terminal as a closed window or a lost connection does.
    pub fn hang_up(&mut self) {
        let side = self.side.take().expect("the terminal was hung up twice");
        drop(side.stop);
        side.reader.join().unwrap();
        drop((side.writer, side.master));
    }

    fn take(&mut self, bytes: &[u8]) {
        self.parser.process(bytes);
        self.output.extend_from_slice(bytes);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.exit.is_none() && self.exit_rx.try_recv().is_err() {
            // Best effort: the process may just have ended.
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}

/// Passes on what the program writes until its end or until `stop` is closed.
fn read_all(
    mut input: Box<dyn Read + Send>,
    master: std::os::fd::RawFd,
    stop: &OwnedFd,
    output: &mpsc::Sender<Vec<u8>>,
) {
    #[expect(
        unsafe_code,
        reason = "the trait of the pseudo-terminal gives a raw descriptor only"
    )]
    // SAFETY: the master is closed after this thread was joined, or with the process.
    let master = unsafe { BorrowedFd::borrow_raw(master) };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let mut ready = [
            PollFd::new(master, PollFlags::POLLIN),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        if poll(&mut ready, PollTimeout::NONE).is_err() {
            continue;
        }
        if ready[1].revents().is_some_and(|flags| !flags.is_empty()) {
            return;
        }
        match input.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if output.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        }
    }
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn size(columns: u16, rows: u16) -> PtySize {
    PtySize {
        rows,
        cols: columns,
        ..PtySize::default()
    }
}

fn nonzero(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a screen has at least one row and one column")
}
