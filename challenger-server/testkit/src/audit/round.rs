//! The auditor's knowledge of one address of a validation.

use challenger_proto::Timestamp;
use challenger_proto::address::Address;
use challenger_proto::machine::Limits;

/// An address that is or was under test.
#[derive(Clone, PartialEq, Eq)]
pub struct Round {
    pub address: Address,
    /// The PIN, as digits; empty before the first message.
    pub pin: String,
    /// Messages that were paid for, less those that were given back.
    pub charges: u32,
    /// Guesses since the latest message.
    pub guesses: u32,
    /// The guesses before it, which count again if it is given back.
    pub guesses_before: u32,
    /// When the latest message was decided; `None` once it was given back.
    pub latest: Option<Timestamp>,
    /// When the latest message was decided, even if it was given back.
    pub newest: Option<Timestamp>,
    /// From when the interval counts: the latest message, or that of another spelling.
    pub waits_from: Option<Timestamp>,
}

impl Round {
    /// The round of an address that takes its turn after others.
    pub fn next(address: &Address, left: &[Self], now: Timestamp, limits: &Limits) -> Self {
        let siblings = left.iter().filter(|it| it.mailbox() == mailbox(address));
        let fresh =
            siblings.filter_map(|it| it.waits_from).filter(|at| is_early(*at, now, limits)).max();
        let known = left.iter().find(|it| it.address == *address).cloned();
        let mut round = known.unwrap_or_else(|| Self {
            address: address.clone(),
            pin: String::new(),
            charges: 0,
            // Without a message there is nothing to guess.
            guesses: limits.pin_attempts.get().into(),
            guesses_before: 0,
            latest: None,
            newest: None,
            waits_from: None,
        });
        round.waits_from = fresh.or(round.waits_from);
        round
    }

    /// The PIN; before the first message, another text.
    pub fn pin_or_guess(&self) -> &str {
        if self.pin.is_empty() { "12345678" } else { &self.pin }
    }

    pub fn mailbox(&self) -> String {
        mailbox(&self.address)
    }

    /// Whether the message that was sent then is given back if it failed: if it is the latest one,
    /// and none of its guesses was used.
    pub fn gives_back(&self, sent: Timestamp) -> bool {
        self.latest == Some(sent) && self.waits_from == Some(sent) && self.guesses == 0
    }

    /// A message is paid for.
    pub fn charge(&mut self, now: Timestamp) {
        self.charges += 1;
        self.guesses_before = std::mem::take(&mut self.guesses);
        (self.latest, self.newest, self.waits_from) = (Some(now), Some(now), Some(now));
    }

    /// The latest message is given back, and with it the guesses that it brought.
    pub fn give_back(&mut self, sent: Timestamp) {
        assert_eq!(self.latest, Some(sent), "I1: a refund of an older message");
        assert_eq!(self.guesses, 0, "I2: a refund of a message that was used");
        self.guesses = self.guesses_before;
        (self.latest, self.waits_from) = (None, None);
        self.charges = self.charges.checked_sub(1).expect("I1: a refund without a charge");
    }
}

/// Whether a message that was sent then is too fresh for another one.
pub fn is_early(sent: Timestamp, now: Timestamp, limits: &Limits) -> bool {
    sent <= now && now < sent.plus(limits.retransmission_interval)
}

/// The address that messages go to if this is entered: without spaces around it, and with its
/// domain in lower case.
pub(super) fn tidied(entered: &str) -> String {
    let entered = entered.trim();
    let Some((local, domain)) = entered.rsplit_once('@') else { return entered.to_string() };
    format!("{local}@{}", domain.to_lowercase())
}

/// The mailbox of an e-mail address of these tests: in lower case, and without its tag, dots and
/// quotes.
pub(crate) fn mailbox(address: &Address) -> String {
    let text = address.only_value().unwrap_or_default().to_lowercase();
    let (local, domain) = text.split_once('@').unwrap_or((&text, ""));
    let (local, _) = local.split_once('+').unwrap_or((local, ""));
    format!("{}@{domain}", local.replace(['.', '"'], ""))
}
