//! Starts the front end that the arguments ask for.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use super::{Cassette, Cli, Command, Common, DoctorArgs, exec, gateway, lines, replay, sessions};
use crate::app::{Core, CoreOptions, SessionChoice};
use crate::bench;
use crate::config::Settings;
use crate::gateway::{CassetteMode, Fault, GatewayOptions};
use crate::monitor::Monitor;
use crate::protocol::error::OperationError;
use crate::worker::PoolsOptions;

/// Runs what the arguments ask for.
pub(super) async fn run(cli: Cli) -> ExitCode {
    match cli.command {
        Some(Command::Exec(args)) => exec::run(args, &cli.common).await,
        Some(Command::Sessions(args)) => sessions::run(args, &cli.common),
        Some(Command::Doctor(args)) => doctor(args, &cli.common).await,
        Some(Command::Run(args)) => lines::run(args, &cli.common).await,
        Some(Command::Gateway(args)) => gateway::run(args, &cli.common).await,
        Some(Command::Replay(args)) if args.plain || args.json => replay::print(&args, &cli.common),
        Some(Command::Bench(args)) => {
            let mut out = std::io::stdout();
            match bench::run(cli.common.venv, &args.rows, args.json, &mut out).await {
                Ok(all_reached) => ExitCode::from(u8::from(!all_reached)),
                Err(error) => complain_about(&error, 1),
            }
        }
        Some(Command::BenchStub { latency_ms }) => {
            match bench::stub::serve(Duration::from_millis(latency_ms), std::io::stdout()).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => complain(&error.to_string(), 1),
            }
        }
        Some(Command::Replay(args)) => match replay::open(&args.target, &cli.common) {
            Ok(reader) => Box::pin(screen(&cli.common, Some(reader.dir().to_path_buf()))).await,
            Err(error) => complain_about(&error, 1),
        },
        Some(Command::Repl(args)) => Box::pin(lines::repl(args, &cli.common)).await,
        None => Box::pin(screen(&cli.common, None)).await,
    }
}

/// Opens the full screen, live or as a replay.
async fn screen(common: &Common, replay: Option<std::path::PathBuf>) -> ExitCode {
    // Said before a session is made: there is nothing to open without a terminal.
    if let Err(error) = crate::terminal::check() {
        return complain_about(&error, 2);
    }
    let mut options = match core_options(common) {
        Ok(options) => options,
        Err(error) => return complain_about(&error, 2),
    };
    options.interactive = true;
    options.standby = true;
    options.pools = match pools(common, PoolsOptions::usual()) {
        Ok(pools) => pools,
        Err(error) => return complain_about(&error, 2),
    };
    options.demo = true;
    if replay.is_some() {
        options.session = SessionChoice::Ephemeral;
    } else if options.session == SessionChoice::Ephemeral {
        options.session = SessionChoice::New(None);
    }
    let screen = crate::ui::Options {
        theme: common.theme.clone(),
        themes: None,
        sessions: common.sessions_dir.clone(),
        replay,
    };
    let core = match crate::app::Core::start(options).await {
        Ok(core) => core,
        Err(error) => return complain_about(&error, 1),
    };
    let _monitor = match monitor(common, &core).await {
        Ok(monitor) => monitor,
        Err(error) => return complain_about(&error, 2),
    };
    match crate::ui::run(core, screen).await {
        Ok(code) => code,
        Err(error) => complain_about(&error, 2),
    }
}

