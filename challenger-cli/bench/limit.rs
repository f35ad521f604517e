//! The limit of PostgreSQL alone: the statements of a flow, run by `pgbench` with nothing in
//! between.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::database::Database;
use super::programs::output;

/// The flow as a server sends it that remembers nothing. The tests compare it with the statements
/// of ours, as PostgreSQL has seen them.
pub const FLOW_SQL: &str = include_str!("../../testdata/bench/flow.sql");

/// Flows per second of this many clients in this time.
pub fn flows_per_second(
    database: &Database,
    clients: usize,
    time: Duration,
) -> Result<Option<f64>, String> {
    let Some(uri) = database.uri() else { return Ok(None) };
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = directory.path().join("flow.sql");
    fs::write(&file, FLOW_SQL).map_err(|error| error.to_string())?;
    let mut command = Command::new("pgbench");
    command.args(["-M", "prepared", "-n", "-c", &clients.to_string()]);
    // As many threads as there are processors, as its manual advises.
    let threads = std::thread::available_parallelism().map_or(1, Into::into).min(clients);
    command.args(["-j", &threads.to_string(), "-T", &time.as_secs().max(1).to_string()]);
    command.arg("-f").arg(&file).arg(uri);
    let told = output(&mut command)?;
    let line = told.lines().find_map(|line| line.strip_prefix("tps = "));
    let tps = line.and_then(|line| line.split(' ').next()?.parse().ok());
    tps.map(Some).ok_or_else(|| format!("pgbench reports no tps: {told}"))
}
