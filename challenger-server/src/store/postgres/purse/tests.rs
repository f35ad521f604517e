//! Tests of `purse`, on a ledger in memory.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

use challenger_proto::Span;

use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// The row of the service, and a server with its purses.
#[derive(Default)]
struct Fixture {
    row: Mutex<Option<Balance>>,
    purses: Purses,
    orders: AtomicU32,
    /// What becomes of the next orders.
    trouble: Mutex<Option<PostgresError>>,
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn entry(event: Event) -> Vec<Entry> {
    vec![Entry { account: Account::Service, event }]
}

fn message(messages: u32, now: Timestamp) -> Vec<Entry> {
    entry(Event::Message { budget: MessageBudget { messages, period: Span::seconds(100) }, now })
}

impl Fixture {
    /// As the statement does it.
    fn take(&self, order: Order) -> Result<Option<Balance>, PostgresError> {
        self.orders.fetch_add(1, Ordering::Relaxed);
        if let Some(error) = lock(&self.trouble).clone() {
            return Err(error);
        }
        let Order { account, messages, budget, now, back, proofs } = order;
        let mut row = lock(&self.row);
        let mut new = row.clone().filter(|it| it.is_open(now, budget.period));
        if let Some(it) = new.as_mut().filter(|it| it.ends == back.ends) {
            it.spent -= back.messages;
        }
        for now in proofs {
            let proof = Entry { account: account.clone(), event: Event::Proof { now } };
            new = proof.post(new.as_ref()).unwrap_or(None).or(new);
        }
        let charge = Entry { account, event: Event::Message { budget, now } };
        for _ in 0..messages {
            match charge.post(new.as_ref()) {
                Ok(charged) => new = charged,
                Err(_) => return Ok(None),
            }
        }
        row.clone_from(&new);
        Ok(new)
    }

    fn pay(&self, entries: &[Entry]) -> Result<Bill, Unpaid> {
        self.purses.pay(entries, deadline(), |order| self.take(order))
    }

    /// Whether the entries were posted, with a row of a validation that came to nothing else.
    fn post(&self, entries: &[Entry], outcome: Outcome) -> bool {
        let bill = self.pay(entries);
        let is_paid = bill.is_ok();
        if let Ok(bill) = bill {
            self.purses.settle(bill, outcome);
        }
        is_paid
    }

    /// Spent by the database, and as a request sees it.
    fn spent(&self) -> (u32, u32) {
        let mut balance = lock(&self.row).clone().unwrap();
        let there = balance.spent;
        self.purses.correct(&mut balance, deadline());
        (there, balance.spent)
    }

