//! `replay --plain` and `replay --json`: a session as text, without Python or network.

use std::io::{BufWriter, Write as _};
use std::process::ExitCode;

use super::open::{complain_about, print_line};
use super::{Common, ReplayArgs};
use crate::paths;
use crate::protocol::error::OperationError;
use crate::session::reader::SessionReader;
use crate::session::{catalog, replay};

/// Prints the session that the arguments name.
pub(super) fn print(args: &ReplayArgs, common: &Common) -> ExitCode {
    let mut reader = match open(&args.target, common) {
        Ok(reader) => reader,
        Err(error) => return complain_about(&error, 1),
    };
    if args.json {
        print_line(&replay::json(&mut reader, args.at).to_string());
        return ExitCode::SUCCESS;
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    // A closed pipe (`| head`) ends the printing, and is no failure.
    let _ = replay::plain(&mut reader, args.at, &mut out).and_then(|()| out.flush());
    ExitCode::SUCCESS
}

/// Opens a session for reading.
///
/// # Errors
/// When there is no such session, or it cannot be read.
pub(super) fn open(target: &str, common: &Common) -> Result<SessionReader, OperationError> {
    let root = paths::sessions_dir(common.sessions_dir.as_deref())
        .map_err(|error| OperationError::invalid("no_home", error.to_string()))?;
    let dir = catalog::resolve(&root, target)?;
    Ok(SessionReader::open(&dir)?)
}
