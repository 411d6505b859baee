//! The names a line may refer to, taken from a session.

use crate::session::event::LmProfile;
use crate::session::state::SessionState;

/// Metrics that come with the workbench.
pub(super) const METRICS: &[&str] = &[
    "exact_match",
    "contains",
    "f1",
    "SemanticF1",
    "CompleteAndGrounded",
];

/// Optimizers that can be asked for.
pub(super) const OPTIMIZERS: &[&str] = &["BootstrapFewShot"];

/// Providers of LM profiles.
pub const PROVIDERS: &[&str] = &[
    "demo",
    "openai",
    "anthropic",
    "gemini",
    "ollama",
    "local",
    "vllm",
    "tgi",
    "llamacpp",
    "groq",
    "azure",
    "openrouter",
    "deepseek",
    "xai",
    "mistral",
    "together_ai",
    "cohere",
    "perplexity",
    "zai",
    "bedrock",
    "vertex_ai",
    "sagemaker_chat",
];

/// Options of an LM profile and of `dspy.LM`.
pub(super) const LM_OPTIONS: &[&str] = &[
    "model",
    "api_base",
    "port",
    "api_key_env",
    "api_key_command",
    "api_key_file",
    "temperature",
    "max_tokens",
    "top_p",
    "num_retries",
    "timeout",
    "cache",
];

/// What a line may refer to. A copy, so that completion can run on any thread.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// LM profiles.
    pub lms: Vec<LmProfile>,
    /// Name of the selected profile.
    pub lm: Option<String>,
    /// Programs of the session and of the kernel.
    pub programs: Vec<ProgramNames>,
    /// Named signatures with their input fields.
    pub signatures: Vec<ProgramNames>,
    /// Registered tools.
    pub tools: Vec<String>,
    /// MCP servers.
    pub servers: Vec<String>,
    /// The user's modules, and whether they take a signature.
    pub modules: Vec<(String, bool)>,
    /// Datasets.
    pub datasets: Vec<String>,
    /// Functions of the kernel: possible metrics.
    pub functions: Vec<String>,
    /// Numbers of runs, newest first.
    pub runs: Vec<u64>,
    /// Sessions on disk, when the front end has listed them.
    pub sessions: Vec<String>,
    /// Models of the server on the line ([`super::models_wanted`]), when the front end
    /// has asked for them.
    pub models: Vec<String>,
}

/// The name of a program or signature, and its input fields with their types.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProgramNames {
    /// The name.
    pub name: String,
    /// Input fields and DSPy's words for their types; empty when unknown.
    pub inputs: Vec<(String, String)>,
}

impl Context {
    /// The names of a session.
    pub fn of(session: &SessionState) -> Self {
        let inputs = |signature: &crate::session::event::SignatureDef| {
            let fields = signature.inputs.iter();
            fields
                .map(|field| (field.name.clone(), field.type_name.clone()))
                .collect()
        };
        let mut programs: Vec<ProgramNames> = session
            .programs
            .values()
            .map(|program| ProgramNames {
                name: program.name.clone(),
                inputs: program.signature.as_ref().map(inputs).unwrap_or_default(),
            })
            .collect();
        for info in session.names.iter().filter(|info| info.kind == "program") {
            if !programs.iter().any(|program| program.name == info.name) {
                programs.push(ProgramNames {
                    name: info.name.clone(),
                    inputs: Vec::new(),
                });
            }
        }
        Self {
            lms: session.lms.values().cloned().collect(),
            lm: session.lm.clone(),
            programs,
            signatures: session
                .signatures
                .iter()
                .map(|(name, signature)| ProgramNames {
                    name: name.clone(),
                    inputs: inputs(signature),
                })
                .collect(),
            tools: session.tools.keys().cloned().collect(),
            servers: session.servers.keys().cloned().collect(),
            modules: session
                .modules
                .values()
                .map(|module| (module.name.clone(), module.signature))
                .collect(),
            datasets: session.datasets.keys().cloned().collect(),
            functions: session
                .names
                .iter()
                .filter(|info| info.kind == "function")
                .map(|info| info.name.clone())
                .collect(),
            runs: session.runs.keys().rev().map(|run| run.0).collect(),
            sessions: Vec::new(),
            models: Vec::new(),
        }
    }

    /// The program with this name.
    pub fn program(&self, name: &str) -> Option<&ProgramNames> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// Input fields, with types, of a named or written-out signature.
    pub fn signature_inputs(&self, signature: &str) -> Vec<(String, String)> {
        let named = |known: &&ProgramNames| known.name == signature.trim();
        if let Some(known) = self.signatures.iter().find(named) {
            return known.inputs.clone();
        }
        let Some((inputs, _)) = signature.split_once("->") else {
            return Vec::new();
        };
        split_fields(inputs)
            .into_iter()
            .map(|field| match field.split_once(':') {
                Some((name, kind)) => (name.trim().to_owned(), kind.trim().to_owned()),
                None => (field.trim().to_owned(), "str".to_owned()),
            })
            .filter(|(name, _)| !name.is_empty())
            .collect()
    }
}

/// Splits at commas outside brackets.
fn split_fields(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let mut start = 0;
    let mut fields = Vec::new();
    for (idx, ch) in text.char_indices() {
        match ch {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => depth -= 1,
            ',' if depth == 0 => {
                fields.push(&text[start..idx]);
                start = idx + 1;
            }
            _ => {}
        }
    }
    fields.push(&text[start..]);
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_of_a_written_signature() {
        let inputs = Context::default().signature_inputs("a, b: dict[str, int] -> c");
        let expected = [("a", "str"), ("b", "dict[str, int]")];
        assert_eq!(
            inputs,
            expected.map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        );
    }
}
