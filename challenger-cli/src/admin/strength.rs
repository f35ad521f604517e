//! Whether a secret could be guessed from its digest. Each guess costs one SHA-256.
//!
//! Only what a program draws at random is strong. What people think up has words, sequences and
//! repetitions, and programs try these first, so the characters in them do not count.

/// What a strong secret has at least.
const LENGTH_MIN: usize = 22;

/// How many of its characters have to count: if there are letters, if there are hexadecimal digits
/// alone, and if there are decimal digits alone. That makes 64 bits or more.
const COUNT_MIN: (usize, usize, usize) = (13, 16, 20);

/// Letters in a row are a word from this length on.
const WORD_MIN: usize = 4;

/// A word has at least one vowel among so many letters.
const VOWELS_IN: usize = 6;

/// Keys as they lie side by side, in rows and in columns.
const KEYBOARD: &str = "qwertyuiopasdfghjklzxcvbnm1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol";

/// Why a secret is weak, if it is. Its prefix does not belong to it.
pub(super) fn weakness(secret: &str) -> Option<String> {
    let length = secret.chars().count();
    if length < LENGTH_MIN {
        return Some(format!("it has {length} characters, and at least {LENGTH_MIN} are needed"));
    }
    let (others, hexadecimal, decimal) = COUNT_MIN;
    let all = |is: fn(char) -> bool| secret.chars().all(|c| is(c) || !c.is_ascii_alphanumeric());
    let needed = match () {
        () if all(|c| c.is_ascii_digit()) => decimal,
        () if all(|c| c.is_ascii_hexdigit()) => hexadecimal,
        () => others,
    };
    let count = unpredictable(secret);
    (count < needed).then(|| {
        format!(
            "only {count} of its characters cannot be guessed from the others, and at least \
             {needed} are needed; words, sequences and repetitions do not count"
        )
    })
}

/// The number of characters that belong to no word and no sequence, and repeat nothing.
fn unpredictable(secret: &str) -> usize {
    let text: Vec<char> = secret.chars().collect();
    let words = words(&text);
    (0..text.len()).filter(|&last| !words.contains(&last) && is_new(&text, last)).count()
}

/// The places of the letters in words: small letters in a row, of which the first may be a capital,
/// or capitals, if there are vowels among them. Between blanks or signs, a word may be short.
fn words(text: &[char]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut first = 0;
    while first < text.len() {
        let run = |is: fn(&char) -> bool| {
            let rest = text.iter().skip(first + 1);
            rest.take_while(|c| is(c)).count() + 1
        };
        let is_capital = text.get(first).is_some_and(char::is_ascii_uppercase);
        let length = match text.get(first) {
            Some(letter) if letter.is_ascii_alphabetic() => match run(char::is_ascii_lowercase) {
                1 if is_capital => run(char::is_ascii_uppercase),
                length => length,
            },
            _ => 0,
        };
        let end = first + length;
        let is_apart = |place: Option<usize>| {
            let neighbour = place.and_then(|place| text.get(place));
            neighbour.is_none_or(|c| !c.is_ascii_alphanumeric())
        };
        let is_alone = is_apart(first.checked_sub(1)) && is_apart(Some(end));
        let letters = text.get(first..end).unwrap_or_default();
        let is_vowel = |c: &&char| "aeiouy".contains(c.to_ascii_lowercase());
        let vowels = letters.iter().filter(is_vowel).count();
        if (length >= WORD_MIN || is_alone) && vowels * VOWELS_IN >= length {
            places.extend(first..end);
        }
        first = end.max(first + 1);
    }
    places
}

