//! The stores of clients, validations and grants: the contract with the server and with the
//! operator's tools, and its implementations.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use challenger_proto::address::Address;
use challenger_proto::oauth::{ClientId, HashedSecret, RedirectUri};
use challenger_proto::secret::{NonceDigest, TokenDigest};
use challenger_proto::store::{Account, Balance, Commit, Keys, Rows, Write};
use challenger_proto::{Span, Timestamp};

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
compile_error!("a server needs a store: enable the feature postgres, sqlite, or both");

mod clients;
mod database;
mod ledger;
mod people;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statistics;
mod tally;
mod version;

pub use clients::{Added, Changed, Changes, ClientKey, ClientSummary, NewClient, Rotated};
pub use database::{Database, OpenMode};
pub use people::{Forgotten, Found, Whom};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresDatabase, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use statistics::{Counts, DAYS_KEPT, Day, Statistic};
pub use version::Migrated;

/// How long a load or a commit may take in all: waiting for a connection or for others, all tries,
/// and the work itself, for which databases have shorter limits. People are waiting, and a database
/// that is slower than that hangs. One exception: a load from an SQLite file runs in the caller's
/// thread, and waits as long as a disk that hangs.
const LIMIT: Duration = Duration::from_secs(10);

/// How long a deletion rests after each piece, as a multiple of the time that the piece took: the
/// database is left to the servers meanwhile.
const GARBAGE_REST: u32 = 9;

/// The longest rest: a piece that was slow because the database hung may be fast the next time.
const GARBAGE_REST_MAX: Duration = Duration::from_secs(10);

/// Leaves the database to others after a piece of a deletion.
fn rest(begun: Instant) {
    thread::sleep(rest_after(begun.elapsed()));
}

fn rest_after(worked: Duration) -> Duration {
    worked.saturating_mul(GARBAGE_REST).min(GARBAGE_REST_MAX)
}

/// Locks a mutex, also after a thread panicked with it: no store panics between two changes that
/// belong together.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A store as the server uses it. [`challenger_proto::store::Records`] defines what the verbs mean.
pub trait Store: Send + Sync {
    /// Finds the rows that are asked for.
    ///
    /// # Errors
    /// The store is unreachable, or a row is corrupt.
    fn load(&self, keys: &Keys) -> Result<Rows, StoreError>;

    /// Carries out a write, whole or not at all. When it returns [`Commit::Done`], the write
    /// survives a crash.
    ///
    /// # Errors
    /// The store is unreachable, cannot write, or did not answer in time. It is then not known
    /// whether something was written: the connection may have been lost afterwards.
    fn commit(&self, write: &Write) -> Result<Commit, StoreError>;

    /// Adds to the statistics of days and clients, all or nothing, what happened since the last
    /// time. Of clients that do not exist any more, nothing is kept.
    ///
    /// # Errors
    /// Nothing was added, and the same may be tried again. If it is not known whether it was, that
    /// is no error, so that nothing is counted twice.
    fn add_to_statistics(&self, counted: &[Statistic]) -> Result<(), StoreError>;
    /// Checks that the store could be used now, and with a schema that has all that this program
    /// needs. It says at once what is wrong, if that is known at once.
    ///
    /// # Errors
    /// It could not; the error says why, and what to do.
    fn check(&self) -> Result<(), StoreError> {
        self.load(&one_of_each()).map(drop)
    }

