//! The helper: the operator's program that delivers messages, and its settings.

use std::collections::BTreeMap;
use std::time::Duration;

use super::MAIN;
use super::reader::OptionReader;
use crate::config::{Entry, TimeSpan};
use crate::process::HelperCommand;
use crate::secrecy;
use crate::shipped::{SECTION as HELPER, SHIPPED, SYSTEM_PROXY, Shipped};
use crate::spelling::{did_you_mean, suggestion};

/// The longest environment variable in Linux, in bytes: `MAX_ARG_STRLEN`, which includes name, `=`
/// and the NUL at the end.
const VARIABLE_LEN_MAX: usize = 128 * 1024;

/// The default time limit of a helper.
const AUTH_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn read_command(reader: &mut OptionReader<'_>) -> Option<HelperCommand> {
    let timeout = match reader.optional("AUTH_TIMEOUT", Entry::duration) {
        None => AUTH_TIMEOUT,
        Some(TimeSpan::Finite(time)) if time > Duration::ZERO => time,
        Some(_) => {
            reader.refuse("AUTH_TIMEOUT", "a time longer than zero that is not forever");
            AUTH_TIMEOUT
        }
    };
    let environment = read_environment(reader);
    let name = reader.required_text("AUTH_COMMAND")?;
    if name.trim().is_empty() || name.contains('\0') {
        reader.refuse("AUTH_COMMAND", "the name or path of a program");
        return None;
    }
    // A bare name is looked up in PATH when the helper runs; a path is a file name like others.
    let program = if name.contains(['/', '$', '~']) {
        reader.required("AUTH_COMMAND", Entry::filename)?.into_os_string()
    } else {
        name.into()
    };
    let Ok(program) = program.into_string() else {
        reader.refuse("AUTH_COMMAND", "a path in UTF-8");
        return None;
    };
    warn_about_limits(reader, &program, timeout, &environment);
    warn_about_unknown_settings(reader, &program);
    Some(HelperCommand::new(program, timeout).with_environment(environment))
}

/// Reads whether the helper stays for many messages.
pub(super) fn read_stays(reader: &mut OptionReader<'_>, command: Option<&HelperCommand>) -> bool {
    let choices = [("program", false), ("resident", true)];
    let stays = reader.optional("AUTH_HELPER", |it| it.choice(&choices)).unwrap_or_default();
    let shipped = command.and_then(|it| Shipped::find(it.program()));
    if let Some(Shipped { programs: [program, ..], .. }) = shipped.filter(|it| stays && !it.stays) {
        reader.warnings.push(format!(
            "[{MAIN}] AUTH_HELPER is resident, but {program} takes one message only and will fail: \
             expected program"
        ));
    }
    stays
}

/// Warns if the helper's own time limit is not the shorter one: it could not report why it failed,
/// and might be killed halfway.
fn warn_about_limits(
    reader: &mut OptionReader<'_>,
    program: &str,
    timeout: Duration,
    environment: &BTreeMap<String, String>,
) {
    let its_own = Shipped::find(program).and_then(|it| it.limit);
    for (setting, default) in SHIPPED.iter().filter_map(|it| it.limit) {
        let set = environment.get(setting).filter(|value| !value.trim().is_empty());
        let usual = its_own.filter(|(own, _)| *own == setting).map(|_| default);
        // The helper itself reports a value that is not a number.
        let seconds = set.map_or(usual, |value| value.trim().parse().ok());
        if let Some(seconds) = seconds.filter(|it| Duration::from_secs(*it) >= timeout) {
            reader.warnings.push(format!(
                "[{HELPER}] {setting} is {seconds} s, but after AUTH_TIMEOUT, which is \
                 {timeout:?}, the helper is ended and cannot say what went wrong: expected a \
                 shorter time, or a longer AUTH_TIMEOUT"
            ));
        }
    }
}

/// Warns about settings that a shipped helper does not have: those that look like one of its own.
/// All others are variables for it or for the programs that it runs, such as `PATH`.
fn warn_about_unknown_settings(reader: &mut OptionReader<'_>, program: &str) {
    let Some(Shipped { programs: [program, ..], settings: known, .. }) = Shipped::find(program)
    else {
        return;
    };
    let prefix = |name: &str| name.split_once('_').map(|(prefix, _)| prefix.to_owned());
    let is_known = |name: &str| SHIPPED.iter().any(|it| it.settings.contains(&name));
    let section = reader.config.section(HELPER);
    for setting in section.map_or(&[][..], |section| &section.settings) {
        let name = setting.name.to_ascii_uppercase();
        let is_like = known.iter().any(|it| prefix(it).is_some() && prefix(it) == prefix(&name));
        let meant = suggestion(&name, known.iter().copied());
        if !is_known(&name) && name != SYSTEM_PROXY && (is_like || meant.is_some()) {
            let meant = did_you_mean(meant);
            let (origin, name) = (&setting.value.origin, secrecy::name(&name));
            reader
                .warnings
                .push(format!("{origin}: [{HELPER}] {name} is not a setting of {program}{meant}"));
        }
    }
}

/// Reads the options of the helper's section as variables, with names in upper case.
fn read_environment(reader: &mut OptionReader<'_>) -> BTreeMap<String, String> {
    let section = reader.config.section(HELPER).filter(|section| section.hidden_in.is_none());
    let mut environment = BTreeMap::new();
    for setting in section.map_or(&[][..], |section| &section.settings) {
        let name = setting.name.to_ascii_uppercase();
        // Without the value, which may be a password.
        let mut refuse = |what: &str| {
            let (origin, option) = (&setting.value.origin, secrecy::quote(&setting.name));
            reader.errors.push(format!("{origin}: [{HELPER}] {option:?} {what}"));
        };
        let value = &setting.value.text;
        let room = VARIABLE_LEN_MAX.saturating_sub(name.len() + "=\0".len());
        if !is_variable(&name) {
            refuse(
                "cannot be the name of an environment variable: expected letters, digits and _, \
                 and no digit in front",
            );
        } else if value.len() > room {
            refuse(&format!(
                "is too long for an environment variable: expected at most {room} bytes"
            ));
        } else {
            environment.insert(name, value.clone());
        }
    }
    environment
}

/// Whether every program can read a variable of this name (POSIX, base definitions 8.1).
fn is_variable(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
