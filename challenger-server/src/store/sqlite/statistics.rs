//! The statements about statistics.

use std::sync::LazyLock;

use rusqlite::{Connection, TransactionBehavior};

use super::error::SqliteError;
use super::statements::DIALECT;
use crate::store::row::StatisticRow;
use crate::store::statistics::{Day, Statistic};

/// Adds to a row. Of a client that was deleted meanwhile, nothing is kept.
static ADD: LazyLock<String> = LazyLock::new(|| {
    let columns = StatisticRow::NAMES.join(", ");
    let values = DIALECT.parameters(StatisticRow::COUNT);
    // The first two find the row.
    let counts = StatisticRow::NAMES.iter().skip(2);
    let sums = counts.map(|name| format!("{name} = {name} + excluded.{name}"));
    let sums = sums.collect::<Vec<_>>().join(", ");
    format!(
        "INSERT INTO statistics ({columns}) SELECT {values} FROM clients WHERE id = ?2 \
        ON CONFLICT (day, client) DO UPDATE SET {sums}"
    )
});

/// Adds to what is there, all or nothing.
pub(super) fn add(connection: &mut Connection, counted: &[Statistic]) -> Result<(), SqliteError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for statistic in counted {
        let row = StatisticRow::from(statistic);
        transaction.prepare_cached(&ADD)?.execute(row.sqlite_parameters())?;
    }
    Ok(transaction.commit()?)
}

/// What is there from a day on, in the order of days and clients.
pub(super) fn since(connection: &Connection, day: Day) -> Result<Vec<Statistic>, SqliteError> {
    let columns = StatisticRow::NAMES.join(", ");
    connection
        .prepare(&format!("SELECT {columns} FROM statistics WHERE day >= ?1 ORDER BY day, client"))?
        .query_map([day.number()], |row| StatisticRow::from_sqlite(row, 0))?
        .map(|row| Ok(row?.try_into()?))
        .collect()
}

/// Deletes what is older than a day.
pub(super) fn delete_before(connection: &Connection, day: Day) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM statistics WHERE day < ?1", [day.number()]).map(drop)
}
