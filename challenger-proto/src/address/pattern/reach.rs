//! What a pattern can match at all: whether there is a text with a given beginning or end.

use alloc::vec;
use alloc::vec::Vec;

use regex_automata::nfa::thompson::{NFA, State, WhichCaptures};
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;

use super::{Pattern, translate};

impl Pattern {
    /// Whether the expression matches any text that begins and ends like this, with anything
    /// between the two.
    ///
    /// ```
    /// use challenger_proto::address::Pattern;
    ///
    /// let swiss = Pattern::parse(r"^\+41[0-9]{9}$").unwrap();
    /// assert!(swiss.can_match("+4179", ""));
    /// assert!(!swiss.can_match("+49", ""));
    /// ```
    pub fn can_match(&self, beginning: &str, end: &str) -> bool {
        let Some(nfa) = automaton(&self.source) else { return true };
        let mut walk = Walk::new(&nfa);
        for byte in beginning.bytes() {
            walk.step(Some(byte));
        }
        while walk.widen() {}
        for byte in end.bytes() {
            walk.step(Some(byte));
        }
        walk.end();
        walk.has_matched
    }
}

/// The automaton of an expression; `None` for one that [`Pattern::parse`] refuses.
fn automaton(source: &str) -> Option<NFA> {
    let translated = translate(source).ok()?;
    let config = NFA::config().which_captures(WhichCaptures::None);
    let syntax = syntax::Config::new().dot_matches_new_line(true);
    NFA::compiler().configure(config).syntax(syntax).build(&translated).ok()
}

/// A walk through an automaton, in all ways at once.
struct Walk<'a> {
    nfa: &'a NFA,
    /// The states that the text so far can lead to.
    reached: Vec<bool>,
    /// Whether a match ended before.
    has_matched: bool,
}

impl<'a> Walk<'a> {
    /// Before the first character.
    fn new(nfa: &'a NFA) -> Self {
        let reached = vec![false; nfa.states().len()];
        let mut walk = Self { nfa, reached, has_matched: false };
        walk.reach(Vec::from([nfa.start_unanchored()]), |look| look == Look::Start);
        walk
    }

    /// Goes on by one byte; `None` is any byte.
    fn step(&mut self, byte: Option<u8>) {
        let next = self.next(byte);
        self.reached.fill(false);
        self.reach(next, |_| false);
    }

    /// Adds what one more byte leads to. Returns whether that is anything new.
    fn widen(&mut self) -> bool {
        let next = self.next(None);
        self.reach(next, |_| false)
    }

    /// Goes on without a byte, because the text is over.
    fn end(&mut self) {
        let here = self.states().map(|(id, _)| id).collect();
        self.reached.fill(false);
        self.reach(here, |look| look == Look::End);
    }

    fn states(&self) -> impl Iterator<Item = (StateID, &'a State)> {
        let reached = self.reached.iter().zip(self.nfa.states()).enumerate();
        reached
            .filter(|(_, (is_reached, _))| **is_reached)
            .filter_map(|(at, (_, state))| StateID::new(at).ok().map(|id| (id, state)))
    }

    fn next(&self, byte: Option<u8>) -> Vec<StateID> {
        self.states().flat_map(|(_, state)| after(state, byte)).collect()
    }

    /// Adds states, and those that follow without a byte where an anchor holds. Returns whether
    /// that is anything new.
    fn reach(&mut self, mut open: Vec<StateID>, holds: impl Fn(Look) -> bool) -> bool {
        let mut is_new = false;
        while let Some(id) = open.pop() {
            let Some(is_reached) = self.reached.get_mut(id.as_usize()) else { continue };
            if core::mem::replace(is_reached, true) {
                continue;
            }
            is_new = true;
            match self.nfa.state(id) {
                State::Look { look, next } if holds(*look) => open.push(*next),
                State::Union { alternates } => open.extend(alternates.iter()),
                State::BinaryUnion { alt1, alt2 } => open.extend([*alt1, *alt2]),
                State::Capture { next, .. } => open.push(*next),
                State::Match { .. } => self.has_matched = true,
                State::ByteRange { .. }
                | State::Sparse(_)
                | State::Dense(_)
                | State::Look { .. }
                | State::Fail => {}
            }
        }
        is_new
    }
}

/// The states that one byte leads to.
fn after(state: &State, byte: Option<u8>) -> Vec<StateID> {
    let takes = |from: u8, to: u8| byte.is_none_or(|byte| (from..=to).contains(&byte));
    match state {
        State::ByteRange { trans } if takes(trans.start, trans.end) => Vec::from([trans.next]),
        State::Sparse(sparse) => {
            let taken = sparse.transitions.iter().filter(|it| takes(it.start, it.end));
            taken.map(|it| it.next).collect()
        }
        State::Dense(dense) => match byte {
            Some(byte) => dense.matches_byte(byte).into_iter().collect(),
            None => (0..=u8::MAX).filter_map(|byte| dense.matches_byte(byte)).collect(),
        },
        State::ByteRange { .. }
        | State::Look { .. }
        | State::Union { .. }
        | State::BinaryUnion { .. }
        | State::Capture { .. }
        | State::Fail
        | State::Match { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_says_what_it_can_match() {
        for (pattern, beginning, end, expected) in [
            ("", "+41", "", true),
            ("9", "+41", "", true),
            (r"^\+41", "+41", "", true),
            (r"^\+41", "+4", "", true),
            (r"^\+41", "+417", "", true),
            (r"^\+41", "+42", "", false),
            (r"^\+(41|423)[0-9]{7,12}$", "+42", "", true),
            (r"^\+(41|423)[0-9]{7,12}$", "+424", "", false),
            (r"^\+41[0-9]{3}$", "+41791", "", true),
            (r"^\+41[0-9]{3}$", "+417912", "", false),
            (r"^\+49|^\+41", "+41", "", true),
            ("a^b", "", "", false),
            ("^$", "", "", true),
            ("^$", "x", "", false),
            ("^[^@]+@own[.]example$", "", "@own.example", true),
            ("^[^@]+@own[.]example$", "", ".own.example", false),
            ("^[^@]+@own[.]example$", "", "@other.example", false),
            ("^[^@]+@own[.]example$", "", "wn.example", true),
            ("@own[.]example$", "", "@other.example", false),
            ("@own[.]example", "", "@other.example", true),
            ("^[^@]+@[^@]+[.]example$", "", "@mail.b.example", true),
            ("^[^@]+@[^@]+[.]example$", "", "@mail.b.test", false),
            ("^(a|ü)$", "\u{fc}", "", true),
            ("^(a|ü)$", "\u{f6}", "", false),
            ("^[^a]$", "\u{f6}", "", true),
        ] {
            let can = Pattern::parse(pattern).unwrap().can_match(beginning, end);
            assert_eq!(can, expected, "{pattern} {beginning:?} {end:?}");
        }
    }

    proptest! {
        #[test]
        fn what_matches_can_match(
            pattern in "\\^?([ab]|[ab][*?]|\\(a[|]b\\)|[.]|\\[\\^a\\]){0,6}\\$?",
            text in "[abcü]{0,6}",
            first in 0..6_usize,
            last in 0..6_usize,
        ) {
            let pattern = Pattern::parse(&pattern).unwrap();
            let count = text.chars().count();
            let beginning: String = text.chars().take(first).collect();
            let end: String = text.chars().skip(first.max(count.saturating_sub(last))).collect();
            if pattern.is_match(&text) {
                prop_assert!(pattern.can_match(&beginning, &end), "{pattern:?} {text}");
            }
        }
    }
}
