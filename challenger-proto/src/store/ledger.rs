//! The ledger: what messages cost, across all validations. An account has a budget for a window of
//! time, and a balance that says how much of it is spent.

use alloc::format;
use alloc::string::String;
use core::fmt;

use crate::address::Address;
use crate::address::destination::Destination;
use crate::address::mailbox::mailbox;
use crate::oauth::client::ClientId;
use crate::secret::base32;
use crate::secret::digest::{MailboxDigest, sha256};
use crate::time::{Span, Timestamp};

/// How many messages may be sent in a period. The period begins with the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageBudget {
    /// The most messages; 0 if none may be sent.
    pub messages: u32,
    /// How long they have to last.
    pub period: Span,
}

/// What a message is charged to. One message may be charged to several.
///
/// A store keeps every kind, so none will be added without a new major version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// The address that it goes to.
    Address(MailboxDigest),
    /// The client that asked for it.
    Client(ClientId),
    /// The part of the world that the address belongs to.
    Destination(Destination),
    /// The whole service.
    Service,
}

impl Account {
    /// The account of an address. All spellings of its mailbox have the same one.
    pub fn of_address(address: &Address) -> Self {
        let text = mailbox(address);
        Self::Address(MailboxDigest::from_bytes(sha256(&[b"mailbox\n", text.as_bytes()])))
    }

    /// A text by which a store can find the account, such as `client:7` or `prefix:+41`.
    pub fn to_text(&self) -> String {
        match self {
            Self::Address(digest) => format!("address:{}", base32::encode(digest.as_bytes())),
            Self::Client(id) => format!("client:{id}"),
            Self::Destination(destination) => {
                format!("{}:{}", destination.kind(), destination.text())
            }
            Self::Service => String::from("service"),
        }
    }

    /// Reads what [`Self::to_text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None if text == "service" => Some(Self::Service),
            Some(("address", digest)) => {
                let bytes = base32::decode(digest)?;
                Some(Self::Address(MailboxDigest::from_bytes(bytes)))
            }
            Some(("client", id)) => ClientId::parse(id).map(Self::Client),
            Some((kind, text)) => Destination::of_kind(kind, text).map(Self::Destination),
            None => None,
        }
    }

    /// Whether messages to many people are charged to it.
    pub const fn is_shared(&self) -> bool {
        !matches!(self, Self::Address(_))
    }
}

/// As logs name it: like [`Account::to_text`], but without the digest of an address, from which a
/// short address such as a telephone number could be found.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(_) => f.write_str("address"),
            Self::Client(_) | Self::Destination(_) | Self::Service => f.write_str(&self.to_text()),
        }
    }
}

/// What is spent of an account's budget.
///
/// A store keeps every field, so none will be added without a new major version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The account.
    pub account: Account,
    /// The messages of the window.
    pub spent: u32,
    /// The addresses that were proved in the window. An address account does not count them.
    pub proved: u32,
    /// The budget, as it was when the latest message was charged.
    pub budget: MessageBudget,
    /// When the window ends. From then on, nothing is spent.
    pub ends: Timestamp,
}

impl Balance {
    /// Whether the window is that of a time.
    ///
    /// Servers whose clocks differ by less than the period agree on a window. One that would end
    /// even later was begun by a clock that was wrong, and must not last until that time has come.
    pub fn is_open(&self, now: Timestamp, period: Span) -> bool {
        now < self.ends && self.ends <= now.plus(period).plus(period)
    }

    /// Whether a message was charged in this window, and not in an earlier one.
    fn has(&self, charged: Timestamp) -> bool {
        charged < self.ends && self.ends <= charged.plus(self.budget.period)
    }

    /// Until when another message is too many, if it is.
    pub(crate) fn full_until(&self, budget: MessageBudget, now: Timestamp) -> Option<Timestamp> {
        let is_full = self.spent >= budget.messages && self.is_open(now, budget.period);
        is_full.then_some(self.ends)
    }

    /// What the operator should know, now that this many messages were charged at once.
    pub fn alert(&self, charged: u32) -> Option<Alert> {
        let before = self.spent.saturating_sub(charged);
        let crosses = |mark: u32| before < mark && mark <= self.spent;
        let most = self.budget.messages;
        // In 64 bits, so that no budget is too large.
        let nearly = (u64::from(most) * 4).div_ceil(5);
        if crosses(most) {
            Some(Alert::Exhausted)
        } else if self.account.is_shared() && u32::try_from(nearly).is_ok_and(crosses) {
            Some(Alert::NearlyExhausted)
        } else {
            None
        }
    }
}

/// Something that an operator should know about a balance. Another would be of no use to a store
/// that does not know it, so none will be added without a new major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alert {
    /// Nothing is left until the window ends.
    Exhausted,
    /// Four fifths are spent.
    NearlyExhausted,
}

