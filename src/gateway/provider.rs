//! The providers the gateway knows: names, DSPy's model prefix, key variables, hosts.
//!
//! Facts only; what is done with them is in [`super::keys`], [`super::profiles`]
//! and [`super::route`].

/// The host the demo LM answers at. Never resolved.
pub const DEMO_HOST: &str = "demo.dspex.invalid";

/// The request format a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// `/chat/completions` and its kin.
    OpenAi,
    /// `/messages`.
    Anthropic,
    /// `:generateContent`.
    Gemini,
}

/// One provider.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// The name `configure_lm` takes.
    pub name: &'static str,
    /// Other names for it.
    pub aliases: &'static [&'static str],
    /// What stands before the model in DSPy's model string.
    pub prefix: &'static str,
    /// Environment variables that hold its key, the usual one first.
    pub variables: &'static [&'static str],
    /// Environment variables that hold a base URL.
    pub base_variables: &'static [&'static str],
    /// Its own hosts: the only ones its key is sent to.
    pub hosts: &'static [&'static str],
    /// Base URL of its API; empty where a profile has to give one.
    pub base: &'static str,
    /// Request format.
    pub wire: Wire,
    /// Runs on a machine of one's own: no key is needed, a port is enough.
    pub local: bool,
    /// Called by its own tools, with the worker's own credentials and at an address
    /// they choose: the workbench holds no key for it. Its `variables` hold secrets that
    /// workers do get.
    pub direct: bool,
}

impl Provider {
    /// The header in which its servers take a key.
    pub fn key_header(&self, key: &str) -> (String, String) {
        let bare = |name: &str| (name.to_owned(), key.to_owned());
        match (self.wire, self.name) {
            (Wire::Anthropic, _) => bare("x-api-key"),
            (Wire::Gemini, _) => bare("x-goog-api-key"),
            (_, "azure") => bare("api-key"),
            _ => ("authorization".to_owned(), format!("Bearer {key}")),
        }
    }
}

/// Every provider, the ones people use most first.
pub static PROVIDERS: &[Provider] = &[
    Provider {
        hosts: &[DEMO_HOST],
        ..local("demo", &[], "demo", "http://demo.dspex.invalid/v1")
    },
    hosted(
        "openai",
        &[],
        "openai",
        &["OPENAI_API_KEY"],
        &["OPENAI_API_BASE", "OPENAI_BASE_URL"],
        &["api.openai.com"],
        "https://api.openai.com/v1",
    ),
    Provider {
        wire: Wire::Anthropic,
        ..hosted(
            "anthropic",
            &["claude"],
            "anthropic",
            &["ANTHROPIC_API_KEY"],
            &["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"],
            &["api.anthropic.com"],
            "https://api.anthropic.com/v1",
        )
    },
    Provider {
        wire: Wire::Gemini,
        ..hosted(
            "gemini",
            &["google"],
            "gemini",
            &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
            &["GEMINI_API_BASE", "GEMINI_BASE_URL"],
            &["generativelanguage.googleapis.com"],
            "https://generativelanguage.googleapis.com/v1beta",
        )
    },
    local(
        "ollama",
        &["ollama_chat"],
        "ollama_chat",
        "http://localhost:11434/v1",
    ),
    local(
        "local",
        &[
            "vllm",
            "hosted_vllm",
            "tgi",
            "llamacpp",
            "llama.cpp",
            "lm_studio",
            "sglang",
            "compatible",
        ],
        "openai",
        "",
    ),
    hosted(
        "groq",
        &[],
        "groq",
        &["GROQ_API_KEY"],
        &["GROQ_API_BASE"],
        &["api.groq.com"],
        "https://api.groq.com/openai/v1",
    ),
    hosted(
        "openrouter",
        &[],
        "openrouter",
        &["OPENROUTER_API_KEY"],
        &["OPENROUTER_API_BASE"],
        &["openrouter.ai"],
        "https://openrouter.ai/api/v1",
    ),
    hosted(
        "deepseek",
        &[],
        "deepseek",
        &["DEEPSEEK_API_KEY"],
        &["DEEPSEEK_API_BASE"],
        &["api.deepseek.com"],
        "https://api.deepseek.com",
    ),
    hosted(
        "xai",
        &["grok"],
        "xai",
        &["XAI_API_KEY"],
        &["XAI_API_BASE"],
        &["api.x.ai"],
        "https://api.x.ai/v1",
    ),
    hosted(
        "mistral",
        &[],
        "mistral",
        &["MISTRAL_API_KEY"],
        &["MISTRAL_API_BASE"],
        &["api.mistral.ai"],
        "https://api.mistral.ai/v1",
    ),
    hosted(
        "together",
        &["together_ai", "togetherai"],
        "together_ai",
        &[
            "TOGETHER_API_KEY",
            "TOGETHERAI_API_KEY",
            "TOGETHER_AI_API_KEY",
        ],
        &[
            "TOGETHER_API_BASE",
            "TOGETHERAI_API_BASE",
            "TOGETHER_AI_API_BASE",
        ],
        &["api.together.xyz", "api.together.ai"],
        "https://api.together.xyz/v1",
    ),
    hosted(
        "fireworks",
        &["fireworks_ai"],
        "fireworks_ai",
        &["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"],
        &["FIREWORKS_API_BASE", "FIREWORKS_AI_API_BASE"],
        &["api.fireworks.ai"],
        "https://api.fireworks.ai/inference/v1",
    ),
    hosted(
        "azure",
        &["azure_openai"],
        "azure",
        &["AZURE_OPENAI_API_KEY", "AZURE_API_KEY"],
        &["AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE"],
        &[],
        "",
    ),
    hosted(
        "zai",
        &[],
        "zai",
        &["ZAI_API_KEY"],
        &["ZAI_API_BASE"],
        &["api.z.ai"],
        "https://api.z.ai/api/paas/v4",
    ),
    hosted(
        "cohere",
        &[],
        "cohere",
        &["COHERE_API_KEY", "CO_API_KEY"],
        &["COHERE_API_BASE"],
        &["api.cohere.com", "api.cohere.ai"],
        "https://api.cohere.ai/compatibility/v1",
    ),
    hosted(
        "perplexity",
        &[],
        "perplexity",
        &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
        &["PERPLEXITYAI_API_BASE", "PERPLEXITY_API_BASE"],
        &["api.perplexity.ai"],
        "https://api.perplexity.ai",
    ),
    direct(
        "bedrock",
        &["aws", "aws_bedrock"],
        &[
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_BEARER_TOKEN_BEDROCK",
        ],
    ),
    direct("vertex_ai", &["vertex"], &["VERTEXAI_CREDENTIALS"]),
    direct(
        "sagemaker_chat",
        &["sagemaker"],
        &["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"],
    ),
];

