//! Reads options one by one, and collects their errors.

use std::fmt;
use std::mem;
use std::num::NonZeroU8;
use std::time::Duration;

use challenger_proto::Span;

use super::{MAIN, OPTIONS};
use crate::config::{Config, ConfigError, Entry, TimeSpan};
use crate::pages::TemplateError;
use crate::secrecy;

/// Reads the options of a section, and collects errors and warnings.
pub(super) struct OptionReader<'a> {
    pub(super) config: &'a Config,
    pub(super) section: &'static str,
    pub(super) errors: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl<'a> OptionReader<'a> {
    /// A reader of `[challenger]`.
    pub(super) const fn new(config: &'a Config) -> Self {
        Self { config, section: MAIN, errors: Vec::new(), warnings: Vec::new() }
    }

    /// Reads another section, for a moment.
    pub(super) fn within<T>(
        &mut self,
        section: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let before = mem::replace(&mut self.section, section);
        let value = read(self);
        self.section = before;
        value
    }

    /// The value of a result; an error is collected.
    pub(super) fn note<T>(&mut self, result: Result<T, impl fmt::Display>) -> Option<T> {
        result.map_err(|error| self.errors.push(error.to_string())).ok()
    }

    /// An option, unless it is absent or wrong.
    pub(super) fn optional<T>(
        &mut self,
        option: &str,
        read: impl FnOnce(Entry<'a>) -> Result<T, ConfigError>,
    ) -> Option<T> {
        self.note(read(self.entry(option)?))
    }

    /// An option that must not be absent.
    pub(super) fn required<T>(
        &mut self,
        option: &str,
        read: impl FnOnce(Entry<'a>) -> Result<T, ConfigError>,
    ) -> Option<T> {
        let entry = self.note(self.config.required(self.section, option))?;
        self.note(read(entry))
    }

    /// An option of any text.
    pub(super) fn text(&self, option: &str) -> Option<String> {
        self.entry(option).map(|entry| entry.text().to_owned())
    }

    /// An option of any text that must not be absent.
    pub(super) fn required_text(&mut self, option: &str) -> Option<String> {
        self.required(option, |entry| Ok(entry.text().to_owned()))
    }

    fn entry(&self, option: &str) -> Option<Entry<'a>> {
        let is_known = self.section != MAIN || OPTIONS.contains(&option);
        debug_assert!(is_known, "{option} is read, and not in OPTIONS");
        self.config.entry(self.section, option)
    }

    /// Collects an error about the value of an option.
    pub(super) fn refuse(&mut self, option: &str, expected: &str) {
        self.errors.push(self.config.refuse(self.section, option, expected).to_string());
    }

    /// Collects errors of the files that an option names.
    pub(super) fn complain_about(&mut self, option: &str, errors: Vec<TemplateError>) {
        for error in errors {
            let complaint = format!("[{MAIN}] {option}: {error}");
            // Pages and messages share files, and both report their errors.
            if !self.errors.contains(&complaint) {
                self.errors.push(complaint);
            }
        }
    }

    /// Replaces a limit by a small number, if one is set.
    pub(super) fn count(&mut self, option: &str, slot: &mut u8) {
        if let Some(number) = self.small(option, 0) {
            *slot = number;
        }
    }

    /// Replaces a limit by a small number other than zero, if one is set.
    pub(super) fn count_from_one(&mut self, option: &str, slot: &mut NonZeroU8) {
        if let Some(number) = self.small(option, 1).and_then(NonZeroU8::new) {
            *slot = number;
        }
    }

    fn small(&mut self, option: &str, least: u8) -> Option<u8> {
        let range = u64::from(least)..=u64::from(u8::MAX);
        let number = self.optional(option, |it| it.number(range))?;
        u8::try_from(number).ok()
    }

    /// Replaces a limit by a finite time, if one is set. Parts of a second are rounded up.
    pub(super) fn finite(&mut self, option: &str, slot: &mut Span) {
        if let Some(time) = self.period(MAIN, option) {
            *slot = time;
        }
    }

    /// A finite time in any section, if one is set. Parts of a second are rounded up.
    pub(super) fn period(&mut self, section: &str, option: &str) -> Option<Span> {
        debug_assert!(section != MAIN || OPTIONS.contains(&option), "{option} is in OPTIONS");
        match self.note(self.config.entry(section, option)?.duration())? {
            TimeSpan::Finite(time) if time > Duration::ZERO => {
                Some(self.whole_seconds(section, option, time))
            }
            TimeSpan::Finite(_) | TimeSpan::Forever => {
                let expected = "a time longer than zero that is not forever";
                self.errors.push(self.config.refuse(section, option, expected).to_string());
                None
            }
        }
    }

    /// Replaces a limit by a time that may be zero or forever, if one is set.
    pub(super) fn any_time(&mut self, option: &str, slot: &mut Span) {
        match self.optional(option, Entry::duration) {
            Some(TimeSpan::Finite(time)) => *slot = self.whole_seconds(MAIN, option, time),
            Some(TimeSpan::Forever) => *slot = Span::FOREVER,
            None => {}
        }
    }

    /// Rounds parts of a second up, and warns about a time below a second: it is probably a number
    /// without a unit, which counts microseconds.
    fn whole_seconds(&mut self, section: &str, option: &str, time: Duration) -> Span {
        let rest = time.subsec_nanos() > 0;
        if rest && time.as_secs() == 0 {
            let section = secrecy::quote(section);
            self.warnings.push(format!(
                "[{section}] {option} is less than a second and counts as one; a number without a \
                 unit is one of microseconds"
            ));
        }
        Span::seconds(time.as_secs().saturating_add(u64::from(rest)))
    }
}
