//! The PIN: eight digits that travel to the address, an out-of-band secret (NIST SP 800-63B
//! §3.1.3).

use alloc::format;
use alloc::string::String;

use crate::secret::Secret;
use crate::secret::digest::hmac_sha256;
use crate::secret::nonce::{Nonce, Salt};
use crate::text::{digit, is_dash, visible};

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
    /// Reducing 64 bits to eight digits favours some PINs by less than one part in 10^11.
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

/// Eight digits that a person entered.
#[derive(Clone, Debug)]
pub(crate) struct PinAttempt(Secret<String>);

impl PinAttempt {
    /// Reads typed or pasted text: eight digits of any script, with blanks, dashes and invisible
    /// characters around and between them. `None` for anything else, which must not be charged.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut digits = String::with_capacity(PIN_LEN);
        for c in visible(text).filter(|c| !(c.is_whitespace() || is_dash(*c))) {
            digits.push(char::from(b'0' + digit(c)?));
        }
        (digits.len() == PIN_LEN).then(|| Self(Secret::new(digits)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::entropy::Entropy;

    #[test]
    fn attempts_forgive_separators_and_nothing_else() {
        for text in [
            "12345678",
            "1234-5678",
            " 1234 5678\n",
            "１２３４－５６７８",
            "1 2-3–4—5 6 7\u{3000}8",
            "١٢٣٤-٥٦٧٨",
            "۱۲۳۴ ۵۶۷۸",
            "१२३४५६७८",
            "\u{2068}1234\u{200b}5678\u{2069}\u{feff}",
        ] {
            assert_eq!(PinAttempt::parse(text).unwrap().0.expose(), "12345678", "{text}");
        }
        for text in ["", "1234567", "123456789", "1234567a", "+12345678", "1234.5678", "①2345678"]
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

    /// The digits of a typed text, by the letter of the protocol: dashes, spaces and what nobody
    /// sees do not count, and full-width and Arabic digits are digits.
    fn naive_digits(text: &str) -> Option<String> {
        const IGNORED: &str = "-\u{ad}\u{200b}\u{200d}\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\
                               \u{2015}\u{2212}\u{ff0d}";
        const DIGITS: [&str; 2] = ["０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩"];
        let value = |it| DIGITS.iter().find_map(|all| all.chars().position(|digit| digit == it));
        let digits = text
            .chars()
            .filter(|it| !IGNORED.contains(*it) && !it.is_whitespace())
            .map(|it| value(it).map_or(it, |value| char::from(b'0' + u8::try_from(value).unwrap())))
            .collect::<String>();
        (digits.len() == 8 && digits.bytes().all(|it| it.is_ascii_digit())).then_some(digits)
    }

    proptest! {
        #[test]
        fn attempts_agree_with_a_naive_reading(
            text in "[0-9０-９a٣.\u{ad}\u{200b}\u{200d}\u{2010}-\u{2015}\u{2212}\u{3000} \n-]{0,14}",
        ) {
            let parsed = PinAttempt::parse(&text).map(|it| it.0.expose().clone());
            prop_assert_eq!(parsed, naive_digits(&text));
        }
    }
}
