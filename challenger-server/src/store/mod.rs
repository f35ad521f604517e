//! Where clients, validations and grants are kept: the contract with the server and with the
//! operator's tools, and its implementations.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use challenger_proto::{
    ClientId, Commit, HashedSecret, Load, Loaded, RedirectUri, Timestamp, Write,
};

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
compile_error!("a server needs a store: enable the feature postgres, sqlite, or both");

mod database;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tally;
mod version;

pub use database::{Database, OpenMode};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresDatabase, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

/// How long a load or a commit may take in all, whatever happens: waits for a connection or for
/// others, tries, and the work itself, for which databases have shorter limits. People are waiting,
/// and whatever is later than that hangs. One exception: a load from an SQLite file is carried out
/// by whoever asks, and waits as long as a disk that hangs.
const LIMIT: Duration = Duration::from_secs(10);

/// How many times as long as a piece of a garbage collection, or of another deletion, took the
/// database is left to those who serve.
const GARBAGE_REST: u32 = 9;

/// The longest rest: what was slow because the database hung need not be slow again.
const GARBAGE_REST_MAX: Duration = Duration::from_secs(10);

/// Lets others have the database after a piece of what is deleted.
fn rest(begun: Instant) {
    thread::sleep(rest_after(begun.elapsed()));
}

fn rest_after(worked: Duration) -> Duration {
    worked.saturating_mul(GARBAGE_REST).min(GARBAGE_REST_MAX)
}

/// Locks a mutex. What a thread that panicked left behind is as good as before: nothing in a store
/// panics between two changes that belong together.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps clients, validations and grants. [`challenger_proto::Records`] says what the verbs mean.
pub trait Store: Send + Sync {
    /// Finds what is asked for; an empty load does not touch the store.
    ///
    /// # Errors
    /// The store is out of reach or holds what it must not.
    fn load(&self, load: &Load) -> Result<Loaded, StoreError>;

    /// Carries out a write, whole or not at all. When it returns [`Commit::Done`], the write
    /// survives a crash.
    ///
    /// # Errors
    /// The store is out of reach, cannot write, or did not answer in time. Whether something was
    /// written is then not known: the connection may have been lost after it.
    fn commit(&self, write: &Write) -> Result<Commit, StoreError>;

    /// For the end of a process: leaves nothing behind that was deleted before, as far as that is
    /// in the hands of this store.
    ///
    /// # Errors
    /// Something was left behind, and what to do. All writes are kept in any case.
    fn finish(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What the operator's tools do with a store.
pub trait Registry {
    /// Creates the schema, or brings an older one up to date, and keeps all data. Doing it again
    /// changes nothing.
    ///
    /// # Errors
    /// The store is out of reach, cannot write, or has a newer schema than this program.
    fn migrate(&self) -> Result<(), StoreError>;

    /// Drops everything, then creates the schema.
    ///
    /// # Errors
    /// The store is out of reach, or cannot write.
    fn reset(&self) -> Result<(), StoreError>;

    /// Deletes what has expired, and counts it in the totals of its client. What is left of clients
    /// whose deletion did not come to its end goes as well.
    ///
    /// # Errors
    /// The store is out of reach, or cannot write. What was deleted until then is counted.
    fn collect_garbage(&self, now: Timestamp) -> Result<Collected, StoreError>;

    /// Registers a client. There is one for each redirect URI, and no identifier is used twice.
    ///
    /// # Errors
    /// The store is out of reach, or cannot write.
    fn add_client(
        &self,
        redirect_uri: &RedirectUri,
        secret: HashedSecret,
    ) -> Result<Added, StoreError>;

    /// All clients by their numbers, and how much they were used.
    ///
    /// # Errors
    /// The store is out of reach or holds what it must not.
    fn clients(&self) -> Result<Vec<ClientSummary>, StoreError>;

    /// Replaces the secret of the client with this redirect URI; `None` if there is no such client.
    /// From then on the old one is wrong, and no write that rests on it is begun.
    ///
    /// # Errors
    /// The store is out of reach, or cannot write.
    fn rotate_secret(
        &self,
        redirect_uri: &RedirectUri,
        secret: HashedSecret,
    ) -> Result<Option<ClientId>, StoreError>;

    /// Ends the validations of a client that are not solved, as many as there are when this begins,
    /// and counts them in its totals. Returns how many. After [`Self::rotate_secret`], none is left
    /// that was opened with the old secret: a write that is not done by then is waited for, or is a
    /// conflict.
    ///
    /// # Errors
    /// The store is out of reach, cannot write, or something that others write does not come to its
    /// end. What was ended until then is counted.
    fn end_unsolved(&self, client: ClientId, now: Timestamp) -> Result<u64, StoreError>;

    /// Deletes the client with this redirect URI, its validations and its grants; `None` if there
    /// is no such client. Its number is not used again.
    ///
    /// Its secret is void at once. Then its rows go piece by piece, so that nobody waits for it:
    /// first the grants, then the validations, the latest before those that expire anyway. Whatever
    /// interrupts it, to call it again goes on, and so does the next garbage collection.
    ///
    /// # Errors
    /// The store is out of reach, or cannot write. What was deleted until then stays deleted.
    fn delete_client(&self, redirect_uri: &RedirectUri) -> Result<Option<ClientId>, StoreError>;
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Added {
    /// Nothing was changed: this client has the redirect URI until all of it is deleted.
    BeingDeleted(ClientId),
    /// Nothing was changed: this client has the redirect URI already.
    Exists(ClientId),
    /// This is the new client.
    New(ClientId),
}

impl Added {
    /// The client that has the redirect URI now.
    #[must_use]
    pub const fn id(self) -> ClientId {
        match self {
            Self::BeingDeleted(id) | Self::Exists(id) | Self::New(id) => id,
        }
    }
}

/// A client, and how much it was used since it was added. What garbage collection deleted counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSummary {
    /// Its identifier.
    pub id: ClientId,
    /// Where its users are sent back to.
    pub redirect_uri: RedirectUri,
    /// How many validations it opened.
    pub validations: u64,
    /// How many access tokens it got for proved addresses. Those that were revoked do not count.
    pub grants: u64,
    /// Whether its deletion was begun and has not come to its end.
    pub is_being_deleted: bool,
}

/// How much expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Deleted validations.
    pub validations: u64,
    /// Deleted grants.
    pub grants: u64,
}

/// What went wrong in the store, for the operator. It never quotes what the store holds.
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
