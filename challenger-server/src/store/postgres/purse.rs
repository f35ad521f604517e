//! Purses: messages of shared accounts that this server has set aside.
//!
//! All messages of a client, a destination or the service are charged to one row of the ledger. If
//! each commit changed it, each would wait until the one before it is on the disk. So a server takes
//! a few messages at once, with a statement of its own, and pays with them until they are spent or
//! the window ends. When it stops, it gives back the rest; after a crash, the rest counts as spent.
//! So no budget is overdrawn. Proofs gather here in the same way.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use challenger_proto::Timestamp;
use challenger_proto::store::{Account, Balance, Entry, Event, MessageBudget};

use super::error::PostgresError;
use super::session::LATE;
use crate::store::lock;

/// The most messages that are taken at once. It also divides the number of commits that wait for
/// the row.
const PORTION_MAX: u32 = 16;

/// The part of a budget that is taken at most: what waits at one server is missing at another.
const PORTION_DIVISOR: u32 = 100;

/// How many proofs wait until they are written.
const PROOFS_MAX: usize = 16;

/// The purses of a server.
#[derive(Default)]
pub(super) struct Purses {
    purses: Mutex<BTreeMap<Account, Purse>>,
    fetched: Condvar,
}

/// What is set aside for one account.
#[derive(Default)]
struct Purse {
    portion: Option<Portion>,
    /// When addresses were proved, as far as that is not in the database yet.
    proofs: Vec<Timestamp>,
    /// Whether a thread takes the next portion. Others wait for it.
    is_fetching: bool,
}

/// Messages of one window.
struct Portion {
    left: u32,
    /// The balance of the messages of this window that were paid from the purse.
    paid: Balance,
}

/// What to take from an account, beside what to give back of the portion before.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) account: Account,
    pub(super) messages: u32,
    pub(super) budget: MessageBudget,
    pub(super) now: Timestamp,
    pub(super) back: Rest,
    pub(super) proofs: Vec<Timestamp>,
}

/// Messages that were not spent, of the window with this end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) messages: u32,
    pub(super) ends: Timestamp,
}

/// The entries of one write: what purses have to do with them, and what is left to the database.
#[derive(Default)]
pub(super) struct Bill {
    /// Entries that the statement of the row has to post.
    pub(super) entries: Vec<Entry>,
    /// For refunds among them: what the purse still has, which nobody can ask back.
    pub(super) held: BTreeMap<Account, Rest>,
    /// Messages that were paid, of the windows with these ends.
    paid: Vec<(Account, Timestamp)>,
    /// What purses take over once the row is written.
    later: Vec<Entry>,
    /// Proofs that waited, and are among the entries now.
    proofs: Vec<(Account, Vec<Timestamp>)>,
}

/// What became of the row that a bill belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Nothing was changed.
    Nothing,
    Unknown,
}

/// Why a bill cannot be paid.
#[derive(Debug)]
pub(super) enum Unpaid {
    OverBudget,
    Failed(PostgresError),
}

impl Portion {
    fn can_pay(&self, budget: MessageBudget, now: Timestamp) -> bool {
        self.left > 0 && self.paid.budget == budget && self.paid.is_open(now, budget.period)
    }
}

impl Purse {
    fn rest(&self) -> Rest {
        let rest = |it: &Portion| Rest { messages: it.left, ends: it.paid.ends };
        self.portion.as_ref().map_or(Rest { messages: 0, ends: Timestamp::EPOCH }, rest)
    }

    /// The portion of a window, if it is that of this purse.
    fn portion_until(&mut self, ends: Timestamp) -> Option<&mut Portion> {
        self.portion.as_mut().filter(|portion| portion.paid.ends == ends)
    }

    /// Pays a message, and returns the end of its window.
    fn pay(&mut self, budget: MessageBudget, now: Timestamp) -> Option<Timestamp> {
        let portion = self.portion.as_mut().filter(|it| it.can_pay(budget, now))?;
        portion.left -= 1;
        portion.paid.spent += 1;
        Some(portion.paid.ends)
    }

    /// Takes back a message that this purse paid.
    fn refund(&mut self, refund: &Entry) -> bool {
        let Some(portion) = &mut self.portion else { return false };
        let Ok(Some(paid)) = refund.post(Some(&portion.paid)) else { return false };
        portion.paid = paid;
        portion.left += 1;
        true
    }

    /// Takes out what is left, so that nobody spends it while it goes back.
    fn take_rest(&mut self) -> Rest {
        let rest = self.rest();
        if let Some(portion) = &mut self.portion {
            portion.left = 0;
        }
        rest
    }

