//! E-mail addresses, as all mail servers understand them.

use lettre::Address;

use super::text::is_visible;

/// Parses an address, and spells its domain in ASCII (RFC 5891 §4.4). An address with invisible
/// characters is refused: without them it would be another one.
pub(super) fn parse(text: &str) -> Option<Address> {
    let address: Address = text.parse().ok().filter(|_| text.chars().all(is_visible))?;
    if address.domain().is_ascii() {
        return Some(address);
    }
    let domain = idna::domain_to_ascii(address.domain()).ok()?;
    Address::new(address.user(), domain).ok()
}