/// A change of one balance, as a part of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The account.
    pub account: Account,
    /// What happened.
    pub event: Event,
}

/// What changes a balance. A store carries out all of them, so none will be added without a new
/// major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message is paid for, now.
    Message {
        /// What may be spent.
        budget: MessageBudget,
        /// The time now.
        now: Timestamp,
    },
    /// A message that was paid for could not be sent.
    Refund {
        /// When it was paid for.
        charged: Timestamp,
    },
    /// An address was proved, now. Shared accounts count that.
    Proof {
        /// The time now.
        now: Timestamp,
    },
}

/// A message is too many: the budget is spent until the window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverBudget;

impl Entry {
    /// The balance after this entry; `None` if there is nothing to change.
    ///
    /// # Errors
    /// The budget does not allow another message.
    pub fn post(&self, balance: Option<&Balance>) -> Result<Option<Balance>, OverBudget> {
        let account = &self.account;
        match self.event {
            Event::Message { budget, now } => {
                let open = balance.filter(|it| it.is_open(now, budget.period));
                let ends = now.plus(budget.period);
                let begun =
                    || Balance { account: account.clone(), spent: 0, proved: 0, budget, ends };
                let before = open.cloned().unwrap_or_else(begun);
                if before.spent >= budget.messages {
                    return Err(OverBudget);
                }
                Ok(Some(Balance { spent: before.spent + 1, budget, ..before }))
            }
            Event::Refund { charged } => {
                let paid = balance.filter(|it| it.has(charged) && it.spent > 0);
                Ok(paid.map(|it| Balance { spent: it.spent - 1, ..it.clone() }))
            }
            Event::Proof { now } => {
                let open = balance.filter(|it| it.is_open(now, it.budget.period));
                let counts = open.filter(|_| account.is_shared());
                Ok(counts.map(|it| Balance { proved: it.proved.saturating_add(1), ..it.clone() }))
            }
        }
    }

