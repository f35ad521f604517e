//! What can be wrong with a pattern, and what would be accepted.

use core::fmt;

/// What can be wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternErrorKind {
    /// `\1`, which basic expressions have and extended ones have not.
    BackReference,
    /// `[` without its `]`.
    BracketOpen,
    /// `[:alpha:]` outside brackets, which would be a set of letters and a colon.
    ClassOutsideBrackets,
    /// `[:name:]` with a name the standard does not have, or without its end.
    ClassUnknown,
    /// `[.a.]` or `[=a=]`, which mean something in locales only.
    CollatingElement,
    /// The compiled expression would be larger than 1 MiB.
    CompiledTooLarge,
    /// An interval with a count above `RE_DUP_MAX`.
    CountTooLarge,
    /// A backslash before a character that is not special, such as `\d`.
    EscapeUnknown,
    /// A backslash at the end.
    EscapeUnfinished,
    /// `(?`, where other languages put flags and look-around.
    GroupExtension,
    /// `(` without its `)`.
    GroupOpen,
    /// Groups in groups, deeper than we follow.
    GroupsTooDeep,
    /// `)` without its `(`.
    GroupUnopened,
    /// `{` that begins no interval.
    IntervalMalformed,
    /// An interval such as `{3,2}`.
    IntervalReversed,
    /// A quantifier at the start of an expression or after `(`, `|`, `^` or `$`.
    NothingToRepeat,
    /// A NUL, which ends a pattern of C.
    Nul,
    /// A quantifier after a quantifier.
    QuantifierRepeated,
    /// A `-` that could begin a range, end one, or stand for itself.
    RangeAmbiguous,
    /// A range whose end is no character.
    RangeEnd,
    /// A range such as `[z-a]`.
    RangeReversed,
    /// The expression is longer than [`PATTERN_MAX`](super::PATTERN_MAX).
    TooLong,
}

impl fmt::Display for PatternErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BackReference => {
                "extended regular expressions have no back-references, write the group again"
            }
            Self::BracketOpen => r"this bracket has no ']', write '\[' for the character itself",
            Self::ClassOutsideBrackets => {
                "a character class stands in brackets of its own, write [[:alpha:]]"
            }
            Self::ClassUnknown => {
                "no such character class, there are alnum, alpha, blank, cntrl, digit, graph, \
                 lower, print, punct, space, upper and xdigit, written as in [[:alpha:]]"
            }
            Self::CollatingElement => {
                "'[.' and '[=' begin what depends on a locale, write the characters themselves, \
                 '[' after the others"
            }
            Self::CompiledTooLarge => {
                "the expression needs more than 1 MiB when compiled, use smaller counts"
            }
            Self::CountTooLarge => "a count in an interval is at most 255",
            Self::EscapeUnfinished => {
                r"there is nothing after this backslash, write '\\' for the character itself"
            }
            Self::EscapeUnknown => {
                "a backslash only takes the meaning from punctuation, as in '\\.', write a bracket \
                 such as [[:digit:]] for a kind of character"
            }
            Self::GroupExtension => {
                "extended regular expressions have no '(?', write '(' for a group and '\\(\\?' for \
                 the characters themselves"
            }
            Self::GroupOpen => r"this group has no ')', write '\(' for the character itself",
            Self::GroupsTooDeep => "groups nest at most 32 deep",
            Self::GroupUnopened => r"this ')' ends no group, write '\)' for the character itself",
            Self::IntervalMalformed => {
                r"an interval is {n}, {n,}, {,m} or {n,m}, write '\{' for the character itself"
            }
            Self::IntervalReversed => "the first count of an interval is at most the second",
            Self::NothingToRepeat => {
                r"there is nothing to repeat before this, write '\*' for the character itself"
            }
            Self::Nul => "a NUL character can be in no address, leave it out",
            Self::QuantifierRepeated => {
                "a quantifier after a quantifier means something else to every implementation, \
                 write a group as in (a{2}){3}"
            }
            Self::RangeAmbiguous => {
                "a '-' for itself stands first or last in its bracket, or ends a range"
            }
            Self::RangeEnd => "a range ends with a single character",
            Self::RangeReversed => "a range ends with a character that is not before its first",
            Self::TooLong => "the expression is longer than 1024 bytes",
        })
    }
}
