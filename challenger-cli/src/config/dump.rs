//! The whole configuration for people, each value with its origin. It is itself a configuration.

use std::fmt::Display;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use challenger_server::config::{Config, Origin, Section, Setting};
use challenger_server::secrecy;

use super::rewrite::quoted;

/// The section whose options all count as secrets: credentials for the helper, whatever it calls
/// them.
const SECRET_SECTION: &str = "challenger-helper";

/// The whole configuration. Secrets are left out unless they are asked for.
pub(super) fn dump(config: &Config, show_secrets: bool) -> String {
    let mut dump = Dump::default();
    dump.head(config);
    for section in config.sections() {
        dump.section(section, show_secrets);
    }
    dump.0
}

#[derive(Default)]
struct Dump(String);

impl Dump {
    fn head(&mut self, config: &Config) {
        match config.main_file() {
            None => self.note("Entry point: none was found"),
            Some(file) => self.note(format_args!("Entry point: {}", secrecy::path(file))),
        }
        self.note("");
        self.note("Files as they were read; + marks those that the one above them includes:");
        for file in config.files() {
            let mark = if file.depth > 0 { "+ " } else { "" };
            let indent = "  ".repeat(file.depth);
            self.note(format_args!("  {indent}{mark}{}", secrecy::path(&file.path)));
        }
        self.note("");
        self.note("Built-in values of [PATHS], where no file says otherwise:");
        let paths = config.section("PATHS").map(|section| section.settings.as_slice());
        for setting in paths.unwrap_or_default().iter().filter(|setting| is_built_in(setting)) {
            self.note(format_args!("  {} = {}", setting.name, setting.value.text));
        }
        let warnings = config.warnings();
        if !warnings.is_empty() {
            self.note("");
            self.note("Warnings:");
        }
        for warning in warnings {
            self.note(format_args!("  {warning}"));
        }
    }

    fn section(&mut self, section: &Section, show_secrets: bool) {
        let Section { name, settings, hidden_in, secret_in } = section;
        let from_files = || settings.iter().filter(|setting| !is_built_in(setting));
        if from_files().next().is_none() && hidden_in.is_none() {
            return;
        }
        let shown = if show_secrets { name } else { secrecy::quote(name) };
        self.line(format_args!("\n[{shown}]"));
        if let Some(file) = hidden_in {
            self.note(format_args!("inaccessible: {}", state_of(file)));
            self.note("All its options count as absent.");
            return;
        }
        if let Some(file) = secret_in {
            self.note(format_args!("secret: {}", state_of(file)));
        }
        let is_all_secret = secret_in.is_some() || name.eq_ignore_ascii_case(SECRET_SECTION);
        for setting in from_files() {
            let Setting { name, value } = setting;
            self.line("");
            self.note(&value.origin);
            let is_secret = is_all_secret || secrecy::is_secret(name, &value.text);
            if is_secret && !show_secrets {
                let name = secrecy::name(name);
                self.note(format_args!("{name} is not shown: add --show-secrets to see it"));
            } else {
                self.line(format_args!("{name} = {}", quoted(&value.text)));
            }
        }
    }

    /// Adds a comment. File names may have line breaks, which must not end it.
    fn note(&mut self, text: impl Display) {
        let text = format!("# {text}").replace('\n', "\n# ");
        self.line(text.trim_end());
    }

    fn line(&mut self, text: impl Display) {
        self.0.push_str(&format!("{text}\n"));
    }
}

fn is_built_in(setting: &Setting) -> bool {
    setting.value.origin == Origin::BuiltIn
}

/// A file with its permissions, and the reason if it cannot be read.
fn state_of(file: &Path) -> String {
    let name = secrecy::path(file);
    let rights = match fs::metadata(file) {
        Ok(it) => format!("{:04o}, user {}, group {}", it.mode() & 0o7777, it.uid(), it.gid()),
        Err(error) => return format!("{name}: {error}"),
    };
    match File::open(file) {
        Ok(_) => format!("{name} ({rights})"),
        Err(error) => format!("{name} ({rights}): {error}"),
    }
}

#[cfg(test)]
mod tests {
    use challenger_server::config::Environment;

    use super::*;

    #[test]
    fn secrets_are_left_out_unless_they_are_asked_for() {
        let cases = [
            ("CONFIG", "postgres://user@host/challenger", false),
            ("CONFIG", "postgres://user:pw@host/challenger", true),
            ("CONFIG", "postgres://user:pw/challenger", true),
            ("API_KEY", "x", true),
        ];
        for (name, text, is_secret) in cases {
            let line = format!("[s]\n{name} = {text}");
            let config = Config::from_text(&line, &Environment::default()).unwrap();
            let dumped = dump(&config, false);
            assert_eq!(dumped.contains(&format!("\n# line 2\n{name} = {text}\n")), !is_secret);
            assert!(dump(&config, true).contains(&format!("{name} = {text}\n")));
        }
    }

    #[test]
    fn a_value_in_the_place_of_a_name_is_left_out() {
        let text = "[s]\nCONFIG postgres://user:pw@host/c?sslmode=disable\n";
        let config = Config::from_text(text, &Environment::default()).unwrap();
        assert!(dump(&config, false).contains("# line 2\n# *** is not shown"));
        assert!(!dump(&config, false).contains("pw"));
    }

    #[test]
    fn the_settings_of_the_helper_are_secrets() {
        let text = "[Challenger-Helper]\nSMTP_USER = ada\n";
        let config = Config::from_text(text, &Environment::default()).unwrap();
        assert!(dump(&config, false).contains("# line 2\n# SMTP_USER is not shown"));
        assert!(dump(&config, true).contains("# line 2\nSMTP_USER = ada\n"));
    }

    #[test]
    fn a_line_break_does_not_end_a_comment() {
        let mut dump = Dump::default();
        dump.note("a\nb\n");
        assert_eq!(dump.0, "# a\n# b\n#\n");
    }
}
