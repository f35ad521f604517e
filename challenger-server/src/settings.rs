//! Reads the server's settings from the configuration, and reports all errors at once.

mod base_url;
mod budgets;
mod database;
mod front;
mod helper;
mod listen;
mod metrics;
mod reader;
mod sections;
mod service;

use std::collections::BTreeMap;
use std::fmt;

use challenger_proto::Service;
use challenger_proto::address::AddressType;

use self::base_url::{read_base_url, read_name};
pub use self::budgets::{DESTINATION_OPTIONS, SharedBudgets};
use self::front::{read_engine, read_limits};
use self::helper::{read_command, read_stays};
use self::listen::read_listen;
pub use self::metrics::METRICS_OPTIONS;
pub(crate) use self::metrics::SECTION as METRICS;
use self::metrics::read_metrics;
use self::reader::OptionReader;
use self::sections::warn_about_unknown_sections;
use self::service::{read_addresses, read_service};
use crate::config::{Config, Entry};
use crate::front::{Engine, Limits, Listener};
use crate::listen::Listen;
use crate::logging::LogFormat;
use crate::pages::{Messages, Sources, Templates};
use crate::places;
use crate::process::HelperCommand;
use crate::secrecy;
use crate::spelling::{did_you_mean, suggestion};
use crate::store::Database;

/// The section of the service's options.
pub(crate) const MAIN: &str = "challenger";

/// All options of the section `[challenger]`.
pub const OPTIONS: &[&str] = &[
    "ADDRESS_CHANGES",
    "ADDRESS_FIELDS",
    "ADDRESS_HINT",
    "ADDRESS_MESSAGES",
    "ADDRESS_PERIOD",
    "ADDRESS_RESTRICTIONS",
    "ADDRESS_TYPE",
    "AUTH_ADDRESS_FORMAT",
    "AUTH_COMMAND",
    "AUTH_HELPER",
    "AUTH_TIMEOUT",
    "BASE_URL",
    "BIND_TO",
    "BODY_TIMEOUT",
    "CLIENT_VALIDATIONS_MAX",
    "CODE_DURATION",
    "DB",
    "ENGINE",
    "HEAD_TIMEOUT",
    "HELPERS_MAX",
    "HELPERS_WAIT",
    "IDLE_TIMEOUT",
    "LOG_FORMAT",
    "MAX_CONNECTIONS",
    "MAX_CONNECTIONS_PER_PEER",
    "MESSAGE_TEMPLATE_FILE",
    "PIN_ATTEMPTS",
    "PIN_TRANSMISSIONS",
    "PORT",
    "PRIVACY_DIR",
    "PRIVACY_ETAG",
    "RETRANSMISSION_INTERVAL",
    "SERVE",
    "SERVICE_MESSAGES",
    "SERVICE_NAME",
    "SERVICE_PERIOD",
    "TEMPLATE_DIR",
    "TERMS_DIR",
    "TERMS_ETAG",
    "TOKEN_DURATION",
    "TRUSTED_PROXIES",
    "UNIXPATH",
    "UNIXPATH_MODE",
    "VALIDATION_DURATION",
    "VALIDATION_EXPIRATION",
];

/// How lines of the log can look.
const LOG_FORMATS: &[(&str, LogFormat)] = &[("json", LogFormat::Json), ("text", LogFormat::Text)];

/// Everything the server needs to know.
pub struct Settings {
    /// The settings of the core.
    pub service: Service,
    /// Where to listen.
    pub listen: Listen,
    /// Where to serve health and metrics, if that is wanted.
    pub metrics: Option<Listen>,
    /// The engine for HTTP.
    pub engine: Engine,
    /// The program that delivers messages.
    pub command: HelperCommand,
    /// Whether that program stays, and gets one message after the other.
    pub stays: bool,
    /// The message in each language.
    pub messages: Messages,
    /// The pages.
    pub templates: Templates,
    /// The host of the service, for messages; empty without a base URL.
    pub host: String,
    /// The database.
    pub database: Database,
    /// How many messages are delivered at the same time, and how many requests wait for that.
    pub places: places::Limits,
    /// The limits of connections.
    pub limits: Limits,
    /// How lines of the log look.
    pub log_format: LogFormat,
    /// Settings that work, but may not be intended.
    pub warnings: Vec<String>,
}

/// All errors of a configuration, and its warnings.
#[derive(Debug)]
pub struct SettingsError {
    /// Everything that has to be corrected.
    pub errors: Vec<String>,
    /// Settings that work, but may not be intended.
    pub warnings: Vec<String>,
}

impl fmt::Display for SettingsError {
    /// One error per line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.errors.join("\n"))
    }
}

impl std::error::Error for SettingsError {}

