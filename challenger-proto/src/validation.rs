//! The state machine: one validation from `/setup` to `/token`.
//!
//! Rule 1: everything that changes a validation stands in this file.
//! Rule 2: this file knows neither HTTP nor storage.
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
//! Every transition consumes the old row and returns the new one. What a row may do follows from
//! the row, the clock and the limits alone. The row's identity, client, expiry and version never
//! change.

use alloc::vec::Vec;

use crate::address::Address;
use crate::client::{Client, ClientId};
use crate::digest::{CodeDigest, NonceDigest, TokenDigest};
use crate::earlier::{Earlier, turn_to};
use crate::entropy::Entropy;
use crate::grant::{AuthorizationCode, AuthorizationRequest, Grant};
use crate::limits::{Limits, REPLAY_GRACE};
use crate::nonce::Nonce;
use crate::oob::{Attempt, OobSecret, Salt};
use crate::pkce::CodeVerifier;
use crate::redirect::RedirectUri;
use crate::refusal::Refusal;
use crate::time::Timestamp;

/// Which state of a row this is. A store compares and increments it; nothing else touches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowVersion(pub i64);

impl RowVersion {
    /// What a new row has.
    pub const FIRST: Self = Self(1);

    /// What the row has after a store replaced it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// One validation process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// Its name in the store.
    pub id: NonceDigest,
    /// Who asked for it.
    pub client: ClientId,
    /// Which state of the row this is.
    pub version: RowVersion,
    /// From then on it is unknown to everybody.
    pub expires: Timestamp,
    /// Where its user is sent back to, copied from the client at birth.
    pub redirect_uri: RedirectUri,
    /// The address that the client proposed.
    pub prefill: Option<Address>,
    /// Whether no other address than the proposed one will do.
    pub read_only: bool,
    /// The latest authorization request.
    pub authorization: Option<AuthorizationRequest>,
    /// How often the address may still be chosen.
    pub addresses_left: u8,
    /// How many failed deliveries are still forgiven.
    pub refunds_left: u8,
    /// The addresses that were challenged before the current one, until it is solved.
    pub earlier: Vec<Earlier>,
    /// How far it got.
    pub progress: Progress,
}

/// How far a validation got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No message was asked for.
    Open,
    /// A message is on its way, or was.
    Challenged(Challenge),
    /// The right PIN was entered.
    Solved(Solution),
    /// The code was redeemed.
    Redeemed {
        /// What was proved.
        solution: Solution,
        /// The token that the code bought.
        token: TokenDigest,
        /// When.
        at: Timestamp,
    },
    /// The code was used again, late, so the token was taken back.
    Revoked(Solution),
}

/// An address under test, and its budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Where the messages go.
    pub address: Address,
    /// From which, with the nonce, the PIN follows.
    pub salt: Salt,
    /// When the latest message was sent; `None` if it failed and the next is due at once.
    pub sent_at: Option<Timestamp>,
    /// How many more messages this address may get.
    pub transmissions_left: u8,
    /// How many more guesses will be judged.
    pub attempts_left: u8,
}

/// A proved address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution {
    /// Where the PIN was sent.
    pub address: Address,
    /// From which, with the nonce, PIN and code follow.
    pub salt: Salt,
    /// When the right PIN was entered first.
    pub at: Timestamp,
    /// When it was entered last, of which the code is made and from which its time counts.
    pub renewed_at: Timestamp,
    /// How to recognise the code; those of earlier moments are void.
    pub code: CodeDigest,
}

/// Which message was handed to the helper, so that a failure gives back the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    salt: Salt,
    sent_at: Timestamp,
    transmissions_left: u8,
}

/// What submitting an address leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenged {
    /// The address was changed. A message was sent there a short while ago, so none is sent now.
    Changed(Validation),
    /// The validation is solved already.
    Completed(Validation),
    /// No message may be sent: the address is fixed, or nothing is left. Nothing is to be written.
    Refused(Validation, Refusal),
    /// A message has to be sent.
    Send(Validation, Delivery),
    /// A message was sent a short while ago, so none is sent now. Nothing is to be written.
    Wait(Validation),
}

/// What entering a PIN leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right: the row changed.
    Accepted(Validation),
    /// Solved before, and nothing changed.
    Completed(Validation),
    /// Not judged: the guesses are used up.
    Exhausted(Validation),
    /// Not judged: no message was ever sent.
    NoChallenge(Validation),
    /// Wrong: the row changed.
    Rejected(Validation),
}

/// What presenting a code leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeemed {
    /// The first use, with the grant it buys.
    First(Validation, Grant),
    /// A late second use: the token is taken back.
    Late(Validation, TokenDigest),
}

