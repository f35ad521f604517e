//! Whole flows at several numbers of connections, with the limit of the database beside them.
//!
//! All that is compared is interleaved, run by run, so that other work of the machine affects each
//! alike.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::collector::while_collecting;
use super::database::{Database, Kind};
use super::drive::{Run, Target};
use super::flow::Reader;
use super::limit;
use super::programs::Build;
use super::site::{Deliverer, Design, NullSite, Site, Socket};
use super::spread::Spread;
use super::tell;

/// The measurements to be made.
#[derive(Clone, Debug)]
pub struct Plan {
    pub build: Build,
    pub kinds: Vec<Kind>,
    pub deliverer: Deliverer,
    pub socket: Socket,
    pub reader: Reader,
    pub connections: Vec<usize>,
    pub time: Duration,
    pub runs: usize,
    /// Whether to run pgbench and the server that does nothing as well.
    pub compares: bool,
    /// The client's budget.
    pub messages_per_day: Option<u32>,
    /// How many servers share each database.
    pub servers: usize,
    /// Whether each commit takes 3 ms more.
    pub slow_commits: bool,
}

impl Plan {
    /// Starts a service.
    pub fn start(&self, kind: Kind) -> Result<Site, String> {
        let database = Arc::new(Database::create(kind)?);
        if self.slow_commits {
            database.slow_down()?;
        }
        let (deliverer, socket, servers) = (self.deliverer, self.socket, self.servers);
        let (build, options) = (self.build.clone(), String::new());
        let site = Site::start(database, Design { build, deliverer, socket, servers, options })?;
        site.limit_messages(self.messages_per_day)?;
        Ok(site)
    }
}

/// All runs of one service at one number of connections.
#[derive(Clone, Debug)]
pub struct Cell {
    pub name: String,
    pub connections: usize,
    pub runs: Vec<Run>,
    /// Flows per second of the database alone.
    pub limits: Vec<f64>,
}

impl Cell {
    pub fn new(name: &str, connections: usize) -> Self {
        Self { name: name.to_owned(), connections, runs: Vec::new(), limits: Vec::new() }
    }

    pub fn spread(&self, figure: impl Fn(&Run) -> f64) -> Spread {
        Spread::of(self.runs.iter().map(figure))
    }

    pub fn flows(&self) -> Spread {
        self.spread(Run::flows_per_second)
    }

    pub fn cpu(&self, who: &str) -> Spread {
        Spread::of(self.runs.iter().filter_map(|run| run.cpu_ms_per_flow(who)))
    }

    pub fn limit(&self) -> Option<Spread> {
        (!self.limits.is_empty()).then(|| Spread::of(self.limits.iter().copied()))
    }

    /// How much of the limit is reached.
    pub fn ratio(&self) -> Option<f64> {
        self.limit().map(|limit| self.flows().median() / limit.median())
    }

    /// How many errors there were.
    pub fn failures(&self) -> u64 {
        self.runs.iter().flat_map(|run| run.errors.values()).sum()
    }

    pub fn errors(&self) -> Map<String, Value> {
        let mut errors = Map::new();
        for (what, count) in self.runs.iter().flat_map(|run| &run.errors) {
            let before = errors.get(what).and_then(Value::as_u64).unwrap_or_default();
            errors.insert(what.clone(), json!(before + count));
        }
        errors
    }

    pub fn to_json(&self) -> Value {
        json!({
            "connections": self.connections,
            "errors": self.errors(),
            "flows_per_second": self.flows().to_json(),
            "limit_flows_per_second": self.limit().map(|limit| limit.to_json()),
            "ratio": self.ratio(),
            "runs": self.runs.iter().map(Run::to_json).collect::<Vec<_>>(),
            "service": self.name,
        })
    }
}

