//! Typed values: numbers, choices, durations, file names.
//!
//! An empty option is set, too. A wrong value is an error that says what would be accepted.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::duration::{self, DurationError, TimeSpan};
use super::error::{ConfigError, LineError, Origin};
use super::expand::{self, ExpandError};
use super::{Config, Section, Setting};
use crate::secrecy;

/// An option that is set.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    config: &'a Config,
    section: &'a Section,
    pub(super) setting: &'a Setting,
}

impl<'a> Entry<'a> {
    /// The text, as it is written.
    pub fn text(self) -> &'a str {
        &self.setting.value.text
    }

    /// Where it was written.
    pub fn origin(self) -> &'a Origin {
        &self.setting.value.origin
    }

    /// Whether it is a default: nobody set it outside of the base configuration.
    pub fn is_default(self) -> bool {
        let is_base = |path: &PathBuf| {
            let base = self.config.files.get(..self.config.base_files).unwrap_or_default();
            base.iter().any(|file| file.path == *path)
        };
        match self.origin() {
            Origin::BuiltIn => true,
            Origin::File { path, .. } => is_base(path),
            Origin::Program | Origin::Text { .. } => false,
        }
    }

    /// A whole number in decimal digits.
    ///
    /// # Errors
    /// [`ConfigError::Value`], as from all methods.
    pub fn number(self, range: RangeInclusive<u64>) -> Result<u64, ConfigError> {
        // `parse` alone would take a plus sign.
        let number = self.text().parse().ok().filter(|_| !self.text().starts_with('+'));
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            self.refused(&format!("a number from {} to {}", range.start(), range.end()))
        })
    }

    /// The meaning of one of a few words, in any case.
    ///
    /// # Errors
    /// It is another word.
    pub fn choice<T: Copy>(self, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let choice = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(self.text()));
        choice.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.refused(&listed(&words))
        })
    }

    /// A duration.
    ///
    /// # Errors
    /// It is malformed or too long.
    pub fn duration(self) -> Result<TimeSpan, ConfigError> {
        duration::parse(self.text()).map_err(|error| {
            self.refused(match error {
                DurationError::Malformed => {
                    "a length of time like \"10 s\", \"1 h 30 min\", \"4 weeks 1 day\" or \
                     \"forever\" (units: us, ms, s, min, h, d, w, y)"
                }
                DurationError::TooLong => "at most 584,942 years, or \"forever\"",
            })
        })
    }

    /// A file name, absolute and with `$` and `~` expanded. An unknown name after a `$` is left as
    /// it is, with a warning.
    ///
    /// # Errors
    /// It is empty, or too long once it is expanded.
    pub fn filename(self) -> Result<PathBuf, ConfigError> {
        let Self { config, section, setting } = self;
        let expansion = expand::expand(self.text(), &|name| config.variable(name))
            .map_err(|error| self.refused(&bound(error)))?;
        for warning in expansion.warnings {
            let (section, name) = (secrecy::quote(&section.name), secrecy::name(&setting.name));
            config.warn(format!("{}: [{section}] {name}: {warning}", self.origin()));
        }
        let text = expansion.text;
        if text.is_empty() {
            // Taken literally, this would be the current directory.
            return Err(self.refused("a file name, or no such line"));
        }
        let after_home =
            text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let path = match after_home {
            None => PathBuf::from(text),
            Some(rest) => match config.environment.filled("HOME") {
                None => return Err(self.refused("no ~, because $HOME is not set")),
                Some(home) => PathBuf::from(format!("{home}{rest}")),
            },
        };
        Ok(config.environment.directory.join(path))
    }

    fn refused(self, expected: &str) -> ConfigError {
        ConfigError::Value {
            section: self.section.name.clone(),
            setting: Box::new(self.setting.clone()),
            expected: String::from(expected),
        }
    }
}

