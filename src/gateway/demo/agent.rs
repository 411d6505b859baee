//! Acting: the next step of ReAct and ReActV2, native tool calls, and Python for
//! ProgramOfThought, CodeAct and RLM.

use serde_json::{Map, Value, json};

use super::compose;
use super::conversation::{Conversation, Reply, Role, Tool, ToolCall, ToolChoice};
use super::prompt::{self, Prompt};
use super::skills::passage;

mod arguments;
mod candidates;
mod code;
mod listing;
mod tools;

/// What an agent did and what it saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observation {
    /// The tool.
    pub tool: String,
    /// What it was called with, as JSON; empty where that is not known.
    pub arguments: String,
    /// What it answered.
    pub text: String,
}

impl Observation {
    fn of(tool: &str, text: &str) -> Self {
        Self {
            tool: tool.to_owned(),
            arguments: String::new(),
            text: text.to_owned(),
        }
    }

    /// Whether the tool answered something of use.
    fn is_good(&self) -> bool {
        let lower = self.text.trim().to_lowercase();
        let failed = [
            "execution error",
            "failed to",
            "error:",
            "error ",
            "traceback",
            "unknown ",
            "no such ",
            "no results",
            "not found",
            "nothing found",
            "could not find",
        ];
        let empty = ["", "none", "null", "[]", "{}", "\"\"", "''", "n/a"];
        !empty.contains(&lower.as_str()) && !failed.iter().any(|sign| lower.starts_with(sign))
    }
}

/// Overwrites the outputs that are an agent's: tool, arguments, code.
pub fn fill(prompt: &Prompt, answer: &mut Map<String, Value>) {
    if prompt.output("next_tool_name").is_some() {
        react(prompt, answer);
    } else if prompt.output("tool_calls").is_some() {
        text_calls(prompt, answer);
    } else {
        code::fill(prompt, answer);
    }
}

/// One step of ReAct: `finish` once an observation answers.
fn react(prompt: &Prompt, answer: &mut Map<String, Value>) {
    let listed = listing::listed(&prompt.instructions);
    let done = observations(prompt.input("trajectory").unwrap_or_default());
    let question = asked(prompt);
    let step = tools::next(&listed, &question, &done).filter(|call| call.name != "finish");
    let (thought, call) = if let Some(call) = step {
        (thought(&call, &done), call)
    } else {
        let call = ToolCall {
            name: "finish".to_owned(),
            arguments: Map::new(),
        };
        let observed = done.iter().any(Observation::is_good);
        let thought = if observed {
            "What was observed answers the question."
        } else {
            "No tool can help further."
        };
        (thought.to_owned(), call)
    };
    answer.insert("next_thought".to_owned(), json!(thought));
    answer.insert("next_tool_name".to_owned(), json!(call.name));
    answer.insert("next_tool_args".to_owned(), Value::Object(call.arguments));
}

/// One turn of ReActV2 without native calls.
fn text_calls(prompt: &Prompt, answer: &mut Map<String, Value>) {
    let shown = prompt.input("tools").unwrap_or_default();
    let listed = match serde_json::from_str::<Vec<String>>(shown) {
        Ok(lines) => listing::listed(&lines.join("\n")),
        Err(_) => listing::listed(shown),
    };
    let question = first_question(prompt);
    let done = results(prompt);
    let (thought, call) = turn(&listed, &question, &done, None);
    if prompt.output("next_thought").is_some() {
        answer.insert("next_thought".to_owned(), json!(thought));
    }
    let calls = json!({"tool_calls": [{"name": call.name, "args": call.arguments}]});
    answer.insert("tool_calls".to_owned(), calls);
}

