//! `run FILE`: a script, recorded as a session.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::open::{complain_about, core_options};
use super::{Cassette, Common, RunArgs};
use crate::app::{Core, SessionChoice};
use crate::gateway::CassetteMode;
use crate::protocol::error::OperationError;
use crate::script::{self, Printer};

/// Runs the file. Exit code 0 when every cell ended well, 1 when one did not,
/// 130 when it was interrupted.
pub(super) async fn run(args: RunArgs, common: &Common) -> ExitCode {
    match run_file(args, common).await {
        Ok(code) => code,
        Err(error) => complain_about(&error, 1),
    }
}

async fn run_file(args: RunArgs, common: &Common) -> Result<ExitCode, OperationError> {
    // Before anything is made: a wrong name must not leave a session behind.
    if !args.file.is_file() {
        let message = format!("there is no file `{}`", args.file.display());
        return Err(OperationError::invalid("unknown_file", message)
            .hint("name a `.py` file or a command script"));
    }
    let mut options = core_options(common)?;
    if options.session == SessionChoice::Ephemeral {
        options.session = SessionChoice::New(None);
    }
    if common.session.is_some() && common.cassette.is_none() {
        // The same work again: what was answered is not asked, nor paid, again.
        options.gateway.cassette = CassetteMode::UntilDivergence;
    }
    if common.cassette == Some(Cassette::Off) {
        options.gateway.cassette = CassetteMode::Off;
    }
    options.demo = args
        .file
        .extension()
        .is_none_or(|extension| extension != "py");
    let mut core = Core::start(options).await?;
    core.warm_up();
    let handle = core.handle();
    let interrupted = Arc::new(AtomicBool::new(false));
    let pressed = Arc::clone(&interrupted);
    let interrupts = tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            pressed.store(true, Ordering::Relaxed);
            let _ = handle.call("interrupt", serde_json::json!({})).await;
        }
    });
    let mut printer = Printer::new();
    let ran = script::run(&mut core, &args.file, &args.args, &mut printer).await;
    interrupts.abort();
    core.settle();
    let totals = core.state().session.totals.clone();
    let id = core.state().session_id.clone();
    core.close().await;
    printer.remark(&format!(
        "session {id} · {} calls, {} from the record, {} tokens, ${:.4} · dspex-tui replay {id}",
        totals.calls,
        totals.hits,
        totals.input_tokens + totals.output_tokens,
        totals.cost,
    ));
    match ran {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) if interrupted.load(Ordering::Relaxed) => Ok(ExitCode::from(130)),
        Ok(false) => Ok(ExitCode::FAILURE),
        Err(error) => {
            printer.error(&error);
            Ok(ExitCode::FAILURE)
        }
    }
}
