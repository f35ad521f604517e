//! From the configuration to what the server runs on, with every complaint at once.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use challenger_proto::{
    AddressFormat, AddressType, Documents, Limits, RedirectUri, Restrictions, Service, Span,
};

use crate::config::{Config, ConfigError, TimeSpan};
use crate::documents;
use crate::front::Listener;
use crate::listen::{Listen, PATH_MAX};
use crate::pages::{MessageTemplate, Templates};
use crate::process::Command;
use crate::store::Database;

mod database;

/// The section of the service.
const MAIN: &str = "challenger";
/// The file of our socket in the runtime directory, unless the operator says otherwise.
const SOCKET_NAME: &str = "httpd.sock";
/// Who may connect to it: we, and our group, to which the reverse proxy belongs.
const SOCKET_MODE: u32 = 0o660;
/// How long a helper may take, unless the operator says otherwise.
const AUTH_TIMEOUT: Duration = Duration::from_secs(30);
/// How many messages are delivered at the same time. Each costs a process, and a mail server that
/// hangs must not fill the machine with them.
const HELPERS_MAX: usize = 16;

/// Everything the server needs to know.
pub struct Settings {
    /// What the core decides by.
    pub service: Service,
    /// Where to listen.
    pub listen: Listen,
    /// Who delivers messages.
    pub command: Command,
    /// What the messages say.
    pub message: MessageTemplate,
    /// The pages.
    pub templates: Templates,
    /// Our own host, for messages; empty without a base URL.
    pub host: String,
    /// Where things are kept.
    pub database: Database,
    /// How many messages are delivered at the same time.
    pub helpers_max: usize,
    /// What works, but may not be meant.
    pub warnings: Vec<String>,
}

/// Everything that is wrong with a configuration.
#[derive(Debug)]
pub struct SettingsError(Vec<String>);

impl fmt::Display for SettingsError {
    /// One complaint in a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for SettingsError {}

/// Reads options and remembers what is wrong with them.
struct Reader<'a> {
    config: &'a Config,
    complaints: Vec<String>,
    warnings: Vec<String>,
}

impl Reader<'_> {
    fn note<T>(&mut self, result: Result<T, impl fmt::Display>) -> Option<T> {
        result.map_err(|error| self.complaints.push(error.to_string())).ok()
    }

    fn optional<T>(
        &mut self,
        option: &str,
        read: impl Fn(&Config, &str, &str) -> Result<Option<T>, ConfigError>,
    ) -> Option<T> {
        let result = read(self.config, MAIN, option);
        self.note(result).flatten()
    }

    fn required<T>(
        &mut self,
        option: &str,
        read: impl Fn(&Config, &str, &str) -> Result<Option<T>, ConfigError>,
    ) -> Option<T> {
        let result = self.config.required(MAIN, option, read);
        self.note(result)
    }

    /// Complains about the value of an option.
    fn refuse(&mut self, option: &str, expected: &str) {
        self.complaints.push(self.config.refuse(MAIN, option, expected).to_string());
    }

    /// A small number, or what the limits say already.
    fn count(&mut self, option: &str, least: u8, slot: &mut u8) {
        let range = u64::from(least)..=u64::from(u8::MAX);
        let number = self.optional(option, |c, s, o| c.number(s, o, range.clone()));
        if let Some(number) = number.and_then(|number| u8::try_from(number).ok()) {
            *slot = number;
        }
    }

    /// A time that ends, or what the limits say already. Parts of a second are rounded up.
    fn finite(&mut self, option: &str, slot: &mut Span) {
        match self.optional(option, Config::duration) {
            Some(TimeSpan::Finite(time)) if time > Duration::ZERO => *slot = whole_seconds(time),
            Some(_) => self.refuse(option, "a time longer than zero that is not forever"),
            None => {}
        }
    }

    /// A time that may be zero or forever, or what the limits say already.
    fn any_time(&mut self, option: &str, slot: &mut Span) {
        match self.optional(option, Config::duration) {
            Some(TimeSpan::Finite(time)) => *slot = whole_seconds(time),
            Some(TimeSpan::Forever) => *slot = Span::FOREVER,
            None => {}
        }
    }
}

fn whole_seconds(time: Duration) -> Span {
    let rest = u64::from(time.subsec_nanos() > 0);
    Span::seconds(time.as_secs().saturating_add(rest))
}

/// The store alone, for the tools that need nothing else.
///
/// # Errors
/// Which option is missing or wrong.
pub fn database(config: &Config) -> Result<Database, SettingsError> {
    let mut reader = Reader { config, complaints: Vec::new(), warnings: Vec::new() };
    database::read(&mut reader).ok_or(SettingsError(reader.complaints))
}

