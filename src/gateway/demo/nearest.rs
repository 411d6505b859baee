//! Similarity to demonstrations: labels by vote of the nearest ones.
//!
//! This is why few-shot optimizers really raise the demo LM's score, and why
//! demonstrations with wrong labels do not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::prompt::{self, Prompt};
use super::text;

/// How many demonstrations vote.
const VOTERS: usize = 5;

/// From how many demonstrations on it can be told whether they agree, and how many
/// are looked at.
const TELLING: usize = 12;
const LOOKED_AT: usize = 32;

/// Demonstrations ranked by likeness to the inputs of the call.
#[derive(Debug, Default)]
pub struct Neighbours<'a> {
    /// Cosine likeness (0 to 1) and the place in the prompt, likest first.
    ranked: Vec<(f64, usize)>,
    /// Words of each demonstration and of the call, with their weights.
    bags: Vec<BTreeMap<String, f64>>,
    here: BTreeMap<String, f64>,
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
    /// Whether that demonstration's inputs are the call's own, letter for letter.
    pub is_same: bool,
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
        Self {
            ranked: rank(&bags, &here),
            bags,
            here,
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

    /// The value that the nearest demonstrations speak for, each with the square
    /// of its likeness; `None` where none has a word in common with the call.
    ///
    /// Words that stand in demonstrations of different values count less: a
    /// greeting says nothing about a ticket's team.
    ///
    /// Demonstrations that contradict each other are not listened to.
    pub fn vote(&self, field: &str) -> Option<Taken> {
        let prompt = self.prompt?;
        if !self.agree(field) {
            return None;
        }
        let telling = self.telling(field);
        let mut bags = self.bags.clone();
        let mut here = self.here.clone();
        for bag in bags.iter_mut().chain([&mut here]) {
            weigh(bag, &telling);
        }
        let mut votes: Vec<(String, f64, Taken)> = Vec::new();
        let nearest = rank(&bags, &here)
            .into_iter()
            .filter_map(|(likeness, place)| {
                Some((
                    likeness,
                    prompt.demos.get(place)?.outputs.get(field)?,
                    place,
                ))
            })
            .take_while(|(likeness, _, _)| *likeness > 0.0)
            .take(VOTERS);
        for (likeness, value, place) in nearest {
            let key = value.to_string();
            let weight = likeness * likeness;
            match votes.iter_mut().find(|(known, _, _)| *known == key) {
                Some((_, sum, _)) => *sum += weight,
                None => votes.push((key, weight, self.taken(value, likeness, place))),
            }
        }
        let best = votes
            .into_iter()
            .reduce(|best, next| if next.1 > best.1 { next } else { best });
        best.map(|(_, _, taken)| taken)
    }

    /// Whether labels follow from inputs: the demonstrations foretell each other's
    /// labels better than their commonest label does. Few demonstrations, and values
    /// that do not repeat, always pass.
    fn agree(&self, field: &str) -> bool {
        let shown: Vec<(String, &BTreeMap<String, f64>)> = self
            .values(field)
            .filter_map(|(_, value, place)| Some((value.to_string(), self.bags.get(place)?)))
            .take(LOOKED_AT)
            .collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (value, _) in &shown {
            *counts.entry(value).or_default() += 1;
        }
        if shown.len() < TELLING || counts.len() < 2 || counts.len() * 2 > shown.len() {
            return true;
        }
        let lengths: Vec<f64> = shown.iter().map(|(_, bag)| length(bag)).collect();
        let mut votes: Vec<BTreeMap<&str, f64>> = vec![BTreeMap::new(); shown.len()];
        for (left, (left_value, left_bag)) in shown.iter().enumerate() {
            for (right, (right_value, right_bag)) in shown.iter().enumerate().skip(left + 1) {
                let lengths = lengths.get(left).zip(lengths.get(right));
                let likeness = lengths.map_or(0.0, |(a, b)| product(left_bag, right_bag) / (a * b));
                for (at, value) in [(left, right_value), (right, left_value)] {
                    if let Some(votes) = votes.get_mut(at)
                        && likeness > 0.0
                    {
                        *votes.entry(value).or_default() += likeness * likeness;
                    }
                }
            }
        }
        let foretold = shown.iter().zip(&votes).filter(|((value, _), votes)| {
            let best = votes.iter().max_by(|a, b| a.1.total_cmp(b.1));
            best.is_some_and(|(voted, _)| *voted == value)
        });
        let all = shown.len() as f64;
        let chance = counts.values().copied().max().unwrap_or(0) as f64 / all;
        foretold.count() as f64 / all > chance
    }

    /// How much each word tells about a field, 0 to 1: the share of its most
    /// frequent value among the demonstrations that have the word, as if two more
    /// had been seen that disagree.
    fn telling(&self, field: &str) -> BTreeMap<String, f64> {
        let mut seen: BTreeMap<&str, BTreeMap<String, f64>> = BTreeMap::new();
        for (_, value, place) in self.values(field) {
            for word in self.bags.get(place).into_iter().flat_map(BTreeMap::keys) {
                *seen
                    .entry(word)
                    .or_default()
                    .entry(value.to_string())
                    .or_insert(0.0) += 1.0;
            }
        }
        seen.into_iter()
            .map(|(word, values)| {
                let all: f64 = values.values().sum();
                let most = values.values().copied().fold(0.0, f64::max);
                let rest = all - most;
                (
                    word.to_owned(),
                    ((most - rest).max(0.0) + 0.2) / (all + 1.0),
                )
            })
            .collect()
    }

    /// The value of a demonstration whose inputs say the same in the same words.
    pub fn twin(&self, field: &str) -> Option<Taken> {
        let (likeness, value, place) = self.values(field).next()?;
        // A long context with one other word in the question is another question.
        (likeness > 0.9999).then(|| self.taken(value, likeness, place))
    }

    /// Whether the demonstrations treat a text field as a label: short values
    /// of which each comes twice on average.
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
            && different.len() * 2 <= values.len()
    }

    fn taken(&self, value: &Value, likeness: f64, place: usize) -> Taken {
        let demo = self.prompt.and_then(|prompt| prompt.demos.get(place));
        let like = demo.map(|demo| prompt::join(&demo.inputs));
        let here = self.prompt.map(Prompt::input_text);
        Taken {
            value: value.clone(),
            likeness,
            is_same: like.as_deref().map(str::trim) == here.as_deref().map(str::trim),
            like: like.unwrap_or_default(),
        }
    }
}

fn rank(bags: &[BTreeMap<String, f64>], here: &BTreeMap<String, f64>) -> Vec<(f64, usize)> {
    let mut ranked: Vec<(f64, usize)> = bags
        .iter()
        .enumerate()
        .map(|(place, bag)| (cosine(bag, here), place))
        .collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    ranked
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
    let lengths = length(left) * length(right);
    if lengths > 0.0 {
        product(left, right) / lengths
    } else {
        0.0
    }
}

fn length(bag: &BTreeMap<String, f64>) -> f64 {
    bag.values().map(|value| value * value).sum::<f64>().sqrt()
}

fn product(left: &BTreeMap<String, f64>, right: &BTreeMap<String, f64>) -> f64 {
    left.iter()
        .filter_map(|(word, value)| Some(value * right.get(word)?))
        .sum()
}
