//! The database file: its mode, its connections, and its name in errors.

use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::SqliteError;
use crate::secrecy;
use crate::store::StoreError;

/// The maximum size of the write-ahead log after it was merged, in bytes. It is merged from 1000
/// pages on.
const LOG_SIZE_MAX: i64 = 4 * 1024 * 1024;

/// How often a connection checks whether another process has finished writing, and the pause
/// between two checks: 5 seconds in all. SQLite itself would check ever more rarely, and miss the
/// short moments in which a busy process does not write.
const BUSY_LOOKS: i32 = 5000;
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// The cache of a connection that only reads, in KiB. Every write makes it stale, so a larger one
/// would be of no use.
const READER_CACHE_KIB: i64 = 256;

/// The file of the database.
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// Device and inode of the file that was first connected to.
    identity: OnceLock<(u64, u64)>,
}

impl DatabaseFile {
    /// Names a file. The path is made absolute, so that SQLite takes it for a path even if it looks
    /// like `:memory:` or `file:…`.
    pub(super) fn new(path: &Path) -> Result<Self, StoreError> {
        let path = std::path::absolute(path)
            .map_err(|error| StoreError(format!("{}: {error}", secrecy::path(path))))?;
        Ok(Self { path, identity: OnceLock::new() })
    }

    /// Creates file and folder if they do not exist. SQLite gives the files that it adds the mode
    /// of this one.
    pub(super) fn create(&self) -> Result<(), StoreError> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|error| self.error(format_args!("cannot create its folder: {error}")))?;
        }
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)
            .map_err(|error| self.error(format_args!("cannot be created or written: {error}")))?;
        Ok(())
    }

    /// A connection that reads and writes.
    pub(super) fn connect(&self) -> Result<Connection, StoreError> {
        let connection = self.check_in_place().and_then(|()| self.configured());
        let connection = connection.map_err(|error| self.error(error))?;
        match connection.is_readonly("main") {
            Ok(false) => Ok(connection),
            Ok(true) => Err(self.error("cannot be written; check its owner and its mode")),
            Err(error) => Err(self.error(SqliteError::from(error))),
        }
    }

    /// Checks that the file exists, and is still the one that the connections have open. SQLite
    /// goes on writing to a file that was deleted.
    pub(super) fn check_in_place(&self) -> Result<(), SqliteError> {
        let advice = "while it was in use; put it back, or restart the service";
        let found = fs::metadata(&self.path).map(|found| (found.dev(), found.ino()));
        Err(SqliteError(match (found, self.identity.get()) {
            (Ok(found), opened) => {
                if found == *opened.unwrap_or_else(|| self.identity.get_or_init(|| found)) {
                    return Ok(());
                }
                format!("was replaced {advice}")
            }
            (Err(error), opened) if error.kind() == io::ErrorKind::NotFound => match opened {
                None => "does not exist; run challenger-dbinit".to_owned(),
                Some(_) => format!("was deleted {advice}"),
            },
            (Err(error), _) => format!("cannot be reached: {error}"),
        }))
    }

    /// A connection that refuses to write. It is not opened read-only, because SQLite could then
    /// not recover the file after a crash.
    pub(super) fn connect_to_read(&self) -> Result<Connection, StoreError> {
        let connection = self.connect()?;
        connection
            .pragma_update(None, "query_only", true)
            // A negative number counts KiB, a positive one pages.
            .and_then(|()| connection.pragma_update(None, "cache_size", -READER_CACHE_KIB))
            .map_err(|error| self.error(SqliteError::from(error)))?;
        Ok(connection)
    }

    /// Whether the write-ahead log has any content.
    pub(super) fn has_log(&self) -> bool {
        let mut name = self.path.clone().into_os_string();
        name.push("-wal");
        fs::metadata(name).is_ok_and(|found| found.len() > 0)
    }

    /// The error for the operator, which names the file.
    pub(super) fn error(&self, cause: impl fmt::Display) -> StoreError {
        let (path, shown) = (self.path.to_string_lossy(), secrecy::path(&self.path));
        // SQLite's own message may name it again.
        StoreError(format!("{shown}: {}", cause.to_string().replace(&*path, &shown)))
    }

    fn configured(&self) -> Result<Connection, SqliteError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_handler(Some(wait_for_others))?;
        // A commit that was acknowledged survives a power failure.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // Addresses are personal data: what is deleted is overwritten.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "journal_size_limit", LOG_SIZE_MAX)?;
        Ok(connection)
    }
}

/// Waits for another process, for as long as a request has time.
pub(super) fn wait_for_others(looks: i32) -> bool {
    look_again(looks, BUSY_LOOKS)
}

/// Waits a moment, and returns whether to look again: at most `most` times.
pub(super) fn look_again(looks: i32, most: i32) -> bool {
    thread::sleep(BUSY_PAUSE);
    looks < most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_sync_and_watch_over_keys() {
        let folder = tempfile::tempdir().unwrap();
        let file = DatabaseFile::new(&folder.path().join("db")).unwrap();
        file.create().unwrap();
        for (connection, reads_only) in
            [(file.connect().unwrap(), 0), (file.connect_to_read().unwrap(), 1)]
        {
            let says = |pragma| {
                connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap()
            };
            // 2 is FULL.
            let values = ["synchronous", "foreign_keys", "secure_delete", "query_only"].map(says);
            assert_eq!(values, [2, 1, 1, reads_only]);
            assert_eq!(says("journal_size_limit"), LOG_SIZE_MAX);
        }
    }
}