/// Whether a character continues no sequence, and makes no pair that was there before.
fn is_new(text: &[char], last: usize) -> bool {
    let back = |steps: usize| last.checked_sub(steps).and_then(|place| text.get(place)).copied();
    let Some(it) = back(0) else { return false };
    let before = text.get(..last).unwrap_or_default();
    if !it.is_ascii_alphanumeric() && before.contains(&it) {
        return false;
    }
    let step = |to: char, from: char| i64::from(u32::from(to)) - i64::from(u32::from(from));
    // abc, 2468, and both at once: a1b2c3.
    let goes_on = [1, 2].into_iter().any(|steps| match (back(steps), back(2 * steps)) {
        (Some(middle), Some(first)) => step(it, middle) == step(middle, first),
        _ => false,
    });
    let Some(previous) = back(1) else { return true };
    let is_repeated = before.windows(2).any(|pair| pair == [previous, it]);
    let keys: String = [back(2), Some(previous), Some(it)].into_iter().flatten().collect();
    let is_typed = keys.chars().count() == 3 && KEYBOARD.contains(&keys.to_ascii_lowercase());
    !(goes_on || is_repeated || is_typed)
}

#[cfg(test)]
mod tests {
    use challenger_proto::Entropy;
    use challenger_proto::oauth::SECRET_PREFIX;
    use challenger_proto::oauth::generate_client_secret;
    use challenger_testkit::Dice;

    use super::*;

    /// What people think up, or copy from an example.
    const WEAK: [&str; 31] = [
        "",
        "secret",
        "Tr0ub4dor&3",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abababababababababababababababababab",
        "aB3$aB3$aB3$aB3$aB3$aB3$aB3$aB3$aB3$",
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "zyxwvutsrqponmlkjihgfedcba9876543210",
        "1234567890123456789012345678",
        "0123456789abcdef0123456789abcdef",
        "00000000-0000-0000-0000-000000000000",
        "deadbeefdeadbeefdeadbeefdeadbeef",
        "a1b2c3d4e5f6g7h8i9j0k1l2m3",
        "qwertyuiopasdfghjklzxcvbnm1234567890",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
        "password-password-password-1",
        "p4ssw0rd-p4ssw0rd-p4ssw0rd",
        "Tr0ub4dor&3Tr0ub4dor&3",
        "correcthorsebatterystaple",
        "correct-horse-battery-staple-2024",
        "CorrectHorseBatteryStaple2024!",
        "CORRECTHORSEBATTERYSTAPLE",
        "the quick brown fox jumps over the lazy dog",
        "The Quick Brown Fox Jumps Over The Lazy Dog 12345",
        "our shop is the best shop in all of the town 7",
        "geheimes passwort fuer den laden",
        "wachtmeister-donaudampfschiff-2",
        "IchHabeEinSehrLangesPasswort123",
        "CHANGEME-CHANGEME-CHANGEME",
        "shop.example.com-secret-2026",
        "https://shop.example/callback",
    ];

    #[test]
    fn what_people_think_up_is_weak() {
        for secret in WEAK {
            assert!(weakness(secret).is_some(), "{secret}");
        }
        let short = weakness("xK4-p9Zw").unwrap();
        assert_eq!(short, "it has 8 characters, and at least 22 are needed");
        let words = weakness("correct-horse-battery-staple-2024").unwrap();
        assert!(words.starts_with("only 4 of its characters cannot be guessed"), "{words}");
    }

    #[test]
    fn what_programs_draw_is_strong() {
        for secret in [
            "qLw1fYbV0mTnW8zEo2RkJg",               // openssl rand -base64 16
            "8d3fb1c07a964e52f0b7d61c9e2a4835",     // openssl rand -hex 16
            "3e9c1b7a-52d8-4f06-9a41-c7e05d8f2b63", // uuidgen
            "kV7$tq!9Rz@x4Wm#pL2&cG",               // a password manager
            "4093718265503841976620857139",
        ] {
            assert_eq!(weakness(secret), None, "{secret}");
        }
    }

    /// Hardly one of a thousand has words by chance.
    #[test]
    fn our_own_secrets_are_strong() {
        let is_strong =
            |secret: &str| weakness(secret.strip_prefix(SECRET_PREFIX).unwrap()).is_none();
        let mut dice = Dice::for_purpose(1, "secrets", 1);
        let drawn = (0..1000).map(|_| generate_client_secret(Entropy::new(dice.bytes())));
        assert!(drawn.filter(|secret| !is_strong(secret.expose())).count() <= 2);
        let fixed = generate_client_secret(Entropy::new([7; 32]));
        assert!(!is_strong(fixed.expose()), "all bytes are the same");
    }
}
