//! Decides what kind of request a conversation is, and has it answered.

use serde_json::Value;

use super::conversation::{Conversation, Reply, Shape};
use super::prompt::Prompt;
use super::variation::Voice;
use super::{agent, compose, propose, skills};

/// All answers to a conversation: `n` of them.
pub fn replies(conversation: &Conversation) -> Vec<Reply> {
    (0..conversation.n.clamp(1, 64))
        .map(|index| reply(conversation, Voice::of(conversation, index)))
        .collect()
}

fn reply(conversation: &Conversation, voice: Voice) -> Reply {
    let prompt = Prompt::read(conversation);
    if let Some(reply) = agent::native(conversation, prompt.as_ref()) {
        return reply;
    }
    match prompt {
        Some(prompt) => {
            let mut answer = compose::answer(&prompt, voice);
            propose::fill(&prompt, voice, &mut answer);
            agent::fill(&prompt, &mut answer);
            Reply::text(prompt.render(&answer))
        }
        None => Reply::text(free(conversation, voice)),
    }
}

/// An answer to text that no adapter of DSPy wrote.
fn free(conversation: &Conversation, voice: Voice) -> String {
    let asked = conversation.last_user_text();
    if let Some(proposal) = propose::free(&format!("{}\n{asked}", conversation.system), voice) {
        return proposal;
    }
    let empty = Value::Object(serde_json::Map::new());
    match &conversation.shape {
        Shape::Schema(schema) => compose::by_schema(schema, asked).to_string(),
        Shape::JsonObject => match skills::question(asked) {
            Some(found) => serde_json::json!({"answer": found.value}).to_string(),
            None => empty.to_string(),
        },
        Shape::Text => match skills::question(asked) {
            Some(found) => voice.answer(&found, true),
            None => format!(
                "The demo LM is not a language model and knows nothing about {}.",
                compose::about(asked)
            ),
        },
    }
}