/// The provider with this name or alias, in any case.
pub fn by_name(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| {
        provider.name.eq_ignore_ascii_case(name)
            || provider
                .aliases
                .iter()
                .any(|alias| alias.eq_ignore_ascii_case(name))
    })
}

/// The provider of a DSPy model string, by its prefix.
pub fn by_model(model: &str) -> Option<&'static Provider> {
    let (prefix, _) = model.split_once('/')?;
    PROVIDERS
        .iter()
        .find(|provider| provider.prefix == prefix)
        .or_else(|| by_name(prefix))
}

/// The provider whose own host this is.
pub fn by_host(host: &str) -> Option<&'static Provider> {
    PROVIDERS
        .iter()
        .find(|provider| provider.hosts.contains(&host))
}

/// Every name `configure_lm` takes, aliases included.
pub fn names() -> impl Iterator<Item = &'static str> {
    PROVIDERS
        .iter()
        .flat_map(|provider| std::iter::once(provider.name).chain(provider.aliases.iter().copied()))
}

const fn hosted(
    name: &'static str,
    aliases: &'static [&'static str],
    prefix: &'static str,
    variables: &'static [&'static str],
    base_variables: &'static [&'static str],
    hosts: &'static [&'static str],
    base: &'static str,
) -> Provider {
    Provider {
        name,
        aliases,
        prefix,
        variables,
        base_variables,
        hosts,
        base,
        wire: Wire::OpenAi,
        local: false,
        direct: false,
    }
}

const fn local(
    name: &'static str,
    aliases: &'static [&'static str],
    prefix: &'static str,
    base: &'static str,
) -> Provider {
    Provider {
        name,
        aliases,
        prefix,
        variables: &[],
        base_variables: &[],
        hosts: &[],
        base,
        wire: Wire::OpenAi,
        local: true,
        direct: false,
    }
}

const fn direct(
    name: &'static str,
    aliases: &'static [&'static str],
    variables: &'static [&'static str],
) -> Provider {
    Provider {
        direct: true,
        ..hosted(name, aliases, name, variables, &[], &[], "")
    }
}
