//! What a request says, whatever provider's format it came in, and what an
//! answer says before it is put into one.

use serde_json::{Map, Value};

/// A request in no provider's format.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conversation {
    /// The model asked for; echoed.
    pub model: String,
    /// All system and developer text, in order.
    pub system: String,
    /// Turns without the system text.
    pub messages: Vec<Message>,
    /// Tools that may be called natively.
    pub tools: Vec<Tool>,
    /// Whether and which tools must be called.
    pub tool_choice: ToolChoice,
    /// How the text must be shaped.
    pub shape: Shape,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Number of answers wanted, at least 1.
    pub n: usize,
    /// The caller wants a stream.
    pub stream: bool,
    /// DSPy's rollout id.
    pub rollout_id: Option<i64>,
}

impl Conversation {
    /// The last text a user (or a tool) said.
    pub fn last_user_text(&self) -> &str {
        self.messages
            .iter()
            .rev()
            .find(|message| message.role == Role::User)
            .map_or("", |message| message.text.as_str())
    }
}

/// Whether tools may, must or must not be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// The answerer decides.
    #[default]
    Auto,
    /// Some tool must be called.
    Required,
    /// This tool must be called.
    Named(String),
    /// No tool may be called.
    Forbidden,
}

/// One turn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// Who spoke.
    pub role: Role,
    /// Its text parts, joined by newlines; images and files are left out.
    pub text: String,
    /// Tools called by an assistant's turn.
    pub calls: Vec<ToolCall>,
}

/// Who spoke a turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// The user.
    #[default]
    User,
    /// The model.
    Assistant,
    /// The result of a tool call.
    Tool,
}

/// A tool that may be called natively.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it says it does.
    pub description: String,
    /// JSON Schema of its arguments.
    pub schema: Value,
}

/// A native tool call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// Its arguments.
    pub arguments: Map<String, Value>,
}

/// How the answer's text must be shaped.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Shape {
    /// Any text.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that fits this schema.
    Schema(Value),
}

/// One answer in no provider's format.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// The text; empty when only tools are called.
    pub text: String,
    /// Native tool calls.
    pub calls: Vec<ToolCall>,
}

impl Reply {
    /// An answer of text alone.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            calls: Vec::new(),
        }
    }
}
