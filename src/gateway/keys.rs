//! Keys: where they come from, what workers get instead, and where they may go.
//!
//! A worker never sees a key: each managed variable and each profile has a random
//! token in its place. The gateway puts the key in only on requests to that
//! provider's own hosts, or to the base URL of the profile that names the key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::profiles::host_of;
use super::provider::{PROVIDERS, Provider};
use super::secret::{Secret, Vault};
use crate::session::event::KeySource;

/// How long a key command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(15);

/// Forbids other processes of the same user to read this one's environment and
/// memory (`PR_SET_DUMPABLE=0`). Called first thing in `main`, before any child
/// exists. Where the system refuses, keys are merely less well kept.
pub fn harden() {
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
}

/// One provider's place in the environment.
#[derive(Debug)]
struct Managed {
    provider: &'static Provider,
    token: String,
    /// The first of its variables that is set, and its value.
    key: Option<(String, Secret)>,
    /// The base URL its variables name.
    base: Option<String>,
}

/// Every key of the workbench's environment, and the tokens that stand for them.
#[derive(Debug)]
pub struct Keys {
    managed: Vec<Managed>,
    environment: HashMap<String, Secret>,
    commands: Mutex<HashMap<String, Secret>>,
    vault: Arc<Vault>,
}

/// Whom a value found in a key header belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    /// It is the token, or the very key, of this provider.
    Provider(&'static Provider),
    /// It is the token of the profile with this name.
    Profile(&'a str),
    /// It is the caller's own.
    Caller,
}

impl Keys {
    /// Reads an environment. Every managed key is learned as a secret.
    pub fn new(environment: impl IntoIterator<Item = (String, String)>, vault: Arc<Vault>) -> Self {
        let environment: HashMap<String, Secret> = environment
            .into_iter()
            .filter(|(_, value)| !value.trim().is_empty())
            .map(|(name, value)| (name, Secret::new(value.trim())))
            .collect();
        for provider in PROVIDERS.iter().filter(|provider| provider.direct) {
            let secrets = provider.variables.iter();
            for secret in secrets.filter_map(|name| environment.get(*name)) {
                vault.learn(secret.expose());
            }
        }
        let managed = PROVIDERS
            .iter()
            .filter(|provider| !provider.variables.is_empty() && !provider.direct)
            .map(|provider| {
                let key = provider
                    .variables
                    .iter()
                    .find_map(|name| Some(((*name).to_owned(), environment.get(*name)?.clone())));
                for name in provider.variables {
                    if let Some(key) = environment.get(*name) {
                        vault.learn(key.expose());
                    }
                }
                let base = provider.base_variables.iter().find_map(|name| {
                    Some(
                        environment
                            .get(*name)?
                            .expose()
                            .trim_end_matches('/')
                            .to_owned(),
                    )
                });
                Managed {
                    provider,
                    token: token(),
                    key,
                    base,
                }
            })
            .collect();
        Self {
            managed,
            environment,
            commands: Mutex::default(),
            vault,
        }
    }

    /// Changes to the environment of workers: `Some` sets a variable, `None`
    /// removes it. With `all`, every managed variable is set, so that code written
    /// for any provider runs without a key.
    pub fn worker_environment(&self, all: bool) -> Vec<(String, Option<String>)> {
        let mut changes = Vec::new();
        for managed in &self.managed {
            for name in managed.provider.variables {
                if all || self.environment.contains_key(*name) {
                    changes.push(((*name).to_owned(), Some(managed.token.clone())));
                }
            }
            for name in managed.provider.base_variables {
                changes.push(((*name).to_owned(), None));
            }
        }
        changes
    }

    /// Whether a variable of the workbench's environment is set.
    pub fn is_set(&self, variable: &str) -> bool {
        self.environment.contains_key(variable)
    }

    /// The base URL the environment names for a provider.
    pub fn base_of(&self, provider: &Provider) -> Option<String> {
        self.managed
            .iter()
            .find(|managed| managed.provider.name == provider.name)?
            .base
            .clone()
    }

    /// Whose token or key this is; `Caller` where it is neither.
    pub fn owner(&self, presented: &str) -> Owner<'static> {
        self.managed
            .iter()
            .find(|managed| {
                managed.token == presented
                    || managed.provider.variables.iter().any(|name| {
                        self.environment
                            .get(*name)
                            .is_some_and(|key| key.expose() == presented)
                    })
            })
            .map_or(Owner::Caller, |managed| Owner::Provider(managed.provider))
    }

    /// A provider's key, if the environment has it.
    pub fn key_of(&self, provider: &Provider) -> Option<Secret> {
        let managed = self
            .managed
            .iter()
            .find(|managed| managed.provider.name == provider.name)?;
        managed.key.as_ref().map(|(_, key)| key.clone())
    }

    /// Whether a provider's own key may go to this host: its own hosts, and that
    /// of the base URL the environment names.
    pub fn may_go_to(&self, provider: &Provider, host: &str) -> bool {
        provider.hosts.contains(&host)
            || self
                .base_of(provider)
                .and_then(|base| host_of(&base))
                .is_some_and(|own| own == host)
    }

    /// The key a source gives; `None` for [`KeySource::None`]. A command is run
    /// once (15 s at most) and its answer kept in memory.
    ///
    /// # Errors
    /// One sentence that names the variable, command or file, never the key.
    pub async fn resolve(&self, source: &KeySource) -> Result<Option<Secret>, String> {
        let key = match source {
            KeySource::None => return Ok(None),
            KeySource::Env(name) => self
                .environment
                .get(name)
                .cloned()
                .ok_or_else(|| format!("environment variable {name} is not set"))?,
            KeySource::Command(line) => {
                let known = self
                    .commands
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get(line)
                    .cloned();
                if let Some(key) = known {
                    key
                } else {
                    let key = run(line).await?;
                    self.commands
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(line.clone(), key.clone());
                    key
                }
            }
            KeySource::File(path) => {
                let text = tokio::fs::read_to_string(path)
                    .await
                    .map_err(|error| format!("the key file {path} cannot be read: {error}"))?;
                first_line(&text).ok_or_else(|| format!("the key file {path} is empty"))?
            }
        };
        self.vault.learn(key.expose());
        Ok(Some(key))
    }
}

