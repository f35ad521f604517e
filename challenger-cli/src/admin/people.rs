//! People: the validations that are found by an address or a reference, in words, and what is kept
//! about an address, deleted.

use std::collections::BTreeMap;

use challenger_proto::address::{Address, is_invisible};
use challenger_proto::machine::{Challenge, LastFailure, Progress, Validation};
use challenger_proto::oauth::{Grant, GrantSerial};
use challenger_proto::secret::TokenDigest;
use challenger_proto::store::Balance;
use challenger_proto::{Service, Timestamp};
use challenger_server::config::Config;
use challenger_server::settings::addresses;
use challenger_server::store::{Database, Forgotten, Found, Registry, Whom};
use serde_json::{Value, json};

use super::audit::recorded;
use super::clients::Style;
use super::secret::{FROM_STDIN, read_line};
use super::{failed, misconfigured, misused};
use crate::exit::{Exit, say};

/// What to do about rows that PostgreSQL has deleted.
const VACUUM: &str = "PostgreSQL overwrites deleted rows after a vacuum; to have it done now, as \
    their owner: VACUUM challenger.validations, challenger.grants, challenger.ledger";

/// The letters of references.
const REFERENCE_LEN: usize = 6;

/// Those that no reference has, because they look like others.
const NO_LETTERS: [char; 4] = ['I', 'L', 'O', 'U'];

/// What an option got: its text, or the line of standard input that it stands for.
///
/// # Errors
/// The line cannot be read.
pub(super) fn given(text: &str) -> Result<String, Exit> {
    if text == FROM_STDIN { Ok(read_line()?.expose().clone()) } else { Ok(text.to_owned()) }
}

/// An address of the service's type, in any spelling, as an option got it.
pub(super) struct Given {
    service: Service,
    fields: BTreeMap<String, String>,
}

impl Given {
    /// Reads the text of the one field that an address has, or a JSON object. `or` says what else
    /// was possible.
    ///
    /// # Errors
    /// It has to be an object, or the configuration does not say what addresses look like.
    pub(super) fn parse(config: &Config, option: &str, text: &str, or: &str) -> Result<Self, Exit> {
        let service = addresses(config).map_err(misconfigured)?;
        let object: Option<BTreeMap<String, String>> = serde_json::from_str(text).ok();
        let fields = match (object, &service.fields()[..]) {
            (Some(object), _) => object,
            (None, [field]) => BTreeMap::from([((*field).to_owned(), text.to_owned())]),
            (None, fields) => {
                let fields = fields.join(", ");
                return Err(misused(&format!(
                    "{option}: expected a JSON object with {fields}{or}"
                )));
            }
        };
        Ok(Self { service, fields })
    }

    fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The address, if the service accepts it.
    ///
    /// # Errors
    /// It does not. The error does not repeat the address, which does not belong into logs.
    pub(super) fn accepted(&self, option: &str) -> Result<Address, Exit> {
        self.service.address(self.fields()).map_err(|wrong| {
            let fields: Vec<&str> = wrong.each().filter_map(|it| it.detail.as_deref()).collect();
            let fields = fields.join(", ");
            Exit::invalid_argument(format!("{option}: no address of this service: check {fields}"))
        })
    }

    /// The address, with a warning if the service does not accept it: it may have been accepted
    /// once, or proposed by a client.
    ///
    /// # Errors
    /// It cannot be an address.
    fn kept(&self, option: &str) -> Result<Address, Exit> {
        self.accepted(option).or_else(|refused| {
            let address = self.service.unjudged_address(self.fields()).map_err(|wrong| {
                let field = wrong.detail.as_deref().unwrap_or_default();
                Exit::invalid_argument(format!("{option}: no address: check {field}"))
            })?;
            log::warn!("{}; looking for it all the same", refused.message());
            Ok(address)
        })
    }
}

/// The address that `--forget` is about.
///
/// # Errors
/// The text is not an address, or the configuration does not say what addresses look like.
pub(super) fn whose(config: &Config, text: &str) -> Result<Address, Exit> {
    Given::parse(config, "--forget", &given(text)?, "")?.kept("--forget")
}

/// Whom `--find` is about.
///
/// # Errors
/// It is neither an address nor a reference, or the configuration does not say what addresses look
/// like.
pub(super) fn whom(config: &Config, text: &str) -> Result<Whom, Exit> {
    let text = given(text)?;
    let letters: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let is_reference = letters.len() == REFERENCE_LEN
        && letters.chars().all(|letter| letter.is_ascii_alphabetic());
    if !is_reference {
        let or = ", or the six letters of a reference";
        let given = Given::parse(config, "--find", &text, or)?;
        return given.kept("--find").map(Whom::Address);
    }
    let letters = letters.to_ascii_uppercase();
    if letters.contains(NO_LETTERS) {
        return Err(Exit::invalid_argument(
            "--find: no reference has an I, L, O or U: expected six letters as the page and the \
             message show them, or an address",
        ));
    }
    Ok(Whom::Reference(letters))
}

