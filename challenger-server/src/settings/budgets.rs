//! How many messages may be sent across all validations: to one address, to destinations, and by
//! the service.

use std::collections::BTreeMap;

use challenger_proto::address::Destination;
use challenger_proto::store::MessageBudget;
use challenger_proto::{Budgets, Service, Span};

use super::MAIN;
use super::reader::OptionReader;
use super::sections::origin;
use crate::config::{Config, Entry, Section};
use crate::secrecy;
use crate::spelling::{did_you_mean, suggestion};

/// What the sections of destinations are called, up to their names.
pub(super) const DESTINATION: &str = "challenger-destination";

/// The options of such a section that say what it is about, each with what it expects.
const KINDS: [(&str, ReadDestination, &str); 3] = [
    ("COUNTRY", Destination::country, "a country's code of two letters (ISO 3166-1), such as CH"),
    ("DOMAIN", Destination::domain, "a domain without an @, such as example.com"),
    (
        "PREFIX",
        prefix,
        "+ and digits without spaces, such as +41, or + alone for all numbers, or digits for \
         numbers without a country code",
    ),
];

/// All options of such a section.
pub const DESTINATION_OPTIONS: [&str; 5] = ["COUNTRY", "DOMAIN", "MESSAGES", "PERIOD", "PREFIX"];

/// The period of a budget that has none of its own.
const PERIOD: Span = Span::days(1);

type ReadDestination = fn(&str) -> Option<Destination>;

/// The budgets that many people share, as far as the configuration has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedBudgets {
    /// Destinations by the names of their sections, without what all of them begin with.
    pub destinations: BTreeMap<Destination, (String, MessageBudget)>,
    /// All messages of the service; `None`: any number.
    pub service: Option<MessageBudget>,
}

/// Reads all budgets, over the defaults for the type of address.
pub(super) fn read_budgets(reader: &mut OptionReader<'_>, budgets: &mut Budgets) {
    let address = budgets.address;
    let default = address.map_or(PERIOD, |it| it.period);
    let period = reader.period(MAIN, "ADDRESS_PERIOD");
    match read_messages(reader, "ADDRESS_MESSAGES") {
        Some(0) => {
            budgets.address = None;
            warn_of_no_limit(reader);
            warn_of_no_effect(reader, MAIN, "ADDRESS_PERIOD", "ADDRESS_MESSAGES");
        }
        messages => {
            let messages = messages.or_else(|| address.map(|it| it.messages));
            let period = period.unwrap_or(default);
            budgets.address = messages.map(|messages| MessageBudget { messages, period });
        }
    }
    let shared = read_shared(reader);
    budgets.service = shared.service;
    let destinations = shared.destinations.into_iter();
    budgets.destinations = destinations.map(|(it, (_, budget))| (it, budget)).collect();
}

/// Reads the budgets that many people share.
pub(super) fn read_shared(reader: &mut OptionReader<'_>) -> SharedBudgets {
    let period = reader.period(MAIN, "SERVICE_PERIOD").unwrap_or(PERIOD);
    let messages = read_messages(reader, "SERVICE_MESSAGES").filter(|messages| *messages > 0);
    if messages.is_none() {
        warn_of_no_effect(reader, MAIN, "SERVICE_PERIOD", "SERVICE_MESSAGES");
    }
    let service = messages.map(|messages| MessageBudget { messages, period });
    SharedBudgets { destinations: read_destinations(reader), service }
}

fn read_messages(reader: &mut OptionReader<'_>, option: &str) -> Option<u32> {
    reader.optional(option, |it| it.number(0..=u32::MAX.into()))?.try_into().ok()
}

/// Warns that nothing limits messages, and what that is worth to somebody who guesses.
fn warn_of_no_limit(reader: &mut OptionReader<'_>) {
    reader.warnings.push(format!(
        "[{MAIN}] ADDRESS_MESSAGES = 0: anybody may have any number of messages sent to an \
         address, and each brings guesses at its code, so that with enough validations somebody \
         proves an address that is not theirs"
    ));
}

/// Warns about a period without a number of messages.
fn warn_of_no_effect(reader: &mut OptionReader<'_>, section: &str, option: &str, other: &str) {
    if let Some(entry) = reader.config.entry(section, option) {
        let (origin, name) = (entry.origin(), secrecy::quote(section));
        reader.warnings.push(format!(
            "{origin}: [{name}] {option} does nothing without a number in {other} that is not 0"
        ));
    }
}

/// Warns about budgets that work, but may not be intended for these addresses.
pub(super) fn warn_about_budgets(reader: &mut OptionReader<'_>, service: &Service) {
    warn_of_short_period(reader, service);
    warn_of_destinations_without_addresses(reader, service);
}

/// Warns if the period of the address budget ends before a second message may be sent.
fn warn_of_short_period(reader: &mut OptionReader<'_>, service: &Service) {
    let interval = service.limits.retransmission_interval;
    let Some(MessageBudget { period, .. }) = service.budgets.address else { return };
    if interval != Span::FOREVER && period < interval {
        reader.warnings.push(format!(
            "[{MAIN}] ADDRESS_PERIOD is {}, shorter than RETRANSMISSION_INTERVAL, which is {}: \
             each period ends before a second message may be sent, so this limits almost nothing",
            period.to_text(),
            interval.to_text()
        ));
    }
}