/// The native tool call of a conversation; `None` when the tools are of no use.
pub fn native(conversation: &Conversation, prompt: Option<&Prompt>) -> Option<Reply> {
    if conversation.tools.is_empty() || conversation.tool_choice == ToolChoice::Forbidden {
        return None;
    }
    let done: Vec<Observation> = match prompt {
        Some(prompt) => results(prompt),
        None => prompt::tool_results(conversation)
            .into_iter()
            .map(|(tool, text)| Observation::of(&tool, &text))
            .collect(),
    };
    let first_user = conversation
        .messages
        .iter()
        .find(|message| message.role == Role::User);
    let question = match prompt {
        Some(prompt) => first_question(prompt),
        None if done.is_empty() => conversation.last_user_text().to_owned(),
        None => first_user
            .map(|message| message.text.clone())
            .unwrap_or_default(),
    };
    let submits = conversation.tools.iter().any(|tool| tool.name == "submit");
    let forced = match &conversation.tool_choice {
        ToolChoice::Named(name) => Some(name.as_str()),
        _ => None,
    };
    let wants = prompt.is_some_and(|prompt| prompt.output("next_thought").is_some()) || submits;
    let (thought, call) = if forced.is_some() || wants {
        turn(&conversation.tools, &question, &done, forced)
    } else {
        let call = tools::next(&conversation.tools, &question, &done);
        let call = match call {
            Some(call) => call,
            None if conversation.tool_choice == ToolChoice::Required && done.is_empty() => {
                tools::call(conversation.tools.first()?, &question)
            }
            None => return observed_reply(prompt, &done),
        };
        (format!("{} can help here.", call.name), call)
    };
    let text = match prompt {
        Some(prompt) => {
            let mut answer = Map::new();
            for field in prompt
                .outputs
                .iter()
                .filter(|field| field.name != "tool_calls")
            {
                let value = if field.is_text() {
                    json!(thought)
                } else {
                    Value::Null
                };
                answer.insert(field.name.clone(), value);
            }
            if answer.is_empty() {
                String::new()
            } else {
                prompt.render(&answer)
            }
        }
        None => String::new(),
    };
    Some(Reply {
        text,
        calls: vec![call],
    })
}

/// Why a call is made.
fn thought(call: &ToolCall, done: &[Observation]) -> String {
    let name = &call.name;
    if done.iter().any(|seen| seen.tool == *name) {
        let values: Vec<String> = call.arguments.values().map(compose::plain).collect();
        return format!(
            "{name} answered with an error, so {} is tried.",
            values.join(", ")
        );
    }
    format!("{name} can help here.")
}

/// What was observed: all that the question names, else the last useful thing.
fn told(question: &str, seen: &[Observation]) -> Option<String> {
    let good: Vec<&Observation> = seen
        .iter()
        .filter(|seen| seen.tool != "finish" && seen.text != "Completed." && seen.is_good())
        .collect();
    // What one tool answered and the next was called with is a step on the way.
    let is_step = |at: usize, seen: &Observation| {
        let later = good.get(at + 1..).unwrap_or_default();
        let value = json!(code_result(&seen.text)).to_string();
        later.iter().any(|next| next.arguments.contains(&value))
    };
    let mut named: Vec<(usize, String)> = good
        .iter()
        .enumerate()
        .filter(|(at, seen)| !is_step(*at, seen))
        .filter_map(|(_, seen)| {
            let place = tools::named_at(&seen.tool, question, &[])?;
            Some((place, passage::items(&code_result(&seen.text))))
        })
        .collect();
    named.sort_by_key(|(place, _)| *place);
    if named.len() > 1 {
        let told: Vec<String> = named.into_iter().map(|(_, told)| told).collect();
        return Some(told.join(" and "));
    }
    good.last().map(|last| code_result(&last.text))
}

/// A plain answer made of what the tools said.
fn observed_reply(prompt: Option<&Prompt>, done: &[Observation]) -> Option<Reply> {
    let last = done.iter().rev().find(|seen| seen.is_good())?;
    prompt.is_none().then(|| Reply::text(last.text.clone()))
}

/// The next call of an agent that ends by `submit`.
fn turn(
    listed: &[Tool],
    question: &str,
    done: &[Observation],
    forced: Option<&str>,
) -> (String, ToolCall) {
    let useful: Vec<Tool> = listed
        .iter()
        .filter(|tool| tool.name != "submit")
        .cloned()
        .collect();
    let step = match forced {
        Some(name) if name != "submit" => listed
            .iter()
            .find(|tool| tool.name == name)
            .map(|tool| tools::call(tool, question)),
        Some(_) => None,
        None => tools::next(&useful, question, done),
    };
    if let Some(call) = step {
        return (thought(&call, done), call);
    }
    let seen = told(question, done);
    let submit = listed
        .iter()
        .find(|tool| tool.name == "submit")
        .cloned()
        .unwrap_or_default();
    let schema = if submit.schema.get("properties").is_some() {
        submit.schema
    } else {
        json!({"type": "object", "properties": submit.schema})
    };
    let material = seen.as_deref().unwrap_or(question);
    let mut arguments = compose::by_schema(&schema, material)
        .as_object()
        .cloned()
        .unwrap_or_default();
    for (name, value) in &mut arguments {
        let is_text = schema
            .pointer(&format!("/properties/{name}/type"))
            .and_then(Value::as_str)
            == Some("string");
        if is_text && value.is_string() {
            *value = json!(
                seen.as_deref()
                    .map(|seen| compose::told_by(question, seen))
                    .or_else(|| Some(super::skills::question(question)?.value))
                    .unwrap_or_else(|| "unknown".to_owned())
            );
        }
    }
    let call = ToolCall {
        name: "submit".to_owned(),
        arguments,
    };
    ("The answer is ready.".to_owned(), call)
}

