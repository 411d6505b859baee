//! A session in numbers, for lists: a fold over its events, as the state is,
//! but of constant size.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::directory;
use super::event::{CellId, CellKind, Event, EventBody};
use super::state::Totals;

const FILE: &str = "summary.json";

/// What lists show of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Events so far.
    pub events: u64,
    /// Cells that are still there.
    pub cells: BTreeSet<CellId>,
    /// Runs begun.
    pub runs: u64,
    /// Sums over exchanges.
    pub totals: Totals,
    /// Wall clock of the last event, milliseconds.
    pub modified_ms: i64,
    /// First line of the first cell.
    pub title: String,
    /// Bytes of the log these numbers are of; another length means they are old.
    #[serde(default)]
    pub log_bytes: u64,
}

impl Summary {
    /// Reads what [`Summary::save`] wrote, whether or not it is old.
    pub fn load(dir: &Path) -> Option<Self> {
        let bytes = directory::read_bounded(&dir.join(FILE), 1 << 20).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes it beside the log.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        directory::write_whole(&dir.join(FILE), &serde_json::to_vec(self)?)
    }

    /// Counts one event in.
    pub fn apply(&mut self, event: &Event) {
        self.events += 1;
        self.modified_ms = event.time_ms;
        match (&event.body, event.cell) {
            (EventBody::CellSubmitted { cell_kind, source }, Some(cell)) => {
                self.cells.insert(cell);
                if self.title.is_empty() && *cell_kind != CellKind::Markdown {
                    let first = source.lines().find(|line| !line.trim().is_empty());
                    self.title = first.unwrap_or_default().trim().chars().take(80).collect();
                }
            }
            (EventBody::CellDeleted {}, Some(cell)) => {
                self.cells.remove(&cell);
            }
            (EventBody::CellRestored {}, Some(cell)) => {
                self.cells.insert(cell);
            }
            (EventBody::RunStarted { .. }, _) => self.runs += 1,
            (EventBody::Exchange(exchange), _) => self.totals.add(exchange),
            _ => {}
        }
    }
}
