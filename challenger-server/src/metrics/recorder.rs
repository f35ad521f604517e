//! What is recorded while requests are served.
//!
//! Nothing here makes one request wait for another: counts are atomic, and their tables are locked
//! for writing only when a label is new.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use challenger_proto::oauth::ClientId;
use challenger_proto::store::{Account, Alert, Balance, Commit, Milestone, Write};
use challenger_proto::{Failure, FailureKind, Refusal, Timestamp};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::timing::Timing;
use crate::store::StoreError;

/// What every name begins with.
pub(crate) const PREFIX: &str = "challenger";

/// A label with its value.
type Label<T = &'static str> = [(&'static str, T); 1];
/// Two labels with their values.
type Labels = [(&'static str, &'static str); 2];

/// Where the service tells what it did. It records nothing unless it is made to.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Option<Arc<Recorder>>);

#[derive(Debug)]
struct Recorder {
    requests: Family<(Labels, Label<u16>), Counter>,
    request_durations: Family<Label, Timing>,
    sent: Counter,
    failed: Family<Label, Counter>,
    message_duration: Timing,
    store_durations: Family<Label, Timing>,
    store_errors: Family<Label, Counter>,
    conflicts: Counter,
    retries: Counter,
    validations: Family<(Label<i64>, Label), Counter>,
    alerts: Family<Labels, Counter>,
    /// The balances of the service and of clients, as they were when a message was charged last.
    budgets: Mutex<BTreeMap<Account, Balance>>,
    registry: Registry,
}

impl Metrics {
    /// Records from now on.
    pub fn recording() -> Self {
        Self(Some(Arc::new(Recorder::new())))
    }

    /// Counts a request that was answered; `begun` unless it was refused before it had all arrived.
    pub(crate) fn answered(
        &self,
        route: &'static str,
        status: u16,
        refusal: Option<Refusal>,
        begun: Option<Instant>,
    ) {
        let Some(it) = &self.0 else { return };
        let refusal = refusal.map_or("", Refusal::name);
        let labels = ([("route", route), ("refusal", refusal)], [("status", status)]);
        it.requests.get_or_create(&labels).inc();
        if let Some(begun) = begun {
            it.request_durations.get_or_create(&[("route", route)]).add(begun.elapsed());
        }
    }

    /// Delivers a message, and records how that went.
    pub(crate) fn send(&self, send: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
        let Some(it) = &self.0 else { return send() };
        let begun = Instant::now();
        let sent = send();
        it.message_duration.add(begun.elapsed());
        match &sent {
            Ok(()) => it.sent.inc(),
            Err(failure) => it.failed.get_or_create(&[("kind", failure.kind.name())]).inc(),
        };
        sent
    }

    /// Loads rows, and records how that went.
    pub(crate) fn load<T>(
        &self,
        load: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(it) = &self.0 else { return load() };
        it.time_store("load", load)
    }

    /// Commits a write, and records how that went.
    pub(crate) fn commit(
        &self,
        write: &Write,
        commit: impl FnOnce() -> Result<Commit, StoreError>,
    ) -> Result<Commit, StoreError> {
        let Some(it) = &self.0 else { return commit() };
        let committed = it.time_store("commit", commit);
        match committed {
            Ok(Commit::Conflict) => drop(it.conflicts.inc()),
            Ok(Commit::Done) => {
                if let (Some(row), Some(milestone)) = (write.row(), write.milestone()) {
                    it.count_validation(row.client, milestone);
                }
            }
            Err(_) => {}
        }
        committed
    }

    /// Counts that a request loads once more.
    pub(crate) fn retried(&self) {
        if let Some(it) = &self.0 {
            it.retries.inc();
        }
    }

    /// Notes that messages were charged to an account.
    pub(crate) fn charged(&self, balance: &Balance, alert: Option<Alert>) {
        let Some(it) = &self.0 else { return };
        if let Some(alert) = alert {
            it.alerts.get_or_create(&[kind_of(&balance.account), name_of(alert)]).inc();
        }
        if matches!(balance.account, Account::Client(_) | Account::Service) {
            let mut budgets = it.budgets.lock().unwrap_or_else(PoisonError::into_inner);
            budgets.insert(balance.account.clone(), balance.clone());
        }
    }