impl Validation {
    /// A new process for a client.
    pub fn open(
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
            expires: now.plus(limits.validation_duration),
            redirect_uri: client.redirect_uri.clone(),
            // Without an address there is nothing to hold on to.
            read_only: read_only && prefill.is_some(),
            prefill,
            authorization: None,
            addresses_left: limits.address_changes,
            refunds_left: limits.refunds,
            earlier: Vec::new(),
            progress: Progress::Open,
        }
    }

    /// The validation itself, unless its time is over.
    ///
    /// # Errors
    /// [`Refusal::ValidationUnknown`]: an expired one is like one that never was.
    pub fn live(self, now: Timestamp) -> Result<Self, Refusal> {
        if now < self.expires { Ok(self) } else { Err(Refusal::ValidationUnknown) }
    }

    /// Remembers an authorization request. `None`: nothing to remember, because it is the same as
    /// before, or the validation is solved and its answer fixed.
    pub fn authorize(mut self, request: AuthorizationRequest) -> Option<Self> {
        let news = !self.is_solved() && self.authorization.as_ref() != Some(&request);
        self.authorization = Some(request);
        news.then_some(self)
    }

    /// Takes the address to send a PIN to.
    ///
    /// Another address than the current one is charged, gets a budget and, by its new salt, a PIN
    /// of its own; one that comes back has those that it had. The same address is sent its PIN
    /// again, if it is time and there is a message left.
    pub fn challenge(
        mut self,
        nonce: &Nonce,
        address: Address,
        now: Timestamp,
        limits: &Limits,
        entropy: Entropy,
    ) -> Challenged {
        if self.is_solved() {
            return Challenged::Completed(self);
        }
        let another = self.address() != Some(&address);
        if another {
            if self.read_only {
                return Challenged::Refused(self, Refusal::AddressReadOnly);
            }
            let Some(left) = self.addresses_left.checked_sub(1) else {
                return Challenged::Refused(self, Refusal::TooManyAttempts);
            };
            let (challenge, earlier) =
                turn_to(address, self.challenged(), &self.earlier, nonce, now, limits, entropy);
            if challenge.is_used_up() {
                return Challenged::Refused(self, Refusal::TooManyAttempts);
            }
            self.addresses_left = left;
            self.earlier = earlier;
            self.progress = Progress::Challenged(challenge);
        } else if self.progress == Progress::Open {
            // The proposed address, confirmed, is free of charge.
            self.progress = Progress::Challenged(Challenge::new(address, limits, entropy));
        }
        let Progress::Challenged(challenge) = &mut self.progress else {
            return Challenged::Refused(self, Refusal::Internal);
        };
        if let Some(delivery) = challenge.transmit(now, limits) {
            Challenged::Send(self, delivery)
        } else if another && challenge.sent_at.is_some() {
            Challenged::Changed(self)
        } else if challenge.is_used_up() {
            Challenged::Refused(self, Refusal::TooManyAttempts)
        } else {
            Challenged::Wait(self)
        }
    }

    /// Gives a failed message back to its address, be that the current one or not, if it is the
    /// latest one there and refunds are left. `None`: it stays charged. An expired row is left
    /// alone.
    pub fn undelivered(mut self, delivery: &Delivery, now: Timestamp) -> Option<Self> {
        let Progress::Challenged(challenge) = &mut self.progress else { return None };
        if now >= self.expires {
            return None;
        }
        let (sent_at, left) = if challenge.latest() == Some(*delivery) {
            (&mut challenge.sent_at, &mut challenge.transmissions_left)
        } else {
            let mut earlier = self.earlier.iter_mut();
            let failed = earlier.find(|it| it.latest() == Some(*delivery))?;
            (&mut failed.sent_at, &mut failed.transmissions_left)
        };
        self.refunds_left = self.refunds_left.checked_sub(1)?;
        *left = left.saturating_add(1);
        *sent_at = None;
        Some(self)
    }

    /// Judges a PIN. Every judgement of an unsolved row is charged before anybody learns it,
    /// because the caller writes the row first.
    pub fn solve(mut self, nonce: &Nonce, attempt: &Attempt, now: Timestamp) -> Verdict {
        match &mut self.progress {
            Progress::Open => Verdict::NoChallenge(self),
            Progress::Challenged(challenge) => {
                let Some(left) = challenge.attempts_left.checked_sub(1) else {
                    return Verdict::Exhausted(self);
                };
                challenge.attempts_left = left;
                if !OobSecret::derive(nonce, &challenge.salt).matches(attempt) {
                    return Verdict::Rejected(self);
                }
                let uri = &self.redirect_uri;
                let code = AuthorizationCode::derive(nonce, &challenge.salt, now, uri);
                self.progress = Progress::Solved(Solution {
                    address: challenge.address.clone(),
                    salt: challenge.salt,
                    at: now,
                    renewed_at: now,
                    code: code.digest(),
                });
                self.earlier.clear();
                Verdict::Accepted(self)
            }
            Progress::Solved(solution) => {
                let right = OobSecret::derive(nonce, &solution.salt).matches(attempt);
                // A double click, or an answer that got lost, wants the same code again.
                if !right || now.since(solution.renewed_at) <= REPLAY_GRACE {
                    return Verdict::Completed(self);
                }
                let uri = &self.redirect_uri;
                let code = AuthorizationCode::derive(nonce, &solution.salt, now, uri);
                solution.renewed_at = now;
                solution.code = code.digest();
                Verdict::Accepted(self)
            }
            Progress::Redeemed { .. } | Progress::Revoked(_) => Verdict::Completed(self),
        }
    }

    /// Exchanges a code for a grant (RFC 6749 §4.1.3), once.
    ///
    /// # Errors
    /// [`Refusal::AddressNeverGiven`], [`Refusal::CodeExpired`], [`Refusal::CodeMismatch`],
    /// [`Refusal::CodeSpent`], [`Refusal::VerifierMismatch`].
    pub fn redeem(
        mut self,
        code: &AuthorizationCode,
        verifier: Option<&CodeVerifier>,
        token: TokenDigest,
        now: Timestamp,
        limits: &Limits,
    ) -> Result<Redeemed, Refusal> {
        let Some(solution) = self.solution() else {
            let given = self.address().is_some();
            return Err(if given { Refusal::CodeMismatch } else { Refusal::AddressNeverGiven });
        };
        if solution.code != code.digest() {
            return Err(Refusal::CodeMismatch);
        }
        let challenge = self.authorization.as_ref().and_then(|it| it.code_challenge.as_ref());
        let proved = match (challenge, verifier) {
            (None, None) => true,
            // A verifier without a challenge means that somebody removed the challenge on its way
            // here (RFC 9700 §4.8.2).
            (None, Some(_)) | (Some(_), None) => false,
            (Some(challenge), Some(verifier)) => challenge.accepts(verifier),
        };
        if !proved {
            return Err(Refusal::VerifierMismatch);
        }
        let solution = solution.clone();
        match self.progress {
            Progress::Redeemed { token, at, .. } if now.since(at) > REPLAY_GRACE => {
                self.progress = Progress::Revoked(solution);
                Ok(Redeemed::Late(self, token))
            }
            Progress::Redeemed { .. } | Progress::Revoked(_) => Err(Refusal::CodeSpent),
            Progress::Open | Progress::Challenged(_) | Progress::Solved(_) => {
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
                Ok(Redeemed::First(self, grant))
            }
        }
    }
}

