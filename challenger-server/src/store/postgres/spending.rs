//! The statements of the operator's tools about the ledger.

use challenger_proto::Timestamp;
use challenger_proto::store::Account;
use postgres::{Client, Statement};

use super::error::PostgresError;
use super::ledger::balance;
use crate::store::Spending;
use crate::store::ledger::{self, ADDRESSES};
use crate::store::row::{LedgerRow, to_seconds};

/// Whether the window of a row is that of the time in the first parameter.
const IS_OF_NOW: &str = "$1 < ends AND ends - period - period <= $1";

/// What is spent of all budgets.
pub(super) fn spending(client: &mut Client, now: Timestamp) -> Result<Spending, PostgresError> {
    let (columns, now) = (LedgerRow::NAMES.join(", "), to_seconds(now));
    let rows = client.query(
        &format!(
            "SELECT {columns} FROM challenger.ledger WHERE {IS_OF_NOW} AND account NOT LIKE $2"
        ),
        &[&now, &ADDRESSES],
    )?;
    let shared = rows.iter().map(|row| balance(row, 0)).collect::<Result<_, _>>()?;
    let counts = client.query_one(
        &format!(
            "SELECT count(*), count(*) FILTER (WHERE spent >= messages) FROM challenger.ledger \
            WHERE {IS_OF_NOW} AND account LIKE $2 AND spent > 0"
        ),
        &[&now, &ADDRESSES],
    )?;
    Ok(ledger::spending(shared, counts.try_get(0)?, counts.try_get(1)?))
}

/// Forgets what an account has spent. The next message begins a window, so that nothing of before
/// comes back to it: no refund, and nothing of what servers have set aside.
pub(super) fn forgive(client: &mut Client, account: &Account) -> Result<bool, PostgresError> {
    let forget = "DELETE FROM challenger.ledger WHERE account = $1 RETURNING spent";
    let Some(row) = client.query_opt(forget, &[&account.to_text()])? else { return Ok(false) };
    Ok(row.try_get::<_, i64>(0)? > 0)
}

/// Deletes the balances of windows that are not of this time, in the order of their accounts and at
/// most so many. `last` is the last account that was deleted before, and then that of this time.
pub(super) fn delete_ended(
    client: &mut Client,
    statement: &Statement,
    now: Timestamp,
    most: i64,
    last: &mut String,
) -> Result<i64, PostgresError> {
    let row = client.query_one(statement, &[&to_seconds(now), &*last, &most])?;
    if let Some(greatest) = row.try_get(1)? {
        *last = greatest;
    }
    Ok(row.try_get(0)?)
}

/// The statement for it.
pub(super) fn prepare_delete_ended(client: &mut Client) -> Result<Statement, PostgresError> {
    Ok(client.prepare(&format!(
        "WITH chosen AS (\
            SELECT account FROM challenger.ledger WHERE account > $2 AND NOT ({IS_OF_NOW}) \
            ORDER BY account LIMIT $3 FOR UPDATE SKIP LOCKED), \
        deleted AS (\
            DELETE FROM challenger.ledger l USING chosen WHERE l.account = chosen.account \
            RETURNING l.account) \
        SELECT count(*), max(account) FROM deleted"
    ))?)
}
