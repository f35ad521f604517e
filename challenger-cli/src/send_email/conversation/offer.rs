//! What a server offers.

use super::reply::Reply;

/// What the server offers in its reply to EHLO. Without one, it offers nothing.
#[derive(Default)]
pub(super) struct Offer {
    pub(super) starttls: bool,
    pub(super) smtputf8: bool,
    pub(super) mechanisms: Vec<String>,
}

impl Offer {
    /// Reads the keywords, in any case (RFC 5321 §4.1.1.1). Some servers write `AUTH=`.
    pub(super) fn read(reply: &Reply) -> Self {
        let mut offer = Self::default();
        for line in reply.lines.iter().skip(1) {
            let line = line.to_ascii_uppercase();
            let mut words = line.split(['=', ' ', '\t']).filter(|word| !word.is_empty());
            match words.next() {
                Some("STARTTLS") => offer.starttls = true,
                Some("SMTPUTF8") => offer.smtputf8 = true,
                Some("AUTH") => offer.mechanisms.extend(words.map(ToOwned::to_owned)),
                _ => {}
            }
        }
        offer
    }
}