impl Config {
    /// An option by its names, in any case, if it is set. A hidden section has none.
    pub fn entry(&self, section: &str, option: &str) -> Option<Entry<'_>> {
        let section = self.section(section).filter(|section| section.hidden_in.is_none())?;
        Some(Entry { config: self, section, setting: section.setting(option)? })
    }

    /// An option that has to be set.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] says where to set it.
    pub fn required(&self, section: &str, option: &str) -> Result<Entry<'_>, ConfigError> {
        self.entry(section, option).ok_or_else(|| self.missing(section, option))
    }

    /// The error for a value that breaks a rule which only its reader knows. It quotes the value,
    /// so it is not for secrets. If the option is not set, the error is that it is missing.
    pub fn refuse(&self, section: &str, option: &str, expected: &str) -> ConfigError {
        match self.required(section, option) {
            Ok(entry) => entry.refused(expected),
            Err(missing) => missing,
        }
    }

    /// The value of a name after a `$`: an option of `[PATHS]`, else a variable.
    fn variable(&self, name: &str) -> Option<String> {
        let option = self.value("PATHS", name).map(|value| value.text.as_str());
        option.or_else(|| self.environment.variable(name)).map(String::from)
    }

    /// The name in a directive at `origin` with its `$` expanded. An unknown name is left as it is,
    /// with a warning.
    pub(super) fn included_name(&self, name: &str, origin: &Origin) -> Result<String, ConfigError> {
        let expansion = expand::expand(name, &|name| self.variable(name)).map_err(|error| {
            ConfigError::line(origin.clone(), LineError::NameUnbounded(bound(error)))
        })?;
        for warning in expansion.warnings {
            self.warn(format!("{origin}: {warning}"));
        }
        Ok(expansion.text)
    }

    fn missing(&self, section: &str, option: &str) -> ConfigError {
        let hidden_in = self.section(section).and_then(|section| section.hidden_in.as_deref());
        let advice = match (hidden_in, self.main_file()) {
            (Some(file), _) => {
                format!("its section is in {}, which cannot be read", secrecy::path(file))
            }
            (None, Some(file)) => format!("expected it in {}", secrecy::path(file)),
            (None, None) if self.usual_places.is_empty() => String::from("expected it to be set"),
            (None, None) => {
                let places: Vec<_> =
                    self.usual_places.iter().map(|path| secrecy::path(path)).collect();
                let places: Vec<&str> = places.iter().map(String::as_str).collect();
                format!("no configuration was found, expected one at {}", listed(&places))
            }
        };
        ConfigError::Missing {
            section: String::from(section),
            option: String::from(option),
            advice,
        }
    }
}

fn bound(error: ExpandError) -> String {
    match error {
        ExpandError::TooDeep => format!("at most {} levels of $", expand::LEVELS_MAX),
        ExpandError::TooLong => format!("at most {} bytes once $ is expanded", expand::TEXT_MAX),
    }
}

