//! Where a PostgreSQL database is, and how it is connected to.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{LoadBalanceHosts, TargetSessionAttrs};

use super::host::{self, place};
use super::tls::{Connector, Encryption};
use crate::secrecy;

/// Where Debian's PostgreSQL listens, and where libpq looks there.
const SOCKETS: &str = "/var/run/postgresql";

/// How long each address of each host may take to let us in, as in `connect_timeout`.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest time to connect, whatever the operator set: a deadline must be a moment that exists.
const CONNECT_LIMIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// How long data may stay unacknowledged before a connection over TCP counts as lost. The
/// database's own timeouts do not help when the network is gone.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);

/// TCP keepalives: after how much silence to probe the machine of the database, at which interval,
/// and how many times. Data may have been acknowledged before the machine was lost. They do not
/// detect a server that hangs on a machine that runs.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

/// The default of the postgres crate, which is too late for people who wait.
const KEEPALIVE_IDLE_UNSET: Duration = Duration::from_secs(2 * 60 * 60);

/// The error for a text that cannot be read. It does not quote the text, because of the password.
const EXPECTED: &str = "a URI such as postgres:///challenger or \
     postgres://USER@HOST/DATABASE?sslmode=disable, with options that this program knows";

/// The error for a URI that could be read in two ways.
const EXPECTED_ESCAPES: &str = "a URI in which the user and the password have %40 for @, \
     %2F for /, %3F for ? and %23 for #, and that has no other @";

/// A PostgreSQL database that is reached over a Unix socket, on this machine, over TLS, or over a
/// network that the operator trusts.
#[derive(Clone)]
pub struct PostgresDatabase {
    config: Box<Config>,
    encryption: Encryption,
    place: String,
}

impl PostgresDatabase {
    /// Reads a URI, or `key=value` pairs, as libpq does. `variable` looks up `PGHOST`, `PGPORT`,
    /// `PGDATABASE`, `PGUSER` and `PGPASSWORD`, which fill what they leave open.
    ///
    /// # Errors
    /// The text cannot be read or used; the error says what is expected.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        if is_ambiguous(text) {
            return Err(EXPECTED_ESCAPES.to_owned());
        }
        let (text, encryption) = Encryption::take(text).ok_or_else(|| EXPECTED.to_owned())?;
        let mut config = text.parse::<Config>().map_err(|error| parse_error(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host(variable("PGHOST").unwrap_or_else(|| SOCKETS.to_owned()));
        }
        if let (true, Some(port)) = (config.get_ports().is_empty(), variable("PGPORT")) {
            config.port(port.parse().map_err(|_| "a port in PGPORT".to_owned())?);
        }
        if let (None, Some(name)) = (config.get_dbname(), variable("PGDATABASE")) {
            config.dbname(&name);
        }
        if let (None, Some(user)) = (config.get_user(), variable("PGUSER")) {
            config.user(&user);
        }
        if let (None, Some(password)) = (config.get_password(), variable("PGPASSWORD")) {
            config.password(password);
        }
        host::each(&config)?;
        if config.get_load_balance_hosts() != LoadBalanceHosts::Disable {
            return Err(
                "load_balance_hosts=disable, or none: the hosts are tried in order".to_owned()
            );
        }
        let (encryption, config) = encryption.check(config)?;
        let place = place(&config);
        Ok(Self { config: Box::new(config), encryption, place })
    }

    /// A server's message as it can be shown: servers quote names.
    pub(super) fn conceal(&self, message: &str) -> String {
        let names = [self.config.get_user(), self.config.get_dbname()];
        secrecy::conceal(message, &names.into_iter().flatten().collect::<Vec<_>>())
    }

    /// Makes the connections, with certificates as they are now.
    pub(super) fn connector(&self) -> Result<Connector, String> {
        self.encryption.connector()
    }

    /// How long an address may take to let us in.
    pub(super) fn connect_limit(&self) -> Duration {
        let limit = self.config.get_connect_timeout().unwrap_or(&CONNECT_TIMEOUT);
        Duration::min(*limit, CONNECT_LIMIT_MAX)
    }

    /// How to connect to each host.
    pub(super) fn hosts(&self) -> Result<Vec<Config>, String> {
        let config = self.config();
        let mut hosts = host::each(&config)?;
        // Of several, all but one are standbys.
        if hosts.len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
            for host in &mut hosts {
                host.target_session_attrs(TargetSessionAttrs::ReadWrite);
            }
        }
        Ok(hosts)
    }

    /// How to connect, with defaults for what the operator left open.
    fn config(&self) -> Config {
        let mut config = Config::clone(&self.config);
        if config.get_application_name().is_none() {
            config.application_name("challenger");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(TCP_TIMEOUT);
        }
        if config.get_keepalives_idle() == KEEPALIVE_IDLE_UNSET {
            config.keepalives_idle(KEEPALIVE_IDLE);
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(KEEPALIVE_INTERVAL);
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(KEEPALIVE_RETRIES);
        }
        config
    }
}

