//! The sections of a configuration. All programs of GNU Taler share files, so most sections are not
//! for us; those that look like ours and are not are mistakes.

use super::budgets::DESTINATION;
use super::database::{POSTGRES, SQLITE};
use super::reader::OptionReader;
use super::{MAIN, METRICS};
use crate::config::Section;
use crate::secrecy;
use crate::shipped::SECTION as HELPER;
use crate::spelling::{did_you_mean, nearest, suggestion};

/// All sections that are ours. Names may follow [`DESTINATION`] and a dash.
const OURS: [&str; 7] = [MAIN, HELPER, METRICS, DESTINATION, POSTGRES[0], POSTGRES[1], SQLITE];

/// Warns about sections that look like ours: nobody reads them.
pub(super) fn warn_about_unknown_sections(reader: &mut OptionReader<'_>) {
    for section in reader.config.sections() {
        let name = section.name.to_ascii_lowercase();
        // The budgets say what is wrong with the name of a destination.
        if OURS.contains(&name.as_str()) || name.starts_with(DESTINATION) {
            continue;
        }
        let is_like_ours = name.starts_with(MAIN);
        let meant = if is_like_ours { nearest(&name, OURS) } else { suggestion(&name, OURS) };
        // The name of a destination may be long.
        let head = name.match_indices('-').nth(1).and_then(|(at, _)| name.get(..at));
        let meant = match head.and_then(|head| suggestion(head, [DESTINATION])).or(meant) {
            None => continue,
            Some(DESTINATION) => format!("[{DESTINATION}-NAME]"),
            Some(meant) => format!("[{meant}]"),
        };
        let (origin, name) = (origin(section), secrecy::quote(&section.name));
        reader.warnings.push(format!(
            "{origin}there is no section [{name}]; ignored{}",
            did_you_mean(Some(&meant))
        ));
    }
}

/// The place of a section's first option, in front of a complaint.
pub(super) fn origin(section: &Section) -> String {
    section.settings.first().map_or_else(String::new, |it| format!("{}: ", it.value.origin))
}
