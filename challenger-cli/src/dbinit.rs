//! `challenger-dbinit`: creates, upgrades, cleans or resets the database.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use argh::FromArgs;
use challenger_server::os;
use challenger_server::store::{Database, Migrated, OpenMode, StoreError};

use crate::args;
use crate::common::{VALUED, load_config, read_database, set_up_log};
use crate::exit::{Exit, complain, end, say};

const PROGRAM: &str = "challenger-dbinit";

/// Create the database, or upgrade its schema and keep all data.
#[derive(FromArgs)]
#[argh(
    example = "challenger-dbinit                    create or upgrade\n\
               challenger-dbinit --garbagecollect   every day",
    note = "Exit status: 0, done; 1, failed; 2, wrong arguments; 6, wrong configuration.\n\
            More: challenger-dbinit(1), challenger.conf(5)."
)]
struct Arguments {
    /// configuration file to use instead of the usual places
    #[argh(option, short = 'c', arg_name = "FILE")]
    config: Option<PathBuf>,
    /// delete expired validations, access tokens and balances of budgets, and do nothing else
    #[argh(switch, short = 'g')]
    garbagecollect: bool,
    /// the same as --garbagecollect
    #[argh(switch)]
    gc: bool,
    /// delete all data, clients included, and start over; asks first
    #[argh(switch, short = 'r')]
    reset: bool,
    /// do not ask before --reset
    #[argh(switch, short = 'y')]
    yes: bool,
    /// least important events to log: NONE, ERROR, WARNING (default), INFO or DEBUG
    #[argh(option, short = 'L', arg_name = "LEVEL")]
    log: Option<String>,
    /// file to append the log to, instead of standard error
    #[argh(option, short = 'l', arg_name = "FILE")]
    logfile: Option<PathBuf>,
}

/// Runs the program.
pub fn main() -> ExitCode {
    end(PROGRAM, run())
}

fn run() -> Result<(), Exit> {
    let arguments: Arguments = args::parse(PROGRAM, VALUED, std::env::args_os())?;
    set_up_log(arguments.log.as_deref(), arguments.logfile.as_deref())?;
    let config = load_config(arguments.config.as_deref())?;
    let failed = |error: StoreError| Exit::failed(error.to_string());
    let collects = arguments.garbagecollect || arguments.gc;
    // A daily cleanup must neither create a database that was not mounted nor upgrade one below a
    // running server.
    let only_collects = collects && !arguments.reset;
    let mode = if only_collects { OpenMode::Use } else { OpenMode::Maintain };
    let database = read_database(&config)?;
    if arguments.reset && !arguments.yes {
        ask(&database)?;
    }
    let registry = database.registry(mode).map_err(failed)?;
    if arguments.reset {
        registry.reset().map_err(failed)?;
        say(&format!("Deleted all data in {database}, and created empty tables."))?;
    } else if !only_collects {
        say(&described(registry.migrate().map_err(failed)?, &database))?;
    }
    if collects {
        let collected = registry.collect_garbage(os::now()).map_err(failed)?;
        say(&format!(
            "Deleted {} expired validations, {} expired access tokens and {} balances.",
            collected.validations, collected.grants, collected.balances
        ))?;
    }
    Ok(())
}

/// Asks whether everything is to be deleted.
///
/// # Errors
/// It is not, or there is nobody to ask.
fn ask(database: &Database) -> Result<(), Exit> {
    if !std::io::stdin().is_terminal() {
        return Err(Exit::invalid_argument(format!(
            "--reset deletes all data in {database}: expected --yes as well, because there is no \
             terminal to ask at"
        )));
    }
    complain(&format!(
        "This deletes all data in {database}: clients, validations and proofs.\n\
         Type yes to delete them:"
    ));
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Exit::failed(format!("standard input: {error}")))?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Exit::failed("nothing was deleted")),
    }
}

/// What was done to the tables, in one line.
fn described(migrated: Migrated, database: &Database) -> String {
    match migrated {
        Migrated { from: 0, to } => format!("Created the tables, version {to}, in {database}."),
        Migrated { from, to } if from == to => {
            format!("The tables in {database} have version {to} already.")
        }
        Migrated { from, to } => {
            format!("Upgraded the tables in {database} from version {from} to {to}.")
        }
    }
}
