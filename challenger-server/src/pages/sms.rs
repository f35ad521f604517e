//! The size of an SMS: its alphabet of seven bits, and how many a text takes (3GPP TS 23.038 and
//! 23.040).

/// The characters that take seven bits (23.038 §6.2.1).
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// The characters that take twice as much (23.038 §6.2.1.1).
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// How much fits into a single SMS, and into each of several, which are numbered.
struct Room {
    alone: usize,
    among_others: usize,
}

const SEPTETS: Room = Room { alone: 160, among_others: 153 };
/// The room if one character is outside the alphabet: all of them take 16 bits then.
const UTF_16: Room = Room { alone: 70, among_others: 67 };

/// Whether an SMS of seven bits can have the character.
pub(super) fn is_cheap(character: char) -> bool {
    septets(character).is_some()
}

/// How many SMS a text takes.
pub(super) fn count(text: &str) -> usize {
    let cheap = text.chars().map(septets).sum::<Option<usize>>();
    let (length, room) = match cheap {
        Some(length) => (length, SEPTETS),
        None => (text.encode_utf16().count(), UTF_16),
    };
    if length <= room.alone { 1 } else { length.div_ceil(room.among_others) }
}

fn septets(character: char) -> Option<usize> {
    match character {
        _ if BASIC.contains(character) => Some(1),
        _ if EXTENDED.contains(character) => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_is_complete() {
        // 128 places, one of which only leads to the others.
        assert_eq!((BASIC.chars().count(), EXTENDED.chars().count()), (127, 10));
        let cheap = |text: &str| text.chars().filter(|c| !is_cheap(*c)).collect::<String>();
        assert_eq!(cheap("Où est l'été à Zürich ? Ça va: ¡Mañana! @_£¥€ [1]\r\n"), "");
        assert_eq!(
            cheap("ça êtes código così ’–`\t\u{a0}“ÀÊ"),
            "çêóì’–`\t\u{a0}“ÀÊ".replace('ì', "")
        );
    }

    #[test]
    fn messages_are_counted() {
        for (text, expected) in [
            (String::new(), 1),
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("é".repeat(306), 2),
            ("é".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(80) + "a", 2),
            ("ó".repeat(70), 1),
            ("a".repeat(70) + "ó", 2),
            ("🙂".repeat(35), 1),
            ("🙂".repeat(36), 2),
        ] {
            assert_eq!(count(&text), expected, "{text}");
        }
    }
}
