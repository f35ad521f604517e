//! What is done to clients, and what is printed of them.

use challenger_proto::oauth::{ClientId, ClientName, RedirectUri};
use challenger_proto::secret::Secret;
use challenger_proto::{Span, Timestamp};
use challenger_server::os;
use challenger_server::store::{
    Added, Changes, ClientKey, ClientSummary, NewClient, Registry, Rotated,
};
use serde_json::{Value, json};

use super::audit::recorded;
use super::budgets::PerDay;
use super::changes::{self, unknown};
use super::failed;
use super::secret::Obtained;
use crate::exit::{Exit, say};

/// How to print.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) json: bool,
    pub(super) quiet: bool,
}

/// The client that an action is about.
pub(super) struct Subject {
    /// How the operator named it.
    pub(super) key: ClientKey,
    pub(super) id: ClientId,
    redirect_uri: RedirectUri,
}

impl Subject {
    /// Finds a client.
    ///
    /// # Errors
    /// There is no such client, or the store failed.
    pub(super) fn find(registry: &dyn Registry, key: ClientKey) -> Result<Self, Exit> {
        match registry.find_client(&key).map_err(failed)? {
            Some((id, redirect_uri)) => Ok(Self { key, id, redirect_uri }),
            None => Err(unknown(&key)),
        }
    }
}

/// The result of an action.
pub(super) struct Report {
    /// As a sentence, up to the client's number.
    sentence: &'static str,
    pub(super) id: ClientId,
    redirect_uri: RedirectUri,
    /// A secret that was just made, which nobody knows yet.
    secret: Option<Secret<String>>,
    /// Until when the secret of before is good.
    old_secret_until: Option<Timestamp>,
    /// What was set.
    set: Changes,
}

impl Report {
    fn new(sentence: &'static str, id: ClientId, redirect_uri: RedirectUri) -> Self {
        let (secret, old_secret_until) = (None, None);
        Self { sentence, id, redirect_uri, secret, old_secret_until, set: Changes::default() }
    }

    fn of(sentence: &'static str, subject: Subject) -> Self {
        Self::new(sentence, subject.id, subject.redirect_uri)
    }

    /// Prints it, with the number of validations that were ended.
    ///
    /// # Errors
    /// It cannot be printed.
    pub(super) fn print(&self, style: Style, ended: Option<u64>) -> Result<(), Exit> {
        let Self { sentence, id, redirect_uri, secret, old_secret_until: until, set } = self;
        let secret = secret.as_ref().map(Secret::expose);
        if style.json {
            let members = [
                ("client_id", Some(json!(id.number()))),
                ("client_secret", secret.map(|secret| json!(secret))),
                ("old_secret_until", until.map(Timestamp::to_json)),
                ("redirect_uri", Some(json!(redirect_uri.as_str()))),
                ("validations_ended", ended.map(|ended| json!(ended))),
            ];
            let members = members.into_iter().chain(changes::members(set));
            let members = members.filter_map(|(name, value)| Some((name, value?)));
            return say(&members.collect::<Value>().to_string());
        }
        if style.quiet {
            say(&id.to_string())?;
            return secret.map_or(Ok(()), |secret| say(secret));
        }
        let lines = [
            Some(format!("{sentence}: {id}")),
            secret.map(|secret| format!("Client secret is: {secret}")),
            until.map(|until| format!("The old secret is good until: {}", until.to_text())),
        ];
        let mut lines = lines.into_iter().flatten().chain(changes::lines(set));
        lines.try_for_each(|line| say(&line))
    }
}

/// Registers a client.
///
/// # Errors
/// Another client has the redirect URI, or the store failed.
pub(super) fn add(
    registry: &dyn Registry,
    redirect_uri: RedirectUri,
    secret: Obtained,
    set: Changes,
) -> Result<Report, Exit> {
    let new = NewClient {
        name: set.name.clone().flatten(),
        messages_per_day: set.messages_per_day.flatten(),
        open: set.open == Some(true),
        ..NewClient::new(redirect_uri, secret.hashed)
    };
    match registry.add_client(&new, os::now()).map_err(failed)? {
        Added::New(id) => {
            recorded("add", Some(id), &[]);
            changes::record(id, &set);
            changes::warn(&set);
            let report = Report::new("Client added. Client ID is", id, new.redirect_uri);
            Ok(Report { secret: secret.to_print, set, ..report })
        }
        Added::BeingDeleted(id) => Err(Exit::failed(format!(
            "client {id}, which has this redirect URI, is still being deleted; if nobody is at it, \
             --delete goes on with it, and it can be added then"
        ))),
        Added::Exists(id) => Err(Exit::failed(format!(
            "client {id} is registered with this redirect URI already; it was left as it is"
        ))),
    }
}

/// Changes a client.
///
/// # Errors
/// As those of [`changes::make`].
pub(super) fn change(
    registry: &dyn Registry,
    subject: Subject,
    set: Changes,
) -> Result<Report, Exit> {
    changes::make(registry, &subject.key, subject.id, &set)?;
    let mut report = Report::of("Client changed. Client ID is", subject);
    if let Some(moved) = &set.redirect_uri {
        report.redirect_uri = moved.clone();
    }
    Ok(Report { set, ..report })
}

