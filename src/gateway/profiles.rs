//! LM profiles: from `configure_lm` arguments to a checked [`LmProfile`].
//!
//! Owns the checks and their sentences. Does not own keys ([`super::keys`]) nor
//! which profile is selected (the session).

use reqwest::Url;
use serde_json::{Map, Value};

use super::provider::{self, Provider};
use crate::protocol::error::{ErrorClass, OperationError, near_matches};
use crate::session::event::{KeySource, LmProfile};

/// Options of `dspy.LM` that people use; others pass through unless they look
/// like one of these misspelt.
const OPTIONS: [&str; 26] = [
    "temperature",
    "max_tokens",
    "num_retries",
    "cache",
    "model_type",
    "top_p",
    "top_k",
    "stop",
    "n",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "use_developer_role",
    "engine",
    "prompt_cache",
    "reasoning_effort",
    "logprobs",
    "response_format",
    "timeout",
    "max_concurrency",
    "requests_per_minute",
    "headers",
    "extra_headers",
    "api_version",
    "organization",
    "max_completion_tokens",
];

/// Arguments that would be secrets.
const SECRETS: [&str; 6] = [
    "api_key",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_bearer_token_bedrock",
    "vertex_credentials",
    "azure_ad_token",
];

/// Arguments that describe the profile itself and are not handed to `dspy.LM`.
const OWN: [&str; 10] = [
    "name",
    "provider",
    "model",
    "api_base",
    "port",
    "api_key_env",
    "api_key_command",
    "api_key_file",
    "select",
    "profile",
];

/// Makes a profile of `configure_lm` arguments. `is_set` says whether an
/// environment variable of the workbench is set; `base_of` gives the base URL that
/// the environment names for a provider.
///
/// # Errors
/// `unknown_provider`, `invalid_argument`, `missing_argument` or `inline_api_key`,
/// each with a sentence that names the argument.
pub fn build(
    arguments: &Map<String, Value>,
    is_set: impl Fn(&str) -> bool,
    base_of: impl Fn(&Provider) -> Option<String>,
) -> Result<LmProfile, OperationError> {
    if let Some(name) = SECRETS.iter().find(|name| arguments.contains_key(**name)) {
        let hint = if *name == "api_key" {
            "set an environment variable and give its name as api_key_env, or use api_key_command or api_key_file"
        } else {
            "set the environment variable of the same name in capitals before the workbench starts"
        };
        return Err(OperationError::invalid(
            "inline_api_key",
            format!("{name} is not taken as an argument, because arguments are recorded"),
        )
        .hint(hint));
    }
    let given_model = text(arguments, "model")?;
    let provider = choose(text(arguments, "provider")?, given_model)?;
    let model = full_model(provider, given_model)?;
    let api_base = match base(arguments, provider)? {
        None if !provider.local => base_of(provider),
        other => other,
    };
    if provider.direct {
        check_direct(arguments, provider)?;
    } else if api_base.is_none() && provider.base.is_empty() {
        return Err(OperationError::invalid(
            "missing_argument",
            format!("provider {} needs api_base or port", provider.name),
        )
        .hint("give api_base (for example http://localhost:8000/v1) or port"));
    }
    let name = match text(arguments, "name")? {
        Some(name) => checked_name(name)?,
        None => default_name(provider, given_model),
    };
    let mut profile = LmProfile {
        name,
        model,
        key: key_source(arguments, provider, api_base.is_some(), is_set)?,
        api_base,
        ..LmProfile::default()
    };
    for (option, value) in arguments {
        if !OWN.contains(&option.as_str()) && !value.is_null() {
            put_option(&mut profile, option, value)?;
        }
    }
    Ok(profile)
}

/// What a direct provider cannot be given: its own tools choose address and credentials.
fn check_direct(arguments: &Map<String, Value>, provider: &Provider) -> Result<(), OperationError> {
    const OURS: [&str; 5] = [
        "api_base",
        "port",
        "api_key_env",
        "api_key_command",
        "api_key_file",
    ];
    for name in OURS {
        if text(arguments, name).map_or(true, |given| given.is_some()) {
            return Err(OperationError::invalid(
                "invalid_argument",
                format!(
                    "{} is called by its own tools: {name} has no place there",
                    provider.name
                ),
            )
            .hint("its credentials are those of the environment the workbench was started in"));
        }
    }
    Ok(())
}

