//! Composes an answer to a DSPy prompt: a well-typed value for every output field.

use serde_json::{Map, Value, json};

use super::nearest::{Neighbours, Taken};
use super::prompt::{Field, Prompt};
use super::skills::{self, Finding, choice, extract, passage, sentiment, summary};
use super::text;
use super::variation::Voice;

mod manner;
mod typed;

use manner::Manner;

/// Fields that say why.
const REASONING: &[&str] = &[
    "reasoning",
    "rationale",
    "thought",
    "thoughts",
    "explanation",
    "justification",
    "analysis",
    "discussion",
];

/// Inputs that are material rather than the question.
const MATERIAL: &[&str] = &[
    "context",
    "contexts",
    "passage",
    "passages",
    "document",
    "documents",
    "background",
    "evidence",
    "article",
    "source",
    "sources",
    "facts",
    "retrieved",
    "notes",
    "history",
    "code",
    "output",
    "error",
];

/// Answers a prompt: every output field, in order.
pub fn answer(prompt: &Prompt, voice: Voice) -> Map<String, Value> {
    let composer = Composer {
        prompt,
        neighbours: Neighbours::of(prompt),
        voice,
        question: question(prompt),
        material: material(prompt),
    };
    let mut because: Vec<String> = Vec::new();
    let mut values: Vec<(usize, Value)> = Vec::new();
    for (place, field) in prompt.outputs.iter().enumerate() {
        if !is_reasoning(field) {
            let (value, why) = composer.field(field);
            values.push((place, value));
            if !why.is_empty() && !because.contains(&why) {
                because.push(why);
            }
        }
    }
    let reasoning = if because.is_empty() {
        format!("The input is about {}.", about(&composer.question))
    } else {
        because.join(" ")
    };
    let mut answer = Map::new();
    for (place, field) in prompt.outputs.iter().enumerate() {
        let value = values.iter().find(|(at, _)| *at == place).map_or_else(
            || Value::String(voice.reasoning(&reasoning)),
            |(_, value)| value.clone(),
        );
        answer.insert(field.name.clone(), value);
    }
    answer
}

fn is_reasoning(field: &Field) -> bool {
    field.is_text() && REASONING.contains(&field.name.as_str())
}

fn is_material(name: &str) -> bool {
    name.split('_').any(|word| MATERIAL.contains(&word))
}

/// The text of the inputs that ask.
fn question(prompt: &Prompt) -> String {
    let asking: Vec<(String, String)> = prompt
        .current
        .iter()
        .filter(|(name, _)| !is_material(name) && name != "trajectory")
        .cloned()
        .collect();
    super::prompt::join(if asking.is_empty() {
        &prompt.current
    } else {
        &asking
    })
}

/// The text of the inputs that are material.
fn material(prompt: &Prompt) -> String {
    let given: Vec<(String, String)> = prompt
        .current
        .iter()
        .filter(|(name, _)| is_material(name))
        .cloned()
        .collect();
    super::prompt::join(&given)
}

/// A few words that say what a text is about.
pub fn about(input: &str) -> String {
    let mut words = summary::keywords(input, 6);
    words.retain(|word| !text::is_asking(&text::stem(word)));
    words.truncate(3);
    if words.is_empty() {
        "that".to_owned()
    } else {
        words.join(", ")
    }
}

struct Composer<'a> {
    prompt: &'a Prompt,
    neighbours: Neighbours<'a>,
    voice: Voice,
    question: String,
    material: String,
}

