//! What an answer cost: token counts of every provider's answer, and dollars.
//!
//! Pure. Prices come with the request (DSPy's snapshot) or are the demo LM's own.

use serde_json::Value;

/// Tokens in and out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the request.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
}

impl Usage {
    /// The usage an answer reports; `None` where it reports none. Reads OpenAI
    /// (chat and responses), Anthropic, Bedrock, Gemini and Ollama answers.
    pub fn of(answer: &Value) -> Option<Self> {
        let pairs = [
            ("/usage/prompt_tokens", "/usage/completion_tokens"),
            ("/usage/input_tokens", "/usage/output_tokens"),
            ("/usage/inputTokens", "/usage/outputTokens"),
            (
                "/usageMetadata/promptTokenCount",
                "/usageMetadata/candidatesTokenCount",
            ),
            ("/prompt_eval_count", "/eval_count"),
        ];
        let number = |pointer: &str| answer.pointer(pointer).and_then(Value::as_u64);
        let (input, output) = pairs.into_iter().find_map(|(input, output)| {
            (number(input).is_some() || number(output).is_some())
                .then(|| (number(input).unwrap_or(0), number(output).unwrap_or(0)))
        })?;
        // Anthropic counts cached tokens apart, Gemini thoughts.
        let cached = [
            "/usage/cache_read_input_tokens",
            "/usage/cache_creation_input_tokens",
        ]
        .into_iter()
        .filter_map(number)
        .sum::<u64>();
        let thoughts = number("/usageMetadata/thoughtsTokenCount").unwrap_or(0);
        Some(Self {
            input: input.saturating_add(cached),
            output: output.saturating_add(thoughts),
        })
    }

    /// The usage a whole body reports: JSON, or a stream of server-sent events, of
    /// which the largest counts hold (providers report running totals).
    pub fn in_body(body: &[u8]) -> Option<Self> {
        if let Ok(answer) = serde_json::from_slice::<Value>(body) {
            return match &answer {
                // Gemini streams without server-sent events as an array.
                Value::Array(items) => items.iter().filter_map(Self::of).reduce(Self::most),
                _ => Self::of(&answer),
            };
        }
        let text = std::str::from_utf8(body).ok()?;
        text.lines()
            .map(|line| line.strip_prefix("data:").unwrap_or(line).trim())
            .filter(|data| data.contains("sage") || data.contains("eval_count"))
            .filter_map(|data| serde_json::from_str::<Value>(data).ok())
            .filter_map(|event| {
                Self::of(&event)
                    .or_else(|| Self::of(event.get("message")?))
                    .or_else(|| Self::of(event.get("response")?))
            })
            .reduce(Self::most)
    }

    fn most(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
        }
    }

    /// Dollars at `[input, output]` dollars per token.
    pub fn cost(self, price: [f64; 2]) -> f64 {
        self.input as f64 * price[0] + self.output as f64 * price[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_provider_s_usage_is_read() {
        for answer in [
            json!({"usage": {"prompt_tokens": 7, "completion_tokens": 3}}),
            json!({"usage": {"input_tokens": 7, "output_tokens": 3}}),
            json!({"usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 3}}),
            json!({"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 2, "thoughtsTokenCount": 1}}),
            json!({"usage": {"inputTokens": 7, "outputTokens": 3}}),
            json!({"prompt_eval_count": 7, "eval_count": 3}),
        ] {
            assert_eq!(
                Usage::of(&answer),
                Some(Usage {
                    input: 7,
                    output: 3
                }),
                "{answer}"
            );
        }
        assert_eq!(Usage::of(&json!({"choices": []})), None);
    }

    #[test]
    fn usage_of_a_stream_is_its_last_word() {
        let openai = "data: {\"choices\":[]}\n\ndata: {\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n";
        let anthropic = "event: message_start\ndata: {\"message\":{\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\nevent: message_delta\ndata: {\"usage\":{\"output_tokens\":3}}\n\n";
        for body in [openai, anthropic] {
            assert_eq!(
                Usage::in_body(body.as_bytes()),
                Some(Usage {
                    input: 7,
                    output: 3
                })
            );
        }
    }

    #[test]
    fn cost_is_price_times_tokens() {
        let usage = Usage {
            input: 1000,
            output: 100,
        };
        assert!((usage.cost([1.5e-7, 6e-7]) - 0.000_21).abs() < 1e-12);
    }
}
