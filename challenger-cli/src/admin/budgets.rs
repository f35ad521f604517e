//! Budgets: how many messages a client may have in a day, what is spent, and what is given back.

use std::collections::BTreeMap;
use std::fmt;

use challenger_proto::Timestamp;
use challenger_proto::store::{Account, Balance, MessageBudget};
use challenger_server::config::Config;
use challenger_server::settings::{SharedBudgets, shared_budgets};
use challenger_server::store::{ClientSummary, Registry, Spending};
use serde_json::{Value, json};

use super::audit::recorded;
use super::people::{Given, given};
use super::{failed, misconfigured, misused};
use crate::exit::{Exit, say};

/// How a client without a budget is spelled.
pub(super) const UNLIMITED: &str = "unlimited";

/// How many messages a client may have in a day.
#[derive(Clone, Copy)]
pub(super) struct PerDay(pub(super) Option<u32>);

impl PerDay {
    /// Reads what `--messages-per-day` got.
    ///
    /// # Errors
    /// It is neither a number nor the word.
    pub(super) fn parse(text: &str) -> Result<Self, Exit> {
        if text.eq_ignore_ascii_case(UNLIMITED) {
            return Ok(Self(None));
        }
        // The conversion alone would take a plus sign.
        let number = text.parse().ok().filter(|_| !text.starts_with('+'));
        number.map(|number| Self(Some(number))).ok_or_else(|| {
            misused(&format!(
                "--messages-per-day={text}: expected a number from 0 to {}, or {UNLIMITED}",
                u32::MAX
            ))
        })
    }
}

impl fmt::Display for PerDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str(UNLIMITED),
            Some(messages) => messages.fmt(f),
        }
    }
}

/// A budget that many people share, and what is spent of it.
struct Line {
    spent: u32,
    proved: u32,
    allowed: u32,
    /// When the window ends; `None` if no message was sent in this period.
    ends: Option<Timestamp>,
    /// Whose it is, by a name that operators gave.
    name: Option<String>,
}

impl Line {
    fn of(balance: &Balance) -> Self {
        let Balance { spent, proved, budget, ends, .. } = *balance;
        Self { spent, proved, allowed: budget.messages, ends: Some(ends), name: None }
    }

    /// How many of a hundred messages led to a proof.
    fn ratio(&self) -> Option<u64> {
        (u64::from(self.proved) * 100).checked_div(self.spent.into())
    }
}

/// What is spent of each budget. The list includes budgets that nobody has used yet.
pub(super) struct Overview {
    lines: BTreeMap<Account, Line>,
    addresses: u64,
    exhausted: u64,
}

impl Overview {
    /// Puts together what the store and the configuration know.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub(super) fn new(
        config: &Config,
        registry: &dyn Registry,
        now: Timestamp,
    ) -> Result<Self, Exit> {
        let shared = shared_budgets(config).map_err(misconfigured)?;
        let clients = registry.clients().map_err(failed)?;
        let Spending { shared: balances, addresses, exhausted_addresses, .. } =
            registry.spending(now).map_err(failed)?;
        let lines = balances.iter().map(|it| (it.account.clone(), Line::of(it))).collect();
        let mut overview = Self { lines, addresses, exhausted: exhausted_addresses };
        overview.name(shared, &clients);
        Ok(overview)
    }

    /// Adds names, and the budgets as they are now: a balance has the one of its latest message.
    fn name(&mut self, shared: SharedBudgets, clients: &[ClientSummary]) {
        let SharedBudgets { destinations, service, .. } = shared;
        if let Some(MessageBudget { messages, .. }) = service {
            self.set(Account::Service, messages, String::new());
        }
        for (destination, (name, budget)) in destinations {
            self.set(Account::Destination(destination), budget.messages, name);
        }
        for client in clients {
            if let Some(messages) = client.messages_per_day {
                let uri = client.redirect_uri.as_str().to_owned();
                self.set(Account::Client(client.id), messages, uri);
            }
        }
    }

    fn set(&mut self, account: Account, allowed: u32, name: String) {
        let nothing = Line { spent: 0, proved: 0, allowed, ends: None, name: None };
        let line = self.lines.entry(account).or_insert(nothing);
        (line.allowed, line.name) = (allowed, Some(name));
    }

    /// Prints the table, or only the names of its lines.
    pub(super) fn print(&self, is_quiet: bool) -> Result<(), Exit> {
        if is_quiet {
            return self.lines.keys().try_for_each(|account| say(&account.to_text()));
        }
        say(&row("BUDGET", "MESSAGES", "PROVED", "RATIO", "ENDS", "NAME"))?;
        for (account, line) in &self.lines {
            let messages = format!("{} of {}", line.spent, line.allowed);
            let proved = line.proved.to_string();
            let ratio = line.ratio().map_or_else(|| "-".to_owned(), |it| format!("{it} %"));
            let ends = line.ends.map_or_else(|| "-".to_owned(), Timestamp::to_text);
            let name = line.name.as_deref().unwrap_or("(no longer set)");
            say(&row(&account.to_text(), &messages, &proved, &ratio, &ends, name))?;
        }
        say(&format!("Addresses with messages: {}, exhausted: {}", self.addresses, self.exhausted))
    }

    /// The same for programs.
    pub(super) fn to_json(&self) -> Value {
        let budgets = self.lines.iter().map(|(account, line)| {
            json!({
                "budget": account.to_text(),
                "spent": line.spent,
                "allowed": line.allowed,
                "proved": line.proved,
                "ends": line.ends.map(Timestamp::to_json),
                "name": line.name,
            })
        });
        json!({
            "budgets": budgets.collect::<Vec<_>>(),
            "addresses": self.addresses,
            "addresses_exhausted": self.exhausted,
        })
    }
}

/// A line of the table.
fn row(budget: &str, messages: &str, proved: &str, ratio: &str, ends: &str, name: &str) -> String {
    let line = format!("{budget:<20}  {messages:>16}  {proved:>8}  {ratio:>6}  {ends:<20}  {name}");
    line.trim_end().to_owned()
}

/// The account that `--forgive` is about: a shared one by its name in the list, or that of an
/// address, in any of its spellings.
///
/// # Errors
/// It is neither, or the configuration does not say what addresses look like.
pub(super) fn account(config: &Config, text: &str) -> Result<Account, Exit> {
    let text = given(text)?;
    if let Some(account) = Account::parse(&text).filter(Account::is_shared) {
        return Ok(account);
    }
    let given = Given::parse(config, "--forgive", &text, ", or a name from --budgets")?;
    Ok(Account::of_address(&given.accepted("--forgive")?))
}

/// Gives an account its budget back, and returns a sentence about it.
///
/// # Errors
/// The store failed.
pub(super) fn forgive(registry: &dyn Registry, account: &Account) -> Result<(bool, String), Exit> {
    let is_forgiven = registry.forgive(account).map_err(failed)?;
    let name = account.is_shared().then(|| account.to_text());
    if is_forgiven {
        // Without the address.
        let budget = name.as_deref().unwrap_or("address");
        recorded("forgive", None, &[("budget", budget.into())]);
    }
    let name = name.as_deref().unwrap_or("The address");
    let what = if is_forgiven { "its whole budget again" } else { "spent nothing of its budget" };
    Ok((is_forgiven, format!("{name} has {what}.")))
}