    /// Puts back what was not spent, unless its window is over.
    fn put_back(&mut self, rest: Rest) {
        if let Some(portion) = self.portion_until(rest.ends) {
            portion.left += rest.messages;
        }
    }

    /// Puts in a new portion, beside what was put back meanwhile.
    fn fill(&mut self, messages: u32, taken: Balance) {
        let before = self.portion_until(taken.ends).map(|it| (it.left, it.paid.spent));
        let (left, spent) = before.unwrap_or_default();
        self.portion = Some(Portion { left: left + messages, paid: Balance { spent, ..taken } });
    }

    fn is_of_use(&self, now: Timestamp) -> bool {
        // A clock may be set back a little.
        let is_over = |it: &Portion| it.paid.ends.plus(it.paid.budget.period) <= now;
        let has_more = self.portion.as_ref().is_some_and(|it| !is_over(it));
        self.is_fetching || !self.proofs.is_empty() || has_more
    }
}

impl Purses {
    /// Pays the messages to shared accounts, and sorts out the other entries. `take` carries out an
    /// order, and returns the balance; `None` if the budget does not allow it.
    pub(super) fn pay(
        &self,
        entries: &[Entry],
        deadline: Instant,
        take: impl Fn(Order) -> Result<Option<Balance>, PostgresError>,
    ) -> Result<Bill, Unpaid> {
        let mut bill = Bill::default();
        for entry in entries {
            let account = &entry.account;
            match entry.event {
                _ if !account.is_shared() => bill.entries.push(entry.clone()),
                Event::Message { budget, now } => {
                    match self.pay_one(account, budget, now, deadline, &take) {
                        Ok(ends) => bill.paid.push((account.clone(), ends)),
                        Err(unpaid) => {
                            self.settle(bill, Outcome::Nothing);
                            return Err(unpaid);
                        }
                    }
                }
                Event::Refund { .. } => self.sort_refund(entry, &mut bill),
                Event::Proof { .. } => self.sort_proof(entry, &mut bill),
            }
        }
        Ok(bill)
    }

    /// Pays one message, from a new portion if need be.
    fn pay_one(
        &self,
        account: &Account,
        budget: MessageBudget,
        now: Timestamp,
        deadline: Instant,
        take: impl Fn(Order) -> Result<Option<Balance>, PostgresError>,
    ) -> Result<Timestamp, Unpaid> {
        if budget.messages == 0 {
            return Err(Unpaid::OverBudget);
        }
        let mut purses = lock(&self.purses);
        loop {
            if !purses.contains_key(account) {
                purses.retain(|_, purse| purse.is_of_use(now));
            }
            let purse = purses.entry(account.clone()).or_default();
            if let Some(ends) = purse.pay(budget, now) {
                return Ok(ends);
            }
            if !purse.is_fetching {
                purse.is_fetching = true;
                break;
            }
            let late = || Unpaid::Failed(PostgresError::Other(LATE.to_owned()));
            purses = self.wait(purses, deadline).ok_or_else(late)?;
        }
        let fetching = Fetching { purses: self, account };
        drop(purses);
        let most = PORTION_MAX.min(budget.messages / PORTION_DIVISOR).max(1);
        let mut filled = fetching.fetch(most, budget, now, &take);
        if most > 1 && matches!(filled, Err(Unpaid::OverBudget)) {
            filled = fetching.fetch(1, budget, now, &take);
        }
        filled
    }

    /// Refunds go where the message came from: to the purse that paid it, or to the database.
    fn sort_refund(&self, refund: &Entry, bill: &mut Bill) {
        let mut purses = lock(&self.purses);
        let purse = purses.entry(refund.account.clone()).or_default();
        let is_ours = purse
            .portion
            .as_ref()
            .is_some_and(|it| matches!(refund.post(Some(&it.paid)), Ok(Some(_))));
        if is_ours {
            bill.later.push(refund.clone());
        } else {
            bill.held.insert(refund.account.clone(), purse.rest());
            bill.entries.push(refund.clone());
        }
    }

    /// Proofs wait, until they are so many that they go to the database all together.
    fn sort_proof(&self, proof: &Entry, bill: &mut Bill) {
        let mut purses = lock(&self.purses);
        let purse = purses.entry(proof.account.clone()).or_default();
        if purse.proofs.len() + 1 < PROOFS_MAX {
            bill.later.push(proof.clone());
            return;
        }
        let waiting = mem::take(&mut purse.proofs);
        let entry = |&now: &Timestamp| Entry {
            account: proof.account.clone(),
            event: Event::Proof { now },
        };
        bill.entries.extend(waiting.iter().map(entry).chain([proof.clone()]));
        bill.proofs.push((proof.account.clone(), waiting));
    }