/// The core's options as the common arguments set them.
///
/// # Errors
/// A fault or cassette mode that is not one, a mistake in the settings file.
pub(super) fn core_options(common: &Common) -> Result<CoreOptions, OperationError> {
    let mut options = CoreOptions::new(std::env::current_dir().unwrap_or_default());
    options.sessions_dir.clone_from(&common.sessions_dir);
    options.venv.clone_from(&common.venv);
    options.gateway = GatewayOptions::from_process();
    options
        .gateway
        .route_all_to
        .clone_from(&common.route_all_to);
    options.gateway.cassette = match common.cassette {
        None | Some(Cassette::Off) => CassetteMode::Off,
        Some(Cassette::Resume) => CassetteMode::UntilDivergence,
        Some(Cassette::Strict) => CassetteMode::Strict,
    };
    options.gateway.faults = common
        .fault
        .iter()
        .map(|spec| Fault::parse(spec))
        .collect::<Result<_, _>>()?;
    // One answer or a script is all that is wanted: no worker but the kernel,
    // unless more are asked for.
    options.pools = pools(common, PoolsOptions::none())?;
    let settings = Settings::load()?;
    if let Some(mb) = settings.kernel_memory_mb() {
        options.kernel_memory_mb = mb;
    }
    if let Some(deadline) = request_deadline().or_else(|| settings.request_deadline()) {
        options.request_deadline = deadline;
    }
    if let Some(mb) = settings.cache_mb() {
        options.cache_mb = mb;
    }
    options.session = match (&common.session, &common.new) {
        (Some(id), _) => SessionChoice::Open(id.clone()),
        (None, Some(name)) => SessionChoice::New(Some(name.clone())),
        (None, None) => SessionChoice::Ephemeral,
    };
    Ok(options)
}

/// The monitoring endpoint, where one is asked for; open until it is dropped.
///
/// # Errors
/// The address is not of this machine, or taken.
pub(super) async fn monitor(
    common: &Common,
    core: &Core,
) -> Result<Option<Monitor>, OperationError> {
    let Some(address) = common.monitor else {
        return Ok(None);
    };
    let monitor = crate::monitor::serve(address, core.handle()).await?;
    tracing::info!(address = %monitor.address, "monitoring");
    Ok(Some(monitor))
}

/// The pools as the settings file and then the common arguments change them.
///
/// # Errors
/// The file has a mistake.
pub(super) fn pools(
    common: &Common,
    mut pools: PoolsOptions,
) -> Result<PoolsOptions, OperationError> {
    Settings::load()?.apply(&mut pools);
    if let Some(workers) = common.workers {
        pools.general.size = workers.into();
    }
    if let Some(optimizers) = common.optimizers {
        pools.optimizer.size = optimizers.into();
    }
    if let Some(memory) = common.worker_memory {
        pools.general.memory_mb = memory;
        pools.optimizer.memory_mb = memory;
    }
    Ok(pools)
}

async fn doctor(args: DoctorArgs, common: &Common) -> ExitCode {
    let options = crate::doctor::Options {
        venv: common.venv.clone(),
        sessions_dir: common.sessions_dir.clone(),
        json: args.json,
    };
    match crate::doctor::run(&options, &mut std::io::stdout().lock()).await {
        Ok(all_well) => ExitCode::from(u8::from(!all_well)),
        Err(_) => ExitCode::FAILURE,
    }
}

/// Prints an error of the command line itself.
pub(super) fn complain(message: &str, code: u8) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "dspex-tui: {message}");
    ExitCode::from(code)
}

/// Prints an operation's error for a person: sentence, near matches, remedy.
pub(super) fn complain_about(error: &OperationError, code: u8) -> ExitCode {
    let mut text = error.message.clone();
    if !error.recovery.near.is_empty() {
        text.push_str("\n  did you mean: ");
        text.push_str(&error.recovery.near.join(", "));
    }
    if !error.recovery.hint.is_empty() {
        text.push_str("\n  hint: ");
        text.push_str(&error.recovery.hint);
    }
    complain(&text, code)
}

/// Prints one line of data; false when nobody reads any more (`| head -1`).
pub(super) fn print_line(line: &str) -> bool {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).is_ok()
}

/// Seconds of `$DSPEX_REQUEST_DEADLINE`, where it says any.
fn request_deadline() -> Option<Duration> {
    let text = std::env::var("DSPEX_REQUEST_DEADLINE").ok()?;
    let seconds = text.trim().parse().ok().filter(|seconds| *seconds > 0.0)?;
    Duration::try_from_secs_f64(seconds).ok()
}
