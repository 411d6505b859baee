//! Made-up datasets of the kinds the product ships, from a seed: the same seed
//! gives the same rows on every machine and in every version.
//!
//! The shipped files are `python/dspex_worker/datasets/KIND.jsonl`, made by
//! [`generate`] with seed 1: `tickets` (60 rows; `ticket`, `category`: which of four
//! teams gets it, by code names that say nothing), `arithmetic` (60; `question`,
//! `answer`), `reviews` (60; `review`, `sentiment`) and `facts` (48; `passage`,
//! `question`, `answer`).

use serde_json::{Map, Value, json};

use crate::protocol::error::{OperationError, near_matches};

mod wording;

/// The kinds of datasets there are.
pub const KINDS: &[&str] = &["tickets", "arithmetic", "reviews", "facts"];

/// Most rows that are made at once.
pub const MOST_ROWS: usize = 100_000;

/// Makes `n` rows of a kind.
///
/// Errors: an unknown kind (with near matches), or more than [`MOST_ROWS`] rows.
pub fn generate(
    kind: &str,
    seed: u64,
    n: usize,
) -> Result<Vec<Map<String, Value>>, OperationError> {
    if n > MOST_ROWS {
        let message = format!("{n} rows are too many to generate");
        return Err(OperationError::invalid("too_many_rows", message)
            .hint(format!("ask for at most {MOST_ROWS}")));
    }
    let row: fn(&mut Dice, usize) -> Value = match kind {
        "tickets" => ticket,
        "arithmetic" => arithmetic,
        "reviews" => review,
        "facts" => fact,
        _ => {
            return Err(OperationError::invalid(
                "unknown_dataset_kind",
                format!("there is no dataset kind \"{kind}\""),
            )
            .hint(format!("use one of {}", KINDS.join(", ")))
            .near(near_matches(kind, KINDS.iter().copied())));
        }
    };
    let mut dice = Dice(seed ^ crate::gateway::demo::text::hash(kind));
    let rows = (0..n).filter_map(|place| match row(&mut dice, place) {
        Value::Object(row) => Some(row),
        _ => None,
    });
    Ok(rows.collect())
}

/// SplitMix64: small, and the same for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// `low` to `high`, both included.
    fn number(&mut self, low: u64, high: u64) -> u64 {
        low + self.roll() % (high - low + 1)
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        let place = self.roll() % (items.len() as u64).max(1);
        items
            .get(usize::try_from(place).unwrap_or(0))
            .copied()
            .unwrap_or_default()
    }
}

/// Which of four teams a support ticket goes to.
fn ticket(dice: &mut Dice, place: usize) -> Value {
    // Every four rows have each team once, starting at a different one.
    let team = (place + place / 4) % 4;
    let Some((category, problems)) = wording::TEAMS.get(team) else {
        return Value::Null;
    };
    let ticket = format!(
        "{} {} {}",
        dice.pick(wording::GREETINGS),
        fill(dice.pick(problems), dice),
        dice.pick(wording::CLOSINGS)
    );
    json!({"ticket": ticket.trim(), "category": category})
}

/// A word problem with two numbers.
fn arithmetic(dice: &mut Dice, _place: usize) -> Value {
    let (name, thing) = (dice.pick(wording::NAMES), dice.pick(wording::THINGS));
    let (many, few) = (dice.number(12, 60), dice.number(2, 11));
    let (question, answer) = match dice.roll() % 5 {
        0 => (
            format!(
                "{name} has {many} {thing} and buys {few} more. How many {thing} does {name} have now?"
            ),
            many + few,
        ),
        1 => (
            format!("{name} has {many} {thing} and gives away {few}. How many {thing} are left?"),
            many - few,
        ),
        2 => (
            format!(
                "One box holds {many} {thing}. How many {thing} are in {few} boxes if each is full?"
            ),
            many * few,
        ),
        3 => (
            format!(
                "{} {thing} are shared equally among {few} friends. How many {thing} does each get?",
                many * few
            ),
            many,
        ),
        _ => (format!("What is {many} * {few}?"), many * few),
    };
    json!({"question": question, "answer": answer.to_string()})
}

/// A short review that is pleased or not.
fn review(dice: &mut Dice, place: usize) -> Value {
    let good = place.is_multiple_of(2);
    let words = if good {
        wording::PRAISE
    } else {
        wording::BLAME
    };
    let review = format!(
        "The {} {}. {}",
        dice.pick(wording::PRODUCTS),
        dice.pick(words),
        dice.pick(wording::ASIDES)
    );
    json!({"review": review.trim(), "sentiment": if good { "positive" } else { "negative" }})
}

/// A passage about a made-up place, and a question it answers.
fn fact(dice: &mut Dice, _place: usize) -> Value {
    let place = format!(
        "{}{}",
        dice.pick(wording::STEMS),
        dice.pick(wording::ENDINGS)
    );
    let building = dice.pick(wording::BUILDINGS);
    let builder = format!(
        "{} {}",
        dice.pick(wording::NAMES),
        dice.pick(wording::SURNAMES)
    );
    let (year, metres) = (dice.number(1820, 1990), dice.number(40, 900));
    let goods = dice.pick(wording::GOODS);
    let passage = format!(
        "The {building} of {place} was built by {builder} in {year}. It is {metres} metres long. The town of {place} is known for its {goods}."
    );
    let (question, answer) = match dice.roll() % 4 {
        0 => (format!("Who built the {building} of {place}?"), builder),
        1 => (
            format!("In which year was the {building} of {place} built?"),
            year.to_string(),
        ),
        2 => (
            format!("How many metres long is the {building} of {place}?"),
            metres.to_string(),
        ),
        _ => (
            format!("What is the town of {place} known for?"),
            format!("its {goods}"),
        ),
    };
    json!({"passage": passage, "question": question, "answer": answer})
}

/// Fills `{n}`, `{day}` and `{device}` in.
fn fill(template: &str, dice: &mut Dice) -> String {
    let mut text = template.to_owned();
    if text.contains("{n}") {
        text = text.replace("{n}", &dice.number(2, 98).to_string());
    }
    if text.contains("{day}") {
        text = text.replace("{day}", dice.pick(wording::DAYS));
    }
    if text.contains("{device}") {
        text = text.replace("{device}", dice.pick(wording::DEVICES));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_rows_and_another_seed_others() {
        for kind in KINDS {
            let rows = |seed| generate(kind, seed, 20).ok();
            assert_eq!(rows(7).map(|rows| rows.len()), Some(20));
            assert_eq!(rows(7), rows(7));
            assert_ne!(rows(7), rows(8));
        }
    }

    #[test]
    fn an_unknown_kind_is_refused_with_near_matches() {
        let near = generate("ticket", 1, 1)
            .err()
            .map(|error| error.recovery.near);
        assert_eq!(near, Some(vec!["tickets".to_owned()]));
    }
}
