//! What the server and the program's logger tell each other.

use std::sync::atomic::{AtomicU64, Ordering};

/// How lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Each is a JSON object.
    Json,
    /// Time, level, what happened, then `key=value`.
    #[default]
    Text,
}

/// The lines that this process could not write.
static LOST: AtomicU64 = AtomicU64::new(0);

/// How many lines of its log this process has lost so far, because nobody took them in time, or the
/// disk was full.
pub fn lost_lines() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// For the logger: counts one that is lost.
pub fn count_lost_line() {
    LOST.fetch_add(1, Ordering::Relaxed);
}