/// Reads the database alone, for the tools that need nothing else.
///
/// # Errors
/// An option is missing or wrong.
pub fn database(config: &Config) -> Result<Database, SettingsError> {
    part(config, database::read)
}

/// Reads what addresses look like, for tools. Everything else about the service is as by default.
///
/// # Errors
/// An option is missing or wrong.
pub fn addresses(config: &Config) -> Result<Service, SettingsError> {
    part(config, |reader| read_addresses(reader).map(|(service, _)| service))
}

/// Reads the budgets that many people share, for tools.
///
/// # Errors
/// An option is missing or wrong.
pub fn shared_budgets(config: &Config) -> Result<SharedBudgets, SettingsError> {
    part(config, |reader| Some(budgets::read_shared(reader)))
}

/// Makes the pages for a proxy's own answers, which need no other setting to be right.
///
/// # Errors
/// A template is broken.
pub fn error_pages(config: &Config) -> Result<BTreeMap<String, String>, SettingsError> {
    part(config, |reader| {
        let (host, _) = read_base_url(reader);
        let name = read_name(reader).unwrap_or(host);
        let sources = read_sources(reader);
        Some(read_templates(reader, &sources).error_pages(&name))
    })
}

/// Reads a part of the settings alone.
fn part<T>(
    config: &Config,
    read: impl FnOnce(&mut OptionReader<'_>) -> Option<T>,
) -> Result<T, SettingsError> {
    let mut reader = OptionReader::new(config);
    let part = read(&mut reader).filter(|_| reader.errors.is_empty());
    part.ok_or(SettingsError { errors: reader.errors, warnings: reader.warnings })
}

impl Settings {
    /// Reads the settings, and the files they name. The socket that a service manager passed, if
    /// there is one, takes precedence over what they say about listening.
    ///
    /// # Errors
    /// Everything that is wrong, each with section and option, and with file and line if there is
    /// one.
    pub fn read(config: &Config, given: Option<Listener>) -> Result<Self, SettingsError> {
        let given = given.map_or(Given::Nothing, Given::Socket);
        let PartialSettings { parts, errors, warnings } = PartialSettings::read(config, given);
        match parts.complete(warnings) {
            Ok(settings) if errors.is_empty() => Ok(settings),
            Ok(Self { warnings, .. }) | Err(warnings) => Err(SettingsError { errors, warnings }),
        }
    }

    /// The error that would keep every message from being sent, if there is one.
    pub fn helper_missing(&self) -> Option<String> {
        helper_missing(&self.command)
    }
}

/// The socket of the service manager.
pub(crate) enum Given {
    /// It passed none.
    Nothing,
    /// It passed this one.
    Socket(Listener),
    /// It was not asked: this process is not going to serve.
    Unasked,
}

/// The settings as far as they can be read, and everything that is wrong with them.
pub(crate) struct PartialSettings {
    pub(crate) parts: Parts,
    pub(crate) errors: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// The parts of the settings. Each is read even if others are wrong, so that all errors are
/// reported at once.
pub(crate) struct Parts {
    pub(crate) service: Option<Service>,
    pub(crate) listen: Option<Listen>,
    pub(crate) metrics: Option<Listen>,
    pub(crate) command: Option<HelperCommand>,
    stays: bool,
    messages: Messages,
    templates: Templates,
    host: String,
    pub(crate) database: Option<Database>,
    places: places::Limits,
    limits: Limits,
    log_format: LogFormat,
    engine: Engine,
}

impl PartialSettings {
    pub(crate) fn read(config: &Config, given: Given) -> Self {
        let mut reader = OptionReader::new(config);
        warn_about_unknown_sections(&mut reader);
        warn_about_unknown_options(&mut reader);
        let mut service = read_service(&mut reader);
        let engine = read_engine(&mut reader, matches!(given, Given::Socket(_)));
        let listen = match given {
            Given::Socket(listener) => Some(Listen::Given(listener)),
            Given::Nothing => read_listen(&mut reader, false),
            Given::Unasked => read_listen(&mut reader, true),
        };
        let metrics = read_metrics(&mut reader);
        let command = read_command(&mut reader);
        let stays = read_stays(&mut reader, command.as_ref());
        let (host, issuer) = read_base_url(&mut reader);
        let name = read_name(&mut reader).unwrap_or_else(|| host.clone());
        let database = database::read(&mut reader);
        let (limits, places) = read_limits(&mut reader, engine);
        let log_format = reader.optional("LOG_FORMAT", |it| it.choice(LOG_FORMATS));
        let address_type = service.as_ref().map(|service| service.address_type.clone());
        let mut sources = read_sources(&mut reader);
        let messages = read_messages(&mut reader, address_type.as_ref(), &mut sources);
        let mistakes = reader.errors.len();
        let templates = read_templates(&mut reader, &sources);
        let are_complete = reader.errors.len() == mistakes;
        if let Some(service) = &mut service {
            service.issuer = issuer;
            service.name = name;
            service.message_languages = messages.languages().map(str::to_owned).collect();
            service.pages = templates.page_set(&service.address_type);
            reader.warnings.extend(templates.dead_ends(service));
            reader.warnings.extend(templates.unused(&service.address_type, &sources));
            // A page with a mistake has a complaint already, and a file that exists.
            let missing = templates.missing(&service.address_type);
            for missing in missing.into_iter().filter(|_| are_complete) {
                reader.warnings.push(format!(
                    "there is no template {missing}; browsers that ask for this page get a 406"
                ));
            }
        }
        let OptionReader { errors, warnings: own, .. } = reader;
        // Last, because some of it is only noticed when an option is read.
        let warnings = config.warnings().into_iter().chain(own).collect();
        let parts = Parts {
            service,
            listen,
            metrics,
            command,
            stays,
            messages,
            templates,
            host,
            database,
            places,
            limits,
            log_format: log_format.unwrap_or_default(),
            engine,
        };
        Self { parts, errors, warnings }
    }
}

impl Parts {
    /// All parts together; if one is missing, returns the warnings.
    fn complete(self, warnings: Vec<String>) -> Result<Settings, Vec<String>> {
        let Self { service, listen, command, messages, templates, host, database, .. } = self;
        let (Some(service), Some(listen), Some(command), Some(database)) =
            (service, listen, command, database)
        else {
            return Err(warnings);
        };
        Ok(Settings {
            service,
            listen,
            command,
            messages,
            templates,
            host,
            database,
            metrics: self.metrics,
            stays: self.stays,
            places: self.places,
            limits: self.limits,
            log_format: self.log_format,
            engine: self.engine,
            warnings,
        })
    }
}

/// The error that the helper does not exist. It may be installed before the first message, so this
/// does not keep the service from starting.
pub(crate) fn helper_missing(command: &HelperCommand) -> Option<String> {
    let program = secrecy::quote(command.program());
    (!command.exists()).then(|| {
        format!("[{MAIN}] AUTH_COMMAND: there is no program {program} that this user may run")
    })
}

/// Warns about unknown options: a misspelt one would otherwise be silently ignored.
fn warn_about_unknown_options(reader: &mut OptionReader<'_>) {
    let settings = reader.config.section(MAIN).map_or(&[][..], |section| &section.settings);
    for setting in settings {
        if !OPTIONS.iter().any(|option| option.eq_ignore_ascii_case(&setting.name)) {
            let (name, origin) = (secrecy::name(&setting.name), &setting.value.origin);
            let meant = did_you_mean(suggestion(name, OPTIONS.iter().copied()));
            reader
                .warnings
                .push(format!("{origin}: [{MAIN}] has no option {name}; ignored{meant}"));
        }
    }
}

/// Reads the sources of pages and messages: the shipped ones, over them the installed ones, and
/// over these the operator's.
fn read_sources(reader: &mut OptionReader<'_>) -> Sources {
    let installed = reader.config.entry("PATHS", "DATADIR").and_then(|it| it.filename().ok());
    let installed = installed.map(|path| path.join("templates")).filter(|path| path.is_dir());
    let chosen = reader.optional("TEMPLATE_DIR", Entry::filename);
    let mut sources = Sources::embedded();
    for folder in installed.into_iter().chain(chosen) {
        reader.complain_about("TEMPLATE_DIR", sources.overlay(&folder));
    }
    sources
}

/// Reads the message that the operator chose, or the one for this type of address.
fn read_messages(
    reader: &mut OptionReader<'_>,
    address_type: Option<&AddressType>,
    sources: &mut Sources,
) -> Messages {
    let mut option = "TEMPLATE_DIR";
    if let Some(file) = reader.optional("MESSAGE_TEMPLATE_FILE", Entry::filename) {
        option = "MESSAGE_TEMPLATE_FILE";
        reader.complain_about(option, sources.choose_message(&file));
    }
    let (messages, errors) = Messages::compile(sources, address_type);
    reader.complain_about(option, errors);
    reader.warnings.extend_from_slice(messages.warnings());
    messages
}

fn read_templates(reader: &mut OptionReader<'_>, sources: &Sources) -> Templates {
    let (templates, errors) = Templates::compile(sources);
    reader.complain_about("TEMPLATE_DIR", errors);
    reader.warnings.extend(sources.warnings());
    reader.warnings.extend(templates.warnings().map(str::to_owned));
    templates
}
