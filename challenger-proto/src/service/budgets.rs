//! How many messages may be sent across all validations, and whether one more may be.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::address::{Address, AddressType, Destination};
use crate::oauth::client::{Client, ClientId};
use crate::store::{Account, Balance, Entry, Event, MessageBudget};
use crate::time::{Span, Timestamp};

/// How many messages may be sent across all validations. A client's own budget is in its row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budgets {
    /// Messages to one address, by all clients; `None`: any number, and with them any number of
    /// guesses.
    pub address: Option<MessageBudget>,
    /// Messages to destinations. Of those that an address belongs to, the most exact counts.
    pub destinations: BTreeMap<Destination, MessageBudget>,
    /// All messages of the service; `None`: any number.
    pub service: Option<MessageBudget>,
}

/// An account that pays for a message, and what it may spend.
pub(crate) type Payer = (Account, MessageBudget);

impl Budgets {
    /// The defaults for a type of address.
    ///
    /// Each message brings three guesses of 10^8, so that ten a day let a stranger prove an address
    /// with a chance of 3 in 10 million for each day of trying. A letter costs more than an e-mail,
    /// and takes days.
    pub fn for_type(address_type: &AddressType) -> Self {
        let (messages, days) = if address_type.is_postal() { (3, 30) } else { (10, 1) };
        let address = Some(MessageBudget { messages, period: Span::days(days) });
        Self { address, ..Self::default() }
    }

    /// What pays for a message to an address, besides its client.
    pub(crate) fn payers(&self, address: &Address) -> Vec<Payer> {
        let one = self.address.map(|budget| (Account::of_address(address), budget));
        one.into_iter().chain(self.shared(address)).collect()
    }

    /// Those of them that pay for many addresses.
    fn shared(&self, address: &Address) -> impl Iterator<Item = Payer> {
        let destination = |(destination, budget): (&Destination, &MessageBudget)| {
            (Account::Destination(destination.clone()), *budget)
        };
        let destinations =
            address.fields().filter_map(move |it| self.destination(it).map(destination));
        destinations.chain(self.service.map(|it| (Account::Service, it)))
    }

    /// The most exact of the destinations that a field of an address belongs to.
    fn destination(&self, (field, value): (&str, &str)) -> Option<(&Destination, &MessageBudget)> {
        let covers = |it: &Destination| it.field() == field && it.covers(value);
        let covering = self.destinations.iter().filter(|(destination, _)| covers(destination));
        // Of two with the same length, `+` is the first and not the more exact one.
        covering.max_by_key(|(destination, _)| destination.text().len())
    }

    /// What a proof of an address is counted by: the client, and the destinations. If few messages
    /// lead to a proof, somebody may be asking for them without end.
    pub(crate) fn prove(&self, address: &Address, client: ClientId, now: Timestamp) -> Vec<Entry> {
        let shared = self.shared(address).map(|(account, _)| account);
        let counted = shared.chain([Account::Client(client)]);
        counted.map(|account| Entry { account, event: Event::Proof { now } }).collect()
    }
}

/// What a message costs: an entry for each account that it is charged to.
///
/// # Errors
/// One of them cannot pay.
pub(crate) fn charge(
    payers: &[Payer],
    client: Option<&Client>,
    balances: &[Balance],
    now: Timestamp,
) -> Result<Vec<Entry>, Exhausted> {
    let of_client = client.and_then(of_client);
    let payers = || payers.iter().chain(&of_client);
    let full_until = |(account, budget): &Payer| {
        if budget.messages == 0 {
            return Some(Timestamp::NEVER);
        }
        let balance = balances.iter().find(|balance| balance.account == *account)?;
        balance.full_until(*budget, now)
    };
    let full = payers().filter_map(|payer| Some((&payer.0, full_until(payer)?)));
    if let Some(until) = full.clone().map(|(_, until)| until).max() {
        let is_general = |account| matches!(account, &Account::Client(_) | Account::Service);
        let other_address = !full.clone().any(|(account, _)| is_general(account));
        return Err(Exhausted { until, other_address });
    }
    let entry = |(account, budget): &Payer| {
        let event = Event::Message { budget: *budget, now };
        Entry { account: account.clone(), event }
    };
    Ok(payers().map(entry).collect())
}

