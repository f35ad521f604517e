//! The mailbox of an address: one text for all spellings that lead to the same person.

use alloc::string::String;

use crate::address::Address;
use crate::address::tidy::{dialled, without_trunk_zeros};
use crate::text::visible;

/// The mailbox of an address, only for comparing spellings. Two spellings of one mailbox should
/// give the same text. If two mailboxes give the same text, they share an interval and a budget.
pub(crate) fn mailbox(address: &Address) -> String {
    let mut text = String::new();
    for (name, value) in address.fields() {
        text.push_str(name);
        text.push('=');
        let number = if name == "CONTACT_PHONE" { dialled(value) } else { None };
        text.push_str(&of_value(number.as_deref().unwrap_or(value)));
        text.push('\n');
    }
    text
}

/// Addresses are tidy, so what is left is what the servers of a mailbox do not distinguish.
fn of_value(value: &str) -> String {
    let seen = visible(value).filter(|c| !c.is_whitespace() && !c.is_control());
    let seen: String = seen.flat_map(char::to_lowercase).collect();
    let is_number = |it: &&str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(number) = seen.strip_prefix('+').filter(is_number) {
        return without_trunk_zeros(number);
    }
    let Some((local, domain)) = seen.rsplit_once('@') else { return seen };
    // The largest providers ignore dots and tags, and all of them ignore quotes.
    let local = local.replace(['.', '"', '\\'], "");
    // A `+` at the beginning is no tag. At a gateway, it begins a telephone number (RFC 3191), and
    // all numbers there would be one mailbox.
    let (plus, name) = local.strip_prefix('+').map_or(("", &*local), |name| ("+", name));
    let (name, _) = name.split_once('+').unwrap_or((name, ""));
    let mut mailbox = String::from(plus);
    mailbox.push_str(name);
    mailbox.push('@');
    mailbox.push_str(domain.trim_end_matches('.'));
    mailbox
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::tidy::tidied;

    fn one(name: &str, value: &str) -> Address {
        Address::new([(name.into(), tidied(name, value))]).unwrap()
    }

    #[test]
    fn spellings_of_a_mailbox_are_one() {
        let same = |name: &str, spellings: &[&str]| {
            let first = mailbox(&one(name, spellings[0]));
            for spelling in spellings {
                assert_eq!(mailbox(&one(name, spelling)), first, "{spelling}");
            }
        };
        same(
            "CONTACT_EMAIL",
            &[
                "ada.lovelace@example.com",
                "Ada.Lovelace@EXAMPLE.com",
                "ada.lovelace+shop@example.com",
                "ada.lovelace+a+b@example.com.",
                " ada.love\u{200b}lace@exam\u{ad}ple.com",
                "adalovelace@example.com",
                "\"ada.lovelace\"@example.com",
                "ada.lovelace\u{3164}@example.com\u{e0041}",
                "\"ada.lovelace+shop\"@example.com",
                "\"ada\\.lovelace\"+shop@example.com",
            ],
        );
        same("CONTACT_PHONE", &["+41791234567", "+41 79 123-45-67", "0041 (79) 1234567"]);
        same("CONTACT_PHONE", &["+41791234567", "＋４１７９１２３４５６７", "+041 79 123 45 67"]);
        same("CONTACT_PHONE", &["+41791234567", "+41 079 123 45 67"]);
        same("CONTACT_PHONE", &["+15551234567", "+1 0555 123-4567"]);
        same("CONTACT_PHONE", &["+353861234567", "+353 086 123 4567"]);
        same(
            "CONTACT_PHONE",
            &[
                "+41791234567",
                "+41 79 123 45 67 ext. 8",
                "+41 79 123 45 67#9",
                "tel:+41791234567;1",
            ],
        );
        same("CONTACT_EMAIL", &["+41791234567@sms.example", "\"+41791234567\"+a@sms.example"]);
        same("ADDRESS_LINES", &["Strasse 1\n8001 Zürich", "STRASSE 1\n 8001  Zürich\u{2060}"]);
        same("N", &["Peer@Chat.example", "peer+x@chat.example"]);
    }

    #[test]
    fn mailboxes_are_told_apart() {
        let mailboxes = [
            one("CONTACT_EMAIL", "ada@example.com"),
            one("CONTACT_EMAIL", "bob@example.com"),
            one("CONTACT_EMAIL", "ada@example.org"),
            one("CONTACT_EMAIL", "ada@example-com"),
            one("OTHER_EMAIL", "ada@example.com"),
            one("CONTACT_PHONE", "+41791234567"),
            one("CONTACT_PHONE", "+41791234568"),
            one("CONTACT_PHONE", "+41790123456"),
            one("CONTACT_PHONE", "+41791023456"),
            one("CONTACT_PHONE", "none"),
            one("CONTACT_PHONE", "+"),
            // What gateways call people, and nobody's.
            one("CONTACT_EMAIL", "+41791234567@sms.example"),
            one("CONTACT_EMAIL", "+41791234568@sms.example"),
            one("CONTACT_EMAIL", "+@sms.example"),
            one("CONTACT_EMAIL", ".@sms.example"),
        ];
        for (at, address) in mailboxes.iter().enumerate() {
            for other in &mailboxes[at + 1..] {
                assert_ne!(mailbox(address), mailbox(other), "{address:?}");
            }
        }
    }
}
