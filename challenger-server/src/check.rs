//! Checks everything that the service needs, without serving.

mod helper;
mod neighbour;

use std::fmt;

use challenger_proto::Service;

use self::neighbour::Neighbour;
use crate::config::Config;
use crate::listen::{Listen, Place};
use crate::settings::{Given, MAIN, METRICS, PartialSettings, helper_missing};
use crate::shipped::SECTION as HELPER;
use crate::store::{Database, OpenMode, StoreError};

/// The findings, each in one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Everything that has to be corrected in the configuration, in the files that it names, or
    /// about the helper and the place to listen.
    pub errors: Vec<String>,
    /// Why the database cannot be used; `None` if it can.
    pub database: Option<String>,
    /// Why the helper could not deliver a message now, although another time it may.
    pub helper: Vec<String>,
    /// Settings that work, but may not be intended.
    pub warnings: Vec<String>,
}

/// Checks a configuration, the templates, documents and helper that it names, whether this user
/// could listen there and others could not replace the socket's file, and whether the database can
/// be read. A shipped helper checks its own settings, and whether its server is there. Nothing is
/// sent or changed. An error does not keep the rest from being checked.
pub fn check(config: &Config) -> Report {
    let PartialSettings { parts, errors, warnings } = PartialSettings::read(config, Given::Unasked);
    let mut report = Report { errors, ..Report::default() };
    // Without its settings, the helper cannot do its work. At the start, this is only a warning.
    let hidden = config.section(HELPER).is_some_and(|section| section.hidden_in.is_some());
    let notice = format!("[{HELPER}] is hidden: ");
    for warning in warnings {
        let is_about_it = hidden && warning.to_ascii_lowercase().contains(&notice);
        if is_about_it { &mut report.errors } else { &mut report.warnings }.push(warning);
    }
    report.errors.extend(parts.command.as_ref().and_then(helper_missing));
    if let Some(command) = parts.command.as_ref().filter(|_| !hidden) {
        helper::check(command, parts.service.as_ref(), &mut report);
    }
    for (section, listen) in [(MAIN, &parts.listen), (METRICS, &parts.metrics)] {
        if let Some(listen) = listen {
            check_place(section, listen, &mut report);
        }
    }
    if let Some(database) = &parts.database {
        match check_database(database, parts.service.as_ref()) {
            Ok(warning) => report.warnings.extend(warning),
            Err(error) => report.database = Some(error.to_string()),
        }
    }
    for finding in [&mut report.errors, &mut report.helper, &mut report.warnings] {
        finding.iter_mut().for_each(|line| *line = in_a_line(&line));
    }
    report.database = report.database.map(in_a_line);
    report
}

fn in_a_line(found: impl fmt::Display) -> String {
    found.to_string().replace(char::is_control, " ")
}

/// Checks the place to listen. If somebody listens there already, it may be this service.
fn check_place(section: &str, listen: &Listen, report: &mut Report) {
    match listen.check() {
        Ok(Place::Free) => {}
        Ok(Place::Taken(address)) => match neighbour::ask(address) {
            Neighbour::Challenger => {}
            Neighbour::Other => report.errors.push(format!(
                "[{section}] PORT: another program listens on {address}: expected a port that is \
                 free"
            )),
            Neighbour::Unknown => report.warnings.push(format!(
                "[{section}] PORT: {address} is in use, which is right if this service runs; who \
                 has it does not answer"
            )),
        },
        Err((option, error)) => report.errors.push(format!("[{section}] {option}: {error}")),
    }
}

/// Checks the database, and returns a warning about what is in it.
fn check_database(
    database: &Database,
    service: Option<&Service>,
) -> Result<Option<String>, StoreError> {
    database.check()?;
    let is_unlimited = service.is_some_and(|it| it.limits.client_validations.is_none());
    if !is_unlimited {
        return Ok(None);
    }
    let clients = database.registry(OpenMode::Use)?.clients()?;
    let open = clients.iter().find(|client| client.open);
    Ok(open.map(|client| {
        format!(
            "[{MAIN}] CLIENT_VALIDATIONS_MAX = 0, and client {} is open: any visitor may begin as \
             many validations for it as the database has room for",
            client.id
        )
    }))
}
