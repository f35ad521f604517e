//! The ledger: balances are read and written back in one transaction.

use std::sync::LazyLock;

use challenger_proto::Timestamp;
use challenger_proto::store::{Account, Balance, Entry, Event, OverBudget};
use rusqlite::{Connection, OptionalExtension};

use super::error::SqliteError;
use super::statements::DIALECT;
use crate::store::Spending;
use crate::store::ledger::{self, ADDRESSES};
use crate::store::row::{LedgerRow, to_seconds};

static SELECT: LazyLock<String> =
    LazyLock::new(|| DIALECT.select("ledger", &[LedgerRow::NAMES], "account"));

static WRITE: LazyLock<String> = LazyLock::new(|| {
    let (columns, values) = (LedgerRow::NAMES.join(", "), DIALECT.parameters(LedgerRow::COUNT));
    format!("INSERT OR REPLACE INTO ledger ({columns}) VALUES ({values})")
});

/// Finds the balance of an account.
pub(super) fn balance(
    connection: &Connection,
    account: &Account,
) -> Result<Option<Balance>, SqliteError> {
    let row = connection
        .prepare_cached(&SELECT)?
        .query_row([account.to_text()], |row| LedgerRow::from_sqlite(row, 0))
        .optional()?;
    Ok(row.map(Balance::try_from).transpose()?)
}

/// Posts entries, and returns the balances that were charged. If a budget does not allow one, those
/// before it have to be rolled back.
pub(super) fn post(
    connection: &Connection,
    entries: &[Entry],
) -> Result<Result<Vec<Balance>, OverBudget>, SqliteError> {
    let mut charged = Vec::new();
    for entry in entries {
        let posted = match entry.post(balance(connection, &entry.account)?.as_ref()) {
            Ok(Some(posted)) => posted,
            Ok(None) => continue,
            Err(over) => return Ok(Err(over)),
        };
        let row = LedgerRow::from(&posted);
        connection.prepare_cached(&WRITE)?.execute(row.sqlite_parameters())?;
        if matches!(entry.event, Event::Message { .. }) {
            charged.push(posted);
        }
    }
    Ok(Ok(charged))
}

/// Whether a window is that of a time, as [`Balance::is_open`] has it.
const IS_OPEN: &str = "?1 < ends AND ends - period - period <= ?1";

/// What is spent of all budgets.
pub(super) fn spending(connection: &Connection, now: Timestamp) -> Result<Spending, SqliteError> {
    let (columns, now) = (LedgerRow::NAMES.join(", "), to_seconds(now));
    let shared = connection
        .prepare(&format!("SELECT {columns} FROM ledger WHERE {IS_OPEN} AND account NOT LIKE ?2"))?
        .query_map((now, ADDRESSES), |row| LedgerRow::from_sqlite(row, 0))?
        .map(|row| Ok(row?.try_into()?))
        .collect::<Result<_, SqliteError>>()?;
    let (addresses, exhausted) = connection.query_row(
        &format!(
            "SELECT count(*), count(*) FILTER (WHERE spent >= messages) FROM ledger \
            WHERE {IS_OPEN} AND account LIKE ?2 AND spent > 0"
        ),
        (now, ADDRESSES),
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(ledger::spending(shared, addresses, exhausted))
}

/// Forgets what an account has spent. The next message begins a window, so that a message of before
/// is not refunded to it.
pub(super) fn forgive(connection: &Connection, account: &Account) -> Result<bool, SqliteError> {
    let spent: Option<i64> = connection
        .query_row(
            "DELETE FROM ledger WHERE account = ?1 RETURNING spent",
            [account.to_text()],
            |row| row.get(0),
        )
        .optional()?;
    Ok(spent.is_some_and(|spent| spent > 0))
}

/// Deletes the balances of windows that are not of this time, in the order of their accounts and at
/// most so many. `last` is the last account that was deleted before, and then that of this time.
pub(super) fn delete_ended(
    connection: &Connection,
    now: Timestamp,
    most: u32,
    last: &mut String,
) -> rusqlite::Result<u32> {
    let mut delete = connection.prepare_cached(&format!(
        "DELETE FROM ledger WHERE account IN (SELECT account FROM ledger \
            WHERE account > ?2 AND NOT ({IS_OPEN}) ORDER BY account LIMIT ?3) RETURNING account"
    ))?;
    let mut deleted = 0;
    for account in delete.query_map((to_seconds(now), &*last, most), |row| row.get(0))? {
        *last = String::max(std::mem::take(last), account?);
        deleted += 1;
    }
    Ok(deleted)
}
