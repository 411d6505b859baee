//! What goes into the screen and what comes out: data, so that both can be tested.

use crossterm::event::{KeyEvent, MouseEvent};
use serde_json::Value;

use crate::app::OperationResult;
use crate::gateway::TokenDelta;
use crate::protocol::error::OperationError;

/// Something happened that the screen may answer.
#[derive(Debug)]
pub enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has a new size.
    Resize(u16, u16),
    /// An operation was answered.
    Answered {
        /// Of the [`Action::Submit`].
        tag: u64,
        /// What it said.
        result: OperationResult,
    },
    /// The cell comes back from the person's own editor.
    Edited(String),
    /// Something the loop was asked for failed.
    Failed(OperationError),
    /// The state changed.
    StateChanged,
    /// Tokens of the run that is watched came.
    Tokens(Vec<TokenDelta>),
    /// Time went on while something runs: milliseconds since the epoch.
    Clock(i64),
}

/// Something the screen wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Submit an operation; its answer comes as [`Input::Answered`].
    Submit {
        /// Joins the answer to its question.
        tag: u64,
        /// Name in the table of operations.
        operation: &'static str,
        /// Its arguments.
        arguments: Value,
    },
    /// End the workbench.
    Quit,
    /// Give the terminal to the shell until `fg`.
    Suspend,
    /// Put text on the clipboard.
    Copy(String),
    /// Let the person edit this text in `$EDITOR`; it comes back as
    /// [`Input::Edited`].
    EditExternally(String),
    /// Ring.
    Bell,
    /// Catch the mouse, or leave it to the terminal.
    CatchMouse(bool),
    /// Draw everything anew.
    Redraw,
    /// Open a session to look at, as it was lived.
    Replay(String),
    /// Leave this session and go on in another one.
    OpenSession(String),
    /// Use this theme; `None` is the next one.
    Theme(Option<String>),
    /// Show the replay as of this event.
    Seek(u64),
    /// Play the replay, or pause it.
    Play,
    /// Back to the live session.
    LeaveReplay,
}
