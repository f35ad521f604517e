//! What both stores have in common about the ledger: what operators hear of it, and lists.

use challenger_proto::machine::Validation;
use challenger_proto::store::{Account, Alert, Balance};

use super::Spending;
use crate::metrics::Metrics;

/// How the names of accounts begin that are not shared.
pub(super) const ADDRESSES: &str = "address:%";

/// Notes that messages were charged at once, and warns the operator if they have used a budget up,
/// or nearly. For the account of an address, `row` is the validation that paid.
pub(super) fn note(metrics: &Metrics, balance: &Balance, charged: u32, row: Option<&Validation>) {
    let alert = balance.alert(charged);
    metrics.charged(balance, alert);
    let Some(alert) = alert else { return };
    let event = match alert {
        Alert::Exhausted => "budget exhausted",
        Alert::NearlyExhausted => "budget nearly exhausted",
    };
    let (budget, messages) = (&balance.account, balance.budget.messages);
    let ends = balance.ends.to_rfc3339();
    // Nobody can be found by an address's digest in a log, but by the page that a person shows.
    match (budget, row) {
        (Account::Address(_), Some(row)) => {
            let (client, reference) = (row.client.number(), row.id.reference());
            log::warn!(budget:%, messages, ends, client, reference; "{event}");
        }
        _ => log::warn!(budget:%, messages, ends; "{event}"),
    }
}

/// Puts balances of shared accounts in their order, beside the numbers of addresses.
pub(super) fn spending(mut shared: Vec<Balance>, addresses: i64, exhausted: i64) -> Spending {
    shared.sort_by(|one, other| one.account.cmp(&other.account));
    let count = |number: i64| number.try_into().unwrap_or(0);
    Spending { shared, addresses: count(addresses), exhausted_addresses: count(exhausted) }
}
