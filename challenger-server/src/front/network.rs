//! Addresses and networks of peers, as operators write them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses that begin with the same bits: `10.1.0.0/16`, or `2001:db8::1` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// How many bits all of them share.
    prefix: u8,
}

impl Network {
    /// An address, or a network in CIDR notation. An IPv4 one that is written as IPv6 counts as
    /// IPv4.
    ///
    /// # Errors
    /// The message says what would be accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| {
            format!(
                "addresses and networks such as 10.0.0.5, 10.1.0.0/16 or 2001:db8::/32, separated \
                 by spaces, and not {text:?}"
            )
        })?;
        let most = bits(address);
        let prefix = match prefix {
            None => most,
            Some(prefix) => {
                let digits = prefix.bytes().all(|byte| byte.is_ascii_digit());
                let number = if digits { prefix.parse().ok() } else { None };
                number
                    .filter(|number| *number <= most)
                    .ok_or_else(|| format!("a number from 0 to {most} behind {address}/"))?
            }
        };
        if first(address, prefix) != address {
            let network = Self { address: first(address, prefix), prefix };
            return Err(format!("the network {network} or the address {address}"));
        }
        Ok(match (address, address.to_canonical()) {
            (IpAddr::V6(_), canonical @ IpAddr::V4(_)) if prefix >= MAPPED => {
                Self { address: canonical, prefix: prefix - MAPPED }
            }
            _ => Self { address, prefix },
        })
    }

    /// Whether every address of its kind is in it.
    pub const fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Whether an address is in it. An IPv4 address may come as IPv6, as it does to a socket that
    /// serves both.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        bits(address) == bits(self.address) && first(address, self.prefix) == self.address
    }
}

/// How many bits of IPv6 come before an address of IPv4 (RFC 4291 §2.5.5.2).
const MAPPED: u8 = 96;

const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The first address of a network.
fn first(address: IpAddr, prefix: u8) -> IpAddr {
    let free = u32::from(bits(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(free).unwrap_or_default();
            Ipv4Addr::from(u32::from(address) & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(free).unwrap_or_default();
            Ipv6Addr::from(u128::from(address) & mask).into()
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, prefix } = self;
        if *prefix == bits(*address) { address.fmt(f) } else { write!(f, "{address}/{prefix}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_ends_where_its_bits_end() {
        let cases = [
            ("10.0.0.5", "10.0.0.5", "10.0.0.4"),
            ("10.0.0.5/32", "10.0.0.5", "10.0.0.6"),
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("10.0.0.128/25", "10.0.0.255", "10.0.0.127"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:db8::8000/113", "2001:db8::ffff", "2001:db8::7fff"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
        ];
        for (network, inside, outside) in cases {
            assert!(contains(network, inside), "{network} {inside}");
            assert!(!contains(network, outside), "{network} {outside}");
        }
    }

    #[test]
    fn addresses_of_ipv4_may_be_written_in_ipv6() {
        for network in ["10.1.0.0/16", "::ffff:10.1.0.0/112"] {
            for address in ["10.1.2.3", "::ffff:10.1.2.3"] {
                assert!(contains(network, address), "{network} {address}");
            }
            assert!(!contains(network, "::ffff:10.2.0.0"), "{network}");
        }
        assert!(contains("::ffff:10.0.0.5", "10.0.0.5"));
        assert!(!contains("::/0", "::ffff:10.0.0.5"), "it came by IPv4");
    }

    #[test]
    fn networks_are_written_as_they_are_read() {
        for text in ["10.0.0.5", "10.1.0.0/16", "0.0.0.0/0", "2001:db8::/32", "2001:db8::1"] {
            assert_eq!(Network::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Network::parse("10.0.0.5/32").unwrap().to_string(), "10.0.0.5");
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_would_be_one() {
        let refused = |text| Network::parse(text).unwrap_err();
        let texts = ["", "/", "/8", "proxy", "10.0.0", "10.0.0.01", "10.0.0.5,", "[::1]", "::1%lo"];
        for text in texts {
            assert!(refused(text).ends_with(&format!("and not {text:?}")), "{text}");
        }
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/-1", "10.0.0.0/8/8"] {
            assert_eq!(refused(text), "a number from 0 to 32 behind 10.0.0.0/", "{text}");
        }
        assert_eq!(refused("::/129"), "a number from 0 to 128 behind ::/");
        let cases = [
            ("10.1.2.3/16", "the network 10.1.0.0/16 or the address 10.1.2.3"),
            ("10.0.0.1/0", "the network 0.0.0.0/0 or the address 10.0.0.1"),
            ("2001:db8::1/32", "the network 2001:db8::/32 or the address 2001:db8::1"),
        ];
        for (text, expected) in cases {
            assert_eq!(refused(text), expected);
        }
    }
}
