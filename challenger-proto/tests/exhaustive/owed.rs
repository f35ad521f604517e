//! What a history owes to the next step, as the auditor sees it.

use challenger_proto::Span;
use challenger_proto::address::Address;

use super::{HTML, Node};
use challenger_testkit::audit::{Round, is_early};

/// What the history owes to somebody who submits an address.
#[derive(Clone, Copy)]
pub(super) struct Owed {
    pub(super) wrote: bool,
    pub(super) sends: bool,
    pub(super) refused: Option<u16>,
}

impl Owed {
    pub(super) const MESSAGE: Self = Self { wrote: true, sends: true, refused: None };
    pub(super) const NOTHING: Self = Self { wrote: false, sends: false, refused: None };

    pub(super) const fn refused(status: u16) -> Self {
        Self { refused: Some(status), ..Self::NOTHING }
    }
}

impl Node {
    /// What follows from an address, as long as there are messages for all.
    pub(super) fn owed_to_challenge(&self, address: &str) -> Owed {
        let limits = &self.service.limits;
        let case = self.case();
        if case.solved.is_some() {
            return Owed::NOTHING;
        }
        let current = case.round.as_ref().map(|round| &round.address);
        let current = current.or(case.opened.prefill.as_ref());
        if current.and_then(|it| it.only_value()) != Some(address) {
            if case.opened.read_only {
                return Owed::refused(403);
            }
            if case.paid == u32::from(limits.address_changes) {
                return Owed::refused(429);
            }
            let left: Vec<Round> = case.left.iter().chain(&case.round).cloned().collect();
            let address = Address::new([("CONTACT_EMAIL".into(), address.into())]).unwrap();
            return self.owed_to_round(&Round::next(&address, &left, self.now, limits), true);
        }
        case.round.as_ref().map_or(Owed::MESSAGE, |round| self.owed_to_round(round, false))
    }

    /// The same, once it is the address's turn. A change is written although nothing is sent.
    fn owed_to_round(&self, round: &Round, is_change: bool) -> Owed {
        let limits = &self.service.limits;
        let due = round.waits_from.is_none_or(|at| !is_early(at, self.now, limits));
        let messages = round.charges < u32::from(limits.pin_transmissions.get());
        let guesses = round.guesses < u32::from(limits.pin_attempts.get());
        match (due && messages, messages, guesses) {
            (true, _, _) => Owed::MESSAGE,
            (false, false, false) => Owed::refused(429),
            // People get a page that says when to come back; before the first message it is the
            // one that shows where it goes.
            (false, true, false) if self.accept() == HTML && round.charges > 0 => {
                Owed { wrote: is_change, ..Owed::refused(403) }
            }
            (false, _, _) => Owed { wrote: is_change, ..Owed::NOTHING },
        }
    }

    /// Whether a guess is judged, and how a wrong one is refused; `None` once it is solved.
    pub(super) fn owed_to_guess(&self) -> Option<(bool, Option<u16>)> {
        let limits = &self.service.limits;
        let case = self.case();
        if case.solved.is_some() {
            return None;
        }
        let Some(round) = &case.round else { return Some((false, Some(403))) };
        let attempts = u32::from(limits.pin_attempts.get());
        let no_address = case.opened.read_only || case.paid == u32::from(limits.address_changes);
        let no_message = round.charges == u32::from(limits.pin_transmissions.get());
        let last = round.guesses + 1 >= attempts;
        let over = no_address && no_message && last;
        Some((round.guesses < attempts, Some(if over { 429 } else { 403 })))
    }

    pub(super) fn owed_to_redeem(&self) -> (bool, Option<u16>) {
        let case = self.case();
        if self.now >= case.opened.expires {
            return (false, Some(401));
        }
        match (&case.solved, &case.granted) {
            (None, _) if case.round.is_none() && case.opened.prefill.is_none() => {
                (false, Some(409))
            }
            (None, _) => (false, Some(401)),
            (Some(solved), None) => {
                let fresh = self.now < solved.renewed_at.plus(self.service.limits.code_duration);
                (fresh, if fresh { None } else { Some(401) })
            }
            (_, Some((_, at))) => {
                (!case.is_revoked && self.now.since(*at) > Span::seconds(10), Some(401))
            }
        }
    }
}
