//! What every store has to do, by comparison with the reference store and under contention.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use challenger_proto::{
    Address, Client, ClientId, Commit, Entropy, Grant, HashedSecret, Limits, Load, Nonce,
    RedirectUri, RowVersion, Solution, Timestamp, TokenDigest, Validation, Write,
};
use challenger_proto::{
    AddressDigest, AddressType, CodeDigest, Earlier, NonceDigest, Progress, Salt,
};
use challenger_server::store::{Added, Registry, Store};

mod clients;
mod count;
pub(crate) mod flow;
mod walk;

pub(crate) use clients::{
    clients_are_counted_changed_and_deleted, nothing_opens_by_a_secret_that_was_replaced,
};
pub(crate) use count::{
    open_validations_are_counted, version_1_is_there, what_is_left_of_a_client_is_collected,
};
pub(crate) use walk::walk_like_records;

/// Any fixed point in time will do.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// Numbers that look random and are the same in every run (Marsaglia's xorshift).
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) const fn number(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.number() >> 1).unwrap() % end
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.number().to_le_bytes()[3]
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| self.byte())
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// Registers a new client.
pub(crate) fn register(registry: &dyn Registry, uri: &str, secret: &str) -> Client {
    let redirect_uri = RedirectUri::parse(uri).unwrap();
    let secret = HashedSecret::new(secret, Entropy::new([3; 32]));
    let Added::New(id) = registry.add_client(&redirect_uri, secret).unwrap() else {
        panic!("{uri} is registered already");
    };
    Client { id, redirect_uri, secret }
}

/// A new validation that is not in the store.
pub(crate) fn fresh(client: &Client, id: [u8; 32]) -> Validation {
    let limits = Limits::for_type(&AddressType::new("email").unwrap());
    let nonce = Nonce::draw(Entropy::new(id));
    Validation {
        id: nonce.digest(),
        client: client.id,
        version: RowVersion::FIRST,
        expires: NOW.plus(limits.validation_duration),
        redirect_uri: client.redirect_uri.clone(),
        prefill: None,
        read_only: false,
        authorization: None,
        addresses_left: limits.address_changes,
        refunds_left: limits.refunds,
        earlier: Vec::new(),
        progress: Progress::Open,
    }
}

/// A new validation in the store.
pub(crate) fn open(store: &dyn Store, client: &Client, id: [u8; 32]) -> Validation {
    let validation = fresh(client, id);
    assert_eq!(
        store.commit(&Write::Open(validation.clone(), client.secret.digest)),
        Ok(Commit::Done)
    );
    validation
}

/// The validation as the store has it now.
pub(crate) fn reload(store: &dyn Store, validation: &Validation) -> Option<Validation> {
    let load = Load { validation: Some(validation.id), ..Load::default() };
    store.load(&load).unwrap().validation
}

/// Whether the store has a grant for the token.
pub(crate) fn has_grant(store: &dyn Store, token: [u8; 32]) -> bool {
    let load = Load { grant: Some(TokenDigest::from_bytes(token)), ..Load::default() };
    store.load(&load).unwrap().grant.is_some()
}

pub(crate) fn email(text: &str) -> Address {
    Address::new([("CONTACT_EMAIL".to_owned(), text.to_owned())]).unwrap()
}

/// What redeeming writes.
pub(crate) fn redemption(mut validation: Validation, token: [u8; 32]) -> Write {
    let token = TokenDigest::from_bytes(token);
    let solution = Solution {
        address: email("ada@example.com"),
        salt: Salt::from_bytes([4; 32]),
        at: NOW,
        renewed_at: NOW,
        code: CodeDigest::from_bytes([5; 32]),
    };
    validation.progress = Progress::Redeemed { solution, token, at: NOW };
    let grant = Grant {
        token,
        client: validation.client,
        address: email("ada@example.com"),
        valid_until: Timestamp::NEVER,
        expires: validation.expires,
    };
    Write::Redeem(validation, grant)
}

/// A registration is found again, and its identifier starts at one and belongs to it alone.
pub(crate) fn clients_are_registered_once(store: &dyn Store, registry: &dyn Registry) {
    let first = register(registry, "https://first.example/cb", "x");
    let second = register(registry, "https://second.example/cb", "y");
    assert_eq!([first.id, second.id].map(ClientId::number), [1, 2]);
    let other_secret = HashedSecret::new("z", Entropy::new([8; 32]));
    let again = registry.add_client(&first.redirect_uri, other_secret);
    assert_eq!(again, Ok(Added::Exists(first.id)));
    for client in [first, second] {
        let load = Load { client: Some(client.id), ..Load::default() };
        assert_eq!(store.load(&load).unwrap().client, Some(client));
    }
}