/// A client's account and budget, if it has one.
fn of_client(client: &Client) -> Option<Payer> {
    let messages = client.messages_per_day?;
    Some((Account::Client(client.id), MessageBudget { messages, period: Span::days(1) }))
}

/// A message is too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted {
    /// Until when; [`Timestamp::NEVER`] if nothing may be sent there at all.
    pub(crate) until: Timestamp,
    /// Whether a message to another address may not be too many.
    pub(crate) other_address: bool,
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::address::tidy::tidied;

    const DAY: Span = Span::days(1);

    fn phone(number: &str) -> Address {
        let name = "CONTACT_PHONE";
        Address::new([(name.to_string(), tidied(name, number))]).unwrap()
    }

    fn budgets(prefixes: &[(&str, u32)]) -> Budgets {
        let budget = |messages| MessageBudget { messages, period: DAY };
        let entry = |(prefix, messages): &(&str, u32)| {
            (Destination::prefix(prefix).unwrap(), budget(*messages))
        };
        Budgets { destinations: prefixes.iter().map(entry).collect(), ..Budgets::default() }
    }

    #[test]
    fn the_most_exact_destination_counts() {
        let it = budgets(&[("+", 0), ("0", 5), ("+41", 100), ("+4179", 10)]);
        let charged = |number: &str| {
            let entries = charge(&it.payers(&phone(number)), None, &[], Timestamp::EPOCH);
            entries.map(|entries| entries.iter().map(|it| it.account.to_string()).collect())
        };
        for spelling in ["+41 79 123 45 67", "+41 079 123 45 67"] {
            assert_eq!(charged(spelling), Ok(Vec::from(["prefix:+4179".to_string()])));
        }
        assert_eq!(charged("+41 44 123 45 67"), Ok(Vec::from(["prefix:+41".to_string()])));
        let blocked = Err(Exhausted { until: Timestamp::NEVER, other_address: true });
        assert_eq!(charged("+49 30 123456"), blocked);
        assert_eq!(charged("79 123 45 67"), blocked);
        assert_eq!(charged("079 123 45 67"), Ok(Vec::from(["prefix:0".to_string()])));
    }

    #[test]
    fn every_account_has_to_pay_and_the_slowest_says_when() {
        let now = Timestamp::from_seconds(1_000_000);
        let mut it = budgets(&[("+41", 2)]);
        it.address = Some(MessageBudget { messages: 2, period: DAY });
        it.service = Some(MessageBudget { messages: 2, period: DAY });
        let address = phone("+41 79 123 45 67");
        let payers = it.payers(&address);
        let entries = charge(&payers, None, &[], now).unwrap();
        assert_eq!(entries.len(), 3);
        let balances = |hours: [Option<u64>; 3]| -> Vec<Balance> {
            let full = |(entry, hours): (&Entry, Option<u64>)| {
                let mut balance = entry.post(None).unwrap()?;
                balance.spent = 2;
                balance.ends = now.plus(Span::minutes(60 * hours?));
                Some(balance)
            };
            entries.iter().zip(hours).filter_map(full).collect()
        };
        for (hours, until) in [
            ([Some(1), None, None], (1, true)),
            ([None, Some(2), None], (2, true)),
            ([None, None, Some(3)], (3, false)),
            ([Some(5), Some(4), Some(3)], (5, false)),
        ] {
            let (hours_left, other_address) = until;
            let until = now.plus(Span::minutes(60 * hours_left));
            let charged = charge(&payers, None, &balances(hours), now);
            assert_eq!(charged, Err(Exhausted { until, other_address }), "{hours:?}");
        }
        assert!(charge(&payers, None, &balances([None, None, None]), now).is_ok());
    }
}
