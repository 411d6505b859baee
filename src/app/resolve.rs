//! Turns the names in an operation's arguments into what they name.
//!
//! A worker knows nothing of the session: a program, dataset, signature or LM
//! profile is handed over whole. A name the session does not know may still be
//! one of the kernel's own (made in a cell), so it is passed on when the kernel
//! has it.

use serde_json::{Map, Value};

use crate::operation::{Field, Kind};
use crate::protocol::error::{OperationError, near_matches};
use crate::session::event::LmProfile;
use crate::session::state::SessionState;

/// Makes an LM profile of `configure_lm` arguments.
pub(super) type Build<'a> = &'a dyn Fn(&Map<String, Value>) -> Result<LmProfile, OperationError>;

/// The profile that always exists.
pub(super) const DEMO: &str = "demo";

/// Replaces names by definitions, in place, and takes the LM out: the one asked
/// for, else the program's own, else the selected one, else none.
///
/// # Errors
/// `unknown_program`, `unknown_dataset`, `unknown_lm`, with near matches.
pub(super) fn names(
    session: &SessionState,
    fields: &[Field],
    arguments: &mut Map<String, Value>,
    build: Build<'_>,
) -> Result<Option<LmProfile>, OperationError> {
    let mut lm = None;
    for field in fields {
        let Some(Value::String(name)) = arguments.get(field.name) else {
            continue;
        };
        let name = name.clone();
        let definition = match field.kind {
            Kind::Program => program(session, &name)?,
            Kind::Dataset => Some(dataset(session, &name)?),
            Kind::Signature => session.signatures.get(&name).map(to_value),
            Kind::Lm => {
                arguments.remove(field.name);
                lm = Some(profile(session, &name, build)?);
                continue;
            }
            _ => None,
        };
        if let Some(definition) = definition {
            arguments.insert(field.name.to_owned(), definition);
        }
    }
    // A program that is written out may name a signature of the session.
    if let Some(written) = arguments
        .get_mut("program")
        .and_then(|it| it.get_mut("signature"))
        && let Some(known) = written
            .as_str()
            .and_then(|name| session.signatures.get(name))
    {
        *written = to_value(known);
    }
    let own = arguments
        .get("program")
        .and_then(|program| program.get("lm"))
        .and_then(Value::as_str);
    if lm.is_none()
        && let Some(name) = own
    {
        return profile(session, name, build).map(Some);
    }
    let selected = || {
        session
            .lm
            .as_ref()
            .and_then(|name| session.lms.get(name))
            .cloned()
    };
    Ok(lm.or_else(selected))
}

/// The profile with this name, or one made of a model string.
///
/// # Errors
/// `unknown_lm`.
pub(super) fn profile(
    session: &SessionState,
    name: &str,
    build: Build<'_>,
) -> Result<LmProfile, OperationError> {
    if let Some(profile) = session.lms.get(name) {
        return Ok(profile.clone());
    }
    if name == DEMO {
        return build(&Map::from_iter([(
            "provider".to_owned(),
            Value::from(DEMO),
        )]));
    }
    if name.contains('/') {
        return build(&Map::from_iter([("model".to_owned(), Value::from(name))]));
    }
    let known = session.lms.keys().map(String::as_str).chain([DEMO]);
    Err(
        OperationError::invalid("unknown_lm", format!("there is no LM profile `{name}`"))
            .near(near_matches(name, known))
            .hint("`list_lms` names them; `configure_lm` makes one; `provider/model` works too"),
    )
}

/// Replaces names inside the options of a module, or of a program's modules, by
/// what they name: datasets, and LM profiles as `lm_spec` knows them. A name that
/// the session does not have may be one of the notebook's and is left as it is.
pub(super) fn options(
    session: &SessionState,
    arguments: &mut Map<String, Value>,
    lm_spec: &dyn Fn(&str) -> Option<Value>,
) {
    for holder in ["options", "program"] {
        if let Some(Value::Object(found)) = arguments.get_mut(holder) {
            inside(session, found, lm_spec);
        }
    }
}

fn inside(
    session: &SessionState,
    object: &mut Map<String, Value>,
    lm_spec: &dyn Fn(&str) -> Option<Value>,
) {
    for (key, value) in object {
        match (key.as_str(), &mut *value) {
            ("dataset" | "corpus", Value::String(name)) => {
                if let Some(dataset) = session.datasets.get(name.as_str()) {
                    *value = to_value(&**dataset);
                }
            }
            ("sub_lm", Value::String(name)) => {
                if let Some(spec) = lm_spec(name) {
                    *value = spec;
                }
            }
            // What a signature or a state says is nobody's option.
            ("signature" | "state", _) => {}
            (_, Value::Object(deeper)) => inside(session, deeper, lm_spec),
            _ => {}
        }
    }
}

