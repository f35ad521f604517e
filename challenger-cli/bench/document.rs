//! `docs/benchmarks.md`: everything that is measured, with the targets beside the figures.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::against::{self, Pair};
use super::database::Kind;
use super::drive::Run;
use super::flow::Reader;
use super::flows::{self, Aged, Cell, Plan, Report};
use super::helper::{self, HelperCost};
use super::instructions::{self, Costs};
use super::programs::Build;
use super::site::{Deliverer, Socket};
use super::spread::Spread;
use super::table::Tables;
use super::whole::{self, Whole};
use super::{machine, micro, tell};

/// The extent of the measurements.
pub struct Order {
    pub time: Duration,
    pub runs: usize,
    pub old_rows: Option<u64>,
    pub build: bool,
}

/// The figures that were measured.
struct Figures {
    flows: Report,
    slow: Report,
    programs: Report,
    processes: Report,
    residents: Vec<Pair>,
    aged: Vec<Aged>,
    helper: Vec<HelperCost>,
    times: Vec<(String, Spread)>,
    costs: Costs,
    wholes: Vec<Whole>,
}

/// The root of the sources.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Measures everything, and returns the document.
pub fn write(order: &Order) -> Result<String, String> {
    let machine = machine::describe()?;
    let figures = measure(order)?;
    let (sizes, packages) = (whole::sizes()?, whole::packages(&root())?);
    let built = order.build.then(|| whole::build_seconds(&root())).transpose()?;
    let machine: Vec<_> =
        machine.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    let seconds = order.time.as_secs();
    let old_rows = order.old_rows.map(|rows| format!(" BENCH_OLD_ROWS={rows}")).unwrap_or_default();
    let build = if order.build { " BENCH_BUILD=1" } else { "" };
    let mut tables = Tables::default()
        .text("# Benchmarks")
        .text(&format!(
            "Written by `make bench BENCH_SECONDS={seconds} BENCH_RUNS={}{old_rows}{build}`, and \
             not by hand. Where a figure has two others in brackets, it is the median of the runs, \
             and they are the least and the most. Everything that is compared was run in turn.",
            order.runs
        ))
        .table(&["machine", ""], &machine)
        .text("## Targets")
        .table(&["what", "target", "measured", "reached"], &targets(&figures))
        .text("## Whole flows")
        .text(FLOWS)
        .settings(&figures.flows)
        .flows(&figures.flows)
        .text("### With slow commits")
        .text(
            "PostgreSQL waits 3 ms before each flush (`commit_delay`, with `commit_siblings = 0`), \
             as if the disk were so slow; what commits meanwhile is flushed together.",
        )
        .flows(&figures.slow)
        .text("### Read by programs")
        .text("The same with JSON in the place of pages.")
        .flows(&figures.programs)
        .text("### With a program for each message")
        .text(
            "`challenger-httpd` over a UNIX socket, with a shell script as the helper that copies \
             each message into a file.",
        )
        .flows(&figures.processes)
        .text("### With a helper that stays")
        .text(
            "`challenger-httpd` with `AUTH_HELPER = resident`, and a helper that only hands the \
             code to the driver, in turn with the server whose helper costs nothing.",
        )
        .against(&figures.residents, ["without", "with"]);
    if !figures.aged.is_empty() {
        let text = "`challenger-dbinit --garbagecollect` deletes expired rows all the time.";
        tables = tables.text("### With old rows").text(text).aged(&figures.aged);
    }
    tables = tables.text("## The programs").whole(&figures.wholes, &sizes, packages);
    if let Some(seconds) = built {
        tables = tables.text(&format!("A release build of everything takes {seconds:.0} s."));
    }
    tables = tables
        .text("## Small things")
        .text(
            "Decisions of the core, heads of requests, pages, and whole requests: from the bytes \
             that arrive to those of the answer, without sockets, the database and the helper. \
             `x10` and `x100` have so many times the input. Instructions and allocations are \
             counted by Valgrind; `make check-instructions` compares them with \
             `testdata/bench/instructions.txt`.",
        )
        .micro(&figures.times, &figures.costs)
        .text("## Helpers")
        .text(
            "What the server does around a helper, beside the same program started alone with the \
             same message in a file.",
        )
        .helper(&figures.helper);
    Ok(format!("{tables}\n"))
}

const FLOWS: &str = "\
    A flow is a person who proves an address: setup, authorize, challenge, a wrong and a right \
    solve, token and info, over one connection that stays; every answer is checked, and the \
    address that is read is the one that was entered. The server is a process of its own, and so \
    is the database. The helper costs nothing: it tells the driver the code. pgbench runs the \
    statements of a flow (`testdata/bench/flow.sql`) with as many clients on the same PostgreSQL, \
    and nobody between: those of a server that remembers nothing and commits each by itself. \
    Driver, server and database share the machine, so that the CPU of one is missed by the others.";

