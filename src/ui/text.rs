//! Text of the screen: cutting, wrapping, colours of outputs, numbers in words.
//!
//! Everything that comes from outside passes through here on its way to a line.

use std::borrow::Cow;

use ansi_to_tui::IntoText as _;
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span};
use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use crate::sanitize;

/// Columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// One line of `text`, cut to `columns` with an ellipsis.
pub(crate) fn fit(text: &str, columns: usize) -> String {
    let text = sanitize::one_line(text);
    if text.width() <= columns {
        return text.into_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let more = grapheme.width();
        if used + more + 1 > columns {
            break;
        }
        used += more;
        out.push_str(grapheme);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// [`fit`], filled up with spaces.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let mut text = fit(text, columns);
    let missing = columns.saturating_sub(text.width());
    text.extend(std::iter::repeat_n(' ', missing));
    text
}

/// Breaks styled lines at `columns`, at spaces where there are some.
pub(crate) fn wrap(lines: Vec<Line<'static>>, columns: usize) -> Vec<Line<'static>> {
    let columns = columns.max(1);
    let mut out = Vec::with_capacity(lines.len());
    for line in lines {
        if line.width() <= columns {
            out.push(line);
        } else {
            wrap_one(&line, columns, &mut out);
        }
    }
    out
}

fn wrap_one(line: &Line<'static>, columns: usize, out: &mut Vec<Line<'static>>) {
    let pieces: Vec<(&str, Style)> = line
        .spans
        .iter()
        .flat_map(|span| {
            let style = line.style.patch(span.style);
            span.content.graphemes(true).map(move |it| (it, style))
        })
        .collect();
    let mut start = 0;
    while start < pieces.len() {
        let (mut end, mut used, mut space) = (start, 0, None);
        while let Some((grapheme, _)) = pieces.get(end) {
            let more = grapheme.width();
            if used + more > columns && end > start {
                break;
            }
            used += more;
            end += 1;
            if *grapheme == " " {
                space = Some(end);
            }
        }
        if end < pieces.len()
            && let Some(space) = space
        {
            end = space;
        }
        let mut spans: Vec<Span<'static>> = Vec::new();
        for (grapheme, style) in pieces.get(start..end).unwrap_or_default() {
            match spans.last_mut() {
                Some(last) if last.style == *style => last.content.to_mut().push_str(grapheme),
                _ => spans.push(Span::styled((*grapheme).to_owned(), *style)),
            }
        }
        out.push(Line::from(spans));
        start = end;
    }
}

/// Bytes of one text that a pane lays out: more than anybody reads there.
const READ: usize = 256 * 1024;

/// Beginning and end of a text that is too long to be laid out, and how much is between.
pub(crate) fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= READ {
        return Cow::Borrowed(text);
    }
    let head = text.floor_char_boundary(READ * 3 / 4);
    let tail = text.ceil_char_boundary(text.len() - READ / 4);
    let (head, rest) = text.split_at(head);
    let (between, tail) = rest.split_at(tail - head.len());
    let left_out = count(between.chars().count() as u64);
    Cow::Owned(format!(
        "{head}\n\n… {left_out} characters are not shown here; `y` copies all of it …\n\n{tail}"
    ))
}

/// Plain text as lines of one style, wrapped.
pub(crate) fn plain(text: &str, style: Style, columns: usize) -> Vec<Line<'static>> {
    let text = sanitize::clean(text);
    let lines = text
        .lines()
        .map(|line| Line::styled(expand_tabs(line), style))
        .collect();
    wrap(lines, columns)
}

/// Text laid out in columns by ourselves: what does not fit goes on below its own column.
pub(crate) fn hanging(text: &str, style: Style, columns: usize) -> Vec<Line<'static>> {
    let text = sanitize::clean(text);
    let mut out = Vec::new();
    for line in text.lines().map(expand_tabs) {
        if line.width() <= columns {
            out.push(Line::styled(line, style));
            continue;
        }
        let hang = " ".repeat(second_column(&line).min(columns / 2));
        let mut wrapped = wrap(vec![Line::styled(line, style)], columns).into_iter();
        out.extend(wrapped.next());
        let rest: String = wrapped
            .flat_map(|line| line.spans)
            .map(|span| span.content)
            .collect();
        let rest = Line::styled(rest, style);
        out.extend(
            wrap(vec![rest], columns - hang.len())
                .into_iter()
                .map(|mut line| {
                    line.spans.insert(0, Span::styled(hang.clone(), style));
                    line
                }),
        );
    }
    out
}

/// Where the second column of a line begins; where its text begins if it has but one.
fn second_column(line: &str) -> usize {
    let text = line.trim_start();
    let indent = line.width() - text.width();
    let Some(gap) = text.find("  ") else {
        return indent;
    };
    let after = text.get(gap..).unwrap_or_default().trim_start();
    line.width() - after.width()
}

/// Text that may carry colour sequences, as wrapped lines. Without colour only
/// the text is kept.
pub(crate) fn coloured(
    text: &str,
    base: Style,
    columns: usize,
    colour: bool,
) -> Vec<Line<'static>> {
    let safe = sanitize::keep_sgr(text);
    let safe = expand_tabs(&safe);
    if !safe.contains('\u{1b}') {
        return plain(&safe, base, columns);
    }
    let Ok(parsed) = safe.into_text() else {
        return plain(&safe, base, columns);
    };
    let lines = parsed
        .lines
        .into_iter()
        .map(|line| {
            let spans = line.spans.into_iter().map(|span| {
                let mut style = base.patch(line.style).patch(span.style);
                if !colour {
                    (style.fg, style.bg) = (base.fg, base.bg);
                }
                if style.fg == Some(Color::Reset) {
                    style.fg = base.fg;
                }
                if style.bg == Some(Color::Reset) {
                    style.bg = base.bg;
                }
                Span::styled(sanitize::clean(&span.content).into_owned(), style)
            });
            Line::from(spans.collect::<Vec<_>>())
        })
        .collect();
    wrap(lines, columns)
}

