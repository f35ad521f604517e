//! The statements that both databases have, made from the lists of columns. Each is made once.

use super::columns::{ChangingColumns, FixedColumns, GrantRow};

/// How a database spells a statement.
pub(in crate::store) struct Dialect {
    /// What precedes the name of a table.
    pub(in crate::store) schema: &'static str,
    /// What precedes the number of a parameter.
    pub(in crate::store) sigil: char,
}

impl Dialect {
    /// Finds a validation by its identity, the one parameter.
    pub(in crate::store) fn select_validation(&self) -> String {
        let Self { schema, sigil } = self;
        let columns = columns_of_validations().join(", ");
        format!("SELECT {columns} FROM {schema}validations WHERE id = {sigil}1")
    }

    /// Inserts a validation, unless its identity is taken or its client has another secret by now.
    /// The parameters are the columns, the client once more, and the digest of its secret.
    /// `lock` is what the look at the client locks.
    pub(in crate::store) fn insert_validation(&self, lock: &str) -> String {
        let Self { schema, sigil } = self;
        let columns = columns_of_validations();
        let (client, secret) = (columns.len() + 1, columns.len() + 2);
        let (columns, values) = (columns.join(", "), self.parameters(columns.len()));
        format!(
            "INSERT INTO {schema}validations ({columns}) SELECT {values} \
            FROM {schema}clients WHERE id = {sigil}{client} AND secret_digest = {sigil}{secret} \
            {lock} ON CONFLICT (id) DO NOTHING"
        )
    }

    /// Changes a validation if it still has the version that was seen. The parameters are the
    /// [`ChangingColumns`].
    pub(in crate::store) fn update_validation(&self) -> String {
        let Self { schema, sigil } = self;
        let numbered = (1..).zip(ChangingColumns::NAMES);
        let changes: Vec<String> = numbered
            .skip_while(|(_, name)| ["id", "version"].contains(name))
            .map(|(number, name)| format!("{name} = {sigil}{number}"))
            .collect();
        let changes = changes.join(", ");
        format!(
            "UPDATE {schema}validations SET version = version + 1, {changes} \
            WHERE id = {sigil}1 AND version = {sigil}2"
        )
    }

    /// Finds a grant, with its number before the columns, by the digest of its token.
    pub(in crate::store) fn select_grant(&self) -> String {
        let Self { schema, sigil } = self;
        let columns = GrantRow::NAMES.join(", ");
        format!("SELECT id, {columns} FROM {schema}grants WHERE token = {sigil}1")
    }

    /// So many parameters: `$1, $2, …`.
    pub(in crate::store) fn parameters(&self, count: usize) -> String {
        let numbers = (1..=count).map(|number| format!("{}{number}", self.sigil));
        numbers.collect::<Vec<_>>().join(", ")
    }
}

fn columns_of_validations() -> Vec<&'static str> {
    [ChangingColumns::NAMES, FixedColumns::NAMES].concat()
}
