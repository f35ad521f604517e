//! The statements of the ledger. They mean what [`Entry::post`] means.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use challenger_proto::Timestamp;
use challenger_proto::machine::Validation;
use challenger_proto::store::{Account, Balance, Commit, Entry, Event, MessageBudget};
use postgres::types::ToSql;
use postgres::{Client, Row, Statement};

use super::error::PostgresError;
use super::purse::{Order, Rest};
use super::session::Session;
use super::statements::{DIALECT, UPDATE};
use crate::store::Spending;
use crate::store::ledger::{self, ADDRESSES};
use crate::store::row::{ChangingColumns, ClientRow, FixedColumns, LedgerRow};
use crate::store::row::{to_length, to_seconds};

/// Whether the window of a row is that of the message that was to be inserted.
const IS_OPEN: &str = "excluded.ends - excluded.period < l.ends \
    AND l.ends <= excluded.ends + excluded.period";

/// How many of these times are in the window of a row.
const PROVED: &str = "p.now < l.ends AND l.ends - l.period - l.period <= p.now";

/// What a validation needs to pay for a message: its row, its client, and the balances, all in one.
/// There is a row for each balance, and at least one.
static SELECT: LazyLock<String> = LazyLock::new(|| {
    let of = |table: &str, columns: &[&str]| {
        columns.iter().map(|column| format!("{table}.{column}")).collect::<Vec<_>>().join(", ")
    };
    let (changing, fixed) = (of("v", ChangingColumns::NAMES), of("v", FixedColumns::NAMES));
    let (client, balance) = (of("c", ClientRow::NAMES), of("l", LedgerRow::NAMES));
    format!(
        "SELECT {changing}, {fixed}, {client}, {balance} FROM (VALUES (1)) one \
        LEFT JOIN challenger.validations v ON v.id = $1 \
        LEFT JOIN challenger.clients c ON c.id = v.client \
        LEFT JOIN challenger.ledger l \
            ON l.account = ANY ($2::text[] || ARRAY['client:' || v.client])"
    )
});

/// Charges messages to their accounts. The check of the table undoes what would overdraw one, and
/// the row's update with it.
static CHARGE: LazyLock<String> = LazyLock::new(|| {
    let [account, messages, period, now] = numbered();
    let columns = LedgerRow::NAMES.join(", ");
    format!(
        "INSERT INTO challenger.ledger AS l ({columns}) \
        SELECT e.account, 1, 0, e.messages, e.period, e.now + e.period FROM changed, \
            unnest({account}::text[], {messages}::bigint[], {period}::bigint[], {now}::bigint[]) \
            AS e (account, messages, period, now) \
        ON CONFLICT (account) DO UPDATE SET \
            spent = CASE WHEN {IS_OPEN} THEN l.spent + 1 ELSE 1 END, \
            proved = CASE WHEN {IS_OPEN} THEN l.proved ELSE 0 END, \
            messages = excluded.messages, period = excluded.period, \
            ends = CASE WHEN {IS_OPEN} THEN l.ends ELSE excluded.ends END \
        RETURNING {columns}"
    )
});

/// An update of a row that costs messages.
static UPDATE_AND_CHARGE: LazyLock<String> = LazyLock::new(|| {
    let (update, charge, columns) = (&*UPDATE, &*CHARGE, LedgerRow::NAMES.join(", "));
    format!(
        "WITH changed AS ({update} RETURNING id), charged AS ({charge}) \
        SELECT {columns} FROM changed LEFT JOIN charged ON true"
    )
});

/// An update of a row with entries of all kinds.
static UPDATE_AND_POST: LazyLock<String> = LazyLock::new(|| {
    let (update, charge, columns) = (&*UPDATE, &*CHARGE, LedgerRow::NAMES.join(", "));
    let [_, _, _, _, refunded, charged, held, held_ends, proved, proved_now] = numbered();
    format!(
        "WITH changed AS ({update} RETURNING id), charged AS ({charge}), adjusted AS (\
            UPDATE challenger.ledger l SET \
                spent = l.spent - (SELECT count(*) FROM \
                    unnest({refunded}::text[], {charged}::bigint[], {held}::bigint[], \
                        {held_ends}::bigint[]) AS r (account, charged, held, held_ends) \
                    WHERE r.account = l.account \
                        AND r.charged < l.ends AND l.ends - l.period <= r.charged \
                        AND l.spent > CASE l.ends WHEN r.held_ends THEN r.held ELSE 0 END), \
                proved = l.proved + (SELECT count(*) FROM \
                    unnest({proved}::text[], {proved_now}::bigint[]) AS p (account, now) \
                    WHERE p.account = l.account AND {PROVED}) \
            FROM changed WHERE l.account = ANY ({refunded}::text[] || {proved}::text[])) \
        SELECT {columns} FROM changed LEFT JOIN charged ON true"
    )
});

