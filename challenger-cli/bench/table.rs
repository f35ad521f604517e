//! Figures for people: tables in Markdown, readable in a terminal as well.

use std::fmt;

use super::against::{Compared, Pair};
use super::database::Kind;
use super::drive::Run;
use super::flow::STEPS;
use super::flows::{Aged, Cell, Report};
use super::helper::HelperCost;
use super::instructions::Costs;
use super::spread::Spread;
use super::whole::{CONNECTIONS, Whole};

/// Tables, one after the other.
#[derive(Default)]
pub struct Tables(String);

impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.trim_end())
    }
}

impl Tables {
    /// Adds a table, with columns as wide as what is in them.
    pub fn table(mut self, head: &[&str], rows: &[Vec<String>]) -> Self {
        let head: Vec<String> = head.iter().map(ToString::to_string).collect();
        let width = |column: usize| {
            let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let rule = widths.iter().map(|width| "-".repeat(*width)).collect();
        for row in [&head, &rule].into_iter().chain(rows) {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            self.0.push_str(&format!("| {} |\n", cells.collect::<Vec<_>>().join(" | ")));
        }
        self.0.push('\n');
        self
    }

    /// Adds a sentence.
    pub fn text(mut self, text: &str) -> Self {
        self.0.push_str(text);
        self.0.push_str("\n\n");
        self
    }

    /// Adds the settings of the databases.
    pub fn settings(self, report: &Report) -> Self {
        report.settings.iter().fold(self, |tables, (name, all)| {
            let all = all.iter().map(|(name, value)| format!("{name} = {value}"));
            tables.text(&format!("{name}: {}.", all.collect::<Vec<_>>().join(", ")))
        })
    }

    /// Adds whole flows, then each kind of request.
    pub fn flows(self, report: &Report) -> Self {
        let rows: Vec<_> = report.cells.iter().map(flows_row).collect();
        let head = [
            "service",
            "connections",
            "flows/s",
            "requests/s",
            "pgbench flows/s",
            "ratio",
            "server CPU ms/flow",
            "database",
            "helpers",
            "driver",
            "server MiB",
            "errors",
        ];
        let mut tables = self.table(&head, &rows);
        let rows: Vec<_> = report.cells.iter().flat_map(latency_rows).collect();
        let head = ["service", "connections", "request", "p50 ms", "p90 ms", "p99 ms", "max ms"];
        tables = tables.table(&head, &rows);
        let errors = report.cells.iter().flat_map(|cell| {
            cell.errors().into_iter().map(|(what, count)| {
                vec![cell.name.clone(), cell.connections.to_string(), what, count.to_string()]
            })
        });
        let errors: Vec<_> = errors.collect();
        if !errors.is_empty() {
            tables = tables.table(&["service", "connections", "error", "times"], &errors);
        }
        if report.driver.is_empty() {
            return tables;
        }
        let rows = report.driver.iter().map(|cell| {
            vec![cell.connections.to_string(), cell.flows().text(0), cell.cpu("driver").text(3)]
        });
        let rows: Vec<_> = rows.collect();
        tables
            .text("The driver alone, with a server that does nothing and shares the processors:")
            .table(&["connections", "flows/s", "driver CPU ms/flow"], &rows)
    }

    /// Adds flows with old rows and without.
    pub fn aged(self, all: &[Aged]) -> Self {
        let rows = all.iter().map(|aged| {
            vec![
                aged.kind.name().to_owned(),
                aged.full.connections.to_string(),
                aged.rows.to_string(),
                aged.deleted.to_string(),
                aged.empty.flows().text(0),
                aged.full.flows().text(0),
                format!("{:.2}", aged.ratio()),
                (aged.empty.errors().len() + aged.full.errors().len()).to_string(),
            ]
        });
        let head = [
            "store",
            "connections",
            "old rows",
            "deleted meanwhile",
            "flows/s, empty",
            "flows/s, old rows",
            "ratio",
            "kinds of errors",
        ];
        self.table(&head, &rows.collect::<Vec<_>>())
    }

    /// Adds two services beside each other, which have these names.
    pub fn against(self, pairs: &[Pair], [old, new]: [&str; 2]) -> Self {
        let rows = pairs.iter().flat_map(|pair| {
            let row = |it: Compared| {
                vec![
                    pair.new.name.clone(),
                    pair.new.connections.to_string(),
                    it.what.to_owned(),
                    it.old.text(it.digits),
                    it.new.text(it.digits),
                    it.ratio.text(2),
                ]
            };
            pair.compared().into_iter().map(row).chain(pair_errors(pair))
        });
        let head = ["service", "connections", "what", old, new, "ratio"];
        self.table(&head, &rows.collect::<Vec<_>>())
    }

    /// Adds helpers beside bare programs.
    pub fn helper(self, costs: &[HelperCost]) -> Self {
        let rows = costs.iter().map(|cost| {
            vec![
                cost.program.to_owned(),
                cost.ours.text(0),
                cost.bare.text(0),
                format!("{:.3}", cost.ratio()),
            ]
        });
        let head = ["program", "as a helper, µs", "bare posix_spawn, µs", "ratio"];
        self.table(&head, &rows.collect::<Vec<_>>())
    }

    /// Adds the small cases.
    pub fn micro(self, times: &[(String, Spread)], costs: &Costs) -> Self {
        let rows = times.iter().map(|(name, time)| {
            let cost = costs.get(name);
            let number = |it: Option<u64>| it.map_or_else(|| "–".to_owned(), |it| it.to_string());
            vec![
                name.clone(),
                time.text(0),
                number(cost.map(|it| it.instructions)),
                number(cost.map(|it| it.allocations)),
            ]
        });
        self.table(&["case", "ns", "instructions", "allocations"], &rows.collect::<Vec<_>>())
    }

    /// Adds the figures of the programs as such.
    pub fn whole(self, wholes: &[Whole], sizes: &[(&'static str, u64)], packages: usize) -> Self {
        let mib = |spread: &Spread| format!("{:.1}", spread.median() / 1024.0);
        let rows = wholes.iter().map(|whole| {
            vec![
                whole.kind.name().to_owned(),
                whole.start_ms.text(1),
                mib(&whole.idle_kib),
                mib(&whole.crowded_kib),
            ]
        });
        let crowded = format!("MiB, {CONNECTIONS} connections");
        let head = ["challenger-httpd with", "first answer after ms", "MiB, idle", &crowded];
        let tables = self.table(&head, &rows.collect::<Vec<_>>());
        let rows = sizes.iter().map(|(name, size)| vec![(*name).to_owned(), size.to_string()]);
        let packages = format!("They are built from {packages} packages, our own included.");
        tables.table(&["program", "KiB"], &rows.collect::<Vec<_>>()).text(&packages)
    }
}

fn flows_row(cell: &Cell) -> Vec<String> {
    let spread = |figure: fn(&Run) -> f64, digits| cell.spread(figure).text(digits);
    let memory = cell.runs.iter().filter_map(|run| run.memory_kib);
    let memory = Spread::of(memory.map(|kib| kib as f64 / 1024.0));
    // SQLite is a part of the server.
    let database = if cell.name == Kind::Sqlite.name() {
        "–".to_owned()
    } else {
        cell.cpu("database").text(3)
    };
    vec![
        cell.name.clone(),
        cell.connections.to_string(),
        spread(Run::flows_per_second, 0),
        spread(|run| run.requests as f64 / run.elapsed.as_secs_f64(), 0),
        cell.limit().map_or_else(|| "–".to_owned(), |limit| limit.text(0)),
        cell.ratio().map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}")),
        cell.cpu("server").text(3),
        database,
        cell.cpu("helpers").text(3),
        cell.cpu("driver").text(3),
        memory.text(1),
        cell.failures().to_string(),
    ]
}

/// How many requests failed, if some did.
fn pair_errors(pair: &Pair) -> Option<Vec<String>> {
    let [old, new] = [&pair.old, &pair.new].map(Cell::failures);
    (old + new > 0).then(|| {
        let (name, connections) = (pair.new.name.clone(), pair.new.connections.to_string());
        let (old, new) = (old.to_string(), new.to_string());
        vec![name, connections, "errors".to_owned(), old, new, "–".to_owned()]
    })
}

/// Each request of a flow, and all of them: the medians of the runs' percentiles.
fn latency_rows(cell: &Cell) -> Vec<Vec<String>> {
    let steps = STEPS.iter().enumerate().map(|(number, name)| (Some(number), *name));
    let row = |(step, name): (Option<usize>, &str)| {
        let mut row = vec![cell.name.clone(), cell.connections.to_string(), name.to_owned()];
        row.extend([50, 90, 99, 100].map(|percent| {
            format!("{:.2}", cell.spread(|run| run.percentile(step, percent)).median())
        }));
        row
    };
    steps.chain([(None, "all")]).map(row).collect()
}
