//! The columns of the tables, each listed once, in the order in which statements name and bind
//! them. The schema says what each of them holds.

#[cfg(feature = "postgres")]
use crate::store::postgres::Parameter;

/// Declares a struct with a field for each column, the names of the columns, and how each database
/// reads and binds them.
macro_rules! columns {
    ($(#[$about:meta])* $name:ident { $($column:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Default, PartialEq, Eq)]
        pub(in crate::store) struct $name {
            $(pub(in crate::store) $column: $type,)*
        }

        #[allow(dead_code, reason = "not every table is read and written by row")]
        impl $name {
            /// How many columns there are.
            pub(in crate::store) const COUNT: usize = Self::NAMES.len();

            /// Their names.
            pub(in crate::store) const NAMES: &'static [&'static str] =
                &[$(stringify!($column)),*];

            /// Reads them from a row of PostgreSQL, of which `first` is the index of the first.
            #[cfg(feature = "postgres")]
            pub(in crate::store) fn from_postgres(
                row: &::postgres::Row,
                first: usize,
            ) -> Result<Self, ::postgres::Error> {
                let mut index = first;
                let mut next = || {
                    index += 1;
                    index - 1
                };
                Ok(Self { $($column: row.try_get(next())?,)* })
            }

            /// The parameters of a statement for PostgreSQL.
            #[cfg(feature = "postgres")]
            pub(in crate::store) fn postgres_parameters(self) -> Vec<Parameter> {
                vec![$(Box::new(self.$column)),*]
            }

            /// Reads them from a row of SQLite, of which `first` is the index of the first.
            #[cfg(feature = "sqlite")]
            pub(in crate::store) fn from_sqlite(
                row: &::rusqlite::Row<'_>,
                first: usize,
            ) -> ::rusqlite::Result<Self> {
                let mut index = first;
                let mut next = || {
                    index += 1;
                    index - 1
                };
                Ok(Self { $($column: row.get(next())?,)* })
            }

            /// The parameters of a statement for SQLite.
            #[cfg(feature = "sqlite")]
            pub(in crate::store) fn sqlite_parameters(
                &self,
            ) -> [&dyn ::rusqlite::ToSql; Self::COUNT] {
                [$(&self.$column),*]
            }
        }
    };
}

columns! {
    /// A row of `clients`, without its totals.
    ClientRow {
        id: i64,
        redirect_uri: String,
        secret_salt: Vec<u8>,
        secret_digest: Vec<u8>,
        messages_per_day: Option<i64>,
        open: bool,
        name: Option<String>,
        disabled: bool,
        earlier_salt: Option<Vec<u8>>,
        earlier_digest: Option<Vec<u8>>,
        earlier_until: Option<i64>,
    }
}

columns! {
    /// A client and its totals, which include the rows that are still there.
    ClientSummaryRow {
        id: i64,
        redirect_uri: String,
        validations: i64,
        grants: i64,
        is_being_deleted: bool,
        messages_per_day: Option<i64>,
        open: bool,
        name: Option<String>,
        disabled: bool,
        created: Option<i64>,
        earlier_until: Option<i64>,
    }
}

columns! {
    /// A row of `ledger`.
    LedgerRow {
        account: String,
        spent: i64,
        proved: i64,
        messages: i64,
        period: i64,
        ends: i64,
    }
}

columns! {
    /// A row of `statistics`.
    StatisticRow {
        day: i64,
        client: i64,
        opened: i64,
        messages: i64,
        failed: i64,
        proved: i64,
        redeemed: i64,
    }
}

columns! {
    /// The columns of a validation that an update sets. It finds its row by the first two.
    ChangingColumns {
        id: Vec<u8>,
        version: i64,
        authorized: bool,
        state: Option<String>,
        scope: Option<String>,
        code_challenge: Option<String>,
        code_challenge_method: Option<String>,
        names_redirect_uri: bool,
        addresses_left: i16,
        refunds_left: i16,
        progress: String,
        address: Option<String>,
        salt: Option<Vec<u8>>,
        sent_at: Option<i64>,
        transmissions_left: Option<i16>,
        attempts_left: Option<i16>,
        solved_at: Option<i64>,
        renewed_at: Option<i64>,
        code: Option<Vec<u8>>,
        token: Option<Vec<u8>>,
        redeemed_at: Option<i64>,
        earlier: Option<String>,
        failure: Option<String>,
        failed_at: Option<i64>,
    }
}

columns! {
    /// The columns of a validation that stay as they were inserted.
    FixedColumns {
        client: i64,
        expires: i64,
        redirect_uri: String,
        prefill: Option<String>,
        read_only: bool,
        request_uri_until: Option<i64>,
        created: Option<i64>,
        client_name: Option<String>,
    }
}

columns! {
    /// A row of `grants`, without its number.
    GrantRow {
        token: Vec<u8>,
        client: i64,
        address: String,
        valid_until: i64,
        expires: i64,
    }
}
