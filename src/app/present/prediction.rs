//! A prediction as labelled rows, each kind of module in its own way: the steps of
//! an agent, generated code with its output, attempts with rewards, chains.
//!
//! Owns which rows there are and their words; front ends own colours and frames.

use serde_json::{Map, Value};

use super::value::untagged;

/// The narrowest column that is still read, and what stands between two.
const NARROWEST: usize = 12;
const BETWEEN: usize = 3;

/// One row: a label, and text of one line or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// `answer`, `step 2`, `attempt 1`.
    pub label: String,
    /// What is shown beside it.
    pub text: String,
}

/// What a module did and answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Rows, in order.
    pub rows: Vec<Row>,
    /// Answers that are best read side by side, with their fields; may be empty.
    pub chains: Vec<Vec<Row>>,
}

impl View {
    /// With steps of at most `lines` lines; what is asked for is shown whole.
    #[must_use]
    pub fn folded(mut self, lines: usize) -> Self {
        for row in self.rows.iter_mut().filter(|row| is_step(&row.label)) {
            if let Some((end, _)) = row.text.match_indices('\n').nth(lines.saturating_sub(1)) {
                row.text.truncate(end);
                row.text.push_str("\n… `o` unfolds");
            }
        }
        self
    }
}

/// The rows of a prediction's fields.
pub fn view(fields: &Map<String, Value>) -> View {
    let mut view = View::default();
    for (name, value) in fields {
        let shown = match name.as_str() {
            "trajectory" => trajectory(&untagged(value)),
            "history" => history(&untagged(value)),
            "code_runs" => code_runs(&untagged(value)),
            "attempts" => attempts(&untagged(value), &mut view.chains),
            "results" => numbered("result", &untagged(value)),
            _ => None,
        };
        match shown {
            Some(rows) => view.rows.extend(rows),
            // RLM's own long name would push every text to the right.
            None if name == "final_reasoning" && !fields.contains_key("reasoning") => {
                view.rows.push(row("reasoning", text(value)));
            }
            None => view.rows.push(row(name, text(value))),
        }
    }
    // How it got there comes before what it came to.
    view.rows.sort_by_key(|row| !is_step(&row.label));
    view
}

/// The rows as plain text: labels aligned, long values over several lines, chains
/// in columns of a page of `width`.
pub fn plain(fields: &Map<String, Value>, width: usize) -> String {
    let view = view(fields);
    let mut lines = aligned(&view.rows);
    if !view.chains.is_empty() {
        lines.extend(side_by_side(&view.chains, width));
    }
    lines.join("\n")
}

/// Chains as columns under their numbers, in several rows of columns where they do not all
/// fit beside each other: each line at most `width` wide.
pub fn side_by_side(chains: &[Vec<Row>], width: usize) -> Vec<String> {
    let fit = ((width + BETWEEN) / (NARROWEST + BETWEEN)).clamp(1, chains.len().max(1));
    let column = (width.saturating_sub((fit - 1) * BETWEEN) / fit).max(1);
    let groups = chains.chunks(fit).enumerate();
    groups
        .flat_map(|(group, chains)| columns(chains, group * fit, column))
        .collect()
}

/// Chains beside each other; `first` is the place of the first among all.
fn columns(chains: &[Vec<Row>], first: usize, column: usize) -> Vec<String> {
    use unicode_width::UnicodeWidthStr as _;
    let columns: Vec<Vec<String>> = chains
        .iter()
        .enumerate()
        .map(|(idx, rows)| {
            let mut lines = vec![format!("chain {}", first + idx + 1)];
            for row in rows {
                lines.extend(wrapped(&format!("{}: {}", row.label, row.text), column));
            }
            lines
        })
        .collect();
    let height = columns.iter().map(Vec::len).max().unwrap_or(0);
    (0..height)
        .map(|at| {
            let cells: Vec<String> = columns
                .iter()
                .map(|lines| {
                    let cell = lines.get(at).map_or("", String::as_str);
                    format!("{cell}{}", " ".repeat(column.saturating_sub(cell.width())))
                })
                .collect();
            cells.join(" │ ").trim_end().to_owned()
        })
        .collect()
}

