//! Places for helpers at work, and the queue in front of them: first come, first served.
//!
//! - A request takes a place before it commits the message, so what cannot be sent now costs
//!   nothing. While it waits it holds nothing: no connection to the database and no decision.
//!   Whoever waited decides again, on rows that are loaded again.
//! - One helper runs for each validation. A request that would send the message that somebody else
//!   is about to commit looks again as soon as that has happened.
//! - No client gets another place while it has half of them and others wait, nor ever more than
//!   half of the queue.
//! - Waiting ends when the time is over, and when the peer has left.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use challenger_proto::{ClientId, NonceDigest, RowVersion, Write};

use crate::front::Peer;

/// How often somebody who waits looks whether the peer is still there.
const LOOK: Duration = Duration::from_millis(250);

/// How many helpers may run, and how many requests may wait for that, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many messages are delivered at the same time.
    pub helpers: usize,
    /// How many requests may wait for a place.
    pub waiting: usize,
    /// How long each may wait, from when it arrived.
    pub patience: Duration,
}

impl Default for Limits {
    /// Each helper costs a process, and a mail server that hangs must not fill the machine with
    /// them. Those who wait hold at most half of the connections that are left beside them.
    fn default() -> Self {
        Self { helpers: 16, waiting: 248, patience: Duration::from_secs(10) }
    }
}

/// What a place is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purpose {
    client: ClientId,
    validation: NonceDigest,
    /// What the decision to send rested on.
    version: RowVersion,
}

impl From<&Write> for Purpose {
    fn from(write: &Write) -> Self {
        let row = write.row();
        Self { client: row.client, validation: row.id, version: row.version }
    }
}

/// The places and the queue.
pub struct Places {
    limits: Limits,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    taken: Vec<Taken>,
    /// In the order of their arrival.
    waiting: VecDeque<Waiting>,
    /// The number of the next entry of either kind.
    next: u64,
}

struct Taken {
    number: u64,
    client: ClientId,
    validation: NonceDigest,
    /// Which version of the row the message was paid from, once that is committed.
    paid_from: Option<RowVersion>,
}

struct Waiting {
    number: u64,
    purpose: Purpose,
    call: SyncSender<Call>,
}

/// What somebody who waits is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// To take the place that has this number.
    Come(u64),
    /// To look again, because somebody else has committed a message of the same validation.
    Look,
}

/// What becomes of a wish for a place.
pub(crate) enum Turn<'a> {
    /// One was free.
    Now(Place<'a>),
    /// After a while: the rows may have changed, so decide again, with the place or without.
    Later(Option<Place<'a>>),
    /// Too many wait, it took too long, or the peer has left.
    Never,
}

impl Places {
    /// Places that are all free.
    pub fn new(limits: Limits) -> Self {
        Self { limits, book: Mutex::default() }
    }

    /// How long a request may wait.
    pub(crate) const fn patience(&self) -> Duration {
        self.limits.patience
    }

    /// Takes a place, or waits for one, but not longer than `until`.
    pub(crate) fn take(&self, purpose: Purpose, peer: &dyn Peer, until: Instant) -> Turn<'_> {
        let mut book = self.book();
        match book.at_work(purpose.validation) {
            // The message that has just been paid for may be the very one that is wanted.
            Some(taken) if taken.paid_from >= Some(purpose.version) => return Turn::Later(None),
            None if book.taken.len() < self.limits.helpers => {
                // Nobody who waits could have this place, or they would have been called.
                let number = book.enter(purpose);
                return Turn::Now(Place { places: self, number });
            }
            Some(_) | None => {}
        }
        let share = half(self.limits.waiting);
        let of_client = |it: &&Waiting| it.purpose.client == purpose.client;
        let is_full = book.waiting.len() >= self.limits.waiting
            || book.waiting.iter().filter(of_client).count() >= share;
        if is_full || until <= Instant::now() {
            return Turn::Never;
        }
        let (call, called) = mpsc::sync_channel(1);
        let number = book.number();
        book.waiting.push_back(Waiting { number, purpose, call });
        drop(book);
        match self.wait(number, &called, peer, until) {
            Some(Call::Come(number)) => Turn::Later(Some(Place { places: self, number })),
            Some(Call::Look) => Turn::Later(None),
            None => Turn::Never,
        }
    }

    /// Waits to be called.
    fn wait(
        &self,
        number: u64,
        called: &Receiver<Call>,
        peer: &dyn Peer,
        until: Instant,
    ) -> Option<Call> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if let Ok(call) = called.recv_timeout(left.min(LOOK)) {
                return Some(call);
            }
            if left.is_zero() || peer.has_left() {
                self.book().waiting.retain(|waiting| waiting.number != number);
                // The call may have come in this moment. It cannot come any more.
                return called.try_recv().ok();
            }
        }
    }

    /// No code can panic while it holds the lock, so whatever is in there is in order.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    const fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn enter(&mut self, purpose: Purpose) -> u64 {
        let number = self.number();
        let Purpose { client, validation, .. } = purpose;
        self.taken.push(Taken { number, client, validation, paid_from: None });
        number
    }

    /// The place in which a helper runs for this validation, or is about to.
    fn at_work(&self, validation: NonceDigest) -> Option<&Taken> {
        self.taken.iter().find(|taken| taken.validation == validation)
    }

    /// The message of a place is paid for.
    fn paid(&mut self, number: u64, purpose: Purpose) {
        let mine = self.taken.iter_mut().find(|taken| taken.number == number);
        mine.into_iter().for_each(|taken| taken.paid_from = Some(purpose.version));
        self.waiting.retain(|waiting| {
            let of_others = waiting.purpose.validation != purpose.validation;
            // It is told under the lock under which it would leave, so it is there.
            of_others || waiting.call.try_send(Call::Look).is_err()
        });
    }

    /// Calls as many as there are free places.
    fn call(&mut self, helpers: usize) {
        while self.taken.len() < helpers {
            let Some(waiting) = self.due(helpers).and_then(|at| self.waiting.remove(at)) else {
                return;
            };
            let number = self.enter(waiting.purpose);
            if waiting.call.try_send(Call::Come(number)).is_err() {
                // A panic took whoever waited, and nobody would give the place back.
                self.taken.pop();
            }
        }
    }

    /// Who is next: of those for whose validation no helper runs, whoever came first, but clients
    /// that have their share of the places come after all others.
    fn due(&self, helpers: usize) -> Option<usize> {
        let has_share = |client: ClientId| {
            let of_client = self.taken.iter().filter(|taken| taken.client == client);
            of_client.count() >= half(helpers)
        };
        let may = |waiting: &Waiting| self.at_work(waiting.purpose.validation).is_none();
        let modest = |waiting: &Waiting| may(waiting) && !has_share(waiting.purpose.client);
        self.waiting.iter().position(modest).or_else(|| self.waiting.iter().position(may))
    }
}

/// Half of them, and at least one.
const fn half(count: usize) -> usize {
    if count < 2 { 1 } else { count / 2 }
}

/// A place that is taken, until it is dropped.
pub(crate) struct Place<'a> {
    places: &'a Places,
    number: u64,
}

impl Place<'_> {
    /// Says that the message is paid for. Those who wait to send it, too, look again.
    pub(crate) fn paid(&self, write: &Write) {
        self.places.book().paid(self.number, write.into());
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut book = self.places.book();
        book.taken.retain(|taken| taken.number != self.number);
        book.call(self.places.limits.helpers);
    }
}