/// Prints what is kept about a person.
///
/// # Errors
/// Nothing is, or the store failed.
pub(super) fn find(
    registry: &dyn Registry,
    whom: &Whom,
    now: Timestamp,
    style: Style,
) -> Result<(), Exit> {
    let found = registry.find(whom).map_err(failed)?;
    let Found { validations, grants, balances, has_more } = &found;
    if style.json {
        let bought = Bought::of(grants);
        let validations = validations.iter().map(|it| json_of(it, &bought, now));
        let members = json!({
            "validations": validations.collect::<Value>(),
            "access_tokens": grants.iter().map(json_of_grant).collect::<Value>(),
            "budgets": balances.iter().map(|it| json_of_balance(it, now)).collect::<Value>(),
            "complete": !has_more,
        });
        say(&members.to_string())?;
    } else if style.quiet {
        validations.iter().try_for_each(|it| say(&it.id.reference()))?;
    } else {
        say_all(&found, now)?;
    }
    if validations.is_empty() && grants.is_empty() && balances.is_empty() {
        return Err(Exit::failed(match whom {
            Whom::Address(_) => "nothing is kept about this address",
            Whom::Reference(_) => {
                "no validation has this reference; it may have been deleted after its time"
            }
        }));
    }
    Ok(())
}

fn say_all(found: &Found, now: Timestamp) -> Result<(), Exit> {
    let Found { validations, grants, balances, has_more } = found;
    let mut bought = Bought::of(grants);
    for validation in validations {
        say(&format!("Validation {}", validation.id.reference()))?;
        say_lines(&lines_of(validation, bought.by(validation), now))?;
    }
    for validation in validations {
        bought.forget(validation);
    }
    for (serial, grant) in bought.0.into_values() {
        say(&format!("Access token {}, whose validation is over", serial.0))?;
        say_lines(&[
            ("Client", Some(grant.client.to_string())),
            ("Address", Some(shown(&grant.address))),
            ("Proved until", Some(grant.valid_until.to_text())),
            ("Expires", Some(expiry(grant.expires, now))),
        ])?;
    }
    for balance in balances {
        say("Budget of the address")?;
        let spent = format!("{} of {}", spent(balance, now), balance.budget.messages);
        say_lines(&[("Messages", Some(spent)), ("Until", Some(expiry(balance.ends, now)))])?;
    }
    if *has_more { say("There is more than this.") } else { Ok(()) }
}

fn say_lines(lines: &[(&str, Option<String>)]) -> Result<(), Exit> {
    let known = lines.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    known
        .into_iter()
        .try_for_each(|(name, value)| say(&format!("  {name}:{:1$}{value}", "", 15 - name.len())))
}

