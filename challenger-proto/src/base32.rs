//! Crockford's base32, the text form of nonces, tokens and codes.

use alloc::string::String;

/// How many characters 32 bytes have: 51 with five bits each, and one with the last.
pub(crate) const TEXT_LEN: usize = 52;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Writes bytes as text: five bits a character from the most significant on, zero bits at the end,
/// no padding characters.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let mut pending: u16 = 0;
    let mut bits = 0;
    for byte in bytes {
        pending = (pending << 8) | u16::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(ALPHABET, pending >> bits));
        }
        pending &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(letter(ALPHABET, pending << (5 - bits)));
    }
    text
}

/// A letter of an alphabet, counted from its beginning again after its end.
#[expect(clippy::indexing_slicing, reason = "a remainder is less than its divisor")]
pub(crate) fn letter<const N: usize>(alphabet: &[u8; N], number: impl Into<usize>) -> char {
    char::from(alphabet[number.into() % N])
}

/// Reads 32 bytes from text of exactly [`TEXT_LEN`] characters. Case does not matter; `O` reads as
/// `0`, `I` and `L` as `1`, `U` as `V`. Anything else, and a last character with more than its one
/// significant bit, is `None`.
pub(crate) fn decode(text: &str) -> Option<[u8; 32]> {
    if text.len() != TEXT_LEN {
        return None;
    }
    let mut bytes = [0; 32];
    let mut filled = bytes.iter_mut();
    let mut pending: u16 = 0;
    let mut bits = 0;
    for character in text.bytes() {
        pending = (pending << 5) | value(character)?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *filled.next()? = u8::try_from(pending >> bits).ok()?;
            pending &= (1 << bits) - 1;
        }
    }
    (pending == 0).then_some(bytes)
}

fn value(character: u8) -> Option<u16> {
    let canonical = match character.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        b'U' => b'V',
        other => other,
    };
    let position = ALPHABET.iter().position(|letter| *letter == canonical)?;
    u16::try_from(position).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTING: &str = "000G40R40M30E209185GR38E1W8124GK2GAHC5RR34D1P70X3RFG";

    fn counting() -> [u8; 32] {
        core::array::from_fn(|index| u8::try_from(index).unwrap())
    }

    #[test]
    fn text_agrees_with_the_vectors() {
        assert_eq!(encode(&[0x66]), "CR");
        assert_eq!(encode(b"foobar"), "CSQPYRK1E8");
        assert_eq!(encode(&[0; 32]), "0".repeat(52));
        assert_eq!(encode(&[0xff; 32]), alloc::format!("{}G", "Z".repeat(51)));
        assert_eq!(encode(&counting()), COUNTING);
        assert_eq!(decode(COUNTING), Some(counting()));
    }

    #[test]
    fn reading_is_lenient_about_lookalikes_only() {
        assert_eq!(decode(&COUNTING.to_ascii_lowercase()), Some(counting()));
        assert_eq!(decode(&COUNTING.replace('0', "o").replace('1', "L")), Some(counting()));
        assert_eq!(
            decode(&alloc::format!("U{}", "0".repeat(51))),
            decode(&alloc::format!("v{}", "0".repeat(51)))
        );
        assert_eq!(decode(&COUNTING[1..]), None);
        assert_eq!(decode(&alloc::format!("{COUNTING}0")), None);
        assert_eq!(decode(&COUNTING.replace('K', "-")), None);
        assert_eq!(decode(&alloc::format!("{}1", &COUNTING[..51])), None, "unused bits are zero");
        assert_eq!(decode("ñññññññññññññññññññññññññ00"), None);
    }
}