    fn orders(&self) -> u32 {
        self.orders.swap(0, Ordering::Relaxed)
    }
}

#[test]
fn a_portion_pays_for_many_and_its_rest_goes_back() {
    let it = Fixture::default();
    for _ in 0..20 {
        assert!(it.post(&message(1600, NOW), Outcome::Done));
    }
    assert_eq!((it.orders(), it.spent()), (2, (32, 20)));
    let rest = Rest { messages: 12, ends: NOW.plus(Span::seconds(100)) };
    assert_eq!(it.purses.empty(), [(Account::Service, rest, vec![])]);
    assert_eq!(it.purses.empty(), []);
}

#[test]
fn portions_are_small_beside_the_budget() {
    for (messages, portion) in [(1, 1), (199, 1), (200, 2), (1000, 10), (1600, 16), (99_999, 16)] {
        let it = Fixture::default();
        assert!(it.post(&message(messages, NOW), Outcome::Done));
        assert_eq!(it.spent(), (portion, 1), "{messages}");
    }
}

#[test]
fn the_last_messages_are_taken_one_by_one() {
    let it = Fixture::default();
    let sent = (0..400).filter(|_| it.post(&message(203, NOW), Outcome::Done)).count();
    assert_eq!((sent, it.spent()), (203, (203, 203)));
    assert!(!it.post(&message(0, NOW), Outcome::Done));
}

#[test]
fn what_came_to_nothing_is_spent_again_and_what_is_unknown_is_not() {
    let it = Fixture::default();
    assert!(it.post(&message(1600, NOW), Outcome::Nothing));
    assert_eq!(it.spent(), (16, 0));
    assert!(it.post(&message(1600, NOW), Outcome::Unknown));
    assert_eq!(it.spent(), (16, 1));
    // One account can pay, and another one cannot.
    let mut entries = message(1600, NOW);
    let budget = MessageBudget { messages: 0, period: Span::seconds(100) };
    let account = Account::parse("prefix:+41").unwrap();
    entries.push(Entry { account, event: Event::Message { budget, now: NOW } });
    assert!(!it.post(&entries, Outcome::Done));
    assert_eq!(it.spent(), (16, 1));
}

#[test]
fn refunds_go_where_the_message_came_from() {
    let it = Fixture::default();
    let refund = entry(Event::Refund { charged: NOW });
    assert_eq!(it.pay(&refund).unwrap().entries, refund, "another server's message");
    assert!(it.post(&message(1600, NOW), Outcome::Done));
    let bill = it.pay(&refund).unwrap();
    assert_eq!(bill.entries, []);
    it.purses.settle(bill, Outcome::Nothing);
    assert_eq!(it.spent(), (16, 1));
    assert!(it.post(&refund, Outcome::Done));
    assert_eq!(it.spent(), (16, 0));
    let bill = it.pay(&refund).unwrap();
    assert_eq!(bill.entries, refund, "nothing of this server's is left to refund");
    assert_eq!(bill.held[&Account::Service].messages, 16);
}

#[test]
fn another_budget_or_window_has_a_portion_of_its_own() {
    let it = Fixture::default();
    assert!(it.post(&message(1600, NOW), Outcome::Done));
    assert!(it.post(&message(2, NOW), Outcome::Done));
    assert_eq!(it.spent(), (2, 2), "the operator lowered it");
    assert!(!it.post(&message(2, NOW), Outcome::Done));
    assert!(it.post(&message(1000, NOW), Outcome::Done));
    assert_eq!(it.spent(), (12, 3));
    let next = NOW.plus(Span::seconds(100));
    assert!(it.post(&message(1000, next), Outcome::Done));
    assert_eq!(it.spent(), (10, 1));
    assert!(it.post(&message(1000, Timestamp::from_seconds(5)), Outcome::Done));
    assert_eq!(it.spent(), (10, 1), "a clock that was set back");
}

#[test]
fn proofs_wait_for_a_portion_or_for_each_other() {
    let it = Fixture::default();
    let proof = entry(Event::Proof { now: NOW });
    assert!(it.post(&message(1, NOW), Outcome::Done));
    for _ in 1..PROOFS_MAX {
        let bill = it.pay(&proof).unwrap();
        assert_eq!(bill.entries, []);
        it.purses.settle(bill, Outcome::Done);
    }
    let all = it.pay(&proof).unwrap();
    assert_eq!(all.entries, vec![proof[0].clone(); PROOFS_MAX]);
    it.purses.settle(all, Outcome::Nothing);
    let mut seen = lock(&it.row).clone().unwrap();
    it.purses.correct(&mut seen, deadline());
    assert_eq!(seen.proved, 15);
    assert!(!it.post(&message(1, NOW), Outcome::Done), "and they are not lost");
    assert!(it.post(&message(2, NOW), Outcome::Done));
    assert_eq!(lock(&it.row).clone().unwrap().proved, 15);
    assert_eq!(it.purses.empty(), []);
}

#[test]
fn a_portion_that_may_have_been_taken_is_not_spent() {
    let it = Fixture::default();
    assert!(it.post(&message(1600, NOW), Outcome::Done));
    for (error, left) in
        [(PostgresError::Unreachable(String::new()), 15), (PostgresError::Lost(String::new()), 0)]
    {
        *lock(&it.trouble) = Some(error);
        assert!(!it.post(&message(1000, NOW), Outcome::Done));
        assert_eq!(it.spent(), (16, 16 - left));
    }
    *lock(&it.trouble) = None;
    assert!(it.post(&message(1000, NOW), Outcome::Done));
    assert_eq!(it.spent(), (26, 17));
}

#[test]
fn those_who_need_the_same_account_wait_for_one_that_fetches() {
    let it = Fixture::default();
    let paid: u32 = thread::scope(|scope| {
        let pay = || u32::from(it.post(&message(1600, NOW), Outcome::Done));
        let threads: Vec<_> = (0..64).map(|_| scope.spawn(pay)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((paid, it.orders(), it.spent()), (64, 4, (64, 64)));
}

#[test]
fn a_balance_that_looks_full_waits_for_the_portion_under_way() {
    let it = Fixture::default();
    assert!(it.post(&message(200, NOW), Outcome::Done));
    lock(&it.row).as_mut().unwrap().spent = 198;
    assert!(it.post(&message(200, NOW), Outcome::Done));
    lock(&it.row).as_mut().unwrap().spent = 198;
    let begun = Barrier::new(2);
    let seen = thread::scope(|scope| {
        let (send, receive) = mpsc::channel();
        let bill = it.purses.pay(&message(200, NOW), deadline(), |order| {
            let taken = it.take(order)?;
            // Now the row is full, and the purse still empty.
            let mut seen = taken.clone().unwrap();
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
        let seen = receive.recv().unwrap().join().unwrap();
        it.purses.settle(bill.unwrap(), Outcome::Done);
        seen
    });
    assert_eq!(seen, 199);
}

#[test]
fn purses_of_windows_that_ended_are_forgotten() {
    let it = Fixture::default();
    assert!(it.post(&message(1600, NOW), Outcome::Done));
    let late = NOW.plus(Span::seconds(1000));
    let budget = MessageBudget { messages: 1, period: Span::seconds(100) };
    let account = Account::parse("prefix:+41").unwrap();
    let entry = Entry { account, event: Event::Message { budget, now: late } };
    let bill = it.purses.pay(&[entry], deadline(), |_| Ok(None));
    assert!(matches!(bill, Err(Unpaid::OverBudget)));
    assert_eq!(lock(&it.purses.purses).len(), 1);
}