/// Whether a URI has an `@` that may not end the user and the password. RFC 3986 forbids that, but
/// the parser accepts it: it would look for the host in the rest of the password, and quote it.
fn is_ambiguous(text: &str) -> bool {
    let uri = secrecy::SCHEMES.iter().find_map(|it| text.strip_prefix(it));
    let parts = uri.and_then(|uri| uri.split_once('@'));
    parts.is_some_and(|(user, rest)| user.contains(['/', '?', '#']) || rest.contains('@'))
}

/// Names the place, without user and password, and without parts that do not look like a place.
impl fmt::Display for PostgresDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)
    }
}

impl fmt::Debug for PostgresDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresDatabase({self})")
    }
}

/// The part of the parser's error that is certain not to quote the text.
fn parse_error(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    if ["invalid value for option `sslmode`", "unknown option `sslrootcert`"].contains(&&*cause) {
        return Encryption::MODES.to_owned();
    }
    match cause.strip_prefix("invalid value for option ") {
        None => EXPECTED.to_owned(),
        Some(option) => format!("another value for its option {}", option.replace('`', "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PostgresDatabase, String> {
        PostgresDatabase::parse(text, |_| None)
    }

    #[test]
    fn databases_are_found_as_libpq_finds_them() {
        for (text, place) in [
            ("postgres:///challenger", "challenger at /var/run/postgresql"),
            ("postgresql:///challenger", "challenger at /var/run/postgresql"),
            ("postgres://ada@/challenger", "challenger at /var/run/postgresql"),
            ("postgres:///c?host=/run/pg&port=5433&user=ada", "c at /run/pg"),
            ("postgres://ada:secret@%2Frun%2Fpg:5433/c", "c at /run/pg"),
            ("host=/run/pg dbname=c password='my secret'", "c at /run/pg"),
            ("dbname=challenger", "challenger at /var/run/postgresql"),
            ("postgres://localhost:5433/c", "c at localhost"),
            ("postgres://ada@127.0.0.1/c?sslmode=prefer", "c at 127.0.0.1"),
            ("postgres://[::1]/c", "c at ::1"),
            ("hostaddr=127.0.0.2 dbname=c", "c at 127.0.0.2"),
            ("postgres://db.example/c?sslmode=disable", "c at db.example"),
            ("postgres://a.example,b.example/c?sslmode=disable", "c at a.example, b.example"),
        ] {
            let database = parse(text).unwrap();
            assert_eq!(database.to_string(), format!("PostgreSQL database {place}"), "{text}");
        }
    }

    #[test]
    fn the_environment_fills_what_is_left_open() {
        let variable = |name: &str| {
            let value = match name {
                "PGHOST" => "/run/env",
                "PGPORT" => "5555",
                "PGDATABASE" => "env",
                "PGUSER" => "eve",
                "PGPASSWORD" => "swordfish",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let it = PostgresDatabase::parse("postgres://", variable).unwrap();
        assert_eq!(it.to_string(), "PostgreSQL database env at /run/env");
        assert_eq!((it.config.get_ports(), it.config.get_user()), (&[5555][..], Some("eve")));
        assert_eq!(it.config.get_password(), Some(&b"swordfish"[..]));
        assert!(!format!("{it:?} {it}").contains("swordfish"));
        let text = "postgres://ada:secret@/own?host=/run/own&port=5433";
        let it = PostgresDatabase::parse(text, variable).unwrap();
        assert_eq!(it.to_string(), "PostgreSQL database own at /run/own");
        assert_eq!((it.config.get_ports(), it.config.get_user()), (&[5433][..], Some("ada")));
        assert_eq!(it.config.get_password(), Some(&b"secret"[..]));
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_quoting_it() {
        for (text, expected) in [
            ("", "ok"),
            ("challenger", EXPECTED),
            ("password=my secret=1", EXPECTED),
            ("postgres://ada:secret@localhost:port/c", "another value for its option port"),
            ("postgres://ada:@secret@localhost/c", EXPECTED_ESCAPES),
            ("postgres://ada:my/secret@localhost/c", EXPECTED_ESCAPES),
            ("postgres://ada:my?secret@localhost/c", EXPECTED_ESCAPES),
            ("postgres://ada:my#secret@localhost/c", EXPECTED_ESCAPES),
            ("postgres://ada:my@localhost/secret@localhost/c", EXPECTED_ESCAPES),
            ("postgres://localhost/c?password=my@secret", EXPECTED_ESCAPES),
            ("postgres:///ada:secret@localhost/c", EXPECTED_ESCAPES),
            ("host=/a,/b port=1,2,3 password=secret", "one port, or as many"),
            ("host=/a hostaddr=::1,::2 password=secret", "as many addresses in hostaddr"),
            ("host=/a,/b load_balance_hosts=random password=secret", "load_balance_hosts=disable"),
        ] {
            assert_refused(text, expected);
        }
    }

    fn assert_refused(text: &str, expected: &str) {
        let said = parse(text).err().unwrap_or_else(|| "ok".to_owned());
        assert!(said.starts_with(expected), "{text}: {said}");
        assert!(!said.contains("secret"), "{text}: {said}");
    }

    #[test]
    fn what_does_not_look_like_a_place_is_not_shown() {
        for (text, place) in [
            ("host=/run/ada:secret@pg dbname=c", " c at ***"),
            ("host=localhost,ada:secret@db hostaddr=127.0.0.1,127.0.0.1", " at localhost, ***"),
            ("postgres://localhost/c&password=secret", " *** at localhost"),
        ] {
            let database = parse(text).unwrap();
            assert_eq!(database.to_string(), format!("PostgreSQL database{place}"), "{text}");
        }
        assert_refused("host=ada:secret@db.example dbname=c", "sslmode=");
        // A server quotes the names that it was given.
        let database = parse("postgres://ada%3Asecret@localhost/c&d").unwrap();
        let said = "neither role \"ada:secret\" nor database \"c&d\" nor table \"c\" exist";
        let shown = "neither role \"***\" nor database \"***\" nor table \"c\" exist";
        assert_eq!(database.conceal(said), shown);
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn a_network_has_to_be_trusted() {
        let built_without = "sslmode=disable, because this program was built without TLS";
        for (text, expected) in [
            ("postgres://ada:secret@/c?sslrootcert=/x", built_without),
            ("postgres://db.example/c?sslmode=verify-full", built_without),
            ("host=h sslmode=verify-ca sslrootcert=/x", built_without),
            ("host=h sslmode=no", built_without),
            ("postgres:///c?sslmode=require", built_without),
            ("postgres://ada:secret@db.example/c", "sslmode=disable for the host db.example"),
            ("postgres://localhost,db.example/c", "sslmode=disable for the host db.example"),
            ("host=localhost hostaddr=192.0.2.1", "sslmode=disable for the host 192.0.2.1"),
        ] {
            assert_refused(text, expected);
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn a_network_has_to_be_trusted_or_encrypted() {
        for text in [
            "postgres://db.example/c?sslmode=require",
            "postgres://db.example/c?sslmode=verify-full",
            "postgres://db.example/c?sslmode=verify-full&sslrootcert=system",
            "postgres://db.example/c?sslmode=verify-ca&sslrootcert=/x",
            "hostaddr=192.0.2.1 sslmode=verify-full sslrootcert=/x",
            "postgres:///c?sslmode=verify-full&sslrootcert=/x",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
        for (text, expected) in [
            ("postgres://ada:secret@db.example/c", "sslmode=verify-full or sslmode=require for"),
            ("postgres://localhost,db.example/c", "sslmode=verify-full or sslmode=require for"),
            ("postgres://a:secret@h/c?sslrootcert=/x", "sslmode=verify-full with sslrootcert,"),
            ("host=h sslmode=disable sslrootcert=/x", "sslmode=verify-full with sslrootcert,"),
            ("postgres://h/c?sslmode=verify-ca", "sslrootcert=FILE with sslmode=verify-ca"),
            ("host=h sslmode=require sslrootcert=system", "sslmode=verify-full with sslrootcert="),
            ("postgres:///c?sslmode=verify", "another value for its option sslmode: "),
            ("postgres://ada:secret@h/c?sslcert=/x", EXPECTED),
        ] {
            assert_refused(text, expected);
        }
    }

    #[test]
    fn each_address_has_its_time() {
        for (text, seconds) in [
            ("postgres:///c", 3),
            ("postgres:///c?connect_timeout=10", 10),
            ("postgres:///c?connect_timeout=0", 3),
            ("postgres:///c?connect_timeout=9223372036854775807", 24 * 60 * 60),
        ] {
            let limit = parse(text).unwrap().connect_limit();
            assert_eq!(limit, Duration::from_secs(seconds), "{text}");
        }
    }

    #[test]
    fn of_several_hosts_one_that_takes_writes_is_right() {
        use TargetSessionAttrs::{Any, ReadOnly, ReadWrite};
        for (text, expected) in [
            ("postgres:///c", &[Any][..]),
            ("host=/a,/b", &[ReadWrite, ReadWrite]),
            ("hostaddr=127.0.0.1,::1", &[ReadWrite, ReadWrite]),
            ("host=/a,/b target_session_attrs=read-write", &[ReadWrite, ReadWrite]),
            ("host=/a,/b target_session_attrs=read-only", &[ReadOnly, ReadOnly]),
            ("postgres:///c?host=/a&target_session_attrs=read-write", &[ReadWrite]),
        ] {
            let hosts = parse(text).unwrap().hosts().unwrap();
            let wanted: Vec<_> = hosts.iter().map(Config::get_target_session_attrs).collect();
            assert_eq!(wanted, expected, "{text}");
        }
    }

    #[test]
    fn the_operators_parameters_win() {
        let config = parse("postgres:///c?connect_timeout=9&application_name=x").unwrap().config();
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(9)));
        assert_eq!(config.get_application_name(), Some("x"));
    }
}