/// A fresh token: worth nothing outside this process.
pub fn token() -> String {
    format!("dspex-{:032x}", rand::random::<u128>())
}

async fn run(line: &str) -> Result<Secret, String> {
    let output = tokio::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(line)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(COMMAND_TIMEOUT, output).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("the key command cannot be run: {error}")),
        Err(_) => {
            return Err(format!(
                "the key command took more than {} s",
                COMMAND_TIMEOUT.as_secs()
            ));
        }
    };
    if !output.status.success() {
        return Err(format!("the key command failed ({})", output.status));
    }
    first_line(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| "the key command printed nothing".to_owned())
}

fn first_line(text: &str) -> Option<Secret> {
    let line = text.lines().next()?.trim();
    (!line.is_empty()).then(|| Secret::new(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::provider;

    fn keys(environment: &[(&str, &str)]) -> Keys {
        let owned = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Keys::new(owned, Arc::default())
    }

    #[test]
    fn workers_get_tokens_instead_of_keys() {
        let keys = keys(&[
            ("OPENAI_API_KEY", "canary-openai"),
            ("OPENAI_BASE_URL", "http://proxy:1/v1"),
            ("PATH", "/bin"),
        ]);
        let changes = keys.worker_environment(false);
        let openai: Vec<_> = changes
            .iter()
            .filter(|(name, _)| name.starts_with("OPENAI"))
            .collect();
        assert_eq!(openai.len(), 3);
        assert!(!format!("{changes:?} {keys:?}").contains("canary"));
        assert!(
            changes
                .iter()
                .any(|(name, value)| name == "OPENAI_BASE_URL" && value.is_none())
        );
        assert!(
            !changes
                .iter()
                .any(|(name, _)| name == "GROQ_API_KEY" || name == "PATH")
        );
        let all = keys.worker_environment(true);
        assert!(
            all.iter()
                .any(|(name, value)| name == "GROQ_API_KEY" && value.is_some())
        );
    }

    #[test]
    fn a_key_belongs_to_its_provider_s_hosts() {
        let keys = keys(&[
            ("OPENAI_API_KEY", "canary-openai"),
            ("AZURE_API_BASE", "https://me.openai.azure.com"),
        ]);
        let openai = provider::by_name("openai").unwrap();
        let azure = provider::by_name("azure").unwrap();
        assert_eq!(keys.owner("canary-openai"), Owner::Provider(openai));
        assert_eq!(keys.owner("someone's"), Owner::Caller);
        assert!(keys.may_go_to(openai, "api.openai.com"));
        assert!(!keys.may_go_to(openai, "evil.example"));
        assert!(keys.may_go_to(azure, "me.openai.azure.com"));
        assert!(!keys.may_go_to(azure, "you.openai.azure.com"));
    }

    /// R5: keys from the environment, a command and a file.
    #[tokio::test]
    async fn keys_come_from_environment_command_and_file() {
        let keys = keys(&[("MY_KEY", "canary-env")]);
        let got = keys.resolve(&KeySource::Env("MY_KEY".into())).await;
        assert_eq!(got.unwrap().unwrap().expose(), "canary-env");
        let got = keys
            .resolve(&KeySource::Command("echo canary-cmd; echo more".into()))
            .await;
        assert_eq!(got.unwrap().unwrap().expose(), "canary-cmd");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "canary-file\n").unwrap();
        let got = keys
            .resolve(&KeySource::File(path.display().to_string()))
            .await;
        assert_eq!(got.unwrap().unwrap().expose(), "canary-file");
        for (source, part) in [
            (KeySource::Env("NOT_SET".into()), "NOT_SET"),
            (KeySource::Command("exit 3".into()), "failed"),
            (KeySource::Command("true".into()), "printed nothing"),
            (KeySource::File("/no/such/file".into()), "/no/such/file"),
        ] {
            assert!(keys.resolve(&source).await.unwrap_err().contains(part));
        }
        assert_eq!(keys.vault.redact("canary-cmd canary-file"), "*** ***");
    }
}
