//! Proposes instructions, descriptions and advice when an optimizer's prompt asks
//! for them: COPRO, MIPROv2, GEPA, InferRules, SIMBA, Refine.
//!
//! A proposal is the old instruction with one more sentence about how to answer.
//! What the prompt shows (feedback, scored attempts) decides which sentence comes
//! first; after that they take turns, so that an optimizer has something to compare.

use serde_json::{Map, Value};

use super::prompt::Prompt;
use super::skills::summary;
use super::text;
use super::variation::Voice;

/// Sentences about how to answer, each with words of feedback that call for it.
const WAYS: &[(&str, &[&str])] = &[
    (
        "Answer with only the value itself, in as few words as possible.",
        &["short", "concise", "exact", "verbose", "too long"],
    ),
    (
        "Give the exact answer and nothing else.",
        &["only the answer", "extra text"],
    ),
    (
        "Think step by step, check the result, then answer.",
        &["wrong", "incorrect", "mistake"],
    ),
    ("Answer with one word.", &["one word", "single word"]),
    (
        "Read every input field before answering, and follow the examples closely.",
        &["example", "label"],
    ),
    (
        "State only the number when the answer is a number.",
        &["number", "numeric"],
    ),
    (
        "Write the answer in uppercase.",
        &["uppercase", "upper case", "capital letters"],
    ),
    (
        "Write the answer in lowercase, without punctuation.",
        &["lowercase", "lower case", "punctuation"],
    ),
    (
        "You are a careful expert; answer in a complete sentence.",
        &["complete sentence", "full sentence", "persona"],
    ),
];

/// Overwrites the outputs that ask for a proposal, a description or advice.
pub fn fill(prompt: &Prompt, voice: Voice, answer: &mut Map<String, Value>) {
    for (name, value) in answer.iter_mut() {
        if let Some(proposal) = output(prompt, name, voice) {
            *value = proposal;
        }
    }
}

fn output(prompt: &Prompt, name: &str, voice: Voice) -> Option<Value> {
    let seen = prompt.input_text();
    let proposal = match name {
        "proposed_instruction" | "improved_instruction" | "new_instruction" => {
            instruction(&base(prompt), &seen, voice)
        }
        "proposed_prefix_for_output_field" => {
            let prefixes = [
                "Answer:",
                "The answer, as briefly as possible:",
                "Final answer:",
                "Result:",
            ];
            (*text::pick(&prefixes, seed(&seen, voice))?).to_owned()
        }
        "program_description" => format!(
            "The program answers a task about {} with calls to a language model, field by field.",
            super::compose::about(prompt.input("program_example").unwrap_or(&seen))
        ),
        "module_description" => {
            let module = prompt.input("module").unwrap_or("this module");
            format!(
                "{} turns its input fields into its output fields.",
                text::shorten(module.trim(), 80)
            )
        }
        "observations" if prompt.input("examples").is_some() => {
            observations(prompt.input("examples")?)
        }
        "summary" if prompt.input("observations").is_some() => {
            let sentences = text::sentences(prompt.input("observations")?);
            sentences.get(..sentences.len().min(2))?.join(" ")
        }
        "natural_language_rules" => rules(prompt.input("examples_text")?),
        "advice" | "module_advice" if prompt.input("module_names").is_some() => {
            return Some(advice(prompt, voice));
        }
        _ => return None,
    };
    Some(Value::String(proposal))
}

/// A proposal for a prompt that no adapter of DSPy wrote (GEPA's own template);
/// `None` where none is asked for.
pub fn free(asked: &str, voice: Voice) -> Option<String> {
    let lower = asked.to_lowercase();
    if !lower.contains("new instruction") || !asked.contains("```") {
        return None;
    }
    let mut blocks = asked.split("```");
    let current = blocks.nth(1).unwrap_or_default().trim();
    let shown = blocks.nth(1).unwrap_or_default();
    Some(format!("```\n{}\n```", instruction(current, shown, voice)))
}

