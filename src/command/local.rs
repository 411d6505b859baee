//! Questions a front end answers from the state, without an operation.

use std::fmt::Write as _;

use super::help::help_text;
use crate::protocol::error::OperationError;
use crate::session::event::{RunId, RunStatus, SignatureDef};
use crate::session::state::{Run, SessionState, Span};

/// A question whose answer the state already holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// The help, or that of one command.
    Help(Option<String>),
    /// The named signatures.
    Signatures,
    /// The datasets.
    Datasets,
    /// The runs.
    Runs,
    /// The spans of a run; the newest one with spans when `None`.
    Trace(Option<u64>),
}

impl Local {
    /// The answer as plain text of several lines. What it quotes from a session
    /// is not yet made safe for a terminal.
    ///
    /// # Errors
    /// `unknown_command`, `unknown_run`.
    pub fn answer(&self, session: &SessionState) -> Result<String, OperationError> {
        match self {
            Self::Help(topic) => help_text(topic.as_deref()),
            Self::Signatures => Ok(lines(
                session
                    .signatures
                    .iter()
                    .map(|(name, signature)| format!("{name}  {}", signature_line(signature))),
                "no signature has a name yet: `:sig question -> answer name=QA`",
            )),
            Self::Datasets => Ok(lines(
                session.datasets.values().map(|data| {
                    format!(
                        "{}  {} examples  {}  inputs: {}",
                        data.name,
                        data.len,
                        data.fields.join(", "),
                        data.inputs.join(", ")
                    )
                }),
                "no dataset is loaded yet: `:data load FILE`",
            )),
            Self::Runs => Ok(lines(
                session
                    .runs
                    .values()
                    .rev()
                    .take(50)
                    .map(|run| run_line(run)),
                "nothing has run yet",
            )),
            Self::Trace(number) => trace(session, *number),
        }
    }
}

fn lines(items: impl Iterator<Item = String>, none: &str) -> String {
    let text = items.collect::<Vec<_>>().join("\n");
    if text.is_empty() {
        none.to_owned()
    } else {
        text
    }
}

fn signature_line(signature: &SignatureDef) -> String {
    let side = |fields: &[crate::session::event::FieldDef]| {
        let fields = fields.iter().map(|field| match field.type_name.as_str() {
            "" | "str" => field.name.clone(),
            kind => format!("{}: {kind}", field.name),
        });
        fields.collect::<Vec<_>>().join(", ")
    };
    format!(
        "{} -> {}",
        side(&signature.inputs),
        side(&signature.outputs)
    )
}

fn run_line(run: &Run) -> String {
    let mut line = format!(
        "{:>4}  {:<11}  {}",
        run.id.0,
        status_word(run.status),
        run.title
    );
    if let Some(ms) = run.duration_ms {
        let _ = write!(line, "  {}", duration(ms));
    }
    if run.totals.calls + run.totals.hits > 0 {
        let _ = write!(line, "  {} calls", run.totals.calls + run.totals.hits);
    }
    line
}

fn trace(session: &SessionState, number: Option<u64>) -> Result<String, OperationError> {
    let run = match number {
        Some(number) => session.runs.get(&RunId(number)).ok_or_else(|| {
            OperationError::invalid("unknown_run", format!("there is no run {number}"))
                .hint("`:runs` lists them")
        })?,
        None => match session
            .runs
            .values()
            .rev()
            .find(|run| !run.spans.is_empty())
        {
            Some(run) => run,
            None => return Ok("no run has called DSPy yet".to_owned()),
        },
    };
    let mut text = run_line(run).trim_start().to_owned();
    for span in &run.spans {
        text.push('\n');
        text.push_str(&span_line(span));
    }
    Ok(text)
}

fn span_line(span: &Span) -> String {
    let indent = "  ".repeat(usize::from(span.depth) + 1);
    let mut line = format!("{indent}{} {}", span.kind, span.name);
    match span.end_ns {
        Some(end) => {
            let ms = end.saturating_sub(span.start_ns) as f64 / 1e6;
            let _ = write!(line, "  {}", duration(ms));
        }
        None => line.push_str("  running"),
    }
    for exchange in &span.exchanges {
        let _ = write!(
            line,
            "  {}→{} tok",
            exchange.input_tokens, exchange.output_tokens
        );
    }
    if let Some(error) = &span.error {
        let _ = write!(line, "  ✗ {error}");
    }
    line
}

/// One word for a status.
pub(crate) fn status_word(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Ok => "ok",
        RunStatus::Error => "error",
        RunStatus::Interrupted => "interrupted",
        RunStatus::Died => "died",
    }
}

/// Milliseconds as a person reads them.
pub(crate) fn duration(ms: f64) -> String {
    if ms < 1.0 {
        format!("{ms:.2} ms")
    } else if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else if ms < 60_000.0 {
        format!("{:.1} s", ms / 1000.0)
    } else {
        let seconds = (ms / 1000.0).round() as u64;
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(0.5), "0.50 ms");
        assert_eq!(duration(412.3), "412 ms");
        assert_eq!(duration(1530.0), "1.5 s");
        assert_eq!(duration(125_000.0), "2 min 05 s");
    }

    #[test]
    fn an_empty_session_says_what_to_do() {
        let session = SessionState::default();
        let text = Local::Datasets.answer(&session).unwrap();
        assert!(text.contains(":data load"), "{text}");
        let error = Local::Trace(Some(7)).answer(&session).unwrap_err();
        assert_eq!(error.message, "there is no run 7");
    }
}