/// Replaces the secret of a client, and perhaps keeps the one of before for a while.
///
/// # Errors
/// There is no such client, it has a secret of before that would be lost, or the store failed.
pub(super) fn rotate(
    registry: &dyn Registry,
    subject: Subject,
    secret: Obtained,
    keep_old: Option<Span>,
) -> Result<Report, Exit> {
    let (id, now) = (subject.id, os::now());
    match registry.rotate_secret(id, secret.hashed, keep_old, now).map_err(failed)? {
        Rotated::Done => {}
        Rotated::KeepsEarlier(until) => {
            return Err(Exit::failed(format!(
                "client {id} was left as it is: its secret of before is good until {}, and would \
                 be lost; wait until then, or leave --keep-old out, which ends both old ones",
                until.to_text()
            )));
        }
        Rotated::Unknown => return Err(unknown(&subject.key)),
    }
    let old_secret_until = keep_old.map(|span| now.plus(span));
    let until = old_secret_until.map(Timestamp::to_rfc3339);
    let detail = until.as_deref().map(|until| ("old_secret_until", until.into()));
    recorded("rotate", Some(id), detail.as_slice());
    let report = Report::of("Secret replaced. Client ID is", subject);
    Ok(Report { secret: secret.to_print, old_secret_until, ..report })
}

/// Ends the validations that were opened with a replaced secret, and returns their number.
///
/// # Errors
/// The store failed; the error says what may go on.
pub(super) fn end_unsolved(registry: &dyn Registry, id: ClientId) -> Result<u64, Exit> {
    registry.end_unsolved(id, os::now()).map_err(|error| {
        Exit::failed(format!(
            "the secret was replaced, but some validations that were opened before may go on, \
             until this is done again: {error}"
        ))
    })
}

/// Deletes a client.
///
/// # Errors
/// There is no such client, or the store failed.
pub(super) fn delete(registry: &dyn Registry, subject: Subject) -> Result<Report, Exit> {
    if !registry.delete_client(subject.id).map_err(failed)? {
        return Err(unknown(&subject.key));
    }
    recorded("delete", Some(subject.id), &[]);
    Ok(Report::of("Client deleted. Client ID was", subject))
}

/// Warns about redirect URIs that are allowed, but risky.
pub(super) fn warn_about(redirect_uri: &RedirectUri) {
    if !redirect_uri.is_confidential() {
        log::warn!("authorization codes will travel to the client without TLS");
    }
    let scheme = redirect_uri.scheme().to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        log::warn!("{}: is not a scheme of web sites", redirect_uri.scheme());
    }
}

/// Prints the list of clients.
///
/// # Errors
/// It cannot be printed.
pub(super) fn print(clients: &[ClientSummary], style: Style) -> Result<(), Exit> {
    let now = os::now();
    let until = |client: &ClientSummary| client.earlier_secret_until.filter(|until| now < *until);
    if style.json {
        let objects = clients.iter().map(|client| {
            json!({
                "client_id": client.id.number(),
                "redirect_uri": client.redirect_uri.as_str(),
                "name": client.name.as_ref().map(ClientName::as_str),
                "created": client.created.map(Timestamp::to_json),
                "validations": client.validations,
                "grants": client.grants,
                "messages_per_day": client.messages_per_day,
                "open": client.open,
                "disabled": client.disabled,
                "old_secret_until": until(client).map(Timestamp::to_json),
                "being_deleted": client.is_being_deleted,
            })
        });
        return say(&Value::Array(objects.collect()).to_string());
    }
    if style.quiet {
        return clients.iter().try_for_each(|client| say(&client.id.to_string()));
    }
    say(&row("ID", "VALIDATIONS", "GRANTS", "MESSAGES/DAY", "CREATED", "REDIRECT URI"))?;
    for client in clients {
        let (validations, grants) = (client.validations.to_string(), client.grants.to_string());
        let per_day = PerDay(client.messages_per_day).to_string();
        let created = client.created.map(Timestamp::to_text).unwrap_or_default();
        let day = created.split(' ').next().unwrap_or_default();
        let name = client.name.as_ref().map(|name| format!(" \"{}\"", name.as_str()));
        let last = [
            client.redirect_uri.as_str(),
            name.as_deref().unwrap_or_default(),
            &marks(client, until(client)),
        ];
        say(&row(&client.id.to_string(), &validations, &grants, &per_day, day, &last.concat()))?;
    }
    Ok(())
}

/// What is unusual about a client, in words.
fn marks(client: &ClientSummary, old_secret_until: Option<Timestamp>) -> String {
    if client.is_being_deleted {
        return " (being deleted)".to_owned();
    }
    let marks = [
        client.open.then(|| "open".to_owned()),
        client.disabled.then(|| "disabled".to_owned()),
        old_secret_until.map(|until| format!("old secret until {}", until.to_text())),
    ];
    let marks: Vec<String> = marks.into_iter().flatten().collect();
    if marks.is_empty() { String::new() } else { format!(" ({})", marks.join(", ")) }
}

/// A line of the table.
fn row(
    id: &str,
    validations: &str,
    grants: &str,
    per_day: &str,
    created: &str,
    redirect_uri: &str,
) -> String {
    format!(
        "{id:>6}  {validations:>11}  {grants:>11}  {per_day:>12}  {created:<10}  {redirect_uri}"
    )
}
