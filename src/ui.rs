//! The full screen: what is drawn and what keys do.
//!
//! [`Screen`] holds what only the screen knows (focus, scrolling, what is being
//! written); everything else it reads from [`crate::app::State`]. [`Screen::update`] turns
//! input into actions and does no I/O; [`Screen::draw`] draws. [`run()`] is the
//! loop that carries the actions out. Owns no session and no Python.

mod approve;
mod code;
mod command_line;
mod context;
mod data;
mod editing;
mod explorer;
mod form;
mod health;
mod input;
mod keys;
mod list;
mod live;
mod lm;
mod look;
mod markdown;
mod messages;
mod metrics;
mod modules;
mod notebook;
mod optimise;
mod overlay;
mod run;
mod screen;
mod sessions;
mod signature;
mod status;
mod text;
mod trace;

pub use input::{Action, Input};
pub use keys::readme_table as readme_keys;
pub use run::{Options, run};
pub use screen::Screen;

/// A screen that fills the room between the bars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// Explorer, notebook, trace.
    #[default]
    Main,
    /// LM profiles.
    Lm,
    /// The signature editor.
    Signature,
    /// The trace alone.
    Trace,
    /// Optimisations.
    Optimise,
    /// Sessions.
    Sessions,
    /// Datasets.
    Data,
    /// DSPy's modules, and programs made of them.
    Modules,
}

/// What gets the keys in the main and trace views.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Focus {
    /// The explorer.
    Explorer,
    /// The cells.
    Notebook,
    /// The cell being written.
    #[default]
    Editor,
    /// The trace's tree.
    Trace,
    /// The tabs of a span.
    Detail,
}
