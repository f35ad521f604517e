//! Code that the operator's programs share: the configuration, the log, the store.

use std::io;
use std::path::Path;
use std::sync::Arc;

use challenger_server::config::{Config, Disk, Environment, Files};
use challenger_server::settings;
use challenger_server::store::{Database, OpenMode, Registry};
use log::LevelFilter;

use crate::exit::Exit;
use crate::logger::Logger;

/// The short options with a value that all programs have: configuration, log file, log level.
pub(crate) const VALUED: &str = "clL";

/// The section of a helper's settings.
#[cfg(any(feature = "email", feature = "http"))]
const HELPER: &str = "challenger-helper";

/// What a helper's `--check` finds about a setting, with the section where that belongs.
#[cfg(any(feature = "email", feature = "http"))]
pub(crate) fn of_helper(finding: &str) -> String {
    format!("[{HELPER}] {finding}")
}

/// Loads the configuration.
///
/// # Errors
/// [`Exit::not_configured`] with the place of the mistake.
pub(crate) fn load_config(file: Option<&Path>) -> Result<Config, Exit> {
    load_config_from(&Disk, file)
}

/// Loads the configuration from other files than those of this machine.
///
/// # Errors
/// [`Exit::not_configured`] with the place of the mistake.
pub(crate) fn load_config_from(files: &dyn Files, file: Option<&Path>) -> Result<Config, Exit> {
    let environment = Environment::of_process()
        .map_err(|error| Exit::failed(format!("the current directory: {error}")))?;
    Config::load(files, &environment, file).map_err(|error| Exit::not_configured(error.to_string()))
}

/// The options of `[challenger-helper]`, with their names in capitals: for a helper that is run by
/// hand, those that it gets from the service as variables.
///
/// # Errors
/// [`Exit::misconfigured`] with the place of the mistake, or the file that this user may not read.
#[cfg(any(feature = "email", feature = "http"))]
pub(crate) fn helper_settings(file: &Path) -> Result<Vec<(String, String)>, Exit> {
    let config =
        load_config(Some(file)).map_err(|exit| Exit::misconfigured(exit.message().to_owned()))?;
    let section = config.section(HELPER);
    if let Some(hidden) = section.and_then(|section| section.hidden_in.as_deref()) {
        return Err(Exit::misconfigured(format!(
            "[{HELPER}] is in {}, which cannot be read: expected the service's user, or root",
            hidden.display()
        )));
    }
    let settings = section.map_or(&[][..], |section| &section.settings).iter();
    Ok(settings.map(|it| (it.name.to_ascii_uppercase(), it.value.text.clone())).collect())
}

/// Logs the warnings about the configuration, as far as it was read.
pub(crate) fn log_warnings(config: &Config) {
    for warning in config.warnings() {
        log::warn!("{warning}");
    }
}

/// Sets up the log: `-L` is the level, by default `WARNING`; `-l` is the file.
///
/// # Errors
/// [`Exit::invalid_argument`] for a level that does not exist, [`Exit::failed`] for a file that
/// cannot be written.
pub(crate) fn set_up_log(level: Option<&str>, file: Option<&Path>) -> Result<Arc<Logger>, Exit> {
    set_up(Logger::start, level, file)
}

/// The same for a service, which must go on even if nobody reads its log.
///
/// # Errors
/// As for [`set_up_log`].
pub(crate) fn set_up_queued_log(
    level: Option<&str>,
    file: Option<&Path>,
) -> Result<Arc<Logger>, Exit> {
    set_up(Logger::start_queued, level, file)
}

fn set_up(
    start: fn(LevelFilter, Option<&Path>) -> io::Result<Arc<Logger>>,
    level: Option<&str>,
    file: Option<&Path>,
) -> Result<Arc<Logger>, Exit> {
    let least = match level.map(str::to_ascii_uppercase).as_deref() {
        Some("NONE") => LevelFilter::Off,
        Some("ERROR") => LevelFilter::Error,
        None | Some("WARNING") => LevelFilter::Warn,
        Some("INFO") => LevelFilter::Info,
        Some("DEBUG") => LevelFilter::Debug,
        Some(_) => {
            let given = level.unwrap_or_default();
            return Err(Exit::invalid_argument(format!(
                "{given} is no log level: NONE, ERROR, WARNING, INFO or DEBUG"
            )));
        }
    };
    let place = file.unwrap_or_else(|| Path::new("standard error")).display();
    start(least, file).map_err(|error| Exit::failed(format!("{place}: {error}")))
}

/// The store, for an operator's program.
///
/// # Errors
/// [`Exit::not_configured`] without a usable configuration, [`Exit::failed`] when the store cannot
/// be opened.
pub(crate) fn open_registry(config: &Config, mode: OpenMode) -> Result<Arc<dyn Registry>, Exit> {
    read_database(config)?.registry(mode).map_err(|error| Exit::failed(error.to_string()))
}

/// The database that the configuration names.
///
/// # Errors
/// [`Exit::not_configured`] without a usable configuration.
pub(crate) fn read_database(config: &Config) -> Result<Database, Exit> {
    let database = settings::database(config);
    log_warnings(config);
    database.map_err(|error| Exit::not_configured(error.to_string()))
}
