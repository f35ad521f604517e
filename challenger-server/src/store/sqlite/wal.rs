//! The write-ahead log: what is deleted from the database has to leave it as well.
//!
//! SQLite merges the log into the file by itself, but then begins it again at its start and leaves
//! the rest of it as it was: rows that were deleted long ago could be read there.

use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::file;

/// How large the log stays at most once it was merged, in bytes. It is merged from 1000 pages on.
pub(super) const KEPT_MAX: i64 = 4 * 1024 * 1024;

/// How often a look at the readers is repeated while others cannot write, and while they can.
const LOOKS: i32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Merges the log into the file and cuts it to nothing. `false`: others read what is in it, and did
/// so for all that time.
pub(super) fn empty(connection: &mut Connection, patience: Duration) -> rusqlite::Result<bool> {
    let until = Instant::now() + patience;
    loop {
        // While this waits for readers, nobody can write, so it does not wait long.
        connection.busy_handler(Some(|looks| file::look_again(looks, LOOKS)))?;
        let emptied = truncate(connection);
        connection.busy_handler(Some(file::wait_for_others))?;
        if emptied? {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        thread::sleep(PAUSE);
    }
}

fn truncate(connection: &Connection) -> rusqlite::Result<bool> {
    let is_busy = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    Ok(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), is_busy)? == 0)
}