impl Composer<'_> {
    /// A field's value and why.
    fn field(&self, field: &Field) -> (Value, String) {
        let twin = self.neighbours.twin(&field.name);
        if let Some(taken) = twin.filter(|taken| taken.is_same || self.read().is_none()) {
            let why = told(field, &taken);
            return (taken.value, why);
        }
        if !field.choices().is_empty() {
            return self.choice(field);
        }
        if field.is_code() {
            let why = "The program computes the answer and prints it.".to_owned();
            return (Value::String(super::agent::program(&self.question)), why);
        }
        if field.is_text() {
            let (value, why) = self.text(field);
            return (Value::String(value), why);
        }
        if let Some((seen, because)) = self.seen()
            && let Some(value) = typed::observed(&seen, &field.schema)
        {
            return (value, because);
        }
        typed::value(&typed::Input {
            schema: &field.schema,
            root: &field.schema,
            name: &field.name,
            question: &self.question,
            material: &self.material,
            all: &self.readable(),
            learned: self.neighbours.vote(&field.name),
        })
    }

    /// All inputs but an agent's trajectory.
    fn readable(&self) -> String {
        format!("{}\n{}", self.question, self.material)
            .trim()
            .to_owned()
    }

    /// One of the labels: as the nearest demonstrations say, else by name.
    fn choice(&self, field: &Field) -> (Value, String) {
        let choices = field.choices();
        let names: Vec<String> = choices.iter().map(|value| plain(value)).collect();
        if let Some(place) = choice::spoken_out(&self.question, &names)
            && !self.refuted(&field.name, &names)
            && let Some(value) = choices.get(place)
        {
            let why = format!("The input itself says {}.", plain(value));
            return ((*value).clone(), why);
        }
        let learned = self
            .neighbours
            .vote(&field.name)
            .filter(|taken| choices.contains(&&taken.value));
        if let Some(taken) = learned {
            let why = told(field, &taken);
            return (taken.value, why);
        }
        let seen = self.prompt.input_text();
        if let Some((place, finding)) = choice::by_name(&seen, &names)
            && let Some(value) = choices.get(place)
        {
            return ((*value).clone(), finding.because);
        }
        let guess =
            text::pick(&choices, text::hash(&seen)).map_or(Value::Null, |value| (*value).clone());
        let why = format!(
            "Nothing in the input points to one {}, so {} is a guess.",
            spoken(&field.name),
            plain(&guess)
        );
        (guess, why)
    }

    /// Whether a demonstration says one label and means another.
    fn refuted(&self, field: &str, labels: &[String]) -> bool {
        self.prompt.demos.iter().any(|demo| {
            let said = choice::spoken_out(&super::prompt::join(&demo.inputs), labels)
                .and_then(|place| labels.get(place));
            let meant = demo.outputs.get(field).map(plain);
            matches!((said, meant), (Some(said), Some(meant)) if *said != meant)
        })
    }

    /// What the given passages answer: a demonstration's answer is about others.
    fn read(&self) -> Option<Finding> {
        let asks = passage::is_question(&self.question) && !self.material.trim().is_empty();
        asks.then(|| passage::answer(&self.question, &self.material))?
    }

    fn text(&self, field: &Field) -> (String, String) {
        if self.neighbours.is_label(&field.name)
            && self.read().is_none()
            && let Some(taken) = self.neighbours.vote(&field.name)
        {
            let why = told(field, &taken);
            return (plain(&taken.value), why);
        }
        let manner = Manner::of(self.prompt, field, &self.neighbours);
        let finding = self.by_role(field).or_else(|| self.by_knowledge(field));
        let Some(finding) = finding else {
            let known = self
                .neighbours
                .vote(&field.name)
                .filter(|taken| taken.likeness > 0.6);
            if let Some(taken) = known {
                let why = told(field, &taken);
                return (manner.apply(&plain(&taken.value)), why);
            }
            let topic = about(&self.question);
            let why = format!("The input is about {topic}, of which the demo LM knows nothing.");
            let forms = [
                format!("The demo LM knows nothing about {topic}."),
                format!("The demo LM cannot say anything about {topic}."),
                format!("Of {topic} nothing is known here."),
            ];
            let plain = if manner.is_short() {
                "unknown".to_owned()
            } else {
                self.voice.choose(&forms, &["Sorry: ", "Again: "])
            };
            return (manner.apply(&plain), why);
        };
        let worded = if manner.is_short() || finding.value.is_empty() {
            finding.value.clone()
        } else {
            self.voice.answer(&finding, true)
        };
        (manner.apply(&worded), finding.because)
    }

    /// What the field's own name asks for.
    fn by_role(&self, field: &Field) -> Option<Finding> {
        let input = self.prompt.input_text();
        let name = field.name.to_lowercase();
        let is = |words: &[&str]| name.split('_').any(|word| words.contains(&word));
        if is(&["summary", "gist", "abstract", "tldr"]) {
            let first = summary::first_sentence(&passage::plain(&input))?;
            return Some(Finding::new(
                first,
                "The first sentence says what the text is about.",
            ));
        }
        if is(&["title", "headline"]) {
            return Some(Finding::new(
                summary::title(&input)?,
                "The title is made of the most frequent words.",
            ));
        }
        if is(&["keywords", "tags", "topics", "keyword", "topic"]) {
            let words = summary::keywords(&input, 4);
            let why = "These are the most frequent words.";
            return (!words.is_empty()).then(|| Finding::new(words.join(", "), why));
        }
        if is(&["sentiment", "polarity", "tone", "mood"]) {
            let word = sentiment::word(&input);
            return Some(Finding::new(
                word,
                format!("The words of the input sound {word}."),
            ));
        }
        if is(&["query", "queries"]) {
            let words = summary::keywords(&self.question, 6);
            return (!words.is_empty())
                .then(|| Finding::new(words.join(" "), "The query holds the words of meaning."));
        }
        let kind = extract::wanted(&name).filter(|kind| *kind != extract::Kind::Number)?;
        let first = extract::all(&input, kind).into_iter().next()?;
        let why = format!("The input names {first}.");
        Some(Finding::new(first, why))
    }

    fn by_knowledge(&self, field: &Field) -> Option<Finding> {
        let found = self
            .observed()
            .or_else(|| skills::arithmetic::solve(&self.question))
            .or_else(|| {
                passage::answer(&self.question, &self.material)
                    .filter(|_| !self.material.trim().is_empty())
            })
            .or_else(|| skills::facts::recall(&self.question));
        let found = match self.offered() {
            Some(options) => one_of(&options, &self.question, found),
            None => found,
        };
        if found.is_some() {
            return found;
        }
        let wanted = extract::wanted(&field.name)?;
        let first = extract::all(&self.prompt.input_text(), wanted)
            .into_iter()
            .next()?;
        let why = format!("The input names {first}.");
        Some(Finding::new(first, why))
    }

    /// The answers an input offers to choose from.
    fn offered(&self) -> Option<Vec<String>> {
        let (_, list) = self.prompt.current.iter().find(|(name, _)| {
            ["choices", "options", "candidates", "labels", "alternatives"]
                .contains(&name.to_lowercase().as_str())
        })?;
        let options = passage::lines(list);
        (options.len() > 1).then_some(options)
    }

    /// What the tools of an agent, or the code it ran, said to the question.
    fn observed(&self) -> Option<Finding> {
        let (output, why) = self.seen()?;
        Some(Finding::new(told_by(&self.question, &output), why))
    }

    /// What was observed, and that it was.
    fn seen(&self) -> Option<(String, String)> {
        let ran = self.prompt.input("code_output");
        let output = ran
            .filter(|output| !output.trim().is_empty())
            .map(super::agent::code_result)
            .or_else(|| super::agent::observed(&self.question, self.prompt.input("trajectory")?))?;
        let shown = text::shorten(passage::items(&output).trim(), 160);
        let why = format!("What was observed is: {}.", shown.trim_end_matches('.'));
        Some((output, why))
    }
}

