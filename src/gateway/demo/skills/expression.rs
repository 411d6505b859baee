//! Finds and computes a written expression: `12*7`, `15% of 80`, `3 plus 4 times 2`.

/// An expression found in a text.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// As computed: `12*7`.
    pub text: String,
    /// Its value.
    pub value: f64,
}

/// The first expression of a text with at least one operator, computed; `None`
/// where there is none, or its value is not finite.
pub fn find(text: &str) -> Option<Expression> {
    let tokens = tokens(text);
    (0..tokens.len()).find_map(|start| {
        let mut parser = Parser {
            tokens: tokens.get(start..)?,
            at: 0,
            operators: 0,
            depth: 0,
        };
        let value = parser.sum()?;
        let used = parser.tokens.get(..parser.at)?;
        let whole = parser.operators > 0 && value.is_finite();
        whole.then(|| Expression {
            text: used.iter().map(Token::text).collect(),
            value,
        })
    })
}

/// A number as people write it: whole without a point, at most six decimals.
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Number(f64),
    Operator(char),
    /// Anything else; ends an expression.
    Other,
}

impl Token {
    fn text(&self) -> String {
        match self {
            Self::Number(value) => number(*value),
            Self::Operator('o') => " of ".to_owned(),
            Self::Operator(operator) => operator.to_string(),
            Self::Other => String::new(),
        }
    }
}

const WORDS: &[(&str, char)] = &[
    ("multiplied by", '*'),
    ("divided by", '/'),
    ("to the power of", '^'),
    ("times", '*'),
    ("plus", '+'),
    ("minus", '-'),
    ("percent of", '%'),
    ("modulo", 'm'),
    ("of", 'o'),
    ("over", '/'),
];

fn tokens(text: &str) -> Vec<Token> {
    let mut text = text.to_lowercase();
    for (words, operator) in WORDS {
        let padded = format!(" {words} ");
        let replacement = if *operator == '%' {
            " % o ".to_owned()
        } else {
            format!(" {operator} ")
        };
        text = text.replace(&padded, &replacement);
    }
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        let alone = !chars.get(at + 1).is_some_and(|next| next.is_alphabetic())
            && !at
                .checked_sub(1)
                .and_then(|before| chars.get(before))
                .is_some_and(|before| before.is_alphabetic());
        at += 1;
        match c {
            _ if c.is_whitespace() => {}
            '0'..='9' => {
                let mut digits = String::from(c);
                while let Some(next) = chars.get(at) {
                    let joins = next.is_ascii_digit()
                        || (matches!(next, '.' | ',')
                            && chars.get(at + 1).is_some_and(char::is_ascii_digit));
                    if !joins {
                        break;
                    }
                    if *next != ',' {
                        digits.push(*next);
                    }
                    at += 1;
                }
                tokens.push(digits.parse().map_or(Token::Other, Token::Number));
            }
            '+' | '-' | '*' | '/' | '^' | '(' | ')' | '%' => {
                if c == '*' && chars.get(at) == Some(&'*') {
                    at += 1;
                    tokens.push(Token::Operator('^'));
                } else {
                    tokens.push(Token::Operator(c));
                }
            }
            '×' | '·' => tokens.push(Token::Operator('*')),
            'x' if alone => tokens.push(Token::Operator('*')),
            '÷' => tokens.push(Token::Operator('/')),
            '−' | '–' => tokens.push(Token::Operator('-')),
            'o' | 'm' if alone => tokens.push(Token::Operator(c)),
            _ => {
                if tokens.last() != Some(&Token::Other) {
                    tokens.push(Token::Other);
                }
            }
        }
    }
    tokens
}

/// Deepest nesting of brackets and signs that is followed.
const DEEPEST: usize = 64;

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    operators: usize,
    depth: usize,
}

impl Parser<'_> {
    fn sum(&mut self) -> Option<f64> {
        let mut value = self.product()?;
        while let Some(operator) = self.operator(&['+', '-']) {
            let Some(right) = self.operand(Self::product) else {
                break;
            };
            value = if operator == '+' {
                value + right
            } else {
                value - right
            };
        }
        Some(value)
    }

    fn product(&mut self) -> Option<f64> {
        let mut value = self.power()?;
        while let Some(operator) = self.operator(&['*', '/', 'm']) {
            let Some(right) = self.operand(Self::power) else {
                break;
            };
            value = match operator {
                '*' => value * right,
                '/' => value / right,
                _ => value % right,
            };
        }
        Some(value)
    }

    fn power(&mut self) -> Option<f64> {
        let value = self.atom()?;
        if self.operator(&['^']).is_some() {
            return Some(
                self.operand(Self::atom)
                    .map_or(value, |right| value.powf(right)),
            );
        }
        if self.operator(&['%']).is_some() {
            let whole = self.operator(&['o']).and_then(|_| self.operand(Self::atom));
            return whole.map(|whole| value / 100.0 * whole);
        }
        Some(value)
    }

    fn atom(&mut self) -> Option<f64> {
        self.depth += 1;
        let value = if self.depth > DEEPEST {
            None
        } else {
            self.atom_inside()
        };
        self.depth -= 1;
        value
    }

    fn atom_inside(&mut self) -> Option<f64> {
        match self.tokens.get(self.at)? {
            Token::Number(value) => {
                self.at += 1;
                Some(*value)
            }
            Token::Operator('(') => {
                self.at += 1;
                let value = self.sum()?;
                self.operator(&[')'])?;
                Some(value)
            }
            Token::Operator('-') => {
                self.at += 1;
                self.atom().map(|value| -value)
            }
            _ => None,
        }
    }

    fn operator(&mut self, wanted: &[char]) -> Option<char> {
        match self.tokens.get(self.at) {
            Some(Token::Operator(operator)) if wanted.contains(operator) => {
                self.at += 1;
                Some(*operator)
            }
            _ => None,
        }
    }

    /// The right side of an operator just taken; gives the operator back where
    /// there is none (`12 * 7 -`).
    fn operand(&mut self, parse: fn(&mut Self) -> Option<f64>) -> Option<f64> {
        let before = self.at;
        let value = parse(self);
        if value.is_some() {
            self.operators += 1;
        } else {
            self.at = before.saturating_sub(1);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<String> {
        find(text).map(|found| number(found.value))
    }

    #[test]
    fn expressions_are_computed() {
        assert_eq!(value("What is 12*7?").as_deref(), Some("84"));
        assert_eq!(value("what is 2 + 3 * 4 - 1").as_deref(), Some("13"));
        assert_eq!(value("(2+3) x 4").as_deref(), Some("20"));
        assert_eq!(value("What is 15% of 80?").as_deref(), Some("12"));
        assert_eq!(value("15 percent of 1,200").as_deref(), Some("180"));
        assert_eq!(value("seven is 10 divided by 4").as_deref(), Some("2.5"));
        assert_eq!(value("2**10").as_deref(), Some("1024"));
        assert_eq!(value("-3 + 5").as_deref(), Some("2"));
    }

    #[test]
    fn text_without_an_expression_has_no_value() {
        assert_eq!(value("chapter 12 of nothing"), None);
        assert_eq!(value("1/0"), None);
        assert_eq!(value("call me on Friday"), None);
        assert_eq!(value(&"(".repeat(10_000)), None);
    }
}
