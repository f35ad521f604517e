//! The `$` of file names: `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:=default}`.
//!
//! `$NAME` ends at `/`, `\` or a space. Braces are balanced, so a default may contain further
//! references. The value of a name is expanded as well. An unknown name stays as it is written,
//! with a warning.

use crate::secrecy;

/// How deep values may refer to other names, as in the original.
pub(super) const LEVELS_MAX: usize = 128;

/// How much text may be read in all, in bytes. Without a limit, a chain of names that each mention
/// the next one twice would take forever. No file name is as long.
pub(super) const TEXT_MAX: usize = 64 * 1024;

/// A text without references, except for unknown names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expansion {
    pub(super) text: String,
    pub(super) warnings: Vec<String>,
}

/// Why a text cannot be expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpandError {
    TooDeep,
    TooLong,
}

pub(super) fn expand(
    text: &str,
    look_up: &dyn Fn(&str) -> Option<String>,
) -> Result<Expansion, ExpandError> {
    let mut expander = Expander { look_up, budget: TEXT_MAX, done: Expansion::default() };
    expander.expand(text, 0)?;
    Ok(expander.done)
}

struct Expander<'a> {
    look_up: &'a dyn Fn(&str) -> Option<String>,
    budget: usize,
    done: Expansion,
}

impl Expander<'_> {
    /// Calls itself for the value of a name, at most [`LEVELS_MAX`] deep.
    fn expand(&mut self, text: &str, level: usize) -> Result<(), ExpandError> {
        if level > LEVELS_MAX {
            return Err(ExpandError::TooDeep);
        }
        // Every byte of the result was in some text that was paid for here.
        self.budget = self.budget.checked_sub(text.len()).ok_or(ExpandError::TooLong)?;
        let mut rest = text;
        while let Some((before, dollar)) = split_before(rest, '$') {
            self.done.text.push_str(before);
            let Some(reference) = Reference::parse(dollar) else {
                let quoted = secrecy::quote(dollar);
                let warning = format!("{quoted:?} has no closing brace and stays as it is");
                self.done.warnings.push(warning);
                rest = dollar;
                break;
            };
            rest = reference.rest;
            match (self.look_up)(reference.name) {
                Some(value) => self.expand(&value, level + 1)?,
                None => match reference.default {
                    Some(default) => self.expand(default, level + 1)?,
                    None => self.leave(&reference),
                },
            }
        }
        self.done.text.push_str(rest);
        Ok(())
    }

    fn leave(&mut self, reference: &Reference<'_>) {
        self.done.text.push_str(reference.whole);
        self.done.warnings.push(format!(
            "{:?} is neither in [PATHS] nor in the environment and stays as it is",
            secrecy::quote(reference.whole)
        ));
    }
}

/// The first reference of a text, and what follows it.
struct Reference<'a> {
    whole: &'a str,
    name: &'a str,
    default: Option<&'a str>,
    rest: &'a str,
}

impl<'a> Reference<'a> {
    /// Parses a text that begins with `$`; `None` if its brace is not closed.
    fn parse(text: &'a str) -> Option<Self> {
        let after_dollar = text.strip_prefix('$')?;
        let Some(after_brace) = after_dollar.strip_prefix('{') else {
            let ends_name = |char: char| matches!(char, '/' | '\\') || char.is_ascii_whitespace();
            let end = after_dollar.find(ends_name).unwrap_or(after_dollar.len());
            let (name, rest) = after_dollar.split_at_checked(end)?;
            let whole = text.strip_suffix(rest)?;
            return Some(Self { whole, name, default: None, rest });
        };
        let (inner, rest) = after_brace.split_at_checked(closing_brace(after_brace)?)?;
        let rest = rest.strip_prefix('}')?;
        let whole = text.strip_suffix(rest)?;
        let operator = [":-", ":="].into_iter().filter_map(|operator| inner.find(operator)).min();
        let (name, default) = match operator.and_then(|at| inner.split_at_checked(at)) {
            Some((name, default)) => (name, default.get(2..)),
            None => (inner, None),
        };
        Some(Self { whole, name, default, rest })
    }
}

