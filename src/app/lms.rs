//! What the core decides of operations on LM profiles and servers. Sends nothing: that
//! is the gateway's.

use serde_json::{Map, Value, json};

use super::effect::Effect;
use super::resolve;
use super::state::State;
use super::update::{append, text};
use crate::protocol::error::OperationError;
use crate::session::event::{EventBody, LmProfile};

/// Ports beside the usual ones that are asked for an LM server.
const MOST_PORTS: usize = 32;

/// Makes or changes a profile.
pub(super) fn configure(
    state: &State,
    arguments: &Map<String, Value>,
) -> Result<(Vec<Effect>, Value), OperationError> {
    let mut arguments = arguments.clone();
    let select = arguments
        .remove("select")
        .and_then(|s| s.as_bool())
        .unwrap_or(true);
    let profile = state.build_profile(&arguments)?;
    let provider = profile.model.split('/').next().unwrap_or_default();
    let result = json!({
        "status": "configured",
        "name": profile.name,
        "provider": provider,
        "model": profile.model,
    });
    let mut effects = vec![append(EventBody::LmConfigured {
        profile: profile.clone(),
    })];
    if select || state.session.lm.is_none() {
        effects.push(append(EventBody::LmSelected { name: profile.name }));
    }
    effects.push(Effect::SyncProfiles);
    Ok((effects, result))
}

/// The profile whose server is asked for its models: one of the session, or one made of
/// the arguments for the purpose.
pub(super) fn asked(
    state: &State,
    arguments: &Map<String, Value>,
) -> Result<LmProfile, OperationError> {
    let session = &state.session;
    let named = text(arguments, "profile");
    let made = arguments
        .iter()
        .any(|(name, value)| name != "profile" && !value.is_null());
    if named.is_some() && made {
        let message = "give a profile, or provider and address, not both";
        return Err(OperationError::invalid("invalid_argument", message));
    }
    let build = |arguments: &Map<String, Value>| state.build_profile(arguments);
    if made {
        let mut arguments = arguments.clone();
        arguments.remove("profile");
        if !arguments.contains_key("provider") {
            arguments.insert("provider".to_owned(), "local".into());
        }
        // Any name will do: no model is called.
        arguments.insert("model".to_owned(), "any".into());
        return build(&arguments);
    }
    let name = named.or_else(|| session.lm.clone()).ok_or_else(|| {
        let message = "no LM profile is selected: say whose models to list";
        OperationError::invalid("missing_argument", message)
            .hint("give profile, or provider (`:lm models openai`)")
    })?;
    resolve::profile(session, &name, &build)
}

/// Further ports to look for servers on.
pub(super) fn ports(arguments: &Map<String, Value>) -> Result<Vec<u16>, OperationError> {
    let ports = arguments.get("ports").and_then(Value::as_array);
    let ports: Option<Vec<u16>> = ports
        .into_iter()
        .flatten()
        .map(|port| u16::try_from(port.as_u64()?).ok().filter(|it| *it > 0))
        .collect();
    ports.filter(|it| it.len() <= MOST_PORTS).ok_or_else(|| {
        let message = format!("ports are up to {MOST_PORTS} numbers of 1 to 65535");
        OperationError::invalid("invalid_arguments", message)
    })
}
