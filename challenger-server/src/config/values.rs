//! Values as what they are meant to be: numbers, choices, lengths of time, file names.
//!
//! An absent option is `None`, an empty one is a value. A wrong one is an error that says what
//! would be accepted.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::duration::{self, DurationError, TimeSpan};
use super::error::ConfigError;
use super::expand::{self, ExpandError};
use super::{Config, Section, Setting};
use crate::secrecy;

impl Config {
    /// A value that must be there, read by one of the other methods.
    pub fn required<T>(
        &self,
        section: &str,
        option: &str,
        read: impl Fn(&Self, &str, &str) -> Result<Option<T>, ConfigError>,
    ) -> Result<T, ConfigError> {
        read(self, section, option)?.ok_or_else(|| self.missing(section, option))
    }

    /// A text, as it is written.
    pub fn string(&self, section: &str, option: &str) -> Result<Option<String>, ConfigError> {
        Ok(self.value(section, option).map(|value| value.text.clone()))
    }

    /// A whole number in decimal digits.
    pub fn number(
        &self,
        section: &str,
        option: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, ConfigError> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.read(section, option, &expected, |text| {
            // `parse` alone would take a plus sign.
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = if digits { text.parse().ok() } else { None };
            number.filter(|number| range.contains(number))
        })
    }

    /// `YES` or `NO`.
    pub fn yes_no(&self, section: &str, option: &str) -> Result<Option<bool>, ConfigError> {
        self.choice(section, option, &[("YES", true), ("NO", false)])
    }

