//! `challenger-bench`: measures the service, and the programs beside it. It is not installed.
//!
//! ```text
//!   drive ──▶ one thread per connection, each a person who goes through flows ──▶ a server
//!     ▲                                                                     │ its helper
//!     └───────────── codes: datagrams, or the messages in files ◀───────────┘
//! ```
//!
//! Servers are processes of their own, so that `/proc` shows the resources of each. `limit` is
//! PostgreSQL with nothing in front of it, and a server that does nothing shows what the driver can
//! do.

#![allow(
    clippy::float_arithmetic,
    unreachable_pub,
    missing_docs,
    reason = "it prints figures, and is no library"
)]

mod against;
mod codes;
mod collector;
mod database;
mod document;
mod drive;
mod flow;
mod flows;
mod growth;
mod helper;
mod instructions;
mod limit;
mod machine;
mod micro;
mod procs;
mod programs;
mod request;
mod resident;
mod serve;
mod site;
mod spread;
mod table;
mod whole;
mod wire;
mod words;

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use argh::FromArgs;
use serde_json::{Value, json};

use self::codes::Post;
use self::database::Kind;
use self::drive::Target;
use self::flow::{Client, Reader};
use self::flows::Plan;
use self::programs::Build;
use self::site::{Deliverer, Socket};
use self::table::Tables;
use self::wire::Place;
use self::words::{Kinds, Numbers, deliverer, kinds, numbers, reader, socket};

/// Measure the address validation service, and the programs beside it.
#[derive(FromArgs)]
struct Arguments {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Document(Document),
    Flows(Flows),
    Growth(growth::Growth),
    Helper(Helper),
    Instructions(Instructions),
    Micro(Micro),
    Resident(resident::Resident),
    Serve(Serve),
    Whole(Whole),
}

/// whole flows: setup, authorize, challenge, a wrong and a right solve, token, info
#[derive(FromArgs)]
#[argh(subcommand, name = "flows")]
struct Flows {
    /// databases of our own: postgres, sqlite or both with a comma (default)
    #[argh(option, from_str_fn(kinds))]
    stores: Option<Kinds>,
    /// numbers of connections, with commas (default: 1,8,64)
    #[argh(option, default = "Numbers(vec![1, 8, 64])", from_str_fn(numbers))]
    connections: Numbers,
    /// how long each run takes (default: 10)
    #[argh(option, default = "10")]
    seconds: u64,
    /// how many runs there are of everything (default: 3)
    #[argh(option, default = "3")]
    runs: usize,
    /// the helper: builtin (default), which costs nothing, process, or resident, which stays
    #[argh(option, default = "Deliverer::BuiltIn", from_str_fn(deliverer))]
    helper: Deliverer,
    /// where our server listens: tcp (default) or unix
    #[argh(option, default = "Socket::Tcp", from_str_fn(socket))]
    socket: Socket,
    /// the reader of the answers: browser (default) or program
    #[argh(option, default = "Reader::Browser", from_str_fn(reader))]
    reader: Reader,
    /// how many messages the client may have sent in a day (default: any number)
    #[argh(option)]
    messages_per_day: Option<u32>,
    /// compare an empty database with one of so many expired rows that are being deleted
    #[argh(option)]
    old_rows: Option<u64>,
    /// how many servers share each database; requests alternate between them (default: 1)
    #[argh(option, default = "1")]
    servers: usize,
    /// a PostgreSQL whose commits take 3 ms more, as on a slow disk
    #[argh(switch)]
    slow_commits: bool,
    /// compare with an older build, in turn: the path of its challenger-bench
    #[argh(option)]
    against: Option<PathBuf>,
    /// run neither pgbench nor the server that does nothing
    #[argh(switch)]
    alone: bool,
    /// a service that runs already: http://HOST:PORT
    #[argh(option)]
    url: Option<String>,
    /// the same, by its UNIX socket
    #[argh(option)]
    unix: Option<PathBuf>,
    /// its client's number
    #[argh(option, default = "String::from(\"1\")")]
    client_id: String,
    /// its client's secret
    #[argh(option)]
    client_secret: Option<String>,
    /// its client's redirect URI
    #[argh(option)]
    redirect_uri: Option<String>,
    /// where its helper keeps each message, in a file of the address's name
    #[argh(option)]
    codes: Option<PathBuf>,
    /// print one JSON object
    #[argh(switch)]
    json: bool,
}

/// the cost of starting a helper, beside a bare posix_spawn
#[derive(FromArgs)]
#[argh(subcommand, name = "helper")]
struct Helper {
    /// how many rounds of 100 (default: 5)
    #[argh(option, default = "5")]
    rounds: usize,
    /// print one JSON object
    #[argh(switch)]
    json: bool,
}

