//! What is kept about a person: found by an address in any spelling or by a reference, and deleted.
//!
//! No index has addresses, and what makes two spellings one mailbox is known to the core alone, so
//! the tables are read from one end to the other.

use std::collections::BTreeSet;

use challenger_proto::address::Address;
use challenger_proto::machine::{Progress, Validation};
use challenger_proto::oauth::{Grant, GrantSerial};
use challenger_proto::secret::{NonceDigest, TokenDigest};
use challenger_proto::store::{Account, Balance, Keys};

use super::{Registry, Store, StoreError, row};

/// How many validations, and how many grants, are found at most: all of them are in memory.
const FOUND_MAX: usize = 10_000;

/// Whom an operator looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The one with this address, in any spelling.
    Address(Address),
    /// The one who sees these letters, in capitals.
    Reference(String),
}

/// What is kept about a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The validations, in the order of their expiry.
    pub validations: Vec<Validation>,
    /// The grants, in the order of their numbers. One may be there without its validation.
    pub grants: Vec<(GrantSerial, Grant)>,
    /// What is spent of the budgets of the addresses.
    pub balances: Vec<Balance>,
    /// Whether there is more than that: 10,000 validations or grants are enough.
    pub has_more: bool,
}

/// How many rows were deleted about an address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Deleted validations.
    pub validations: u64,
    /// Deleted grants.
    pub grants: u64,
    /// Deleted balances.
    pub balances: u64,
}

/// A table whose rows have addresses.
#[derive(Clone, Copy)]
pub(super) enum Table {
    Grants,
    Validations,
}

impl Table {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Grants => "grants",
            Self::Validations => "validations",
        }
    }

    /// The columns that the search reads: the key, and two that may have addresses.
    pub(super) const fn columns(self) -> [&'static str; 3] {
        match self {
            Self::Grants => ["token", "address", "NULL"],
            Self::Validations => ["id", "address", "prefill"],
        }
    }

    fn addresses(self, texts: [Option<&str>; 2]) -> Result<Vec<Address>, StoreError> {
        let columns = match self {
            Self::Grants => ["grants.address"; 2],
            Self::Validations => ["validations.address", "validations.prefill"],
        };
        let present = columns.into_iter().zip(texts).filter_map(|(it, text)| Some((it, text?)));
        present.map(|(column, text)| row::address(column, text)).collect()
    }
}

/// The digest that a row is found by.
pub(super) type Key = [u8; 32];

/// Looks at a row: its key, and the addresses in it, as JSON.
pub(super) type Look<'l> = &'l mut dyn FnMut(Key, [Option<&str>; 2]) -> Result<(), StoreError>;

/// What a database has to do for all of this.
pub(super) trait Tables: Registry + Store {
    /// Shows each row of a table, in any order and with little of it in memory. A row that is
    /// changed meanwhile may be shown as it was or as it is, and perhaps twice.
    fn each(&self, table: Table, look: Look<'_>) -> Result<(), StoreError>;

    /// Deletes these rows of a table, as far as they are there, and counts them in the totals of
    /// their clients. Returns their number.
    fn delete(&self, table: Table, keys: &BTreeSet<Key>) -> Result<u64, StoreError>;
}

/// The rows of a table that have this address in any spelling.
fn with_address(
    tables: &impl Tables,
    table: Table,
    account: &Account,
) -> Result<BTreeSet<Key>, StoreError> {
    let mut keys = BTreeSet::new();
    tables.each(table, &mut |key, texts| {
        if table.addresses(texts)?.iter().any(|it| Account::of_address(it) == *account) {
            keys.insert(key);
        }
        Ok(())
    })?;
    Ok(keys)
}

/// Finds what is kept about a person.
pub(super) fn find(tables: &impl Tables, whom: &Whom) -> Result<Found, StoreError> {
    let (validations, mut grants, mut accounts) = match whom {
        Whom::Address(address) => {
            let account = Account::of_address(address);
            let validations = with_address(tables, Table::Validations, &account)?;
            let grants = with_address(tables, Table::Grants, &account)?;
            (validations, grants, BTreeSet::from([account]))
        }
        Whom::Reference(reference) => {
            let mut validations = BTreeSet::new();
            tables.each(Table::Validations, &mut |key, _| {
                if NonceDigest::from_bytes(key).reference() == *reference {
                    validations.insert(key);
                }
                Ok(())
            })?;
            (validations, BTreeSet::new(), BTreeSet::new())
        }
    };
    let has_more = validations.len().max(grants.len()) > FOUND_MAX;
    let mut found = Found { has_more, ..Found::default() };
    for id in validations.into_iter().take(FOUND_MAX) {
        let keys = Keys { validation: Some(NonceDigest::from_bytes(id)), ..Keys::default() };
        found.validations.extend(tables.load(&keys)?.validation);
    }
    if let Whom::Reference(_) = whom {
        let tokens = found.validations.iter().filter_map(token_of);
        grants.extend(tokens.map(|token| *token.as_bytes()));
        accounts.extend(
            found.validations.iter().filter_map(|it| it.address()).map(Account::of_address),
        );
    }
    for token in grants.into_iter().take(FOUND_MAX) {
        let keys = Keys { grant: Some(TokenDigest::from_bytes(token)), ..Keys::default() };
        found.grants.extend(tables.load(&keys)?.grant);
    }
    let accounts = Keys { accounts: Some(accounts.into_iter().collect()), ..Keys::default() };
    found.balances = tables.load(&accounts)?.balances;
    found.validations.sort_by_key(|it| it.expires);
    found.grants.sort_by_key(|(serial, _)| *serial);
    Ok(found)
}

/// The token that the code of a validation bought, whether it still opens anything or not.
fn token_of(validation: &Validation) -> Option<TokenDigest> {
    match validation.progress {
        Progress::Redeemed { token, .. } => Some(token),
        Progress::Open | Progress::Challenged(_) | Progress::Solved(_) | Progress::Revoked(_) => {
            None
        }
    }
}

/// Deletes what is kept about an address. The validations go first, so that no code is redeemed
/// any more when the grants are looked for.
pub(super) fn forget(tables: &impl Tables, address: &Address) -> Result<Forgotten, StoreError> {
    let account = Account::of_address(address);
    let delete = |table| tables.delete(table, &with_address(tables, table, &account)?);
    let validations = delete(Table::Validations)?;
    let grants = delete(Table::Grants)?;
    // Also a balance of which nothing is spent: it says that the address was here.
    let accounts = Keys { accounts: Some(Vec::from([account.clone()])), ..Keys::default() };
    let balances = u64::from(!tables.load(&accounts)?.balances.is_empty());
    tables.forgive(&account)?;
    Ok(Forgotten { validations, grants, balances })
}
