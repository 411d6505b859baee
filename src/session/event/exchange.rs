//! What the gateway records: LM profiles, requests and their answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where a long value is kept: the SHA-256 of its bytes, in hex, and their number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlobRef {
    /// 64 hex digits.
    pub sha256: String,
    /// Number of bytes.
    pub len: u64,
}

/// A recorded body: bytes in the blob pack, or a JSON tree whose long strings
/// are there (so that a system prompt used 5,000 times is stored once).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Document {
    /// Short text, in the event itself.
    Text(String),
    /// Any bytes.
    Blob(BlobRef),
    /// JSON; a string of 256 B or more is replaced by `{"$blob": sha256, "len": n}`.
    Tree(Value),
}

/// One request to an LM server and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exchange {
    /// The LM span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<String>,
    /// The profile whose limits and key applied; empty for code's own LMs.
    #[serde(default)]
    pub profile: String,
    /// Scheme, host, port and path; never a query with a key.
    pub url: String,
    /// The model the request names.
    #[serde(default)]
    pub model: String,
    /// Cassette key: SHA-256 of (destination, canonical body, rollout id), hex.
    pub key: String,
    /// The how-many-eth answer with this key since the session was opened, from 0;
    /// only counted for calls made with `cache=False`.
    #[serde(default)]
    pub occurrence: u32,
    /// DSPy's `cache` flag.
    #[serde(default)]
    pub cacheable: bool,
    /// As DSPy made it.
    pub request: Document,
    /// As the server answered it.
    pub response: Document,
    /// Response headers worth keeping (`content-type`, `retry-after`, request ids).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// HTTP status; 0 when no answer came.
    pub status: u16,
    /// Why no answer came, or what its error body says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Where the answer came from.
    pub source: AnswerSource,
    /// Time from request to whole answer, microseconds.
    pub latency_us: u64,
    /// Tokens in.
    #[serde(default)]
    pub input_tokens: u64,
    /// Tokens out.
    #[serde(default)]
    pub output_tokens: u64,
    /// Dollars; `None` is unknown, never zero. A hit costs 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// The caller asked for a stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub streamed: bool,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerSource {
    /// The server.
    Server,
    /// The built-in demo LM.
    Demo,
    /// The gateway's cache of this session.
    Cache,
    /// A recorded session.
    Cassette,
    /// An injected fault.
    Fault,
    /// Another client than the gateway, in the worker; recorded afterwards, as the
    /// worker told it.
    Direct,
}

/// Where a profile's key comes from. The key itself is never stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// No key is sent.
    #[default]
    None,
    /// An environment variable of the workbench.
    Env(String),
    /// The first line a command prints.
    Command(String),
    /// The first line of a file.
    File(String),
}

/// A named LM configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LmProfile {
    /// The name: `[A-Za-z0-9._-]{1,64}`.
    pub name: String,
    /// DSPy's model string, `provider/model`.
    pub model: String,
    /// Base URL, for servers of one's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_base: Option<String>,
    /// Where the key comes from.
    #[serde(default)]
    pub key: KeySource,
    /// `temperature`, `max_tokens`, `num_retries`, `cache`, … as `dspy.LM` takes them.
    #[serde(default)]
    pub params: Map<String, Value>,
    /// Deadline of a call, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<f64>,
    /// Most calls at once; 0 is no limit.
    #[serde(default)]
    pub max_concurrency: u32,
    /// Most calls a minute; 0 is no limit.
    #[serde(default)]
    pub requests_per_minute: u32,
}
