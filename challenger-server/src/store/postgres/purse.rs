//! Purses: messages of shared accounts that this server has set aside.
//!
//! All messages of a client, a destination or the service are charged to one row of the ledger. If
//! each commit changed it, each would wait until the one before it is on the disk. So a server
//! takes a portion of a few messages, with a statement of its own, and pays with them until they
//! are spent or the window ends. When it stops, it gives back the rest. A portion that is lost
//! counts as spent: in a crash, when the answer is lost, or when the operator changes the budget.
//! So no budget is overdrawn.
//!
//! Proofs wait here, too. They count in the window that is open when they are written.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use challenger_proto::Timestamp;
use challenger_proto::store::{Account, Balance, Entry, Event, MessageBudget};

use super::error::{LATE, PostgresError};
use crate::store::lock;

/// The most messages that are taken at once. It also divides the number of commits that wait for
/// the row.
const PORTION_MAX: u32 = 16;

/// The part of a budget that is taken at most: what waits at one server is missing at another.
const PORTION_DIVISOR: u32 = 100;

/// How many proofs wait until they are written.
const PROOFS_MAX: u32 = 16;

/// The purses of a server. There are no more than clients and destinations.
#[derive(Default)]
pub(super) struct Purses(Mutex<BTreeMap<Account, Arc<Purse>>>);

/// The purse of one account.
#[derive(Default)]
struct Purse {
    contents: Mutex<Contents>,
    /// Told whenever a thread is done with taking a portion.
    taken: Condvar,
}

#[derive(Default)]
struct Contents {
    /// The messages that are left.
    left: u32,
    /// The balance of the messages of the same window that were paid from here.
    paid: Option<Balance>,
    /// The proofs that are not in the database yet.
    proofs: u32,
    /// Whether a thread is taking a portion. Others that need one wait.
    is_taking: bool,
}

/// What is to be written of a purse: messages that go back to the window with this end, and proofs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) account: Account,
    pub(super) messages: u32,
    pub(super) ends: Timestamp,
    pub(super) proofs: u32,
}

