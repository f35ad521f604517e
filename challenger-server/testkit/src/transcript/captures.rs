//! The values that a story learns on its way, behind `{nonce}`, `{pin}`, `{code}` and `{token}`.

use challenger_proto::secret::Nonce;
use serde_json::Value;

use super::{Played, Shown};

/// Names and values. The first of a kind is `{nonce}`, the next different one `{nonce2}`.
///
/// `{reference}` follows from `{nonce}`. In a request, a value can be bent: `:altered` is another
/// of the same form, `:confused` has `O` for `0` and the like, `:lower` is in lower case; of a
/// nonce, `:forged` is a text that somebody who knows it could pass off as its code; of a PIN,
/// `:spelled` has its dash, `:wide` full-width and `:arabic` Arabic digits, `:wrong` is another.
#[derive(Default)]
pub struct Captures(Vec<(String, String)>);

impl Captures {
    /// Takes the values from an answer that were not known before.
    pub fn learn_from(&mut self, played: &Played) {
        for pin in &played.pins {
            assert!(pin.len() == 8 && pin.bytes().all(|it| it.is_ascii_digit()), "PIN {pin}");
            self.learn("pin", pin);
        }
        let body = match &played.body {
            Shown::Bytes(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
            Shown::Page(..) => Value::Null,
        };
        let member = |name: &str| body.get(name).and_then(Value::as_str);
        let location = played.headers.iter().find(|(name, _)| name == "Location");
        let pushed = member("request_uri").and_then(|uri| uri.rsplit_once(':'));
        let begun = location.and_then(|(_, url)| url.split_once("authorize/"));
        let named = pushed.or(begun).map(|(_, nonce)| nonce);
        if let Some(nonce) = member("nonce").or(named) {
            let parsed = Nonce::parse(nonce).filter(|_| is_base32(nonce));
            let digest = parsed.unwrap_or_else(|| panic!("nonce {nonce}")).digest();
            let name = self.learn("nonce", nonce);
            self.alias(&format!("{digest:?}"), &name);
            self.alias(&digest.reference(), &name.replace("nonce", "reference"));
        }
        if let Some(token) = member("access_token") {
            assert!(is_base32(token), "access token {token}");
            let name = self.learn("token", token);
            if let Some(digest) = &played.grant {
                self.alias(digest, &name);
            }
        }
        let url = location.map(|(_, url)| url.as_str()).or_else(|| member("redirect_url"));
        if let Some((_, rest)) = url.and_then(|url| url.rsplit_once("code=")) {
            let code = rest.split('&').next().unwrap_or_default();
            let (validation, proof) = code.split_once('-').unwrap_or_default();
            assert!(is_base32(validation) && is_base32(proof), "authorization code {code}");
            self.learn("code", code);
        }
    }

    /// Remembers a value under the next free name of its kind, which it returns.
    fn learn(&mut self, kind: &str, value: &str) -> String {
        if let Some((name, _)) = self.0.iter().find(|(_, known)| known == value) {
            return name.clone();
        }
        let taken = |name: &str| self.0.iter().any(|(known, _)| known == name);
        let names = (1..).map(|n: u32| if n == 1 { kind.into() } else { format!("{kind}{n}") });
        let name = names.into_iter().find(|name| !taken(name)).unwrap_or_default();
        self.alias(value, &name);
        name
    }

    fn alias(&mut self, value: &str, name: &str) {
        self.0.push((name.into(), value.into()));
    }

    /// Puts names in the place of values.
    pub fn fold(&self, text: &str) -> String {
        let replace = |text: String, (name, value): &(String, String)| {
            text.replace(value, &format!("{{{name}}}"))
        };
        self.0.iter().fold(text.to_owned(), replace)
    }

    /// Puts values in the place of names. Other braces stay as they are.
    pub fn expand(&self, text: &str) -> String {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            expanded.push_str(before);
            let value = after.split_once('}').and_then(|(name, _)| self.value(name));
            let name_len = after.find('}').unwrap_or_default();
            match value {
                Some(value) => {
                    expanded.push_str(&value);
                    rest = &after[name_len + 1..];
                }
                None => {
                    expanded.push('{');
                    rest = after;
                }
            }
        }
        expanded + rest
    }

    /// The bytes of a body: `\xNN` is a byte, and a body that begins with `hex:` is all bytes.
    pub fn expand_body(&self, lines: &[String]) -> Vec<u8> {
        let text = self.expand(&lines.join("\n"));
        if let Some(digits) = text.strip_prefix("hex:") {
            let digits: Vec<char> = digits.chars().filter(|it| !it.is_whitespace()).collect();
            return digits.chunks(2).map(|pair| byte(&String::from_iter(pair))).collect();
        }
        let mut pieces = text.split("\\x");
        let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
        for piece in pieces {
            bytes.push(byte(&piece[..2]));
            bytes.extend_from_slice(&piece.as_bytes()[2..]);
        }
        bytes
    }

    fn value(&self, name: &str) -> Option<String> {
        if let Some((repeated, count)) = name.split_once('*').filter(|(it, _)| it.len() == 1) {
            return Some(repeated.repeat(count.parse().ok()?));
        }
        let (name, bend) = name.split_once(':').unwrap_or((name, ""));
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if !name.starts_with(|it: char| it.is_ascii_lowercase()) || !name.bytes().all(letter) {
            return None;
        }
        let (_, value) = self
            .0
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("{{{name}}} is not known yet"));
        Some(bent(value, bend))
    }
}

fn bent(value: &str, bend: &str) -> String {
    match bend {
        "" => value.into(),
        "altered" => {
            // The second half of a code proves it.
            let at = value.find('-').map_or(0, |dash| dash + 1);
            let other = if value[at..].starts_with('0') { "1" } else { "0" };
            format!("{}{other}{}", &value[..at], &value[at + 1..])
        }
        "forged" => {
            let digest = Nonce::parse(value).unwrap_or_else(|| panic!("{value}")).digest();
            format!("{}-{}", base32(digest.as_bytes()), "0".repeat(52))
        }
        "confused" => value.replace('0', "O").replace('1', "l").replace('V', "u"),
        "lower" => value.to_lowercase(),
        "spelled" => format!("{}-{}", &value[..4], &value[4..]),
        "arabic" => value.chars().map(|digit| format!("%D9%A{digit}")).collect(),
        "wide" => value.chars().map(|digit| format!("%EF%BC%9{digit}")).collect(),
        "wrong" => format!("{:08}", (value.parse::<u32>().unwrap_or_default() + 1) % 100_000_000),
        other => panic!("nothing is :{other}"),
    }
}

/// Whether this is the text of 32 bytes: the alphabet of Crockford, one bit in the last character.
fn is_base32(text: &str) -> bool {
    let alphabet = |byte: u8| b"0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(&byte);
    text.len() == 52 && text.bytes().all(alphabet) && text.ends_with(['0', 'G'])
}

fn base32(bytes: &[u8; 32]) -> String {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8)) & 1);
    let letter = |at: usize| (at..at + 5).fold(0, |value, at| value * 2 + bit(at));
    let letters = (0..260).step_by(5).map(letter);
    letters.map(|value| char::from(b"0123456789ABCDEFGHJKMNPQRSTVWXYZ"[value])).collect()
}

fn byte(digits: &str) -> u8 {
    u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("{digits} is not a byte"))
}
