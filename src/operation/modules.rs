//! DSPy's modules and their options: the table that the worker reads too.
//!
//! Front ends offer names and options from it without waiting for Python. Whether
//! a module can be used in an environment only the worker knows
//! (`list_dspy_modules`), and it alone judges values.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

/// A module of DSPy.
#[derive(Debug, Clone, Deserialize)]
pub struct Module {
    /// As DSPy calls it.
    pub name: String,
    /// `ok`, `experimental`, `deprecated` or `unavailable`.
    pub status: String,
    /// Why it should not or cannot be used, and what to use instead; may be empty.
    pub reason: String,
    /// Whether it is made over a signature.
    pub signature: bool,
    /// One sentence.
    pub doc: String,
    /// What it is given, where no signature tells: the names of its inputs.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Constructor options.
    pub options: Vec<ModuleOption>,
}

/// A constructor option of a module.
#[derive(Debug, Clone, Deserialize)]
pub struct ModuleOption {
    /// Its name.
    pub name: String,
    /// What it takes: `int`, `number`, `text`, `flag`, `object`, `tools`, `module`,
    /// `metric`, `dataset`, `corpus`, `embedder`, `lm` or `any`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is when not given.
    pub default: Value,
    /// A few words.
    pub doc: String,
    /// Whether there is no module without it.
    #[serde(default)]
    pub required: bool,
}

static MODULES: LazyLock<Vec<Module>> = LazyLock::new(|| {
    // A table that does not parse is caught by the test below.
    serde_json::from_str(include_str!("../../python/dspex_worker/modules.json")).unwrap_or_default()
});

/// All rows, gone ones too.
pub fn all() -> &'static [Module] {
    &MODULES
}

/// Names of the modules there are.
pub fn usable() -> impl Iterator<Item = &'static str> {
    let there = |module: &&Module| module.status != "unavailable";
    all()
        .iter()
        .filter(there)
        .map(|module| module.name.as_str())
}

/// The module with this name; `dspy.` may stand before it.
pub fn find(name: &str) -> Option<&'static Module> {
    let plain = name.strip_prefix("dspy.").unwrap_or(name);
    all().iter().find(|module| module.name == plain)
}

impl Module {
    /// The option with this name.
    pub fn option(&self, name: &str) -> Option<&ModuleOption> {
        self.options.iter().find(|option| option.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R36: each module has options of its own, each with a few words.
    #[test]
    fn every_module_is_documented() {
        assert!(all().len() > 15, "the table does not parse");
        for module in all() {
            assert!(module.doc.ends_with('.'), "{}", module.name);
            let reasoned = matches!(module.status.as_str(), "ok" | "experimental");
            assert!(reasoned || !module.reason.is_empty(), "{}", module.name);
            for option in &module.options {
                assert!(!option.doc.is_empty(), "{}.{}", module.name, option.name);
            }
        }
        assert!(find("dspy.ReAct").unwrap().option("max_iters").is_some());
        assert!(usable().all(|name| name != "TypedPredictor"));
    }
}