/// The position of the brace that closes one opened just before the text.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open: usize = 1;
    for (at, char) in text.char_indices() {
        match char {
            '{' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}

/// The text before a character, and the text from it on.
fn split_before(text: &str, char: char) -> Option<(&str, &str)> {
    text.split_at_checked(text.find(char)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn look_up(name: &str) -> Option<String> {
        let value = match name {
            "A" => "/a",
            "B" => "$A/b",
            "EMPTY" => "",
            "ODD.conf" => "odd",
            "LOOP" => "x${LOOP}",
            "UNKNOWN_INSIDE" => "${NOWHERE}/x",
            "SPACED" => "with blank",
            _ => return None,
        };
        Some(String::from(value))
    }

    #[test]
    fn references_are_replaced() {
        let cases = [
            ("", ""),
            ("plain", "plain"),
            ("$A", "/a"),
            ("$A/x", "/a/x"),
            ("x/$A\\y", "x//a\\y"),
            ("$A $A\t$A", "/a /a\t/a"),
            ("$ODD.conf", "odd"),
            ("${A}x${A}", "/ax/a"),
            ("$B/c", "/a/b/c"),
            ("${EMPTY}x", "x"),
            ("${EMPTY:-d}x", "x"),
            ("${A:-d}", "/a"),
            ("${NO:-d}", "d"),
            ("${NO:=d}e", "de"),
            ("${NO:-}e", "e"),
            ("${NO:-$A/x}", "/a/x"),
            ("${NO:-${A}}/x", "/a/x"),
            ("${NO:-${NO2:-${A}}}/x", "/a/x"),
            ("${NO:-${NO2:={z}}}", "{z}"),
            ("${NO:=a:-b}", "a:-b"),
            ("${NO:-a:=b}", "a:=b"),
            ("${:-d}", "d"),
            ("${SPACED}/é", "with blank/é"),
        ];
        for (text, expected) in cases {
            let expansion = expand(text, &look_up).unwrap();
            assert_eq!(expansion.text, expected, "{text:?}");
            assert!(expansion.warnings.is_empty(), "{text:?}: {:?}", expansion.warnings);
        }
    }

    #[test]
    fn what_stands_for_nothing_stays() {
        let unknown = |name| {
            format!("{name:?} is neither in [PATHS] nor in the environment and stays as it is")
        };
        let cases = [
            ("$NO/x", "$NO/x", unknown("$NO")),
            ("a${NO}$A", "a${NO}/a", unknown("${NO}")),
            ("${NO:x}", "${NO:x}", unknown("${NO:x}")),
            ("$", "$", unknown("$")),
            ("$/x", "$/x", unknown("$")),
            ("${}", "${}", unknown("${}")),
            ("$A$A", "$A$A", unknown("$A$A")),
            ("$UNKNOWN_INSIDE", "${NOWHERE}/x", unknown("${NOWHERE}")),
            ("${NO:-${NO2}}", "${NO2}", unknown("${NO2}")),
            ("$A/${A", "/a/${A", String::from(r#""${A" has no closing brace and stays as it is"#)),
            (
                "${NO:-${A}",
                "${NO:-${A}",
                String::from(r#""${NO:-${A}" has no closing brace and stays as it is"#),
            ),
        ];
        for (text, expected, warning) in cases {
            let expansion = expand(text, &look_up).unwrap();
            assert_eq!(expansion.text, expected, "{text:?}");
            assert_eq!(expansion.warnings, [warning], "{text:?}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        assert_eq!(expand("$LOOP", &look_up), Err(ExpandError::TooDeep));
        let nested = |levels| format!("{}x{}", "${NO:-".repeat(levels), "}".repeat(levels));
        assert_eq!(expand(&nested(LEVELS_MAX), &look_up).unwrap().text, "x");
        assert_eq!(expand(&nested(LEVELS_MAX + 1), &look_up), Err(ExpandError::TooDeep));
    }

    #[test]
    fn length_is_bounded_even_when_nothing_comes_out() {
        let doubling = |end: &'static str| {
            move |name: &str| match name.parse::<usize>().unwrap() {
                100 => Some(String::from(end)),
                level => Some(format!("${{{0}}}${{{0}}}", level + 1)),
            }
        };
        assert_eq!(expand("${0}", &doubling("")), Err(ExpandError::TooLong));
        assert_eq!(expand("${0}", &doubling("x")), Err(ExpandError::TooLong));
        assert!(expand("${90}", &doubling("x")).unwrap().text.len() == 1024);
        assert_eq!(expand(&"x".repeat(TEXT_MAX + 1), &look_up), Err(ExpandError::TooLong));
    }

    proptest! {
        #[test]
        fn expansion_ends_within_its_bounds(text in "[$ {}:=/AB-]{0,80}", any in ".{0,40}") {
            for text in [text, any] {
                if let Ok(expansion) = expand(&text, &look_up) {
                    prop_assert!(expansion.text.len() <= TEXT_MAX);
                }
            }
        }
    }
}
