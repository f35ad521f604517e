//! Percent-encoding (RFC 3986 §2.1).

use alloc::string::String;
use alloc::vec::Vec;

use crate::secret::base32::letter;

/// The bytes without their escapes; separators and `+` do not matter for the checks.
pub(crate) fn percent_decode(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        if *byte == b'%' {
            let high = hex_digit(*rest.next()?)?;
            let low = hex_digit(*rest.next()?)?;
            decoded.push(high * 16 + low);
        } else {
            decoded.push(*byte);
        }
    }
    Some(decoded)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Adds a value to a query, with everything escaped but RFC 3986's unreserved characters.
pub(crate) fn push_percent_encoded(query: &mut String, value: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            query.push(char::from(byte));
        } else {
            query.extend(['%', letter(HEX, byte >> 4), letter(HEX, byte)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_leaves_unreserved_characters() {
        let mut query = String::from("a=");
        push_percent_encoded(&mut query, "aZ9-._~ /é&");
        assert_eq!(query, "a=aZ9-._~%20%2F%C3%A9%26");
    }
}