    /// Cleans up at the end of a process, as far as the store can: removes the last traces of
    /// deleted rows, and gives back what it has set aside of budgets.
    ///
    /// # Errors
    /// Something was left behind; the error says what to do. All writes are kept in any case.
    fn finish(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A load of one row of each kind. The store has to look to find out that most of them do not
/// exist.
fn one_of_each() -> Keys {
    Keys {
        client: ClientId::new(1),
        validation: Some(NonceDigest::from_bytes([0; 32])),
        grant: Some(TokenDigest::from_bytes([0; 32])),
        count: None,
        accounts: Some(Vec::from([Account::Service])),
    }
}

/// A store as the operator's tools use it.
pub trait Registry {
    /// Creates the schema, or brings an older one up to date, and keeps all data. Doing it again
    /// changes nothing.
    ///
    /// # Errors
    /// The store is unreachable, cannot write, or has a newer schema than this program.
    fn migrate(&self) -> Result<Migrated, StoreError>;

    /// Drops everything, then creates the schema.
    ///
    /// # Errors
    /// The store is unreachable, or cannot write.
    fn reset(&self) -> Result<(), StoreError>;

    /// Deletes expired rows, and counts them in the totals of their clients. Also finishes
    /// deletions of clients that were interrupted, and deletes statistics after [`DAYS_KEPT`].
    ///
    /// # Errors
    /// The store is unreachable, or cannot write. Rows that were deleted until then are counted.
    fn collect_garbage(&self, now: Timestamp) -> Result<Collected, StoreError>;

    /// Registers a client. There is at most one for each redirect URI, and no identifier is used
    /// twice.
    ///
    /// # Errors
    /// The store is unreachable, or cannot write.
    fn add_client(&self, client: &NewClient, now: Timestamp) -> Result<Added, StoreError>;

    /// The identifier and the redirect URI of a client, also of one that is being deleted; `None`
    /// if there is no such client.
    ///
    /// # Errors
    /// The store is unreachable, or a row is corrupt.
    fn find_client(&self, key: &ClientKey) -> Result<Option<(ClientId, RedirectUri)>, StoreError>;

    /// All clients in the order of their numbers, with their totals.
    ///
    /// # Errors
    /// The store is unreachable, or a row is corrupt.
    fn clients(&self) -> Result<Vec<ClientSummary>, StoreError>;

    /// Changes a client, in all that is asked for or not at all. It counts at once. A client is not
    /// open without a budget for messages.
    ///
    /// Once a client is disabled, it opens no validation any more: a write under way is waited for,
    /// or becomes a conflict. A message may still be on its way.
    ///
    /// # Errors
    /// The store is unreachable, or cannot write; or the client is disabled, but a write of others
    /// does not end, which may open a validation.
    fn change_client(&self, client: ClientId, changes: &Changes) -> Result<Changed, StoreError>;

    /// Replaces the secret of a client. From then on the old secret is wrong, and no write that
    /// rests on it begins; unless it is to be kept for a while, in which it is as good as the new
    /// one. Only one of before can be kept.
    ///
    /// # Errors
    /// The store is unreachable, or cannot write.
    fn rotate_secret(
        &self,
        client: ClientId,
        secret: HashedSecret,
        keep_old: Option<Span>,
        now: Timestamp,
    ) -> Result<Rotated, StoreError>;

    /// Ends the unsolved validations of a client that exist when this begins, and counts them in
    /// its totals. Returns their number. After [`Self::rotate_secret`] that keeps no old one, no
    /// validation is left that was opened with the old secret: a write under way is waited for, or
    /// becomes a conflict.
    ///
    /// # Errors
    /// The store is unreachable, cannot write, or a write of others does not end. Validations that
    /// were ended until then are counted.
    fn end_unsolved(&self, client: ClientId, now: Timestamp) -> Result<u64, StoreError>;

    /// Deletes a client, its validations and its grants. Returns whether there was one. Its number
    /// is not used again.
    ///
    /// Its secrets are void at once, and it is disabled. Then its rows are deleted in pieces, so
    /// that servers need not wait: first the grants, then the validations, the latest before those
    /// that expire soon. If this is interrupted, calling it again goes on, and so does the next
    /// garbage collection.
    ///
    /// # Errors
    /// The store is unreachable, or cannot write. Rows that were deleted until then stay deleted.
    fn delete_client(&self, client: ClientId) -> Result<bool, StoreError>;

    /// What is spent of all budgets in the windows of this time. What servers have set aside, to
    /// spend it soon, counts as spent.
    ///
    /// # Errors
    /// The store is unreachable, or a row is corrupt.
    fn spending(&self, now: Timestamp) -> Result<Spending, StoreError>;

    /// Gives an account its whole budget back. Returns whether anything was spent.
    ///
    /// What running servers have set aside of the old budget of a shared account is spent besides:
    /// by each at most 16 messages and 1 % of the budget, or one message.
    ///
    /// # Errors
    /// The store is unreachable, or cannot write.
    fn forgive(&self, account: &Account) -> Result<bool, StoreError>;

    /// Finds what is kept about a person. This reads the tables from one end to the other, without
    /// keeping others waiting.
    ///
    /// An address that was replaced by another in its validation is not found there: only a digest
    /// of it is kept, under the nonce, which nobody can compare who has not got that.
    ///
    /// # Errors
    /// The store is unreachable, or a row is corrupt.
    fn find(&self, whom: &Whom) -> Result<Found, StoreError>;

    /// Deletes what is kept about an address in any spelling: validations that have it or began
    /// with it, grants, and its balance. Rows are counted in the totals of their clients. What begins
    /// meanwhile may stay.
    ///
    /// # Errors
    /// The store is unreachable, cannot write, or a row is corrupt. Rows that were deleted until
    /// then stay deleted.
    fn forget(&self, address: &Address) -> Result<Forgotten, StoreError>;

    /// What happened to the validations of each client on each day from this one on, in the order of
    /// days and clients. Servers add to it every few seconds.
    ///
    /// # Errors
    /// The store is unreachable, or a row is corrupt.
    fn statistics(&self, since: Day) -> Result<Vec<Statistic>, StoreError>;
}

/// What is spent of all budgets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// The balances that many people share, in the order of their accounts.
    pub shared: Vec<Balance>,
    /// The number of addresses that got messages.
    pub addresses: u64,
    /// The number of those that get no more of them for now.
    pub exhausted_addresses: u64,
}

/// The number of rows that a garbage collection deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Deleted validations.
    pub validations: u64,
    /// Deleted grants.
    pub grants: u64,
    /// Deleted balances, whose windows have ended.
    pub balances: u64,
}

/// An error of a store, for the operator. It never quotes the content of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(pub String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_nine_times_the_work_and_not_endless() {
        for (worked, rest) in [(0, 0), (20, 180), (1_000, 9_000), (60_000, 10_000)] {
            assert_eq!(rest_after(Duration::from_millis(worked)), Duration::from_millis(rest));
        }
        assert_eq!(rest_after(Duration::MAX), GARBAGE_REST_MAX);
    }
}
