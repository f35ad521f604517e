//! Budgets hold, whoever spends them.

use std::sync::Barrier;
use std::thread;

use challenger_proto::address::Destination;
use challenger_proto::machine::Validation;
use challenger_proto::store::{
    Account, Balance, Commit, Entry, Event, Keys, MessageBudget, Records, Write,
};
use challenger_proto::{Span, Timestamp};
use challenger_server::store::{Changed, Changes, Collected, Registry, Spending, Store};

use super::database::{TestDatabase, served};
use super::{NOW, email, open, register, reload};

const PERIOD: Span = Span::seconds(100);

fn budget(messages: u32) -> MessageBudget {
    MessageBudget { messages, period: PERIOD }
}

fn later(seconds: u64) -> Timestamp {
    NOW.plus(Span::seconds(seconds))
}

pub(crate) fn message(account: &Account, messages: u32, seconds: u64) -> Entry {
    let event = Event::Message { budget: budget(messages), now: later(seconds) };
    Entry { account: account.clone(), event }
}

pub(super) fn refund(account: &Account, seconds: u64) -> Entry {
    Entry { account: account.clone(), event: Event::Refund { charged: later(seconds) } }
}

pub(super) fn proof(account: &Account, seconds: u64) -> Entry {
    Entry { account: account.clone(), event: Event::Proof { now: later(seconds) } }
}

pub(crate) fn address(text: &str) -> Account {
    Account::of_address(&email(text))
}

/// One account of each kind.
fn accounts(row: &Validation) -> [Account; 4] {
    let destination = Account::Destination(Destination::domain("example.com").unwrap());
    [address("ada@example.com"), Account::Client(row.client), destination, Account::Service]
}

/// The balance of an account, as the next request sees it.
fn balance(store: &dyn Store, account: &Account) -> Option<Balance> {
    let keys = Keys { accounts: Some(vec![account.clone()]), ..Keys::default() };
    store.load(&keys).unwrap().balances.pop()
}

fn spent(store: &dyn Store, account: &Account) -> u32 {
    balance(store, account).map_or(0, |balance| balance.spent)
}

/// Commits an update of the row as it is now.
pub(super) fn post(store: &dyn Store, row: &Validation, entries: &[Entry]) -> Commit {
    let row = reload(store, row).unwrap();
    store.commit(&Write::Update(row, entries.to_vec())).unwrap()
}

/// What the writes of a flow post: a message that could not be sent, one that could, and a proof.
pub(crate) fn entries_of_a_flow(row: &Validation) -> [Vec<Entry>; 4] {
    let each = |entry: fn(&Account) -> Entry| accounts(row).iter().map(entry).collect();
    [
        each(|account| message(account, 1000, 0)),
        each(|account| refund(account, 0)),
        each(|account| message(account, 1000, 0)),
        each(|account| proof(account, 0)),
    ]
}

/// Each kind of account goes through its windows as in the reference store: charges, refunds and
/// proofs, in time and too late, with clocks that were set back and budgets that were changed.
/// Where a store may be less exact, nothing is compared: if the budget of a shared account changes
/// in a window of which messages are set aside, and if an address is proved in another window than
/// the one in which that is written.
pub(crate) fn balances_go_as_in_the_reference_store<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let row = open(&store, &client, [1; 32]);
    let mut records = Records::default();
    records.insert_client(client.clone());
    assert_eq!(records.commit(&Write::Open(row.clone(), client.secret.digest)), Commit::Done);
    for account in &accounts(&row) {
        let entries = [
            refund(account, 0),
            message(account, 3, 0),
            proof(account, 50),
            message(account, 3, 99),
            proof(account, 99),
            message(account, 3, 99),
            message(account, 3, 99),
            refund(account, 100),
            refund(account, 0),
            message(account, 3, 1),
            message(account, 2, 1),
            message(account, 4, 1),
            message(account, 4, 1),
            // A new window.
            message(account, 3, 100),
            refund(account, 99),
            proof(account, 150),
            message(account, 3, 199),
            refund(account, 100),
            refund(account, 100),
            refund(account, 100),
            // In portions.
            message(account, 1000, 200),
            message(account, 1000, 201),
            message(account, 1000, 202),
            refund(account, 200),
            refund(account, 199),
            message(account, 1000, 299),
            message(account, 1000, 300),
            refund(account, 299),
            refund(account, 300),
            refund(account, 300),
            // The clock is set back, a little and a lot.
            message(account, 1000, 200),
            message(account, 1000, 199),
            message(account, 2, 50),
            message(account, 1, 50),
            message(account, 1, 0),
            refund(account, 50),
        ];
        for entry in entries {
            let seen = reload(&store, &row).unwrap();
            let write = Write::Update(seen, vec![entry.clone()]);
            assert_eq!(store.commit(&write), Ok(records.commit(&write)), "{entry:?}");
            let keys = Keys {
                validation: Some(row.id),
                accounts: Some(vec![account.clone()]),
                ..Keys::default()
            };
            assert_eq!(store.load(&keys), Ok(records.load(&keys)), "{entry:?}");
        }
    }
}