/// The figures that were measured.
#[derive(Default)]
pub struct Report {
    /// The settings that each database reports.
    pub settings: Vec<(String, Vec<(&'static str, String)>)>,
    pub cells: Vec<Cell>,
    /// The driver with a server that does nothing: the driver cannot do more than this.
    pub driver: Vec<Cell>,
}

impl Report {
    pub fn cell(&self, kind: Kind, connections: usize) -> Option<&Cell> {
        self.cells.iter().find(|it| it.name == kind.name() && it.connections == connections)
    }

    pub fn to_json(&self) -> Value {
        let settings: Map<String, Value> = self
            .settings
            .iter()
            .map(|(name, all)| {
                let all = all.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
                (name.clone(), Value::Object(all.collect()))
            })
            .collect();
        let all = |cells: &[Cell]| cells.iter().map(Cell::to_json).collect::<Vec<_>>();
        json!({
            "driver_alone": all(&self.driver),
            "services": all(&self.cells),
            "settings": settings,
        })
    }
}

/// Measures services of our own.
pub fn measure(plan: &Plan) -> Result<Report, String> {
    let mut report = Report::default();
    let mut sites = Vec::new();
    for kind in &plan.kinds {
        let site = plan.start(*kind)?;
        report.settings.push((kind.name().to_owned(), site.database.settings()?));
        sites.push(site);
    }
    let null = plan.compares.then(|| NullSite::start(plan.socket)).transpose()?;
    for connections in &plan.connections {
        let names = sites.iter().map(|site| site.database.kind().name());
        report.cells.extend(names.map(|name| Cell::new(name, *connections)));
        report.driver.extend(null.iter().map(|_| Cell::new("nothing", *connections)));
    }
    for run in 1..=plan.runs {
        for cell in &mut report.cells {
            tell(format_args!("run {run}: {}, {} connections", cell.name, cell.connections));
            let site = sites.iter().find(|it| it.database.kind().name() == cell.name);
            let Some(site) = site else { continue };
            cell.runs.push(site.target(plan.reader).run(cell.connections, plan.time)?);
            if plan.compares {
                cell.limits.extend(limit::flows_per_second(
                    &site.database,
                    cell.connections,
                    plan.time,
                )?);
            }
        }
        for (cell, null) in report.driver.iter_mut().zip(null.iter().cycle()) {
            cell.runs.push(null.target(plan.reader).run(cell.connections, plan.time)?);
        }
    }
    Ok(report)
}

/// Measures a service that runs already.
pub fn measure_running(plan: &Plan, target: &Target) -> Result<Report, String> {
    let mut report = Report::default();
    let names: Vec<String> = target.places.iter().map(ToString::to_string).collect();
    let name = names.join(" ");
    report.cells.extend(plan.connections.iter().map(|number| Cell::new(&name, *number)));
    for run in 1..=plan.runs {
        for cell in &mut report.cells {
            tell(format_args!("run {run}: {name}, {} connections", cell.connections));
            cell.runs.push(target.run(cell.connections, plan.time)?);
        }
    }
    Ok(report)
}

/// The same service with an empty database, and with one full of old rows that are being deleted.
pub struct Aged {
    pub kind: Kind,
    pub rows: u64,
    /// How many of them were deleted meanwhile.
    pub deleted: u64,
    pub empty: Cell,
    pub full: Cell,
}

impl Aged {
    pub fn ratio(&self) -> f64 {
        self.full.flows().median() / self.empty.flows().median()
    }

    pub fn to_json(&self) -> Value {
        json!({
            "deleted": self.deleted,
            "empty": self.empty.to_json(),
            "full": self.full.to_json(),
            "ratio": self.ratio(),
            "rows": self.rows,
        })
    }
}

/// Measures both, for the first kind of the plan and its last number of connections.
pub fn measure_aged(plan: &Plan, rows: u64) -> Result<Vec<Aged>, String> {
    let mut all = Vec::new();
    let connections = plan.connections.last().copied().unwrap_or(1);
    for kind in &plan.kinds {
        let (empty, full) = (plan.start(*kind)?, plan.start(*kind)?);
        tell(format_args!("{}: {rows} old rows are made", kind.name()));
        full.database.age(rows)?;
        let name = kind.name();
        let mut aged = Aged {
            kind: *kind,
            rows,
            deleted: 0,
            empty: Cell::new(&format!("{name}, empty"), connections),
            full: Cell::new(&format!("{name}, old rows"), connections),
        };
        for run in 1..=plan.runs {
            tell(format_args!("run {run}: {name}, {connections} connections, with and without"));
            aged.empty.runs.push(empty.target(plan.reader).run(connections, plan.time)?);
            let target = full.target(plan.reader);
            let flows =
                while_collecting(&full, Duration::ZERO, || target.run(connections, plan.time))?;
            aged.full.runs.push(flows);
        }
        // Those of the warm-up were not counted, and nothing else adds rows.
        let warm = plan.runs * connections;
        let added: u64 = aged.full.runs.iter().map(|run| run.flows).sum::<u64>() + warm as u64;
        aged.deleted = (rows + added).saturating_sub(full.database.validations()?);
        all.push(aged);
    }
    Ok(all)
}