/// The instruction to start from: the basic one, or the best attempt.
fn base(prompt: &Prompt) -> String {
    if let Some(basic) = prompt
        .input("basic_instruction")
        .or_else(|| prompt.input("current_instruction"))
    {
        return basic.trim().to_owned();
    }
    let attempts = prompt.input("attempted_instructions").unwrap_or_default();
    attempts
        .rsplit("Instruction #")
        .next()
        .and_then(|last| last.split_once(':'))
        .and_then(|(_, rest)| rest.lines().next())
        .map_or_else(
            || prompt.instructions.clone(),
            |line| {
                line.trim_matches(|c: char| matches!(c, ' ' | '«' | '»'))
                    .to_owned()
            },
        )
}

/// The old instruction with one of the sentences, never one it already has.
fn instruction(old: &str, shown: &str, voice: Voice) -> String {
    let kept = WAYS.iter().fold(old.trim().to_owned(), |text, (way, _)| {
        text.replace(way, "")
    });
    let kept = kept.trim();
    let lower = shown.to_lowercase();
    let (called, others): (Vec<_>, Vec<_>) = WAYS
        .iter()
        .partition(|(_, signs)| signs.iter().any(|sign| lower.contains(sign)));
    let mut ways: Vec<&str> = called.iter().map(|(way, _)| *way).collect();
    let turn = seed(shown, voice);
    let others: Vec<&str> = others.iter().map(|(way, _)| *way).collect();
    let start = usize::try_from(turn % others.len().max(1) as u64).unwrap_or(0);
    ways.extend(others.iter().cycle().skip(start).take(others.len()));
    let fresh: Vec<&str> = ways
        .into_iter()
        .filter(|way| !old.contains(*way) && !shown.contains(*way))
        .collect();
    // The first few are tried most often: they are the ones the prompt calls for.
    let among = fresh.len().min(4) as u64;
    let place = if voice.0 == 0 && !called.is_empty() {
        0
    } else {
        turn.checked_rem(among).unwrap_or(0)
    };
    let way = fresh
        .get(usize::try_from(place).unwrap_or(0))
        .copied()
        .unwrap_or("Check the answer before giving it.");
    if kept.is_empty() {
        way.to_owned()
    } else {
        format!("{kept} {way}")
    }
}

fn seed(shown: &str, voice: Voice) -> u64 {
    text::hash(shown).wrapping_add(voice.0 as u64)
}

fn observations(examples: &str) -> String {
    let last_values: Vec<usize> = examples
        .split("})")
        .filter_map(|example| example.rsplit_once("': "))
        .map(|(_, value)| value.chars().count())
        .collect();
    let short = !last_values.is_empty() && last_values.iter().all(|length| *length <= 40);
    let size = if short {
        "short"
    } else {
        "of different lengths"
    };
    format!(
        "The examples speak of {}. Each has the same fields, and the outputs are {size}.",
        summary::keywords(examples, 5).join(", ")
    )
}

fn rules(examples: &str) -> String {
    let words = summary::keywords(examples, 4).join(", ");
    format!(
        "1. Give the exact answer and nothing else.\n2. Treat inputs that share words ({words}) alike.\n3. Follow the wording of the examples."
    )
}

fn advice(prompt: &Prompt, voice: Voice) -> Value {
    let names = prompt.input("module_names").unwrap_or_default();
    let names: Vec<String> = serde_json::from_str(names)
        .unwrap_or_else(|_| vec![names.trim_matches(|c| matches!(c, '«' | '»')).to_owned()]);
    let shown = prompt
        .input("program_outputs")
        .or_else(|| prompt.input("better_program_outputs"))
        .unwrap_or_default();
    let advice: Map<String, Value> = names
        .into_iter()
        .map(|name| (name, Value::String(instruction("", shown, voice))))
        .collect();
    Value::Object(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_differ_by_rollout_and_follow_feedback() {
        let plain = |rollout| {
            instruction(
                "Answer the question.",
                "feedback: please use uppercase",
                Voice(rollout),
            )
        };
        assert_eq!(
            plain(0),
            "Answer the question. Write the answer in uppercase."
        );
        assert_ne!(plain(0), plain(1));
    }

    #[test]
    fn gepas_template_is_answered_in_its_block() {
        let asked = "instructions:\n```\nAnswer.\n```\nexamples:\n```\ntoo long\n```\nwrite a new instruction within ``` blocks";
        let proposal = free(asked, Voice(0));
        assert_eq!(
            proposal.as_deref(),
            Some(
                "```\nAnswer. Answer with only the value itself, in as few words as possible.\n```"
            )
        );
    }
}