fn aligned(rows: &[Row]) -> Vec<String> {
    use unicode_width::UnicodeWidthStr as _;
    let width = rows.iter().map(|row| row.label.width()).max().unwrap_or(0);
    let indent = format!("\n{}", " ".repeat(width + 2));
    let line = |row: &Row| {
        let gap = " ".repeat(width - row.label.width() + 2);
        let text = row.text.trim_end().replace('\n', &indent);
        format!("{}{gap}{text}", row.label)
    };
    rows.iter().map(line).collect()
}

fn is_step(label: &str) -> bool {
    ["step ", "code ", "attempt "]
        .iter()
        .any(|start| label.starts_with(start))
}

/// ReAct's flat object of `thought_0`, `tool_name_0`, …, CodeAct's of
/// `generated_code_0`, …, and RLM's list of `{reasoning, code, output}`.
fn trajectory(value: &Value) -> Option<Vec<Row>> {
    if let Value::Array(steps) = value {
        let rows = steps.iter().enumerate().map(|(idx, step)| {
            let of = |key: &str| step.get(key).map(text).unwrap_or_default();
            row(
                &format!("step {}", idx + 1),
                paragraphs(&[of("reasoning"), of("code"), arrow(&of("output"))]),
            )
        });
        return Some(rows.collect());
    }
    let object = value.as_object()?;
    let mut rows = Vec::new();
    for idx in 0.. {
        let of = |key: &str| object.get(&format!("{key}_{idx}"));
        let there = [
            "thought",
            "tool_name",
            "generated_code",
            "code_output",
            "observation",
        ]
        .iter()
        .any(|key| of(key).is_some());
        if !there {
            break;
        }
        let words = |key: &str| of(key).map(text).unwrap_or_default();
        let called = of("tool_name").map_or_else(String::new, |name| call(name, of("tool_args")));
        let seen = [words("observation"), printed(&words("code_output"))]
            .into_iter()
            .find(|seen| !seen.is_empty());
        let parts = [
            words("thought"),
            called,
            words("generated_code"),
            arrow(&seen.unwrap_or_default()),
        ];
        rows.push(row(&format!("step {}", idx + 1), paragraphs(&parts)));
    }
    (!rows.is_empty() || object.is_empty()).then_some(rows)
}

/// CodeAct keeps what code printed as JSON: `"84\n"`.
fn printed(output: &str) -> String {
    serde_json::from_str(output).unwrap_or_else(|_| output.to_owned())
}

/// ReActV2's messages: a thought, calls of tools and what they gave.
fn history(value: &Value) -> Option<Vec<Row>> {
    let messages = value.get("messages")?.as_array()?;
    let rows = messages.iter().enumerate().map(|(idx, message)| {
        let mut parts = vec![message.get("next_thought").map(text).unwrap_or_default()];
        let calls = message.pointer("/tool_calls/tool_calls");
        let results = message.pointer("/tool_calls/tool_call_results/tool_call_results");
        let results = results.or_else(|| message.pointer("/tool_call_results/tool_call_results"));
        for (at, made) in calls
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            parts.push(call(made.get("name")?, made.get("args")));
            let gave = results.and_then(|list| list.get(at)?.get("value"));
            parts.push(arrow(&gave.map(text).unwrap_or_default()));
        }
        Some(row(&format!("step {}", idx + 1), paragraphs(&parts)))
    });
    rows.collect()
}

fn code_runs(value: &Value) -> Option<Vec<Row>> {
    let runs = value.as_array()?;
    let rows = runs.iter().enumerate().map(|(idx, run)| {
        let of = |key: &str| run.get(key).map(text).unwrap_or_default();
        let failed = of("error");
        let end = if failed.is_empty() {
            arrow(&of("output"))
        } else {
            format!("✗ {failed}")
        };
        row(
            &format!("code {}", idx + 1),
            paragraphs(&[of("code").trim().to_owned(), end]),
        )
    });
    Some(rows.collect())
}

