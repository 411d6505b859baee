//! Embeddings: hashed bags of words, so that texts that share words are close.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::Call;
use crate::gateway::demo::text;

/// Length of a vector.
pub const DIMENSIONS: usize = 256;

/// The texts of a request: `input` (or Ollama's `prompt`), one or many.
pub fn texts(body: &Map<String, Value>) -> Result<Vec<String>, String> {
    match body.get("input").or_else(|| body.get("prompt")) {
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(items)) if !items.is_empty() => items
            .iter()
            .map(|item| {
                item.as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| "\"input\" must hold texts".to_owned())
            })
            .collect(),
        _ => Err("\"input\" must be a text or a list of texts".to_owned()),
    }
}

/// The vector of a text, of length 1: each stem counts in one place, with a
/// hashed sign; a text without words is the first unit vector.
pub fn vector(input: &str) -> Vec<f32> {
    let mut vector = vec![0.0_f32; DIMENSIONS];
    let mut add = |word: &str, weight: f32| {
        let hash = text::hash(word);
        let place = usize::try_from((hash >> 8) % DIMENSIONS as u64).unwrap_or(0);
        let sign = if (hash >> 3) & 1 == 0 { 1.0 } else { -1.0 };
        if let Some(slot) = vector.get_mut(place) {
            *slot += sign * weight;
        }
    };
    for word in text::content_words(input) {
        add(&word, 1.0);
    }
    for word in text::words(input) {
        add(&word, 0.1);
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        for value in &mut vector {
            *value /= length;
        }
    } else if let Some(first) = vector.first_mut() {
        *first = 1.0;
    }
    vector
}

/// Writes OpenAI's response; vectors in base64 when the request asked for it.
pub fn write(call: &Call) -> Value {
    let data: Vec<Value> = call
        .texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = vector(text);
            let embedding = if call.base64 {
                let bytes: Vec<u8> = vector
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect();
                json!(base64::engine::general_purpose::STANDARD.encode(bytes))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    json!({
        "object": "list",
        "data": data,
        "model": call.conversation.model,
        "usage": {"prompt_tokens": call.input_tokens, "total_tokens": call.input_tokens},
    })
}

/// Writes Ollama's response.
pub fn write_ollama(call: &Call) -> Value {
    let vectors: Vec<Vec<f32>> = call.texts.iter().map(|text| vector(text)).collect();
    json!({"model": call.conversation.model, "embeddings": vectors, "prompt_eval_count": call.input_tokens})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_share_words_are_closer() {
        let likeness = |a: &str, b: &str| {
            vector(a)
                .iter()
                .zip(vector(b))
                .map(|(x, y)| x * y)
                .sum::<f32>()
        };
        let query = "when was the bridge built";
        assert!(
            likeness(query, "the bridge was built in 1931")
                > likeness(query, "soup is served warm")
        );
    }
}
