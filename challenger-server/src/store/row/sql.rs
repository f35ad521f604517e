//! The statements that both databases have, made from the lists of columns. Each is made once.

use super::columns::{ChangingColumns, FixedColumns};

/// How a database spells a statement.
pub(in crate::store) struct Dialect {
    /// The text before the name of a table.
    pub(in crate::store) schema: &'static str,
    /// The character before the number of a parameter.
    pub(in crate::store) sigil: char,
}

impl Dialect {
    /// The statement that finds a row by a key, the one parameter.
    pub(in crate::store) fn select(&self, table: &str, columns: &[&[&str]], key: &str) -> String {
        let Self { schema, sigil } = self;
        format!(
            "SELECT {} FROM {schema}{table} WHERE {key} = {sigil}1",
            columns.concat().join(", ")
        )
    }

    /// The statement that inserts a validation, unless its identity is taken or its client has
    /// another secret by now, or is disabled. The parameters are the columns, the client once more,
    /// and the digest of its secret. `lock` is the clause that locks the client's row, if any.
    pub(in crate::store) fn insert_validation(&self, lock: &str) -> String {
        let Self { schema, sigil } = self;
        let columns = [ChangingColumns::NAMES, FixedColumns::NAMES].concat();
        let (client, secret) = (columns.len() + 1, columns.len() + 2);
        let (columns, values) = (columns.join(", "), self.parameters(columns.len()));
        format!(
            "INSERT INTO {schema}validations ({columns}) SELECT {values} \
            FROM {schema}clients WHERE id = {sigil}{client} AND secret_digest = {sigil}{secret} \
            AND NOT disabled {lock} ON CONFLICT (id) DO NOTHING"
        )
    }

    /// The statement that changes a validation, if it still has the version that was seen. The
    /// parameters are the [`ChangingColumns`].
    pub(in crate::store) fn update_validation(&self) -> String {
        let Self { schema, sigil } = self;
        let numbered = (1..).zip(ChangingColumns::NAMES);
        // The first two find the row.
        let changes = numbered.skip(2).map(|(number, name)| format!("{name} = {sigil}{number}"));
        let changes = changes.collect::<Vec<_>>().join(", ");
        format!(
            "UPDATE {schema}validations SET version = version + 1, {changes} \
            WHERE id = {sigil}1 AND version = {sigil}2"
        )
    }

    /// This many parameters: `$1, $2, …`.
    pub(in crate::store) fn parameters(&self, count: usize) -> String {
        let numbers = (1..=count).map(|number| format!("{}{number}", self.sigil));
        numbers.collect::<Vec<_>>().join(", ")
    }
}
