//! The new text of a main file.
//!
//! - Lines that include other files stay, at the top, so those files are still read.
//! - Below them is every value that would be missing or different otherwise.
//! - Before the file is replaced, the whole configuration is read with the new text in its place.
//!   The result has to be exactly what was meant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use challenger_server::config::{Config, Disk, Files, Origin, Section, Setting};
use challenger_server::secrecy;
use ini::{EscapePolicy, Ini, LineSeparator, WriteOption};

use super::replace::replace;
use crate::common::load_config_from;
use crate::exit::Exit;

/// Rewrites the main file of a configuration and returns its path, or leaves it as it was.
///
/// # Errors
/// [`Exit::not_written`] says why it was left.
pub(super) fn rewrite(config: &Config, full: bool, show_secrets: bool) -> Result<PathBuf, Exit> {
    let Some(main) = config.main_file() else {
        return Err(Exit::not_written("there is no file to write to: expected --config=FILE"));
    };
    let place = |error: io::Error| Exit::not_written(format!("{}: {error}", secrecy::path(main)));
    let path = fs::canonicalize(main).map_err(place)?;
    let text = if full {
        refuse_secrets(config, show_secrets)?;
        render(config, None)?
    } else {
        let kept = directives(&fs::read(&path).map_err(place)?);
        let others = Overlay { path: &path, text: &kept }.load(main)?;
        let own = render(config, Some(&others))?;
        let gap = if kept.is_empty() || own.is_empty() { "" } else { "\n" };
        format!("{kept}{gap}{own}")
    };
    let after = Overlay { path: &path, text: &text }.load(main)?;
    if let Some(name) = first_difference(config, &after) {
        return Err(Exit::not_written(format!("{name} would not be read as it is meant")));
    }
    replace(&path, text.as_bytes()).map_err(place)?;
    Ok(path)
}

/// Refuses names and values that the syntax cannot express.
///
/// # Errors
/// The message says what would be accepted.
pub(super) fn check(section: &str, option: &str, value: &str) -> Result<(), &'static str> {
    let one_line = |text: &str| !text.contains(['\n', '\0']);
    if !one_line(section) || !one_line(value) {
        return Err("expected a section and a value without line breaks and NUL: there is no way \
                    to write them");
    }
    let starts_well = !option.starts_with(['#', '%', '@', '[', '\u{feff}']);
    let is_trimmed = !option.is_empty() && option == option.trim_ascii();
    if !one_line(option) || option.contains('=') || !starts_well || !is_trimmed {
        return Err("expected the name of an option on one line, without = and spaces around it, \
                    that does not start with #, %, @ or [");
    }
    Ok(())
}

/// A value as it has to be written. Quotes preserve spaces, and quotes. The # of a URL needs no
/// quotes here, but people and other programs take it for a comment.
pub(super) fn quoted(value: &str) -> String {
    let is_in_quotes = value.len() > 1 && value.starts_with('"') && value.ends_with('"');
    if is_in_quotes || value != value.trim_ascii() || value.contains('#') {
        format!("\"{value}\"")
    } else {
        value.to_string()
    }
}

/// A full main file has no secret files beside it: it would contain their secrets.
fn refuse_secrets(config: &Config, show_secrets: bool) -> Result<(), Exit> {
    for Section { name, hidden_in, secret_in, .. } in config.sections() {
        if let Some(file) = hidden_in {
            let (name, file) = (secrecy::quote(name), secrecy::path(file));
            return Err(Exit::not_written(format!("[{name}] is in {file}, which cannot be read")));
        }
        if let (Some(file), false) = (secret_in, show_secrets) {
            return Err(Exit::not_written(format!(
                "[{name}] is kept secret in {}: add --show-secrets to have it in the main file",
                secrecy::path(file)
            )));
        }
    }
    Ok(())
}

/// The lines that include other files, whose names are relative to this one.
fn directives(text: &[u8]) -> String {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let directives = lines.filter(|line| line.starts_with(b"@"));
    directives.map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect()
}

/// Everything that a configuration has and the others do not.
fn render(config: &Config, others: Option<&Config>) -> Result<String, Exit> {
    let mut ini = Ini::new();
    for section in config.sections() {
        let others = others.and_then(|others| others.section(&section.name));
        for setting in &section.settings {
            let other = others.and_then(|others| others.setting(&setting.name));
            let differs = other.is_none_or(|other| other.value.text != setting.value.text);
            if differs && setting.value.origin != Origin::BuiltIn {
                let value = quoted(&setting.value.text);
                ini.with_section(Some(&section.name)).set(&setting.name, value);
            }
        }
    }
    // Our reader knows no escapes.
    let options = WriteOption {
        escape_policy: EscapePolicy::Nothing,
        line_separator: LineSeparator::CR,
        kv_separator: " = ",
    };
    let mut bytes = Vec::new();
    ini.write_to_opt(&mut bytes, options).map_err(|error| Exit::not_written(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Exit::not_written(error.to_string()))
}

/// The files of this machine, but one has another text.
struct Overlay<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Overlay<'_> {
    fn load(&self, main: &Path) -> Result<Config, Exit> {
        load_config_from(self, Some(main))
    }
}

