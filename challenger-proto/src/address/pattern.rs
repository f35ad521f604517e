//! Patterns: POSIX extended regular expressions, which say what the field of an address may hold.
//!
//! The syntax is that of POSIX.1-2017 XBD 9.4, matching takes time linear in the text. Where the
//! standard leaves a construct undefined and implementations disagree, the pattern is refused:
//! a silent different answer would let in addresses that the operator meant to keep out.
//!
//! Three choices are ours. A character is a Unicode scalar value, and ranges follow their numbers.
//! Character classes are ASCII, as in the POSIX locale. An empty alternative, as in `(CH|)`,
//! matches the empty text, as everywhere in practice.

mod error;
mod reach;
#[cfg(test)]
mod tests;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use regex::{Regex, RegexBuilder};

pub use self::error::PatternErrorKind;

/// The longest pattern, in bytes: enough for any list of postal codes worth writing by hand.
pub const PATTERN_MAX: usize = 1024;
/// The most memory a compiled pattern may take: it bounds the time that a character of text costs.
const COMPILED_MAX: usize = 1 << 20;
/// How deep groups may nest, well within what the regex crate takes for itself.
const DEPTH_MAX: usize = 32;
/// The largest count in an interval, `RE_DUP_MAX` (POSIX.1-2017 XBD limits.h).
const COUNT_MAX: u32 = 255;

/// The character classes of every locale (POSIX.1-2017 XBD 9.3.5, item 6).
const CLASSES: [&str; 12] = [
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "xdigit",
];

/// An extended regular expression (POSIX.1-2017 XBD 9.4), compiled.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

impl Pattern {
    /// Reads and compiles an expression.
    ///
    /// # Errors
    /// [`PatternError`] for what is no extended regular expression, for what the standard leaves
    /// undefined, and for what is too large.
    ///
    /// ```
    /// use challenger_proto::address::Pattern;
    ///
    /// let phone = Pattern::parse(r"^\+[1-9][0-9]{7,14}$").unwrap();
    /// assert!(phone.is_match("+41791234567"));
    /// assert!(!phone.is_match("079 123 45 67"));
    /// ```
    pub fn parse(source: &str) -> Result<Self, PatternError> {
        let translated = translate(source)?;
        // Translations have no errors of syntax, which leaves their size.
        let whole = |_| PatternError { kind: PatternErrorKind::CompiledTooLarge, position: 1 };
        let regex = compile(&translated).map_err(whole)?;
        Ok(Self { source: source.to_string(), regex })
    }

    /// The expression as the operator wrote it.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether the expression matches the text or a part of it. Only `^` and `$` tie it to the
    /// ends, and only to those of the whole text; newlines are ordinary characters
    /// (POSIX.1-2017 XSH regcomp, without `REG_NEWLINE`).
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.source).finish()
    }
}

/// Why a pattern was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// What is wrong.
    pub kind: PatternErrorKind,
    /// The character it is wrong at, counted from one.
    pub position: usize,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: {}", self.position, self.kind)
    }
}

impl core::error::Error for PatternError {}

fn compile(translated: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(translated).dot_matches_new_line(true).size_limit(COMPILED_MAX).build()
}

/// Writes an extended regular expression as one for the regex crate.
fn translate(source: &str) -> Result<String, PatternError> {
    let mut translator = Translator { source, rest: source, translated: String::new() };
    if source.len() > PATTERN_MAX {
        return Err(translator.error(0, PatternErrorKind::TooLong));
    }
    if let Some(at) = source.find('\0') {
        return Err(translator.error(at, PatternErrorKind::Nul));
    }
    translator.expression()?;
    Ok(translator.translated)
}

/// What stands before the next character: whether a quantifier may follow.
enum Before {
    Atom,
    Nothing,
    Quantifier,
}

/// Reads an expression from left to right. An `at` is where something begins in `source`.
struct Translator<'a> {
    source: &'a str,
    rest: &'a str,
    translated: String,
}

