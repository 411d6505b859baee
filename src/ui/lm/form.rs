//! The form of an LM profile: its fields, what can stand in them, what is wrong.

use serde_json::{Map, Value};

use super::Found;
use crate::command::PROVIDERS;
use crate::session::event::{KeySource, LmProfile};
use crate::ui::context::Context;
use crate::ui::form::Form;

/// Fields that say where a server is and how it is asked.
const PLACE: [&str; 5] = [
    "provider",
    "api_base",
    "api_key_env",
    "api_key_file",
    "api_key_command",
];

/// Offers what can stand in the field that is written; false where nothing is known of
/// it. Models are asked of the server, and offered when they come.
pub(super) fn complete(form: &mut Form, cx: &mut Context<'_>) -> bool {
    let here = form.here().to_owned();
    match here.as_str() {
        "provider" => form.offer(PROVIDERS.iter().copied()),
        "model" if !form.text("provider").is_empty() => {
            let given = PLACE.iter().map(|name| (*name, form.text(name)));
            let given = given.filter(|(_, text)| !text.is_empty());
            let wanted: Map<String, Value> = given
                .map(|(name, text)| (name.to_owned(), Value::String(text)))
                .collect();
            match cx.models(wanted) {
                Some(models) => form.offer(models.iter().map(String::as_str)),
                None => true,
            }
        }
        _ => false,
    }
}

/// The form of a profile.
pub(super) fn of(profile: &LmProfile) -> Form {
    let (provider, model) = profile
        .model
        .split_once('/')
        .unwrap_or(("", &profile.model));
    let (mut env, mut file, mut command) = ("", "", "");
    match &profile.key {
        KeySource::None => {}
        KeySource::Env(name) => env = name,
        KeySource::File(path) => file = path,
        KeySource::Command(line) => command = line,
    }
    let params = if profile.params.is_empty() {
        String::new()
    } else {
        Value::Object(profile.params.clone()).to_string()
    };
    let title = if profile.name.is_empty() {
        "New LM profile".to_owned()
    } else {
        format!("LM profile {}", profile.name)
    };
    Form::new(
        title,
        &[
            ("name", "letters, digits, . _ -", &profile.name),
            (
                "provider",
                "demo, openai, anthropic, gemini, ollama, local, …",
                provider,
            ),
            (
                "model",
                "for example gpt-4o-mini; Tab asks the server",
                model,
            ),
            (
                "api_base",
                "only for a server of your own: http://127.0.0.1:8000/v1",
                profile.api_base.as_deref().unwrap_or_default(),
            ),
            (
                "api_key_env",
                "environment variable that holds the key; empty: the provider's own",
                env,
            ),
            ("api_key_file", "or a file that holds it", file),
            ("api_key_command", "or a command that prints it", command),
            (
                "params",
                r#"JSON: {"temperature": 0.2, "max_tokens": 500}"#,
                &params,
            ),
        ],
    )
}

/// The form for a model found on this machine, under a name made of its own.
pub(super) fn of_found(found: &Found) -> Form {
    let name: String = found
        .model
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .chars()
        .map(|ch| match ch {
            ch if ch.is_ascii_alphanumeric() || "._-".contains(ch) => ch,
            _ => '-',
        })
        .take(64)
        .collect();
    let mut form = of(&LmProfile::default());
    for (field, text) in [
        ("name", name.as_str()),
        ("provider", &found.provider),
        ("model", &found.model),
        ("api_base", &found.api_base),
    ] {
        form.put(field, text);
    }
    form
}

/// The arguments of `configure_lm`, or which field is wrong and why.
pub(super) fn arguments(form: &Form) -> Result<Map<String, Value>, (&'static str, String)> {
    let mut out = Map::new();
    let name = form.text("name");
    let fits = !name.is_empty()
        && name.len() <= 64
        && name
            .chars()
            .all(|ch| ch.is_ascii_alphanumeric() || "._-".contains(ch));
    if !fits {
        return Err((
            "name",
            "a name of 1 to 64 letters, digits, `.`, `_` or `-`".to_owned(),
        ));
    }
    if form.text("provider").is_empty() {
        return Err((
            "provider",
            "which provider? `demo` needs no key and no network".to_owned(),
        ));
    }
    if form.text("model").is_empty() && form.text("provider") != "demo" {
        return Err(("model", "which model of it?".to_owned()));
    }
    let base = form.text("api_base");
    if !base.is_empty() && !base.starts_with("http://") && !base.starts_with("https://") {
        return Err(("api_base", "begin with http:// or https://".to_owned()));
    }
    let params = form.text("params");
    if !params.is_empty() {
        match serde_json::from_str(&params) {
            Ok(Value::Object(params)) => out.extend(params),
            _ => {
                return Err((
                    "params",
                    r#"write a JSON object: {"temperature": 0.2}"#.to_owned(),
                ));
            }
        }
    }
    for key in [
        "name",
        "provider",
        "model",
        "api_base",
        "api_key_env",
        "api_key_file",
        "api_key_command",
    ] {
        let text = form.text(key);
        if !text.is_empty() {
            out.insert(key.to_owned(), Value::String(text));
        }
    }
    Ok(out)
}
