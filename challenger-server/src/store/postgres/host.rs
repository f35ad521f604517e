//! The hosts of a PostgreSQL database: their names in messages, and whether one is reached over a
//! network.

use std::net::IpAddr;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use crate::secrecy;

/// The database and its hosts, as they can be shown.
pub(super) fn place(config: &Config) -> String {
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => secrecy::part(name).to_owned(),
        Host::Unix(path) => secrecy::part(&path.to_string_lossy()).to_owned(),
    });
    let mut places: Vec<String> = hosts.collect();
    if places.is_empty() {
        places.extend(config.get_hostaddrs().iter().map(ToString::to_string));
    }
    // A database without a name is that of the user.
    let name = config.get_dbname().map(|name| format!(" {}", secrecy::part(name)));
    let name = name.unwrap_or_default();
    format!("PostgreSQL database{name} at {}", places.join(", "))
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
