//! What users define, as data: signatures, programs, datasets, names.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::CellId;

/// A signature as data: what `create_signature` answers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SignatureDef {
    /// Input fields, in order.
    pub inputs: Vec<FieldDef>,
    /// Output fields, in order.
    pub outputs: Vec<FieldDef>,
    /// The instructions; DSPy's default sentence when none were given.
    pub instructions: String,
}

/// A field of a signature.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldDef {
    /// Its name.
    pub name: String,
    /// Its type as DSPy's fact sheet writes it: `list[str]`, `Literal['a', 'b']`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its description, without DSPy's `${name}` default.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub desc: String,
}

/// A program as data: enough to build it again in another worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProgramDef {
    /// Its name.
    pub name: String,
    /// From 1; a new one each time it changes.
    pub version: u32,
    /// Module names of DSPy, in order; more than one makes a chain.
    pub modules: Vec<String>,
    /// Its signature, where the modules take one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureDef>,
    /// Constructor options by module.
    #[serde(default)]
    pub options: Map<String, Value>,
    /// DSPy's `dump_state()` (demos, instructions) without the LM.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub state: Value,
    /// The program and version it was optimised from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The optimizer that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<String>,
    /// Its score on held-out examples, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The LM profile that is its own: the one that was trained for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lm: Option<String>,
    /// Why it cannot be rebuilt from data (a class of a cell: `stale: re-run [3]`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unportable: Option<String>,
}

/// A dataset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetDef {
    /// Its name.
    pub name: String,
    /// Number of examples.
    pub len: usize,
    /// Field names in order.
    pub fields: Vec<String>,
    /// Which fields are inputs.
    pub inputs: Vec<String>,
    /// SHA-256 of the canonical rows, hex.
    pub hash: String,
    /// Where it came from: a path, `inline`, `shipped:NAME`.
    pub source: String,
    /// The rows, as objects.
    pub rows: Vec<Value>,
}

/// A name of the kernel's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameInfo {
    /// The name.
    pub name: String,
    /// `program`, `signature`, `lm`, `dataset`, `function`, `class`, `module`, `variable`.
    pub kind: String,
    /// Type name.
    #[serde(rename = "type")]
    pub type_name: String,
    /// One line: signature of a program, length of a list, value of a scalar.
    #[serde(default)]
    pub summary: String,
    /// The cell that last defined it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<CellId>,
    /// It is rebuilt after the kernel's death.
    #[serde(default)]
    pub registered: bool,
}