fn program(session: &SessionState, name: &str) -> Result<Option<Value>, OperationError> {
    if let Some(program) = session.programs.get(name) {
        // A program whose class is in a cell exists in the kernel only; what an
        // optimizer made of it is its state.
        let has_data = program.unportable.is_none() || !program.state.is_null();
        return Ok(has_data.then(|| to_value(program)));
    }
    let of_kernel = |kind: &str| kind == "program";
    if session
        .names
        .iter()
        .any(|known| known.name == name && of_kernel(&known.kind))
    {
        return Ok(None);
    }
    let known = session.programs.keys().map(String::as_str).chain(
        session
            .names
            .iter()
            .filter(|n| of_kernel(&n.kind))
            .map(|n| n.name.as_str()),
    );
    Err(
        OperationError::invalid("unknown_program", format!("there is no program `{name}`"))
            .near(near_matches(name, known))
            .hint("`create_program` makes one; programs made in cells count too"),
    )
}

fn dataset(session: &SessionState, name: &str) -> Result<Value, OperationError> {
    session.datasets.get(name).map(to_value).ok_or_else(|| {
        let known = session.datasets.keys().map(String::as_str);
        OperationError::invalid("unknown_dataset", format!("there is no dataset `{name}`"))
            .near(near_matches(name, known))
            .hint("`load_dataset {\"path\": …}` or `{\"shipped\": \"tickets\"}` loads one")
    })
}

fn to_value<T: serde::Serialize>(definition: &T) -> Value {
    serde_json::to_value(definition).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::gateway::profiles;
    use crate::operation::find;
    use crate::session::event::ProgramDef;

    fn build(arguments: &Map<String, Value>) -> Result<LmProfile, OperationError> {
        profiles::build(arguments, |_| false, |_| None)
    }

    /// R60: a program of another session is unknown here, and said so with what is near.
    #[test]
    fn an_unknown_program_names_its_neighbours() {
        let mut session = SessionState::default();
        session
            .programs
            .insert("triage".into(), ProgramDef::default());
        let fields = find("execute_program").unwrap().arguments;
        let mut arguments = Map::from_iter([("program".to_owned(), json!("triagee"))]);
        let error = names(&session, fields, &mut arguments, &build).unwrap_err();
        assert_eq!(
            (error.kind.as_str(), error.recovery.near.as_slice()),
            ("unknown_program", ["triage".to_owned()].as_slice())
        );
    }

    /// A dataset named in options is handed over whole, at any depth.
    #[test]
    fn options_name_datasets_and_profiles() {
        let mut session = SessionState::default();
        let dataset = crate::session::event::DatasetDef {
            name: "sums".to_owned(),
            ..Default::default()
        };
        session.datasets.insert("sums".into(), dataset.into());
        let mut arguments = Map::from_iter([(
            "program".to_owned(),
            json!({"options": {"KNN": {"dataset": "sums"}, "RLM": {"sub_lm": "small"}}}),
        )]);
        options(&session, &mut arguments, &|name| {
            Some(json!({"model": name}))
        });
        let found = &arguments["program"]["options"];
        assert_eq!(found["KNN"]["dataset"]["name"], "sums");
        assert_eq!(found["RLM"]["sub_lm"]["model"], "small");
    }

    /// R21: a program that was trained is asked with its own LM, unless told otherwise.
    #[test]
    fn a_trained_program_has_an_lm_of_its_own() {
        let mut session = SessionState::default();
        for name in ["demo", "trained"] {
            let profile = LmProfile {
                name: name.to_owned(),
                model: format!("demo/{name}"),
                ..Default::default()
            };
            session.lms.insert(name.to_owned(), profile);
        }
        session.lm = Some("demo".to_owned());
        let program = ProgramDef {
            lm: Some("trained".to_owned()),
            ..ProgramDef::default()
        };
        session.programs.insert("qa".into(), program);
        let fields = find("execute_program").unwrap().arguments;
        let asked = |more: Value| {
            let mut arguments = Map::from_iter([("program".to_owned(), json!("qa"))]);
            arguments.extend(more.as_object().cloned().unwrap());
            names(&session, fields, &mut arguments, &build).map(|lm| lm.unwrap().model)
        };
        assert_eq!(asked(json!({})).unwrap(), "demo/trained");
        assert_eq!(asked(json!({"lm": "demo"})).unwrap(), "demo/demo");
        session.lms.remove("trained");
        let asked = {
            let mut arguments = Map::from_iter([("program".to_owned(), json!("qa"))]);
            names(&session, fields, &mut arguments, &build)
        };
        assert_eq!(asked.unwrap_err().kind, "unknown_lm");
    }

    #[test]
    fn a_model_string_is_a_profile_of_its_own() {
        let fields = find("execute_module").unwrap().arguments;
        let mut arguments = Map::from_iter([("lm".to_owned(), json!("openai/gpt-4o-mini"))]);
        let lm = names(&SessionState::default(), fields, &mut arguments, &build)
            .unwrap()
            .unwrap();
        assert_eq!(lm.model, "openai/gpt-4o-mini");
        assert!(!arguments.contains_key("lm"));
    }
}