/// decisions, heads, pages and whole requests, in nanoseconds
#[derive(FromArgs)]
#[argh(subcommand, name = "micro")]
struct Micro {
    /// do each a few times without a clock, for Valgrind to count
    #[argh(switch)]
    once: bool,
    /// print one JSON object
    #[argh(switch)]
    json: bool,
}

/// instructions and allocations of these, compared with the committed figures
#[derive(FromArgs)]
#[argh(subcommand, name = "instructions")]
struct Instructions {
    /// write the figures instead
    #[argh(switch)]
    update: bool,
    /// the file with them
    #[argh(positional)]
    file: PathBuf,
}

/// start-up, memory and size of the programs
#[derive(FromArgs)]
#[argh(subcommand, name = "whole")]
struct Whole {
    /// how many starts (default: 10)
    #[argh(option, default = "10")]
    runs: usize,
    /// print one JSON object
    #[argh(switch)]
    json: bool,
}

/// a server for the others: ours with a helper that costs nothing, or one that does nothing
#[derive(FromArgs)]
#[argh(subcommand, name = "serve")]
struct Serve {
    /// the configuration of ours
    #[argh(option)]
    config: Option<PathBuf>,
    /// where its helper sends codes
    #[argh(option)]
    codes: Option<PathBuf>,
    /// where the other listens: http://HOST:PORT or a path
    #[argh(option)]
    null: Option<String>,
}

/// everything, as a document
#[derive(FromArgs)]
#[argh(subcommand, name = "document")]
struct Document {
    /// how long each run takes (default: 10)
    #[argh(option, default = "10")]
    seconds: u64,
    /// how many runs there are of everything (default: 5)
    #[argh(option, default = "5")]
    runs: usize,
    /// how many old rows to compare with; without it, none
    #[argh(option)]
    old_rows: Option<u64>,
    /// time a build of everything, too
    #[argh(switch)]
    build: bool,
    /// the file to write
    #[argh(positional)]
    file: PathBuf,
}

/// Prints the progress, for people who wait.
fn tell(what: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{what}");
}

fn print(text: impl fmt::Display) -> Result<(), String> {
    writeln!(std::io::stdout(), "{text}").map_err(|error| format!("standard output: {error}"))
}

