//! The choice of a store, and how to open it.

use std::fmt;
#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "postgres")]
use super::postgres::{PostgresDatabase, PostgresStore};
#[cfg(feature = "sqlite")]
use super::sqlite::SqliteStore;
use super::{Registry, Store, StoreError, one_of_each};
use crate::metrics::Metrics;
#[cfg(feature = "sqlite")]
use crate::secrecy;

/// A store's kind and place.
#[derive(Clone, Debug)]
pub enum Database {
    /// A PostgreSQL database.
    #[cfg(feature = "postgres")]
    Postgres(PostgresDatabase),
    /// An SQLite database in this file.
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(it) => write!(f, "the {it}"),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => write!(f, "the SQLite database {}", secrecy::path(file)),
        }
    }
}

/// The purpose for which a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For tools that create or upgrade: creates what is missing and accepts any schema version.
    Maintain,
    /// For the server: the store must exist, with the schema version that this program knows. A
    /// database server that is unreachable is checked as soon as it can be reached.
    Serve,
    /// For tools that do not change the schema: as for the server, and it must be reachable.
    Use,
}

impl Database {
    /// Whether deleted rows stay in its files until they are vacuumed.
    pub const fn keeps_deleted_rows(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => true,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
        }
    }

    /// The store, to serve from, which tells what is charged.
    ///
    /// # Errors
    /// It is unreachable, or its schema has another version; the error says what to do.
    pub fn store(&self, metrics: Metrics) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(it) => {
                let store = PostgresStore::open(it.clone(), OpenMode::Serve)?;
                Arc::new(store.with_metrics(metrics))
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => {
                Arc::new(SqliteStore::open(file, OpenMode::Serve)?.with_metrics(metrics))
            }
        })
    }

    /// The version of the schema that this program knows.
    #[cfg(feature = "metrics")]
    pub(crate) const fn schema(&self) -> usize {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => PostgresStore::SCHEMA,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => SqliteStore::SCHEMA,
        }
    }

    /// Checks that a server could work with the store: it can be reached, has the schema version
    /// that this program knows, and can be read. Nothing is written.
    ///
    /// # Errors
    /// It could not; the error says why, and what to do.
    pub fn check(&self) -> Result<(), StoreError> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(it) => PostgresStore::check(it.clone(), &one_of_each()),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => SqliteStore::check(file, &one_of_each()),
        }
    }

    /// The store, for an operator's tool.
    ///
    /// # Errors
    /// Those of [`Self::store`], as far as the mode asks for it.
    pub fn registry(&self, mode: OpenMode) -> Result<Arc<dyn Registry>, StoreError> {
        Ok(match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(it) => Arc::new(PostgresStore::open(it.clone(), mode)?),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => Arc::new(SqliteStore::open(file, mode)?),
        })
    }
}
