//! Points in time and the spans between them, in whole seconds, and how they are written.

use alloc::format;
use alloc::string::String;
use core::fmt;

use serde_json::{Value, json};

const SECONDS_PER_DAY: u64 = 86_400;

/// Seconds since 1970-01-01T00:00:00Z. The protocol knows no fractions of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The beginning of 1970, which the wire uses for "at once".
    pub const EPOCH: Self = Self(0);
    /// Later than every other point in time. Any store can hold it as a signed 64-bit number.
    pub const NEVER: Self = Self(i64::MAX as u64);

    /// The point `seconds` after the epoch, or [`Self::NEVER`] if that is too far away.
    pub const fn from_seconds(seconds: u64) -> Self {
        if seconds > Self::NEVER.0 { Self::NEVER } else { Self(seconds) }
    }

    /// Seconds since the epoch.
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// The point `span` later, or [`Self::NEVER`].
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self::from_seconds(self.0.saturating_add(span.0))
    }

    /// The span since `earlier`; zero if that lies ahead.
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// The wire's form: `{"t_s": 1790000300}` or `{"t_s": "never"}`.
    pub fn to_json(self) -> Value {
        if self == Self::NEVER { json!({"t_s": "never"}) } else { json!({"t_s": self.0}) }
    }

    /// As `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7), for HTTP headers.
    pub fn to_http_date(self) -> String {
        let (year, month, day) = self.date();
        let (hour, minute, second) = self.time_of_day();
        let weekday = match self.0 / SECONDS_PER_DAY % 7 {
            0 => "Thu",
            1 => "Fri",
            2 => "Sat",
            3 => "Sun",
            4 => "Mon",
            5 => "Tue",
            _ => "Wed",
        };
        let month = match month {
            1 => "Jan",
            2 => "Feb",
            3 => "Mar",
            4 => "Apr",
            5 => "May",
            6 => "Jun",
            7 => "Jul",
            8 => "Aug",
            9 => "Sep",
            10 => "Oct",
            11 => "Nov",
            _ => "Dec",
        };
        format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }

    /// As `2026-01-05 10:01 UTC`, for people.
    pub fn to_text(self) -> String {
        if self == Self::NEVER {
            return String::from("never");
        }
        let (year, month, day) = self.date();
        let (hour, minute, _) = self.time_of_day();
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
    }

    /// As `2026-01-05T10:01:07Z` (RFC 3339), for logs.
    pub fn to_rfc3339(self) -> String {
        let (year, month, day) = self.date();
        let (hour, minute, second) = self.time_of_day();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// Hour, minute and second.
    pub(crate) fn time_of_day(self) -> (u64, u64, u64) {
        let second = self.0 % SECONDS_PER_DAY;
        (second / 3600, second / 60 % 60, second % 60)
    }

    /// Year, month from 1 and day from 1 of the proleptic Gregorian calendar. Years are counted
    /// from a first of March, so that the leap day comes last and 400 of them always have 146,097
    /// days. This is `civil_from_days` of Howard Hinnant's "chrono-compatible low-level date
    /// algorithms".
    pub(crate) fn date(self) -> (u64, u64, u64) {
        let days = self.0 / SECONDS_PER_DAY + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        (era * 400 + year_of_era + u64::from(month <= 2), month, day)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NEVER { f.write_str("never") } else { write!(f, "{}s", self.0) }
    }
}

/// A length of time in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(u64);

impl Span {
    /// Longer than every other span.
    pub const FOREVER: Self = Self(u64::MAX);

    /// A span of this many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// A span of this many minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self(minutes.saturating_mul(60))
    }

    /// A span of this many days.
    pub const fn days(days: u64) -> Self {
        Self(days.saturating_mul(SECONDS_PER_DAY))
    }

    /// How many seconds it has.
    pub const fn as_seconds(self) -> u64 {
        self.0
    }

    /// How many whole minutes it has.
    pub const fn as_minutes(self) -> u64 {
        self.0 / 60
    }

    /// How many whole hours it has.
    pub const fn as_hours(self) -> u64 {
        self.0 / 3600
    }

    /// How many whole days it has.
    pub const fn as_days(self) -> u64 {
        self.0 / SECONDS_PER_DAY
    }

    /// As `45 s`, `12 min` or `23 h`, rounded up: units that people read in any language.
    pub fn to_text(self) -> String {
        match self.0 {
            0..=90 => format!("{} s", self.0),
            91..=7200 => format!("{} min", self.0.div_ceil(60)),
            _ => format!("{} h", self.0.div_ceil(3600)),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn dates_agree_with_known_ones() {
        let cases = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_767_607_260, "Mon, 05 Jan 2026 10:01:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ];
        for (seconds, text) in cases {
            assert_eq!(Timestamp::from_seconds(seconds).to_http_date(), text);
        }
        assert_eq!(Timestamp::from_seconds(1_767_607_260).to_text(), "2026-01-05 10:01 UTC");
        assert_eq!(Timestamp::NEVER.to_text(), "never");
        assert_eq!(Timestamp::from_seconds(1_767_607_267).to_rfc3339(), "2026-01-05T10:01:07Z");
    }

    #[test]
    fn spans_are_rounded_up_for_people() {
        for (seconds, text) in [
            (0, "0 s"),
            (90, "90 s"),
            (91, "2 min"),
            (7200, "120 min"),
            (7201, "3 h"),
            (86_400, "24 h"),
        ] {
            assert_eq!(Span::seconds(seconds).to_text(), text);
        }
    }

    #[test]
    fn arithmetic_ends_at_never() {
        assert_eq!(Timestamp::from_seconds(5).plus(Span::FOREVER), Timestamp::NEVER);
        assert_eq!(Timestamp::from_seconds(u64::MAX), Timestamp::NEVER);
        assert_eq!(Timestamp::EPOCH.since(Timestamp::NEVER), Span::seconds(0));
        assert_eq!(Timestamp::NEVER.to_json().to_string(), r#"{"t_s":"never"}"#);
        assert_eq!(Timestamp::from_seconds(7).to_json().to_string(), r#"{"t_s":7}"#);
    }
}
