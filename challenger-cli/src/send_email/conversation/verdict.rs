//! What a failure means for the person, the operator, and the next attempt.

use super::reply::Reply;
use super::{Failure, Step};

/// Whom a failure concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The address does not exist, or takes no mail.
    Address,
    /// The address is at a host that does not exist, or takes no mail.
    Host,
    /// The operator has to change something.
    Configuration,
    /// The next attempt may work.
    Later,
    /// The message was not taken, for another reason.
    Unavailable,
}

impl Failure {
    /// The step at which the server failed, if it is not about what it offers.
    pub(super) fn step(&self) -> Option<Step> {
        match self {
            Self::Closed(step)
            | Self::NoReply(step)
            | Self::Refused(step, _)
            | Self::Senseless(step, _)
            | Self::TooLong(step) => Some(*step),
            Self::NoMechanism(_) | Self::NoStartTls | Self::NoUtf8 { .. } | Self::Unasked => None,
        }
    }

    /// What the failure means.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refused(_, reply) if reply.class() == 4 => Kind::Later,
            Self::Refused(step, reply) => refused(*step, reply),
            Self::Closed(_) => Kind::Later,
            // The person may have another address, in ASCII.
            Self::NoUtf8 { is_recipient: true } => Kind::Address,
            Self::NoMechanism(_) | Self::NoStartTls | Self::NoUtf8 { is_recipient: false } => {
                Kind::Configuration
            }
            Self::Unasked | Self::NoReply(_) | Self::Senseless(..) | Self::TooLong(_) => {
                Kind::Unavailable
            }
        }
    }
}

/// What a permanent refusal means.
fn refused(step: Step, reply: &Reply) -> Kind {
    match step {
        // The server does not serve us, and may not say why.
        Step::Connection | Step::Reset => Kind::Unavailable,
        Step::Hello | Step::StartTls | Step::Login | Step::Sender => Kind::Configuration,
        Step::Recipient => refused_recipient(reply),
        // Some servers look at the recipient only now. If they do not say so, it is the message
        // that they do not want.
        Step::Data | Step::Message => {
            reply.enhanced().and_then(enhanced).unwrap_or(Kind::Unavailable)
        }
    }
}

fn refused_recipient(reply: &Reply) -> Kind {
    let code = reply.enhanced();
    if let Some(kind) = code.and_then(enhanced) {
        return kind;
    }
    // Servers refuse at the recipient what they could have refused before: our name at EHLO (504),
    // the missing login (530, or "relaying denied" with any code).
    // The recipient, whom they repeat, may be called so.
    let text = reply.text().to_ascii_lowercase();
    let is_relaying = text.split(' ').any(|it| it.contains("relay") && !it.contains('@'));
    match (reply.code, code) {
        (504 | 530, _) => Kind::Configuration,
        _ if is_relaying => Kind::Configuration,
        // A subject of 0 says nothing.
        (501 | 550 | 551 | 553, None | Some((0, _))) => Kind::Address,
        // RFC 7504 §4: the host takes no mail.
        (556, None | Some((0, _))) => Kind::Host,
        _ => Kind::Unavailable,
    }
}

/// What an enhanced code says about an address (RFC 3463 §3.2 and later; the registry of IANA).
fn enhanced((subject, detail): (u16, u16)) -> Option<Kind> {
    match (subject, detail) {
        // The domain does not exist, or takes no mail (RFC 7505 §4.2).
        (1, 2 | 10) => Some(Kind::Host),
        // It is the sender's address that is wrong.
        (1, 7 | 8) => Some(Kind::Configuration),
        (1, _) => Some(Kind::Address),
        // The mailbox is disabled.
        (2, 1) => Some(Kind::Address),
        // Exchange Online says this of recipients that it does not know.
        (4, 1) => Some(Kind::Address),
        // There is no way to the host.
        (4, 4) => Some(Kind::Host),
        // No letters outside of ASCII for this recipient (RFC 6531 §3.5).
        (6, 7) => Some(Kind::Address),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_that_is_called_relay_is_still_one() {
        for (text, expected) in [
            ("Relaying denied", Kind::Configuration),
            ("<ada@b.example>: relay access denied", Kind::Configuration),
            ("<relay@b.example>: no such user", Kind::Address),
            ("ada@relay.example unknown", Kind::Address),
        ] {
            let reply = Reply { code: 550, lines: vec![text.to_owned()] };
            assert_eq!(Failure::Refused(Step::Recipient, reply).kind(), expected, "{text}");
        }
    }
}