fn expand_tabs(text: &str) -> String {
    text.replace('\t', "    ")
}

/// A JSON value as a person would write it: strings without quotes.
pub(crate) fn value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// `412 ms`, `3.2 s`, `2:05 min`.
pub(crate) fn duration(ms: f64) -> String {
    if ms < 1.0 {
        format!("{ms:.1} ms")
    } else if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else if ms < 100_000.0 {
        format!("{:.1} s", ms / 1000.0)
    } else {
        let seconds = (ms / 1000.0) as u64;
        format!("{}:{:02} min", seconds / 60, seconds % 60)
    }
}

/// A guess of a duration: `43 s`, `2:05 min`.
pub(crate) fn about(ms: f64) -> String {
    if ms < 100_000.0 {
        format!("{:.0} s", (ms / 1000.0).max(1.0))
    } else {
        duration(ms)
    }
}

/// `950`, `3.4k`, `1.2M`.
pub(crate) fn count(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{:.1}k", n as f64 / 1e3),
        _ => format!("{:.1}M", n as f64 / 1e6),
    }
}

/// `1 call`, `12 calls`, `3.4k calls`.
pub(crate) fn many(n: u64, thing: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {thing}{s}", count(n))
}

/// `812 MB`, `2.0 GB`.
pub(crate) fn megabytes(mb: u64) -> String {
    if mb < 1000 {
        format!("{mb} MB")
    } else {
        format!("{:.1} GB", mb as f64 / 1024.0)
    }
}

/// `$0.0012`, `<$0.0001`; `$0.0012 + ?` when some calls have no known price. `$0`
/// only when that is known.
pub(crate) fn cost(dollars: f64, unpriced: u64) -> String {
    let known = if dollars <= 0.0 {
        "$0".to_owned()
    } else if dollars < 0.0001 {
        "<$0.0001".to_owned()
    } else if dollars < 1.0 {
        format!("${dollars:.4}")
    } else {
        format!("${dollars:.2}")
    };
    match unpriced {
        0 => known,
        _ if dollars <= 0.0 => "$ unknown".to_owned(),
        _ => format!("{known} + ?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Line]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn cuts_and_wraps_by_columns() {
        assert_eq!(fit("漢字漢字", 5), "漢字…");
        assert_eq!(fit("a\nb", 5), "a b");
        assert_eq!(fit("abc", 0), "");
        assert_eq!(pad("ab", 4), "ab  ");
        assert_eq!(
            texts(&plain("one two three", Style::new(), 8)),
            ["one two ", "three"]
        );
        assert_eq!(
            texts(&plain("abcdefghij", Style::new(), 4)),
            ["abcd", "efgh", "ij"]
        );
    }

    #[test]
    fn a_line_keeps_its_style_when_it_is_broken() {
        let red = Style::new().fg(Color::Red);
        for line in plain("one two three", red, 5) {
            let shown = line.style.patch(line.spans[0].style);
            assert_eq!(shown.fg, Some(Color::Red), "{line:?}");
        }
    }

    /// R57: colours pass, everything else is shown.
    #[test]
    fn only_colours_pass() {
        let lines = coloured("\u{1b}[31mred\u{1b}[0m \u{1b}[2Jx", Style::new(), 40, true);
        assert_eq!(texts(&lines), ["red ␛[2Jx"]);
        assert_eq!(lines[0].spans[0].style.fg, Some(Color::Red));
        let mono = coloured("\u{1b}[31mred\u{1b}[0m", Style::new(), 40, false);
        assert_eq!(mono[0].spans[0].style.fg, None);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            (
                duration(0.25),
                duration(412.4),
                duration(3210.0),
                duration(125_000.0)
            ),
            (
                "0.2 ms".into(),
                "412 ms".into(),
                "3.2 s".into(),
                "2:05 min".into()
            )
        );
        assert_eq!(
            (count(12), count(3_400), count(2_000_000)),
            ("12".into(), "3.4k".into(), "2.0M".into())
        );
        assert_eq!(
            (many(1, "call"), many(0, "call")),
            ("1 call".into(), "0 calls".into())
        );
    }

    #[test]
    fn columns_go_on_below_themselves() {
        let shown = |text: &str| -> Vec<String> {
            let lines = hanging(text, Style::default(), 20);
            lines.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            shown("  name   all that is said of it\n  a text that is long"),
            [
                "  name   all that ",
                "         is said of ",
                "         it",
                "  a text that is ",
                "  long",
            ]
            .map(str::to_owned)
        );
        assert_eq!(shown("short").len(), 1);
        // A column that begins far right leaves room for words.
        assert!(
            shown("0123456789012345  and more words")
                .iter()
                .all(|line| line.width() <= 20)
        );
    }

    /// A price that is not known is never shown as nothing.
    #[test]
    fn money_is_never_rounded_to_nothing() {
        let shown = [
            (0.0, 0),
            (0.00004, 0),
            (0.0004, 0),
            (2.5, 0),
            (0.0012, 2),
            (0.0, 3),
        ]
        .map(|(dollars, unpriced)| cost(dollars, unpriced));
        assert_eq!(
            shown,
            [
                "$0",
                "<$0.0001",
                "$0.0004",
                "$2.50",
                "$0.0012 + ?",
                "$ unknown"
            ]
        );
    }
}