/// The provider a profile belongs to; a foreign base under `openai/` is `local`.
pub fn provider_of(profile: &LmProfile) -> &'static Provider {
    let found = provider::by_model(&profile.model);
    let own_host = profile.api_base.as_deref().is_none_or(|base| {
        host_of(base).is_some_and(|host| found.is_some_and(|p| p.hosts.contains(&host.as_str())))
    });
    match found {
        Some(provider)
            if provider.name != "openai" || own_host || profile.key != KeySource::None =>
        {
            provider
        }
        // `local` is in the table: the fallback is never taken.
        _ => provider::by_name("local").unwrap_or(&provider::PROVIDERS[0]),
    }
}

/// The base URL a profile's calls go to.
pub fn base_of(profile: &LmProfile) -> String {
    profile
        .api_base
        .clone()
        .unwrap_or_else(|| provider_of(profile).base.to_owned())
}

/// The model as its server knows it, without DSPy's provider prefix.
pub fn bare_model(profile: &LmProfile) -> &str {
    profile
        .model
        .split_once('/')
        .map_or(profile.model.as_str(), |(_, model)| model)
}

/// The lower-case host of a URL, without brackets or port.
pub fn host_of(url: &str) -> Option<String> {
    Url::parse(url)
        .ok()?
        .host_str()
        .map(|host| host.trim_matches(['[', ']']).to_lowercase())
}

/// The provider by argument, by the model's prefix, or by a well-known model name.
fn choose(named: Option<&str>, model: Option<&str>) -> Result<&'static Provider, OperationError> {
    if let Some(name) = named {
        return provider::by_name(name).ok_or_else(|| unknown_provider(name));
    }
    let Some(model) = model else {
        return Err(OperationError::invalid(
            "missing_argument",
            "configure_lm needs a provider or a model",
        )
        .hint("for example {\"provider\": \"demo\"} or {\"model\": \"openai/gpt-4o-mini\"}"));
    };
    if let Some((prefix, _)) = model.split_once('/') {
        return provider::by_model(model).ok_or_else(|| unknown_provider(prefix));
    }
    let guess = match model {
        "demo" => "demo",
        _ if model.starts_with("gpt-") || model.starts_with("o1") || model.starts_with("o3") => {
            "openai"
        }
        _ if model.starts_with("claude") => "anthropic",
        _ if model.starts_with("gemini") => "gemini",
        _ => {
            return Err(OperationError::invalid(
                "missing_argument",
                format!("no provider is known for model {model}"),
            )
            .hint("give provider, or write the model as provider/model"));
        }
    };
    provider::by_name(guess).ok_or_else(|| unknown_provider(guess))
}

fn unknown_provider(name: &str) -> OperationError {
    let near = near_matches(name, provider::names());
    let hint = match near.first() {
        Some(best) => format!("did you mean {best}?"),
        None => {
            "for an OpenAI-compatible server use provider local with api_base or port".to_owned()
        }
    };
    OperationError::invalid("unknown_provider", format!("Unknown provider: {name}"))
        .hint(hint)
        .near(near)
        .with("provider", name)
}

/// `prefix/model` as DSPy wants it.
fn full_model(provider: &Provider, given: Option<&str>) -> Result<String, OperationError> {
    let Some(given) = given else {
        return if provider.name == "demo" {
            Ok("demo/demo".to_owned())
        } else {
            Err(OperationError::invalid(
                "missing_argument",
                format!("provider {} needs a model", provider.name),
            )
            .hint("give model, for example the name the server lists"))
        };
    };
    let bare = match given.split_once('/') {
        Some((prefix, rest))
            if prefix == provider.prefix
                || provider::by_name(prefix).is_some_and(|p| p.name == provider.name) =>
        {
            rest
        }
        _ => given,
    };
    if bare.trim().is_empty() || bare.chars().any(char::is_control) {
        return Err(OperationError::invalid(
            "invalid_argument",
            format!("model {given:?} names no model"),
        ));
    }
    Ok(format!("{}/{bare}", provider.prefix))
}

/// The base URL by `api_base` or `port`, checked.
fn base(
    arguments: &Map<String, Value>,
    provider: &Provider,
) -> Result<Option<String>, OperationError> {
    let given = text(arguments, "api_base")?;
    let Some(port) = arguments.get("port").filter(|port| !port.is_null()) else {
        return given.map(|base| checked_base(base, provider)).transpose();
    };
    if given.is_some() {
        return Err(OperationError::invalid(
            "invalid_argument",
            "give api_base or port, not both",
        ));
    }
    let number = port
        .as_u64()
        .or_else(|| port.as_str().and_then(|text| text.parse().ok()))
        .filter(|port| (1..=65_535).contains(port))
        .ok_or_else(|| {
            OperationError::invalid(
                "invalid_argument",
                format!("port must be a number from 1 to 65535, not {port}"),
            )
        })?;
    Ok(Some(format!("http://localhost:{number}/v1")))
}

