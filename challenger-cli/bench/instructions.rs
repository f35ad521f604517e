//! Instructions and allocations of the small cases, counted by Valgrind, and compared with those
//! that are committed: unlike times they are the same on a busy machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::micro;
use super::programs::output;

/// How often a case is done under Valgrind.
pub const TIMES: u32 = 20;
/// Rounds of that, of which the last counts: the first includes work that happens only once, and
/// calls that were made before it.
pub const ROUNDS: usize = 2;

/// How many more instructions than committed are a failure, in percent, by whether the compiler is
/// the one that the committed figures are from. Another compiler makes other code: a difference
/// within the second tolerance is then not ours.
const TOLERANCE: u64 = 5;
const TOLERANCE_OF_OTHERS: u64 = 30;

/// How much more the last step of the input may cost for each byte than the step before, in
/// percent. A quadratic case costs ten times as much.
const LINEAR: u64 = 150;

/// The functions of the C library that get memory.
const ALLOCATORS: [&str; 4] = ["malloc", "calloc", "realloc", "posix_memalign"];

/// The cost of doing a case once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    pub instructions: u64,
    pub allocations: u64,
}

/// The figures of all cases.
pub type Costs = BTreeMap<String, Cost>;

/// Counts the cost of all cases.
pub fn count() -> Result<Costs, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    command.args([
        "--tool=callgrind",
        "--collect-atstart=no",
        "--toggle-collect=challenger_bench::micro::Case::measured",
        "--dump-after=challenger_bench::micro::Case::measured",
        "--compress-strings=no",
        "--compress-pos=no",
    ]);
    command.arg(format!("--callgrind-out-file={}", directory.path().join("out").display()));
    command.arg(own).args(["micro", "--once"]).stderr(Stdio::piped());
    output(&mut command)?;
    let cases = micro::cases()?;
    let mut costs = Costs::new();
    for (number, case) in (1..).zip(cases) {
        let dump = directory.path().join(format!("out.{}", number * ROUNDS));
        let text = fs::read_to_string(&dump)
            .map_err(|error| format!("Valgrind counted nothing of {}: {error}", case.name))?;
        costs.insert(case.name, read(&text).ok_or("Valgrind's figures cannot be read")?);
    }
    Ok(costs)
}

/// Reads a dump of callgrind.
fn read(dump: &str) -> Option<Cost> {
    let total = |name: &str| dump.lines().find_map(|line| line.strip_prefix(name));
    let total = total("totals: ").or_else(|| total("summary: "))?;
    let instructions: u64 = total.split_whitespace().next()?.parse().ok()?;
    let mut allocations = 0;
    let mut lines = dump.lines();
    while let Some(line) = lines.next() {
        let Some(called) = line.strip_prefix("cfn=") else { continue };
        let calls = lines.by_ref().find_map(|line| line.strip_prefix("calls="))?;
        if ALLOCATORS.contains(&called) {
            allocations += calls.split_whitespace().next()?.parse::<u64>().ok()?;
        }
    }
    let times = u64::from(TIMES);
    (instructions > 0)
        .then_some(Cost { instructions: instructions / times, allocations: allocations / times })
}

/// Compares with the committed figures, and returns the complaints.
pub fn check(file: &Path) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let (compiler, committed) = parse(&text).map_err(|it| format!("{}: {it}", file.display()))?;
    let costs = count()?;
    let is_same = compiler == rustc()?;
    let tolerance = if is_same { TOLERANCE } else { TOLERANCE_OF_OTHERS };
    let mut complaints = compare(&committed, &costs, tolerance);
    complaints.extend(not_linear(&costs));
    Ok(complaints)
}

/// Writes the figures of today.
pub fn update(file: &Path) -> Result<(), String> {
    let mut text = format!(
        "# What the small cases cost: instructions and allocations, counted by Valgrind.\n\
         # make check-instructions compares, and make update-instructions writes this file.\n\
         # Another compiler than this one makes other code, and is given more room.\n\
         compiler: {}\n",
        rustc()?
    );
    for (name, cost) in count()? {
        text.push_str(&format!("{name}: {} {}\n", cost.instructions, cost.allocations));
    }
    fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))
}

