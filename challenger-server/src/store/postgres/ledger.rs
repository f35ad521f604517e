//! A server's statements about the ledger. They mean what [`Entry::post`] means.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use challenger_proto::Timestamp;
use challenger_proto::machine::Validation;
use challenger_proto::secret::NonceDigest;
use challenger_proto::store::{Account, Balance, Entry};
use postgres::Row;

use super::error::PostgresError;
use super::purse::Rest;
use super::statements::{DIALECT, UPDATE};
use super::task::{Call, Parameter, Reply};
use crate::store::row::{ChangingColumns, ClientRow, FixedColumns, LedgerRow, to_seconds};

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

/// The statement that charges messages to an account, and counts proofs. Its parameters, after so
/// many others, are the balance if they were the first of a window. `OVER` says what becomes of it
/// if the budget does not allow them.
fn charge(after: usize, from: &str, over: &str) -> String {
    let parameter = |index| format!("{}{}", DIALECT.sigil, after + index);
    let values: Vec<String> = (1..=LedgerRow::COUNT).map(parameter).collect();
    let (columns, values) = (LedgerRow::NAMES.join(", "), values.join(", "));
    let is_open = "(excluded.ends - excluded.period < l.ends \
        AND l.ends - excluded.period <= excluded.ends)";
    let spent = format!("excluded.spent + CASE WHEN {is_open} THEN l.spent ELSE 0 END");
    format!(
        "INSERT INTO challenger.ledger AS l ({columns}) SELECT {values} {from} \
        ON CONFLICT (account) DO UPDATE SET spent = {spent}, \
            proved = excluded.proved + CASE WHEN {is_open} THEN l.proved ELSE 0 END, \
            messages = excluded.messages, period = excluded.period, \
            ends = CASE WHEN {is_open} THEN l.ends ELSE excluded.ends END \
        WHERE CASE WHEN {spent} <= excluded.messages THEN true ELSE {over} END \
        RETURNING {columns}"
    )
}

/// Takes messages for a purse, or does nothing.
static TAKE: LazyLock<String> = LazyLock::new(|| charge(0, "", "false"));

/// An update of a row that costs its address a message. An error undoes it if that is too much. The
/// database may log the error; it does not say which address it was, as that of the table's check
/// would.
static UPDATE_AND_CHARGE: LazyLock<String> = LazyLock::new(|| {
    let over = "('over the budget of ' || excluded.messages)::boolean";
    let (update, charge) = (&*UPDATE, charge(ChangingColumns::COUNT, "FROM changed", over));
    format!("WITH changed AS ({update} RETURNING id) {charge}")
});

/// An update of a row that gives its address a message back.
static UPDATE_AND_REFUND: LazyLock<String> = LazyLock::new(|| {
    let (update, account) = (&*UPDATE, ChangingColumns::COUNT + 1);
    let charged = account + 1;
    format!(
        "WITH changed AS ({update} RETURNING id), refunded AS (\
            UPDATE challenger.ledger l SET spent = l.spent - 1 FROM changed \
            WHERE l.account = ${account} AND l.spent > 0 \
                AND ${charged} < l.ends AND l.ends - l.period <= ${charged}) \
        SELECT id FROM changed"
    )
});

/// Gives back what a purse has left, and counts proofs.
const GIVE_BACK: &str = "\
    UPDATE challenger.ledger SET proved = proved + $4, \
        spent = greatest(spent - CASE ends WHEN $3 THEN $2::bigint ELSE 0 END, 0) \
    WHERE account = $1";

/// Finds a validation, its client, and balances: those of the accounts and that of the client.
pub(super) fn load(validation: Option<&NonceDigest>, accounts: &[Account]) -> Call {
    let validation = validation.map(|id| id.as_bytes().to_vec());
    let accounts: Vec<String> = accounts.iter().map(Account::to_text).collect();
    Call { sql: &SELECT, parameters: vec![Box::new(validation), Box::new(accounts)] }
}

/// What [`load`] found: a row with the validation and its client, and the balances.
pub(super) fn loaded(
    Reply { rows, .. }: Reply,
) -> Result<(Option<Row>, BTreeMap<Account, Balance>), PostgresError> {
    let mut balances = BTreeMap::new();
    for row in &rows {
        if row.try_get::<_, Option<&str>>(BALANCE)?.is_some() {
            let balance = balance(row, BALANCE)?;
            balances.insert(balance.account.clone(), balance);
        }
    }
    let first = rows.into_iter().next();
    let is_there = |row: &Row| row.try_get::<_, &[u8]>(0).is_ok();
    Ok((first.filter(is_there), balances))
}

/// Where the columns of the client begin in a row of [`load`].
pub(super) const CLIENT: usize = ChangingColumns::COUNT + FixedColumns::COUNT;
/// Where those of the balance begin.
const BALANCE: usize = CLIENT + ClientRow::COUNT;

/// Reads a balance from the columns of a row, of which `first` is the index of the first.
pub(super) fn balance(row: &Row, first: usize) -> Result<Balance, PostgresError> {
    Ok(LedgerRow::from_postgres(row, first)?.try_into()?)
}

/// The balance that a charge returns; none, if there was nothing to charge.
pub(super) fn charged(reply: &Reply) -> Result<Balance, PostgresError> {
    balance(reply.rows.first().ok_or_else(PostgresError::nothing)?, 0)
}

/// Updates a row that costs its address a message. Its reply is for [`charged`].
pub(super) fn update_and_charge(
    validation: &Validation,
    message: &Entry,
) -> Result<Call, PostgresError> {
    let first = message.post(None).ok().flatten().ok_or_else(PostgresError::nothing)?;
    let mut parameters = ChangingColumns::from(validation).postgres_parameters();
    parameters.extend(LedgerRow::from(&first).postgres_parameters());
    Ok(Call { sql: &UPDATE_AND_CHARGE, parameters })
}

/// Updates a row that gives its address a message back.
pub(super) fn update_and_refund(
    validation: &Validation,
    account: &Account,
    charged: Timestamp,
) -> Call {
    let mut parameters = ChangingColumns::from(validation).postgres_parameters();
    parameters.extend([Box::new(account.to_text()) as Parameter, Box::new(to_seconds(charged))]);
    Call { sql: &UPDATE_AND_REFUND, parameters }
}

/// Takes messages for a purse. They are given as the balance if they were the first of a window.
/// Its reply is for [`charged`].
pub(super) fn take(first: &Balance) -> Call {
    Call { sql: &TAKE, parameters: LedgerRow::from(first).postgres_parameters() }
}

/// Writes what a purse has left.
pub(super) fn give_back(rest: &Rest) -> Call {
    let (messages, proofs) = (i64::from(rest.messages), i64::from(rest.proofs));
    let parameters: [Parameter; 4] = [
        Box::new(rest.account.to_text()),
        Box::new(messages),
        Box::new(to_seconds(rest.ends)),
        Box::new(proofs),
    ];
    Call { sql: GIVE_BACK, parameters: parameters.into() }
}