/// The inputs that ask, without trajectory, history and tools.
fn asked(prompt: &Prompt) -> String {
    let asking: Vec<(String, String)> = prompt
        .current
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "trajectory" | "history" | "tools"))
        .cloned()
        .collect();
    prompt::join(&asking)
}

/// The question of a conversation whose later turns hold no inputs.
fn first_question(prompt: &Prompt) -> String {
    let now = asked(prompt);
    if !now.trim().is_empty() && now.trim() != "None" {
        return now;
    }
    let earlier = prompt.demos.iter().rev().map(|demo| {
        let asking: Vec<(String, String)> = demo
            .inputs
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "history" | "tools"))
            .cloned()
            .collect();
        prompt::join(&asking)
    });
    earlier
        .into_iter()
        .find(|text| !text.trim().is_empty() && text.trim() != "None")
        .unwrap_or_default()
}

/// The results of earlier turns.
fn results(prompt: &Prompt) -> Vec<Observation> {
    let seen = prompt.results.iter();
    seen.map(|(tool, text)| Observation::of(tool, text))
        .collect()
}

/// The observations of a ReAct or CodeAct trajectory, in order.
pub fn observations(trajectory: &str) -> Vec<Observation> {
    let mut found: Vec<Observation> = Vec::new();
    let (mut tool, mut arguments) = (String::new(), String::new());
    for (name, value) in parts(trajectory) {
        if name.starts_with("tool_name_") {
            value.trim().clone_into(&mut tool);
        } else if name.starts_with("tool_args_") {
            value.trim().clone_into(&mut arguments);
        } else if name.starts_with("observation_") || name.starts_with("code_output_") {
            found.push(Observation {
                tool: std::mem::take(&mut tool),
                arguments: std::mem::take(&mut arguments),
                text: value.trim().to_owned(),
            });
        }
    }
    found
}

/// `[[ ## name ## ]]` sections or `<name>` elements, whichever there are; a JSON
/// object's members.
fn parts(trajectory: &str) -> Vec<(String, String)> {
    if let Ok(Value::Object(object)) = serde_json::from_str(trajectory) {
        return object
            .into_iter()
            .map(|(name, value)| (name, compose::plain(&value)))
            .collect();
    }
    let mut found: Vec<(String, String)> = Vec::new();
    let mut closing = None;
    for line in trajectory.lines() {
        let line_name = line.trim();
        let chat = line_name
            .strip_prefix("[[ ## ")
            .and_then(|rest| rest.strip_suffix(" ## ]]"));
        let xml = line_name
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix('>'))
            .filter(|name| {
                closing.is_none() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
            });
        if closing.as_deref() == Some(line_name) {
            closing = None;
        } else if let Some(name) = chat.or(xml) {
            closing = xml.map(|name| format!("</{name}>"));
            found.push((name.to_owned(), String::new()));
        } else if let Some((_, value)) = found.last_mut() {
            value.push_str(line);
            value.push('\n');
        }
    }
    found
}

/// A short Python program that computes and prints the answer to a question.
pub fn program(question: &str) -> String {
    code::program(question)
}

/// What the observations of a trajectory say about a question.
pub fn observed(question: &str, trajectory: &str) -> Option<String> {
    told(question, &observations(trajectory))
}

/// The value in what a program submitted or printed: `{"answer": 84}` is 84.
pub fn code_result(output: &str) -> String {
    match serde_json::from_str::<Value>(output.trim()) {
        Ok(Value::Object(object)) if object.len() == 1 => code_result(
            &object
                .values()
                .next()
                .map(compose::plain)
                .unwrap_or_default(),
        ),
        Ok(Value::String(text)) => code_result(text.trim()),
        _ => output.trim().to_owned(),
    }
}