    /// What one of a few words, in any case, stands for.
    pub fn choice<T: Copy>(
        &self,
        section: &str,
        option: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ConfigError> {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.read(section, option, &listed(&words), |text| {
            let choice = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
            choice.map(|(_, meaning)| *meaning)
        })
    }

    /// A length of time.
    pub fn duration(&self, section: &str, option: &str) -> Result<Option<TimeSpan>, ConfigError> {
        let Some((section, setting)) = self.setting(section, option) else {
            return Ok(None);
        };
        duration::parse(&setting.value.text).map(Some).map_err(|error| {
            let expected = match error {
                DurationError::Malformed => {
                    "a length of time like \"10 s\", \"1 h 30 min\", \"4 weeks 1 day\" or \
                     \"forever\" (units: us, ms, s, min, h, d, w, y)"
                }
                DurationError::TooLong => "at most 584,942 years, or \"forever\"",
            };
            wrong(section, setting, expected)
        })
    }

    /// A file name, absolute and with `$` and `~` expanded. A name that stands for nothing is left
    /// as it is, with a warning.
    pub fn filename(&self, section: &str, option: &str) -> Result<Option<PathBuf>, ConfigError> {
        let Some((section, setting)) = self.setting(section, option) else {
            return Ok(None);
        };
        let origin = &setting.value.origin;
        let expansion = expand::expand(&setting.value.text, &|name| self.variable(name))
            .map_err(|error| wrong(section, setting, &bound(error)))?;
        for warning in expansion.warnings {
            let (section, name) = (secrecy::quote(&section.name), secrecy::name(&setting.name));
            self.warn(format!("{origin}: [{section}] {name}: {warning}"));
        }
        let text = expansion.text;
        if text.is_empty() {
            // Taken literally, this would be the current directory.
            return Err(wrong(section, setting, "a file name, or no such line"));
        }
        let after_home =
            text.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let path = match after_home {
            None => PathBuf::from(text),
            Some(rest) => match self.environment.filled("HOME") {
                None => return Err(wrong(section, setting, "no ~, because $HOME is not set")),
                Some(home) => PathBuf::from(format!("{home}{rest}")),
            },
        };
        Ok(Some(self.environment.directory.join(path)))
    }

    /// The complaint about a value that is there but no good, for rules that only its reader knows.
    /// What is absent is missing. The complaint quotes the value, so it is not for secrets.
    pub fn refuse(&self, section: &str, option: &str, expected: &str) -> ConfigError {
        match self.setting(section, option) {
            None => self.missing(section, option),
            Some((section, setting)) => wrong(section, setting, expected),
        }
    }

    fn read<T>(
        &self,
        section: &str,
        option: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((section, setting)) = self.setting(section, option) else {
            return Ok(None);
        };
        match parse(&setting.value.text) {
            None => Err(wrong(section, setting, expected)),
            Some(value) => Ok(Some(value)),
        }
    }

    /// What a name stands for after a `$`: an option of `[PATHS]`, else a variable.
    fn variable(&self, name: &str) -> Option<String> {
        let option = self.value("PATHS", name).map(|value| value.text.as_str());
        option.or_else(|| self.environment.variable(name)).map(String::from)
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

fn wrong(section: &Section, setting: &Setting, expected: &str) -> ConfigError {
    ConfigError::Value {
        section: section.name.clone(),
        setting: Box::new(setting.clone()),
        expected: String::from(expected),
    }
}

fn bound(error: ExpandError) -> String {
    match error {
        ExpandError::TooDeep => format!("at most {} levels of $", expand::LEVELS_MAX),
        ExpandError::TooLong => format!("at most {} bytes once $ is expanded", expand::TEXT_MAX),
    }
}

/// The words as a sentence has them: `a`, `a or b`, `a, b or c`.
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

    /// The first is what is read from a value, the second what is said about it.
    fn outcome<T>(result: Result<Option<T>, ConfigError>) -> Result<T, String> {
        result.map(Option::unwrap).map_err(|error| {
            assert!(!error.is_missing());
            error.to_string()
        })
    }

    fn complaint<T>(text: &str, expected: &str) -> Result<T, String> {
        Err(format!("line 2: [Own] Opt = {text:?}: expected {expected}"))
    }

    #[test]
    fn absent_values_are_none() {
        let config = config("");
        assert_eq!(config.string("own", "a"), Ok(None));
        assert_eq!(config.number("own", "a", 0..=1), Ok(None));
        assert_eq!(config.yes_no("own", "a"), Ok(None));
        assert_eq!(config.choice("own", "a", &[("x", 1)]), Ok(None));
        assert_eq!(config.duration("own", "a"), Ok(None));
        assert_eq!(config.filename("own", "a"), Ok(None));
        assert!(config.refuse("own", "a", "x").is_missing());
    }

    #[test]
    fn strings_are_as_written() {
        let config = config("Opt = $HOME # x");
        assert_eq!(config.string("OWN", "OPT"), Ok(Some(String::from("$HOME # x"))));
        assert_eq!(config.required("own", "opt", Config::string), Ok(String::from("$HOME # x")));
        assert_eq!(
            config.refuse("own", "opt", "something else").to_string(),
            "line 2: [Own] Opt = \"$HOME # x\": expected something else"
        );
    }

    #[test]
    fn numbers_are_digits_within_a_range() {
        let read =
            |text: &str| outcome(config(&format!("Opt = {text}")).number("own", "OPT", 1..=65_535));
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
        let yes_no = |text: &str| outcome(config(&format!("Opt = {text}")).yes_no("own", "opt"));
        assert_eq!(yes_no("YES"), Ok(true));
        assert_eq!(yes_no("no"), Ok(false));
        for text in ["", "1", "true", "YES NO", "y"] {
            assert_eq!(yes_no(text), complaint(text, "YES or NO"));
        }
        let serve = |text: &str| {
            let choices = [("tcp", 't'), ("unix", 'u'), ("systemd", 's')];
            outcome(config(&format!("Opt = {text}")).choice("own", "opt", &choices))
        };
        assert_eq!(serve("Unix"), Ok('u'));
        assert_eq!(serve("udp"), complaint("udp", "tcp, unix or systemd"));
    }

    #[test]
    fn durations_name_what_is_wrong() {
        let read = |text: &str| outcome(config(&format!("Opt = {text}")).duration("own", "opt"));
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
            let config = config(&format!("Opt = {text}\n[paths]\nBOTH = /path\nNEST = $BOTH/n"));
            let path = outcome(config.filename("own", "opt"));
            assert_eq!(config.warnings(), Vec::<String>::new());
            path
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
        for _ in 0..2 {
            assert_eq!(config.filename("own", "opt"), Ok(Some(PathBuf::from("/srv/$NO/x"))));
        }
        let warning = "line 2: [Own] Opt: \"$NO\" is neither in [PATHS] nor in the environment \
                       and stays as it is";
        assert_eq!(config.warnings(), [warning]);
        assert_eq!(
            config.filename("own", "loop").unwrap_err().to_string(),
            "line 3: [Own] Loop = \"$SELF\": expected at most 128 levels of $"
        );
        let homeless = Config::from_text("[s]\nA = ~/x", &Environment::default()).unwrap();
        assert_eq!(
            homeless.filename("s", "A").unwrap_err().to_string(),
            "line 2: [s] A = \"~/x\": expected no ~, because $HOME is not set"
        );
    }
}
