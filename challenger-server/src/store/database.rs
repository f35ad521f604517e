//! Which store there is, and how to open it.

#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::sync::Arc;

use challenger_proto::{ClientId, Load, NonceDigest, TokenDigest};

#[cfg(feature = "postgres")]
use super::postgres::{PostgresDatabase, PostgresStore};
#[cfg(feature = "sqlite")]
use super::sqlite::SqliteStore;
use super::{Registry, Store, StoreError};

/// Which store, and where.
#[derive(Clone, Debug)]
pub enum Database {
    /// A PostgreSQL database.
    #[cfg(feature = "postgres")]
    Postgres(PostgresDatabase),
    /// An SQLite database in this file.
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
}

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For who creates and upgrades: what can be created is, and the schema may be of any version.
    Maintain,
    /// For the server: the store exists, and its schema is the one that this program knows. A
    /// database server may be out of reach: then this is looked at when it can be reached.
    Serve,
    /// For tools that change nothing of the schema: the same, and it can be reached.
    Use,
}

impl Database {
    /// The store, to serve from.
    ///
    /// # Errors
    /// It is out of reach, or its schema is another one; the error says what to do.
    pub fn store(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(it) => Arc::new(PostgresStore::open(it.clone(), OpenMode::Serve)?),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => Arc::new(SqliteStore::open(file, OpenMode::Serve)?),
        })
    }

    /// Whether the service could work with the store: it can be reached, has the schema that this
    /// program knows, and can be read. Nothing is written.
    ///
    /// # Errors
    /// What is in the way, and what to do.
    pub fn check(&self) -> Result<(), StoreError> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(it) => PostgresStore::check(it.clone(), &something()),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => SqliteStore::check(file, &something()),
        }
    }

    /// The store, for an operator's tool.
    ///
    /// # Errors
    /// The same, as far as the mode asks for it.
    pub fn registry(&self, mode: OpenMode) -> Result<Arc<dyn Registry>, StoreError> {
        Ok(match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(it) => Arc::new(PostgresStore::open(it.clone(), mode)?),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(file) => Arc::new(SqliteStore::open(file, mode)?),
        })
    }
}

/// Something of each kind. Most of it does not exist, which a store finds out by looking.
fn something() -> Load {
    Load {
        client: ClientId::new(1),
        validation: Some(NonceDigest::from_bytes([0; 32])),
        grant: Some(TokenDigest::from_bytes([0; 32])),
        count: None,
    }
}
