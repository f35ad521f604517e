//! The PIN: eight digits that travel to the address, an out-of-band secret (NIST SP 800-63B §3.1.3).

use alloc::format;
use alloc::string::String;

use crate::digest::hmac_sha256;
use crate::nonce::{Nonce, Salt};
use crate::secret::Secret;

/// How many digits a PIN has: 26 bits, above the 20 that NIST SP 800-63B asks for.
const PIN_LEN: usize = 8;

/// How many PINs there are.
const PIN_COUNT: u64 = 100_000_000;

/// The PIN that a message carries. It is never stored: it follows from nonce and salt, so the same
/// address gets the same PIN again.
#[derive(Clone, Debug)]
pub struct Pin(Secret<String>);

impl Pin {
    /// The PIN of a validation's current address.
    ///
    /// Reducing 64 bits to eight digits prefers some of them by less than one part in 10^11.
    pub(crate) fn derive(nonce: &Nonce, salt: &Salt) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = hmac_sha256(nonce.key(), &[b"pin", salt.as_bytes()]);
        let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        Self(Secret::new(format!("{:08}", number % PIN_COUNT)))
    }

    /// `NNNNNNNN`
    pub fn digits(&self) -> &str {
        self.0.expose()
    }

    /// `NNNN-NNNN`, as people read it.
    pub fn spelled(&self) -> String {
        let (first, second) = self.digits().split_at_checked(PIN_LEN / 2).unwrap_or_default();
        format!("{first}-{second}")
    }

    pub(crate) fn matches(&self, attempt: &PinAttempt) -> bool {
        self.0.matches(attempt.0.expose())
    }
}

/// A guess: eight digits that somebody entered.
#[derive(Clone, Debug)]
pub(crate) struct PinAttempt(Secret<String>);

impl PinAttempt {
    /// Reads what somebody typed or pasted: eight digits, of ASCII or full width, with any blanks
    /// and dashes around and between them. `None` for anything else, which must not cost a try.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut digits = String::with_capacity(PIN_LEN);
        for character in text.chars() {
            match character {
                '0'..='9' => digits.push(character),
                '０'..='９' => {
                    let offset = u32::from(character) - u32::from('０');
                    digits.push(char::from_digit(offset, 10)?);
                }
                '-' | '‐'..='―' | '−' | '－' | '\u{ad}' => {}
                blank if blank.is_whitespace() => {}
                _ => return None,
            }
        }
        (digits.len() == PIN_LEN).then(|| Self(Secret::new(digits)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entropy::Entropy;

    #[test]
    fn attempts_forgive_separators_and_nothing_else() {
        for text in [
            "12345678",
            "1234-5678",
            " 1234 5678\n",
            "１２３４－５６７８",
            "1 2-3–4—5 6 7\u{3000}8",
        ] {
            assert_eq!(PinAttempt::parse(text).unwrap().0.expose(), "12345678", "{text}");
        }
        for text in ["", "1234567", "123456789", "1234567a", "+12345678", "1234.5678", "١٢٣٤٥٦٧٨"]
        {
            assert!(PinAttempt::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn pins_depend_on_nonce_and_salt_and_keep_their_zeros() {
        let nonce = Nonce::draw(Entropy::new([1; 32]));
        let other = Nonce::draw(Entropy::new([2; 32]));
        let salt = Salt::from_bytes([3; 32]);
        let pin = Pin::derive(&nonce, &salt);
        assert!(pin.matches(&PinAttempt::parse(&pin.spelled()).unwrap()));
        assert_ne!(pin.digits(), Pin::derive(&other, &salt).digits());
        assert_ne!(pin.digits(), Pin::derive(&nonce, &Salt::from_bytes([4; 32])).digits());
        let leading_zero = (0..=255)
            .map(|byte| Pin::derive(&nonce, &Salt::from_bytes([byte; 32])))
            .find(|pin| pin.digits().starts_with('0'))
            .unwrap();
        assert_eq!(leading_zero.digits().len(), PIN_LEN);
        assert_eq!(format!("{pin:?}"), "Pin(***)");
    }

    /// The digits of what somebody typed, by the letter of the protocol: dashes and blanks do not
    /// count, and full-width digits are digits.
    fn naive_digits(text: &str) -> Option<String> {
        const DASHES: &str =
            "-\u{ad}\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}\u{ff0d}";
        const WIDE: &str = "０１２３４５６７８９";
        let digits = text
            .chars()
            .filter(|it| !DASHES.contains(*it) && !it.is_whitespace())
            .map(|it| match WIDE.chars().position(|wide| wide == it) {
                Some(value) => char::from(b'0' + u8::try_from(value).unwrap()),
                None => it,
            })
            .collect::<String>();
        (digits.len() == 8 && digits.bytes().all(|it| it.is_ascii_digit())).then_some(digits)
    }

    proptest! {
        #[test]
        fn attempts_agree_with_a_naive_reading(
            text in "[0-9０-９a٣.\u{ad}\u{2010}-\u{2015}\u{2212}\u{ff0d}\u{3000} \n-]{0,14}",
        ) {
            prop_assert_eq!(PinAttempt::parse(&text).is_some(), naive_digits(&text).is_some());
        }
    }
}