impl Settings {
    /// Reads the settings, and the files they name. The socket that a service manager passed, if
    /// there is one, takes precedence over what they say about listening.
    ///
    /// # Errors
    /// Everything that is wrong, each with section and option, and with file and line where there
    /// is one.
    pub fn read(config: &Config, given: Option<Listener>) -> Result<Self, SettingsError> {
        let mut reader = Reader { config, complaints: Vec::new(), warnings: config.warnings() };
        let service = read_service(&mut reader);
        let listen = given.map(Listen::Given).or_else(|| read_listen(&mut reader));
        let command = read_command(&mut reader);
        let host = read_host(&mut reader);
        let message = read_message(&mut reader);
        let database = database::read(&mut reader);
        let templates = read_templates(&mut reader);
        let (Some(mut service), Some(listen), Some(command)) = (service, listen, command) else {
            return Err(SettingsError(reader.complaints));
        };
        let (Some(message), Some(database), Some(templates)) = (message, database, templates)
        else {
            return Err(SettingsError(reader.complaints));
        };
        if !reader.complaints.is_empty() {
            return Err(SettingsError(reader.complaints));
        }
        service.pages = templates.page_set(&service.address_type);
        for missing in templates.missing(&service.address_type) {
            reader.warnings.push(format!(
                "there is no template {missing}; browsers that ask for this page get a 406"
            ));
        }
        reader.warnings.extend(templates.warnings().iter().cloned());
        let warnings = reader.warnings;
        let helpers_max = HELPERS_MAX;
        Ok(Self {
            service,
            listen,
            command,
            message,
            templates,
            host,
            database,
            helpers_max,
            warnings,
        })
    }
}

fn read_service(reader: &mut Reader<'_>) -> Option<Service> {
    let name = reader.required("ADDRESS_TYPE", Config::string)?;
    let Some(address_type) = AddressType::new(&name) else {
        reader.refuse("ADDRESS_TYPE", "a name of letters, digits, - and _, such as email or phone");
        return None;
    };
    let mut service = Service::new(address_type);
    read_limits(reader, &mut service.limits);
    service.address_hint = reader.optional("ADDRESS_HINT", Config::string).unwrap_or_default();
    let formats = [("json", AddressFormat::Json), ("plain", AddressFormat::Plain)];
    let format = reader.optional("AUTH_ADDRESS_FORMAT", |c, s, o| c.choice(s, o, &formats));
    service.address_format = format.unwrap_or_default();
    if service.address_format == AddressFormat::Plain
        && service.address_type.fields().is_some_and(|fields| fields.len() > 1)
    {
        reader.refuse("AUTH_ADDRESS_FORMAT", "json, because these addresses have several fields");
    }
    if let Some(json) = reader.optional("ADDRESS_RESTRICTIONS", Config::string) {
        match Restrictions::parse(&json) {
            Ok(restrictions) => service.restrictions = restrictions,
            Err(error) => reader.refuse("ADDRESS_RESTRICTIONS", &error.to_string()),
        }
    }
    service.terms = read_documents(reader, "TERMS_ETAG", "TERMS_DIR");
    service.privacy = read_documents(reader, "PRIVACY_ETAG", "PRIVACY_DIR");
    Some(service)
}

fn read_limits(reader: &mut Reader<'_>, limits: &mut Limits) {
    reader.count("ADDRESS_CHANGES", 0, &mut limits.address_changes);
    reader.count("PIN_TRANSMISSIONS", 1, &mut limits.pin_transmissions);
    reader.count("PIN_ATTEMPTS", 1, &mut limits.pin_attempts);
    reader.any_time("RETRANSMISSION_INTERVAL", &mut limits.retransmission_interval);
    reader.finite("VALIDATION_DURATION", &mut limits.validation_duration);
    reader.any_time("VALIDATION_EXPIRATION", &mut limits.validation_expiration);
    reader.finite("CODE_DURATION", &mut limits.code_duration);
    reader.finite("TOKEN_DURATION", &mut limits.token_duration);
}

/// Without a version there are no documents. With one, a directory that cannot be read is a
/// warning: the service can do its work without.
fn read_documents(reader: &mut Reader<'_>, etag: &str, directory: &str) -> Documents {
    let Some(version) = reader.optional(etag, Config::string) else { return Documents::default() };
    if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
        reader.refuse(etag, "the base name of the documents' files, of printable ASCII");
        return Documents::default();
    }
    let Some(path) = reader.required(directory, Config::filename) else {
        return Documents::default();
    };
    match documents::load(&path, &version) {
        Ok(loaded) => {
            reader.warnings.extend(loaded.warnings);
            if loaded.documents.is_empty() {
                let path = path.display();
                reader.warnings.push(format!(
                    "[{MAIN}] {etag} = {version}: there is no such document below {path}"
                ));
            }
            loaded.documents
        }
        Err(error) => {
            reader.warnings.push(format!("[{MAIN}] {directory}: {error}"));
            Documents::default()
        }
    }
}