    /// Hands what was recorded to someone who writes it down.
    pub(crate) fn encode(&self, encode: impl FnOnce(&Registry) -> fmt::Result) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |it| encode(&it.registry))
    }

    /// The latest balances of the service and of clients: account, spent, budget.
    pub(crate) fn budgets(&self, now: Timestamp) -> Vec<(String, u32, u32)> {
        let Some(it) = &self.0 else { return Vec::new() };
        let budgets = it.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let spent = |it: &Balance| if it.is_open(now, it.budget.period) { it.spent } else { 0 };
        budgets.values().map(|it| (it.account.to_text(), spent(it), it.budget.messages)).collect()
    }
}

impl Recorder {
    fn new() -> Self {
        let mut recorder = Self {
            requests: Family::default(),
            request_durations: Family::default(),
            sent: Counter::default(),
            failed: Family::default(),
            message_duration: Timing::default(),
            store_durations: Family::default(),
            store_errors: Family::default(),
            conflicts: Counter::default(),
            retries: Counter::default(),
            validations: Family::default(),
            alerts: Family::default(),
            budgets: Mutex::default(),
            registry: Registry::with_prefix(PREFIX),
        };
        recorder.begin_at_zero();
        recorder.register();
        recorder
    }

    /// What is rare counts from the beginning: an alert cannot see the step from nothing to one.
    fn begin_at_zero(&self) {
        for kind in FailureKind::ALL {
            drop(self.failed.get_or_create(&[("kind", kind.name())]));
        }
        for operation in ["load", "commit"] {
            drop(self.store_durations.get_or_create(&[("operation", operation)]));
            drop(self.store_errors.get_or_create(&[("operation", operation)]));
        }
        for account in ["address", "client", "destination", "service"] {
            let alerts = if account == "address" { &ALERTS[..1] } else { &ALERTS[..] };
            for alert in alerts {
                drop(self.alerts.get_or_create(&[("account", account), name_of(*alert)]));
            }
        }
    }

    fn register(&mut self) {
        let it = &mut self.registry;
        it.register("requests", "Requests that were answered", self.requests.clone());
        it.register_with_unit(
            "request_duration",
            "Time from a whole request to its answer",
            Unit::Seconds,
            self.request_durations.clone(),
        );
        it.register("messages_sent", "Messages that the helper has sent", self.sent.clone());
        it.register(
            "messages_failed",
            "Messages that the helper could not send",
            self.failed.clone(),
        );
        it.register_with_unit(
            "message_duration",
            "Time that the helper took for a message",
            Unit::Seconds,
            self.message_duration.clone(),
        );
        it.register_with_unit(
            "store_duration",
            "Time that a load or a commit took",
            Unit::Seconds,
            self.store_durations.clone(),
        );
        it.register("store_errors", "Loads and commits that failed", self.store_errors.clone());
        it.register(
            "store_conflicts",
            "Commits that found other rows than they rest on",
            self.conflicts.clone(),
        );
        it.register(
            "store_retries",
            "Loads of a request that repeat an earlier one of it",
            self.retries.clone(),
        );
        it.register(
            "validations",
            "Validations of a client that have come to a milestone",
            self.validations.clone(),
        );
        it.register(
            "budget_alerts",
            "Budgets of messages that were used up, or nearly",
            self.alerts.clone(),
        );
    }

    fn count_validation(&self, client: ClientId, milestone: Milestone) {
        let labels = |it: Milestone| ([("client", client.number())], [("milestone", it.name())]);
        if let Some(count) = self.validations.get(&labels(milestone)) {
            count.inc();
            return;
        }
        // All of them, so that they can be compared.
        for each in Milestone::ALL {
            self.validations.get_or_create(&labels(*each)).inc_by(u64::from(*each == milestone));
        }
    }

    /// Times an operation of the store, and counts its errors.
    fn time_store<T>(
        &self,
        operation: &'static str,
        operate: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let label = [("operation", operation)];
        let begun = Instant::now();
        let result = operate();
        self.store_durations.get_or_create(&label).add(begun.elapsed());
        if result.is_err() {
            self.store_errors.get_or_create(&label).inc();
        }
        result
    }
}

const ALERTS: [Alert; 2] = [Alert::Exhausted, Alert::NearlyExhausted];

const fn name_of(alert: Alert) -> (&'static str, &'static str) {
    match alert {
        Alert::Exhausted => ("alert", "exhausted"),
        Alert::NearlyExhausted => ("alert", "nearly_exhausted"),
    }
}

const fn kind_of(account: &Account) -> (&'static str, &'static str) {
    let kind = match account {
        Account::Address(_) => "address",
        Account::Client(_) => "client",
        Account::Destination(_) => "destination",
        Account::Service => "service",
    };
    ("account", kind)
}
