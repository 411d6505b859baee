//! The one error object of the product: what `exec` prints, what the wire
//! carries, what the screen shows.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The area an error belongs to; decides how it is coloured and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The request itself is wrong: unknown name, bad argument, missing file.
    InvalidInput,
    /// Python code raised.
    PythonRuntime,
    /// A language model call failed (DSPy's `LM*Error`).
    Lm,
    /// An optimizer failed.
    Optimization,
    /// A value could not be encoded or decoded.
    Serialization,
    /// A limit of time ran out.
    Timeout,
    /// A worker process died.
    ProcessCrashed,
    /// A package, interpreter or module is missing.
    Import,
    /// The user stopped it.
    Interrupted,
    /// The workbench itself failed (disk, socket, bug).
    Internal,
}

/// What a program can do about an error without asking a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The same request may succeed later.
    Retry,
    /// A plainer way exists (for example: run the program unoptimised).
    Fallback,
    /// The worker was or must be replaced.
    RestartProcess,
    /// Repeating is useless until a person changes something.
    #[default]
    Fatal,
}

/// How to go on after an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// The mechanical answer.
    pub strategy: Strategy,
    /// One sentence for a person: what to type or change. May be empty.
    #[serde(default)]
    pub hint: String,
    /// Names close to the one that was not found, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub near: Vec<String>,
}

/// `{type, class, message, traceback, context, recovery}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct OperationError {
    /// A Python exception's type name, or a snake_case code of ours
    /// (`unknown_operation`, `pool_exhausted`, …).
    #[serde(rename = "type")]
    pub kind: String,
    /// The area.
    pub class: ErrorClass,
    /// One clear sentence, lower case, without a full stop.
    pub message: String,
    /// Python's traceback, one entry a line; empty where no Python was involved.
    #[serde(default)]
    pub traceback: Vec<String>,
    /// Facts that help: operation, module, field, path, exit status, …
    #[serde(default)]
    pub context: Map<String, Value>,
    /// What to do now.
    #[serde(default)]
    pub recovery: Recovery,
}

impl ErrorClass {
    /// What follows from an error of this class where the error itself does not
    /// say: a failed optimisation leaves the program as it was, a dead or hanging
    /// worker is replaced (a kernel only by its own death or the user's word), and
    /// nothing else is repeated for no reason.
    pub fn strategy(self) -> Strategy {
        match self {
            Self::Optimization => Strategy::Fallback,
            Self::Timeout | Self::ProcessCrashed => Strategy::RestartProcess,
            _ => Strategy::Fatal,
        }
    }

    /// The remedy where the error itself names none; empty where its message
    /// must do that.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Lm => "check the LM profile (`:lm`); the exchange is in the trace (F4)",
            Self::Optimization => {
                "the program is as it was; change the metric, the data or the options"
            }
            Self::Serialization => "give or return simpler values: text, numbers, lists, objects",
            Self::Timeout => "try again; `:restart` replaces a kernel that hangs",
            Self::ProcessCrashed => "run it again: the next request has a new worker",
            Self::Import => "`dspex-tui doctor` says what is missing",
            Self::Internal => "try again; `dspex-tui doctor` checks disk and environment",
            Self::InvalidInput | Self::PythonRuntime | Self::Interrupted => "",
        }
    }
}

impl OperationError {
    /// An error without traceback or context, with its class's strategy and remedy.
    pub fn new(kind: &str, class: ErrorClass, message: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            class,
            message: message.into(),
            traceback: Vec::new(),
            context: Map::new(),
            recovery: Recovery {
                strategy: class.strategy(),
                hint: class.remedy().to_owned(),
                near: Vec::new(),
            },
        }
    }

    /// A request that cannot be carried out as it stands.
    pub fn invalid(kind: &str, message: impl Into<String>) -> Self {
        Self::new(kind, ErrorClass::InvalidInput, message)
    }

    /// A failure of the workbench's own making.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("internal", ErrorClass::Internal, message)
    }

    /// Adds the sentence that says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.recovery.hint = hint.into();
        self
    }

    /// Adds the near matches of a name that was not found.
    #[must_use]
    pub fn near(mut self, near: Vec<String>) -> Self {
        self.recovery.near = near;
        self
    }

    /// Sets the mechanical recovery.
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.recovery.strategy = strategy;
        self
    }

    /// Adds one fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.context.insert(key.to_owned(), value.into());
        self
    }
}

/// The up to three names closest to `wanted` (Jaro-Winkler ≥ 0.7), best first.
pub fn near_matches<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let lower = wanted.to_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name))
        .filter(|(score, _)| *score >= 0.7)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored
        .into_iter()
        .take(3)
        .map(|(_, name)| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a program may do about a class where its error says nothing better. A match
    /// without a rest: a new class must be given its place here.
    fn strategy_of(class: ErrorClass) -> Strategy {
        match class {
            ErrorClass::Optimization => Strategy::Fallback,
            ErrorClass::Timeout | ErrorClass::ProcessCrashed => Strategy::RestartProcess,
            // A person must change something first: what was asked, the code, the
            // values, the environment, the profile, the disk.
            ErrorClass::InvalidInput
            | ErrorClass::PythonRuntime
            | ErrorClass::Serialization
            | ErrorClass::Import
            | ErrorClass::Lm
            | ErrorClass::Interrupted
            | ErrorClass::Internal => Strategy::Fatal,
        }
    }

    /// R97, R99: class, strategy and remedy of what fails in the workbench itself.
    #[test]
    fn r99_each_class_has_its_strategy() {
        let words = [
            "invalid_input",
            "python_runtime",
            "lm",
            "optimization",
            "serialization",
            "timeout",
            "process_crashed",
            "import",
            "interrupted",
            "internal",
        ];
        for word in words {
            let class: ErrorClass = serde_json::from_value(word.into()).unwrap();
            let strategy = strategy_of(class);
            let error = OperationError::new("x", class, "it failed");
            assert_eq!(error.recovery.strategy, strategy, "{class:?}");
            let own = error.hint("do this").strategy(Strategy::Retry);
            assert_eq!(own.recovery.hint, "do this");
            assert_eq!(own.recovery.strategy, Strategy::Retry);
        }
        assert!(!OperationError::internal("x").recovery.hint.is_empty());
    }

    #[test]
    fn near_matches_prefers_the_closest_name() {
        let names = ["Predict", "ChainOfThought", "ReAct", "ReActV2"];
        assert_eq!(near_matches("chainofthougt", names), ["ChainOfThought"]);
        assert_eq!(near_matches("zzz", names), Vec::<String>::new());
    }
}