fn main() -> ExitCode {
    let arguments: Arguments = argh::from_env();
    let done = match arguments.command {
        Command::Document(it) => it.run(),
        Command::Flows(it) => it.run(),
        Command::Growth(it) => it.run(),
        Command::Helper(it) => it.run(),
        Command::Instructions(it) => it.run(),
        Command::Micro(it) => it.run(),
        Command::Resident(it) => it.run(),
        Command::Serve(it) => it.run(),
        Command::Whole(it) => it.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            tell(format_args!("challenger-bench: {complaint}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints the figures: for programs, or for people.
fn show(is_json: bool, json: &Value, tables: Tables) -> Result<(), String> {
    if is_json { print(json) } else { print(tables) }
}

impl Flows {
    fn run(self) -> Result<(), String> {
        let target = self.running()?;
        let usual: &[Kind] =
            if self.slow_commits { &[Kind::Postgres] } else { &[Kind::Postgres, Kind::Sqlite] };
        let plan = Plan {
            build: Build::own()?,
            kinds: self.stores.map_or_else(|| usual.to_vec(), |it| it.0),
            deliverer: self.helper,
            socket: self.socket,
            reader: self.reader,
            connections: self.connections.0,
            time: Duration::from_secs(self.seconds.max(1)),
            runs: self.runs.max(1),
            compares: !self.alone,
            messages_per_day: self.messages_per_day,
            servers: self.servers,
            slow_commits: self.slow_commits,
        };
        if self.against.is_some() && self.old_rows.is_some() {
            return Err("expected --against or --old-rows, and not both".to_owned());
        }
        if let Some(older) = self.against {
            let build = Build::of(&older)?;
            let pairs = against::measure(&Plan { build, ..plan.clone() }, &plan)?;
            let json: Vec<Value> = pairs.iter().map(against::Pair::to_json).collect();
            return show(
                self.json,
                &json!({"against": json}),
                Tables::default().against(&pairs, ["old", "new"]),
            );
        }
        if let Some(rows) = self.old_rows {
            let aged = flows::measure_aged(&plan, rows)?;
            let json: Vec<Value> = aged.iter().map(flows::Aged::to_json).collect();
            let tables = Tables::default().aged(&aged);
            return show(self.json, &json!({"old_rows": json}), tables);
        }
        let report = match target {
            Some(target) => flows::measure_running(&plan, &target)?,
            None => flows::measure(&plan)?,
        };
        show(self.json, &report.to_json(), Tables::default().settings(&report).flows(&report))
    }

    /// The service that runs already, if one is named.
    fn running(&self) -> Result<Option<Target>, String> {
        let place = match (&self.url, &self.unix) {
            (None, None) => return Ok(None),
            (Some(url), None) => Place::parse(url)?,
            (None, Some(path)) => Place::Unix(path.clone()),
            (Some(_), Some(_)) => return Err("expected --url or --unix, and not both".to_owned()),
        };
        let is_ours = self.old_rows.is_some() || self.against.is_some();
        if is_ours || self.slow_commits || self.servers != 1 {
            let ours = "--old-rows, --against, --slow-commits and --servers";
            return Err(format!("{ours} are for services of our own"));
        }
        let missing = |option: &str| format!("a service that runs needs {option}");
        let secret = self.client_secret.clone().ok_or_else(|| missing("--client-secret"))?;
        let uri = self.redirect_uri.clone().ok_or_else(|| missing("--redirect-uri"))?;
        let codes = self.codes.clone().ok_or_else(|| missing("--codes"))?;
        let client = Client { id: self.client_id.clone(), secret, redirect_uri: uri };
        let (reader, post) = (self.reader, Post::Files(codes));
        let (places, servers) = (vec![place], Vec::new());
        Ok(Some(Target { places, client, reader, post, servers, database: None }))
    }
}

impl Helper {
    fn run(self) -> Result<(), String> {
        let costs = helper::compare(self.rounds.max(1))?;
        let json: Vec<Value> = costs.iter().map(helper::HelperCost::to_json).collect();
        show(self.json, &json!({"helper": json}), Tables::default().helper(&costs))
    }
}

impl Micro {
    fn run(self) -> Result<(), String> {
        let mut cases = micro::cases()?;
        if self.once {
            for case in &mut cases {
                for _ in 0..instructions::ROUNDS {
                    case.measured(instructions::TIMES);
                }
            }
            return Ok(());
        }
        let costs = instructions::count()?;
        let times: Vec<_> =
            cases.iter_mut().map(|case| (case.name.clone(), case.nanoseconds())).collect();
        let json = times.iter().map(|(name, time)| {
            let cost = costs.get(name);
            json!({
                "allocations": cost.map(|it| it.allocations),
                "case": name,
                "instructions": cost.map(|it| it.instructions),
                "nanoseconds": time.to_json(),
            })
        });
        let json = json!({"micro": json.collect::<Vec<_>>()});
        show(self.json, &json, Tables::default().micro(&times, &costs))
    }
}

impl Instructions {
    fn run(self) -> Result<(), String> {
        if self.update {
            return instructions::update(&self.file);
        }
        let complaints = instructions::check(&self.file)?;
        if complaints.is_empty() {
            return print("Every case costs what it should.");
        }
        Err(format!(
            "more than {} says:\n  {}\nIf that is meant: make update-instructions, and say why",
            self.file.display(),
            complaints.join("\n  ")
        ))
    }
}

impl Serve {
    fn run(self) -> Result<(), String> {
        match (self.config, self.codes, self.null) {
            (Some(config), Some(codes), None) => serve::real(&config, codes),
            (None, None, Some(place)) if place.starts_with("http://") => {
                serve::null(&Place::parse(&place)?)
            }
            (None, None, Some(place)) => serve::null(&Place::Unix(place.into())),
            _ => Err("expected --config and --codes, or --null".to_owned()),
        }
    }
}

impl Whole {
    fn run(self) -> Result<(), String> {
        let kinds = [Kind::Postgres, Kind::Sqlite].into_iter();
        let wholes: Vec<_> =
            kinds.map(|it| whole::measure(it, self.runs.max(1))).collect::<Result<_, _>>()?;
        let (sizes, packages) = (whole::sizes()?, whole::packages(&document::root())?);
        let json = whole::to_json(&wholes, &sizes, packages);
        show(self.json, &json, Tables::default().whole(&wholes, &sizes, packages))
    }
}

impl Document {
    fn run(self) -> Result<(), String> {
        let Self { seconds, runs, old_rows, build, file } = self;
        let (time, runs) = (Duration::from_secs(seconds.max(1)), runs.max(1));
        let text = document::write(&document::Order { time, runs, old_rows, build })?;
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
    }
}
