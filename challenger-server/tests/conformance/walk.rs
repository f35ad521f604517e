//! A random walk that a store and the reference store make together, step by step.

use std::collections::BTreeMap;
use std::slice;

use challenger_proto::address::Destination;
use challenger_proto::machine::{Challenge, Earlier, LastFailure, Progress, Solution, Validation};
use challenger_proto::oauth::{
    AuthorizationRequest, Client, ClientId, ClientName, CodeChallenge, Grant,
};
use challenger_proto::secret::{
    AddressDigest, ClientSecretDigest, CodeDigest, NonceDigest, Salt, TokenDigest,
};
use challenger_proto::store::{Account, Commit, Entry, Event, Keys, MessageBudget, Records, Write};
use challenger_proto::{FailureKind, Span, Timestamp};
use challenger_server::store::{Registry, Store};
use challenger_testkit::Dice;

use super::{NOW, email, fresh, register};

/// How many copies of rows are remembered: the older ones are stale.
const COPIES: usize = 40;

const TEXTS: [&str; 7] =
    ["", "x", "ada@example.com", "'; DROP TABLE grants; --", "\"\\\n\t", "Ω≈ç√∫ 𝄞", "NULL"];

/// Makes this many steps, and compares the answers of both stores after each.
pub(crate) fn walk_like_records(
    store: &dyn Store,
    registry: &dyn Registry,
    seed: u64,
    steps: usize,
) {
    let mut walk = Walk::new(store, registry, seed);
    for _ in 0..steps {
        match walk.dice.below(10) {
            0 | 1 => walk.open(),
            2 | 3 => walk.look_around(),
            _ => walk.change(),
        }
    }
    for id in walk.ids.clone() {
        walk.compare(&Keys { validation: Some(id), ..Keys::default() });
    }
    for token in walk.tokens.clone() {
        walk.compare(&Keys { grant: Some(token), ..Keys::default() });
    }
    // A walk that never met one of these would show little.
    for kind in ["open", "update", "charge", "redeem", "revoke", "discard"] {
        for commit in ["Conflict", "Done"] {
            let met = walk.met.contains_key(&format!("{kind} {commit}"));
            assert_eq!(met, (kind, commit) != ("discard", "Conflict"), "{:?}", walk.met);
        }
    }
}

struct Walk<'a> {
    store: &'a dyn Store,
    records: Records,
    dice: Dice,
    clients: Vec<Client>,
    ids: Vec<NonceDigest>,
    tokens: Vec<TokenDigest>,
    copies: Vec<Validation>,
    addresses: [Account; 2],
    accounts: Vec<Account>,
    met: BTreeMap<String, usize>,
}

impl<'a> Walk<'a> {
    fn new(store: &'a dyn Store, registry: &dyn Registry, seed: u64) -> Self {
        let mut dice = Dice::Seeded(seed);
        let mut records = Records::default();
        let uris = ["https://a.example/cb", "http://localhost:8080/?x=1", "com.example.app:/cb"];
        let mut clients: Vec<_> = uris.map(|uri| register(registry, uri, "secret")).into();
        for client in &clients {
            records.insert_client(client.clone());
        }
        let unknown = ClientId::new(i64::MAX).unwrap();
        clients.push(Client { id: unknown, ..clients[0].clone() });
        // A few, so that some are drawn twice.
        let tokens = (0..60).map(|_| TokenDigest::from_bytes(dice.bytes())).collect();
        let prefix = Destination::prefix("+41").unwrap();
        let mut accounts = vec![Account::Destination(prefix), Account::Service];
        let addresses = ["a@a.example", "b@a.example"].map(|it| Account::of_address(&email(it)));
        accounts.extend(addresses.clone());
        let (ids, copies, met) = (vec![], vec![], BTreeMap::new());
        Self { store, records, dice, clients, ids, tokens, copies, addresses, accounts, met }
    }