fn checked_base(base: &str, provider: &Provider) -> Result<String, OperationError> {
    let bad = |why: &str| {
        OperationError::invalid("invalid_argument", format!("api_base {why}"))
            .hint("for example http://localhost:8000/v1")
    };
    let url = Url::parse(base).map_err(|error| bad(&format!("{base:?} is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("must begin with http:// or https:// and name a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("must not hold a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("must not have a query"));
    }
    let trimmed = base.trim_end_matches('/');
    if provider.name == "ollama" && !trimmed.ends_with("/v1") {
        return Err(bad("of Ollama must end in /v1").hint(format!("use {trimmed}/v1")));
    }
    Ok(trimmed.to_owned())
}

fn key_source(
    arguments: &Map<String, Value>,
    provider: &Provider,
    own_base: bool,
    is_set: impl Fn(&str) -> bool,
) -> Result<KeySource, OperationError> {
    let mut sources = [
        text(arguments, "api_key_env")?.map(|name| KeySource::Env(name.to_owned())),
        text(arguments, "api_key_command")?.map(|line| KeySource::Command(line.to_owned())),
        text(arguments, "api_key_file")?.map(|path| KeySource::File(path.to_owned())),
    ]
    .into_iter()
    .flatten();
    let chosen = sources.next();
    if sources.next().is_some() {
        return Err(OperationError::invalid(
            "invalid_argument",
            "give one of api_key_env, api_key_command and api_key_file",
        ));
    }
    if let Some(chosen) = chosen {
        return Ok(chosen);
    }
    if provider.direct {
        return Ok(KeySource::None);
    }
    let set = provider.variables.iter().find(|name| is_set(name));
    Ok(match (set, provider.variables.first()) {
        (Some(name), _) => KeySource::Env((*name).to_owned()),
        (None, Some(usual)) if !own_base => KeySource::Env((*usual).to_owned()),
        _ => KeySource::None,
    })
}

/// Puts one further option where it belongs.
fn put_option(profile: &mut LmProfile, option: &str, value: &Value) -> Result<(), OperationError> {
    let wrong = |what: &str| {
        OperationError::invalid(
            "invalid_argument",
            format!("{option} must be {what}, not {value}"),
        )
        .with("argument", option)
    };
    match option {
        "timeout" => {
            let seconds = value
                .as_f64()
                .filter(|seconds| *seconds > 0.0 && *seconds <= 86_400.0)
                .ok_or_else(|| wrong("a number of seconds above 0"))?;
            profile.timeout = Some(seconds);
        }
        "max_concurrency" | "requests_per_minute" => {
            let number = value
                .as_u64()
                .and_then(|number| u32::try_from(number).ok())
                .ok_or_else(|| wrong("a whole number (0 is no limit)"))?;
            if option == "max_concurrency" {
                profile.max_concurrency = number;
            } else {
                profile.requests_per_minute = number;
            }
        }
        _ => {
            match option {
                "temperature" | "top_p" | "presence_penalty" | "frequency_penalty"
                    if !value.is_number() =>
                {
                    return Err(wrong("a number"));
                }
                "max_tokens" | "max_completion_tokens" | "n" | "top_k"
                    if value.as_u64().is_none_or(|number| number == 0) =>
                {
                    return Err(wrong("a whole number above 0"));
                }
                "num_retries" if value.as_u64().is_none() => {
                    return Err(wrong("a whole number from 0"));
                }
                "cache" if !value.is_boolean() => return Err(wrong("true or false")),
                _ => {}
            }
            check_spelling(option)?;
            profile.params.insert(option.to_owned(), value.clone());
        }
    }
    Ok(())
}

/// Refuses an option that is nearly, but not quite, a known one.
fn check_spelling(option: &str) -> Result<(), OperationError> {
    if OPTIONS.contains(&option) {
        return Ok(());
    }
    let known = OPTIONS.iter().chain(OWN.iter()).copied();
    let near = near_matches(option, known);
    match near.first() {
        Some(best) if strsim::jaro_winkler(option, best) >= 0.9 => Err(OperationError::invalid(
            "unknown_option",
            format!("unknown option {option}"),
        )
        .hint(format!("did you mean {best}?"))
        .near(near)),
        _ => Ok(()),
    }
}

fn default_name(provider: &Provider, model: Option<&str>) -> String {
    let raw = model
        .filter(|_| provider.name != "demo")
        .and_then(|model| model.rsplit('/').next())
        .unwrap_or(provider.name);
    raw.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .take(64)
        .collect()
}

fn checked_name(name: &str) -> Result<String, OperationError> {
    let fine = (1..=64).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if fine {
        Ok(name.to_owned())
    } else {
        Err(OperationError::invalid(
            "invalid_argument",
            format!(
                "profile name {name:?} must be 1 to 64 letters, digits, dots, dashes or underscores"
            ),
        ))
    }
}

/// A text argument; absent and null are the same, an empty one as well.
fn text<'a>(
    arguments: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, OperationError> {
    match arguments.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(value)) => Ok(Some(value.trim()).filter(|value| !value.is_empty())),
        Some(other) => Err(OperationError::new(
            "invalid_argument",
            ErrorClass::InvalidInput,
            format!("{name} must be text, not {other}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn configured(arguments: Value) -> Result<LmProfile, OperationError> {
        let Value::Object(arguments) = arguments else {
            unreachable!("tests pass objects")
        };
        build(&arguments, |name| name == "OPENAI_API_KEY", |_| None)
    }

    /// R1, R2, R6: providers, model strings and passed options.
    #[test]
    fn hosted_providers_take_their_key_from_their_variable() {
        let profile = configured(json!({
            "provider": "openai", "model": "gpt-4o-mini", "temperature": 0.2, "num_retries": 1
        }))
        .unwrap();
        assert_eq!(profile.model, "openai/gpt-4o-mini");
        assert_eq!(profile.name, "gpt-4o-mini");
        assert_eq!(profile.key, KeySource::Env("OPENAI_API_KEY".into()));
        assert_eq!(profile.params["temperature"], 0.2);
        assert_eq!(provider_of(&profile).name, "openai");
        let claude = configured(json!({"model": "anthropic/claude-sonnet-4"})).unwrap();
        assert_eq!(claude.key, KeySource::Env("ANTHROPIC_API_KEY".into()));
    }

    /// R3, R4: servers of one's own.
    #[test]
    fn local_servers_need_only_a_port() {
        let local = configured(json!({"provider": "local", "model": "m", "port": 8080})).unwrap();
        assert_eq!(local.model, "openai/m");
        assert_eq!(local.api_base.as_deref(), Some("http://localhost:8080/v1"));
        assert_eq!(provider_of(&local).name, "local");
        let ollama = configured(json!({
            "model": "ollama_chat/llama3", "temperature": 0.7, "max_tokens": 2048
        }))
        .unwrap();
        assert_eq!(base_of(&ollama), "http://localhost:11434/v1");
        assert_eq!(ollama.key, KeySource::None);
        let bad =
            configured(json!({"provider": "ollama", "model": "m", "api_base": "http://h:11434"}));
        assert_eq!(bad.unwrap_err().recovery.hint, "use http://h:11434/v1");
    }

    /// R7: an unknown provider is named, with near matches.
    #[test]
    fn an_unknown_provider_is_refused_with_near_matches() {
        let error = configured(json!({"provider": "foo", "model": "x"})).unwrap_err();
        assert_eq!(error.message, "Unknown provider: foo");
        assert_eq!(error.kind, "unknown_provider");
        let error = configured(json!({"provider": "antropic", "model": "x"})).unwrap_err();
        assert_eq!(error.recovery.near[0], "anthropic");
    }

    #[test]
    fn bad_arguments_are_named() {
        for (arguments, part) in [
            (
                json!({"provider": "openai", "model": "m", "api_key": "sk-1"}),
                "key",
            ),
            (json!({"provider": "openai"}), "needs a model"),
            (
                json!({"provider": "local", "model": "m"}),
                "api_base or port",
            ),
            (
                json!({"provider": "local", "model": "m", "port": 70000}),
                "port",
            ),
            (
                json!({"provider": "local", "model": "m", "api_base": "ftp://x"}),
                "api_base",
            ),
            (
                json!({"provider": "demo", "temperature": "hot"}),
                "temperature",
            ),
            (json!({"provider": "demo", "temprature": 1}), "temprature"),
            (json!({"provider": "demo", "name": "a b"}), "name"),
            (json!({"provider": "demo", "timeout": -1}), "timeout"),
            (json!({}), "provider or a model"),
        ] {
            let error = configured(arguments).unwrap_err();
            assert!(error.message.contains(part), "{error:?}");
        }
    }

    #[test]
    fn the_demo_needs_nothing() {
        let profile = configured(json!({"provider": "demo"})).unwrap();
        assert_eq!(
            (profile.name.as_str(), profile.model.as_str()),
            ("demo", "demo/demo")
        );
    }
}
