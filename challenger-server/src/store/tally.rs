//! How many validations each client has, remembered by each server for itself.
//!
//! A number in the client's row would have to be changed by every `/setup`, one after the other. So
//! the rows are counted, now and then: what a server opened since, it knows; what the others
//! opened, and what expired, it learns at the next count.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use challenger_proto::{ClientId, Count, Span, Timestamp};

use super::StoreError;

/// How long a count is good, in which other servers may open more.
const GOOD_FOR: Span = Span::seconds(5);

/// How long it is good once there are as many as may be, so that the next one finds its place soon.
const FULL_GOOD_FOR: Span = Span::seconds(1);

/// What is known of the clients that opened something.
#[derive(Default)]
pub(super) struct Tally(Mutex<BTreeMap<ClientId, Known>>);

#[derive(Default)]
struct Known {
    /// How many were opened here since the process began.
    opened: u32,
    counted: Option<Counted>,
    /// Since when somebody counts, if that is so.
    counting: Option<Timestamp>,
}

/// A count, and what was known when it was begun.
#[derive(Clone, Copy)]
struct Counted {
    number: u32,
    now: Timestamp,
    opened: u32,
}

impl Known {
    /// The last count, and what was opened since. What was opened while it was made may be in it
    /// twice.
    fn estimate(&self) -> Option<(u32, Timestamp)> {
        let counted = self.counted?;
        let since = self.opened.wrapping_sub(counted.opened);
        Some((counted.number.saturating_add(since), counted.now))
    }
}

impl Tally {
    /// How many there are, by a count that is not old. While somebody counts, nobody else does, nor
    /// waits for it: before the first count, only what was opened here is known.
    pub(super) fn number(
        &self,
        asked: &Count,
        count: impl FnOnce() -> Result<u32, StoreError>,
    ) -> Result<u32, StoreError> {
        let opened = {
            let mut clients = self.clients();
            let known = clients.entry(asked.client).or_default();
            let (number, then) = known.estimate().unwrap_or((known.opened, Timestamp::EPOCH));
            // A count that takes longer than it is good for may have been given up.
            let is_counting = known.counting.is_some_and(|since| is_within(since, GOOD_FOR, asked));
            if is_counting || is_good(number, then, asked) {
                return Ok(number);
            }
            known.counting = Some(asked.now);
            known.opened
        };
        let counted = count();
        let mut clients = self.clients();
        let known = clients.entry(asked.client).or_default();
        known.counting = None;
        known.counted = Some(Counted { number: counted?, now: asked.now, opened });
        Ok(known.estimate().map_or(0, |(number, _)| number))
    }

    /// One was opened.
    pub(super) fn opened(&self, client: ClientId) {
        let mut clients = self.clients();
        let known = clients.entry(client).or_default();
        known.opened = known.opened.wrapping_add(1);
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<ClientId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_good(number: u32, then: Timestamp, asked: &Count) -> bool {
    is_within(then, if number < asked.most { GOOD_FOR } else { FULL_GOOD_FOR }, asked)
}

/// Whether it is no longer than that ago. After the clock was set back, nothing is known.
fn is_within(then: Timestamp, time: Span, asked: &Count) -> bool {
    then <= asked.now && asked.now < then.plus(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tally of one client, and how many it would count.
    struct Desk {
        tally: Tally,
        rows: u32,
    }

    impl Desk {
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
        let mut desk = Desk { tally: Tally::default(), rows: 3 };
        assert_eq!(desk.ask(100), (3, true));
        desk.open();
        desk.rows += 1; // Another server's.
        assert_eq!(desk.ask(104), (4, false));
        assert_eq!(desk.ask(105), (5, true));
        desk.rows = 2;
        assert_eq!(desk.ask(109), (5, false));
        assert_eq!(desk.ask(50), (2, true), "the clock was set back");
    }

    #[test]
    fn a_full_client_is_counted_once_a_second() {
        let mut desk = Desk { tally: Tally::default(), rows: 9 };
        assert_eq!(desk.ask(100), (9, true));
        desk.open();
        assert_eq!(desk.ask(100), (10, false));
        desk.rows = 4;
        assert_eq!(desk.ask(100), (10, false));
        assert_eq!(desk.ask(101), (4, true));
    }

    #[test]
    fn a_count_keeps_nobody_waiting_and_a_failure_is_not_a_number() {
        let desk = Desk { tally: Tally::default(), rows: 7 };
        let client = ClientId::new(1).unwrap();
        let count = |second| Count { client, now: Timestamp::from_seconds(second), most: 10 };
        let failure = || Err(StoreError("away".to_owned()));
        assert!(desk.tally.number(&count(100), failure).is_err());
        assert_eq!(desk.ask(100), (7, true));
        let counted = desk.tally.number(&count(200), || {
            assert_eq!(desk.ask(200), (7, false), "what was known before");
            desk.tally.opened(client);
            Ok(8)
        });
        assert_eq!(counted, Ok(9));
    }
}
