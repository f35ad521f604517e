//! Millions of flows against one PostgreSQL, which forgets what has expired: does it stay as fast
//! and as small as it was on the first day?

use std::sync::Arc;
use std::time::Duration;

use argh::FromArgs;
use serde_json::{Map, Value, json};

use super::collector::while_collecting;
use super::database::{Database, Kind};
use super::drive::Run;
use super::flow::Reader;
use super::programs::Build;
use super::site::{Deliverer, Design, Site, Socket};
use super::spread::Spread;
use super::table::Tables;
use super::{show, tell};

/// millions of flows against PostgreSQL, while what has expired is deleted once a day
#[derive(FromArgs)]
#[argh(subcommand, name = "growth")]
pub struct Growth {
    /// until so many flows are done (default: 1000000)
    #[argh(option, default = "1_000_000")]
    flows: u64,
    /// how many people there are at once (default: 16)
    #[argh(option, default = "16")]
    connections: usize,
    /// how many seconds stand for a day, after which a validation expires (default: 60)
    #[argh(option, default = "60")]
    day: u64,
    /// how many servers share the database (default: 1)
    #[argh(option, default = "1")]
    servers: usize,
    /// print one JSON object
    #[argh(switch)]
    json: bool,
}

/// The tables that grow.
const TABLES: [&str; 3] = ["validations", "grants", "ledger"];

/// The state of a table, in the order of [`Table`].
const SELECT_TABLE: &str = "\
    SELECT n_live_tup, n_dead_tup, pg_table_size(relid), pg_indexes_size(relid), n_tup_upd, \
        n_tup_hot_upd, autovacuum_count \
    FROM pg_stat_user_tables WHERE schemaname = 'challenger' AND relname = ";

/// How many seconds the beginning of a cleaning may be late.
const MARGIN: u64 = 3;

/// Which part of the days is the beginning, and which the end.
const PART: usize = 5;

/// A table at the end of a day. Numbers of rows are PostgreSQL's own estimates.
#[derive(Clone, Debug)]
pub struct Table {
    pub rows: u64,
    /// Rows that are not there any more, and whose place was not freed yet.
    pub dead: u64,
    pub bytes: u64,
    pub index_bytes: u64,
    /// How many updates there were, and how many of them touched no index.
    updates: u64,
    hot_updates: u64,
    vacuums: u64,
}

/// A day with its flows, and the database at its end.
#[derive(Clone, Debug)]
pub struct Day {
    pub run: Run,
    /// All flows until its end.
    pub flows: u64,
    /// All validations that were deleted until its end.
    pub deleted: u64,
    /// In the order of [`TABLES`].
    pub tables: Vec<Table>,
    /// What was written ahead for each flow.
    pub wal_per_flow: f64,
}

impl Growth {
    pub fn run(self) -> Result<(), String> {
        let days = self.measure()?;
        let json = json!({"days": days.iter().map(Day::to_json).collect::<Vec<_>>()});
        let tables = Tables::default()
            .table(&HEAD, &days.iter().enumerate().map(row).collect::<Vec<_>>())
            .text("The first days beside the last:")
            .table(&["what", "first", "last", "last to first"], &ends(&days))
            .text("What each flow of the first day leaves until it is deleted, in bytes:")
            .table(&["table", "rows", "indexes"], &footprints(&days));
        show(self.json, &json, tables)
    }

    fn measure(&self) -> Result<Vec<Day>, String> {
        let database = Arc::new(Database::create(Kind::Postgres)?);
        let day = self.day.max(1);
        // A little longer, so that nothing of the first day is deleted on it. And a day has 24
        // hours for tokens, but nobody is in such a hurry.
        let (life, token) = (day + MARGIN, (day / 24).max(10));
        let options = format!(
            "VALIDATION_DURATION = {life} s\nTOKEN_DURATION = {token} s\n\
             ADDRESS_PERIOD = {life} s\nRETRANSMISSION_INTERVAL = 1 s\n"
        );
        let build = Build::own()?;
        let (deliverer, socket, servers) = (Deliverer::BuiltIn, Socket::Tcp, self.servers);
        let site = Site::start(database, Design { build, deliverer, socket, servers, options })?;
        let (target, connections) = (site.target(Reader::Browser), self.connections.clamp(1, 200));
        let time = Duration::from_secs(day);
        while_collecting(&site, time, || {
            let mut days: Vec<Day> = Vec::new();
            let mut flows = 0;
            while flows < self.flows.max(1) {
                let wal = wal_bytes(&site.database)?;
                let run = target.run(connections, time)?;
                // Each connection had a flow before the time began.
                let done = run.flows + connections as u64;
                flows += done;
                let wal_per_flow = (wal_bytes(&site.database)? - wal) as f64 / done as f64;
                let tables = TABLES.iter().map(|name| Table::read(&site.database, name));
                let tables = tables.collect::<Result<_, _>>()?;
                let deleted =
                    number(&site.database.ask(
                        "SELECT sum(validations_collected)::bigint FROM challenger.clients",
                    )?)?;
                let day = Day { run, flows, deleted, tables, wal_per_flow };
                let (number, rate) = (days.len() + 1, day.run.flows_per_second());
                tell(format_args!("day {number}: {flows} flows, {rate:.0} flows/s"));
                days.push(day);
            }
            Ok(days)
        })
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text}: expected a number of PostgreSQL"))
}

