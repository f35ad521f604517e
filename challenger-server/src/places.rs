//! Places for helpers at work, and the queue in front of them: first come, first served.
//!
//! - A request takes a place before it commits the message, so a message that cannot be sent now
//!   costs nothing. A waiting request holds nothing: no connection to the database and no decision.
//!   Afterwards it decides again, on rows that are loaded again.
//! - One helper runs for each validation, and one request for each is in the queue: the latest,
//!   which takes over the turn of earlier ones.
//! - A request for a message that another request is about to commit is not in the queue: it waits
//!   a moment for that, and looks again.
//! - No client has more than half of the queue. If several clients want places, none gets more than
//!   half of them unless some stay free for others.
//! - Waiting ends when the time is up, and when the peer has left.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use challenger_proto::machine::{RowVersion, Validation};
use challenger_proto::oauth::ClientId;
use challenger_proto::secret::NonceDigest;

use crate::front::Peer;

/// How often a waiting request checks whether its peer is still there.
const LOOK: Duration = Duration::from_millis(250);

/// How long a request waits for the commit of another one. That takes milliseconds, unless the
/// database hangs.
const SETTLE: Duration = Duration::from_secs(1);

/// How long places are left free for a client after it wanted one.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The limits: helpers that run, requests that wait, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many messages are delivered at the same time.
    pub helpers: usize,
    /// How many requests may wait for a place.
    pub waiting: usize,
    /// How long each may wait, from its arrival.
    pub patience: Duration,
}

impl Default for Limits {
    /// Each helper is a process, and a mail server that hangs must not fill the machine with them.
    /// With the waiting requests, they take at most half of the default number of connections.
    fn default() -> Self {
        Self { helpers: 16, waiting: 240, patience: Duration::from_secs(10) }
    }
}

/// The message that a place is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purpose {
    client: ClientId,
    validation: NonceDigest,
    /// The version of the row that the decision to send was based on.
    version: RowVersion,
}

impl From<&Validation> for Purpose {
    fn from(row: &Validation) -> Self {
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
    /// The queue, in the order of arrival.
    waiting: VecDeque<Waiting>,
    /// Requests that wait for the commit of a message of the same validation.
    rivals: Vec<Waiting>,
    /// When each client last wanted a place.
    clients: BTreeMap<ClientId, Instant>,
    /// The number of the next entry of any kind.
    next: u64,
}

struct Taken {
    number: u64,
    client: ClientId,
    validation: NonceDigest,
    /// The version of the row that paid for the message, once that is committed.
    paid_from: Option<RowVersion>,
}

struct Waiting {
    number: u64,
    purpose: Purpose,
    call: SyncSender<Call>,
}

/// The message to a waiting request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// Take the place that has this number.
    Come(u64),
    /// Look again, because another request has committed a message of the same validation.
    Look,
    /// Give up, because a later request of the same validation has taken over.
    Yield,
}

/// How many places are taken, and how long the queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// How many helpers are at work.
    pub taken: usize,
    /// How many requests wait for a place.
    pub waiting: usize,
    /// The most of both.
    pub limits: Limits,
}

