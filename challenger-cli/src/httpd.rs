//! `challenger-httpd`: the service.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use argh::FromArgs;
use challenger_server::front::Limits;
use challenger_server::listen::activated;
use challenger_server::log::{self, Level};
use challenger_server::notify::{READY, STOPPING, notify};
use challenger_server::server::Server;
use challenger_server::settings::Settings;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::args;
use crate::common::{VALUED, load_config, set_up_log};
use crate::exit::{Exit, end};

const PROGRAM: &str = "challenger-httpd";

/// How long requests in flight may take after a signal to stop. A helper may need all of its time,
/// and service managers kill after 90 seconds.
const DRAIN: Duration = Duration::from_secs(60);

/// Serve the address validation service over HTTP, in the foreground, until SIGTERM or SIGINT.
///
/// The database has to be initialized with challenger-dbinit before.
#[derive(FromArgs)]
struct Arguments {
    /// configuration file to use instead of the usual places
    #[argh(option, short = 'c', arg_name = "FILE")]
    config: Option<PathBuf>,
    /// close each connection after one request
    #[argh(switch, short = 'C')]
    connection_close: bool,
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
    set_up_log(arguments.log.as_deref(), arguments.logfile.as_deref(), Level::Warning)?;
    let given = activated().map_err(|error| Exit::failed(error.to_string()))?;
    let config = load_config(arguments.config.as_deref())?;
    let settings =
        Settings::read(&config, given).map_err(|error| Exit::not_configured(error.to_string()))?;
    // Caught from before the first request on, so that none is cut off by an early signal.
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Exit::failed(format!("signals: {error}")))?;
    let limits = Limits { close_each: arguments.connection_close, ..Limits::default() };
    let server =
        Server::start(settings, limits).map_err(|error| Exit::failed(error.to_string()))?;
    notify(READY);
    let _ = signals.forever().next();
    log::info(format_args!("stopping"));
    notify(STOPPING);
    if server.drain(DRAIN) {
        Ok(())
    } else {
        Err(Exit::failed("some requests did not finish in time"))
    }
}