fn parse(text: &str) -> Result<(String, Costs), String> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let compiler = lines.next().and_then(|line| line.strip_prefix("compiler: "));
    let compiler = compiler.ok_or("expected the compiler first")?.to_owned();
    let cost = |line: &str| {
        let (name, figures) = line.split_once(": ")?;
        let (instructions, allocations) = figures.split_once(' ')?;
        let (instructions, allocations) = (instructions.parse().ok()?, allocations.parse().ok()?);
        Some((name.to_owned(), Cost { instructions, allocations }))
    };
    let costs = lines.map(|line| cost(line).ok_or_else(|| format!("{line}: expected two numbers")));
    Ok((compiler, costs.collect::<Result<_, _>>()?))
}

fn compare(committed: &Costs, costs: &Costs, tolerance: u64) -> Vec<String> {
    let names: BTreeSet<&String> = committed.keys().chain(costs.keys()).collect();
    let complaint = |name: &String| match (committed.get(name), costs.get(name)) {
        (Some(old), Some(new)) => {
            let most = old.instructions + old.instructions * tolerance / 100;
            (new.instructions > most || new.allocations > old.allocations).then(|| {
                format!(
                    "{name}: {} instructions and {} allocations, was {} and {}",
                    new.instructions, new.allocations, old.instructions, old.allocations
                )
            })
        }
        (None, _) => Some(format!("{name}: there are no committed figures")),
        (_, None) => Some(format!("{name}: there is no such case any more")),
    };
    names.into_iter().filter_map(complaint).collect()
}

/// The cases whose last step costs more than in proportion.
fn not_linear(costs: &Costs) -> Vec<String> {
    let [small, middle, large] = micro::SCALES;
    let mut complaints = Vec::new();
    for (name, most) in costs {
        let Some(name) = name.strip_suffix(&format!(" x{large}")) else { continue };
        let of = |scale| costs.get(&format!("{name} x{scale}")).map(|cost| cost.instructions);
        let (Some(least), Some(mean)) = (of(small), of(middle)) else { continue };
        let first = mean.saturating_sub(least) / (middle - small) as u64;
        let last = most.instructions.saturating_sub(mean) / (large - middle) as u64;
        if last > first * LINEAR / 100 {
            complaints.push(format!(
                "{name}: each further part costs {last} instructions, and {first} before"
            ));
        }
    }
    complaints
}

/// The compiler that builds this workspace.
pub fn rustc() -> Result<String, String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    output(Command::new(rustc).arg("--version")).map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(figures: &[(&str, u64, u64)]) -> Costs {
        let cost = |(instructions, allocations)| Cost { instructions, allocations };
        figures.iter().map(|(name, i, a)| ((*name).to_owned(), cost((*i, *a)))).collect()
    }

    #[test]
    fn more_than_the_tolerance_is_a_complaint() {
        let old = costs(&[("a", 1000, 3), ("b", 1000, 3), ("c", 1000, 3), ("d", 1000, 3)]);
        let new = costs(&[("a", 1050, 3), ("b", 1051, 3), ("c", 900, 4), ("e", 1, 1)]);
        let complaints = compare(&old, &new, 5);
        let about: Vec<char> = complaints.iter().filter_map(|it| it.chars().next()).collect();
        assert_eq!(about, ['b', 'c', 'd', 'e'], "{complaints:?}");
    }

    #[test]
    fn what_is_not_linear_is_a_complaint() {
        let linear = [("a x1", 110, 0), ("a x10", 200, 0), ("a x100", 1100, 0)];
        assert!(not_linear(&costs(&linear)).is_empty());
        let square = [("a x1", 101, 0), ("a x10", 200, 0), ("a x100", 10_100, 0)];
        assert_eq!(not_linear(&costs(&square)).len(), 1);
    }

    #[test]
    fn dumps_are_read() {
        let dump = "events: Ir\nfn=x\n1 50\ncfn=malloc\ncalls=40 0\n1 900\ncfn=free\ncalls=40 0\n\
            1 50\ntotals: 1000\n";
        assert_eq!(read(dump), Some(Cost { instructions: 50, allocations: 2 }));
    }
}
