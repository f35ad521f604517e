//! Checks everything that the service needs, without serving.

use std::fmt;

use crate::config::Config;
use crate::settings::{Given, PartialSettings, helper_missing};

/// The findings, each in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Everything that has to be corrected in the configuration, in the files that it names, or
    /// about the helper.
    pub errors: Vec<String>,
    /// Why the database cannot be used; `None` if it can.
    pub database: Option<String>,
    /// Settings that work, but may not be intended.
    pub warnings: Vec<String>,
}

/// Checks a configuration, the templates, documents and helper that it names, whether others could
/// replace the socket's file, and whether the database can be read. Nothing is listened on, sent or
/// changed. An error does not keep the rest from being checked.
pub fn check(config: &Config) -> Report {
    let PartialSettings { parts, mut errors, warnings } =
        PartialSettings::read(config, Given::Unasked);
    errors.extend(parts.command.as_ref().and_then(helper_missing));
    let places = parts.listen.iter().chain(&parts.metrics);
    let distrusted = places.filter_map(|listen| listen.check().err());
    errors.extend(distrusted.map(|error| error.to_string()));
    let database = parts.database.and_then(|database| database.check().err());
    Report {
        errors: errors.into_iter().map(in_a_line).collect(),
        database: database.map(in_a_line),
        warnings: warnings.into_iter().map(in_a_line).collect(),
    }
}

fn in_a_line(found: impl fmt::Display) -> String {
    found.to_string().replace(char::is_control, " ")
}