/// A write that one of its accounts cannot pay changes nothing: neither the row, nor the others.
pub(crate) fn what_is_over_budget_changes_nothing<D: TestDatabase>() {
    for number in 0..4 {
        let (_it, store) = served::<D>();
        let client = register(&store, "https://client.example/cb", "x");
        let row = open(&store, &client, [1; 32]);
        let full = accounts(&row)[number].clone();
        assert_eq!(post(&store, &row, &[message(&full, 1, 0)]), Commit::Done);
        let others = accounts(&row).into_iter().filter(|it| *it != full);
        let others: Vec<_> = others.collect();
        let before: Vec<_> = others.iter().map(|it| spent(&store, it)).collect();
        let seen = reload(&store, &row).unwrap();
        let mut entries: Vec<_> = others.iter().map(|it| message(it, 1000, 0)).collect();
        entries.push(message(&full, 1, 0));
        for _ in 0..20 {
            assert_eq!(post(&store, &row, &entries), Commit::Conflict);
        }
        assert_eq!(reload(&store, &row), Some(seen.clone()));
        let after: Vec<_> = others.iter().map(|it| spent(&store, it)).collect();
        assert_eq!((&after, spent(&store, &full)), (&before, 1));
        // Nor does one whose row is stale.
        let stale = Validation { version: row.version, ..seen };
        let entries = others.iter().map(|it| message(it, 1000, 0)).collect();
        assert_eq!(store.commit(&Write::Update(stale, entries)), Ok(Commit::Conflict));
        let after: Vec<_> = others.iter().map(|it| spent(&store, it)).collect();
        assert_eq!(after, before);
        assert_eq!(post(&store, &row, &[refund(&full, 0)]), Commit::Done);
    }
}

/// Sixty-four validations ask for a message at the same time, on two servers. Returns how many
/// got it.
fn sixty_four_ask<D: TestDatabase>(
    servers: [&D::Store; 2],
    rows: &[Validation],
    by: &Entry,
) -> u32 {
    let start = Barrier::new(rows.len());
    thread::scope(|scope| {
        let ask = |(number, row): (usize, &Validation)| {
            let (store, row, start) = (servers[number % 2], row.clone(), &start);
            scope.spawn(move || {
                let seen = reload(store, &row).unwrap();
                start.wait();
                store.commit(&Write::Update(seen, vec![by.clone()])).unwrap()
            })
        };
        let threads: Vec<_> = rows.iter().enumerate().map(ask).collect();
        let commits = threads.into_iter().map(|thread| thread.join().unwrap());
        commits.map(|commit| u32::from(commit == Commit::Done)).sum()
    })
}

