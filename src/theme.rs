//! Colours of the screen by semantic role.
//!
//! Owns themes: two that are built in, further ones from TOML files, and the one
//! without colour. Knows nothing of what is drawn with them.

use std::path::Path;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

mod color;

use color::Rgb;

/// A theme that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    /// No theme has this name.
    #[error(
        "there is no theme `{name}`: use `dark`, `light`, or put `{name}.toml` into the themes folder of the configuration"
    )]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The file is not TOML of the right shape.
    #[error("theme `{name}` cannot be read: {reason}")]
    Malformed {
        /// Which.
        name: String,
        /// Why, one line.
        reason: String,
    },
    /// A role is not given, or names a colour that is not in the palette.
    #[error("theme `{name}`: {problem}")]
    Incomplete {
        /// Which.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

macro_rules! roles {
    ($($(#[doc = $doc:literal])* $variant:ident $name:literal,)*) => {
        /// What a piece of the screen means; a theme says how that looks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Role { $($(#[doc = $doc])* $variant,)* }

        impl Role {
            /// Every role with its name in theme files.
            pub const ALL: &[(Role, &str)] = &[$((Role::$variant, $name),)*];
        }
    };
}

roles! {
    /// What lies under everything.
    Background "background",
    /// Ordinary text.
    Text "text",
    /// Text of less weight.
    Dim "dim",
    /// Names of panes and things.
    Title "title",
    /// The one accent.
    Accent "accent",
    /// Borders at rest.
    Border "border",
    /// The border of the pane with the focus.
    BorderFocus "border_focus",
    /// Status and hint lines.
    BarLine "bar_line",
    /// The selected row.
    Selection "selection",
    /// Windows above the panes.
    Popup "popup",
    /// Names of keys.
    Key "key",
    /// Names of fields and columns.
    Label "label",
    /// Went well.
    Ok "ok",
    /// Needs a look.
    Warn "warn",
    /// Failed.
    Error "error",
    /// Is going on.
    Running "running",
    /// Numbers that matter.
    Number "number",
    /// Money.
    Cost "cost",
    /// The mark before a cell.
    InputMark "input_mark",
    /// The mark before an output.
    OutputMark "output_mark",
    /// Text of standard error.
    Stderr "stderr",
    /// Headings of Markdown.
    Heading "heading",
    /// Module spans.
    KindModule "kind_module",
    /// LM spans.
    KindLm "kind_lm",
    /// Adapter spans.
    KindAdapter "kind_adapter",
    /// Tool spans.
    KindTool "kind_tool",
    /// Other spans.
    KindOther "kind_other",
    /// Added text of a diff.
    Added "added",
    /// Removed text of a diff.
    Removed "removed",
    /// Keywords of code.
    CodeKeyword "code_keyword",
    /// Strings of code.
    CodeString "code_string",
    /// Numbers of code.
    CodeNumber "code_number",
    /// Comments of code.
    CodeComment "code_comment",
    /// Functions of code.
    CodeFunction "code_function",
    /// Types of code.
    CodeType "code_type",
    /// Operators of code.
    CodeOperator "code_operator",
    /// The line of a chart.
    Chart "chart",
    /// The best of a chart.
    ChartBest "chart_best",
}

/// How each role looks.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    /// Its name.
    pub name: String,
    styles: Vec<Style>,
}

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// 24 bits.
    True,
    /// The 256 of xterm.
    Indexed,
    /// None: weight and reverse video only.
    Mono,
}

impl Depth {
    /// What the environment says: `NO_COLOR`, `COLORTERM`, `TERM`.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if set("NO_COLOR").is_some() {
            return Self::Mono;
        }
        let deep = set("COLORTERM").is_some_and(|it| it == "truecolor" || it == "24bit")
            || set("TERM").is_some_and(|it| it.ends_with("-direct") || it.contains("kitty"));
        if deep { Self::True } else { Self::Indexed }
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self::dark()
    }
}

impl Theme {
    /// Names of the built-in themes.
    pub const BUILT_IN: &[&str] = &["dark", "light"];

