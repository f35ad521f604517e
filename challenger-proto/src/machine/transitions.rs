//! The state machine: the transitions of a validation.
//!
//! It has two rules, after the example of the Python library h11:
//!
//! 1. Everything that changes a validation stands in this file.
//! 2. This file knows neither HTTP nor storage.
//!
//! ```text
//!              challenge              solve, right PIN          redeem
//!   Open ───────────────▶ Challenged ─────────────────▶ Solved ────────▶ Redeemed
//!    ↺ authorize           ↺ authorize                   ↺ solve           │ redeem again, late
//!                          ↺ challenge: again, or        (right PIN again) ▼
//!                            another address                            Revoked
//!                          ↺ solve, wrong PIN
//!                          ↺ undelivered
//! ```
//!
//! Every transition consumes the old row and returns what becomes of it: a row that [`Changed`], or
//! the same one. What a row may do follows from the row, the clock and the limits alone. The row's
//! identity, client, creation, expiry and version never change.

use alloc::vec::Vec;

use crate::address::Address;
use crate::failure::FailureKind;
use crate::machine::earlier::turn_to;
use crate::machine::limits::{Limits, REPLAY_GRACE};
use crate::machine::outcome::{
    AuthorizeOutcome, ChallengeOutcome, RedeemOutcome, RefundOutcome, SolveOutcome,
};
use crate::machine::validation::{
    Challenge, Earlier, LastFailure, Progress, RowVersion, Solution, Validation,
};
use crate::oauth::client::Client;
use crate::oauth::grant::{AuthorizationCode, AuthorizationRequest, Grant};
use crate::oauth::pkce::{CodeChallenge, CodeVerifier};
use crate::refusal::Refusal;
use crate::secret::digest::TokenDigest;
use crate::secret::entropy::Entropy;
use crate::secret::nonce::{Nonce, Salt};
use crate::secret::pin::{Pin, PinAttempt};
use crate::time::Timestamp;

/// A row that a transition changed. Only the machine makes one, and apart from new rows, only these
/// are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed(Validation);

impl Changed {
    /// The row.
    pub(crate) const fn row(&self) -> &Validation {
        &self.0
    }

    /// The row, to be written.
    pub(crate) fn into_row(self) -> Validation {
        self.0
    }
}

/// Which message was charged, so that a failed delivery refunds the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    salt: Salt,
    sent_at: Timestamp,
    transmissions_left: u8,
    /// The guesses before it, which its own replaced.
    attempts_before: u8,
    /// The guesses that it brought.
    attempts: u8,
}

impl Validation {
    /// A new validation for a client.
    pub(crate) fn open(
        client: &Client,
        nonce: &Nonce,
        prefill: Option<Address>,
        read_only: bool,
        now: Timestamp,
        limits: &Limits,
    ) -> Self {
        Self {
            id: nonce.digest(),
            client: client.id,
            version: RowVersion::FIRST,
            created: Some(now),
            expires: now.plus(limits.validation_duration),
            redirect_uri: client.redirect_uri.clone(),
            client_name: client.name.clone(),
            // Without an address there is nothing to fix.
            read_only: read_only && prefill.is_some(),
            prefill,
            authorization: None,
            request_uri_until: None,
            addresses_left: limits.address_changes,
            refunds_left: limits.refunds,
            last_failure: None,
            earlier: Vec::new(),
            progress: Progress::Open,
        }
    }

    /// A new validation together with its authorization request, which nobody can replace then. A
    /// `request_uri` leads to it until this time.
    pub(crate) fn with_request(self, request: AuthorizationRequest, until: Timestamp) -> Self {
        Self { authorization: Some(request), request_uri_until: Some(until), ..self }
    }

    /// The validation itself, unless it has expired.
    ///
    /// # Errors
    /// [`Refusal::ValidationUnknown`]: an expired validation counts as unknown.
    pub(crate) fn live(self, now: Timestamp) -> Result<Self, Refusal> {
        if now < self.expires { Ok(self) } else { Err(Refusal::ValidationUnknown) }
    }

    /// Remembers an authorization request.
    pub(crate) fn authorize(mut self, request: AuthorizationRequest) -> AuthorizeOutcome {
        if self.is_solved() || self.authorization.as_ref() == Some(&request) {
            return AuthorizeOutcome::Same(self);
        }
        if self.request_uri_until.is_some() {
            return AuthorizeOutcome::Fixed(self);
        }
        self.authorization = Some(request);
        AuthorizeOutcome::Changed(Changed(self))
    }