/// A section whose name says that it is about a destination.
struct Part<'a> {
    section: &'a Section,
    /// What follows in its name.
    name: &'a str,
}

impl Part<'_> {
    /// The section's name as it may be shown.
    fn quoted(&self) -> &str {
        secrecy::quote(&self.section.name)
    }
}

fn parts(config: &Config) -> impl Iterator<Item = Part<'_>> {
    config.sections().iter().filter_map(|section| {
        let (head, name) = section.name.split_at_checked(DESTINATION.len())?;
        head.eq_ignore_ascii_case(DESTINATION).then_some(Part { section, name })
    })
}

fn read_destinations(
    reader: &mut OptionReader<'_>,
) -> BTreeMap<Destination, (String, MessageBudget)> {
    let mut found: BTreeMap<Destination, (String, MessageBudget)> = BTreeMap::new();
    let mut places: BTreeMap<Destination, String> = BTreeMap::new();
    for part in parts(reader.config) {
        let Some(name) = part.name.strip_prefix('-').filter(|name| !name.is_empty()) else {
            let (origin, name) = (origin(part.section), part.quoted());
            reader.errors.push(format!("{origin}[{name}]: expected [{DESTINATION}-NAME]"));
            continue;
        };
        warn_about_unknown_options(reader, &part);
        let section = part.section.name.as_str();
        let messages = reader.config.required(section, "MESSAGES");
        let messages = messages.and_then(|it| it.number(0..=u32::MAX.into()));
        let messages = reader.note(messages).and_then(|messages| u32::try_from(messages).ok());
        let period = reader.period(section, "PERIOD").unwrap_or(PERIOD);
        if messages == Some(0) {
            warn_of_no_effect(reader, section, "PERIOD", "MESSAGES");
        }
        let Some((entry, option, destination)) = read_destination(reader, &part) else { continue };
        if let Some(other) = places.get(&destination) {
            let expected = format!("another {option} than that of {other}");
            reader.errors.push(reader.config.refuse(section, option, &expected).to_string());
            continue;
        }
        let place = format!("[{}] at {}", part.quoted(), entry.origin());
        places.insert(destination.clone(), place);
        // One that is not complete is noticed as a second one all the same.
        let budget = MessageBudget { messages: messages.unwrap_or_default(), period };
        found.insert(destination, (name.to_owned(), budget));
    }
    found
}

/// The destination of a section, with the option that says it.
fn read_destination<'a>(
    reader: &mut OptionReader<'a>,
    part: &Part<'a>,
) -> Option<(Entry<'a>, &'static str, Destination)> {
    let section = part.section.name.as_str();
    if part.section.hidden_in.is_some() {
        // That it cannot be read is said already.
        return None;
    }
    let config = reader.config;
    let set = KINDS.iter().filter_map(|kind| Some((kind, config.entry(section, kind.0)?)));
    let set: Vec<_> = set.collect();
    let [((option, read, expected), entry)] = set[..] else {
        let (origin, name) = (origin(part.section), part.quoted());
        let names: Vec<&str> = set.iter().map(|((option, ..), _)| *option).collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(" and ") };
        reader.errors.push(format!(
            "{origin}[{name}] has {names}: expected one of COUNTRY, DOMAIN and PREFIX"
        ));
        return None;
    };
    let destination = read(entry.text());
    if destination.is_none() {
        reader.errors.push(config.refuse(section, option, expected).to_string());
    }
    Some((entry, option, destination?))
}

/// Numbers that begin with two zeros are tidied: they begin with a `+` then.
fn prefix(text: &str) -> Option<Destination> {
    Destination::prefix(text).filter(|_| !text.starts_with("00"))
}

fn warn_about_unknown_options(reader: &mut OptionReader<'_>, part: &Part<'_>) {
    for setting in &part.section.settings {
        let is_it = |option: &&str| option.eq_ignore_ascii_case(&setting.name);
        if !DESTINATION_OPTIONS.iter().any(is_it) {
            let (option, origin) = (secrecy::name(&setting.name), &setting.value.origin);
            let name = part.quoted();
            let meant = did_you_mean(suggestion(option, DESTINATION_OPTIONS));
            reader
                .warnings
                .push(format!("{origin}: [{name}] has no option {option}; ignored{meant}"));
        }
    }
}

/// Warns about destinations that no address of the service can belong to.
fn warn_of_destinations_without_addresses(reader: &mut OptionReader<'_>, service: &Service) {
    for part in parts(reader.config) {
        let section = part.section.name.as_str();
        for (option, read, _) in KINDS {
            let Some(entry) = reader.config.entry(section, option) else { continue };
            let Some(destination) = read(entry.text()) else { continue };
            let field = destination.field();
            let restriction = service.restrictions.get(field);
            let why = if !service.fields().contains(&field) {
                format!("ADDRESS_TYPE = {} has no {field}", service.address_type.as_str())
            } else if restriction.is_some_and(|it| !destination.is_allowed_by(&it.pattern)) {
                "ADDRESS_RESTRICTIONS refuses all of them".to_owned()
            } else {
                continue;
            };
            let (origin, name) = (entry.origin(), part.quoted());
            reader.warnings.push(format!(
                "{origin}: [{name}] {option} = {:?} has no addresses: {why}",
                entry.text()
            ));
        }
    }
}
