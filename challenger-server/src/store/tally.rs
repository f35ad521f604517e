//! How many validations each client has, as each server remembers it.
//!
//! A number in the client's row would have to be changed by every `/setup`, one after the other. So
//! the rows are counted now and then. A server adds the validations that it opened since; it learns
//! of those that others opened, and of those that expired, at the next count.

use std::collections::BTreeMap;
use std::sync::Mutex;

use challenger_proto::oauth::ClientId;
use challenger_proto::store::Count;
use challenger_proto::{Span, Timestamp};

use super::{StoreError, lock};

/// How long a count is used. Other servers may open more validations meanwhile.
const GOOD_FOR: Span = Span::seconds(5);

/// How long a count is used once the limit is reached: shorter, so that a free place is found soon.
const FULL_GOOD_FOR: Span = Span::seconds(1);

/// The counts of the clients that opened something.
#[derive(Default)]
pub(super) struct Tally(Mutex<BTreeMap<ClientId, Known>>);

#[derive(Default)]
struct Known {
    /// How many were opened here since the process began.
    opened: u32,
    counted: Option<Counted>,
    /// Since when a request has been counting, if one is.
    counting: Option<Timestamp>,
}

/// A count, with the state at its beginning.
#[derive(Clone, Copy)]
struct Counted {
    number: u32,
    now: Timestamp,
    opened: u32,
}

impl Known {
    /// The last count plus what was opened since, and the time of the count. What was opened during
    /// the count may be included twice.
    fn estimate(&self) -> Option<(u32, Timestamp)> {
        let counted = self.counted?;
        let since = self.opened.wrapping_sub(counted.opened);
        Some((counted.number.saturating_add(since), counted.now))
    }
}

impl Tally {
    /// The number of validations, by a recent count. While one request counts, others neither count
    /// nor wait: until the first count is done, only what was opened here is known.
    pub(super) fn number(
        &self,
        asked: &Count,
        count: impl FnOnce() -> Result<u32, StoreError>,
    ) -> Result<u32, StoreError> {
        let opened = {
            let mut clients = lock(&self.0);
            let known = clients.entry(asked.client).or_default();
            let (number, then) = known.estimate().unwrap_or((known.opened, Timestamp::EPOCH));
            // A count that takes longer than it would be used may have failed.
            let is_counting = known.counting.is_some_and(|since| is_within(since, GOOD_FOR, asked));
            if is_counting || is_good(number, then, asked) {
                return Ok(number);
            }
            known.counting = Some(asked.now);
            known.opened
        };
        let counted = count();
        let mut clients = lock(&self.0);
        let known = clients.entry(asked.client).or_default();
        known.counting = None;
        known.counted = Some(Counted { number: counted?, now: asked.now, opened });
        Ok(known.estimate().map_or(0, |(number, _)| number))
    }

    /// Adds a validation that was opened.
    pub(super) fn opened(&self, client: ClientId) {
        let mut clients = lock(&self.0);
        let known = clients.entry(client).or_default();
        known.opened = known.opened.wrapping_add(1);
    }
}

fn is_good(number: u32, then: Timestamp, asked: &Count) -> bool {
    is_within(then, if number < asked.most { GOOD_FOR } else { FULL_GOOD_FOR }, asked)
}

/// Whether `then` is no longer ago than `time`. After the clock was set back, nothing is.
fn is_within(then: Timestamp, time: Span, asked: &Count) -> bool {
    then <= asked.now && asked.now < then.plus(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tally of one client, and how many rows there are to count.
    struct Fixture {
        tally: Tally,
        rows: u32,
    }

    impl Fixture {
        /// The number, and whether it was counted.
        fn ask(&self, second: u64) -> (u32, bool) {
            let (client, now) = (ClientId::new(1).unwrap(), Timestamp::from_seconds(second));
            let mut was_counted = false;
            let number = self.tally.number(&Count { client, now, most: 10 }, || {
                was_counted = true;
                Ok(self.rows)
            });
            (number.unwrap(), was_counted)
        }

        fn open(&mut self) {
            self.rows += 1;
            self.tally.opened(ClientId::new(1).unwrap());
        }
    }

    #[test]
    fn rows_are_counted_now_and_then_and_added_to_meanwhile() {
        let mut it = Fixture { tally: Tally::default(), rows: 3 };
        assert_eq!(it.ask(100), (3, true));
        it.open();
        it.rows += 1; // Another server's.
        assert_eq!(it.ask(104), (4, false));
        assert_eq!(it.ask(105), (5, true));
        it.rows = 2;
        assert_eq!(it.ask(109), (5, false));
        assert_eq!(it.ask(50), (2, true), "the clock was set back");
    }

    #[test]
    fn a_full_client_is_counted_once_a_second() {
        let mut it = Fixture { tally: Tally::default(), rows: 9 };
        assert_eq!(it.ask(100), (9, true));
        it.open();
        assert_eq!(it.ask(100), (10, false));
        it.rows = 4;
        assert_eq!(it.ask(100), (10, false));
        assert_eq!(it.ask(101), (4, true));
    }

    #[test]
    fn a_count_keeps_nobody_waiting_and_a_failure_is_not_a_number() {
        let it = Fixture { tally: Tally::default(), rows: 7 };
        let client = ClientId::new(1).unwrap();
        let count = |second| Count { client, now: Timestamp::from_seconds(second), most: 10 };
        let failure = || Err(StoreError("away".to_owned()));
        assert!(it.tally.number(&count(100), failure).is_err());
        assert_eq!(it.ask(100), (7, true));
        let counted = it.tally.number(&count(200), || {
            assert_eq!(it.ask(200), (7, false), "what was known before");
            it.tally.opened(client);
            Ok(8)
        });
        assert_eq!(counted, Ok(9));
    }
}
