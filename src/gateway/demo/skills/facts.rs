//! A small table of facts: what a demo is likely to be asked.

use super::Finding;
use crate::gateway::demo::text;

/// Countries and their capitals.
const CAPITALS: &[(&str, &str)] = &[
    ("argentina", "Buenos Aires"),
    ("australia", "Canberra"),
    ("austria", "Vienna"),
    ("belgium", "Brussels"),
    ("brazil", "Brasília"),
    ("canada", "Ottawa"),
    ("chile", "Santiago"),
    ("china", "Beijing"),
    ("colombia", "Bogotá"),
    ("croatia", "Zagreb"),
    ("cuba", "Havana"),
    ("denmark", "Copenhagen"),
    ("egypt", "Cairo"),
    ("england", "London"),
    ("ethiopia", "Addis Ababa"),
    ("finland", "Helsinki"),
    ("france", "Paris"),
    ("germany", "Berlin"),
    ("ghana", "Accra"),
    ("greece", "Athens"),
    ("hungary", "Budapest"),
    ("iceland", "Reykjavik"),
    ("india", "New Delhi"),
    ("indonesia", "Jakarta"),
    ("iran", "Tehran"),
    ("ireland", "Dublin"),
    ("italy", "Rome"),
    ("japan", "Tokyo"),
    ("kenya", "Nairobi"),
    ("mexico", "Mexico City"),
    ("morocco", "Rabat"),
    ("netherlands", "Amsterdam"),
    ("nigeria", "Abuja"),
    ("norway", "Oslo"),
    ("peru", "Lima"),
    ("poland", "Warsaw"),
    ("portugal", "Lisbon"),
    ("romania", "Bucharest"),
    ("russia", "Moscow"),
    ("scotland", "Edinburgh"),
    ("south korea", "Seoul"),
    ("spain", "Madrid"),
    ("sweden", "Stockholm"),
    ("switzerland", "Bern"),
    ("thailand", "Bangkok"),
    ("turkey", "Ankara"),
    ("ukraine", "Kyiv"),
    ("united kingdom", "London"),
    ("united states", "Washington, D.C."),
    ("vietnam", "Hanoi"),
];

/// Words that must all occur (as stems), the bare answer, the answer as a sentence.
const FACTS: &[(&str, &str, &str)] = &[
    (
        "sky blue",
        "Rayleigh scattering",
        "The sky is blue because air scatters short blue wavelengths of sunlight more than long red ones (Rayleigh scattering).",
    ),
    (
        "sunset red",
        "Rayleigh scattering",
        "Sunsets are red because low sunlight crosses more air, which scatters the blue out of it.",
    ),
    (
        "largest planet",
        "Jupiter",
        "Jupiter is the largest planet of the solar system.",
    ),
    (
        "biggest planet",
        "Jupiter",
        "Jupiter is the largest planet of the solar system.",
    ),
    (
        "smallest planet",
        "Mercury",
        "Mercury is the smallest planet of the solar system.",
    ),
    (
        "planet closest sun",
        "Mercury",
        "Mercury is the planet closest to the sun.",
    ),
    (
        "hottest planet",
        "Venus",
        "Venus is the hottest planet of the solar system.",
    ),
    ("red planet", "Mars", "Mars is called the red planet."),
    (
        "planet rings",
        "Saturn",
        "Saturn is the planet best known for its rings.",
    ),
    ("how many planet", "8", "The solar system has 8 planets."),
    ("how many continent", "7", "There are 7 continents."),
    ("how many days year", "365", "A common year has 365 days."),
    ("how many days week", "7", "A week has 7 days."),
    ("how many hours day", "24", "A day has 24 hours."),
    ("how many minutes hour", "60", "An hour has 60 minutes."),
    ("how many legs spider", "8", "A spider has 8 legs."),
    (
        "wrote hamlet",
        "William Shakespeare",
        "William Shakespeare wrote Hamlet.",
    ),
    (
        "author hamlet",
        "William Shakespeare",
        "William Shakespeare wrote Hamlet.",
    ),
    (
        "wrote romeo juliet",
        "William Shakespeare",
        "William Shakespeare wrote Romeo and Juliet.",
    ),
    (
        "wrote pride prejudice",
        "Jane Austen",
        "Jane Austen wrote Pride and Prejudice.",
    ),
    ("wrote 1984", "George Orwell", "George Orwell wrote 1984."),
    (
        "wrote don quixote",
        "Miguel de Cervantes",
        "Miguel de Cervantes wrote Don Quixote.",
    ),
    (
        "painted mona lisa",
        "Leonardo da Vinci",
        "Leonardo da Vinci painted the Mona Lisa.",
    ),
    (
        "boiling point water",
        "100 °C",
        "Water boils at 100 °C at sea level.",
    ),
    (
        "water boil",
        "100 °C",
        "Water boils at 100 °C at sea level.",
    ),
    ("water freeze", "0 °C", "Water freezes at 0 °C."),
    (
        "speed light",
        "299,792,458 m/s",
        "The speed of light in vacuum is 299,792,458 metres per second.",
    ),
    (
        "chemical symbol gold",
        "Au",
        "The chemical symbol of gold is Au.",
    ),
    (
        "chemical symbol water",
        "H2O",
        "The chemical formula of water is H2O.",
    ),
    (
        "chemical formula water",
        "H2O",
        "The chemical formula of water is H2O.",
    ),
    (
        "chemical symbol iron",
        "Fe",
        "The chemical symbol of iron is Fe.",
    ),
    (
        "largest ocean",
        "Pacific Ocean",
        "The Pacific Ocean is the largest ocean.",
    ),
    (
        "longest river",
        "Nile",
        "The Nile is usually called the longest river.",
    ),
    (
        "highest mountain",
        "Mount Everest",
        "Mount Everest is the highest mountain above sea level.",
    ),
    (
        "tallest mountain",
        "Mount Everest",
        "Mount Everest is the highest mountain above sea level.",
    ),
    (
        "largest desert",
        "Antarctica",
        "Antarctica is the largest desert.",
    ),
    (
        "largest animal",
        "blue whale",
        "The blue whale is the largest animal.",
    ),
    (
        "fastest animal",
        "cheetah",
        "The cheetah is the fastest land animal.",
    ),
    (
        "discovered penicillin",
        "Alexander Fleming",
        "Alexander Fleming discovered penicillin.",
    ),
    (
        "discovered gravity",
        "Isaac Newton",
        "Isaac Newton formulated the law of gravity.",
    ),
    (
        "theory relativity",
        "Albert Einstein",
        "Albert Einstein developed the theory of relativity.",
    ),
    (
        "invented telephone",
        "Alexander Graham Bell",
        "Alexander Graham Bell patented the telephone.",
    ),
    (
        "first man moon",
        "Neil Armstrong",
        "Neil Armstrong was the first person on the moon.",
    ),
    (
        "first person moon",
        "Neil Armstrong",
        "Neil Armstrong was the first person on the moon.",
    ),
    (
        "first president united states",
        "George Washington",
        "George Washington was the first president of the United States.",
    ),
    ("currency japan", "yen", "The currency of Japan is the yen."),
    ("color grass", "green", "Grass is green."),
    ("colour grass", "green", "Grass is green."),
    (
        "plants make food",
        "photosynthesis",
        "Plants make food by photosynthesis.",
    ),
    (
        "gas plants absorb",
        "carbon dioxide",
        "Plants absorb carbon dioxide.",
    ),
    (
        "powerhouse cell",
        "mitochondria",
        "The mitochondria are the powerhouse of the cell.",
    ),
    (
        "what dspy",
        "a framework for programming language models",
        "DSPy is a framework for programming, rather than prompting, language models.",
    ),
];

