//! What users register beside programs: tools, MCP servers, modules of their own.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::FieldDef;

/// Whether a tool may be called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Each call, without asking.
    #[default]
    Allow,
    /// Each call waits until a person says yes.
    Ask,
    /// No call.
    Deny,
}

/// A tool as data: enough to make it again in another worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolDef {
    /// Its name: what an LM calls.
    pub name: String,
    /// What it does.
    #[serde(default)]
    pub desc: String,
    /// JSON Schema of each argument.
    #[serde(default)]
    pub args: Map<String, Value>,
    /// Whether it may be called.
    #[serde(default)]
    pub approval: Approval,
    /// Where its function is.
    pub source: ToolSource,
}

/// Where a tool's function is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum ToolSource {
    /// A function of a Python file.
    File {
        /// Absolute path.
        file: String,
        /// Its name there.
        function: String,
    },
    /// A function of the notebook: gone with the kernel until its cell is run again.
    Notebook {
        /// Its name there.
        function: String,
    },
    /// One of the workbench's own samples.
    Sample {
        /// Its name.
        sample: String,
    },
    /// A tool of an MCP server.
    Server {
        /// The server's name.
        server: String,
        /// The tool's name there.
        tool: String,
    },
}

impl Default for ToolSource {
    fn default() -> Self {
        Self::Notebook {
            function: String::new(),
        }
    }
}

/// An MCP server: a command spoken to over stdio, or an address.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerDef {
    /// Its name.
    pub name: String,
    /// Program and arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Names of variables it gets from the worker's environment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Address of a server over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A module of the user's, in a Python file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ModuleDef {
    /// The name it is asked for by.
    pub name: String,
    /// Absolute path.
    pub file: String,
    /// The class there.
    pub class: String,
    /// One line about it.
    #[serde(default)]
    pub doc: String,
    /// Constructor options with their defaults.
    #[serde(default)]
    pub options: Map<String, Value>,
    /// Whether its constructor takes a signature.
    #[serde(default)]
    pub signature: bool,
    /// What its `forward` is given, where its parameters tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<FieldDef>,
}