/// Two servers never spend more than there is, and of an address's budget exactly as much.
pub(crate) fn a_race_for_messages_is_won_by_as_many_as_there_are<D: TestDatabase>() {
    let (it, one) = served::<D>();
    let other = it.serve();
    let client = register(&one, "https://client.example/cb", "x");
    let rows: Vec<_> = (0..64).map(|id| open(&one, &client, [id; 32])).collect();
    let ada = address("ada@example.com");
    let sent = sixty_four_ask::<D>([&one, &other], &rows, &message(&ada, 10, 0));
    assert_eq!((sent, spent(&one, &ada)), (10, 10));
    let payer = Account::Client(client.id);
    let sent = sixty_four_ask::<D>([&one, &other], &rows, &message(&payer, 10, 0));
    assert_eq!((sent, spent(&one, &payer)), (10, 10));

    // A large budget is taken in portions: what one server has set aside, the other has not.
    let all = 1600 + 7;
    let mut sent = 0;
    while sent < all - 64 {
        sent += sixty_four_ask::<D>([&one, &one], &rows, &message(&Account::Service, all, 0));
    }
    for _ in 0..3 {
        sent += sixty_four_ask::<D>([&one, &other], &rows, &message(&Account::Service, all, 0));
        assert!(sent <= all, "{sent}");
    }
    sent += sixty_four_ask::<D>([&one, &one], &rows, &message(&Account::Service, all, 0));
    sent += sixty_four_ask::<D>([&other, &other], &rows, &message(&Account::Service, all, 0));
    assert_eq!(sent, all, "in the end, all of it is spent");
    assert_eq!([&one, &other].map(|it| spent(it, &Account::Service)), [all; 2]);
}

/// What a server has not spent when it ends is there for the next one, and proofs are counted.
pub(crate) fn a_server_that_ends_leaves_what_it_did_not_spend<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let row = open(&store, &client, [1; 32]);
    for account in &accounts(&row) {
        let entries = [message(account, 1600, 0), message(account, 1600, 1), proof(account, 2)];
        for entry in entries {
            assert_eq!(post(&store, &row, &[entry]), Commit::Done);
        }
    }
    let seen = |store: &D::Store| accounts(&row).map(|it| balance(store, &it).unwrap());
    let before = seen(&store);
    assert_eq!(before.each_ref().map(|it| (it.spent, it.proved)), [(2, 0), (2, 1), (2, 1), (2, 1)]);
    assert_eq!(store.finish(), Ok(()));
    assert_eq!(seen(&store), before);
    assert_eq!(seen(&it.serve()), before);
    let Spending { shared, addresses, exhausted_addresses } = store.spending(later(99)).unwrap();
    assert_eq!(shared, before[1..]);
    assert_eq!((addresses, exhausted_addresses), (1, 0));
    // Many proofs are written before the end.
    for _ in 0..40 {
        assert_eq!(post(&store, &row, &[proof(&Account::Service, 3)]), Commit::Done);
    }
    assert_eq!(balance(&store, &Account::Service).unwrap().proved, 41);
    let there = it.number("SELECT proved FROM ledger WHERE account = 'service'");
    assert!(there > 25, "{there}");
    // Nor are many of a client without a budget in the way of anything.
    let other = register(&store, "https://other.example/cb", "x");
    for _ in 0..40 {
        let entry = proof(&Account::Client(other.id), 3);
        assert_eq!(post(&store, &row, &[entry]), Commit::Done);
    }
    assert_eq!(balance(&store, &Account::Client(other.id)), None);
}

/// Operators list what is spent, and forgive it.
pub(crate) fn spending_is_listed_and_forgiven<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let row = open(&store, &client, [1; 32]);
    assert_eq!(store.spending(NOW), Ok(Spending::default()));
    let [ada, payer, destination, service] = accounts(&row);
    let bob = address("bob@example.com");
    let shared = [&service, &destination, &payer];
    for entry in shared.map(|it| message(it, 3, 0)) {
        assert_eq!(post(&store, &row, &[entry]), Commit::Done);
    }
    for entry in [message(&ada, 2, 0), message(&bob, 2, 50), message(&ada, 2, 60)] {
        assert_eq!(post(&store, &row, &[entry]), Commit::Done);
    }
    let listed = |now| {
        let spending = store.spending(now).unwrap();
        let shared = spending.shared.iter().map(|it| (it.account.clone(), it.spent)).collect();
        (shared, spending.addresses, spending.exhausted_addresses)
    };
    let all = vec![(payer.clone(), 1), (destination.clone(), 1), (service.clone(), 1)];
    assert_eq!(listed(later(99)), (all, 2, 1));
    assert_eq!(listed(later(100)), (vec![], 1, 0));
    assert_eq!(listed(later(150)), (vec![], 0, 0));
    assert_eq!(store.spending(Timestamp::EPOCH), Ok(Spending::default()));

    for account in [&ada, &service] {
        assert_eq!(store.forgive(account), Ok(true));
        assert_eq!(store.forgive(account), Ok(false));
        assert_eq!(balance(&store, account), None);
        // A refund of before is not one of the new window.
        assert_eq!(post(&store, &row, &[message(account, 2, 70)]), Commit::Done);
        assert_eq!(post(&store, &row, &[refund(account, 60)]), Commit::Done);
        assert_eq!(spent(&store, account), 1);
    }
    assert_eq!(store.forgive(&address("eve@example.com")), Ok(false));
}