    /// Ends a bill, now that the outcome for its row is known, or known to be unknown.
    pub(super) fn settle(&self, bill: Bill, outcome: Outcome) {
        let mut purses = lock(&self.purses);
        match outcome {
            Outcome::Unknown => {}
            Outcome::Nothing => {
                for (account, ends) in bill.paid {
                    let purse = purses.get_mut(&account);
                    if let Some(portion) = purse.and_then(|it| it.portion_until(ends)) {
                        portion.left += 1;
                        portion.paid.spent = portion.paid.spent.saturating_sub(1);
                    }
                }
                for (account, proofs) in bill.proofs {
                    purses.entry(account).or_default().proofs.extend(proofs);
                }
            }
            Outcome::Done => {
                for entry in bill.later {
                    let purse = purses.entry(entry.account.clone()).or_default();
                    match entry.event {
                        Event::Proof { now } => purse.proofs.push(now),
                        // If the window has ended meanwhile, nobody misses the message.
                        Event::Refund { .. } => drop(purse.refund(&entry)),
                        Event::Message { .. } => {}
                    }
                }
            }
        }
    }

    /// Makes a balance of the database that which this server sees: it can still spend what it has
    /// set aside.
    pub(super) fn correct(&self, balance: &mut Balance, deadline: Instant) {
        let mut purses = lock(&self.purses);
        while let Some(purse) = purses.get_mut(&balance.account) {
            let left = purse.portion_until(balance.ends).map_or(0, |portion| portion.left);
            let spent = balance.spent.saturating_sub(left);
            if purse.is_fetching && spent >= balance.budget.messages {
                // The balance may include what is about to be put into the purse.
                let Some(later) = self.wait(purses, deadline) else { return };
                purses = later;
                continue;
            }
            balance.spent = spent;
            for &now in &purse.proofs {
                let account = balance.account.clone();
                let proof = Entry { account, event: Event::Proof { now } };
                if let Ok(Some(proved)) = proof.post(Some(balance)) {
                    *balance = proved;
                }
            }
            return;
        }
    }

    /// Empties all purses, and returns what to write: what was left, and proofs.
    pub(super) fn empty(&self) -> Vec<(Account, Rest, Vec<Timestamp>)> {
        let purses = mem::take(&mut *lock(&self.purses)).into_iter();
        let contents = purses.map(|(account, it)| (account, it.rest(), it.proofs));
        contents.filter(|(_, rest, proofs)| rest.messages > 0 || !proofs.is_empty()).collect()
    }

    /// Waits until a thread has fetched something; `None` if that takes too long.
    fn wait<'a>(
        &self,
        purses: MutexGuard<'a, BTreeMap<Account, Purse>>,
        deadline: Instant,
    ) -> Option<MutexGuard<'a, BTreeMap<Account, Purse>>> {
        let left = deadline.checked_duration_since(Instant::now())?;
        let waited = self.fetched.wait_timeout(purses, left);
        Some(waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// The thread that takes the next portion of an account. The others go on when this is dropped.
struct Fetching<'a> {
    purses: &'a Purses,
    account: &'a Account,
}

impl Fetching<'_> {
    /// Takes this many messages, and pays one of them.
    fn fetch(
        &self,
        messages: u32,
        budget: MessageBudget,
        now: Timestamp,
        take: impl Fn(Order) -> Result<Option<Balance>, PostgresError>,
    ) -> Result<Timestamp, Unpaid> {
        let (back, proofs) = self.with_purse(|it| (it.take_rest(), mem::take(&mut it.proofs)));
        let account = self.account.clone();
        let order = Order { account, messages, budget, now, back, proofs: proofs.clone() };
        let taken = take(order);
        self.with_purse(|purse| match taken {
            Ok(Some(balance)) => {
                purse.fill(messages, balance);
                purse.pay(budget, now).ok_or(Unpaid::OverBudget)
            }
            // What was to go back may have gone.
            Err(error) if !error.is_harmless() => Err(Unpaid::Failed(error)),
            nothing => {
                purse.put_back(back);
                purse.proofs.extend(proofs);
                Err(nothing.err().map_or(Unpaid::OverBudget, Unpaid::Failed))
            }
        })
    }

    fn with_purse<T>(&self, change: impl FnOnce(&mut Purse) -> T) -> T {
        let mut purses = lock(&self.purses.purses);
        change(purses.entry(self.account.clone()).or_default())
    }
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        self.with_purse(|purse| purse.is_fetching = false);
        self.purses.fetched.notify_all();
    }
}