/// A validation in words.
fn lines_of(
    validation: &Validation,
    grant: Option<&(GrantSerial, Grant)>,
    now: Timestamp,
) -> [(&'static str, Option<String>); 12] {
    let Validation { prefill, created, expires, addresses_left, last_failure, .. } = validation;
    let (_, state) = state(validation, now);
    let proposed = prefill.as_ref().map(|it| {
        let only = if validation.read_only { ", and no other is accepted" } else { "" };
        format!("{}{only}", shown(it))
    });
    let challenge = challenge(validation);
    let left = challenge.map(|it| {
        format!(
            "messages: {}, guesses: {}, changes of the address: {addresses_left}",
            it.transmissions_left, it.attempts_left
        )
    });
    let failure = last_failure.map(|LastFailure { kind, at }| format!("{}, {kind}", at.to_text()));
    let token =
        grant.map(|(serial, grant)| format!("number {}, {}", serial.0, expiry(grant.expires, now)));
    [
        ("Client", Some(format!("{}, number {}", validation.shown_client(), validation.client))),
        ("State", Some(state.to_owned())),
        ("Address", tested(validation).map(shown)),
        ("Proposed", proposed),
        ("Opened", created.map(Timestamp::to_text)),
        ("Last message", challenge.and_then(|it| it.sent_at).map(Timestamp::to_text)),
        ("Proved", validation.solution().map(|it| it.at.to_text())),
        ("Exchanged", redeemed(validation).map(Timestamp::to_text)),
        ("Expires", Some(expiry(*expires, now))),
        ("Left", left),
        ("Last failure", failure),
        ("Access token", token),
    ]
}

/// A validation for programs.
fn json_of(validation: &Validation, bought: &Bought<'_>, now: Timestamp) -> Value {
    let challenge = challenge(validation);
    let failure = validation.last_failure;
    json!({
        "reference": validation.id.reference(),
        "client_id": validation.client.number(),
        "client_name": validation.shown_client(),
        "redirect_uri": validation.redirect_uri.as_str(),
        "state": state(validation, now).0,
        "address": tested(validation).map(Address::to_json),
        "proposed_address": validation.prefill.as_ref().map(Address::to_json),
        "read_only": validation.read_only,
        "opened": validation.created.map(Timestamp::to_json),
        "message_sent": challenge.and_then(|it| it.sent_at).map(Timestamp::to_json),
        "proved": validation.solution().map(|it| it.at.to_json()),
        "redeemed": redeemed(validation).map(Timestamp::to_json),
        "expires": validation.expires.to_json(),
        "changes_left": validation.addresses_left,
        "pin_transmissions_left": challenge.map(|it| it.transmissions_left),
        "auth_attempts_left": challenge.map(|it| it.attempts_left),
        "failure": failure.map(|it| it.kind.name()),
        "failed": failure.map(|it| it.at.to_json()),
        "access_token": bought.by(validation).map(|(serial, _)| serial.0),
    })
}

fn json_of_grant((serial, grant): &(GrantSerial, Grant)) -> Value {
    json!({
        "number": serial.0,
        "client_id": grant.client.number(),
        "address": grant.address.to_json(),
        "proved_until": grant.valid_until.to_json(),
        "expires": grant.expires.to_json(),
    })
}

fn json_of_balance(balance: &Balance, now: Timestamp) -> Value {
    json!({
        "spent": spent(balance, now),
        "allowed": balance.budget.messages,
        "ends": balance.ends.to_json(),
    })
}

/// How far a validation has come: in one word for programs, and in words.
const fn state(validation: &Validation, now: Timestamp) -> (&'static str, &'static str) {
    let in_time = now.seconds() < validation.expires.seconds();
    match &validation.progress {
        Progress::Redeemed { .. } => ("redeemed", "proved, and the client has exchanged its code"),
        Progress::Revoked(_) => {
            ("revoked", "proved, but its code was used twice, so its access token is revoked")
        }
        _ if !in_time => ("expired", "over: its time is over"),
        Progress::Solved(_) => ("proved", "proved; the client has not exchanged its code yet"),
        Progress::Open => ("open", "opened; no message was asked for"),
        Progress::Challenged(challenge) if is_used_up(validation, challenge) => {
            ("used_up", "over: all messages, guesses and changes of the address are used up")
        }
        Progress::Challenged(_) => ("message_sent", "waiting for the code"),
    }
}

const fn is_used_up(validation: &Validation, challenge: &Challenge) -> bool {
    (validation.read_only || validation.addresses_left == 0)
        && challenge.transmissions_left == 0
        && challenge.attempts_left == 0
}

/// The address under test or proved.
fn tested(validation: &Validation) -> Option<&Address> {
    validation.address().filter(|_| !matches!(validation.progress, Progress::Open))
}

const fn challenge(validation: &Validation) -> Option<&Challenge> {
    match &validation.progress {
        Progress::Challenged(challenge) => Some(challenge),
        _ => None,
    }
}

const fn redeemed(validation: &Validation) -> Option<Timestamp> {
    match validation.progress {
        Progress::Redeemed { at, .. } => Some(at),
        _ => None,
    }
}

/// Grants by their tokens.
struct Bought<'g>(BTreeMap<TokenDigest, &'g (GrantSerial, Grant)>);

impl<'g> Bought<'g> {
    fn of(grants: &'g [(GrantSerial, Grant)]) -> Self {
        Self(grants.iter().map(|grant| (grant.1.token, grant)).collect())
    }

    /// The one that the code of a validation bought, if it is still there.
    fn by(&self, validation: &Validation) -> Option<&'g (GrantSerial, Grant)> {
        let Progress::Redeemed { token, .. } = &validation.progress else { return None };
        self.0.get(token).copied()
    }

    fn forget(&mut self, validation: &Validation) {
        if let Progress::Redeemed { token, .. } = &validation.progress {
            self.0.remove(token);
        }
    }
}

/// The messages that count now.
fn spent(balance: &Balance, now: Timestamp) -> u32 {
    if balance.is_open(now, balance.budget.period) { balance.spent } else { 0 }
}

fn expiry(at: Timestamp, now: Timestamp) -> String {
    if at <= now { format!("{}, which is over", at.to_text()) } else { at.to_text() }
}

/// The values of an address on one line. Strangers chose them, and they are going to a terminal.
fn shown(address: &Address) -> String {
    let values: Vec<&str> = address.fields().map(|(_, value)| value).collect();
    let plain = |c: char| if c.is_control() || is_invisible(c) { ' ' } else { c };
    values.join(", ").chars().map(plain).collect()
}

/// Deletes what is kept about an address, and prints how much that was.
///
/// # Errors
/// The store failed.
pub(super) fn forget(
    registry: &dyn Registry,
    database: &Database,
    address: &Address,
    style: Style,
) -> Result<(), Exit> {
    let Forgotten { validations, grants, balances } = registry.forget(address).map_err(failed)?;
    // Without the address.
    recorded(
        "forget",
        None,
        &[
            ("validations", validations.into()),
            ("access_tokens", grants.into()),
            ("balances", balances.into()),
        ],
    );
    if style.json {
        let deleted = json!({
            "validations": validations, "access_tokens": grants, "balances": balances,
        });
        return say(&deleted.to_string());
    }
    if style.quiet {
        return Ok(());
    }
    say(&format!(
        "Deleted: validations {validations}, access tokens {grants}, balances of budgets \
         {balances}."
    ))?;
    say(
        "Out of reach: backups, the logs of the helper and of mail servers or gateways, and what \
         the clients have.",
    )?;
    if database.keeps_deleted_rows() { say(VACUUM) } else { Ok(()) }
}