impl Purses {
    /// Pays the messages to shared accounts that are among the entries. `take` charges messages to
    /// the row of an account. What it is given is the balance if they were the first of a window,
    /// and what it returns is the balance with them.
    pub(super) fn pay(
        &self,
        entries: &[Entry],
        deadline: Instant,
        take: impl Fn(Balance) -> Result<Balance, PostgresError>,
    ) -> Result<(), PostgresError> {
        let shared = |(_, entry): &(usize, &Entry)| entry.account.is_shared();
        for (index, entry) in entries.iter().enumerate().filter(shared) {
            if let Err(error) = self.purse(&entry.account).pay(entry, deadline, &take) {
                self.settle(entries.split_at(index).0, false);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Ends what [`Self::pay`] began, now that it is known whether the write was carried out. If
    /// that stays unknown, everything stays paid. Returns proofs that have to be written.
    pub(super) fn settle(&self, entries: &[Entry], is_done: bool) -> Vec<Rest> {
        let mut rests = Vec::new();
        for Entry { account, event } in entries.iter().filter(|entry| entry.account.is_shared()) {
            let purse = self.purse(account);
            let mut contents = lock(&purse.contents);
            match *event {
                Event::Message { now, .. } if !is_done => contents.refund(account, now),
                Event::Refund { charged } if is_done => contents.refund(account, charged),
                Event::Proof { .. } if is_done => {
                    contents.proofs += 1;
                    if contents.proofs >= PROOFS_MAX {
                        let (account, proofs) = (account.clone(), mem::take(&mut contents.proofs));
                        let ends = Timestamp::EPOCH;
                        rests.push(Rest { account, messages: 0, ends, proofs });
                    }
                }
                _ => {}
            }
        }
        rests
    }

    /// Turns a balance of the database into the one that this server sees: it can still spend what
    /// it has set aside.
    pub(super) fn correct(&self, balance: &mut Balance, deadline: Instant) {
        let Some(purse) = lock(&self.0).get(&balance.account).cloned() else { return };
        let is_full = lock(&purse.contents).correct(balance).spent >= balance.budget.messages;
        // The balance may include a portion that is about to be put into the purse.
        let deadline = if is_full { deadline } else { Instant::now() };
        *balance = purse.contents_until(deadline).correct(balance);
    }

    /// Empties all purses.
    pub(super) fn empty(&self) -> Vec<Rest> {
        let rest = |(account, purse): (Account, Arc<Purse>)| {
            let Contents { left, paid, proofs, .. } = mem::take(&mut *lock(&purse.contents));
            let ends = paid.map_or(Timestamp::EPOCH, |paid| paid.ends);
            Rest { account, messages: left, ends, proofs }
        };
        let rests = mem::take(&mut *lock(&self.0)).into_iter().map(rest);
        rests.filter(|rest| rest.messages > 0 || rest.proofs > 0).collect()
    }

    fn purse(&self, account: &Account) -> Arc<Purse> {
        Arc::clone(lock(&self.0).entry(account.clone()).or_default())
    }
}

impl Purse {
    /// Pays the entry, if it is a message, from a new portion if need be.
    fn pay(
        &self,
        entry: &Entry,
        deadline: Instant,
        take: impl Fn(Balance) -> Result<Balance, PostgresError>,
    ) -> Result<(), PostgresError> {
        let Event::Message { budget, now } = entry.event else { return Ok(()) };
        if lock(&self.contents).pay(budget, now) {
            return Ok(());
        }
        // There is nothing to take from a budget of nothing.
        let first = entry.post(None).ok().flatten().ok_or_else(PostgresError::nothing)?;
        let mut contents = self.contents_until(deadline);
        // Another thread may have filled it meanwhile.
        if contents.pay(budget, now) {
            return Ok(());
        }
        if mem::replace(&mut contents.is_taking, true) {
            return Err(PostgresError::Other(LATE.to_owned()));
        }
        let proofs = mem::take(&mut contents.proofs);
        drop(contents);
        let _taking = Taking(self);
        let take = |messages| {
            let taken = take(Balance { spent: messages, proved: proofs, ..first.clone() })?;
            Ok((messages, taken))
        };
        let most = PORTION_MAX.min(budget.messages / PORTION_DIVISOR).max(1);
        let taken = match take(most) {
            // The last messages are taken one by one.
            Err(PostgresError::Conflict(_)) if most > 1 => take(1),
            taken => taken,
        };
        let mut contents = lock(&self.contents);
        if taken.as_ref().is_err_and(PostgresError::is_harmless) {
            contents.proofs += proofs;
        }
        taken.map(|(messages, balance)| contents.fill(messages, balance))
    }

    /// The contents, once no portion is being taken, or at the deadline.
    fn contents_until(&self, deadline: Instant) -> MutexGuard<'_, Contents> {
        let left = deadline.saturating_duration_since(Instant::now());
        let contents = lock(&self.contents);
        let waited = self.taken.wait_timeout_while(contents, left, |it| it.is_taking);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// A thread is taking a portion, until this is dropped: also by a panic, or else the account could
/// pay for nothing any more.
struct Taking<'a>(&'a Purse);

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        lock(&self.0.contents).is_taking = false;
        self.0.taken.notify_all();
    }
}

impl Contents {
    /// Pays a message, unless nothing is left for it. What was left of another budget or window is
    /// not used any more.
    fn pay(&mut self, budget: MessageBudget, now: Timestamp) -> bool {
        let Some(paid) = &mut self.paid else { return false };
        if paid.budget != budget || !paid.is_open(now, budget.period) {
            self.left = 0;
        }
        let Some(left) = self.left.checked_sub(1) else { return false };
        self.left = left;
        paid.spent += 1;
        true
    }

    /// Puts in a portion, of which one message is paid at once.
    fn fill(&mut self, messages: u32, taken: Balance) {
        // Something of the same window may have come back meanwhile.
        let before = self.paid.as_ref().filter(|paid| paid.ends == taken.ends);
        let (left, spent) = before.map_or((0, 0), |paid| (self.left, paid.spent));
        self.left = left + messages - 1;
        self.paid = Some(Balance { spent: spent + 1, ..taken });
    }

    /// Takes back a message that was paid from here. One of another window is dropped.
    fn refund(&mut self, account: &Account, charged: Timestamp) {
        let refund = Entry { account: account.clone(), event: Event::Refund { charged } };
        if let Ok(Some(paid)) = refund.post(self.paid.as_ref()) {
            self.left += 1;
            self.paid = Some(paid);
        }
    }

    fn correct(&self, balance: &Balance) -> Balance {
        let is_ours = self.paid.as_ref().is_some_and(|paid| paid.ends == balance.ends);
        let left = if is_ours { self.left } else { 0 };
        let spent = balance.spent.saturating_sub(left);
        Balance { spent, proved: balance.proved.saturating_add(self.proofs), ..balance.clone() }
    }
}
