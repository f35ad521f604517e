//! The reference store: in memory, and correct by definition.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::machine::validation::Validation;
use crate::oauth::client::{Client, ClientId};
use crate::oauth::grant::{Grant, GrantSerial};
use crate::secret::digest::{ClientSecretDigest, NonceDigest, TokenDigest};
use crate::store::{Account, Balance, Commit, Count, Entry, Keys, Rows, Write};

/// The store that defines the meaning of loading and committing. Tests use it, and compare other
/// stores with it.
#[derive(Clone, Debug, Default)]
pub struct Records {
    clients: BTreeMap<ClientId, Client>,
    validations: BTreeMap<NonceDigest, Validation>,
    grants: BTreeMap<TokenDigest, (GrantSerial, Grant)>,
    grants_made: i64,
    balances: BTreeMap<Account, Balance>,
}

impl Records {
    /// Registers a client, or replaces the one with this identifier.
    pub fn insert_client(&mut self, client: Client) {
        self.clients.insert(client.id, client);
    }

    /// Deletes a validation, as the operator's tools of a store do.
    pub fn remove_validation(&mut self, id: &NonceDigest) {
        self.validations.remove(id);
    }

    /// Finds the rows that are asked for.
    pub fn load(&self, load: &Keys) -> Rows {
        let validation = load.validation.and_then(|id| self.validations.get(&id));
        let payer = load.accounts.as_ref().and(validation).map(|validation| validation.client);
        let accounts = load.accounts.iter().flatten().cloned().chain(payer.map(Account::Client));
        Rows {
            client: load.client.or(payer).and_then(|id| self.clients.get(&id).cloned()),
            validation: validation.cloned(),
            grant: load.grant.and_then(|token| self.grants.get(&token).cloned()),
            count: load.count.map_or(0, |count| self.count(&count)),
            balances: accounts.filter_map(|it| self.balances.get(&it).cloned()).collect(),
        }
    }

    /// All balances, in the order of their accounts.
    pub fn balances(&self) -> impl Iterator<Item = &Balance> {
        self.balances.values()
    }

    fn count(&self, count: &Count) -> u32 {
        let is_meant = |it: &&Validation| it.client == count.client && count.now < it.expires;
        let number = self.validations.values().filter(is_meant).count();
        u32::try_from(number).unwrap_or(u32::MAX).min(count.most)
    }

    /// Carries out a write, whole or not at all.
    pub fn commit(&mut self, write: &Write) -> Commit {
        match write {
            Write::Open(validation, secret) => self.open(validation, secret),
            Write::Update(validation, entries) => self.post(validation, entries),
            Write::Redeem(validation, grant) => {
                let commit = self.update(validation);
                if commit == Commit::Done {
                    self.grants_made += 1;
                    let serial = GrantSerial(self.grants_made);
                    self.grants.insert(grant.token, (serial, grant.clone()));
                }
                commit
            }
            Write::Revoke(validation, token) => {
                let commit = self.update(validation);
                if commit == Commit::Done {
                    self.grants.remove(token);
                }
                commit
            }
            Write::Discard(token) => {
                self.grants.remove(token);
                Commit::Done
            }
        }
    }

    fn open(&mut self, validation: &Validation, secret: &ClientSecretDigest) -> Commit {
        let known = self.validations.contains_key(&validation.id);
        let client = self.clients.get(&validation.client);
        if known || client.is_none_or(|client| client.disabled || client.secret.digest != *secret) {
            return Commit::Conflict;
        }
        self.validations.insert(validation.id, validation.clone());
        Commit::Done
    }

    fn post(&mut self, validation: &Validation, entries: &[Entry]) -> Commit {
        let posted = entries.iter().map(|entry| entry.post(self.balances.get(&entry.account)));
        let Ok(changed) = posted.collect::<Result<Vec<_>, _>>() else { return Commit::Conflict };
        let commit = self.update(validation);
        if commit == Commit::Done {
            let named = changed.into_iter().flatten().map(|it| (it.account.clone(), it));
            self.balances.extend(named);
        }
        commit
    }

    fn update(&mut self, validation: &Validation) -> Commit {
        match self.validations.get_mut(&validation.id) {
            Some(row) if row.version == validation.version => {
                *row = validation.clone();
                row.version = validation.version.next();
                Commit::Done
            }
            Some(_) | None => Commit::Conflict,
        }
    }
}
