//! The machine on which the figures were measured.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::database::Database;
use super::instructions::rustc;
use super::programs::output;
use super::spread::Spread;

/// How often a block is written to see how long the disk takes to keep it.
const SYNCS: usize = 200;
/// As large as a page of PostgreSQL.
const BLOCK: usize = 8192;

/// Names and values.
pub fn describe() -> Result<Vec<(&'static str, String)>, String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field(&cpu, "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = field(&memory, "MemTotal").and_then(|it| it.split(' ').next()?.parse::<u64>().ok());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let syncs = sync_micros(&std::env::temp_dir())?;
    Ok(vec![
        ("CPU", format!("{model}, {cores} cores")),
        ("Memory", format!("{} MiB", kib.unwrap_or_default() / 1024)),
        ("Kernel", format!("Linux {}", kernel.trim())),
        ("Load before", load.join(" ")),
        ("fdatasync of 8 KiB", format!("{} µs", syncs.text(0))),
        ("Rust", rustc()?),
        ("pgbench", Database::pgbench_version()?),
        ("Challenger", revision()),
    ])
}

/// How long the disk takes to keep a block that was written, in microseconds.
fn sync_micros(directory: &Path) -> Result<Spread, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    let file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    let mut times = Vec::new();
    let mut open: &File = file.as_file();
    open.write_all(&[0; BLOCK]).and_then(|()| open.sync_all()).map_err(failed)?;
    for number in 0..SYNCS {
        let fill = u8::try_from(number % 256).unwrap_or_default();
        let begun = Instant::now();
        open.seek(SeekFrom::Start(0)).map_err(failed)?;
        open.write_all(&[fill; BLOCK]).and_then(|()| open.sync_data()).map_err(failed)?;
        times.push(begun.elapsed().as_nanos() as f64 / 1000.0);
    }
    Ok(Spread::of(times))
}

/// The revision of the sources, if git knows it.
fn revision() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--dirty"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let revision = output(&mut git).unwrap_or_default();
    format!("{version} {}", revision.trim()).trim_end().to_owned()
}
