//! The server as a program: how fast it starts, how much memory it takes, and how large it is.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::database::{Database, Kind};
use super::procs;
use super::programs::{Build, output};
use super::site::{Deliverer, Design, Site, Socket};
use super::spread::Spread;
use super::wire::Connection;

/// As many connections as the server serves by default.
pub const CONNECTIONS: usize = 512;

/// The programs that are installed.
const PROGRAMS: [&str; 7] = [
    "challenger",
    "challenger-admin",
    "challenger-config",
    "challenger-dbinit",
    "challenger-httpd",
    "challenger-send-email",
    "challenger-send-http",
];

/// The figures of `challenger-httpd` with one store.
pub struct Whole {
    pub kind: Kind,
    /// From its start to its first answer, in milliseconds.
    pub start_ms: Spread,
    /// After its first answer, in KiB.
    pub idle_kib: Spread,
    /// With [`CONNECTIONS`] open connections on which something was asked, in KiB.
    pub crowded_kib: Spread,
}

impl Whole {
    pub fn to_json(&self) -> Value {
        json!({
            "crowded_kib": self.crowded_kib.to_json(),
            "idle_kib": self.idle_kib.to_json(),
            "start_ms": self.start_ms.to_json(),
            "store": self.kind.name(),
        })
    }
}

/// Measures a server that is started this many times.
pub fn measure(kind: Kind, runs: usize) -> Result<Whole, String> {
    let database = Arc::new(Database::create(kind)?);
    let (build, deliverer, options) = (Build::own()?, Deliverer::Process, String::new());
    let design = Design { build, deliverer, socket: Socket::Tcp, servers: 1, options };
    let mut site = Site::start(database, design)?;
    let (mut start, mut idle, mut crowded) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        site.start_servers()?;
        start.push(site.started_in.as_micros() as f64 / 1000.0);
        idle.push(memory(&site)?);
        let place = site.places().pop().ok_or("there is no server")?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let lost = |error: std::io::Error| format!("connection: {error}");
            let mut connection = Connection::open(&place).map_err(lost)?;
            let ask = "GET /config HTTP/1.1\r\nHost: bench.example\r\n\r\n";
            let status = connection.ask(ask).map_err(lost)?.status;
            if status != 200 {
                return Err(format!("/config answered {status}"));
            }
            connections.push(connection);
        }
        crowded.push(memory(&site)?);
    }
    let (start_ms, idle_kib, crowded_kib) =
        (Spread::of(start), Spread::of(idle), Spread::of(crowded));
    Ok(Whole { kind, start_ms, idle_kib, crowded_kib })
}

fn memory(site: &Site) -> Result<f64, String> {
    let memory = site.processes().pop().and_then(procs::memory_kib);
    memory.map(|(now, _)| now as f64).ok_or_else(|| "the server is gone".to_owned())
}

/// How large the programs are, in KiB.
pub fn sizes() -> Result<Vec<(&'static str, u64)>, String> {
    let build = Build::own()?;
    let size = |program: &'static str| {
        let metadata = std::fs::metadata(build.program(program)?).map_err(|it| it.to_string())?;
        Ok((program, metadata.len() / 1024))
    };
    PROGRAMS.into_iter().map(size).collect()
}

/// How many packages the programs are built from, our own included.
pub fn packages(root: &Path) -> Result<usize, String> {
    let mut command = cargo(root);
    command.args(["tree", "--locked", "--edges", "normal", "--prefix", "none"]);
    let tree = output(command.args(["--package", "challenger-cli"]))?;
    let mut lines: Vec<&str> = tree.lines().map(|it| it.trim_end_matches(" (*)")).collect();
    lines.sort_unstable();
    lines.dedup();
    Ok(lines.len())
}

/// How many seconds a build of everything takes when nothing was built before.
pub fn build_seconds(root: &Path) -> Result<f64, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let begun = Instant::now();
    let mut command = cargo(root);
    command.args(["build", "--release", "--locked", "--quiet", "--target-dir"]);
    output(command.arg(directory.path()))?;
    Ok(begun.elapsed().as_secs_f64())
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.current_dir(root);
    command
}

/// The figures as JSON, for programs.
pub fn to_json(wholes: &[Whole], sizes: &[(&'static str, u64)], packages: usize) -> Value {
    let sizes: Map<String, Value> =
        sizes.iter().map(|(name, size)| ((*name).to_owned(), json!(size))).collect();
    let servers: Vec<Value> = wholes.iter().map(Whole::to_json).collect();
    json!({"packages": packages, "programs_kib": sizes, "servers": servers})
}