/// Takes messages for a purse, gives back those that it has left, and counts proofs. Nothing
/// happens if the budget does not allow it.
static TAKE: LazyLock<String> = LazyLock::new(|| {
    let columns = LedgerRow::NAMES.join(", ");
    let spent = format!(
        "$2 + CASE WHEN {IS_OPEN} \
            THEN greatest(l.spent - CASE l.ends WHEN $7 THEN $6::bigint ELSE 0 END, 0) ELSE 0 END"
    );
    format!(
        "INSERT INTO challenger.ledger AS l ({columns}) \
        VALUES ($1, $2::bigint, 0, $3, $4, $5::bigint + $4) \
        ON CONFLICT (account) DO UPDATE SET spent = {spent}, \
            proved = CASE WHEN {IS_OPEN} THEN l.proved + \
                (SELECT count(*) FROM unnest($8::bigint[]) AS p (now) WHERE {PROVED}) \
                ELSE 0 END, \
            messages = excluded.messages, period = excluded.period, \
            ends = CASE WHEN {IS_OPEN} THEN l.ends ELSE excluded.ends END \
        WHERE {spent} <= excluded.messages \
        RETURNING {columns}"
    )
});

/// Gives back what a purse has left, and counts proofs.
static GIVE_BACK: LazyLock<String> = LazyLock::new(|| {
    format!(
        "UPDATE challenger.ledger l SET \
            spent = greatest(l.spent - CASE l.ends WHEN $3 THEN $2::bigint ELSE 0 END, 0), \
            proved = l.proved + \
                (SELECT count(*) FROM unnest($4::bigint[]) AS p (now) WHERE {PROVED}) \
        WHERE l.account = $1"
    )
});

/// Parameters after those of the row.
fn numbered<const N: usize>() -> [String; N] {
    std::array::from_fn(|index| format!("{}{}", DIALECT.sigil, ChangingColumns::COUNT + 1 + index))
}

/// Finds a validation, its client, and balances: those of the accounts and that of the client.
pub(super) fn load(
    session: &mut Session,
    validation: Option<&[u8]>,
    accounts: &[Account],
) -> Result<(Option<Row>, BTreeMap<Account, Balance>), PostgresError> {
    let accounts: Vec<String> = accounts.iter().map(Account::to_text).collect();
    let rows = session.find_all(&SELECT, &[&validation, &accounts])?;
    let mut balances = BTreeMap::new();
    for row in &rows {
        if row.try_get::<_, Option<&str>>(BALANCE)?.is_some() {
            let balance = balance(row, BALANCE)?;
            balances.insert(balance.account.clone(), balance);
        }
    }
    let is_there = |row: &Row| row.try_get::<_, Option<&[u8]>>(0).map(|id| id.is_some());
    let first = rows.into_iter().next().map(|row| Ok((is_there(&row)?, row)));
    let first = first.transpose().map_err(|error: postgres::Error| PostgresError::from(error))?;
    Ok((first.filter(|(is_there, _)| *is_there).map(|(_, row)| row), balances))
}

/// Where the columns of the client begin in a row of [`load`].
pub(super) const CLIENT: usize = ChangingColumns::COUNT + FixedColumns::COUNT;
/// Where those of the balance begin.
const BALANCE: usize = CLIENT + ClientRow::COUNT;

fn balance(row: &Row, first: usize) -> Result<Balance, PostgresError> {
    Ok(LedgerRow::from_postgres(row, first)?.try_into()?)
}