/// The outcome of [`Places::take`].
pub(crate) enum Turn<'a> {
    /// A place was free.
    Now(Place<'a>),
    /// Time has passed: the rows may have changed, so decide again, with the place or without.
    Later(Option<Place<'a>>),
    /// Too many wait, it took too long, a later request took over, or the peer has left.
    Never,
}

impl Places {
    /// Places that are all free.
    pub fn new(limits: Limits) -> Self {
        Self { limits, book: Mutex::default() }
    }

    /// How many places are taken, and how long the queue is.
    pub fn usage(&self) -> Usage {
        let book = self.book();
        Usage { taken: book.taken.len(), waiting: book.waiting.len(), limits: self.limits }
    }

    /// How long a request may wait.
    pub(crate) const fn patience(&self) -> Duration {
        self.limits.patience
    }

    /// Takes a place, or waits for one, but not longer than `until`.
    pub(crate) fn take(&self, purpose: Purpose, peer: &dyn Peer, until: Instant) -> Turn<'_> {
        let now = Instant::now();
        let (call, called) = mpsc::sync_channel(1);
        let mut book = self.book();
        book.remember(purpose.client, now);
        let entry = Waiting { number: book.number(), purpose, call };
        let number = entry.number;
        let until = match book.at_work(purpose.validation).map(|taken| taken.paid_from) {
            // The message that has just been paid for may be the very one that is wanted.
            Some(Some(paid_from)) if paid_from >= purpose.version => return Turn::Later(None),
            Some(None) => {
                book.rivals.push(entry);
                now + SETTLE
            }
            Some(Some(_)) | None => {
                book.queue(entry);
                book.call(self.limits.helpers);
                if let Ok(Call::Come(number)) = called.try_recv() {
                    return Turn::Now(Place { places: self, number });
                }
                if book.is_too_long(purpose.client, self.limits.waiting) {
                    book.forget(number);
                    return Turn::Never;
                }
                until
            }
        };
        drop(book);
        match self.wait(number, &called, peer, until) {
            Some(Call::Come(number)) => Turn::Later(Some(Place { places: self, number })),
            Some(Call::Look) => Turn::Later(None),
            Some(Call::Yield) | None => Turn::Never,
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
                self.book().forget(number);
                // The call may have come at this moment. Afterwards it cannot come.
                return called.try_recv().ok();
            }
        }
    }

    /// No code panics while it holds the lock, so the content is consistent.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    const fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The place in which a helper runs for this validation, or is about to.
    fn at_work(&self, validation: NonceDigest) -> Option<&Taken> {
        self.taken.iter().find(|taken| taken.validation == validation)
    }

    fn remember(&mut self, client: ClientId, now: Instant) {
        self.clients.insert(client, now);
        self.clients.retain(|_, then| now.duration_since(*then) < REMEMBERED);
    }

    /// Puts a request into the queue: in the turn of one of the same validation, if there is one,
    /// or else at the end.
    fn queue(&mut self, entry: Waiting) {
        let validation = entry.purpose.validation;
        let same = |it: &&mut Waiting| it.purpose.validation == validation;
        if let Some(earlier) = self.waiting.iter_mut().find(same) {
            // An error means that it has just given up.
            let _ = earlier.call.try_send(Call::Yield);
            *earlier = entry;
        } else {
            self.waiting.push_back(entry);
        }
    }

    /// Whether the queue is too long, in all or for this client.
    fn is_too_long(&self, client: ClientId, most: usize) -> bool {
        let of_client = self.waiting.iter().filter(|it| it.purpose.client == client);
        self.waiting.len() > most || of_client.count() > half(most)
    }

    /// Removes a request that no longer waits.
    fn forget(&mut self, number: u64) {
        self.waiting.retain(|waiting| waiting.number != number);
        self.rivals.retain(|waiting| waiting.number != number);
    }

    /// Calls the requests that wait for the message of a validation, which is paid for or never
    /// will be: they look again.
    fn settle(&mut self, validation: NonceDigest) {
        self.rivals.retain(|waiting| {
            let of_others = waiting.purpose.validation != validation;
            // It would leave under the same lock, so it is still there.
            of_others || waiting.call.try_send(Call::Look).is_err()
        });
    }

    /// Calls as many requests as there are free places.
    fn call(&mut self, helpers: usize) {
        while let Some(at) = self.due(helpers) {
            let Some(Waiting { purpose, call, .. }) = self.waiting.remove(at) else { return };
            let number = self.number();
            // An error means that the request panicked, and nobody would give the place back.
            if call.try_send(Call::Come(number)).is_ok() {
                let Purpose { client, validation, .. } = purpose;
                self.taken.push(Taken { number, client, validation, paid_from: None });
            }
        }
    }

    /// The next request, if one may have a place: the first whose validation has no helper running,
    /// but clients that have their share come after all others.
    fn due(&self, helpers: usize) -> Option<usize> {
        let free = helpers.saturating_sub(self.taken.len());
        if free == 0 {
            return None;
        }
        let has_share = |client: ClientId| {
            let of_client = self.taken.iter().filter(|taken| taken.client == client);
            of_client.count() >= half(helpers)
        };
        let may = |waiting: &Waiting| self.at_work(waiting.purpose.validation).is_none();
        let modest = |waiting: &Waiting| may(waiting) && !has_share(waiting.purpose.client);
        let spare = self.clients.len() < 2 || free > (helpers / 4).max(1);
        let any = || self.waiting.iter().position(may).filter(|_| spare);
        self.waiting.iter().position(modest).or_else(any)
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
    /// Notes that this message is paid for. Requests that wait to send it, too, look again.
    pub(crate) fn paid(&self, purpose: Purpose) {
        let mut book = self.places.book();
        let mine = book.taken.iter_mut().find(|taken| taken.number == self.number);
        mine.into_iter().for_each(|taken| taken.paid_from = Some(purpose.version));
        book.settle(purpose.validation);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut book = self.places.book();
        let mine = book.taken.iter().position(|taken| taken.number == self.number);
        if let Some(at) = mine {
            let taken = book.taken.swap_remove(at);
            book.settle(taken.validation);
        }
        book.call(self.places.limits.helpers);
    }
}
