//! Statistics: what happened to the validations of each client, today and in the last days.

use std::collections::BTreeMap;

use challenger_proto::Timestamp;
use challenger_proto::oauth::ClientId;
use challenger_server::store::{ClientSummary, Counts, DAYS_KEPT, Day, Registry};
use serde_json::{Value, json};

use super::clients::Style;
use super::{failed, misused};
use crate::exit::{Exit, say};

/// For how many days the numbers are added up, if the operator does not say.
const DAYS: u64 = 7;

/// The width of the column with names.
const NAME_WIDTH: usize = 28;

/// What happened, by day.
type Days = BTreeMap<Day, Counts>;

/// Reads what `--days` got.
///
/// # Errors
/// It is no number of days that are kept.
pub(super) fn days(text: Option<&str>) -> Result<u64, Exit> {
    let Some(text) = text else { return Ok(DAYS) };
    // The conversion alone would take a plus sign.
    let number = text.parse().ok().filter(|days| (1..=DAYS_KEPT).contains(days));
    number.filter(|_| !text.starts_with('+')).ok_or_else(|| {
        misused(&format!("--days={text}: expected a number from 1 to {DAYS_KEPT}, today included"))
    })
}

/// What happened in the last days.
pub(super) struct Statistics {
    today: Day,
    /// How many days they are, with today.
    days: u64,
    clients: Vec<(ClientSummary, Days)>,
    all: Days,
}

impl Statistics {
    /// Reads them.
    ///
    /// # Errors
    /// The store failed.
    pub(super) fn new(registry: &dyn Registry, now: Timestamp, days: u64) -> Result<Self, Exit> {
        let today = Day::of(now);
        let since = today.before(days.saturating_sub(1));
        let mut by_client: BTreeMap<ClientId, Days> = BTreeMap::new();
        let mut all = Days::new();
        for statistic in registry.statistics(since).map_err(failed)? {
            let client = by_client.entry(statistic.client).or_default();
            for days in [client, &mut all] {
                days.entry(statistic.day).or_default().add(&statistic.counts);
            }
        }
        let clients = registry.clients().map_err(failed)?.into_iter();
        let clients = clients.map(|client| {
            let days = by_client.remove(&client.id).unwrap_or_default();
            (client, days)
        });
        Ok(Self { today, days, clients: clients.collect(), all })
    }

    /// Prints them.
    pub(super) fn print(&self, style: Style) -> Result<(), Exit> {
        if style.json {
            return say(&self.to_json().to_string());
        }
        say(&line("CLIENT", "ID", "DAYS", HEAD.map(str::to_owned)))?;
        for (client, days) in &self.clients {
            self.print_lines(&name_of(client), &client.id.to_string(), days)?;
        }
        self.print_lines("in all", "", &self.all)
    }

    /// Today, and all days.
    fn print_lines(&self, name: &str, id: &str, days: &Days) -> Result<(), Exit> {
        let today = days.get(&self.today).copied().unwrap_or_default();
        say(&line(name, id, "today", cells(&today)))?;
        say(&line(name, id, &self.days.to_string(), cells(&sum(days))))
    }

    fn to_json(&self) -> Value {
        let clients = self.clients.iter().map(|(client, days)| {
            json!({
                "client_id": client.id.number(),
                "client_name": name_of(client),
                "redirect_uri": client.redirect_uri.as_str(),
                "sum": json_of(&sum(days)),
                "days": json_of_days(days),
            })
        });
        json!({
            "today": self.today.to_string(),
            "since": self.today.before(self.days.saturating_sub(1)).to_string(),
            "clients": clients.collect::<Value>(),
            "all": { "sum": json_of(&sum(&self.all)), "days": json_of_days(&self.all) },
        })
    }
}

/// The name that people read.
fn name_of(client: &ClientSummary) -> String {
    let host = || client.redirect_uri.host().to_string();
    client.name.as_ref().map_or_else(host, |name| name.as_str().to_owned())
}

fn sum(days: &Days) -> Counts {
    days.values().fold(Counts::default(), |mut sum, counts| {
        sum.add(counts);
        sum
    })
}

const HEAD: [&str; 6] = ["OPENED", "MESSAGES", "FAILED", "PROVED", "REDEEMED", "RATIO"];

fn cells(counts: &Counts) -> [String; 6] {
    let Counts { opened, messages, failed, proved, redeemed } = *counts;
    let ratio = (proved * 100).checked_div(opened);
    let ratio = ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio} %"));
    let [opened, messages, failed, proved, redeemed] =
        [opened, messages, failed, proved, redeemed].map(|count| count.to_string());
    [opened, messages, failed, proved, redeemed, ratio]
}

/// A line of the table, of 100 columns at most as long as the numbers fit.
fn line(name: &str, id: &str, days: &str, cells: [String; 6]) -> String {
    let is_long = name.chars().count() > NAME_WIDTH;
    let name = if is_long {
        name.chars().take(NAME_WIDTH - 1).chain(['…']).collect()
    } else {
        name.to_owned()
    };
    let [opened, messages, failed, proved, redeemed, ratio] = cells;
    format!(
        "{name:<NAME_WIDTH$}  {id:>5}  {days:>5}  {opened:>8}  {messages:>8}  {failed:>7}  \
         {proved:>8}  {redeemed:>8}  {ratio:>5}"
    )
}

fn json_of(counts: &Counts) -> Value {
    let Counts { opened, messages, failed, proved, redeemed } = *counts;
    json!({
        "opened": opened,
        "messages": messages,
        "failed": failed,
        "proved": proved,
        "redeemed": redeemed,
    })
}

/// The days on which something happened.
fn json_of_days(days: &Days) -> Value {
    days.iter().map(|(day, counts)| (day.to_string(), json_of(counts))).collect()
}