fn measure(order: &Order) -> Result<Figures, String> {
    let all = Plan {
        build: Build::own()?,
        kinds: vec![Kind::Postgres, Kind::Sqlite],
        deliverer: Deliverer::BuiltIn,
        socket: Socket::Tcp,
        reader: Reader::Browser,
        connections: vec![1, 8, 64],
        time: order.time,
        runs: order.runs,
        compares: true,
        messages_per_day: None,
        servers: 1,
        slow_commits: false,
    };
    let (kinds, connections) = (vec![Kind::Postgres], vec![8, 64]);
    let slow = Plan { kinds, connections, slow_commits: true, ..all.clone() };
    let programs =
        Plan { reader: Reader::Program, connections: vec![8], compares: false, ..all.clone() };
    let processes = Plan {
        deliverer: Deliverer::Process,
        socket: Socket::Unix,
        connections: vec![8],
        compares: false,
        ..all.clone()
    };
    let without = Plan { connections: vec![8], compares: false, ..all.clone() };
    let residents = Plan { deliverer: Deliverer::Resident, ..without.clone() };
    let aged = Plan { connections: vec![8], ..all.clone() };
    tell(format_args!("small things"));
    let mut cases = micro::cases()?;
    let times = cases.iter_mut().map(|case| (case.name.clone(), case.nanoseconds())).collect();
    let kinds = all.kinds.iter();
    Ok(Figures {
        times,
        costs: instructions::count()?,
        helper: helper::compare(order.runs)?,
        wholes: kinds.map(|kind| whole::measure(*kind, order.runs)).collect::<Result<_, _>>()?,
        flows: flows::measure(&all)?,
        slow: flows::measure(&slow)?,
        programs: flows::measure(&programs)?,
        processes: flows::measure(&processes)?,
        residents: against::measure(&without, &residents)?,
        aged: order.old_rows.map_or_else(|| Ok(vec![]), |it| flows::measure_aged(&aged, it))?,
    })
}

/// The targets beside the figures. Targets without a figure are left out.
fn targets(figures: &Figures) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut add =
        |what: String, target: &str, figure: Option<f64>, digits, met: fn(f64) -> bool| {
            let Some(figure) = figure else { return };
            let met = if met(figure) { "yes" } else { "no" };
            rows.push(vec![what, target.to_owned(), format!("{figure:.digits$}"), met.to_owned()]);
        };
    let flows = &figures.flows;
    let ratio = |connections| flows.cell(Kind::Postgres, connections).and_then(Cell::ratio);
    let what = "PostgreSQL: flows/s to pgbench's";
    add(format!("{what}, 1 connection"), "≥ 0.9", ratio(1), 2, |it| it >= 0.9);
    add(format!("{what}, 8 connections"), "≥ 0.8", ratio(8), 2, |it| it >= 0.8);
    add(format!("{what}, 64 connections"), "≥ 1.4", ratio(64), 2, |it| it >= 1.4);
    for connections in [8, 64] {
        let cell = |kind| flows.cell(kind, connections);
        let postgres = cell(Kind::Postgres);
        let what = format!("PostgreSQL, {connections} connections: server CPU ms/flow");
        let cpu = postgres.map(|it| it.cpu("server").median());
        add(what, "< 0.35", cpu, 3, |it| it < 0.35);
        let rate = |kind| cell(kind).map(|it| it.flows().median());
        let what = format!("SQLite, {connections} connections: flows/s to PostgreSQL's");
        let ratio = rate(Kind::Sqlite).zip(rate(Kind::Postgres)).map(|(s, p)| s / p);
        add(what, "≥ 2", ratio, 2, |it| it >= 2.0);
    }
    for pair in &figures.residents {
        let what = format!("{}: flows/s with a helper that stays to without", pair.new.name);
        add(what, "≥ 0.9", pair.flows_ratio(), 2, |it| it >= 0.9);
    }
    for kind in [Kind::Postgres, Kind::Sqlite] {
        let p99 = |run: &Run| run.percentile(None, 99);
        let p99 = flows.cell(kind, 64).map(|cell| cell.spread(p99).median());
        let what = format!("{}, 64 connections: p99 of a request, ms", kind.name());
        add(what, "< 40", p99, 1, |it| it < 40.0);
    }
    for whole in &figures.wholes {
        let name = whole.kind.name();
        let mib = |spread: &Spread| Some(spread.median() / 1024.0);
        add(format!("{name}: memory, idle, MiB"), "< 15", mib(&whole.idle_kib), 1, |it| it < 15.0);
        let what = format!("{name}: memory, {} connections, MiB", whole::CONNECTIONS);
        add(what, "< 40", mib(&whole.crowded_kib), 1, |it| it < 40.0);
        let start = Some(whole.start_ms.median());
        add(format!("{name}: first answer after, ms"), "< 50", start, 1, |it| it < 50.0);
    }
    let decisions = figures.times.iter().filter(|(name, _)| name.starts_with("decide "));
    // The large input is there to show what grows, and is not a decision that people wait for.
    let usual = decisions.filter(|(name, _)| !name.ends_with(" x10") && !name.ends_with(" x100"));
    let slowest = usual.map(|(_, time)| time.median() / 1000.0).max_by(f64::total_cmp);
    add("slowest route and decide, µs".to_owned(), "< 10", slowest, 1, |it| it < 10.0);
    for cost in &figures.helper {
        let what = format!("helper {}: time to posix_spawn's", cost.program);
        add(what, "≤ 1.10", Some(cost.ratio()), 3, |it| it <= 1.10);
    }
    for aged in &figures.aged {
        let what = format!("{}, {} old rows: flows/s to empty", aged.kind.name(), aged.rows);
        add(what, "≥ 0.8", Some(aged.ratio()), 2, |it| it >= 0.8);
    }
    rows
}
