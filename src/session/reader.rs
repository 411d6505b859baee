//! Reading a session without writing it: any number of readers, beside the
//! writer or long after it.
//!
//! Events are counted by position from 1, which is their number unless lines
//! were lost. Knows nothing of how they are shown.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::blob::Blobs;
use super::directory::{self, Header};
use super::event::{BlobRef, Document, Event, EventBody, Exchange};
use super::line::{self, CHAIN_START, Chain};
use super::recovery::{self, Cursor, Place, RecoveryReport};
use super::state::SessionState;
use super::{SessionError, journal, log};

mod index;

/// A state is kept every so many events. Reading on from one takes about 10 ms.
const KEYFRAME: usize = 2048;

/// An open session, read only.
#[derive(Debug)]
pub struct SessionReader {
    dir: PathBuf,
    header: Header,
    blobs: Blobs,
    places: Vec<Place>,
    cursor: Cursor,
    report: RecoveryReport,
    files: HashMap<u32, Arc<File>>,
    keyframes: BTreeMap<usize, SessionState>,
}

impl SessionReader {
    /// Opens the session in `dir`. Takes no lock and changes nothing of the
    /// session; beside it, an index is kept that saves the next reading.
    pub fn open(dir: &Path) -> Result<Self, SessionError> {
        let header = directory::read_header(dir)?;
        let failed = |source| SessionError::io("read", dir, source);
        let mut reader = Self {
            dir: dir.to_path_buf(),
            header,
            blobs: Blobs::open(dir, false).map_err(failed)?,
            places: Vec::new(),
            cursor: Cursor::START,
            report: RecoveryReport::default(),
            files: HashMap::new(),
            keyframes: BTreeMap::new(),
        };
        if let Some(index) = index::load(dir) {
            reader.report = index.report;
            reader.cursor = index.cursor;
            reader.places = index.places;
        }
        let indexed = reader.places.len();
        reader.read_on().map_err(failed)?;
        if reader.places.len() >= indexed + index::WORTH {
            // Only saves time later; a read-only directory is no matter.
            let _ = index::save(dir, reader.cursor, &reader.places, &reader.report);
        }
        Ok(reader)
    }

    /// `session.json`.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The session's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Number of events read so far.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What was damaged or missing.
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// The event at a position, from 1.
    pub fn event(&mut self, position: usize) -> Option<Event> {
        if let Some(event) = self.read(position) {
            return Some(event);
        }
        if position == 0 || position > self.places.len() {
            return None;
        }
        // The line is not what the index says: the files were changed since.
        self.reindex();
        self.read(position)
    }

    /// The events at these positions, as far as there are any.
    pub fn events(&mut self, range: RangeInclusive<usize>) -> Vec<Event> {
        let last = (*range.end()).min(self.places.len());
        ((*range.start()).max(1)..=last)
            .filter_map(|position| self.event(position))
            .collect()
    }

    /// Every exchange with an LM server, in order.
    pub fn exchanges(&mut self) -> impl Iterator<Item = Exchange> {
        (1..=self.len()).filter_map(move |position| match self.event(position)?.body {
            EventBody::Exchange(exchange) => Some(*exchange),
            _ => None,
        })
    }

    /// The state after the last event with nothing let go, however long the session is:
    /// for what needs all of it once.
    pub fn whole_state(&mut self) -> SessionState {
        let mut state = SessionState::that_holds_all();
        for position in 1..=self.len() {
            if let Some(event) = self.event(position) {
                state.apply(&event);
            }
        }
        state
    }

    /// The state after the event at `position`; 0 is before the first.
    pub fn state_at(&mut self, position: usize) -> SessionState {
        let position = position.min(self.places.len());
        let nearest = self.keyframes.range(..=position).next_back();
        let (mut at, mut state) =
            nearest.map_or_else(Default::default, |(at, state)| (*at, state.clone()));
        while at < position {
            at += 1;
            let Some(event) = self.event(at) else {
                continue;
            };
            state.apply(&event);
            if at.is_multiple_of(KEYFRAME) {
                self.keyframes.insert(at, state.clone());
            }
        }
        state
    }

    /// The state after the last event.
    pub fn final_state(&mut self) -> SessionState {
        self.state_at(self.places.len())
    }

    /// The bytes of a document; `None` when a part is missing or damaged.
    pub fn document(&self, document: &Document) -> Option<Vec<u8>> {
        journal::read_document(&self.blobs, document)
    }

    /// The bytes of a blob; `None` when they are missing or damaged.
    pub fn blob(&self, blob: &BlobRef) -> Option<Vec<u8>> {
        self.blobs.get(blob)
    }

    /// The events that were written since the last call.
    pub fn poll_new(&mut self) -> io::Result<Vec<Event>> {
        let known = self.places.len();
        self.read_on()?;
        Ok(self.events(known + 1..=self.places.len()))
    }

    fn read_on(&mut self) -> io::Result<()> {
        let places = &mut self.places;
        recovery::read_on(
            &self.dir,
            &mut self.cursor,
            true,
            &mut self.report,
            |place, _| {
                places.push(place);
            },
        )?;
        Ok(())
    }

    fn reindex(&mut self) {
        self.places.clear();
        self.keyframes.clear();
        self.files.clear();
        self.cursor = Cursor::START;
        self.report = RecoveryReport::default();
        index::remove(&self.dir);
        if let Err(error) = self.read_on() {
            tracing::warn!(%error, dir = %self.dir.display(), "cannot read the session again");
        }
    }

    /// Reads one line and checks that it is the one known: its CRC, and its
    /// link in the chain.
    fn read(&mut self, position: usize) -> Option<Event> {
        let place = *self.places.get(position.checked_sub(1)?)?;
        let before = self.chain_before(position);
        let file = self.file(place.segment)?;
        let mut bytes = vec![0; place.len as usize];
        file.read_exact_at(&mut bytes, place.offset).ok()?;
        let line = line::decode(&bytes)?;
        if line::link(&before, line.covered) != place.chain {
            return None;
        }
        let mut found = RecoveryReport::default();
        Some(recovery::to_event(
            &line,
            &place.chain,
            &self.blobs,
            &mut found,
        ))
    }

    fn chain_before(&self, position: usize) -> Chain {
        let before = position.checked_sub(2).and_then(|idx| self.places.get(idx));
        before.map_or(CHAIN_START, |place| place.chain)
    }

    fn file(&mut self, segment: u32) -> Option<Arc<File>> {
        if let Some(file) = self.files.get(&segment) {
            return Some(Arc::clone(file));
        }
        let file = Arc::new(File::open(log::segment_path(&self.dir, segment)).ok()?);
        self.files.insert(segment, Arc::clone(&file));
        Some(file)
    }
}
