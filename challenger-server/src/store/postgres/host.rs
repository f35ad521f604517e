//! The hosts of a PostgreSQL database: their names in messages, whether one is reached over a
//! network, and how to connect to each of them by itself.

use std::io;
use std::net::IpAddr;

use tokio::net::lookup_host;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::secrecy;

/// The port of a database for which none is set.
const PORT: u16 = 5432;

/// The database and its hosts, as they can be shown.
pub(super) fn place(config: &Config) -> String {
    // A database without a name is that of the user.
    let name = config.get_dbname().map(|name| format!(" {}", secrecy::part(name)));
    let name = name.unwrap_or_default();
    format!("PostgreSQL database{name} at {}", names(config).join(", "))
}

/// The hosts, as they can be shown.
pub(super) fn names(config: &Config) -> Vec<String> {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => secrecy::part(name).to_owned(),
        Host::Unix(path) => secrecy::part(&path.to_string_lossy()).to_owned(),
    });
    let names: Vec<String> = hosts.collect();
    if !names.is_empty() {
        return names;
    }
    config.get_hostaddrs().iter().map(ToString::to_string).collect()
}

/// Configurations for one host each, in order.
///
/// # Errors
/// There are more names than addresses or ports, or fewer; the error says what is expected.
pub(super) fn each(config: &Config) -> Result<Vec<Config>, String> {
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let (ports, number) = (config.get_ports(), hosts.len().max(addresses.len()));
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err("as many addresses in hostaddr as names in host".to_owned());
    }
    if ports.len() > 1 && ports.len() != number {
        return Err("one port, or as many as there are hosts".to_owned());
    }
    let one = |index| {
        let mut one = without_hosts(config);
        match hosts.get(index) {
            Some(Host::Tcp(name)) => one.host(name),
            Some(Host::Unix(path)) => one.host_path(path),
            None => &mut one,
        };
        if let Some(address) = addresses.get(index) {
            one.hostaddr(*address);
        }
        if let Some(port) = ports.get(index).or_else(|| ports.first()) {
            one.port(*port);
        }
        one
    };
    Ok((0..number).map(one).collect())
}

/// Configurations for each address of one host.
pub(super) async fn addresses(host: &Config) -> io::Result<Vec<Config>> {
    let ([Host::Tcp(name)], []) = (host.get_hosts(), host.get_hostaddrs()) else {
        return Ok(vec![host.clone()]);
    };
    let port = host.get_ports().first().copied().unwrap_or(PORT);
    let found = lookup_host((name.as_str(), port)).await?;
    let one = |address: IpAddr| {
        let mut one = host.clone();
        one.hostaddr(address);
        one
    };
    Ok(found.map(|address| one(address.ip())).collect())
}

/// A configuration has no way to forget its hosts.
fn without_hosts(config: &Config) -> Config {
    let mut copy = Config::new();
    if let Some(it) = config.get_user() {
        copy.user(it);
    }
    if let Some(it) = config.get_password() {
        copy.password(it);
    }
    if let Some(it) = config.get_dbname() {
        copy.dbname(it);
    }
    if let Some(it) = config.get_options() {
        copy.options(it);
    }
    if let Some(it) = config.get_application_name() {
        copy.application_name(it);
    }
    if let Some(it) = config.get_connect_timeout() {
        copy.connect_timeout(*it);
    }
    if let Some(it) = config.get_tcp_user_timeout() {
        copy.tcp_user_timeout(*it);
    }
    if let Some(it) = config.get_keepalives_interval() {
        copy.keepalives_interval(it);
    }
    if let Some(it) = config.get_keepalives_retries() {
        copy.keepalives_retries(it);
    }
    copy.keepalives(config.get_keepalives()).keepalives_idle(config.get_keepalives_idle());
    copy.ssl_mode(config.get_ssl_mode()).ssl_negotiation(config.get_ssl_negotiation());
    copy.target_session_attrs(config.get_target_session_attrs());
    copy.channel_binding(config.get_channel_binding());
    copy.load_balance_hosts(config.get_load_balance_hosts());
    copy
}

/// The first host that is reached over a network, as it can be shown. Where there are addresses,
/// they count and not the names.
pub(super) fn remote_host(config: &Config) -> Option<String> {
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().find(|address| !address.is_loopback()).map(ToString::to_string);
    }
    config.get_hosts().iter().find_map(|host| match host {
        Host::Tcp(name) if !is_this_machine(name) => Some(secrecy::part(name).to_owned()),
        Host::Tcp(_) | Host::Unix(_) => None,
    })
}

fn is_this_machine(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_all_of_the_configuration() {
        let common = "user=ada password=pw dbname=c options=-cx application_name=x \
            connect_timeout=1 tcp_user_timeout=2 keepalives=0 keepalives_idle=3 \
            keepalives_interval=4 keepalives_retries=5 sslmode=require sslnegotiation=direct \
            target_session_attrs=read-write channel_binding=require load_balance_hosts=random";
        let parse = |hosts: &str| format!("{hosts} {common}").parse::<Config>().unwrap();
        for (hosts, expected) in [
            ("host=a", &["host=a"][..]),
            ("host=a,/run,b port=1", &["host=a port=1", "host=/run port=1", "host=b port=1"]),
            ("host=a,b port=1,2", &["host=a port=1", "host=b port=2"]),
            ("hostaddr=::1,127.0.0.1", &["hostaddr=::1", "hostaddr=127.0.0.1"]),
            ("host=a,b hostaddr=::1,::2", &["host=a hostaddr=::1", "host=b hostaddr=::2"]),
        ] {
            let expected: Vec<_> = expected.iter().map(|it| parse(it)).collect();
            assert!(each(&parse(hosts)).unwrap() == expected, "{hosts}");
        }
        for hosts in ["host=a,b port=1,2,3", "host=a,b hostaddr=::1"] {
            assert!(each(&parse(hosts)).is_err(), "{hosts}");
        }
    }
}
