//! `sessions`: list, show the place of, remove.

use std::process::ExitCode;

use serde_json::json;

use super::open::{complain_about, print_line};
use super::{Common, SessionsAction, SessionsArgs};
use crate::app::present;
use crate::paths;
use crate::protocol::error::OperationError;
use crate::session::catalog;

/// Runs `sessions`.
pub(super) fn run(args: SessionsArgs, common: &Common) -> ExitCode {
    match act(
        args.action.unwrap_or(SessionsAction::List { json: false }),
        common,
    ) {
        Ok(text) => {
            print_line(&text);
            ExitCode::SUCCESS
        }
        Err(error) => complain_about(&error, 1),
    }
}

fn act(action: SessionsAction, common: &Common) -> Result<String, OperationError> {
    let root = paths::sessions_dir(common.sessions_dir.as_deref())
        .map_err(|error| OperationError::invalid("no_home", error.to_string()))?;
    match action {
        SessionsAction::List { json } => {
            let sessions = json!({"sessions": catalog::list(&root)?});
            Ok(if json {
                sessions.to_string()
            } else {
                present::plain("list_sessions", &sessions)
            })
        }
        SessionsAction::Path { target } => {
            Ok(catalog::resolve(&root, &target)?.display().to_string())
        }
        SessionsAction::Rm { target } => {
            Ok(format!("removed {}", catalog::remove(&root, &target)?))
        }
    }
}
