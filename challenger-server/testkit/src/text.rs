//! Reads values out of texts, and writes values as texts.

/// A value for a form or a query, percent-encoded but for letters and digits.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// A value of a form or a query, decoded.
pub fn unescape(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut bytes = Vec::from(pieces.next().unwrap().replace('+', " "));
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend(rest.replace('+', " ").bytes());
    }
    String::from_utf8(bytes).unwrap()
}

/// `NNNN-NNNN` in a message, without the dash.
pub fn pin_in(message: &str) -> Option<String> {
    let words = message.split(|c: char| !(c.is_ascii_digit() || c == '-'));
    words
        .map(|word| (word.replace('-', ""), word))
        .find(|(digits, word)| digits.len() == 8 && word.len() == 9)
        .map(|(digits, _)| digits)
}

/// Another PIN.
pub fn wrong(pin: &str) -> String {
    let number: u64 = pin.parse().unwrap();
    format!("{:08}", (number + 1) % 100_000_000)
}

/// The authorization code in a redirect.
pub fn code_of(location: &str) -> String {
    let (_, query) = location.split_once('?').unwrap();
    let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
    code.unwrap().to_string()
}