    /// Takes the address to send a PIN to.
    ///
    /// An address other than the current one is charged, and gets a budget and, by its new salt, a
    /// PIN of its own; one that comes back has those that it had. The current address is sent its
    /// PIN again, if it is time and a message is left.
    pub(crate) fn challenge(
        mut self,
        nonce: &Nonce,
        address: Address,
        now: Timestamp,
        limits: &Limits,
        entropy: Entropy,
    ) -> ChallengeOutcome {
        let mut challenge = match &mut self.progress {
            Progress::Solved(solution)
            | Progress::Redeemed { solution, .. }
            | Progress::Revoked(solution) => {
                let code = solution.authorization_code(nonce, &self.redirect_uri);
                return ChallengeOutcome::Completed(self, code);
            }
            Progress::Challenged(current) if current.address == address => {
                return match current.transmit(nonce, now, limits) {
                    Some((pin, charge)) => ChallengeOutcome::Send(Changed(self), pin, charge),
                    None if current.is_used_up() => {
                        ChallengeOutcome::Refused(self, Refusal::TooManyAttempts)
                    }
                    None => ChallengeOutcome::Wait(self),
                };
            }
            // The proposed address, confirmed, is free of charge.
            Progress::Open if self.prefill.as_ref() == Some(&address) => {
                Challenge::new(address, limits, entropy)
            }
            Progress::Open | Progress::Challenged(_) if self.read_only => {
                return ChallengeOutcome::Refused(self, Refusal::AddressReadOnly);
            }
            Progress::Open | Progress::Challenged(_) => {
                let Some(left) = self.addresses_left.checked_sub(1) else {
                    return ChallengeOutcome::Refused(self, Refusal::TooManyAttempts);
                };
                let (challenge, earlier) =
                    turn_to(address, self.challenged(), &self.earlier, nonce, now, limits, entropy);
                if challenge.is_used_up() {
                    return ChallengeOutcome::Refused(self, Refusal::TooManyAttempts);
                }
                self.addresses_left = left;
                self.earlier = earlier;
                challenge
            }
        };
        let message = challenge.transmit(nonce, now, limits);
        self.progress = Progress::Challenged(challenge);
        match message {
            Some((pin, charge)) => ChallengeOutcome::Send(Changed(self), pin, charge),
            None => ChallengeOutcome::Changed(Changed(self)),
        }
    }

    /// Remembers that a message failed, and refunds it to its address, be that the current one or
    /// not, if it is the latest one there, none of its guesses was used, and refunds are left.
    pub(crate) fn undelivered(
        mut self,
        charge: &Charge,
        kind: FailureKind,
        now: Timestamp,
    ) -> RefundOutcome {
        if now >= self.expires || self.challenged().is_none() {
            return RefundOutcome::Unchanged(self);
        }
        self.last_failure = Some(LastFailure { kind, at: now });
        match self.refund(charge) {
            Some(()) => RefundOutcome::Refunded(Changed(self)),
            None => RefundOutcome::Charged(Changed(self)),
        }
    }

    /// Refunds the message, or changes nothing.
    fn refund(&mut self, charge: &Charge) -> Option<()> {
        let Progress::Challenged(challenge) = &mut self.progress else { return None };
        let (sent_at, messages, guesses) = if charge.is_latest_of(challenge) {
            let it = challenge;
            (&mut it.sent_at, &mut it.transmissions_left, &mut it.attempts_left)
        } else {
            let it = self.earlier.iter_mut().find(|it| charge.is_latest_of_earlier(it))?;
            (&mut it.sent_at, &mut it.transmissions_left, &mut it.attempts_left)
        };
        self.refunds_left = self.refunds_left.checked_sub(1)?;
        *messages = messages.saturating_add(1);
        *sent_at = None;
        // A message that is not paid for brings no guesses, although it may have arrived.
        *guesses = charge.attempts_before;
        Some(())
    }

    /// Judges a PIN. Every judgement of an unsolved row is charged before it is reported, because
    /// the row is written first.
    pub(crate) fn solve(
        mut self,
        nonce: &Nonce,
        attempt: &PinAttempt,
        now: Timestamp,
    ) -> SolveOutcome {
        let uri = &self.redirect_uri;
        match &mut self.progress {
            Progress::Open => SolveOutcome::NoChallenge(self),
            Progress::Challenged(challenge) => {
                let Some(left) = challenge.attempts_left.checked_sub(1) else {
                    return SolveOutcome::Exhausted(self);
                };
                challenge.attempts_left = left;
                if !Pin::derive(nonce, &challenge.salt).matches(attempt) {
                    return SolveOutcome::Rejected(Changed(self));
                }
                let code = AuthorizationCode::derive(nonce, &challenge.salt, now, uri);
                self.progress = Progress::Solved(Solution {
                    address: challenge.address.clone(),
                    salt: challenge.salt,
                    at: now,
                    renewed_at: now,
                    code: code.digest(),
                });
                self.earlier.clear();
                SolveOutcome::Accepted(Changed(self), code)
            }
            Progress::Solved(solution) => {
                let right = Pin::derive(nonce, &solution.salt).matches(attempt);
                // A double click, or an answer that got lost, wants the same code again.
                if !right || now.since(solution.renewed_at) <= REPLAY_GRACE {
                    let code = solution.authorization_code(nonce, uri);
                    return SolveOutcome::Completed(self, code);
                }
                solution.renewed_at = now;
                let code = solution.authorization_code(nonce, uri);
                solution.code = code.digest();
                SolveOutcome::Accepted(Changed(self), code)
            }
            Progress::Redeemed { solution, .. } | Progress::Revoked(solution) => {
                let code = solution.authorization_code(nonce, uri);
                SolveOutcome::Completed(self, code)
            }
        }
    }

