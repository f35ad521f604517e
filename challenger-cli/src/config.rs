//! `challenger-config`: reads the configuration as the other programs do, and changes it.

mod dump;
mod replace;
mod rewrite;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use argh::FromArgs;
use challenger_server::config::{Config, ConfigError};
use challenger_server::secrecy;

use crate::args;
use crate::common::{load_config, set_up_log};
use crate::exit::{Exit, complain, end, say};

const PROGRAM: &str = "challenger-config";

/// The short options with a value.
const VALUED: &str = "closLV";

/// Print or change the configuration.
///
/// A change rewrites the main file: lines that include other files move to its top, below them
/// stands what differs from the defaults and from the included files. Comments are lost.
#[derive(FromArgs)]
#[argh(
    example = "challenger-config --diagnostics\n\
               challenger-config -s challenger -o PORT           print a value\n\
               challenger-config -s challenger -o PORT -V 9968   change it",
    note = "Exit status: 0, done; 1, failed; 2, wrong arguments, or nothing was written;\n\
            6, the option is not there, or wrong configuration.\n\
            More: challenger-config(1), challenger.conf(5)."
)]
struct Arguments {
    /// configuration file to use instead of the usual places
    #[argh(option, short = 'c', arg_name = "FILE")]
    config: Option<PathBuf>,
    /// print everything, each value with its origin; secrets are left out
    #[argh(switch, short = 'd')]
    diagnostics: bool,
    /// print the value as the file name it stands for, with $ expanded
    #[argh(switch, short = 'f')]
    filename: bool,
    /// rewrite the main file so that it needs no other: with the defaults and all it includes
    #[argh(switch, short = 'F')]
    full: bool,
    /// print the names of all sections
    #[argh(switch, short = 'S')]
    list_sections: bool,
    /// the option to print or to set; without it, all of the section are printed
    #[argh(option, short = 'o', arg_name = "OPTION")]
    option: Option<String>,
    /// rewrite the main file even if nothing is set
    #[argh(switch, short = 'r')]
    rewrite: bool,
    /// the section to print from or to change
    #[argh(option, short = 's', arg_name = "SECTION")]
    section: Option<String>,
    /// let --diagnostics print secrets, and let a rewritten main file hold them
    #[argh(switch)]
    show_secrets: bool,
    /// set the option to this value, and rewrite the main file
    #[argh(option, short = 'V', arg_name = "VALUE")]
    value: Option<String>,
    /// least important events to log: NONE, ERROR, WARNING (default), INFO or DEBUG
    #[argh(option, short = 'L', arg_name = "LEVEL")]
    log: Option<String>,
    /// file to append the log to, instead of standard error
    #[argh(option, short = 'l', arg_name = "FILE")]
    logfile: Option<PathBuf>,
}

/// What to do with the configuration before it is rewritten, if it is.
enum Action {
    Dump,
    ListSections,
    Nothing,
    PrintFilename { section: String, option: String },
    PrintSection { section: String },
    PrintValue { section: String, option: String },
    Set { section: String, option: String, value: String },
}

/// Runs the program.
pub fn main() -> ExitCode {
    end(PROGRAM, run())
}

fn run() -> Result<(), Exit> {
    let mut arguments: Arguments = args::parse(PROGRAM, VALUED, std::env::args_os())?;
    set_up_log(arguments.log.as_deref(), arguments.logfile.as_deref())?;
    let action = arguments.action()?;
    let mut config = load_config(arguments.config.as_deref())?;
    let rewrites = arguments.rewrite || matches!(action, Action::Set { .. });
    let done = perform(&mut config, &action, arguments.show_secrets);
    // Also when it failed: a secret that cannot be read may be the reason.
    for warning in config.warnings() {
        log::warn!("{warning}");
    }
    done?;
    if rewrites {
        let main = rewrite::rewrite(&config, arguments.full, arguments.show_secrets)?;
        // Not among the values, which somebody may read.
        complain(&format!("Wrote {}.", secrecy::path(&main)));
    }
    Ok(())
}

