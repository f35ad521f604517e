//! `challenger-httpd`: the service.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use argh::FromArgs;
use challenger_server::check::{Report, check};
use challenger_server::config::Config;
use challenger_server::listen::activated;
use challenger_server::notify::{READY, STOPPING, Watchdog, notify};
use challenger_server::process::reap_orphans;
use challenger_server::server::Server;
use challenger_server::settings::{self, Settings};
use challenger_server::this_process::is_init;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::args;
use crate::common::{VALUED, load_config, set_up_queued_log};
use crate::exit::{Exit, complain, end, say};
use crate::logger::{Flushed, Logger, log_panics};

const PROGRAM: &str = "challenger-httpd";

/// How long requests in flight may take after a signal to stop, besides the time of a helper.
const DRAIN: Duration = Duration::from_secs(30);

/// Serve the address validation service over HTTP, in the foreground, until SIGTERM or SIGINT.
///
/// The database has to be initialized with challenger-dbinit before.
#[derive(FromArgs)]
#[argh(
    example = "challenger-httpd -c /etc/challenger/challenger.conf\n\
               challenger-httpd -L INFO -l /var/log/challenger.log",
    note = "Exit status: 0, stopped by a signal; 1, failed, or requests were cut off;\n\
            2, wrong arguments; 6, wrong configuration.\n\
            More: challenger-httpd(1), challenger.conf(5)."
)]
struct Arguments {
    /// configuration file to use instead of the usual places
    #[argh(option, short = 'c', arg_name = "FILE")]
    config: Option<PathBuf>,
    /// do not serve, but say everything that is wrong with the configuration, with the files and
    /// the program that it names, with the place to listen and with the database; send and change
    /// nothing
    #[argh(switch)]
    check: bool,
    /// do not serve, but write the pages for what a proxy answers by itself to this folder
    #[argh(option, arg_name = "FOLDER")]
    error_pages: Option<PathBuf>,
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
    if arguments.check {
        return print(&check(&load_config(arguments.config.as_deref())?));
    }
    if let Some(folder) = &arguments.error_pages {
        return write_error_pages(&load_config(arguments.config.as_deref())?, folder);
    }
    let logger = set_up_queued_log(arguments.log.as_deref(), arguments.logfile.as_deref())?;
    let _written_at_the_end = Flushed;
    log_panics();
    let given = activated().map_err(|error| Exit::failed(error.to_string()))?;
    let config = load_config(arguments.config.as_deref())?;
    let mut settings = Settings::read(&config, given).map_err(|error| {
        for warning in &error.warnings {
            log::warn!("{warning}");
        }
        Exit::not_configured(error.to_string())
    })?;
    logger.set_format(settings.log_format);
    // Caught before the first request, so that an early signal cuts none off.
    let orphaned = is_init().then_some(SIGCHLD);
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM].into_iter().chain(orphaned))
        .map_err(|error| Exit::failed(format!("signals: {error}")))?;
    // A file that would grow over a limit is then an error of that write, not the end of the
    // process.
    signal_hook::flag::register(SIGXFSZ, Arc::default())
        .map_err(|error| Exit::failed(format!("signals: {error}")))?;
    let delivery = settings.places.patience.saturating_add(settings.command.timeout());
    let patience = delivery.saturating_add(DRAIN);
    settings.limits.close_each = arguments.connection_close;
    let server = Server::start(settings).map_err(|error| Exit::failed(error.to_string()))?;
    // The log does not mention success at its usual level. If nobody reads this, that is fine.
    let _ = say(&format!("{PROGRAM}: serving on {}", server.place()));
    notify(READY);
    if let Some(watchdog) = Watchdog::of_process() {
        let fed = watchdog.feed(server.vital_sign());
        fed.map_err(|error| Exit::failed(format!("no thread for the watchdog: {error}")))?;
    }
    wait_for_the_end(&mut signals, &logger);
    log::info!("stopping");
    notify(STOPPING);
    thread::spawn(move || {
        // A second signal means "now".
        wait_for_the_end(&mut signals, &logger);
        end_now();
    });
    if server.drain(patience) {
        Ok(())
    } else {
        Err(Exit::failed("some requests were not served in time"))
    }
}

/// Prints the findings of a check, one error per line.
fn print(report: &Report) -> Result<(), Exit> {
    for warning in &report.warnings {
        complain(&format!("warning: {warning}"));
    }
    for error in report.errors.iter().chain(&report.database).chain(&report.helper) {
        complain(error);
    }
    let Report { errors, database, helper, .. } = report;
    if !errors.is_empty() {
        Err(Exit::not_configured("the configuration is not good"))
    } else if database.is_some() {
        Err(Exit::failed("the database cannot be used"))
    } else if !helper.is_empty() {
        Err(Exit::failed("the helper cannot send messages now"))
    } else {
        say(&format!("{PROGRAM}: the configuration is good"))
    }
}

/// Writes the pages for a proxy, which may be serving those of before.
fn write_error_pages(config: &Config, folder: &Path) -> Result<(), Exit> {
    let files = settings::error_pages(config);
    let files = files.map_err(|error| Exit::not_configured(error.to_string()))?;
    let failed =
        |path: &Path, error: io::Error| Exit::failed(format!("{}: {error}", path.display()));
    fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, text) in &files {
        let (new, path) = (folder.join(format!(".{name}.new")), folder.join(name));
        // The proxy is another user, whatever the umask of this one.
        fs::write(&new, text)
            .and_then(|()| fs::set_permissions(&new, Permissions::from_mode(0o644)))
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|error| failed(&path, error))?;
    }
    say(&format!("{PROGRAM}: {} files in {}", files.len(), folder.display()))
}

/// Returns at the next signal to stop. SIGHUP means that the log file was moved away, and SIGCHLD
/// that something has ended, perhaps an orphan that was left to us.
fn wait_for_the_end(signals: &mut Signals, logger: &Logger) {
    for signal in signals.forever() {
        match signal {
            SIGCHLD => reap_orphans(),
            SIGHUP => logger.reopen(),
            _ => return,
        }
    }
}

/// Ends the process without waiting. Acknowledged commits are kept all the same.
fn end_now() {
    log::warn!("stopped by a second signal");
    log::logger().flush();
    std::process::exit(1);
}