/// A client's budget comes with its validations, and is listed.
pub(crate) fn a_client_s_budget_is_set_and_loaded<D: TestDatabase>() {
    let (_it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let row = open(&store, &client, [1; 32]);
    let payer = Account::Client(client.id);
    assert_eq!(post(&store, &row, &[message(&payer, 9, 0)]), Commit::Done);
    let keys = Keys { validation: Some(row.id), accounts: Some(Vec::new()), ..Keys::default() };
    for messages in [None, Some(0), Some(u32::MAX), Some(500), None] {
        let budget = Changes { messages_per_day: Some(messages), ..Changes::default() };
        assert_eq!(store.change_client(client.id, &budget), Ok(Changed::Done));
        let rows = store.load(&keys).unwrap();
        assert_eq!(rows.client.unwrap().messages_per_day, messages);
        assert_eq!(rows.balances, [balance(&store, &payer).unwrap()]);
        assert_eq!(store.clients().unwrap()[0].messages_per_day, messages);
    }
    assert_eq!(store.delete_client(client.id), Ok(true));
    let budget = Changes { messages_per_day: Some(None), ..Changes::default() };
    assert_eq!(store.change_client(client.id, &budget), Ok(Changed::Unknown));
}

/// Balances are deleted when their windows have ended, and when they would end much too late.
pub(crate) fn balances_are_collected_when_windows_end<D: TestDatabase>() {
    const ROWS: u32 = 2500;
    let (it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let row = open(&store, &client, [1; 32]);
    let (ada, bob) = (address("ada@example.com"), address("bob@example.com"));
    for entry in [message(&ada, 2, 0), message(&bob, 2, 1), message(&Account::Service, 2, 1)] {
        assert_eq!(post(&store, &row, &[entry]), Commit::Done);
    }
    let early = Timestamp::from_seconds(later(101).seconds() - 200);
    let balances = |balances| Ok(Collected { balances, ..Collected::default() });
    assert_eq!(store.collect_garbage(early), balances(0), "clocks that differ a little");
    assert_eq!(store.collect_garbage(later(100)), balances(1));
    assert_eq!((balance(&store, &ada), spent(&store, &bob)), (None, 1));
    let row = |number| format!("('address:{number}', 1, 0, 1, 100, 0)");
    let rows: Vec<String> = (0..ROWS).map(row).collect();
    it.execute(&format!("INSERT INTO ledger VALUES {}", rows.join(", ")));
    assert_eq!(store.collect_garbage(later(100)), balances(ROWS.into()));
    assert_eq!(it.number("SELECT count(*) FROM ledger"), 2);
    let much_earlier = Timestamp::from_seconds(early.seconds() - 1);
    assert_eq!(store.collect_garbage(much_earlier), balances(2), "a clock that was wrong");
}

/// Nothing of an address that got messages is in the ledger.
pub(crate) fn the_ledger_keeps_no_address<D: TestDatabase>() {
    let (it, store) = served::<D>();
    let client = register(&store, "https://client.example/cb", "x");
    let row = open(&store, &client, [1; 32]);
    assert_eq!(post(&store, &row, &[message(&address("ada@example.com"), 2, 0)]), Commit::Done);
    let contents = it.contents();
    let has = |text: &str| contents.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(has("address:"), "the search works");
    assert!(!has("ada@"));
}
