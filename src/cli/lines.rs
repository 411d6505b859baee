//! Starts the line front ends: `repl` and `run FILE`.

use std::process::ExitCode;

use super::open::{complain_about, core_options, monitor, pools};
use super::{Common, ReplArgs, RunArgs};
use crate::app::{Core, SessionChoice};
use crate::gateway::CassetteMode;
use crate::protocol::error::OperationError;
use crate::repl;
use crate::script::{self, Script};
use crate::worker::PoolsOptions;

/// Opens the REPL in a new session, or in the one asked for.
pub(super) async fn repl(args: ReplArgs, common: &Common) -> ExitCode {
    let core = start_repl(common).await;
    let options = repl::Options {
        keep_going: args.keep_going,
    };
    let core = match core {
        Ok(core) => core,
        Err(error) => return complain_about(&error, 1),
    };
    match monitor(common, &core).await {
        Ok(_monitor) => repl::run(core, options).await,
        Err(error) => complain_about(&error, 2),
    }
}

async fn start_repl(common: &Common) -> Result<Core, OperationError> {
    let mut options = core_options(common)?;
    options.interactive = repl::is_interactive();
    options.standby = options.interactive;
    if options.interactive {
        options.pools = pools(common, PoolsOptions::usual())?;
    }
    options.demo = true;
    if options.session == SessionChoice::Ephemeral {
        options.session = SessionChoice::New(None);
    }
    Core::start(options).await
}

/// Runs a script in a new session, or goes on in the one asked for.
pub(super) async fn run(args: RunArgs, common: &Common) -> ExitCode {
    let script = match Script::read(&args.file) {
        Ok(script) => script,
        Err(error) => return complain_about(&error, 1),
    };
    let core = match start_script(&script, common).await {
        Ok(core) => core,
        Err(error) => return complain_about(&error, 1),
    };
    match monitor(common, &core).await {
        Ok(_monitor) => script::run(core, &script, &args.args).await,
        Err(error) => complain_about(&error, 2),
    }
}

async fn start_script(script: &Script, common: &Common) -> Result<Core, OperationError> {
    let mut options = core_options(common)?;
    // A command script is typed at the workbench, where the demo LM is selected;
    // a Python file configures its own LM, as it does under `python`.
    options.demo = !script.is_python;
    if options.session == SessionChoice::Ephemeral {
        options.session = SessionChoice::New(None);
    } else if common.session.is_some() && common.cassette.is_none() {
        options.gateway.cassette = CassetteMode::UntilDivergence;
    }
    Core::start(options).await
}
