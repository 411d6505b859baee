//! Takes the terminal over and gives it back, whatever happens.
//!
//! Owns raw mode, the alternate screen, mouse, paste and keyboard modes, the
//! panic hook and the clipboard escape. Knows nothing of what is drawn.

pub mod events;
pub mod scheduling;

use std::cell::RefCell;
use std::io::{self, IsTerminal as _, Write};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste,
    EnableFocusChange, EnableMouseCapture, KeyboardEnhancementFlags, PopKeyboardEnhancementFlags,
    PushKeyboardEnhancementFlags,
};
use crossterm::terminal::{self, EnterAlternateScreen, LeaveAlternateScreen, SetTitle};
use crossterm::{clipboard::CopyToClipboard, cursor, queue};
use ratatui::backend::{Backend as _, ClearType, CrosstermBackend};

use crate::protocol::error::OperationError;

/// The bytes of a frame until all of them are there: what asks to be flushed in between
/// (ratatui, crossterm) would cost a write and a wake of the terminal each time.
#[derive(Debug, Default, Clone)]
struct Frame(Rc<RefCell<Vec<u8>>>);

impl Write for Frame {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the terminal is ours now. Read by the panic hook.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether the full screen can be opened here.
///
/// # Errors
/// One sentence for a person when it cannot.
pub fn check() -> Result<(), OperationError> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(OperationError::invalid(
            "not_a_terminal",
            "the workbench needs a terminal on standard input and output",
        )
        .hint(
            "use `dspex-tui repl`, `dspex-tui run FILE` or `dspex-tui exec` in pipes and scripts",
        ));
    }
    if std::env::var("TERM").is_ok_and(|term| term == "dumb") {
        return Err(OperationError::invalid(
            "dumb_terminal",
            "the terminal says it can only print lines (TERM=dumb)",
        )
        .hint("use `dspex-tui repl`"));
    }
    Ok(())
}

/// The terminal while it is ours. Dropping it gives it back.
pub struct Guard {
    tui: ratatui::Terminal<CrosstermBackend<Frame>>,
    /// What `tui` has written and the terminal has not seen.
    frame: Frame,
    mouse: bool,
}

impl Guard {
    /// Takes the terminal over. Waits for no answer of the terminal, so that the
    /// first frame is not delayed.
    ///
    /// # Errors
    /// When the terminal cannot be set.
    pub fn take() -> io::Result<Self> {
        restore_on_panic();
        let frame = Frame::default();
        let tui = ratatui::Terminal::new(CrosstermBackend::new(frame.clone()))?;
        let mut guard = Self {
            tui,
            frame,
            mouse: true,
        };
        guard.enter()?;
        Ok(guard)
    }

    /// Gives the terminal back until [`Guard::enter`].
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn leave(&mut self) -> io::Result<()> {
        restore()
    }

    /// Takes the terminal again after [`Guard::leave`].
    ///
    /// # Errors
    /// When the terminal cannot be set.
    pub fn enter(&mut self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        terminal::enable_raw_mode()?;
        let mut out = io::stdout();
        // Flags a terminal does not know are ignored by it: asking first would
        // cost a round trip before the first frame.
        queue!(
            out,
            EnterAlternateScreen,
            EnableBracketedPaste,
            EnableFocusChange,
            PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES),
            SetTitle("dspex"),
        )?;
        if self.mouse {
            queue!(out, EnableMouseCapture)?;
        }
        out.flush()?;
        self.repaint()
    }

    /// Takes the terminal again if a panic of some task has given it back meanwhile.
    ///
    /// # Errors
    /// When the terminal cannot be set.
    fn retake(&mut self) -> io::Result<()> {
        if TAKEN.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.enter()
    }

    /// Draws a frame and shows it in one write, synchronised: the terminal shows whole
    /// frames only. Takes the terminal again if a panic of some task gave it back.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, draw: impl FnOnce(&mut ratatui::Frame)) -> io::Result<()> {
        self.retake()?;
        queue!(self.tui.backend_mut(), terminal::BeginSynchronizedUpdate)?;
        self.tui.draw(draw)?;
        queue!(self.tui.backend_mut(), terminal::EndSynchronizedUpdate)?;
        let frame = self.frame.0.take();
        let mut out = io::stdout().lock();
        out.write_all(&frame).and_then(|()| out.flush())
    }

    /// Clears the screen, so that the next frame draws all of it. Ratatui's own
    /// `clear` asks the terminal where its cursor is and waits for the answer.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn repaint(&mut self) -> io::Result<()> {
        self.tui.backend_mut().clear_region(ClearType::All)?;
        // Empties the buffer of the last frame: every cell differs from it now.
        self.tui.swap_buffers();
        Ok(())
    }

    /// Catches the mouse, or leaves it to the terminal so that text can be selected.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn catch_mouse(&mut self, mouse: bool) -> io::Result<()> {
        self.mouse = mouse;
        let mut out = io::stdout();
        if mouse {
            queue!(out, EnableMouseCapture)?;
        } else {
            queue!(out, DisableMouseCapture)?;
        }
        out.flush()
    }

    /// Puts text on the clipboard of the person's own machine (OSC 52).
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout();
        queue!(out, CopyToClipboard::to_clipboard_from(text))?;
        out.flush()
    }

    /// Rings the bell.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn bell(&mut self) -> io::Result<()> {
        let mut out = io::stdout();
        out.write_all(b"\x07")?;
        out.flush()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = restore();
    }
}

/// Undoes everything [`Guard::enter`] did; does nothing when it is undone.
///
/// # Errors
/// When the terminal is gone.
pub fn restore() -> io::Result<()> {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return Ok(());
    }
    let mut out = io::stdout();
    let written = queue!(
        out,
        PopKeyboardEnhancementFlags,
        DisableMouseCapture,
        DisableFocusChange,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show,
    )
    .and_then(|()| out.flush());
    // Modes of the line come back even if the screen cannot be written.
    terminal::disable_raw_mode().and(written)
}

/// Makes a panic give the terminal back before it says anything.
fn restore_on_panic() {
    static HOOKED: AtomicBool = AtomicBool::new(false);
    if HOOKED.swap(true, Ordering::SeqCst) {
        return;
    }
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = restore();
        earlier(panic);
    }));
}