impl Arguments {
    /// The action that the arguments ask for.
    fn action(&mut self) -> Result<Action, Exit> {
        let complaint =
            |text: &str| Err(Exit::invalid_argument(format!("{text}\nTry '{PROGRAM} --help'.")));
        let asked = [self.diagnostics, self.list_sections, self.section.is_some()];
        match asked.into_iter().filter(|asked| *asked).count() {
            0 if self.option.is_some() || self.value.is_some() || self.filename => {
                return complaint("--section=SECTION is missing");
            }
            0 if !self.rewrite => {
                return complaint(
                    "expected --section, --list-sections, --diagnostics or --rewrite",
                );
            }
            0 => return Ok(Action::Nothing),
            1 => {}
            _ => return complaint("expected one of --section, --list-sections and --diagnostics"),
        }
        let Some(section) = self.section.take() else {
            return Ok(if self.diagnostics { Action::Dump } else { Action::ListSections });
        };
        match (self.option.take(), self.value.take()) {
            (None, Some(_)) => complaint("--value needs --option, too"),
            (None, None) if self.filename => complaint("--filename needs --option, too"),
            (None, None) => Ok(Action::PrintSection { section }),
            (Some(option), Some(value)) => match rewrite::check(&section, &option, &value) {
                Ok(()) => Ok(Action::Set { section, option, value }),
                Err(reason) => complaint(reason),
            },
            (Some(option), None) if self.filename => Ok(Action::PrintFilename { section, option }),
            (Some(option), None) => Ok(Action::PrintValue { section, option }),
        }
    }
}

fn perform(config: &mut Config, action: &Action, show_secrets: bool) -> Result<(), Exit> {
    let not_configured = |error: ConfigError| Exit::not_configured(error.to_string());
    match action {
        Action::Dump => say(dump::dump(config, show_secrets).trim_end()),
        Action::ListSections => {
            // For people only, so it does not matter if nobody reads it.
            let _ = writeln!(std::io::stderr(), "The configuration has these sections:");
            config.sections().iter().try_for_each(|section| say(&section.name))
        }
        Action::Nothing => Ok(()),
        Action::PrintFilename { section, option } => {
            let entry = config.required(section, option).map_err(not_configured)?;
            say(&entry.filename().map_err(not_configured)?.display().to_string())
        }
        Action::PrintSection { section } => print_section(config, section),
        Action::PrintValue { section, option } => {
            say(config.required(section, option).map_err(not_configured)?.text())
        }
        Action::Set { section, option, value } => {
            guard_secret(config, section, show_secrets)?;
            config.set(section, option, value);
            Ok(())
        }
    }
}

fn print_section(config: &Config, name: &str) -> Result<(), Exit> {
    // As in the original, a section without options is like none.
    let Some(section) = config.section(name) else { return Ok(()) };
    if let Some(file) = &section.hidden_in {
        let (name, file) = (secrecy::quote(name), secrecy::path(file));
        return Err(Exit::not_configured(format!("[{name}] is in {file}, which cannot be read")));
    }
    let mut settings = section.settings.iter();
    settings.try_for_each(|setting| say(&format!("{} = {}", setting.name, setting.value.text)))
}

/// A secret has a file of its own so that few may read it; the main file is for everybody.
fn guard_secret(config: &Config, name: &str, show_secrets: bool) -> Result<(), Exit> {
    let Some(section) = config.section(name) else { return Ok(()) };
    if let Some(file) = &section.hidden_in {
        return Err(Exit::not_written(format!(
            "[{name}] is in {}, which cannot be read: a value elsewhere would have no effect",
            secrecy::path(file)
        )));
    }
    match &section.secret_in {
        Some(file) if !show_secrets => Err(Exit::not_written(format!(
            "[{name}] is kept secret in {file}: change it there, or add --show-secrets to have the \
             value in the main file",
            file = secrecy::path(file)
        ))),
        Some(_) | None => Ok(()),
    }
}
