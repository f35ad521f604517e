//! What each transition of a validation leads to.

use crate::machine::transitions::{Changed, Charge};
use crate::machine::validation::Validation;
use crate::oauth::grant::{AuthorizationCode, Grant};
use crate::refusal::Refusal;
use crate::secret::digest::TokenDigest;
use crate::secret::pin::Pin;

/// What an authorization request leads to.
#[derive(Clone, Debug)]
pub(crate) enum AuthorizeOutcome {
    /// The request is remembered.
    Changed(Changed),
    /// It is another than the one that the validation was opened with, which stays as it is.
    Fixed(Validation),
    /// It is the same as before, or the validation is solved and its answer fixed.
    Same(Validation),
}

/// What submitting an address leads to.
#[derive(Clone, Debug)]
pub(crate) enum ChallengeOutcome {
    /// The address was changed. A message was sent there a short while ago, so none is sent now.
    Changed(Changed),
    /// The validation is solved already, with this code.
    Completed(Validation, AuthorizationCode),
    /// No message may be sent: the address is fixed, or nothing is left.
    Refused(Validation, Refusal),
    /// A message with this PIN has to be sent.
    Send(Changed, Pin, Charge),
    /// A message was sent a short while ago, so none is sent now.
    Wait(Validation),
}

/// What entering a PIN leads to.
#[derive(Clone, Debug)]
pub(crate) enum SolveOutcome {
    /// The PIN is right, and gives this code.
    Accepted(Changed, AuthorizationCode),
    /// The validation is solved already, with this code.
    Completed(Validation, AuthorizationCode),
    /// Not judged: the guesses are used up.
    Exhausted(Validation),
    /// Not judged: no message was ever sent.
    NoChallenge(Validation),
    /// The PIN is wrong.
    Rejected(Changed),
}

/// What a failed delivery leads to.
#[derive(Clone, Debug)]
pub(crate) enum RefundOutcome {
    /// The message stays charged.
    Charged(Changed),
    /// The validation has expired or is solved, so it is left alone.
    Unchanged(Validation),
    /// The message is refunded.
    Refunded(Changed),
}

/// What presenting a code leads to.
#[derive(Clone, Debug)]
pub(crate) enum RedeemOutcome {
    /// The first use, with the grant it buys.
    First(Changed, Grant),
    /// A late second use: the token is revoked.
    Late(Changed, TokenDigest),
}
