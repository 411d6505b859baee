//! Short runnable Python that computes an answer, with the conventions of
//! ProgramOfThought, CodeAct and RLM.

use serde_json::{Map, Value, json};

use crate::gateway::demo::prompt::Prompt;
use crate::gateway::demo::skills::{arithmetic, expression};

/// Writes the code fields of a prompt, where it has any.
pub fn fill(prompt: &Prompt, answer: &mut Map<String, Value>) {
    if prompt.output("generated_code").is_some() {
        let question = super::asked(prompt);
        let acts = prompt.output("finished").is_some();
        let body = if acts {
            format!(
                "{}\nprint(result)",
                compute(&question, &prompt.instructions)
            )
        } else {
            let fields = backticked(
                prompt
                    .instructions
                    .rsplit("for the field(s): ")
                    .next()
                    .unwrap_or_default(),
            );
            let members: Vec<String> = fields
                .iter()
                .map(|name| format!("\"{name}\": result"))
                .collect();
            let members = if members.is_empty() {
                "\"answer\": result".to_owned()
            } else {
                members.join(", ")
            };
            format!("{}\nSUBMIT({{{members}}})", compute(&question, ""))
        };
        answer.insert("generated_code".to_owned(), json!(fenced(&body)));
        if acts {
            answer.insert("finished".to_owned(), json!(true));
        }
    } else if prompt.output("code").is_some() && prompt.input("repl_history").is_some() {
        let (thought, body) = explore(prompt);
        answer.insert("reasoning".to_owned(), json!(thought));
        answer.insert("code".to_owned(), json!(fenced(&body)));
    }
}

/// Python that computes and prints the answer to a question.
pub fn program(question: &str) -> String {
    fenced(&format!("{}\nprint(result)", compute(question, "")))
}

fn fenced(body: &str) -> String {
    format!("```python\n{body}\n```")
}

/// Python that puts the answer to a question into `result`.
fn compute(question: &str, instructions: &str) -> String {
    if let Some(found) = expression::find(question) {
        return format!("result = {}", python(&found.text));
    }
    if let Some(found) = arithmetic::solve(question)
        && let Some((left, _)) = found.because.rsplit_once(" = ")
        && expression::find(left).is_some()
    {
        return format!("result = {}", python(left));
    }
    if let Some(call) = tool_call(question, instructions) {
        return format!("result = {call}");
    }
    let value = crate::gateway::demo::skills::question(question)
        .map_or_else(|| question.trim().to_owned(), |found| found.value);
    match value.parse::<f64>() {
        Ok(number) if number.is_finite() => format!("result = {value}"),
        _ => format!("result = {}", json!(value)),
    }
}

/// A call of one of CodeAct's functions.
fn tool_call(question: &str, instructions: &str) -> Option<String> {
    let tools = super::listing::listed(instructions);
    let call = super::tools::next(&tools, question, &[])?;
    let arguments: Vec<String> = call
        .arguments
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Value::Bool(true) => "True".to_owned(),
                Value::Bool(false) => "False".to_owned(),
                Value::Null => "None".to_owned(),
                other => other.to_string(),
            };
            format!("{name}={value}")
        })
        .collect();
    Some(format!("{}({})", call.name, arguments.join(", ")))
}

/// An expression in Python's operators.
fn python(text: &str) -> String {
    let mut text = text.replace('^', "**").replace(" of ", " * ");
    if let Some((left, right)) = text.split_once('%') {
        text = format!("{} / 100{}", left.trim(), right);
    }
    text.replace('m', "%")
}

/// RLM's next step: look at the variables, find the answer, submit it.
fn explore(prompt: &Prompt) -> (String, String) {
    let history = prompt.input("repl_history").unwrap_or_default();
    let instructions = &prompt.instructions;
    let variables = backticked(line_after(instructions, "- Variables: "));
    let outputs: Vec<&str> = line_after(instructions, "`SUBMIT(")
        .split(')')
        .next()
        .unwrap_or_default()
        .split(", ")
        .collect();
    let asks = ["question", "query", "task", "problem", "q"];
    let query = variables
        .iter()
        .find(|name| asks.contains(&name.as_str()))
        .or_else(|| variables.last());
    let query = query.cloned().unwrap_or_else(|| "''".to_owned());
    let previews: Vec<String> = variables
        .iter()
        .map(|name| format!("print(\"{name}:\", str({name})[:500])"))
        .collect();
    if history.contains("result =") || history.contains("result=") {
        let submits: Vec<String> = outputs
            .iter()
            .map(|name| {
                format!(
                    "{}=result",
                    name.split(['=', ':']).next().unwrap_or(name).trim()
                )
            })
            .collect();
        let typed = cast(instructions);
        return (
            "The result was printed and looks right, so it is submitted.".to_owned(),
            format!("{typed}SUBMIT({})", submits.join(", ")),
        );
    }
    if history.contains("You have not interacted") || !history.contains("print(") {
        return (
            "First the variables are looked at.".to_owned(),
            previews.join("\n"),
        );
    }
    let seen = prompt.input_text();
    if let Some(found) = expression::find(&shown(&seen, &query)) {
        return (
            format!("The question asks for {}.", found.text),
            format!("result = {}\nprint(result)", python(&found.text)),
        );
    }
    let others: Vec<String> = variables
        .iter()
        .filter(|name| **name != query)
        .map(|name| format!("str({name})"))
        .collect();
    let text = if others.is_empty() {
        format!("str({query})")
    } else {
        others.join(" + \"\\n\" + ")
    };
    let body = format!(
        "import re\nasked = set(re.findall(r\"\\w+\", str({query}).lower()))\nparts = re.split(r\"(?<=[.!?])\\s+|\\n\", {text})\nresult = max(parts, key=lambda part: len(asked & set(re.findall(r\"\\w+\", part.lower()))))\nprint(result)"
    );
    (
        "The sentence that shares the most words with the question is looked for.".to_owned(),
        body,
    )
}

/// The printed value of a variable in the history.
fn shown(history: &str, name: &str) -> String {
    let marker = format!("\n{name}: ");
    history
        .rsplit_once(&marker)
        .map(|(_, rest)| rest.lines().next().unwrap_or_default().to_owned())
        .unwrap_or_default()
}

/// A line that gives `result` the type the outputs ask for.
fn cast(instructions: &str) -> &'static str {
    let outputs = instructions
        .split_once("You have access to a Python REPL")
        .map_or("", |(before, _)| before);
    match () {
        () if outputs.contains("must be a single int") => {
            "import re\nresult = int(float(re.findall(r\"-?\\d+\\.?\\d*\", str(result))[-1]))\n"
        }
        () if outputs.contains("must be a single float") => {
            "import re\nresult = float(re.findall(r\"-?\\d+\\.?\\d*\", str(result))[-1])\n"
        }
        () if outputs.contains("must be True or False") => {
            "result = str(result).lower() in (\"true\", \"yes\", \"1\")\n"
        }
        () if outputs.contains("\"type\": \"array\"") => {
            "result = result if isinstance(result, list) else [result]\n"
        }
        () => "result = str(result)\n",
    }
}

fn line_after<'a>(text: &'a str, marker: &str) -> &'a str {
    text.split_once(marker)
        .map_or("", |(_, rest)| rest.lines().next().unwrap_or_default())
}

fn backticked(text: &str) -> Vec<String> {
    text.lines()
        .next()
        .unwrap_or_default()
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