/// How much was written ahead since the database was made.
fn wal_bytes(database: &Database) -> Result<u64, String> {
    number(&database.ask("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")?)
}

impl Table {
    fn read(database: &Database, name: &str) -> Result<Self, String> {
        let line = database.ask(&format!("{SELECT_TABLE}'{name}'"))?;
        let numbers = line.split('|').map(number).collect::<Result<Vec<_>, _>>()?;
        let [rows, dead, bytes, index_bytes, updates, hot_updates, vacuums] = numbers[..] else {
            return Err(format!("{line}: expected seven numbers about {name}"));
        };
        Ok(Self { rows, dead, bytes, index_bytes, updates, hot_updates, vacuums })
    }

    fn to_json(&self) -> Value {
        json!({
            "bytes": self.bytes,
            "dead_rows": self.dead,
            "hot_updates": self.hot_updates,
            "index_bytes": self.index_bytes,
            "rows": self.rows,
            "updates": self.updates,
            "vacuums": self.vacuums,
        })
    }
}

impl Day {
    fn to_json(&self) -> Value {
        let tables = TABLES.iter().zip(&self.tables);
        let tables: Map<String, Value> =
            tables.map(|(name, table)| ((*name).to_owned(), table.to_json())).collect();
        json!({
            "deleted": self.deleted,
            "flows": self.flows,
            "run": self.run.to_json(),
            "tables": tables,
            "wal_bytes_per_flow": self.wal_per_flow,
        })
    }
}

const HEAD: [&str; 11] = [
    "day",
    "flows",
    "flows/s",
    "p99 ms",
    "server CPU ms/flow",
    "database",
    "WAL bytes/flow",
    "deleted",
    "MiB rows+indexes: validations, grants, ledger",
    "dead rows of them",
    "errors",
];

fn row((number, day): (usize, &Day)) -> Vec<String> {
    let cpu = |who| day.run.cpu_ms_per_flow(who).unwrap_or_default();
    let all = |text: fn(&Table) -> String| day.tables.iter().map(text).collect::<Vec<_>>();
    vec![
        (number + 1).to_string(),
        day.flows.to_string(),
        format!("{:.0}", day.run.flows_per_second()),
        format!("{:.1}", day.run.percentile(None, 99)),
        format!("{:.3}", cpu("server")),
        format!("{:.3}", cpu("database")),
        format!("{:.0}", day.wal_per_flow),
        day.deleted.to_string(),
        all(|it| format!("{}+{}", mib(it.bytes), mib(it.index_bytes))).join(", "),
        all(|it| it.dead.to_string()).join(", "),
        day.run.errors.values().sum::<u64>().to_string(),
    ]
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1024.0 / 1024.0)
}

/// The figures of the first days beside those of the last.
fn ends(days: &[Day]) -> Vec<Vec<String>> {
    let count = days.len().div_ceil(PART);
    let last = days.get(days.len() - count..).unwrap_or_default();
    let mut rows = Vec::new();
    let mut add = |what: String, digits: usize, figure: &dyn Fn(&Day) -> f64| {
        let first = Spread::of(days.iter().take(count).map(figure));
        let last = Spread::of(last.iter().map(figure));
        let ratio = last.median() / first.median();
        let ratio = if ratio.is_finite() { format!("{ratio:.2}") } else { "–".to_owned() };
        rows.push(vec![what, first.text(digits), last.text(digits), ratio]);
    };
    add("flows/s".to_owned(), 0, &|day| day.run.flows_per_second());
    add("p50 of a request, ms".to_owned(), 2, &|day| day.run.percentile(None, 50));
    add("p99 of a request, ms".to_owned(), 2, &|day| day.run.percentile(None, 99));
    for program in ["server", "database"] {
        let cpu = |day: &Day| day.run.cpu_ms_per_flow(program).unwrap_or_default();
        add(format!("{program} CPU ms/flow"), 3, &cpu);
    }
    add("WAL bytes/flow".to_owned(), 0, &|day| day.wal_per_flow);
    for (index, name) in TABLES.iter().enumerate() {
        let of = |day: &Day, figure: fn(&Table) -> u64| {
            day.tables.get(index).map(figure).unwrap_or_default() as f64
        };
        add(format!("{name}: rows"), 0, &|day| of(day, |it| it.rows));
        add(format!("{name}: dead rows"), 0, &|day| of(day, |it| it.dead));
        add(format!("{name}: MiB of rows"), 1, &|day| of(day, |it| it.bytes) / 1048576.0);
        add(format!("{name}: MiB of indexes"), 1, &|day| of(day, |it| it.index_bytes) / 1048576.0);
        let wide = |day: &Day| of(day, |it| it.updates) - of(day, |it| it.hot_updates);
        add(format!("{name}: updates of indexes so far"), 0, &wide);
        add(format!("{name}: vacuums so far"), 0, &|day| of(day, |it| it.vacuums));
    }
    rows
}

/// What a flow leaves in each table.
fn footprints(days: &[Day]) -> Vec<Vec<String>> {
    let Some(first) = days.first() else { return Vec::new() };
    let each = |bytes: u64| format!("{:.0}", bytes as f64 / first.flows as f64);
    let tables = TABLES.iter().zip(&first.tables);
    let row = |(name, table): (&&str, &Table)| {
        vec![(*name).to_owned(), each(table.bytes), each(table.index_bytes)]
    };
    tables.map(row).collect()
}
