//! Our own name for EHLO (RFC 5321 §4.1.1.1).

use std::fs;
use std::net::IpAddr;

use rustix::system::uname;

/// The longest domain, in bytes (RFC 5321 §4.5.3.1.2).
const DOMAIN_MAX: usize = 255;
/// The longest part of a domain, in bytes (RFC 1035 §2.3.4).
const LABEL_MAX: usize = 63;

/// The full name of this machine: as the kernel knows it, or as `/etc/hosts` completes it. Without
/// one, it is the address of our end of the connection (RFC 5321 §4.1.4).
pub(super) fn hello(local: IpAddr) -> String {
    let system = uname();
    let name = system.nodename().to_string_lossy();
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    full_name(&name, &hosts).unwrap_or_else(|| literal(local))
}

/// The name if it is full, or else the full one in the table of hosts to which it belongs.
fn full_name(name: &str, hosts: &str) -> Option<String> {
    if is_full(name) {
        return Some(name.to_owned());
    }
    let mut lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.find_map(|line| {
        // The address, the canonical name, and others.
        let mut names = line.split_whitespace().skip(1);
        let canonical = names.next().filter(|canonical| is_full(canonical))?;
        let is_ours = canonical.split('.').next() == Some(name) || names.any(|it| it == name);
        is_ours.then(|| canonical.to_owned())
    })
}

/// Whether this is a domain of several parts, and not a name that every machine has.
pub(in crate::send_email) fn is_full(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=LABEL_MAX).contains(&label.len())
            && label.bytes().all(is_part)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    name.len() <= DOMAIN_MAX
        && name.contains('.')
        && name.split('.').all(is_label)
        && !name.rsplit('.').next().is_some_and(is_number)
        && !name.to_ascii_lowercase().starts_with("localhost.")
}

/// Whether this is an address literal (RFC 5321 §4.1.3).
pub(in crate::send_email) fn is_literal(name: &str) -> bool {
    let inside = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    inside.is_some_and(|text| match text.strip_prefix("IPv6:") {
        Some(address) => address.parse::<IpAddr>().is_ok_and(|address| address.is_ipv6()),
        None => text.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4()),
    })
}

/// An address as a literal.
fn literal(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_several_parts() {
        let label = "a".repeat(LABEL_MAX);
        let longest = "a.".repeat(DOMAIN_MAX / 2) + "a";
        let good = ["a.example", "mx-1.shop.example", "1.2.3.4a", &longest];
        for name in good.into_iter().chain([format!("{label}.example").as_str()]) {
            assert!(is_full(name), "{name}");
        }
        for name in [
            "",
            "shop",
            "localhost",
            "localhost.localdomain",
            "192.0.2.1",
            "shop.",
            ".shop",
            "a..b",
            "-a.example",
            "a-.example",
            "a_b.example",
            "ä.example",
            "a.example\r\nX",
            &format!("{label}a.example"),
            &format!("a{longest}"),
        ] {
            assert!(!is_full(name), "{name}");
        }
    }

    #[test]
    fn the_table_of_hosts_completes_a_name() {
        for (name, hosts, expected) in [
            ("mx.shop.example", "", Some("mx.shop.example")),
            ("mx", "", None),
            ("mx", "127.0.0.1 localhost\n127.0.1.1\tmx.shop.example mx\n", Some("mx.shop.example")),
            ("mx", "192.0.2.1 mx.shop.example # ours", Some("mx.shop.example")),
            ("mx", "#192.0.2.1 mx.shop.example mx", None),
            ("mx", "192.0.2.1 mx mx.shop.example", None),
            ("mx", "192.0.2.1 other.example a\n192.0.2.2 x.example mx", Some("x.example")),
            ("mx", "127.0.0.1 localhost.localdomain localhost mx", None),
            ("localhost", "127.0.0.1 localhost.localdomain localhost", None),
        ] {
            assert_eq!(full_name(name, hosts).as_deref(), expected, "{name}: {hosts}");
        }
    }

    #[test]
    fn addresses_become_literals() {
        for (address, expected) in [
            ("192.0.2.1", "[192.0.2.1]"),
            ("::ffff:192.0.2.1", "[192.0.2.1]"),
            ("2001:db8::1", "[IPv6:2001:db8::1]"),
        ] {
            let literal = literal(address.parse().unwrap());
            assert_eq!(literal, expected);
            assert!(is_literal(&literal));
        }
        for name in ["192.0.2.1", "[192.0.2]", "[2001:db8::1]", "[IPv6:192.0.2.1]", "[]", "[a.b]"] {
            assert!(!is_literal(name), "{name}");
        }
    }
}
