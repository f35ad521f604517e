//! The cost of starting a helper, beside that of starting the same program with nothing around it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command as Bare, Stdio};
use std::time::{Duration, Instant};

use challenger_server::process::HelperCommand;
use serde_json::{Value, json};

use super::spread::Spread;

/// Longer than any of these takes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How many are compared in a round, of which the median counts.
const PER_ROUND: usize = 100;

const MESSAGE: &str = "Your code: 1234-5678\n";

/// The times of one program, in microseconds.
pub struct HelperCost {
    pub program: &'static str,
    /// As the server runs it: message in, output out, a deadline.
    pub ours: Spread,
    /// By `posix_spawn` alone, waited for, with the same message to read, and with its output
    /// unread.
    pub bare: Spread,
}

impl HelperCost {
    pub fn ratio(&self) -> f64 {
        self.ours.median() / self.bare.median()
    }

    pub fn to_json(&self) -> Value {
        json!({
            "bare_us": self.bare.to_json(),
            "ours_us": self.ours.to_json(),
            "program": self.program,
            "ratio": self.ratio(),
        })
    }
}

/// Compares the programs, one after the other, this many times.
pub fn compare(rounds: usize) -> Result<Vec<HelperCost>, String> {
    ["true", "cat"].into_iter().map(|program| compare_one(program, rounds)).collect()
}

fn compare_one(program: &'static str, rounds: usize) -> Result<HelperCost, String> {
    let path = find(program)?;
    let ours = HelperCommand::new(path.display().to_string(), TIMEOUT);
    let message = tempfile::NamedTempFile::new().map_err(|it| it.to_string())?;
    fs::write(&message, MESSAGE).map_err(|it| it.to_string())?;
    let (mut ours_all, mut bare_all) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (mut ours_times, mut bare_times) = (Vec::new(), Vec::new());
        for _ in 0..PER_ROUND {
            let begun = Instant::now();
            // A flag that both know and that changes nothing, in the place of the address.
            ours.run("--", MESSAGE, &[], &[]).map_err(|it| it.to_string())?;
            ours_times.push(micros(begun));
            let begun = Instant::now();
            let mut bare = Bare::new(&path);
            bare.arg("--").stdout(Stdio::null()).stderr(Stdio::null());
            bare.stdin(File::open(&message).map_err(|it| it.to_string())?);
            let status = bare.status().map_err(|error| format!("{program}: {error}"))?;
            bare_times.push(micros(begun));
            if !status.success() {
                return Err(format!("{program}: {status}"));
            }
        }
        ours_all.push(Spread::of(ours_times).median());
        bare_all.push(Spread::of(bare_times).median());
    }
    Ok(HelperCost { program, ours: Spread::of(ours_all), bare: Spread::of(bare_all) })
}

fn micros(begun: Instant) -> f64 {
    begun.elapsed().as_nanos() as f64 / 1000.0
}

/// Where a program is, so that neither side has to look for it.
fn find(program: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|it| it.is_file()).ok_or_else(|| format!("there is no program {program}"))
}
