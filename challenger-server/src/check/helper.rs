//! What the helper itself says of its settings, if it is one that comes with the service.

use std::path::Path;

use challenger_proto::Service;
use challenger_proto::address::Address;

use super::Report;
use crate::process::{HelperCommand, ProcessErrorKind};
use crate::secrecy;
use crate::settings::MAIN;
use crate::shipped::{CHECK, SAMPLE, Shipped};

/// The value of a field that only the operator knows.
const UNKNOWN: &str = "sample";

/// Has a shipped helper check its settings, in the environment that it has for a message. Those of
/// others are not run: nobody knows what they would do.
pub(super) fn check(command: &HelperCommand, service: Option<&Service>, report: &mut Report) {
    if Shipped::find(command.program()).is_none() || !command.exists() {
        return;
    }
    let name = Path::new(command.program()).file_name().unwrap_or_default().to_string_lossy();
    let address = service.and_then(sample);
    let arguments: Vec<&str> = [CHECK].into_iter().chain(address.as_deref()).collect();
    let (lines, failure) = command.examine(&arguments);
    let about_it = |what: &str| format!("[{MAIN}] AUTH_COMMAND: {name} {CHECK} {what}");
    let mut findings: Vec<String> = lines.iter().map(|line| place(line)).collect();
    if findings.is_empty() {
        findings.extend(failure.as_ref().map(|it| about_it(&format!("gave no reason: {it}"))));
    }
    match failure {
        None => {}
        // EX_USAGE, EX_UNAVAILABLE, EX_CONFIG: no message would ever arrive.
        Some(ProcessErrorKind::Status(64 | 69 | 78)) => report.errors.extend(findings),
        // EX_TEMPFAIL
        Some(ProcessErrorKind::Status(75)) => report.helper.extend(findings),
        Some(timeout @ ProcessErrorKind::TimedOut(_)) => {
            report.helper.push(about_it(&timeout.to_string()));
        }
        Some(error @ ProcessErrorKind::NotStarted(_)) => {
            report.errors.push(about_it(&error.to_string()));
        }
        Some(
            error @ (ProcessErrorKind::Lost(_)
            | ProcessErrorKind::Signal(_)
            | ProcessErrorKind::Status(_)),
        ) => report.warnings.push(about_it(&format!(
            "ended with {error}, and checked nothing: is this another program of that name?"
        ))),
    }
}

/// A finding with its place: that of the setting, which the helper names, or else that of the
/// program.
fn place(line: &str) -> String {
    match line.split_once(": ") {
        Some((_, finding)) if finding.starts_with('[') => finding.to_owned(),
        _ => format!("[{MAIN}] AUTH_COMMAND: {}", secrecy::quote(line)),
    }
}

/// An address that nobody has, as the helper would get it. Without one, only what does not depend
/// on it is checked.
fn sample(service: &Service) -> Option<String> {
    let value = |field: &str| SAMPLE.iter().find(|(name, _)| *name == field);
    let value = |field: &str| value(field).map_or(UNKNOWN, |(_, value)| *value).to_owned();
    let fields = service.fields().into_iter().map(|field| (field.to_owned(), value(field)));
    service.address_argument(&Address::new(fields).ok()?).ok()
}