/// Whether a message that was sent then is too fresh for the next one. One from the future means
/// that the clock was set back: then the next is due, and the budget alone bounds it.
pub(crate) fn is_early(sent_at: Timestamp, now: Timestamp, limits: &Limits) -> bool {
    sent_at <= now && now < sent_at.plus(limits.retransmission_interval)
}

impl Challenge {
    pub(crate) fn new(address: Address, limits: &Limits, entropy: Entropy) -> Self {
        Self {
            address,
            salt: Salt::draw(entropy),
            sent_at: None,
            transmissions_left: limits.pin_transmissions,
            attempts_left: limits.pin_attempts,
        }
    }

    /// Charges a message, if one is left and due. It brings a full set of guesses.
    fn transmit(&mut self, now: Timestamp, limits: &Limits) -> Option<Delivery> {
        if self.sent_at.is_some_and(|sent_at| is_early(sent_at, now, limits)) {
            return None;
        }
        self.transmissions_left = self.transmissions_left.checked_sub(1)?;
        self.attempts_left = limits.pin_attempts;
        self.sent_at = Some(now);
        self.latest()
    }

    const fn is_used_up(&self) -> bool {
        self.transmissions_left == 0 && self.attempts_left == 0
    }

    fn latest(&self) -> Option<Delivery> {
        Delivery::of(self.salt, self.sent_at, self.transmissions_left)
    }
}

impl Earlier {
    fn latest(&self) -> Option<Delivery> {
        Delivery::of(self.salt, self.sent_at, self.transmissions_left)
    }
}

impl Delivery {
    /// The latest message of a challenge.
    fn of(salt: Salt, sent_at: Option<Timestamp>, transmissions_left: u8) -> Option<Self> {
        sent_at.map(|sent_at| Self { salt, sent_at, transmissions_left })
    }
}
