//! What travels to the database, and what comes back.

use std::time::Instant;

use postgres::Row;
use postgres::types::ToSql;

use super::error::PostgresError;

/// A parameter of a statement.
pub(in crate::store) type Parameter = Box<dyn ToSql + Send + Sync>;

/// A statement with its parameters.
pub(super) struct Call {
    pub(super) sql: &'static str,
    pub(super) parameters: Vec<Parameter>,
}

/// What the database says to a statement.
#[derive(Default)]
pub(super) struct Reply {
    pub(super) rows: Vec<Row>,
    /// How many rows were returned or changed.
    pub(super) count: u64,
}

/// What a request wants of the database at once.
pub(super) struct Task {
    pub(super) calls: Vec<Call>,
    /// Of a write, the row that it changes: writes are carried out in the order of these. `None`
    /// if the task only reads.
    pub(super) row: Option<Vec<u8>>,
    /// When its caller gives up.
    pub(super) deadline: Instant,
}

/// The replies to all calls of a task.
pub(super) type Answer = Result<Vec<Reply>, PostgresError>;