    /// The entry that takes this one back; `None` if there is nothing to take back.
    pub(crate) fn refund(&self) -> Option<Self> {
        let Event::Message { now, .. } = self.event else { return None };
        Some(Self { account: self.account.clone(), event: Event::Refund { charged: now } })
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    const BUDGET: MessageBudget = MessageBudget { messages: 2, period: Span::seconds(100) };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn message(now: u64) -> Entry {
        let event = Event::Message { budget: BUDGET, now: at(now) };
        Entry { account: Account::Service, event }
    }

    fn post(balance: Option<Balance>, entry: &Entry) -> Option<Balance> {
        entry.post(balance.as_ref()).unwrap().or(balance)
    }

    #[test]
    fn a_window_begins_with_a_message_and_ends_after_its_period() {
        let one = post(None, &message(1000)).unwrap();
        assert_eq!((one.spent, one.ends), (1, at(1100)));
        let two = post(Some(one), &message(1050)).unwrap();
        assert_eq!((two.spent, two.ends), (2, at(1100)));
        assert_eq!(message(1099).post(Some(&two)), Err(OverBudget));
        assert_eq!(two.full_until(BUDGET, at(1099)), Some(at(1100)));
        assert_eq!(two.full_until(BUDGET, at(1100)), None);
        let next = post(Some(two), &message(1100)).unwrap();
        assert_eq!((next.spent, next.ends), (1, at(1200)));
    }

    #[test]
    fn clocks_may_differ_but_no_window_lasts_for_ever() {
        let full = post(post(None, &message(1000)), &message(1000)).unwrap();
        assert_eq!(message(900).post(Some(&full)), Err(OverBudget), "a clock that is behind");
        let restarted = post(Some(full), &message(899)).unwrap();
        assert_eq!((restarted.spent, restarted.ends), (1, at(999)), "a clock that was set back");
    }

    #[test]
    fn a_refund_belongs_to_the_window_that_paid() {
        let refund = |charged| message(charged).refund().unwrap();
        let two = post(post(None, &message(1000)), &message(1050));
        for charged in [1000, 1050, 1099] {
            assert_eq!(post(two.clone(), &refund(charged)).unwrap().spent, 1, "{charged}");
        }
        for charged in [999, 1100] {
            assert_eq!(refund(charged).post(two.as_ref()), Ok(None), "{charged}");
        }
        let none = post(post(two, &refund(1000)), &refund(1050));
        assert_eq!(refund(1050).post(none.as_ref()), Ok(None), "twice");
        assert_eq!(refund(1000).post(None), Ok(None));
        assert!(refund(1000).refund().is_none());
    }

    #[test]
    fn a_budget_that_was_lowered_holds_at_once() {
        let two = post(post(None, &message(1000)), &message(1000)).unwrap();
        let lower = |messages| {
            let event =
                Event::Message { budget: MessageBudget { messages, ..BUDGET }, now: at(1001) };
            Entry { account: Account::Service, event }.post(Some(&two)).is_ok()
        };
        assert_eq!([0, 1, 2, 3].map(lower), [false, false, false, true]);
    }

    #[test]
    fn proofs_are_counted_in_a_window() {
        let proof = |now| Entry { account: Account::Service, event: Event::Proof { now: at(now) } };
        assert_eq!(proof(1000).post(None), Ok(None));
        let one = post(None, &message(1000));
        assert_eq!(proof(1100).post(one.as_ref()), Ok(None));
        let proved = post(one, &proof(1099));
        assert_eq!(post(proved.clone(), &message(1099)).unwrap().proved, 1);
        assert_eq!(post(proved, &message(1100)).unwrap().proved, 0);
        let account = Account::Address(MailboxDigest::from_bytes([0; 32]));
        let of_address = |entry| Entry { account: account.clone(), ..entry };
        let one = post(None, &of_address(message(1000)));
        assert_eq!(of_address(proof(1000)).post(one.as_ref()), Ok(None));
    }

    #[test]
    fn budgets_and_times_of_any_size_end_where_they_say() {
        let periods = [1, 86_400, 365 * 86_400 * 10_000, i64::MAX as u64, u64::MAX];
        for period in periods.map(Span::seconds) {
            let budget = MessageBudget { messages: u32::MAX, period };
            for now in [Timestamp::EPOCH, at(1_790_000_000), at(Timestamp::NEVER.seconds() - 1)] {
                let event = Event::Message { budget, now };
                let entry = Entry { account: Account::Service, event };
                let mut balance = entry.post(None).unwrap().unwrap();
                assert!(now < balance.ends && balance.is_open(now, period), "{period:?} {now:?}");
                balance.spent = u32::MAX - 1;
                assert_eq!(balance.full_until(budget, now), None);
                let mut full = entry.post(Some(&balance)).unwrap().unwrap();
                assert_eq!((full.spent, full.ends), (u32::MAX, balance.ends));
                assert_eq!(full.alert(1), Some(Alert::Exhausted));
                assert_eq!(full.alert(u32::MAX), Some(Alert::Exhausted));
                assert_eq!(entry.post(Some(&full)), Err(OverBudget));
                assert_eq!(full.full_until(budget, now), Some(full.ends));
                full.proved = u32::MAX;
                let proof = Entry { account: Account::Service, event: Event::Proof { now } };
                assert_eq!(proof.post(Some(&full)), Ok(Some(full.clone())));
                let refunded = entry.refund().unwrap().post(Some(&full)).unwrap().unwrap();
                assert_eq!(refunded.spent, u32::MAX - 1);
            }
        }
    }

    #[test]
    fn an_operator_hears_of_each_mark_once() {
        let alerts = |account: Account, messages: u32, portion: u32| {
            let budget = MessageBudget { messages, ..BUDGET };
            let ends = at(1100);
            let balance =
                |spent| Balance { account: account.clone(), spent, proved: 0, budget, ends };
            (1..=messages / portion)
                .filter_map(|n| balance(n * portion).alert(portion).map(|it| (n * portion, it)))
                .collect::<alloc::vec::Vec<_>>()
        };
        let (nearly, all) = (Alert::NearlyExhausted, Alert::Exhausted);
        assert_eq!(alerts(Account::Service, 10, 1), [(8, nearly), (10, all)]);
        assert_eq!(alerts(Account::Service, 12, 3), [(12, all)]);
        assert_eq!(alerts(Account::Service, 1, 1), [(1, all)]);
        let address = Account::Address(MailboxDigest::from_bytes([0; 32]));
        assert_eq!(alerts(address, 10, 1), [(10, all)]);
    }

    #[test]
    fn an_account_is_found_by_its_text() {
        for (account, text) in [
            (Account::Service, "service"),
            (Account::Client(ClientId::new(7).unwrap()), "client:7"),
            (Account::Destination(Destination::prefix("+41").unwrap()), "prefix:+41"),
            (Account::Destination(Destination::domain("a.example").unwrap()), "domain:a.example"),
            (Account::Destination(Destination::country("CH").unwrap()), "country:CH"),
        ] {
            assert_eq!((account.to_text().as_str(), account.to_string().as_str()), (text, text));
            assert_eq!(Account::parse(text), Some(account));
        }
        let address = Account::Address(MailboxDigest::from_bytes([7; 32]));
        assert_eq!(address.to_string(), "address");
        assert_eq!(Account::parse(&address.to_text()), Some(address));
        for bad in ["", "client", "client:0", "client:x", "address:", "prefix:", "other:1"] {
            assert_eq!(Account::parse(bad), None, "{bad}");
        }
    }
}
