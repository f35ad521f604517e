//! How far apart two names are, to find the one that was probably meant.

/// The number of letters that have to be added, left out or replaced, or swapped with the next one,
/// to make one word of the other (the distance of optimal string alignment).
pub(crate) fn differences(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().collect();
    let other: Vec<char> = other.chars().collect();
    let mut last: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.iter().enumerate() {
        let mut next = vec![line + 1];
        for (column, it) in other.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&row, column) + usize::from(it != letter);
            let changed = at(&next, column).min(at(&row, column + 1)) + 1;
            let is_swap = line > 0
                && column > 0
                && one.get(line - 1) == Some(it)
                && other.get(column - 1) == Some(letter);
            let swapped = if is_swap { at(&last, column - 1) + 1 } else { usize::MAX };
            next.push(replaced.min(changed).min(swapped));
        }
        last = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

/// How many letters a name may differ from the one that was probably meant, if it is not short.
const SLIP_MAX: usize = 2;

/// Whether somebody may have written one name and meant the other.
pub(crate) fn is_slip(written: &str, meant: &str) -> bool {
    differences(written, meant) <= SLIP_MAX.min(written.len() / 3)
}

/// The name that was probably meant by a word, in any case.
pub(crate) fn suggestion<'a>(
    word: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let is_near = |name: &&str| is_slip(&word.to_ascii_lowercase(), &name.to_ascii_lowercase());
    nearest(word, names).filter(is_near)
}

/// The name that has most in common with a word, in any case.
pub(crate) fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    names.into_iter().min_by_key(|name| differences(&word, &name.to_ascii_lowercase()))
}

/// A suggestion as the end of a complaint; nothing without one.
pub(crate) fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_any_kind_counts_as_one() {
        for (one, other, expected) in [
            ("email", "email", 0),
            ("email", "emial", 1),
            ("email", "emai", 1),
            ("email", "emmail", 1),
            ("email", "enail", 1),
            ("email", "meail", 1),
            ("email", "maile", 2),
            ("", "mail", 4),
            ("käse", "kase", 1),
            ("abcd", "badc", 2),
            // Each letter is moved once at most.
            ("ca", "abc", 3),
        ] {
            assert_eq!(differences(one, other), expected, "{one} {other}");
            assert_eq!(differences(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn the_nearest_name_is_suggested() {
        let names = ["PIN_ATTEMPTS", "PORT", "Postal"];
        for (word, expected) in [
            ("PIN_ATEMPTS", Some("PIN_ATTEMPTS")),
            ("pin_atempt", Some("PIN_ATTEMPTS")),
            ("postla", Some("Postal")),
            ("PROT", Some("PORT")),
            ("PIN", None),
            ("", None),
        ] {
            assert_eq!(suggestion(word, names), expected, "{word}");
        }
    }
}
