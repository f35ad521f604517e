//! The statements about statistics: one of servers, and those of the operator's tools.

use std::sync::LazyLock;

use postgres::Client;

use super::error::PostgresError;
use super::task::{Call, Parameter};
use crate::store::row::StatisticRow;
use crate::store::statistics::{Day, Statistic};

/// Adds to rows, of which each parameter is a column. Of a client that was deleted meanwhile,
/// nothing is kept. All servers lock the rows in the same order.
static ADD: LazyLock<String> = LazyLock::new(|| {
    let columns = StatisticRow::NAMES.join(", ");
    let arrays: Vec<String> =
        (1..=StatisticRow::COUNT).map(|number| format!("${number}::bigint[]")).collect();
    // The first two find the row.
    let counts = StatisticRow::NAMES.iter().skip(2);
    let sums = counts.map(|name| format!("{name} = s.{name} + excluded.{name}"));
    let (arrays, sums) = (arrays.join(", "), sums.collect::<Vec<_>>().join(", "));
    format!(
        "INSERT INTO challenger.statistics AS s ({columns}) \
        SELECT {columns} FROM unnest({arrays}) AS counted ({columns}) \
        WHERE EXISTS (SELECT FROM challenger.clients c WHERE c.id = counted.client) \
        ORDER BY day, client \
        ON CONFLICT (day, client) DO UPDATE SET {sums}"
    )
});

/// Adds to what is there, all or nothing.
pub(super) fn add(counted: &[Statistic]) -> Call {
    let rows: Vec<StatisticRow> = counted.iter().map(StatisticRow::from).collect();
    let column = |of: fn(&StatisticRow) -> i64| -> Parameter {
        Box::new(rows.iter().map(of).collect::<Vec<i64>>())
    };
    // In the order of StatisticRow::NAMES.
    let parameters = vec![
        column(|it| it.day),
        column(|it| it.client),
        column(|it| it.opened),
        column(|it| it.messages),
        column(|it| it.failed),
        column(|it| it.proved),
        column(|it| it.redeemed),
    ];
    Call { sql: &ADD, parameters }
}

/// What is there from a day on, in the order of days and clients.
pub(super) fn since(client: &mut Client, day: Day) -> Result<Vec<Statistic>, PostgresError> {
    let columns = StatisticRow::NAMES.join(", ");
    let since =
        format!("SELECT {columns} FROM challenger.statistics WHERE day >= $1 ORDER BY day, client");
    let rows = client.query(&since, &[&day.number()])?;
    rows.iter().map(|row| Ok(StatisticRow::from_postgres(row, 0)?.try_into()?)).collect()
}

/// Deletes what is older than a day.
pub(super) fn delete_before(client: &mut Client, day: Day) -> Result<(), PostgresError> {
    let delete = "DELETE FROM challenger.statistics WHERE day < $1";
    Ok(client.execute(delete, &[&day.number()]).map(drop)?)
}