/// Updates a row and posts entries. Returns the balances that were charged.
pub(super) fn update_and_post(
    session: &mut Session,
    validation: &Validation,
    entries: &[Entry],
    held: &BTreeMap<Account, Rest>,
) -> Result<(Commit, Vec<Balance>), PostgresError> {
    let lists = Lists::new(entries, held);
    let row = ChangingColumns::from(validation);
    let mut parameters = row.postgres_parameters().to_vec();
    parameters.extend(lists.charges());
    let rows = if lists.has_only_charges() {
        session.change(&UPDATE_AND_CHARGE, &parameters)?
    } else {
        parameters.extend(lists.others());
        session.change(&UPDATE_AND_POST, &parameters)?
    };
    let commit = if rows.is_empty() { Commit::Conflict } else { Commit::Done };
    // Without a charge, there is a row of NULLs.
    let is_balance = |row: &&Row| row.try_get::<_, &str>(0).is_ok();
    let charged = rows.iter().filter(is_balance).map(|row| balance(row, 0));
    Ok((commit, charged.collect::<Result<_, _>>()?))
}

/// Entries as the parameters of statements: a list for each column.
#[derive(Default)]
struct Lists {
    charged: Vec<String>,
    messages: Vec<i64>,
    periods: Vec<i64>,
    charged_now: Vec<i64>,
    refunded: Vec<String>,
    charged_then: Vec<i64>,
    held: Vec<i64>,
    held_ends: Vec<i64>,
    proved: Vec<String>,
    proved_now: Vec<i64>,
}

impl Lists {
    /// Sorts entries by their accounts, so that statements lock rows in one order.
    fn new(entries: &[Entry], held: &BTreeMap<Account, Rest>) -> Self {
        let mut entries: Vec<&Entry> = entries.iter().collect();
        entries.sort_by(|one, other| one.account.cmp(&other.account));
        let mut lists = Self::default();
        for Entry { account, event } in entries {
            match *event {
                Event::Message { budget, now } => {
                    lists.charged.push(account.to_text());
                    lists.messages.push(budget.messages.into());
                    lists.periods.push(to_length(budget.period));
                    lists.charged_now.push(to_seconds(now));
                }
                Event::Refund { charged } => {
                    let rest = held.get(account);
                    lists.refunded.push(account.to_text());
                    lists.charged_then.push(to_seconds(charged));
                    lists.held.push(rest.map_or(0, |rest| rest.messages.into()));
                    lists.held_ends.push(rest.map_or(0, |rest| to_seconds(rest.ends)));
                }
                Event::Proof { now } => {
                    lists.proved.push(account.to_text());
                    lists.proved_now.push(to_seconds(now));
                }
            }
        }
        lists
    }

    const fn has_only_charges(&self) -> bool {
        self.refunded.is_empty() && self.proved.is_empty()
    }

    fn charges(&self) -> [&(dyn ToSql + Sync); 4] {
        [&self.charged, &self.messages, &self.periods, &self.charged_now]
    }

    fn others(&self) -> [&(dyn ToSql + Sync); 6] {
        [
            &self.refunded,
            &self.charged_then,
            &self.held,
            &self.held_ends,
            &self.proved,
            &self.proved_now,
        ]
    }
}

/// Carries out the order of a purse, and returns the balance; `None` if that is too much.
pub(super) fn take(session: &mut Session, order: &Order) -> Result<Option<Balance>, PostgresError> {
    let Order { account, messages, budget, now, back, proofs } = order;
    let MessageBudget { messages: most, period } = budget;
    let parameters: [&(dyn ToSql + Sync); 8] = [
        &account.to_text(),
        &i64::from(*messages),
        &i64::from(*most),
        &to_length(*period),
        &to_seconds(*now),
        &i64::from(back.messages),
        &to_seconds(back.ends),
        &times(proofs),
    ];
    let rows = session.change(&TAKE, &parameters)?;
    rows.first().map(|row| balance(row, 0)).transpose()
}

/// Writes what a purse has left.
pub(super) fn give_back(
    session: &mut Session,
    account: &Account,
    rest: Rest,
    proofs: &[Timestamp],
) -> Result<(), PostgresError> {
    let (messages, ends) = (i64::from(rest.messages), to_seconds(rest.ends));
    session.execute(&GIVE_BACK, &[&account.to_text(), &messages, &ends, &times(proofs)]).map(drop)
}

fn times(of: &[Timestamp]) -> Vec<i64> {
    of.iter().copied().map(to_seconds).collect()
}

// The operator's tools.

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
