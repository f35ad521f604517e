//! What a connection has to be: a session of its own, with settings of ours.
//!
//! Statements are prepared, and settings made, once for each connection. A connection pooler may
//! give a session to somebody else after each transaction. Then a name that we prepared is unknown,
//! or is another statement: that of another server.

use postgres::SimpleQueryMessage;

use super::error::PostgresError;

/// The settings of a server's connection. A statement is a matter of milliseconds, and people are
/// waiting. Each statement finds its rows by an index: otherwise a plan that was made while
/// PostgreSQL knew the table to be empty would be kept. A statement that waited for a lock must see
/// the changes that were made meanwhile, such as a new secret.
pub(super) const SERVE: &str = "('statement_timeout', '5s'), ('lock_timeout', '3s'), \
    ('enable_seqscan', 'off'), ('default_transaction_isolation', 'read committed')";

/// The settings of an operator's tool. Its statements may take long, but when a lock cannot be had,
/// an error is better than servers that queue behind.
pub(super) const MAINTAIN: &str = "('statement_timeout', '0'), ('lock_timeout', '60s')";

const BEGIN: &str = "BEGIN; SELECT pg_catalog.pg_backend_pid()";

const COMMIT: &str = "COMMIT";

/// The error for a pooler in another mode.
const SHARED: &str = "a connection pooler gives our session to others, as PgBouncer does with \
    pool_mode = transaction or statement; set pool_mode = session for this database, or let CONFIG \
    name PostgreSQL itself";

/// Runs SQL without preparing it, and returns the first value.
pub(super) type Ask<'a> = dyn FnMut(&str) -> Result<Option<String>, PostgresError> + 'a;

/// Checks with two connections that each of them keeps its session between transactions.
///
/// A pooler that lends sessions takes the one that was returned last, or the one that was returned
/// first. Both connections return theirs in the same order, twice, and borrow again in both orders:
/// one of them gets another session, however few there are and whatever others do.
pub(super) fn check_own(one: &mut Ask<'_>, other: &mut Ask<'_>) -> Result<(), PostgresError> {
    let first = (begin(one)?, begin(other)?);
    return_both(one, other)?;
    let second = (begin(one)?, begin(other)?);
    return_both(one, other)?;
    let (swapped, third) = (begin(other)?, begin(one)?);
    return_both(one, other)?;
    match first == second && first == (third, swapped) {
        true => Ok(()),
        false => Err(PostgresError::Other(SHARED.to_owned())),
    }
}

/// Makes settings for the whole session, except those that the operator made in `options`. It may
/// have been somebody else's, with statements that have the names of ours.
pub(super) fn settle(ask: &mut Ask<'_>, settings: &str) -> Result<(), PostgresError> {
    let sql = format!(
        "DEALLOCATE ALL; \
        SELECT pg_catalog.set_config(ours.name, ours.value, false) \
        FROM (VALUES {settings}) ours (name, value) \
        JOIN pg_catalog.pg_settings known ON known.name = ours.name \
        WHERE known.source <> 'client'"
    );
    ask(&sql).map(drop)
}

/// Begins a transaction, and returns the process behind it.
fn begin(ask: &mut Ask<'_>) -> Result<Option<String>, PostgresError> {
    ask(BEGIN).map_err(|error| match error {
        // There, transactions are forbidden.
        PostgresError::Lost(cause) if cause.contains("statement pooling mode") => {
            PostgresError::Other(SHARED.to_owned())
        }
        error => error,
    })
}

fn return_both(one: &mut Ask<'_>, other: &mut Ask<'_>) -> Result<(), PostgresError> {
    one(COMMIT)?;
    other(COMMIT).map(drop)
}

/// The first value of the first row.
pub(super) fn first_value(messages: &[SimpleQueryMessage]) -> Option<String> {
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
        _ => None,
    })
}
