//! Tests of `purse`, on a ledger in memory.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use challenger_proto::Span;

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
const PERIOD: Span = Span::seconds(100);

/// The row of the service, and a server with its purses.
#[derive(Default)]
struct Fixture {
    row: Mutex<Option<Balance>>,
    purses: Purses,
    /// How many portions were asked for.
    asked: AtomicU32,
    /// What becomes of the next portions.
    trouble: Mutex<Option<PostgresError>>,
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn entry(event: Event) -> Vec<Entry> {
    vec![Entry { account: Account::Service, event }]
}

fn message(messages: u32, now: Timestamp) -> Vec<Entry> {
    entry(Event::Message { budget: MessageBudget { messages, period: PERIOD }, now })
}

fn proof() -> Vec<Entry> {
    entry(Event::Proof { now: NOW })
}

impl Fixture {
    /// As the statement does it.
    fn take(&self, first: Balance) -> Result<Balance, PostgresError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if let Some(error) = lock(&self.trouble).clone() {
            return Err(error);
        }
        let mut row = lock(&self.row);
        let now = Timestamp::from_seconds(first.ends.seconds() - PERIOD.as_seconds());
        let open = row.as_ref().filter(|it| it.is_open(now, PERIOD));
        let begun = Balance { spent: 0, proved: 0, ..first.clone() };
        let before = open.cloned().unwrap_or(begun);
        let (spent, proved) = (before.spent + first.spent, before.proved + first.proved);
        let after = Balance { spent, proved, budget: first.budget, ..before };
        if after.spent > after.budget.messages {
            return Err(PostgresError::nothing());
        }
        Ok(row.insert(after).clone())
    }

    fn pay(&self, entries: &[Entry]) -> bool {
        self.purses.pay(entries, deadline(), |first| self.take(first)).is_ok()
    }

    /// Whether the entries could be posted with a row.
    fn post(&self, entries: &[Entry]) -> bool {
        let is_paid = self.pay(entries);
        is_paid && self.purses.settle(entries, true).is_empty()
    }

    /// The balance as a request sees it.
    fn seen(&self) -> Balance {
        let mut balance = lock(&self.row).clone().unwrap();
        self.purses.correct(&mut balance, deadline());
        balance
    }

    /// Spent by the database, and as a request sees it.
    fn spent(&self) -> (u32, u32) {
        let there = lock(&self.row).as_ref().unwrap().spent;
        (there, self.seen().spent)
    }
}

#[test]
fn a_portion_pays_for_many_and_its_rest_goes_back() {
    let it = Fixture::default();
    for _ in 0..20 {
        assert!(it.post(&message(1600, NOW)));
    }
    assert_eq!((it.asked.load(Ordering::Relaxed), it.spent()), (2, (32, 20)));
    let (account, ends) = (Account::Service, NOW.plus(PERIOD));
    assert_eq!(it.purses.empty(), [Rest { account, messages: 12, ends, proofs: 0 }]);
    assert_eq!(it.purses.empty(), []);
}

#[test]
fn portions_are_small_beside_the_budget() {
    for (messages, portion) in [(1, 1), (199, 1), (200, 2), (1000, 10), (1600, 16), (99_999, 16)] {
        let it = Fixture::default();
        assert!(it.post(&message(messages, NOW)));
        assert_eq!(it.spent(), (portion, 1), "{messages}");
    }
}

#[test]
fn the_last_messages_are_taken_one_by_one() {
    let it = Fixture::default();
    let sent = (0..400).filter(|_| it.post(&message(203, NOW))).count();
    assert_eq!((sent, it.spent()), (203, (203, 203)));
    assert!(!it.post(&message(0, NOW)));
}

#[test]
fn what_came_to_nothing_is_spent_again_and_what_is_unknown_is_not() {
    let it = Fixture::default();
    assert!(it.pay(&message(1600, NOW)));
    assert_eq!(it.purses.settle(&message(1600, NOW), false), []);
    assert_eq!(it.spent(), (16, 0));
    assert!(it.pay(&message(1600, NOW)));
    assert_eq!(it.spent(), (16, 1));
    // One account can pay, and another one cannot.
    let mut entries = message(1600, NOW);
    let budget = MessageBudget { messages: 0, period: PERIOD };
    let account = Account::parse("prefix:+41").unwrap();
    entries.push(Entry { account, event: Event::Message { budget, now: NOW } });
    assert!(!it.pay(&entries));
    assert_eq!(it.spent(), (16, 1));
}

