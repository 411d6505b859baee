//! Different words for the same fact, by rollout.

use super::conversation::Conversation;
use super::skills::Finding;

/// Which wording an answer gets. 0 is the plain one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Voice(pub usize);

impl Voice {
    /// The wording of the `index`-th answer of a request: plain without a rollout
    /// id for the first answer, or at temperature 0.
    pub fn of(conversation: &Conversation, index: usize) -> Self {
        let rollout = conversation
            .rollout_id
            .map_or(0, |id| usize::try_from(id.unsigned_abs()).unwrap_or(0));
        if conversation.temperature == Some(0.0) {
            return Self(0);
        }
        Self(rollout.wrapping_add(index))
    }

    /// An open answer in this wording. `sentence_first` says that the plain
    /// wording is the sentence.
    pub fn answer(self, finding: &Finding, sentence_first: bool) -> String {
        let value = &finding.value;
        let long = finding.sentence.clone();
        let shown = finding.because.trim_end_matches('.');
        let mut forms = vec![value.clone()];
        if let Some(sentence) = &long {
            forms.insert(usize::from(!sentence_first), sentence.clone());
        } else if shown.ends_with(&format!("= {value}")) {
            forms.push(shown.to_owned());
        }
        forms.push(format!("The answer is {value}."));
        forms.push(format!("It is {value}."));
        self.choose(
            &forms,
            &[
                "In short: ",
                "To be exact: ",
                "As far as I can tell: ",
                "Briefly: ",
            ],
        )
    }

    /// A line of reasoning in this wording.
    pub fn reasoning(self, text: &str) -> String {
        let forms = [
            text.to_owned(),
            format!("Step by step: {text}"),
            format!("Let us see. {text}"),
            format!("First the input, then the answer. {text}"),
        ];
        self.choose(
            &forms,
            &["Once more: ", "Again: ", "In other words: ", "To repeat: "],
        )
    }

    /// The form for this voice; after all forms were used, again with an opener.
    pub fn choose(self, forms: &[String], openers: &[&str]) -> String {
        let count = forms.len().max(1);
        let form = forms.get(self.0 % count).cloned().unwrap_or_default();
        match (self.0 / count).checked_sub(1) {
            None => form,
            Some(round) => {
                let opener = openers
                    .get(round % openers.len().max(1))
                    .copied()
                    .unwrap_or_default();
                format!("{opener}{form}")
            }
        }
    }
}
