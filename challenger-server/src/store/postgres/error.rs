//! Errors of PostgreSQL, and their meaning for the statement.

use std::error::Error;
use std::{fmt, io};

use postgres::error::{Severity, SqlState};

use crate::store::StoreError;

/// Error for a database that does not answer, though it may be working on it.
pub(super) const LATE: &str = "the database did not answer in time";

/// How PgBouncer refuses what else it could not keep apart, with a code that it has for everything.
const NO_OPTIONS: &str = "unsupported startup parameter";

const WITHOUT_OPTIONS: &str = ": a connection pooler takes no options; leave them out of CONFIG, \
    and set them for the role with ALTER ROLE";

/// Why something failed, without the name of the database.
#[derive(Clone, Debug)]
pub(super) enum PostgresError {
    /// There was no answer in time, and it is not known whether the statement was carried out. That
    /// says nothing about other connections.
    Abandoned(String),
    /// Another transaction was faster, deleted the client, or used up the budget. Nothing was
    /// changed.
    Conflict(String),
    /// The connection was lost, and it is not known whether the statement was carried out.
    Lost(String),
    /// Anything else. Nothing was changed.
    Other(String),
    /// This connection may only read. Nothing was changed.
    ReadOnly(String),
    /// It was one of several writes in a transaction, and the database refused any of them. Nothing
    /// was changed.
    Refused,
    /// The database cannot be reached now, and perhaps later. Nothing was changed.
    Unreachable(String),
    /// The connection was lost before the statement was sent, or had another session.
    Unsent(String),
}

impl PostgresError {
    fn new(error: &postgres::Error) -> Self {
        let Some(refusal) = error.as_db_error() else {
            return Self::Other(match error.source() {
                None => error.to_string(),
                Some(cause) => format!("{error}: {cause}"),
            });
        };
        // Keeps the number, because sentences are translated. Details would quote values.
        let code = refusal.code();
        let message = format!("{} (SQLSTATE {})", refusal.message(), code.code());
        let is_last = matches!(refusal.parsed_severity(), Some(Severity::Fatal | Severity::Panic));
        // PgBouncer says it in the field that PostgreSQL translates, and only there.
        if is_last || refusal.severity() == "FATAL" {
            return Self::Lost(message);
        }
        match *code {
            // The only texts that cannot be read are those that statements make of a budget that is
            // used up.
            SqlState::INVALID_TEXT_REPRESENTATION
            | SqlState::FOREIGN_KEY_VIOLATION
            | SqlState::T_R_DEADLOCK_DETECTED
            | SqlState::T_R_SERIALIZATION_FAILURE => Self::Conflict(message),
            SqlState::READ_ONLY_SQL_TRANSACTION => Self::ReadOnly(message),
            // The session is not the one in which we prepared it. Another may be ours.
            SqlState::INVALID_SQL_STATEMENT_NAME | SqlState::DUPLICATE_PSTATEMENT => {
                Self::Unsent(message)
            }
            _ => Self::Other(message),
        }
    }

    /// There was nothing to change: no row, or no room in a budget.
    pub(super) fn nothing() -> Self {
        Self::Conflict("there is nothing to change".to_owned())
    }

    /// The error for a thread that the operating system did not start.
    pub(super) fn no_thread(error: &io::Error) -> Self {
        Self::Unreachable(format!("no thread for a connection: {error}"))
    }

    /// An error of connecting.
    pub(super) fn of_connecting(error: &postgres::Error) -> Self {
        let seen = Self::new(error);
        if error.as_db_error().is_some_and(|it| it.message().contains(NO_OPTIONS)) {
            return Self::Other(format!("{seen}{WITHOUT_OPTIONS}"));
        }
        if may_pass(error) { Self::Unreachable(seen.to_string()) } else { seen }
    }

    /// The same, for one that came before there was a session.
    pub(super) fn while_connecting(self) -> Self {
        match self {
            Self::Lost(cause) | Self::Unsent(cause) => Self::Unreachable(cause),
            error => error,
        }
    }

    /// The error of connecting to several hosts in vain. It may pass if any of them may.
    pub(super) fn of_hosts(failures: Vec<(String, Self)>) -> Self {
        match <[_; 1]>::try_from(failures) {
            Ok([(_, failure)]) => failure,
            Err(failures) => {
                let may_pass = failures.iter().any(|(_, it)| matches!(it, Self::Unreachable(_)));
                let causes = failures.iter().map(|(host, failure)| format!("{host}: {failure}"));
                let causes = causes.collect::<Vec<_>>().join("; ");
                if may_pass { Self::Unreachable(causes) } else { Self::Other(causes) }
            }
        }
    }

    /// Whether it is certain that nothing was changed.
    pub(super) const fn is_harmless(&self) -> bool {
        match self {
            Self::Conflict(_)
            | Self::Other(_)
            | Self::ReadOnly(_)
            | Self::Refused
            | Self::Unreachable(_)
            | Self::Unsent(_) => true,
            Self::Abandoned(_) | Self::Lost(_) => false,
        }
    }

    /// An error of something that comes before the statement, such as preparing it.
    pub(super) fn before_sending(self) -> Self {
        match self {
            Self::Lost(cause) => Self::Unsent(cause),
            Self::Abandoned(_)
            | Self::Conflict(_)
            | Self::Other(_)
            | Self::ReadOnly(_)
            | Self::Refused
            | Self::Unreachable(_)
            | Self::Unsent(_) => self,
        }
    }
}

/// Whether the reason for a failed attempt to connect may pass by itself.
fn may_pass(error: &postgres::Error) -> bool {
    match error.code() {
        // Connections broken, resources used up, and the database starting or stopping.
        Some(code) => ["08", "53", "57"].iter().any(|class| code.code().starts_with(class)),
        None => error.is_closed() || error.source().is_some_and(|cause| cause.is::<io::Error>()),
    }
}

impl fmt::Display for PostgresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abandoned(cause)
            | Self::Conflict(cause)
            | Self::Lost(cause)
            | Self::Other(cause)
            | Self::ReadOnly(cause)
            | Self::Unreachable(cause)
            | Self::Unsent(cause) => f.write_str(cause),
            Self::Refused => f.write_str("the database refused the transaction"),
        }
    }
}

impl Error for PostgresError {}

impl From<postgres::Error> for PostgresError {
    fn from(error: postgres::Error) -> Self {
        Self::new(&error)
    }
}

impl From<StoreError> for PostgresError {
    fn from(error: StoreError) -> Self {
        Self::Other(error.0)
    }
}
