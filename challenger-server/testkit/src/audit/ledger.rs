//! The auditor's ledger: who pays for a message, and what is spent, counted from outside.

use std::collections::BTreeMap;

use challenger_proto::address::Address;
use challenger_proto::http::{Body, Response};
use challenger_proto::oauth::ClientId;
use challenger_proto::store::{Balance, MessageBudget};
use challenger_proto::{Budgets, Span, Timestamp};

use super::round::mailbox;

/// The account of an address, whichever it is.
const ADDRESS: &str = "address:";

/// What was spent and proved on every account.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    budgets: Budgets,
    clients: BTreeMap<ClientId, u32>,
    windows: BTreeMap<String, Window>,
    mailboxes: BTreeMap<String, Mailbox>,
}

/// The latest window of an account. It lasts from its first message until its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    begins: Timestamp,
    ends: Timestamp,
    spent: u32,
    proved: u32,
}

/// All that ever happened at an address, in all its spellings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mailbox {
    /// Messages that were paid for, less those that were given back.
    messages: u32,
    guesses: u32,
    windows: u32,
}

/// Those who pay for a message, as they were when the rows were read: whatever is decided on the
/// rows, this was true.
#[derive(Clone, Debug, Default)]
pub struct Payers(Vec<(String, MessageBudget, Option<Window>)>);

impl Window {
    /// Whether it is that of a time. Clocks may differ by a period; a window that ends even later
    /// was begun by a clock that was wrong.
    fn is_open(&self, now: Timestamp, period: Span) -> bool {
        now < self.ends && self.ends.since(now).as_seconds() <= 2 * period.as_seconds()
    }

    fn has(&self, at: Timestamp) -> bool {
        self.begins <= at && at < self.ends
    }
}

impl Ledger {
    pub fn new(budgets: &Budgets) -> Self {
        Self { budgets: budgets.clone(), ..Self::default() }
    }

    /// Learns how many messages a client may pay for in a day.
    pub fn know(&mut self, client: ClientId, messages_per_day: Option<u32>) {
        self.clients.extend(messages_per_day.map(|messages| (client, messages)));
    }

    /// Whether a client's messages are limited.
    pub fn limits(&self, client: ClientId) -> bool {
        self.clients.contains_key(&client)
    }

    /// Those who pay for a message, by name, and their budgets.
    fn payers(&self, to: &Address, client: ClientId) -> Vec<(String, MessageBudget)> {
        let Budgets { address, destinations, service, .. } = &self.budgets;
        let domain = to.only_value().and_then(|it| it.rsplit_once('@')).map_or("", |it| it.1);
        let is_in = |text: &str| domain == text || domain.ends_with(&format!(".{text}"));
        let named = destinations.iter().map(|(it, budget)| (it.kind(), it.text(), *budget));
        let longest = named
            .filter(|(kind, text, _)| *kind == "domain" && is_in(text))
            .max_by_key(|(_, text, _)| text.len());
        let day = Span::seconds(24 * 60 * 60);
        let client_budget =
            self.clients.get(&client).map(|it| MessageBudget { messages: *it, period: day });
        let payers = [
            address.map(|budget| (format!("{ADDRESS}{}", mailbox(to)), budget)),
            longest.map(|(_, text, budget)| (format!("domain:{text}"), budget)),
            service.map(|budget| ("service".to_string(), budget)),
            client_budget.map(|budget| (format!("client:{client}"), budget)),
        ];
        payers.into_iter().flatten().collect()
    }

    pub fn glimpse(&self, to: &Address, client: ClientId) -> Payers {
        let with_window = |(name, budget): (String, MessageBudget)| {
            let window = self.windows.get(&name).copied();
            (name, budget, window)
        };
        Payers(self.payers(to, client).into_iter().map(with_window).collect())
    }

    /// A message is paid for.
    pub fn charge(&mut self, to: &Address, client: ClientId, now: Timestamp) {
        let about = self.mailboxes.entry(mailbox(to)).or_default();
        about.messages += 1;
        for (name, MessageBudget { messages, period }) in self.payers(to, client) {
            let open = self.windows.get(&name).filter(|it| it.is_open(now, period)).copied();
            if open.is_none() && name.starts_with(ADDRESS) {
                self.mailboxes.entry(mailbox(to)).or_default().windows += 1;
            }
            let new = Window { begins: now, ends: now.plus(period), spent: 0, proved: 0 };
            let mut window = open.unwrap_or(new);
            window.spent += 1;
            let spent = window.spent;
            assert!(spent <= messages, "I13: {spent} messages of {name}, which has {messages}");
            self.windows.insert(name, window);
        }
    }

