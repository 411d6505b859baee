//! Similarity to demonstrations: labels by vote of the nearest ones.
//!
//! This is why few-shot optimizers really raise the demo LM's score, and why
//! demonstrations with wrong labels do not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::prompt::{self, Prompt};
use super::text;

/// Demonstrations ranked by likeness to the inputs of the call.
#[derive(Debug, Default)]
pub struct Neighbours<'a> {
    /// Cosine likeness (0 to 1) and the place in the prompt, likest first.
    ranked: Vec<(f64, usize)>,
    prompt: Option<&'a Prompt>,
}

/// A value taken from demonstrations.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// The value.
    pub value: Value,
    /// Likeness of the nearest demonstration that has it, 0 to 1.
    pub likeness: f64,
    /// That demonstration's inputs, for the reasoning.
    pub like: String,
}

impl<'a> Neighbours<'a> {
    /// Ranks a prompt's demonstrations.
    pub fn of(prompt: &'a Prompt) -> Self {
        let mut bags: Vec<BTreeMap<String, f64>> = prompt
            .demos
            .iter()
            .map(|demo| text::bag(&prompt::join(&demo.inputs)))
            .collect();
        let mut here = text::bag(&prompt.input_text());
        let weights = weights(&bags, &here);
        for bag in bags.iter_mut().chain([&mut here]) {
            weigh(bag, &weights);
        }
        let mut ranked: Vec<(f64, usize)> = bags
            .iter()
            .enumerate()
            .map(|(place, bag)| (cosine(bag, &here), place))
            .collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        Self {
            ranked,
            prompt: Some(prompt),
        }
    }

    /// All values the demonstrations supply for an output, nearest first.
    pub fn values(&self, field: &str) -> impl Iterator<Item = (f64, &'a Value, usize)> {
        let prompt = self.prompt;
        self.ranked.iter().filter_map(move |(likeness, place)| {
            let value = prompt?.demos.get(*place)?.outputs.get(field)?;
            Some((*likeness, value, *place))
        })
    }

    /// The value that the five nearest demonstrations speak for, each with its
    /// likeness; `None` where none has a word in common with the call.
    pub fn vote(&self, field: &str) -> Option<Taken> {
        let mut votes: Vec<(String, f64, Taken)> = Vec::new();
        for (likeness, value, place) in self
            .values(field)
            .take(5)
            .filter(|(likeness, _, _)| *likeness > 0.0)
        {
            let key = value.to_string();
            let weight = likeness * likeness;
            match votes.iter_mut().find(|(known, _, _)| *known == key) {
                Some((_, sum, _)) => *sum += weight,
                None => votes.push((key, weight, self.taken(value, likeness, place))),
            }
        }
        votes
            .into_iter()
            .reduce(|best, next| if next.1 > best.1 { next } else { best })
            .map(|(_, _, taken)| taken)
    }

    /// The value of a demonstration whose inputs say the same in the same words.
    pub fn twin(&self, field: &str) -> Option<Taken> {
        let (likeness, value, place) = self.values(field).next()?;
        (likeness > 0.98).then(|| self.taken(value, likeness, place))
    }

    /// Whether the demonstrations treat a text field as a label: short values
    /// that come again.
    pub fn is_label(&self, field: &str) -> bool {
        let values: Vec<&str> = self
            .values(field)
            .filter_map(|(_, value, _)| value.as_str())
            .collect();
        let different: BTreeSet<&str> = values.iter().copied().collect();
        values.len() >= 2
            && values
                .iter()
                .all(|value| value.split_whitespace().count() <= 3 && !value.is_empty())
            && different.len() < values.len()
    }

    fn taken(&self, value: &Value, likeness: f64, place: usize) -> Taken {
        let like = self
            .prompt
            .and_then(|prompt| prompt.demos.get(place))
            .map(|demo| prompt::join(&demo.inputs))
            .unwrap_or_default();
        Taken {
            value: value.clone(),
            likeness,
            like,
        }
    }
}

fn weights(bags: &[BTreeMap<String, f64>], here: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let texts = bags.len() as f64 + 1.0;
    let mut seen: BTreeMap<String, f64> = BTreeMap::new();
    for word in bags.iter().chain([here]).flat_map(BTreeMap::keys) {
        *seen.entry(word.clone()).or_insert(0.0) += 1.0;
    }
    seen.into_iter()
        .map(|(word, count)| (word, 1.0 + (texts / count).ln()))
        .collect()
}

fn weigh(bag: &mut BTreeMap<String, f64>, weights: &BTreeMap<String, f64>) {
    for (word, count) in bag {
        *count *= weights.get(word).copied().unwrap_or(1.0);
    }
}

fn cosine(left: &BTreeMap<String, f64>, right: &BTreeMap<String, f64>) -> f64 {
    let length =
        |bag: &BTreeMap<String, f64>| bag.values().map(|value| value * value).sum::<f64>().sqrt();
    let product: f64 = left
        .iter()
        .filter_map(|(word, value)| Some(value * right.get(word)?))
        .sum();
    let lengths = length(left) * length(right);
    if lengths > 0.0 {
        product / lengths
    } else {
        0.0
    }
}