    fn open(&mut self) {
        let client = self.dice.pick(&self.clients).clone();
        let mut validation = fresh(&client, self.dice.bytes());
        if !self.ids.is_empty() && self.dice.below(4) == 0 {
            validation.id = *self.dice.pick(&self.ids);
        }
        validation.expires = self.time();
        validation.prefill = self.dice.coin().then(|| email("proposed@example.com"));
        validation.read_only = self.dice.coin();
        let name = self.dice.coin().then_some("Ada's \"Shop\"");
        validation.client_name = name.and_then(ClientName::parse);
        validation.created = self.dice.coin().then(|| self.time());
        validation.request_uri_until = self.dice.coin().then(|| self.time());
        self.scramble(&mut validation);
        self.ids.push(validation.id);
        let mut secret = client.secret.digest;
        if self.dice.below(8) == 0 {
            secret = ClientSecretDigest::from_bytes(self.dice.bytes());
        }
        self.commit("open", &Write::Open(validation, secret));
    }

    fn look_around(&mut self) {
        let any_id = NonceDigest::from_bytes(self.dice.bytes());
        let known_id = self.ids.last().map_or(any_id, |_| *self.dice.pick(&self.ids));
        let load = Keys {
            client: self.dice.coin().then(|| self.dice.pick(&self.clients).id),
            validation: self.dice.coin().then(|| *self.dice.pick(&[known_id, known_id, any_id])),
            grant: self.dice.coin().then(|| *self.dice.pick(&self.tokens)),
            count: None,
            accounts: self.dice.coin().then(|| self.accounts.clone()),
        };
        self.compare(&load);
    }

    fn change(&mut self) {
        if self.copies.is_empty() {
            return;
        }
        let mut validation = self.dice.pick(&self.copies).clone();
        self.scramble(&mut validation);
        let token = *self.dice.pick(&self.tokens);
        match self.dice.below(7) {
            0 => {
                let (valid_until, expires) = (self.time(), self.time());
                let address = email(self.dice.pick::<&str>(&["a@example.com", "b@example.com"]));
                let client = validation.client;
                let grant = Grant { token, client, address, valid_until, expires };
                self.commit("redeem", &Write::Redeem(validation, grant));
            }
            1 => self.commit("revoke", &Write::Revoke(validation, token)),
            2 => self.commit("update", &Write::Update(validation, Vec::new())),
            3 => self.commit("discard", &Write::Discard(token)),
            _ => self.post(validation),
        }
        self.compare(&Keys { grant: Some(token), ..Keys::default() });
    }

    /// Posts entries with an update. A conflict may leave a trace in a shared account, the
    /// beginning of a window, unless its own budget is the reason.
    fn post(&mut self, validation: Validation) {
        let mut entries = self.entries(validation.client);
        let is_conflict = |records: &Records, entries: &[Entry]| {
            let write = Write::Update(validation.clone(), entries.to_vec());
            records.clone().commit(&write) == Commit::Conflict
        };
        if is_conflict(&self.records, &entries) {
            if is_conflict(&self.records, &[]) || self.dice.coin() {
                entries.retain(|entry| !entry.account.is_shared());
            } else {
                entries.retain(|entry| is_conflict(&self.records, slice::from_ref(entry)));
                entries.truncate(1);
            }
        }
        let kind = if entries.is_empty() { "update" } else { "charge" };
        let load = Keys {
            validation: Some(validation.id),
            accounts: Some(self.accounts.clone()),
            ..Keys::default()
        };
        self.commit(kind, &Write::Update(validation, entries));
        self.compare(&load);
    }

    /// Changes of the client, of one of the addresses, and of the others. Shared accounts keep
    /// their budgets, and no proof is among them, so that every store has to be exact.
    fn entries(&mut self, client: ClientId) -> Vec<Entry> {
        let others = self.accounts.iter().filter(|account| account.is_shared()).cloned();
        let mut accounts: Vec<_> = [Account::Client(client)].into_iter().chain(others).collect();
        accounts.push(self.dice.pick(&self.addresses).clone());
        let mut entries = Vec::new();
        for account in accounts {
            let now = NOW.plus(Span::seconds(*self.dice.pick(&[0, 1, 50, 99, 100, 101, 180])));
            let (any, long) = (*self.dice.pick(&[1, 2, 3, 5, 250]), *self.dice.pick(&[100, 1000]));
            let (messages, period) = match account {
                Account::Address(_) => (any, long),
                Account::Client(_) => (5, 100),
                Account::Destination(_) => (250, 1000),
                Account::Service => (1700, 100),
            };
            let budget = MessageBudget { messages, period: Span::seconds(period) };
            let event = match self.dice.below(6) {
                0..3 => Event::Message { budget, now },
                3 => Event::Refund { charged: now },
                _ => continue,
            };
            entries.push(Entry { account, event });
        }
        entries
    }

