//! The small things the demo LM can really do. Each is a pure function from text
//! to a [`Finding`], or to nothing when the skill does not apply.

pub mod arithmetic;
pub mod choice;
pub mod expression;
pub mod extract;
pub mod facts;
pub mod measure;
pub mod passage;
pub mod sentiment;
pub mod summary;

/// What a skill found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The bare answer: `84`.
    pub value: String,
    /// The answer as a sentence, where that is how a person would answer.
    pub sentence: Option<String>,
    /// One true sentence about how it was found.
    pub because: String,
}

impl Finding {
    /// A bare answer and how it was found.
    pub fn new(value: impl Into<String>, because: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            sentence: None,
            because: because.into(),
        }
    }

    /// Adds the answer as a sentence.
    #[must_use]
    pub fn sentence(mut self, sentence: impl Into<String>) -> Self {
        self.sentence = Some(sentence.into());
        self
    }
}

/// Answers a question from general knowledge: arithmetic first, then facts.
pub fn question(text: &str) -> Option<Finding> {
    arithmetic::solve(text).or_else(|| facts::recall(text))
}