/// Answers a question from the table; `None` when it is not there.
pub fn recall(question: &str) -> Option<Finding> {
    let lower = question.to_lowercase();
    if lower.contains("capital") {
        let country = CAPITALS
            .iter()
            .find(|(country, _)| contains_words(&lower, country));
        if let Some((country, capital)) = country {
            let name = country_name(country);
            let sentence = format!("The capital of {name} is {capital}.");
            return Some(Finding::new(*capital, sentence.clone()).sentence(sentence));
        }
        let city = CAPITALS
            .iter()
            .find(|(_, capital)| contains_words(&lower, &capital.to_lowercase()));
        if let Some((country, capital)) = city {
            let name = country_name(country);
            let sentence = format!("{capital} is the capital of {name}.");
            return Some(Finding::new(name, sentence.clone()).sentence(sentence));
        }
    }
    let stems: Vec<String> = text::words(&lower)
        .iter()
        .map(|word| text::stem(word))
        .collect();
    let (_, value, sentence) = FACTS
        .iter()
        .find(|(keys, _, _)| keys.split(' ').all(|key| stems.contains(&text::stem(key))))?;
    Some(Finding::new(*value, *sentence).sentence(*sentence))
}

/// Whether a statement or a yes-no question says what is known, with the fact.
pub fn confirms(text: &str) -> Option<(bool, String)> {
    let lower = text.to_lowercase();
    let asks = ["what", "who", "which", "where", "when", "why", "how"];
    if text::words(&lower)
        .first()
        .is_none_or(|word| asks.contains(&word.as_str()))
    {
        return None;
    }
    let known = recall(text)?;
    Some((
        contains_words(&lower, &known.value.to_lowercase()),
        known.because,
    ))
}

fn contains_words(text: &str, phrase: &str) -> bool {
    let padded = format!(" {} ", text::words(text).join(" "));
    padded.contains(&format!(" {} ", text::words(phrase).join(" ")))
}

fn country_name(key: &str) -> String {
    let name: Vec<String> = key.split(' ').map(text::capitalise).collect();
    let name = name.join(" ");
    if key.starts_with("united") || key == "netherlands" {
        format!("the {name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_confirmed_or_denied() {
        let holds = |text| confirms(text).map(|(holds, _)| holds);
        assert_eq!(holds("Is Paris the capital of Germany?"), Some(false));
        assert_eq!(holds("Paris is the capital of France."), Some(true));
        assert_eq!(holds("What is the capital of France?"), None);
    }

    #[test]
    fn known_facts_are_recalled_and_others_are_not() {
        let value = |question| recall(question).map(|found| found.value);
        assert_eq!(
            value("What is the capital of France?").as_deref(),
            Some("Paris")
        );
        assert_eq!(
            value("Lima is the capital of which country?").as_deref(),
            Some("Peru")
        );
        assert_eq!(
            value("why is the sky blue?").as_deref(),
            Some("Rayleigh scattering")
        );
        assert_eq!(value("What is the capital of Atlantis?"), None);
    }
}
