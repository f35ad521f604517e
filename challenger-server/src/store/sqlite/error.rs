//! Errors of SQLite, for the operator.

use std::fmt;

use rusqlite::ErrorCode;

use crate::store::StoreError;

/// Why something failed, without the name of the file.
#[derive(Clone, Debug)]
pub(super) struct SqliteError(pub(super) String);

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<rusqlite::Error> for SqliteError {
    /// Keeps the number, because one sentence stands for many causes. SQLite's sentences name
    /// columns, never values.
    fn from(error: rusqlite::Error) -> Self {
        let Some(cause) = error.sqlite_error() else { return Self(error.to_string()) };
        let advice = match cause.code {
            ErrorCode::CannotOpen => {
                "; the file and its folder have to be writable by this user, so run \
                 challenger-dbinit as the user of the service; if that was done, are there enough \
                 file descriptors?"
            }
            ErrorCode::ReadOnly => {
                "; the file and its folder have to be writable by this user, so run \
                 challenger-dbinit as the user of the service"
            }
            _ => "",
        };
        Self(format!("{error} (SQLite error {}){advice}", cause.extended_code))
    }
}

impl From<StoreError> for SqliteError {
    fn from(error: StoreError) -> Self {
        Self(error.0)
    }
}
