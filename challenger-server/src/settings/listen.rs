//! Where to listen.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use super::reader::OptionReader;
use crate::config::Entry;
use crate::listen::{Listen, PATH_MAX};
use crate::secrecy;

/// The default port.
const PORT: u16 = 9967;
/// The default file name of the service's socket, in the runtime directory.
const SOCKET_NAME: &str = "httpd.sock";
/// The default permissions of the socket: for us, and our group, to which the reverse proxy
/// belongs.
const SOCKET_MODE: u32 = 0o660;

/// Reads the options of one way to listen.
pub(super) type Read = fn(&mut OptionReader<'_>) -> Option<Listen>;

/// Reads where to listen. If the service manager `may_pass` a socket, `systemd` is allowed, and the
/// result is `None`.
pub(super) fn read_listen(reader: &mut OptionReader<'_>, may_pass: bool) -> Option<Listen> {
    let choices: [(&str, Read); 3] = [
        ("tcp", |it| read_tcp(it, Ipv6Addr::UNSPECIFIED.into(), Some(PORT))),
        ("unix", |it| read_unix(it, SOCKET_NAME)),
        ("systemd", if may_pass { read_later } else { read_activated }),
    ];
    if reader.text("SERVE").is_none() {
        return read_unix(reader, SOCKET_NAME);
    }
    let read = reader.optional("SERVE", |it| it.choice(&choices))?;
    read(reader)
}

/// Reads a port, which may have a default, and the address to bind if it is not the `usual` one.
pub(super) fn read_tcp(
    reader: &mut OptionReader<'_>,
    usual: IpAddr,
    default: Option<u16>,
) -> Option<Listen> {
    let port = match (reader.text("PORT"), default) {
        (None, Some(default)) => Some(default),
        _ => {
            let port = reader.required("PORT", |it| it.number(1..=65535));
            port.and_then(|port| u16::try_from(port).ok())
        }
    };
    let Some(name) = reader.text("BIND_TO") else {
        return port.map(|port| Listen::Tcp((usual, port).into()));
    };
    // The address is checked even without a port, to report all errors at once.
    let has_port = port.is_some();
    let port = port.unwrap_or_default();
    let address = match name.parse::<IpAddr>() {
        Ok(address) => Some(SocketAddr::new(address, port)),
        Err(_) => (name.as_str(), port).to_socket_addrs().ok().and_then(|mut all| all.next()),
    };
    if address.is_none() {
        reader.refuse("BIND_TO", "an IP address or a host name of this machine");
    }
    address.filter(|_| has_port).map(Listen::Tcp)
}

/// Reads a path, which has the `usual` name in the runtime directory unless another is set.
pub(super) fn read_unix(reader: &mut OptionReader<'_>, usual: &str) -> Option<Listen> {
    let path = match reader.optional("UNIXPATH", Entry::filename) {
        Some(path) => Some(path),
        None => {
            let folder = reader.config.required("PATHS", "CHALLENGER_RUNTIME_DIR");
            reader.note(folder.and_then(Entry::filename)).map(|folder| folder.join(usual))
        }
    };
    let length = path.as_ref().map_or(0, |path| path.as_os_str().len());
    if let Some(path) = path.as_ref().filter(|_| length > PATH_MAX) {
        let path = secrecy::path(path);
        reader.errors.push(format!(
            "[{}] UNIXPATH: {path} has {length} bytes, expected at most {PATH_MAX}",
            reader.section
        ));
    }
    let mode = reader.text("UNIXPATH_MODE");
    let Some(mode) = mode.as_deref().map_or(Some(SOCKET_MODE), octal) else {
        reader.refuse("UNIXPATH_MODE", "an octal number such as 660, and at most 777");
        return None;
    };
    if mode & 0o002 != 0 {
        reader.warnings.push(format!(
            "[{}] UNIXPATH_MODE = {mode:o}: everybody on this machine can connect",
            reader.section
        ));
    }
    path.map(|path| Listen::Unix { path, mode })
}

/// Permissions as chmod(1) takes them.
fn octal(text: &str) -> Option<u32> {
    // The conversion alone would take a plus sign.
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| !text.starts_with('+'));
    mode.filter(|mode| *mode <= 0o777)
}

/// Refuses `systemd`: with a socket from it, this is not called.
fn read_activated(reader: &mut OptionReader<'_>) -> Option<Listen> {
    reader.refuse("SERVE", "tcp or unix, because the service manager passed no socket");
    None
}

/// Accepts `systemd`: the socket may be there when the service is started.
const fn read_later(_: &mut OptionReader<'_>) -> Option<Listen> {
    None
}
