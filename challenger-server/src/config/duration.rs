//! Durations as the configuration writes them: `4 weeks 1 day`, `10s`, `forever`.
//!
//! A sum of numbers with units, separated by spaces; a unit may touch its number. A number without
//! a unit counts microseconds.

use std::time::Duration;

/// A duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeSpan {
    /// A finite one, in whole microseconds.
    Finite(Duration),
    /// An infinite one.
    Forever,
}

impl TimeSpan {
    /// Reads a duration as the configuration writes it; `None` if it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse(text).ok()
    }
}

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DurationError {
    /// It does not follow the grammar.
    Malformed,
    /// It has more microseconds than 64 bits can count.
    TooLong,
}

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The units with their microseconds. There is no month.
const UNITS: [(&[&str], u64); 8] = [
    (&["us"], 1),
    (&["ms"], 1000),
    (&["s", "second", "seconds", "\""], SECOND),
    (&["m", "min", "minute", "minutes", "'"], MINUTE),
    (&["h", "hour", "hours"], HOUR),
    (&["d", "day", "days"], DAY),
    (&["w", "week", "weeks"], 7 * DAY),
    (&["y", "year", "years", "a"], 365 * DAY),
];

pub(super) fn parse(text: &str) -> Result<TimeSpan, DurationError> {
    if text.trim_ascii().eq_ignore_ascii_case("forever") {
        return Ok(TimeSpan::Forever);
    }
    let mut words = text.split_ascii_whitespace().peekable();
    if words.peek().is_none() {
        return Err(DurationError::Malformed);
    }
    let mut sum: u64 = 0;
    while let Some(word) = words.next() {
        let (number, glued) = split_number(word)?;
        let factor = match glued {
            "" => match words.next_if(|word| unit(word).is_some()) {
                Some(word) => unit(word),
                None => Some(1),
            },
            _ => unit(glued),
        };
        let factor = factor.ok_or(DurationError::Malformed)?;
        let part = number.checked_mul(factor).ok_or(DurationError::TooLong)?;
        sum = sum.checked_add(part).ok_or(DurationError::TooLong)?;
    }
    Ok(TimeSpan::Finite(Duration::from_micros(sum)))
}

/// The digits a word begins with, as a number, and what follows them.
fn split_number(word: &str) -> Result<(u64, &str), DurationError> {
    let rest = word.trim_start_matches(|char: char| char.is_ascii_digit());
    let digits = word.strip_suffix(rest).unwrap_or(word);
    if digits.is_empty() {
        return Err(DurationError::Malformed);
    }
    // Digits alone are always a number, so only its size can fail here.
    let number = digits.parse().map_err(|_| DurationError::TooLong)?;
    Ok((number, rest))
}

fn unit(word: &str) -> Option<u64> {
    UNITS
        .iter()
        .find(|(names, _)| names.iter().any(|name| name.eq_ignore_ascii_case(word)))
        .map(|(_, microseconds)| *microseconds)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_of_units() {
        let second = |seconds| Duration::from_secs(seconds);
        let cases = [
            ("4 weeks 1 day", second(2_505_600)),
            ("5 years 2 minutes", second(157_680_120)),
            ("10s", second(10)),
            ("60", Duration::from_micros(60)),
            ("0", Duration::ZERO),
            ("1 us 1 ms 1 s", Duration::from_micros(1_001_001)),
            ("1 h 1 hour 1 hours", second(3 * 3600)),
            ("1 m 1 min 1 minute 1 minutes 1'", second(5 * 60)),
            ("1 s 1 second 1 seconds 1\" 1 \"", second(5)),
            ("1 d 1 day 1 days", second(3 * 86_400)),
            ("1 w 1 week 1 weeks", second(21 * 86_400)),
            ("1 y 1 year 1 years 1 a", second(4 * 365 * 86_400)),
            ("  1\t DAY  2H ", second(86_400 + 7200)),
            ("7 1s 8", Duration::from_micros(1_000_015)),
            ("007 s", second(7)),
            ("18446744073709551615", Duration::from_micros(u64::MAX)),
        ];
        for (text, duration) in cases {
            assert_eq!(parse(text), Ok(TimeSpan::Finite(duration)), "{text:?}");
        }
        assert_eq!(parse("forever"), Ok(TimeSpan::Forever));
        assert_eq!(parse(" ForEver "), Ok(TimeSpan::Forever));
        assert!(TimeSpan::Forever > TimeSpan::Finite(Duration::MAX));
    }

    #[test]
    fn other_texts_are_refused() {
        use DurationError::{Malformed, TooLong};
        let cases = [
            ("", Malformed),
            (" ", Malformed),
            ("day", Malformed),
            ("1 month", Malformed),
            ("1.5 h", Malformed),
            ("-1 h", Malformed),
            ("+1 h", Malformed),
            ("1 s s", Malformed),
            ("10s5m", Malformed),
            ("1 forever", Malformed),
            ("never", Malformed),
            ("1,", Malformed),
            ("١ s", Malformed),
            ("18446744073709551616", TooLong),
            ("18446744073709551615 ms", TooLong),
            ("18446744073709551615 1", TooLong),
            ("600000 years", TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}", likely in "[0-9smhdwya' \"]{0,30}") {
            let _ = (parse(&text), parse(&likely));
        }
    }
}