    fn commit(&mut self, kind: &str, write: &Write) {
        let expected = self.records.commit(write);
        assert_eq!(self.store.commit(write), Ok(expected));
        *self.met.entry(format!("{kind} {expected:?}")).or_default() += 1;
        let Some(validation) = write.row() else { return };
        let load = Keys { validation: Some(validation.id), ..Keys::default() };
        self.compare(&load);
        let now_there = self.records.load(&load).validation;
        if expected == Commit::Done && self.copies.len() == COPIES {
            let any = self.dice.below(COPIES);
            self.copies.swap_remove(any);
        }
        if self.copies.len() < COPIES {
            self.copies.extend(now_there);
        }
    }

    fn compare(&self, load: &Keys) {
        assert_eq!(self.store.load(load), Ok(self.records.load(load)));
    }

    /// Changes everything that a transition may change.
    fn scramble(&mut self, validation: &mut Validation) {
        validation.authorization = self.dice.coin().then(|| self.request());
        validation.addresses_left = self.dice.byte();
        validation.refunds_left = self.dice.byte();
        let kind = *self.dice.pick(FailureKind::ALL);
        let failed = self.dice.coin();
        validation.last_failure = failed.then(|| LastFailure { kind, at: self.time() });
        validation.earlier = (0..self.dice.below(3)).map(|_| self.earlier()).collect();
        let address = email(self.dice.pick::<&str>(&["ada@example.com", "\"quoted\\\""]));
        let salt = Salt::from_bytes(self.dice.bytes());
        let solution = Solution {
            address: address.clone(),
            salt,
            at: self.time(),
            renewed_at: self.time(),
            code: CodeDigest::from_bytes(self.dice.bytes()),
        };
        validation.progress = match self.dice.below(5) {
            0 => Progress::Open,
            1 => Progress::Challenged(Challenge {
                address,
                salt,
                sent_at: self.dice.coin().then(|| self.time()),
                transmissions_left: self.dice.byte(),
                attempts_left: self.dice.byte(),
            }),
            2 => Progress::Solved(solution),
            3 => {
                let token = *self.dice.pick(&self.tokens);
                Progress::Redeemed { solution, token, at: self.time() }
            }
            _ => Progress::Revoked(solution),
        };
    }

    fn earlier(&mut self) -> Earlier {
        Earlier {
            address: AddressDigest::from_bytes(self.dice.bytes()),
            mailbox: AddressDigest::from_bytes(self.dice.bytes()),
            salt: Salt::from_bytes(self.dice.bytes()),
            sent_at: self.dice.coin().then(|| self.time()),
            transmissions_left: self.dice.byte(),
            attempts_left: self.dice.byte(),
        }
    }

    fn request(&mut self) -> AuthorizationRequest {
        let challenges = [
            None,
            CodeChallenge::from_parts("plain", &"p".repeat(128)),
            CodeChallenge::from_parts("S256", &"s".repeat(43)),
        ];
        let mut text = || self.dice.coin().then(|| (*self.dice.pick(&TEXTS)).to_owned());
        let (state, scope) = (text(), text());
        AuthorizationRequest {
            state,
            scope,
            code_challenge: self.dice.pick(&challenges).clone(),
            names_redirect_uri: self.dice.coin(),
        }
    }

    fn time(&mut self) -> Timestamp {
        *self.dice.pick(&[Timestamp::EPOCH, NOW, Timestamp::from_seconds(1), Timestamp::NEVER])
    }
}
