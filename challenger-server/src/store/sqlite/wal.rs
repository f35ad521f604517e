//! The write-ahead log: rows that are deleted from the database have to leave the log as well.
//!
//! SQLite merges the log into the file by itself, but then starts to overwrite it from the front
//! and leaves the rest as it was, so rows that were deleted long ago could be read there.

use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::file;

/// How often to look for readers to finish while nobody can write.
const LOOKS: i32 = 50;

/// The pause between two such rounds, in which others can write.
const PAUSE: Duration = Duration::from_millis(100);

/// Merges the log into the file and truncates it. Returns `false` if others were reading from it
/// for all that time.
pub(super) fn empty(connection: &mut Connection, patience: Duration) -> rusqlite::Result<bool> {
    let deadline = Instant::now() + patience;
    loop {
        // While this waits for readers, nobody can write, so the wait is short.
        connection.busy_handler(Some(|looks| file::look_again(looks, LOOKS)))?;
        let emptied = truncate(connection);
        connection.busy_handler(Some(file::wait_for_others))?;
        if emptied? {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(PAUSE);
    }
}

fn truncate(connection: &Connection) -> rusqlite::Result<bool> {
    let is_busy = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), is_busy)? == 0)
}