impl Files for Overlay<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == self.path { Ok(self.text.as_bytes().to_vec()) } else { Disk.read(path) }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        Disk.list(directory)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Disk.canonical(path)
    }
}

/// All values by section and option, whose case does not matter.
fn values(config: &Config) -> BTreeMap<(String, String), &str> {
    let mut values = BTreeMap::new();
    for section in config.sections() {
        for Setting { name, value } in &section.settings {
            let key = (section.name.to_ascii_lowercase(), name.to_ascii_lowercase());
            values.insert(key, value.text.as_str());
        }
    }
    values
}

/// The name of the first value that only one side has, or that differs.
fn first_difference(config: &Config, after: &Config) -> Option<String> {
    let (meant, read) = (values(config), values(after));
    let mut names = meant.keys().chain(read.keys());
    let different = names.find(|name| meant.get(*name) != read.get(*name));
    different.map(|(section, option)| format!("[{section}] {option}"))
}

#[cfg(test)]
mod tests {
    use challenger_server::config::Environment;
    use proptest::prelude::*;

    use super::*;

    /// The configuration that is read back after these values were set and written.
    fn read_back(values: &[(&str, &str, &str)]) -> Config {
        let environment = Environment::default();
        let mut config = Config::from_text("", &environment).unwrap();
        for (section, option, value) in values {
            check(section, option, value).unwrap();
            config.set(section, option, value);
        }
        let text = render(&config, None).unwrap();
        let after = Config::from_text(&text, &environment).unwrap();
        assert_eq!(first_difference(&config, &after), None, "{text}");
        after
    }

    #[test]
    fn odd_values_are_read_back() {
        let values = [
            "",
            " ",
            " blanks \t",
            "\"",
            "\"\"",
            "\"quoted\"",
            "\"half",
            "half\"",
            "'single'",
            "https://x.example/authorize#setup",
            "# no comment",
            "% no comment",
            "; no comment",
            "@inline@ x",
            "[section]",
            "a = b: c",
            "= x",
            "end\\",
            r"^\+41\n$",
            "one \r two",
            "\rx\r",
            "\u{feff}",
            "käse \u{a0}",
            r#"{"CONTACT_EMAIL": {"regex": "^.+@.+$", "hint": "a # b"}}"#,
        ];
        for value in values {
            let after = read_back(&[("s", "A", value), ("t", "B", value), ("s", "C", "next")]);
            for (section, option, text) in
                [("s", "A", value), ("t", "B", value), ("s", "C", "next")]
            {
                assert_eq!(after.value(section, option).unwrap().text, text, "{value:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        for (section, option, value) in [
            ("s\n", "A", ""),
            ("s", "A", "1\n2"),
            ("s", "A", "\n"),
            ("s", "A", "\0"),
            ("s", "", ""),
            ("s", " A", ""),
            ("s", "A\n", ""),
            ("s", "A=B", ""),
            ("s", "#A", ""),
            ("s", "%A", ""),
            ("s", "@A", ""),
            ("s", "[A", ""),
        ] {
            assert!(check(section, option, value).is_err(), "{section:?} {option:?} {value:?}");
        }
    }

    #[test]
    fn nothing_else_is_quoted() {
        for value in ["9967", "a b", "90 s", "${DATADIR}terms/", "a \"b\" c", "x\""] {
            assert_eq!(quoted(value), value);
        }
    }

    proptest! {
        #[test]
        fn any_values_are_read_back(
            a in "[^\n\0]{0,30}",
            b in "[\\[\\]@=\"'#%;:\\\\ a\t\r\u{feff}]{0,10}",
        ) {
            read_back(&[("s", "A", &a), ("s", "B", &b), ("S 2", "a b", &a), ("t", "A:", &b)]);
        }

        #[test]
        fn any_names_are_refused_or_read_back(
            section in "[\\[\\]@=\"#%;: a\t\r\n]{0,8}",
            option in "[\\[\\]@=\"#%;: a\t\r\n]{0,8}",
        ) {
            if check(&section, &option, "x]").is_ok() {
                read_back(&[(&section, &option, "x]")]);
            }
        }
    }
}
