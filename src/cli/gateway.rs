//! `gateway`: serves the LM gateway on loopback for other programs.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::open::{self, complain_about, print_line};
use super::{Common, GatewayArgs};
use crate::gateway::{self, DoorOptions, profiles};
use crate::protocol::error::OperationError;
use crate::session::Journal;
use crate::signals::Signals;

/// Serves until interrupted. Prints one line of JSON, `{"url", "token"}`, when ready.
pub(super) async fn run(args: GatewayArgs, common: &Common) -> ExitCode {
    match serve(args, common).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain_about(&error, 1),
    }
}

async fn serve(args: GatewayArgs, common: &Common) -> Result<(), OperationError> {
    let core = open::core_options(common)?;
    let mut profiles = Vec::new();
    for model in args
        .lm
        .iter()
        .map(String::as_str)
        .chain(args.lm.is_empty().then_some("demo"))
    {
        let arguments = arguments(model)?;
        profiles.push(profiles::build(
            &arguments,
            |name| std::env::var_os(name).is_some(),
            |_| None,
        )?);
    }
    let options = DoorOptions {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)),
        gateway: core.gateway,
        profiles,
    };
    let ready = |door: &gateway::Door| {
        print_line(&json!({"url": door.url, "token": door.token}).to_string());
    };
    let mut signals = Signals::catch()
        .map_err(|error| OperationError::internal(format!("no signals: {error}")))?;
    let stop = async move {
        signals.next().await;
    };
    gateway::run_gateway(options, Journal::ephemeral(), ready, stop).await
}

/// What `--lm` names, as arguments of `configure_lm`.
fn arguments(model: &str) -> Result<Map<String, Value>, OperationError> {
    if model.trim_start().starts_with('{') {
        return serde_json::from_str(model).map_err(|error| {
            OperationError::invalid("invalid_arguments", format!("--lm is not JSON: {error}"))
                .hint(r#"for example --lm '{"provider": "local", "model": "m", "port": 8000}'"#)
        });
    }
    let key = if model.contains('/') {
        "model"
    } else {
        "provider"
    };
    Ok(Map::from_iter([(key.to_owned(), json!(model))]))
}