#[test]
fn a_refund_goes_into_the_purse_of_its_window_only() {
    let it = Fixture::default();
    let refund = |charged| entry(Event::Refund { charged });
    assert!(it.post(&refund(NOW)));
    assert!(it.post(&message(1600, NOW)));
    it.purses.settle(&refund(NOW), false);
    assert_eq!(it.spent(), (16, 1));
    let next = NOW.plus(PERIOD);
    for (charged, left) in [(next, 1), (NOW, 0), (NOW, 0)] {
        assert!(it.post(&refund(charged)));
        assert_eq!(it.spent(), (16, left));
    }
    assert!(it.post(&message(1600, NOW)));
    assert!(it.post(&message(1600, next)));
    for (charged, left) in [(NOW, 1), (next, 0)] {
        assert!(it.post(&refund(charged)));
        assert_eq!(it.spent(), (16, left));
    }
}

#[test]
fn what_is_left_of_another_budget_or_window_is_dropped() {
    let it = Fixture::default();
    assert!(it.post(&message(1600, NOW)));
    assert_eq!(it.spent(), (16, 1));
    assert!(!it.post(&message(2, NOW)), "the operator lowered it");
    assert_eq!(it.spent(), (16, 16));
    assert!(it.post(&message(1000, NOW)));
    assert_eq!(it.spent(), (26, 17));
    assert!(it.post(&message(1000, NOW.plus(PERIOD))));
    assert_eq!(it.spent(), (10, 1));
    assert!(it.post(&message(1000, Timestamp::from_seconds(5))));
    assert_eq!(it.spent(), (10, 1), "a clock that was set back");
}

#[test]
fn proofs_wait_for_a_portion_or_for_each_other() {
    let it = Fixture::default();
    assert!(it.post(&message(1, NOW)));
    for _ in 1..PROOFS_MAX {
        assert!(it.post(&proof()));
    }
    it.purses.settle(&proof(), false);
    assert_eq!(it.seen().proved, 15);
    assert!(!it.post(&message(1, NOW)), "and they are not lost");
    assert!(it.post(&message(2, NOW)));
    assert_eq!((it.seen(), it.purses.empty()), (lock(&it.row).clone().unwrap(), vec![]));
    assert_eq!(it.seen().proved, 15);
    for _ in 1..PROOFS_MAX {
        assert!(it.post(&proof()));
    }
    let (account, ends) = (Account::Service, Timestamp::EPOCH);
    let all = Rest { account, messages: 0, ends, proofs: PROOFS_MAX };
    assert_eq!(it.purses.settle(&proof(), true), [all]);
    assert_eq!(it.purses.empty(), []);
}

#[test]
fn a_portion_that_may_have_been_taken_is_not_spent_and_its_proofs_are_not_counted_twice() {
    let it = Fixture::default();
    assert!(it.post(&message(1, NOW)));
    assert!(it.post(&proof()));
    for (error, proved) in
        [(PostgresError::Unreachable(String::new()), 1), (PostgresError::Lost(String::new()), 0)]
    {
        *lock(&it.trouble) = Some(error);
        assert!(!it.post(&message(1000, NOW)));
        assert_eq!((it.seen().spent, it.seen().proved), (1, proved));
    }
    *lock(&it.trouble) = None;
    assert!(it.post(&message(1000, NOW)));
    assert_eq!(it.spent(), (11, 2));
}

#[test]
fn those_who_need_the_same_account_wait_for_one_that_fetches() {
    let it = Fixture::default();
    let paid: u32 = thread::scope(|scope| {
        let pay = || u32::from(it.post(&message(1600, NOW)));
        let threads: Vec<_> = (0..64).map(|_| scope.spawn(pay)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((paid, it.asked.into_inner(), lock(&it.row).take().unwrap().spent), (64, 4, 64));
}

#[test]
fn a_balance_that_looks_full_waits_for_the_portion_under_way() {
    let it = Fixture::default();
    for _ in 0..2 {
        assert!(it.post(&message(200, NOW)));
        lock(&it.row).as_mut().unwrap().spent = 198;
    }
    let begun = Barrier::new(2);
    let seen = thread::scope(|scope| {
        let (send, receive) = mpsc::channel();
        let paid = it.purses.pay(&message(200, NOW), deadline(), |first| {
            let taken = it.take(first)?;
            // Now the row is full, and the purse still empty.
            let mut seen = taken.clone();
            assert_eq!(seen.spent, 200);
            let (begun, purses) = (&begun, &it.purses);
            let look = move || {
                begun.wait();
                purses.correct(&mut seen, deadline());
                seen.spent
            };
            send.send(scope.spawn(look)).unwrap();
            begun.wait();
            thread::sleep(Duration::from_millis(20));
            Ok(taken)
        });
        assert!(paid.is_ok());
        receive.recv().unwrap().join().unwrap()
    });
    assert_eq!(seen, 199);
}

#[test]
fn a_panic_while_a_portion_is_taken_keeps_nobody_waiting() {
    let (purses, account) = (Purses::default(), message(100, NOW));
    let panics = || purses.pay(&account, deadline(), |_| panic!("there is a fault"));
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    let paid = purses.pay(&account, deadline(), Ok);
    assert!(paid.is_ok(), "{paid:?}");
}
