//! Generated sections of README.md: checked, or written anew under `UPDATE=1`.

use super::project;

/// Requires the text between `<!-- name:begin -->` and `<!-- name:end -->` to be
/// `expected`; with `UPDATE=1` in the environment writes it there instead.
#[track_caller]
pub fn check_section(name: &str, expected: &str) {
    let path = project().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = (
        format!("<!-- {name}:begin -->\n"),
        format!("<!-- {name}:end -->"),
    );
    let (before, rest) = readme
        .split_once(&begin)
        .unwrap_or_else(|| panic!("README.md has no {begin}"));
    let (found, after) = rest
        .split_once(&end)
        .unwrap_or_else(|| panic!("README.md has no {end}"));
    let expected = format!("\n{}\n\n", expected.trim());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{before}{begin}{expected}{end}{after}")).unwrap();
    } else {
        pretty_assertions::assert_eq!(
            found,
            expected,
            "the section `{name}` of README.md is out of date: run `UPDATE=1 cargo test readme`"
        );
    }
}