    /// A message that was paid for at some time is given back: to the windows of that time.
    pub fn refund(&mut self, to: &Address, client: ClientId, charged: Timestamp) {
        let about = self.mailboxes.entry(mailbox(to)).or_default();
        about.messages = about.messages.checked_sub(1).expect("I13: a refund without a charge");
        for (name, _) in self.payers(to, client) {
            if let Some(window) = self.windows.get_mut(&name).filter(|it| it.has(charged)) {
                window.spent = window.spent.saturating_sub(1);
            }
        }
    }

    /// A guess is judged: each message brings so many.
    pub fn guess(&mut self, at: &Address, attempts: u32) {
        let it = self.mailboxes.entry(mailbox(at)).or_default();
        it.guesses += 1;
        let Mailbox { messages, guesses, windows } = *it;
        let most = attempts * messages;
        assert!(guesses <= most, "I14: {guesses} guesses at an address with {messages} messages");
        let Some(budget) = self.budgets.address else { return };
        // What the operator is promised, by the budget alone.
        let most = attempts * budget.messages * windows;
        assert!(guesses <= most, "I14: {guesses} guesses at an address in {windows} windows");
    }

    /// An address is proved. Its own account does not count that.
    pub fn prove(&mut self, address: &Address, client: ClientId, now: Timestamp) {
        let mut payers = self.payers(address, client);
        payers.retain(|(name, _)| !name.starts_with(ADDRESS));
        for (name, MessageBudget { period, .. }) in payers {
            if let Some(window) = self.windows.get_mut(&name).filter(|it| it.is_open(now, period)) {
                window.proved += 1;
            }
        }
    }

    /// Compares with what the store keeps.
    pub fn assert_kept<'a>(&self, balances: impl Iterator<Item = &'a Balance>) {
        let row = |name: &str, spent, proved, ends| {
            // The store has a digest of an address, which says nothing here.
            let name = if name.starts_with(ADDRESS) { ADDRESS } else { name };
            (name.to_string(), spent, proved, ends)
        };
        let seen = self.windows.iter();
        let mut seen: Vec<_> =
            seen.map(|(name, it)| row(name, it.spent, it.proved, it.ends)).collect();
        let mut kept: Vec<_> = balances
            .map(|it: &Balance| row(&it.account.to_text(), it.spent, it.proved, it.ends))
            .collect();
        seen.sort();
        kept.sort();
        assert_eq!(kept, seen, "I13: the store keeps other balances than were seen");
    }

    /// Everything on which the future depends; of points in time only the distance matters.
    pub fn key(&self, now: Timestamp, attempts: u32) -> String {
        let windows: Vec<_> = self
            .windows
            .iter()
            .map(|(name, it)| (name, it.spent, it.proved, now.since(it.begins), it.ends.since(now)))
            .collect();
        let spare: Vec<_> = self
            .mailboxes
            .iter()
            .map(|(name, it)| (name, attempts * it.messages - it.guesses, it.windows))
            .collect();
        format!("{windows:?} {spare:?}")
    }
}

impl Payers {
    /// Until when some of the accounts are full, and whether all messages are too many then;
    /// [`Timestamp::NEVER`] if nothing may ever be sent.
    pub fn full_until(&self, now: Timestamp) -> Option<(Timestamp, bool)> {
        let full =
            self.0.iter().filter_map(|(name, MessageBudget { messages, period }, window)| {
                let is_general = name == "service" || name.starts_with("client:");
                if *messages == 0 {
                    return Some((Timestamp::NEVER, is_general));
                }
                let full = window.filter(|it| it.spent >= *messages && it.is_open(now, *period))?;
                Some((full.ends, is_general))
            });
        full.reduce(|one, other| (one.0.max(other.0), one.1 || other.1))
    }

    /// A message was decided on.
    pub fn assert_pays(&self, now: Timestamp) {
        let full = self.full_until(now);
        assert!(full.is_none(), "I13: a message is decided on although its budget is spent");
    }

    /// A message was refused. The answer says when it would not be.
    pub fn assert_refuses(&self, response: &Response, now: Timestamp) {
        let Some((until, is_general)) = self.full_until(now) else {
            panic!("I15: a message is refused that everybody can pay for");
        };
        let seconds = until.since(now).as_seconds().max(1);
        let after = (until != Timestamp::NEVER).then_some(seconds);
        let said = response.header("Retry-After").map(|it| it.parse().expect("a number"));
        assert_eq!(said, after, "I15: another time to try again");
        match &response.body {
            Body::Json(body) => {
                let said = body.get("retry_after").map(|it| it.as_u64().expect("a number"));
                assert_eq!(said, after, "I15: another time to try again");
            }
            Body::Page(page) => {
                let other = page.data.get("other_address").and_then(serde_json::Value::as_bool);
                assert_eq!(other, Some(!is_general), "I15: whether another address helps");
                assert_eq!(page.data.get("again").is_some(), after.is_some(), "I15: the time");
            }
            body => panic!("I15: {body:?}"),
        }
    }
}