/// Attempts with a reward are rows, the best marked; those without are chains to compare.
fn attempts(value: &Value, chains: &mut Vec<Vec<Row>>) -> Option<Vec<Row>> {
    let list = value.as_array()?;
    let reward = |attempt: &Value| attempt.get("reward").and_then(Value::as_f64);
    let best = list
        .iter()
        .filter_map(reward)
        .fold(f64::NEG_INFINITY, f64::max);
    let mut rows = Vec::new();
    let mut marked = false;
    for (idx, attempt) in list.iter().enumerate() {
        let fields = attempt.as_object()?;
        let Some(reward) = reward(attempt) else {
            let rows = fields.iter().map(|(name, value)| row(name, text(value)));
            chains.push(rows.collect());
            continue;
        };
        let mark = if !marked && reward >= best {
            marked = true;
            "  ← kept"
        } else {
            ""
        };
        let said: Vec<String> = fields
            .iter()
            .filter(|(name, _)| *name != "reward")
            .map(|(name, value)| format!("{name}: {}", text(value)))
            .collect();
        rows.push(row(
            &format!("attempt {}", idx + 1),
            format!("reward {reward}{mark}\n{}", said.join("\n")),
        ));
    }
    Some(rows)
}

fn numbered(label: &str, value: &Value) -> Option<Vec<Row>> {
    let list = value.as_array()?;
    let rows = list.iter().enumerate().map(|(idx, one)| {
        let shown = match one {
            Value::Object(fields) => fields
                .iter()
                .map(|(name, value)| format!("{name}: {}", text(value)))
                .collect::<Vec<_>>()
                .join("\n"),
            Value::Null => "failed".to_owned(),
            other => text(other),
        };
        row(&format!("{label} {}", idx + 1), shown)
    });
    Some(rows.collect())
}

/// `search(query="x", k=3)`.
fn call(name: &Value, arguments: Option<&Value>) -> String {
    let listed = match arguments {
        Some(Value::Object(arguments)) => arguments
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(", "),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    format!("{}({listed})", text(name))
}

fn arrow(seen: &str) -> String {
    if seen.is_empty() {
        String::new()
    } else {
        format!("→ {}", seen.trim_end().replace('\n', "\n  "))
    }
}

fn paragraphs(parts: &[String]) -> String {
    let there: Vec<&str> = parts
        .iter()
        .map(|part| part.trim_end())
        .filter(|part| !part.is_empty())
        .collect();
    there.join("\n")
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_string) => items
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join("\n"),
        other => super::value::text(other),
    }
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    use unicode_width::UnicodeWidthStr as _;
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split(' ') {
            for piece in pieces(word, width) {
                let gap = usize::from(!current.is_empty());
                if current.width() + gap + piece.width() > width {
                    lines.push(std::mem::take(&mut current));
                } else if gap == 1 {
                    current.push(' ');
                }
                current.push_str(&piece);
            }
        }
        lines.push(current);
    }
    lines
}