/// The offered answer that holds what was found, else the one whose words the
/// question speaks of, else one of them as a guess.
fn one_of(options: &[String], question: &str, found: Option<Finding>) -> Option<Finding> {
    if let Some(found) = found {
        let known = text::words(&found.value);
        let holds = |option: &&String| {
            let words = text::words(option);
            !known.is_empty() && known.iter().all(|word| words.contains(word))
        };
        if let Some(option) = options.iter().find(holds) {
            return Some(Finding::new(option.clone(), found.because));
        }
    }
    if let Some((_, finding)) = choice::by_name(question, options) {
        return Some(finding);
    }
    let guess = text::pick(options, text::hash(question))?;
    let why = format!("Nothing points to one of the options, so {guess} is a guess.");
    Some(Finding::new(guess.clone(), why))
}

/// What an observation says about a question: all of it when it is one short
/// text, else the part that answers.
pub fn told_by(question: &str, observed: &str) -> String {
    let plain = passage::plain(observed);
    let sentences = text::sentences(&plain);
    if sentences
        .iter()
        .all(|item| item.split_whitespace().count() < 4)
    {
        return passage::items(observed);
    }
    if sentences.len() < 2 && !observed.trim_start().starts_with(['[', '{', '«']) {
        return observed.trim().to_owned();
    }
    passage::answer(question, &plain).map_or_else(|| plain.trim().to_owned(), |found| found.value)
}

/// The reason for a value taken from a demonstration.
fn told(field: &Field, taken: &Taken) -> String {
    format!(
        "It resembles the example \"{}\", whose {} is {}.",
        text::shorten(taken.like.trim(), 60).replace('\n', " "),
        spoken(&field.name),
        text::shorten(&plain(&taken.value), 40),
    )
}

fn spoken(name: &str) -> String {
    name.replace('_', " ")
}

/// A value as text: a string without quotes.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Some JSON object for a schema, from free text: structured outputs without a
/// DSPy prompt.
pub fn by_schema(schema: &Value, input: &str) -> Value {
    let (value, _) = typed::value(&typed::Input {
        schema,
        root: schema,
        name: "",
        question: input,
        material: "",
        all: input,
        learned: None,
    });
    if value.is_null() { json!({}) } else { value }
}