/// The words as an enumeration: `a`, `a or b`, `a, b or c`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => String::from(*word),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Environment;
    use super::*;

    fn config(text: &str) -> Config {
        let variables = [("HOME", "/home/u"), ("BOTH", "variable"), ("ONLY", "$BOTH/x")];
        let variables = variables.map(|(name, value)| (String::from(name), String::from(value)));
        let environment = Environment {
            variables: variables.into_iter().collect(),
            directory: PathBuf::from("/srv"),
            prefix: None,
        };
        Config::from_text(&format!("[Own]\n{text}"), &environment).unwrap()
    }

    /// Reads the option of `config(text)`.
    fn read<T>(
        text: &str,
        read: impl Fn(Entry<'_>) -> Result<T, ConfigError>,
    ) -> Result<T, String> {
        let config = config(text);
        let result = read(config.entry("own", "OPT").unwrap());
        assert_eq!(config.warnings(), [""; 0]);
        result.map_err(|error| {
            assert!(!error.is_missing());
            error.to_string()
        })
    }

    fn complaint<T>(text: &str, expected: &str) -> Result<T, String> {
        Err(format!("line 2: [Own] Opt = {text:?}: expected {expected}"))
    }

    #[test]
    fn absent_options_are_missing() {
        let config = config("");
        assert!(config.entry("own", "a").is_none());
        assert!(config.required("own", "a").unwrap_err().is_missing());
        assert!(config.refuse("own", "a", "x").is_missing());
    }

    #[test]
    fn texts_are_as_written() {
        let config = config("Opt = $HOME # x");
        assert_eq!(config.entry("OWN", "OPT").unwrap().text(), "$HOME # x");
        assert_eq!(config.required("own", "opt").unwrap().text(), "$HOME # x");
        assert_eq!(
            config.refuse("own", "opt", "something else").to_string(),
            "line 2: [Own] Opt = \"$HOME # x\": expected something else"
        );
    }

    #[test]
    fn numbers_are_digits_within_a_range() {
        let read = |text: &str| read(&format!("Opt = {text}"), |it| it.number(1..=65_535));
        for (text, number) in [("1", 1), ("65535", 65_535), ("007", 7), ("\"9967\"", 9967)] {
            assert_eq!(read(text), Ok(number));
        }
        let huge = "99999999999999999999999";
        for text in ["", "0", "65536", "-1", "+1", "1 ", "1 2", "0x10", "1.0", "١", huge] {
            let refused = complaint(text, "a number from 1 to 65535");
            assert_eq!(read(&format!("\"{text}\"")), refused, "{text:?}");
        }
    }

    #[test]
    fn words_are_chosen_in_any_case() {
        let serve = |text: &str| {
            let choices = [("tcp", 't'), ("unix", 'u'), ("systemd", 's')];
            read(&format!("Opt = {text}"), |it| it.choice(&choices))
        };
        assert_eq!(serve("Unix"), Ok('u'));
        for text in ["", "1", "udp", "tcp unix", "t"] {
            assert_eq!(serve(text), complaint(text, "tcp, unix or systemd"));
        }
        let yes_no = |it: Entry<'_>| it.choice(&[("YES", true), ("NO", false)]);
        assert_eq!(read("Opt = no", yes_no), Ok(false));
        assert_eq!(read("Opt = true", yes_no), complaint("true", "YES or NO"));
    }

    #[test]
    fn durations_name_what_is_wrong() {
        let read = |text: &str| read(&format!("Opt = {text}"), |it| it.duration());
        assert_eq!(read("1 h"), Ok(TimeSpan::Finite(Duration::from_secs(3600))));
        assert_eq!(read("forever"), Ok(TimeSpan::Forever));
        let example = "a length of time like \"10 s\", \"1 h 30 min\", \"4 weeks 1 day\" or \
                       \"forever\" (units: us, ms, s, min, h, d, w, y)";
        assert_eq!(read("1 month"), complaint("1 month", example));
        let limit = "at most 584,942 years, or \"forever\"";
        assert_eq!(read("584943 years"), complaint("584943 years", limit));
    }

    #[test]
    fn file_names_are_expanded_and_absolute() {
        let read = |text: &str| {
            let text = format!("Opt = {text}\n[paths]\nBOTH = /path\nNEST = $BOTH/n");
            read(&text, |it| it.filename())
        };
        let cases = [
            ("/a/b", "/a/b"),
            ("a/b", "/srv/a/b"),
            ("./a", "/srv/./a"),
            ("~", "/home/u"),
            ("~/x", "/home/u/x"),
            ("~x", "/srv/~x"),
            ("$BOTH/x", "/path/x"),
            ("$NEST", "/path/n"),
            ("$ONLY", "/path/x"),
            ("${NO:-~/x}", "/home/u/x"),
            ("${DATADIR}terms/", "/usr/share/challenger/terms/"),
            ("${CHALLENGER_DATA_HOME}x", "/home/u/.local/share/challenger/x"),
            ("${CHALLENGER_CONFIG_HOME}x", "/home/u/.config/challenger/x"),
            ("${CHALLENGER_CACHE_HOME}x", "/home/u/.cache/challenger/x"),
            ("${CHALLENGER_RUNTIME_DIR}x.sock", "/tmp/challenger-runtime/x.sock"),
        ];
        for (text, path) in cases {
            assert_eq!(read(text), Ok(PathBuf::from(path)), "{text:?}");
        }
        assert_eq!(read(""), complaint("", "a file name, or no such line"));
        let long = "x".repeat(70_000);
        assert_eq!(read(&long), complaint(&long, "at most 65536 bytes once $ is expanded"));
    }

    #[test]
    fn unknown_names_are_warned_about_once() {
        let config = config("Opt = $NO/x\nLoop = $SELF\n[paths]\nSELF = $SELF");
        let filename = |option: &str| config.entry("own", option).unwrap().filename();
        for _ in 0..2 {
            assert_eq!(filename("opt"), Ok(PathBuf::from("/srv/$NO/x")));
        }
        let warning = "line 2: [Own] Opt: \"$NO\" is neither in [PATHS] nor in the environment \
                       and stays as it is";
        assert_eq!(config.warnings(), [warning]);
        assert_eq!(
            filename("loop").unwrap_err().to_string(),
            "line 3: [Own] Loop = \"$SELF\": expected at most 128 levels of $"
        );
        let homeless = Config::from_text("[s]\nA = ~/x", &Environment::default()).unwrap();
        assert_eq!(
            homeless.entry("s", "A").unwrap().filename().unwrap_err().to_string(),
            "line 2: [s] A = \"~/x\": expected no ~, because $HOME is not set"
        );
    }
}