/// A word in pieces that fit.
fn pieces(word: &str, width: usize) -> Vec<String> {
    use unicode_width::UnicodeWidthChar as _;
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for ch in word.chars() {
        let wide = ch.width().unwrap_or(0);
        if used + wide > width {
            pieces.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(last) = pieces.last_mut() {
            last.push(ch);
        }
    }
    pieces
}

fn row(label: &str, text: String) -> Row {
    Row {
        label: label.to_owned(),
        text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(fields: &Value) -> String {
        plain(fields.as_object().unwrap(), 80)
    }

    /// R28: thought, action and observation of each step.
    #[test]
    fn an_agents_steps_come_before_its_answer() {
        let fields = json!({"trajectory": {
            "thought_0": "Look it up.", "tool_name_0": "search", "tool_args_0": {"query": "x", "k": 2},
            "observation_0": "two\nlines", "thought_1": "Done.", "tool_name_1": "finish",
            "tool_args_1": {}, "observation_1": "Completed."}, "answer": "y"});
        assert_eq!(
            shown(&fields),
            "step 1  Look it up.\n        search(query=\"x\", k=2)\n        → two\n          lines\n\
             step 2  Done.\n        finish()\n        → Completed.\nanswer  y"
        );
    }

    /// R29, R31: generated code is shown with its output or its error.
    #[test]
    fn code_is_shown_with_its_output() {
        let fields = json!({"answer": "4", "code_runs": [
            {"code": "print(2+", "error": "SyntaxError: was never closed"}, {"code": "2+2", "output": 4}]});
        let text = shown(&fields);
        assert!(
            text.contains("print(2+\n        ✗ SyntaxError: was never closed"),
            "{text}"
        );
        assert!(text.contains("2+2\n        → 4\nanswer"), "{text}");
        let fields =
            json!({"trajectory": [{"reasoning": "Add.", "code": "2+2", "output": "4"}], "a": 4});
        assert_eq!(
            shown(&fields),
            "step 1  Add.\n        2+2\n        → 4\na       4"
        );
    }

    /// R29, R30: CodeAct's output is shown as it was printed; RLM's labels are short.
    #[test]
    fn output_is_shown_as_it_was_printed() {
        let fields = json!({"trajectory": {
            "generated_code_0": "print(84)", "code_output_0": "\"84\\n\"",
            "generated_code_1": "x", "code_output_1": "84"}, "answer": "84"});
        assert_eq!(
            shown(&fields),
            "step 1  print(84)\n        → 84\nstep 2  x\n        → 84\nanswer  84"
        );
        let fields = json!({"answer": "4", "final_reasoning": "Added."});
        assert_eq!(shown(&fields), "answer     4\nreasoning  Added.");
        let fields = json!({"reasoning": "a", "final_reasoning": "b"});
        assert!(shown(&fields).contains("final_reasoning"));
    }

    /// R32: attempts with their rewards, the one that was kept marked.
    #[test]
    fn attempts_have_rewards() {
        let fields = json!({"answer": "b", "attempts": [
            {"answer": "a", "reward": 0.5}, {"answer": "b", "reward": 1.0}]});
        let text = shown(&fields);
        assert!(text.starts_with("attempt 1  reward 0.5\n"), "{text}");
        assert!(text.contains("reward 1  ← kept"), "{text}");
    }

    /// R33: chains stand side by side.
    #[test]
    fn chains_stand_side_by_side() {
        let fields = json!({"rationale": "r", "attempts": [
            {"reasoning": "one", "answer": "84"}, {"reasoning": "two and more words", "answer": "85"}]});
        let text = plain(fields.as_object().unwrap(), 33);
        let line = text.lines().find(|line| line.contains("chain 1")).unwrap();
        assert!(line.contains("chain 2"), "{text}");
        assert!(text.contains("reasoning: one  │ reasoning: two"), "{text}");
    }

    /// R33: what does not fit beside the others stands below them, and no line is too wide.
    #[test]
    fn chains_that_do_not_fit_stand_below() {
        let chain = |answer: &str| json!({"reasoning": "some words to read", "answer": answer});
        let fields = json!({"attempts": [chain("84"), chain("85"), chain("86")]});
        let lines = |width: usize| -> Vec<String> {
            let text = plain(fields.as_object().unwrap(), width);
            text.lines().map(str::to_owned).collect()
        };
        for width in [1, 11, 12, 26, 27, 37, 41, 42, 100] {
            for line in lines(width) {
                assert!(line.chars().count() <= width.max(7), "{width}: {line}");
            }
        }
        let heads = |width: usize| -> Vec<usize> {
            let lines = lines(width);
            let heads = lines.iter().filter(|line| line.starts_with("chain "));
            heads.map(|line| line.matches("chain ").count()).collect()
        };
        assert_eq!(heads(20), [1, 1, 1]);
        assert_eq!(heads(37), [2, 1]);
        assert_eq!(heads(42), [3]);
    }

    /// Text of LMs may hold anything: no width and no value panics.
    #[test]
    fn odd_values_are_shown() {
        for value in [
            json!({"trajectory": 3, "attempts": "x", "history": {"messages": [1]}}),
            json!({"trajectory": [null], "code_runs": [null], "results": [null, 1]}),
            json!({"attempts": [{}, {"答": "長い言葉"}]}),
        ] {
            assert!(!plain(value.as_object().unwrap(), 3).is_empty());
        }
    }
}
