//! What happened to the validations of each client on each day, as a store keeps it.

use std::fmt;

use challenger_proto::oauth::ClientId;
use challenger_proto::{Span, Timestamp};

use super::StoreError;
use super::row::{StatisticRow, client_id, corrupt};

/// For how many days the numbers are kept: a year, and the same month of the year before.
pub const DAYS_KEPT: u64 = 400;

/// A day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(u64);

impl Day {
    /// The day of a point in time.
    pub const fn of(time: Timestamp) -> Self {
        Self(time.since(Timestamp::EPOCH).as_days())
    }

    /// The day that is so many days before.
    #[must_use]
    pub const fn before(self, days: u64) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// As databases keep it: days since 1970.
    pub(super) fn number(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

/// As `2026-12-01`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let midnight = Timestamp::EPOCH.plus(Span::days(self.0)).to_rfc3339();
        f.write_str(midnight.split('T').next().unwrap_or_default())
    }
}

/// How often something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Validations that were opened.
    pub opened: u64,
    /// Messages that were handed to the helper.
    pub messages: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Addresses that were proved.
    pub proved: u64,
    /// Codes that were exchanged for an access token.
    pub redeemed: u64,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        let Self { opened, messages, failed, proved, redeemed } = self;
        for (own, more) in [
            (opened, other.opened),
            (messages, other.messages),
            (failed, other.failed),
            (proved, other.proved),
            (redeemed, other.redeemed),
        ] {
            *own = own.saturating_add(more);
        }
    }
}

/// What happened to the validations of a client on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistic {
    /// The day.
    pub day: Day,
    /// The client.
    pub client: ClientId,
    /// How often what happened.
    pub counts: Counts,
}

impl From<&Statistic> for StatisticRow {
    fn from(statistic: &Statistic) -> Self {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let Statistic { day, client, counts } = statistic;
        Self {
            day: day.number(),
            client: client.number(),
            opened: number(counts.opened),
            messages: number(counts.messages),
            failed: number(counts.failed),
            proved: number(counts.proved),
            redeemed: number(counts.redeemed),
        }
    }
}

impl TryFrom<StatisticRow> for Statistic {
    type Error = StoreError;

    fn try_from(row: StatisticRow) -> Result<Self, StoreError> {
        let number = |column, number: i64| number.try_into().map_err(|_| corrupt(column));
        Ok(Self {
            day: Day(number("statistics.day", row.day)?),
            client: client_id("statistics.client", row.client)?,
            counts: Counts {
                opened: number("statistics.opened", row.opened)?,
                messages: number("statistics.messages", row.messages)?,
                failed: number("statistics.failed", row.failed)?,
                proved: number("statistics.proved", row.proved)?,
                redeemed: number("statistics.redeemed", row.redeemed)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_in_utc() {
        let day = |seconds| Day::of(Timestamp::from_seconds(seconds));
        assert_eq!(day(1_790_035_199).to_string(), "2026-09-21");
        assert_eq!(day(1_790_035_200).to_string(), "2026-09-22");
        assert_eq!(day(1_790_035_200).before(22).to_string(), "2026-08-31");
        assert_eq!(day(0).before(7).to_string(), "1970-01-01");
        assert_eq!(Day::of(Timestamp::NEVER).number(), i64::MAX / 86_400);
    }
}