impl Translator<'_> {
    fn expression(&mut self) -> Result<(), PatternError> {
        let mut groups = Vec::new();
        let mut before = Before::Nothing;
        loop {
            let at = self.at();
            let Some(character) = self.next() else { break };
            before = match character {
                '*' | '+' | '?' | '{' => {
                    match before {
                        Before::Atom => self.quantifier(at, character)?,
                        Before::Nothing => {
                            return Err(self.error(at, PatternErrorKind::NothingToRepeat));
                        }
                        Before::Quantifier => {
                            return Err(self.error(at, PatternErrorKind::QuantifierRepeated));
                        }
                    }
                    Before::Quantifier
                }
                '(' => {
                    groups.push(at);
                    self.group_start(at, groups.len())?;
                    Before::Nothing
                }
                ')' => {
                    if groups.pop().is_none() {
                        return Err(self.error(at, PatternErrorKind::GroupUnopened));
                    }
                    self.translated.push(')');
                    Before::Atom
                }
                // Both languages know anchors everywhere: `a^b` is valid, and matches nothing.
                '|' | '^' | '$' => {
                    self.translated.push(character);
                    Before::Nothing
                }
                other => {
                    self.atom(at, other)?;
                    Before::Atom
                }
            };
        }
        match groups.pop() {
            Some(at) => Err(self.error(at, PatternErrorKind::GroupOpen)),
            None => Ok(()),
        }
    }

    fn group_start(&mut self, at: usize, depth: usize) -> Result<(), PatternError> {
        if self.rest.starts_with('?') {
            return Err(self.error(at, PatternErrorKind::GroupExtension));
        }
        if depth > DEPTH_MAX {
            return Err(self.error(at, PatternErrorKind::GroupsTooDeep));
        }
        self.translated.push_str("(?:");
        Ok(())
    }

    fn quantifier(&mut self, at: usize, character: char) -> Result<(), PatternError> {
        if character != '{' {
            self.translated.push(character);
            return Ok(());
        }
        let Some((interval, rest)) = self.rest.split_once('}') else {
            return Err(self.error(at, PatternErrorKind::IntervalMalformed));
        };
        let interval = parse_interval(interval).map_err(|kind| self.error(at, kind))?;
        self.translated.push_str(&interval);
        self.rest = rest;
        Ok(())
    }

    fn atom(&mut self, at: usize, character: char) -> Result<(), PatternError> {
        match character {
            '.' => self.translated.push('.'),
            '[' => self.bracket(at)?,
            '\\' => {
                let escaped = match self.next() {
                    None => Err(PatternErrorKind::EscapeUnfinished),
                    Some('0'..='9') => Err(PatternErrorKind::BackReference),
                    // GNU finds the ends of words and of the text with these.
                    Some('<' | '>' | '`' | '\'') => Err(PatternErrorKind::EscapeUnknown),
                    Some(special) if special.is_ascii_punctuation() => Ok(special),
                    Some(_) => Err(PatternErrorKind::EscapeUnknown),
                };
                let escaped = escaped.map_err(|kind| self.error(at, kind))?;
                self.literal(escaped);
            }
            other => self.literal(other),
        }
        Ok(())
    }

    /// Reads a bracket expression (POSIX.1-2017 XBD 9.3.5) from behind its `[` on.
    fn bracket(&mut self, at: usize) -> Result<(), PatternError> {
        self.translated.push('[');
        let list = self.rest;
        if let Some(rest) = self.rest.strip_prefix('^') {
            self.translated.push('^');
            self.rest = rest;
        }
        let first = self.at();
        loop {
            let element = self.at();
            let Some(character) = self.next() else {
                return Err(self.error(at, PatternErrorKind::BracketOpen));
            };
            match character {
                ']' if element != first => break,
                '[' if self.rest.starts_with(['.', '=']) => {
                    return Err(self.error(element, PatternErrorKind::CollatingElement));
                }
                '[' if self.rest.starts_with(':') => self.class(element)?,
                '-' if element != first && !self.rest.starts_with(']') => {
                    return Err(self.error(element, PatternErrorKind::RangeAmbiguous));
                }
                other => self.range_or_character(element, other)?,
            }
        }
        self.translated.push(']');
        // `[:` alone is a fine set, and so is `[::]`; with a name in it, brackets were forgotten.
        match list.strip_suffix(self.rest).and_then(|list| list.strip_suffix(":]")) {
            Some(list) if list.len() > 1 && list.starts_with(':') => {
                Err(self.error(at, PatternErrorKind::ClassOutsideBrackets))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn class(&mut self, at: usize) -> Result<(), PatternError> {
        let named = self.rest.strip_prefix(':').and_then(|rest| rest.split_once(":]"));
        match named {
            Some((name, rest)) if CLASSES.contains(&name) => {
                self.translated.push_str("[:");
                self.translated.push_str(name);
                self.translated.push_str(":]");
                self.rest = rest;
                Ok(())
            }
            Some(_) | None => Err(self.error(at, PatternErrorKind::ClassUnknown)),
        }
    }

    fn range_or_character(&mut self, at: usize, start: char) -> Result<(), PatternError> {
        self.literal(start);
        // A `-` right before the `]` stands for itself, and is the next element.
        if self.rest.starts_with("-]") {
            return Ok(());
        }
        let Some(rest) = self.rest.strip_prefix('-') else { return Ok(()) };
        self.rest = rest;
        // A pattern that ends here has an open bracket, which the caller is about to find.
        let Some(end) = self.next() else { return Ok(()) };
        if end == '[' && self.rest.starts_with([':', '.', '=']) {
            return Err(self.error(at, PatternErrorKind::RangeEnd));
        }
        if end < start {
            return Err(self.error(at, PatternErrorKind::RangeReversed));
        }
        self.translated.push('-');
        self.literal(end);
        Ok(())
    }

    /// A character for itself: the crate takes its escapes in brackets, too.
    fn literal(&mut self, character: char) {
        self.translated.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
    }

    fn at(&self) -> usize {
        self.source.len() - self.rest.len()
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next();
        self.rest = characters.as_str();
        character
    }

    fn error(&self, at: usize, kind: PatternErrorKind) -> PatternError {
        let before = self.source.char_indices().take_while(|(index, _)| *index < at);
        PatternError { kind, position: before.count() + 1 }
    }
}

/// Reads what stands between the braces of an interval (POSIX.1-2017 XBD 9.4.6, item 3). The short
/// `{,m}` is not the standard's, but everybody agrees on it.
fn parse_interval(interval: &str) -> Result<String, PatternErrorKind> {
    let (least, most) = match interval.split_once(',') {
        None => (parse_count(interval)?, Some(parse_count(interval)?)),
        Some((least, "")) => (parse_count(least)?, None),
        Some(("", most)) => (0, Some(parse_count(most)?)),
        Some((least, most)) => (parse_count(least)?, Some(parse_count(most)?)),
    };
    match most {
        None => Ok(alloc::format!("{{{least},}}")),
        Some(most) if least <= most => Ok(alloc::format!("{{{least},{most}}}")),
        Some(_) => Err(PatternErrorKind::IntervalReversed),
    }
}

fn parse_count(digits: &str) -> Result<u32, PatternErrorKind> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PatternErrorKind::IntervalMalformed);
    }
    match digits.parse() {
        Ok(count) if count <= COUNT_MAX => Ok(count),
        // What does not parse has too many digits.
        Ok(_) | Err(_) => Err(PatternErrorKind::CountTooLarge),
    }
}
