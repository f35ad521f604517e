//! Reads options one by one, and remembers what is wrong with them.

use std::fmt;
use std::num::NonZeroU8;
use std::time::Duration;

use challenger_proto::Span;

use super::MAIN;
use crate::config::{Config, ConfigError, TimeSpan};
use crate::pages::TemplateError;

/// Reads options and remembers what is wrong with them.
pub(super) struct Reader<'a> {
    pub(super) config: &'a Config,
    pub(super) complaints: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn note<T>(&mut self, result: Result<T, impl fmt::Display>) -> Option<T> {
        result.map_err(|error| self.complaints.push(error.to_string())).ok()
    }

    pub(super) fn optional<T>(
        &mut self,
        option: &str,
        read: impl Fn(&Config, &str, &str) -> Result<Option<T>, ConfigError>,
    ) -> Option<T> {
        let result = read(self.config, MAIN, option);
        self.note(result).flatten()
    }

    pub(super) fn required<T>(
        &mut self,
        option: &str,
        read: impl Fn(&Config, &str, &str) -> Result<Option<T>, ConfigError>,
    ) -> Option<T> {
        let result = self.config.required(MAIN, option, read);
        self.note(result)
    }

    /// Complains about the value of an option.
    pub(super) fn refuse(&mut self, option: &str, expected: &str) {
        self.complaints.push(self.config.refuse(MAIN, option, expected).to_string());
    }

    /// Complains about the files that an option names.
    pub(super) fn complain_about(&mut self, option: &str, errors: Vec<TemplateError>) {
        for error in errors {
            let complaint = format!("[{MAIN}] {option}: {error}");
            // What pages and messages share is complained about by both.
            if !self.complaints.contains(&complaint) {
                self.complaints.push(complaint);
            }
        }
    }

    /// A small number, or what the limits say already.
    pub(super) fn count(&mut self, option: &str, slot: &mut u8) {
        if let Some(number) = self.small(option, 0) {
            *slot = number;
        }
    }

    /// The same for a number that is not zero.
    pub(super) fn count_from_one(&mut self, option: &str, slot: &mut NonZeroU8) {
        if let Some(number) = self.small(option, 1).and_then(NonZeroU8::new) {
            *slot = number;
        }
    }

    fn small(&mut self, option: &str, least: u8) -> Option<u8> {
        let range = u64::from(least)..=u64::from(u8::MAX);
        let number = self.optional(option, |c, s, o| c.number(s, o, range.clone()))?;
        u8::try_from(number).ok()
    }

    /// A time that ends, or what the limits say already. Parts of a second are rounded up.
    pub(super) fn finite(&mut self, option: &str, slot: &mut Span) {
        match self.optional(option, Config::duration) {
            Some(TimeSpan::Finite(time)) if time > Duration::ZERO => {
                *slot = self.whole_seconds(option, time);
            }
            Some(_) => self.refuse(option, "a time longer than zero that is not forever"),
            None => {}
        }
    }

    /// A time that may be zero or forever, or what the limits say already.
    pub(super) fn any_time(&mut self, option: &str, slot: &mut Span) {
        match self.optional(option, Config::duration) {
            Some(TimeSpan::Finite(time)) => *slot = self.whole_seconds(option, time),
            Some(TimeSpan::Forever) => *slot = Span::FOREVER,
            None => {}
        }
    }

    /// Parts of a second are rounded up. A number without a unit is one of microseconds, which
    /// nobody means.
    pub(super) fn whole_seconds(&mut self, option: &str, time: Duration) -> Span {
        let rest = time.subsec_nanos() > 0;
        if rest && time.as_secs() == 0 {
            self.warnings.push(format!(
                "[{MAIN}] {option} is less than a second and counts as one; a number without a \
                 unit is one of microseconds"
            ));
        }
        Span::seconds(time.as_secs().saturating_add(u64::from(rest)))
    }
}