    /// Exchanges a code for a grant (RFC 6749 §4.1.3), once.
    ///
    /// # Errors
    /// [`Refusal::AddressNeverGiven`], [`Refusal::CodeExpired`], [`Refusal::CodeMismatch`],
    /// [`Refusal::CodeSpent`], [`Refusal::VerifierMismatch`].
    pub(crate) fn redeem(
        mut self,
        code: &AuthorizationCode,
        verifier: Option<&CodeVerifier>,
        token: TokenDigest,
        now: Timestamp,
        limits: &Limits,
    ) -> Result<RedeemOutcome, Refusal> {
        let challenge = self.authorization.as_ref().and_then(|it| it.code_challenge.as_ref());
        match self.progress {
            Progress::Open if self.prefill.is_none() => Err(Refusal::AddressNeverGiven),
            Progress::Open | Progress::Challenged(_) => Err(Refusal::CodeMismatch),
            Progress::Solved(solution) => {
                solution.check(code, challenge, verifier)?;
                if now >= solution.renewed_at.plus(limits.code_duration) {
                    return Err(Refusal::CodeExpired);
                }
                let grant = Grant {
                    token,
                    client: self.client,
                    address: solution.address.clone(),
                    valid_until: solution.at.plus(limits.validation_expiration),
                    expires: now.plus(limits.token_duration),
                };
                self.progress = Progress::Redeemed { solution, token, at: now };
                Ok(RedeemOutcome::First(Changed(self), grant))
            }
            Progress::Redeemed { solution, token, at } => {
                solution.check(code, challenge, verifier)?;
                if now.since(at) <= REPLAY_GRACE {
                    return Err(Refusal::CodeSpent);
                }
                self.progress = Progress::Revoked(solution);
                Ok(RedeemOutcome::Late(Changed(self), token))
            }
            Progress::Revoked(solution) => {
                solution.check(code, challenge, verifier)?;
                Err(Refusal::CodeSpent)
            }
        }
    }
}

impl Solution {
    /// Checks that the code is that of this solution, and that the client which presents it is the
    /// one that asked for it (RFC 7636 §4.6).
    fn check(
        &self,
        code: &AuthorizationCode,
        challenge: Option<&CodeChallenge>,
        verifier: Option<&CodeVerifier>,
    ) -> Result<(), Refusal> {
        if self.code != code.digest() {
            return Err(Refusal::CodeMismatch);
        }
        let proved = match (challenge, verifier) {
            (None, None) => true,
            // A verifier without a challenge means that an attacker removed the challenge on its
            // way here (RFC 9700 §4.8.2).
            (None, Some(_)) | (Some(_), None) => false,
            (Some(challenge), Some(verifier)) => challenge.accepts(verifier),
        };
        if proved { Ok(()) } else { Err(Refusal::VerifierMismatch) }
    }
}

impl Challenge {
    /// Charges a message, if one is left and due. It renews the guesses.
    fn transmit(
        &mut self,
        nonce: &Nonce,
        now: Timestamp,
        limits: &Limits,
    ) -> Option<(Pin, Charge)> {
        if self.sent_at.is_some_and(|sent_at| limits.is_early(sent_at, now)) {
            return None;
        }
        self.transmissions_left = self.transmissions_left.checked_sub(1)?;
        let attempts = limits.pin_attempts.get();
        let charge = Charge {
            salt: self.salt,
            sent_at: now,
            transmissions_left: self.transmissions_left,
            attempts_before: self.attempts_left,
            attempts,
        };
        self.attempts_left = attempts;
        self.sent_at = Some(now);
        Some((Pin::derive(nonce, &self.salt), charge))
    }

    const fn is_used_up(&self) -> bool {
        self.transmissions_left == 0 && self.attempts_left == 0
    }
}

impl Charge {
    /// Whether it paid for the latest message of a challenge, whose guesses are all left.
    fn is_latest_of(&self, it: &Challenge) -> bool {
        self.is(it.salt, it.sent_at, it.transmissions_left, it.attempts_left)
    }

    /// The same of an address that another has replaced.
    fn is_latest_of_earlier(&self, it: &Earlier) -> bool {
        self.is(it.salt, it.sent_at, it.transmissions_left, it.attempts_left)
    }

    fn is(
        &self,
        salt: Salt,
        sent_at: Option<Timestamp>,
        transmissions_left: u8,
        attempts_left: u8,
    ) -> bool {
        self.salt == salt
            && Some(self.sent_at) == sent_at
            && self.transmissions_left == transmissions_left
            && self.attempts == attempts_left
    }
}