    /// The dark theme.
    pub fn dark() -> Self {
        Self::parse("dark", include_str!("../themes/dark.toml")).unwrap_or_else(|_| Self::mono())
    }

    /// The light theme.
    pub fn light() -> Self {
        Self::parse("light", include_str!("../themes/light.toml")).unwrap_or_else(|_| Self::mono())
    }

    /// The theme without colour: weight, dimness and reverse video.
    pub fn mono() -> Self {
        let style = |role: Role| match role {
            Role::Title
            | Role::Key
            | Role::InputMark
            | Role::Heading
            | Role::KindModule
            | Role::BorderFocus
            | Role::Running
            | Role::Warn
            | Role::Added => Style::new().add_modifier(Modifier::BOLD),
            Role::Dim | Role::Label | Role::Border | Role::OutputMark | Role::CodeComment => {
                Style::new().add_modifier(Modifier::DIM)
            }
            Role::Selection | Role::BarLine => Style::new().add_modifier(Modifier::REVERSED),
            Role::Error | Role::Removed => {
                Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
            }
            _ => Style::new(),
        };
        Self {
            name: "mono".to_owned(),
            styles: Role::ALL.iter().map(|(role, _)| style(*role)).collect(),
        }
    }

    /// The theme of this name: built in, or `NAME.toml` in `folder`.
    ///
    /// # Errors
    /// When there is none, or its file is wrong.
    pub fn named(name: &str, folder: Option<&Path>) -> Result<Self, ThemeError> {
        match name {
            "dark" => return Ok(Self::dark()),
            "light" => return Ok(Self::light()),
            "mono" => return Ok(Self::mono()),
            _ => {}
        }
        let path = if Path::new(name).extension().is_some_and(|it| it == "toml") {
            Some(Path::new(name).to_path_buf())
        } else {
            folder.map(|folder| folder.join(format!("{name}.toml")))
        };
        let text = path.and_then(|path| std::fs::read_to_string(path).ok());
        let unknown = || ThemeError::Unknown {
            name: name.to_owned(),
        };
        Self::parse(name, &text.ok_or_else(unknown)?)
    }

    /// Reads a theme file.
    ///
    /// # Errors
    /// When it is not TOML, a role is missing, or a colour is unknown.
    pub fn parse(name: &str, text: &str) -> Result<Self, ThemeError> {
        let file: File = toml::from_str(text).map_err(|error| ThemeError::Malformed {
            name: name.to_owned(),
            reason: error.message().to_owned(),
        })?;
        let incomplete = |problem: String| ThemeError::Incomplete {
            name: name.to_owned(),
            problem,
        };
        let mut styles = Vec::with_capacity(Role::ALL.len());
        for (_, role) in Role::ALL {
            let look = file
                .roles
                .get(*role)
                .ok_or_else(|| incomplete(format!("the role `{role}` is missing")))?;
            let color = |wanted: &Option<String>| -> Result<Option<Color>, ThemeError> {
                let Some(wanted) = wanted else {
                    return Ok(None);
                };
                let code = file.palette.get(wanted).unwrap_or(wanted);
                Rgb::parse(code).map(|rgb| Some(rgb.into())).ok_or_else(|| {
                    incomplete(format!(
                        "role `{role}`: `{wanted}` is neither in the palette nor `#rrggbb`"
                    ))
                })
            };
            let mut style = Style::new();
            style.fg = color(&look.fg)?;
            style.bg = color(&look.bg)?;
            for (set, modifier) in [
                (look.bold, Modifier::BOLD),
                (look.italic, Modifier::ITALIC),
                (look.underline, Modifier::UNDERLINED),
                (look.crossed, Modifier::CROSSED_OUT),
                (look.reversed, Modifier::REVERSED),
            ] {
                if set {
                    style = style.add_modifier(modifier);
                }
            }
            styles.push(style);
        }
        if let Some(strange) = file
            .roles
            .keys()
            .find(|key| Role::ALL.iter().all(|(_, it)| it != key))
        {
            return Err(incomplete(format!("there is no role `{strange}`")));
        }
        Ok(Self {
            name: name.to_owned(),
            styles,
        })
    }