fn read_listen(reader: &mut Reader<'_>) -> Option<Listen> {
    type Read = fn(&mut Reader<'_>) -> Option<Listen>;
    let choices: [(&str, Read); 3] =
        [("tcp", read_tcp), ("unix", read_unix), ("systemd", read_activated)];
    let read = reader.required("SERVE", |c, s, o| c.choice(s, o, &choices))?;
    read(reader)
}

fn read_tcp(reader: &mut Reader<'_>) -> Option<Listen> {
    let port = reader.required("PORT", |c, s, o| c.number(s, o, 1..=65535));
    let port = port.and_then(|port| u16::try_from(port).ok());
    let name = reader.optional("BIND_TO", Config::string);
    let port = port?;
    let Some(name) = name else {
        return Some(Listen::Tcp((Ipv6Addr::UNSPECIFIED, port).into()));
    };
    let address = match name.parse::<IpAddr>() {
        Ok(address) => Some(SocketAddr::new(address, port)),
        Err(_) => (name.as_str(), port).to_socket_addrs().ok().and_then(|mut all| all.next()),
    };
    if address.is_none() {
        reader.refuse("BIND_TO", "an IP address or a host name of this machine");
    }
    address.map(Listen::Tcp)
}

fn read_unix(reader: &mut Reader<'_>) -> Option<Listen> {
    let path = match reader.optional("UNIXPATH", Config::filename) {
        Some(path) => path,
        None => {
            let folder =
                reader.config.required("PATHS", "CHALLENGER_RUNTIME_DIR", Config::filename);
            reader.note(folder)?.join(SOCKET_NAME)
        }
    };
    let length = path.as_os_str().len();
    if length > PATH_MAX {
        let path = path.display();
        reader.complaints.push(format!(
            "[{MAIN}] UNIXPATH: {path} has {length} bytes, expected at most {PATH_MAX}"
        ));
    }
    let mode = reader.optional("UNIXPATH_MODE", Config::string);
    let Some(mode) = mode.as_deref().map_or(Some(SOCKET_MODE), octal) else {
        reader.refuse("UNIXPATH_MODE", "an octal number such as 660, and at most 777");
        return None;
    };
    if mode & 0o002 != 0 {
        reader.warnings.push(format!(
            "[{MAIN}] UNIXPATH_MODE = {mode:o}: everybody on this machine can connect"
        ));
    }
    Some(Listen::Unix { path, mode })
}

/// Permissions as chmod(1) takes them.
fn octal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mode = if digits { u32::from_str_radix(text, 8).ok() } else { None };
    mode.filter(|mode| *mode <= 0o777)
}

/// There is no such socket, or nobody would have asked.
fn read_activated(reader: &mut Reader<'_>) -> Option<Listen> {
    reader.refuse("SERVE", "tcp or unix, because the service manager passed no socket");
    None
}

fn read_command(reader: &mut Reader<'_>) -> Option<Command> {
    let timeout = match reader.optional("AUTH_TIMEOUT", Config::duration) {
        None => AUTH_TIMEOUT,
        Some(TimeSpan::Finite(time)) if time > Duration::ZERO => time,
        Some(_) => {
            reader.refuse("AUTH_TIMEOUT", "a time longer than zero that is not forever");
            AUTH_TIMEOUT
        }
    };
    let name = reader.required("AUTH_COMMAND", Config::string)?;
    if name.trim().is_empty() || name.contains('\0') {
        reader.refuse("AUTH_COMMAND", "the name or path of a program");
        return None;
    }
    // A bare name is looked up in PATH when the helper runs; a path is a file name like others.
    let program = if name.contains(['/', '$', '~']) {
        reader.required("AUTH_COMMAND", Config::filename)?.into_os_string()
    } else {
        name.into()
    };
    let Ok(program) = program.into_string() else {
        reader.refuse("AUTH_COMMAND", "a path in UTF-8");
        return None;
    };
    Some(Command::new(program, timeout))
}

fn read_host(reader: &mut Reader<'_>) -> String {
    let Some(url) = reader.optional("BASE_URL", Config::string) else {
        reader.warnings.push(format!(
            "[{MAIN}] BASE_URL is not set, so messages cannot say on which site to enter the code"
        ));
        return String::new();
    };
    match RedirectUri::parse(&url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => parsed.host().to_string(),
        Ok(_) | Err(_) => {
            reader.refuse("BASE_URL", "a URL such as https://challenger.example.com/");
            String::new()
        }
    }
}

fn read_message(reader: &mut Reader<'_>) -> Option<MessageTemplate> {
    let message = match reader.optional("MESSAGE_TEMPLATE_FILE", Config::filename) {
        Some(file) => MessageTemplate::load(&file),
        None => MessageTemplate::embedded(),
    };
    let message = message.map_err(|error| format!("[{MAIN}] MESSAGE_TEMPLATE_FILE: {error}"));
    reader.note(message)
}

/// The operator's templates, those that were installed, or those that came with the program.
fn read_templates(reader: &mut Reader<'_>) -> Option<Templates> {
    let chosen = reader.optional("TEMPLATE_DIR", Config::filename);
    let installed = reader.config.filename("PATHS", "DATADIR").ok().flatten();
    let installed = installed.map(|path| path.join("templates")).filter(|path| path.is_dir());
    let templates = match chosen.or(installed) {
        Some(directory) => Templates::load(&directory),
        None => Templates::embedded(),
    };
    let templates = templates.map_err(|error| format!("[{MAIN}] TEMPLATE_DIR: {error}"));
    reader.note(templates)
}
