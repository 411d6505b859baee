//! Makes text from outside safe for a terminal.
//!
//! Owns the one rule about which characters may reach the terminal. What LMs,
//! tools, files and Python wrote is data: its control characters are shown as
//! pictures, never obeyed. Knows nothing of widths, wrapping or styles.

use std::borrow::Cow;

/// `text` with every control character but newline and tab, and every
/// bidirectional override, replaced by something visible. Borrowed when there
/// was nothing to do, which is nearly always.
pub fn clean(text: &str) -> Cow<'_, str> {
    rewrite(text, false)
}

/// Like [`clean`], but colour sequences (`ESC [ … m`) stay as they are, and a
/// carriage return takes back the line it stands in, as progress bars mean it.
pub fn keep_sgr(text: &str) -> Cow<'_, str> {
    rewrite(text, true)
}

/// [`clean`] for one-line places: newlines and tabs become a space too.
pub fn one_line(text: &str) -> Cow<'_, str> {
    let text = clean(text);
    if text.contains(['\n', '\t']) {
        Cow::Owned(text.replace(['\n', '\t'], " "))
    } else {
        text
    }
}

fn rewrite(text: &str, sgr: bool) -> Cow<'_, str> {
    let Some(first) = text.find(is_harmful) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    let (safe, mut rest) = text.split_at(first);
    out.push_str(safe);
    while let Some(ch) = rest.chars().next() {
        if let Some(len) = sgr.then(|| sgr_len(rest)).flatten() {
            let (sequence, after) = rest.split_at(len);
            out.push_str(sequence);
            rest = after;
            continue;
        }
        if ch == '\r' && sgr {
            // Nothing follows: what stands there stays until something does.
            if !rest.starts_with("\r\n") && rest.len() > 1 {
                out.truncate(out.rfind('\n').map_or(0, |at| at + 1));
            }
        } else if !rest.starts_with("\r\n") {
            // A carriage return before a newline is only an old way to write it.
            push_visible(&mut out, ch);
        }
        rest = &rest[ch.len_utf8()..];
    }
    Cow::Owned(out)
}

fn is_harmful(ch: char) -> bool {
    match ch {
        '\n' | '\t' => false,
        // Controls first. Marks, embeddings, overrides and isolates of the bidi algorithm, line
        // and paragraph separators, and invisible tags can hide or reorder text.
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}'
        | '\u{e0000}'..='\u{e007f}' => true,
        _ => false,
    }
}

fn push_visible(out: &mut String, ch: char) {
    match ch {
        _ if !is_harmful(ch) => out.push(ch),
        // Unicode has a picture of each ASCII control character.
        '\u{0}'..='\u{1f}' => {
            out.push(char::from_u32(0x2400 + u32::from(ch)).unwrap_or('\u{fffd}'));
        }
        '\u{7f}' => out.push('\u{2421}'),
        '\u{2028}' | '\u{2029}' => out.push('\n'),
        _ => out.push('\u{fffd}'),
    }
}

/// The length of the colour sequence `text` starts with, if it starts with one.
fn sgr_len(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    let end = parameters.find(|ch: char| !(ch.is_ascii_digit() || matches!(ch, ';' | ':')))?;
    (end <= 64 && parameters[end..].starts_with('m')).then_some(end + 3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_text_is_borrowed() {
        assert!(matches!(clean("a\tb\nü 漢 👩‍💻"), Cow::Borrowed(_)));
    }

    #[test]
    fn sequences_are_shown() {
        assert_eq!(clean("a\u{1b}[2Jb\u{7}"), "a␛[2Jb␇");
        assert_eq!(
            clean("x\u{9b}31my\u{202e}z\u{7f}"),
            "x\u{fffd}31my\u{fffd}z␡"
        );
        assert_eq!(clean("a\r\nb\rc"), "a\nb␍c");
    }

    #[test]
    fn only_colours_are_kept() {
        assert_eq!(
            keep_sgr("\u{1b}[1;31mred\u{1b}[0m"),
            "\u{1b}[1;31mred\u{1b}[0m"
        );
        assert_eq!(
            keep_sgr("\u{1b}[31mx\u{1b}[2J\u{1b}]0;t\u{7}"),
            "\u{1b}[31mx␛[2J␛]0;t␇"
        );
        assert_eq!(keep_sgr("\u{1b}[?25m\u{1b}[31"), "␛[?25m␛[31");
    }

    proptest! {
        /// R57: no byte of any text can start a sequence or reorder the line.
        #[test]
        fn nothing_harmful_passes(text in any::<String>()) {
            prop_assert!(!clean(&text).contains(is_harmful));
            prop_assert!(!one_line(&text).contains(|ch| is_harmful(ch) || ch == '\n'));
            let cleaned = clean(&text).into_owned();
            prop_assert_eq!(clean(&cleaned), cleaned.as_str());
        }
    }

    #[test]
    fn a_progress_bar_takes_its_line_back() {
        assert_eq!(keep_sgr("a\n 0%\r 50%\r100%\nend\r"), "a\n100%\nend");
        assert_eq!(keep_sgr("old\r\nway"), "old\nway");
    }
}