    /// The same theme for a terminal with fewer colours.
    #[must_use]
    pub fn at_depth(self, depth: Depth) -> Self {
        match depth {
            Depth::True => self,
            Depth::Mono => Self::mono(),
            Depth::Indexed => {
                let index = |color: Option<Color>| match color {
                    Some(Color::Rgb(r, g, b)) => {
                        Some(Color::Indexed(Rgb(r, g, b).nearest_indexed()))
                    }
                    other => other,
                };
                let style = |style: &Style| Style {
                    fg: index(style.fg),
                    bg: index(style.bg),
                    ..*style
                };
                Self {
                    styles: self.styles.iter().map(style).collect(),
                    name: self.name,
                }
            }
        }
    }

    /// How a role looks.
    pub fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
    }
}

/// A theme file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    palette: std::collections::BTreeMap<String, String>,
    roles: std::collections::BTreeMap<String, Look>,
}

/// How a role looks, in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    fg: Option<String>,
    bg: Option<String>,
    #[serde(default)]
    bold: bool,
    #[serde(default)]
    italic: bool,
    #[serde(default)]
    underline: bool,
    #[serde(default)]
    crossed: bool,
    #[serde(default)]
    reversed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(color: Option<Color>) -> Option<Rgb> {
        match color {
            Some(Color::Rgb(r, g, b)) => Some(Rgb(r, g, b)),
            _ => None,
        }
    }

    #[test]
    fn built_in_themes_are_whole_and_legible() {
        for name in Theme::BUILT_IN {
            let text = match *name {
                "dark" => include_str!("../themes/dark.toml"),
                _ => include_str!("../themes/light.toml"),
            };
            let theme = Theme::parse(name, text).unwrap();
            let base = rgb(theme.style(Role::Background).bg).unwrap();
            let chosen = rgb(theme.style(Role::Selection).bg).unwrap();
            let raised = rgb(theme.style(Role::Popup).bg).unwrap();
            for (role, role_name) in Role::ALL {
                let style = theme.style(*role);
                let Some(fg) = rgb(style.fg) else { continue };
                let floor = if *role == Role::Border { 1.5 } else { 4.5 };
                let bg = rgb(style.bg).unwrap_or(base);
                assert!(
                    fg.contrast(bg) >= floor,
                    "{name}: {role_name} {:.2}",
                    fg.contrast(bg)
                );
                for under in [chosen, raised] {
                    let floor = if *role == Role::Border { 1.2 } else { 3.8 };
                    assert!(
                        fg.contrast(under) >= floor,
                        "{name}: {role_name} on a raised ground {:.2}",
                        fg.contrast(under)
                    );
                }
            }
        }
    }

    #[test]
    fn a_wrong_theme_is_named() {
        assert!(
            Theme::named("drak", None)
                .unwrap_err()
                .to_string()
                .contains("`drak`")
        );
        let error = Theme::parse("mine", "[roles]\n").unwrap_err().to_string();
        assert!(error.contains("`background` is missing"), "{error}");
        let text =
            include_str!("../themes/dark.toml").replace("fg = \"faint\" }", "fg = \"fiant\" }");
        let error = Theme::parse("mine", &text).unwrap_err().to_string();
        assert!(error.contains("`fiant`"), "{error}");
        assert!(
            Theme::parse("mine", "= 1")
                .unwrap_err()
                .to_string()
                .contains("cannot be read")
        );
    }

    #[test]
    fn no_color_wins() {
        let env = |name: &str| match name {
            "NO_COLOR" => Some("1".to_owned()),
            "COLORTERM" => Some("truecolor".to_owned()),
            _ => None,
        };
        assert_eq!(Depth::detect(env), Depth::Mono);
        let theme = Theme::dark().at_depth(Depth::Mono);
        for (role, _) in Role::ALL {
            assert_eq!((theme.style(*role).fg, theme.style(*role).bg), (None, None));
        }
    }
}