/// Eight threads count in one row, and no count is lost.
pub(crate) fn eight_threads_change_one_row(store: &dyn Store, registry: &dyn Registry) {
    const ROUNDS: usize = 25;
    let client = register(registry, "https://contended.example/cb", "x");
    let mut validation = open(store, &client, [1; 32]);
    validation.addresses_left = 0;
    assert_eq!(store.commit(&Write::Update(validation.clone())), Ok(Commit::Done));
    let before = reload(store, &validation).unwrap();
    let (done, conflicts) = (AtomicI64::new(0), AtomicI64::new(0));
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut seen = reload(store, &validation).unwrap();
                start.wait(); // Now all of them have the same version.
                for _ in 0..ROUNDS {
                    loop {
                        seen.addresses_left += 1;
                        let commit = store.commit(&Write::Update(seen)).unwrap();
                        seen = reload(store, &validation).unwrap();
                        if commit == Commit::Done {
                            done.fetch_add(1, Ordering::Relaxed);
                            break;
                        }
                        conflicts.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (done, conflicts) = (done.into_inner(), conflicts.into_inner());
    let after = reload(store, &validation).unwrap();
    assert_eq!(usize::try_from(done).unwrap(), 8 * ROUNDS);
    assert_eq!(after.version.0 - before.version.0, done);
    assert_eq!(i64::from(after.addresses_left), done);
    assert!(conflicts >= 7, "{conflicts} conflicts, but seven threads began with a stale row");
}

/// A client and a validation that waits for its PIN, as a program of version 1 kept them. `schema`
/// stands before the names of tables, and `bytes` begins a literal of bytes in hex.
pub(crate) fn rows_of_version_1(schema: &str, bytes: &str) -> String {
    let (short, long) = ("11".repeat(16), "22".repeat(32));
    format!(
        "INSERT INTO {schema}clients (id, redirect_uri, secret_salt, secret_digest) \
        VALUES (1, 'https://client.example/cb', {bytes}{short}', {bytes}{long}'); \
        INSERT INTO {schema}validations (id, version, client, expires, redirect_uri, read_only, \
            authorized, addresses_left, refunds_left, progress, address, salt, sent_at, \
            transmissions_left, attempts_left) \
        VALUES ({bytes}{long}', 3, 1, 1790003600, 'https://client.example/cb', false, false, 2, 3, \
            'challenged', '{{\"CONTACT_EMAIL\":\"ada@example.com\"}}', {bytes}{long}', 1790000000, \
            2, 1);"
    )
}

/// Once they are migrated, these rows are as they were, and can remember earlier addresses.
pub(crate) fn rows_of_version_1_go_on(store: &dyn Store) {
    let id = NonceDigest::from_bytes([0x22; 32]);
    let client = ClientId::new(1).unwrap();
    let load = Load { client: Some(client), validation: Some(id), ..Load::default() };
    let loaded = store.load(&load).unwrap();
    assert_eq!(loaded.client.unwrap().redirect_uri.as_str(), "https://client.example/cb");
    let mut validation = loaded.validation.unwrap();
    let Progress::Challenged(challenge) = &validation.progress else { panic!("{validation:?}") };
    assert_eq!(challenge.address, email("ada@example.com"));
    assert_eq!((challenge.sent_at, challenge.attempts_left), (Some(NOW), 1));
    assert_eq!((validation.version.0, &validation.earlier), (3, &vec![]));
    let digest = AddressDigest::from_bytes([0x33; 32]);
    validation.earlier.push(Earlier {
        address: digest,
        mailbox: digest,
        salt: challenge.salt,
        sent_at: Some(NOW),
        transmissions_left: 2,
        attempts_left: 1,
    });
    assert_eq!(store.commit(&Write::Update(validation.clone())), Ok(Commit::Done));
    validation.version = validation.version.next();
    assert_eq!(reload(store, &validation), Some(validation));
}

/// Sixty-four threads redeem one code, and it buys one grant.
pub(crate) fn one_code_buys_one_grant(store: &dyn Store, registry: &dyn Registry) {
    let client = register(registry, "https://raced.example/cb", "x");
    let validation = open(store, &client, [2; 32]);
    let start = Barrier::new(64);
    let winners: Vec<u8> = thread::scope(|scope| {
        let start = &start;
        let threads: Vec<_> = (0..64_u8)
            .map(|number| {
                let redemption = redemption(validation.clone(), [number; 32]);
                scope.spawn(move || {
                    start.wait();
                    (number, store.commit(&redemption).unwrap())
                })
            })
            .collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.filter(|(_, commit)| *commit == Commit::Done).map(|(number, _)| number).collect()
    });
    assert_eq!(winners.len(), 1);
    let granted: BTreeSet<u8> = (0..64).filter(|number| has_grant(store, [*number; 32])).collect();
    assert_eq!(granted, BTreeSet::from_iter(winners));
}
