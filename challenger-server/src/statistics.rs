//! What happens to the validations of each client, counted in memory by day, and added to the store
//! every few seconds: a row that each request changes would make all of them wait for each other.
//!
//! What the store does not take is kept for the next time. A server that is killed forgets what it
//! counted since the last time.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::mem;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use challenger_proto::Transmission;
use challenger_proto::machine::Progress;
use challenger_proto::oauth::ClientId;
use challenger_proto::store::{Milestone, Write};

use crate::store::{Counts, Day, Statistic, Store};

/// How often what was counted is added to the store.
const EVERY: Duration = Duration::from_secs(5);

/// For how many days and clients is counted at most while the store takes nothing. What happens to
/// other clients is not counted then.
const ROWS_MAX: usize = 10_000;

/// What was counted since the last time.
#[derive(Default)]
pub struct Statistics(Mutex<Rows>);

type Rows = BTreeMap<Account, Counts>;

/// What is counted alone.
type Account = (Day, ClientId);

/// Without the numbers.
impl fmt::Debug for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Statistics")
    }
}

impl Statistics {
    /// Counts a write that is done, on the day that it happened.
    pub(crate) fn written(&self, write: &Write) {
        let (Some(milestone), Some(row)) = (write.milestone(), write.row()) else { return };
        let at = match (&row.progress, row.created) {
            (Progress::Redeemed { at, .. }, _) => *at,
            (Progress::Solved(solution), _) => solution.at,
            (_, Some(created)) => created,
            (_, None) => return,
        };
        self.count((Day::of(at), row.client), |counts| match milestone {
            Milestone::Opened => counts.opened += 1,
            Milestone::Proved => counts.proved += 1,
            Milestone::Redeemed => counts.redeemed += 1,
            _ => {}
        });
    }

    /// Counts a message that the helper had, on the day that it was decided on.
    pub(crate) fn sent(&self, message: &Transmission, has_failed: bool) {
        self.count((Day::of(message.now), message.client), |counts| {
            counts.messages += 1;
            counts.failed += u64::from(has_failed);
        });
    }

    fn count(&self, account: Account, count: impl FnOnce(&mut Counts)) {
        let mut rows = self.lock();
        if rows.len() < ROWS_MAX || rows.contains_key(&account) {
            count(rows.entry(account).or_default());
        }
    }

    /// Adds what was counted to the store. Returns whether it was taken.
    fn save(&self, store: &dyn Store) -> bool {
        let rows = mem::take(&mut *self.lock());
        if rows.is_empty() {
            return true;
        }
        let counted: Vec<Statistic> = rows
            .iter()
            .map(|(&(day, client), &counts)| Statistic { day, client, counts })
            .collect();
        let taken = store.add_to_statistics(&counted).is_ok();
        if !taken {
            // An error of the store shows at the requests that it fails.
            for (account, counts) in rows {
                self.count(account, |sum| sum.add(&counts));
            }
        }
        taken
    }

    /// Also after a thread panicked with it: the worst that can be wrong is a number.
    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that adds what was counted to the store.
pub(crate) struct Saver {
    /// Dropped at the end.
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Saver {
    /// Starts it.
    ///
    /// # Errors
    /// There is no thread.
    pub(crate) fn start(statistics: Arc<Statistics>, store: Arc<dyn Store>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::Builder::new().name("statistics".to_owned()).spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                statistics.save(&*store);
            }
            if !statistics.save(&*store) {
                log::warn!("what was counted in the last seconds is not in the statistics");
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Adds what was counted until now, and ends it.
    pub(crate) fn finish(self) {
        drop(self.stop);
        // It panics only if a store does.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use challenger_proto::Timestamp;
    use challenger_proto::store::{Commit, Keys, Rows as Loaded};

    use super::*;
    use crate::store::StoreError;

    /// A store that takes statistics, or not.
    #[derive(Default)]
    struct Book(Mutex<Option<Vec<Statistic>>>);

    impl Store for Book {
        fn load(&self, _: &Keys) -> Result<Loaded, StoreError> {
            Ok(Loaded::default())
        }

        fn commit(&self, _: &Write) -> Result<Commit, StoreError> {
            Ok(Commit::Conflict)
        }

        fn add_to_statistics(&self, counted: &[Statistic]) -> Result<(), StoreError> {
            match &mut *self.0.lock().unwrap() {
                None => Err(StoreError("no book".to_owned())),
                Some(book) => {
                    book.extend(counted);
                    Ok(())
                }
            }
        }
    }

    fn account(day: u64, client: i64) -> Account {
        let noon = Timestamp::from_seconds(day * 86_400 + 43_200);
        (Day::of(noon), ClientId::new(client).unwrap())
    }

    impl Statistics {
        fn message(&self, account: Account, failed: u64) {
            self.count(account, |it| it.add(&Counts { messages: 1, failed, ..Counts::default() }));
        }
    }

    #[test]
    fn what_the_store_does_not_take_is_added_the_next_time() {
        let (statistics, book) = (Statistics::default(), Book::default());
        assert!(statistics.save(&book), "there is nothing to add");
        statistics.message(account(1, 7), 0);
        assert!(!statistics.save(&book));
        statistics.message(account(1, 7), 1);
        statistics.message(account(2, 7), 0);
        *book.0.lock().unwrap() = Some(Vec::new());
        assert!(statistics.save(&book) && statistics.save(&book));
        let taken = book.0.lock().unwrap().take().unwrap();
        let messages: Vec<_> = taken
            .iter()
            .map(|it| ((it.day, it.client), it.counts.messages, it.counts.failed))
            .collect();
        assert_eq!(messages, [(account(1, 7), 2, 1), (account(2, 7), 1, 0)], "once");
    }

    #[test]
    fn a_store_that_is_away_for_long_costs_no_more_memory() {
        let (statistics, book) = (Statistics::default(), Book::default());
        for client in 1..=2 * ROWS_MAX {
            statistics.message(account(1, client.try_into().unwrap()), 0);
        }
        assert!(!statistics.save(&book));
        assert_eq!(statistics.lock().len(), ROWS_MAX);
        statistics.message(account(1, 1), 0);
        assert_eq!(statistics.lock()[&account(1, 1)].messages, 2, "it is counted on");
    }

    #[test]
    fn the_thread_adds_what_is_there_at_its_end() {
        let statistics = Arc::new(Statistics::default());
        let book = Arc::new(Book(Mutex::new(Some(Vec::new()))));
        let saver = Saver::start(Arc::clone(&statistics), Arc::clone(&book) as _).unwrap();
        statistics.message(account(1, 7), 0);
        saver.finish();
        assert_eq!(book.0.lock().unwrap().as_ref().unwrap().len(), 1);
    }
}
